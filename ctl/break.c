// SPDX-License-Identifier: GPL-2.0
/* drostectl break: waits until a vCPU stands at a chosen exit, says which exit it is, and lets the vCPU go in the end. */
#include "break.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "args.h"
#include "lastexit.h"
#include "look.h"
#include "nowms.h"
#include "outcome.h"
#include "paint.h"
#include "say.h"

#define TURN_MS	100	/* how often to look whether the VM is still there */

void break_help(void)
{
	printf("Usage: drostectl break EXPRESSION [OPTION]... [-- COMMAND...]\n"
	       "Wait until a vCPU makes an exit that the expression describes, and print the exit as \"drostectl why --exit\" does.\n"
	       "The vCPU stands there, before the exit is handled, until the command ends, or without one until this program or its\n"
	       "standard input ends. Meanwhile drostectl vmcs, diff, ept and why show it.\n"
	       "Needs root.\n"
	       "\n"
	       "An expression is one or more of these, with && between them:\n"
	       "  level==N        1 or 2, the level that exits\n"
	       "  reason==R       the exit reason: its number, or its name as in \"drostectl top\"\n"
	       "  to==N           0 or 1, who gets the exit: L0 or L1\n"
	       "  why==W          what decides that, of an exit of L2: its name in \"drostectl why --exit\", or its number\n"
	       "  rip==A          the instruction's address; also rip>=A, rip>A, rip<=A, rip<A\n"
	       "  seq==N          the number of the vCPU's exit; likewise\n"
	       "  nth==N          only the exit with this number among those of the VM with all the rest, from now on\n"
	       "\n"
	       LOOK_OPTIONS
	       "  --vcpu N        only exits of this vCPU\n"
	       "  --timeout S     wait at most S seconds for the exit, and let the vCPU stand at most S seconds\n"
	       "  -h, --help      print this text\n");
}

/** struct stop - what the command is about */
struct stop {
	int fd;				/* from look_open() */
	struct droste_vm_info vm;
	unsigned long timeout;		/* seconds; 0: none */
	char **command;			/* NULL: none */
};

/* Whether the time that begins at @begin is over. */
static bool is_over(const struct stop *s, long long begin)
{
	return s->timeout && now_ms() - begin >= (long long)s->timeout * 1000;
}

static int set(struct stop *s, const struct droste_match *m)
{
	if (!ioctl(s->fd, DROSTE_BREAK, m))
		return 0;
	if (errno == EBUSY)
		say("VM %u has a breakpoint already: another \"drostectl break\" runs", s->vm.number);
	else if (errno == EINVAL && (m->flags & DROSTE_MATCH_VCPU))
		say("the VM has no vCPU %u", m->vcpu);
	else if (errno == ENOTTY)
		say("the module that is loaded is older than drostectl, and has no breakpoints");
	else
		say("VM %u: %s", s->vm.number, strerror(errno));
	return -1;
}

static bool stands(const struct stop *s, unsigned int vcpu)
{
	struct droste_vcpu_info info = { .vcpu = vcpu };

	return !ioctl(s->fd, DROSTE_VCPU_INFO, &info) && (info.flags & DROSTE_VCPU_STANDS);
}

/* Wait for a vCPU that stands. Returns its index, or -1 after an error message. */
static int wait_for_exit(struct stop *s)
{
	struct pollfd pfd = { .fd = s->fd, .events = POLLIN };
	long long begin = now_ms();

	for (;;) {
		poll(&pfd, 1, TURN_MS);
		/* vCPUs may have been added. */
		if (ioctl(s->fd, DROSTE_VM_INFO, &s->vm) || (s->vm.flags & DROSTE_VM_CLOSED)) {
			say("VM %u has ended", s->vm.number);
			return -1;
		}
		for (unsigned int i = 0; pfd.revents & POLLIN && i < s->vm.nr_vcpus; i++)
			if (stands(s, i))
				return i;
		if (is_over(s, begin)) {
			say("no such exit in %lu second%s", s->timeout, s->timeout == 1 ? "" : "s");
			return -1;
		}
	}
}

/* Reads standard input, as far as there is some. Returns whether it is at its end. */
static bool input_ended(struct pollfd *pfd)
{
	char text[256];

	return poll(pfd, 1, TURN_MS) > 0 && read(pfd->fd, text, sizeof(text)) <= 0;
}

/* Returns false if the vCPU was let go by something else. */
static bool still_stands(const struct stop *s, unsigned int vcpu)
{
	if (stands(s, vcpu))
		return true;
	say("vCPU %u stands no longer: a signal has ended its KVM_RUN", vcpu);
	return false;
}

/* Let the vCPU stand until the input ends, or the time is over. */
static int hold(const struct stop *s, unsigned int vcpu)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	long long begin = now_ms();

	printf("It stands there until the end of input (Ctrl-D), or of this program (Ctrl-C).\n");
	fflush(stdout);
	while (!is_over(s, begin) && !input_ended(&input))
		if (!still_stands(s, vcpu))
			return STATUS_FAILED;
	return 0;
}

/* Run the command while the vCPU stands. */
static int run(const struct stop *s)
{
	long long begin = now_ms();
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		say("fork: %s", strerror(errno));
		return STATUS_FAILED;
	}
	if (!pid) {
		execvp(s->command[0], s->command);
		say("%s: %s", s->command[0], strerror(errno));
		_exit(127);
	}
	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (is_over(s, begin)) {
			say("%s takes longer than %lu second%s", s->command[0], s->timeout, s->timeout == 1 ? "" : "s");
			ioctl(s->fd, DROSTE_CONT);
			kill(pid, SIGTERM);
			waitpid(pid, &status, 0);
			break;
		}
		usleep(TURN_MS * 100);
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int stop_at(struct stop *s, const struct droste_match *m)
{
	int vcpu;

	if (set(s, m))
		return STATUS_FAILED;
	vcpu = wait_for_exit(s);
	if (vcpu < 0)
		return STATUS_FAILED;
	paint_begin();
	printf("VM %u (%s, process %d)\n", s->vm.number, s->vm.name, s->vm.pid);
	if (lastexit_all(s->fd, vcpu, vcpu + 1, false))
		return STATUS_FAILED;
	return s->command ? run(s) : hold(s, vcpu);
}

/* The operands: the expression, and behind "--" the command. */
static int operands(struct stop *s, int argc, char **argv, struct droste_match *m)
{
	bool dashes = !strcmp(argv[optind - 1], "--");

	if (optind == argc) {
		say("no expression given; see \"drostectl break --help\"");
		return -1;
	}
	if (optind + 1 < argc) {
		if (!dashes) {
			say("unexpected argument \"%s\": write the expression in quotes, and -- before a command", argv[optind + 1]);
			return -1;
		}
		s->command = argv + optind + 1;
	}
	return break_parse(argv[optind], m);
}

int cmd_break(int argc, char **argv)
{
	static const struct option options[] = {
		LOOK_LONGOPTS, { "timeout", required_argument, NULL, 't' }, { "help", no_argument, NULL, 'h' }, { }
	};
	struct look_at at = { .vcpu = ~0ul };
	struct droste_match m;
	struct stop s = { .fd = -1 };
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			break_help();
			return 0;
		}
		if (opt == 't' ? args_number("timeout", optarg, 1, 1000000, &s.timeout) : look_option(&at, opt, optarg))
			return STATUS_USAGE;
	}
	if (operands(&s, argc, argv, &m))
		return STATUS_USAGE;
	if (at.vcpu != ~0ul) {
		m.flags |= DROSTE_MATCH_VCPU;
		m.vcpu = at.vcpu;
	}
	s.fd = look_open(&at, &s.vm);
	if (s.fd < 0)
		return STATUS_FAILED;
	ret = stop_at(&s, &m);
	close(s.fd);
	return ret;
}

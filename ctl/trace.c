// SPDX-License-Identifier: GPL-2.0
/* drostectl trace: records Droste's events in an instance of tracefs of its own, while a command runs. */
#include "trace.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "outcome.h"
#include "say.h"
#include "tracecopy.h"
#include "traceevent.h"
#include "tracefs.h"
#include "tracelabel.h"
#include "tracepid.h"

#define TURN_MS		100	/* between two looks into the buffer */
#define LONGEST		1024	/* bytes of a filter */
#define TURN_BYTES	(1 << 20)	/* that are taken out of the buffer in one turn */

void trace_help(void)
{
	printf("Usage: drostectl trace [OPTION]... [-- COMMAND...]\n"
	       "Record Droste's events while a command runs, or, without one, until Ctrl-C. Needs root.\n"
	       "Other tracing on this host goes on as it is.\n"
	       "\n"
	       "  --l1            exits of L1, entries into it, and events for it\n"
	       "  --l2            those of L2, who gets its exits and why, and what L1 is shown\n"
	       "  --insn          L1's VMX instructions; without these three, all events\n"
	       "  --filter EXPR   only events for which this holds, such as 'reason == 10'; events that\n"
	       "                  lack one of its fields are left out\n"
	       "  --pid P         only events of this process and its threads\n"
	       "  --clock C       the clock of the time stamps (mono), such as counter or x86-tsc\n"
	       "  --buffer KIB    size of each processor's buffer (8192 with up to 8 processors)\n"
	       "  --note TEXT     text for the first line, which says what was traced\n"
	       "  --output F      write to this file (-o F); to standard output without it\n"
	       "  --json          write one JSON object a line\n"
	       "  -h, --help      print this text\n");
}

/* What was asked for, and what came of it. */
struct trace {
	struct tracefs fs;
	unsigned int selection;
	const char *filter, *clock, *note, *output;
	unsigned long pid, buffer;
	bool json;
	char **command;			/* NULL: none */
	struct trace_copy copy;
	bool stopped;			/* tracing_on was 0 at the end: a trigger, or another program */
	char on[LONGEST * 20];		/* the events that are on, with their filters */
	char without[512];		/* the events that the filter cannot be applied to */
	bool all_exits;			/* one of them makes all exits go the long way */
	const char *counted;		/* the file with the kernel's count, NULL if there is none */
	char refused[512];		/* why the kernel refuses the filter */
};

/* --- what is recorded --- */

static void add_word(char *list, size_t size, const char *word, const char *filter)
{
	size_t len = strlen(list);

	snprintf(list + len, size - len, "%s%s%s%s%s", len ? ", " : "", word, *filter ? " if " : "", filter, "");
}

/* Turns an event on, with the filter. One that lacks a field of the filter stays off. */
static int turn_on(const char *event, void *arg)
{
	struct trace *t = arg;
	char file[128], filter[LONGEST + 32];
	int level, err;

	if (!trace_wants(event, t->selection, &level))
		return 0;
	trace_filter(filter, sizeof(filter), level, t->filter);
	snprintf(file, sizeof(file), "events/droste/%.64s/filter", event);
	err = *filter ? tracefs_put(&t->fs, file, filter) : 0;
	if (err) {
		if (!*t->refused)
			tracefs_get(&t->fs, file, t->refused, sizeof(t->refused));
		tracefs_put(&t->fs, file, "0");
		add_word(t->without, sizeof(t->without), event, "");
		return 0;
	}
	snprintf(file, sizeof(file), "events/droste/%.64s/enable", event);
	err = tracefs_put(&t->fs, file, "1");
	if (err) {
		say("%s: %s", file, strerror(err));
		return -1;
	}
	t->all_exits |= trace_needs_exits(event);
	add_word(t->on, sizeof(t->on), event, filter);
	return 0;
}

/*
 * Lets the kernel count, whatever the filters are, so that an empty capture can be explained: exits by level if an event is on
 * that makes all exits go the long way, else begins and ends of KVM_RUN. Kernels without CONFIG_HIST_TRIGGERS cannot.
 */
static void count_all(struct trace *t)
{
	const struct tracefs_count *c = &tracefs_counts[t->all_exits ? 0 : 1];

	t->counted = tracefs_put(&t->fs, c->trigger, c->count) ? NULL : c->histogram;
}

static int events_on(struct trace *t)
{
	if (tracefs_events(&t->fs, turn_on, t))
		return -1;
	if (*t->on) {
		count_all(t);
		return 0;
	}
	say("the kernel accepts the filter \"%s\" for none of the events chosen", t->filter);
	for (char *line = strtok(t->refused, "\n"); line; line = strtok(NULL, "\n"))
		say_more("%s", line);
	return -1;
}

/* 64 MiB for all processors, but neither a tiny nor a huge part for each of them. */
static unsigned long default_buffer(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	unsigned long each = 65536 / (cpus > 0 ? cpus : 1);

	return each < 512 ? 512 : each > 8192 ? 8192 : each;
}

/* Lines must have the form that trace_line() knows, whatever options the instance has inherited. */
static int set_form(struct trace *t)
{
	static const struct { const char *option, *value; } form[] = {
		{ "context-info", "1" }, { "irq-info", "1" }, { "latency-format", "0" }, { "raw", "0" }, { "hex", "0" }, { "bin", "0" },
		{ "fields", "0" },
	};

	for (size_t i = 0; i < sizeof(form) / sizeof(form[0]); i++) {
		char file[64];
		int err;

		snprintf(file, sizeof(file), "options/%s", form[i].option);
		err = tracefs_put(&t->fs, file, form[i].value);
		/* Not every kernel has all of them. */
		if (err && err != ENOENT) {
			say("%s: %s", file, strerror(err));
			return -1;
		}
	}
	return 0;
}

static int set_up(struct trace *t)
{
	char text[512];
	int err;

	if (set_form(t))
		return -1;
	err = tracefs_put(&t->fs, "trace_clock", t->clock);
	if (err) {
		tracefs_get(&t->fs, "trace_clock", text, sizeof(text));
		text[strcspn(text, "\n")] = 0;
		if (*text)
			say("no clock \"%s\": the kernel has %s", t->clock, text);
		else
			say("no clock \"%s\": %s", t->clock, strerror(err));
		return -1;
	}
	if (!t->buffer)
		t->buffer = default_buffer();
	snprintf(text, sizeof(text), "%lu", t->buffer);
	err = tracefs_put(&t->fs, "buffer_size_kb", text);
	if (err) {
		say("no buffers of %lu KiB: %s", t->buffer, strerror(err));
		return -1;
	}
	if ((t->pid && trace_only(&t->fs, t->pid)) || events_on(t))
		return -1;
	return 0;
}

/* --- recording --- */

static volatile sig_atomic_t caught;

static void catch(int signal)
{
	if (signal != SIGCHLD)
		caught = signal;
}

static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

/* Signals arrive in ppoll() and let_signals_in() only. Those that are ignored stay so. */
static void catch_signals(sigset_t *before)
{
	struct sigaction action = { .sa_handler = catch }, old;
	sigset_t block;

	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		sigaction(ends[i], NULL, &old);
		if (old.sa_handler == SIG_IGN)
			continue;
		sigaddset(&block, ends[i]);
		sigaction(ends[i], &action, NULL);
	}
	sigaction(SIGCHLD, &action, NULL);
	/* A reader that is gone must not leave the instance behind. */
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &block, before);
}

static void default_signals(const sigset_t *before)
{
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct sigaction old;

		sigaction(ends[i], NULL, &old);
		if (old.sa_handler == catch)
			signal(ends[i], SIG_DFL);
	}
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_SETMASK, before, NULL);
}

static pid_t start(char **command, const sigset_t *before)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		say("fork: %s", strerror(errno));
	if (pid)
		return pid;
	default_signals(before);
	signal(SIGPIPE, SIG_DFL);
	execvp(command[0], command);
	say("%s: %s", command[0], strerror(errno));
	_exit(127);
}

/* ppoll() returns before a signal arrives if there are events already. */
static void let_signals_in(const sigset_t *before)
{
	sigset_t block;

	sigprocmask(SIG_SETMASK, before, &block);
	sigprocmask(SIG_SETMASK, &block, NULL);
}

/* Until the command ends, the process that is looked at does, a signal comes, or the output cannot be written. */
static int record(struct trace *t, pid_t child, const sigset_t *before, int *status)
{
	const struct timespec turn = { .tv_nsec = TURN_MS * 1000000 };
	struct pollfd pfd = { .fd = t->fs.pipe, .events = POLLIN };

	while (!caught && !t->copy.lost_output) {
		ppoll(&pfd, 1, &turn, before);
		let_signals_in(before);
		trace_copy(&t->copy, TURN_BYTES);
		if (child && waitpid(child, status, WNOHANG) == child)
			return 0;
		if (!child && t->pid && kill(t->pid, 0) && errno == ESRCH)
			return 0;
	}
	return child;
}

/* --- the end --- */

/* The kernel's own count of an event by a key; ~0 if there is none. */
static unsigned long long counted(const struct trace *t, const char *key)
{
	unsigned long long sum = 0;
	char text[8192];

	if (!t->counted || tracefs_get(&t->fs, t->counted, text, sizeof(text)) < 0)
		return ~0ull;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		const char *hits = strstr(line, "hitcount:");

		if (hits && strstr(line, key))
			sum += strtoull(hits + 9, NULL, 10);
	}
	return sum;
}

static void explain_empty(const struct trace *t)
{
	unsigned long long all = counted(t, "{"), l2 = t->all_exits ? counted(t, " 2 }") : ~0ull;
	const char *what = t->all_exits ? "exits" : "begins and ends of KVM_RUN";
	const char *who = t->pid ? "this process" : "any VM of Droste";

	if (t->stopped)
		say("nothing was recorded: a trigger or another program set tracing_on of the instance to 0");
	else if (all == ~0ull)
		say("nothing was recorded: no VM ran, or no event was one of those chosen");
	else if (!all)
		say("nothing was recorded: there were no %s of %s", what, who);
	else if (!l2 && t->selection == TRACE_L2)
		say("nothing was recorded: no L2 ran; there were %llu exits of L1", all);
	else
		say("nothing was recorded: %s; there were %llu %s of %s", *t->filter ? "the filter matched nothing" :
		    "no event was one of those chosen", all, what, who);
}

/* Ends the output. Returns whether all of it was written. */
static bool end_output(struct trace *t, unsigned long long lost)
{
	struct trace_copy *c = &t->copy;
	char strange[64] = "";

	if (c->strange)
		snprintf(strange, sizeof(strange), t->json ? ",\"not_understood\":%llu" : ", %llu not understood", c->strange);
	errno = 0;
	if (fprintf(c->out, t->json ? "{\"events\":%llu,\"lost\":%llu%s}\n" : "# %llu events, %llu lost%s\n", c->kept, lost,
		    strange) < 0 || (t->output ? fclose(c->out) : fflush(c->out)))
		c->lost_output = c->lost_output ?: errno;
	if (!c->lost_output)
		return true;
	say("%s: %s", t->output ? t->output : "standard output", strerror(c->lost_output));
	return false;
}

/* Returns whether there is something in the output. */
static bool report(struct trace *t)
{
	unsigned long long lost = tracefs_lost(&t->fs);
	const struct trace_copy *c = &t->copy;

	if (!end_output(t, lost))
		return false;
	if (!c->kept && !c->strange)
		explain_empty(t);
	else if (lost)
		say("%llu events; %llu more were lost: choose fewer, or a larger --buffer", c->kept, lost);
	else
		say("%llu events, none lost", c->kept);
	if (c->strange)
		say("%llu lines with an event were left out, because drostectl does not understand their form", c->strange);
	return c->kept;
}

static int run(struct trace *t)
{
	const struct trace_label label = {
		.command = t->command, .pid = t->pid, .clock = t->clock, .filter = t->filter, .note = t->note, .on = t->on,
		.without = t->without,
	};
	int status = 0, left, err;
	sigset_t before;
	pid_t child = 0;
	char on[8], *line;
	bool good;

	catch_signals(&before);
	line = trace_label(&label, t->json);
	if (line)
		fprintf(t->copy.out, "%s\n", line);
	free(line);
	err = tracefs_put(&t->fs, "tracing_on", "1");
	if (err) {
		say("tracing_on: %s", strerror(err));
		return STATUS_FAILED;
	}
	if (t->command)
		child = start(t->command, &before);
	left = child < 0 ? 0 : record(t, child, &before, &status);
	t->stopped = tracefs_get(&t->fs, "tracing_on", on, sizeof(on)) > 0 && *on == '0';
	/* Nothing more comes then, so that all the rest can be taken. */
	tracefs_put(&t->fs, "events/droste/enable", "0");
	tracefs_put(&t->fs, "tracing_on", "0");
	trace_copy(&t->copy, 0);
	good = report(t);
	tracefs_end(&t->fs);
	if (left) {
		default_signals(&before);
		kill(child, caught ? caught : SIGTERM);
		waitpid(child, &status, 0);
	}
	if (!good || child < 0)
		return STATUS_FAILED;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int parse(struct trace *t, int argc, char **argv)
{
	static const struct option options[] = {
		{ "l1", no_argument, NULL, '1' }, { "l2", no_argument, NULL, '2' }, { "insn", no_argument, NULL, 'i' },
		{ "filter", required_argument, NULL, 'f' }, { "pid", required_argument, NULL, 'p' },
		{ "clock", required_argument, NULL, 'c' }, { "buffer", required_argument, NULL, 'b' },
		{ "note", required_argument, NULL, 'n' }, { "output", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { }
	};
	int opt;

	/* The first word that is no option begins the command. */
	while ((opt = getopt_long(argc, argv, "+ho:", options, NULL)) != -1) {
		switch (opt) {
		case 'h':
			trace_help();
			return 1;
		case '1':
			t->selection |= TRACE_L1;
			break;
		case '2':
			t->selection |= TRACE_L2;
			break;
		case 'i':
			t->selection |= TRACE_INSN;
			break;
		case 'f':
			t->filter = optarg;
			if (strlen(optarg) > LONGEST) {
				say("--filter has more than %d bytes", LONGEST);
				return -1;
			}
			break;
		case 'c':
			t->clock = optarg;
			break;
		case 'n':
			t->note = optarg;
			break;
		case 'o':
			t->output = optarg;
			break;
		case 'j':
			t->json = true;
			break;
		case 'p':
			if (args_number("pid", optarg, 1, 0x7fffffff, &t->pid))
				return -1;
			break;
		case 'b':
			if (args_number("buffer", optarg, 4, 4 << 20, &t->buffer))
				return -1;
			break;
		default:
			return -1;
		}
	}
	t->command = optind < argc ? argv + optind : NULL;
	return 0;
}

int cmd_trace(int argc, char **argv)
{
	static struct trace t = { .filter = "", .clock = "mono", .note = "" };
	int ret = parse(&t, argc, argv);

	if (ret)
		return ret > 0 ? 0 : STATUS_USAGE;
	if (tracefs_begin(&t.fs))
		return STATUS_FAILED;
	ret = STATUS_FAILED;
	if (!set_up(&t)) {
		t.copy.pipe = t.fs.pipe;
		t.copy.json = t.json;
		t.copy.out = t.output ? trace_create(t.output) : stdout;
		if (t.copy.out)
			ret = run(&t);
		else
			say("%s: %s", t.output, strerror(errno));
	}
	tracefs_end(&t.fs);
	return ret;
}

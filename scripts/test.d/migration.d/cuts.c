// SPDX-License-Identifier: GPL-2.0
/*
 * Runs in L0: the guest of pattern.c moves again and again, and each time its source dies after another record of the stream.
 * The receiver must then have exactly the memory and the console of the last complete state, and the guest goes on from there.
 */
/*
 * cuts NAME WORDS FIRST STEP MOST [OPTION]	WORDS: of the guest's command line; the source dies after record FIRST, then
 * FIRST + STEP, and so on, MOST times, or until the guest has moved before that record. OPTION: such as --barriers. TAP.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKET	"cut.socket"
#define STATES	64
#define GOOD	32		/* exit status of drostectl: the guest wrote 0 to the debug-exit port */
#define MOVED	9

struct sums {
	uint32_t memory, output;
	bool is;
};

/* What the source has told. */
struct source {
	struct sums state[STATES];
	unsigned int last, acknowledged;	/* 0: none */
	bool died;
	int status;
};

static char why[512];

static pid_t start(const char *variable, const char *name, char *const argv[])
{
	pid_t pid = fork();
	char file[64];

	if (pid)
		return pid;
	setenv("DROSTECTL_MOVE_TEST", variable, 1);
	for (int fd = 1; fd <= 2; fd++) {
		snprintf(file, sizeof(file), "%s.%s", name, fd == 1 ? "out" : "err");
		dup2(open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600), fd);
	}
	dup2(open("/dev/null", O_RDONLY), 0);
	execv(argv[0], argv);
	_exit(127);
}

static int status_of(pid_t pid, bool *died)
{
	int status;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	*died = WIFSIGNALED(status);
	return *died ? WTERMSIG(status) : WEXITSTATUS(status);
}

static bool has_file(const char *file, const char *text)
{
	static char all[65536];
	FILE *f = fopen(file, "r");
	size_t n = f ? fread(all, 1, sizeof(all) - 1, f) : 0;

	all[n] = 0;
	if (f)
		fclose(f);
	return strstr(all, text);
}

/* "drostectl: state N: memory X, output Y", or "... acknowledged" */
static void read_states(const char *file, struct source *s)
{
	FILE *f = fopen(file, "r");
	char line[512];
	unsigned int n, memory, output;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "drostectl: state %u: memory %x, output %x", &n, &memory, &output) == 3 && n < STATES) {
			s->state[n] = (struct sums) { memory, output, true };
			s->last = n;
		} else if (strstr(line, ": acknowledged") && sscanf(line, "drostectl: state %u", &n) == 1) {
			s->acknowledged = n;
		}
	}
	if (f)
		fclose(f);
}

__attribute__((format(printf, 1, 2))) static bool wrong(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, sizeof(why), format, ap);
	va_end(ap);
	return false;
}

/* Whether the receiver has what the source had at its last barrier. */
static bool same(const struct source *s, const struct source *r, int status)
{
	unsigned int n = r->last;

	if (!n) {
		if (s->acknowledged)
			return wrong("barrier %u is acknowledged, and the receiver has none", s->acknowledged);
		return status == 1 && has_file("r.err", "before the guest was complete") ? true :
		       wrong("the receiver has no state, and ends with %d", status);
	}
	if (n != s->acknowledged && n != s->acknowledged + 1)
		return wrong("the receiver has barrier %u, and %u was the last acknowledged", n, s->acknowledged);
	if (!s->state[n].is)
		return wrong("the receiver has barrier %u, which the source did not make", n);
	if (s->state[n].memory != r->state[n].memory)
		return wrong("barrier %u: the memory differs: %08x, %08x", n, s->state[n].memory, r->state[n].memory);
	if (s->state[n].output != r->state[n].output)
		return wrong("barrier %u: the console differs: %08x, %08x", n, s->state[n].output, r->state[n].output);
	if (status != GOOD)
		return wrong("the guest goes on, and ends with %d", status);
	return has_file("r.out", "moved at ") ? true : wrong("the guest does not see that it has moved");
}

static bool one(const char *words, const char *option, int cut, bool *moved)
{
	char *const receive[] = { "./drostectl", "receive", "unix:" SOCKET, NULL };
	char *const run[] = { "./drostectl", "run", "--kernel", "pattern", "--memory", "2", "--cpus", "2", "--append", (char *)words,
			"--migrate-to", "unix:" SOCKET, (char *)option, NULL };
	struct source s = { .last = 0 }, r = { .last = 0 };
	pid_t receiver, source;
	struct stat st;
	char variable[64];

	unlink(SOCKET);
	receiver = start("sums=1", "r", receive);
	while (stat(SOCKET, &st) && !waitpid(receiver, NULL, WNOHANG))
		usleep(1000);
	snprintf(variable, sizeof(variable), "sums=1,cut=%d", cut);
	source = start(variable, "s", run);
	s.status = status_of(source, &s.died);
	r.status = status_of(receiver, &r.died);
	read_states("s.err", &s);
	read_states("r.err", &r);
	*moved = !s.died && s.status == MOVED;
	if (s.died ? s.status != SIGKILL : !*moved)
		return wrong("the source ends with %s%d", s.died ? "signal " : "", s.status);
	if (r.died)
		return wrong("the receiver ends with signal %d", r.status);
	/* Who has moved has acknowledged its end. */
	if (*moved)
		s.acknowledged = s.last;
	return same(&s, &r, r.status);
}

static void show(const char *file)
{
	FILE *f = fopen(file, "r");
	char line[512];

	printf("# %s:\n", file);
	while (f && fgets(line, sizeof(line), f))
		printf("# %s", line);
	if (f)
		fclose(f);
}

int main(int argc, char **argv)
{
	int first, step, most, n, failed = 0;
	bool moved = false;

	if (argc < 6)
		return 2;
	first = atoi(argv[3]);
	step = atoi(argv[4]);
	most = atoi(argv[5]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n");
	for (n = 0; n < most && !moved && failed < 5; n++) {
		if (one(argv[2], argv[6], first + n * step, &moved)) {
			printf("ok %d - %s: the source dies after record %d%s\n", n + 1, argv[1], first + n * step, moved ? ", and has moved" : "");
			continue;
		}
		printf("not ok %d - %s: the source dies after record %d: %s\n", n + 1, argv[1], first + n * step, why);
		failed++;
		show("s.err");
		show("r.err");
		show("r.out");
	}
	printf("1..%d\n", n);
	return failed != 0;
}

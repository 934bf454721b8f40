// SPDX-License-Identifier: GPL-2.0
/* Runs a program's subtests, each in its own process, and reports in TAP. */
#define _GNU_SOURCE
#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ksft.h"
#include "vm.h"

/*
 * A subtest that takes longer than this is taken for hung. No measurement depends on the value. KSFT_HANG_SECONDS in the
 * environment replaces it, for kernels that check themselves and are many times slower.
 */
#define HANG_SECONDS	20

const char *ksft_positional = "";

static int failures;
static bool only_list;
static const char *filter;

int ksft_failures(void)
{
	return failures;
}

static void diag(const char *fmt, va_list ap)
{
	char line[512];
	int n = vsnprintf(line, sizeof(line), fmt, ap);

	if (n < 0)
		return;
	flockfile(stdout);
	printf("# %s\n", line);
	fflush(stdout);
	funlockfile(stdout);
}

void ksft_diag(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag(fmt, ap);
	va_end(ap);
}

static void vfail(const char *file, int line, const char *fmt, va_list ap)
{
	char text[400];
	const char *base = strrchr(file, '/');

	vsnprintf(text, sizeof(text), fmt, ap);
	__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
	/* Print only the first failures of a long series. */
	if (failures <= 40)
		ksft_diag("%s:%d: %s", base ? base + 1 : file, line, text);
}

void ksft_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfail(file, line, fmt, ap);
	va_end(ap);
}

static void (*at_end[4])(void);
static unsigned int nr_at_end;

void ksft_at_end(void (*fn)(void))
{
	MUST(nr_at_end < ARRAY_SIZE(at_end), "room for what a subtest does at its end");
	at_end[nr_at_end++] = fn;
}

/* Ends the subtest's process. Its other threads may still run, so the C library's exit() is not for it. */
static void __attribute__((noreturn)) end_subtest(int status)
{
	while (nr_at_end)
		at_end[--nr_at_end]();
	_exit(status);
}

void ksft_abort(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfail(file, line, fmt, ap);
	va_end(ap);
	end_subtest(KSFT_FAIL);
}

void ksft_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag(fmt, ap);
	va_end(ap);
	end_subtest(failures ? KSFT_FAIL : KSFT_SKIP);
}

static unsigned int hang_seconds(void)
{
	const char *given = getenv("KSFT_HANG_SECONDS");
	int n = given ? atoi(given) : 0;

	return n > 0 ? n : HANG_SECONDS;
}

static int run_one(const struct ksft_test *t)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		ksft_diag("fork: %s", strerror(errno));
		return KSFT_FAIL;
	}
	if (!pid) {
		signal(SIGALRM, SIG_DFL);
		alarm(hang_seconds());
		if (t->host)
			t->host();
		else
			guest_subtest(t);
		end_subtest(failures ? KSFT_FAIL : KSFT_PASS);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status)) {
		ksft_diag("%s", WTERMSIG(status) == SIGALRM ? "hangs" : strsignal(WTERMSIG(status)));
		return KSFT_FAIL;
	}
	return WEXITSTATUS(status);
}

/* Is the subtest one of those that --filter selects? Case does not matter. */
static bool selected(const struct ksft_test *t)
{
	return !filter || !fnmatch(filter, t->name, FNM_CASEFOLD);
}

/* Returns the status of --list: an error if the names did not reach standard output. */
static int list_written(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return KSFT_PASS;
	perror("standard output");
	return KSFT_FAIL;
}

int ksft_main(const struct ksft_test *tests, int n)
{
	int pass = 0, fail = 0, skip = 0, number = 0, planned = 0, i;
	const char *only = getenv("KSFT_ONLY");

	for (i = 0; i < n; i++)
		planned += selected(&tests[i]);
	if (!planned) {
		fprintf(stderr, "no subtest is named '%s'; --list prints the names\n", filter);
		return 2;
	}
	for (i = 0; i < n && only_list; i++)
		if (selected(&tests[i]))
			printf("%s\n", tests[i].name);
	if (only_list)
		return list_written();
	printf("TAP version 13\n1..%d\n", planned);
	for (i = 0; i < n; i++) {
		int status = KSFT_SKIP;

		if (!selected(&tests[i]))
			continue;
		if (!only || strstr(tests[i].name, only))
			status = run_one(&tests[i]);
		if (status == KSFT_PASS)
			pass++;
		else if (status == KSFT_SKIP)
			skip++;
		else
			fail++;
		printf("%s %d %s%s\n", status == KSFT_PASS || status == KSFT_SKIP ? "ok" : "not ok", ++number,
		       tests[i].name, status == KSFT_SKIP ? " # SKIP" : "");
		fflush(stdout);
	}
	printf("# Totals: pass:%d fail:%d xfail:0 xpass:0 skip:%d error:0\n", pass, fail, skip);
	return fail ? KSFT_FAIL : skip == planned ? KSFT_SKIP : KSFT_PASS;
}

static bool take_option(const struct ksft_option *o, const char *text)
{
	char *end;

	*o->val = strtoull(text, &end, 0);
	if (o->second && *end == ':')
		*o->second = strtoull(end + 1, &end, 0);
	return end != text && !*end;
}

static void usage(FILE *to, const char *program, const struct ksft_option *options, int n)
{
	int k;

	fprintf(to, "usage: %s [--list] [--filter GLOB] [--help]", program);
	for (k = 0; k < n; k++)
		fprintf(to, " [%s N%s]", options[k].name, options[k].second ? ":N" : "");
	fprintf(to, "%s\n", ksft_positional);
}

static void help(const char *program, const struct ksft_option *options, int n)
{
	int k;

	usage(stdout, program, options, n);
	printf("Runs the subtests on /dev/droste, or the device that DROSTE_DEVICE in the environment names. Prints TAP.\n"
	       "  --list         print the names of the subtests, and run none\n"
	       "  --filter GLOB  only the subtests whose name matches, in upper or lower case: --filter 'cpuid*'\n");
	for (k = 0; k < n; k++)
		printf("  %s %s%*s%s\n", options[k].name, options[k].second ? "N:N" : "N",
		       (int)(13 - strlen(options[k].name) - (options[k].second ? 2 : 0)), "", options[k].help);
	printf("A subtest hangs if it takes more than %d seconds, or KSFT_HANG_SECONDS in the environment.\n", HANG_SECONDS);
	printf("The exit status is 0 if nothing failed, %d if something did, %d if all was skipped.\n", KSFT_FAIL, KSFT_SKIP);
}

bool ksft_options(int argc, char **argv, const struct ksft_option *options, int n)
{
	int i, k;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			help(argv[0], options, n);
			exit(0);
		}
		if (!strcmp(argv[i], "--list")) {
			only_list = true;
			continue;
		}
		if (i + 1 == argc)
			break;
		if (!strcmp(argv[i], "--filter")) {
			filter = argv[++i];
			continue;
		}
		for (k = 0; k < n && strcmp(argv[i], options[k].name); k++)
			;
		if (k == n || !take_option(&options[k], argv[++i]))
			break;
	}
	if (i == argc)
		return true;
	usage(stderr, argv[0], options, n);
	return false;
}

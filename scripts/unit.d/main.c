// SPDX-License-Identifier: GPL-2.0
/* Runs the KUnit suites in user space. Prints KTAP, with each suite in a process of its own. */
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <kunit/test.h>

#define HANG_SECONDS	60

struct kunit_memory {
	struct kunit_memory *next;
	max_align_t contents[];
};

/* The linker defines these: the ends of the section of suites. */
extern struct kunit_suite *__start_kunit_suites[], *__stop_kunit_suites[];

static const char usage[] =
	"usage: unit [--list] [--filter GLOB] [--help]\n"
	"Runs the KUnit suites of Droste's pure files in user space.\n"
	"  --list         print the names of the suites and their cases, and run nothing\n"
	"  --filter GLOB  only the suites or cases that match: droste_walk, droste_walk.nx*, *.canonical\n"
	"The exit status is 0 if nothing failed and something ran.\n";

/* Results of cases; shared with the suites' processes. */
static struct counts {
	int passed, failed;
} *counts;

static const char *filter = "*";

static bool wanted(const struct kunit_suite *suite, const struct kunit_case *c)
{
	char name[256];

	snprintf(name, sizeof(name), "%s.%s", suite->name, c->name);
	return !fnmatch(filter, suite->name, 0) || !fnmatch(filter, name, 0);
}

static int wanted_cases(const struct kunit_suite *suite)
{
	const struct kunit_case *c;
	int n = 0;

	for (c = suite->test_cases; c->run_case; c++)
		n += wanted(suite, c);
	return n;
}

void *kunit_kcalloc(struct kunit *test, size_t n, size_t size, gfp_t gfp)
{
	struct kunit_memory *memory = calloc(1, sizeof(*memory) + n * size);

	if (!memory)
		return NULL;
	memory->next = test->memory;
	test->memory = memory;
	return memory->contents;
}

const char *kunit_values(unsigned long left, unsigned long right)
{
	static char text[100];

	snprintf(text, sizeof(text), "%ld (%#lx) and %ld (%#lx)", (long)left, left, (long)right, right);
	return text;
}

void kunit_fail(struct kunit *test, const char *file, int line, bool fatal, const char *expected, const char *values,
		const char *format, ...)
{
	char message[400];
	va_list ap;

	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	printf("    # %s: %s:%d: expected %s", test->name, file, line, expected);
	if (values)
		printf("; the values are %s", values);
	printf("%s%s\n", *message ? ": " : "", message);
	test->failed = true;
	if (fatal)
		longjmp(test->abort, 1);
}

static void run_case(struct kunit_suite *suite, struct kunit_case *c, int number)
{
	struct kunit test = { .name = c->name };

	if (!setjmp(test.abort)) {
		if (suite->init && suite->init(&test)) {
			printf("    # %s: the suite's init function failed\n", c->name);
			test.failed = true;
		} else {
			c->run_case(&test);
		}
	}
	if (suite->exit)
		suite->exit(&test);
	while (test.memory) {
		struct kunit_memory *next = test.memory->next;

		free(test.memory);
		test.memory = next;
	}
	if (test.failed)
		counts->failed++;
	else
		counts->passed++;
	printf("    %s %d %s\n", test.failed ? "not ok" : "ok", number, c->name);
}

static void run_suite(struct kunit_suite *suite)
{
	struct kunit_case *c;
	int number = 0;

	alarm(HANG_SECONDS);
	printf("    KTAP version 1\n    # Subtest: %s\n    1..%d\n", suite->name, wanted_cases(suite));
	if (suite->suite_init && suite->suite_init(suite)) {
		printf("    # %s: suite_init failed\n", suite->name);
		exit(1);
	}
	for (c = suite->test_cases; c->run_case; c++) {
		if (wanted(suite, c)) {
			fflush(stdout);
			run_case(suite, c, ++number);
		}
	}
	if (suite->suite_exit)
		suite->suite_exit(suite);
	exit(0);
}

static void run(struct kunit_suite *suite, int number)
{
	struct counts before = *counts;
	int status, n = wanted_cases(suite);
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		run_suite(suite);
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		perror("unit");
		exit(1);
	}
	/* The cases that a suite did not come to are failures. */
	if (status) {
		if (WIFSIGNALED(status))
			printf("    # %s: %s\n", suite->name, strsignal(WTERMSIG(status)));
		else
			printf("    # %s: ended with status %d\n", suite->name, WEXITSTATUS(status));
	}
	if (counts->passed + counts->failed < before.passed + before.failed + n)
		counts->failed = before.passed + before.failed + n - counts->passed;
	else if (status)
		counts->failed++;
	printf("%s %d %s\n", counts->failed > before.failed ? "not ok" : "ok", number, suite->name);
}

static int list(void)
{
	struct kunit_suite **s;
	struct kunit_case *c;

	for (s = __start_kunit_suites; s < __stop_kunit_suites; s++)
		for (c = (*s)->test_cases; c->run_case; c++)
			if (wanted(*s, c))
				printf("%s.%s\n", (*s)->name, c->name);
	return 0;
}

int main(int argc, char **argv)
{
	struct kunit_suite **s;
	bool only_list = false;
	int i, n = 0;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			fputs(usage, stdout);
			return 0;
		} else if (!strcmp(argv[i], "--list")) {
			only_list = true;
		} else if (!strcmp(argv[i], "--filter") && i + 1 < argc) {
			filter = argv[++i];
		} else {
			fputs(usage, stderr);
			return 2;
		}
	}
	if (only_list)
		return list();
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED) {
		perror("unit: mmap");
		return 1;
	}
	for (s = __start_kunit_suites; s < __stop_kunit_suites; s++)
		n += !!wanted_cases(*s);
	if (!n) {
		fprintf(stderr, "unit: no suite and no case matches '%s'; --list names them\n", filter);
		return 2;
	}
	printf("KTAP version 1\n1..%d\n", n);
	n = 0;
	for (s = __start_kunit_suites; s < __stop_kunit_suites; s++)
		if (wanted_cases(*s))
			run(*s, ++n);
	printf("%d passed, %d failed\n", counts->passed, counts->failed);
	return counts->failed ? 1 : 0;
}

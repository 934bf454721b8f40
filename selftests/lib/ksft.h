/* SPDX-License-Identifier: GPL-2.0 */
/* TAP output as in kselftests: a program is a table of subtests, each of which runs in its own process. */
#ifndef KSFT_H
#define KSFT_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define BIT(n)		(1ul << (n))

/* Exit statuses of kselftests. */
enum ksft_status {
	KSFT_PASS = 0,
	KSFT_FAIL = 1,
	KSFT_SKIP = 4,
};

/* Parts of a guest subtest's VM in addition to memory and one vCPU. */
enum ksft_flags {
	KSFT_IRQCHIP = BIT(0),	/* KVM_CREATE_IRQCHIP */
	KSFT_PIT = BIT(1),	/* KVM_CREATE_PIT2 */
	KSFT_VMX = BIT(2),	/* the guest is an L1: skipped if guests get no VMX */
	KSFT_SMP2 = BIT(3),	/* a second vCPU that waits for INIT and SIPI */
};

/**
 * struct ksft_test - one subtest: a host function, or a guest function run in a fresh VM
 */
struct ksft_test {
	const char *name;
	void (*host)(void);
	void (*guest)(void);
	unsigned int flags;	/* enum ksft_flags, for @guest */
	u64 arg;		/* the guest function's first argument; see g_arg() */
};

/* The arguments other than options, for --help; empty if there are none. */
extern const char *ksft_positional;

int ksft_main(const struct ksft_test *tests, int n);

/* A command-line option, "--name NUMBER" or "--name NUMBER:NUMBER". */
struct ksft_option {
	const char *name;
	u64 *val, *second;	/* @second: NULL if there is only one number */
	const char *help;	/* what it does, for --help */
};

/*
 * Takes the program's own options, and --list and --filter, which every program has. --help ends the program.
 * Returns false, after a message on standard error, if an argument is invalid.
 */
bool ksft_options(int argc, char **argv, const struct ksft_option *options, int n);

/* For use in a subtest. ksft_fail() counts the failure, and the subtest continues. */
void ksft_fail(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void ksft_diag(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void ksft_skip(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* Has @fn called when the subtest's process ends, but not if it hangs or crashes. atexit() would not: see ksft.c. */
void ksft_at_end(void (*fn)(void));
void ksft_abort(const char *file, int line, const char *fmt, ...) __attribute__((noreturn, format(printf, 3, 4)));
int ksft_failures(void);

#define OK(cond, fmt, ...) do { \
	if (!(cond)) \
		ksft_fail(__FILE__, __LINE__, fmt " (%s)", ##__VA_ARGS__, #cond); \
} while (0)

#define EQ(got, want, fmt, ...) do { \
	u64 got__ = (u64)(got), want__ = (u64)(want); \
	if (got__ != want__) \
		ksft_fail(__FILE__, __LINE__, fmt ": %#llx, expected %#llx", ##__VA_ARGS__, \
			  (unsigned long long)got__, (unsigned long long)want__); \
} while (0)

/* A condition without which the subtest cannot continue. */
#define MUST(cond, fmt, ...) do { \
	if (!(cond)) \
		ksft_abort(__FILE__, __LINE__, fmt " (%s)", ##__VA_ARGS__, #cond); \
} while (0)

#define KSFT_MAIN(tests) \
int main(int argc, char **argv) \
{ \
	return ksft_options(argc, argv, NULL, 0) ? ksft_main(tests, ARRAY_SIZE(tests)) : 2; \
}

#endif

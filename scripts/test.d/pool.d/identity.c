// SPDX-License-Identifier: GPL-2.0
/* Counts, and looks at each number whether the processor still is what it was at the first. For L1 and L2 of the step "pool-round". */
/*
 * identity [--waits|--once] NAME	each line of the output begins with NAME
 *
 * With --waits it sleeps instead of spinning, and tells no numbers. With --once it tells all, and ends.
 * A line of the input asks for something: "d" for all that the processor tells, between two lines "begin" and "end"; "q" for
 * the end. What differs from the first look is told with the word DIFFERENT.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SPINS	3000000u		/* turns of a loop between two numbers */
#define MARK	0x5ca1ab1e5ca1ab1eul	/* R15 in that loop, by which move.sh knows L2 in "info registers" */

struct look {
	size_t used;
	char text[32768];
};

static struct look first, now;
static const char *name;

__attribute__((format(printf, 2, 3))) static void row(struct look *l, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(l->text + l->used, sizeof(l->text) - l->used, format, ap);
	va_end(ap);
	if (n > 0 && l->used + n < sizeof(l->text))
		l->used += n;
}

/* Rows of a leaf's sub-leaves. A sub-leaf like the one before it has none. */
static void look_at_leaf(struct look *l, uint32_t leaf)
{
	uint32_t before[4], r[4], sub, subs = leaf == 0xd ? 32 : 8;

	for (sub = 0; sub < subs; sub++) {
		__cpuid_count(leaf, sub, r[0], r[1], r[2], r[3]);
		if (!sub || memcmp(before, r, sizeof(r)))
			row(l, "cpuid %#x.%u %08x %08x %08x %08x\n", leaf, sub, r[0], r[1], r[2], r[3]);
		memcpy(before, r, sizeof(r));
	}
}

static void look_at_cpuid(struct look *l)
{
	static const uint32_t bases[] = { 0, 0x40000000, 0x40000100, 0x80000000 };
	uint32_t a, b, c, d, leaf, i;

	for (i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		__cpuid(bases[i], a, b, c, d);
		for (leaf = bases[i]; leaf <= a && leaf < bases[i] + 0x30; leaf++)
			look_at_leaf(l, leaf);
	}
}

static void look_at_msr(struct look *l, int fd, uint32_t msr)
{
	uint64_t value;

	if (pread(fd, &value, sizeof(value), msr) == sizeof(value))
		row(l, "msr %#x %016lx\n", msr, value);
	else
		row(l, "msr %#x none\n", msr);
}

/* Capabilities of VMX, and MSRs that name the processor or its features. */
static void look_at_msrs(struct look *l)
{
	static const uint32_t others[] = { 0x17, 0x3a, 0x8b, 0xce, 0xcf, 0x10a, 0x179, 0x1a0, 0xc0000080 };
	int fd = open("/dev/cpu/0/msr", O_RDONLY);
	uint32_t i;

	for (i = 0x480; i <= 0x493; i++)
		look_at_msr(l, fd, i);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		look_at_msr(l, fd, others[i]);
	close(fd);
}

static sigjmp_buf behind;

static void on_sigill(int signal)
{
	siglongjmp(behind, signal);
}

#define TRY(text, insn) do { \
	if (!sigsetjmp(behind, 1)) { \
		asm volatile(insn : : : "rax", "rcx", "rdx", "xmm0", "cc"); \
		row(l, "executes " text "\n"); \
	} else { \
		row(l, "lacks " text "\n"); \
	} \
} while (0)

/*
 * Instructions that a control, or XCR0, takes away where CPUID hides them. RDPID and VAES are not among them: they stay
 * usable in a pool that has RDTSCP and AVX, as "drostectl cpu baseline" tells.
 */
static void look_at_instructions(struct look *l)
{
	uint32_t low, high;

	TRY("RDRAND", "rdrand %%rax");
	TRY("RDSEED", "rdseed %%rax");
	TRY("RDTSCP", "rdtscp");
	TRY("AVX", "vaddps %%ymm0, %%ymm0, %%ymm0");
	TRY("AVX2", "vpaddd %%ymm0, %%ymm0, %%ymm0");
	TRY("AVX-512", "vpaddd %%zmm0, %%zmm0, %%zmm0");
	asm volatile("xgetbv" : "=a" (low), "=d" (high) : "c" (0));
	row(l, "xcr0 %08x%08x\n", high, low);
}

static void look(struct look *l)
{
	memset(l, 0, sizeof(*l));
	look_at_cpuid(l);
	look_at_msrs(l);
	look_at_instructions(l);
}

/* Prints each line with the name before it. */
static void show(const struct look *l)
{
	const char *p = l->text, *end;

	printf("%s begin\n", name);
	for (; (end = strchr(p, '\n')); p = end + 1)
		printf("%s %.*s\n", name, (int)(end - p), p);
	printf("%s end\n", name);
}

static void show_differences(void)
{
	const char *p = first.text, *q = now.text, *p_end, *q_end;

	for (; (p_end = strchr(p, '\n')) && (q_end = strchr(q, '\n')); p = p_end + 1, q = q_end + 1)
		if (p_end - p != q_end - q || memcmp(p, q, p_end - p))
			printf("%s DIFFERENT %.*s, was %.*s\n", name, (int)(q_end - q), q, (int)(p_end - p), p);
	if (*p || *q)
		printf("%s DIFFERENT number of lines\n", name);
}

static void spin(void)
{
	register uint64_t mark asm("r15") = MARK;
	uint32_t n = SPINS;

	asm volatile("1: dec %0; jnz 1b" : "+r" (n), "+r" (mark));
}

/* Returns a character of the input, 0 if there is none. */
static char asked(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	char c = 0;

	return poll(&in, 1, 0) == 1 && read(0, &c, 1) == 1 ? c : 0;
}

int main(int argc, char **argv)
{
	bool waits = argc == 3 && !strcmp(argv[1], "--waits"), once = argc == 3 && !strcmp(argv[1], "--once");
	cpu_set_t cpu;
	uint32_t n;
	char c;

	if (argc != 2 + (waits || once))
		return 2;
	name = argv[argc - 1];
	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	signal(SIGILL, on_sigill);
	setvbuf(stdout, NULL, _IOLBF, 0);
	look(&first);
	if (once)
		show(&first);
	for (n = 1; !once; n++) {
		if (waits)
			usleep(500000);
		else
			spin();
		look(&now);
		if (memcmp(&first, &now, sizeof(now)))
			show_differences();
		if (!waits)
			printf("%s count %u\n", name, n);
		c = asked();
		if (c == 'd')
			show(&now);
		else if (c == 'q')
			break;
	}
	return 0;
}

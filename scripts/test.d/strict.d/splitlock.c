// SPDX-License-Identifier: GPL-2.0
/*
 * Split-lock detection of the strict machine, on a Linux with split_lock_detect=fatal: a locked instruction across two
 * cache lines raises #AC, which Linux makes a SIGBUS. One that is not locked, or stays in its line, does not.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

static sigjmp_buf after;

static void on_bus_error(int number)
{
	(void)number;
	siglongjmp(after, 1);
}

static char lines[128] __attribute__((aligned(64)));

#define FAULTS(instruction, offset) ({								\
	unsigned long a = 0, d = 1;								\
	int faulted = sigsetjmp(after, 1);							\
	if (!faulted)										\
		asm volatile(instruction : "+m"(lines[offset]), "+a"(a), "+d"(d) :: "memory", "cc"); \
	faulted; })

int main(void)
{
	signal(SIGBUS, on_bus_error);
	if (FAULTS("lock; addl $1, %0", 56) || FAULTS("addl $1, %0", 62) || FAULTS("lock; addw $1, %0", 62)) {
		printf("not ok: an instruction without a split lock faults\n");
		return 1;
	}
	if (!FAULTS("lock; addl $1, %0", 62) || !FAULTS("xchg %%edx, %0", 61) || !FAULTS("lock; cmpxchgq %%rdx, %0", 60)) {
		printf("not ok: a split lock does not fault\n");
		return 1;
	}
	printf("ok: split locks fault\n");
	return 0;
}

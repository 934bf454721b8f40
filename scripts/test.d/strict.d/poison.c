// SPDX-License-Identifier: GPL-2.0
/*
 * A page that the strict machine poisons: what reads it gets a machine check, so that Linux sends SIGBUS with its
 * address, and what only writes to it does not.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define LAB_MSR_POISON	0x4c414200

static sigjmp_buf after;
static siginfo_t got;

static void on_bus_error(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	got = *info;
	siglongjmp(after, 1);
}

static uint64_t physical(const volatile char *page)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (pread(fd, &entry, 8, (uintptr_t)page / 4096 * 8) != 8)
		perror("pagemap");
	close(fd);
	return (entry & ((1ull << 55) - 1)) * 4096;
}

static int poison(uint64_t value)
{
	int fd = open("/dev/cpu/0/msr", O_WRONLY);
	int ret = pwrite(fd, &value, 8, LAB_MSR_POISON) == 8;

	close(fd);
	return ret;
}

int main(void)
{
	volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };

	page[0] = 1;
	sigaction(SIGBUS, &action, NULL);
	if (!physical(page) || !poison(physical(page) | 1)) {
		printf("not ok: the page cannot be poisoned\n");
		return 1;
	}
	page[1] = 2;
	if (!sigsetjmp(after, 1)) {
		(void)page[0];
		poison(0);
		printf("not ok: a read of the poisoned page works\n");
		return 1;
	}
	poison(0);
	if (got.si_code != BUS_MCEERR_AR || got.si_addr != (void *)page) {
		printf("not ok: SIGBUS with code %d and address %p, not %d and %p\n", got.si_code, got.si_addr,
		       BUS_MCEERR_AR, (void *)page);
		return 1;
	}
	printf("ok: SIGBUS with the page's address\n");
	return 0;
}

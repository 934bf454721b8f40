// SPDX-License-Identifier: GPL-2.0
/* KVM_PRE_FAULT_MEMORY: maps memory before the guest accesses it, and reports ranges that cannot be mapped. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/droste.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "guest.h"
#include "vm.h"

/* Older user-space headers do not define it. */
struct pre_fault {
	u64 gpa, size, flags, padding[5];
};

#define PRE_FAULT	_IOWR(KVMIO, 0xd5, struct pre_fault)
#define CAP_PRE_FAULT	236
#define AT		0x20000000ul
#define PAGES		64ul
#define EPT_VIOLATION	48

static volatile u64 first, count, sum;

static void guest_reads(void)
{
	u64 i;

	for (;;) {
		for (i = first; i < first + count; i++)
			sum += *(volatile u64 *)(AT + i * 4096);
		g_sync2(1, sum);
	}
}

static struct vcpu *create(struct vm *vm, u8 **mem)
{
	struct vcpu *vcpu;

	vm_create(vm, 0);
	if (ioctl(vm->fd, KVM_CHECK_EXTENSION, CAP_PRE_FAULT) <= 0)
		ksft_skip("no KVM_PRE_FAULT_MEMORY");
	vcpu = vcpu_create(vm, 0, guest_reads);
	*mem = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(*mem != MAP_FAILED, "mmap");
	madvise(*mem, PAGES * 4096, MADV_NOHUGEPAGE);
	vm_slot(vm, 1, 0, AT, PAGES * 4096, *mem);
	return vcpu;
}

static u64 resident(u8 *mem)
{
	u8 there[PAGES];
	u64 i, n = 0;

	MUST(!mincore(mem, PAGES * 4096, there), "mincore");
	for (i = 0; i < PAGES; i++)
		n += there[i] & 1;
	return n;
}

/* Repeats the ioctl until all is mapped or it fails. Returns 0 or the errno, and the remaining size in @left. */
static int fill(struct vcpu *vcpu, u64 gpa, u64 size, u64 *left)
{
	struct pre_fault p = { .gpa = gpa, .size = size };
	u64 before;

	do {
		before = p.size;
		if (ioctl(vcpu->fd, PRE_FAULT, &p)) {
			EQ(p.size, before, "nothing was mapped");
			*left = p.size;
			return errno;
		}
		OK(p.size < before, "progress was made");
		EQ(p.gpa + p.size, gpa + size, "the end of the range is unchanged");
	} while (p.size);
	*left = 0;
	return 0;
}

static u64 violations(struct vcpu *vcpu)
{
	struct droste_exit_stats s;

	if (ioctl(vcpu->fd, DROSTE_GET_EXIT_STATS, &s))
		return 0;	/* not Droste */
	return s.exits[EPT_VIOLATION];
}

static u64 read_pages(struct vcpu *vcpu, u64 from, u64 n)
{
	u64 args[4], before = violations(vcpu);

	GUEST(vcpu->vm, first) = from;
	GUEST(vcpu->vm, count) = n;
	MUST(vcpu_run_to_call(vcpu, args) == GCALL_SYNC, "the guest reads");
	return violations(vcpu) - before;
}

static void host_fills(void)
{
	struct vm vm;
	u8 *mem;
	struct vcpu *vcpu = create(&vm, &mem);
	u64 left;

	read_pages(vcpu, 0, 0);	/* maps the pages that the code itself needs */
	EQ(resident(mem), 0, "no page is resident");
	EQ(fill(vcpu, AT, 32 * 4096, &left), 0, "pre-fault");
	EQ(resident(mem), 32, "the pages are resident");
	EQ(read_pages(vcpu, 0, 32), 0, "no EPT violations when the guest reads the pages");
	EQ(fill(vcpu, AT, 32 * 4096, &left), 0, "pre-fault again");
	mem[33 * 4096] = 7;
	OK(violations(vcpu) == 0 || read_pages(vcpu, 32, 2) == 2, "EPT violations when the guest reads other pages");
	vm_destroy(&vm);
}

static void host_fails(void)
{
	static const struct pre_fault bad[] = {
		{ AT, 4096, 1 },
		{ AT, 4096, 1ull << 63 },
		{ AT + 1, 4096, 0 },
		{ AT, 4095, 0 },
		{ AT, 0, 0 },
		{ 0ull - 4096, 4096, 0 },
		{ 0ull - 4096, 8192, 0 },
	};
	struct vm vm;
	u8 *mem;
	struct vcpu *vcpu = create(&vm, &mem);
	u64 left, i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct pre_fault p = bad[i];

		EQ(ioctl(vcpu->fd, PRE_FAULT, &p), -1, "%d: refused", (int)i);
		EQ(errno, EINVAL, "%d: errno", (int)i);
	}
	FAILS(vcpu->fd, PRE_FAULT, (void *)8, EFAULT);
	/* The part of the range that can be mapped is; then the call fails. */
	EQ(fill(vcpu, AT + (PAGES - 1) * 4096, 2 * 4096, &left), ENOENT, "across the end of memory");
	EQ(left, 4096, "left");
	EQ(resident(mem), 1, "the last page is resident");
	EQ(fill(vcpu, MMIO_HOLE, 4096, &left), ENOENT, "no memory");
	EQ(left, 4096, "left");
	munmap(mem, 4096);
	EQ(fill(vcpu, AT, 4096, &left), EFAULT, "unmapped by the host");
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "memory is mapped in advance", .host = host_fills },
	{ "ranges that cannot be mapped", .host = host_fails },
};
KSFT_MAIN(tests)

// SPDX-License-Identifier: GPL-2.0
/* A fault of a guest maps neighbouring pages, too: only those that the host has, and with no rights that something forbids. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/droste.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "guest.h"
#include "vm.h"

#define AT	0x20000000ul	/* address of the test's slot */
#define PAGES	64ul
#define PAGE	4096ul
#define SLOT	1
#define EPT_VIOLATION 48

/* --- the guest makes one access at a time --- */

static volatile u64 ask_page, ask_write, ask_value;

static void guest_asked(void)
{
	for (;;) {
		volatile u64 *p = (u64 *)(AT + ask_page * PAGE);

		if (ask_write)
			*p = ask_value;
		g_sync2(1, *p);
	}
}

static void ask(struct vcpu *vcpu, u64 page, bool write, u64 val)
{
	GUEST(vcpu->vm, ask_page) = page;
	GUEST(vcpu->vm, ask_write) = write;
	GUEST(vcpu->vm, ask_value) = val;
}

/* Returns the value that the guest read, after its write if it writes. */
static u64 access_page(struct vcpu *vcpu, u64 page, bool write, u64 val)
{
	u64 args[4];

	ask(vcpu, page, write, val);
	if (vcpu_run_to_call(vcpu, args) != GCALL_SYNC) {
		describe_exit(vcpu);
		ksft_abort(__FILE__, __LINE__, "unexpected exit");
	}
	return args[1];
}

#define READ(page)	access_page(vcpu, page, false, 0)
#define WRITE(page, val) access_page(vcpu, page, true, val)

static u64 violations(struct vcpu *vcpu)
{
	struct droste_exit_stats stats;

	if (ioctl(vcpu->fd, DROSTE_GET_EXIT_STATS, &stats))
		ksft_skip("no exit statistics");
	return stats.exits[EPT_VIOLATION];
}

/* Small pages; the host has all of them, and page n holds n + 1. */
static u64 *memory(void)
{
	u64 *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED, "mmap");
	madvise(p, PAGES * PAGE, MADV_NOHUGEPAGE);
	for (u64 i = 0; i < PAGES; i++)
		p[i * 512] = i + 1;
	return p;
}

static struct vcpu *start(struct vm *vm, u32 flags, void *host)
{
	struct vcpu *vcpu;

	vm_create(vm, 0);
	vcpu = vcpu_create(vm, 0, guest_asked);
	vm_slot(vm, SLOT, flags, AT, PAGES * PAGE, host);
	return vcpu;
}

/* --- the subtests --- */

static void host_few(void)
{
	struct vm vm;
	u64 *p = memory(), before, i;
	struct vcpu *vcpu = start(&vm, 0, p);

	EQ(READ(1), 2, "page 1");
	before = violations(vcpu);
	for (i = 0; i < PAGES; i++)
		EQ(READ(i), i + 1, "page %d", (int)i);
	OK(violations(vcpu) - before < PAGES / 8, "reads: %d violations", (int)(violations(vcpu) - before));
	before = violations(vcpu);
	for (i = 0; i < PAGES; i++)
		EQ(WRITE(i, i + 100), i + 100, "page %d", (int)i);
	EQ(violations(vcpu) - before, 0, "writes of dirty pages: violations");
	for (i = 0; i < PAGES; i++)
		EQ(p[i * 512], i + 100, "page %d", (int)i);
	vm_destroy(&vm);
}

/* Skips the subtest unless all of the 2 MiB at @p are a huge page. */
static void need_huge(u8 *p)
{
	char line[256];
	unsigned long from, to, kib = 0;
	bool here = false;
	FILE *f = fopen("/proc/self/smaps", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= (u64)p && (u64)p < to;
		if (here && sscanf(line, "AnonHugePages: %lu", &kib) == 1)
			break;
	}
	if (f)
		fclose(f);
	if (kib < 2048)
		ksft_skip("no huge page");
}

/* A huge page takes one fault, not one for each 4 KiB or 64 KiB. */
static void host_large(void)
{
	const u64 huge = 2ul << 20;
	struct vm vm;
	u8 *raw = mmap(NULL, 2 * huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u8 *p = (u8 *)(((u64)raw + huge - 1) & ~(huge - 1));
	struct vcpu *vcpu;
	u64 before, i;

	madvise(p, huge, MADV_HUGEPAGE);
	memset(p, 1, huge);
	need_huge(p);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_asked);
	vm_slot(&vm, SLOT, 0, AT, huge, p);
	before = violations(vcpu);
	for (i = 0; i < huge / PAGE; i += 7)
		EQ(WRITE(i, i), i, "page %d", (int)i);
	/* Pages of 64 KiB would take 32; some are for the guest's own code and stack. */
	OK(violations(vcpu) - before <= 8, "%d violations", (int)(violations(vcpu) - before));
	vm_destroy(&vm);
}

/* A large page of the host's in a slot that is not aligned to it. */
static void host_misaligned(void)
{
	const u64 huge = 2ul << 20;
	struct vm vm;
	u8 *raw = mmap(NULL, 2 * huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u64 *p = (u64 *)((((u64)raw + huge - 1) & ~(huge - 1)) + 5 * PAGE), before, i;
	struct vcpu *vcpu;

	madvise(raw, 2 * huge, MADV_HUGEPAGE);
	for (i = 0; i < PAGES; i++)
		p[i * 512] = i + 1;
	vcpu = start(&vm, 0, p);
	EQ(READ(1), 2, "page 1");
	before = violations(vcpu);
	for (i = 0; i < PAGES; i++)
		EQ(READ(i), i + 1, "page %d", (int)i);
	OK(violations(vcpu) - before < PAGES / 8, "reads: %d violations", (int)(violations(vcpu) - before));
	vm_destroy(&vm);
}

static bool resident(u64 *p)
{
	u8 in = 0;

	MUST(!mincore(p, PAGE, &in), "mincore");
	return in & 1;
}

static void host_absent(void)
{
	struct vm vm;
	u64 *p = memory();
	struct vcpu *vcpu = start(&vm, 0, p);

	madvise(p + 4 * 512, 8 * PAGE, MADV_DONTNEED);
	EQ(READ(3), 4, "a page that the host has");
	EQ(READ(12), 13, "another");
	OK(!resident(p + 4 * 512) && !resident(p + 11 * 512), "pages between them are still missing");
	EQ(READ(4), 0, "a missing page");
	OK(!resident(p + 5 * 512), "the next one is still missing");
	vm_destroy(&vm);
}

/* KVM_RUN fails with EFAULT as the guest accesses @page, which the process itself may not access so. */
static void refused(struct vcpu *vcpu, u64 page, bool write, const char *what)
{
	ask(vcpu, page, write, 77);
	EQ(vcpu_run_once(vcpu), -EFAULT, "%s", what);
}

static void host_protected(void)
{
	struct vm vm;
	u64 *p = memory();
	struct vcpu *vcpu = start(&vm, 0, p);

	mprotect(p + 2 * 512, PAGE, PROT_READ);
	mprotect(p + 4 * 512, PAGE, PROT_NONE);
	EQ(READ(3), 4, "a page");
	EQ(READ(2), 3, "its read-only neighbour");
	refused(vcpu, 2, true, "a write to it");
	EQ(p[2 * 512], 3, "unchanged");
	mprotect(p + 2 * 512, PAGE, PROT_READ | PROT_WRITE);
	EQ(vcpu_run_once(vcpu), 0, "writable again");
	refused(vcpu, 4, false, "a read of a neighbour without access");
	vm_destroy(&vm);
}

/* Pages of a private mapping that are still the file's. */
static void host_private(void)
{
	int fd = memfd_create("near", 0);
	u64 val, *p, i;
	struct vcpu *vcpu;
	struct vm vm;

	MUST(fd >= 0 && !ftruncate(fd, PAGES * PAGE), "memfd");
	p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	MUST(p != MAP_FAILED, "mmap");
	for (i = 0; i < PAGES; i++) {
		val = i + 1;
		MUST(pwrite(fd, &val, 8, i * PAGE) == 8, "pwrite");
		EQ(((volatile u64 *)p)[i * 512], i + 1, "page %d", (int)i);
	}
	vcpu = start(&vm, 0, p);
	EQ(READ(1), 2, "page 1");
	EQ(READ(2), 3, "page 2");
	EQ(WRITE(2, 77), 77, "write");
	MUST(pread(fd, &val, 8, 2 * PAGE) == 8, "pread");
	EQ(val, 3, "the file is unchanged");
	EQ(p[2 * 512], 77, "the process sees the write");
	vm_destroy(&vm);
}

static void host_read_only(void)
{
	struct vm vm;
	u64 args[4], *p = memory();
	struct vcpu *vcpu = start(&vm, KVM_MEM_READONLY, p);

	EQ(READ(1), 2, "page 1");
	ask(vcpu, 2, true, 77);
	EQ(vcpu_run_to_call(vcpu, args), GCALL_NONE, "a write to page 2 exits");
	EQ(vcpu->run->exit_reason, KVM_EXIT_MMIO, "exit reason");
	EQ(p[2 * 512], 3, "unchanged");
	vm_destroy(&vm);
}

/* The host may discard pages after MADV_FREE until they are written; it must learn of the guest's write. */
static void host_discardable(void)
{
	struct vm vm;
	u64 *p = memory(), i;
	struct vcpu *vcpu = start(&vm, 0, p);

	MUST(!madvise(p, PAGES * PAGE, MADV_FREE), "madvise");
	EQ(READ(1), 2, "page 1");
	for (i = 0; i < 16; i++)
		WRITE(i, i + 100);
	if (madvise(p, PAGES * PAGE, 21 /* MADV_PAGEOUT */))
		ksft_skip("no MADV_PAGEOUT");
	for (i = 0; i < 16; i++)
		EQ(READ(i), i + 100, "page %d", (int)i);
	vm_destroy(&vm);
}

static u64 log_word(struct vm *vm)
{
	u64 bits[PAGES / 64];
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bits };

	DO(vm->fd, KVM_GET_DIRTY_LOG, &log);
	return bits[0];
}

static void host_logged(void)
{
	struct vm vm;
	u64 *p = memory();
	struct vcpu *vcpu = start(&vm, KVM_MEM_LOG_DIRTY_PAGES, p);

	EQ(READ(17), 18, "page 17");
	/* KVM reports the page that was read, because a write would no longer fault. */
	EQ(log_word(&vm) & ~BIT(17), 0, "no neighbour is written");
	WRITE(18, 1);
	WRITE(31, 1);
	EQ(log_word(&vm), BIT(18) | BIT(31), "two neighbours are written");
	WRITE(33, 1);
	WRITE(18, 2);
	WRITE(34, 2);
	EQ(log_word(&vm), BIT(33) | BIT(18) | BIT(34), "pages around another, and one of them again");
	/* Logging begins when neighbours are mapped. */
	vm_slot(&vm, SLOT, 0, AT, PAGES * PAGE, p);
	EQ(READ(50), 51, "page 50");
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * PAGE, p);
	EQ(log_word(&vm), 0, "nothing is written");
	WRITE(51, 1);
	EQ(log_word(&vm), BIT(51), "a neighbour is written");
	vm_destroy(&vm);
}

/* The host takes a neighbour back that the guest has not used. */
static void host_taken(void)
{
	struct vm vm;
	u64 *p = memory(), i;
	struct vcpu *vcpu = start(&vm, 0, p);

	for (i = 0; i < 20; i++) {
		p[2 * 512] = 3;
		EQ(READ(1), 2, "page 1");
		if (i & 1)
			MUST(mmap(p + 2 * 512, PAGE, PROT_READ | PROT_WRITE,
				  MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED, "mmap");
		else
			MUST(!madvise(p + 2 * 512, PAGE, MADV_DONTNEED), "madvise");
		EQ(READ(2), 0, "page 2 is new");
		/* Everything is mapped anew in the next round. */
		vm_slot(&vm, SLOT, 0, AT, 0, NULL);
		vm_slot(&vm, SLOT, 0, AT, PAGES * PAGE, p);
	}
	vm_destroy(&vm);
}

/* The slot ends within the neighbourhood, and other memory of the process follows. */
static void host_edges(void)
{
	struct vm vm;
	u64 args[4], *p = memory(), i;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_asked);
	vm_slot(&vm, SLOT, 0, AT + 3 * PAGE, 4 * PAGE, p + 8 * 512);
	EQ(READ(4), 10, "the slot's second page");
	for (i = 2; i < 9; i++) {
		ask(vcpu, i, false, 0);
		if (i >= 3 && i < 7) {
			EQ(READ(i), i + 6, "page %d", (int)i);
			continue;
		}
		EQ(vcpu_run_to_call(vcpu, args), GCALL_NONE, "page %d exits", (int)i);
		EQ(vcpu->run->exit_reason, KVM_EXIT_MMIO, "page %d: exit reason", (int)i);
		memset(vcpu->run->mmio.data, 0x11, 8);
		MUST(vcpu_run_to_call(vcpu, args) == GCALL_SYNC, "the access goes on");
		EQ(args[1], 0x1111111111111111ul, "page %d: the device's value", (int)i);
	}
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "one fault maps pages around it", .host = host_few },
	{ "a large page", .host = host_large },
	{ "a large page in a misaligned slot", .host = host_misaligned },
	{ "no page is faulted in", .host = host_absent },
	{ "memory that the process protects", .host = host_protected },
	{ "a private mapping of a file", .host = host_private },
	{ "a read-only slot", .host = host_read_only },
	{ "pages that the host may discard", .host = host_discardable },
	{ "a logged slot", .host = host_logged },
	{ "a neighbour is taken back", .host = host_taken },
	{ "the slot's edges", .host = host_edges },
};
KSFT_MAIN(tests)

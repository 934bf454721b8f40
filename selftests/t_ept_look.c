// SPDX-License-Identifier: GPL-2.0
/* DROSTE_GET_EPT: one address through all tables, and whether accesses then do what it has foretold. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/droste.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "inspect.h"
#include "vm.h"
#include "vmx.h"

#define CODE(name, text) \
extern char name[]; \
asm(".pushsection .text\n.globl " #name "\n" #name ":\n" text "\n\tvmcall\n.popsection\n")

CODE(c_read, "mov (%rbx), %rax");
CODE(c_write, "mov %rax, (%rbx)");
CODE(c_call, "call *%rbx");

enum { READ, WRITE, FETCH, KINDS };
static char *const code[KINDS] = { c_read, c_write, c_call };

#define READONLY_AT	0x20000000ul	/* slot 1, which the guest cannot write */
#define BIG		0x80000000ul	/* L2 addresses that a 2-MiB page and a 1-GiB page map to L1's memory at 0 */
#define HUGE		0xc0000000ul
#define LOST		0xa0000000ul	/* one whose table is where L1 has no memory */
#define MB2		0x200000ul

enum expected { OK_, VIOLATION, MISCONFIG, MMIO, READONLY, NOT_TRIED };

/* Verdicts for a read, a write and a fetch. */
static const struct {
	const char *what;
	u8 expected[KINDS];
} cases[] = {
#define C_PAGE 0
	{ "4 KiB page", { OK_, OK_, OK_ } },
#define C_READ 1
	{ "page without write and execute", { OK_, VIOLATION, VIOLATION } },
#define C_EXEC 2
	{ "page that can be executed only", { VIOLATION, VIOLATION, OK_ } },
#define C_BIG 3
	{ "2 MiB page", { OK_, OK_, OK_ } },
#define C_HUGE 4
	{ "1 GiB page", { OK_, OK_, OK_ } },
#define C_NONE 5
	{ "no entry", { VIOLATION, VIOLATION, VIOLATION } },
#define C_BAD 6
	{ "entry with write only", { MISCONFIG, MISCONFIG, MISCONFIG } },
#define C_LOST 7
	{ "table outside L1's memory", { MISCONFIG, MISCONFIG, MISCONFIG } },
#define C_HOLE 8
	{ "device", { MMIO, MMIO, NOT_TRIED } },
#define C_READONLY 9
	{ "read-only slot", { OK_, READONLY, OK_ } },
};

/* What the guest is about to do, and what came of it. */
static volatile u64 now_case, now_kind, now_gpa, got_reason, got_qual, eptp_used;

static u64 page(void)
{
	u8 *p = g_page();

	*p = 0xc3;	/* RET */
	return (u64)p;
}

static u64 low_page, stack;

/* Makes the entries of a case. Returns its L2 address, or 0 if L1 has not what it needs. */
static u64 prepare(u64 eptp, u64 n)
{
	u64 gpa = page(), *e;

	switch (n) {
	case C_READ:
		*ept_entry(eptp, gpa, 1) = gpa | EPT_MT_WB | EPT_R;
		return gpa;
	case C_EXEC:
		*ept_entry(eptp, gpa, 1) = gpa | EPT_MT_WB | EPT_X;
		return ept_caps() & 1 ? gpa : 0;
	case C_BIG:
		*ept_entry(eptp, BIG, 2) = (low_page & ~(MB2 - 1)) | EPT_LEAF | EPT_MT_WB | EPT_RWX;
		return BIG + low_page % MB2;
	case C_HUGE:
		*ept_entry(eptp, HUGE, 3) = EPT_LEAF | EPT_MT_WB | EPT_RWX;
		return ept_caps() & BIT(17) ? HUGE + low_page : 0;
	case C_NONE:
		*ept_entry(eptp, gpa, 1) = 0;
		return gpa;
	case C_BAD:
		*ept_entry(eptp, gpa, 1) = gpa | EPT_MT_WB | EPT_W;
		return gpa;
	case C_LOST:
		e = ept_entry(eptp, LOST, 2);
		*e = MMIO_HOLE | EPT_RWX;
		return LOST;
	case C_HOLE:
		return MMIO_HOLE;
	case C_READONLY:
		return READONLY_AT;
	default:
		*ept_entry(eptp, gpa, 1) = gpa | EPT_MT_WB | EPT_RWX;
		return gpa;
	}
}

static u64 step(u64 kind, u64 gpa)
{
	vmwrite(F_RIP, (u64)code[kind]);
	vmwrite(F_RSP, stack);
	l2.rbx = gpa;
	return vmx_run();
}

/* Drops all that L0 has mapped for L2, and has the code and the stack mapped again. */
static void renew(void)
{
	u64 i;

	invept_all();
	for (i = 0; i < KINDS; i++)
		G_EQ(step(i, low_page), R_VMCALL, "any page");
}

static u64 start(u64 eptp_bits)
{
	u64 eptp;

	vmcs_new((void (*)(void))(u64)c_read);
	eptp = ept_new() | eptp_bits;
	ept_use(eptp);
	stack = (u64)g_stack();
	low_page = page();
	renew();
	eptp_used = eptp;
	return eptp;
}

static void guest_cases(void)
{
	u64 eptp = start(0), n, k, round;

	for (n = 0; n < ARRAY_SIZE(cases); n++) {
		u64 gpa = prepare(eptp, n);

		if (!gpa)
			continue;
		renew();
		/* In the second round, all that is allowed goes through without an exit. */
		for (round = 0; round < 2; round++) {
			for (k = 0; k < KINDS; k++) {
				if (cases[n].expected[k] == NOT_TRIED)
					continue;
				now_case = n;
				now_kind = k;
				now_gpa = gpa;
				g_sync(1 + round);
				got_reason = step(k, gpa);
				got_qual = vmread(F_QUAL);
				g_sync(3);
			}
		}
	}
}

/* Looks twice: the first look must not have changed anything. */
static struct droste_ept look(int fd, u64 gpa, u32 flags)
{
	struct droste_ept a = { .gpa = gpa, .flags = flags }, b = a;

	DO(fd, DROSTE_GET_EPT, &a);
	DO(fd, DROSTE_GET_EPT, &b);
	EQ(memcmp(&a, &b, sizeof(a)), 0, "a second look sees the same");
	return a;
}

/* EPT violations of L2 so far. */
static u64 faults(int fd)
{
	struct droste_vcpu_info info = { .vcpu = 0 };

	DO(fd, DROSTE_VCPU_INFO, &info);
	return info.exits.from_l2[R_EPT_VIOLATION] + info.exits.from_l2[R_EPT_MISCONFIG];
}

static void check_expected(u32 verdict, u8 expected, u64 round)
{
	static const u32 verdicts[] = {
		[VIOLATION] = DROSTE_EPT_VIOLATION, [MISCONFIG] = DROSTE_EPT_MISCONFIG, [MMIO] = DROSTE_EPT_MMIO,
		[READONLY] = DROSTE_EPT_READONLY,
	};

	/* L0 may have mapped the page together with a neighbour. */
	if (expected == OK_ && round == 0 && verdict == DROSTE_EPT_FILLS)
		return;
	EQ(verdict, expected == OK_ ? DROSTE_EPT_THROUGH : verdicts[expected], "the verdict");
}

/* Compares what was foretold with what the access did: @faults exits for the tables of L0, and @mmio to user space. */
static void check_done(const struct droste_ept_access *a, u64 reason, u64 qual, u64 faults, u64 mmio)
{
	u64 want = a->verdict == DROSTE_EPT_VIOLATION ? R_EPT_VIOLATION :
		   a->verdict == DROSTE_EPT_MISCONFIG ? R_EPT_MISCONFIG : R_VMCALL;

	EQ(reason, want, "the exit that L1 was shown");
	EQ(mmio, a->verdict == DROSTE_EPT_MMIO || a->verdict == DROSTE_EPT_READONLY, "an exit to user space");
	EQ(!!faults, a->verdict != DROSTE_EPT_THROUGH, "a fault on L0's tables");
	if (a->verdict == DROSTE_EPT_VIOLATION)
		EQ(qual & 0x1ff, a->qual, "qualification");
}

static void read_only_page(struct vm *vm)
{
	u8 *p = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED, "mmap");
	*p = 0xc3;
	vm_slot(vm, 1, KVM_MEM_READONLY, READONLY_AT, 0x1000, p);
}

static struct vcpu *begin(struct vm *vm, void (*guest)(void))
{
	vm_create(vm, 0);
	if (!vm_has_vmx(vm))
		ksft_skip("no VMX for guests");
	return vcpu_create(vm, 0, guest);
}

static void host_cases(void)
{
	u64 args[4], kind, n = 0, before = 0, mmio = 0, seen = 0;
	struct droste_ept e = {};
	struct vcpu *vcpu;
	struct vm vm;
	int fd;

	vcpu = begin(&vm, guest_cases);
	fd = inspect_mine(&vm);
	read_only_page(&vm);
	while ((kind = vcpu_run_to_call(vcpu, args)) != GCALL_DONE) {
		if (kind == GCALL_NONE) {
			MUST(vcpu->run->exit_reason == KVM_EXIT_MMIO, "exit %u", vcpu->run->exit_reason);
			EQ(vcpu->run->mmio.phys_addr, e.l1_gpa, "address for user space");
			mmio++;
			continue;
		}
		MUST(kind == GCALL_SYNC, "call %llu", (long long)kind);
		n = GUEST(&vm, now_kind);
		if (args[0] == 3) {
			check_done(&e.access[n], GUEST(&vm, got_reason), GUEST(&vm, got_qual), faults(fd) - before, mmio);
			continue;
		}
		ksft_diag("%s, access %llu, round %llu", cases[GUEST(&vm, now_case)].what, (long long)n, (long long)args[0]);
		e = look(fd, GUEST(&vm, now_gpa), 0);
		check_expected(e.access[n].verdict, cases[GUEST(&vm, now_case)].expected[n], args[0] - 1);
		before = faults(fd);
		mmio = 0;
		seen |= 1ull << GUEST(&vm, now_case);
	}
	OK(__builtin_popcountll(seen) >= 8, "%d cases", __builtin_popcountll(seen));
	close(fd);
	vm_destroy(&vm);
}

/* --- entry by entry --- */

static volatile u64 at_page, at_entry;

static void guest_entries(void)
{
	u64 eptp = start(ept_caps() & BIT(21) ? BIT(6) : 0), gpa = page();

	at_page = gpa;
	at_entry = (u64)ept_entry(eptp, gpa, 1);
	*(u64 *)at_entry = gpa | EPT_MT_WB | EPT_RWX;
	invept_all();
	g_sync(1);
	G_EQ(step(READ, gpa), R_VMCALL, "read");
	g_sync(2);
	G_EQ(step(WRITE, gpa), R_VMCALL, "write");
	g_sync(3);
	/* EPT02 keeps the page until L1 invalidates it. */
	*(u64 *)at_entry = 0;
	g_sync(4);
	G_EQ(step(READ, gpa), R_VMCALL, "read by a cached translation");
	invept_all();
	g_sync(5);
	G_EQ(step(READ, gpa), R_EPT_VIOLATION, "read");
}

static u64 leaf(const struct droste_ept_tables *t)
{
	return t->nr ? t->entry[t->nr - 1] : 0;
}

static void host_entries(void)
{
	bool ad;
	struct droste_ept e, l1;
	struct vcpu *vcpu;
	struct vm vm;
	u8 *copy;
	u64 gpa;
	int fd;

	vcpu = begin(&vm, guest_entries);
	fd = inspect_mine(&vm);
	vcpu_run_to_sync(vcpu, 1);
	gpa = GUEST(&vm, at_page);
	ad = GUEST(&vm, eptp_used) & BIT(6);
	copy = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(copy != MAP_FAILED, "mmap");
	memcpy(copy, vm.mem, MEM_SIZE);
	e = look(fd, gpa + 0x123, 0);
	EQ(memcmp(copy, vm.mem, MEM_SIZE), 0, "L1's memory is as it was");
	EQ(e.l1_gpa, gpa + 0x123, "L1's address");
	EQ(e.flags, DROSTE_EPT_TRANSLATED | DROSTE_EPT_IN_SLOT, "flags");
	EQ(e.slot_size, MEM_SIZE, "the slot's size");
	EQ(e.slot_hva, (u64)vm.mem, "the slot's place, with CAP_SYSLOG");
	EQ(e.ept12.eptp, GUEST(&vm, eptp_used), "EPTP");
	EQ(e.ept12.nr, 4, "entries of EPT12");
	EQ(e.ept12.at[3], GUEST(&vm, at_entry), "the last one's address");
	EQ(leaf(&e.ept12), gpa | EPT_MT_WB | EPT_RWX, "the last one's value");
	EQ(e.ept12.flags, DROSTE_EPT_EXISTS | DROSTE_EPT_LEAF, "flags");
	EQ(e.ept01.flags, DROSTE_EPT_EXISTS | DROSTE_EPT_LEAF, "EPT01 maps what L1 has used");
	OK(leaf(&e.ept01) & 0xffffffffff000ul, "a host-physical address");
	EQ(e.access[READ].sets, ad ? EPT_A : 0, "what a read sets in EPT12");
	EQ(e.access[WRITE].sets, ad ? EPT_A | EPT_D : 0, "what a write sets");
	vcpu_run_to_sync(vcpu, 2);
	e = look(fd, gpa, 0);
	EQ(leaf(&e.ept12), gpa | EPT_MT_WB | EPT_RWX | (ad ? EPT_A : 0), "accessed");
	EQ(e.access[READ].verdict, DROSTE_EPT_THROUGH, "a read");
	/* The first write must set the dirty flag. */
	EQ(e.access[WRITE].verdict, ad ? DROSTE_EPT_FILLS : DROSTE_EPT_THROUGH, "a write");
	EQ(e.access[WRITE].sets, ad ? EPT_D : 0, "what a write sets");
	EQ((leaf(&e.ept02) ^ leaf(&e.ept01)) & 0xffffffffff000ul & (e.ept01.nr == 4 ? ~0ul : ~(MB2 - 1)), 0, "the same memory");
	vcpu_run_to_sync(vcpu, 3);
	e = look(fd, gpa, 0);
	EQ(e.access[WRITE].verdict, DROSTE_EPT_THROUGH, "a write");
	l1 = look(fd, gpa, DROSTE_EPT_OF_L1);
	EQ(l1.flags, DROSTE_EPT_OF_L1 | DROSTE_EPT_TRANSLATED | DROSTE_EPT_IN_SLOT, "L1's address: flags");
	EQ(l1.ept12.flags | l1.ept02.flags, 0, "no tables of L2");
	EQ(leaf(&l1.ept01), leaf(&e.ept01), "EPT01");
	EQ(l1.access[WRITE].verdict, DROSTE_EPT_THROUGH, "a write by L1");
	EQ(look(fd, MMIO_HOLE, DROSTE_EPT_OF_L1).access[READ].verdict, DROSTE_EPT_MMIO, "L1's device");
	EQ(look(fd, 1ul << 50, DROSTE_EPT_OF_L1).access[READ].verdict, DROSTE_EPT_MMIO, "an address beyond all tables");
	EQ(look(fd, 1ul << 50, 0).access[READ].verdict, DROSTE_EPT_VIOLATION, "for L2");
	vcpu_run_to_sync(vcpu, 4);
	e = look(fd, gpa, 0);
	EQ(e.ept12.flags, DROSTE_EPT_EXISTS, "EPT12 does not map it");
	EQ(e.access[READ].verdict, DROSTE_EPT_THROUGH, "L1 has not invalidated it");
	vcpu_run_to_sync(vcpu, 5);
	EQ(look(fd, gpa, 0).access[READ].verdict, DROSTE_EPT_VIOLATION, "it has");
	vcpu_run_to_end(vcpu);
	close(fd);
	vm_destroy(&vm);
}

/* --- tables that the host does not have, errors and rights --- */

static void guest_plain(void)
{
	g_sync(1);
	start(0);
	g_sync(2);
}

static void host_rights(void)
{
	struct droste_ept e = { .gpa = 0 };
	struct vcpu *vcpu;
	struct vm vm;
	u64 gpa;
	int fd;

	vcpu = begin(&vm, guest_plain);
	fd = inspect_mine(&vm);
	vcpu_run_to_sync(vcpu, 1);
	FAILS(fd, DROSTE_GET_EPT, &e, ENOENT);	/* no VMCS */
	e = (struct droste_ept) { .flags = 2 };
	FAILS(fd, DROSTE_GET_EPT, &e, EINVAL);
	e = (struct droste_ept) { .vcpu = 1 };
	FAILS(fd, DROSTE_GET_EPT, &e, EINVAL);
	e = (struct droste_ept) { .reserved = { 0, 0, 0, 1 } };
	FAILS(fd, DROSTE_GET_EPT, &e, EINVAL);
	FAILS(fd, DROSTE_GET_EPT, NULL, EFAULT);
	vcpu_run_to_sync(vcpu, 2);
	gpa = GUEST(&vm, low_page);
	drop_capability(CAP_SYSLOG);
	e = look(fd, gpa, 0);
	EQ(e.slot_hva, 0, "the slot's place is hidden");
	EQ(e.ept02.flags, DROSTE_EPT_EXISTS | DROSTE_EPT_LEAF | DROSTE_EPT_HIDDEN, "flags");
	EQ((leaf(&e.ept01) | leaf(&e.ept02) | e.ept01.entry[0] | e.ept02.eptp | e.ept01.at[0] | e.ept02.at[3]) & 0xffffffffff000ul, 0,
	   "the host's addresses are hidden");
	OK(leaf(&e.ept02) & EPT_R, "the rights are not");
	OK(leaf(&e.ept12) & 0xffffffffff000ul, "L1's addresses are no secret");
	/* The root's table is gone: looking must not bring it back. */
	MUST(!madvise(vm.mem + (GUEST(&vm, eptp_used) & ~0xffful), 0x1000, MADV_DONTNEED), "madvise");
	e = look(fd, gpa, 0);
	EQ(e.ept12.flags, DROSTE_EPT_EXISTS | DROSTE_EPT_NOT_NOW, "EPT12 is not there");
	EQ(e.access[READ].verdict, e.ept02.flags & DROSTE_EPT_LEAF ? DROSTE_EPT_THROUGH : DROSTE_EPT_UNKNOWN, "a read");
	EQ(look(fd, gpa + 0x10000000, 0).access[READ].verdict, DROSTE_EPT_UNKNOWN, "a read elsewhere");
	close(fd);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "verdicts and accesses", .host = host_cases },
	{ "entry by entry", .host = host_entries },
	{ "errors and rights", .host = host_rights },
};
KSFT_MAIN(tests)

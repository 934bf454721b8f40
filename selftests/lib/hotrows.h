/* SPDX-License-Identifier: GPL-2.0 */
/* Tables of what changes between two reflections, whose rows run with and without the short loop: for t_vmx_hot and its like. */
/*
 * Each row runs twice: with Droste's short loop (parameter "short"), and without
 * it. What L1 and L2 see, and the registers that user space reads, must be the
 * same. L1's code is the same too, so whatever the short loop skips must have no
 * effect. Where the parameter does not exist, the two runs are of one kind.
 */
#ifndef HOTROWS_H
#define HOTROWS_H

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "stat.h"
#include "vm.h"
#include "vmx.h"

#define SHORT	"/sys/module/droste/parameters/short"

#define TURNS	6	/* reflections between two looks */
#define SETTLE	40	/* reflections after a look, until its SGDT and SIDT are forgotten: see nested/hostload.c */
#define LOOKS	6	/* looks of each row; a look is one line of the log */
#define ITEMS	96	/* values in a line */
#define ASKS	0x100	/* as the stage of g_sync(): the host's function is to be called */

struct row {
	const char *name;
	void (*l1)(void);
	void (*host)(struct vm *vm);	/* called after the first look; with @asked, when L1 or L2 asks for it */
	unsigned int flags;		/* for vm_create() */
	bool asked;
	bool general;			/* what the host does ends the short way */
	void *(*thread)(void *vm);	/* runs in a thread beside the vCPU, until @row_over of the guest is set */
};

/* What L1 and L2 have seen; the last items are filled by the host. */
static volatile u64 seen[LOOKS][ITEMS], looks;

/* L2 stores what it sees here, if @l2_looks is set. */
static volatile u64 l2_looks, l2_seen[20];

static u8 no_bits[4096] __attribute__((aligned(4096)));
static u64 eptp, this_vmcs;

/* Digests of what L1 has seen in turns(), of what it has seen otherwise, and of what L2 has. */
static u64 noted, l1_noted;
static volatile u64 l2_noted;

static inline void l1_note(u64 val)
{
	l1_noted = l1_noted * 31 + val;
}

static inline void l2_note(u64 val)
{
	l2_noted = l2_noted * 31 + val;
}

/* --- L2 --- */

static void l2_work(u64 turn);	/* the program's: what L2 does before each CPUID */

static u64 xcr0(void)
{
	return read_cr4() & CR4_OSXSAVE ? xgetbv(0) : 0;
}

static void l2_main(void)
{
	u64 turn = 0;

	for (;;) {
		l2_work(turn++);
		if (l2_looks) {
			l2_seen[0] = read_cr0();
			l2_seen[1] = read_cr3();
			l2_seen[2] = read_cr4();
			l2_seen[3] = read_ds() | (u64)read_es() << 16 | (u64)read_fs() << 32 | (u64)read_gs() << 48;
			l2_seen[4] = rdmsr(MSR_FS_BASE);
			l2_seen[5] = rdmsr(MSR_GS_BASE);
			l2_seen[6] = rdmsr(MSR_PAT);
			l2_seen[7] = rdmsr(MSR_EFER);
			l2_seen[8] = rdmsr(MSR_SYSENTER_EIP);
			l2_seen[9] = read_dr7();
			l2_seen[10] = rdmsr(MSR_DEBUGCTL);
			l2_seen[11] = read_rflags();
			l2_seen[12] = xcr0();
			l2_seen[13] = read_dr0();
			l2_seen[14] = read_dr6();
			l2_seen[15] = read_cr2();
			l2_seen[16] = rdmsr(MSR_KERNEL_GS_BASE);
			l2_seen[17] = rdmsr(MSR_APIC_BASE);
			l2_seen[18] = rdmsr(MSR_MISC_ENABLE);
			l2_seen[19] = rdmsr(MSR_LSTAR);
		}
		asm volatile("cpuid" : : "a" (0), "c" (0) : "rbx", "rdx", "memory");
	}
}

/* --- L1 --- */

static bool l1_answers(u64 reason);	/* the program's: answers an exit that is not CPUID's; false: it did not */

static const enum vmcs_field looked_at[] = {
	F_REASON, F_QUAL, F_ILEN, F_INTR_INFO, F_IDT_INFO, F_RIP, F_RSP, F_RFLAGS, F_GUEST_CR0, F_GUEST_CR3,
	F_GUEST_CR4, F_INTERRUPTIBILITY, F_CS_AR, F_SS_AR, F_GUEST_DR7, F_GUEST_DEBUGCTL, F_GUEST_SYSENTER_EIP,
	F_FS_BASE, F_GS_BASE, F_ENTRY_INTR_INFO, F_ENTRY_ERROR, F_ENTRY_ILEN, F_ACTIVITY, F_CS_BASE, F_GUEST_ES,
	F_ENTRY_CTLS, F_INSN_INFO,
};

/* Runs L2, and notes what L1 can read without an exit. Returns the exit reason. */
static u64 turn_once(void)
{
	static const enum vmcs_field fields[] = {
		F_REASON, F_QUAL, F_ILEN, F_INTR_INFO, F_IDT_INFO, F_INSN_INFO, F_RFLAGS, F_GUEST_CR0, F_GUEST_CR3, F_GUEST_CR4,
		F_INTERRUPTIBILITY, F_CS_AR, F_SS_AR, F_ENTRY_INTR_INFO, F_GUEST_PHYSICAL, F_LINEAR,
	};
	u64 i, reason = vmx_run();
	/* For these, a processor need not define the instruction's length. */
	bool fault = reason == R_EXCEPTION || reason == R_EPT_VIOLATION || reason == R_EPT_MISCONFIG;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		noted = noted * 31 + (fault && fields[i] == F_ILEN ? 0 : vmread(fields[i]));
	noted = noted * 31 + (read_cs() | (u64)read_ss() << 16 | (u64)read_ds() << 32 | (u64)read_es() << 48);
	noted = noted * 31 + (read_fs() | (u64)read_gs() << 16);
	noted = noted * 31 + (read_cr0() ^ read_cr4() ^ read_cr3());
	return reason;
}

/* Reflections with a VMRESUME of the short kind before each. */
static void turns(u64 n)
{
	u64 reason;

	while (n--) {
		reason = turn_once();
		if (l1_answers(reason))
			continue;
		if (reason == R_EXCEPTION)
			vmwrite(F_RIP, vmread(F_RIP) + 2);
		else
			vmx_skip();
	}
}

/* L1 writes its own state to a line of the log. */
static void look_l1(volatile u64 *to)
{
	struct dtr gdt, idt;

	*to++ = read_cs() | (u64)read_ss() << 16 | (u64)read_ds() << 32 | (u64)read_es() << 48;
	*to++ = read_fs() | (u64)read_gs() << 16 | (u64)read_tr() << 32;
	*to++ = rdmsr(MSR_FS_BASE);
	*to++ = rdmsr(MSR_GS_BASE);
	*to++ = read_cr0();
	*to++ = read_cr3();
	*to++ = read_cr4();
	*to++ = l1_exit_rflags;
	*to++ = rdmsr(MSR_SYSENTER_CS);
	*to++ = rdmsr(MSR_SYSENTER_ESP);
	*to++ = rdmsr(MSR_SYSENTER_EIP);
	*to++ = rdmsr(MSR_EFER);
	*to++ = rdmsr(MSR_PAT);
	*to++ = read_dr7();
	*to++ = rdmsr(MSR_DEBUGCTL);
	sgdt(&gdt);
	*to++ = gdt.base;
	*to++ = gdt.limit;
	sidt(&idt);
	*to++ = idt.base;
	*to++ = idt.limit;
}

/* Writes a line of the log. User space adds the segments that it sees, after reflections of the short kind. */
static void look(void)
{
	volatile u64 *to = seen[looks++];
	u64 i;

	l2_looks = 1;
	for (i = 0; i < ARRAY_SIZE(l2_seen); i++)
		l2_seen[i] = 0;
	to[0] = vmx_run();
	l2_looks = 0;
	look_l1(to + 1);
	for (i = 0; i < ARRAY_SIZE(looked_at); i++)
		to[20 + i] = vmread(looked_at[i]);
	for (i = 0; i < ARRAY_SIZE(l2_seen); i++)
		to[47 + i] = l2_seen[i];
	to[78] = noted * 31 + l1_noted;
	to[79] = l2_noted;
	to[80] = rdmsr(MSR_STAR);
	to[81] = rdmsr(MSR_LSTAR);
	to[82] = rdmsr(MSR_FMASK);
	to[86] = xcr0();
	to[87] = read_dr0();
	to[88] = read_dr6();
	to[89] = rdmsr(MSR_KERNEL_GS_BASE);
	to[90] = rdmsr(MSR_APIC_BASE);
	to[91] = rdmsr(MSR_MISC_ENABLE);
	to[92] = read_cr2();
	if (to[0] == R_CPUID)
		vmx_skip();
	g_sync(looks);
}

/* Reflections without a look, whose VMRESUMEs have no other exits between them. */
static void spin(void)
{
	u64 rip = vmread(F_RIP);

	G_EQ(hot_spin(TURNS), R_CPUID, "CPUID exits");
	vmwrite(F_RIP, rip);
	/* It has changed them. */
	vmx_keep_host();
}

static void start(void)
{
	vmx_host_kept = false;
	if (!eptp) {
		vmx_on();
		eptp = ept_new();
	}
	this_vmcs = vmcs_usual(l2_main, no_bits, eptp);
	vmx_expect(R_CPUID, "the first CPUID");
	vmx_skip();
}

static void (*volatile row_l1)(void);
static volatile u64 row_over;

static void guest_row(void)
{
	start();
	spin();
	look();
	spin();
	turns(SETTLE);
	row_l1();
	look();
	/* A look that ended differently would end all spins. */
	if (seen[looks - 1][0] == R_CPUID) {
		spin();
		look();
	}
	g_done();
}

/* --- the host's side --- */

static bool have_short;

static void set_short(bool on)
{
	int fd = open(SHORT, O_WRONLY);

	have_short = fd >= 0;
	if (!have_short)
		return;
	MUST(write(fd, on ? "1" : "0", 1) == 1, "write to " SHORT);
	close(fd);
}

static const u32 syscall_msrs[] = { MSR_STAR, MSR_LSTAR, MSR_FMASK };

static u64 segment_digest(const struct kvm_segment *s, bool base)
{
	if (s->unusable)
		return s->selector | 1ul << 63 | (base ? s->base << 16 : 0);
	return s->selector ^ s->base << 16 ^ (u64)s->limit << 24 ^ (u64)s->type << 56 ^ (u64)s->s << 60 ^
	       (u64)s->dpl << 61;
}

static void look_host(struct vm *vm, u64 n)
{
	volatile u64 *to = &GUEST(vm, seen)[n - 1][67];
	struct kvm_sregs s;
	u64 val;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(syscall_msrs); i++) {
		if (!vcpu_get_msr(&vm->vcpu[0], syscall_msrs[i], &val))
			GUEST(vm, seen)[n - 1][83 + i] = val;
	}
	vcpu_sregs(&vm->vcpu[0], &s);
	to[0] = segment_digest(&s.cs, true);
	to[1] = segment_digest(&s.ss, true);
	to[2] = segment_digest(&s.ds, false);
	to[3] = segment_digest(&s.es, false);
	to[4] = segment_digest(&s.fs, true);
	to[5] = segment_digest(&s.gs, true);
	to[6] = segment_digest(&s.tr, true);
	to[7] = s.gdt.base ^ (u64)s.gdt.limit << 48;
	to[8] = s.idt.base ^ (u64)s.idt.limit << 48;
	to[9] = s.cr0 ^ s.cr3 << 1 ^ s.cr4 << 32;
	to[10] = s.efer;
}

/* Runs the row's L1 once; @log gets what was seen. Returns the number of looks. */
static u64 run_row(const struct row *row, bool is_short, u64 log[LOOKS][ITEMS])
{
	u64 args[4], kind, count = 0, before = 0, least = 0;
	pthread_t thread;
	struct vm vm;
	struct vcpu *vcpu;

	set_short(is_short);
	vm_create(&vm, row->flags);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	vcpu = vcpu_create(&vm, 0, guest_row);
	GUEST(&vm, row_l1) = row->l1;
	if (row->thread)
		MUST(!pthread_create(&thread, NULL, row->thread, &vm), "thread");
	while ((kind = vcpu_run_to_call(vcpu, args)) == GCALL_SYNC) {
		/* Between the first look and this there are SETTLE + TURNS turns of two exits. Ticks end some short stays. */
		if (have_short && is_short && count == 1 && !least)
			least = stat(vcpu, "short_exits") - before;
		if (args[0] == ASKS) {
			row->host(&vm);
			continue;
		}
		count = args[0];
		look_host(&vm, count);
		if (count == 1 && row->host && !row->asked)
			row->host(&vm);
		if (count == 1 && have_short)
			before = stat(vcpu, "short_exits");
	}
	set_short(true);
	if (kind == GCALL_SKIP)
		ksft_skip("%s", "L1 lacks a feature");
	if (kind != GCALL_DONE)
		ksft_abort(__FILE__, __LINE__, "%s, short=%d: the guest ended with %d", row->name, is_short, (int)kind);
	if (row->thread) {
		GUEST(&vm, row_over) = 1;
		pthread_join(thread, NULL);
	}
	if (have_short && is_short && !row->general)
		OK(least >= SETTLE, "%s: turns of L1 and L2 go the short way: %llu exits", row->name, (unsigned long long)least);
	memcpy(log, (void *)GUEST(&vm, seen), sizeof(seen));
	vm_destroy(&vm);
	return count;
}

static void run_rows(const struct row *rows, u64 count)
{
	static u64 with[LOOKS][ITEMS], without[LOOKS][ITEMS];
	const struct row *row;
	u64 i, j, looks_with;

	for (row = rows; row < rows + count; row++) {
		ksft_diag("%s", row->name);
		looks_with = run_row(row, true, with);
		EQ(looks_with, run_row(row, false, without), "%s: looks", row->name);
		for (i = 0; i < LOOKS; i++)
			for (j = 0; j < ITEMS; j++)
				EQ(with[i][j], without[i][j], "%s: look %d, item %d", row->name, (int)i, (int)j);
	}
}

/* --- a row of several programs --- */

static inline void h_nested_state(struct vm *vm)
{
	union {
		struct kvm_nested_state s;
		char room[0x3000];
	} *u = calloc(1, sizeof(*u));

	u->s.size = sizeof(*u);
	DO(vm->vcpu[0].fd, KVM_GET_NESTED_STATE, &u->s);
	DO(vm->vcpu[0].fd, KVM_SET_NESTED_STATE, &u->s);
	free(u);
}

#endif

// SPDX-License-Identifier: GPL-2.0
/* What user space and the host change between two reflections: registers of L1 or of L2, and the frames of L1's pages. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "hotprobe.h"

#define CALLS	6	/* of the host in a row, with reflections between them */

static volatile u64 calls;		/* of the host */
static volatile u64 in_l2;		/* L2 makes them */
static volatile u64 l2_asks;		/* L2 is to make one before its next CPUID */

/* Whether the host sets the second of two values this time. It must be the caller that counts. */
#define SECOND(vm)	(GUEST(vm, calls) & 1)

static void (*volatile l2_looks_at)(void);	/* what L2 looks at before each CPUID */
static volatile u64 l2_regs_seen[6];		/* and where it leaves what it has seen */
static u64 exits_since;				/* the host's last call: so many exits of L2; only in the first turn of L1's, 0 */

static void p_asks(u64 turn)
{
	if (l2_asks) {
		l2_asks = 0;
		g_sync(ASKS);
	}
	if (l2_looks_at)
		l2_looks_at();
}

/* Has the host change something, while L1 or L2 runs, and goes on. @check is called after each reflection. */
static void ask(void (*check)(void))
{
	u64 i, j;

	l2_probe = p_asks;
	for (i = 0; i < CALLS; i++, calls++) {
		exits_since = 0;
		if (in_l2) {
			l2_asks = 1;
		} else {
			g_sync(ASKS);
			check();
		}
		while (exits_since++ < AGAIN) {
			G_EQN(first_exit(), R_CPUID, "L2's CPUID", i);
			for (j = 0; j < ARRAY_SIZE(l2_regs_seen); j++)
				l1_note(l2_regs_seen[j]);
			check();
		}
	}
}

static void check_nothing(void)
{
}

/* --- MSRs --- */

static const struct {
	u32 msr;
	u64 a, b;
	bool l2s;	/* L2's value is not L1's */
} msrs[] = {
	{ MSR_PAT, 0x0007040600070406, 0x0007040600070400, true },
	{ MSR_EFER, EFER_LME | EFER_LMA | EFER_NX, EFER_LME | EFER_LMA | EFER_NX | EFER_SCE, true },
	{ MSR_SYSENTER_CS, 0x10, 0x18, true },
	{ MSR_SYSENTER_ESP, 0x1000, 0x2000, true },
	{ MSR_SYSENTER_EIP, 0x3000, 0x4000, true },
	{ MSR_FS_BASE, 0x5000, 0x6000, true },
	{ MSR_GS_BASE, 0x7000, 0x8000, true },
	{ MSR_KERNEL_GS_BASE, 0x9000, 0xa000 },
	{ MSR_STAR, 0x0033002300000000, 0x0043003300000000 },
	{ MSR_LSTAR, 0xb000, 0xc000 },
	{ MSR_CSTAR, 0xb000, 0xc000 },
	{ MSR_FMASK, 0x700, 0x40700 },
};

static volatile u64 l2_msrs[ARRAY_SIZE(msrs)];
static u64 l1_msrs[ARRAY_SIZE(msrs)];	/* L1's values that L2's must not change */

static void h_msrs(struct vm *vm)
{
	u64 i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		EQ(vcpu_set_msr(&vm->vcpu[0], msrs[i].msr, SECOND(vm) ? msrs[i].b : msrs[i].a), 0, "MSR %#x", msrs[i].msr);
}

static void look_at_msrs(void)
{
	u64 i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		l2_msrs[i] = rdmsr(msrs[i].msr);
}

static void check_l2_msrs(void)
{
	u64 i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		G_EQN(l2_msrs[i], calls & 1 ? msrs[i].b : msrs[i].a, "L2's MSR", msrs[i].msr);
		if (msrs[i].l2s)
			G_EQN(rdmsr(msrs[i].msr), l1_msrs[i], "L1's own MSR", msrs[i].msr);
		else
			G_EQN(rdmsr(msrs[i].msr), calls & 1 ? msrs[i].b : msrs[i].a, "the MSR of both", msrs[i].msr);
	}
	G_EQ(vmread(F_GUEST_PAT), calls & 1 ? msrs[0].b : msrs[0].a, "IA32_PAT in the VMCS");
	G_EQ(vmread(F_GUEST_EFER), calls & 1 ? msrs[1].b : msrs[1].a, "IA32_EFER in the VMCS");
	G_EQ(vmread(F_FS_BASE), calls & 1 ? 0x6000 : 0x5000, "FS base in the VMCS");
}

static void l2_set_msrs(void)
{
	u64 i;

	in_l2 = 1;
	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		l1_msrs[i] = rdmsr(msrs[i].msr);
	l2_looks_at = look_at_msrs;
	ask(check_l2_msrs);
}

/* Before L2 runs again, L1 sees what was set; after an exit, what the exit loads, and what L1 and L2 share. */
static void check_l1_msrs(void)
{
	u64 i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		if (!exits_since || !msrs[i].l2s)
			G_EQN(rdmsr(msrs[i].msr), calls & 1 ? msrs[i].b : msrs[i].a, "L1's MSR", msrs[i].msr);
		else
			G_EQN(rdmsr(msrs[i].msr), l1_msrs[i], "the MSR that the exit loads", msrs[i].msr);
	}
}

static void l1_set_msrs(void)
{
	u64 i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		l1_msrs[i] = rdmsr(msrs[i].msr);
	ask(check_l1_msrs);
}

/* --- other registers --- */

static volatile u64 copied_cr3, first_cr3;

static void look_at_regs(void)
{
	struct dtr gdt;

	l2_regs_seen[0] = read_cr0() & (CR0_TS | CR0_AM);
	l2_regs_seen[1] = read_cr4() & (CR4_TSD | CR4_DE);
	l2_regs_seen[2] = read_cr3();
	l2_regs_seen[3] = read_ds();
	l2_regs_seen[4] = rdmsr(MSR_EFER) & EFER_SCE;
	sgdt(&gdt);
	l2_regs_seen[5] = gdt.limit;
}

static void h_sregs(struct vm *vm)
{
	bool b = SECOND(vm);
	struct kvm_sregs s;

	vcpu_sregs(&vm->vcpu[0], &s);
	s.cr0 = (s.cr0 & ~(CR0_TS | CR0_AM)) | (b ? CR0_TS : CR0_AM);
	s.cr4 = (s.cr4 & ~(CR4_TSD | CR4_DE)) | (b ? CR4_TSD : CR4_DE);
	s.cr3 = b ? GUEST(vm, copied_cr3) : GUEST(vm, first_cr3);
	s.ds = s.es;
	s.ds.selector = b ? SEL_DS : SEL_UDS;
	s.ds.dpl = b ? 0 : 3;
	s.efer = (s.efer & ~EFER_SCE) | (b ? EFER_SCE : 0);
	s.gdt.limit = b ? 0x7f : 0x6f;
	vcpu_set_sregs(&vm->vcpu[0], &s);
}

static void check_l2_vmcs(void)
{
	bool b = calls & 1;

	G_EQ(vmread(F_GUEST_CR0) & (CR0_TS | CR0_AM), b ? CR0_TS : CR0_AM, "CR0 in the VMCS");
	G_EQ(vmread(F_GUEST_CR4) & (CR4_TSD | CR4_DE), b ? CR4_TSD : CR4_DE, "CR4 in the VMCS");
	G_EQ(vmread(F_GUEST_CR3), b ? copied_cr3 : first_cr3, "CR3 in the VMCS");
	G_EQ(vmread(F_GUEST_DS), b ? SEL_DS : SEL_UDS, "DS in the VMCS");
	G_EQ(vmread(F_GDTR_LIMIT), b ? 0x7f : 0x6f, "the limit of GDTR in the VMCS");
}

static void check_l2_sregs(void)
{
	bool b = calls & 1;

	check_l2_vmcs();
	G_EQ(l2_regs_seen[0], b ? CR0_TS : CR0_AM, "L2's CR0");
	G_EQ(l2_regs_seen[1], b ? CR4_TSD : CR4_DE, "L2's CR4");
	G_EQ(l2_regs_seen[2], b ? copied_cr3 : first_cr3, "L2's CR3");
	G_EQ(l2_regs_seen[3], b ? SEL_DS : SEL_UDS, "L2's DS");
	G_EQ(l2_regs_seen[4], b ? EFER_SCE : 0, "L2's IA32_EFER");
	G_EQ(l2_regs_seen[5], b ? 0x7f : 0x6f, "the limit of L2's GDTR");
}

static void copy_cr3(void)
{
	u64 *copy = g_page();

	first_cr3 = read_cr3();
	copied_cr3 = (u64)copy;
	g_copy(copy, (void *)(first_cr3 & ~0xffful), 4096);
}

static void l2_set_sregs(void)
{
	in_l2 = 1;
	copy_cr3();
	l2_looks_at = look_at_regs;
	ask(check_l2_sregs);
}

/* L2 reads the bits that L1 owns from the shadows. The register has them as they were set, and the exit saves it. */
static void check_l2_sregs_masked(void)
{
	check_l2_vmcs();
	G_EQ(l2_regs_seen[0] & CR0_TS, CR0_TS, "L2's CR0.TS");
	G_EQ(l2_regs_seen[1] & CR4_DE, 0, "L2's CR4.DE");
}

static void l2_set_sregs_masked(void)
{
	in_l2 = 1;
	copy_cr3();
	vmwrite(F_CR0_MASK, CR0_TS);
	vmwrite(F_CR0_SHADOW, CR0_TS);
	vmwrite(F_CR4_MASK, CR4_DE);
	turns(TURNS);
	l2_looks_at = look_at_regs;
	ask(check_l2_sregs_masked);
}

/* The exit loads all of it. */
static void check_l1_sregs(void)
{
	bool b = calls & 1;

	if (exits_since) {
		G_EQ(read_cr0(), vmread(F_HOST_CR0), "the CR0 that the exit loads");
		G_EQ(read_cr4(), vmread(F_HOST_CR4), "the CR4 that the exit loads");
		G_EQ(read_cr3(), vmread(F_HOST_CR3), "the CR3 that the exit loads");
		G_EQ(read_ds(), vmread(F_HOST_DS), "the DS that the exit loads");
		G_EQ(rdmsr(MSR_EFER), vmread(F_HOST_EFER), "the IA32_EFER that the exit loads");
		return;
	}
	G_EQ(read_cr0() & (CR0_TS | CR0_AM), b ? CR0_TS : CR0_AM, "L1's CR0");
	G_EQ(read_cr4() & (CR4_TSD | CR4_DE), b ? CR4_TSD : CR4_DE, "L1's CR4");
	G_EQ(read_cr3(), b ? copied_cr3 : first_cr3, "L1's CR3");
	G_EQ(read_ds(), b ? SEL_DS : SEL_UDS, "L1's DS");
	G_EQ(rdmsr(MSR_EFER) & EFER_SCE, b ? EFER_SCE : 0, "L1's IA32_EFER");
}

static void l1_set_sregs(void)
{
	copy_cr3();
	l2_looks_at = look_at_regs;
	ask(check_l1_sregs);
}

static void h_debugregs(struct vm *vm)
{
	bool b = SECOND(vm);
	struct kvm_debugregs d;

	DO(vm->vcpu[0].fd, KVM_GET_DEBUGREGS, &d);
	d.db[0] = b ? 0x111000 : 0x222000;
	d.db[3] = b ? 0x333000 : 0x444000;
	d.dr6 = b ? 0xffff0ff1 : 0xffff0ff2;
	/* Of code that is not executed. */
	d.dr7 = b ? 0x402 : 0x400;
	DO(vm->vcpu[0].fd, KVM_SET_DEBUGREGS, &d);
}

static void look_at_debugregs(void)
{
	l2_regs_seen[0] = read_dr0();
	l2_regs_seen[1] = read_dr3();
	l2_regs_seen[2] = read_dr6();
	l2_regs_seen[3] = read_dr7();
}

static void check_l2_debugregs(void)
{
	bool b = calls & 1;

	G_EQ(l2_regs_seen[0], b ? 0x111000 : 0x222000, "L2's DR0");
	G_EQ(l2_regs_seen[1], b ? 0x333000 : 0x444000, "L2's DR3");
	G_EQ(l2_regs_seen[2], b ? 0xffff0ff1 : 0xffff0ff2, "L2's DR6");
	G_EQ(l2_regs_seen[3], b ? 0x402 : 0x400, "L2's DR7");
	G_EQ(vmread(F_GUEST_DR7), b ? 0x402 : 0x400, "DR7 in the VMCS");
	G_EQ(read_dr7(), 0x400, "L1's DR7");
	G_EQ(read_dr0(), b ? 0x111000 : 0x222000, "L1's DR0");
}

static void l2_set_debugregs(void)
{
	in_l2 = 1;
	l2_looks_at = look_at_debugregs;
	ask(check_l2_debugregs);
}

static void check_l1_debugregs(void)
{
	bool b = calls & 1;

	G_EQ(read_dr0(), b ? 0x111000 : 0x222000, "L1's DR0");
	G_EQ(read_dr6(), b ? 0xffff0ff1 : 0xffff0ff2, "L1's DR6");
	G_EQ(read_dr7(), b && !exits_since ? 0x402 : 0x400, "L1's DR7");
	if (!exits_since)
		return;
	G_EQ(l2_regs_seen[0], b ? 0x111000 : 0x222000, "L2's DR0");
	G_EQ(l2_regs_seen[2], b ? 0xffff0ff1 : 0xffff0ff2, "L2's DR6");
	G_EQ(l2_regs_seen[3], 0x400, "L2's DR7");
}

static void l1_set_debugregs(void)
{
	l2_looks_at = look_at_debugregs;
	ask(check_l1_debugregs);
}

static volatile u64 has_xsave;

static void h_xcrs(struct vm *vm)
{
	struct kvm_xcrs x;

	if (!GUEST(vm, has_xsave))
		return;
	DO(vm->vcpu[0].fd, KVM_GET_XCRS, &x);
	x.xcrs[0].value = SECOND(vm) ? 3 : 1;
	DO(vm->vcpu[0].fd, KVM_SET_XCRS, &x);
}

/* Not without CR4.OSXSAVE. */
static u64 read_xcr0(void)
{
	u64 xcr0, cr4 = read_cr4();

	write_cr4(cr4 | CR4_OSXSAVE);
	xcr0 = xgetbv(0);
	write_cr4(cr4);
	return xcr0;
}

static void look_at_xcr0(void)
{
	l2_regs_seen[0] = read_xcr0();
}

static void check_xcr0(void)
{
	G_EQ(read_xcr0(), calls & 1 ? 3 : 1, "L1's XCR0");
	if (exits_since)
		G_EQ(l2_regs_seen[0], calls & 1 ? 3 : 1, "L2's XCR0");
}

static void set_xcrs(u64 at_l2)
{
	in_l2 = at_l2;
	has_xsave = CPUID_REG(1, 0, c) & BIT(26);
	if (!has_xsave)
		return;
	l2_looks_at = look_at_xcr0;
	ask(check_xcr0);
}

static void l2_set_xcrs(void)	{ set_xcrs(1); }
static void l1_set_xcrs(void)	{ set_xcrs(0); }

/* The TSC runs twice as fast, and at its old rate again. L2 has no offset. */
static void h_tsc_khz(struct vm *vm)
{
	u64 khz = DO(vm->vcpu[0].fd, KVM_GET_TSC_KHZ, 0);

	if (ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) > 0)
		DO(vm->vcpu[0].fd, KVM_SET_TSC_KHZ, SECOND(vm) ? khz / 2 : khz * 2);
}

static volatile u64 l2_tsc, l1_tsc;

static void look_at_tsc(void)
{
	l2_tsc = rdtsc();
}

static void check_tsc(void)
{
	if (exits_since)
		G_OK(l2_tsc <= rdtsc(), "L2's TSC is not above L1's afterwards");
	/* The change came before L2's first exit, or after it. */
	if (exits_since > in_l2)
		G_OK(l2_tsc + 2 >= l1_tsc, "L2's TSC is not below L1's before");
	l1_tsc = rdtsc();
}

static void l2_set_tsc_khz(void)
{
	in_l2 = 1;
	l2_looks_at = look_at_tsc;
	ask(check_tsc);
}

static void l1_set_tsc_khz(void)
{
	l2_looks_at = look_at_tsc;
	ask(check_tsc);
}

static void h_cpuid(struct vm *vm)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + 256 * sizeof(c->entries[0]));

	c->nent = 256;
	DO(vm->vcpu[0].fd, KVM_GET_CPUID2, c);
	DO(vm->vcpu[0].fd, KVM_SET_CPUID2, c);
	c->entries[0].ebx ^= 1;
	FAILS(vm->vcpu[0].fd, KVM_SET_CPUID2, c, EINVAL);
	free(c);
}

static void h_all_regs(struct vm *vm)
{
	struct kvm_regs regs;
	struct kvm_sregs s;
	struct kvm_fpu fpu;
	struct kvm_xsave *x = calloc(1, sizeof(*x));

	vcpu_regs(&vm->vcpu[0], &regs);
	vcpu_set_regs(&vm->vcpu[0], &regs);
	vcpu_sregs(&vm->vcpu[0], &s);
	vcpu_set_sregs(&vm->vcpu[0], &s);
	DO(vm->vcpu[0].fd, KVM_GET_FPU, &fpu);
	DO(vm->vcpu[0].fd, KVM_SET_FPU, &fpu);
	DO(vm->vcpu[0].fd, KVM_GET_XSAVE, x);
	DO(vm->vcpu[0].fd, KVM_SET_XSAVE, x);
	free(x);
}

/* Where the debugger has its breakpoint. It is gone before either level gets here. */
void hot_break_here(void);
asm(".pushsection .text\nhot_break_here: ret\n.popsection");

static void h_guest_debug(struct vm *vm)
{
	struct kvm_guest_debug d = { .control = SECOND(vm) ? 0 : KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP };

	d.arch.debugreg[0] = (uintptr_t)hot_break_here;
	d.arch.debugreg[7] = 0x402;
	DO(vm->vcpu[0].fd, KVM_SET_GUEST_DEBUG, &d);
}

static volatile u64 dbs;

static void on_db(struct trap_regs *r)
{
	dbs++;
	r->rflags |= RFLAGS_RF;
}

static void check_debugged(void)
{
	if (calls & 1)
		hot_break_here();
	G_EQ(dbs, 0, "breakpoints of a debugger that has gone");
	G_EQ(read_dr7(), 0x400, "L1's DR7");
	if (exits_since)
		G_EQ(l2_regs_seen[3], 0x400, "L2's DR7");
}

static void look_at_debugged(void)
{
	look_at_debugregs();
	if (calls & 1)
		hot_break_here();
}

/* The guest's own DR0 is the same address, for a processor that keeps it. */
static void debugged(u64 at_l2)
{
	in_l2 = at_l2;
	g_trap_fn[VEC_DB] = on_db;
	write_dr0((u64)hot_break_here);
	l2_looks_at = look_at_debugged;
	ask(check_debugged);
}

static void l2_debugged(void)	{ debugged(1); }
static void l1_debugged(void)	{ debugged(0); }

static void l2_changes(void)
{
	in_l2 = 1;
	l2_looks_at = look_at_debugregs;
	ask(check_nothing);
}

static void l1_changes(void)
{
	l2_looks_at = look_at_debugregs;
	ask(check_nothing);
}

/* --- events of user space --- */

static volatile u64 uds, nmis;

static void on_ud(struct trap_regs *r)
{
	uds++;
}

static void on_nmi(struct trap_regs *r)
{
	nmis++;
}

/* A fault for the level that runs, which no instruction has caused; then blocking by MOV SS. */
static void h_events(struct vm *vm)
{
	struct kvm_vcpu_events e;

	DO(vm->vcpu[0].fd, KVM_GET_VCPU_EVENTS, &e);
	if (SECOND(vm)) {
		e.interrupt.shadow = KVM_X86_SHADOW_INT_MOV_SS;
		e.flags |= KVM_VCPUEVENT_VALID_SHADOW;
	} else {
		e.exception.injected = 1;
		e.exception.nr = VEC_UD;
	}
	DO(vm->vcpu[0].fd, KVM_SET_VCPU_EVENTS, &e);
}

static void check_events(void)
{
	G_EQ(uds, calls / 2 + 1, "the faults that were taken");
	G_EQ(vmread(F_INTERRUPTIBILITY), 0, "blocking in L2");
}

static void set_events(u64 at_l2)
{
	in_l2 = at_l2;
	g_trap_fn[VEC_UD] = on_ud;
	ask(check_events);
}

static void l2_set_events(void)	{ set_events(1); }
static void l1_set_events(void)	{ set_events(0); }

static void h_nmi(struct vm *vm)
{
	struct kvm_vcpu_events e;

	DO(vm->vcpu[0].fd, KVM_GET_VCPU_EVENTS, &e);
	e.nmi.pending = 1;
	e.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING;
	DO(vm->vcpu[0].fd, KVM_SET_VCPU_EVENTS, &e);
}

static void on_int3(struct trap_regs *r)
{
}

/* L1's IRET ends the blocking of NMIs by the exit. */
static void l2_set_nmi(void)
{
	u64 i;

	g_trap_fn[VEC_BP] = on_int3;
	l2_probe = p_asks;
	for (i = 0; i < CALLS; i++) {
		turns(AGAIN);
		l2_asks = 1;
		G_EQN(turn_once(), R_EXCEPTION, "an NMI exits", i);
		G_EQN(vmread(F_INTR_INFO), 0x80000202, "the exit is of an NMI", i);
		asm volatile("int3" : : : "memory");
		G_EQN(first_exit(), R_CPUID, "L2's CPUID", i);
	}
}

static void check_nmis(void)
{
	G_EQ(nmis, calls + 1, "NMIs that L1 has taken");
}

static void l1_set_nmi(void)
{
	g_trap_fn[VEC_NMI] = on_nmi;
	ask(check_nmis);
}

static const struct row rows[] = {
	{ "KVM_SET_MSRS in L1", l1_set_msrs, h_msrs, .asked = true },
	{ "KVM_SET_MSRS in L2", l2_set_msrs, h_msrs, .asked = true },
	{ "KVM_SET_SREGS in L1", l1_set_sregs, h_sregs, .asked = true },
	{ "KVM_SET_SREGS in L2", l2_set_sregs, h_sregs, .asked = true },
	{ "KVM_SET_SREGS in L2 with bits that L1 owns", l2_set_sregs_masked, h_sregs, .asked = true },
	{ "KVM_SET_DEBUGREGS in L1", l1_set_debugregs, h_debugregs, .asked = true },
	{ "KVM_SET_DEBUGREGS in L2", l2_set_debugregs, h_debugregs, .asked = true },
	{ "KVM_SET_XCRS in L1", l1_set_xcrs, h_xcrs, .asked = true },
	{ "KVM_SET_XCRS in L2", l2_set_xcrs, h_xcrs, .asked = true },
	{ "KVM_SET_TSC_KHZ in L1", l1_set_tsc_khz, h_tsc_khz, .asked = true },
	{ "KVM_SET_TSC_KHZ in L2", l2_set_tsc_khz, h_tsc_khz, .asked = true },
	{ "KVM_SET_CPUID2 in L1, allowed and refused", l1_changes, h_cpuid, .asked = true },
	{ "KVM_SET_CPUID2 in L2, allowed and refused", l2_changes, h_cpuid, .asked = true },
	{ "registers set as they are in L1", l1_changes, h_all_regs, .asked = true },
	{ "registers set as they are in L2", l2_changes, h_all_regs, .asked = true },
	{ "KVM_SET_NESTED_STATE in L2", l2_changes, h_nested_state, .asked = true },
	{ "KVM_SET_GUEST_DEBUG in L1", l1_debugged, h_guest_debug, .asked = true },
	{ "KVM_SET_GUEST_DEBUG in L2", l2_debugged, h_guest_debug, .asked = true },
	{ "KVM_SET_VCPU_EVENTS in L1: a fault, blocking", l1_set_events, h_events, .asked = true },
	{ "KVM_SET_VCPU_EVENTS in L2: a fault, blocking", l2_set_events, h_events, .asked = true },
	{ "KVM_SET_VCPU_EVENTS in L1: an NMI", l1_set_nmi, h_nmi, .asked = true },
	{ "KVM_SET_VCPU_EVENTS in L2: an NMI", l2_set_nmi, h_nmi, .asked = true },
};

static void host_rows(void)
{
	run_rows(rows, ARRAY_SIZE(rows));
}

static const struct ksft_test tests[] = {
	{ "registers that user space changes between reflections", .host = host_rows },
};
KSFT_MAIN(tests)

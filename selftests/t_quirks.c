// SPDX-License-Identifier: GPL-2.0
/* Behaviour that user space can switch: quirks, paravirtual features, exits for emulation failures. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "guest.h"
#include "save.h"
#include "vm.h"

#define QUIRK(n)		BIT(n)
#define LINT0_REENABLED		QUIRK(0)
#define OUT_7E_INC_RIP		QUIRK(3)
#define FIX_HYPERCALL_INSN	QUIRK(5)
#define MWAIT_NEVER_UD_FAULTS	QUIRK(6)
#define MSR_PLATFORM_INFO	0xce
#define MSR_STEAL_TIME		0x4b564d03
#define MSR_HWCR		0xc0010015
#define KVM_ENOSYS		1000ul

static volatile u64 changed;	/* per guest: user space has switched the behaviour under test */

static void disable(struct vm *vm, u64 quirks)
{
	if ((ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_DISABLE_QUIRKS2) & quirks) != quirks)
		ksft_skip("the quirk cannot be disabled");
	EQ(vm_enable_cap(vm, KVM_CAP_DISABLE_QUIRKS2, quirks), 0, "KVM_CAP_DISABLE_QUIRKS2");
}

/* --- hypercalls --- */

extern u8 amd_call[];

static u64 vmmcall(void)
{
	u64 f, rax = 0xdead;

	asm volatile(TRY(".globl amd_call\namd_call: vmmcall") "mov %%r11, %0"
		     : "=r" (f), "+a" (rax) : "b" (0), "c" (0), "d" (0), "S" (0) : "r11", "memory", "cc");
	return f == NO_FAULT ? rax : f;
}

static void guest_vmmcall(void)
{
	G_EQ(vmmcall(), changed ? UD : -KVM_ENOSYS, "VMMCALL");
	G_EQ(amd_call[2], changed ? 0xd9 : 0xc1, "last byte of the instruction");
}

static void host_vmmcall(void)
{
	u64 i;

	for (i = 0; i < 2; i++) {
		struct vm vm;
		struct vcpu *vcpu;

		vm_create(&vm, 0);
		vcpu = vcpu_create(&vm, 0, guest_vmmcall);
		GUEST(&vm, changed) = i;
		if (i)
			disable(&vm, FIX_HYPERCALL_INSN);
		vcpu_run_to_end(vcpu);
		vm_destroy(&vm);
	}
}

/* --- other quirks --- */

static void host_unknown(void)
{
	struct vm vm;
	int offered;

	vm_create(&vm, 0);
	offered = ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_DISABLE_QUIRKS2);
	OK(offered > 0, "quirks are offered: %#x", offered);
	EQ(vm_enable_cap(&vm, KVM_CAP_DISABLE_QUIRKS2, ~(u64)offered), EINVAL, "unknown quirks");
	EQ(vm_enable_cap(&vm, KVM_CAP_DISABLE_QUIRKS2, BIT(31)), EINVAL, "an unknown quirk");
	EQ(vm_enable_cap(&vm, KVM_CAP_DISABLE_QUIRKS2, offered), 0, "all known quirks");
}

static void guest_monitor(void)
{
	u64 want = changed ? UD : NO_FAULT;

	u64 f;

	asm volatile(TRY("monitor") "mov %%r11, %0" : "=r" (f) : "a" (&want), "c" (0), "d" (0) : "r11");
	G_EQ(f, want, "MONITOR");
}

static void host_mwait(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_monitor);
	vcpu_run_to_end(vcpu);
	GUEST(&vm, changed) = 1;
	vcpu_start(vcpu, guest_monitor, 0);
	disable(&vm, MWAIT_NEVER_UD_FAULTS);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static u32 lint0(struct vcpu *vcpu)
{
	struct kvm_lapic_state s;

	DO(vcpu->fd, KVM_GET_LAPIC, &s);
	return *(u32 *)(s.regs + 0x350);
}

static void host_lint0(void)
{
	struct vm vm;

	vm_create(&vm, KSFT_IRQCHIP);
	EQ(lint0(vcpu_create(&vm, 0, NULL)), 0x700, "LINT0 of the boot processor");
	vm_destroy(&vm);
	vm_create(&vm, KSFT_IRQCHIP);
	disable(&vm, LINT0_REENABLED);
	EQ(lint0(vcpu_create(&vm, 0, NULL)), 0x10000, "LINT0 is masked without the quirk");
	vm_destroy(&vm);
}

static void guest_out(void)
{
	outb(0x7e, 1);
	asm volatile("out_7e: out %%al, $0x7e" : : "a" (2));
}

extern u8 out_7e[];

static void host_out_7e(void)
{
	struct kvm_regs r;
	struct vm vm;
	struct vcpu *vcpu;
	u64 i;

	for (i = 0; i < 2; i++) {
		vm_create(&vm, 0);
		vcpu = vcpu_create(&vm, 0, guest_out);
		if (i)
			disable(&vm, OUT_7E_INC_RIP);
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		EQ(vcpu->run->io.port, 0x7e, "port");
		vcpu_regs(vcpu, &r);
		EQ(r.rip, (u64)out_7e + (i ? 0 : 2), "RIP at the exit");
		vcpu_run_to_end(vcpu);
		vm_destroy(&vm);
	}
}

/* --- MSRs --- */

static void guest_platform_info(void)
{
	u64 val;

	G_EQ(rdmsr(MSR_PLATFORM_INFO), 0x1234, "value set by user space");
	G_EQ(try_wrmsr(MSR_PLATFORM_INFO, 0x1234), GP0, "read-only");
	g_sync(1);
	G_EQ(try_rdmsr(MSR_PLATFORM_INFO, &val), GP0, "hidden");
}

static void host_msrs(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u64 i, val;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_platform_info);
	EQ(vcpu_set_msr(vcpu, MSR_PLATFORM_INFO, 0x1234), 0, "PLATFORM_INFO");
	vcpu_run_to_sync(vcpu, 1);
	EQ(vm_enable_cap(&vm, KVM_CAP_MSR_PLATFORM_INFO, 0), 0, "KVM_CAP_MSR_PLATFORM_INFO");
	vcpu_run_to_end(vcpu);
	for (i = 0; i < 64; i++) {
		bool kept = i == 18 || i == 24, taken = kept || i == 3 || i == 6 || i == 8;

		EQ(vcpu_set_msr(vcpu, MSR_HWCR, BIT(i)), taken ? 0 : -1, "bit %d of HWCR", (int)i);
		EQ(vcpu_get_msr(vcpu, MSR_HWCR, &val), 0, "HWCR");
		EQ(val, kept ? BIT(i) : 0, "bit %d of HWCR", (int)i);
		vcpu_set_msr(vcpu, MSR_HWCR, 0);
	}
	EQ(vcpu_set_msr(vcpu, MSR_FEATURE_CONTROL, 0x160007), 0, "all valid bits of FEATURE_CONTROL");
	EQ(vcpu_set_msr(vcpu, MSR_FEATURE_CONTROL, 8), -1, "a reserved bit");
	vm_destroy(&vm);
}

static volatile struct {
	u64 steal;
	u32 version, flags;
	u8 preempted, pad[47];
} stolen __attribute__((aligned(64)));

static void guest_steal(void)
{
	u32 version;

	wrmsr(MSR_STEAL_TIME, (u64)&stolen | 1);
	G_EQ(try_wrmsr(MSR_STEAL_TIME, (u64)&stolen | 3), GP0, "a reserved bit");
	G_EQ(rdmsr(MSR_STEAL_TIME), (u64)&stolen | 1, "reads back");
	version = stolen.version;
	G_OK(version && !(version & 1), "version is even: the data are complete");
	g_sync(1);
	G_OK(stolen.version > version && !(stolen.version & 1), "a newer version");
	G_EQ(stolen.flags | stolen.preempted, 0, "the rest");
}

static void host_steal(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_steal);
	vcpu_run_to_sync(vcpu, 1);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- machine checks --- */

#define MCG_CMCI_P	BIT(10)
#define CTL2(bank)	(0x280 + (bank))
#define CTL2_EN		BIT(30)
#define LVT_CMCI	0x2f0
#define CMCI_VECTOR	0x55

static volatile u64 cmcis;

static void on_cmci(struct trap_regs *r)
{
	cmcis++;
	apic_eoi();
}

static void guest_cmci(void)
{
	u64 val;

	if (!changed) {
		G_EQ(try_rdmsr(CTL2(1), &val), GP0, "CTL2 without CMCI");
		return;
	}
	g_trap_fn[CMCI_VECTOR] = on_cmci;
	apic_enable();
	G_EQ(apic_read(APIC_LVR) >> 16 & 0xff, 6, "LVT entries less one");
	apic_write(LVT_CMCI, CMCI_VECTOR);
	G_EQ(try_wrmsr(CTL2(1), CTL2_EN | BIT(29)), GP0, "a reserved bit");
	wrmsr(CTL2(1), CTL2_EN | 7);
	G_EQ(rdmsr(CTL2(1)), CTL2_EN | 7, "CTL2");
	sti();
	g_sync(1);
	G_EQ(cmcis, 1, "interrupts");
	G_EQ(rdmsr(0x406), 0x1000, "address of the error");
	wrmsr(CTL2(1), 0);
	g_sync(2);
	G_EQ(cmcis, 1, "interrupts");
	G_EQ(rdmsr(0x406), 0x2000, "address of the error");
}

static void host_cmci(void)
{
	struct kvm_x86_mce mce = { .status = BIT(63) | BIT(61) | BIT(60) | 0x90, .addr = 0x1000, .bank = 1 };
	struct vm vm;
	struct vcpu *vcpu;
	u64 cap;

	vm_create(&vm, KSFT_IRQCHIP);
	DO(vm.dev, KVM_X86_GET_MCE_CAP_SUPPORTED, &cap);
	if (!(cap & MCG_CMCI_P))
		ksft_skip("no CMCI");
	vcpu = vcpu_create(&vm, 0, guest_cmci);
	vcpu_run_to_end(vcpu);
	cap = MCG_CMCI_P | 4;
	DO(vcpu->fd, KVM_X86_SETUP_MCE, &cap);
	GUEST(&vm, changed) = 1;
	vcpu_start(vcpu, guest_cmci, 0);
	vcpu_run_to_sync(vcpu, 1);
	DO(vcpu->fd, KVM_X86_SET_MCE, &mce);
	vcpu_run_to_sync(vcpu, 2);
	mce.addr = 0x2000;
	DO(vcpu->fd, KVM_X86_SET_MCE, &mce);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- emulation failures, and page tables outside memory --- */

static u64 user_fnsave(u64 arg)
{
	u64 f;

	asm volatile(TRY(".byte 0xdd, 0x30") "mov %%r11, %0" : "=r" (f) : "a" (MMIO_HOLE) : "r11", "memory");
	return f;
}

static void guest_fnsave(void)
{
	/* CR0.MP and EM are unchanged. FNSAVE to memory-mapped I/O is an instruction that no emulator implements. */
	G_EQ(g_user(user_fnsave, 0), changed ? NO_FAULT : UD, "FNSAVE at CPL 3");
}

static void host_emulation(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_regs r;
	u8 *data;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_fnsave);
	vcpu_run_to_end(vcpu);
	EQ(vm_enable_cap(&vm, KVM_CAP_EXIT_ON_EMULATION_FAILURE, 2), EINVAL, "an unknown flag");
	EQ(vm_enable_cap(&vm, KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1), 0, "KVM_CAP_EXIT_ON_EMULATION_FAILURE");
	GUEST(&vm, changed) = 1;
	vcpu_start(vcpu, guest_fnsave, 0);
	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	MUST(vcpu->run->exit_reason == KVM_EXIT_INTERNAL_ERROR, "exit %u", vcpu->run->exit_reason);
	EQ(vcpu->run->internal.suberror, KVM_INTERNAL_ERROR_EMULATION, "suberror");
	EQ(vcpu->run->emulation_failure.flags & 1, 1, "the exit has instruction bytes");
	data = vcpu->run->emulation_failure.insn_bytes;
	OK(vcpu->run->emulation_failure.insn_size >= 2 && data[0] == 0xdd && data[1] == 0x30, "its bytes");
	vcpu_regs(vcpu, &r);
	r.rip += 2;
	vcpu_set_regs(vcpu, &r);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void guest_no_tables(void)
{
	u64 *pml4 = (u64 *)(read_cr3() & ~0xffful), va = 100ul << 39, f;

	pml4[100] = MMIO_HOLE | 7;
	f = try_read8(va);
	G_OK(IS_PF(f), "a page fault");
	G_EQ(PF_ERR(f), 0, "read of a page that is not present");
	G_EQ(read_cr2(), va, "CR2");
	f = try_write8(va, 1);
	G_EQ(f, FAULT(VEC_PF, 2), "a write");
}

static void host_no_tables(void)
{
	struct vm vm;

	if (!is_droste())
		ksft_skip("KVM takes the table entry for the operand and exits to user space for it");
	vm_create(&vm, 0);
	vcpu_run_to_end(vcpu_create(&vm, 0, guest_no_tables));
	vm_destroy(&vm);
}

/* --- other --- */

extern u8 dr_here[];

static void guest_reads_dr(void)
{
	u64 val;

	asm volatile("dr_here: mov %%dr0, %0" : "=r" (val));
	G_EQ(val, 0, "DR0");
}

static void host_dr7_gd(void)
{
	struct kvm_guest_debug d = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP };
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_reads_dr);
	d.arch.debugreg[7] = 0x400 | BIT(13);
	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &d);
	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	EQ(vcpu->run->exit_reason, KVM_EXIT_DEBUG, "MOV DR with DR7.GD set by the debugger");
	EQ(vcpu->run->debug.arch.exception, VEC_DB, "exception");
	EQ(vcpu->run->debug.arch.dr6, 0xffff0ff0 | BIT(13), "DR6");
	EQ(vcpu->run->debug.arch.pc, (u64)dr_here, "address");
	memset(&d, 0, sizeof(d));
	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &d);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_attributes(void)
{
	u64 components = 0;
	struct kvm_device_attr attr = { .attr = KVM_X86_XCOMP_GUEST_SUPP, .addr = (u64)&components };
	int dev = device_open();

	EQ(ioctl(dev, KVM_CHECK_EXTENSION, KVM_CAP_SYS_ATTRIBUTES), 1, "KVM_CAP_SYS_ATTRIBUTES");
	DO(dev, KVM_HAS_DEVICE_ATTR, &attr);
	DO(dev, KVM_GET_DEVICE_ATTR, &attr);
	OK(!components || (components & 3) == 3, "components %#llx", (long long)components);
	attr.addr = 8;
	FAILS(dev, KVM_GET_DEVICE_ATTR, &attr, EFAULT);
	attr.attr = 77;
	FAILS(dev, KVM_HAS_DEVICE_ATTR, &attr, ENXIO);
	FAILS(dev, KVM_GET_DEVICE_ATTR, &attr, ENXIO);
}

static const struct ksft_test tests[] = {
	{ "VMMCALL", .host = host_vmmcall },
	{ "unknown quirks", .host = host_unknown },
	{ "MONITOR", .host = host_mwait },
	{ "LINT0", .host = host_lint0 },
	{ "OUT to 0x7e", .host = host_out_7e },
	{ "MSRs", .host = host_msrs },
	{ "stolen time", .host = host_steal },
	{ "corrected machine checks", .host = host_cmci },
	{ "emulation failures", .host = host_emulation },
	{ "page tables outside memory", .host = host_no_tables },
	{ "DR7.GD set by a debugger", .host = host_dr7_gd },
	{ "device attributes", .host = host_attributes },
};
KSFT_MAIN(tests)

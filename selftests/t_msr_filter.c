// SPDX-License-Identifier: GPL-2.0
/* MSR filters, and MSR accesses of L1 and L2 that user space handles. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "vm.h"
#include "vmx.h"

#define RD	KVM_MSR_FILTER_READ
#define WR	KVM_MSR_FILTER_WRITE
#define ALL_REASONS (KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_FILTER)
#define NO_MSR	0xdeadbeef
#define READ	1
#define WRITE	2

/* --- the guest performs accesses one by one and reports the result of each --- */

static volatile u64 op, which, value;

static void guest_accesses(void)
{
	u64 fault, v;

	for (;;) {
		v = 0;
		fault = op == READ ? try_rdmsr(which, &v) : try_wrmsr(which, value);
		g_sync2(fault, v);
	}
}

static void prepare(struct vcpu *vcpu, u64 what, u32 msr, u64 val)
{
	GUEST(vcpu->vm, op) = what;
	GUEST(vcpu->vm, which) = msr;
	GUEST(vcpu->vm, value) = val;
}

static void expect_end(struct vcpu *vcpu, int line, u64 fault, u64 val)
{
	u64 args[4];

	MUST(vcpu_run_to_call(vcpu, args) == GCALL_SYNC, "line %d: the guest continues", line);
	EQ(args[0], fault, "line %d: fault", line);
	EQ(args[1], val, "line %d: value", line);
}

/* The access succeeds without an exit to user space, or faults. */
#define READS(nr, val) do { prepare(vcpu, READ, nr, 0); expect_end(vcpu, __LINE__, NO_FAULT, val); } while (0)
#define READ_FAULTS(nr) do { prepare(vcpu, READ, nr, 0); expect_end(vcpu, __LINE__, GP0, 0); } while (0)
#define WRITES(nr, val) do { prepare(vcpu, WRITE, nr, val); expect_end(vcpu, __LINE__, NO_FAULT, 0); } while (0)
#define WRITE_FAULTS(nr, val) do { prepare(vcpu, WRITE, nr, val); expect_end(vcpu, __LINE__, GP0, 0); } while (0)

/* The access exits to user space. */
static void expect_exit(struct vcpu *vcpu, int line, u64 what, u32 reason, u64 data)
{
	struct kvm_run *run = vcpu->run;
	int i;

	memset(&run->msr, 0xff, sizeof(run->msr));
	EQ(vcpu_run_once(vcpu), 0, "line %d: KVM_RUN", line);
	MUST(run->exit_reason == (what == READ ? KVM_EXIT_X86_RDMSR : KVM_EXIT_X86_WRMSR),
	     "line %d: exit reason %u", line, run->exit_reason);
	EQ(run->msr.error, 0, "line %d: error", line);
	for (i = 0; i < (int)sizeof(run->msr.pad); i++)
		EQ(run->msr.pad[i], 0, "line %d: padding", line);
	EQ(run->msr.reason, reason, "line %d: reason", line);
	EQ(run->msr.index, GUEST(vcpu->vm, which), "line %d: index", line);
	if (what == WRITE)
		EQ(run->msr.data, data, "line %d: data", line);
}

#define READ_ASKS(nr, why, answer) do { \
	prepare(vcpu, READ, nr, 0); \
	expect_exit(vcpu, __LINE__, READ, KVM_MSR_EXIT_REASON_##why, 0); \
	vcpu->run->msr.data = answer; \
	expect_end(vcpu, __LINE__, NO_FAULT, answer); \
} while (0)
#define WRITE_ASKS(nr, why, val) do { \
	prepare(vcpu, WRITE, nr, val); \
	expect_exit(vcpu, __LINE__, WRITE, KVM_MSR_EXIT_REASON_##why, val); \
	expect_end(vcpu, __LINE__, NO_FAULT, 0); \
} while (0)

/* --- filters --- */

static u8 none[KVM_MSR_FILTER_MAX_BITMAP_SIZE], all[KVM_MSR_FILTER_MAX_BITMAP_SIZE];

static void add(struct kvm_msr_filter *f, int i, u32 access, u32 base, u32 n, u8 *bitmap)
{
	f->ranges[i] = (struct kvm_msr_filter_range) { .flags = access, .nmsrs = n, .base = base, .bitmap = bitmap };
}

static void allow_all(struct vm *vm)
{
	struct kvm_msr_filter f = { 0 };

	DO(vm->fd, KVM_X86_SET_MSR_FILTER, &f);
}

/* Allows everything except @access to @msr. */
static void deny(struct vm *vm, u32 access, u32 msr)
{
	struct kvm_msr_filter f = { 0 };

	add(&f, 0, access, msr, 1, none);
	DO(vm->fd, KVM_X86_SET_MSR_FILTER, &f);
}

static void ask_for(struct vm *vm, u64 reasons)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR, .args[0] = reasons };

	DO(vm->fd, KVM_ENABLE_CAP, &cap);
}

static struct vcpu *create(struct vm *vm, unsigned int flags, void (*fn)(void))
{
	vm_create(vm, flags);
	if (ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_X86_MSR_FILTER) <= 0)
		ksft_skip("no MSR filters");
	memset(all, 0xff, sizeof(all));
	return vcpu_create(vm, 0, fn);
}

/* --- subtests --- */

static void host_arguments(void)
{
	struct kvm_msr_filter f = { 0 };
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR };
	struct vm vm;
	u64 i;

	create(&vm, 0, guest_accesses);
	EQ(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_X86_USER_SPACE_MSR), 1, "capability");
	for (i = 0; i < 64; i++) {
		cap.args[0] = BIT(i);
		EQ(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), BIT(i) & ALL_REASONS ? 0 : -1ul, "reason bit %d", (int)i);
	}
	add(&f, 0, RD, 0, 1, none);
	for (i = 1; i < 32; i++) {
		f.flags = BIT(i);
		FAILS(vm.fd, KVM_X86_SET_MSR_FILTER, &f, EINVAL);
	}
	f.flags = KVM_MSR_FILTER_DEFAULT_DENY;
	DO(vm.fd, KVM_X86_SET_MSR_FILTER, &f);
	for (i = 2; i < 32; i++) {
		f.ranges[0].flags = RD | BIT(i);
		FAILS(vm.fd, KVM_X86_SET_MSR_FILTER, &f, EINVAL);
	}
	f.ranges[0].flags = 0;
	FAILS(vm.fd, KVM_X86_SET_MSR_FILTER, &f, EINVAL);
	add(&f, 0, RD, 0, sizeof(none) * 8, none);
	DO(vm.fd, KVM_X86_SET_MSR_FILTER, &f);
	f.ranges[0].nmsrs++;
	FAILS(vm.fd, KVM_X86_SET_MSR_FILTER, &f, EINVAL);
	f.ranges[0].nmsrs = ~0u;
	FAILS(vm.fd, KVM_X86_SET_MSR_FILTER, &f, EINVAL);
	add(&f, 0, RD, 0, 1, (u8 *)8);
	FAILS(vm.fd, KVM_X86_SET_MSR_FILTER, &f, EFAULT);
	/* A range of no MSRs is ignored, regardless of its other members. */
	add(&f, 0, ~0u, 0, 0, NULL);
	FAILS(vm.fd, KVM_X86_SET_MSR_FILTER, &f, EINVAL);
	f.flags = 0;
	DO(vm.fd, KVM_X86_SET_MSR_FILTER, &f);
	vm_destroy(&vm);
}

/* MSRs that a guest without a filter accesses without an exit, and one that always exits. */
static void host_faults(void)
{
	static const u32 msrs[] = { MSR_KERNEL_GS_BASE, MSR_GS_BASE, MSR_SYSENTER_ESP, MSR_CSTAR };
	struct vm vm;
	struct vcpu *vcpu = create(&vm, 0, guest_accesses);
	u64 i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		WRITES(msrs[i], 0x1000 + i);
		deny(&vm, RD, msrs[i]);
		READ_FAULTS(msrs[i]);
		WRITES(msrs[i], 0x2000 + i);
		deny(&vm, WR, msrs[i]);
		READS(msrs[i], 0x2000 + i);
		WRITE_FAULTS(msrs[i], 0x3000);
		deny(&vm, RD | WR, msrs[i]);
		READ_FAULTS(msrs[i]);
		WRITE_FAULTS(msrs[i], 0x3000);
		deny(&vm, RD | WR, msrs[i] + 1);
		READS(msrs[i], 0x2000 + i);
		allow_all(&vm);
		READS(msrs[i], 0x2000 + i);
	}
	/* MSRs that guests may read without an exit, but not write. */
	deny(&vm, RD, MSR_TSC);
	READ_FAULTS(MSR_TSC);
	deny(&vm, RD, MSR_DEBUGCTL);
	READ_FAULTS(MSR_DEBUGCTL);
	/* The filter does not apply to user space. */
	deny(&vm, RD | WR, MSR_KERNEL_GS_BASE);
	EQ(vcpu_set_msr(vcpu, MSR_KERNEL_GS_BASE, 0x4000), 0, "KVM_SET_MSRS");
	allow_all(&vm);
	READS(MSR_KERNEL_GS_BASE, 0x4000);
	vm_destroy(&vm);
}

/* The first range that covers an access decides; the default applies if none does. */
static void host_ranges(void)
{
	struct kvm_msr_filter f = { .flags = KVM_MSR_FILTER_DEFAULT_DENY };
	u8 second[1] = { 2 };
	struct vm vm;
	struct vcpu *vcpu = create(&vm, 0, guest_accesses);

	WRITES(MSR_LSTAR, 0x1111);
	WRITES(MSR_CSTAR, 0x2222);
	WRITES(MSR_SYSENTER_CS, 0x33);
	add(&f, 0, RD, MSR_LSTAR, 2, second);
	add(&f, 3, WR, MSR_LSTAR, 1, all);
	add(&f, 4, RD | WR, MSR_LSTAR, 2, all);
	add(&f, 5, RD, MSR_SYSENTER_CS, 1, all);
	DO(vm.fd, KVM_X86_SET_MSR_FILTER, &f);
	READ_FAULTS(MSR_LSTAR);
	READS(MSR_CSTAR, 0x2222);
	WRITES(MSR_LSTAR, 0x5555);
	WRITES(MSR_CSTAR, 0x6666);
	READS(MSR_SYSENTER_CS, 0x33);
	WRITE_FAULTS(MSR_SYSENTER_CS, 0x44);
	READ_FAULTS(MSR_STAR);
	READ_FAULTS(MSR_EFER);
	allow_all(&vm);
	READS(MSR_LSTAR, 0x5555);
	READS(MSR_CSTAR, 0x6666);
	READS(MSR_SYSENTER_CS, 0x33);
	vm_destroy(&vm);
}

static void host_asks(void)
{
	struct vm vm;
	struct vcpu *vcpu = create(&vm, 0, guest_accesses);

	READ_FAULTS(NO_MSR);
	ask_for(&vm, ALL_REASONS);
	READ_ASKS(NO_MSR, UNKNOWN, 0x123456789abcdef0);
	WRITE_ASKS(NO_MSR, UNKNOWN, 0x0fedcba987654321);
	WRITE_ASKS(MSR_PAT, INVAL, 2);
	READS(MSR_PAT, 0x0007040600070406);
	deny(&vm, RD | WR, MSR_GS_BASE);
	READ_ASKS(MSR_GS_BASE, FILTER, 0x77);
	WRITE_ASKS(MSR_GS_BASE, FILTER, 0x88);
	/* User space may request #GP. */
	prepare(vcpu, READ, MSR_GS_BASE, 0);
	expect_exit(vcpu, __LINE__, READ, KVM_MSR_EXIT_REASON_FILTER, 0);
	vcpu->run->msr.error = 1;
	expect_end(vcpu, __LINE__, GP0, 0);
	prepare(vcpu, WRITE, NO_MSR, 5);
	expect_exit(vcpu, __LINE__, WRITE, KVM_MSR_EXIT_REASON_UNKNOWN, 5);
	vcpu->run->msr.error = 0xff;
	expect_end(vcpu, __LINE__, GP0, 0);
	/* Exits occur only for the reasons that user space enabled. */
	ask_for(&vm, KVM_MSR_EXIT_REASON_UNKNOWN);
	READ_FAULTS(MSR_GS_BASE);
	WRITE_FAULTS(MSR_PAT, 2);
	READ_ASKS(NO_MSR, UNKNOWN, 1);
	ask_for(&vm, KVM_MSR_EXIT_REASON_FILTER);
	READ_FAULTS(NO_MSR);
	READ_ASKS(MSR_GS_BASE, FILTER, 2);
	ask_for(&vm, 0);
	READ_FAULTS(MSR_GS_BASE);
	allow_all(&vm);
	READS(MSR_GS_BASE, 0);
	vm_destroy(&vm);
}

static void guest_x2apic(void)
{
	apic_x2_enable();
	guest_accesses();
}

static void host_x2apic(void)
{
	struct kvm_msr_filter f = { .flags = KVM_MSR_FILTER_DEFAULT_DENY };
	struct vm vm;
	struct vcpu *vcpu = create(&vm, KSFT_IRQCHIP, guest_x2apic);

	WRITES(MSR_X2APIC(APIC_TPR), 0x20);
	add(&f, 0, RD | WR, 0x800, 0x100, none);
	DO(vm.fd, KVM_X86_SET_MSR_FILTER, &f);
	READS(MSR_X2APIC(APIC_TPR), 0x20);
	WRITES(MSR_X2APIC(APIC_TPR), 0x30);
	READ_FAULTS(MSR_APIC_BASE);
	vm_destroy(&vm);
}

/* --- a filter set while the guest runs takes effect at once --- */

static void guest_reads_on(void)
{
	u64 v;

	g_sync(1);
	while (try_rdmsr(MSR_GS_BASE, &v) == NO_FAULT)
		relax();
}

static void host_while_running(void)
{
	struct vm vm;
	struct vcpu *vcpu = create(&vm, 0, guest_reads_on);
	pthread_t thread;

	vcpu_run_to_sync(vcpu, 1);
	vcpu_thread(vcpu, &thread);
	deny(&vm, RD, MSR_GS_BASE);
	pthread_join(thread, NULL);
	OK(vcpu->done, "the guest was denied the access");
	vm_destroy(&vm);
}

/* --- L2 --- */

extern char c_rdmsr[], c_wrmsr[];
asm(".pushsection .text\n"
	"c_rdmsr: rdmsr\nvmcall\n"
	"c_wrmsr: wrmsr\nvmcall\n"
	".popsection\n");

static volatile u64 l1_map, l1_load_list;

static void guest_l1(void)
{
	u8 *map = g_page();
	struct {
		u32 msr, zero;
		u64 val;
	} *list = g_page();

	vmcs_new((void (*)(void))(u64)c_rdmsr);
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	vmwrite(F_MSR_BITMAP, (u64)map);
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_GP));
	vmwrite(F_ENTRY_MSR_LOAD, (u64)list);
	for (;;) {
		u64 reason;

		g_fill(map, l1_map, 4096);
		l2.rcx = which;
		l2.rax = (u32)value;
		l2.rdx = value >> 32;
		vmwrite(F_RIP, (u64)(op == READ ? c_rdmsr : c_wrmsr));
		list[0].msr = which;
		list[0].val = value;
		vmwrite(F_ENTRY_LOAD_COUNT, l1_load_list);
		reason = vmx_run();
		g_sync2(reason, (u32)l2.rax | l2.rdx << 32);
	}
}

static void l2_ends(struct vcpu *vcpu, int line, u64 reason, u64 val)
{
	u64 args[4];

	MUST(vcpu_run_to_call(vcpu, args) == GCALL_SYNC, "line %d: L1 continues", line);
	EQ(args[0], reason, "line %d: L2's exit reason", line);
	EQ(args[1], val, "line %d: value", line);
}

#define L2(what, nr, val, reason, result) do { \
	prepare(vcpu, what, nr, val); \
	l2_ends(vcpu, __LINE__, reason, result); \
} while (0)

static void host_l2(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vm_destroy(&vm);
	vcpu = create(&vm, 0, guest_l1);
	L2(WRITE, MSR_KERNEL_GS_BASE, 0x1234, R_VMCALL, 0x1234);
	L2(READ, MSR_KERNEL_GS_BASE, 0, R_VMCALL, 0x1234);
	deny(&vm, RD, MSR_KERNEL_GS_BASE);
	L2(READ, MSR_KERNEL_GS_BASE, 0, R_EXCEPTION, 0);
	L2(WRITE, MSR_KERNEL_GS_BASE, 0x5678, R_VMCALL, 0x5678);
	ask_for(&vm, ALL_REASONS);
	prepare(vcpu, READ, MSR_KERNEL_GS_BASE, 0);
	expect_exit(vcpu, __LINE__, READ, KVM_MSR_EXIT_REASON_FILTER, 0);
	vcpu->run->msr.data = 0x1122334455667788;
	l2_ends(vcpu, __LINE__, R_VMCALL, 0x1122334455667788);
	prepare(vcpu, WRITE, NO_MSR & 0x1fff, 0x99);
	expect_exit(vcpu, __LINE__, WRITE, KVM_MSR_EXIT_REASON_UNKNOWN, 0x99);
	vcpu->run->msr.error = 1;
	l2_ends(vcpu, __LINE__, R_EXCEPTION, 0x99);
	/* An access that L1 intercepts exits to L1. */
	GUEST(&vm, l1_map) = 0xff;
	L2(READ, MSR_KERNEL_GS_BASE, 0, R_RDMSR, 0);
	GUEST(&vm, l1_map) = 0;
	allow_all(&vm);
	L2(READ, MSR_KERNEL_GS_BASE, 0, R_VMCALL, 0x5678);
	/* The filter applies to the VM-entry MSR-load list, but user space is not asked. */
	GUEST(&vm, l1_load_list) = 1;
	L2(READ, MSR_KERNEL_GS_BASE, 0x4321, R_VMCALL, 0x4321);
	deny(&vm, WR, MSR_KERNEL_GS_BASE);
	L2(READ, MSR_KERNEL_GS_BASE, 0x4444, R_FAILED_ENTRY | R_BAD_MSRS, 0x4444);
	vm_destroy(&vm);
}

/* In VMX operation, L0 may let L1 write these without exits. */
static void guest_in_vmx(void)
{
	vmx_on();
	guest_accesses();
}

static void host_in_vmx(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vm_destroy(&vm);
	vcpu = create(&vm, 0, guest_in_vmx);
	WRITES(MSR_LSTAR, 0x1111);
	WRITE_FAULTS(MSR_LSTAR, BIT(62));
	ask_for(&vm, ALL_REASONS);
	WRITE_ASKS(MSR_LSTAR, INVAL, BIT(62));
	READS(MSR_LSTAR, 0x1111);
	deny(&vm, RD | WR, MSR_LSTAR);
	READ_ASKS(MSR_LSTAR, FILTER, 0x77);
	ask_for(&vm, 0);
	allow_all(&vm);
	WRITE_FAULTS(MSR_LSTAR, BIT(62));
	READS(MSR_LSTAR, 0x1111);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "arguments", .host = host_arguments },
	{ "denied accesses raise #GP", .host = host_faults },
	{ "ranges and the default", .host = host_ranges },
	{ "exits to user space", .host = host_asks },
	{ "the local APIC is not filtered", .host = host_x2apic },
	{ "a filter takes effect at once", .host = host_while_running },
	{ "L2", .host = host_l2 },
	{ "L1 in VMX operation", .host = host_in_vmx },
};
KSFT_MAIN(tests)

// SPDX-License-Identifier: GPL-2.0
/* Many reflections in a row, between which L1, user space or the host changes something that shortcuts could miss. */
/* Its fellows are t_vmx_hotfields, for controls, and t_vmx_hothost, for what user space and the host do. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "hotinject.h"
#include "hotwrite.h"
#include "vm.h"
#include "vmx.h"

static u64 other_vmcs;

static void l2_work(u64 turn)
{
	l2_flip(l2_flips, turn);
	l2_cause(l2_exits, turn);
}

/* --- what L1 changes --- */

static void c_host_data(void)
{
	vmwrite(F_HOST_DS, SEL_DS);
	vmwrite(F_HOST_FS, SEL_DS);
	spin();
	LOAD("ds", 0);
	LOAD("fs", 0);
}

/* VMWRITEs. The log shows their effects; the fields themselves are read by L1. */
static void w_host_rsp(void)	{ write_host_rsp(this_vmcs, vmx_region_on); vmx_keep_host(); }
static void w_eptp(void)	{ vmwrite(F_EPTP, ept_new()); }

/* L2 receives the injected #GP. */
static void on_gp(struct trap_regs *regs)
{
	l2_seen[11] = regs->error;
}

/* The error code is written before it matters; L1 must read it back, and the injection must use it. */
static void w_error_code(void)
{
	vmwrite(F_ENTRY_ERROR, 0x40);
	vmwrite(F_ENTRY_ILEN, 3);
	vmwrite(F_TPR_THRESHOLD, 2);
	spin();
	g_trap_fn[VEC_GP] = on_gp;
	vmwrite(F_ENTRY_INTR_INFO, 0x80000b0d);
}

static void c_bitmap(void)
{
	no_bits[1024 + 0x100 / 8] = 1;		/* reads of IA32_FS_BASE */
}

static void c_invalidate(void)
{
	G_EQ(invvpid(1, (struct inv_desc) { 5, 0 }), VM_OK, "INVVPID");
	G_EQ(invept_all(), VM_OK, "INVEPT");
}

static void c_clear(void)
{
	G_EQ(vmclear(this_vmcs), VM_OK, "VMCLEAR");
	vmcs_load(this_vmcs);
}

static void c_other(void)
{
	u64 first = this_vmcs;

	start();
	spin();
	other_vmcs = this_vmcs;
	vmcs_load(first);
	vmx_launched(true);
	spin();
	vmcs_load(other_vmcs);
	vmx_launched(true);
}

/* Where L0 emulates CR4.UMIP, LGDT and LIDT exit. L1's CR4 stays as it is at the next exits. */
static void c_tables_umip(void)
{
	u64 umip = CPUID_REG(7, 0, c) & BIT(2) ? BIT(11) : 0;
	struct dtr gdt, idt;

	write_cr4(read_cr4() | umip);
	vmwrite(F_HOST_CR4, vmread(F_HOST_CR4) | umip);
	turns(2);
	sgdt(&gdt);
	gdt.limit -= 8;
	asm volatile("lgdt %0" : : "m" (gdt));
	sidt(&idt);
	idt.limit -= 16;
	lidt(&idt);
}

static void c_syscall_vmxoff(void)
{
	c_syscall();
	G_EQ(vmclear(this_vmcs), VM_OK, "VMCLEAR");
	G_EQ(vmxoff(), VM_OK, "VMXOFF");
	c_syscall();
	G_EQ(vmxon(vmx_region_on), VM_OK, "VMXON");
	vmcs_load(this_vmcs);
}

static void c_vmxoff(void)
{
	G_EQ(vmclear(this_vmcs), VM_OK, "VMCLEAR");
	G_EQ(vmxoff(), VM_OK, "VMXOFF");
	c_sysenter();
	c_tables();
	G_EQ(vmxon(vmx_region_on), VM_OK, "VMXON");
	vmcs_load(this_vmcs);
}

/* A TPR threshold above VTPR makes an entry fail, unless APIC accesses are virtualized. Others must not be held up by it. */
static void w_threshold(void)
{
	static u8 virtual_apic[4096] __attribute__((aligned(4096)));
	volatile u8 *vtpr = virtual_apic + 0x80;

	if (!ctl_has(F_PROC, PROC_TPR_SHADOW))
		return;
	vmset(F_PROC, PROC_TPR_SHADOW);
	vmwrite(F_VIRTUAL_APIC, (u64)virtual_apic);
	vmwrite(F_TPR_THRESHOLD, 0);
	*vtpr = 0x50;
	turns(TURNS);
	vmwrite(F_TPR_THRESHOLD, 5);
	turns(TURNS);
	*vtpr = 0x40;
	noted = noted * 31 + vmx_try_enter(false);
	vmwrite(F_TPR_THRESHOLD, 0);
	turns(TURNS);
	vmwrite(F_TPR_THRESHOLD, 5);
	noted = noted * 31 + vmx_try_enter(false);
	vmwrite(F_TPR_THRESHOLD, 0);
}

static void c_nothing(void)
{
}

/* --- what L2 changes --- */

static void l2_changes(u64 flips)
{
	u64 *copy = g_page();

	g_copy(copy, (void *)(read_cr3() & ~0xffful), 4096);
	l2_cr3[0] = read_cr3();
	l2_cr3[1] = (u64)copy;
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_UD));
	if (flips & FLIP_DR)
		vmset(F_PROC, PROC_DR);
	l2_flips = flips;
	turns(12);
	l2_flips = 0;
	if (flips & FLIP_DR)
		vmclr(F_PROC, PROC_DR);
	turns(2);
}

static void d_crs(void)		{ l2_changes(FLIP_CR); }
static void d_crs_twice(void)	{ l2_changes(FLIP_CR | FLIP_UD); }
static void d_cr3(void)		{ l2_changes(FLIP_CR3); }
static void d_ss(void)		{ l2_changes(FLIP_SS); }
static void d_sti(void)		{ l2_changes(FLIP_STI); }
static void d_exception(void)	{ l2_changes(FLIP_UD); }
static void d_dr(void)		{ l2_changes(FLIP_DR); }
static void d_all(void)		{ l2_changes(FLIP_CR | FLIP_CR3 | FLIP_SS | FLIP_STI | FLIP_UD | FLIP_DR); }

/* --- exits that L1 answers by a change --- */

static void answer_crs(u64 exits, u64 answer)
{
	vmwrite(F_CR0_MASK, CR0_TS);
	vmwrite(F_CR0_SHADOW, vmread(F_GUEST_CR0) | (exits & CLEARS_TS ? CR0_TS : 0));
	vmwrite(F_GUEST_CR0, vmread(F_CR0_SHADOW));
	vmwrite(F_CR4_MASK, CR4_TSD);
	vmwrite(F_CR4_SHADOW, vmread(F_GUEST_CR4));
	l1_answer = answer;
	l1_vmcs = this_vmcs;
	l2_exits = exits;
	turns(30);
	while (vmx_run() != R_CPUID)
		l1_answers(R_CR);
	vmx_skip();
	/* Out of the window, after which the entries have other values. */
	vmwrite(F_CR4_SHADOW, vmread(F_CR4_SHADOW) ^ CR4_TSD);
	turns(30);
	while (vmx_run() != R_CPUID)
		l1_answers(R_CR);
	vmx_skip();
	l2_exits = 0;
	turns(2);
}

static void a_crs(void)			{ answer_crs(MOVES_CR, 0); }
static void a_crs_seen(void)		{ answer_crs(MOVES_CR, ONLY_SHADOW); }
static void a_crs_controls(void)	{ answer_crs(MOVES_CR, WITH_CONTROLS); }
static void a_crs_clear(void)		{ answer_crs(MOVES_CR, WITH_VMCLEAR); }
static void a_crs_bad_cr4(void)		{ answer_crs(MOVES_CR, BAD_CR4); }
static void a_crs_bad_cr0(void)		{ answer_crs(MOVES_CR, BAD_CR0); }
static void a_crs_read(void)		{ answer_crs(MOVES_CR, READ_BACK); }
static void a_crs_ignored(void)		{ answer_crs(MOVES_CR, NOT_AT_ONCE); }
static void a_crs_l0(void)		{ answer_crs(MOVES_CR | MOVES_MCE, 0); }
static void a_ts(void)			{ answer_crs(CLEARS_TS, 0); }

/* L2 reads back what it has written, as far as exits save it. */
static void d_debugctl(void)
{
	l2_exits = SETS_DEBUGCTL;
	turns(40);
	vmclr(F_EXIT_CTLS, EXIT_SAVE_DEBUG);
	turns(40);
	l2_exits = 0;
	turns(2);
}

/* With EPT, MOV to CR3 exits as well, but VMWRITEs of CR3 do. */
static void answer_cr3(void)
{
	u64 *copy = g_page();

	g_copy(copy, (void *)(read_cr3() & ~0xffful), 4096);
	l2_cr3[0] = (u64)copy;
	l2_cr3[1] = read_cr3();
	vmset(F_PROC, PROC_CR3_LOAD);
	answer_crs(MOVES_CR3, 0);
	answer_crs(MOVES_CR3 | MOVES_CR, 0);
	vmclr(F_PROC, PROC_CR3_LOAD);
}

static void a_cr3(void)			{ answer_cr3(); }
static void a_cr3_no_ept(void)		{ w_no_ept(); answer_cr3(); }

static void answer_ept(u64 kind, bool flags)
{
	u64 used = eptp;

	if (flags) {
		if (!(ept_caps() & BIT(21)))
			return;
		used |= BIT(6);
	}
	vmwrite(F_EPTP, used);
	far_begin(eptp, kind, kind == FAR_READ_ONLY && flags ? EPT_A | EPT_D : 0, flags ? EPT_A : 0);
	l2_exits = TOUCHES;
	turns(60);
	while (vmx_run() != R_CPUID)
		far_show();
	vmx_skip();
	far_kind = FAR_MAPPED;
	l2_exits = 0;
	turns(2);
}

static void a_ept_absent(void)		{ answer_ept(FAR_ABSENT, false); }
static void a_ept_read_only(void)	{ answer_ept(FAR_READ_ONLY, false); }
static void a_ept_misconfigured(void)	{ answer_ept(FAR_WRITE_ONLY, false); }
static void a_ept_table(void)		{ answer_ept(FAR_NO_TABLE, false); }
static void a_ept_tables(void)		{ answer_ept(FAR_OTHER_TABLE, false); }
static void a_ept_table_rights(void)	{ answer_ept(FAR_TABLE_READ_ONLY, false); }
static void a_ept_flags(void)		{ answer_ept(FAR_ABSENT, true); }
static void a_ept_flags_rights(void)	{ answer_ept(FAR_READ_ONLY, true); }
static void a_inject_faulting(void)	{ inject_faulting(eptp); }

/* The timer counts down, and an exit saves what is left. */
static void w_timer(void)
{
	u64 left = 0xf0000000, i;

	if (!ctl_has(F_PIN, PIN_TIMER) || !ctl_has(F_EXIT_CTLS, EXIT_SAVE_TIMER))
		return;
	vmset(F_PIN, PIN_TIMER);
	vmset(F_EXIT_CTLS, EXIT_SAVE_TIMER);
	vmwrite(F_TIMER, left);
	for (i = 0; i < TURNS; i++) {
		turns(1);
		G_OK(vmread(F_TIMER) < left, "the timer counts down");
		left = vmread(F_TIMER);
	}
	vmclr(F_EXIT_CTLS, EXIT_SAVE_TIMER);
	turns(2);
	G_EQ(vmread(F_TIMER), left, "the timer's value, not saved");
	vmclr(F_PIN, PIN_TIMER);
}

/* --- what user space and the host change --- */

static void h_regs(struct vm *vm)
{
	struct kvm_regs regs;

	vcpu_regs(&vm->vcpu[0], &regs);
	vcpu_set_regs(&vm->vcpu[0], &regs);
}

static void h_segments(struct vm *vm)
{
	struct kvm_sregs s;

	vcpu_sregs(&vm->vcpu[0], &s);
	s.ds = s.ss;
	s.fs = s.ss;
	s.gdt.limit -= 8;
	s.idt.limit -= 16;
	s.tr.limit = 0x6f;
	vcpu_set_sregs(&vm->vcpu[0], &s);
}

static void h_sysenter(struct vm *vm)
{
	vcpu_set_msr(&vm->vcpu[0], MSR_SYSENTER_EIP, 0x99000);
}

static void h_syscall(struct vm *vm)
{
	vcpu_set_msr(&vm->vcpu[0], MSR_STAR, 0x0033002300000000);
	vcpu_set_msr(&vm->vcpu[0], MSR_LSTAR, 0x88000);
	vcpu_set_msr(&vm->vcpu[0], MSR_FMASK, 0x700);
}

/* Processors ignore bits 63:32, which the host does not load. */
static void h_fmask_high(struct vm *vm)
{
	vcpu_set_msr(&vm->vcpu[0], MSR_FMASK, 0x1200000700);
}

static void h_tsc(struct vm *vm)
{
	vcpu_set_msr(&vm->vcpu[0], MSR_TSC, 0x123456789);
}

static void h_debug(struct vm *vm)
{
	struct kvm_guest_debug d = { .control = KVM_GUESTDBG_ENABLE };

	DO(vm->vcpu[0].fd, KVM_SET_GUEST_DEBUG, &d);
}

static void h_dirty_log(struct vm *vm)
{
	vm_slot(vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, MEM_SIZE, vm->mem);
}

static void h_slot(struct vm *vm)
{
	vm_slot(vm, 0, 0, 0, 0, NULL);
	vm_slot(vm, 0, 0, 0, MEM_SIZE, vm->mem);
}

static void h_msr_filter(struct vm *vm)
{
	static u8 bits[8];
	struct kvm_msr_filter f = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges[0] = { .flags = KVM_MSR_FILTER_READ, .nmsrs = 1, .base = MSR_KERNEL_GS_BASE, .bitmap = bits },
	};

	bits[0] = 1;
	DO(vm->fd, KVM_X86_SET_MSR_FILTER, &f);
}

static void h_move(struct vm *vm)
{
	cpu_set_t set, one;
	int cpu;

	sched_getaffinity(0, sizeof(set), &set);
	CPU_ZERO(&one);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && cpu != sched_getcpu())
			CPU_SET(cpu, &one);
	if (CPU_COUNT(&one))
		sched_setaffinity(0, sizeof(one), &one);
	usleep(1000);
	sched_setaffinity(0, sizeof(set), &set);
}

/* An exit while L2 is halted, after which L1 lets it stay so. */
static void w_halted(void)
{
	u64 i;

	if (!ctl_has(F_PIN, PIN_TIMER))
		return;
	vmset(F_PIN, PIN_TIMER);
	vmwrite(F_TIMER, 5000);
	l2_flips = FLIP_HLT;
	for (i = 0; i < 4; i++) {
		G_EQ(vmx_run(), R_TIMER, "the timer ends the wait");
		G_EQ(vmread(F_ACTIVITY), 1, "L2 is halted");
	}
	l2_flips = 0;
	vmwrite(F_ACTIVITY, 0);
	vmclr(F_PIN, PIN_TIMER);
}

static const struct row rows[] = {
	{ "nothing", c_nothing },
	{ "data segments", c_data },
	{ "data segments, null again", c_data_and_back },
	{ "host selectors that are not null", c_host_data },
	{ "bases of FS and GS", c_bases },
	{ "a null SS", c_ss },
	{ "DS", c_ds },
	{ "ES", c_es },
	{ "FS", c_fs },
	{ "GS", c_gs },
	{ "another base of SS with the same selector", c_ss_base },
	{ "another limit of SS", c_ss_limit },
	{ "other access rights of SS", c_ss_rights },
	{ "CS", c_cs },
	{ "other access rights of CS", c_cs_rights },
	{ "GDTR, IDTR, TR and LDTR", c_tables },
	{ "GDTR and IDTR with CR4.UMIP", c_tables_umip },
	{ "SYSENTER MSRs", c_sysenter },
	{ "SYSCALL MSRs", c_syscall },
	{ "SYSCALL MSRs, and VMXOFF", c_syscall_vmxoff },
	{ "CR0", c_cr0 },
	{ "CR0.CD", c_cd },
	{ "CR4", c_cr4 },
	{ "CR3", c_cr3 },
	{ "DR7", c_dr7 },
	{ "IA32_DEBUGCTL", c_debugctl },
	{ "IA32_PAT", c_pat },
	{ "IA32_EFER", c_efer },
	{ "blocking by STI", c_sti },
	{ "L1's TSC", c_tsc },
	{ "primary controls", w_proc },
	{ "exception bitmap", w_exceptions },
	{ "CR0 mask", w_cr0_mask },
	{ "CR4 mask", w_cr4_mask },
	{ "L2's CR0", w_cr0 },
	{ "L2's CR4", w_cr4 },
	{ "L2's CR3", w_cr3 },
	{ "host CR3", w_host_cr3 },
	{ "host CR4", w_host_cr4 },
	{ "host RSP", w_host_rsp },
	{ "host bases", w_host_bases },
	{ "host SYSENTER", w_host_sysenter },
	{ "host PAT", w_host_pat },
	{ "host EFER", w_host_efer },
	{ "exits do not load PAT", w_no_host_pat },
	{ "L2's PAT", w_guest_pat },
	{ "L2's EFER", w_guest_efer },
	{ "L2's DR7", w_guest_dr7 },
	{ "L2's IA32_DEBUGCTL", w_guest_debugctl },
	{ "entries do not load debug controls", w_no_debug },
	{ "rare state of L2", w_rare },
	{ "L2's RFLAGS", w_rflags },
	{ "L2's RSP", w_rsp },
	{ "blocking in L2", w_blocking },
	{ "blocking of virtual NMIs", w_vnmi_blocking },
	{ "another VPID", w_vpid },
	{ "no VPID", w_no_vpid },
	{ "TPR threshold", w_threshold },
	{ "another EPTP", w_eptp },
	{ "no EPT", w_no_ept },
	{ "TSC offset", w_tsc_offset },
	{ "no virtual NMIs", w_no_vnmi },
	{ "no secondary controls", w_no_secondary },
	{ "an error code, injected later", w_error_code },
	{ "RIP that is not canonical", w_bad_rip },
	{ "RFLAGS with reserved bits", w_bad_rflags },
	{ "RFLAGS.VM", w_vm86 },
	{ "MSR bitmap in memory", c_bitmap },
	{ "INVVPID and INVEPT", c_invalidate },
	{ "VMCLEAR", c_clear },
	{ "another VMCS", c_other },
	{ "VMXOFF", c_vmxoff },
	{ "CR0 and CR4 that L2 changes", d_crs },
	{ "CR0 and CR4 that L2 changes twice", d_crs_twice },
	{ "CR3 that L2 changes", d_cr3 },
	{ "SS that L2 changes", d_ss },
	{ "STI before CPUID in L2", d_sti },
	{ "exceptions between CPUIDs", d_exception },
	{ "debug registers between CPUIDs", d_dr },
	{ "IA32_DEBUGCTL that L2 changes", d_debugctl },
	{ "all these changes of L2", d_all },
	{ "CR0 and CR4 by L1's answers", a_crs },
	{ "read shadows by L1's answers", a_crs_seen },
	{ "CR0 and CR4, and controls", a_crs_controls },
	{ "CR0 and CR4, and VMCLEAR", a_crs_clear },
	{ "CR4 that the entry refuses", a_crs_bad_cr4 },
	{ "CR0 that the entry refuses", a_crs_bad_cr0 },
	{ "CR0 and CR4, read back", a_crs_read },
	{ "CR4 only", a_crs_ignored },
	{ "CR4 that L0 intercepts", a_crs_l0 },
	{ "CLTS and LMSW", a_ts },
	{ "MOV to CR3", a_cr3 },
	{ "MOV to CR3 without EPT", a_cr3_no_ept },
	{ "EPT violations: absent pages", a_ept_absent },
	{ "EPT violations: rights", a_ept_read_only },
	{ "EPT misconfigurations", a_ept_misconfigured },
	{ "EPT violations: an absent table", a_ept_table },
	{ "EPT violations: another table", a_ept_tables },
	{ "EPT violations: rights of the table", a_ept_table_rights },
	{ "EPT violations with accessed and dirty flags", a_ept_flags },
	{ "EPT violations: rights and dirty flags", a_ept_flags_rights },
	{ "interrupts that L1 injects", inject_interrupts },
	{ "fields that L1 writes seldom", inject_seldom },
	{ "injections that fail", inject_bad },
	{ "an injection whose delivery faults", a_inject_faulting },
	{ "preemption timer, saved", w_timer },
	{ "L2 is halted", w_halted, NULL, KSFT_IRQCHIP },
	{ "KVM_SET_REGS", c_nothing, h_regs },
	{ "KVM_SET_SREGS", c_nothing, h_segments },
	{ "KVM_SET_MSRS, SYSENTER", c_nothing, h_sysenter },
	{ "KVM_SET_MSRS, SYSCALL", c_nothing, h_syscall },
	{ "KVM_SET_MSRS, SYSCALL, and L1 writes them", c_syscall, h_syscall },
	{ "KVM_SET_MSRS, bits 63:32 of FMASK", c_nothing, h_fmask_high },
	{ "KVM_SET_MSRS, bits 63:32 of FMASK, and L1 writes it", c_syscall, h_fmask_high },
	{ "KVM_SET_MSRS, TSC", c_nothing, h_tsc },
	{ "KVM_SET_GUEST_DEBUG", c_nothing, h_debug, .general = true },
	{ "KVM_SET_NESTED_STATE", c_nothing, h_nested_state },
	{ "dirty log", c_nothing, h_dirty_log, .general = true },
	{ "memory slot", c_nothing, h_slot },
	{ "MSR filter", c_nothing, h_msr_filter },
	{ "another CPU", c_nothing, h_move },
};

static void host_rows(void)
{
	run_rows(rows, ARRAY_SIZE(rows));
}

static const struct ksft_test tests[] = {
	{ "what changes between reflections", .host = host_rows },
};
KSFT_MAIN(tests)

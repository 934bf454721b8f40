// SPDX-License-Identifier: GPL-2.0
/* VM entries that must fail, and what a processor does that Bochs did not. Sections are of SDM 3C. */
#include <linux/string.h>
#include <asm/msr.h>
#include <asm/processor-flags.h>
#include "plant.h"

#define EVENT(type, vector)	(BIT(31) | (type) << 8 | (vector))
#define WITH_ERROR		BIT(11)
enum { EXTINT, NMI = 2, EXCEPTION, SOFT_EXCEPTION = 6, OTHER_EVENT };
enum { STI = 1, MOV_SS = 2, NMI_BLOCKED = 8 };
enum { ACTIVE, HLT, SHUTDOWN, WAIT_FOR_SIPI };
#define PENDING_BS	BIT(14)
#define PENDING_B0	(BIT(12) | BIT(0))

static void nothing(void)
{
}

/* --- 27.2.1: controls --- */

static void posted_alone(void)
{
	vm_set(PIN_BASED_VM_EXEC_CONTROL, PIN_BASED_POSTED_INTR | PIN_BASED_EXT_INTR_MASK);
	vm_set(VM_EXIT_CONTROLS, VM_EXIT_ACK_INTR_ON_EXIT);
	vm_write(POSTED_INTR_DESC_ADDR, physical(scratch));
}

/* The last page of physical memory, and a list of 4 GiB. */
static u64 last_page(void)
{
	return (1ull << (cpuid_eax(0x80000008) & 0xff)) - PAGE_SIZE;
}

/* The host's state is wrong as well: an entry that takes the list fails too, because no exit can store 2^28 MSRs. */
static void long_list(u32 address, u32 count)
{
	vm_write(address, last_page());
	vm_write(count, 1u << 28);
	vm_write(HOST_CS_SELECTOR, 0);
}

static void long_store(void)
{
	long_list(VM_EXIT_MSR_STORE_ADDR, VM_EXIT_MSR_STORE_COUNT);
}

static void long_load(void)
{
	long_list(VM_EXIT_MSR_LOAD_ADDR, VM_EXIT_MSR_LOAD_COUNT);
}

static void long_entry_load(void)
{
	long_list(VM_ENTRY_MSR_LOAD_ADDR, VM_ENTRY_MSR_LOAD_COUNT);
}

static void enters_smm(void)
{
	vm_set(VM_ENTRY_CONTROLS, VM_ENTRY_SMM);
}

static void error_code_of_interrupt(void)
{
	vm_write(VM_ENTRY_INTR_INFO_FIELD, EVENT(EXTINT, 0x40) | WITH_ERROR);
}

static void shadow_vmcs_current(void)
{
	u64 address = physical(shadow_vmcs);

	asm volatile("vmptrld %0" : : "m"(address) : "cc", "memory");
}

/* --- 27.3.1.1 to 27.3.1.4: registers --- */

static void unrestricted(void)
{
	vm_ept(false, NULL);
	vm_secondary(SECONDARY_EXEC_UNRESTRICTED_GUEST);
}

static void long_without_paging(void)
{
	unrestricted();
	vm_clear(GUEST_CR0, X86_CR0_PG);
}

static void v8086_without_pe(void)
{
	u32 n;

	unrestricted();
	*ept_entry[3] = 0;	/* where the guest would begin */
	vm_clear(VM_ENTRY_CONTROLS, VM_ENTRY_IA32E_MODE);
	vm_clear(GUEST_IA32_EFER, EFER_LMA | EFER_LME);
	vm_clear(GUEST_CR0, X86_CR0_PG | X86_CR0_PE);
	vm_clear(GUEST_CR4, X86_CR4_PCIDE);
	vm_set(GUEST_RFLAGS, X86_EFLAGS_VM);
	vm_write(GUEST_RIP, 0);
	for (n = 0; n < 6; n++) {
		vm_write(GUEST_ES_SELECTOR + 2 * n, 0);
		vm_write(GUEST_ES_BASE + 2 * n, 0);
		vm_write(GUEST_ES_LIMIT + 2 * n, 0xffff);
		vm_write(GUEST_ES_AR_BYTES + 2 * n, 0xf3);
	}
}

static void rip_too_wide(void)
{
	vm_write(GUEST_RIP, 1ull << 57);
}

/* Bits 63:48 are the same, so that the entry succeeds; the fetch faults. */
static void rip_not_canonical(void)
{
	vm_write(GUEST_RIP, 1ull << 47);
}

static void ss_is_code(void)
{
	vm_write(GUEST_SS_SELECTOR, 0);
	vm_write(GUEST_SS_AR_BYTES, 0xa09b);
}

static void ss_base_high(void)
{
	vm_write(GUEST_SS_SELECTOR, 0);
	vm_write(GUEST_SS_BASE, 1ull << 32);
}

/* --- 27.3.1.5: activity, interruptibility, pending debug exceptions --- */

static void ud_into_hlt(void)
{
	vm_handler(code_vmcall);
	vm_write(GUEST_ACTIVITY_STATE, HLT);
	vm_write(VM_ENTRY_INTR_INFO_FIELD, EVENT(EXCEPTION, 6));
}

static void interrupt_18_into_shutdown(void)
{
	vm_handler(code_vmcall);
	vm_write(GUEST_ACTIVITY_STATE, SHUTDOWN);
	vm_set(GUEST_RFLAGS, X86_EFLAGS_IF);
	vm_write(VM_ENTRY_INTR_INFO_FIELD, EVENT(EXTINT, 18));
}

static void nmi_into_wait_for_sipi(void)
{
	vm_write(GUEST_ACTIVITY_STATE, WAIT_FOR_SIPI);
	vm_write(VM_ENTRY_INTR_INFO_FIELD, EVENT(NMI, 2));
}

static void virtual_nmi_blocked(void)
{
	vm_handler(code_vmcall);
	vm_set(PIN_BASED_VM_EXEC_CONTROL, PIN_BASED_NMI_EXITING | PIN_BASED_VIRTUAL_NMIS);
	vm_write(GUEST_INTERRUPTIBILITY_INFO, NMI_BLOCKED);
	vm_write(VM_ENTRY_INTR_INFO_FIELD, EVENT(NMI, 2));
}

static void nmi_under_sti(void)
{
	vm_set(GUEST_RFLAGS, X86_EFLAGS_IF);
	vm_write(GUEST_INTERRUPTIBILITY_INFO, STI);
	vm_write(VM_ENTRY_INTR_INFO_FIELD, EVENT(NMI, 2));
}

static void pending_high(void)
{
	vm_write(GUEST_PENDING_DBG_EXCEPTIONS, 1ull << 40);
}

static void mov_ss_and_tf(void)
{
	vm_set(GUEST_RFLAGS, X86_EFLAGS_TF);
	vm_write(GUEST_INTERRUPTIBILITY_INFO, MOV_SS);
}

static void sti_and_bs(void)
{
	vm_set(GUEST_RFLAGS, X86_EFLAGS_IF);
	vm_write(GUEST_INTERRUPTIBILITY_INFO, STI);
	vm_write(GUEST_PENDING_DBG_EXCEPTIONS, PENDING_BS);
}

static void hlt_and_tf(void)
{
	vm_timer();
	vm_set(GUEST_RFLAGS, X86_EFLAGS_TF);
	vm_write(GUEST_ACTIVITY_STATE, HLT);
}

static void hlt_and_btf(void)
{
	hlt_and_tf();
	vm_write(GUEST_IA32_DEBUGCTL, DEBUGCTLMSR_BTF);
	vm_write(GUEST_PENDING_DBG_EXCEPTIONS, PENDING_BS);
}

static void debugctl_reserved(void)
{
	vm_write(GUEST_IA32_DEBUGCTL, 1ull << 20);
}

/* --- 27.8: what a failed entry leaves alone --- */

static const u32 exit_fields[] = {
	VM_EXIT_INTR_INFO, VM_EXIT_INTR_ERROR_CODE, IDT_VECTORING_INFO_FIELD, IDT_VECTORING_ERROR_CODE, VM_EXIT_INSTRUCTION_LEN,
	VMX_INSTRUCTION_INFO, GUEST_LINEAR_ADDRESS, GUEST_PHYSICAL_ADDRESS, VM_ENTRY_INTR_INFO_FIELD, GUEST_RSP,
};

static u64 exit_mark(u32 field)
{
	return field == VM_ENTRY_INTR_INFO_FIELD ? EVENT(NMI, 2) : 0x5a5a;
}

static void fails_with_marks(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(exit_fields); i++)
		vm_write(exit_fields[i], exit_mark(exit_fields[i]));
	vm_write(GUEST_RFLAGS, 0);
}

static void msr_load_fails_with_marks(void)
{
	fails_with_marks();
	vm_write(GUEST_RFLAGS, X86_EFLAGS_FIXED);
	((u32 *)scratch)[0] = MSR_FS_BASE;
	vm_write(VM_ENTRY_MSR_LOAD_ADDR, physical(scratch));
	vm_write(VM_ENTRY_MSR_LOAD_COUNT, 1);
}

static const char *marks_stay(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(exit_fields); i++)
		if (vm_read(exit_fields[i]) != exit_mark(exit_fields[i]))
			return "a field other than the exit's reason and qualification changed";
	return NULL;
}

/* --- 27.7, 28: state after an entry and an exit --- */

static void nmi_without_virtual_nmis(void)
{
	vm_handler(code_vmcall);
	vm_write(VM_ENTRY_INTR_INFO_FIELD, EVENT(NMI, 2));
}

static const char *nmi_not_blocked(void)
{
	return vm_read(GUEST_INTERRUPTIBILITY_INFO) & NMI_BLOCKED ? "NMIs are blocked" : NULL;
}

static void stores_tsc(void)
{
	((u32 *)scratch)[0] = MSR_IA32_TSC;
	vm_set(CPU_BASED_VM_EXEC_CONTROL, CPU_BASED_USE_TSC_OFFSETTING);
	vm_write(TSC_OFFSET, 1ull << 60);
	vm_write(VM_EXIT_MSR_STORE_ADDR, physical(scratch));
	vm_write(VM_EXIT_MSR_STORE_COUNT, 1);
}

static const char *tsc_without_offset(void)
{
	return ((u64 *)scratch)[1] >> 60 ? "the stored TSC has the guest's offset" : NULL;
}

static void hlt_with_window(void)
{
	vm_timer();
	vm_set(CPU_BASED_VM_EXEC_CONTROL, CPU_BASED_INTR_WINDOW_EXITING);
	vm_set(GUEST_RFLAGS, X86_EFLAGS_IF);
	vm_write(GUEST_ACTIVITY_STATE, HLT);
}

static const char *still_halted(void)
{
	return vm_read(GUEST_ACTIVITY_STATE) != HLT ? "the activity state is not HLT" : NULL;
}

static u64 started;

static void hlt_with_breakpoint(void)
{
	vm_timer();
	vm_write(GUEST_ACTIVITY_STATE, HLT);
	vm_write(GUEST_PENDING_DBG_EXCEPTIONS, PENDING_B0);
	started = rdtsc();
}

/* The exception would also come when the timer ends HLT. */
static const char *did_not_halt(void)
{
	return rdtsc() - started > TIMER_TICKS / 2 ? "the guest was halted" : still_halted();
}

static void pending_mtf(void)
{
	vm_set(GUEST_RFLAGS, X86_EFLAGS_IF);
	vm_write(GUEST_INTERRUPTIBILITY_INFO, STI);
	vm_write(GUEST_RIP, (u64)code_nop);
	vm_write(VM_ENTRY_INTR_INFO_FIELD, EVENT(OTHER_EVENT, 0));
}

static void pending_mtf_twice(void)
{
	pending_mtf();
	vm_set(CPU_BASED_VM_EXEC_CONTROL, CPU_BASED_MONITOR_TRAP_FLAG);
}

static void timer_under_sti(void)
{
	pending_mtf();
	vm_write(VM_ENTRY_INTR_INFO_FIELD, 0);
	vm_set(PIN_BASED_VM_EXEC_CONTROL, PIN_BASED_VMX_PREEMPTION_TIMER);
	vm_write(VMX_PREEMPTION_TIMER_VALUE, 0);
}

static const char *sti_at_nop(void)
{
	if (vm_read(GUEST_RIP) != (u64)code_nop)
		return "an instruction ran before the exit";
	return vm_read(GUEST_INTERRUPTIBILITY_INFO) & STI ? NULL : "the blocking by STI is gone";
}

static void dr7_bit_12(void)
{
	vm_write(GUEST_DR7, 0x1400);
}

static const char *dr7_is_clean(void)
{
	return vm_read(GUEST_DR7) == 0x400 ? NULL : "bit 12 of DR7 was kept";
}

/* --- 29.3.3.2: EPT and the guest's own tables --- */

static void loads(void *code, bool with_ad)
{
	vm_own_tables();
	vm_ept(with_ad, guest_entry[1]);
	vm_write(GUEST_RIP, (u64)code);
}

static void walk_with_ad(void)
{
	loads(code_load, true);
}

static void walk_without_ad(void)
{
	loads(code_load, false);
}

static void sets_accessed(void)
{
	loads(code_load, false);
	*guest_entry[1] &= ~0x20;
}

static void sets_dirty(void)
{
	loads(code_store, false);
	*guest_entry[1] &= ~0x40;
}

static const char *not_accessed(void)
{
	return *guest_entry[1] & 0x20 ? "the accessed flag is set in a read-only page" : NULL;
}

static const char *not_dirty(void)
{
	return *guest_entry[1] & 0x40 ? "the dirty flag is set in a read-only page" : NULL;
}

/* --- the host state that an exit would change --- */

static void other_sysenter(void)
{
	vm_write(HOST_IA32_SYSENTER_EIP, 0x1234);
}

static const char *restore_sysenter(void)
{
	u64 now;

	rdmsrl(MSR_IA32_SYSENTER_EIP, now);
	wrmsrl(MSR_IA32_SYSENTER_EIP, vm_read(GUEST_SYSENTER_EIP));
	return now == 0x1234 ? NULL : "the exit did not load the host's field";
}

#define CONTROLS	{ FAIL_VALID, 7 }
#define STATE		{ ENTRY_FAILED, EXIT_REASON_INVALID_STATE }
#define VMCALL		{ EXITED, EXIT_REASON_VMCALL }
/* A walk of a page that EPT maps for reading only: read and write, R, linear address valid. */
#define WALK		{ EXITED, EXIT_REASON_EPT_VIOLATION, 0x8b }

const struct fault checks_faults[] = {
	{ "a guest without fault", nothing, VMCALL },
	{ "posted interrupts without TPR shadow", posted_alone, CONTROLS, "posted-interrupts" },
	{ "a VM-exit MSR-store list of 4 GiB", long_store, CONTROLS, "msr-lists" },
	{ "a VM-exit MSR-load list of 4 GiB", long_load, CONTROLS, "msr-lists" },
	{ "a VM-entry MSR-load list of 4 GiB", long_entry_load, CONTROLS, "msr-lists" },
	{ "entry to SMM", enters_smm, CONTROLS, "smm-entry" },
	{ "an external interrupt with error code", error_code_of_interrupt, CONTROLS, "error-code" },
	{ "VMLAUNCH of a shadow VMCS", shadow_vmcs_current, { FAIL_INVALID }, "shadow-entry" },
	{ "IA-32e mode without paging", long_without_paging, STATE, "long-mode-paging" },
	{ "virtual-8086 mode without CR0.PE", v8086_without_pe, STATE, "v8086-pe" },
	{ "a RIP with bit 57", rip_too_wide, STATE, "rip-width" },
	{ "a RIP that is not canonical", rip_not_canonical, { EXITED, EXIT_REASON_EXCEPTION_NMI } },
	{ "a null SS that is code", ss_is_code, STATE, "null-ss" },
	{ "a null SS with a base above 4 GiB", ss_base_high, STATE, "null-ss" },
	{ "#UD into HLT", ud_into_hlt, STATE, "hlt-events" },
	{ "external interrupt 18 into shutdown", interrupt_18_into_shutdown, STATE, "shutdown-events" },
	{ "NMI into wait-for-SIPI", nmi_into_wait_for_sipi, STATE },
	{ "a virtual NMI into blocking by NMI", virtual_nmi_blocked, STATE, "virtual-nmi-blocked" },
	{ "NMI under blocking by STI", nmi_under_sti, { ENTRY_FAILED, EXIT_REASON_INVALID_STATE, 3 }, "nmi-qualification" },
	{ "pending debug exceptions above bit 31", pending_high, STATE, "pending-debug-high" },
	{ "MOV SS and TF without BS", mov_ss_and_tf, STATE, "pending-bs" },
	{ "STI and BS without TF", sti_and_bs, STATE, "pending-bs" },
	{ "HLT and TF without BS", hlt_and_tf, STATE, "pending-bs" },
	{ "HLT and BS with BTF", hlt_and_btf, STATE, "pending-bs" },
	{ "reserved bits of IA32_DEBUGCTL", debugctl_reserved, STATE, "debugctl-reserved" },
	{ "a failed entry leaves the exit's fields alone", fails_with_marks, STATE, "failed-entry-fields", marks_stay },
	{ "a failed MSR load leaves the exit's fields alone", msr_load_fails_with_marks,
	  { ENTRY_FAILED, EXIT_REASON_MSR_LOAD_FAIL, 1 }, "failed-entry-fields", marks_stay },
	{ "an injected NMI without virtual NMIs", nmi_without_virtual_nmis, VMCALL, "injected-nmi", nmi_not_blocked },
	{ "IA32_TSC in the VM-exit MSR-store list", stores_tsc, VMCALL, "stored-tsc", tsc_without_offset },
	{ "HLT with an open interrupt window", hlt_with_window,
	  { EXITED, EXIT_REASON_INTERRUPT_WINDOW }, "hlt-ends,exit-activity", still_halted },
	{ "HLT with a pending breakpoint", hlt_with_breakpoint,
	  { EXITED, EXIT_REASON_EXCEPTION_NMI, 1 }, "hlt-ends,exit-activity", did_not_halt },
	{ "a pending MTF exit", pending_mtf, { EXITED, EXIT_REASON_MONITOR_TRAP_FLAG }, "pending-mtf", sti_at_nop },
	{ "a pending MTF exit with the monitor trap flag", pending_mtf_twice,
	  { EXITED, EXIT_REASON_MONITOR_TRAP_FLAG }, "pending-mtf", sti_at_nop },
	{ "the preemption timer under STI", timer_under_sti,
	  { EXITED, EXIT_REASON_PREEMPTION_TIMER }, "timer-under-sti", sti_at_nop },
	{ "bit 12 of DR7", dr7_bit_12, VMCALL, "dr7-bit-12", dr7_is_clean },
	{ "a walk of read-only tables, with accessed and dirty flags", walk_with_ad, WALK, "walk-qualification" },
	{ "a walk of read-only tables without them", walk_without_ad, VMCALL },
	{ "an accessed flag in a read-only table", sets_accessed, WALK, "walk-qualification,walk-writes", not_accessed },
	{ "a dirty flag in a read-only table", sets_dirty, WALK, "walk-qualification,walk-writes", not_dirty },
	{ "a host field that is out of date", other_sysenter, VMCALL, NULL, restore_sysenter },
	{}
};

/* SPDX-License-Identifier: GPL-2.0 */
/* The checks of VM entries that Bochs lacks, in the order of SDM 3C 27.2 and 27.3, and a check of the host state. */
#define NEED_CPU_REG_SHORTCUTS 1
#include "bochs.h"
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/strict/strict.h"
#include "cpu/strict/checks.h"

#undef BX_CPU_THIS_PTR
#define BX_CPU_THIS_PTR cpu->

namespace {

const Bit32u BLOCKED_FOR_ONE = BX_VMX_INTERRUPTS_BLOCKED_BY_STI | BX_VMX_INTERRUPTS_BLOCKED_BY_MOV_SS;
const unsigned PENDING_MTF = 7;			/* the type of an injected "other event" */
const Bit64u PENDING_DBG_BS = 1 << 14;
const Bit64u DEBUGCTL_BTF = 1 << 1;

bool injects(const VMCS_CACHE *vm)
{
	return vm->vmentry_interr_info >> 31;
}

unsigned injected_type(const VMCS_CACHE *vm)
{
	return (vm->vmentry_interr_info >> 8) & 7;
}

unsigned injected_vector(const VMCS_CACHE *vm)
{
	return vm->vmentry_interr_info & 0xff;
}

bool injects_exception(const VMCS_CACHE *vm, unsigned vector)
{
	return injected_type(vm) == BX_HARDWARE_EXCEPTION && injected_vector(vm) == vector;
}

/* The last byte of a list of MSRs. Bochs computes it in 32 bits, which a large count overflows. */
bool list_too_long(BX_CPU_C *cpu, Bit32u count, bx_phy_address address)
{
	return count && !IsValidPhyAddr(address + Bit64u(count) * 16 - 1) && sdm(SDM_MSR_LISTS);
}

/* Whether the guest is in protected mode, where exceptions have error codes. */
bool guest_protected(BX_CPU_C *cpu)
{
	return !cpu->vmcs.vmexec_ctrls2.UNRESTRICTED_GUEST() || (cpu->VMread64(VMCS_GUEST_CR0) & BX_CR0_PE_MASK);
}

/* The events that each activity state lets through (SDM 3C 27.3.1.5). */
bool state_blocks_event(const VMCS_CACHE *vm, Bit32u activity)
{
	bool nmi = injected_type(vm) == BX_NMI;
	bool machine_check = injects_exception(vm, BX_MC_EXCEPTION);

	switch (activity) {
	case BX_CPU_C::BX_ACTIVITY_STATE_ACTIVE:
		return false;
	case BX_CPU_C::BX_ACTIVITY_STATE_HLT:
		return !(nmi || machine_check || injected_type(vm) == BX_EXTERNAL_INTERRUPT ||
			 injects_exception(vm, BX_DB_EXCEPTION) || injected_type(vm) == PENDING_MTF) && sdm(SDM_HLT_EVENTS);
	case BX_CPU_C::BX_ACTIVITY_STATE_SHUTDOWN:
		return !(nmi || machine_check) && sdm(SDM_SHUTDOWN_EVENTS);
	default:
		return true;
	}
}

/* SDM 3C 27.3.1.1 and 27.3.1.4 */
const char *check_registers(BX_CPU_C *cpu, const VMCS_GUEST_STATE *guest)
{
	bool long_guest = cpu->vmcs.vmentry_ctrls.X86_64_GUEST();

	if (long_guest && !(guest->cr0 & BX_CR0_PG_MASK) && sdm(SDM_LONG_MODE_PAGING))
		return "IA-32e mode guest with CR0.PG = 0";
	if (long_guest && guest->sregs[BX_SEG_REG_CS].cache.u.segment.l) {
		Bit64s high = Bit64s(guest->rip) >> (cpu->is_cpu_extension_supported(BX_ISA_LA57) ? 57 : 48);

		if (high != 0 && high != -1 && sdm(SDM_RIP_WIDTH))
			return "RIP has more bits than a linear address";
	}
	if ((guest->rflags & EFlagsVMMask) && !(guest->cr0 & BX_CR0_PE_MASK) && sdm(SDM_V8086_PE))
		return "RFLAGS.VM with CR0.PE = 0";
	return NULL;
}

/* SDM 3C 27.3.1.5, pending debug exceptions. Bochs looks at the low half of the field, and refuses bit 16, RTM. */
const char *check_pending_debug(BX_CPU_C *cpu, const VMCS_GUEST_STATE *guest)
{
	Bit64u pending = cpu->VMread64(VMCS_GUEST_PENDING_DBG_EXCEPTIONS);
	bool steps = (guest->rflags & EFlagsTFMask) && !(guest->ia32_debugctl_msr & DEBUGCTL_BTF);

	if (pending >> 32 && sdm(SDM_PENDING_DEBUG_HIGH))
		return "pending debug exceptions have reserved bits";
	if (!(guest->interruptibility_state & BLOCKED_FOR_ONE) &&
	    guest->activity_state != BX_CPU_C::BX_ACTIVITY_STATE_HLT)
		return NULL;
	if (steps == bool(pending & PENDING_DBG_BS) || !sdm(SDM_PENDING_BS))
		return NULL;
	return steps ? "blocking by STI or MOV SS, or HLT, with RFLAGS.TF, but no pending single step" :
		       "blocking by STI or MOV SS, or HLT, with a pending single step that RFLAGS.TF or BTF exclude";
}

} /* namespace */

const char *sdm_check_controls(BX_CPU_C *cpu)
{
	VMCS_CACHE *vm = &cpu->vmcs;
	bool error_code = vm->vmentry_interr_info & (1 << 11);

	/* 27.2.1.1. Bochs looks at posted interrupts only with the TPR shadow. */
	if (vm->pin_vmexec_ctrls.PROCESS_POSTED_INTERRUPTS() && !vm->vmexec_ctrls2.VIRTUAL_INT_DELIVERY() &&
	    sdm(SDM_POSTED_INTERRUPTS))
		return "posted interrupts without virtual-interrupt delivery";
	/* 27.2.1.2, 27.2.1.3 */
	if (list_too_long(cpu, vm->vmexit_msr_store_cnt, vm->vmexit_msr_store_addr))
		return "the VM-exit MSR-store list ends beyond physical memory";
	if (list_too_long(cpu, vm->vmexit_msr_load_cnt, vm->vmexit_msr_load_addr))
		return "the VM-exit MSR-load list ends beyond physical memory";
	if (list_too_long(cpu, vm->vmentry_msr_load_cnt, vm->vmentry_msr_load_addr))
		return "the VM-entry MSR-load list ends beyond physical memory";
	if (vm->vmentry_ctrls.SMM_ENTER() && !cpu->in_smm && sdm(SDM_SMM_ENTRY))
		return "entry to SMM from outside of SMM";
	if (!injects(vm))
		return NULL;
	if (injected_type(vm) == PENDING_MTF && !BX_SUPPORT_VMX_EXTENSION(BX_VMX_MONITOR_TRAP_FLAG) && sdm(SDM_MTF_SUPPORT))
		return "injection of a pending MTF exit without the monitor trap flag";
	/* Bochs does not look at the error code at all on processors where it depends on no vector. */
	if (error_code && (injected_type(vm) != BX_HARDWARE_EXCEPTION || !guest_protected(cpu)) && sdm(SDM_ERROR_CODE))
		return "injection with an error code that the event cannot have";
	return NULL;
}

const char *sdm_check_guest(BX_CPU_C *cpu, const VMCS_GUEST_STATE *guest, Bit64u *qualification)
{
	VMCS_CACHE *vm = &cpu->vmcs;
	const char *failed = check_registers(cpu, guest);

	if (!failed && injects(vm) && state_blocks_event(vm, guest->activity_state))
		failed = "injection of an event that the activity state blocks";
	if (!failed && injects(vm) && injected_type(vm) == BX_NMI && vm->pin_vmexec_ctrls.VIRTUAL_NMI() &&
	    (guest->interruptibility_state & BX_VMX_INTERRUPTS_BLOCKED_NMI_BLOCKED) && sdm(SDM_VIRTUAL_NMI_BLOCKED))
		failed = "injection of an NMI into blocking by NMI, with virtual NMIs";
	return failed ? failed : check_pending_debug(cpu, guest);
}

void strict_check_host(BX_CPU_C *cpu)
{
	const VMCS_CACHE *vm = &cpu->vmcs;
	const VMCS_HOST_STATE *host = &vm->host_state;
	/* An exit leaves CR0.CD and NW, and CR0's reserved bits, alone (SDM 3C 28.5.1). */
	const Bit64u cr0_kept = 0x7ffaffd0;
	const struct {
		const char *name;
		Bit64u field, now;
	} fields[] = {
		{ "CR0", host->cr0 & ~cr0_kept, cpu->cr0.get32() & ~cr0_kept },
		{ "CR3", host->cr3, cpu->cr3 },
		{ "CR4", host->cr4, cpu->cr4.get32() },
		{ "FS.base", host->fs_base, cpu->sregs[BX_SEG_REG_FS].cache.u.segment.base },
		{ "GS.base", host->gs_base, cpu->sregs[BX_SEG_REG_GS].cache.u.segment.base },
		{ "GDTR.base", host->gdtr_base, cpu->gdtr.base },
		{ "IDTR.base", host->idtr_base, cpu->idtr.base },
		{ "TR", host->tr_selector, cpu->tr.selector.value },
		{ "TR.base", host->tr_base, cpu->tr.cache.u.segment.base },
		{ "CS", host->segreg_selector[BX_SEG_REG_CS], cpu->sregs[BX_SEG_REG_CS].selector.value },
		{ "SS", host->segreg_selector[BX_SEG_REG_SS], cpu->sregs[BX_SEG_REG_SS].selector.value },
		{ "IA32_SYSENTER_CS", host->sysenter_cs_msr, cpu->msr.sysenter_cs_msr },
		{ "IA32_SYSENTER_ESP", host->sysenter_esp_msr, cpu->msr.sysenter_esp_msr },
		{ "IA32_SYSENTER_EIP", host->sysenter_eip_msr, cpu->msr.sysenter_eip_msr },
		/* What the entry changes, the exit must change back. */
		{ "IA32_PAT", vm->vmexit_ctrls1.LOAD_PAT_MSR() ? host->pat_msr :
			      vm->vmentry_ctrls.LOAD_PAT_MSR() ? cpu->VMread64(VMCS_64BIT_GUEST_IA32_PAT) :
			      Bit64u(cpu->msr.pat.u64), cpu->msr.pat.u64 },
		{ "IA32_EFER", vm->vmexit_ctrls1.LOAD_EFER_MSR() ? host->efer_msr :
			       vm->vmentry_ctrls.LOAD_EFER_MSR() ? cpu->VMread64(VMCS_64BIT_GUEST_IA32_EFER) :
			       cpu->efer.get32(), cpu->efer.get32() },
	};

	for (const auto &f : fields)
		if (f.field != f.now)
			strict_report(cpu, STRICT_CHECKS, "the next VM exit will change the host's %s from %#llx to %#llx",
				      f.name, (unsigned long long)f.now, (unsigned long long)f.field);
}

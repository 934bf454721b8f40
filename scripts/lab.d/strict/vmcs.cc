/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Misuse of VMCSs that a processor does not report (SDM 3C 25.11).
 *
 * A processor keeps parts of an active VMCS to itself, and writes them to the region when it likes. Bochs keeps
 * nothing, so misuse has no effect there. This file knows each region since its VMCLEAR or VMXON, and on which processor it is
 * active. When a region becomes known or active, all processors forget their translations for data, so that the next
 * access by software to the region's page is seen.
 */
#include <map>

#define NEED_CPU_REG_SHORTCUTS 1
#include "bochs.h"
#include "cpu/cpu.h"
#include "cpu/strict/strict.h"

Bit8u strict_watched_pages[STRICT_WATCHED_PAGES / 8];

namespace {

const int NOWHERE = -1;

struct region {
	int active;	/* the CPU on which the VMCS is active, or NOWHERE */
	bool vmxon;	/* the VMXON region of that CPU */
	bool cleared;	/* VMCLEAR initialized it, and software has not written to it since */
};

std::map<Bit64u, region> regions;	/* by address */

void watch(Bit64u address, bool on)
{
	Bit64u page = address >> 12;

	if (page >= STRICT_WATCHED_PAGES)
		return;
	if (on)
		strict_watched_pages[page / 8] |= 1 << page % 8;
	else
		strict_watched_pages[page / 8] &= ~(1 << page % 8);
}

/* Lets each processor translate anew before its next access to data. */
void forget_translations()
{
	for (unsigned n = 0; n < BX_SMP_PROCESSORS; n++) {
		BX_CPU(n)->DTLB.flush();
		BX_CPU(n)->invalidate_stack_cache();
	}
}

/* Returns the region at an address, which is watched from now on. */
region &know(Bit64u address)
{
	auto found = regions.find(address);

	if (found != regions.end())
		return found->second;
	watch(address, true);
	return regions[address] = { NOWHERE, false, false };
}

/* Reports the regions that are active on a CPU, and takes them as inactive from now on. */
void report_active(const BX_CPU_C *cpu, const char *event)
{
	for (auto &each : regions) {
		region &r = each.second;

		if (r.active != int(cpu->bx_cpuid) || r.vmxon)
			continue;
		strict_report(cpu, STRICT_VMCS, "%s while the VMCS at %#llx is active on CPU %d", event,
			      (unsigned long long)each.first, r.active);
		r.active = NOWHERE;
		r.cleared = false;
	}
}

/* Reports a structure of the current VMCS that lies in a VMCS or VMXON region in use. Each has its own sentence. */
void look_at_structure(const BX_CPU_C *cpu, const char *sentence, bool used, Bit64u address)
{
	if (!used || !strict_watched(address))
		return;
	auto found = regions.find(address & ~BX_CONST64(0xfff));

	if (found != regions.end() && found->second.active != NOWHERE)
		strict_report(cpu, STRICT_VMCS, sentence, (unsigned long long)address, found->second.vmxon ? "VMXON" : "VMCS");
}
#define STRUCTURE(name) "VM entry whose " name " at %#llx lies in a %s region in use"

/* Reports a shadow VMCS that another processor may be using. */
void look_at_link(const BX_CPU_C *cpu, Bit64u link)
{
	auto found = regions.find(link);

	if (found != regions.end() && found->second.active != NOWHERE && found->second.active != int(cpu->bx_cpuid))
		strict_report(cpu, STRICT_VMCS, "VM entry whose link pointer %#llx is a VMCS active on CPU %d",
			      (unsigned long long)link, found->second.active);
	for (unsigned n = 0; n < BX_SMP_PROCESSORS; n++) {
		if (BX_CPU(n) != cpu && BX_CPU(n)->in_vmx_guest && BX_CPU(n)->vmcs.vmcs_linkptr == link)
			strict_report(cpu, STRICT_VMCS, "VM entry whose link pointer %#llx is in use by a guest on "
				      "CPU %u", (unsigned long long)link, n);
	}
}

} /* namespace */

void strict_vmxon(const BX_CPU_C *cpu, Bit64u address)
{
	region &r = know(address);

	if (r.active != NOWHERE)
		strict_report(cpu, STRICT_VMCS, "VMXON with the region %#llx, which is in use by CPU %d",
			      (unsigned long long)address, r.active);
	r = { int(cpu->bx_cpuid), true, false };
	forget_translations();
}

void strict_vmxoff(const BX_CPU_C *cpu, Bit64u address)
{
	report_active(cpu, "VMXOFF");
	regions.erase(address);
	watch(address, false);
}

void strict_vmptrld(const BX_CPU_C *cpu, Bit64u address)
{
	region &r = know(address);

	if (r.active == int(cpu->bx_cpuid) && !r.vmxon)
		return;
	if (r.active != NOWHERE)
		strict_report(cpu, STRICT_VMCS, "VMPTRLD of %#llx, which is %s on CPU %d", (unsigned long long)address,
			      r.vmxon ? "the VMXON region" : "active", r.active);
	else if (!r.cleared)
		strict_report(cpu, STRICT_VMCS, "VMPTRLD of %#llx, which VMCLEAR has not initialized",
			      (unsigned long long)address);
	r = { int(cpu->bx_cpuid), false, true };
	forget_translations();
}

void strict_vmclear(const BX_CPU_C *cpu, Bit64u address)
{
	region &r = know(address);

	if (r.active != NOWHERE && r.active != int(cpu->bx_cpuid))
		strict_report(cpu, STRICT_VMCS, "VMCLEAR of %#llx, which is %s on CPU %d", (unsigned long long)address,
			      r.vmxon ? "the VMXON region" : "active", r.active);
	r = { NOWHERE, false, true };
	forget_translations();
}

void strict_vmcs_access(const BX_CPU_C *cpu, Bit64u address, bool write)
{
	auto found = regions.find(address & ~BX_CONST64(0xfff));

	if (found == regions.end())
		return;
	region &r = found->second;

	if (r.active != NOWHERE) {
		strict_report(cpu, STRICT_VMCS, "software %s %#llx, which is in the %s region in use by CPU %d",
			      write ? "writes to" : "reads", (unsigned long long)address, r.vmxon ? "VMXON" : "VMCS",
			      r.active);
	} else if (write && (address & 0xfff) >= 4) {
		/* Software writes the revision identifier. Any other write ends the use as a VMCS region. */
		watch(address, false);
		regions.erase(found);
	}
}

void strict_vmcs_entry(const BX_CPU_C *cpu)
{
	const VMCS_CACHE &v = cpu->vmcs;
	const bool msr_load = v.vmentry_msr_load_cnt, exit_load = v.vmexit_msr_load_cnt, exit_store = v.vmexit_msr_store_cnt;

	look_at_structure(cpu, STRUCTURE("I/O bitmap A"), v.vmexec_ctrls1.IO_BITMAPS(), v.io_bitmap_addr[0]);
	look_at_structure(cpu, STRUCTURE("I/O bitmap B"), v.vmexec_ctrls1.IO_BITMAPS(), v.io_bitmap_addr[1]);
	look_at_structure(cpu, STRUCTURE("MSR bitmap"), v.vmexec_ctrls1.MSR_BITMAPS(), v.msr_bitmap_addr);
	look_at_structure(cpu, STRUCTURE("virtual-APIC page"), v.vmexec_ctrls1.TPR_SHADOW(), v.virtual_apic_page_addr);
	look_at_structure(cpu, STRUCTURE("APIC-access page"), v.vmexec_ctrls2.VIRTUALIZE_APIC_ACCESSES(), v.apic_access_page);
	look_at_structure(cpu, STRUCTURE("posted-interrupt descriptor"), v.pin_vmexec_ctrls.PROCESS_POSTED_INTERRUPTS(), v.pid_addr);
	look_at_structure(cpu, STRUCTURE("EPT PML4"), v.vmexec_ctrls2.EPT_ENABLE(), v.eptptr & ~BX_CONST64(0xfff));
	look_at_structure(cpu, STRUCTURE("page-modification log"), v.vmexec_ctrls2.PML_ENABLE(), v.pml_address);
	look_at_structure(cpu, STRUCTURE("VMREAD bitmap"), v.vmexec_ctrls2.VMCS_SHADOWING(), v.vmread_bitmap_addr);
	look_at_structure(cpu, STRUCTURE("VMWRITE bitmap"), v.vmexec_ctrls2.VMCS_SHADOWING(), v.vmwrite_bitmap_addr);
	look_at_structure(cpu, STRUCTURE("#VE information area"), v.vmexec_ctrls2.EPT_VIOLATION_EXCEPTION(), v.ve_info_addr);
	look_at_structure(cpu, STRUCTURE("MSR-load area"), msr_load, v.vmentry_msr_load_addr);
	look_at_structure(cpu, STRUCTURE("MSR-load area of VM exits"), exit_load, v.vmexit_msr_load_addr);
	look_at_structure(cpu, STRUCTURE("MSR-store area"), exit_store, v.vmexit_msr_store_addr);
	if (v.vmcs_linkptr != BX_INVALID_VMCSPTR)
		look_at_link(cpu, v.vmcs_linkptr);
}

void strict_vmcs_field(const BX_CPU_C *cpu, const char *instruction, Bit64u encoding)
{
	if (!cpu->in_vmx_guest)
		strict_report(cpu, STRICT_VMCS, "%s of field %#llx, which this processor does not have", instruction,
			      (unsigned long long)encoding);
}

void strict_vmcs_halt(const BX_CPU_C *cpu, const char *instruction)
{
	if (cpu->in_vmx && !cpu->in_vmx_guest && !(cpu->eflags & EFlagsIFMask))
		report_active(cpu, instruction);
}

void strict_vmcs_init(const BX_CPU_C *cpu)
{
	if (cpu->in_vmx && !cpu->in_vmx_guest)
		report_active(cpu, "INIT signal in VMX root operation");
}

void strict_vmcs_reset(const BX_CPU_C *cpu, bool hardware)
{
	if (!hardware && cpu->in_vmx)
		report_active(cpu, "INIT");
	for (auto each = regions.begin(); each != regions.end();) {
		if (each->second.active != int(cpu->bx_cpuid)) {
			++each;
			continue;
		}
		watch(each->first, false);
		each = regions.erase(each);
	}
}

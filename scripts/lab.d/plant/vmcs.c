// SPDX-License-Identifier: GPL-2.0
/* Misuse of VMCSs (SDM 3C 25.11). */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/smp.h>
#include <asm/apic.h>
#include <asm/msr.h>
#include <asm/smp.h>
#include "plant.h"

#define NO_FIELD	0x2ffe

static void off_with_active(void)
{
	vm_off();
	vm_on();
	vm_again(code_vmcall);
}

static void touch_vmcs(void)
{
	volatile u32 *abort_indicator = (u32 *)vmcs + 1;

	*abort_indicator = *abort_indicator;
}

static void touch_vmxon_region(void)
{
	volatile u32 *word = (u32 *)vmxon_region + 1;

	*word = *word;
}

static void missing_field(void)
{
	vm_read(NO_FIELD);
	vm_write(NO_FIELD, 0);
}

static void never_cleared(void)
{
	vm_revision(scratch);
	scratch[8] = 1;
	vm_vmptrld(scratch);
	vm_vmclear(scratch);
	vm_again(code_vmcall);
}

/* Makes the other VMCS active, so that its region is in use. */
static void busy(void)
{
	vm_vmptrld(busy_vmcs);
	vm_vmptrld(vmcs);
}

static u64 in_busy_vmcs(unsigned int offset)
{
	return physical(busy_vmcs) + offset;
}

static void bitmap_in_vmcs(void)
{
	vm_set(CPU_BASED_VM_EXEC_CONTROL, CPU_BASED_USE_MSR_BITMAPS);
	vm_write(MSR_BITMAP, physical(vmcs));
}

static void io_bitmaps_in_regions(void)
{
	busy();
	vm_set(CPU_BASED_VM_EXEC_CONTROL, CPU_BASED_USE_IO_BITMAPS);
	vm_write(IO_BITMAP_A, physical(vmxon_region));
	vm_write(IO_BITMAP_B, in_busy_vmcs(0));
}

static void shadow_bitmaps_in_vmcs(void)
{
	busy();
	vm_secondary(SECONDARY_EXEC_SHADOW_VMCS);
	vm_write(VMREAD_BITMAP, in_busy_vmcs(0));
	vm_write(VMWRITE_BITMAP, in_busy_vmcs(0));
}

static void virtual_apic_in_vmcs(void)
{
	busy();
	vm_set(CPU_BASED_VM_EXEC_CONTROL, CPU_BASED_TPR_SHADOW);
	vm_write(TPR_THRESHOLD, 0);
	vm_write(VIRTUAL_APIC_PAGE_ADDR, in_busy_vmcs(0));
}

static void apic_access_in_vmcs(void)
{
	busy();
	vm_secondary(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES);
	vm_write(APIC_ACCESS_ADDR, in_busy_vmcs(0));
}

static void descriptor_in_vmcs(void)
{
	virtual_apic_in_vmcs();
	vm_write(VIRTUAL_APIC_PAGE_ADDR, physical(scratch));
	vm_set(PIN_BASED_VM_EXEC_CONTROL, PIN_BASED_POSTED_INTR | PIN_BASED_EXT_INTR_MASK);
	vm_set(VM_EXIT_CONTROLS, VM_EXIT_ACK_INTR_ON_EXIT);
	vm_secondary(SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY);
	vm_write(POSTED_INTR_NV, 0xf2);
	vm_write(POSTED_INTR_DESC_ADDR, in_busy_vmcs(0x840));
}

/* The revision identifier is taken for the entry of the first 512 GiB. */
static void pml4_in_vmcs(void)
{
	busy();
	vm_ept(false, NULL);
	vm_write(EPT_POINTER, in_busy_vmcs(0) | VMX_EPTP_PWL_4 | VMX_EPTP_MT_WB);
}

static void log_in_vmcs(void)
{
	busy();
	vm_ept(true, NULL);
	vm_secondary(SECONDARY_EXEC_ENABLE_PML);
	vm_write(PML_ADDRESS, in_busy_vmcs(0));
	vm_write(GUEST_PML_INDEX, 511);
}

static void ve_information_in_vmcs(void)
{
	busy();
	vm_ept(false, NULL);
	vm_secondary(SECONDARY_EXEC_EPT_VIOLATION_VE);
	vm_write(VE_INFORMATION_ADDRESS, in_busy_vmcs(0));
}

static void msr_lists_in_vmcs(void)
{
	u32 *entry = (u32 *)(busy_vmcs + 0x800);
	u64 value;

	rdmsrl(MSR_CSTAR, value);
	entry[0] = MSR_CSTAR;
	entry[2] = value;
	entry[3] = value >> 32;
	vm_vmclear(busy_vmcs);
	busy();
	vm_write(VM_ENTRY_MSR_LOAD_ADDR, in_busy_vmcs(0x800));
	vm_write(VM_EXIT_MSR_LOAD_ADDR, in_busy_vmcs(0x800));
	vm_write(VM_EXIT_MSR_STORE_ADDR, in_busy_vmcs(0x800));
	vm_write(VM_ENTRY_MSR_LOAD_COUNT, 1);
	vm_write(VM_EXIT_MSR_LOAD_COUNT, 1);
	vm_write(VM_EXIT_MSR_STORE_COUNT, 1);
}

#define VMCALL		{ EXITED, EXIT_REASON_VMCALL }

const struct fault vmcs_faults[] = {
	{ "VMXOFF with an active VMCS", off_with_active, VMCALL },
	{ "a load and a store in an active VMCS", touch_vmcs, VMCALL },
	{ "a load and a store in the VMXON region", touch_vmxon_region, VMCALL },
	{ "VMREAD and VMWRITE of a missing field", missing_field, VMCALL },
	{ "VMPTRLD without VMCLEAR", never_cleared, VMCALL },
	{ "an MSR bitmap in a VMCS", bitmap_in_vmcs, VMCALL },
	{ "I/O bitmaps in the VMXON region and in a VMCS", io_bitmaps_in_regions, VMCALL },
	{ "VMREAD and VMWRITE bitmaps in a VMCS", shadow_bitmaps_in_vmcs, VMCALL },
	{ "a virtual-APIC page in a VMCS", virtual_apic_in_vmcs, VMCALL },
	{ "an APIC-access page in a VMCS", apic_access_in_vmcs, VMCALL },
	{ "a posted-interrupt descriptor in a VMCS", descriptor_in_vmcs, VMCALL },
	{ "an EPT PML4 in a VMCS", pml4_in_vmcs, { EXITED, EXIT_REASON_EPT_MISCONFIG } },
	{ "a page-modification log in a VMCS", log_in_vmcs, VMCALL },
	{ "a #VE information area in a VMCS", ve_information_in_vmcs, VMCALL },
	{ "lists of MSRs in a VMCS", msr_lists_in_vmcs, VMCALL },
	{}
};

/* --- two CPUs: what the second one does --- */

static bool in_guest;		/* the second CPU is about to enter its guest */

static void uses_other_region(void *data)
{
	vm_same_on();
	vm_other_on();
}

static void clears_other_vmcs(void *data)
{
	vm_vmclear(vmcs);
}

static void loads_other_vmcs(void *data)
{
	vm_vmptrld(vmcs);
	vm_vmclear(vmcs);
}

static void loads_shadow(void *data)
{
	vm_vmclear(shadow_vmcs);
	vm_vmptrld(shadow_vmcs);
}

static void shadows(void)
{
	vm_secondary(SECONDARY_EXEC_SHADOW_VMCS);
	vm_write(VMREAD_BITMAP, physical(scratch));
	vm_write(VMWRITE_BITMAP, physical(scratch));
	vm_write(VMCS_LINK_POINTER, physical(shadow_vmcs));
}

/* A guest that halts until the preemption timer ends it. */
static void runs_with_shadow(void *data)
{
	struct result *r = data;

	vm_vmclear(shadow_vmcs);
	vm_vmptrld(busy_vmcs);
	vm_fill();
	shadows();
	vm_write(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_HLT);
	vm_timer();
	WRITE_ONCE(in_guest, true);
	*r = vm_enter();
}

static bool entered(struct result r, u32 reason)
{
	return r.outcome == EXITED && r.number == reason;
}

/* Enters the guest of this CPU, whose link pointer leads to the shadow VMCS. */
static struct result enter_with_shadow(void)
{
	struct result r;
	unsigned long flags;

	local_irq_save(flags);
	vm_vmclear(vmcs);
	vm_vmptrld(vmcs);
	vm_fill();
	shadows();
	r = vm_enter();
	local_irq_restore(flags);
	return r;
}

/*
 * The first CPU's region and VMCS are used on the second one, and the second one's by the first. It stays in VMX operation
 * with an active VMCS, so that it can be taken off line then.
 */
const char *vmcs_on_other_cpu(void)
{
	static call_single_data_t call;
	static struct result other;
	struct result r;
	int i;

	vm_vmclear(shadow_vmcs);
	vm_vmclear(busy_vmcs);
	smp_call_function_single(1, uses_other_region, NULL, 1);
	smp_call_function_single(1, clears_other_vmcs, NULL, 1);
	vm_vmptrld(vmcs);
	smp_call_function_single(1, loads_other_vmcs, NULL, 1);
	smp_call_function_single(1, loads_shadow, NULL, 1);
	r = enter_with_shadow();
	if (!entered(r, EXIT_REASON_VMCALL))
		return "a guest with the shadow VMCS that is active elsewhere";

	INIT_CSD(&call, runs_with_shadow, &other);
	smp_call_function_single_async(1, &call);
	for (i = 0; i < 1000 && !READ_ONCE(in_guest); i++)
		udelay(10);
	udelay(100);
	r = enter_with_shadow();
	mdelay(20);
	if (!entered(r, EXIT_REASON_VMCALL) || !entered(other, EXIT_REASON_PREEMPTION_TIMER))
		return "guests with one shadow VMCS";

	/* It stays blocked as long as the CPU is in VMX operation. */
	apic->icr_write(APIC_DM_INIT | APIC_INT_ASSERT | APIC_DEST_PHYSICAL, per_cpu(x86_cpu_to_apicid, 1));
	mdelay(1);
	smp_call_function_single(1, loads_shadow, NULL, 1);
	return NULL;
}

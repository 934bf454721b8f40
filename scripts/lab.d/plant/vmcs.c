// SPDX-License-Identifier: GPL-2.0
/* Misuse of VMCSs (SDM 3C 25.11). */
#include <linux/cpumask.h>
#include <linux/smp.h>
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

static void bitmap_in_vmcs(void)
{
	vm_set(CPU_BASED_VM_EXEC_CONTROL, CPU_BASED_USE_MSR_BITMAPS);
	vm_write(MSR_BITMAP, physical(vmcs));
}

#define VMCALL		{ EXITED, EXIT_REASON_VMCALL }

const struct fault vmcs_faults[] = {
	{ "VMXOFF with an active VMCS", off_with_active, VMCALL },
	{ "a load and a store in an active VMCS", touch_vmcs, VMCALL },
	{ "a load and a store in the VMXON region", touch_vmxon_region, VMCALL },
	{ "VMREAD and VMWRITE of a missing field", missing_field, VMCALL },
	{ "VMPTRLD without VMCLEAR", never_cleared, VMCALL },
	{ "an MSR bitmap in a VMCS", bitmap_in_vmcs, VMCALL },
	{}
};

static void on_other_cpu(void *data)
{
	vm_other_on();
	vm_vmptrld(vmcs);
	vm_vmclear(vmcs);
	vm_vmptrld(shadow_vmcs);
}

/* Makes this CPU's VMCS current on CPU 1 too, and leaves that CPU in VMX operation with another one active. */
void vmcs_on_other_cpu(void)
{
	vm_vmclear(shadow_vmcs);
	if (cpu_online(1))
		smp_call_function_single(1, on_other_cpu, NULL, 1);
}

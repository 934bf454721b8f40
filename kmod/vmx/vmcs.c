// SPDX-License-Identifier: GPL-2.0
/* VMCS regions: allocation, and activation on one CPU at a time. SDM 3C 25.1, 25.11. */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include "droste.h"
#include "vmx/root.h"
#include "vmx/vmx.h"

/* The VMCSs that are active on a CPU. Accessed by that CPU only, with interrupts disabled. */
static DEFINE_PER_CPU(struct list_head, active_list);
/* The VMCS that is current on a CPU. Accessed by that CPU only, with interrupts disabled. */
DEFINE_PER_CPU(struct loaded_vmcs *, current_vmcs);

/**
 * vmcs_cpu_lists_init() - initialize the lists of active VMCSs
 *
 * Context: Process context, before VMXON.
 */
void vmcs_cpu_lists_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		INIT_LIST_HEAD(&per_cpu(active_list, cpu));
}

/**
 * vmcs_access_failed() - report a failed VMREAD or VMWRITE of the current VMCS
 * @field: the field's encoding
 * @write: it was a VMWRITE
 *
 * A failure is a bug in Droste, unless VMX was turned off for a reboot.
 *
 * Context: Any.
 */
void vmcs_access_failed(unsigned long field, bool write)
{
	if (READ_ONCE(vmx_going_down))
		return;
	pr_err_ratelimited("droste: %s of VMCS field %#lx failed\n", write ? "VMWRITE" : "VMREAD", field);
	WARN_ON_ONCE(1);
}

static void vmcs_vmclear(hpa_t pa)
{
	bool fail = false;

	asm volatile("1: vmclear %1\n\t"
		     "2:" _ASM_EXTABLE(1b, 2b)
		     : "=@ccna"(fail) : "m"(pa) : "memory");
	if (unlikely(fail) && !READ_ONCE(vmx_going_down))
		pr_err_ratelimited("droste: VMCLEAR of %#llx failed\n", pa);
}

/**
 * vmcs_alloc() - allocate and clear a VMCS
 * @v: filled
 * @shadow: make it a shadow VMCS
 *
 * Context: Process context. May sleep.
 * Return: 0 or -ENOMEM.
 */
int vmcs_alloc(struct loaded_vmcs *v, bool shadow)
{
	u32 *region = (u32 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);

	if (!region)
		return -ENOMEM;
	memset(v, 0, sizeof(*v));
	/* Bits 30:0 are the revision, bit 31 makes it a shadow VMCS (SDM 3C 25.2). */
	region[0] = (host_caps.basic & GENMASK(30, 0)) | (shadow ? BIT(31) : 0);
	v->region = region;
	v->hpa = __pa(region);
	v->cpu = -1;
	INIT_LIST_HEAD(&v->on_cpu);
	/* VMCLEAR initializes the region (SDM 3C 25.11.3). Every CPU is in VMX root operation. */
	preempt_disable();
	vmcs_vmclear(v->hpa);
	preempt_enable();
	return 0;
}

/**
 * vmcs_clear_local() - VMCLEAR a VMCS that is active on this CPU or on none
 * @v: the VMCS
 *
 * Context: Interrupts disabled. If @v is current, no VMCS is current afterwards.
 */
void vmcs_clear_local(struct loaded_vmcs *v)
{
	if (v->cpu == smp_processor_id()) {
		list_del_init(&v->on_cpu);
		if (this_cpu_read(current_vmcs) == v)
			this_cpu_write(current_vmcs, NULL);
	}
	vmcs_vmclear(v->hpa);
	/* A CPU that reads -1 may load the VMCS, so it must be off the list before. */
	smp_store_release(&v->cpu, -1);
	v->launched = false;
}

static void vmcs_clear_ipi(void *arg)
{
	struct loaded_vmcs *v = arg;

	/* The VMCS may have been cleared when its CPU went off line. */
	if (v->cpu == smp_processor_id())
		vmcs_clear_local(v);
}

/**
 * vmcs_clear() - VMCLEAR a VMCS on the CPU where it is active
 * @v: the VMCS
 *
 * Context: Interrupts enabled. May send an IPI and wait for it.
 */
void vmcs_clear(struct loaded_vmcs *v)
{
	int cpu = READ_ONCE(v->cpu);

	if (cpu >= 0)
		smp_call_function_single(cpu, vmcs_clear_ipi, v, 1);
}

/**
 * vmcs_free() - clear and free a VMCS
 * @v: the VMCS; may not be allocated
 *
 * Context: Interrupts enabled. May send an IPI and wait for it.
 */
void vmcs_free(struct loaded_vmcs *v)
{
	if (!v->region)
		return;
	vmcs_clear(v);
	free_page((unsigned long)v->region);
	v->region = NULL;
}

/**
 * vmcs_clear_this_cpu() - VMCLEAR all VMCSs that are active on this CPU
 *
 * Context: Interrupts disabled. No VMCS is current afterwards.
 */
void vmcs_clear_this_cpu(void)
{
	struct loaded_vmcs *v, *next;

	list_for_each_entry_safe(v, next, this_cpu_ptr(&active_list), on_cpu)
		vmcs_clear_local(v);
}

/* Make @v active on this CPU. Interrupts are enabled. */
static noinline void vmcs_activate(struct loaded_vmcs *v)
{
	unsigned long flags;

	vmcs_clear(v);
	local_irq_save(flags);
	/* Pairs with the release in vmcs_clear_local(). */
	smp_rmb();
	list_add(&v->on_cpu, this_cpu_ptr(&active_list));
	v->cpu = smp_processor_id();
	local_irq_restore(flags);
}

/**
 * vmcs_load_failed() - report a failed VMPTRLD
 * @v: the VMCS
 *
 * A failure is a bug in Droste, unless VMX was turned off for a reboot.
 *
 * Context: Any.
 */
void vmcs_load_failed(const struct loaded_vmcs *v)
{
	if (!READ_ONCE(vmx_going_down))
		pr_err_ratelimited("droste: VMPTRLD of %#llx failed\n", v->hpa);
}

/**
 * vmcs_load() - make a VMCS current on this CPU
 * @v: the VMCS
 *
 * If it is active on another CPU it is cleared there first.
 *
 * Context: Preemption disabled. Interrupts enabled, unless @v is active on
 * this CPU already.
 */
void vmcs_load(struct loaded_vmcs *v)
{
	if (unlikely(v->cpu != smp_processor_id()))
		vmcs_activate(v);
	if (this_cpu_read(current_vmcs) == v)
		return;
	vmcs_load_here(v);
}

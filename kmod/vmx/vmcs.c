// SPDX-License-Identifier: GPL-2.0
/* VMCS regions: allocation, and the rule that each is active on one CPU at a time. SDM 3C 25.1, 25.11. */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include "droste.h"
#include "vmx/root.h"
#include "vmx/vmx.h"

/* VMCSs that are active on a CPU. Touched by that CPU only, irqs off. */
static DEFINE_PER_CPU(struct list_head, active_list);
/* The one that is current there. The same rule. */
static DEFINE_PER_CPU(struct loaded_vmcs *, current_vmcs);

void vmcs_cpu_lists_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		INIT_LIST_HEAD(&per_cpu(active_list, cpu));
}

void vmcs_access_failed(unsigned long field, bool write)
{
	if (READ_ONCE(vmx_going_down))
		return;
	pr_err_ratelimited("droste: %s of VMCS field %#lx failed\n", write ? "VMWRITE" : "VMREAD", field);
	WARN_ON_ONCE(1);
}

static void vmclear(hpa_t pa)
{
	bool fail = false;

	asm volatile("1: vmclear %1\n\t"
		     "2:" _ASM_EXTABLE(1b, 2b)
		     : "=@ccna"(fail) : "m"(pa) : "memory");
	if (unlikely(fail) && !READ_ONCE(vmx_going_down))
		pr_err_ratelimited("droste: VMCLEAR of %#llx failed\n", pa);
}

bool vmcs_ptrld(hpa_t pa)
{
	bool fail = false;

	asm volatile("1: vmptrld %1\n\t"
		     "2:" _ASM_EXTABLE(1b, 2b)
		     : "=@ccna"(fail) : "m"(pa) : "memory");
	return !fail;
}

int vmcs_alloc(struct loaded_vmcs *v, bool shadow)
{
	u32 *region = (u32 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);

	if (!region)
		return -ENOMEM;
	memset(v, 0, sizeof(*v));
	/* SDM 3C 25.2: revision in bits 30:0, bit 31 makes it a shadow VMCS. */
	region[0] = (host_caps.basic & GENMASK(30, 0)) | (shadow ? BIT(31) : 0);
	v->region = region;
	v->hpa = __pa(region);
	v->cpu = -1;
	INIT_LIST_HEAD(&v->on_cpu);
	/* SDM 3C 25.11.3: a region becomes a VMCS by VMCLEAR. Every CPU is in VMX root operation. */
	preempt_disable();
	vmclear(v->hpa);
	preempt_enable();
	return 0;
}

void vmcs_clear_local(struct loaded_vmcs *v)
{
	if (v->cpu == smp_processor_id()) {
		list_del_init(&v->on_cpu);
		if (this_cpu_read(current_vmcs) == v)
			this_cpu_write(current_vmcs, NULL);
	}
	vmclear(v->hpa);
	/* Whoever sees it nowhere may load it: the list must have let go of it first. */
	smp_store_release(&v->cpu, -1);
	v->launched = false;
}

static void clear_ipi(void *arg)
{
	struct loaded_vmcs *v = arg;

	/* It may have gone already, with its CPU. */
	if (v->cpu == smp_processor_id())
		vmcs_clear_local(v);
}

void vmcs_clear(struct loaded_vmcs *v)
{
	int cpu = READ_ONCE(v->cpu);

	if (cpu >= 0)
		smp_call_function_single(cpu, clear_ipi, v, 1);
}

void vmcs_free(struct loaded_vmcs *v)
{
	if (!v->region)
		return;
	vmcs_clear(v);
	free_page((unsigned long)v->region);
	v->region = NULL;
}

void vmcs_clear_this_cpu(void)
{
	struct loaded_vmcs *v, *next;

	list_for_each_entry_safe(v, next, this_cpu_ptr(&active_list), on_cpu)
		vmcs_clear_local(v);
}

void vmcs_load(struct loaded_vmcs *v)
{
	int cpu = smp_processor_id();
	unsigned long flags;

	if (v->cpu != cpu) {
		vmcs_clear(v);
		local_irq_save(flags);
		/* Pairs with the release in vmcs_clear_local(). */
		smp_rmb();
		list_add(&v->on_cpu, this_cpu_ptr(&active_list));
		v->cpu = cpu;
		local_irq_restore(flags);
	}
	if (this_cpu_read(current_vmcs) != v) {
		this_cpu_write(current_vmcs, v);
		if (!vmcs_ptrld(v->hpa) && !READ_ONCE(vmx_going_down))
			pr_err_ratelimited("droste: VMPTRLD of %#llx failed\n", v->hpa);
	}
}

// SPDX-License-Identifier: GPL-2.0
/* Plants each fault in turn when it is loaded, and prints TAP into the kernel's log. */
#include <linux/errno.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/string.h>
#include "plant.h"

static char *which = "";
module_param(which, charp, 0);
MODULE_PARM_DESC(which, "the fault to plant, by name (default: all)");

static const char *const outcomes[] = { "exit", "failed entry", "VMfailValid", "VMfailInvalid" };
static int number;

static void plant(const struct fault *f)
{
	const char *complaint;
	struct result r;
	unsigned long flags;

	preempt_disable();
	local_irq_save(flags);
	vm_reset();
	f->plant();
	r = vm_enter();
	complaint = f->check ? f->check() : NULL;
	local_irq_restore(flags);
	preempt_enable();
	if (r.outcome != f->want.outcome || r.number != f->want.number || r.qualification != f->want.qualification)
		pr_info("plant: not ok %d - %s: %s %u, qualification %#llx; wanted %s %u, %#llx\n", ++number, f->name,
			outcomes[r.outcome], r.number, r.qualification, outcomes[f->want.outcome], f->want.number,
			f->want.qualification);
	else if (complaint)
		pr_info("plant: not ok %d - %s: %s\n", ++number, f->name, complaint);
	else
		pr_info("plant: ok %d - %s\n", ++number, f->name);
}

static int __init plant_init(void)
{
	static const struct fault *const topics[] = { checks_faults, translations_faults, vmcs_faults, msrs_faults };
	const struct fault *f;
	unsigned int t;
	int error;

	/* The module turns VMX on for one CPU. */
	set_cpus_allowed_ptr(current, cpumask_of(0));
	error = vm_create();
	for (t = 0; !error && t < ARRAY_SIZE(topics); t++)
		for (f = topics[t]; f->name; f++)
			if (!*which || !strcmp(which, f->name))
				plant(f);
	if (!error && !*which)
		vmcs_on_other_cpu();
	if (!error)
		pr_info("plant: 1..%d\n", number);
	vm_destroy();
	return error;
}
module_init(plant_init);

static void __exit plant_exit(void)
{
}
module_exit(plant_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Faults planted for the lab's strict machine");

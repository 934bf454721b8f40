// SPDX-License-Identifier: GPL-2.0
/*
 * Plants each fault in turn when it is loaded, and prints TAP into the kernel's log. On a machine that is lenient in a rule, it
 * is an error if the rule's fault is still noticed.
 */
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <asm/sync_core.h>
#include "plant.h"

static char *which = "";
module_param(which, charp, 0);
MODULE_PARM_DESC(which, "the fault to plant, by name (default: all)");

static char *lenient = "";
module_param(lenient, charp, 0);
MODULE_PARM_DESC(lenient, "the machine's --lenient (default: no rule)");

static const char *const outcomes[] = { "exit", "failed entry", "VMfailValid", "VMfailInvalid" };
static int number;

/* Whether a word is in a list with commas. */
static bool listed(const char *list, const char *word, size_t length)
{
	const char *end;

	for (;; list = end + 1) {
		end = strchrnul(list, ',');
		if (end - list == length && !strncmp(list, word, length))
			return true;
		if (!*end)
			return false;
	}
}

/* Whether the machine is lenient in one of a fault's rules. */
static bool rule_is_off(const struct fault *f)
{
	const char *word, *end;

	for (word = f->rule; word; word = *end ? end + 1 : NULL) {
		end = strchrnul(word, ',');
		if (!strcmp(lenient, "all") || listed(lenient, word, end - word))
			return true;
	}
	return false;
}

static void tell(const struct fault *f, const struct result *r, const char *complaint)
{
	bool wrong = r->outcome != f->want.outcome || r->number != f->want.number || r->qualification != f->want.qualification;

	number++;
	if (rule_is_off(f)) {
		pr_info("plant: %s %d - %s, without %s\n", wrong || complaint ? "ok" : "not ok", number, f->name, f->rule);
		pr_info("plant: # %s: %s %u, qualification %#llx; %s\n", f->name, outcomes[r->outcome], r->number, r->qualification,
			complaint ?: "");
	} else if (wrong) {
		pr_info("plant: not ok %d - %s: %s %u, qualification %#llx; wanted %s %u, %#llx\n", number, f->name,
			outcomes[r->outcome], r->number, r->qualification, outcomes[f->want.outcome], f->want.number,
			f->want.qualification);
	} else if (complaint) {
		pr_info("plant: not ok %d - %s: %s\n", number, f->name, complaint);
	} else {
		pr_info("plant: ok %d - %s\n", number, f->name);
	}
}

static void plant(const struct fault *f)
{
	const char *complaint;
	struct result r;
	unsigned long flags;

	preempt_disable();
	local_irq_save(flags);
	/* No interrupt ends a guest, or is delivered to it, unless the fault is about that. */
	vm_block_interrupts(true);
	vm_reset();
	f->plant();
	r = vm_enter();
	complaint = f->check ? f->check() : NULL;
	iret_to_self();		/* a fault may have blocked NMIs */
	vm_block_interrupts(false);
	local_irq_restore(flags);
	preempt_enable();
	tell(f, &r, complaint);
}

static int __init plant_init(void)
{
	static const struct fault *const topics[] = { checks_faults, events_faults, translations_faults, vmcs_faults, msrs_faults };
	const char *complaint;
	const struct fault *f;
	unsigned int t;
	int error;

	/* The module turns VMX on for one CPU. */
	set_cpus_allowed_ptr(current, cpumask_of(0));
	error = vm_create() ?: events_create();
	for (t = 0; !error && t < ARRAY_SIZE(topics); t++)
		for (f = topics[t]; f->name; f++)
			if (!*which || !strcmp(which, f->name))
				plant(f);
	if (!error && !*which && !*lenient && cpu_online(1)) {
		complaint = vmcs_on_other_cpu();
		pr_info("plant: %s %d - misuse of VMCSs by two CPUs%s%s\n", complaint ? "not ok" : "ok", ++number,
			complaint ? ": " : "", complaint ?: "");
	}
	if (!error)
		pr_info("plant: 1..%d\n", number);
	vm_destroy();
	events_destroy();
	return error;
}
module_init(plant_init);

static void __exit plant_exit(void)
{
}
module_exit(plant_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Faults planted for the lab's strict machine");

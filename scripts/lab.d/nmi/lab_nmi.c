// SPDX-License-Identifier: GPL-2.0
/*
 * Handles the NMIs of the strict machine's storms, which have no cause that Linux knows, and counts them in the parameter
 * "handled". The number must be that of the NMIs that the processor accepted (LAB_MSR_NMIS).
 *
 * A write of N to "race" is the planted fault: N increments of a counter that the NMI handler increments, too, by a load,
 * an addition and a store. "lost" then has the increments that an NMI between the load and the store has undone.
 */
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <asm/nmi.h>

struct lab_nmi {
	unsigned long handled;		/* NMIs of this CPU */
	unsigned long raced;		/* the counter of the planted fault */
};

static DEFINE_PER_CPU(struct lab_nmi, lab_nmi);
static unsigned long lost;
module_param(lost, ulong, 0444);

static int lab_nmi_handle(unsigned int type, struct pt_regs *regs)
{
	this_cpu_inc(lab_nmi.handled);
	this_cpu_inc(lab_nmi.raced);
	return NMI_HANDLED;
}

static int lab_nmi_get_handled(char *buffer, const struct kernel_param *kp)
{
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(lab_nmi, cpu).handled;
	return sysfs_emit(buffer, "%lu\n", sum);
}

static const struct kernel_param_ops handled_ops = { .get = lab_nmi_get_handled };
module_param_cb(handled, &handled_ops, NULL, 0444);

static int lab_nmi_race(const char *value, const struct kernel_param *kp)
{
	unsigned long count, handled, raced;
	struct lab_nmi *mine;
	int ret = kstrtoul(value, 0, &count);

	if (ret)
		return ret;
	preempt_disable();
	mine = this_cpu_ptr(&lab_nmi);
	handled = READ_ONCE(mine->handled);
	raced = READ_ONCE(mine->raced);
	for (unsigned long i = 0; i < count; i++)
		WRITE_ONCE(mine->raced, READ_ONCE(mine->raced) + 1);
	lost = count + (READ_ONCE(mine->handled) - handled) - (READ_ONCE(mine->raced) - raced);
	preempt_enable();
	return 0;
}

static const struct kernel_param_ops race_ops = { .set = lab_nmi_race };
module_param_cb(race, &race_ops, NULL, 0200);

static int __init lab_nmi_init(void)
{
	return register_nmi_handler(NMI_LOCAL, lab_nmi_handle, 0, "lab_nmi");
}

static void __exit lab_nmi_exit(void)
{
	unregister_nmi_handler(NMI_LOCAL, "lab_nmi");
}

module_init(lab_nmi_init);
module_exit(lab_nmi_exit);
MODULE_DESCRIPTION("Handles the NMIs of the lab's strict machine");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * droste_kvmtrace.ko: Droste's exits and entries as events of the system kvm, for tools that know KVM's.
 *
 * Probes of droste.ko's tracepoints call those of kvmtrace.h. They are attached while an event of kvmtrace.h is on,
 * because an event of droste.ko that is on keeps exits off the short way. A tracepoint cannot attach a probe to another
 * one while it is being turned on, so a work item does that: an event is silent for a moment after it was turned on.
 */
#include <linux/module.h>
#include <linux/workqueue.h>
#include "droste.h"
#include "nested/facts.h"
#include "trace.h"

#define CREATE_TRACE_POINTS
#include "kvmtrace/kvmtrace.h"

static void kvmtrace_update(struct work_struct *work);

static DECLARE_WORK(kvmtrace_work, kvmtrace_update);
static DEFINE_SPINLOCK(kvmtrace_lock);	/* protects the next two */
static int kvmtrace_users;		/* events that are on */
static bool kvmtrace_ends;		/* the module is being unloaded */
static bool kvmtrace_attached;		/* Owner: the work item */
module_param_named(attached, kvmtrace_attached, bool, 0444);
MODULE_PARM_DESC(attached, "Droste's exits are being passed on (read only)");

static void kvmtrace_droste_exit(void *unused, const struct vcpu *v)
{
	struct exit_facts f;

	facts_of_exit(v, &f);
	trace_kvm_exit(v, &f);
	if (v->in_l2)
		trace_kvm_nested_vmexit(v, &f);
}

static void kvmtrace_droste_entry(void *unused, const struct vcpu *v)
{
	trace_kvm_entry(v);
}

static void kvmtrace_droste_l1_exit(void *unused, const struct vcpu *v, u8 origin)
{
	struct exit_facts f;

	if (origin == L1_EXIT_ENTRY)
		return;
	facts_of_l1_exit(v, &f);
	trace_kvm_nested_vmexit_inject(&f);
}

static void kvmtrace_droste_mmio(void *unused, const struct vcpu *v, u8 step, u64 gpa, u32 len, const void *data)
{
	trace_kvm_mmio(step, gpa, len, data);
}

static void kvmtrace_droste_pio(void *unused, const struct vcpu *v, bool out, u16 port, u32 size, u32 count, const void *data)
{
	trace_kvm_pio(out, port, size, count, data);
}

static void kvmtrace_droste_msr(void *unused, const struct vcpu *v, bool write, u32 msr, u64 data, bool fault)
{
	trace_kvm_msr(write, msr, data, fault);
}

/* The tracepoints of droste.ko. The name of each one's probe is made of its own. */
#define KVMTRACE_EVENTS(row) \
	row(droste_exit) row(droste_l1_exit) row(droste_mmio) row(droste_pio) row(droste_msr) row(droste_entry)

#define KVMTRACE_ATTACH(event)	err = err ?: register_trace_##event(kvmtrace_##event, NULL); done += !err;
#define KVMTRACE_DETACH(event)	if (done-- > 0) unregister_trace_##event(kvmtrace_##event, NULL);

/* Detach the first @done probes. */
static void kvmtrace_detach(int done)
{
	KVMTRACE_EVENTS(KVMTRACE_DETACH)
	kvmtrace_attached = false;
}

static void kvmtrace_attach(void)
{
	int err = 0, done = 0;

	KVMTRACE_EVENTS(KVMTRACE_ATTACH)
	if (err) {
		kvmtrace_detach(done);
		pr_err("droste_kvmtrace: cannot attach to Droste's events, error %d; the events of kvm stay silent\n", err);
		return;
	}
	kvmtrace_attached = true;
}

static void kvmtrace_update(struct work_struct *work)
{
	bool wanted;

	spin_lock(&kvmtrace_lock);
	wanted = kvmtrace_users && !kvmtrace_ends;
	spin_unlock(&kvmtrace_lock);
	if (wanted && !kvmtrace_attached)
		kvmtrace_attach();
	else if (!wanted && kvmtrace_attached)
		kvmtrace_detach(INT_MAX);
}

static void kvmtrace_count(int more)
{
	spin_lock(&kvmtrace_lock);
	kvmtrace_users += more;
	/* Events that are on when the module is unloaded are turned off after kvmtrace_stop(). */
	if (!kvmtrace_ends)
		schedule_work(&kvmtrace_work);
	spin_unlock(&kvmtrace_lock);
}

/**
 * kvmtrace_reg() - note that an event of kvmtrace.h is turned on
 *
 * Context: The kernel holds the mutex of all tracepoints.
 * Return: 0.
 */
int kvmtrace_reg(void)
{
	kvmtrace_count(1);
	return 0;
}

/**
 * kvmtrace_unreg() - note that an event of kvmtrace.h is turned off
 *
 * Context: The kernel holds the mutex of all tracepoints.
 */
void kvmtrace_unreg(void)
{
	kvmtrace_count(-1);
}

/* Detach for good. Events may still be on, or be turned on, until the module is gone. */
static void kvmtrace_stop(void)
{
	spin_lock(&kvmtrace_lock);
	kvmtrace_ends = true;
	spin_unlock(&kvmtrace_lock);
	cancel_work_sync(&kvmtrace_work);
	if (kvmtrace_attached)
		kvmtrace_detach(INT_MAX);
	tracepoint_synchronize_unregister();
}

/* kvm.ko has events of the same names. Tools would see a mixture, or those of one module only. */
static int __init kvmtrace_init(void)
{
	static const char event[] = "__tracepoint_kvm_exit";

	if (!__symbol_get(event))
		return 0;
	__symbol_put(event);
	pr_err("droste_kvmtrace: kvm.ko has the events of the system kvm; run \"rmmod kvm_intel kvm\" first\n");
	kvmtrace_stop();
	return -EBUSY;
}

static void __exit kvmtrace_exit(void)
{
	kvmtrace_stop();
}

module_init(kvmtrace_init);
module_exit(kvmtrace_exit);

MODULE_DESCRIPTION("The events of KVM for VMs of Droste");
MODULE_LICENSE("GPL");
MODULE_VERSION(DROSTE_VERSION);	/* see Kbuild */

/* SPDX-License-Identifier: GPL-2.0 */
/* What differs between kernel versions: the only file that names them. */
#ifndef DROSTE_COMPAT_H
#define DROSTE_COMPAT_H

#include <linux/version.h>
#include <linux/kernel.h>
#include <linux/syscore_ops.h>
#include <asm/cpufeatures.h>
#include <asm/reboot.h>

/*
 * A crashing kernel must leave VMX before it starts the next. From 6.7 on, and
 * in later releases of older series, it asks the owner of VMX; before, it finds
 * VMX by CR4.VMXE and does it itself. Kbuild looks which.
 */
#ifdef DROSTE_HAVE_VIRT_CALLBACK
#define compat_emergency_register(fn)	cpu_emergency_register_virt_callback(fn)
#define compat_emergency_unregister(fn)	cpu_emergency_unregister_virt_callback(fn)
#else
#define compat_emergency_register(fn)	((void)(fn))
#define compat_emergency_unregister(fn)	((void)(fn))
#endif

/*
 * The one step of CPU hotplug that belongs to the owner of VMX, which is KVM's
 * name for it: when a CPU goes, no task is left there that could run a vCPU,
 * and when one comes none is there yet. Only one owner gets it.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
#define COMPAT_CPUHP_VMX	CPUHP_AP_KVM_ONLINE
#else
#define COMPAT_CPUHP_VMX	CPUHP_AP_KVM_STARTING
#endif

#ifndef X86_FEATURE_FRED	/* a kernel older than FRED never uses it */
#define compat_host_uses_fred()	false
#else
#define compat_host_uses_fred()	cpu_feature_enabled(X86_FEATURE_FRED)
#endif

/*
 * System-core operations got a registration object and an argument in the
 * middle of stable series; Kbuild looks which of the two the headers have.
 */
#ifdef DROSTE_HAVE_REGISTER_SYSCORE
#define COMPAT_SYSCORE_CONST		const
#define COMPAT_SYSCORE_INIT(o)		{ .ops = &(o) }
#define compat_syscore_arg		void *unused
typedef struct syscore compat_syscore;
#define compat_register_syscore(s)	register_syscore(s)
#define compat_unregister_syscore(s)	unregister_syscore(s)
#else
#define COMPAT_SYSCORE_CONST
#define COMPAT_SYSCORE_INIT(o)		(&(o))
#define compat_syscore_arg		void
typedef struct syscore_ops *compat_syscore;
#define compat_register_syscore(s)	register_syscore_ops(*(s))
#define compat_unregister_syscore(s)	unregister_syscore_ops(*(s))
#endif

/* struct kvm_run's second byte; newer headers hide it from the kernel under another name. */
#define compat_immediate_exit(run)	READ_ONCE((&(run)->request_interrupt_window)[1])

/* smp_send_reschedule() traces from 6.4 on. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#include <trace/events/ipi.h>
#endif

/* From 6.13 on a timer gets its function when it is set up. Macros: whoever has no timer needs no hrtimer.h. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define compat_hrtimer_setup(t, fn, clock, mode)	hrtimer_setup(t, fn, clock, mode)
#else
#define compat_hrtimer_setup(t, fn, clock, mode)	do {	\
		hrtimer_init(t, clock, mode);			\
		(t)->function = (fn);				\
	} while (0)
#endif

/* From 6.8 on eventfd_signal() always adds one. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#define compat_eventfd_signal(ctx)	eventfd_signal(ctx)
#else
#define compat_eventfd_signal(ctx)	eventfd_signal(ctx, 1)
#endif

/* Quirks that older headers have no name for. */
#include <linux/kvm.h>
#ifndef KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS
#define KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS	BIT(6)
#endif
#ifndef KVM_X86_QUIRK_SLOT_ZAP_ALL
#define KVM_X86_QUIRK_SLOT_ZAP_ALL		BIT(7)
#endif

/* load_gs_index() has a header of its own from 6.3 on. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
#include <asm/gsseg.h>
#endif

#endif

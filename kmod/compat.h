/* SPDX-License-Identifier: GPL-2.0 */
/* Differences between kernel versions. No other file names a version. */
#ifndef DROSTE_COMPAT_H
#define DROSTE_COMPAT_H

#include <linux/version.h>
#include <linux/kernel.h>
#include <linux/syscore_ops.h>
#include <asm/cpufeatures.h>
#include <asm/reboot.h>

/*
 * A crashing kernel must leave VMX before it starts the next kernel. From 6.7
 * on, and in later releases of older series, it calls the owner of VMX. Older
 * kernels find VMX by CR4.VMXE and leave it themselves. Kbuild tells which by
 * the kernel's headers.
 */
#ifdef DROSTE_HAVE_VIRT_CALLBACK
#define compat_emergency_register(fn)	cpu_emergency_register_virt_callback(fn)
#define compat_emergency_unregister(fn)	cpu_emergency_unregister_virt_callback(fn)
#else
#define compat_emergency_register(fn)	((void)(fn))
#define compat_emergency_unregister(fn)	((void)(fn))
#endif

/*
 * The CPU hotplug state for the owner of VMX, named after KVM. When a CPU goes
 * offline, it comes after all tasks that could run a vCPU have left the CPU;
 * when a CPU comes online, before the first of them arrives. The state has room
 * for one owner only.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
#define COMPAT_CPUHP_VMX	CPUHP_AP_KVM_ONLINE
#else
#define COMPAT_CPUHP_VMX	CPUHP_AP_KVM_STARTING
#endif

#ifndef X86_FEATURE_FRED	/* a kernel without the name has no FRED support */
#define compat_host_uses_fred()	false
#else
#define compat_host_uses_fred()	cpu_feature_enabled(X86_FEATURE_FRED)
#endif

/*
 * System-core operations got a registration object and an argument, also within
 * stable series. Kbuild tells which form the kernel's headers have.
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

/*
 * Since 6.13 kernels with lazy preemption ask for it by a flag of its own.
 */
#ifdef _TIF_NEED_RESCHED_LAZY
#define COMPAT_TIF_NEED_RESCHED_LAZY	_TIF_NEED_RESCHED_LAZY
#else
#define COMPAT_TIF_NEED_RESCHED_LAZY	0
#endif

/* Whether VMX's owner protects against iTLB multihit; the host shows it. Only newer headers declare it. */
extern bool itlb_multihit_kvm_mitigation;

/* After a guest has run, the CPU may owe user space an IBPB (VMSCAPE). Kernels without the name have no such barrier. */
#ifdef X86_FEATURE_IBPB_EXIT_TO_USER
#include <asm/nospec-branch.h>
#define compat_ibpb_before_user_mode()	do {				\
		if (cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))	\
			this_cpu_write(x86_ibpb_exit_to_user, true);	\
	} while (0)
#else
#define compat_ibpb_before_user_mode()	do { } while (0)
#endif

/*
 * On for processors whose buffers a guest can sample by accesses to a device (MMIO stale data, CVE-2022-21123 and others),
 * and that need VERW at VM entries for no other reason. Key and function have other names in older and newer kernels, also
 * within stable series. Kbuild tells which by the kernel's headers.
 */
#ifdef DROSTE_HAVE_BUF_VM_CLEAR
#define compat_mmio_needs_verw	cpu_buf_vm_clear
#else
#define compat_mmio_needs_verw	mmio_stale_data_clear
#endif
#ifdef DROSTE_HAVE_X86_CLEAR
#define compat_clear_buffers()	x86_clear_cpu_buffers()
#else
#define compat_clear_buffers()	mds_clear_cpu_buffers()
#endif

/* The second byte of struct kvm_run. Newer headers give it another name inside the kernel. */
#define compat_immediate_exit(run)	READ_ONCE((&(run)->request_interrupt_window)[1])

/* From 6.4 on smp_send_reschedule() is a macro with a tracepoint. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#include <trace/events/ipi.h>
#endif

/* From 6.13 on a timer gets its function at setup. These are macros, so that files without timers need no hrtimer.h. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define compat_hrtimer_setup(t, fn, clock, mode)	hrtimer_setup(t, fn, clock, mode)
#else
#define compat_hrtimer_setup(t, fn, clock, mode)	do {	\
		hrtimer_init(t, clock, mode);			\
		(t)->function = (fn);				\
	} while (0)
#endif

/* From 6.8 on eventfd_signal() always adds 1 and has no count. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#define compat_eventfd_signal(ctx)	eventfd_signal(ctx)
#else
#define compat_eventfd_signal(ctx)	eventfd_signal(ctx, 1)
#endif

/* From 6.2 on any signal ends a wait for a page of user memory if the caller asks for that; before, only a fatal one. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define COMPAT_FOLL_INTERRUPTIBLE	FOLL_INTERRUPTIBLE
#else
#define COMPAT_FOLL_INTERRUPTIBLE	0
#endif

/* From 6.5 on get_user_pages_remote() returns no VMAs. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#define compat_get_user_page_remote(mm, addr, flags, page)	get_user_pages_remote(mm, addr, 1, flags, page, NULL)
#else
#define compat_get_user_page_remote(mm, addr, flags, page)	get_user_pages_remote(mm, addr, 1, flags, page, NULL, NULL)
#endif

/*
 * The lock of the entry by which a VMA of a driver (VM_PFNMAP, VM_IO) maps an address. The functions for it changed in 6.10
 * and in 6.12. These are macros, so that files without page tables need no mm.h.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#define COMPAT_PFNMAP(at, v, a)		struct follow_pfnmap_args at = { .vma = (v), .address = (a) }
#define compat_pfnmap_lock(at)		follow_pfnmap_start(at)
#define compat_pfnmap_unlock(at)	follow_pfnmap_end(at)
#else
#define COMPAT_PFNMAP(at, v, a)		\
	struct { struct vm_area_struct *vma; unsigned long address; pte_t *pte; spinlock_t *lock; } at = { (v), (a) }
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
#define compat_pfnmap_lock(at)		follow_pte((at)->vma, (at)->address, &(at)->pte, &(at)->lock)
#else
#define compat_pfnmap_lock(at)		follow_pte((at)->vma->vm_mm, (at)->address, &(at)->pte, &(at)->lock)
#endif
#define compat_pfnmap_unlock(at)	pte_unmap_unlock((at)->pte, (at)->lock)
#endif

/* Before 6.6 only a group's file tells VFIO's modules of a guest. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define compat_vfio_file_is_valid	vfio_file_is_valid
#else
#define compat_vfio_file_is_valid	vfio_file_is_group
#endif

/*
 * The struct fpu of the calling thread, on kernels whose rules for it are those of fpu_exchange(). Others have functions
 * of their own for it, and another place.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define COMPAT_FPU_OF_THREAD	(&current->thread.fpu)
#endif

/* Quirks that older headers do not name. */
#include <linux/kvm.h>
#ifndef KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS
#define KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS	BIT(6)
#endif
#ifndef KVM_X86_QUIRK_SLOT_ZAP_ALL
#define KVM_X86_QUIRK_SLOT_ZAP_ALL		BIT(7)
#endif
#ifndef KVM_X86_QUIRK_IGNORE_GUEST_PAT
#define KVM_X86_QUIRK_IGNORE_GUEST_PAT		BIT(9)
#endif

/* From 6.3 on load_gs_index() has its own header. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
#include <asm/gsseg.h>
#endif

#endif

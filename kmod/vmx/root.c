// SPDX-License-Identifier: GPL-2.0
/* VMX root operation of each CPU: VMXON when a CPU comes up, VMXOFF when it goes down, at suspend, reboot and kexec. */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/gfp.h>
#include <linux/percpu.h>
#include <linux/reboot.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/perf_event.h>
#include <asm/tlbflush.h>
#include "droste.h"
#include "vmx/root.h"
#include "vmx/vmx.h"

static DEFINE_PER_CPU(void *, vmxon_region);	/* one page; written at init and exit only */
static DEFINE_PER_CPU(bool, vmx_on);		/* in VMX operation; accessed by that CPU with interrupts disabled */

/* Set when VMX is turned off for a reboot. VMX instructions may fault from then on, without being a bug. */
bool vmx_going_down;

/* Does the processor have VMX, and does the firmware allow it? Logs one line if not. */
static int root_check_available(void)
{
	u64 ctl;

	if (!(cpuid_ecx(1) & BIT(5))) {
		pr_err("droste: this processor has no VMX (CPUID.1:ECX bit 5 is 0)\n");
		return -ENODEV;
	}
	/* If the MSR is locked with bit 2 clear, VMXON outside SMX raises #GP until the next reset (SDM 3C 24.7). */
	if (rdmsrl_safe(MSR_IA32_FEAT_CTL, &ctl) ||
	    ((ctl & FEAT_CTL_LOCKED) && !(ctl & FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX))) {
		pr_err("droste: the firmware has locked VMX off (IA32_FEATURE_CONTROL %#llx)\n", ctl);
		return -EACCES;
	}
	if (compat_host_uses_fred()) {
		pr_err("droste: this kernel uses FRED, which Droste does not handle\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

static int root_vmxon(hpa_t pa)
{
	asm goto("1: vmxon %[pa]\n\t"
		 "jbe %l[fail]\n\t"
		 _ASM_EXTABLE(1b, %l[fail])
		 : : [pa] "m"(pa) : "cc", "memory" : fail);
	return 0;
fail:
	return -EIO;
}

/* Enter VMX operation on this CPU. Called with interrupts disabled. */
static int root_on(void)
{
	u64 ctl;
	int ret;

	/* First of all: on older kernels a CPU comes online, and may try to run a vCPU, even if this fails. */
	vmx_host_read_cpu();
	if (cr4_read_shadow() & X86_CR4_VMXE)
		return -EBUSY;
	if (!vmx_caps_same_here())
		return -EOPNOTSUPP;
	rdmsrl(MSR_IA32_FEAT_CTL, ctl);
	if (!(ctl & FEAT_CTL_LOCKED))
		wrmsrl(MSR_IA32_FEAT_CTL, ctl | FEAT_CTL_LOCKED | FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX);
	/* Where Intel PT is not allowed in VMX operation, perf must not turn it on from now on. */
	intel_pt_handle_vmx(1);
	cr4_set_bits(X86_CR4_VMXE);
	ret = root_vmxon(__pa(this_cpu_read(vmxon_region)));
	if (ret) {
		cr4_clear_bits(X86_CR4_VMXE);
		intel_pt_handle_vmx(0);
		return ret;
	}
	this_cpu_write(vmx_on, true);
	vmx_invept_all();
	return 0;
}

/* Leave VMX operation on this CPU. Called with interrupts disabled, or in a crash. */
static void root_vmxoff(void)
{
	if (!this_cpu_read(vmx_on))
		return;
	vmcs_clear_this_cpu();
	this_cpu_write(vmx_on, false);
	asm goto("1: vmxoff\n\t" _ASM_EXTABLE(1b, %l[out]) : : : "cc", "memory" : out);
out:
	cr4_clear_bits(X86_CR4_VMXE);
}

/* Leave VMX operation on this CPU, and give Intel PT back to perf. Called with interrupts disabled. */
static void root_off(void)
{
	if (!this_cpu_read(vmx_on))
		return;
	root_vmxoff();
	intel_pt_handle_vmx(0);
}

static void root_log_failure(int cpu, int err)
{
	if (err == -EBUSY)
		pr_err("droste: VMX on CPU %u belongs to someone else (CR4.VMXE is set)\n", cpu);
	else if (err == -EOPNOTSUPP)
		pr_err("droste: the VMX capabilities of CPU %u differ from those of the others\n", cpu);
	else
		pr_err("droste: VMXON failed on CPU %u\n", cpu);
}

/* CPU hotplug callback, before tasks run on the CPU. Interrupts may be disabled. */
static int root_cpu_up(unsigned int cpu)
{
	unsigned long flags;
	int ret;

	local_irq_save(flags);
	ret = root_on();
	local_irq_restore(flags);
	if (ret)
		root_log_failure(cpu, ret);
	return ret;
}

/* CPU hotplug callback, after tasks have left the CPU. Interrupts may be disabled. */
static int root_cpu_down(unsigned int cpu)
{
	unsigned long flags;

	local_irq_save(flags);
	root_off();
	local_irq_restore(flags);
	return 0;
}

/* The result of root_on_ipi() on all CPUs. */
struct on_result {
	atomic_t err;		/* of the first CPU that failed, 0 if none did */
	int cpu;		/* the CPU that failed */
};

static void root_on_ipi(void *arg)
{
	struct on_result *result = arg;
	int ret = root_on();

	if (ret && !atomic_cmpxchg(&result->err, 0, ret))
		result->cpu = smp_processor_id();
}

static void root_off_ipi(void *unused)
{
	root_off();
}

/* Reboot and kexec: the next kernel must not start on a CPU in VMX operation, which blocks INIT (SDM 3C 24.8). */
static int root_reboot(struct notifier_block *nb, unsigned long action, void *unused)
{
	WRITE_ONCE(vmx_going_down, true);
	on_each_cpu(root_off_ipi, NULL, 1);
	return NOTIFY_OK;
}

static struct notifier_block reboot_nb = { .notifier_call = root_reboot };

/* Suspend: the other CPUs are off line already. Called with interrupts disabled. */
static int root_suspend(compat_syscore_arg)
{
	root_off();
	return 0;
}

static void root_resume(compat_syscore_arg)
{
	if (root_on())
		pr_err("droste: cannot enter VMX operation after resume\n");
}

static COMPAT_SYSCORE_CONST struct syscore_ops syscore_ops = { .suspend = root_suspend, .resume = root_resume };
static compat_syscore syscore = COMPAT_SYSCORE_INIT(syscore_ops);

/**
 * vmx_root_emergency() - leave VMX operation on this CPU in a crash
 *
 * Context: NMI. The kernel calls it on each CPU. Takes no locks.
 */
void vmx_root_emergency(void)
{
	root_vmxoff();
}

static void root_free_regions(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		free_page((unsigned long)per_cpu(vmxon_region, cpu));
		per_cpu(vmxon_region, cpu) = NULL;
	}
}

static int root_alloc_regions(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		u32 *region = (u32 *)get_zeroed_page(GFP_KERNEL);

		if (!region) {
			root_free_regions();
			return -ENOMEM;
		}
		region[0] = host_caps.basic & GENMASK(30, 0);	/* SDM 3C 25.11.5 */
		per_cpu(vmxon_region, cpu) = region;
	}
	return 0;
}

/**
 * vmx_root_check() - is VMX available?
 *
 * Context: Process context.
 * Return: 0; -ENODEV without VMX, -EACCES if the firmware locked it, -EOPNOTSUPP. Logs one line on failure.
 */
int vmx_root_check(void)
{
	return root_check_available();
}

/* Enter VMX operation on all CPUs, or on none. Caller holds cpus_read_lock(). */
static int root_on_all(void)
{
	struct on_result result = { .err = ATOMIC_INIT(0) };
	int err;

	on_each_cpu(root_on_ipi, &result, 1);
	err = atomic_read(&result.err);
	if (err) {
		on_each_cpu(root_off_ipi, NULL, 1);
		root_log_failure(result.cpu, err);
	}
	return err;
}

/* Register the CPU hotplug state that owners of VMX share, then enter VMX operation on all online CPUs. */
static int root_take_cpus(void)
{
	int ret;

	cpus_read_lock();
	ret = cpuhp_setup_state_nocalls_cpuslocked(COMPAT_CPUHP_VMX, "droste:vmx", root_cpu_up, root_cpu_down);
	if (ret < 0) {
		pr_err("droste: VMX belongs to someone else (is kvm_intel loaded?)\n");
		goto out;
	}
	compat_emergency_register(vmx_root_emergency);
	ret = root_on_all();
	if (ret) {
		compat_emergency_unregister(vmx_root_emergency);
		cpuhp_remove_state_nocalls_cpuslocked(COMPAT_CPUHP_VMX);
	}
out:
	cpus_read_unlock();
	return ret;
}

/**
 * vmx_root_init() - enter VMX root operation on all CPUs, including those that come on line later
 *
 * If one CPU fails, VMX is turned off again on all CPUs.
 *
 * Context: Process context. May sleep.
 * Return: 0, -EBUSY if VMX has another owner, -EOPNOTSUPP if the CPUs differ, -ENOMEM, -EIO. Logs one line on failure.
 */
int vmx_root_init(void)
{
	int ret = root_alloc_regions();

	if (ret)
		return ret;
	vmcs_cpu_lists_init();
	ret = root_take_cpus();
	if (ret) {
		root_free_regions();
		return ret;
	}
	register_reboot_notifier(&reboot_nb);
	compat_register_syscore(&syscore);
	return 0;
}

/**
 * vmx_root_exit() - leave VMX root operation on all CPUs
 *
 * Context: Process context. May sleep. No vCPU exists any more.
 */
void vmx_root_exit(void)
{
	compat_unregister_syscore(&syscore);
	unregister_reboot_notifier(&reboot_nb);
	cpus_read_lock();
	on_each_cpu(root_off_ipi, NULL, 1);
	compat_emergency_unregister(vmx_root_emergency);
	cpuhp_remove_state_nocalls_cpuslocked(COMPAT_CPUHP_VMX);
	cpus_read_unlock();
	root_free_regions();
}

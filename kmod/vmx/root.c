// SPDX-License-Identifier: GPL-2.0
/* VMX root operation on each CPU: VMXON when it comes up, VMXOFF before it goes, at suspend, reboot and kexec. */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/gfp.h>
#include <linux/percpu.h>
#include <linux/reboot.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/tlbflush.h>
#include "droste.h"
#include "vmx/root.h"
#include "vmx/vmx.h"

static DEFINE_PER_CPU(void *, vmxon_region);	/* one page a CPU; written at init and exit only */
static DEFINE_PER_CPU(bool, vmx_on);		/* this CPU is in VMX operation by us; that CPU, irqs off */

/* Set when the machine goes down with VMX already off: VMX instructions fault then, and that is fine. */
bool vmx_going_down;

/* Is VMX there, allowed by firmware, and free? One log line says why not. */
static int check_available(void)
{
	u64 ctl;

	if (!(cpuid_ecx(1) & BIT(5))) {
		pr_err("droste: this processor has no VMX (CPUID.1:ECX bit 5 is 0)\n");
		return -ENODEV;
	}
	/* SDM 3C 24.7: locked without bit 2 means VMXON outside SMX raises #GP until the next reset. */
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

static int vmxon(hpa_t pa)
{
	asm goto("1: vmxon %[pa]\n\t"
		 "jbe %l[fail]\n\t"
		 _ASM_EXTABLE(1b, %l[fail])
		 : : [pa] "m"(pa) : "cc", "memory" : fail);
	return 0;
fail:
	return -EIO;
}

/* On the CPU itself, irqs off. */
static int root_on(void)
{
	u64 ctl;
	int ret;

	if (cr4_read_shadow() & X86_CR4_VMXE)
		return -EBUSY;
	rdmsrl(MSR_IA32_FEAT_CTL, ctl);
	if (!(ctl & FEAT_CTL_LOCKED))
		wrmsrl(MSR_IA32_FEAT_CTL, ctl | FEAT_CTL_LOCKED | FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX);
	cr4_set_bits(X86_CR4_VMXE);
	ret = vmxon(__pa(this_cpu_read(vmxon_region)));
	if (ret) {
		cr4_clear_bits(X86_CR4_VMXE);
		return ret;
	}
	this_cpu_write(vmx_on, true);
	vmx_invept_all();
	return 0;
}

static void root_off(void)
{
	if (!this_cpu_read(vmx_on))
		return;
	vmcs_clear_this_cpu();
	this_cpu_write(vmx_on, false);
	asm goto("1: vmxoff\n\t" _ASM_EXTABLE(1b, %l[out]) : : : "cc", "memory" : out);
out:
	cr4_clear_bits(X86_CR4_VMXE);
}

static void say_failed(int cpu, int err)
{
	if (err == -EBUSY)
		pr_err("droste: VMX on CPU %u belongs to someone else (CR4.VMXE is set)\n", cpu);
	else
		pr_err("droste: VMXON failed on CPU %u\n", cpu);
}

/* A CPU comes: before any task runs there. Irqs may be off. */
static int cpu_up_root(unsigned int cpu)
{
	unsigned long flags;
	int ret;

	local_irq_save(flags);
	ret = root_on();
	local_irq_restore(flags);
	if (ret)
		say_failed(cpu, ret);
	return ret;
}

/* A CPU goes: no task is left there. Irqs may be off. */
static int cpu_down_root(unsigned int cpu)
{
	unsigned long flags;

	local_irq_save(flags);
	root_off();
	local_irq_restore(flags);
	return 0;
}

/* What the IPI of vmx_root_init() finds. */
struct on_result {
	atomic_t err;		/* of one CPU that failed, or 0 */
	int cpu;		/* which */
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

/* Reboot and kexec: no CPU may start the next kernel in VMX operation, where INIT is blocked (SDM 3C 24.8). */
static int on_reboot(struct notifier_block *nb, unsigned long action, void *unused)
{
	WRITE_ONCE(vmx_going_down, true);
	on_each_cpu(root_off_ipi, NULL, 1);
	return NOTIFY_OK;
}

static struct notifier_block reboot_nb = { .notifier_call = on_reboot };

/* Suspend: the other CPUs went off line already; this one is left, with irqs off. */
static int on_suspend(compat_syscore_arg)
{
	root_off();
	return 0;
}

static void on_resume(compat_syscore_arg)
{
	if (root_on())
		pr_err("droste: VMX cannot be had again after resume\n");
}

static COMPAT_SYSCORE_CONST struct syscore_ops syscore_ops = { .suspend = on_suspend, .resume = on_resume };
static compat_syscore syscore = COMPAT_SYSCORE_INIT(syscore_ops);

/* A crash: get out of VMX without taking locks. Called on each CPU by the kernel, NMI context. */
void vmx_root_emergency(void)
{
	root_off();
}

static void free_regions(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		free_page((unsigned long)per_cpu(vmxon_region, cpu));
		per_cpu(vmxon_region, cpu) = NULL;
	}
}

static int alloc_regions(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		u32 *region = (u32 *)get_zeroed_page(GFP_KERNEL);

		if (!region) {
			free_regions();
			return -ENOMEM;
		}
		region[0] = host_caps.basic & GENMASK(30, 0);	/* SDM 3C 25.11.5 */
		per_cpu(vmxon_region, cpu) = region;
	}
	return 0;
}

/**
 * vmx_root_check - may Droste have VMX here?
 *
 * Return: 0; -ENODEV: no VMX; -EACCES: locked off; -EOPNOTSUPP; each with one log line.
 */
int vmx_root_check(void)
{
	return check_available();
}

/* VMX operation on all CPUs, or on none. cpus_read_lock() held. */
static int root_on_all(void)
{
	struct on_result result = { .err = ATOMIC_INIT(0) };
	int err;

	on_each_cpu(root_on_ipi, &result, 1);
	err = atomic_read(&result.err);
	if (err) {
		on_each_cpu(root_off_ipi, NULL, 1);
		say_failed(result.cpu, err);
	}
	return err;
}

/* The owner's step of CPU hotplug, then the CPUs that are there. */
static int take_cpus(void)
{
	int ret;

	cpus_read_lock();
	ret = cpuhp_setup_state_nocalls_cpuslocked(COMPAT_CPUHP_VMX, "droste:vmx", cpu_up_root, cpu_down_root);
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
 * vmx_root_init - enter VMX root operation on all CPUs, and on those to come
 *
 * Process context. Undone whole when one CPU fails.
 *
 * Return: 0, -EBUSY when VMX has another owner, -ENOMEM, -EIO; one log line says which.
 */
int vmx_root_init(void)
{
	int ret = alloc_regions();

	if (ret)
		return ret;
	vmcs_cpu_lists_init();
	ret = take_cpus();
	if (ret) {
		free_regions();
		return ret;
	}
	register_reboot_notifier(&reboot_nb);
	compat_register_syscore(&syscore);
	return 0;
}

void vmx_root_exit(void)
{
	compat_unregister_syscore(&syscore);
	unregister_reboot_notifier(&reboot_nb);
	cpus_read_lock();
	on_each_cpu(root_off_ipi, NULL, 1);
	compat_emergency_unregister(vmx_root_emergency);
	cpuhp_remove_state_nocalls_cpuslocked(COMPAT_CPUHP_VMX);
	cpus_read_unlock();
	free_regions();
}

// SPDX-License-Identifier: GPL-2.0
/* Load and unload: initialize each part in turn, and undo it in reverse order. */
#include <linux/module.h>
#include "droste.h"
#include "abi/dev.h"
#include "cpu/cpuid.h"
#include "nested/nested.h"
#include "run/run.h"
#include "vmx/root.h"
#include "vmx/vmx.h"

static int __init droste_init(void)
{
	int ret;

	ret = vmx_root_check();
	if (ret)
		return ret;
	ret = vmx_caps_init();
	if (ret)
		return ret;
	ret = vmcs12_init();
	if (ret)
		return ret;
	ret = nested_shadow_init();
	if (ret)
		return ret;
	ret = msr_table_init();
	if (ret)
		goto err_shadow;
	ret = cpuid_init();
	if (ret)
		goto err_shadow;
	ret = vmx_l1d_init();
	if (ret)
		goto err_shadow;
	ret = vmx_root_init();
	if (ret)
		goto err_l1d;
	vmx_perf_init();
	vmx_caps_announce(true);
	sched_init();
	ret = dev_init();
	if (ret)
		goto err_root;
	vmx_l1d_warn();
	pr_info("droste: " DROSTE_VERSION " is ready on %u CPUs, VMX revision %#x\n", num_online_cpus(),
		(u32)(host_caps.basic & GENMASK(30, 0)));
	return 0;

err_root:
	sched_exit();
	vmx_caps_announce(false);
	vmx_root_exit();
err_l1d:
	vmx_l1d_exit();
err_shadow:
	nested_shadow_exit();
	return ret;
}

static void __exit droste_exit(void)
{
	/* Open descriptors hold the module, so no VM is left. */
	dev_exit();
	sched_exit();
	vmx_caps_announce(false);
	vmx_root_exit();
	vmx_l1d_exit();
	nested_shadow_exit();
}

module_init(droste_init);
module_exit(droste_exit);

MODULE_DESCRIPTION("Droste, a nested-virtualization research hypervisor for Intel VMX");
MODULE_LICENSE("GPL");
MODULE_VERSION(DROSTE_VERSION);	/* see Kbuild */

// SPDX-License-Identifier: GPL-2.0
/* MSR-load and MSR-store lists of L1, which L0 processes in software. SDM 3C 25.7.2, 25.8.2, 27.4, 28.4, 28.6. */
#include <linux/kernel.h>
#include "droste.h"
#include "cpu/msr.h"
#include "mem/memslot.h"
#include "nested/vmcs02.h"

/* With N in bits 27:25 of IA32_VMX_MISC, lists longer than 512 * (N + 1) are undefined; here they fail. */
#define LIST_MAX(misc)	(512 * ((((misc) >> 25) & 7) + 1))

/* An entry in L1's memory (SDM table 25-15). */
struct msrlist_entry {
	u32 msr;
	u32 reserved;
	u64 value;
};

/* MSRs that no list may contain, even if RDMSR and WRMSR accept them (SDM 3C 27.4, 28.4, 28.6). */
static bool msrlist_forbidden(u32 msr)
{
	switch (msr) {
	case MSR_IA32_SMM_MONITOR_CTL:
	case MSR_IA32_UCODE_WRITE:
	case MSR_IA32_UCODE_REV:
	case 0x800 ... 0x8ff:	/* x2APIC */
		return true;
	default:
		return false;
	}
}

/* MSR-load lists may not contain the bases of FS and GS either: entries and exits load these from the VMCS. */
static bool msrlist_forbidden_load(u32 msr)
{
	return msr == MSR_FS_BASE || msr == MSR_GS_BASE || msrlist_forbidden(msr);
}

static int msrlist_read_entry(struct vcpu *vcpu, u64 gpa, u32 i, struct msrlist_entry *e)
{
	return vm_read_guest(vcpu->vm, gpa + i * sizeof(*e), e, sizeof(*e));
}

/**
 * msrlist_load() - load MSRs from a list of L1 (SDM 3C 27.4, 28.6)
 * @vcpu: the vCPU, loaded
 * @gpa: address of the list; the VM-entry checks accepted it
 * @count: number of entries
 *
 * L1 may change the list at any time, so each entry is read once, then checked,
 * then used.
 *
 * Context: Process context. The VMCS of the level that gets the MSRs is current.
 * Caller holds vm->srcu. May sleep.
 * Return: 0, or the 1-based number of the first entry that cannot be loaded.
 */
u32 msrlist_load(struct vcpu *vcpu, u64 gpa, u32 count)
{
	u32 i, max = LIST_MAX(vcpu->nested.caps.misc);
	struct msrlist_entry e;

	for (i = 0; i < count; i++) {
		if (i >= max || msrlist_read_entry(vcpu, gpa, i, &e))
			return i + 1;
		if (e.reserved || msrlist_forbidden_load(e.msr))
			return i + 1;
		if (vcpu_guest_set_msr(vcpu, e.msr, e.value))
			return i + 1;
	}
	return 0;
}

/* The value of an MSR to store. The TSC is stored as L1 reads it: L2's offset and multiplier do not apply. */
static int msrlist_get(struct vcpu *vcpu, u32 msr, u64 *val)
{
	int ret = vcpu_guest_get_msr(vcpu, msr, val);

	if (!ret && msr == MSR_IA32_TSC) {
		tsc_told_now(&vcpu->hide);
		*val = tsc_of_l1(&vcpu->tsc);
	}
	return ret;
}

/**
 * msrlist_store() - store MSRs of L2 in a list of L1 (SDM 3C 28.4)
 * @vcpu: in L2, loaded
 * @gpa: address of the list; the VM-entry checks accepted it
 * @count: number of entries
 *
 * Context: Process context. VMCS02 is current. Caller holds vm->srcu. May sleep.
 * Return: 0, or -EINVAL: the exit then ends in a VMX abort (SDM 3C 28.7).
 */
int msrlist_store(struct vcpu *vcpu, u64 gpa, u32 count)
{
	u32 i, max = LIST_MAX(vcpu->nested.caps.misc);
	struct msrlist_entry e;

	for (i = 0; i < count; i++) {
		if (i >= max || msrlist_read_entry(vcpu, gpa, i, &e))
			return -EINVAL;
		if (e.reserved || msrlist_forbidden(e.msr) || msrlist_get(vcpu, e.msr, &e.value))
			return -EINVAL;
		if (vm_write_guest(vcpu->vm, gpa + i * sizeof(e) + offsetof(struct msrlist_entry, value),
				   &e.value, sizeof(e.value)))
			return -EINVAL;
	}
	return 0;
}

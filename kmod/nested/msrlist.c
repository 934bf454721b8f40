// SPDX-License-Identifier: GPL-2.0
/* MSR-load and -store lists of L1, which L0 walks in the processor's place. SDM 3C 25.7.2, 25.8.2, 27.4, 28.4, 28.6. */
#include <linux/kernel.h>
#include "droste.h"
#include "cpu/msr.h"
#include "mem/memslot.h"
#include "nested/vmcs02.h"

/* IA32_VMX_MISC bits 27:25 = N recommend at most 512 * (N + 1) entries; more may do anything, here they fail. */
#define LIST_MAX(misc)	(512 * ((((misc) >> 25) & 7) + 1))

/* One entry, as it lies in L1's memory (SDM table 25-15). */
struct msrlist_entry {
	u32 msr;
	u32 reserved;
	u64 value;
};

/* MSRs that no list may hold, whatever WRMSR makes of them (SDM 3C 27.4, 28.4, 28.6). */
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

/* Entries and exits load FS and GS from the VMCS; an entry in the list would undo that. */
static bool msrlist_forbidden_load(u32 msr)
{
	return msr == MSR_FS_BASE || msr == MSR_GS_BASE || msrlist_forbidden(msr);
}

static int msrlist_read_entry(struct vcpu *vcpu, u64 gpa, u32 i, struct msrlist_entry *e)
{
	return vm_read_guest(vcpu->vm, gpa + i * sizeof(*e), e, sizeof(*e));
}

/**
 * msrlist_load() - load MSRs from a list of L1's
 * @vcpu: loaded; the VMCS of the level that gets them is current
 * @gpa: the list, checked by the VM-entry checks: 16-byte aligned, within the address width
 * @count: its length
 *
 * Process context. Each entry is read once, checked, used; L1 may be changing
 * the list meanwhile.
 *
 * Return: 0, or the number of the first entry that cannot be loaded, from 1.
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

/**
 * msrlist_store() - store MSRs of L2 to a list of L1's
 * @vcpu: loaded, VMCS02 current
 * @gpa: the list
 * @count: its length
 *
 * Return: 0, or -EINVAL: L1 is in VMX abort (SDM 3C 28.7).
 */
int msrlist_store(struct vcpu *vcpu, u64 gpa, u32 count)
{
	u32 i, max = LIST_MAX(vcpu->nested.caps.misc);
	struct msrlist_entry e;

	for (i = 0; i < count; i++) {
		if (i >= max || msrlist_read_entry(vcpu, gpa, i, &e))
			return -EINVAL;
		if (e.reserved || msrlist_forbidden(e.msr) || vcpu_guest_get_msr(vcpu, e.msr, &e.value))
			return -EINVAL;
		if (vm_write_guest(vcpu->vm, gpa + i * sizeof(e) + offsetof(struct msrlist_entry, value),
				   &e.value, sizeof(e.value)))
			return -EINVAL;
	}
	return 0;
}

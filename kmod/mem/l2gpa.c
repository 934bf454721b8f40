// SPDX-License-Identifier: GPL-2.0
/* Translation of L2 guest-physical addresses by EPT12, which is read from guest memory. SDM 3C 29.3. */
#include "droste.h"
#include "ept/ept12.h"
#include "mem/l2gpa.h"
#include "mem/memslot.h"

static int l2gpa_read_entry(void *ctx, u64 gpa, u64 *entry)
{
	struct vcpu *vcpu = ctx;

	return vm_read_guest_u64(vcpu->vm, gpa, entry);
}

static int l2gpa_set_entry_bits(void *ctx, u64 gpa, u64 old, u64 bits)
{
	struct vcpu *vcpu = ctx;

	return vm_cmpxchg_guest(vcpu->vm, gpa, &old, old | bits, sizeof(old));
}

static const struct ept12_ops l2gpa_ops = {
	.read = l2gpa_read_entry,
	.set_bits = l2gpa_set_entry_bits,
};

/**
 * l2gpa_cfg() - what a walk of L1's EPT12 depends on
 * @vcpu: the vCPU
 * @eptp12: L1's EPTP
 *
 * Context: Any.
 * Return: the EPTP and the features that L1 was offered.
 */
struct ept12_cfg l2gpa_cfg(const struct vcpu *vcpu, u64 eptp12)
{
	u64 cap = vcpu->nested.caps.ept_vpid;

	/* Mode-based execute control is not offered to L1. */
	return (struct ept12_cfg) {
		.eptp = eptp12,
		.maxphyaddr = vcpu->gcaps.maxphyaddr,
		.exec_only = cap & VMX_EPT_EXECUTE_ONLY_BIT,
		.huge_2m = cap & VMX_EPT_2MB_PAGE_BIT,
		.huge_1g = cap & VMX_EPT_1GB_PAGE_BIT,
	};
}

/**
 * ept12_translate() - translate an L2 guest-physical address by L1's EPT12
 * @vcpu: loaded, in L2
 * @l2_gpa: the address
 * @access: EPT_READ, EPT_WRITE, EPT_EXEC as attempted
 * @out: the L1 guest-physical address and the rights, or the exit qualification for L1
 *
 * Sets accessed and dirty flags in EPT12 as the access would.
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * SDM 3C 29.3.
 * Return: EPT12_OK, or how the walk failed.
 */
enum ept12_verdict ept12_translate(struct vcpu *vcpu, gpa_t l2_gpa, u64 access,
				   struct ept12_result *out)
{
	struct ept02_root *r = vcpu->nested.ept02.cur;
	struct ept12_cfg cfg;

	if (!r) {
		/* L1 does not use EPT: L2's guest-physical addresses are L1's. */
		*out = (struct ept12_result) {
			.gpa = l2_gpa,
			.rights = EPT_RWX,
			.level = 1,
			.memtype = EPT_WB,
			.dirty = true,
		};
		return EPT12_OK;
	}
	cfg = l2gpa_cfg(vcpu, r->eptp12);
	return ept12_walk(&cfg, &l2gpa_ops, vcpu, l2_gpa, access, out);
}

// SPDX-License-Identifier: GPL-2.0
/* VM-entry checks of a vCPU: builds the context of the pure checks in checks.c, and logs the row that failed. */
#include <linux/bitmap.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include "droste.h"
#include "cpu/msr.h"
#include "mem/memslot.h"
#include "nested/checks.h"
#include "nested/checks_vcpu.h"
#include "nested/nested.h"
#include "vmx/regs.h"

static int checks_read_l1(void *arg, u64 gpa, void *data, u32 len)
{
	struct vcpu *vcpu = arg;

	return vm_read_guest(vcpu->vm, gpa, data, len);
}

static void checks_make_ctx(struct vcpu *vcpu, struct check_ctx *c)
{
	struct nested *n = &vcpu->nested;

	*c = (struct check_ctx) {
		.v = n->vmcs12,
		.caps = &n->caps,
		.vmptr = n->vmptr,
		.efer_allowed = vcpu->gcaps.efer_allowed | (vcpu->gcaps.long_mode ? EFER_LMA : 0),
		.debugctl_allowed = msr_debugctl_allowed(vcpu),
		.perf_global_allowed = 0,
		.dirty = n->vmcs12_dirty,
		.maxphyaddr = vcpu->gcaps.maxphyaddr,
		.la57 = n->caps.cr4_fixed1 & X86_CR4_LA57,
		.l1_lma = vcpu->efer & EFER_LMA,
		.rtm = vcpu->gcaps.rtm,
		.read = checks_read_l1,
		.arg = vcpu,
	};
}

static_assert(CHECK_WORDS == ARRAY_SIZE(((struct nested *)0)->failed_checks));

/**
 * nested_note_failure() - keep all of a VM entry of L1 that fails, for nested_look_why()
 * @vcpu: in L1, at VMLAUNCH or VMRESUME
 * @code: VM-instruction error, or basic exit reason that L1 is shown; 0: VMfailInvalid
 * @qual: exit qualification that L1 is shown, or 0
 *
 * If a check failed, nested.last_failed_check and nested.failed_checks are already set.
 *
 * Context: Process context. VMCS01 is current. May sleep.
 */
void nested_note_failure(struct vcpu *vcpu, u16 code, u64 qual)
{
	struct nested *n = &vcpu->nested;

	n->entries_failed++;
	n->failed_code = code;
	n->failed_qual = qual;
	n->failed_check = n->last_failed_check;
	if (n->failed_check == CHECK_OK)
		memset(n->failed_checks, 0, sizeof(n->failed_checks));
	n->failed_vmptr = n->vmptr;
	n->failed_seq = vcpu->long_exits + vcpu->stats.short_exits;
	n->failed_rip = vcpu_rip(vcpu);
	/* The processor may refuse the entry only when L2 is about to run: then that is the exit, and not the instruction. */
	if (vcpu->exit.basic == EXIT_REASON_VMLAUNCH || vcpu->exit.basic == EXIT_REASON_VMRESUME)
		n->failed_launch = vcpu->exit.basic == EXIT_REASON_VMLAUNCH;
	else
		n->failed_launch = n->vmcs12->launch_state != VMCS12_LAUNCHED;
	if (n->vmptr == VMPTR_NONE)
		return;
	if (!n->failed12)
		n->failed12 = kmalloc(sizeof(*n->failed12), GFP_KERNEL_ACCOUNT);
	if (n->failed12)
		*n->failed12 = *n->vmcs12;
}

/* Keep the row at which the VM entry stopped, and all others that fail. */
static void checks_note_failure(struct vcpu *vcpu, const struct check_ctx *c, enum check_id id)
{
	struct nested *n = &vcpu->nested;
	unsigned long failing[CHECK_WORDS], applies[CHECK_WORDS];

	if (c->v == n->vmcs12)
		nested_sync_rare(vcpu);
	checks_all(c, failing, applies);
	if (!c->restored) {
		n->last_failed_check = id;
		memcpy(n->failed_checks, failing, sizeof(n->failed_checks));
	}
	pr_debug_ratelimited("droste: vCPU %d: %s fails check %s (SDM 3C %s): %s; %d rows fail\n", vcpu->id,
			     c->restored ? "a state of user space" : "VM entry of L1", check_name(id), check_section(id),
			     check_text(id, CHECK_DEMANDS), bitmap_weight(failing, NR_CHECKS));
}

/**
 * nested_check_vmfail() - check the fields that make VMLAUNCH and VMRESUME fail
 * @vcpu: in L1; nested_shadow_fetch() was called
 *
 * Skips rows whose fields L1 has not changed since all checks last passed. For
 * that, nested.vmcs12_dirty may be cleared only when all checks have passed
 * and the changes have been written to VMCS02. SDM 3C 27.2.
 *
 * Context: Process context. VMCS01 is current. Caller holds vm->srcu. May sleep.
 * Return: 0, or the VM-instruction error that the instruction fails with.
 */
u32 nested_check_vmfail(struct vcpu *vcpu)
{
	struct check_ctx c;
	enum check_id id;

	checks_make_ctx(vcpu, &c);
	id = checks_controls(&c);
	if (unlikely(id)) {
		checks_note_failure(vcpu, &c, id);
		return VMXERR_ENTRY_INVALID_CONTROL_FIELD;
	}
	id = checks_host(&c);
	if (unlikely(id)) {
		checks_note_failure(vcpu, &c, id);
		return VMXERR_ENTRY_INVALID_HOST_STATE_FIELD;
	}
	return 0;
}

/**
 * nested_check_guest() - check the guest state that makes a VM entry fail
 * @vcpu: in L1; nested_check_vmfail() passed
 * @qual: exit qualification if the check fails
 *
 * Reads SYNC_RARE state back from VMCS02 if a check needs it. SDM 3C 27.3.1.
 *
 * Context: Process context. VMCS01 is current. Caller holds vm->srcu. May sleep.
 * Return: true if all checks passed. false if one failed: L1 then gets exit
 * reason 33 with bit 31 set.
 */
bool nested_check_guest(struct vcpu *vcpu, u64 *qual)
{
	struct check_ctx c;
	enum check_id id;

	checks_make_ctx(vcpu, &c);
	if (vcpu->nested.vmcs02_stale && checks_need_rare(&c))
		nested_sync_rare(vcpu);
	id = checks_guest(&c, qual);
	if (likely(!id))
		return true;
	checks_note_failure(vcpu, &c, id);
	return false;
}

/**
 * nested_check_restored() - check a VMCS12 with which user space restores a running L2
 * @vcpu: the vCPU; at any level
 * @v: complete VMCS12 from user space; may hold anything
 * @vmptr: address of the VMCS in L1's memory
 *
 * L1's mode is not known while L2 runs; the "host address-space size" exit
 * control stands for it. SDM 3C 27.2, 27.3.1.
 *
 * Context: Process context. Any VMCS may be current. Caller holds vm->srcu.
 * May sleep.
 * Return: true if all checks passed.
 */
bool nested_check_restored(struct vcpu *vcpu, const struct vmcs12 *v, u64 vmptr)
{
	struct check_ctx c;
	enum check_id id;
	u64 qual;

	checks_make_ctx(vcpu, &c);
	c.v = v;
	c.vmptr = vmptr;
	c.dirty = DIRTY12_ALL;
	c.l1_lma = v->vm_exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE;
	c.restored = true;
	id = checks_controls(&c);
	if (!id)
		id = checks_host(&c);
	if (!id)
		id = checks_guest(&c, &qual);
	if (!id)
		return true;
	checks_note_failure(vcpu, &c, id);
	return false;
}

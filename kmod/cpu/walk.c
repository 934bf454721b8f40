// SPDX-License-Identifier: GPL-2.0
/* Linear addresses of whatever level runs: its page tables, and EPT12 under them when it is an L2 with EPT. */
#include <asm/vmx.h>
#include "droste.h"
#include "cpu/walk.h"
#include "emul/pagewalk.h"
#include "ept/ept12.h"
#include "mem/l2gpa.h"
#include "mem/memslot.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* SDM 3C table 28-7: what the exit qualification of an EPT violation says besides the access. */
#define EPT_QUAL_GLA_VALID	BIT_ULL(7)
#define EPT_QUAL_TRANSLATED	BIT_ULL(8)

/* What the callbacks of one walk share. */
struct walk_priv {
	struct vcpu *vcpu;
	enum walk_status status;	/* why a callback stopped the walk */
	struct walk_fault *fault;
};

static bool walk_has_ept12(const struct vcpu *vcpu)
{
	return vcpu->in_l2 && vcpu->nested.ept02.cur;
}

/* @gpa of the running level to an L1 GPA. @qual: what is known of the access, for L1's exit qualification. */
static enum walk_status walk_l1_gpa(struct vcpu *vcpu, u64 gpa, u64 access, u64 qual, gpa_t *l1_gpa,
				  struct walk_fault *fault)
{
	struct ept12_result res;

	if (!walk_has_ept12(vcpu)) {
		*l1_gpa = gpa;
		return WALK_OK;
	}
	fault->ept_gpa = gpa;
	switch (ept12_translate(vcpu, gpa, access, &res)) {
	case EPT12_OK:
		*l1_gpa = res.gpa;
		return WALK_OK;
	case EPT12_VIOLATION:
		fault->ept_reason = EXIT_REASON_EPT_VIOLATION;
		fault->ept_qual = access | res.qual | qual;
		return WALK_EPT;
	default:
		fault->ept_reason = EXIT_REASON_EPT_MISCONFIG;
		fault->ept_qual = 0;
		return WALK_EPT;
	}
}

/* The guest's paging structures are written by the walk when EPTP.AD is set (SDM 3C 29.3.5). */
static enum walk_status walk_table_gpa(struct walk_priv *p, u64 gpa, u64 access, gpa_t *l1_gpa)
{
	struct vcpu *vcpu = p->vcpu;

	if (walk_has_ept12(vcpu) && (vcpu->nested.ept02.cur->eptp12 & EPTP_AD))
		access |= EPT_READ | EPT_WRITE;
	return walk_l1_gpa(vcpu, gpa, access, EPT_QUAL_GLA_VALID, l1_gpa, p->fault);
}

static int walk_read_entry(void *priv, u64 gpa, void *entry, u32 bytes)
{
	struct walk_priv *p = priv;
	gpa_t l1_gpa;

	p->status = walk_table_gpa(p, gpa, EPT_READ, &l1_gpa);
	if (p->status != WALK_OK)
		return -EIO;
	if (bytes == sizeof(u64) ? !vm_read_guest_u64(p->vcpu->vm, l1_gpa, entry) :
				   !vm_read_guest(p->vcpu->vm, l1_gpa, entry, bytes))
		return 0;
	p->status = WALK_NOMEM;
	return -EFAULT;
}

static int walk_cmpxchg_entry(void *priv, u64 gpa, u64 old, u64 new, u32 bytes)
{
	struct walk_priv *p = priv;
	gpa_t l1_gpa;
	int ret;

	p->status = walk_table_gpa(p, gpa, EPT_READ | EPT_WRITE, &l1_gpa);
	if (p->status != WALK_OK)
		return -EIO;
	ret = vm_cmpxchg_guest(p->vcpu->vm, l1_gpa, &old, new, bytes);
	if (ret < 0)
		p->status = WALK_NOMEM;
	return ret;
}

static const struct pagewalk_ops walk_ops = {
	.read = walk_read_entry,
	.compare_exchange = walk_cmpxchg_entry,
};

/**
 * walk_prepare() - collect what translations by the running level depend on
 * @vcpu: loaded
 * @cfg: filled
 *
 * Protection keys are not offered (CPUID without PKU): PKRU counts as 0.
 */
void walk_prepare(struct vcpu *vcpu, struct pagewalk_cfg *cfg)
{
	*cfg = (struct pagewalk_cfg) {
		.cr0 = vcpu_cr0(vcpu),
		.cr3 = vcpu_cr3(vcpu),
		.cr4 = vcpu_cr4(vcpu),
		.efer = vcpu->efer,
		.maxphyaddr = vcpu->gcaps.maxphyaddr,
		.gbpages = vcpu->gcaps.pdpe1gb,
		/* Implicit supervisor accesses from user mode ignore AC (SDM 3A 4.6.1). */
		.ac_override = (vcpu_rflags(vcpu) & X86_EFLAGS_AC) && vcpu_cpl(vcpu) < 3,
	};
	if ((cfg->cr0 & X86_CR0_PG) && (cfg->cr4 & X86_CR4_PAE) && !(cfg->efer & EFER_LMA)) {
		cfg->pdpte[0] = vmcs_read(GUEST_PDPTR0);
		cfg->pdpte[1] = vmcs_read(GUEST_PDPTR1);
		cfg->pdpte[2] = vmcs_read(GUEST_PDPTR2);
		cfg->pdpte[3] = vmcs_read(GUEST_PDPTR3);
	}
}

static u64 walk_ept_access(u32 access)
{
	if (access & WALK_FETCH)
		return EPT_EXEC;
	return access & WALK_WRITE ? EPT_WRITE : EPT_READ;
}

static enum walk_status walk_pf(struct walk_fault *fault, u64 gva, u32 error_code)
{
	fault->pf = (struct event) {
		.valid = true,
		.vector = X86_TRAP_PF,
		.type = INTR_TYPE_HARD_EXCEPTION,
		.has_error = true,
		.error_code = error_code,
		.has_payload = true,
		.payload = gva,
	};
	return WALK_PF;
}

/**
 * walk_gva() - translate one linear address of the running level
 * @vcpu: loaded, srcu held
 * @cfg: from walk_prepare()
 * @gva: linear address
 * @access: WALK_* bits
 * @gpa: the L1 GPA, with WALK_OK
 * @fault: filled with WALK_PF and WALK_EPT
 */
enum walk_status walk_gva(struct vcpu *vcpu, const struct pagewalk_cfg *cfg, u64 gva, u32 access,
			  gpa_t *gpa, struct walk_fault *fault)
{
	struct walk_priv priv = { .vcpu = vcpu, .fault = fault };
	struct pagewalk_result res;

	if (!(cfg->efer & EFER_LMA))
		gva = (u32)gva;
	fault->gla = gva;
	switch (pagewalk(cfg, &walk_ops, &priv, gva, access, &res)) {
	case PAGEWALK_OK:
		return walk_l1_gpa(vcpu, res.gpa, walk_ept_access(access), EPT_QUAL_GLA_VALID | EPT_QUAL_TRANSLATED,
				 gpa, fault);
	case PAGEWALK_FAULT:
		return walk_pf(fault, gva, res.error_code);
	default:
		if (priv.status != WALK_NOMEM)
			return priv.status;
		/* A table where there is no memory has no entries, as KVM has it. */
		return walk_pf(fault, gva, pagewalk_fault_code(cfg, access));
	}
}

/**
 * walk_reflect_ept() - turn vcpu->exit into the EPT exit of a walk, for L1
 * @vcpu: in L2, loaded
 * @fault: of a walk that ended with WALK_EPT
 *
 * L1 sees the exit as if the access itself had caused it, instead of the exit
 * for which L0 emulates. Registers must be as L1 is to see them.
 *
 * Return: NEXT_REFLECT, for the handler to return at once.
 */
int walk_reflect_ept(struct vcpu *vcpu, const struct walk_fault *fault)
{
	struct vmx_exit *e = &vcpu->exit;

	vcpu->exits_reflected[e->basic]++;
	e->reason = fault->ept_reason;
	e->basic = fault->ept_reason;
	e->qual = fault->ept_qual;
	e->gpa = fault->ept_gpa;
	e->gla = fault->gla;
	e->intr_info = 0;
	return NEXT_REFLECT;
}

/* The verdict of the functions below on a walk. With @event an exception is reported there, without it is queued. */
static int walk_result(struct vcpu *vcpu, enum walk_status status, const struct walk_fault *fault,
		       struct event *event)
{
	if (event)
		event->valid = false;
	switch (status) {
	case WALK_OK:
		return NEXT_GO_ON;
	case WALK_PF:
		if (event)
			*event = fault->pf;
		else
			vcpu_queue_event(vcpu, &fault->pf);
		return NEXT_ENTER;
	case WALK_EPT:
		return walk_reflect_ept(vcpu, fault);
	default:
		return -EFAULT;
	}
}

static u32 walk_in_page(u64 addr, u32 len)
{
	return min_t(u32, len, PAGE_SIZE - (addr & ~PAGE_MASK));
}

/**
 * vcpu_read_gva() - read linear memory of the running level
 * @vcpu: loaded, srcu held
 * @gva: linear address; pages are taken in ascending order
 * @data: where to
 * @len: bytes
 * @access: WALK_USER and WALK_FETCH as they apply
 * @fault: NULL to have an exception queued; else the exception is stored here,
 *	   and fault->valid is false if there is none
 *
 * Context: Process context. May sleep.
 * Return: NEXT_GO_ON; NEXT_ENTER if the access raises an exception;
 * NEXT_REFLECT if it causes an EPT exit to L1; -EFAULT if there is no memory
 * behind the address. The handler returns all but the first at once.
 */
int vcpu_read_gva(struct vcpu *vcpu, u64 gva, void *data, u32 len, u32 access, struct event *fault)
{
	struct pagewalk_cfg cfg;
	struct walk_fault wf;
	enum walk_status status;
	gpa_t gpa;
	u32 n;

	walk_prepare(vcpu, &cfg);
	for (; len; len -= n, gva += n, data += n) {
		n = walk_in_page(gva, len);
		status = walk_gva(vcpu, &cfg, gva, access, &gpa, &wf);
		if (status != WALK_OK)
			return walk_result(vcpu, status, &wf, fault);
		if (vm_read_guest(vcpu->vm, gpa, data, n))
			return -EFAULT;
	}
	return NEXT_GO_ON;
}

/**
 * vcpu_write_gva() - write linear memory of the running level
 * @vcpu: loaded, srcu held
 * @gva: linear address
 * @data: from where
 * @len: bytes
 * @access: WALK_WRITE, and WALK_USER as it applies
 * @fault: as for vcpu_read_gva()
 *
 * All pages are translated before the first byte is written, so that a fault
 * on the second page leaves the first one alone.
 *
 * Context: Process context. May sleep.
 * Return: As vcpu_read_gva(); -EFAULT also if the memory is read-only.
 */
int vcpu_write_gva(struct vcpu *vcpu, u64 gva, const void *data, u32 len, u32 access, struct event *fault)
{
	struct pagewalk_cfg cfg;
	struct walk_fault wf;
	enum walk_status status;
	u64 at;
	gpa_t gpa;
	u32 n, left;

	walk_prepare(vcpu, &cfg);
	for (at = gva, left = len; left; left -= n, at += n) {
		n = walk_in_page(at, left);
		status = walk_gva(vcpu, &cfg, at, access | WALK_WRITE, &gpa, &wf);
		if (status != WALK_OK)
			return walk_result(vcpu, status, &wf, fault);
	}
	for (; len; len -= n, gva += n, data += n) {
		n = walk_in_page(gva, len);
		status = walk_gva(vcpu, &cfg, gva, access | WALK_WRITE, &gpa, &wf);
		if (status != WALK_OK)
			return walk_result(vcpu, status, &wf, fault);
		if (vm_write_guest(vcpu->vm, gpa, data, n))
			return -EFAULT;
	}
	return NEXT_GO_ON;
}

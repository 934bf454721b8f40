// SPDX-License-Identifier: GPL-2.0
/* Ioctls that read and write a vCPU's registers: general, special, debug. */
#include <linux/bitmap.h>
#include "droste.h"
#include "abi/state.h"
#include "cpu/walk.h"
#include "emul/pagewalk.h"
#include "irqchip/irqchip.h"
#include "run/request.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* The offset of each register in struct kvm_regs. */
static const u16 gpr_offset[NR_GPRS] = {
	[RAX] = offsetof(struct kvm_regs, rax), [RCX] = offsetof(struct kvm_regs, rcx),
	[RDX] = offsetof(struct kvm_regs, rdx), [RBX] = offsetof(struct kvm_regs, rbx),
	[RSP] = offsetof(struct kvm_regs, rsp), [RBP] = offsetof(struct kvm_regs, rbp),
	[RSI] = offsetof(struct kvm_regs, rsi), [RDI] = offsetof(struct kvm_regs, rdi),
	[R8] = offsetof(struct kvm_regs, r8), [R9] = offsetof(struct kvm_regs, r9),
	[R10] = offsetof(struct kvm_regs, r10), [R11] = offsetof(struct kvm_regs, r11),
	[R12] = offsetof(struct kvm_regs, r12), [R13] = offsetof(struct kvm_regs, r13),
	[R14] = offsetof(struct kvm_regs, r14), [R15] = offsetof(struct kvm_regs, r15),
};

static u64 *state_gpr_in(struct kvm_regs *regs, enum gpr reg)
{
	return (void *)regs + gpr_offset[reg];
}

/**
 * vcpu_get_regs() - KVM_GET_REGS
 * @self: the vCPU, loaded
 * @arg: struct kvm_regs to fill in
 * @uarg: unused
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 * Return: 0.
 */
long vcpu_get_regs(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	struct kvm_regs *regs = arg;
	enum gpr reg;

	for (reg = RAX; reg < NR_GPRS; reg++)
		*state_gpr_in(regs, reg) = vcpu_gpr(vcpu, reg);
	regs->rip = vcpu_rip(vcpu);
	regs->rflags = vcpu_rflags(vcpu);
	/* User space's single-stepping sets TF, which the guest did not. */
	if ((vcpu->guest_debug & KVM_GUESTDBG_ENABLE) && (vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP))
		regs->rflags &= ~(u64)X86_EFLAGS_TF;
	return 0;
}

/**
 * vcpu_set_regs() - KVM_SET_REGS
 * @self: the vCPU, loaded
 * @arg: struct kvm_regs
 * @uarg: unused
 *
 * A pending exception of the old state is dropped.
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 * Return: 0.
 */
long vcpu_set_regs(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	struct kvm_regs *regs = arg;
	u64 rflags = regs->rflags;
	enum gpr reg;

	for (reg = RAX; reg < NR_GPRS; reg++)
		vcpu_set_gpr(vcpu, reg, *state_gpr_in(regs, reg));
	vcpu_set_rip(vcpu, regs->rip);
	if ((vcpu->guest_debug & KVM_GUESTDBG_ENABLE) && (vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP))
		rflags |= X86_EFLAGS_TF;
	/* VM entry fails if reserved bits of RFLAGS are wrong (SDM 3C 27.3.1.4), so they are forced. */
	vcpu_set_rflags(vcpu, (rflags & 0x3f7fd5) | X86_EFLAGS_FIXED);
	/* A pending exception belongs to the old state. */
	vcpu->ev.exception.valid = false;
	vcpu->ev.debug_dr6 = 0;
	vcpu_request(vcpu, REQ_BLOCKING);
	return 0;
}

/* --- special registers --- */

static const struct { enum seg seg; u16 offset; } sreg_segs[] = {
	{ SEG_CS, offsetof(struct kvm_sregs, cs) }, { SEG_DS, offsetof(struct kvm_sregs, ds) },
	{ SEG_ES, offsetof(struct kvm_sregs, es) }, { SEG_FS, offsetof(struct kvm_sregs, fs) },
	{ SEG_GS, offsetof(struct kvm_sregs, gs) }, { SEG_SS, offsetof(struct kvm_sregs, ss) },
	{ SEG_TR, offsetof(struct kvm_sregs, tr) }, { SEG_LDTR, offsetof(struct kvm_sregs, ldt) },
};

/* The two structures for special registers have the same layout up to apic_base. */
static_assert(offsetof(struct kvm_sregs, apic_base) == offsetof(struct kvm_sregs2, apic_base));
static_assert(offsetof(struct kvm_sregs, idt) == offsetof(struct kvm_sregs2, idt));

static void state_get_common(struct vcpu *vcpu, struct kvm_sregs *s)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(sreg_segs); i++)
		vcpu_get_segment(vcpu, sreg_segs[i].seg, (void *)s + sreg_segs[i].offset);
	s->gdt.base = vmcs_read(GUEST_GDTR_BASE);
	s->gdt.limit = vmcs_read(GUEST_GDTR_LIMIT);
	s->idt.base = vmcs_read(GUEST_IDTR_BASE);
	s->idt.limit = vmcs_read(GUEST_IDTR_LIMIT);
	s->cr0 = vcpu_cr0(vcpu);
	s->cr2 = vcpu->cr2;
	s->cr3 = vcpu_cr3(vcpu);
	s->cr4 = vcpu_cr4(vcpu);
	s->cr8 = vcpu_cr8(vcpu);
	s->efer = vcpu->efer;
	s->apic_base = vcpu->apic_base;
}

/**
 * vcpu_get_sregs() - KVM_GET_SREGS
 * @self: the vCPU, loaded
 * @arg: struct kvm_sregs to fill in
 * @uarg: unused
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 * Return: 0.
 */
long vcpu_get_sregs(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	struct kvm_sregs *s = arg;
	const struct event *ev = &vcpu->ev.injected;

	state_get_common(vcpu, s);
	memset(s->interrupt_bitmap, 0, sizeof(s->interrupt_bitmap));
	/* The bitmap has an interrupt that is being delivered, or one from KVM_INTERRUPT. */
	if (ev->valid && ev->type == INTR_TYPE_EXT_INTR)
		__set_bit(ev->vector, (unsigned long *)s->interrupt_bitmap);
	else if (!vcpu->lapic && vcpu->user_irq >= 0)
		__set_bit(vcpu->user_irq, (unsigned long *)s->interrupt_bitmap);
	return 0;
}

static bool state_uses_pdptrs(u64 cr0, u64 cr4, u64 efer)
{
	return (cr0 & X86_CR0_PG) && (cr4 & X86_CR4_PAE) && !(efer & EFER_LMA);
}

#define CR0_DEFINED (X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE | \
		     X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)

/* Returns true if a processor can be in this state (SDM 3A 2.5, 10.8.5; 3C 27.3.1.1). */
static bool state_sregs_valid(struct vcpu *vcpu, const struct kvm_sregs *s)
{
	bool paging = s->cr0 & X86_CR0_PG;

	if (s->cr0 >> 32 || ((s->cr0 & X86_CR0_NW) && !(s->cr0 & X86_CR0_CD)))
		return false;
	if (paging && !(s->cr0 & X86_CR0_PE))
		return false;
	if (s->cr4 & ~vcpu->gcaps.cr4_allowed)
		return false;
	if (s->efer & ~vcpu->gcaps.efer_allowed)
		return false;
	if (s->cr8 & ~0xfULL)
		return false;
	if (paging && (s->efer & EFER_LME)) {
		/* Long mode needs PAE and LMA, and CR3 is a full physical address. */
		if (!(s->cr4 & X86_CR4_PAE) || !(s->efer & EFER_LMA))
			return false;
		if (!gpa_legal(vcpu, s->cr3))
			return false;
		return !(s->cs.l && s->cs.db);
	}
	/*
	 * Outside long mode there is no 64-bit code, and LMA is 0. PCIDE
	 * without long mode is accepted, as in KVM; VM entry will fail.
	 */
	return !(s->efer & EFER_LMA) && !s->cs.l;
}

/* Load everything but events and PDPTEs. The caller has checked @s. */
static void state_set_common(struct vcpu *vcpu, const struct kvm_sregs *s)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(sreg_segs); i++)
		vcpu_set_segment(vcpu, sreg_segs[i].seg, (const void *)s + sreg_segs[i].offset);
	vmcs_write(GUEST_GDTR_BASE, s->gdt.base);
	vmcs_write(GUEST_GDTR_LIMIT, s->gdt.limit);
	vmcs_write(GUEST_IDTR_BASE, s->idt.base);
	vmcs_write(GUEST_IDTR_LIMIT, s->idt.limit);
	vcpu->cr2 = s->cr2;
	vcpu_set_cr8(vcpu, s->cr8);
	/* The registers were checked together; states in between need not be valid, so there are no checks here. */
	vmx_write_efer(vcpu, s->efer);
	vmx_write_cr0(vcpu, (s->cr0 & CR0_DEFINED) | X86_CR0_ET);
	vmx_write_cr4(vcpu, s->cr4);
	vmcs_write(GUEST_CR3, s->cr3);
	vcpu_request(vcpu, REQ_TLB_FLUSH_GUEST);
	vcpu_request(vcpu, REQ_EVENT);
	vcpu_request(vcpu, REQ_CPUID);
}

/* Without a local APIC here, the boot processor runs once user space has put it at the reset vector. */
static void state_wake_waiting_processor(struct vcpu *vcpu, const struct kvm_sregs *s)
{
	if (!vcpu->lapic && vcpu->id == vcpu->vm->bsp_id && s->cs.selector == 0xf000 &&
	    s->cs.base == 0xffff0000 && !(s->cr0 & X86_CR0_PE))
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
}

/**
 * vcpu_set_sregs() - KVM_SET_SREGS
 * @self: the vCPU, loaded
 * @arg: struct kvm_sregs
 * @uarg: unused
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex and vm->srcu.
 * Return: 0; -EINVAL for a state that the processor cannot be in, or a wrong APIC base.
 */
long vcpu_set_sregs(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	struct kvm_sregs *s = arg;
	int vector;

	if (!state_sregs_valid(vcpu, s))
		return -EINVAL;
	if (vlapic_change_base(vcpu, s->apic_base, true))
		return -EINVAL;
	state_set_common(vcpu, s);
	/* The memory with the PDPTEs may not exist yet, so a failure is not reported here. */
	if (state_uses_pdptrs(s->cr0, s->cr4, s->efer))
		vmx_load_pdptrs(vcpu, s->cr3);
	vector = find_first_bit((unsigned long *)s->interrupt_bitmap, KVM_NR_INTERRUPTS);
	if (vector < KVM_NR_INTERRUPTS)
		vcpu->ev.injected = (struct event) { .valid = true, .vector = vector,
						     .type = INTR_TYPE_EXT_INTR };
	state_wake_waiting_processor(vcpu, s);
	return 0;
}

static const u16 pdptr_fields[4] = { GUEST_PDPTR0, GUEST_PDPTR1, GUEST_PDPTR2, GUEST_PDPTR3 };

/**
 * vcpu_get_sregs2() - KVM_GET_SREGS2
 * @self: the vCPU, loaded
 * @arg: struct kvm_sregs2 to fill in
 * @uarg: unused
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 * Return: 0.
 */
long vcpu_get_sregs2(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	struct kvm_sregs2 *s = arg;
	int i;

	state_get_common(vcpu, (struct kvm_sregs *)s);
	s->flags = 0;
	if (!state_uses_pdptrs(s->cr0, s->cr4, s->efer))
		return 0;
	for (i = 0; i < 4; i++)
		s->pdptrs[i] = vmcs_read(pdptr_fields[i]);
	s->flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	return 0;
}

/**
 * vcpu_set_sregs2() - KVM_SET_SREGS2
 * @self: the vCPU, loaded
 * @arg: struct kvm_sregs2
 * @uarg: unused
 *
 * Unlike KVM_SET_SREGS it can load the PDPTEs, and it has no interrupt bitmap.
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex and vm->srcu.
 * Return: 0; -EINVAL as for KVM_SET_SREGS, for unknown flags, or for PDPTEs without PAE paging.
 */
long vcpu_set_sregs2(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	struct kvm_sregs2 *s = arg;
	struct kvm_sregs *common = (struct kvm_sregs *)s;
	bool pae = state_uses_pdptrs(s->cr0, s->cr4, s->efer);
	bool given = s->flags & KVM_SREGS2_FLAGS_PDPTRS_VALID;
	int i;

	if ((s->flags & ~(u64)KVM_SREGS2_FLAGS_PDPTRS_VALID) || (given && !pae))
		return -EINVAL;
	if (!state_sregs_valid(vcpu, common))
		return -EINVAL;
	if (vlapic_change_base(vcpu, s->apic_base, true))
		return -EINVAL;
	state_set_common(vcpu, common);
	if (given) {
		for (i = 0; i < 4; i++)
			vmcs_write(pdptr_fields[i], s->pdptrs[i]);
		vcpu->nested.pdptes_due = false;
	} else if (pae) {
		vmx_load_pdptrs(vcpu, s->cr3);
	}
	state_wake_waiting_processor(vcpu, common);
	return 0;
}

/* --- debug registers --- */

/**
 * vcpu_get_debugregs() - KVM_GET_DEBUGREGS
 * @self: the vCPU, loaded
 * @arg: struct kvm_debugregs to fill in
 * @uarg: unused
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 * Return: 0.
 */
long vcpu_get_debugregs(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	struct kvm_debugregs *d = arg;

	memset(d, 0, sizeof(*d));
	memcpy(d->db, vcpu->dr, sizeof(d->db));
	d->dr6 = vcpu->dr6;
	d->dr7 = vcpu->dr7;
	return 0;
}

/**
 * vcpu_set_debugregs() - KVM_SET_DEBUGREGS
 * @self: the vCPU, loaded
 * @arg: struct kvm_debugregs
 * @uarg: unused
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 * Return: 0; -EINVAL for flags, or for bits 63:32 in DR6 or DR7.
 */
long vcpu_set_debugregs(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	const struct kvm_debugregs *d = arg;

	if (d->flags || d->dr6 >> 32 || d->dr7 >> 32)
		return -EINVAL;
	memcpy(vcpu->dr, d->db, sizeof(d->db));
	vcpu->dr6 = vcpu_dr6_value(vcpu, d->dr6);
	vcpu_set_dr7(vcpu, d->dr7);
	return 0;
}

/* --- the guest's page tables --- */

/**
 * vcpu_translate() - KVM_TRANSLATE
 * @self: the vCPU, loaded
 * @arg: struct kvm_translation
 * @uarg: unused
 *
 * Translates a linear address through the guest's page tables. Clears @arg's
 * valid member if there is no translation.
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex and vm->srcu.
 * Return: 0.
 */
long vcpu_translate(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	struct kvm_translation *t = arg;
	struct pagewalk_cfg cfg;
	struct walk_fault fault;
	gpa_t gpa = 0;

	walk_prepare(vcpu, &cfg);
	/* Outside IA-32e mode linear addresses have 32 bits, and the walk would ignore the upper half. */
	t->valid = ((vcpu->efer & EFER_LMA) || !upper_32_bits(t->linear_address)) &&
		   walk_gva(vcpu, &cfg, t->linear_address, 0, &gpa, &fault) == WALK_OK;
	t->physical_address = t->valid ? gpa : ~0ULL;
	t->writeable = 1;
	t->usermode = 0;
	return 0;
}

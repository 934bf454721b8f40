// SPDX-License-Identifier: GPL-2.0
/*
 * Plain moves between a register and MMIO. Nearly all accesses to devices are
 * MOV, MOVZX or MOVSX in 64-bit code with an aligned operand. For these
 * the exit tells all about the operand, and no copy of the registers is needed.
 *
 * quick_mmio() does nothing unless it can do everything. It leaves all other
 * instructions, and all that could fault, to emul_instruction(). quick_kick() and
 * quick_eoi() do the same for stores that the short loop can execute.
 */
#include <linux/mm.h>
#include <asm/apic.h>
#include <asm/apicdef.h>
#include <asm/vmx.h>
#include "droste.h"
#include "cpu/walk.h"
#include "emul/exec.h"
#include "io/emulate.h"
#include "io/emulate_state.h"
#include "io/ioeventfd.h"
#include "irqchip/irqchip.h"
#include "mem/memslot.h"
#include "run/request.h"
#include "trace.h"
#include "vmx/inject.h"
#include "vmx/regs.h"

/* Is an operand the register of ModRM or the accumulator? */
static bool quick_is_register(u8 opd)
{
	return opd == OPD_REG || opd == OPD_ACC;
}

/* Is it the memory operand? */
static bool quick_is_memory(const struct emul_insn *insn, u8 opd)
{
	return insn->mem && (opd == OPD_RM || opd == OPD_MOFFS);
}

static bool quick_is_plain_move(const struct emul_insn *insn)
{
	if ((insn->op != OP_MOV && insn->op != OP_MOVZX && insn->op != OP_MOVSX) || insn->lock || insn->seg >= SREG_FS)
		return false;
	if (quick_is_memory(insn, insn->src))
		return quick_is_register(insn->dst);
	return quick_is_memory(insn, insn->dst) && insn->op == OP_MOV &&
	       (quick_is_register(insn->src) || insn->src == OPD_IMM);
}

/*
 * Decode the instruction. Not inlined, because it is rare, and has a large frame.
 * Returns false if it is none that the processor can execute.
 */
static noinline bool quick_decode(struct quick_insn *q, const u64 *words)
{
	struct emul_insn insn;
	u8 bytes[16];

	memcpy(bytes, &words[0], 8);
	memcpy(bytes + 7, &words[1], 8);
	q->len = 0;
	if (emul_decode(&insn, bytes, INSN_MAX, MODE_64) != DECODE_OK)
		return false;
	q->plain = quick_is_plain_move(&insn);
	q->load = quick_is_memory(&insn, insn.src);
	q->from_imm = insn.src == OPD_IMM;
	q->sign = insn.op == OP_MOVSX;
	q->reg = insn.dst == OPD_ACC || insn.src == OPD_ACC ? RAX : insn.reg;
	q->reg_bytes = insn.op_bytes;
	/* Byte registers 4 to 7 are AH to BH without REX (SDM 2A 2.2.1.2). */
	q->high = q->reg_bytes == 1 && !insn.rex && q->reg >= 4 && !q->from_imm;
	if (q->high)
		q->reg -= 4;
	q->mem_bytes = q->load ? emul_source_bytes(&insn) : insn.op_bytes;
	q->mem_mask = emul_size_mask(q->mem_bytes);
	q->base = insn.base;
	q->index = insn.index;
	q->scale = insn.scale;
	q->rip_rel = insn.rip_rel;
	q->disp = insn.disp;
	q->imm = insn.imm;
	q->ea_mask = emul_size_mask(insn.ad_bytes);
	q->mask[0] = emul_size_mask(insn.len);
	q->mask[1] = insn.len > 7 ? emul_size_mask(insn.len - 7) : 0;
	q->words[0] = words[0] & q->mask[0];
	q->words[1] = words[1] & q->mask[1];
	q->len = insn.len;
	return true;
}

/*
 * The instruction with these bytes, decoded. The bytes were just read, so an
 * entry that has the same is right, whatever the guest changed since it was made.
 * Returns NULL if it is no plain move.
 */
static const struct quick_insn *quick_find(struct emul_state *es, u64 rip, const u64 *words)
{
	struct quick_insn *q = &es->quick[(rip ^ rip >> 3) % QUICK_INSNS];

	OPTIMIZER_HIDE_VAR(q);	/* keeps the compiler from computing the index for each member */

	if (unlikely(!q->len || (words[0] & q->mask[0]) != q->words[0] || (words[1] & q->mask[1]) != q->words[1]) &&
	    !quick_decode(q, words))
		return NULL;
	return q->plain ? q : NULL;
}

/* The linear address of the operand (SDM 1 3.7.5). Segments other than FS and GS have base 0 in 64-bit code. */
static __always_inline u64 quick_address(struct vcpu *vcpu, const struct quick_insn *q, u64 rip)
{
	u64 ea = q->disp;

	if (q->rip_rel)
		ea += rip + q->len;
	if (q->base >= 0)
		ea += vcpu_gpr(vcpu, q->base);
	if (q->index >= 0)
		ea += vcpu_gpr(vcpu, q->index) << q->scale;
	return ea & q->ea_mask;
}

/* Fetch and decode the instruction at RIP. Returns NULL if it is no plain move, or is not simply there. */
static const struct quick_insn *quick_fetch(struct vcpu *vcpu, u64 rip)
{
	u64 words[2];

	return walk_fetch(vcpu, rip, words) ? quick_find(vcpu->emul, rip, words) : NULL;
}

static u64 quick_store_data(struct vcpu *vcpu, const struct quick_insn *q)
{
	if (q->from_imm)
		return q->imm;
	return vcpu_gpr(vcpu, q->reg) >> (q->high ? 8 : 0);
}

/* A 32-bit result clears the upper half of the register (SDM 1 3.4.1.1). */
static void quick_load_register(struct vcpu *vcpu, const struct quick_insn *q, u64 val)
{
	u32 shift = q->high ? 8 : 0;
	u64 mask = q->reg_bytes == 4 ? ~0ULL : emul_size_mask(q->reg_bytes) << shift;

	if (q->sign)
		val = emul_sign_extend(val, 8 * q->mem_bytes) & emul_size_mask(q->reg_bytes);
	else
		val &= emul_size_mask(q->mem_bytes);
	vcpu_set_gpr(vcpu, q->reg, (vcpu_gpr(vcpu, q->reg) & ~mask) | (val << shift & mask));
	vcpu_skip_instruction(vcpu);
}

/* User space has answered. If it has looked at the registers, it may have changed them. */
static int quick_complete_load(struct vcpu *vcpu)
{
	struct emul_state *es = vcpu->emul;

	if (unlikely(vcpu->altered))
		return emul_resume(vcpu);
	es->pending = EMUL_PENDING_NONE;
	if (trace_droste_mmio_enabled())
		trace_droste_mmio(vcpu, TRACE_MMIO_READ, es->reads[0].gpa, es->reads[0].len, vcpu->run->mmio.data);
	quick_load_register(vcpu, es->quick_load, READ_ONCE(*(const u64 *)vcpu->run->mmio.data));
	return NEXT_ENTER;
}

static int quick_load(struct vcpu *vcpu, gpa_t gpa, const struct quick_insn *q)
{
	struct emul_state *es = vcpu->emul;
	struct mmio_frag *f = &es->reads[0];
	u64 val = 0;

	if (irqchip_mmio(vcpu, gpa, q->mem_bytes, &val, false)) {
		trace_droste_mmio(vcpu, TRACE_MMIO_READ, gpa, q->mem_bytes, &val);
		quick_load_register(vcpu, q, val);
		return NEXT_ENTER;
	}
	vcpu_stay_calm(vcpu);
	/* As emul_mmio_read() would leave it, for emul_resume(). */
	emul_begin(es);
	*f = (struct mmio_frag) { .gpa = gpa, .len = q->mem_bytes };
	es->nr_reads = 1;
	es->quick_load = q;
	emul_mmio_ask(es, gpa, q->mem_bytes);
	vcpu_complete_plainly_by(vcpu, quick_complete_load);
	return NEXT_USER;
}

static int quick_store(struct vcpu *vcpu, gpa_t gpa, const struct quick_insn *q)
{
	bool done = emul_mmio_write_word(vcpu->emul, gpa, quick_store_data(vcpu, q), q->mem_bytes);

	vcpu_skip_instruction(vcpu);
	return done ? NEXT_ENTER : emul_mmio_deliver(vcpu);
}

/**
 * quick_write() - write to MMIO for the guest, without an instruction
 * @vcpu: loaded
 * @gpa: guest-physical address, where no memory is that can be written
 * @size: 1, 2, 4 or 8 bytes, all in one page
 * @data: the value
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex, and vm->srcu for reading.
 * Return: true if a device in the kernel took it; false if KVM_RUN must end,
 * with vcpu->run filled.
 */
bool quick_write(struct vcpu *vcpu, gpa_t gpa, u32 size, u64 data)
{
	if (emul_mmio_write_word(vcpu->emul, gpa, data, size))
		return true;
	emul_mmio_deliver(vcpu);
	return false;
}

/**
 * quick_mmio() - execute the instruction that caused an EPT violation, if it is a plain move of MMIO
 * @vcpu: loaded; vcpu->exit is the EPT violation
 * @gpa: the L1 guest-physical address of the access, which L1's EPT allows if the vCPU is in L2
 *
 * The bytes at RIP may not be those of the instruction that exited. They are
 * executed only if the address of their operand is that of the exit, and the
 * access is of the same kind: then the processor has checked it.
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex, and vm->srcu
 * for reading. The current VMCS is that of the running level.
 * Return: NEXT_ENTER or NEXT_USER; NEXT_GO_ON if nothing was done.
 */
int quick_mmio(struct vcpu *vcpu, gpa_t gpa)
{
	struct vmx_exit *e = &vcpu->exit;
	const struct quick_insn *q;
	u64 rip;

	if (vcpu->ev.injected.valid || (e->qual & (IO_QUAL | EPT_EXEC)) != IO_QUAL)
		return NEXT_GO_ON;
	if (memslot_near(vcpu, gpa >> PAGE_SHIFT) || current->mm != vcpu->vm->mm || !vcpu_is_64bit(vcpu))
		return NEXT_GO_ON;
	rip = vcpu_rip(vcpu);
	q = quick_fetch(vcpu, rip);
	if (!q || quick_address(vcpu, q, rip) != e->gla || q->load == !!(e->qual & EPT_WRITE))
		return NEXT_GO_ON;
	/* An aligned operand is in one page, and raises no alignment check. */
	if (e->gla & (q->mem_bytes - 1))
		return NEXT_GO_ON;
	e->ilen = q->len;
	return q->load ? quick_load(vcpu, gpa, q) : quick_store(vcpu, gpa, q);
}

/* --- stores in the short loop, where interrupts are disabled, and no register is cached --- */

/*
 * Whether the exit is an instruction's, and nothing is due after it but the next one: no trap, no end of blocking by STI or
 * MOV SS. *@flags is set to RFLAGS.
 */
static __always_inline bool quick_is_simple(u64 *flags)
{
	*flags = vmcs_read(GUEST_RFLAGS);
	return !(vmcs_read(IDT_VECTORING_INFO_FIELD) & VECTORING_INFO_VALID_MASK) && !(*flags & X86_EFLAGS_TF) &&
	       !(vmcs_read(GUEST_INTERRUPTIBILITY_INFO) & BLOCKING_ONE_INSN);
}

/*
 * The instruction at @rip, if it is a store to the linear address of the exit. Does not sleep, and leaves registers cached.
 * Caller holds vm->srcu for reading, and has disabled page faults.
 */
static __always_inline const struct quick_insn *quick_plain_store(struct vcpu *vcpu, u64 rip)
{
	const struct quick_insn *q;
	u64 gla;

	if (current->mm != vcpu->vm->mm || !vcpu_is_64bit(vcpu))
		return NULL;
	q = quick_fetch(vcpu, rip);
	if (!q || q->load)
		return NULL;
	gla = vmcs_read(GUEST_LINEAR_ADDRESS);
	return quick_address(vcpu, q, rip) == gla && !(gla & (q->mem_bytes - 1)) ? q : NULL;
}

/* Go on at @next. */
static __always_inline void quick_go_on(u64 next, u64 flags)
{
	vmcs_write(GUEST_RIP, next);
	/* An EPT violation saves RF as 1 (SDM 3C 28.3.3). */
	if (flags & X86_EFLAGS_RF)
		vmcs_write(GUEST_RFLAGS, flags & ~(u64)X86_EFLAGS_RF);
}

/* Find out what is bound to @gpa, and note it in @b unless the write is for something else. As quick_bound(). */
static noinline const struct ioeventfd *quick_note_bound(struct vcpu *vcpu, gpa_t gpa, struct io_bound *b)
{
	struct vm *vm = vcpu->vm;
	/* Read before the searches: what changes meanwhile makes the result out of date. */
	u64 changed = atomic64_read_acquire(&vm->io_changed), slots = memslot_generation(vm);
	const struct ioeventfd *first = ioeventfd_find(vm, false, gpa);

	if (!first || memslot_near(vcpu, gpa >> PAGE_SHIFT) || vioapic_is_at(vm, gpa))
		return NULL;
	*b = (struct io_bound) { .changed = changed, .slots = slots, .addr = gpa, .first = first };
	return first;
}

/*
 * The ioeventfds that a write to @gpa may signal, NULL if there are none. A driver writes to few such addresses: what was
 * found is kept until the slots or the bindings change. Whoever removes a binding waits for the readers of vm->srcu who
 * may not know yet. Caller holds vm->srcu for reading.
 */
static __always_inline const struct ioeventfd *quick_bound(struct vcpu *vcpu, gpa_t gpa)
{
	struct io_bound *b = &vcpu->io_bound[(gpa ^ gpa >> PAGE_SHIFT) / 4 % IO_BOUND];

	OPTIMIZER_HIDE_VAR(b);
	if (likely(b->addr == gpa && b->changed == atomic64_read_acquire(&vcpu->vm->io_changed) &&
		   b->slots == memslot_generation(vcpu->vm)))
		return b->first;
	return quick_note_bound(vcpu, gpa, b);
}

/**
 * quick_kick() - execute a store to an ioeventfd in the short loop
 * @vcpu: has just exited because of an EPT violation, for which io_is_store() holds; no register is cached
 * @gpa: the L1 guest-physical address of the access, which L1's EPT allows if the vCPU is in L2; not in the page of the
 *	local APIC
 *
 * Does what quick_mmio() would do, if nothing is due after the instruction. In L2, the caller has found that nothing is due
 * to L1 either.
 *
 * The length that the exit gives is not used: it is not defined for EPT violations (SDM 3C 28.2.5). The instruction's
 * bytes are compared with those that were decoded before.
 *
 * Context: Interrupts and page faults disabled. The current VMCS is that of the running level. Caller holds vcpu->mutex,
 * and vm->srcu for reading.
 * Return: false if the general path must handle the exit; nothing has changed then.
 */
bool quick_kick(struct vcpu *vcpu, gpa_t gpa)
{
	const struct ioeventfd *first = quick_bound(vcpu, gpa);
	const struct quick_insn *q;
	u64 flags, rip, next;
	bool done = false;

	/* A waiter's lock may sleep on a PREEMPT_RT kernel. */
	if (!first || IS_ENABLED(CONFIG_PREEMPT_RT) || !quick_is_simple(&flags))
		return false;
	rip = vmcs_read(GUEST_RIP);
	q = quick_plain_store(vcpu, rip);
	if (likely(q)) {
		next = rip + q->len;
		done = !((rip ^ next) >> 31) &&
		       ioeventfd_signal(first, q->mem_bytes, quick_store_data(vcpu, q) & q->mem_mask);
	}
	vcpu->reg_avail = 0;
	if (likely(done))
		quick_go_on(next, flags);
	return done;
}

/* As quick_plain_store(), for a store to @gpa, if no memory is there. The caller neither holds vm->srcu nor has disabled page faults. */
static const struct quick_insn *quick_own_store(struct vcpu *vcpu, gpa_t gpa, u64 rip)
{
	const struct quick_insn *q;
	int idx = memslot_begin_nofault(vcpu->vm);

	q = memslot_near(vcpu, gpa >> PAGE_SHIFT) ? NULL : quick_plain_store(vcpu, rip);
	memslot_end_nofault(vcpu->vm, idx);
	return q;
}

/**
 * quick_eoi() - execute a store to the EOI register of an xAPIC in the short loop
 * @vcpu: in L1, has just exited because of an EPT violation, for which io_is_store() holds; no register is cached
 * @gpa: the address of the access, which is in the page of the local APIC
 *
 * Does what quick_mmio() would do, if the EOI concerns the local APIC alone and
 * nothing is due after the instruction.
 *
 * Context: Interrupts disabled. VMCS01 is current. Caller holds vcpu->mutex.
 * Return: false if the general path must handle the exit; nothing has changed then.
 */
bool quick_eoi(struct vcpu *vcpu, gpa_t gpa)
{
	const u64 mode = MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE;
	const struct quick_insn *q;
	u64 flags, rip, next;

	if (offset_in_page(gpa) != APIC_EOI || (vcpu->apic_base & mode) != MSR_IA32_APICBASE_ENABLE || !vcpu->lapic)
		return false;
	if (!quick_is_simple(&flags))
		return false;
	rip = vmcs_read(GUEST_RIP);
	q = quick_own_store(vcpu, gpa, rip);
	vcpu->reg_avail = 0;
	next = rip + (q ? q->len : 0);
	if (!q || q->mem_bytes != 4 || (rip ^ next) >> 31 || !irqchip_eoi_short(vcpu))
		return false;
	quick_go_on(next, flags);
	return true;
}

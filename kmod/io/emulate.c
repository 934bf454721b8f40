// SPDX-License-Identifier: GPL-2.0
/* Emulation of the instruction at a vCPU's RIP: build the context, fetch, decode, execute, and commit the result. */
#include <linux/build_bug.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <asm/vmx.h>
#include <asm/trapnr.h>
#include "droste.h"
#include "cpu/walk.h"
#include "emul/emul.h"
#include "emul/exec.h"
#include "emul/insn.h"
#include "io/emulate.h"
#include "io/emulate_state.h"
#include "io/ports.h"
#include "run/request.h"
#include "trace.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Exit qualification of LMSW with a memory operand; the operand is in bits 31:16 (SDM 3C table 28-3). */
#define LMSW_OF_MEMORY	(3ULL << 4 | BIT(6))

/* Iterations of a REP before the run loop checks for interrupts again. */
#define MAX_ITERATIONS	512

/*
 * LMSW writes CR0. In L2, the bits in L1's guest/host mask decide about an exit to L1 (SDM 3C 26.1.3): one of TS, EM
 * or MP that would differ from the read shadow, or PE that would become 1.
 */
static int emul_op_lmsw(struct emul_ctx *ctx, u64 cr0, u16 msw, u64 la)
{
	struct emul_state *es = emul_state_of(ctx);
	struct vcpu *vcpu = es->vcpu;
	u64 mask, shadow;

	if (vcpu->in_l2) {
		mask = vcpu->nested.vmcs12->cr0_guest_host_mask;
		shadow = vcpu->nested.vmcs12->cr0_read_shadow;
		if (mask & 0xf & (shadow ^ msw) & ~(shadow & X86_CR0_PE))
			return emul_exit_to_l1(es, EXIT_REASON_CR_ACCESS, (u64)msw << 16 | LMSW_OF_MEMORY, la);
		cr0 = (cr0 & ~mask) | (vcpu->nested.vmcs12->guest_cr0 & mask);
	}
	return vcpu_set_cr0(vcpu, cr0) ? emul_raise_err(ctx, X86_TRAP_GP, 0) : EMUL_DONE;
}

static const struct emul_ops ops = {
	.read = emul_op_read,
	.write = emul_op_write,
	.compare_exchange = emul_op_cmpxchg,
	.probe = emul_op_probe,
	.in = emul_op_in,
	.out = emul_op_out,
	.lmsw = emul_op_lmsw,
	.write_cr3 = emul_op_write_cr3,
	.get_vec = emul_op_get_vec,
	.put_vec = emul_op_put_vec,
	.get_mm = emul_op_get_mm,
	.put_mm = emul_op_put_mm,
	.x87 = emul_op_x87,
};

static void emul_load_segment(struct emul_state *es, enum seg seg)
{
	struct kvm_segment s;

	vcpu_get_segment(es->vcpu, seg, &s);
	es->ctx.seg[seg] = (struct emul_seg) {
		.base = s.base,
		.limit = s.limit,
		.sel = s.selector,
		.type = s.type,
		.s = s.s,
		.dpl = s.dpl,
		.present = s.present,
		.avl = s.avl,
		.l = s.l,
		.db = s.db,
		.g = s.g,
		.unusable = s.unusable || !s.present,
	};
}

static void emul_store_segment(struct emul_state *es, enum seg seg)
{
	const struct emul_seg *s = &es->ctx.seg[seg];
	const struct kvm_segment out = {
		.base = s->base,
		.limit = s->limit,
		.selector = s->sel,
		.type = s->type,
		.s = s->s,
		.dpl = s->dpl,
		.present = s->present,
		.avl = s->avl,
		.l = s->l,
		.db = s->db,
		.g = s->g,
		.unusable = s->unusable,
	};

	vcpu_set_segment(es->vcpu, seg, &out);
}

/* Nothing of the instruction is executed yet. */
static void emul_rewind(struct emul_state *es)
{
	es->ctx.stop = false;
	es->ctx.supervisor = false;
	es->reflect = false;
	es->next_read = 0;
	es->nr_writes = 0;
}

/**
 * emul_build_context() - collect the state that fetch and decode need
 * @es: the emulator's state
 *
 * Segments follow after decoding, when the ones used are known.
 *
 * Context: Reads the current VMCS.
 */
void emul_build_context(struct emul_state *es)
{
	struct vcpu *vcpu = es->vcpu;
	struct emul_ctx *ctx = &es->ctx;

	BUILD_BUG_ON((int)SREG_GS != SEG_GS || (int)SREG_SS != SEG_SS || (int)GPR_DI != RDI || (int)GPR_SP != RSP);

	walk_prepare(vcpu, &es->paging);
	vcpu_rsp(vcpu);		/* makes regs[RSP] valid */
	memcpy(ctx->gpr, vcpu->regs, sizeof(ctx->gpr));
	ctx->rip = vcpu_rip(vcpu);
	ctx->rflags = vcpu_rflags(vcpu);
	ctx->cr0 = es->paging.cr0;
	ctx->cr4 = es->paging.cr4;
	ctx->xcr0 = vcpu->xcr0;
	ctx->cpl = vcpu_cpl(vcpu);
	ctx->la_bits = ctx->cr4 & X86_CR4_LA57 ? 57 : 48;
	ctx->features = (boot_cpu_has(X86_FEATURE_BMI1) ? EMUL_HAS_TZCNT : 0) |
			(boot_cpu_has(X86_FEATURE_ABM) ? EMUL_HAS_LZCNT : 0);
	ctx->ops = &ops;
	if (vcpu_is_64bit(vcpu)) {
		ctx->mode = MODE_64;
	} else {
		emul_load_segment(es, SEG_CS);
		ctx->mode = ctx->seg[SREG_CS].db ? MODE_32 : MODE_16;
	}
	es->nr_bytes = 0;
	emul_rewind(es);
}

/* Does the instruction use more than the segment registers of its operands? */
static bool emul_uses_tables(const struct emul_insn *insn)
{
	switch (insn->op) {
	case OP_MOVSEG:
	case OP_PUSHSEG ... OP_LIDT:
		return true;
	default:
		return false;
	}
}

/* In L2, bits in L1's guest/host mask read as in the read shadow (SDM 3C 26.3, SMSW). */
static u16 emul_msw(const struct emul_state *es)
{
	const struct vmcs12 *v = es->vcpu->nested.vmcs12;

	if (!es->vcpu->in_l2)
		return es->ctx.cr0;
	return (es->ctx.cr0 & ~v->cr0_guest_host_mask) | (v->cr0_read_shadow & v->cr0_guest_host_mask);
}

/**
 * emul_load_system() - collect all segment and table registers for an instruction that may use them
 * @es: the emulator's state
 *
 * Context: Reads the current VMCS.
 */
void emul_load_system(struct emul_state *es)
{
	struct emul_ctx *ctx = &es->ctx;
	enum seg seg;

	for (seg = SEG_ES; seg <= SEG_TR; seg++)
		emul_load_segment(es, seg);
	ctx->gdt = (struct emul_table) { vmcs_read(GUEST_GDTR_BASE), vmcs_read(GUEST_GDTR_LIMIT) };
	ctx->idt = (struct emul_table) { vmcs_read(GUEST_IDTR_BASE), vmcs_read(GUEST_IDTR_LIMIT) };
	ctx->msw = emul_msw(es);
	ctx->long_mode = vcpu_is_long_mode(es->vcpu);
}

/* In 64-bit mode only FS and GS matter to most instructions. */
static void emul_load_segments(struct emul_state *es)
{
	const struct emul_insn *insn = &es->ctx.insn;
	enum seg seg;

	if (emul_uses_tables(insn)) {
		emul_load_system(es);
	} else if (es->ctx.mode == MODE_64) {
		if (insn->seg >= SREG_FS)
			emul_load_segment(es, insn->seg);
	} else {
		for (seg = SEG_ES; seg <= SEG_GS; seg++)
			emul_load_segment(es, seg);
	}
}

/* Fetch more bytes of the instruction, up to the end of a page. */
static int emul_fetch_more(struct emul_state *es)
{
	u32 len = INSN_MAX - es->nr_bytes;
	u64 la;
	int r = emul_fetch_linear(&es->ctx, es->ctx.rip + es->nr_bytes, &len, &la);

	if (r != EMUL_DONE)
		return r;
	len = min_t(u32, len, PAGE_SIZE - offset_in_page(la));
	r = emul_fetch(es, la, es->bytes + es->nr_bytes, len);
	if (r == EMUL_DONE)
		es->nr_bytes += len;
	return r;
}

static int emul_fetch_and_decode(struct emul_state *es)
{
	struct emul_ctx *ctx = &es->ctx;
	enum decode_result result;
	int r;

	do {
		r = emul_fetch_more(es);
		if (r != EMUL_DONE)
			return r;
		result = emul_decode(&ctx->insn, es->bytes, es->nr_bytes, ctx->mode);
	} while (result == DECODE_MORE);

	switch (result) {
	case DECODE_OK:
		return EMUL_DONE;
	case DECODE_TOO_LONG:
		return emul_raise_err(ctx, X86_TRAP_GP, 0);
	case DECODE_UD:
		return emul_raise(ctx, X86_TRAP_UD);
	default:
		return EMUL_UNKNOWN;
	}
}

/* Write back what few instructions change. */
static void emul_commit_system(struct emul_state *es)
{
	struct emul_ctx *ctx = &es->ctx;
	enum seg seg;

	for (seg = SEG_ES; seg <= SEG_TR; seg++)
		if (ctx->changed & EMUL_CHANGED_SEG(seg))
			emul_store_segment(es, seg);
	if (ctx->changed & (EMUL_CHANGED_GDT | EMUL_CHANGED_IDT))
		es->vcpu->nested.held01.valid = false;
	if (ctx->changed & EMUL_CHANGED_GDT) {
		vmcs_write(GUEST_GDTR_BASE, ctx->gdt.base);
		vmcs_write(GUEST_GDTR_LIMIT, ctx->gdt.limit);
	}
	if (ctx->changed & EMUL_CHANGED_IDT) {
		vmcs_write(GUEST_IDTR_BASE, ctx->idt.base);
		vmcs_write(GUEST_IDTR_LIMIT, ctx->idt.limit);
	}
}

/**
 * emul_commit() - give the registers that the emulated instruction changed to the vCPU
 * @es: the emulator's state
 *
 * Context: Reads and writes the current VMCS.
 */
void emul_commit(struct emul_state *es)
{
	struct vcpu *vcpu = es->vcpu;
	struct emul_ctx *ctx = &es->ctx;

	if (ctx->gpr[GPR_SP] != vcpu_rsp(vcpu))
		vcpu_set_rsp(vcpu, ctx->gpr[GPR_SP]);
	memcpy(vcpu->regs, ctx->gpr, sizeof(ctx->gpr));
	vcpu_set_rip(vcpu, ctx->rip);
	if (ctx->rflags != vcpu_rflags(vcpu))
		vcpu_set_rflags(vcpu, ctx->rflags);
	if (ctx->retired && unlikely(ctx->changed))
		emul_commit_system(es);
}

static bool emul_is_branch(const struct emul_insn *insn)
{
	switch (insn->op) {
	case OP_CALL:
	case OP_CALLREL:
	case OP_CALLF:
	case OP_JMP:
	case OP_JMPF:
	case OP_RET:
	case OP_RETF:
		return true;
	default:
		return false;
	}
}

/* Report an internal error to user space, with the bytes of the instruction. */
static int emul_unknown_instruction(struct emul_state *es)
{
	union {
		u64 words[3];
		struct {
			u64 flags;
			u8 size;
			u8 bytes[INSN_MAX];
		};
	} data = { .flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES, .size = es->nr_bytes };

	/* L2 and user mode must not be able to stop the whole VM, so they get #UD. KVM does the same. */
	if ((es->vcpu->in_l2 || vcpu_cpl(es->vcpu)) && !READ_ONCE(es->vcpu->vm->exit_on_emul_failure)) {
		vcpu_queue_exception(es->vcpu, X86_TRAP_UD);
		return NEXT_ENTER;
	}
	/* The layout of emulation_failure in struct kvm_run. Bytes that were not fetched read as NOP, as in KVM. */
	memset(data.bytes, 0x90, sizeof(data.bytes));
	memcpy(data.bytes, es->bytes, es->nr_bytes);
	if (!es->nr_bytes)
		data.flags = 0;
	return vcpu_internal_error(es->vcpu, KVM_INTERNAL_ERROR_EMULATION, data.words, es->nr_bytes ? 3 : 1);
}

/**
 * emul_queue_fault() - queue the exception that the emulated instruction raised
 * @es: the emulator's state
 *
 * Context: Does not sleep.
 */
void emul_queue_fault(struct emul_state *es)
{
	const struct emul_fault *f = &es->ctx.fault;

	if (f->vector == X86_TRAP_PF)
		vcpu_queue_pf(es->vcpu, f->cr2, f->error_code);
	else if (f->has_error)
		vcpu_queue_exception_err(es->vcpu, f->vector, f->error_code);
	else
		vcpu_queue_exception(es->vcpu, f->vector);
}

/**
 * emul_exit_to_l1() - end the instruction of L2, which changed nothing, with an exit to L1
 * @es: the emulator's state
 * @reason: basic exit reason
 * @qual: exit qualification
 * @gla: guest-linear address
 *
 * The exit takes the place of the one for which the instruction is emulated.
 *
 * Context: Process context. The vCPU is in L2.
 * Return: EMUL_RETRY.
 */
int emul_exit_to_l1(struct emul_state *es, u32 reason, u64 qual, u64 gla)
{
	struct vmx_exit *e = &es->vcpu->exit;

	es->vcpu->exits_reflected[e->basic]++;
	e->reason = reason;
	e->basic = reason;
	e->qual = qual;
	e->gla = gla;
	e->intr_info = 0;
	e->ilen = es->ctx.insn.len;
	es->reflect = true;
	return EMUL_RETRY;
}

/* The instruction, or at least an iteration of it, is executed: deliver its accesses to user space. */
static int emul_leave_done(struct emul_state *es)
{
	const struct emul_ctx *ctx = &es->ctx;
	struct vcpu *vcpu = es->vcpu;
	u64 held = ctx->retired ? vmx_end_blocking(vcpu) : 0;
	bool tf = ctx->step_trap;

	if (unlikely(ctx->mov_ss) && vmx_block_by_mov_ss(vcpu))
		tf = false;
	if (ctx->progress)
		vcpu_insn_done(vcpu, tf, emul_is_branch(&ctx->insn), held);
	if (es->nr_writes)
		return emul_mmio_deliver(vcpu);
	return es->out ? NEXT_USER : NEXT_ENTER;
}

static int emul_leave(struct emul_state *es, int result)
{
	struct vcpu *vcpu = es->vcpu;

	if (es->ctx.progress)
		emul_commit(es);
	switch (result) {
	case EMUL_DONE:
		return emul_leave_done(es);
	case EMUL_FAULT:
		emul_queue_fault(es);
		return NEXT_ENTER;
	case EMUL_EXIT:
		vcpu_complete_by(vcpu, emul_resume);
		return NEXT_USER;
	case EMUL_RETRY:
		return es->reflect ? NEXT_REFLECT : NEXT_ENTER;
	case EMUL_ERROR:
		return es->error;
	default:
		return emul_unknown_instruction(es);
	}
}

/*
 * INS and OUTS are executed only if the exit was for this access: then the processor has checked IOPL and the bitmap
 * in the TSS, and the route of the exit has looked at L1's controls. The bytes at RIP may not be those of the
 * instruction that exited, if another CPU writes to them or a translation is stale.
 */
static bool emul_exit_was_for_port(const struct emul_state *es)
{
	const struct vmx_exit *e = &es->vcpu->exit;
	const struct emul_ctx *ctx = &es->ctx;
	bool in = ctx->insn.op == OP_INS;

	if (!in && ctx->insn.op != OP_OUTS)
		return true;
	/* SDM 3C table 28-5. */
	return e->basic == EXIT_REASON_IO_INSTRUCTION && (e->qual & BIT(4)) && in == !!(e->qual & BIT(3)) &&
	       (e->qual & 7) + 1 == min_t(u8, ctx->insn.op_bytes, 4) && e->qual >> 16 == (u16)ctx->gpr[GPR_DX];
}

/*
 * An L1 that intercepts accesses to descriptor-table registers has had an exit for such an instruction, before the
 * access to its operand (SDM 3C 26.1.3). What is at RIP now is another instruction than the one that exited.
 */
static bool emul_l1_wants_table_access(const struct emul_state *es)
{
	const struct vmcs12 *v = es->vcpu->nested.vmcs12;

	return es->vcpu->in_l2 && es->ctx.insn.op >= OP_SLDT && es->ctx.insn.op <= OP_LIDT && es->ctx.insn.op != OP_LMSW &&
	       (v->cpu_based_vm_exec_control & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS) &&
	       (v->secondary_vm_exec_control & SECONDARY_EXEC_DESC);
}

/* The processor executes the instruction, after it has fetched it anew. */
static int emul_give_back(struct emul_state *es)
{
	vcpu_request(es->vcpu, REQ_TLB_FLUSH_GUEST);
	return EMUL_RETRY;
}

static int emul_execute(struct emul_state *es)
{
	const struct vcpu *vcpu = es->vcpu;

	/* The monitor trap flag causes an exit after each iteration, as TF causes a trap. */
	return emul_exec(&es->ctx, vcpu->in_l2 && nested_wants_mtf(&vcpu->nested) ? 1 : MAX_ITERATIONS);
}

static int emul_run(struct emul_state *es)
{
	int r;

	emul_build_context(es);
	es->ctx.progress = false;
	r = emul_fetch_and_decode(es);
	if (r == EMUL_DONE && (!emul_exit_was_for_port(es) || emul_l1_wants_table_access(es))) {
		ports_hold(es->vcpu);
		r = emul_give_back(es);
	}
	if (r == EMUL_DONE) {
		emul_load_segments(es);
		r = emul_execute(es);
	}
	return emul_leave(es, r);
}

/**
 * emul_resume() - execute the instruction again from its start, now with the answer of user space
 * @vcpu: loaded; the last exit to user space was for its emulator
 *
 * The instruction is the one that was fetched before the exit, as the processor
 * does not fetch again either while it waits for a device. If user space may
 * have changed registers, what is at RIP now is executed.
 *
 * Context: That of emul_instruction().
 * Return: as emul_instruction().
 */
int emul_resume(struct vcpu *vcpu)
{
	struct emul_state *es = vcpu->emul;
	struct mmio_frag *f;

	if (!vcpu_same_place(vcpu))
		return NEXT_ENTER;
	if (es->pending == EMUL_PENDING_MMIO_READ) {
		f = &es->reads[es->nr_reads - 1];
		memcpy(f->data, vcpu->run->mmio.data, f->len);
		trace_droste_mmio(vcpu, TRACE_MMIO_READ, f->gpa, f->len, f->data);
	} else {
		es->in.answered = true;
	}
	es->pending = EMUL_PENDING_NONE;
	if (unlikely(vcpu->altered))
		return emul_run(es);
	emul_rewind(es);
	return emul_leave(es, emul_execute(es));
}

/**
 * emul_begin() - forget what an earlier instruction has left
 * @es: the emulator's state
 *
 * Context: Process context.
 */
void emul_begin(struct emul_state *es)
{
	es->pending = EMUL_PENDING_NONE;
	es->nr_reads = 0;
	es->nr_writes = 0;
	es->next_write = 0;
	es->in.answered = false;
	es->out = false;
}

/**
 * emul_instruction() - emulate the instruction at RIP
 * @vcpu: loaded
 *
 * For exits caused by an instruction that the processor could not finish: an
 * access to MMIO, INS or OUTS. In L2, its accesses go through L1's EPT12.
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex, and vm->srcu
 * for reading. The current VMCS is that of the running level.
 * Return: enum next, or -EFAULT if user space's memory is not accessible.
 */
int emul_instruction(struct vcpu *vcpu)
{
	emul_begin(vcpu->emul);
	return emul_run(vcpu->emul);
}

/**
 * emul_create() - allocate the emulator's state of a new vCPU
 * @vcpu: a new vCPU
 *
 * Context: Process context. May sleep.
 * Return: 0 or -ENOMEM.
 */
int emul_create(struct vcpu *vcpu)
{
	vcpu->emul = kzalloc(sizeof(*vcpu->emul), GFP_KERNEL_ACCOUNT);
	if (!vcpu->emul)
		return -ENOMEM;
	vcpu->emul->vcpu = vcpu;
	return 0;
}

/**
 * emul_destroy() - free the emulator's state of a vCPU
 * @vcpu: no longer in use
 *
 * Context: Process context.
 */
void emul_destroy(struct vcpu *vcpu)
{
	kfree(vcpu->emul);
	vcpu->emul = NULL;
}

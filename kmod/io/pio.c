// SPDX-License-Identifier: GPL-2.0
/* Port I/O: IN and OUT, which need no decoding, and the port accesses of INS and OUTS. */
#include "droste.h"
#include "emul/emul.h"
#include "emul/exec.h"
#include "io/bus.h"
#include "io/emulate.h"
#include "io/emulate_state.h"
#include "io/ioeventfd.h"
#include "io/ports.h"
#include "irqchip/irqchip.h"
#include "run/request.h"
#include "trace.h"
#include "vmx/inject.h"
#include "vmx/regs.h"

#define PIO_QUAL_IN	BIT_ULL(3)	/* exit qualification: IN or INS (SDM 3C table 28-5) */
#define PIO_PORT_SAVE	0x7e		/* firmware has its state saved behind an OUT to this port: see emul_pio() */

/* Exit to user space for a port access. The data is in the page behind struct kvm_run. */
static int pio_exit(struct vcpu *vcpu, u16 port, u32 size, u32 count, bool in)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = size;
	run->io.port = port;
	run->io.count = count;
	run->io.data_offset = KVM_PIO_PAGE_OFFSET * PAGE_SIZE;
	return NEXT_USER;
}

/* Set the result of IN: AL, AX, or EAX with the upper half of RAX cleared (SDM 1 3.4.1.1). */
static __always_inline void pio_set_accumulator(struct vcpu *vcpu, u32 size, u32 data)
{
	u64 *rax = &vcpu->regs[RAX];

	switch (size) {
	case 1:
		*(u8 *)rax = data;
		break;
	case 2:
		*(u16 *)rax = data;
		break;
	default:
		*rax = data;
	}
}

/* If user space has moved RIP, by a reset for instance, there is no instruction to skip. */
static int pio_complete_out(struct vcpu *vcpu)
{
	if (vcpu_same_place(vcpu))
		vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

static int pio_complete_in(struct vcpu *vcpu)
{
	if (!vcpu_same_place(vcpu))
		return NEXT_ENTER;
	if (trace_droste_pio_enabled())
		trace_droste_pio(vcpu, false, vcpu->exit.qual >> 16, vcpu->emul->in.size, 1, vcpu->pio_data);
	pio_set_accumulator(vcpu, vcpu->emul->in.size, READ_ONCE(*(u32 *)vcpu->pio_data));
	vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

/* --- accesses like an earlier one, that was for user space or signalled an ioeventfd --- */

/* Bits 63:32 of the qualification are 0 (SDM 3C 28.2.1), so that no key is 0, and no two are the same. */
static __always_inline u64 pio_key_asked(u64 qual)
{
	return ~qual;
}

static __always_inline u64 pio_key_bound(u64 qual)
{
	return ~qual ^ BIT_ULL(63);
}

/* The entry for accesses with an exit qualification: its lowest four bits are size and direction (SDM 3C table 28-5). */
static __always_inline struct io_port_use *pio_use(struct vcpu *vcpu, u64 qual)
{
	struct io_port_use *u = &vcpu->io_port_uses[(qual >> 16 ^ qual) % IO_PORT_USES];

	OPTIMIZER_HIDE_VAR(u);	/* keeps the compiler from computing the index for each member */
	return u;
}

/*
 * Note that user space serves the access of the last exit, if that depends on nothing that changes without a notice in
 * vm->io_changed, whose value was @changed before the search: not on the data, nor on interrupt controllers.
 */
static void pio_note_asked(struct vcpu *vcpu, u16 port, u32 size, bool in, u64 changed)
{
	u64 qual = vcpu->exit.qual;

	if (irqchip_has_port(port) || port == PIO_PORT_SAVE)
		return;
	/* Otherwise something that is bound has refused this write, and may take the next. */
	if (!in && !(io_is_absent(vcpu, true, port) && vcpu->io_absent.len == size))
		return;
	*pio_use(vcpu, qual) = (struct io_port_use) { .key = pio_key_asked(qual), .changed = changed };
}

/* The same of an OUT that an ioeventfd or the ring has taken. Caller holds vm->srcu for reading. */
static void pio_note_bound(struct vcpu *vcpu, u16 port, u64 changed)
{
	u64 key = pio_key_bound(vcpu->exit.qual);
	struct io_port_use *u = pio_use(vcpu, vcpu->exit.qual);

	/* A PIT may be created later, which is not noted in vm->io_changed. */
	if (irqchip_has_port(port))
		return;
	if (u->key == key && u->changed == changed)
		return;
	/* It may be bound for other data. */
	*u = (struct io_port_use) { .key = key, .changed = changed, .first = ioeventfd_find(vcpu->vm, true, port) };
}

static int pio_finish_out(struct vcpu *vcpu)
{
	if (unlikely(vcpu->altered))
		return pio_complete_out(vcpu);
	vcpu->reg_avail &= ~REG_RIP;
	vmcs_write(GUEST_RIP, vcpu->emul->next_rip);
	return NEXT_ENTER;
}

static int pio_finish_in(struct vcpu *vcpu)
{
	if (unlikely(vcpu->altered))
		return pio_complete_in(vcpu);
	trace_droste_pio(vcpu, false, vcpu->exit.qual >> 16, vcpu->emul->in.size, 1, vcpu->pio_data);
	pio_set_accumulator(vcpu, vcpu->emul->in.size, READ_ONCE(*(u32 *)vcpu->pio_data));
	vcpu->reg_avail &= ~REG_RIP;
	vmcs_write(GUEST_RIP, vcpu->emul->next_rip);
	return NEXT_ENTER;
}

/*
 * Whether nothing but the next instruction, at @next, is due after the one at @rip: no trap, no end of blocking by STI or
 * MOV SS, no RF to clear, no wrap at 4 GiB.
 */
static __always_inline bool pio_is_simple(u64 rip, u64 next, u64 flags)
{
	return !(flags & (X86_EFLAGS_TF | X86_EFLAGS_RF)) && !((rip ^ next) >> 31) &&
	       !(vmcs_read(GUEST_INTERRUPTIBILITY_INFO) & BLOCKING_ONE_INSN);
}

/*
 * Signal the ioeventfd, if the access is like an earlier one that signalled it. Whoever removes a binding notes the change
 * first, and then waits for the readers of vm->srcu, who may not know yet. As emul_pio_short().
 */
static noinline int pio_kick(struct vcpu *vcpu, const struct io_port_use *u, u64 qual)
{
	u32 size = (qual & 7) + 1, data = (u32)vcpu->regs[RAX] & emul_size_mask(size);
	struct vm *vm = vcpu->vm;
	bool done = false;
	u64 rip, next;
	int idx;

	/* A waiter's lock may sleep on a PREEMPT_RT kernel. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT) || vcpu->ports_held || trace_droste_pio_enabled())
		return NEXT_GO_ON;
	rip = vmcs_read(GUEST_RIP);
	next = rip + vmcs_read(VM_EXIT_INSTRUCTION_LEN);
	if (unlikely(!pio_is_simple(rip, next, vmcs_read(GUEST_RFLAGS))))
		return NEXT_GO_ON;
	idx = srcu_read_lock(&vm->srcu);
	if (likely(u->changed == atomic64_read_acquire(&vm->io_changed)))
		done = ioeventfd_signal(u->first, size, data);
	srcu_read_unlock(&vm->srcu, idx);
	if (unlikely(!done))
		return NEXT_GO_ON;
	vmcs_write(GUEST_RIP, next);
	return NEXT_ENTER;
}

/**
 * emul_pio_short() - execute IN or OUT of L1 like the same access before, which user space served or which signalled an ioeventfd
 * @vcpu: in L1, has just exited because of an I/O instruction; nothing is read of the exit but its reason, and no register
 *	is cached
 *
 * Does what the snapshot of the exit, emul_pio() and, for user space, the next KVM_RUN's completion do, if that is simple:
 * the access is like the earlier one, and nothing but the next instruction is due after the instruction.
 *
 * Context: Does not sleep; interrupts may be disabled. VMCS01 is current, and no event was being delivered at the exit.
 * Caller holds vcpu->mutex, and need not hold vm->srcu.
 * Return: NEXT_USER if KVM_RUN must end, with vcpu->run filled; NEXT_ENTER if the instruction is done; NEXT_GO_ON if the
 * general path must handle the exit: nothing has changed then.
 */
int emul_pio_short(struct vcpu *vcpu)
{
	u64 qual = vmcs_read(EXIT_QUALIFICATION), flags, rip, next;
	const struct io_port_use *u = pio_use(vcpu, qual);
	struct emul_state *es = vcpu->emul;
	struct vmx_exit *e = &vcpu->exit;
	u32 size = (qual & 7) + 1;
	bool in = qual & PIO_QUAL_IN;

	if (unlikely(u->key != pio_key_asked(qual)))
		return u->key == pio_key_bound(qual) && u->first ? pio_kick(vcpu, u, qual) : NEXT_GO_ON;
	if (unlikely(u->changed != atomic64_read(&vcpu->vm->io_changed) || vcpu->ports_held || trace_droste_pio_enabled()))
		return NEXT_GO_ON;
	flags = vmcs_read(GUEST_RFLAGS);
	rip = vmcs_read(GUEST_RIP);
	e->ilen = vmcs_read(VM_EXIT_INSTRUCTION_LEN);
	next = rip + e->ilen;
	if (unlikely(!pio_is_simple(rip, next, flags)))
		return NEXT_GO_ON;
	/* For kvm_run, and for user space that sets registers: it has the general path finish the instruction. */
	vcpu->rflags = flags;
	vcpu->reg_avail = REG_RFLAGS;
	e->qual = qual;
	e->idt_info = 0;
	es->next_rip = next;
	es->in.size = size;
	if (!in)
		*(u32 *)vcpu->pio_data = (u32)vcpu->regs[RAX] & ~0U >> (32 - 8 * size);
	vcpu_complete_plainly_by(vcpu, in ? pio_finish_in : pio_finish_out);
	return pio_exit(vcpu, qual >> 16, size, 1, in);
}

/* An access that the host carries out: to a port that is passed, or to an interrupt controller. */
static __always_inline bool pio_in_kernel(struct vcpu *vcpu, u16 port, u32 size, void *data, bool write)
{
	return (rcu_access_pointer(vcpu->vm->ports) && ports_access(vcpu, port, size, data, write)) ||
	       irqchip_pio(vcpu, port, size, data, write);
}

/**
 * emul_pio() - execute IN or OUT of the running level
 * @vcpu: loaded; vcpu->exit is the exit of the instruction
 * @port: port number
 * @size: 1, 2 or 4 bytes
 * @in: true for IN, false for OUT
 *
 * RIP still points to the instruction while user space serves the exit, as in
 * KVM. OUT to port 0x7E is the exception that KVM_CAP_DISABLE_QUIRKS documents:
 * firmware uses it to have its state saved behind the instruction.
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex, and vm->srcu
 * for reading. The current VMCS is that of the running level.
 * Return: NEXT_ENTER or NEXT_USER.
 */
int emul_pio(struct vcpu *vcpu, u16 port, u32 size, bool in)
{
	/* Read before the search: what changes meanwhile makes its result out of date. */
	u64 changed = atomic64_read_acquire(&vcpu->vm->io_changed);
	u32 data = in ? 0 : vcpu->regs[RAX] & emul_size_mask(size);

	if (pio_in_kernel(vcpu, port, size, &data, !in)) {
		trace_droste_pio(vcpu, !in, port, size, 1, &data);
		if (in)
			pio_set_accumulator(vcpu, size, data);
		vcpu_skip_instruction(vcpu);
		return NEXT_ENTER;
	}
	vcpu_stay_calm(vcpu);
	if (!in) {
		trace_droste_pio(vcpu, true, port, size, 1, &data);
		if (io_write(vcpu, true, port, size, data, true)) {
			pio_note_bound(vcpu, port, changed);
			vcpu_skip_instruction(vcpu);
			return NEXT_ENTER;
		}
		*(u32 *)vcpu->pio_data = data;	/* all four bytes, as their number is no constant for memcpy() */
		if (port == PIO_PORT_SAVE && !(READ_ONCE(vcpu->vm->disabled_quirks) & KVM_X86_QUIRK_OUT_7E_INC_RIP)) {
			vcpu_skip_instruction(vcpu);
			return pio_exit(vcpu, port, size, 1, false);
		}
	}
	pio_note_asked(vcpu, port, size, in, changed);
	vcpu->emul->in.size = size;
	vcpu_complete_by(vcpu, in ? pio_complete_in : pio_complete_out);
	return pio_exit(vcpu, port, size, 1, in);
}

static noinline void pio_trace_out(struct vcpu *vcpu, u16 port, u32 size, u32 data)
{
	data &= emul_size_mask(size);
	trace_droste_pio(vcpu, true, port, size, 1, &data);
}

static noinline bool pio_out(struct vcpu *vcpu, u16 port, u32 size, u32 data)
{
	data &= emul_size_mask(size);
	if (pio_in_kernel(vcpu, port, size, &data, true) || io_write(vcpu, true, port, size, data, true))
		return true;
	*(u32 *)vcpu->pio_data = data;
	pio_exit(vcpu, port, size, 1, false);
	return false;
}

/**
 * emul_out() - write to a port for the guest, without an instruction
 * @vcpu: loaded
 * @port: port number
 * @size: 1, 2 or 4 bytes
 * @data: the value; what is above @size is left out
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex, and vm->srcu for reading.
 * Return: true if a device in the kernel took it; false if KVM_RUN must end,
 * with vcpu->run filled.
 */
bool emul_out(struct vcpu *vcpu, u16 port, u32 size, u32 data)
{
	if (trace_droste_pio_enabled())
		pio_trace_out(vcpu, port, size, data);
	if (likely(size == 1 && irqchip_is_pic_port(port) && !rcu_access_pointer(vcpu->vm->ports)) &&
	    likely(vpic_out(vcpu->vm, port, data)))
		return true;
	return pio_out(vcpu, port, size, data);
}

/**
 * emul_op_in() - read elements from a port, for emul_ops.in
 * @ctx: the instruction, INS
 * @port: port number
 * @size: bytes of one element
 * @count: number of elements; set to the number that was read
 * @data: filled
 *
 * Context: Process context. May sleep. The vCPU is loaded; caller holds
 * vm->srcu for reading.
 * Return: enum emul_result; EMUL_EXIT if user space must answer first.
 */
int emul_op_in(struct emul_ctx *ctx, u16 port, u32 size, u32 *count, void *data)
{
	struct emul_state *es = emul_state_of(ctx);
	struct vcpu *vcpu = es->vcpu;
	u32 i;

	if (es->in.answered && es->in.port == port && es->in.size == size) {
		es->in.answered = false;
		ctx->stop = true;
		*count = min(*count, es->in.count);
		memcpy(data, vcpu->pio_data, *count * size);
		trace_droste_pio(vcpu, false, port, size, *count, data);
		return EMUL_DONE;
	}
	for (i = 0; i < *count; i++, data += size) {
		if (pio_in_kernel(vcpu, port, size, data, false))
			continue;
		if (i)
			break;
		es->in.port = port;
		es->in.size = size;
		es->in.count = *count;
		es->pending = EMUL_PENDING_IN;
		pio_exit(vcpu, port, size, *count, true);
		return EMUL_EXIT;
	}
	*count = i;
	if (trace_droste_pio_enabled())
		trace_droste_pio(vcpu, false, port, size, i, data - i * size);
	return EMUL_DONE;
}

/**
 * emul_op_out() - write elements to a port, for emul_ops.out
 * @ctx: the instruction, OUTS
 * @port: port number
 * @size: bytes of one element
 * @count: number of elements
 * @data: the elements
 *
 * Context: as emul_op_in(). May sleep.
 * Return: EMUL_DONE.
 */
int emul_op_out(struct emul_ctx *ctx, u16 port, u32 size, u32 count, const void *data)
{
	struct emul_state *es = emul_state_of(ctx);
	struct vcpu *vcpu = es->vcpu;
	u32 i, val;

	trace_droste_pio(vcpu, true, port, size, count, data);
	for (i = 0; i < count; i++, data += size) {
		val = 0;
		memcpy(&val, data, size);
		if (!pio_in_kernel(vcpu, port, size, &val, true) && !io_write(vcpu, true, port, size, val, true))
			break;
	}
	if (i == count)
		return EMUL_DONE;
	/* The first element that only user space can serve, and all after it, are one exit after the instruction. */
	memcpy(vcpu->pio_data, data, (count - i) * size);
	pio_exit(vcpu, port, size, count - i, false);
	es->out = true;
	ctx->stop = true;
	return EMUL_DONE;
}

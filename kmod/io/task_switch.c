// SPDX-License-Identifier: GPL-2.0
/* Hardware task switches of L1, which always exit. SDM 3C 26.4.2; 3A 8.3. */
#include <asm/vmx.h>
#include <asm/trapnr.h>
#include "droste.h"
#include "cpu/walk.h"
#include "emul/task.h"
#include "io/emulate.h"
#include "io/emulate_state.h"
#include "run/request.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

#define DR6_BT		BIT_ULL(15)
#define DR7_LOCAL	0x155ULL	/* L0-L3, LE */

/**
 * emul_op_write_cr3() - load CR3 in a task switch, for emul_ops.write_cr3
 * @ctx: the switch
 * @cr3: the value in the new TSS
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * Return: EMUL_DONE, or EMUL_FAULT if the value is bad.
 */
int emul_op_write_cr3(struct emul_ctx *ctx, u64 cr3)
{
	struct emul_state *es = emul_state_of(ctx);

	if (vcpu_set_cr3(es->vcpu, cr3))
		return EMUL_FAULT;
	walk_prepare(es->vcpu, &es->paging);
	return EMUL_DONE;
}

/* What the exit says about the switch (SDM 3C table 28-2), and the event that has caused it. */
static struct emul_task task_describe(struct vcpu *vcpu)
{
	const struct event *ev = &vcpu->ev.injected;
	struct emul_task task = { .sel = vcpu->exit.qual, .source = vcpu->exit.qual >> 30 & 3 };

	if (task.source != TASK_GATE || !ev->valid)
		return task;
	task.ext = !event_is_software(ev);
	task.has_error = ev->has_error;
	task.error_code = ev->error_code;
	return task;
}

/*
 * The new task's EIP to return to is behind an instruction that switches, and at the one that an exception or interrupt
 * interrupts. RF in the exit's RFLAGS is the one to save (SDM 3C 28.3.3).
 */
static u64 task_return_eip(struct vcpu *vcpu, const struct emul_task *task)
{
	bool insn = task->source != TASK_GATE || (vcpu->ev.injected.valid && event_is_software(&vcpu->ev.injected));

	return (u32)(vcpu_rip(vcpu) + (insn ? vcpu->exit.ilen : 0));
}

/*
 * IRET ends the blocking of NMIs, and the delivery of an NMI begins it, also if the switch faults (SDM 3C 26.3,
 * 3A 6.7.1). Caller has not dropped the event.
 */
static void task_settle_nmi(struct vcpu *vcpu, const struct emul_task *task)
{
	if (task->source == TASK_IRET)
		vmcs_clear_bits(GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI);
	else if (task->source == TASK_GATE && vcpu->ev.injected.valid && vcpu->ev.injected.type == INTR_TYPE_NMI_INTR)
		vmcs_set_bits(GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI);
}

/* Returns the debug exceptions that MOV SS held back until now. */
static u64 task_commit(struct emul_state *es)
{
	struct vcpu *vcpu = es->vcpu;

	emul_commit(es);
	vcpu_set_cr0(vcpu, vcpu_cr0(vcpu) | X86_CR0_TS);
	vcpu_set_dr7(vcpu, vcpu->dr7 & ~DR7_LOCAL);
	return vmx_end_blocking(vcpu);
}

/**
 * emul_task_switch() - handle the exit of a task switch of L1
 * @vcpu: loaded; vcpu->exit is the exit
 *
 * Context: Process context. May sleep. VMCS01 is current. Caller holds vcpu->mutex, and vm->srcu for reading.
 * Return: enum next; -EFAULT if user space's memory is not accessible.
 */
int emul_task_switch(struct vcpu *vcpu)
{
	const u64 data[] = { vcpu->exit.reason, vcpu->exit.qual };
	struct emul_task task = task_describe(vcpu);
	struct emul_state *es = vcpu->emul;
	u64 held = 0;
	int r;

	emul_begin(es);
	emul_build_context(es);
	emul_load_system(es);
	es->ctx.rip = task_return_eip(vcpu, &task);
	r = emul_task_exec(&es->ctx, &task);
	if (r == EMUL_ERROR)
		return es->error;
	if (r == EMUL_RETRY)
		return NEXT_ENTER;
	if (r != EMUL_DONE && r != EMUL_FAULT)
		return vcpu_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION, data, ARRAY_SIZE(data));
	task_settle_nmi(vcpu, &task);
	if (task.committed)
		held = task_commit(es);
	/* A fault while an exception is delivered may make a double fault. It takes the place of the event otherwise. */
	if (r == EMUL_FAULT)
		emul_queue_fault(es);
	vcpu->ev.injected.valid = false;
	/* A trap comes after the delivery, and makes no double fault with it. */
	if (r == EMUL_DONE && (task.trap || held))
		vcpu_queue_db(vcpu, held | (task.trap ? DR6_BT : 0));
	return NEXT_ENTER;
}

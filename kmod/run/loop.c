// SPDX-License-Identifier: GPL-2.0
/* The run loop: look at requests, prepare events, enter, read the exit, route it, handle or reflect it, repeat. */
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include <asm/debugreg.h>
#include <asm/mmu_context.h>
#include <asm/nospec-branch.h>
#include <asm/tlbflush.h>
#include "droste.h"
#include "abi/dev.h"
#include "cpu/fpu.h"
#include "run/handlers.h"
#include "vmx/regs.h"

/* --- being on a CPU --- */

/* Who ran last on a CPU: branch predictions of one guest must not steer another. That CPU, preemption off. */
static DEFINE_PER_CPU(struct vcpu *, last_vcpu);

/* Whose VMCS is current for the thread that runs on a CPU, or NULL. Likewise. */
static DEFINE_PER_CPU(struct vcpu *, loaded_vcpu);

/* The vCPU's VMCS becomes current here; preemption is off. */
static void on_cpu(struct vcpu *vcpu)
{
	int cpu = smp_processor_id();
	bool moved = vcpu->vmcs->cpu != cpu;

	vmcs_load(vcpu->vmcs);
	this_cpu_write(loaded_vcpu, vcpu);
	nested_shadow_on_cpu(vcpu);
	if (this_cpu_read(last_vcpu) != vcpu) {
		this_cpu_write(last_vcpu, vcpu);
		indirect_branch_prediction_barrier();
	}
	if (moved)
		vmx_host_sync_cpu(vcpu->vmcs);
	if (vcpu->steal.msr)
		vcpu_request(vcpu, REQ_STEAL);
	if (vcpu->cpu != cpu) {
		/* What this CPU's TLB holds of the vCPU is from an earlier stay (SDM 29.4.3.3). */
		vcpu_request(vcpu, REQ_EPT01_FLUSH_LOCAL);
		vcpu_request(vcpu, REQ_TLB_FLUSH_GUEST);
		if (vcpu->clock.system_time)
			vcpu_request(vcpu, REQ_CLOCK);
		if (vcpu->lapic && vcpu->cpu >= 0)
			vcpu_request(vcpu, REQ_TIMER);
		vcpu->cpu = cpu;
	}
}

static void off_cpu(struct vcpu *vcpu)
{
	this_cpu_write(loaded_vcpu, NULL);
	vmx_host_restore(vcpu);
}

static void sched_in(struct preempt_notifier *pn, int cpu)
{
	struct vcpu *vcpu = container_of(pn, struct vcpu, pn);

	WRITE_ONCE(vcpu->preempted, false);
	on_cpu(vcpu);
}

static void sched_out(struct preempt_notifier *pn, struct task_struct *next)
{
	struct vcpu *vcpu = container_of(pn, struct vcpu, pn);

	WRITE_ONCE(vcpu->preempted, task_is_running(current));
	off_cpu(vcpu);
}

static struct preempt_ops preempt_ops = { .sched_in = sched_in, .sched_out = sched_out };

/* The scheduler's hook for vCPU threads; once for the module. */
void vcpu_module_init(void)
{
	preempt_notifier_inc();
}

void vcpu_module_exit(void)
{
	preempt_notifier_dec();
}

/**
 * vcpu_load - make the vCPU's VMCS current for the calling thread, wherever it is scheduled
 * @vcpu: with its mutex held
 *
 * Process context. Undone by vcpu_put() in the same thread.
 */
void vcpu_load(struct vcpu *vcpu)
{
	preempt_disable();
	preempt_notifier_init(&vcpu->pn, &preempt_ops);
	preempt_notifier_register(&vcpu->pn);
	on_cpu(vcpu);
	preempt_enable();
}

void vcpu_put(struct vcpu *vcpu)
{
	preempt_disable();
	/* Other ioctls read the VMCS directly: nothing may stay cached beyond the load. */
	vmx_flush_regs(vcpu);
	vcpu->reg_avail = 0;
	off_cpu(vcpu);
	preempt_notifier_unregister(&vcpu->pn);
	preempt_enable();
}

struct vcpu *vcpu_running(struct vm *vm)
{
	struct vcpu *vcpu;

	/* Wherever the thread is moved to afterwards, its vCPU is the same. */
	preempt_disable();
	vcpu = this_cpu_read(loaded_vcpu);
	preempt_enable();
	return vcpu && vcpu->vm == vm ? vcpu : NULL;
}

/* --- vCPUs that wait for one another --- */

/* Who is to be given the CPU when another vCPU spins: the thread that runs this one. vcpu->mutex held. */
static void remember_thread(struct vcpu *vcpu)
{
	struct pid *old = rcu_dereference_protected(vcpu->pid, lockdep_is_held(&vcpu->mutex));

	if (likely(old == task_pid(current)))
		return;
	rcu_assign_pointer(vcpu->pid, get_pid(task_pid(current)));
	if (!old)
		return;
	synchronize_rcu();
	put_pid(old);
}

static bool yield_to_vcpu(struct vcpu *to)
{
	struct task_struct *task;
	bool done = false;

	rcu_read_lock();
	task = get_pid_task(rcu_dereference(to->pid), PIDTYPE_PID);
	rcu_read_unlock();
	if (task) {
		done = yield_to(task, true) > 0;
		put_task_struct(task);
	}
	return done;
}

void vcpu_spins(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	int i, n = smp_load_acquire(&vm->nr_vcpus);	/* after the slots of vm->vcpus */

	/* From the next one round, so that the first is not always first. */
	for (i = 1; i < n; i++) {
		struct vcpu *other = vm->vcpus[(vcpu->index + i) % n];

		if (READ_ONCE(other->preempted) && yield_to_vcpu(other))
			return;
	}
}

void vcpu_yields_to(struct vcpu *vcpu, u32 id)
{
	struct vm *vm = vcpu->vm;
	int i, n = smp_load_acquire(&vm->nr_vcpus);	/* after the slots of vm->vcpus */

	for (i = 0; i < n; i++) {
		struct vcpu *other = vm->vcpus[i];

		if (other->id == id && other != vcpu && READ_ONCE(other->preempted))
			yield_to_vcpu(other);
	}
}

/* --- asking a vCPU for something --- */

void vcpu_kick(struct vcpu *vcpu)
{
	int cpu;

	swake_up_one(&vcpu->wq);
	cpu = get_cpu();
	/* Pairs with the barrier between setting mode and looking at requests in enter(). */
	smp_mb();
	if (READ_ONCE(vcpu->mode) == VCPU_IN_GUEST) {
		int target = READ_ONCE(vcpu->cpu);

		if (target >= 0 && target != cpu && cpu_online(target))
			smp_send_reschedule(target);
	}
	put_cpu();
}

static void seen(void *unused)
{
}

/**
 * vm_request_all - ask all vCPUs of a VM, and wait until none is in the guest without knowing
 * @vm: the VM
 * @req: what to ask
 *
 * Does not sleep; interrupts on. The IPI that is waited for makes each vCPU
 * leave the guest, and a vCPU looks at its requests before it enters again.
 */
void vm_request_all(struct vm *vm, enum vcpu_request req)
{
	/* Pairs with the release that publishes a vCPU: its pointer is there when it counts. */
	int i, n = smp_load_acquire(&vm->nr_vcpus);

	for (i = 0; i < n; i++)
		vcpu_request(vm->vcpus[i], req);
	/* Pairs with the barrier in enter(). */
	smp_mb();
	preempt_disable();
	for (i = 0; i < n; i++) {
		struct vcpu *vcpu = vm->vcpus[i];
		int cpu = READ_ONCE(vcpu->cpu);

		swake_up_one(&vcpu->wq);
		if (READ_ONCE(vcpu->mode) == VCPU_IN_GUEST && cpu >= 0 && cpu != smp_processor_id())
			smp_call_function_single(cpu, seen, NULL, 1);
	}
	preempt_enable();
}

void vm_kill(struct vm *vm)
{
	WRITE_ONCE(vm->dead, true);
	vm_request_all(vm, REQ_DEAD);
}

/* --- leaving to user space --- */

int vcpu_triple_fault(struct vcpu *vcpu)
{
	vcpu->ev.triple_fault = false;
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return NEXT_USER;
}

int vcpu_internal_error(struct vcpu *vcpu, u32 suberror, const u64 *data, u32 ndata)
{
	struct kvm_run *run = vcpu->run;
	u32 i;

	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = suberror;
	run->internal.ndata = ndata;
	for (i = 0; i < ndata; i++)
		run->internal.data[i] = data[i];
	return NEXT_USER;
}

/* --- waiting: HLT, wait-for-SIPI --- */

/* INIT and SIPI through the local APIC (SDM 3A 9.4). L1 in VMX operation has INIT blocked (SDM 3C 24.8); L2 is nested_check_events()'s. */
static void accept_init(struct vcpu *vcpu)
{
	u32 pending;

	if (!vcpu->lapic)
		return;
	pending = vlapic_pending_init(vcpu);
	if (likely(!pending) || vcpu->in_l2 || vcpu->nested.vmxon)
		return;
	if (pending & VLAPIC_INIT) {
		vlapic_clear_init(vcpu, VLAPIC_INIT);
		vmcs01_reset(vcpu, true);
		vlapic_reset(vcpu, true);
		vcpu->mp_state = vcpu->id == vcpu->vm->bsp_id ? KVM_MP_STATE_RUNNABLE :
								 KVM_MP_STATE_INIT_RECEIVED;
	}
	if (vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED && (vlapic_pending_init(vcpu) & VLAPIC_SIPI)) {
		u8 vector = vlapic_sipi_vector(vcpu);
		struct kvm_segment cs;

		vlapic_clear_init(vcpu, VLAPIC_SIPI);
		vcpu_get_segment(vcpu, SEG_CS, &cs);
		cs.selector = vector << 8;
		cs.base = vector << 12;
		vcpu_set_segment(vcpu, SEG_CS, &cs);
		vcpu_set_rip(vcpu, 0);
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	}
}

/* Does a halted vCPU have a reason to go on? */
static bool has_event(struct vcpu *vcpu)
{
	if (vcpu->ev.exception.valid || vcpu->ev.triple_fault || atomic_read(&vcpu->ev.nmi_queued))
		return true;
	if (vcpu->ev.nmi_pending && vmx_nmi_allowed(vcpu))
		return true;
	if (vcpu->in_l2 && (nested_has_events(vcpu) || (apicv_interrupt_due(vcpu) && vmx_interrupt_allowed(vcpu))))
		return true;
	if (irqchip_pending_vector(vcpu) < 0)
		return false;
	return vmx_interrupt_allowed(vcpu) || (vcpu->in_l2 && nested_wants_extint(vcpu));
}

bool vcpu_runnable(struct vcpu *vcpu)
{
	if (test_bit(REQ_TIMER, &vcpu->requests) && vcpu->lapic) {
		clear_bit(REQ_TIMER, &vcpu->requests);
		vlapic_timer_request(vcpu);
	}
	accept_init(vcpu);
	switch (vcpu->mp_state) {
	case KVM_MP_STATE_RUNNABLE:
		return true;
	case KVM_MP_STATE_HALTED:
		/* An exit to L1 tells that it found L2 halted: leave the state for it. */
		if (vcpu->in_l2 && nested_has_events(vcpu))
			return true;
		if (!has_event(vcpu))
			return false;
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
		return true;
	default:
		return vcpu->in_l2 && nested_has_events(vcpu);
	}
}

/* --- one entry --- */

/* The dirty ring had no room to spare, or none at all. Is it still so? */
static int ring_full(struct vcpu *vcpu)
{
	if (unlikely(vcpu->ring.lost)) {
		pr_info_ratelimited("droste: a dirty ring overflowed: what was written is not known any more\n");
		vm_kill(vcpu->vm);
		return -EIO;
	}
	if (!dirty_ring_soft_full(vcpu))
		return NEXT_ENTER;
	vcpu_request(vcpu, REQ_RING_FULL);
	vcpu->run->exit_reason = KVM_EXIT_DIRTY_RING_FULL;
	return NEXT_USER;
}

/* What others asked for, before the entry. srcu held. Return: enum next or a negative errno. */
static int do_requests(struct vcpu *vcpu)
{
	unsigned long req;

	if (likely(!READ_ONCE(vcpu->requests)))
		return NEXT_ENTER;
	req = xchg(&vcpu->requests, 0);
	if (req & BIT(REQ_DEAD) || READ_ONCE(vcpu->vm->dead)) {
		vcpu_request(vcpu, REQ_DEAD);
		return -EIO;
	}
	if (req & BIT(REQ_CPUID))
		vmx_update_cpuid_controls(vcpu);
	if (req & BIT(REQ_MSR_FILTER))
		vmx_update_msr_bitmap(vcpu);
	if (req & BIT(REQ_TIMER)) {
		if (vcpu->lapic)
			vlapic_timer_request(vcpu);
	}
	if (req & BIT(REQ_STEAL))
		steal_time_update(vcpu);
	if (req & BIT(REQ_CLOCK))
		kvmclock_update(vcpu);
	if (req & BIT(REQ_UNPIN))
		nested_unpin(vcpu);
	if (req & BIT(REQ_PML))
		vmx_pml_update(vcpu);
	preempt_disable();
	if (req & BIT(REQ_EPT01_FLUSH))
		ept01_flush(vcpu);
	if (req & BIT(REQ_EPT01_FLUSH_LOCAL))
		vmx_invept_all();
	if (req & BIT(REQ_TLB_FLUSH_GUEST)) {
		vmx_invvpid_single(vcpu->vpid01);
		vmx_invvpid_single(vcpu->nested.vpid02);
	}
	preempt_enable();
	/* Last: nothing that was asked for may be forgotten. */
	if (unlikely(req & BIT(REQ_SPLIT_EOI))) {
		if (req & BIT(REQ_RING_FULL))
			vcpu_request(vcpu, REQ_RING_FULL);
		vcpu->run->exit_reason = KVM_EXIT_IOAPIC_EOI;
		vcpu->run->eoi.vector = vcpu->eoi_vector;
		return NEXT_USER;
	}
	return req & BIT(REQ_RING_FULL) ? ring_full(vcpu) : NEXT_ENTER;
}

/* Host fields that another thread or the scheduler may have changed. Irqs off. */
static void sync_host_crs(struct loaded_vmcs *v)
{
	unsigned long cr3 = __read_cr3(), cr4 = cr4_read_shadow();

	if (unlikely(v->host_cr3 != cr3)) {
		vmcs_write(HOST_CR3, cr3);
		v->host_cr3 = cr3;
	}
	if (unlikely(v->host_cr4 != cr4)) {
		vmcs_write(HOST_CR4, cr4);
		v->host_cr4 = cr4;
	}
}

unsigned int vmx_enter(u64 *regs, bool launched, u64 *host_rsp);

/* NMIs and machine checks that came as exits belong to the host: raise them there. Irqs off. */
static void pass_to_host(struct vcpu *vcpu)
{
	u32 info = vcpu->exit.intr_info;

	if (vcpu->exit.basic == EXIT_REASON_MCE_DURING_VMENTRY) {
		asm volatile("int $18");
		return;
	}
	if (vcpu->exit.basic != EXIT_REASON_EXCEPTION_NMI)
		return;
	/* NMIs are blocked since the exit; the handler's IRET unblocks them (SDM 28.5.5). */
	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR)
		asm volatile("int $2");
	else if ((info & INTR_INFO_VECTOR_MASK) == 18)
		asm volatile("int $18");
}

/* Into the guest and out again. Irqs off. */
static void enter_once(struct vcpu *vcpu)
{
	bool dr;

	vmx_flush_regs(vcpu);
	sync_host_crs(vcpu->vmcs);
	if (vcpu->cr2 != native_read_cr2())
		native_write_cr2(vcpu->cr2);
	dr = vmx_load_guest_dr(vcpu);
	fpu_load_guest_xcr(vcpu);

	vcpu->exit.fail = vmx_enter(vcpu->regs, vcpu->vmcs->launched, &vcpu->vmcs->host_rsp);

	fpu_load_host_xcr(vcpu);
	if (unlikely(dr))
		vmx_restore_host_dr();
	vcpu->cr2 = native_read_cr2();
	vcpu->reg_avail = 0;
}

/* Does the processor log what is written through the current VMCS? */
static bool logs_writes(const struct vcpu *vcpu)
{
	const struct vmx_controls *c = vcpu->in_l2 ? &vcpu->nested.ctl02 : &vcpu->nested.ctl01;

	return c->proc2 & SECONDARY_EXEC_ENABLE_PML;
}

/* Count it, and keep what it interrupted. */
static void note_exit(struct vcpu *vcpu)
{
	u16 basic = vcpu->exit.basic;

	/* A VM entry that failed while it loaded guest state did not happen. */
	if (likely(!(vcpu->exit.reason & VMX_EXIT_REASONS_FAILED_VMENTRY)))
		vcpu->nested.entry_pending = false;
	vmx_save_vectoring(vcpu);
	if (likely(basic < NR_EXIT_REASONS)) {
		vcpu->exits[basic]++;
		if (vcpu->in_l2)
			vcpu->exits_l2[basic]++;
	}
}

/* The entry itself did not happen: what L0 wrote into the VMCS is wrong. */
static int vmfail(struct vcpu *vcpu)
{
	u32 error = READ_ONCE(vmx_going_down) ? 0 : vmcs_read(VM_INSTRUCTION_ERROR);

	if (READ_ONCE(vmx_going_down))
		return -EIO;
	pr_info_ratelimited("droste: VM entry refused, VM-instruction error %u, %s\n", error,
			    vcpu->in_l2 ? "L2" : "L1");
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason = error;
	vcpu->run->fail_entry.cpu = raw_smp_processor_id();
	return NEXT_USER;
}

/* What the host wants of the thread before it enters a guest. */
#define HOST_WORK	(_TIF_NEED_RESCHED | _TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL | _TIF_NOTIFY_RESUME)

static bool must_not_enter(struct vcpu *vcpu)
{
	return READ_ONCE(vcpu->requests) || (read_thread_flags() & HOST_WORK);
}

/*
 * Enter the guest once and come back with the exit read. Return: NEXT_ENTER
 * with *entered telling whether it happened, or what the failure leads to.
 */
static int enter(struct vcpu *vcpu, bool *entered)
{
	*entered = false;
	preempt_disable();
	vmx_host_prepare(vcpu);
	local_irq_disable();
	WRITE_ONCE(vcpu->mode, VCPU_IN_GUEST);
	/* Pairs with vcpu_kick() and vm_request_all(): they see the mode, or we see the request. */
	smp_mb();
	if (unlikely(must_not_enter(vcpu))) {
		WRITE_ONCE(vcpu->mode, VCPU_OUTSIDE);
		local_irq_enable();
		preempt_enable();
		vmx_cancel_events(vcpu);
		vcpu_request(vcpu, REQ_EVENT);
		return NEXT_ENTER;
	}
	fpu_assert(vcpu);
	if (unlikely(vcpu->want_immediate_exit))
		smp_send_reschedule(smp_processor_id());

	enter_once(vcpu);
	if (likely(!vcpu->exit.fail)) {
		vmx_snapshot_exit(vcpu);
		/* An entry that failed on the guest's state launched nothing (SDM 3C 31.3, VMLAUNCH). */
		if (likely(!(vcpu->exit.reason & VMX_EXIT_REASONS_FAILED_VMENTRY)))
			vcpu->vmcs->launched = true;
		pass_to_host(vcpu);
		/* Before the mode: whoever waits for the vCPU to be outside waits for this too. */
		if (unlikely(logs_writes(vcpu)))
			vmx_pml_flush(vcpu);
	}
	WRITE_ONCE(vcpu->mode, VCPU_OUTSIDE);
	/* A host interrupt that caused the exit is delivered here, through the host's own IDT. */
	local_irq_enable();
	preempt_enable();

	if (unlikely(vcpu->exit.fail))
		return vmfail(vcpu);
	*entered = true;
	note_exit(vcpu);
	return NEXT_ENTER;
}

/* Who answers vcpu->exit? L1 for what it asked of L2, else L0. */
static int dispatch(struct vcpu *vcpu)
{
	if (vcpu->in_l2 && nested_l1_wants_exit(vcpu)) {
		vcpu->exits_reflected[vcpu->exit.basic]++;
		return nested_reflect(vcpu);
	}
	return vmx_handle_exit(vcpu);
}

/* One turn of the loop: prepare, enter, answer. srcu held throughout but in the guest. */
static int turn(struct vcpu *vcpu, int *srcu)
{
	bool entered;
	int ret;

	ret = do_requests(vcpu);
	if (ret != NEXT_ENTER)
		return ret;
	vcpu->want_immediate_exit = false;
	if (vcpu->in_l2 && nested_check_events(vcpu) == -EBUSY)
		vcpu->want_immediate_exit = true;
	if (vcpu->mp_state != KVM_MP_STATE_RUNNABLE)
		return NEXT_ENTER;
	ret = vmx_prepare_events(vcpu);
	if (ret != NEXT_ENTER)
		return ret;
	if (vcpu->in_l2) {
		ret = nested_before_entry(vcpu);
		if (ret) {
			vmx_cancel_events(vcpu);
			return ret;
		}
	}

	srcu_read_unlock(&vcpu->vm->srcu, *srcu);
	ret = enter(vcpu, &entered);
	*srcu = srcu_read_lock(&vcpu->vm->srcu);
	if (ret != NEXT_ENTER || !entered)
		return ret;
	return dispatch(vcpu);
}

/* Would the guest take an interrupt of user space's PIC at once? */
static bool ready_for_extint(struct vcpu *vcpu)
{
	return irqchip_takes_extint(vcpu) && !vcpu->ev.injected.valid && !vcpu->ev.exception.valid &&
	       (vmx_interrupt_allowed(vcpu) || (vcpu->in_l2 && nested_wants_extint(vcpu)));
}

/*
 * Work that the kernel does for a thread on its way to user space (task_work,
 * restartable sequences) waits for KVM_RUN to end. It ends as for a signal
 * without a handler: the kernel restarts it, and user space sees nothing. Only
 * if a signal comes as well it is EINTR.
 */
static int leave_for_task_work(struct vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	set_thread_flag(TIF_NOTIFY_SIGNAL);
	return -ERESTARTNOHAND;
}

static int run_loop(struct vcpu *vcpu)
{
	struct srcu_struct *srcu = &vcpu->vm->srcu;
	int idx = srcu_read_lock(srcu), ret = NEXT_ENTER;

	while (ret == NEXT_ENTER) {
		if (likely(vcpu_runnable(vcpu))) {
			ret = turn(vcpu, &idx);
		} else if (vcpu->wants_irq_window && ready_for_extint(vcpu)) {
			/* It halted before the window was seen. */
			vcpu->run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
			ret = NEXT_USER;
		} else {
			srcu_read_unlock(srcu, idx);
			ret = halt_wait(vcpu);
			idx = srcu_read_lock(srcu);
			if (READ_ONCE(vcpu->vm->dead))
				ret = -EIO;
		}
		if (ret != NEXT_ENTER)
			break;
		if (signal_pending(current)) {
			vcpu->run->exit_reason = KVM_EXIT_INTR;
			ret = -EINTR;
		} else if (test_thread_flag(TIF_NOTIFY_RESUME)) {
			ret = leave_for_task_work(vcpu);
		} else if (need_resched()) {
			/* A grace period must not wait for a vCPU that is preempted. */
			srcu_read_unlock(srcu, idx);
			cond_resched();
			idx = srcu_read_lock(srcu);
		}
	}
	srcu_read_unlock(srcu, idx);
	return ret;
}

/* What KVM_RUN tells besides the exit. */
static void fill_run(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->if_flag = (vcpu_rflags(vcpu) & X86_EFLAGS_IF) != 0;
	run->flags = 0;
	run->cr8 = vcpu_cr8(vcpu);
	run->apic_base = vcpu->apic_base;
	run->ready_for_interrupt_injection = vcpu->vm->irqchip.pic || ready_for_extint(vcpu);
}

/* Work left over from the last exit to user space: its answer. */
static int finish_exit(struct vcpu *vcpu)
{
	int (*complete)(struct vcpu *vcpu) = vcpu->complete;
	int idx, ret;

	if (!complete)
		return NEXT_ENTER;
	vcpu->complete = NULL;
	idx = srcu_read_lock(&vcpu->vm->srcu);
	ret = complete(vcpu);
	srcu_read_unlock(&vcpu->vm->srcu, idx);
	return ret;
}

/* KVM_RUN but for the page that it shares with user space. */
static int run(struct vcpu *vcpu)
{
	int ret;

	vcpu->wants_irq_window = !vcpu->vm->irqchip.pic && READ_ONCE(vcpu->run->request_interrupt_window);
	if (!vcpu->lapic)
		vcpu_set_cr8(vcpu, READ_ONCE(vcpu->run->cr8) & 0xf);

	fpu_enter(vcpu);
	ret = finish_exit(vcpu);
	if (ret == NEXT_ENTER) {
		/* The exit reason of before stays: what is asked for is only to finish that exit. */
		ret = compat_immediate_exit(vcpu->run) ? -EINTR : run_loop(vcpu);
	}
	fpu_leave(vcpu);
	if (ret == -EINTR)
		vcpu->stats.signal_exits++;
	return ret;
}

/**
 * vcpu_run - KVM_RUN
 * @vcpu: its mutex held, loaded
 *
 * Runs the guest until user space has something to do.
 *
 * Return: 0 with vcpu->run filled; -EINTR for a signal or immediate_exit;
 * -ERESTARTNOHAND, which user space does not see, for work of the kernel's;
 * -EAGAIN when a waiting application processor was started; -EIO when the VM
 * is dead; -EFAULT when guest memory cannot be had; -EINVAL for registers in
 * vcpu->run that cannot be.
 */
int vcpu_run(struct vcpu *vcpu)
{
	int ret;

	if (READ_ONCE(vcpu->vm->dead))
		return -EIO;
	remember_thread(vcpu);
	/*
	 * What the thread itself blocks is kept where the sender of a signal
	 * looks, too: one that is unblocked only here, and has no handler,
	 * ends KVM_RUN and not the process.
	 */
	if (vcpu->has_sigmask)
		sigprocmask(SIG_SETMASK, &vcpu->sigmask, &current->real_blocked);
	vcpu->run->flags = 0;
	ret = vcpu_sync_regs_in(vcpu);
	if (!ret)
		ret = run(vcpu);
	fill_run(vcpu);
	vcpu_sync_regs_out(vcpu);
	if (vcpu->has_sigmask) {
		sigprocmask(SIG_SETMASK, &current->real_blocked, NULL);
		sigemptyset(&current->real_blocked);
	}
	return ret;
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: what exits, who gets it and why, and what L1 does. docs/instrument.md explains them to users.
 *
 * Each event begins with the VM's number, the vCPU's index, the level that ran (1 or 2) and @seq, the number of the vCPU's
 * exits so far: all that happens because of one exit has its number. An event records what a decision depended on;
 * drostectl explains it. Arguments are pointers, so that an event that is off costs one NOP.
 *
 * While one of those is on that need exit information, no exit goes the short way of run/loop.c, which leaves it in the VMCS.
 * droste_mmio and droste_msr keep exits off it too, because some accesses are made there.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM droste

#if !defined(DROSTE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define DROSTE_TRACE_H

#include <linux/droste_para.h>
#include <linux/tracepoint.h>
#include "nested/route.h"

struct ept02_found;
struct event;
struct vcpu;

#ifndef DROSTE_TRACE_NAMES
#define DROSTE_TRACE_NAMES

#define TRACE_WHY(nr, name, words)	{ nr, #name },
#define TRACE_WHY_LAST(nr, name, words)	{ nr, #name }

/* Whether an event is on that the short way would miss, or that needs all of an exit's information. */
#define trace_needs_exits() \
	(trace_droste_exit_enabled() || trace_droste_route_enabled() || trace_droste_l1_exit_enabled() || \
	 trace_droste_l1_entry_enabled() || trace_droste_vmx_insn_enabled() || trace_droste_event_enabled() || \
	 trace_droste_entry_enabled() || trace_droste_mmio_enabled() || trace_droste_msr_enabled() || \
	 trace_droste_ept02_enabled() || trace_droste_op_enabled())

/* Where an exit that L1 is shown comes from. */
#define L1_EXIT_HARDWARE	0	/* L2's exit, as the processor told it */
#define L1_EXIT_EPT		1	/* a fault of EPT02, told as one of EPT12 */
#define L1_EXIT_EMULATOR	2	/* an access that L0 made for L2's instruction */
#define L1_EXIT_EVENT		3	/* an interrupt, NMI, timer, window or exception that L0 made an exit of */
#define L1_EXIT_ENTRY		4	/* VMLAUNCH or VMRESUME of L1 failed */
#define TRACE_ORIGINS	{ 0, "HARDWARE" }, { 1, "EPT" }, { 2, "EMULATOR" }, { 3, "EVENT" }, { 4, "ENTRY" }

/* How a VMX instruction of L1 ends. */
#define VMX_INSN_OK		0
#define VMX_INSN_INVALID	1	/* VMfailInvalid */
#define VMX_INSN_FAIL		2	/* VMfailValid, or VMfailInvalid for want of a current VMCS; with the number */
#define VMX_INSN_FAULT		3	/* an exception */
#define TRACE_INSN_RESULTS	{ 0, "VMsucceed" }, { 1, "VMfailInvalid" }, { 2, "VMfail" }, { 3, "fault" }

/* A step of an access to MMIO. */
#define TRACE_MMIO_ASKED	0	/* user space is asked for the data of a read */
#define TRACE_MMIO_READ		1	/* the data of a read is known */
#define TRACE_MMIO_WRITE	2
#define TRACE_MMIO_STEPS	{ 0, "ask" }, { 1, "read" }, { 2, "write" }

/* An operation of a list: DROSTE_OP_*, and those of KVM's hypercalls that can be one. */
#define TRACE_OPS \
	{ 10, "SEND_IPI" }, { 11, "SCHED_YIELD" }, { 0x101, "CPUID" }, { 0x102, "RDMSR" }, { 0x103, "WRMSR" }, { 0x104, "OUT" }, \
	{ 0x105, "MMIO" }, { 0x106, "VMREAD" }, { 0x107, "VMWRITE" }, { 0x108, "INVEPT" }, { 0x109, "INVVPID" }

/* What became of a fault of EPT02: enum ept02_result. */
#define TRACE_EPT02	{ 0, "FIXED" }, { 1, "VIOLATION" }, { 2, "MISCONFIG" }, { 3, "MMIO" }, { 4, "EFAULT" }

#define TRACE_EVENT_TYPES \
	{ 0, "external interrupt" }, { 2, "NMI" }, { 3, "exception" }, { 4, "software interrupt" }, \
	{ 5, "INT1" }, { 6, "software exception" }, { 7, "other event" }

/* What L0 does about an event. */
#define EVENT_INJECTED		0	/* the next entry injects it */
#define EVENT_INJECTED_AGAIN	1	/* the same, after an entry that did not happen or did not deliver it */
#define EVENT_WINDOW		2	/* the guest cannot take it: it exits as soon as it can */
#define EVENT_CANCELLED		3	/* the entry that was to inject it does not happen */
#define TRACE_EVENT_WHATS	{ 0, "injected" }, { 1, "re-injected" }, { 2, "window" }, { 3, "cancelled" }

/* What becomes of a WBINVD that is a barrier (run/barrier.c). */
#define BARRIER_BEGUN		0	/* the vCPU leads; the others are called */
#define BARRIER_COMPLETE	1	/* all are out of the guest, and their logs are flushed */
#define BARRIER_HELD		2	/* the same, and user space is to release it */
#define BARRIER_GIVEN_UP	3	/* a signal came first: the instruction will exit again */
#define BARRIER_MERGED		4	/* it was part of another vCPU's barrier */
#define TRACE_BARRIER_WHATS	{ 0, "begun" }, { 1, "complete" }, { 2, "held" }, { 3, "given-up" }, { 4, "merged" }

/**
 * trace_value() - the first bytes of an access as a number
 * @data: the bytes; NULL if they are not known
 * @len: their number
 *
 * Context: Any.
 * Return: the first 8 bytes; 0 if they are not known.
 */
static inline u64 trace_value(const void *data, u32 len)
{
	u64 val = 0;

	if (data)
		memcpy(&val, data, min_t(u32, len, sizeof(val)));
	return val;
}

#endif

/* What each event begins with. */
#define TRACE_COMMON_FIELDS \
	__field(u32, vm) \
	__field(u16, vcpu) \
	__field(u8, level) \
	__field(u64, seq)
#define TRACE_COMMON_ASSIGN(v) \
	(__entry->vm = (v)->vm->number, __entry->vcpu = (v)->index, __entry->level = (v)->in_l2 ? 2 : 1, \
	 __entry->seq = (v)->long_exits + (v)->stats.short_exits)
#define TRACE_COMMON_FORMAT "vm %u vcpu %u L%u seq %llu: "
#define TRACE_COMMON_ARGS __entry->vm, __entry->vcpu, __entry->level, __entry->seq

/* An exit to L0. Fields that the reason does not define are 0. */
TRACE_EVENT(droste_exit,
	TP_PROTO(const struct vcpu *v),
	TP_ARGS(v),
	TP_STRUCT__entry(
		TRACE_COMMON_FIELDS
		__field(u32, reason)
		__field(u64, rip)
		__field(u64, qual)
		__field(u64, gpa)
		__field(u32, intr_info)
		__field(u32, intr_error)
		__field(u32, idt_info)
		__field(u32, ilen)
		__field(u32, iinfo)
		__field(u64, arg)
	),
	TP_fast_assign(
		TRACE_COMMON_ASSIGN(v);
		__entry->reason = v->exit.reason;
		__entry->rip = facts_rip(v);
		__entry->qual = trace_tells(&v->exit) & EXIT_QUAL ? v->exit.qual : 0;
		__entry->gpa = trace_tells(&v->exit) & EXIT_GPA ? v->exit.gpa : 0;
		__entry->intr_info = trace_tells(&v->exit) & EXIT_INTR ? v->exit.intr_info : 0;
		__entry->intr_error = __entry->intr_info & INTR_INFO_DELIVER_CODE_MASK ? v->exit.intr_error : 0;
		__entry->idt_info = v->exit.idt_info;
		__entry->ilen = trace_tells(&v->exit) & EXIT_ILEN ? v->exit.ilen : 0;
		__entry->iinfo = trace_tells(&v->exit) & EXIT_IINFO ? v->exit.iinfo : 0;
		__entry->arg = trace_arg(v);
	),
	TP_printk(TRACE_COMMON_FORMAT
		  "%s%s rip 0x%llx qual 0x%llx gpa 0x%llx intr_info 0x%x error 0x%x idt_info 0x%x ilen %u iinfo 0x%x arg 0x%llx",
		  TRACE_COMMON_ARGS,
		  __print_symbolic(__entry->reason & 0xffff, VMX_EXIT_REASONS), __entry->reason >> 31 ? " (failed entry)" : "",
		  __entry->rip, __entry->qual, __entry->gpa, __entry->intr_info, __entry->intr_error, __entry->idt_info,
		  __entry->ilen, __entry->iinfo, __entry->arg)
);

/*
 * Who gets an exit of L2, and why: @field is the encoding of the field of VMCS12 that was looked at, @word its value and
 * @bits those that were tested. @byte and @mask tell the bits in L1's I/O, MSR, VMREAD or VMWRITE bitmap.
 */
TRACE_EVENT(droste_route,
	TP_PROTO(const struct vcpu *v, const struct route_facts *f, struct route_verdict verdict),
	TP_ARGS(v, f, verdict),
	TP_STRUCT__entry(
		TRACE_COMMON_FIELDS
		__field(u16, basic)
		__field(u8, to)
		__field(u8, why)
		__field(u16, field)
		__field(u64, word)
		__field(u64, bits)
		__field(u64, value)
		__field(u32, byte)
		__field(u16, mask)
		__field(u8, hit)
	),
	TP_fast_assign(
		struct route_word tested = trace_tested(f, verdict);

		TRACE_COMMON_ASSIGN(v);
		__entry->field = tested.field;
		__entry->word = tested.word;
		__entry->bits = tested.bits;
		__entry->basic = f->basic;
		__entry->to = verdict.to;
		__entry->why = verdict.why;
		__entry->value = f->value;
		__entry->byte = trace_bit(v, f).byte;
		__entry->mask = trace_bit(v, f).mask;
		__entry->hit = f->bitmap_hit;
	),
	TP_printk(TRACE_COMMON_FORMAT
		  "%s to L%u why %s field 0x%x word 0x%llx bits 0x%llx value 0x%llx byte 0x%x mask 0x%x hit %u", TRACE_COMMON_ARGS,
		  __print_symbolic(__entry->basic, VMX_EXIT_REASONS), __entry->to,
		  __print_symbolic(__entry->why, ROUTE_WHYS(TRACE_WHY, TRACE_WHY_LAST)), __entry->field, __entry->word,
		  __entry->bits, __entry->value, __entry->byte, __entry->mask, __entry->hit)
);

/* An exit that L1 is shown; seq is the exit that it comes from or, for an event, the last one before. */
TRACE_EVENT(droste_l1_exit,
	TP_PROTO(const struct vcpu *v, u8 origin),
	TP_ARGS(v, origin),
	TP_STRUCT__entry(
		TRACE_COMMON_FIELDS
		__field(u8, origin)
		__field(u32, reason)
		__field(u64, qual)
		__field(u64, gpa)
		__field(u32, intr_info)
		__field(u32, intr_error)
		__field(u32, idt_info)
		__field(u64, l2_rip)
		__field(u64, l1_rip)
	),
	TP_fast_assign(
		TRACE_COMMON_ASSIGN(v);
		__entry->level = 2;
		__entry->origin = origin;
		__entry->reason = v->nested.vmcs12->vm_exit_reason;
		__entry->qual = v->nested.vmcs12->exit_qualification;
		__entry->gpa = facts_shown(v, origin == L1_EXIT_ENTRY) & EXIT_GPA ? v->nested.vmcs12->guest_physical_address : 0;
		__entry->intr_info = facts_shown(v, origin == L1_EXIT_ENTRY) & EXIT_INTR ? v->nested.vmcs12->vm_exit_intr_info : 0;
		__entry->intr_error = __entry->intr_info & INTR_INFO_DELIVER_CODE_MASK ?
				      v->nested.vmcs12->vm_exit_intr_error_code : 0;
		__entry->idt_info = origin == L1_EXIT_ENTRY ? 0 : v->nested.vmcs12->idt_vectoring_info_field;
		__entry->l2_rip = v->nested.vmcs12->guest_rip;
		__entry->l1_rip = v->nested.vmcs12->host_rip;
	),
	TP_printk(TRACE_COMMON_FORMAT
		  "%s %s%s qual 0x%llx gpa 0x%llx intr_info 0x%x error 0x%x idt_info 0x%x l2_rip 0x%llx l1_rip 0x%llx",
		  TRACE_COMMON_ARGS, __print_symbolic(__entry->origin, TRACE_ORIGINS),
		  __print_symbolic(__entry->reason & 0xffff, VMX_EXIT_REASONS), __entry->reason >> 31 ? " (failed entry)" : "",
		  __entry->qual, __entry->gpa, __entry->intr_info, __entry->intr_error, __entry->idt_info, __entry->l2_rip,
		  __entry->l1_rip)
);

/* L1's VMLAUNCH or VMRESUME succeeded. */
TRACE_EVENT(droste_l1_entry,
	TP_PROTO(const struct vcpu *v, u32 dirty),
	TP_ARGS(v, dirty),
	TP_STRUCT__entry(
		TRACE_COMMON_FIELDS
		__field(u8, launch)
		__field(u64, vmptr)
		__field(u64, l2_rip)
		__field(u32, inject)
		__field(u32, dirty)
		__field(u64, eptp12)
		__field(u16, vpid12)
	),
	TP_fast_assign(
		TRACE_COMMON_ASSIGN(v);
		__entry->level = 1;
		__entry->launch = v->exit.basic == EXIT_REASON_VMLAUNCH;
		__entry->vmptr = v->nested.vmptr;
		__entry->l2_rip = v->nested.vmcs12->guest_rip;
		__entry->inject = v->nested.vmcs12->vm_entry_intr_info_field;
		__entry->dirty = dirty;
		__entry->eptp12 = merge_proc2_of(v->nested.vmcs12) & SECONDARY_EXEC_ENABLE_EPT ? v->nested.vmcs12->ept_pointer : 0;
		__entry->vpid12 = merge_proc2_of(v->nested.vmcs12) & SECONDARY_EXEC_ENABLE_VPID ?
				  v->nested.vmcs12->virtual_processor_id : 0;
	),
	TP_printk(TRACE_COMMON_FORMAT "%s vmptr 0x%llx l2_rip 0x%llx inject 0x%x dirty 0x%x eptp12 0x%llx vpid12 %u",
		  TRACE_COMMON_ARGS, __entry->launch ? "VMLAUNCH" : "VMRESUME", __entry->vmptr, __entry->l2_rip, __entry->inject,
		  __entry->dirty, __entry->eptp12, __entry->vpid12)
);

/*
 * L1's VMLAUNCH or VMRESUME failed: @code is VM-instruction error 7 or 8, or exit reason 33 or 34. @check is the row of
 * checks.def that stopped it, one of @nr_failed that fail, and @field the field that the row is about.
 */
TRACE_EVENT(droste_entry_failed,
	TP_PROTO(const struct vcpu *v, u32 code, u64 qual),
	TP_ARGS(v, code, qual),
	TP_STRUCT__entry(
		TRACE_COMMON_FIELDS
		__field(u32, code)
		__field(u16, check)
		__field(u64, qual)
		__field(u64, vmptr)
		__array(char, name, 32)
		__field(u16, nr_failed)
		__field(u16, field)
		__field(u64, value)
		__array(char, field_name, 32)
	),
	TP_fast_assign(
		const struct vmcs12_field *f = trace_check_field(v);

		TRACE_COMMON_ASSIGN(v);
		__entry->level = 1;
		__entry->code = code;
		__entry->nr_failed = f ? bitmap_weight(v->nested.failed_checks, NR_CHECKS) : 0;
		__entry->field = f ? f->enc : 0;
		__entry->value = f ? vmcs12_get(v->nested.vmcs12, f) : 0;
		strscpy_pad(__entry->field_name, f ? f->name : "-", sizeof(__entry->field_name));
		__entry->check = v->nested.last_failed_check;
		__entry->qual = qual;
		__entry->vmptr = v->nested.vmptr;
		strscpy_pad(__entry->name, trace_check(v), sizeof(__entry->name));
	),
	TP_printk(TRACE_COMMON_FORMAT "%s %u check %u (%s) of %u %s 0x%llx qual 0x%llx vmptr 0x%llx", TRACE_COMMON_ARGS,
		  __entry->code >= EXIT_REASON_INVALID_STATE ? "exit" : "VMfail", __entry->code, __entry->check, __entry->name,
		  __entry->nr_failed, __entry->field_name, __entry->value, __entry->qual, __entry->vmptr)
);

/*
 * How a VMX instruction of L1 ends; @value is what VMREAD has read or VMWRITE has written. VMLAUNCH and VMRESUME that
 * succeed are droste_l1_entry.
 */
TRACE_EVENT(droste_vmx_insn,
	TP_PROTO(const struct vcpu *v, u8 result, u32 error),
	TP_ARGS(v, result, error),
	TP_STRUCT__entry(
		TRACE_COMMON_FIELDS
		__field(u16, basic)
		__field(u64, operand)
		__field(u64, value)
		__field(u8, result)
		__field(u32, error)
	),
	TP_fast_assign(
		TRACE_COMMON_ASSIGN(v);
		__entry->basic = v->exit.basic;
		__entry->operand = v->nested.insn_operand;
		__entry->value = result == VMX_INSN_OK ? trace_insn_value(v) : 0;
		__entry->result = result;
		__entry->error = error;
	),
	TP_printk(TRACE_COMMON_FORMAT "%s operand 0x%llx value 0x%llx %s %u", TRACE_COMMON_ARGS,
		  __print_symbolic(__entry->basic, VMX_EXIT_REASONS), __entry->operand, __entry->value,
		  __print_symbolic(__entry->result, TRACE_INSN_RESULTS), __entry->error)
);

/*
 * What became of a fault of EPT02. @at_level is the level of the leaf that was made, or at which the walk of EPT12 ended.
 * @perms12 are EPT12's rights and @perms02 those of the leaf: bit 0 read, 1 write, 2 execute.
 */
TRACE_EVENT(droste_ept02,
	TP_PROTO(const struct vcpu *v, const struct ept02_found *found, u8 outcome),
	TP_ARGS(v, found, outcome),
	TP_STRUCT__entry(
		TRACE_COMMON_FIELDS
		__field(u64, l2_gpa)
		__field(u64, l1_gpa)
		__field(u64, qual)
		__field(u8, outcome)
		__field(u8, at_level)
		__field(u8, perms12)
		__field(u8, perms02)
	),
	TP_fast_assign(
		TRACE_COMMON_ASSIGN(v);
		__entry->l2_gpa = v->exit.gpa;
		__entry->l1_gpa = found->outer.gpa;
		__entry->perms12 = trace_perms12(found, outcome);
		__entry->perms02 = trace_leaf02(found, outcome).perms;
		__entry->at_level = trace_leaf02(found, outcome).level;
		__entry->qual = v->exit.basic == EXIT_REASON_EPT_VIOLATION ? v->exit.qual : 0;
		__entry->outcome = outcome;
	),
	TP_printk(TRACE_COMMON_FORMAT "l2_gpa 0x%llx l1_gpa 0x%llx qual 0x%llx %s at_level %u perms12 0x%x perms02 0x%x",
		  TRACE_COMMON_ARGS, __entry->l2_gpa, __entry->l1_gpa, __entry->qual,
		  __print_symbolic(__entry->outcome, TRACE_EPT02), __entry->at_level, __entry->perms12, __entry->perms02)
);

/* What L0 does about an event for the level that runs. For a window, the vector of an interrupt is 0. */
TRACE_EVENT(droste_event,
	TP_PROTO(const struct vcpu *v, const struct event *ev, u8 what),
	TP_ARGS(v, ev, what),
	TP_STRUCT__entry(
		TRACE_COMMON_FIELDS
		__field(u8, what)
		__field(u8, vector)
		__field(u8, type)
		__field(u32, error)
	),
	TP_fast_assign(
		TRACE_COMMON_ASSIGN(v);
		__entry->what = what == EVENT_INJECTED && ev->again ? EVENT_INJECTED_AGAIN : what;
		__entry->vector = ev->vector;
		__entry->type = ev->type >> 8;
		__entry->error = ev->has_error ? ev->error_code : 0;
	),
	TP_printk(TRACE_COMMON_FORMAT "%s %s %u error 0x%x", TRACE_COMMON_ARGS, __print_symbolic(__entry->what, TRACE_EVENT_WHATS),
		  __print_symbolic(__entry->type, TRACE_EVENT_TYPES), __entry->vector, __entry->error)
);

/* An access of the running level to MMIO: see TRACE_MMIO_STEPS. The value of a read that user space is asked for is 0. */
TRACE_EVENT(droste_mmio,
	TP_PROTO(const struct vcpu *v, u8 step, u64 gpa, u32 len, const void *data),
	TP_ARGS(v, step, gpa, len, data),
	TP_STRUCT__entry(
		TRACE_COMMON_FIELDS
		__field(u8, step)
		__field(u64, gpa)
		__field(u32, len)
		__field(u64, value)
	),
	TP_fast_assign(
		TRACE_COMMON_ASSIGN(v);
		__entry->step = step;
		__entry->gpa = gpa;
		__entry->len = len;
		__entry->value = trace_value(data, len);
	),
	TP_printk(TRACE_COMMON_FORMAT "%s gpa 0x%llx len %u value 0x%llx", TRACE_COMMON_ARGS,
		  __print_symbolic(__entry->step, TRACE_MMIO_STEPS), __entry->gpa, __entry->len, __entry->value)
);

/* An access of the running level to a port: a read when its data is known. The value is the first element of INS and OUTS. */
TRACE_EVENT(droste_pio,
	TP_PROTO(const struct vcpu *v, bool out, u16 port, u32 size, u32 count, const void *data),
	TP_ARGS(v, out, port, size, count, data),
	TP_STRUCT__entry(
		TRACE_COMMON_FIELDS
		__field(u8, out)
		__field(u8, size)
		__field(u16, port)
		__field(u32, count)
		__field(u32, value)
	),
	TP_fast_assign(
		TRACE_COMMON_ASSIGN(v);
		__entry->out = out;
		__entry->size = size;
		__entry->port = port;
		__entry->count = count;
		__entry->value = trace_value(data, size);
	),
	TP_printk(TRACE_COMMON_FORMAT "%s port 0x%x size %u count %u value 0x%x", TRACE_COMMON_ARGS,
		  __entry->out ? "OUT" : "IN", __entry->port, __entry->size, __entry->count, __entry->value)
);

/* RDMSR or WRMSR that L0 has executed. With @fault it ends in #GP. */
TRACE_EVENT(droste_msr,
	TP_PROTO(const struct vcpu *v, bool write, u32 msr, u64 data, bool fault),
	TP_ARGS(v, write, msr, data, fault),
	TP_STRUCT__entry(
		TRACE_COMMON_FIELDS
		__field(u8, write)
		__field(u8, fault)
		__field(u32, msr)
		__field(u64, data)
	),
	TP_fast_assign(
		TRACE_COMMON_ASSIGN(v);
		__entry->write = write;
		__entry->fault = fault;
		__entry->msr = msr;
		__entry->data = data;
	),
	TP_printk(TRACE_COMMON_FORMAT "%s 0x%x data 0x%llx%s", TRACE_COMMON_ARGS, __entry->write ? "WRMSR" : "RDMSR",
		  __entry->msr, __entry->data, __entry->fault ? " #GP" : "")
);

/* An operation of a list (<linux/droste_para.h>) that L0 has carried out: its number in the list, and a[] with what it has read. */
TRACE_EVENT(droste_op,
	TP_PROTO(const struct vcpu *v, u32 nr, const struct droste_multicall_entry *op, s64 ret),
	TP_ARGS(v, nr, op, ret),
	TP_STRUCT__entry(
		TRACE_COMMON_FIELDS
		__field(u32, nr)
		__field(u64, op)
		__array(u64, a, 4)
		__field(s64, ret)
	),
	TP_fast_assign(
		TRACE_COMMON_ASSIGN(v);
		__entry->nr = nr;
		__entry->op = op->op;
		memcpy(__entry->a, op->a, sizeof(__entry->a));
		__entry->ret = ret;
	),
	TP_printk(TRACE_COMMON_FORMAT "%u %s 0x%llx 0x%llx 0x%llx 0x%llx result %lld", TRACE_COMMON_ARGS, __entry->nr,
		  __print_symbolic(__entry->op, TRACE_OPS), __entry->a[0], __entry->a[1], __entry->a[2], __entry->a[3], __entry->ret)
);

/* A WBINVD or WBNOINVD that is a barrier, and the barrier's number. */
TRACE_EVENT(droste_barrier,
	TP_PROTO(const struct vcpu *v, u8 what, u64 nr),
	TP_ARGS(v, what, nr),
	TP_STRUCT__entry(
		TRACE_COMMON_FIELDS
		__field(u8, what)
		__field(u64, nr)
	),
	TP_fast_assign(
		TRACE_COMMON_ASSIGN(v);
		__entry->what = what;
		__entry->nr = nr;
	),
	TP_printk(TRACE_COMMON_FORMAT "%s barrier %llu", TRACE_COMMON_ARGS, __print_symbolic(__entry->what, TRACE_BARRIER_WHATS),
		  __entry->nr)
);

/* An entry of L0 into a guest. */
TRACE_EVENT(droste_entry,
	TP_PROTO(const struct vcpu *v),
	TP_ARGS(v),
	TP_STRUCT__entry(
		TRACE_COMMON_FIELDS
		__field(u64, rip)
		__field(u32, inject)
		__field(u8, immediate)
	),
	TP_fast_assign(
		TRACE_COMMON_ASSIGN(v);
		__entry->rip = facts_rip(v);
		__entry->inject = trace_inject();
		__entry->immediate = v->want_immediate_exit;
	),
	TP_printk(TRACE_COMMON_FORMAT "rip 0x%llx inject 0x%x%s", TRACE_COMMON_ARGS, __entry->rip, __entry->inject,
		  __entry->immediate ? " immediate exit" : "")
);

/* KVM_RUN begins, or ends with an exit reason of struct kvm_run or a negative errno. */
TRACE_EVENT(droste_run,
	TP_PROTO(const struct vcpu *v, bool enter, int ret),
	TP_ARGS(v, enter, ret),
	TP_STRUCT__entry(
		TRACE_COMMON_FIELDS
		__field(u8, enter)
		__field(u32, reason)
		__field(int, ret)
	),
	TP_fast_assign(
		TRACE_COMMON_ASSIGN(v);
		__entry->enter = enter;
		__entry->reason = enter ? 0 : v->run->exit_reason;
		__entry->ret = ret;
	),
	TP_printk(TRACE_COMMON_FORMAT "%s kvm_exit_reason %u ret %d", TRACE_COMMON_ARGS, __entry->enter ? "enter" : "leave",
		  __entry->reason, __entry->ret)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events of the system kvm, with the names, fields and meanings that tools for KVM expect. docs/instrument.md has a list.
 *
 * The exit reason is the number that the processor gives. Field isa is 1, VMX.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvm

#if !defined(DROSTE_KVMTRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define DROSTE_KVMTRACE_H

#include <linux/tracepoint.h>
#include <asm/vmx.h>

#ifndef DROSTE_KVMTRACE_NAMES
#define DROSTE_KVMTRACE_NAMES

#define KVMTRACE_VMX	1	/* field isa */

/* Called when the first user of an event comes, and when the last one goes. */
int kvmtrace_reg(void);
void kvmtrace_unreg(void);

#define KVMTRACE_MMIO	{ TRACE_MMIO_ASKED, "unsatisfied-read" }, { TRACE_MMIO_READ, "read" }, { TRACE_MMIO_WRITE, "write" }

#endif

/* An entry into a guest, of either level. */
TRACE_EVENT_FN(kvm_entry,
	TP_PROTO(const struct vcpu *v),
	TP_ARGS(v),
	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id)
		__field(unsigned long, rip)
		__field(bool, immediate_exit)
	),
	TP_fast_assign(
		__entry->vcpu_id = v->id;
		__entry->rip = facts_rip(v);
		__entry->immediate_exit = v->want_immediate_exit;
	),
	TP_printk("vcpu %u rip 0x%lx%s", __entry->vcpu_id, __entry->rip, __entry->immediate_exit ? " immediate exit" : ""),
	kvmtrace_reg, kvmtrace_unreg
);

DECLARE_EVENT_CLASS(kvmtrace_exits,
	TP_PROTO(const struct vcpu *v, const struct exit_facts *f),
	TP_ARGS(v, f),
	TP_STRUCT__entry(
		__field(unsigned int, exit_reason)
		__field(unsigned long, guest_rip)
		__field(u32, isa)
		__field(u64, info1)
		__field(u64, info2)
		__field(u32, intr_info)
		__field(u32, error_code)
		__field(unsigned int, vcpu_id)
	),
	TP_fast_assign(
		__entry->exit_reason = f->reason;
		__entry->guest_rip = f->rip;
		__entry->isa = KVMTRACE_VMX;
		__entry->info1 = f->qual;
		__entry->info2 = f->idt_info;
		__entry->intr_info = f->intr_info;
		__entry->error_code = f->intr_error;
		__entry->vcpu_id = v->id;
	),
	TP_printk("vcpu %u reason %s%s rip 0x%lx info1 0x%llx info2 0x%llx intr_info 0x%x error_code 0x%x", __entry->vcpu_id,
		  __print_symbolic(__entry->exit_reason & 0xffff, VMX_EXIT_REASONS),
		  __entry->exit_reason >> 31 ? " FAILED_VMENTRY" : "", __entry->guest_rip, __entry->info1, __entry->info2,
		  __entry->intr_info, __entry->error_code)
);

/* An exit to L0, from either level. */
DEFINE_EVENT_FN(kvmtrace_exits, kvm_exit,
	TP_PROTO(const struct vcpu *v, const struct exit_facts *f),
	TP_ARGS(v, f),
	kvmtrace_reg, kvmtrace_unreg
);

/* An exit of L2 to L0, after its kvm_exit. */
DEFINE_EVENT_FN(kvmtrace_exits, kvm_nested_vmexit,
	TP_PROTO(const struct vcpu *v, const struct exit_facts *f),
	TP_ARGS(v, f),
	kvmtrace_reg, kvmtrace_unreg
);

/* An exit that L1 is shown, except for those of failed entries. */
TRACE_EVENT_FN(kvm_nested_vmexit_inject,
	TP_PROTO(const struct exit_facts *f),
	TP_ARGS(f),
	TP_STRUCT__entry(
		__field(u32, exit_code)
		__field(u64, exit_info1)
		__field(u64, exit_info2)
		__field(u32, exit_int_info)
		__field(u32, exit_int_info_err)
		__field(u32, isa)
	),
	TP_fast_assign(
		__entry->exit_code = f->reason;
		__entry->exit_info1 = f->qual;
		__entry->exit_info2 = f->idt_info;
		__entry->exit_int_info = f->intr_info;
		__entry->exit_int_info_err = f->intr_error;
		__entry->isa = KVMTRACE_VMX;
	),
	TP_printk("reason %s ext_inf1 0x%llx ext_inf2 0x%llx ext_int 0x%x ext_int_err 0x%x",
		  __print_symbolic(__entry->exit_code & 0xffff, VMX_EXIT_REASONS), __entry->exit_info1, __entry->exit_info2,
		  __entry->exit_int_info, __entry->exit_int_info_err),
	kvmtrace_reg, kvmtrace_unreg
);

TRACE_EVENT_FN(kvm_mmio,
	TP_PROTO(u8 type, u64 gpa, u32 len, const void *data),
	TP_ARGS(type, gpa, len, data),
	TP_STRUCT__entry(
		__field(u32, type)
		__field(u32, len)
		__field(u64, gpa)
		__field(u64, val)
	),
	TP_fast_assign(
		__entry->type = type;
		__entry->len = len;
		__entry->gpa = gpa;
		__entry->val = trace_value(data, len);
	),
	TP_printk("mmio %s len %u gpa 0x%llx val 0x%llx", __print_symbolic(__entry->type, KVMTRACE_MMIO), __entry->len,
		  __entry->gpa, __entry->val),
	kvmtrace_reg, kvmtrace_unreg
);

/* Field val is the first element of INS and OUTS. */
TRACE_EVENT_FN(kvm_pio,
	TP_PROTO(bool out, u16 port, u32 size, u32 count, const void *data),
	TP_ARGS(out, port, size, count, data),
	TP_STRUCT__entry(
		__field(unsigned int, rw)
		__field(unsigned int, port)
		__field(unsigned int, size)
		__field(unsigned int, count)
		__field(unsigned int, val)
	),
	TP_fast_assign(
		__entry->rw = out;
		__entry->port = port;
		__entry->size = size;
		__entry->count = count;
		__entry->val = trace_value(data, size);
	),
	TP_printk("pio_%s at 0x%x size %u count %u val 0x%x", __entry->rw ? "write" : "read", __entry->port, __entry->size,
		  __entry->count, __entry->val),
	kvmtrace_reg, kvmtrace_unreg
);

TRACE_EVENT_FN(kvm_msr,
	TP_PROTO(bool write, u32 msr, u64 data, bool fault),
	TP_ARGS(write, msr, data, fault),
	TP_STRUCT__entry(
		__field(unsigned int, write)
		__field(u32, ecx)
		__field(u64, data)
		__field(u8, exception)
	),
	TP_fast_assign(
		__entry->write = write;
		__entry->ecx = msr;
		__entry->data = data;
		__entry->exception = fault;
	),
	TP_printk("msr_%s %x = 0x%llx%s", __entry->write ? "write" : "read", __entry->ecx, __entry->data,
		  __entry->exception ? " (#GP)" : ""),
	kvmtrace_reg, kvmtrace_unreg
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH kvmtrace
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE kvmtrace
#include <trace/define_trace.h>

// SPDX-License-Identifier: GPL-2.0
/* What tracepoints record of a vCPU. */
#include <linux/bitmap.h>
#include "droste.h"
#include "ept/ept.h"
#include "ept/ept12.h"
#include "nested/checks.h"
#include "nested/facts.h"
#include "nested/insn.h"
#include "nested/merge.h"
#include "nested/nested.h"
#include "nested/route.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Exit information that the reason defines. */
static u8 trace_tells(const struct vmx_exit *e)
{
	return facts_needs(e->basic);
}

/* The event that the entry injects, 0 for none. */
static u32 trace_inject(void)
{
	u32 info = vmcs_read(VM_ENTRY_INTR_INFO_FIELD);

	return info & INTR_INFO_VALID_MASK ? info : 0;
}

static u64 trace_gpr(const struct vcpu *v, unsigned int nr)
{
	return nr == RSP && !(v->reg_avail & REG_RSP) ? vmcs_read(GUEST_RSP) : v->regs[nr & 15];
}

/* What an exit is about, besides the exit information; 0 if the reason says all. */
static u64 trace_arg(const struct vcpu *v)
{
	u64 qual = v->exit.qual;

	switch (v->exit.basic) {
	case EXIT_REASON_CPUID:
		return (u32)v->regs[RAX] | v->regs[RCX] << 32;
	case EXIT_REASON_MSR_READ:
	case EXIT_REASON_MSR_WRITE:
	case EXIT_REASON_XSETBV:
	case EXIT_REASON_RDPMC:
		return (u32)v->regs[RCX];
	case EXIT_REASON_VMCALL:
		return v->regs[RAX];
	case EXIT_REASON_IO_INSTRUCTION:
		return (qual >> 16) & 0xffff;
	case EXIT_REASON_CR_ACCESS:
		return (qual >> 4) & 3 ? 0 : trace_gpr(v, (qual >> 8) & 15);
	case EXIT_REASON_DR_ACCESS:
		return qual & BIT(4) ? 0 : trace_gpr(v, (qual >> 8) & 15);
	case EXIT_REASON_VMREAD:
	case EXIT_REASON_VMWRITE:
		return trace_gpr(v, IINFO_REG2(v->exit.iinfo));
	default:
		return 0;
	}
}

/* The bit of L1's bitmap for I/O, MSRs, VMREAD or VMWRITE that decides an exit. */
static struct route_bit trace_bit(const struct vcpu *v, const struct route_facts *f)
{
	switch (f->basic) {
	case EXIT_REASON_IO_INSTRUCTION:
		return route_io_bits(f->qual);
	case EXIT_REASON_MSR_READ:
	case EXIT_REASON_MSR_WRITE:
		return route_msr_bit(v->regs[RCX], f->basic == EXIT_REASON_MSR_WRITE);
	case EXIT_REASON_VMREAD:
	case EXIT_REASON_VMWRITE:
		return route_vmcs_bit(trace_gpr(v, IINFO_REG2(v->exit.iinfo)));
	default:
		return (struct route_bit) {};
	}
}

/* The value that VMREAD or VMWRITE of L1 has read or written; 0 for other instructions, and those of L2. */
static u64 trace_insn_value(const struct vcpu *v)
{
	const struct vmcs12_field *f;
	u64 val;

	if (v->in_l2 || (v->exit.basic != EXIT_REASON_VMREAD && v->exit.basic != EXIT_REASON_VMWRITE))
		return 0;
	f = vmcs12_field_lookup(v->nested.insn_operand);
	val = f ? vmcs12_get(v->nested.vmcs12, f) : 0;
	return v->nested.insn_operand & VMCS_ENC_HIGH ? val >> 32 : val;
}

/* The field of VMCS12 that decides who gets an exit of L2. */
static struct route_word trace_tested(const struct route_facts *f, struct route_verdict verdict)
{
	return route_tested(f, verdict.why);
}

/* A leaf of EPT02: its rights, and its level. Without one, the level at which the walk of EPT12 ended. */
struct trace_leaf {
	u8 perms;
	u8 level;
};

static struct trace_leaf trace_leaf02(const struct ept02_found *found, u8 outcome)
{
	int level = found->outer.level;
	u64 leaf = outcome == EPT02_FIXED ? ept02_compose(&found->outer, &found->inner, &level) : 0;

	return (struct trace_leaf) { .perms = leaf & EPT_RWX, .level = level };
}

/* The rights that EPT12 gives to an address: read, write, execute. */
static u8 trace_perms12(const struct ept02_found *found, u8 outcome)
{
	return (outcome == EPT02_VIOLATION ? found->outer.qual >> 3 : found->outer.rights) & EPT_RWX;
}

/* The check of L1's last VM entry that failed; none if the entry failed before the checks of VMCS12. */
static const char *trace_check(const struct vcpu *v)
{
	enum check_id id = v->nested.last_failed_check;

	return id == CHECK_OK ? "-" : check_name(id);
}

/* The field that this check is about, the first of which it demands something; NULL if no check failed. */
static const struct vmcs12_field *trace_check_field(const struct vcpu *v)
{
	enum check_id id = v->nested.last_failed_check;
	u8 fields[CHECK_FIELDS];

	return id != CHECK_OK && check_fields(id, CHECK_DEMANDS, fields) ? &vmcs12_fields[fields[0]] : NULL;
}

/* All headers are included before: those with tracepoints of the kernel must not be expanded here. */
#define CREATE_TRACE_POINTS
#include "trace.h"

/* For droste_kvmtrace.ko. */
EXPORT_TRACEPOINT_SYMBOL_GPL(droste_exit);
EXPORT_TRACEPOINT_SYMBOL_GPL(droste_l1_exit);
EXPORT_TRACEPOINT_SYMBOL_GPL(droste_mmio);
EXPORT_TRACEPOINT_SYMBOL_GPL(droste_pio);
EXPORT_TRACEPOINT_SYMBOL_GPL(droste_msr);
EXPORT_TRACEPOINT_SYMBOL_GPL(droste_entry);

// SPDX-License-Identifier: GPL-2.0
/* Decides by a table which exits from L2 go to L1. Pure: reads only the facts. SDM 3C 26. */
#include <linux/kernel.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>
#include "mem/types.h"
#include "vmx/types.h"
#include "nested/vmcs12.h"
#include "nested/route.h"

/* Reasons that <uapi/asm/vmx.h> of the oldest supported kernel lacks (SDM 3D appendix C; TDX module specification). */
#ifndef EXIT_REASON_GETSEC
#define EXIT_REASON_GETSEC	11
#endif
#ifndef EXIT_REASON_SEAMCALL
#define EXIT_REASON_SEAMCALL	76
#define EXIT_REASON_TDCALL	77
#endif

#define CR_ACCESS_MOV_TO	0
#define CR_ACCESS_MOV_FROM	1
#define CR_ACCESS_CLTS		2
#define CR_ACCESS_LMSW		3
#define CR3_TARGETS		4

static bool route_has_proc(const struct vmcs12 *v, u32 bits)
{
	return v->cpu_based_vm_exec_control & bits;
}

/* Secondary controls count as 0 while the primary ones do not activate them (SDM 3C 25.6.2). */
static bool route_has_proc2(const struct vmcs12 *v, u32 bits)
{
	return route_has_proc(v, CPU_BASED_ACTIVATE_SECONDARY_CONTROLS) && (v->secondary_vm_exec_control & bits);
}

/**
 * route_l1_takes_exception() - whether L1 intercepts an exception
 * @v: VMCS12
 * @vector: the exception
 * @error_code: its error code; read for page faults only
 *
 * For page faults whose error code does not fit mask and match, bit 14 of the
 * exception bitmap has the reverse meaning (SDM 3C 26.2).
 *
 * Context: Any.
 * Return: true if it does.
 */
bool route_l1_takes_exception(const struct vmcs12 *v, u8 vector, u32 error_code)
{
	bool bit = vector < 32 && (v->exception_bitmap & BIT(vector));

	if (vector == X86_TRAP_PF &&
	    (error_code & v->page_fault_error_code_mask) != v->page_fault_error_code_match)
		return !bit;
	return bit;
}

static struct route_verdict route_to(bool l1, enum route_why why)
{
	return (struct route_verdict) { .to = l1 ? ROUTE_L1 : ROUTE_L0, .why = why };
}

static struct route_verdict route_exception(const struct route_facts *f)
{
	u8 vector = f->intr_info & INTR_INFO_VECTOR_MASK;
	bool l1, bit;

	/* Physical NMIs and machine checks are the host's. */
	if ((f->intr_info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR || vector == X86_TRAP_MC)
		return route_to(false, WHY_HOST_EVENT);
	if (vector < 32 && (f->l0_exceptions & BIT(vector)))
		return route_to(false, WHY_L0_EXCEPTION);
	l1 = route_l1_takes_exception(f->vmcs12, vector, f->intr_error);
	bit = vector < 32 && (f->vmcs12->exception_bitmap & BIT(vector));
	return route_to(l1, l1 == bit ? WHY_EXCEPTION_BITMAP : WHY_PF_MISMATCH);
}

/* MOV to CR3 of one of L1's target values does not exit (SDM 3C 25.6.7). */
static bool route_is_cr3_target(const struct vmcs12 *v, u64 value)
{
	const u64 target[CR3_TARGETS] = {
		v->cr3_target_value0, v->cr3_target_value1, v->cr3_target_value2, v->cr3_target_value3
	};
	u32 i;

	for (i = 0; i < min_t(u32, v->cr3_target_count, CR3_TARGETS); i++)
		if (target[i] == value)
			return true;
	return false;
}

static struct route_verdict route_mov_to_cr(const struct route_facts *f, int cr)
{
	const struct vmcs12 *v = f->vmcs12;

	switch (cr) {
	case 0:
		return route_to(v->cr0_guest_host_mask & (f->value ^ v->cr0_read_shadow), WHY_CR0_MASK);
	case 3:
		if (!route_has_proc(v, CPU_BASED_CR3_LOAD_EXITING))
			return route_to(false, WHY_CR_CONTROL);
		return route_to(!route_is_cr3_target(v, f->value), WHY_CR3_TARGET);
	case 4:
		return route_to(v->cr4_guest_host_mask & (f->value ^ v->cr4_read_shadow), WHY_CR4_MASK);
	case 8:
		return route_to(route_has_proc(v, CPU_BASED_CR8_LOAD_EXITING), WHY_CR_CONTROL);
	default:
		return route_to(false, WHY_ALWAYS);
	}
}

/* LMSW loads CR0 bits 3:0 but cannot clear PE (SDM 3C 26.1.3). */
static bool route_lmsw(const struct vmcs12 *v, u64 source)
{
	u64 diff = source ^ v->cr0_read_shadow;

	if (v->cr0_guest_host_mask & diff & (X86_CR0_MP | X86_CR0_EM | X86_CR0_TS))
		return true;
	return v->cr0_guest_host_mask & diff & source & X86_CR0_PE;
}

/* Control-register accesses: SDM 3C 26.1.3; table 28-3 has the exit qualification. */
static struct route_verdict route_cr(const struct route_facts *f)
{
	const struct vmcs12 *v = f->vmcs12;
	int nr = f->qual & 0xf;

	switch ((f->qual >> 4) & 3) {
	case CR_ACCESS_MOV_TO:
		return route_mov_to_cr(f, nr);
	case CR_ACCESS_MOV_FROM:
		return route_to(route_has_proc(v, nr == 3 ? CPU_BASED_CR3_STORE_EXITING :
					      nr == 8 ? CPU_BASED_CR8_STORE_EXITING : 0), WHY_CR_CONTROL);
	case CR_ACCESS_CLTS:
		return route_to(v->cr0_guest_host_mask & v->cr0_read_shadow & X86_CR0_TS, WHY_CLTS);
	default:
		return route_to(route_lmsw(v, (f->qual >> LMSW_SOURCE_DATA_SHIFT) & 0xffff), WHY_LMSW);
	}
}

static struct route_verdict route_io(const struct route_facts *f)
{
	u32 proc = f->vmcs12->cpu_based_vm_exec_control;

	return route_to(route_l1_takes_io(proc, f->bitmap_hit),
			proc & CPU_BASED_USE_IO_BITMAPS ? WHY_IO_BITMAP : WHY_IO_CONTROL);
}

static struct route_verdict route_msr(const struct route_facts *f)
{
	u32 proc = f->vmcs12->cpu_based_vm_exec_control;

	return route_to(route_l1_takes_msr(proc, f->bitmap_hit),
			proc & CPU_BASED_USE_MSR_BITMAPS ? WHY_MSR_BITMAP : WHY_MSR_NO_BITMAP);
}

/* Without VMCS shadowing every VMREAD and VMWRITE exits to L1 (SDM 3C 26.1.3). */
static struct route_verdict route_vmcs_access(const struct route_facts *f)
{
	if (!route_has_proc2(f->vmcs12, SECONDARY_EXEC_SHADOW_VMCS))
		return route_to(true, WHY_VMCS_NO_SHADOW);
	return route_to(f->bitmap_hit, WHY_VMCS_BITMAP);
}

/* L1 can also inject a pending MTF exit, as event type 7 with vector 0 (SDM 3C 27.6.2). */
static struct route_verdict route_mtf(const struct route_facts *f)
{
	if (f->vmcs12->vm_entry_intr_info_field == (INTR_INFO_VALID_MASK | INTR_TYPE_OTHER_EVENT))
		return route_to(true, WHY_MTF_INJECTED);
	return route_to(route_has_proc(f->vmcs12, CPU_BASED_MONITOR_TRAP_FLAG), WHY_PROC_CONTROL);
}

/* "PAUSE exiting" overrides "PAUSE-loop exiting" (SDM 3C 26.1.3). L0 asks for exits of PAUSE loops too: see pauseloop.c. */
static struct route_verdict route_pause(const struct route_facts *f)
{
	if (route_has_proc(f->vmcs12, CPU_BASED_PAUSE_EXITING))
		return route_to(true, WHY_PROC_CONTROL);
	if (!route_has_proc2(f->vmcs12, SECONDARY_EXEC_PAUSE_LOOP_EXITING))
		return route_to(false, WHY_PAUSE_LOOP);
	if (!f->pause_over)
		return route_to(false, WHY_PLE_WINDOW);
	return route_to(!f->pause_kept, WHY_PLE_NOBODY);
}

static struct route_verdict route_vmcall(const struct route_facts *f)
{
	return f->delegated ? route_to(false, WHY_DELEGATED) : route_to(true, WHY_ALWAYS);
}

static struct route_verdict route_invpcid(const struct route_facts *f)
{
	return route_to(route_has_proc2(f->vmcs12, SECONDARY_EXEC_ENABLE_INVPCID) &&
		       route_has_proc(f->vmcs12, CPU_BASED_INVLPG_EXITING), WHY_TWO_CONTROLS);
}

static struct route_verdict route_xss(const struct route_facts *f)
{
	return route_to(route_has_proc2(f->vmcs12, VMCS_CONTROL_BIT(XSAVES)) && (f->xss & f->vmcs12->xss_exit_bitmap),
		       WHY_XSS_BITMAP);
}

/* The fault of UMIP comes before the exit (SDM 3C 26.1.1). */
static struct route_verdict route_desc(const struct route_facts *f)
{
	if (f->umip_faults)
		return route_to(false, WHY_UMIP);
	return route_to(route_has_proc2(f->vmcs12, SECONDARY_EXEC_DESC), WHY_PROC2_CONTROL);
}

static struct route_verdict route_umwait(const struct route_facts *f)
{
	return route_to(route_has_proc2(f->vmcs12, SECONDARY_EXEC_ENABLE_USR_WAIT_PAUSE) &&
		       route_has_proc(f->vmcs12, CPU_BASED_RDTSC_EXITING), WHY_TWO_CONTROLS);
}

/* Rule of a row of routes.def. */
enum route_rule {
	RULE_NONE,	/* no row: an exit that Droste does not know goes to L1, so that L2 can end itself but not L1 */
	RULE_L0,	/* always L0 */
	RULE_L1,	/* always L1 */
	RULE_PROC,	/* L1 if it set one of the bits in its primary processor-based controls */
	RULE_PROC2,	/* L1 if it set one of the bits in its secondary processor-based controls */
	RULE_FUNC,	/* L1 if the function says so */
};

/* A row of routes.def; a reason without a row has RULE_NONE. */
struct route_row {
	enum route_rule rule;
	union {
		u32 bits;					/* RULE_PROC, RULE_PROC2 */
		struct route_verdict (*decide)(const struct route_facts *f);	/* RULE_FUNC */
	};
};

#define ROUTE(reason, _rule, _bits)	[reason] = { .rule = RULE_##_rule, .bits = (_bits) },
#define ROUTE_FUNC(reason, function)	[reason] = { .rule = RULE_FUNC, .decide = (function) },
static const struct route_row route_rows[NR_EXIT_REASONS] = {
#include "nested/routes.def"
};

/**
 * route_exit() - decide who handles an exit from L2
 * @f: the facts of the exit
 *
 * Context: Any.
 * Return: ROUTE_L0 or ROUTE_L1, and what decided it.
 */
struct route_verdict route_exit(const struct route_facts *f)
{
	const struct route_row *row;

	if (unlikely(f->basic >= NR_EXIT_REASONS))
		return route_to(true, WHY_NO_ROW);
	row = &route_rows[f->basic];
	switch (row->rule) {
	case RULE_L0:
		return route_to(false, WHY_ALWAYS);
	case RULE_L1:
		return route_to(true, WHY_ALWAYS);
	case RULE_PROC:
		return route_to(route_has_proc(f->vmcs12, row->bits), WHY_PROC_CONTROL);
	case RULE_PROC2:
		return route_to(route_has_proc2(f->vmcs12, row->bits), WHY_PROC2_CONTROL);
	case RULE_FUNC:
		return row->decide(f);
	case RULE_NONE:
		break;
	}
	return route_to(true, WHY_NO_ROW);
}

static struct route_word route_word(u16 field, u64 word, u64 bits)
{
	return (struct route_word) { .field = field, .word = word, .bits = bits };
}

static struct route_word route_proc_word(const struct vmcs12 *v, u32 bits)
{
	return route_word(CPU_BASED_VM_EXEC_CONTROL, v->cpu_based_vm_exec_control, bits);
}

static struct route_word route_proc2_word(const struct vmcs12 *v, u32 bits)
{
	return route_word(SECONDARY_VM_EXEC_CONTROL, route_has_proc2(v, ~0u) ? v->secondary_vm_exec_control : 0, bits);
}

/* The controls for MOV from and to CR3 and CR8; no bit for other registers. */
static u32 route_cr_bits(u64 qual)
{
	bool to = ((qual >> 4) & 3) == CR_ACCESS_MOV_TO;

	switch (qual & 0xf) {
	case 3:
		return to ? CPU_BASED_CR3_LOAD_EXITING : CPU_BASED_CR3_STORE_EXITING;
	case 8:
		return to ? CPU_BASED_CR8_LOAD_EXITING : CPU_BASED_CR8_STORE_EXITING;
	default:
		return 0;
	}
}

/* Two controls must be set: the secondary one if it is clear, otherwise the primary one. */
static struct route_word route_pair_word(const struct vmcs12 *v, u32 proc2, u32 proc)
{
	return route_has_proc2(v, proc2) ? route_proc_word(v, proc) : route_proc2_word(v, proc2);
}

/* The bits of a control word that an exit's row names, or its function tests. */
static u32 route_row_bits(const struct route_facts *f, u8 why)
{
	const struct route_row *row = &route_rows[f->basic];

	if (row->rule == RULE_PROC || row->rule == RULE_PROC2)
		return row->bits;
	if (why == WHY_PROC2_CONTROL)
		return SECONDARY_EXEC_DESC;
	return f->basic == EXIT_REASON_MONITOR_TRAP_FLAG ? CPU_BASED_MONITOR_TRAP_FLAG : CPU_BASED_PAUSE_EXITING;
}

/* LMSW cannot clear PE, so that bit is looked at only if the source has it. */
static u64 route_lmsw_bits(const struct vmcs12 *v, u64 source)
{
	return (source ^ v->cr0_read_shadow) & (X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | (source & X86_CR0_PE));
}

/**
 * route_tested() - the field of VMCS12 that route_exit() looked at last, and the bits of it
 * @f: the facts of the exit
 * @why: the reason that route_exit() gave
 *
 * For tracing, so that route_exit() itself need not note it. For most reasons, L1 gets the exit if one of the bits is set.
 * The text of PF_MISMATCH, MSR_NO_BITMAP and VMCS_NO_SHADOW says the reverse. For bitmaps, CR3 targets, injected MTF
 * exits and windows of PAUSE loops, the bits are set, and something else decides.
 *
 * Context: Any.
 * Return: the field; all 0 if no field of VMCS12 is looked at.
 */
struct route_word route_tested(const struct route_facts *f, u8 why)
{
	const struct vmcs12 *v = f->vmcs12;

	switch (why) {
	case WHY_PROC_CONTROL:
		return route_proc_word(v, route_row_bits(f, why));
	case WHY_PROC2_CONTROL:
		return route_proc2_word(v, route_row_bits(f, why));
	case WHY_EXCEPTION_BITMAP:
	case WHY_PF_MISMATCH:
		return route_word(EXCEPTION_BITMAP, v->exception_bitmap, BIT(f->intr_info & 31));
	case WHY_CR0_MASK:
		return route_word(CR0_GUEST_HOST_MASK, v->cr0_guest_host_mask, f->value ^ v->cr0_read_shadow);
	case WHY_CR4_MASK:
		return route_word(CR4_GUEST_HOST_MASK, v->cr4_guest_host_mask, f->value ^ v->cr4_read_shadow);
	case WHY_CLTS:
		return route_word(CR0_GUEST_HOST_MASK, v->cr0_guest_host_mask, v->cr0_read_shadow & X86_CR0_TS);
	case WHY_LMSW:
		return route_word(CR0_GUEST_HOST_MASK, v->cr0_guest_host_mask,
				  route_lmsw_bits(v, (f->qual >> LMSW_SOURCE_DATA_SHIFT) & 0xffff));
	case WHY_CR3_TARGET:
		return route_proc_word(v, CPU_BASED_CR3_LOAD_EXITING);
	case WHY_CR_CONTROL:
		return route_proc_word(v, route_cr_bits(f->qual));
	case WHY_IO_BITMAP:
		return route_proc_word(v, CPU_BASED_USE_IO_BITMAPS);
	case WHY_IO_CONTROL:
		return route_proc_word(v, CPU_BASED_UNCOND_IO_EXITING);
	case WHY_MSR_BITMAP:
	case WHY_MSR_NO_BITMAP:
		return route_proc_word(v, CPU_BASED_USE_MSR_BITMAPS);
	case WHY_VMCS_BITMAP:
	case WHY_VMCS_NO_SHADOW:
		return route_proc2_word(v, SECONDARY_EXEC_SHADOW_VMCS);
	case WHY_MTF_INJECTED:
		return route_word(VM_ENTRY_INTR_INFO_FIELD, v->vm_entry_intr_info_field, INTR_INFO_VALID_MASK | INTR_TYPE_OTHER_EVENT);
	case WHY_PAUSE_LOOP:
	case WHY_PLE_WINDOW:
	case WHY_PLE_NOBODY:
		return route_proc2_word(v, SECONDARY_EXEC_PAUSE_LOOP_EXITING);
	case WHY_XSS_BITMAP:
		if (!route_has_proc2(v, VMCS_CONTROL_BIT(XSAVES)))
			return route_proc2_word(v, VMCS_CONTROL_BIT(XSAVES));
		return route_word(XSS_EXIT_BITMAP, v->xss_exit_bitmap, f->xss);
	case WHY_TWO_CONTROLS:
		if (f->basic == EXIT_REASON_INVPCID)
			return route_pair_word(v, SECONDARY_EXEC_ENABLE_INVPCID, CPU_BASED_INVLPG_EXITING);
		return route_pair_word(v, SECONDARY_EXEC_ENABLE_USR_WAIT_PAUSE, CPU_BASED_RDTSC_EXITING);
	default:
		return route_word(0, 0, 0);
	}
}

/**
 * route_io_bits() - the bits of L1's I/O bitmaps that decide an I/O exit
 * @qual: exit qualification (SDM 3C table 28-5)
 *
 * An access of up to 4 bytes has up to 4 bits, which fit the 16-bit word that
 * starts at the byte of the first port. An access that wraps around the port
 * space always exits (SDM 3C 26.1.3).
 *
 * Context: Any.
 * Return: the bits; mask 0 for an access that wraps around.
 */
struct route_bit route_io_bits(u64 qual)
{
	u32 port = (qual >> 16) & 0xffff, size = (qual & 7) + 1;
	struct route_bit b = { .byte = port / 8 };

	if (port + size <= 0x10000)
		b.mask = GENMASK(size - 1, 0) << (port % 8);
	return b;
}

/**
 * route_vmcs_bit() - the bit of L1's VMREAD or VMWRITE bitmap that decides an exit
 * @enc: encoding of the field (SDM 3C 25.6.15)
 *
 * Context: Any.
 * Return: the bit; mask 0 for an encoding that has none.
 */
struct route_bit route_vmcs_bit(u64 enc)
{
	if (enc >> 15)
		return (struct route_bit) {};
	return (struct route_bit) { .byte = enc / 8, .mask = BIT(enc % 8) };
}

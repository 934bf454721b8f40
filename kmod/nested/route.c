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

static bool route_exception(const struct route_facts *f)
{
	u8 vector = f->intr_info & INTR_INFO_VECTOR_MASK;

	/* Physical NMIs and machine checks are the host's. */
	if ((f->intr_info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR || vector == X86_TRAP_MC)
		return false;
	if (vector < 32 && (f->l0_exceptions & BIT(vector)))
		return false;
	return route_l1_takes_exception(f->vmcs12, vector, f->intr_error);
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

static bool route_mov_to_cr(const struct route_facts *f, int cr)
{
	const struct vmcs12 *v = f->vmcs12;

	switch (cr) {
	case 0:
		return v->cr0_guest_host_mask & (f->value ^ v->cr0_read_shadow);
	case 3:
		return route_has_proc(v, CPU_BASED_CR3_LOAD_EXITING) && !route_is_cr3_target(v, f->value);
	case 4:
		return v->cr4_guest_host_mask & (f->value ^ v->cr4_read_shadow);
	case 8:
		return route_has_proc(v, CPU_BASED_CR8_LOAD_EXITING);
	default:
		return false;
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
static bool route_cr(const struct route_facts *f)
{
	const struct vmcs12 *v = f->vmcs12;
	int nr = f->qual & 0xf;

	switch ((f->qual >> 4) & 3) {
	case CR_ACCESS_MOV_TO:
		return route_mov_to_cr(f, nr);
	case CR_ACCESS_MOV_FROM:
		return route_has_proc(v, nr == 3 ? CPU_BASED_CR3_STORE_EXITING :
				nr == 8 ? CPU_BASED_CR8_STORE_EXITING : 0);
	case CR_ACCESS_CLTS:
		return v->cr0_guest_host_mask & v->cr0_read_shadow & X86_CR0_TS;
	default:
		return route_lmsw(v, (f->qual >> LMSW_SOURCE_DATA_SHIFT) & 0xffff);
	}
}

/* "Use I/O bitmaps" overrides "unconditional I/O exiting" (SDM 3C 25.6.2, table 25-6). */
static bool route_io(const struct route_facts *f)
{
	if (route_has_proc(f->vmcs12, CPU_BASED_USE_IO_BITMAPS))
		return f->bitmap_hit;
	return route_has_proc(f->vmcs12, CPU_BASED_UNCOND_IO_EXITING);
}

static bool route_msr(const struct route_facts *f)
{
	return !route_has_proc(f->vmcs12, CPU_BASED_USE_MSR_BITMAPS) || f->bitmap_hit;
}

/* Without VMCS shadowing every VMREAD and VMWRITE exits to L1 (SDM 3C 26.1.3). */
static bool route_vmcs_access(const struct route_facts *f)
{
	return !route_has_proc2(f->vmcs12, SECONDARY_EXEC_SHADOW_VMCS) || f->bitmap_hit;
}

/* L1 can also inject a pending MTF exit, as event type 7 with vector 0 (SDM 3C 27.6.2). */
static bool route_mtf(const struct route_facts *f)
{
	return route_has_proc(f->vmcs12, CPU_BASED_MONITOR_TRAP_FLAG) ||
	       f->vmcs12->vm_entry_intr_info_field == (INTR_INFO_VALID_MASK | INTR_TYPE_OTHER_EVENT);
}

static bool route_pause(const struct route_facts *f)
{
	return route_has_proc(f->vmcs12, CPU_BASED_PAUSE_EXITING) ||
	       route_has_proc2(f->vmcs12, SECONDARY_EXEC_PAUSE_LOOP_EXITING);
}

static bool route_invpcid(const struct route_facts *f)
{
	return route_has_proc2(f->vmcs12, SECONDARY_EXEC_ENABLE_INVPCID) &&
	       route_has_proc(f->vmcs12, CPU_BASED_INVLPG_EXITING);
}

static bool route_xss(const struct route_facts *f)
{
	return route_has_proc2(f->vmcs12, VMCS_CONTROL_BIT(XSAVES)) && (f->xss & f->vmcs12->xss_exit_bitmap);
}

/* The fault of UMIP comes before the exit (SDM 3C 26.1.1). */
static bool route_desc(const struct route_facts *f)
{
	return !f->umip_faults && route_has_proc2(f->vmcs12, SECONDARY_EXEC_DESC);
}

static bool route_umwait(const struct route_facts *f)
{
	return route_has_proc2(f->vmcs12, SECONDARY_EXEC_ENABLE_USR_WAIT_PAUSE) &&
	       route_has_proc(f->vmcs12, CPU_BASED_RDTSC_EXITING);
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
		bool (*l1_wants)(const struct route_facts *f);	/* RULE_FUNC */
	};
};

#define ROUTE(reason, _rule, _bits)	[reason] = { .rule = RULE_##_rule, .bits = (_bits) },
#define ROUTE_FUNC(reason, function)	[reason] = { .rule = RULE_FUNC, .l1_wants = (function) },
static const struct route_row route_rows[NR_EXIT_REASONS] = {
#include "nested/routes.def"
};

/**
 * route_exit() - decide who handles an exit from L2
 * @f: the facts of the exit
 *
 * Context: Any.
 * Return: ROUTE_L0 or ROUTE_L1.
 */
enum route route_exit(const struct route_facts *f)
{
	const struct route_row *row;
	bool l1 = false;

	if (unlikely(f->basic >= NR_EXIT_REASONS))
		return ROUTE_L1;
	row = &route_rows[f->basic];
	switch (row->rule) {
	case RULE_L0:
		break;
	case RULE_NONE:
	case RULE_L1:
		l1 = true;
		break;
	case RULE_PROC:
		l1 = route_has_proc(f->vmcs12, row->bits);
		break;
	case RULE_PROC2:
		l1 = route_has_proc2(f->vmcs12, row->bits);
		break;
	case RULE_FUNC:
		l1 = row->l1_wants(f);
		break;
	}
	return l1 ? ROUTE_L1 : ROUTE_L0;
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
 * route_msr_bit() - the bit of L1's MSR bitmap that decides an MSR exit
 * @msr: number of the MSR
 * @write: WRMSR, not RDMSR
 *
 * The page has four bitmaps of 1 KiB: reads of low MSRs, reads of high MSRs,
 * writes of low MSRs, writes of high MSRs (SDM 3C 25.6.9).
 *
 * Context: Any.
 * Return: the bit; mask 0 for an MSR that has none.
 */
struct route_bit route_msr_bit(u32 msr, bool write)
{
	struct route_bit b = { .byte = write ? 2048 : 0 };

	if (msr >= 0xc0000000) {
		msr -= 0xc0000000;
		b.byte += 1024;
	}
	if (msr >= 0x2000)
		return b;
	b.byte += msr / 8;
	b.mask = BIT(msr % 8);
	return b;
}

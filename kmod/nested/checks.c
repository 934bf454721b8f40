// SPDX-License-Identifier: GPL-2.0
/* Verdicts on VMCS12: checks.def expanded into straight code, section by section. SDM 3C 27.2, 27.3. */
#include <linux/kernel.h>
#include <linux/types.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>
#include <asm/vmx.h>

#include "mem/types.h"
#include "vmx/types.h"
#include "nested/checks.h"

/*
 * Sections of checks.def. The mask says which parts of VMCS12 a section's rows
 * read: while none of them changed since the rows passed, they still hold,
 * because L2 itself can only bring about states that pass. ALWAYS is for rows
 * that depend on what no VMWRITE changes.
 */
#define ALWAYS	(~0u)
#define SECTIONS(S) \
	S(EXEC,		"27.2.1.1", DIRTY12_CTL | DIRTY12_CR | DIRTY12_BITMAPS | DIRTY12_PAGES | DIRTY12_EPT | DIRTY12_TSC) \
	S(EXEC_MEMORY,	"27.2.1.1", ALWAYS) \
	S(EXIT,		"27.2.1.2", DIRTY12_MODE_ONLY | DIRTY12_LISTS) \
	S(ENTRY,	"27.2.1.3", DIRTY12_MODE_ONLY | DIRTY12_LISTS) \
	S(EVENT,	"27.2.1.3", ALWAYS) \
	S(HOST,		"27.2.2-4", DIRTY12_MODE_ONLY | DIRTY12_HOST) \
	S(HOST_MODE,	"27.2.4",   ALWAYS) \
	S(GUEST_CR,	"27.3.1.1", DIRTY12_MODE_ONLY | DIRTY12_CR | DIRTY12_COND) \
	S(GUEST_RARE,	"27.3.1.1, 27.3.1.3", DIRTY12_RARE) \
	S(GUEST_SEG,	"27.3.1.2", DIRTY12_MODE_ONLY | DIRTY12_CR | DIRTY12_RARE) \
	S(GUEST_RIP,	"27.3.1.4", ALWAYS) \
	S(GUEST_STATE,	"27.3.1.5", ALWAYS) \
	S(GUEST_DEBUG,	"27.3.1.5", ALWAYS) \
	S(LINK,		"27.3.1.5", ALWAYS) \
	S(PDPTE,	"27.3.1.6", ALWAYS)

enum section {
#define S(name, sdm, mask) SECTION_##name,
	SECTIONS(S)
#undef S
};

static const u32 section_mask[] = {
#define S(name, sdm, mask) [SECTION_##name] = mask,
	SECTIONS(S)
#undef S
};

static const char *const section_sdm[] = {
#define S(name, sdm, mask) [SECTION_##name] = sdm,
	SECTIONS(S)
#undef S
};

/* The words of checks.def. */
#define PIN(bit)	(!!(v->pin_based_vm_exec_control & PIN_BASED_##bit))
#define CPU(bit)	(!!(v->cpu_based_vm_exec_control & CPU_BASED_##bit))
#define SEC(bit)	(!!(secondary(v) & SECONDARY_EXEC_##bit))
#define SEC_VE		(!!(secondary(v) & VMCS_CONTROL_BIT(EPT_VIOLATION_VE)))
#define EXIT(bit)	(!!(v->vm_exit_controls & VM_EXIT_##bit))
#define ENTRY(bit)	(!!(v->vm_entry_controls & VM_ENTRY_##bit))
#define EPTP_SWITCHING	(SEC(ENABLE_VMFUNC) && (v->vm_function_control & VMX_VMFUNC_EPTP_SWITCHING))

#define GPA_OK(gpa)	(!((gpa) >> c->maxphyaddr))
#define PAGE_OK(gpa)	(GPA_OK(gpa) && !((gpa) & 0xfff))
#define CANONICAL(la)	check_canonical(la, c->la57)

#define INJECTS		(v->vm_entry_intr_info_field & INTR_INFO_VALID_MASK)
#define INJ_TYPE	(v->vm_entry_intr_info_field & INTR_INFO_INTR_TYPE_MASK)
#define INJ_VECTOR	(v->vm_entry_intr_info_field & INTR_INFO_VECTOR_MASK)
#define INJ_HAS_ERROR	(!!(v->vm_entry_intr_info_field & INTR_INFO_DELIVER_CODE_MASK))
#define INJ_IS_SOFT	(INJ_TYPE == INTR_TYPE_SOFT_INTR || INJ_TYPE == INTR_TYPE_PRIV_SW_EXCEPTION || \
			 INJ_TYPE == INTR_TYPE_SOFT_EXCEPTION)

#define V8086		(v->guest_rflags & X86_EFLAGS_VM)
#define USABLE(seg)	(!(v->guest_##seg##_ar_bytes & VMX_AR_UNUSABLE_MASK))
#define AR_TYPE(seg)	(v->guest_##seg##_ar_bytes & VMX_AR_TYPE_MASK)
#define DPL(seg)	VMX_AR_DPL(v->guest_##seg##_ar_bytes)
#define RPL(seg)	(v->guest_##seg##_selector & 3)
#define SEL_TI		4
#define SEL_RPL_TI	7
#define AR_V8086	0xf3
#define AR_RESERVED	(GENMASK(31, 17) | GENMASK(11, 8))
#define CODE_64		(ENTRY(IA32E_MODE) && (v->guest_cs_ar_bytes & VMX_AR_L_MASK))
#define RFLAGS_RESERVED	(GENMASK_ULL(63, 22) | BIT_ULL(15) | BIT_ULL(5) | BIT_ULL(3))

#define BLOCKED(how)	(v->guest_interruptibility_info & GUEST_INTR_STATE_##how)
#define BLOCKS_ONE_INSN	(v->guest_interruptibility_info & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS))
#define INTERRUPTIBILITY_RESERVED GENMASK(31, 4)	/* no SGX: bit 4 is reserved too */

/* Pending debug exceptions (SDM 3C table 25-4). */
#define PENDING_DBG_ENABLED_BP	BIT_ULL(12)
#define PENDING_DBG_BS		BIT_ULL(14)
#define PENDING_DBG_IN_RTM	BIT_ULL(16)
#define PENDING_DBG_RESERVED	(GENMASK_ULL(63, 17) | BIT_ULL(15) | BIT_ULL(13) | GENMASK_ULL(11, 4))
#define PENDING_DBG_MATTERS	(BLOCKS_ONE_INSN || v->guest_activity_state == GUEST_ACTIVITY_HLT)
#define SINGLE_STEPS		((v->guest_rflags & X86_EFLAGS_TF) && !(v->guest_ia32_debugctl & DEBUGCTLMSR_BTF))

#define PAE_PAGING	((v->guest_cr0 & X86_CR0_PG) && (v->guest_cr4 & X86_CR4_PAE) && !ENTRY(IA32E_MODE))
#define VMX_BASIC_NO_HW_ERROR_CODE BIT_ULL(56)	/* error codes are free (SDM 3D A.1) */

#define VTPR_OFFSET	0x80

static inline u32 secondary(const struct vmcs12 *v)
{
	return CPU(ACTIVATE_SECONDARY_CONTROLS) ? v->secondary_vm_exec_control : 0;
}

/**
 * check_canonical() - whether a linear address is canonical (SDM 1, 3.3.7.1)
 * @la: the address
 * @la57: addresses have 57 bits, not 48
 */
bool check_canonical(u64 la, bool la57)
{
	int shift = la57 ? 64 - 57 : 64 - 48;

	return (u64)((s64)(la << shift) >> shift) == la;
}

/**
 * check_eptp() - whether a VM entry takes an EPT pointer (SDM 3C 27.2.1.1)
 * @caps: what L1 was offered
 * @maxphyaddr: L1's
 * @eptp: the pointer
 */
bool check_eptp(const struct vmx_caps *caps, u8 maxphyaddr, u64 eptp)
{
	u64 memtype = eptp & 7;

	if (!(memtype == 6 && (caps->ept_vpid & VMX_EPTP_WB_BIT)) &&
	    !(memtype == 0 && (caps->ept_vpid & VMX_EPTP_UC_BIT)))
		return false;
	if ((eptp & VMX_EPTP_PWL_MASK) != VMX_EPTP_PWL_4 || !(caps->ept_vpid & VMX_EPT_PAGE_WALK_4_BIT))
		return false;
	if ((eptp & VMX_EPTP_AD_ENABLE_BIT) && !(caps->ept_vpid & VMX_EPT_AD_BIT))
		return false;
	return !(eptp & GENMASK(11, 7)) && !(eptp >> maxphyaddr);
}

static bool fixed_ok(u64 val, u64 fixed0, u64 fixed1)
{
	return (val & fixed0) == fixed0 && !(val & ~fixed1);
}

/* A list of 16-byte entries: aligned, and its last byte within the physical-address width. */
static bool list_ok(const struct check_ctx *c, u64 gpa, u32 count)
{
	return !(gpa & 0xf) && GPA_OK(gpa) && GPA_OK(gpa + 16ULL * count - 1);
}

/* Memory types of IA32_PAT (SDM 3A table 12-10): 0, 1, 4, 5, 6 or 7 in each byte. */
static bool pat_ok(u64 pat)
{
	/* Bits 7:3 clear, and bit 1 only together with bit 2. */
	return !(pat & 0xf8f8f8f8f8f8f8f8ULL) && !((pat & 0x0202020202020202ULL) & ~((pat >> 1) & 0x0202020202020202ULL));
}

/* Bits 3:0 of the TPR threshold are not above bits 7:4 of VTPR. A page that is not memory reads as ones. */
static bool tpr_threshold_ok(const struct check_ctx *c)
{
	u8 vtpr;

	if (c->read(c->arg, c->v->virtual_apic_page_addr + VTPR_OFFSET, &vtpr, sizeof(vtpr)))
		vtpr = 0xff;
	return (c->v->tpr_threshold & 0xf) <= vtpr >> 4;
}

/* With an unrestricted guest, and only then, L2 may be in real mode, where no exception has an error code. */
static bool event_in_protected_mode(const struct check_ctx *c)
{
	const struct vmcs12 *v = c->v;

	return !SEC(UNRESTRICTED_GUEST) || (v->guest_cr0 & X86_CR0_PE);
}

static bool event_needs_error(const struct check_ctx *c)
{
	const u32 with_error = BIT(X86_TRAP_DF) | BIT(X86_TRAP_TS) | BIT(X86_TRAP_NP) | BIT(X86_TRAP_SS) |
			       BIT(X86_TRAP_GP) | BIT(X86_TRAP_PF) | BIT(X86_TRAP_AC);
	const struct vmcs12 *v = c->v;

	return INJ_TYPE == INTR_TYPE_HARD_EXCEPTION && event_in_protected_mode(c) &&
	       INJ_VECTOR <= 31 && (with_error & BIT(INJ_VECTOR));
}

static bool guest_cr0_ok(const struct check_ctx *c)
{
	const struct vmcs12 *v = c->v;
	u64 must = c->caps->cr0_fixed0;

	if (SEC(UNRESTRICTED_GUEST))
		must &= ~(u64)(X86_CR0_PE | X86_CR0_PG);
	return fixed_ok(v->guest_cr0, must, c->caps->cr0_fixed1);
}

static bool cs_type_ok(const struct check_ctx *c)
{
	const struct vmcs12 *v = c->v;
	u32 type = AR_TYPE(cs);

	return (type & 9) == 9 || (type == 3 && SEC(UNRESTRICTED_GUEST));
}

/* Accessed, and readable where it is code. */
static bool data_type_ok(u32 ar)
{
	return (ar & VMX_AR_TYPE_ACCESSES_MASK) &&
	       (!(ar & VMX_AR_TYPE_CODE_MASK) || (ar & VMX_AR_TYPE_READABLE_MASK));
}

static bool cs_dpl_ok(const struct check_ctx *c)
{
	const struct vmcs12 *v = c->v;

	switch (AR_TYPE(cs)) {
	case 3:
		return DPL(cs) == 0;
	case 9:
	case 11:
		return DPL(cs) == DPL(ss);
	default:	/* 13, 15: conforming; other types have failed before */
		return DPL(cs) <= DPL(ss);
	}
}

static bool granularity_ok(u32 ar, u32 limit)
{
	if (ar & VMX_AR_G_MASK)
		return (limit & 0xfff) == 0xfff;
	return !(limit & GENMASK(31, 20));
}

static bool activity_supported(const struct check_ctx *c)
{
	switch (c->v->guest_activity_state) {
	case GUEST_ACTIVITY_ACTIVE:
		return true;
	case GUEST_ACTIVITY_HLT:
		return c->caps->misc & BIT_ULL(6);
	case GUEST_ACTIVITY_SHUTDOWN:
		return c->caps->misc & BIT_ULL(7);
	case GUEST_ACTIVITY_WAIT_SIPI:
		return c->caps->misc & BIT_ULL(8);
	default:
		return false;
	}
}

/*
 * With N-bit linear addresses, bits 63:N of RIP are identical. That is less
 * than canonical: bit N - 1 may differ, and then the fetch faults.
 */
static bool rip_ok(const struct check_ctx *c)
{
	s64 high = (s64)c->v->guest_rip >> (c->la57 ? 57 : 48);

	return high == 0 || high == -1;
}

/* Which injected events each activity state takes. */
static bool activity_takes_event(const struct check_ctx *c)
{
	const struct vmcs12 *v = c->v;
	bool machine_check = INJ_TYPE == INTR_TYPE_HARD_EXCEPTION && INJ_VECTOR == X86_TRAP_MC;
	bool debug = INJ_TYPE == INTR_TYPE_HARD_EXCEPTION && INJ_VECTOR == X86_TRAP_DB;

	switch (v->guest_activity_state) {
	case GUEST_ACTIVITY_ACTIVE:
		return true;
	case GUEST_ACTIVITY_HLT:
		return INJ_TYPE == INTR_TYPE_EXT_INTR || INJ_TYPE == INTR_TYPE_NMI_INTR ||
		       INJ_TYPE == INTR_TYPE_OTHER_EVENT || machine_check || debug;
	case GUEST_ACTIVITY_SHUTDOWN:
		return INJ_TYPE == INTR_TYPE_NMI_INTR || machine_check;
	default:
		return false;
	}
}

/* The VMCS it points to: our revision, and a shadow VMCS exactly with VMCS shadowing. */
static bool link_revision_ok(const struct check_ctx *c)
{
	const struct vmcs12 *v = c->v;
	u32 rev;

	if (c->read(c->arg, v->vmcs_link_pointer, &rev, sizeof(rev)))
		return false;
	return rev == (VMCS12_REVISION | (SEC(SHADOW_VMCS) ? VMCS12_SHADOW_BIT : 0));
}

/* A present PDPTE has no reserved bits set (SDM 3A table 4-8). */
static bool pdpte_ok(const struct check_ctx *c, u64 pdpte)
{
	return !(pdpte & 1) || (!(pdpte & 0x1e6) && GPA_OK(pdpte));
}

static bool memory_pdptes_ok(const struct check_ctx *c)
{
	u64 pdpte[4];

	if (c->read(c->arg, c->v->guest_cr3 & ~0x1fULL, pdpte, sizeof(pdpte)))
		return false;
	return pdpte_ok(c, pdpte[0]) && pdpte_ok(c, pdpte[1]) && pdpte_ok(c, pdpte[2]) && pdpte_ok(c, pdpte[3]);
}

/*
 * All of checks.def, of which a constant @section leaves its own rows. That
 * makes one straight run of compares a section, without calls through a table.
 */
static __always_inline enum check_id run(const struct check_ctx *c, enum section section)
{
	const struct vmcs12 *v = c->v;

#define CHECK(_section, id, when, ok) \
	if (section == SECTION_##_section && (when) && !(ok)) \
		return CHECK_##id;
#include "nested/checks.def"
	return CHECK_OK;
}

#define RUN(c, name) \
	do { \
		enum check_id failed = CHECK_OK; \
		\
		if ((c)->dirty & section_mask[SECTION_##name] || section_mask[SECTION_##name] == ALWAYS) \
			failed = run(c, SECTION_##name); \
		if (unlikely(failed)) \
			return failed; \
	} while (0)

/**
 * checks_controls() - check VMCS12's control fields (SDM 3C 27.2.1)
 * @c: the context
 *
 * Return: CHECK_OK or the first row that failed; VMfailValid 7 then.
 */
enum check_id checks_controls(const struct check_ctx *c)
{
	RUN(c, EXEC);
	RUN(c, EXEC_MEMORY);
	RUN(c, EXIT);
	RUN(c, ENTRY);
	RUN(c, EVENT);
	return CHECK_OK;
}

/**
 * checks_host() - check VMCS12's host state (SDM 3C 27.2.2 to 27.2.4)
 * @c: the context
 *
 * Return: CHECK_OK or the first row that failed; VMfailValid 8 then.
 */
enum check_id checks_host(const struct check_ctx *c)
{
	RUN(c, HOST);
	RUN(c, HOST_MODE);
	return CHECK_OK;
}

/**
 * checks_need_rare() - whether checks_guest() will look at SYNC_RARE state
 * @c: the context
 *
 * Rows of sections that always run look at access rights of CS and SS, which
 * are read back at each exit, and at the pending debug exceptions, which
 * matter in few states.
 */
bool checks_need_rare(const struct check_ctx *c)
{
	const struct vmcs12 *v = c->v;

	return (c->dirty & (section_mask[SECTION_GUEST_SEG] | section_mask[SECTION_GUEST_RARE])) || PENDING_DBG_MATTERS;
}

static enum check_id guest_state(const struct check_ctx *c)
{
	RUN(c, GUEST_CR);
	RUN(c, GUEST_SEG);
	RUN(c, GUEST_RARE);
	RUN(c, GUEST_RIP);
	RUN(c, GUEST_STATE);
	RUN(c, GUEST_DEBUG);
	return CHECK_OK;
}

static enum check_id link_pointer(const struct check_ctx *c)
{
	RUN(c, LINK);
	return CHECK_OK;
}

static enum check_id pdptes(const struct check_ctx *c)
{
	RUN(c, PDPTE);
	return CHECK_OK;
}

/**
 * checks_guest() - check VMCS12's guest state (SDM 3C 27.3.1)
 * @c: the context
 * @qual: exit qualification when a check fails (SDM 3C 27.8)
 *
 * Return: CHECK_OK or the first row that failed; exit reason 33 then.
 */
enum check_id checks_guest(const struct check_ctx *c, u64 *qual)
{
	enum check_id failed;

	*qual = ENTRY_FAIL_DEFAULT;
	failed = guest_state(c);
	if (failed)
		return failed;
	*qual = ENTRY_FAIL_VMCS_LINK_PTR;
	failed = link_pointer(c);
	if (failed)
		return failed;
	*qual = ENTRY_FAIL_PDPTE;
	return pdptes(c);
}

static const struct check_row {
	const char *name;
	const char *text;
	enum section section;
} check_rows[NR_CHECKS] = {
	[CHECK_OK] = { "OK", "", SECTION_EXEC },
#define CHECK(_section, id, when, ok) [CHECK_##id] = { #id, #ok, SECTION_##_section },
#include "nested/checks.def"
};

const char *check_name(enum check_id id)
{
	return id < NR_CHECKS ? check_rows[id].name : "?";
}

const char *check_text(enum check_id id)
{
	return id < NR_CHECKS ? check_rows[id].text : "?";
}

const char *check_section(enum check_id id)
{
	return id < NR_CHECKS ? section_sdm[check_rows[id].section] : "?";
}

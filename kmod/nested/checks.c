// SPDX-License-Identifier: GPL-2.0
/* VM-entry checks on VMCS12: expands checks.def into code, section by section. Pure. SDM 3C 27.2, 27.3. */
#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>
#include <asm/vmx.h>

#include "emul/arch.h"
#include "mem/types.h"
#include "vmx/types.h"
#include "nested/checks.h"

/*
 * Sections of checks.def. The mask names the parts of VMCS12 that a section's
 * rows read. Rows that passed once still pass while L1 has changed none of
 * these parts, because L2 itself can reach only states that pass. ALWAYS is
 * for rows that depend on something that changes without a VMWRITE.
 */
#define ALWAYS	(~0u)
#define SECTIONS(S) \
	S(EXEC,		"27.2.1.1", DIRTY12_CTL | DIRTY12_CR | DIRTY12_BITMAPS | DIRTY12_PAGES | DIRTY12_EPT | \
				    DIRTY12_TSC) \
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

#define SEL_TI		4
#define SEL_RPL_TI	7
#define AR_V8086	0xf3
#define AR_RESERVED	(GENMASK(31, 17) | GENMASK(11, 8))
#define INTERRUPTIBILITY_RESERVED GENMASK(31, 4)	/* bit 4 is reserved too, because L1 has no SGX */

/* Pending debug exceptions (SDM 3C table 25-4). */
#define PENDING_DBG_RESERVED	(GENMASK_ULL(63, 17) | BIT_ULL(15) | BIT_ULL(13) | GENMASK_ULL(11, 4))

/* L1 may inject any exception with or without an error code (SDM 3D A.1). */
#define VMX_BASIC_NO_HW_ERROR_CODE BIT_ULL(56)

#define VTPR_OFFSET	0x80

/* --- predicates of checks.def: controls of VMCS12 --- */

static inline bool has_pin(const struct check_ctx *c, u32 bits)
{
	return c->v->pin_based_vm_exec_control & bits;
}

static inline bool has_proc(const struct check_ctx *c, u32 bits)
{
	return c->v->cpu_based_vm_exec_control & bits;
}

/* Secondary controls count as 0 while the primary ones do not activate them (SDM 3C 25.6.2). */
static inline bool has_proc2(const struct check_ctx *c, u32 bits)
{
	return has_proc(c, CPU_BASED_ACTIVATE_SECONDARY_CONTROLS) && (c->v->secondary_vm_exec_control & bits);
}

static inline bool has_exit(const struct check_ctx *c, u32 bits)
{
	return c->v->vm_exit_controls & bits;
}

static inline bool has_entry(const struct check_ctx *c, u32 bits)
{
	return c->v->vm_entry_controls & bits;
}

static inline bool has_eptp_switching(const struct check_ctx *c)
{
	return has_proc2(c, SECONDARY_EXEC_ENABLE_VMFUNC) && (c->v->vm_function_control & VMX_VMFUNC_EPTP_SWITCHING);
}

/* --- the event that VMCS12 injects --- */

static inline bool inj_valid(const struct check_ctx *c)
{
	return c->v->vm_entry_intr_info_field & INTR_INFO_VALID_MASK;
}

static inline u32 inj_type(const struct check_ctx *c)
{
	return c->v->vm_entry_intr_info_field & INTR_INFO_INTR_TYPE_MASK;
}

static inline u32 inj_vector(const struct check_ctx *c)
{
	return c->v->vm_entry_intr_info_field & INTR_INFO_VECTOR_MASK;
}

static inline bool inj_has_error(const struct check_ctx *c)
{
	return c->v->vm_entry_intr_info_field & INTR_INFO_DELIVER_CODE_MASK;
}

static inline bool inj_is_soft(const struct check_ctx *c)
{
	return inj_type(c) == INTR_TYPE_SOFT_INTR || inj_type(c) == INTR_TYPE_PRIV_SW_EXCEPTION ||
	       inj_type(c) == INTR_TYPE_SOFT_EXCEPTION;
}

/* --- segments --- */

static inline bool ar_usable(u32 ar)
{
	return !(ar & VMX_AR_UNUSABLE_MASK);
}

static inline u32 ar_type(u32 ar)
{
	return ar & VMX_AR_TYPE_MASK;
}

static inline u16 sel_rpl(u16 selector)
{
	return selector & 3;
}

/* --- the guest state that L2 starts with --- */

static inline bool guest_v8086(const struct check_ctx *c)
{
	return c->v->guest_rflags & X86_EFLAGS_VM;
}

static inline bool guest_code64(const struct check_ctx *c)
{
	return has_entry(c, VM_ENTRY_IA32E_MODE) && (c->v->guest_cs_ar_bytes & VMX_AR_L_MASK);
}

static inline bool guest_pae_paging(const struct check_ctx *c)
{
	return (c->v->guest_cr0 & X86_CR0_PG) && (c->v->guest_cr4 & X86_CR4_PAE) && !has_entry(c, VM_ENTRY_IA32E_MODE);
}

/* The bits of @bits that are set in the interruptibility state. */
static inline u32 guest_blocking(const struct check_ctx *c, u32 bits)
{
	return c->v->guest_interruptibility_info & bits;
}

static inline bool guest_single_steps(const struct check_ctx *c)
{
	return (c->v->guest_rflags & X86_EFLAGS_TF) && !(c->v->guest_ia32_debugctl & DEBUGCTLMSR_BTF);
}

/* In these states the BS bit of the pending debug exceptions must agree with single-stepping. */
static inline bool guest_pending_dbg_matters(const struct check_ctx *c)
{
	return guest_blocking(c, BLOCKING_ONE_INSN) || c->v->guest_activity_state == GUEST_ACTIVITY_HLT;
}

/* --- predicates on values --- */

/**
 * check_eptp() - whether a VM entry accepts an EPT pointer (SDM 3C 27.2.1.1)
 * @caps: the capabilities that L1 was offered
 * @maxphyaddr: width of L1's physical addresses
 * @eptp: the EPT pointer
 *
 * Context: Any.
 * Return: true if it does.
 */
bool check_eptp(const struct vmx_caps *caps, u8 maxphyaddr, u64 eptp)
{
	u64 memtype = eptp & 7;

	if (!(memtype == 6 && (caps->ept_vpid & VMX_EPTP_WB_BIT)) &&
	    !(memtype == 0 && (caps->ept_vpid & VMX_EPTP_UC_BIT)))
		return false;
	if (!((eptp & VMX_EPTP_PWL_MASK) == VMX_EPTP_PWL_4 && (caps->ept_vpid & VMX_EPT_PAGE_WALK_4_BIT)) &&
	    !((eptp & VMX_EPTP_PWL_MASK) == VMX_EPTP_PWL_5 && (caps->ept_vpid & VMX_EPT_PAGE_WALK_5_BIT)))
		return false;
	if ((eptp & VMX_EPTP_AD_ENABLE_BIT) && !(caps->ept_vpid & VMX_EPT_AD_BIT))
		return false;
	return !(eptp & GENMASK(11, 7)) && !(eptp >> maxphyaddr);
}

/* A physical address within L1's width. */
static inline bool check_gpa(const struct check_ctx *c, u64 gpa)
{
	return !(gpa >> c->maxphyaddr);
}

static inline bool check_page(const struct check_ctx *c, u64 gpa)
{
	return check_gpa(c, gpa) && !(gpa & 0xfff);
}

static inline bool check_linear(const struct check_ctx *c, u64 la)
{
	return arch_canonical(la, c->la57 ? 57 : 48);
}

/* A list of 16-byte entries is aligned, and its last byte is within the physical-address width. */
static bool check_list(const struct check_ctx *c, u64 gpa, u32 count)
{
	return !(gpa & 0xf) && check_gpa(c, gpa) && check_gpa(c, gpa + 16ULL * count - 1);
}

/* Memory types of IA32_PAT (SDM 3A table 12-10): 0, 1, 4, 5, 6 or 7 in each byte. */
static bool check_pat(u64 pat)
{
	/* Bits 7:3 are clear, and bit 1 is set only together with bit 2. */
	return !(pat & 0xf8f8f8f8f8f8f8f8ULL) &&
	       !((pat & 0x0202020202020202ULL) & ~((pat >> 1) & 0x0202020202020202ULL));
}

/* Bits 3:0 of the TPR threshold must not exceed bits 7:4 of VTPR. A virtual-APIC page without memory reads as ones. */
static bool check_tpr_threshold(const struct check_ctx *c)
{
	u8 vtpr;

	if (c->read(c->arg, c->v->virtual_apic_page_addr + VTPR_OFFSET, &vtpr, sizeof(vtpr)))
		vtpr = 0xff;
	return (c->v->tpr_threshold & 0xf) <= vtpr >> 4;
}

/* L2 can be in real mode, where exceptions have no error code, only with "unrestricted guest". */
static bool inj_in_protected_mode(const struct check_ctx *c)
{
	return !has_proc2(c, SECONDARY_EXEC_UNRESTRICTED_GUEST) || (c->v->guest_cr0 & X86_CR0_PE);
}

static bool inj_needs_error(const struct check_ctx *c)
{
	const u32 with_error = BIT(X86_TRAP_DF) | BIT(X86_TRAP_TS) | BIT(X86_TRAP_NP) | BIT(X86_TRAP_SS) |
			       BIT(X86_TRAP_GP) | BIT(X86_TRAP_PF) | BIT(X86_TRAP_AC);

	return inj_type(c) == INTR_TYPE_HARD_EXCEPTION && inj_in_protected_mode(c) &&
	       inj_vector(c) <= 31 && (with_error & BIT(inj_vector(c)));
}

static bool check_guest_cr0(const struct check_ctx *c)
{
	u64 must = c->caps->cr0_fixed0;

	if (has_proc2(c, SECONDARY_EXEC_UNRESTRICTED_GUEST))
		must &= ~(u64)(X86_CR0_PE | X86_CR0_PG);
	return vmx_fixed_bits_ok(c->v->guest_cr0, must, c->caps->cr0_fixed1);
}

static bool check_cs_type(const struct check_ctx *c)
{
	u32 type = ar_type(c->v->guest_cs_ar_bytes);

	return (type & 9) == 9 || (type == 3 && has_proc2(c, SECONDARY_EXEC_UNRESTRICTED_GUEST));
}

/* DS, ES, FS and GS are accessed, and readable if they are code segments. */
static bool check_data_type(u32 ar)
{
	return (ar & VMX_AR_TYPE_ACCESSES_MASK) &&
	       (!(ar & VMX_AR_TYPE_CODE_MASK) || (ar & VMX_AR_TYPE_READABLE_MASK));
}

static bool check_cs_dpl(const struct check_ctx *c)
{
	u32 cs_dpl = VMX_AR_DPL(c->v->guest_cs_ar_bytes), ss_dpl = VMX_AR_DPL(c->v->guest_ss_ar_bytes);

	switch (ar_type(c->v->guest_cs_ar_bytes)) {
	case 3:
		return cs_dpl == 0;
	case 9:
	case 11:
		return cs_dpl == ss_dpl;
	default:	/* 13, 15: conforming; CHECK_CS_TYPE refused all others */
		return cs_dpl <= ss_dpl;
	}
}

static bool check_granularity(u32 ar, u32 limit)
{
	if (ar & VMX_AR_G_MASK)
		return (limit & 0xfff) == 0xfff;
	return !(limit & GENMASK(31, 20));
}

static bool check_activity(const struct check_ctx *c)
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
 * With N-bit linear addresses, bits 63:N of RIP must be identical. A canonical
 * address has bit N - 1 identical too; here it may differ, and the fetch faults.
 */
static bool check_rip(const struct check_ctx *c)
{
	s64 high = (s64)c->v->guest_rip >> (c->la57 ? 57 : 48);

	return high == 0 || high == -1;
}

/* Whether the activity state allows the injected event. */
static bool check_activity_event(const struct check_ctx *c)
{
	bool machine_check = inj_type(c) == INTR_TYPE_HARD_EXCEPTION && inj_vector(c) == X86_TRAP_MC;
	bool debug = inj_type(c) == INTR_TYPE_HARD_EXCEPTION && inj_vector(c) == X86_TRAP_DB;

	switch (c->v->guest_activity_state) {
	case GUEST_ACTIVITY_ACTIVE:
		return true;
	case GUEST_ACTIVITY_HLT:
		return inj_type(c) == INTR_TYPE_EXT_INTR || inj_type(c) == INTR_TYPE_NMI_INTR ||
		       inj_type(c) == INTR_TYPE_OTHER_EVENT || machine_check || debug;
	case GUEST_ACTIVITY_SHUTDOWN:
		return inj_type(c) == INTR_TYPE_NMI_INTR || machine_check;
	default:
		return false;
	}
}

/* The VMCS behind the link pointer has Droste's revision, and is a shadow VMCS exactly when L1 uses VMCS shadowing. */
static bool check_link_revision(const struct check_ctx *c)
{
	u32 rev;

	if (c->read(c->arg, c->v->vmcs_link_pointer, &rev, sizeof(rev)))
		return false;
	return rev == (VMCS12_REVISION | (has_proc2(c, SECONDARY_EXEC_SHADOW_VMCS) ? VMCS12_SHADOW_BIT : 0));
}

/* A present PDPTE has no reserved bits set (SDM 3A table 4-8). */
static bool check_pdpte(const struct check_ctx *c, u64 pdpte)
{
	return arch_pdpte_ok(pdpte, c->maxphyaddr);
}

static bool check_memory_pdptes(const struct check_ctx *c)
{
	u64 pdpte[4];

	if (c->read(c->arg, c->v->guest_cr3 & ~0x1fULL, pdpte, sizeof(pdpte)))
		return false;
	return check_pdpte(c, pdpte[0]) && check_pdpte(c, pdpte[1]) &&
	       check_pdpte(c, pdpte[2]) && check_pdpte(c, pdpte[3]);
}

/*
 * Runs the rows of one section, if VMCS12 changed in a part that they depend
 * on. @section is constant, so that the compiler drops all other rows: each
 * section becomes one straight run of compares, without calls through a table.
 */
static __always_inline enum check_id checks_run(const struct check_ctx *c, enum section section)
{
	const struct vmcs12 *v = c->v;

	if (likely(section_mask[section] != ALWAYS && !(c->dirty & section_mask[section])))
		return CHECK_OK;
#define CHECK(_section, id, when, ok, words) \
	if (section == SECTION_##_section && (when) && !(ok)) \
		return CHECK_##id;
#include "nested/checks.def"
	return CHECK_OK;
}

/**
 * checks_controls() - check VMCS12's control fields (SDM 3C 27.2.1)
 * @c: the context
 *
 * Context: Any, if @c->read may be called.
 * Return: CHECK_OK, or the first row that failed; the instruction then fails
 * with VMfailValid 7.
 */
enum check_id checks_controls(const struct check_ctx *c)
{
	return checks_run(c, SECTION_EXEC) ?: checks_run(c, SECTION_EXEC_MEMORY) ?: checks_run(c, SECTION_EXIT) ?:
	       checks_run(c, SECTION_ENTRY) ?: checks_run(c, SECTION_EVENT);
}

/**
 * checks_host() - check VMCS12's host state (SDM 3C 27.2.2 to 27.2.4)
 * @c: the context
 *
 * Context: Any.
 * Return: CHECK_OK, or the first row that failed; the instruction then fails
 * with VMfailValid 8.
 */
enum check_id checks_host(const struct check_ctx *c)
{
	return checks_run(c, SECTION_HOST) ?: checks_run(c, SECTION_HOST_MODE);
}

/**
 * checks_need_rare() - whether checks_guest() will read SYNC_RARE state
 * @c: the context
 *
 * Two kinds of fields written together with SYNC_RARE state are read by rows
 * that always run. The access rights of CS and SS are read back at each exit.
 * The pending debug exceptions matter in few states only.
 *
 * Context: Any.
 * Return: true if the caller must call nested_sync_rare() first.
 */
bool checks_need_rare(const struct check_ctx *c)
{
	return (c->dirty & (section_mask[SECTION_GUEST_SEG] | section_mask[SECTION_GUEST_RARE])) ||
	       guest_pending_dbg_matters(c);
}

static enum check_id checks_guest_state(const struct check_ctx *c)
{
	return checks_run(c, SECTION_GUEST_CR) ?: checks_run(c, SECTION_GUEST_SEG) ?:
	       checks_run(c, SECTION_GUEST_RARE) ?: checks_run(c, SECTION_GUEST_RIP) ?:
	       checks_run(c, SECTION_GUEST_STATE) ?: checks_run(c, SECTION_GUEST_DEBUG);
}

/**
 * checks_guest() - check VMCS12's guest state (SDM 3C 27.3.1)
 * @c: the context; SYNC_RARE state is up to date if checks_need_rare() said so
 * @qual: exit qualification when a check fails (SDM 3C 27.8)
 *
 * Context: Any, if @c->read may be called.
 * Return: CHECK_OK, or the first row that failed; the VM entry then fails with
 * exit reason 33.
 */
enum check_id checks_guest(const struct check_ctx *c, u64 *qual)
{
	enum check_id failed;

	*qual = ENTRY_FAIL_DEFAULT;
	failed = checks_guest_state(c);
	if (failed)
		return failed;
	*qual = ENTRY_FAIL_VMCS_LINK_PTR;
	failed = checks_run(c, SECTION_LINK);
	if (failed)
		return failed;
	*qual = ENTRY_FAIL_PDPTE;
	return checks_run(c, SECTION_PDPTE);
}

/**
 * checks_all() - evaluate every row, for an explanation after one has failed
 * @c: the context; all of @c->v is up to date, and @c->dirty is ignored
 * @failing: bitmap of CHECK_WORDS words: the rows that apply and do not hold
 * @applies: bitmap of CHECK_WORDS words: the rows that apply
 *
 * A VM entry stops at the first row that fails. Here rows may follow whose
 * values make no sense because of an earlier row, so each row must be safe
 * with any VMCS12.
 *
 * Context: Any, if @c->read may be called.
 */
void checks_all(const struct check_ctx *c, unsigned long *failing, unsigned long *applies)
{
	const struct vmcs12 *v = c->v;

	memset(failing, 0, CHECK_WORDS * sizeof(*failing));
	memset(applies, 0, CHECK_WORDS * sizeof(*applies));
#define CHECK(section, id, when, ok, words) \
	if (when) { \
		__set_bit(CHECK_##id, applies); \
		if (!(ok)) \
			__set_bit(CHECK_##id, failing); \
	}
#include "nested/checks.def"
}

static const struct check_row {
	const char *name;
	const char *text[2];	/* by enum check_part */
	enum section section;
} check_rows[NR_CHECKS] = {
	[CHECK_OK] = { "OK", { "", "" }, SECTION_EXEC },
#define CHECK(_section, id, when, ok, words) [CHECK_##id] = { #id, { #when, #ok }, SECTION_##_section },
#include "nested/checks.def"
};

/**
 * check_name() - the name of a row, as in checks.def
 * @id: the row
 *
 * Context: Any.
 * Return: a constant string, "?" for a number that is no row.
 */
const char *check_name(enum check_id id)
{
	return id < NR_CHECKS ? check_rows[id].name : "?";
}

/**
 * check_text() - the source text of one of a row's conditions
 * @id: the row
 * @part: the condition
 *
 * Context: Any.
 * Return: a constant string, "?" for a number that is no row.
 */
const char *check_text(enum check_id id, enum check_part part)
{
	return id < NR_CHECKS ? check_rows[id].text[part] : "?";
}

/**
 * check_section() - the SDM's section that a row comes from
 * @id: the row
 *
 * Context: Any.
 * Return: a constant string, "?" for a number that is no row.
 */
const char *check_section(enum check_id id)
{
	return id < NR_CHECKS ? section_sdm[check_rows[id].section] : "?";
}

// SPDX-License-Identifier: GPL-2.0
/* VM-entry checks: states that pass, and for each row of checks.def a state that fails this row and none before it. */
#include <kunit/test.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "mem/types.h"
#include "vmx/types.h"
#include "nested/checks.h"
#include "test/checks_states.h"

#define ALLOW_ALL	0xffffffff00000000ULL	/* control capability: no bit fixed to 1, all allowed to be 1 */
#define L1_EFER		(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX)
#define NONCANONICAL	0x0000800000000000ULL
#define TOO_HIGH	BIT_ULL(40)		/* above the physical-address width of base_state() */

#define MEM_VAPIC	0x10000ULL
#define MEM_LINK	0x11000ULL
#define MEM_PDPT	0x12000ULL
#define MEM_NONE	0x7f000ULL

static int read_mem(void *arg, u64 gpa, void *data, u32 len)
{
	const struct mem *mem = arg;

	if (gpa == MEM_VAPIC + 0x80 && len == sizeof(mem->vtpr))
		memcpy(data, &mem->vtpr, len);
	else if (gpa == MEM_LINK && len == sizeof(mem->link_revision))
		memcpy(data, &mem->link_revision, len);
	else if (gpa == MEM_PDPT && len == sizeof(mem->pdpte))
		memcpy(data, mem->pdpte, len);
	else
		return -EFAULT;
	return 0;
}

static void base_caps(struct vmx_caps *caps)
{
	*caps = (struct vmx_caps) {
		.true_pin = ALLOW_ALL,
		.true_proc = ALLOW_ALL,
		.true_exit = ALLOW_ALL,
		.true_entry = ALLOW_ALL,
		.proc2 = ALLOW_ALL,
		.misc = 4 << 16 | BIT(6) | BIT(8),	/* 4 CR3 targets; HLT and wait-for-SIPI, not shutdown */
		.cr0_fixed0 = X86_CR0_PE | X86_CR0_NE | X86_CR0_PG,
		.cr0_fixed1 = 0xffffffff,
		.cr4_fixed0 = X86_CR4_VMXE,
		.cr4_fixed1 = X86_CR4_VMXE | X86_CR4_PAE | X86_CR4_PCIDE | X86_CR4_PGE | X86_CR4_PSE,
		.ept_vpid = VMX_EPT_PAGE_WALK_4_BIT | VMX_EPTP_WB_BIT,
		.vmfunc = 1,
	};
}

/* A 64-bit L1, and a 64-bit L2 with paging, EPT and VPID. */
static void base_vmcs12(struct vmcs12 *v)
{
	*v = (struct vmcs12) {
		.pin_based_vm_exec_control = PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING | PIN_BASED_VIRTUAL_NMIS,
		.cpu_based_vm_exec_control = CPU_BASED_HLT_EXITING | CPU_BASED_ACTIVATE_SECONDARY_CONTROLS,
		.secondary_vm_exec_control = SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_ENABLE_VPID,
		.virtual_processor_id = 1,
		.ept_pointer = 0x5000 | 3 << 3 | 6,
		.vm_exit_controls = VM_EXIT_HOST_ADDR_SPACE_SIZE | VM_EXIT_LOAD_IA32_PAT | VM_EXIT_LOAD_IA32_EFER,
		.vm_entry_controls = VM_ENTRY_IA32E_MODE | VM_ENTRY_LOAD_IA32_PAT | VM_ENTRY_LOAD_IA32_EFER |
				     VM_ENTRY_LOAD_DEBUG_CONTROLS,
		.host_cr0 = X86_CR0_PE | X86_CR0_NE | X86_CR0_PG,
		.host_cr3 = 0x1000,
		.host_cr4 = X86_CR4_VMXE | X86_CR4_PAE,
		.host_ia32_pat = 0x0007040600070406ULL,
		.host_ia32_efer = L1_EFER,
		.host_cs_selector = 0x10,
		.host_ss_selector = 0x18,
		.host_tr_selector = 0x40,
		.host_rip = 0xffffffff81000000ULL,
		.guest_cr0 = X86_CR0_PE | X86_CR0_NE | X86_CR0_PG,
		.guest_cr3 = 0x2000,
		.guest_cr4 = X86_CR4_VMXE | X86_CR4_PAE,
		.guest_dr7 = 0x400,
		.guest_ia32_pat = 0x0007040600070406ULL,
		.guest_ia32_efer = L1_EFER,
		.guest_cs_selector = 0x10,
		.guest_ss_selector = 0x18,
		.guest_tr_selector = 0x40,
		.guest_cs_ar_bytes = 0xa09b,
		.guest_ss_ar_bytes = 0xc093,
		.guest_ds_ar_bytes = 0xc093,
		.guest_es_ar_bytes = 0xc093,
		.guest_fs_ar_bytes = 0xc093,
		.guest_gs_ar_bytes = 0xc093,
		.guest_tr_ar_bytes = 0x8b,
		.guest_ldtr_ar_bytes = 0x82,
		.guest_cs_limit = 0xffffffff,
		.guest_ss_limit = 0xffffffff,
		.guest_ds_limit = 0xffffffff,
		.guest_es_limit = 0xffffffff,
		.guest_fs_limit = 0xffffffff,
		.guest_gs_limit = 0xffffffff,
		.guest_tr_limit = 0x67,
		.guest_ldtr_limit = 0xffff,
		.guest_gdtr_limit = 0xffff,
		.guest_idtr_limit = 0xffff,
		.guest_rip = 0xffffffff81000000ULL,
		.guest_rflags = X86_EFLAGS_FIXED,
		.vmcs_link_pointer = ~0ULL,
	};
}

static void base_state(struct state *s)
{
	base_caps(&s->caps);
	base_vmcs12(&s->v);
	s->mem = (struct mem) { .link_revision = VMCS12_REVISION };
	s->c = (struct check_ctx) {
		.v = &s->v,
		.caps = &s->caps,
		.vmptr = 0x4000,
		.efer_allowed = L1_EFER,
		.debugctl_allowed = 3,
		.perf_global_allowed = 3,
		.dirty = DIRTY12_ALL,
		.maxphyaddr = 40,
		.l1_lma = true,
		.read = read_mem,
		.arg = &s->mem,
	};
}

/* --- other states that pass --- */

/* An L2 in 32-bit protected mode without PAE paging. */
static void to_32bit(struct vmcs12 *v)
{
	v->vm_entry_controls &= ~VM_ENTRY_IA32E_MODE;
	v->guest_ia32_efer = 0;
	v->guest_cr4 &= ~X86_CR4_PAE;
	v->guest_rip = 0x1000;
	v->guest_cs_ar_bytes = 0xc09b;
}

static void to_pae(struct vmcs12 *v)
{
	to_32bit(v);
	v->guest_cr4 |= X86_CR4_PAE;
	v->guest_cr3 = MEM_PDPT;
}

#define SEG_V8086(v, seg) \
	do { \
		(v)->guest_##seg##_selector = 0x1000; \
		(v)->guest_##seg##_base = 0x10000; \
		(v)->guest_##seg##_limit = 0xffff; \
		(v)->guest_##seg##_ar_bytes = 0xf3; \
	} while (0)

static void to_v8086(struct vmcs12 *v)
{
	to_32bit(v);
	v->guest_rflags |= X86_EFLAGS_VM;
	SEG_V8086(v, cs);
	SEG_V8086(v, ss);
	SEG_V8086(v, ds);
	SEG_V8086(v, es);
	SEG_V8086(v, fs);
	SEG_V8086(v, gs);
}

/* An unrestricted guest in real mode. */
static void to_real(struct vmcs12 *v)
{
	to_32bit(v);
	v->secondary_vm_exec_control |= SECONDARY_EXEC_UNRESTRICTED_GUEST;
	v->guest_cr0 = X86_CR0_NE;
	v->guest_cs_ar_bytes = 0x93;
	v->guest_cs_limit = 0xffff;
}

/* A 32-bit L1 and L2. */
static void to_32bit_host(struct state *s)
{
	to_32bit(&s->v);
	s->c.l1_lma = false;
	s->v.vm_exit_controls &= ~VM_EXIT_HOST_ADDR_SPACE_SIZE;
	s->v.host_ia32_efer = 0;
	s->v.host_rip = 0xc0000000;
}

static void inject_event(struct vmcs12 *v, u32 type, u32 vector)
{
	v->vm_entry_intr_info_field = INTR_INFO_VALID_MASK | type | vector;
}

static void secondary(struct vmcs12 *v, u32 bits)
{
	v->secondary_vm_exec_control |= bits;
}

static void with_tpr_shadow(struct vmcs12 *v)
{
	v->cpu_based_vm_exec_control |= CPU_BASED_TPR_SHADOW;
	v->virtual_apic_page_addr = MEM_VAPIC;
}

static void with_vid(struct vmcs12 *v)
{
	with_tpr_shadow(v);
	secondary(v, SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY);
}

static void with_posted(struct vmcs12 *v)
{
	with_vid(v);
	v->pin_based_vm_exec_control |= PIN_BASED_POSTED_INTR;
	v->vm_exit_controls |= VM_EXIT_ACK_INTR_ON_EXIT;
	v->posted_intr_desc_addr = 0x6040;
}

static void with_eptp_switching(struct vmcs12 *v)
{
	secondary(v, SECONDARY_EXEC_ENABLE_VMFUNC);
	v->vm_function_control = 1;
}

static enum check_id verdict(const struct state *s, u64 *qual)
{
	enum check_id id = checks_controls(&s->c);

	*qual = 0;
	if (!id)
		id = checks_host(&s->c);
	if (!id)
		id = checks_guest(&s->c, qual);
	return id;
}

/* --- one way to fail each row; a row without one does not compile --- */

#define FAILS(id) static void fail_##id(struct state *s, struct vmcs12 *v)
#define FAIL(id, statement) FAILS(id) { statement; }

FAIL(PIN_CONTROLS, s->caps.true_pin |= BIT(1))
FAIL(CPU_CONTROLS, s->caps.true_proc &= ~((u64)CPU_BASED_HLT_EXITING << 32))
FAIL(SECONDARY_CONTROLS, s->caps.proc2 &= ~((u64)SECONDARY_EXEC_ENABLE_VPID << 32))
FAIL(CR3_TARGET_COUNT, v->cr3_target_count = 5)
FAILS(IO_BITMAP_A) { v->cpu_based_vm_exec_control |= CPU_BASED_USE_IO_BITMAPS; v->io_bitmap_a = 0x1800; }
FAILS(IO_BITMAP_B) { v->cpu_based_vm_exec_control |= CPU_BASED_USE_IO_BITMAPS; v->io_bitmap_b = TOO_HIGH; }
FAILS(MSR_BITMAP) { v->cpu_based_vm_exec_control |= CPU_BASED_USE_MSR_BITMAPS; v->msr_bitmap = 1; }
FAILS(VIRTUAL_APIC_ADDR) { with_tpr_shadow(v); v->virtual_apic_page_addr = 8; }
FAILS(TPR_THRESHOLD_RESERVED) { with_tpr_shadow(v); v->tpr_threshold = 0x10; }
FAIL(VNMI_NEEDS_NMI_EXITING, v->pin_based_vm_exec_control &= ~PIN_BASED_NMI_EXITING)
FAILS(NMI_WINDOW_NEEDS_VNMI)
{
	v->pin_based_vm_exec_control &= ~PIN_BASED_VIRTUAL_NMIS;
	v->cpu_based_vm_exec_control |= CPU_BASED_NMI_WINDOW_EXITING;
}
FAILS(APIC_ACCESS_ADDR) { secondary(v, SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES); v->apic_access_addr = TOO_HIGH; }
FAIL(X2APIC_NEEDS_TPR_SHADOW, secondary(v, SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE))
FAIL(APIC_REG_NEEDS_TPR_SHADOW, secondary(v, SECONDARY_EXEC_APIC_REGISTER_VIRT))
FAIL(VID_NEEDS_TPR_SHADOW, secondary(v, SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY))
FAILS(X2APIC_EXCLUDES_APIC_ACCESSES)
{
	with_tpr_shadow(v);
	secondary(v, SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE | SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES);
}
FAILS(VID_NEEDS_EXTINT_EXITING) { with_vid(v); v->pin_based_vm_exec_control &= ~PIN_BASED_EXT_INTR_MASK; }
FAIL(POSTED_NEEDS_VID, v->pin_based_vm_exec_control |= PIN_BASED_POSTED_INTR)
FAILS(POSTED_NEEDS_ACK) { with_posted(v); v->vm_exit_controls &= ~VM_EXIT_ACK_INTR_ON_EXIT; }
FAILS(POSTED_VECTOR) { with_posted(v); v->posted_intr_nv = 0x100; }
FAILS(POSTED_DESC_ADDR) { with_posted(v); v->posted_intr_desc_addr = 0x6020; }
FAIL(VPID_NONZERO, v->virtual_processor_id = 0)
FAIL(EPTP, v->ept_pointer |= BIT(6))
FAILS(PML_NEEDS_EPT) { secondary(v, SECONDARY_EXEC_ENABLE_PML); v->secondary_vm_exec_control &= ~SECONDARY_EXEC_ENABLE_EPT; }
FAILS(PML_ADDR) { secondary(v, SECONDARY_EXEC_ENABLE_PML); v->pml_address = 1; }
FAILS(UNRESTRICTED_NEEDS_EPT)
{
	secondary(v, SECONDARY_EXEC_UNRESTRICTED_GUEST);
	v->secondary_vm_exec_control &= ~SECONDARY_EXEC_ENABLE_EPT;
}
FAILS(MODE_BASED_EXEC_NEEDS_EPT)
{
	secondary(v, SECONDARY_EXEC_MODE_BASED_EPT_EXEC);
	v->secondary_vm_exec_control &= ~SECONDARY_EXEC_ENABLE_EPT;
}
FAILS(VMFUNC_CONTROLS) { with_eptp_switching(v); v->vm_function_control = 2; }
FAILS(EPTP_SWITCHING_NEEDS_EPT) { with_eptp_switching(v); v->secondary_vm_exec_control &= ~SECONDARY_EXEC_ENABLE_EPT; }
FAILS(EPTP_LIST_ADDR) { with_eptp_switching(v); v->eptp_list_address = 0x10; }
FAILS(VMREAD_BITMAP) { secondary(v, SECONDARY_EXEC_SHADOW_VMCS); v->vmread_bitmap = 1; }
FAILS(VMWRITE_BITMAP) { secondary(v, SECONDARY_EXEC_SHADOW_VMCS); v->vmwrite_bitmap = 1; }
FAILS(VE_INFO_ADDR) { secondary(v, BIT(18)); v->ve_info_address = 1; }
FAIL(TSC_MULTIPLIER, secondary(v, SECONDARY_EXEC_TSC_SCALING))
FAILS(TPR_THRESHOLD_VTPR) { with_tpr_shadow(v); v->tpr_threshold = 4; s->mem.vtpr = 0x3f; }
FAIL(EXIT_CONTROLS, s->caps.true_exit |= BIT(0))
FAIL(SAVE_TIMER_NEEDS_TIMER, v->vm_exit_controls |= VM_EXIT_SAVE_VMX_PREEMPTION_TIMER)
FAILS(EXIT_MSR_STORE) { v->vm_exit_msr_store_count = 1; v->vm_exit_msr_store_addr = 8; }
FAILS(EXIT_MSR_LOAD) { v->vm_exit_msr_load_count = 2; v->vm_exit_msr_load_addr = TOO_HIGH - 16; }
FAIL(ENTRY_CONTROLS, s->caps.true_entry |= BIT(0))
FAILS(ENTRY_MSR_LOAD) { v->vm_entry_msr_load_count = ~0u; v->vm_entry_msr_load_addr = TOO_HIGH - 0x1000; }
FAIL(INJECT_TYPE, inject_event(v, INTR_TYPE_RESERVED, 0))
FAIL(INJECT_NMI_VECTOR, inject_event(v, INTR_TYPE_NMI_INTR, 3))
FAIL(INJECT_EXCEPTION_VECTOR, inject_event(v, INTR_TYPE_HARD_EXCEPTION, 32))
FAIL(INJECT_OTHER_VECTOR, inject_event(v, INTR_TYPE_OTHER_EVENT, 1))
FAIL(INJECT_ERROR_CODE, inject_event(v, INTR_TYPE_HARD_EXCEPTION, X86_TRAP_GP))
FAILS(INJECT_ERROR_CODE_TYPE)
{
	s->caps.basic |= BIT_ULL(56);
	inject_event(v, INTR_TYPE_EXT_INTR, 0x20 | INTR_INFO_DELIVER_CODE_MASK);
}
FAIL(INJECT_RESERVED, inject_event(v, INTR_TYPE_EXT_INTR, BIT(12) | 0x20))
FAILS(INJECT_ERROR_CODE_HIGH)
{
	inject_event(v, INTR_TYPE_HARD_EXCEPTION, X86_TRAP_GP | INTR_INFO_DELIVER_CODE_MASK);
	v->vm_entry_exception_error_code = BIT(16);
}
FAIL(INJECT_INSTRUCTION_LEN, inject_event(v, INTR_TYPE_SOFT_INTR, 0x80))
FAIL(HOST_CR0, v->host_cr0 &= ~X86_CR0_PG)
FAIL(HOST_CR4, v->host_cr4 &= ~X86_CR4_VMXE)
FAIL(HOST_CR3, v->host_cr3 = TOO_HIGH)
FAIL(HOST_SYSENTER_ESP, v->host_ia32_sysenter_esp = NONCANONICAL)
FAIL(HOST_SYSENTER_EIP, v->host_ia32_sysenter_eip = NONCANONICAL)
FAILS(HOST_PERF_GLOBAL) { v->vm_exit_controls |= VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL; v->host_ia32_perf_global_ctrl = 4; }
FAIL(HOST_PAT, v->host_ia32_pat = 2)
FAIL(HOST_EFER_RESERVED, v->host_ia32_efer |= BIT(1))
FAIL(HOST_EFER_LMA, v->host_ia32_efer &= ~(u64)EFER_LMA)
FAIL(HOST_EFER_LME, v->host_ia32_efer &= ~(u64)EFER_LME)
FAIL(HOST_CS_RPL, v->host_cs_selector |= 3)
FAIL(HOST_SS_RPL, v->host_ss_selector |= 4)
FAIL(HOST_DS_RPL, v->host_ds_selector |= 1)
FAIL(HOST_ES_RPL, v->host_es_selector |= 2)
FAIL(HOST_FS_RPL, v->host_fs_selector |= 3)
FAIL(HOST_GS_RPL, v->host_gs_selector |= 3)
FAIL(HOST_TR_RPL, v->host_tr_selector |= 4)
FAIL(HOST_CS_NULL, v->host_cs_selector = 0)
FAIL(HOST_TR_NULL, v->host_tr_selector = 0)
FAILS(HOST_SS_NULL) { to_32bit_host(s); v->host_ss_selector = 0; }
FAIL(HOST_FS_BASE, v->host_fs_base = NONCANONICAL)
FAIL(HOST_GS_BASE, v->host_gs_base = NONCANONICAL)
FAIL(HOST_GDTR_BASE, v->host_gdtr_base = NONCANONICAL)
FAIL(HOST_IDTR_BASE, v->host_idtr_base = NONCANONICAL)
FAIL(HOST_TR_BASE, v->host_tr_base = NONCANONICAL)
/* Rows before these three check the exit and entry controls too, so the cases change L1's mode alone. */
FAIL(L1_32_RUNS_L2_32, s->c.l1_lma = false)
FAILS(L1_32_HOST_32) { s->c.l1_lma = false; to_32bit(v); }
FAILS(L1_64_HOST_64) { to_32bit_host(s); s->c.l1_lma = true; }
FAILS(HOST_32_GUEST_32)
{
	to_32bit_host(s);
	v->vm_entry_controls |= VM_ENTRY_IA32E_MODE;
}
FAILS(HOST_32_PCIDE) { to_32bit_host(s); v->host_cr4 |= X86_CR4_PCIDE; }
FAILS(HOST_32_RIP) { to_32bit_host(s); v->host_rip = BIT_ULL(32); }
FAIL(HOST_64_PAE, v->host_cr4 &= ~X86_CR4_PAE)
FAIL(HOST_64_RIP, v->host_rip = NONCANONICAL)
FAIL(GUEST_CR0, v->guest_cr0 &= ~X86_CR0_NE)
FAILS(GUEST_PG_NEEDS_PE) { to_real(v); v->guest_cr0 |= X86_CR0_PG; }
FAIL(GUEST_CR4, v->guest_cr4 |= BIT_ULL(63))
FAIL(GUEST_DEBUGCTL, v->guest_ia32_debugctl = 4)
FAILS(GUEST_LONG_NEEDS_PG) { secondary(v, SECONDARY_EXEC_UNRESTRICTED_GUEST); v->guest_cr0 &= ~X86_CR0_PG; }
FAIL(GUEST_LONG_NEEDS_PAE, v->guest_cr4 &= ~X86_CR4_PAE)
FAILS(GUEST_PCIDE_NEEDS_LONG) { to_32bit(v); v->guest_cr4 |= X86_CR4_PCIDE; }
FAIL(GUEST_CR3, v->guest_cr3 = BIT_ULL(63))
FAIL(GUEST_DR7, v->guest_dr7 |= BIT_ULL(32))
FAIL(GUEST_SYSENTER_ESP, v->guest_sysenter_esp = NONCANONICAL)
FAIL(GUEST_SYSENTER_EIP, v->guest_sysenter_eip = NONCANONICAL)
FAILS(GUEST_PERF_GLOBAL)
{
	v->vm_entry_controls |= VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL;
	v->guest_ia32_perf_global_ctrl = 4;
}
FAIL(GUEST_PAT, v->guest_ia32_pat = 0x0300000000000000ULL)
FAIL(GUEST_EFER_RESERVED, v->guest_ia32_efer |= BIT(13))
FAIL(GUEST_EFER_LMA, v->guest_ia32_efer &= ~(u64)EFER_LMA)
FAIL(GUEST_EFER_LME, v->guest_ia32_efer &= ~(u64)EFER_LME)
FAIL(TR_TI, v->guest_tr_selector |= 4)
FAIL(LDTR_TI, v->guest_ldtr_selector = 4)
FAIL(SS_RPL, v->guest_ss_selector |= 3)
FAILS(V8086_CS_BASE) { to_v8086(v); v->guest_cs_base++; }
FAILS(V8086_SS_BASE) { to_v8086(v); v->guest_ss_base++; }
FAILS(V8086_DS_BASE) { to_v8086(v); v->guest_ds_base++; }
FAILS(V8086_ES_BASE) { to_v8086(v); v->guest_es_base++; }
FAILS(V8086_FS_BASE) { to_v8086(v); v->guest_fs_base++; }
FAILS(V8086_GS_BASE) { to_v8086(v); v->guest_gs_base++; }
FAIL(TR_BASE, v->guest_tr_base = NONCANONICAL)
FAIL(FS_BASE, v->guest_fs_base = NONCANONICAL)
FAIL(GS_BASE, v->guest_gs_base = NONCANONICAL)
FAIL(LDTR_BASE, v->guest_ldtr_base = NONCANONICAL)
FAIL(CS_BASE, v->guest_cs_base = BIT_ULL(32))
FAIL(SS_BASE, v->guest_ss_base = BIT_ULL(32))
FAIL(DS_BASE, v->guest_ds_base = BIT_ULL(32))
FAIL(ES_BASE, v->guest_es_base = BIT_ULL(32))
FAILS(V8086_CS_LIMIT) { to_v8086(v); v->guest_cs_limit--; }
FAILS(V8086_SS_LIMIT) { to_v8086(v); v->guest_ss_limit--; }
FAILS(V8086_DS_LIMIT) { to_v8086(v); v->guest_ds_limit--; }
FAILS(V8086_ES_LIMIT) { to_v8086(v); v->guest_es_limit--; }
FAILS(V8086_FS_LIMIT) { to_v8086(v); v->guest_fs_limit--; }
FAILS(V8086_GS_LIMIT) { to_v8086(v); v->guest_gs_limit--; }
FAILS(V8086_CS_AR) { to_v8086(v); v->guest_cs_ar_bytes = 0xfb; }
FAILS(V8086_SS_AR) { to_v8086(v); v->guest_ss_ar_bytes = 0x93; }
FAILS(V8086_DS_AR) { to_v8086(v); v->guest_ds_ar_bytes = 0x100f3; }
FAILS(V8086_ES_AR) { to_v8086(v); v->guest_es_ar_bytes = 0; }
FAILS(V8086_FS_AR) { to_v8086(v); v->guest_fs_ar_bytes = 0x80f3; }
FAILS(V8086_GS_AR) { to_v8086(v); v->guest_gs_ar_bytes = 0xf2; }
FAIL(CS_TYPE, v->guest_cs_ar_bytes = 0xa093)
FAIL(SS_TYPE, v->guest_ss_ar_bytes = 0xc091)
FAIL(DS_TYPE, v->guest_ds_ar_bytes &= ~1u)
FAIL(ES_TYPE, v->guest_es_ar_bytes = 0xc099)
FAIL(FS_TYPE, v->guest_fs_ar_bytes &= ~1u)
FAIL(GS_TYPE, v->guest_gs_ar_bytes = 0xc09d)
FAIL(CS_S, v->guest_cs_ar_bytes &= ~VMX_AR_S_MASK)
FAIL(SS_S, v->guest_ss_ar_bytes &= ~VMX_AR_S_MASK)
FAIL(DS_S, v->guest_ds_ar_bytes &= ~VMX_AR_S_MASK)
FAIL(ES_S, v->guest_es_ar_bytes &= ~VMX_AR_S_MASK)
FAIL(FS_S, v->guest_fs_ar_bytes &= ~VMX_AR_S_MASK)
FAIL(GS_S, v->guest_gs_ar_bytes &= ~VMX_AR_S_MASK)
FAIL(CS_DPL, v->guest_cs_ar_bytes |= 0x60)
FAILS(SS_DPL_RPL) { v->guest_cs_ar_bytes |= 0x60; v->guest_ss_ar_bytes |= 0x60; }
FAILS(SS_DPL_ZERO) { to_real(v); v->guest_ss_ar_bytes |= 0x60; }
FAIL(DS_DPL, v->guest_ds_selector = 3)
FAIL(ES_DPL, v->guest_es_selector = 1)
FAIL(FS_DPL, v->guest_fs_selector = 2)
FAIL(GS_DPL, v->guest_gs_selector = 3)
FAIL(CS_P, v->guest_cs_ar_bytes &= ~VMX_AR_P_MASK)
FAIL(SS_P, v->guest_ss_ar_bytes &= ~VMX_AR_P_MASK)
FAIL(DS_P, v->guest_ds_ar_bytes &= ~VMX_AR_P_MASK)
FAIL(ES_P, v->guest_es_ar_bytes &= ~VMX_AR_P_MASK)
FAIL(FS_P, v->guest_fs_ar_bytes &= ~VMX_AR_P_MASK)
FAIL(GS_P, v->guest_gs_ar_bytes &= ~VMX_AR_P_MASK)
FAIL(CS_RESERVED, v->guest_cs_ar_bytes |= BIT(8))
FAIL(SS_RESERVED, v->guest_ss_ar_bytes |= BIT(11))
FAIL(DS_RESERVED, v->guest_ds_ar_bytes |= BIT(17))
FAIL(ES_RESERVED, v->guest_es_ar_bytes |= BIT(31))
FAIL(FS_RESERVED, v->guest_fs_ar_bytes |= BIT(9))
FAIL(GS_RESERVED, v->guest_gs_ar_bytes |= BIT(10))
FAIL(CS_DB, v->guest_cs_ar_bytes |= VMX_AR_DB_MASK)
FAIL(CS_G, v->guest_cs_limit = 0xfffffffe)
FAIL(SS_G, v->guest_ss_ar_bytes &= ~VMX_AR_G_MASK)
FAIL(DS_G, v->guest_ds_limit = 0)
FAIL(ES_G, v->guest_es_ar_bytes &= ~VMX_AR_G_MASK)
FAIL(FS_G, v->guest_fs_limit = 0x7ff)
FAIL(GS_G, v->guest_gs_ar_bytes &= ~VMX_AR_G_MASK)
FAIL(TR_TYPE, v->guest_tr_ar_bytes = 0x83)
FAIL(TR_S, v->guest_tr_ar_bytes |= VMX_AR_S_MASK)
FAIL(TR_P, v->guest_tr_ar_bytes &= ~VMX_AR_P_MASK)
FAIL(TR_RESERVED, v->guest_tr_ar_bytes |= BIT(8))
FAIL(TR_G, v->guest_tr_limit = BIT(20))
FAIL(TR_USABLE, v->guest_tr_ar_bytes |= VMX_AR_UNUSABLE_MASK)
FAIL(LDTR_TYPE, v->guest_ldtr_ar_bytes = 0x83)
FAIL(LDTR_S, v->guest_ldtr_ar_bytes |= VMX_AR_S_MASK)
FAIL(LDTR_P, v->guest_ldtr_ar_bytes &= ~VMX_AR_P_MASK)
FAIL(LDTR_RESERVED, v->guest_ldtr_ar_bytes |= BIT(17))
FAIL(LDTR_G, v->guest_ldtr_limit = BIT(31))
FAIL(GDTR_BASE, v->guest_gdtr_base = NONCANONICAL)
FAIL(IDTR_BASE, v->guest_idtr_base = NONCANONICAL)
FAIL(GDTR_LIMIT, v->guest_gdtr_limit = BIT(16))
FAIL(IDTR_LIMIT, v->guest_idtr_limit = BIT(31))
FAILS(RIP_32) { to_32bit(v); v->guest_rip = BIT_ULL(32); }
FAIL(RIP_64, v->guest_rip = BIT_ULL(48))
FAIL(RFLAGS_RESERVED, v->guest_rflags = 0)
FAILS(RFLAGS_VM) { to_v8086(v); secondary(v, SECONDARY_EXEC_UNRESTRICTED_GUEST); v->guest_cr0 = X86_CR0_NE; }
FAIL(RFLAGS_IF, inject_event(v, INTR_TYPE_EXT_INTR, 0x20))
FAIL(ACTIVITY_SUPPORTED, v->guest_activity_state = GUEST_ACTIVITY_SHUTDOWN)
FAILS(ACTIVITY_HLT_DPL)
{
	v->guest_activity_state = GUEST_ACTIVITY_HLT;
	v->guest_cs_selector |= 3;
	v->guest_ss_selector |= 3;
	v->guest_cs_ar_bytes |= 0x60;
	v->guest_ss_ar_bytes |= 0x60;
}
FAILS(ACTIVITY_BLOCKED)
{
	v->guest_activity_state = GUEST_ACTIVITY_HLT;
	v->guest_interruptibility_info = GUEST_INTR_STATE_MOV_SS;
}
FAILS(ACTIVITY_EVENT) { v->guest_activity_state = GUEST_ACTIVITY_WAIT_SIPI; inject_event(v, INTR_TYPE_NMI_INTR, 2); }
FAIL(BLOCKING_RESERVED, v->guest_interruptibility_info = BIT(4))
FAIL(BLOCKING_STI_MOV_SS, v->guest_interruptibility_info = GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)
FAIL(BLOCKING_STI_IF, v->guest_interruptibility_info = GUEST_INTR_STATE_STI)
FAILS(BLOCKING_EXTINT)
{
	v->guest_rflags |= X86_EFLAGS_IF;
	v->guest_interruptibility_info = GUEST_INTR_STATE_STI;
	inject_event(v, INTR_TYPE_EXT_INTR, 0x20);
}
FAILS(BLOCKING_NMI_MOV_SS)
{
	v->guest_interruptibility_info = GUEST_INTR_STATE_MOV_SS;
	inject_event(v, INTR_TYPE_NMI_INTR, 2);
}
FAIL(BLOCKING_SMI, v->guest_interruptibility_info = GUEST_INTR_STATE_SMI)
FAILS(BLOCKING_VNMI)
{
	v->guest_interruptibility_info = GUEST_INTR_STATE_NMI;
	inject_event(v, INTR_TYPE_NMI_INTR, 2);
}
FAIL(PENDING_DBG_RESERVED, v->guest_pending_dbg_exceptions = BIT(4))
FAILS(PENDING_DBG_BS_SET)
{
	v->guest_interruptibility_info = GUEST_INTR_STATE_MOV_SS;
	v->guest_rflags |= X86_EFLAGS_TF;
}
FAILS(PENDING_DBG_BS_CLEAR)
{
	v->guest_activity_state = GUEST_ACTIVITY_HLT;
	v->guest_pending_dbg_exceptions = BIT(14);
}
FAIL(PENDING_DBG_RTM, v->guest_pending_dbg_exceptions = BIT(16) | BIT(12))
FAIL(LINK_ADDR, v->vmcs_link_pointer = 0x11008)
FAIL(LINK_CURRENT, v->vmcs_link_pointer = s->c.vmptr)
FAILS(LINK_REVISION) { v->vmcs_link_pointer = MEM_LINK; s->mem.link_revision |= VMCS12_SHADOW_BIT; }
FAILS(PDPTE_FIELDS) { to_pae(v); v->guest_pdptr3 = 0x3; }
FAILS(PDPTE_MEMORY)
{
	to_pae(v);
	v->secondary_vm_exec_control &= ~SECONDARY_EXEC_ENABLE_EPT;
	s->mem.pdpte[2] = TOO_HIGH | 1;
}

static void (*const failing[NR_CHECKS])(struct state *s, struct vmcs12 *v) = {
#define CHECK(section, id, when, ok, words) [CHECK_##id] = fail_##id,
#include "nested/checks.def"
};

static void to_real_exception(struct vmcs12 *v)
{
	to_real(v);
	inject_event(v, INTR_TYPE_HARD_EXCEPTION, X86_TRAP_GP);
}

/* Make the state that fails a row; for checks_all_kunit.c. */
void checks_state_failing(struct state *s, enum check_id id)
{
	base_state(s);
	failing[id](s, &s->v);
}

/* Make a state that passes, by its number; false if there are no more. */
bool checks_state_passing(struct state *s, int n)
{
	static void (*const change[])(struct vmcs12 *v) = {
		NULL, to_32bit, to_v8086, to_real, to_real_exception, to_pae, with_posted, with_eptp_switching,
	};

	base_state(s);
	if (n == ARRAY_SIZE(change))
		to_32bit_host(s);
	else if (n < ARRAY_SIZE(change) && change[n])
		change[n](&s->v);
	return n <= ARRAY_SIZE(change);
}

static struct state *state;

static int checks_setup(struct kunit *test)
{
	state = kunit_kzalloc(test, sizeof(*state), GFP_KERNEL);
	return state ? 0 : -ENOMEM;
}

/* Each case fails its own row, and no row before it. */
static void checks_each_row_fails(struct kunit *test)
{
	enum check_id id;
	u64 qual, want;
	int i;

	for (i = CHECK_OK + 1; i < NR_CHECKS; i++) {
		base_state(state);
		failing[i](state, &state->v);
		id = verdict(state, &qual);
		KUNIT_EXPECT_EQ_MSG(test, (int)id, i, "%s failed instead of %s", check_name(id), check_name(i));
		want = i >= CHECK_PDPTE_FIELDS ? ENTRY_FAIL_PDPTE : i >= CHECK_LINK_ADDR ? ENTRY_FAIL_VMCS_LINK_PTR : 0;
		KUNIT_EXPECT_EQ_MSG(test, qual, want, "%s", check_name(i));
		KUNIT_EXPECT_NE_MSG(test, check_text(i, CHECK_DEMANDS)[0], '\0', "%s", check_name(i));
	}
}

#define EXPECT_PASS(test, s) \
	do { \
		u64 _qual; \
		enum check_id _id = verdict(s, &_qual); \
		\
		KUNIT_EXPECT_EQ_MSG(test, (int)_id, (int)CHECK_OK, "%s: %s", check_name(_id), \
				    check_text(_id, CHECK_DEMANDS)); \
	} while (0)

static void checks_baselines_pass(struct kunit *test)
{
	struct state *s = state;

	base_state(s);
	EXPECT_PASS(test, s);
	base_state(s);
	to_32bit(&s->v);
	EXPECT_PASS(test, s);
	base_state(s);
	to_32bit_host(s);
	EXPECT_PASS(test, s);
	base_state(s);
	to_v8086(&s->v);
	EXPECT_PASS(test, s);
	base_state(s);
	to_real(&s->v);
	EXPECT_PASS(test, s);
	base_state(s);
	to_pae(&s->v);
	s->v.guest_pdptr0 = 0x3001;
	s->v.guest_pdptr1 = ~1ULL;	/* not present: its other bits are ignored */
	EXPECT_PASS(test, s);
	s->v.secondary_vm_exec_control &= ~SECONDARY_EXEC_ENABLE_EPT;
	s->mem.pdpte[0] = 0x3001;
	EXPECT_PASS(test, s);
}

/* The contents of unusable segments are not checked. Those of CS and TR always are. */
static void checks_unusable_segments(struct kunit *test)
{
	struct state *s = state;

	base_state(s);
	s->v.guest_ds_ar_bytes = VMX_AR_UNUSABLE_MASK;
	s->v.guest_es_ar_bytes = ~0u;
	s->v.guest_fs_ar_bytes = VMX_AR_UNUSABLE_MASK;
	s->v.guest_gs_ar_bytes = VMX_AR_UNUSABLE_MASK;
	s->v.guest_ldtr_ar_bytes = VMX_AR_UNUSABLE_MASK;
	s->v.guest_ldtr_base = NONCANONICAL;
	s->v.guest_ds_base = ~0ULL;
	s->v.guest_ds_selector = 3;
	EXPECT_PASS(test, s);
	s->v.guest_ss_ar_bytes = VMX_AR_UNUSABLE_MASK;
	EXPECT_PASS(test, s);
}

/* States with features that the base state does not use. */
static void checks_features_pass(struct kunit *test)
{
	struct state *s = state;

	base_state(s);
	with_posted(&s->v);
	EXPECT_PASS(test, s);
	base_state(s);
	with_tpr_shadow(&s->v);
	s->v.tpr_threshold = 3;
	s->mem.vtpr = 0x30;
	EXPECT_PASS(test, s);
	/* A virtual-APIC page without memory reads as all ones. */
	s->v.virtual_apic_page_addr = MEM_NONE;
	s->v.tpr_threshold = 15;
	EXPECT_PASS(test, s);
	base_state(s);
	with_eptp_switching(&s->v);
	EXPECT_PASS(test, s);
	base_state(s);
	s->v.vm_exit_msr_store_count = 512;
	s->v.vm_exit_msr_store_addr = TOO_HIGH - 512 * 16;
	EXPECT_PASS(test, s);
	/* Secondary controls that are not activated are ignored. */
	base_state(s);
	s->v.cpu_based_vm_exec_control &= ~CPU_BASED_ACTIVATE_SECONDARY_CONTROLS;
	s->v.secondary_vm_exec_control = ~0u;
	EXPECT_PASS(test, s);
	base_state(s);
	s->v.vmcs_link_pointer = MEM_LINK;
	EXPECT_PASS(test, s);
	secondary(&s->v, SECONDARY_EXEC_SHADOW_VMCS);
	s->mem.link_revision |= VMCS12_SHADOW_BIT;
	EXPECT_PASS(test, s);
}

/* Injected events with activity and interruptibility states that allow them. */
static void checks_events_pass(struct kunit *test)
{
	static const struct {
		u32 type, vector, activity, blocking;
		u64 rflags;
	} rows[] = {
		{ INTR_TYPE_EXT_INTR, 0x20, GUEST_ACTIVITY_ACTIVE, 0, X86_EFLAGS_IF },
		{ INTR_TYPE_EXT_INTR, 0x20, GUEST_ACTIVITY_HLT, 0, X86_EFLAGS_IF },
		{ INTR_TYPE_NMI_INTR, 2, GUEST_ACTIVITY_HLT, 0, 0 },
		{ INTR_TYPE_HARD_EXCEPTION, X86_TRAP_DB, GUEST_ACTIVITY_HLT, 0, 0 },
		{ INTR_TYPE_HARD_EXCEPTION, X86_TRAP_MC, GUEST_ACTIVITY_HLT, 0, 0 },
		{ INTR_TYPE_HARD_EXCEPTION, X86_TRAP_GP | INTR_INFO_DELIVER_CODE_MASK, GUEST_ACTIVITY_ACTIVE, 0, 0 },
		{ INTR_TYPE_HARD_EXCEPTION, X86_TRAP_UD, GUEST_ACTIVITY_ACTIVE, GUEST_INTR_STATE_MOV_SS, 0 },
		{ INTR_TYPE_HARD_EXCEPTION, X86_TRAP_UD, GUEST_ACTIVITY_ACTIVE, GUEST_INTR_STATE_NMI, 0 },
		{ INTR_TYPE_SOFT_INTR, 0x80, GUEST_ACTIVITY_ACTIVE, 0, 0 },
		{ INTR_TYPE_OTHER_EVENT, 0, GUEST_ACTIVITY_HLT, 0, 0 },
	};
	struct state *s = state;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		base_state(s);
		inject_event(&s->v, rows[i].type, rows[i].vector);
		s->v.vm_entry_instruction_len = 2;
		s->v.guest_activity_state = rows[i].activity;
		s->v.guest_interruptibility_info = rows[i].blocking;
		s->v.guest_rflags |= rows[i].rflags;
		EXPECT_PASS(test, s);
	}
	/* In real mode no exception has an error code. */
	base_state(s);
	to_real(&s->v);
	inject_event(&s->v, INTR_TYPE_HARD_EXCEPTION, X86_TRAP_GP);
	EXPECT_PASS(test, s);
	/* An instruction length of 0 needs its capability. */
	base_state(s);
	inject_event(&s->v, INTR_TYPE_SOFT_INTR, 0x80);
	s->caps.misc |= BIT(30);
	EXPECT_PASS(test, s);
}

/* RIP need not be canonical: bit 47 may differ from the bits above. */
static void checks_rip_beyond_canonical(struct kunit *test)
{
	base_state(state);
	state->v.guest_rip = NONCANONICAL;
	EXPECT_PASS(test, state);
	state->v.guest_rip = ~NONCANONICAL;
	EXPECT_PASS(test, state);
}

/* Without its valid bit, the event is not checked. */
static void checks_invalid_event_ignored(struct kunit *test)
{
	base_state(state);
	state->v.vm_entry_intr_info_field = ~INTR_INFO_VALID_MASK;
	EXPECT_PASS(test, state);
}

/* A row is skipped exactly if none of the parts that it depends on is dirty. */
static void checks_dirty_parts_choose(struct kunit *test)
{
	static const struct {
		enum check_id id;
		u32 dirty;	/* one part that must make the row run */
	} rows[] = {
		{ CHECK_IO_BITMAP_A, DIRTY12_BITMAPS }, { CHECK_EPTP, DIRTY12_EPT },
		{ CHECK_TSC_MULTIPLIER, DIRTY12_TSC }, { CHECK_APIC_ACCESS_ADDR, DIRTY12_PAGES },
		{ CHECK_EXIT_MSR_LOAD, DIRTY12_LISTS }, { CHECK_CPU_CONTROLS, DIRTY12_CTL },
		{ CHECK_HOST_64_RIP, DIRTY12_HOST }, { CHECK_GUEST_CR4, DIRTY12_CR },
		{ CHECK_GUEST_PAT, DIRTY12_COND }, { CHECK_DS_TYPE, DIRTY12_RARE },
		{ CHECK_GDTR_LIMIT, DIRTY12_RARE }, { CHECK_GUEST_EFER_LMA, DIRTY12_MODE },
		{ CHECK_RIP_64, 0 }, { CHECK_ACTIVITY_SUPPORTED, 0 }, { CHECK_INJECT_TYPE, 0 },
		{ CHECK_LINK_REVISION, 0 }, { CHECK_PDPTE_MEMORY, 0 }, { CHECK_TPR_THRESHOLD_VTPR, 0 },
		{ CHECK_L1_32_RUNS_L2_32, 0 },
	};
	unsigned int i;
	u64 qual;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		base_state(state);
		failing[rows[i].id](state, &state->v);
		state->c.dirty = rows[i].dirty;
		KUNIT_EXPECT_EQ_MSG(test, (int)verdict(state, &qual), (int)rows[i].id, "%s", check_name(rows[i].id));
		if (!rows[i].dirty)
			continue;
		state->c.dirty = 0;
		KUNIT_EXPECT_EQ_MSG(test, (int)verdict(state, &qual), (int)CHECK_OK, "%s", check_name(rows[i].id));
	}
}

/* checks_need_rare() asks for rare state if a section will read it. */
static void checks_rare_state_is_asked_for(struct kunit *test)
{
	base_state(state);
	state->c.dirty = DIRTY12_HOT | DIRTY12_EVENT;
	KUNIT_EXPECT_FALSE(test, checks_need_rare(&state->c));
	state->v.guest_interruptibility_info = GUEST_INTR_STATE_STI;
	KUNIT_EXPECT_TRUE(test, checks_need_rare(&state->c));
	state->v.guest_interruptibility_info = 0;
	state->c.dirty = DIRTY12_RARE;
	KUNIT_EXPECT_TRUE(test, checks_need_rare(&state->c));
	state->c.dirty = DIRTY12_CR;
	KUNIT_EXPECT_TRUE(test, checks_need_rare(&state->c));
}

static struct kunit_case checks_cases[] = {
	KUNIT_CASE(checks_each_row_fails),
	KUNIT_CASE(checks_baselines_pass),
	KUNIT_CASE(checks_unusable_segments),
	KUNIT_CASE(checks_features_pass),
	KUNIT_CASE(checks_events_pass),
	KUNIT_CASE(checks_rip_beyond_canonical),
	KUNIT_CASE(checks_invalid_event_ignored),
	KUNIT_CASE(checks_dirty_parts_choose),
	KUNIT_CASE(checks_rare_state_is_asked_for),
	{}
};

static struct kunit_suite checks_suite = {
	.name = "droste-checks",
	.init = checks_setup,
	.test_cases = checks_cases,
};
kunit_test_suites(&checks_suite);

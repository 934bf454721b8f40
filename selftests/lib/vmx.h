/* SPDX-License-Identifier: GPL-2.0 */
/* Functions for L1 code that runs an L2: VMX instructions, fields, a VMCS filled from L1's own state, EPT tables. */
#ifndef KSFT_VMX_H
#define KSFT_VMX_H

#include "guest.h"

/* --- VMCS field encodings (SDM 3D appendix B) --- */
enum vmcs_field {
	F_VPID = 0x0000, F_POSTED_NV = 0x0002, F_EPTP_INDEX = 0x0004,
	F_GUEST_ES = 0x0800, F_GUEST_CS = 0x0802, F_GUEST_SS = 0x0804, F_GUEST_DS = 0x0806,
	F_GUEST_FS = 0x0808, F_GUEST_GS = 0x080a, F_GUEST_LDTR = 0x080c, F_GUEST_TR = 0x080e,
	F_GUEST_INTR_STATUS = 0x0810, F_PML_INDEX = 0x0812,
	F_HOST_ES = 0x0c00, F_HOST_CS = 0x0c02, F_HOST_SS = 0x0c04, F_HOST_DS = 0x0c06,
	F_HOST_FS = 0x0c08, F_HOST_GS = 0x0c0a, F_HOST_TR = 0x0c0c,

	F_IO_BITMAP_A = 0x2000, F_IO_BITMAP_B = 0x2002, F_MSR_BITMAP = 0x2004,
	F_EXIT_MSR_STORE = 0x2006, F_EXIT_MSR_LOAD = 0x2008, F_ENTRY_MSR_LOAD = 0x200a,
	F_PML_ADDRESS = 0x200e, F_TSC_OFFSET = 0x2010, F_VIRTUAL_APIC = 0x2012, F_APIC_ACCESS = 0x2014,
	F_POSTED_DESC = 0x2016, F_VMFUNC_CTLS = 0x2018, F_EPTP = 0x201a,
	F_EOI_EXIT0 = 0x201c, F_EOI_EXIT1 = 0x201e, F_EOI_EXIT2 = 0x2020, F_EOI_EXIT3 = 0x2022,
	F_EPTP_LIST = 0x2024, F_VMREAD_BITMAP = 0x2026, F_VMWRITE_BITMAP = 0x2028,
	F_XSS_BITMAP = 0x202c, F_TSC_MULTIPLIER = 0x2032,
	F_GUEST_PHYSICAL = 0x2400,
	F_LINK_POINTER = 0x2800, F_GUEST_DEBUGCTL = 0x2802, F_GUEST_PAT = 0x2804, F_GUEST_EFER = 0x2806,
	F_GUEST_PERF_GLOBAL = 0x2808, F_GUEST_PDPTE0 = 0x280a, F_GUEST_PDPTE1 = 0x280c, F_GUEST_PDPTE2 = 0x280e,
	F_GUEST_PDPTE3 = 0x2810,
	F_HOST_PAT = 0x2c00, F_HOST_EFER = 0x2c02, F_HOST_PERF_GLOBAL = 0x2c04,

	F_PIN = 0x4000, F_PROC = 0x4002, F_EXCEPTION_BITMAP = 0x4004, F_PF_MASK = 0x4006, F_PF_MATCH = 0x4008,
	F_CR3_TARGETS = 0x400a, F_EXIT_CTLS = 0x400c, F_EXIT_STORE_COUNT = 0x400e, F_EXIT_LOAD_COUNT = 0x4010,
	F_ENTRY_CTLS = 0x4012, F_ENTRY_LOAD_COUNT = 0x4014, F_ENTRY_INTR_INFO = 0x4016, F_ENTRY_ERROR = 0x4018,
	F_ENTRY_ILEN = 0x401a, F_TPR_THRESHOLD = 0x401c, F_PROC2 = 0x401e, F_PLE_GAP = 0x4020, F_PLE_WINDOW = 0x4022,
	F_INSN_ERROR = 0x4400, F_REASON = 0x4402, F_INTR_INFO = 0x4404, F_INTR_ERROR = 0x4406,
	F_IDT_INFO = 0x4408, F_IDT_ERROR = 0x440a, F_ILEN = 0x440c, F_INSN_INFO = 0x440e,
	F_ES_LIMIT = 0x4800, F_CS_LIMIT = 0x4802, F_SS_LIMIT = 0x4804, F_DS_LIMIT = 0x4806,
	F_FS_LIMIT = 0x4808, F_GS_LIMIT = 0x480a, F_LDTR_LIMIT = 0x480c, F_TR_LIMIT = 0x480e,
	F_GDTR_LIMIT = 0x4810, F_IDTR_LIMIT = 0x4812,
	F_ES_AR = 0x4814, F_CS_AR = 0x4816, F_SS_AR = 0x4818, F_DS_AR = 0x481a,
	F_FS_AR = 0x481c, F_GS_AR = 0x481e, F_LDTR_AR = 0x4820, F_TR_AR = 0x4822,
	F_INTERRUPTIBILITY = 0x4824, F_ACTIVITY = 0x4826, F_SMBASE = 0x4828, F_GUEST_SYSENTER_CS = 0x482a,
	F_TIMER = 0x482e, F_HOST_SYSENTER_CS = 0x4c00,

	F_CR0_MASK = 0x6000, F_CR4_MASK = 0x6002, F_CR0_SHADOW = 0x6004, F_CR4_SHADOW = 0x6006,
	F_CR3_TARGET0 = 0x6008, F_CR3_TARGET1 = 0x600a, F_CR3_TARGET2 = 0x600c, F_CR3_TARGET3 = 0x600e,
	F_QUAL = 0x6400, F_IO_RCX = 0x6402, F_IO_RSI = 0x6404, F_IO_RDI = 0x6406, F_IO_RIP = 0x6408, F_LINEAR = 0x640a,
	F_GUEST_CR0 = 0x6800, F_GUEST_CR3 = 0x6802, F_GUEST_CR4 = 0x6804,
	F_ES_BASE = 0x6806, F_CS_BASE = 0x6808, F_SS_BASE = 0x680a, F_DS_BASE = 0x680c,
	F_FS_BASE = 0x680e, F_GS_BASE = 0x6810, F_LDTR_BASE = 0x6812, F_TR_BASE = 0x6814,
	F_GDTR_BASE = 0x6816, F_IDTR_BASE = 0x6818, F_GUEST_DR7 = 0x681a, F_RSP = 0x681c, F_RIP = 0x681e,
	F_RFLAGS = 0x6820, F_PENDING_DBG = 0x6822, F_GUEST_SYSENTER_ESP = 0x6824, F_GUEST_SYSENTER_EIP = 0x6826,
	F_HOST_CR0 = 0x6c00, F_HOST_CR3 = 0x6c02, F_HOST_CR4 = 0x6c04, F_HOST_FS_BASE = 0x6c06,
	F_HOST_GS_BASE = 0x6c08, F_HOST_TR_BASE = 0x6c0a, F_HOST_GDTR_BASE = 0x6c0c, F_HOST_IDTR_BASE = 0x6c0e,
	F_HOST_SYSENTER_ESP = 0x6c10, F_HOST_SYSENTER_EIP = 0x6c12, F_HOST_RSP = 0x6c14, F_HOST_RIP = 0x6c16,
};

/* --- control bits (SDM 3C 25.6-25.8) --- */
#define PIN_EXTINT	BIT(0)
#define PIN_NMI		BIT(3)
#define PIN_VNMI	BIT(5)
#define PIN_TIMER	BIT(6)
#define PROC_INTR_WINDOW BIT(2)
#define PROC_TSC_OFFSET	BIT(3)
#define PROC_HLT	BIT(7)
#define PROC_INVLPG	BIT(9)
#define PROC_MWAIT	BIT(10)
#define PROC_RDPMC	BIT(11)
#define PROC_RDTSC	BIT(12)
#define PROC_CR3_LOAD	BIT(15)
#define PROC_CR3_STORE	BIT(16)
#define PROC_CR8_LOAD	BIT(19)
#define PROC_CR8_STORE	BIT(20)
#define PROC_TPR_SHADOW	BIT(21)
#define PROC_NMI_WINDOW	BIT(22)
#define PROC_DR		BIT(23)
#define PROC_IO		BIT(24)
#define PROC_IO_BITMAPS	BIT(25)
#define PROC_MTF	BIT(27)
#define PROC_MSR_BITMAPS BIT(28)
#define PROC_MONITOR	BIT(29)
#define PROC_PAUSE	BIT(30)
#define PROC_SECONDARY	BIT(31)
#define SEC_APIC_ACCESS	BIT(0)
#define SEC_EPT		BIT(1)
#define SEC_DESC	BIT(2)
#define SEC_RDTSCP	BIT(3)
#define SEC_X2APIC	BIT(4)
#define SEC_VPID	BIT(5)
#define SEC_WBINVD	BIT(6)
#define SEC_UNRESTRICTED BIT(7)
#define SEC_APIC_REG	BIT(8)
#define SEC_VID		BIT(9)
#define SEC_PLE		BIT(10)
#define SEC_RDRAND	BIT(11)
#define SEC_INVPCID	BIT(12)
#define SEC_VMFUNC	BIT(13)
#define SEC_SHADOW	BIT(14)
#define SEC_RDSEED	BIT(16)
#define SEC_PML		BIT(17)
#define SEC_XSAVES	BIT(20)
#define SEC_TSC_SCALING	BIT(25)
#define EXIT_SAVE_DEBUG	BIT(2)
#define EXIT_HOST64	BIT(9)
#define EXIT_LOAD_PERF	BIT(12)
#define EXIT_ACK	BIT(15)
#define EXIT_SAVE_PAT	BIT(18)
#define EXIT_LOAD_PAT	BIT(19)
#define EXIT_SAVE_EFER	BIT(20)
#define EXIT_LOAD_EFER	BIT(21)
#define EXIT_SAVE_TIMER	BIT(22)
#define ENTRY_LOAD_DEBUG BIT(2)
#define ENTRY_IA32E	BIT(9)
#define ENTRY_SMM	BIT(10)
#define ENTRY_DUAL	BIT(11)
#define ENTRY_LOAD_PERF	BIT(13)
#define ENTRY_LOAD_PAT	BIT(14)
#define ENTRY_LOAD_EFER	BIT(15)

/* --- exit reasons (SDM 3D appendix C) --- */
enum exit_reason {
	R_EXCEPTION, R_EXTINT, R_TRIPLE_FAULT, R_INIT, R_SIPI,
	R_INTR_WINDOW = 7, R_NMI_WINDOW, R_TASK_SWITCH, R_CPUID, R_GETSEC, R_HLT, R_INVD, R_INVLPG, R_RDPMC, R_RDTSC,
	R_VMCALL = 18, R_VMCLEAR, R_VMLAUNCH, R_VMPTRLD, R_VMPTRST, R_VMREAD, R_VMRESUME, R_VMWRITE, R_VMXOFF, R_VMXON,
	R_CR, R_DR, R_IO, R_RDMSR, R_WRMSR, R_BAD_GUEST, R_BAD_MSRS, R_MWAIT = 36, R_MTF, R_MONITOR = 39, R_PAUSE,
	R_MCE, R_TPR = 43, R_APIC_ACCESS, R_EOI, R_GDTR_IDTR, R_LDTR_TR, R_EPT_VIOLATION, R_EPT_MISCONFIG, R_INVEPT,
	R_RDTSCP, R_TIMER, R_INVVPID, R_WBINVD, R_XSETBV, R_APIC_WRITE, R_RDRAND, R_INVPCID, R_VMFUNC, R_ENCLS, R_RDSEED,
	R_PML, R_XSAVES, R_XRSTORS,
	R_FAILED_ENTRY = 0x80000000,
};

/* --- VM-instruction error numbers (SDM 3C 31.4) --- */
enum vm_error {
	E_VMCALL_ROOT = 1, E_VMCLEAR_ADDR, E_VMCLEAR_VMXON, E_LAUNCH_NOT_CLEAR, E_RESUME_NOT_LAUNCHED,
	E_RESUME_AFTER_VMXOFF, E_BAD_CONTROLS, E_BAD_HOST, E_VMPTRLD_ADDR, E_VMPTRLD_VMXON, E_VMPTRLD_REVISION,
	E_BAD_FIELD, E_READ_ONLY_FIELD, E_VMXON_IN_ROOT = 15, E_MOVSS_BLOCKING = 26, E_BAD_INV_OPERAND = 28,
};

/* The outcome of a VMX instruction: a fault, VMsucceed, VMfailInvalid, or VMfailValid with the error number. */
#define VM_OK		0ul
#define VM_INVALID	0x1000ul
#define VM_FAIL(n)	(0x2000ul | (n))

/* --- instructions; each returns FAULT(), VM_OK, VM_INVALID or VM_FAIL(n) --- */
u64 vmx_outcome(u64 fault, u64 rflags);
#define VMX_INSN(name, operand_type, insn, constraint) \
static inline u64 name(operand_type operand) \
{ \
	u64 f, fl; \
\
	asm volatile(TRY(insn) "pushfq; popq %1; mov %%r11, %0" : "=&r" (f), "=&r" (fl) : constraint (operand) \
		     : "r11", "memory", "cc"); \
	return vmx_outcome(f, fl); \
}
VMX_INSN(vmxon, u64, "vmxon %2", "m")
VMX_INSN(vmclear, u64, "vmclear %2", "m")
VMX_INSN(vmptrld, u64, "vmptrld %2", "m")

static inline u64 vmxoff(void)
{
	u64 f, fl;

	asm volatile(TRY("vmxoff") "pushfq; popq %1; mov %%r11, %0" : "=&r" (f), "=&r" (fl) : : "r11", "memory", "cc");
	return vmx_outcome(f, fl);
}

static inline u64 try_vmcall(void)
{
	u64 f, fl;

	asm volatile(TRY("vmcall") "pushfq; popq %1; mov %%r11, %0" : "=&r" (f), "=&r" (fl)
		     : : "r11", "memory", "cc");
	return vmx_outcome(f, fl);
}

static inline u64 vmptrst(u64 *ptr)
{
	u64 f, fl;

	asm volatile(TRY("vmptrst %2") "pushfq; popq %1; mov %%r11, %0" : "=&r" (f), "=&r" (fl), "+m" (*ptr)
		     : : "r11", "memory", "cc");
	return vmx_outcome(f, fl);
}

static inline u64 try_vmread(u64 field, u64 *val)
{
	u64 f, fl, v = *val;

	asm volatile(TRY("vmread %3, %2") "pushfq; popq %1; mov %%r11, %0" : "=&r" (f), "=&r" (fl), "+r" (v)
		     : "r" (field) : "r11", "memory", "cc");
	*val = v;
	return vmx_outcome(f, fl);
}

static inline u64 try_vmwrite(u64 field, u64 val)
{
	u64 f, fl;

	asm volatile(TRY("vmwrite %3, %2") "pushfq; popq %1; mov %%r11, %0" : "=&r" (f), "=&r" (fl)
		     : "r" (field), "r" (val) : "r11", "memory", "cc");
	return vmx_outcome(f, fl);
}

struct inv_desc {
	u64 a, b;
};

static inline u64 invept(u64 type, struct inv_desc d)
{
	u64 f, fl;

	asm volatile(TRY("invept %2, %3") "pushfq; popq %1; mov %%r11, %0" : "=&r" (f), "=&r" (fl)
		     : "m" (d), "r" (type) : "r11", "memory", "cc");
	return vmx_outcome(f, fl);
}

static inline u64 invvpid(u64 type, struct inv_desc d)
{
	u64 f, fl;

	asm volatile(TRY("invvpid %2, %3") "pushfq; popq %1; mov %%r11, %0" : "=&r" (f), "=&r" (fl)
		     : "m" (d), "r" (type) : "r11", "memory", "cc");
	return vmx_outcome(f, fl);
}

/* VMREAD and VMWRITE of fields that exist; a failure ends the test. */
u64 vmread(enum vmcs_field field);
void vmwrite(enum vmcs_field field, u64 val);
void vmset(enum vmcs_field field, u64 bits);	/* OR */
void vmclr(enum vmcs_field field, u64 bits);	/* AND NOT */

/* --- capabilities --- */
#define MSR_VMX_BASIC	0x480
#define MSR_VMX_MISC	0x485
#define MSR_VMX_CR0_FIXED0 0x486
#define MSR_VMX_CR0_FIXED1 0x487
#define MSR_VMX_CR4_FIXED0 0x488
#define MSR_VMX_CR4_FIXED1 0x489
#define MSR_VMX_ENUM	0x48a
#define MSR_VMX_PROC2	0x48b
#define MSR_VMX_EPT	0x48c
#define MSR_VMX_TRUE_PIN 0x48d
#define MSR_VMX_TRUE_PROC 0x48e
#define MSR_VMX_TRUE_EXIT 0x48f
#define MSR_VMX_TRUE_ENTRY 0x490
#define MSR_VMX_VMFUNC	0x491

u64 ctl_msr(enum vmcs_field field);	/* value of a control field's capability MSR; 0 if there is none */
bool ctl_has(enum vmcs_field field, u64 bits);	/* whether all these bits may be 1 */
void need(enum vmcs_field field, u64 bits, const char *what);	/* sets the bits, or skips the subtest */
void need_secondary(u64 bits, const char *what);
u64 ept_caps(void);

/* --- life of a VMCS --- */
void vmx_enable(void);			/* IA32_FEATURE_CONTROL, CR4.VMXE, CR0 */
void vmx_on(void);			/* vmx_enable() and VMXON; skips the subtest without VMX */
u64 vmx_region(void);			/* a new page with the VMCS revision */
u64 vmx_shadow_region(void);		/* a new shadow VMCS, cleared */
u64 vmcs_link(void *vmread_bitmap, void *vmwrite_bitmap);	/* gives L2 a new shadow VMCS, or skips the subtest */
u64 vmcs_new(void (*l2)(void));		/* a new current VMCS that runs l2(); must be called after vmx_on() */
void vmcs_fill(void (*l2)(void));	/* fills the current VMCS: L2 runs l2() in L1's address space, on a new stack */
/*
 * Gives the current VMCS the controls that KVM asks for, @eptp and a page of an MSR bitmap, so that exits and entries can be
 * of the usual kind; or skips the subtest.
 */
void vmcs_ask_usual(void *msr_bitmap, u64 eptp);
u64 vmcs_usual(void (*l2)(void), void *msr_bitmap, u64 eptp);	/* vmcs_new() and vmcs_ask_usual(); after VMXON */
void vmcs_load(u64 vmcs);		/* VMPTRLD */
extern u64 vmx_region_on;		/* the VMXON region */

/* L2's general registers except RSP, kept between runs. */
struct l2_regs {
	u64 rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
};
extern struct l2_regs l2;
extern u64 l1_exit_rflags;	/* RFLAGS right after the last exit */

/* Host RSP and RIP to use instead of the valid ones if vmx_host_override is set (to test bad ones). */
extern u64 vmx_host_override, vmx_host_rsp, vmx_host_rip;

/*
 * VMWRITEs of HOST_RSP and HOST_RIP exit, and an entry after them is no repetition. This writes them to the current VMCS,
 * and no entry does it again until vmx_host_kept is cleared.
 */
void vmx_keep_host(void);
extern u64 vmx_host_kept;

u64 vmx_try_enter(bool launch);	/* FAULT(), VM_OK after an exit, VM_INVALID, VM_FAIL(n) */
u64 vmx_run(void);		/* enters L2, first with VMLAUNCH; returns the exit reason. A failure ends the test */
void vmx_launched(bool launched);	/* sets the current VMCS's launch state as assumed by vmx_run() */
/*
 * Resumes the current VMCS, which was launched, at an endless loop of CPUIDs. L1 moves RIP past each, with no exit but the
 * VMRESUME. Returns the reason of the exit that ended it: R_CPUID after @n exits. L2's registers are lost.
 */
u64 hot_spin(u64 n);
u64 hot_spin_at(u64 n, void (*l2)(void));	/* the same at code of the test's, with CPUIDs or without */
void vmx_skip(void);		/* moves L2's RIP past the instruction that exited */
/* Runs L2; the exit reason must be @reason. @what is printed on a failure. */
void vmx_expect_at(const char *file, int line, u64 reason, const char *what);
#define vmx_expect(reason, what) vmx_expect_at(__FILE__, __LINE__, reason, what)

/* --- EPT used by L1 --- */
#define EPT_R BIT(0)
#define EPT_W BIT(1)
#define EPT_X BIT(2)
#define EPT_RWX 7ul
#define EPT_MT_WB (6ul << 3)
#define EPT_LEAF BIT(7)
#define EPT_A BIT(8)
#define EPT_D BIT(9)
u64 ept_new(void);		/* maps 4 GiB one to one with 2 MiB pages; returns an EPTP */
void ept_use(u64 eptp);		/* enables EPT in the current VMCS; skips the subtest without EPT */
u64 *ept_entry(u64 eptp, u64 gpa, int level);	/* level 1: 4 KiB, 2: 2 MiB, 3, 4; splits 2 MiB pages */
u64 invept_all(void);
/*
 * Gives a page an entry of its own in the tables of the current VMCS. With a large page around the APIC-access page, what
 * an access does depends on the processor (SDM 3C 30.4.5).
 */
void ept_split_at(u64 gpa);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Functions for code that runs in a guest: reports, instructions, faults as values, CPL 3, memory. */
#ifndef GUEST_H
#define GUEST_H

#include "ksft.h"
#include "layout.h"

/* --- reports to the host --- */
void g_call(enum gcall_kind kind, const char *file, int line, const char *text, u64 a, u64 b, u64 c, u64 d);
void g_sync(u64 stage);
void g_sync2(u64 stage, u64 val);
__attribute__((noreturn)) void g_done(void);
__attribute__((noreturn)) void g_skip(const char *why);
void g_diag(const char *text, u64 a, u64 b);	/* text has one %llx for a and one for b */
u64 g_arg(void);	/* the subtest's argument */

#define G_EQ(got, want, what) do { \
	u64 got__ = (u64)(got), want__ = (u64)(want); \
	if (got__ != want__) \
		g_call(GCALL_EQ, __FILE__, __LINE__, what, got__, want__, 0, 0); \
} while (0)
#define G_OK(cond, what)	G_EQ(!!(cond), 1, what)
/* G_EQ() with a number, which identifies a row of a table. */
#define G_EQN(got, want, what, n) do { \
	u64 got__ = (u64)(got), want__ = (u64)(want); \
	if (got__ != want__) \
		g_call(GCALL_EQ, __FILE__, __LINE__, what, got__, want__, n, 1); \
} while (0)
#define G_MUST(cond, what) do { \
	if (!(cond)) \
		g_call(GCALL_ABORT, __FILE__, __LINE__, what, 0, 1, 0, 0); \
} while (0)

/* --- exceptions --- */
struct trap_regs {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error, rip, cs, rflags, rsp, ss;
};

typedef void (*trap_fn)(struct trap_regs *regs);
extern volatile trap_fn g_trap_fn[256];	/* called instead of a fixup; NULL if there is none */

enum {
	VEC_DE = 0, VEC_DB, VEC_NMI, VEC_BP, VEC_OF, VEC_BR, VEC_UD, VEC_NM, VEC_DF,
	VEC_TS = 10, VEC_NP, VEC_SS, VEC_GP, VEC_PF, VEC_MF = 16, VEC_AC,
};

/* The outcome of an instruction run with TRY(). */
#define NO_FAULT	0ul
#define FAULT(vec, err)	(1ul << 63 | (u64)(err) << 8 | (vec))
#define UD		FAULT(VEC_UD, 0)
#define GP0		FAULT(VEC_GP, 0)
#define IS_PF(f)	((f) >> 63 && ((f) & 0xff) == VEC_PF)
#define PF_ERR(f)	((u32)((f) >> 8))

/* For use in an asm: one instruction that may fault; R11 receives the outcome. */
#define TRY(insn) \
	"xor %%r11d, %%r11d\n1:\t" insn "\n2:\n" \
	".pushsection extable, \"a\"\n.quad 1b, 2b\n.popsection\n"

#define TRY_INSN(insn) ({ \
	u64 f__; \
	asm volatile(TRY(insn) "mov %%r11, %0" : "=r" (f__) : : "r11", "memory", "cc"); \
	f__; })

/* --- instructions --- */
static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	asm volatile("rdmsr" : "=a" (lo), "=d" (hi) : "c" (msr));
	return lo | (u64)hi << 32;
}

static inline void wrmsr(u32 msr, u64 val)
{
	asm volatile("wrmsr" : : "c" (msr), "a" ((u32)val), "d" ((u32)(val >> 32)) : "memory");
}

static inline u64 try_rdmsr(u32 msr, u64 *val)
{
	u64 f, lo = 0, hi = 0;

	asm volatile(TRY("rdmsr") "mov %%r11, %0" : "=r" (f), "+a" (lo), "+d" (hi) : "c" (msr) : "r11", "cc");
	*val = (u32)lo | hi << 32;
	return f;
}

static inline u64 try_wrmsr(u32 msr, u64 val)
{
	u64 f;

	asm volatile(TRY("wrmsr") "mov %%r11, %0" : "=r" (f) : "c" (msr), "a" ((u32)val), "d" ((u32)(val >> 32))
		     : "r11", "memory", "cc");
	return f;
}

static inline void cpuid(u32 fn, u32 index, u32 *a, u32 *b, u32 *c, u32 *d)
{
	asm volatile("cpuid" : "=a" (*a), "=b" (*b), "=c" (*c), "=d" (*d) : "0" (fn), "2" (index) : "memory");
}

#define CPUID_REG(fn, index, reg) ({ \
	u32 a__, b__, c__, d__; \
	cpuid(fn, index, &a__, &b__, &c__, &d__); \
	reg##__; })

#define READ_REG(name, insn) \
static inline u64 name(void) \
{ \
	u64 v; \
\
	asm volatile(insn : "=r" (v) : : "memory"); \
	return v; \
}
READ_REG(read_cr0, "mov %%cr0, %0")
READ_REG(read_cr2, "mov %%cr2, %0")
READ_REG(read_cr3, "mov %%cr3, %0")
READ_REG(read_cr4, "mov %%cr4, %0")
READ_REG(read_cr8, "mov %%cr8, %0")
READ_REG(read_dr0, "mov %%db0, %0")
READ_REG(read_dr3, "mov %%db3, %0")
READ_REG(read_dr6, "mov %%db6, %0")
READ_REG(read_dr7, "mov %%db7, %0")
READ_REG(read_rflags, "pushfq; popq %0")

/* The outcome is the return value. */
#define WRITE_REG(name, insn) \
static inline u64 name(u64 v) \
{ \
	u64 f; \
\
	asm volatile(TRY(insn) "mov %%r11, %0" : "=r" (f) : "r" (v) : "r11", "memory", "cc"); \
	return f; \
}
WRITE_REG(write_cr0, "mov %1, %%cr0")
WRITE_REG(write_cr2, "mov %1, %%cr2")
WRITE_REG(write_cr3, "mov %1, %%cr3")
WRITE_REG(write_cr4, "mov %1, %%cr4")
WRITE_REG(write_cr8, "mov %1, %%cr8")
WRITE_REG(write_dr0, "mov %1, %%db0")
WRITE_REG(write_dr1, "mov %1, %%db1")
WRITE_REG(write_dr3, "mov %1, %%db3")
WRITE_REG(write_dr6, "mov %1, %%db6")
WRITE_REG(write_dr7, "mov %1, %%db7")
WRITE_REG(invlpg, "invlpg (%1)")

static inline u64 try_read8(u64 addr)
{
	u64 f;

	asm volatile(TRY("movb (%1), %%al") "mov %%r11, %0" : "=r" (f) : "r" (addr) : "r11", "rax", "memory", "cc");
	return f;
}

static inline u64 try_write8(u64 addr, u8 v)
{
	u64 f;

	asm volatile(TRY("movb %2, (%1)") "mov %%r11, %0" : "=r" (f) : "r" (addr), "q" (v) : "r11", "memory", "cc");
	return f;
}

static inline u64 try_read64(u64 addr, u64 *val)
{
	u64 f, v = 0;

	asm volatile(TRY("mov (%2), %1") "mov %%r11, %0" : "=&r" (f), "+r" (v) : "r" (addr) : "r11", "memory", "cc");
	*val = v;
	return f;
}

static inline u64 try_xsetbv(u32 xcr, u64 val)
{
	u64 f;

	asm volatile(TRY("xsetbv") "mov %%r11, %0" : "=r" (f) : "c" (xcr), "a" ((u32)val), "d" ((u32)(val >> 32))
		     : "r11", "cc");
	return f;
}

static inline u64 xgetbv(u32 xcr)
{
	u32 lo, hi;

	asm volatile("xgetbv" : "=a" (lo), "=d" (hi) : "c" (xcr));
	return lo | (u64)hi << 32;
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	asm volatile("rdtsc" : "=a" (lo), "=d" (hi));
	return lo | (u64)hi << 32;
}

#define OUT(name, type, insn) \
static inline void name(u16 port, type v) \
{ \
	asm volatile(insn : : "d" (port), "a" (v) : "memory"); \
}
OUT(outb, u8, "outb %%al, %%dx")
OUT(outw, u16, "outw %%ax, %%dx")
OUT(outl, u32, "outl %%eax, %%dx")

#define IN(name, type, insn) \
static inline type name(u16 port) \
{ \
	type v; \
\
	asm volatile(insn : "=a" (v) : "d" (port) : "memory"); \
	return v; \
}
IN(inb, u8, "inb %%dx, %%al")
IN(inw, u16, "inw %%dx, %%ax")
IN(inl, u32, "inl %%dx, %%eax")

static inline void sti(void) { asm volatile("sti" : : : "memory"); }
static inline void cli(void) { asm volatile("cli" : : : "memory"); }
static inline void sti_hlt_cli(void) { asm volatile("sti; hlt; cli" : : : "memory"); }
static inline void sti_nop_cli(void) { asm volatile("sti; nop; cli" : : : "memory"); }
static inline void relax(void) { asm volatile("pause" : : : "memory"); }

struct dtr {
	u16 limit;
	u64 base;
} __attribute__((packed));

static inline void sgdt(struct dtr *d) { asm volatile("sgdt %0" : "=m" (*d)); }
static inline void sidt(struct dtr *d) { asm volatile("sidt %0" : "=m" (*d)); }
static inline void lidt(const struct dtr *d) { asm volatile("lidt %0" : : "m" (*d)); }

#define READ_SEL(name, reg) \
static inline u16 name(void) \
{ \
	u16 v; \
\
	asm volatile("mov %%" reg ", %0" : "=r" (v)); \
	return v; \
}
READ_SEL(read_cs, "cs")
READ_SEL(read_ss, "ss")
READ_SEL(read_ds, "ds")
READ_SEL(read_es, "es")
READ_SEL(read_fs, "fs")
READ_SEL(read_gs, "gs")
static inline u16 read_tr(void) { u16 v; asm volatile("str %0" : "=r" (v)); return v; }

/* --- MSRs --- */
#define MSR_TSC			0x10
#define MSR_APIC_BASE		0x1b
#define MSR_FEATURE_CONTROL	0x3a
#define MSR_TSC_ADJUST		0x3b
#define MSR_SYSENTER_CS		0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_SYSENTER_EIP	0x176
#define MSR_MISC_ENABLE		0x1a0
#define MSR_DEBUGCTL		0x1d9
#define MSR_PAT			0x277
#define MSR_TSC_DEADLINE	0x6e0
#define MSR_X2APIC(reg)		(0x800 + ((reg) >> 4))
#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_CSTAR		0xc0000083
#define MSR_FMASK		0xc0000084
#define MSR_FS_BASE		0xc0000100
#define MSR_GS_BASE		0xc0000101
#define MSR_KERNEL_GS_BASE	0xc0000102
#define MSR_TSC_AUX		0xc0000103

#define CR0_PE	BIT(0)
#define CR0_MP	BIT(1)
#define CR0_EM	BIT(2)
#define CR0_TS	BIT(3)
#define CR0_ET	BIT(4)
#define CR0_NE	BIT(5)
#define CR0_WP	BIT(16)
#define CR0_AM	BIT(18)
#define CR0_NW	BIT(29)
#define CR0_CD	BIT(30)
#define CR0_PG	BIT(31)
#define CR4_VME	BIT(0)
#define CR4_TSD	BIT(2)
#define CR4_DE	BIT(3)
#define CR4_PSE	BIT(4)
#define CR4_PAE	BIT(5)
#define CR4_MCE	BIT(6)
#define CR4_PGE	BIT(7)
#define CR4_OSFXSR BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_VMXE BIT(13)
#define CR4_PCIDE BIT(17)
#define CR4_OSXSAVE BIT(18)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NX	BIT(11)
#define RFLAGS_FIXED BIT(1)
#define RFLAGS_CF BIT(0)
#define RFLAGS_ZF BIT(6)
#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)
#define RFLAGS_RF BIT(16)
#define RFLAGS_VM BIT(17)

/* --- memory --- */
void *g_page(void);			/* a zeroed page, identity mapped */
void *g_pages(int n);
void *g_stack(void);			/* top of a new 16 KiB stack, as at a function's start */
u64 *g_pte(u64 va);			/* the 4 KiB entry that maps va; splits a 2 MiB page where needed */
void g_fill(void *p, u8 v, u64 n);
void g_copy(void *to, const void *from, u64 n);
int g_diff(const void *a, const void *b, u64 n);	/* index of the first difference, or -1 */

/* --- CPL 3 --- */
u64 g_user(u64 (*fn)(u64 arg), u64 arg);		/* call fn(arg) at CPL 3, 64-bit; its return value */
u64 g_user_cs(void *fn, u64 arg, u16 cs);		/* the same with code segment cs; fn ends with int $0x80 */

/* --- local APIC, in its current mode (xAPIC or x2APIC) --- */
#define APIC_BASE	0xfee00000ul
#define APIC_ID		0x20
#define APIC_LVR	0x30
#define APIC_TPR	0x80
#define APIC_PPR	0xa0
#define APIC_EOI	0xb0
#define APIC_LDR	0xd0
#define APIC_DFR	0xe0
#define APIC_SVR	0xf0
#define APIC_ISR	0x100
#define APIC_TMR	0x180
#define APIC_IRR	0x200
#define APIC_ESR	0x280
#define APIC_ICR	0x300
#define APIC_ICR2	0x310
#define APIC_LVTT	0x320
#define APIC_LVTLINT0	0x350
#define APIC_LVTLINT1	0x360
#define APIC_LVTERR	0x370
#define APIC_TMICT	0x380
#define APIC_TMCCT	0x390
#define APIC_TDCR	0x3e0
#define APIC_SELF_IPI	0x3f0
bool apic_is_x2(void);
u32 apic_read(u32 reg);
void apic_write(u32 reg, u32 val);
void apic_icr(u32 dest, u32 low);
void apic_eoi(void);
void apic_enable(void);		/* software enable, spurious vector 0xff */
void apic_x2_enable(void);
u32 apic_id(void);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Execution of one decoded instruction on plain values, with callbacks for memory and ports. Pure. */
#ifndef DROSTE_EMUL_EXEC_H
#define DROSTE_EMUL_EXEC_H

#include <linux/types.h>
#include <asm/trapnr.h>
#include "emul/arch.h"
#include "emul/emul.h"
#include "emul/insn.h"

/* Registers in the order of their encoding, as in droste.h, which pure code cannot include. */
enum { GPR_AX, GPR_CX, GPR_DX, GPR_BX, GPR_SP, GPR_BP, GPR_SI, GPR_DI };
enum { SREG_ES, SREG_CS, SREG_SS, SREG_DS, SREG_FS, SREG_GS, NR_SREGS, SREG_LDTR = NR_SREGS, SREG_TR, NR_ALL_SREGS };

/* Flags and control bits (SDM 1 3.4.3, 3A 2.5). */
#define FL_CF	BIT_ULL(0)
#define FL_FIX	BIT_ULL(1)
#define FL_PF	BIT_ULL(2)
#define FL_AF	BIT_ULL(4)
#define FL_ZF	BIT_ULL(6)
#define FL_SF	BIT_ULL(7)
#define FL_TF	BIT_ULL(8)
#define FL_IF	BIT_ULL(9)
#define FL_DF	BIT_ULL(10)
#define FL_OF	BIT_ULL(11)
#define FL_IOPL	(BIT_ULL(12) | BIT_ULL(13))
#define FL_NT	BIT_ULL(14)
#define FL_RF	BIT_ULL(16)
#define FL_VM	BIT_ULL(17)
#define FL_AC	BIT_ULL(18)
#define FL_VIF	BIT_ULL(19)
#define FL_VIP	BIT_ULL(20)
#define FL_ID	BIT_ULL(21)
#define FL_ARITH (FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF)

#define EMUL_CR0_PE	BIT_ULL(0)
#define EMUL_CR0_EM	BIT_ULL(2)
#define EMUL_CR0_TS	BIT_ULL(3)
#define EMUL_CR0_PG	BIT_ULL(31)
#define EMUL_CR0_AM	BIT_ULL(18)
#define EMUL_CR4_VME	BIT_ULL(0)
#define EMUL_CR4_OSFXSR	BIT_ULL(9)
#define EMUL_CR4_UMIP	BIT_ULL(11)
#define EMUL_CR4_OSXSAVE BIT_ULL(18)

/* A segment register with its hidden part. */
struct emul_seg {
	u64 base;
	u32 limit;	/* in bytes, granularity applied */
	u16 sel;
	u8 type;	/* bits 3:0 of the access rights */
	u8 dpl;
	bool s;		/* code or data, not a system segment */
	bool present, avl, l, g;
	bool db;	/* B flag: an expand-down segment ends at 4 GiB */
	bool unusable;	/* null selector or not present */
};

/* GDTR or IDTR. */
struct emul_table {
	u64 base;
	u16 limit;
};

struct emul_fault {
	u8 vector;
	bool has_error;
	u32 error_code;
	u64 cr2;	/* #PF only */
};

struct emul_ctx;

/*
 * The accesses of an instruction to memory, ports and vector registers.
 *
 * Each returns EMUL_DONE, or the result that ends the instruction: EMUL_FAULT
 * with ctx->fault set, EMUL_EXIT, EMUL_RETRY or EMUL_ERROR. A call that does
 * not return EMUL_DONE has changed nothing. A write is the last action of an
 * instruction (or of an iteration of it), so that nothing can fail after it.
 */
struct emul_ops {
	/* @rmw: a write to the same address follows, so it faults as a write does (SDM 3A 4.7) */
	int (*read)(struct emul_ctx *ctx, u64 la, void *data, u32 len, bool rmw);
	int (*write)(struct emul_ctx *ctx, u64 la, const void *data, u32 len);
	/* Atomic if possible; EMUL_RETRY if memory does not hold @old any more */
	int (*compare_exchange)(struct emul_ctx *ctx, u64 la, const void *old, const void *new, u32 len);
	/* Does the access fault? Accesses no data; *@len becomes 1 if it is not plain memory */
	int (*probe)(struct emul_ctx *ctx, u64 la, u32 *len, bool write);
	/* *@count elements of @size bytes at once; the number of elements read is returned in *@count */
	int (*in)(struct emul_ctx *ctx, u16 port, u32 size, u32 *count, void *data);
	int (*out)(struct emul_ctx *ctx, u16 port, u32 size, u32 count, const void *data);
	/* LMSW: the new value of CR0 is @cr0; @msw is the operand, at linear address @la */
	int (*lmsw)(struct emul_ctx *ctx, u64 cr0, u16 msw, u64 la);
	/* Loads CR3 in a task switch; EMUL_FAULT without a fault if the value is bad */
	int (*write_cr3)(struct emul_ctx *ctx, u64 cr3);
	/* Vector registers, 64 bytes each; if NULL, vector moves are unknown instructions */
	void (*get_vec)(struct emul_ctx *ctx, u8 reg, void *data);
	/* @bytes: 16 keeps the rest of the register, 64 replaces it */
	void (*put_vec)(struct emul_ctx *ctx, u8 reg, const void *data, u32 bytes);
	/* Registers of MMX, and an x87 instruction whose operand is @data instead of memory. They may raise #MF */
	int (*get_mm)(struct emul_ctx *ctx, u8 reg, u64 *val);
	int (*put_mm)(struct emul_ctx *ctx, u8 reg, u64 val);
	/* @*stored is set if the instruction has written its operand */
	int (*x87)(struct emul_ctx *ctx, void *data, bool *stored);
};

/* Bits of emul_ctx.features: instructions that are others on processors without them. */
#define EMUL_HAS_TZCNT	BIT(0)
#define EMUL_HAS_LZCNT	BIT(1)

/* Bits of emul_ctx.changed: state other than general registers, RIP and RFLAGS that the instruction has changed. */
#define EMUL_CHANGED_SEG(reg)	BIT(reg)
#define EMUL_CHANGED_GDT	BIT(8)
#define EMUL_CHANGED_IDT	BIT(9)

/* The maximum number of bytes that INS and OUTS transfer in one step. */
#define EMUL_PIO_BYTES	1024

/* The processor state that an instruction reads and writes. */
struct emul_ctx {
	u64 gpr[16];
	u64 rip, rflags;
	u64 cr0, cr4, xcr0;
	struct emul_seg seg[NR_ALL_SREGS];
	struct emul_table gdt, idt;
	u16 msw;		/* the low word of CR0 as SMSW reads it */
	enum emul_mode mode;
	u8 cpl;
	bool long_mode;		/* EFER.LMA */
	u8 features;		/* EMUL_HAS_* */
	u8 la_bits;		/* width of linear addresses: 48 or 57 */
	struct emul_insn insn;
	struct emul_fault fault;	/* valid with EMUL_FAULT */
	const struct emul_ops *ops;
	/* --- results --- */
	bool retired;		/* the instruction is complete, RIP is that of the next one */
	bool progress;		/* the instruction, or an iteration of a REP, is complete */
	bool step_trap;		/* TF was set: a single-step trap is due */
	bool mov_ss;		/* the instruction blocks events until after the next one (SDM 3A 6.8.3) */
	u32 changed;		/* EMUL_CHANGED_* */
	/* --- for ops --- */
	bool supervisor;	/* the access is an implicit one, of a supervisor at any CPL */
	/* --- set by ops --- */
	bool stop;		/* end a REP after this iteration */
	u8 pio_buf[EMUL_PIO_BYTES];
};

enum emul_result emul_exec(struct emul_ctx *ctx, u32 max_iterations);
int emul_fetch_linear(struct emul_ctx *ctx, u64 rip, u32 *len, u64 *la);

/* --- shared between exec*.c --- */
/**
 * emul_size_mask() - mask of an operand's bits
 * @bytes: operand size; 8 and above mask 64 bits
 *
 * Context: Any. Pure.
 * Return: the mask.
 */
static inline u64 emul_size_mask(u32 bytes)
{
	return bytes >= 8 ? ~0ULL : (1ULL << (8 * bytes)) - 1;
}

int emul_raise(struct emul_ctx *ctx, u8 vector);
int emul_raise_err(struct emul_ctx *ctx, u8 vector, u32 error_code);
void emul_write_reg(struct emul_ctx *ctx, u8 reg, u32 bytes, u64 val);
u64 emul_effective_address(const struct emul_ctx *ctx);
int emul_linear(struct emul_ctx *ctx, u8 seg, u64 ea, u32 size, bool write, u64 *la);
int emul_check_alignment(struct emul_ctx *ctx, u64 la, u32 size);
int emul_mem_read(struct emul_ctx *ctx, u8 seg, u64 ea, void *data, u32 size, bool rmw);
int emul_mem_write(struct emul_ctx *ctx, u8 seg, u64 ea, const void *data, u32 size);
int emul_exec_string(struct emul_ctx *ctx, u64 max, u64 *done);
int emul_exec_vector(struct emul_ctx *ctx);
int emul_exec_stack(struct emul_ctx *ctx);
int emul_exec_system(struct emul_ctx *ctx);
int emul_exec_bits(struct emul_ctx *ctx);
int emul_exec_x87(struct emul_ctx *ctx);
u64 emul_read_reg(const struct emul_ctx *ctx, u8 reg, u32 bytes);
bool emul_protected_mode(const struct emul_ctx *ctx);

/* An operand of an instruction. */
struct emul_operand {
	bool mem;
	u8 reg;		/* !mem */
	u32 bytes;
	u64 ea;		/* mem */
	u64 val;	/* set by emul_load_operand(), zero-extended */
};

void emul_find_operand(struct emul_ctx *ctx, u8 opd, u32 bytes, struct emul_operand *out);
int emul_load_operand(struct emul_ctx *ctx, struct emul_operand *o, bool rmw);
int emul_store_operand(struct emul_ctx *ctx, const struct emul_operand *o, u64 val);
int emul_load_source(struct emul_ctx *ctx, u32 bytes, u64 *val);
int emul_push_value(struct emul_ctx *ctx, u64 val, u32 bytes);

/* --- alu.c --- */
u64 alu_binary(u8 op, u64 a, u64 b, u32 bytes, u64 *flags);
u64 alu_unary(u8 op, u64 a, u32 bytes, u64 *flags);
u64 alu_shift(u8 op, u64 a, u32 count, u32 bytes, u64 *flags);
u64 alu_shift_double(bool left, u64 a, u64 b, u32 count, u32 bytes, u64 *flags);
void alu_mul(bool is_signed, u64 a, u64 b, u32 bytes, u64 *lo, u64 *hi, u64 *flags);
bool alu_div(bool is_signed, u64 lo, u64 hi, u64 d, u32 bytes, u64 *quot, u64 *rem);
bool alu_condition(u8 cc, u64 flags);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Execution of one decoded instruction on plain values, with callbacks for memory and ports. Pure. */
#ifndef DROSTE_EMUL_EXEC_H
#define DROSTE_EMUL_EXEC_H

#include <linux/types.h>
#include "emul/emul.h"
#include "emul/insn.h"

/* General and segment registers as instructions encode them; the same as droste.h's enums, which pure code cannot see. */
enum { GPR_AX, GPR_CX, GPR_DX, GPR_BX, GPR_SP, GPR_BP, GPR_SI, GPR_DI };
enum { SREG_ES, SREG_CS, SREG_SS, SREG_DS, SREG_FS, SREG_GS, NR_SREGS };

/* Flags and control bits, by the SDM's names (1: 3.4.3; 3A: 2.5). */
#define FL_CF	BIT_ULL(0)
#define FL_FIX	BIT_ULL(1)
#define FL_PF	BIT_ULL(2)
#define FL_AF	BIT_ULL(4)
#define FL_ZF	BIT_ULL(6)
#define FL_SF	BIT_ULL(7)
#define FL_TF	BIT_ULL(8)
#define FL_DF	BIT_ULL(10)
#define FL_OF	BIT_ULL(11)
#define FL_RF	BIT_ULL(16)
#define FL_VM	BIT_ULL(17)
#define FL_AC	BIT_ULL(18)
#define FL_ARITH (FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF)

#define EMUL_CR0_PE	BIT_ULL(0)
#define EMUL_CR0_EM	BIT_ULL(2)
#define EMUL_CR0_TS	BIT_ULL(3)
#define EMUL_CR0_AM	BIT_ULL(18)
#define EMUL_CR4_OSFXSR	BIT_ULL(9)
#define EMUL_CR4_OSXSAVE BIT_ULL(18)

/* Exception vectors that the executor itself raises (SDM 3A table 6-1). */
enum { VEC_DE = 0, VEC_UD = 6, VEC_NM = 7, VEC_SS = 12, VEC_GP = 13, VEC_PF = 14, VEC_AC = 17 };

/* A segment register with its hidden part. */
struct emul_seg {
	u64 base;
	u32 limit;	/* in bytes, granularity applied */
	u16 sel;
	u8 type;	/* bits 3:0 of the access rights */
	bool db;	/* big: an expand-down segment ends at 4 GiB */
	bool unusable;	/* null selector or not present */
};

struct emul_fault {
	u8 vector;
	bool has_error;
	u32 error_code;
	u64 cr2;	/* for #PF */
};

struct emul_ctx;

/**
 * struct emul_ops - what an instruction may touch
 *
 * Each returns %EMUL_DONE, or what ends the instruction: %EMUL_FAULT with
 * ctx->fault set, %EMUL_EXIT, %EMUL_RETRY or %EMUL_ERROR. A call that does
 * not return %EMUL_DONE has changed nothing. A write is the last thing that
 * an instruction (or one iteration of it) does, so that nothing can fail after it.
 */
struct emul_ops {
	/* @rmw: a write to the same place follows; faults as a write does (SDM 3A 4.7) */
	int (*read)(struct emul_ctx *ctx, u64 la, void *data, u32 len, bool rmw);
	int (*write)(struct emul_ctx *ctx, u64 la, const void *data, u32 len);
	/* Atomic where that is possible; %EMUL_RETRY when memory does not hold @old any more */
	int (*compare_exchange)(struct emul_ctx *ctx, u64 la, const void *old, const void *new, u32 len);
	/* Would the access fault? Touches no data; *@len becomes 1 where there is no plain memory */
	int (*probe)(struct emul_ctx *ctx, u64 la, u32 *len, bool write);
	/* @count elements of @size bytes at once; in: returns how many came in *@count */
	int (*in)(struct emul_ctx *ctx, u16 port, u32 size, u32 *count, void *data);
	int (*out)(struct emul_ctx *ctx, u16 port, u32 size, u32 count, const void *data);
	/* Vector registers, 64 bytes each; NULL: vector moves are unknown instructions */
	void (*get_vec)(struct emul_ctx *ctx, u8 reg, void *data);
	/* @bytes: 16 keeps, 64 replaces the rest */
	void (*put_vec)(struct emul_ctx *ctx, u8 reg, const void *data, u32 bytes);
};

/* Elements of INS and OUTS that move in one step, in bytes. */
#define EMUL_PIO_BYTES	1024

/**
 * struct emul_ctx - the machine as one instruction sees it
 */
struct emul_ctx {
	u64 gpr[16];
	u64 rip, rflags;
	u64 cr0, cr4, xcr0;
	struct emul_seg seg[NR_SREGS];
	enum emul_mode mode;
	u8 cpl;
	u8 la_bits;		/* width of linear addresses: 48 or 57 */
	struct emul_insn insn;
	struct emul_fault fault;	/* with EMUL_FAULT */
	const struct emul_ops *ops;
	/* --- results --- */
	bool retired;		/* the instruction is finished, RIP is behind it */
	bool progress;		/* registers changed (REP: at least one iteration is done) */
	bool step_trap;		/* TF was set: a single-step trap is due */
	/* --- set by ops --- */
	bool stop;		/* no further REP iteration now */
	u8 pio_buf[EMUL_PIO_BYTES];
};

/* Execute ctx->insn. @max_iterations bounds one call for REP. */
enum emul_result emul_exec(struct emul_ctx *ctx, u32 max_iterations);

/* Linear address of CS:@rip for fetch of up to *@len bytes (shortened to the limit); EMUL_DONE or EMUL_FAULT. */
int emul_fetch_linear(struct emul_ctx *ctx, u64 rip, u32 *len, u64 *la);

/* --- shared between exec*.c --- */
int emul_raise(struct emul_ctx *ctx, u8 vector);
int emul_raise_err(struct emul_ctx *ctx, u8 vector, u32 error_code);
u64 emul_size_mask(u32 bytes);
bool emul_canonical(const struct emul_ctx *ctx, u64 la);
void emul_write_reg(struct emul_ctx *ctx, u8 reg, u32 bytes, u64 val);	/* no high-byte registers */
u64 emul_effective_address(struct emul_ctx *ctx);
int emul_linear(struct emul_ctx *ctx, u8 seg, u64 ea, u32 size, bool write, u64 *la);
int emul_check_alignment(struct emul_ctx *ctx, u64 la, u32 size);
int emul_mem_read(struct emul_ctx *ctx, u8 seg, u64 ea, void *data, u32 size, bool rmw);
int emul_mem_write(struct emul_ctx *ctx, u8 seg, u64 ea, const void *data, u32 size);
int emul_exec_string(struct emul_ctx *ctx, u64 max, u64 *done);		/* one step, at most @max elements */
int emul_exec_vector(struct emul_ctx *ctx);

/* --- alu.c: results and flags; all values are zero-extended, @bytes wide --- */
u64 alu_binary(u8 op, u64 a, u64 b, u32 bytes, u64 *flags);	/* OP_ADD to OP_CMP, OP_TEST */
u64 alu_unary(u8 op, u64 a, u32 bytes, u64 *flags);		/* OP_NOT, NEG, INC, DEC */
u64 alu_shift(u8 op, u64 a, u32 count, u32 bytes, u64 *flags);	/* OP_ROL to OP_SAR */
u64 alu_shift_double(bool left, u64 a, u64 b, u32 count, u32 bytes, u64 *flags);
void alu_mul(bool is_signed, u64 a, u64 b, u32 bytes, u64 *lo, u64 *hi, u64 *flags);
bool alu_div(bool is_signed, u64 lo, u64 hi, u64 d, u32 bytes, u64 *quot, u64 *rem);	/* false: #DE */
bool alu_condition(u8 cc, u64 flags);	/* low four bits of Jcc, SETcc, CMOVcc (SDM 1 appendix B) */

#endif

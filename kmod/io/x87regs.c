// SPDX-License-Identifier: GPL-2.0
/* x87 and MMX instructions of the guest, executed on the guest's registers: see vecregs.c for where these are. */
#include <linux/preempt.h>
#include <asm/asm.h>
#include <asm/fpu/api.h>
#include <asm/trapnr.h>
#include "droste.h"
#include "emul/exec.h"
#include "io/emulate_state.h"

static int x87regs_finish(struct emul_ctx *ctx, bool fault)
{
	fpregs_unlock();
	return fault ? emul_raise(ctx, X86_TRAP_MF) : EMUL_DONE;
}

/* @fault becomes 1 if an unmasked exception of an earlier instruction is pending: the instruction raised #MF instead. */
#define MAY_FAULT(insn, ...)						\
	asm volatile("mov $1, %k[fault]\n"				\
		     "1: " insn "\n\t"					\
		     "mov $0, %k[fault]\n"				\
		     "2:\n" _ASM_EXTABLE(1b, 2b)			\
		     : [fault] "=&r"(fault) : __VA_ARGS__ : "memory")

#define MM_CASES(X)	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define GET_MM(n) case n: MAY_FAULT("movq %%mm" #n ", (%[val])", [val] "r"(val)); break;
#define PUT_MM(n) case n: MAY_FAULT("movq (%[val]), %%mm" #n, [val] "r"(&val)); break;

/**
 * emul_op_get_mm() - read a register of MMX, for emul_ops.get_mm
 * @ctx: the instruction
 * @reg: number of the register
 * @val: set to its value
 *
 * Context: Process context, between fpu_enter() and fpu_leave().
 * Return: EMUL_DONE, or EMUL_FAULT with #MF.
 */
int emul_op_get_mm(struct emul_ctx *ctx, u8 reg, u64 *val)
{
	u32 fault = 0;

	vecregs_lock();
	switch (reg) {
	MM_CASES(GET_MM)
	}
	return x87regs_finish(ctx, fault);
}

/**
 * emul_op_put_mm() - write a register of MMX, for emul_ops.put_mm
 * @ctx: the instruction
 * @reg: number of the register
 * @val: the value
 *
 * Context: Process context, between fpu_enter() and fpu_leave().
 * Return: EMUL_DONE, or EMUL_FAULT with #MF.
 */
int emul_op_put_mm(struct emul_ctx *ctx, u8 reg, u64 val)
{
	u32 fault = 0;

	vecregs_lock();
	switch (reg) {
	MM_CASES(PUT_MM)
	}
	return x87regs_finish(ctx, fault);
}

/* The instruction with its operand at (%rax). */
#define X87(op, reg)									\
	case ((op) & 7) << 3 | (reg):							\
		MAY_FAULT(".byte %c[opcode], %c[modrm]",				\
			  [opcode] "i"(op), [modrm] "i"((reg) << 3), "a"(data));	\
		break;
#define X87_ALL(op)	X87(op, 0) X87(op, 1) X87(op, 2) X87(op, 3) X87(op, 4) X87(op, 5) X87(op, 6) X87(op, 7)

/* Returns false if the instruction raised #MF. */
static bool x87regs_execute(u8 opcode, u8 reg, void *data)
{
	u32 fault = 0;

	switch ((opcode & 7) << 3 | reg) {
	X87_ALL(0xd8)
	X87(0xd9, 0) X87(0xd9, 2) X87(0xd9, 3) X87(0xd9, 5) X87(0xd9, 7)
	X87_ALL(0xda)
	X87(0xdb, 0) X87(0xdb, 1) X87(0xdb, 2) X87(0xdb, 3) X87(0xdb, 5) X87(0xdb, 7)
	X87_ALL(0xdc)
	X87(0xdd, 0) X87(0xdd, 1) X87(0xdd, 2) X87(0xdd, 3) X87(0xdd, 7)
	X87_ALL(0xde)
	X87_ALL(0xdf)
	}
	return !fault;
}

/* FLDCW, FNSTCW and FNSTSW, which are no subject of the pointers to the last instruction (SDM 1 8.1.8). */
static bool x87regs_is_control(const struct emul_insn *insn)
{
	return (insn->opcode == 0xd9 && (insn->reg & 5) == 5) || (insn->opcode == 0xdd && (insn->reg & 7) == 7);
}

/* The processor noted where L0 executed the instruction. The guest sees its own address, opcode and operand. */
static void x87regs_set_pointers(const struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u8 modrm = insn->mod << 6 | (insn->reg & 7) << 3 | (insn->rm & 7);
	struct fxregs_state fx __aligned(16);

	asm volatile("fxsave64 %0" : "=m"(fx));
	fx.fop = (insn->opcode & 7) << 8 | modrm;
	fx.rip = ctx->rip;
	fx.rdp = emul_effective_address(ctx);
	asm volatile("fxrstor64 %0" : : "m"(fx));
}

#define X87_UNSTORED	(BIT(0) | BIT(3) | BIT(4))	/* invalid operation, overflow, underflow */
#define X87_ES		BIT(7)

/* A store that raised one of these exceptions unmasked has written nothing (SDM 1 8.5). */
static bool x87regs_has_stored(const struct emul_insn *insn)
{
	u16 sw, cw;

	if (x87regs_is_control(insn))
		return true;
	asm volatile("fnstsw %0" : "=m"(sw));
	asm volatile("fnstcw %0" : "=m"(cw));
	return !(sw & X87_ES) || !(sw & ~cw & X87_UNSTORED);
}

/**
 * emul_op_x87() - execute an x87 instruction with a memory operand, for emul_ops.x87
 * @ctx: the instruction
 * @data: its operand
 * @stored: set if the instruction has written its operand; valid for stores
 *
 * Context: Process context, between fpu_enter() and fpu_leave().
 * Return: EMUL_DONE, or EMUL_FAULT with #MF.
 */
int emul_op_x87(struct emul_ctx *ctx, void *data, bool *stored)
{
	const struct emul_insn *insn = &ctx->insn;
	bool done;

	vecregs_lock();
	done = x87regs_execute(insn->opcode, insn->reg & 7, data);
	if (done) {
		*stored = x87regs_has_stored(insn);
		if (!x87regs_is_control(insn))
			x87regs_set_pointers(ctx);
	}
	return x87regs_finish(ctx, !done);
}

// SPDX-License-Identifier: GPL-2.0
/* The guest's vector registers. During KVM_RUN they are in the processor's registers, see fpu_enter(). */
#include <linux/preempt.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include "droste.h"
#include "emul/exec.h"
#include "io/emulate_state.h"

/* One case per register, as an instruction can only name a fixed one. */
#define REGS_0_15(X)	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define REGS_16_31(X)	X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) \
			X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)

#define GET_XMM(n) case n: asm volatile("movdqu %%xmm" #n ", %0" : "=m"(*out)); break;
#define GET_YMM(n) case n: asm volatile("vmovdqu %%ymm" #n ", %0" : "=m"(*out)); break;
#define GET_ZMM(n) case n: asm volatile("vmovdqu64 %%zmm" #n ", %0" : "=m"(*out)); break;
#define PUT_XMM(n) case n: asm volatile("movdqu %0, %%xmm" #n : : "m"(*in)); break;
#define PUT_YMM(n) case n: asm volatile("vmovdqu %0, %%ymm" #n : : "m"(*in)); break;
#define PUT_ZMM(n) case n: asm volatile("vmovdqu64 %0, %%zmm" #n : : "m"(*in)); break;

struct vector { u8 bytes[64]; };

/**
 * vecregs_lock() - lock the registers, and load the guest's values if a softirq or another thread has replaced them
 *
 * Context: Process context, between fpu_enter() and fpu_leave(). fpregs_unlock() ends it.
 */
void vecregs_lock(void)
{
	fpregs_lock();
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
}

/**
 * emul_op_get_vec() - read a vector register, for emul_ops.get_vec
 * @ctx: the instruction
 * @reg: number of the register
 * @data: filled with 64 bytes; the part that this processor does not have is 0
 *
 * Context: Process context, between fpu_enter() and fpu_leave().
 */
void emul_op_get_vec(struct emul_ctx *ctx, u8 reg, void *data)
{
	struct vector *out = data;

	memset(out, 0, sizeof(*out));
	vecregs_lock();
	if (boot_cpu_has(X86_FEATURE_AVX512F)) {
		switch (reg) {
		REGS_0_15(GET_ZMM)
		REGS_16_31(GET_ZMM)
		}
	} else if (boot_cpu_has(X86_FEATURE_AVX)) {
		switch (reg) {
		REGS_0_15(GET_YMM)
		}
	} else {
		switch (reg) {
		REGS_0_15(GET_XMM)
		}
	}
	fpregs_unlock();
}

/**
 * emul_op_put_vec() - write a vector register, for emul_ops.put_vec
 * @ctx: the instruction
 * @reg: number of the register
 * @data: the value
 * @bytes: 16 to keep the bits above, 64 to replace the whole register that this processor has
 *
 * Context: Process context, between fpu_enter() and fpu_leave().
 */
void emul_op_put_vec(struct emul_ctx *ctx, u8 reg, const void *data, u32 bytes)
{
	const struct vector *in = data;

	vecregs_lock();
	if (bytes == 16) {
		switch (reg) {
		REGS_0_15(PUT_XMM)
		}
	} else if (boot_cpu_has(X86_FEATURE_AVX512F)) {
		switch (reg) {
		REGS_0_15(PUT_ZMM)
		REGS_16_31(PUT_ZMM)
		}
	} else {
		switch (reg) {
		REGS_0_15(PUT_YMM)
		}
	}
	fpregs_unlock();
}

/* SPDX-License-Identifier: GPL-2.0 */
/* Emulation of one instruction of a guest: its state, which is kept while user space serves an access. */
#ifndef DROSTE_IO_EMULATE_STATE_H
#define DROSTE_IO_EMULATE_STATE_H

#include "droste.h"
#include "emul/exec.h"
#include "cpu/walk.h"

/* A part of an MMIO access, small enough for one KVM_EXIT_MMIO. */
struct mmio_frag {
	gpa_t gpa;
	u8 len;		/* 1 to 8 */
	u8 data[8];
};

/* ENTER pushes up to 32 pointers, which may cross a page boundary, and a frame may be on a device as a whole. */
#define EMUL_MAX_FRAGS	36

/*
 * A decoded instruction of 64-bit code. Its bytes 0 to 7 and 7 to 14 are kept as
 * two words, of which the bytes behind its end are 0.
 */
struct quick_insn {
	u64 words[2];
	u64 mask[2];		/* the bits of @words that belong to the instruction */
	s64 disp, imm;		/* as in struct emul_insn */
	u64 ea_mask;		/* the address size */
	u64 mem_mask;		/* the bits of the operand in memory */
	s8 base, index;		/* general registers of the address, -1 if none */
	u8 scale;		/* log2 */
	u8 len;			/* 0: nothing is decoded here */
	bool plain;		/* a plain move: the other members are valid */
	bool rip_rel;		/* relative to the next instruction */
	bool load;		/* from memory to the register */
	bool from_imm;		/* a store of @imm */
	bool sign;		/* a load is sign-extended */
	bool high;		/* the register is bits 15:8 of @reg */
	u8 reg;			/* enum gpr */
	u8 reg_bytes;		/* bytes of the register that a load writes */
	u8 mem_bytes;		/* size of the operand in memory */
};

#define QUICK_INSNS	8	/* entries of the cache; a power of two */

/* The answer that the emulator expects from user space. */
enum emul_pending {
	EMUL_PENDING_NONE,
	EMUL_PENDING_MMIO_READ,	/* the data of reads[nr_reads - 1], in kvm_run */
	EMUL_PENDING_IN,	/* the data of @in, in vcpu->pio_data */
};

/*
 * The emulator's part of a vCPU. Owner: the vCPU's thread.
 *
 * An instruction that needs an answer from user space is abandoned without
 * effect, and executed from its start when the answer has arrived. The accesses
 * that it made before get their data from reads[], in order.
 */
struct emul_state {
	struct vcpu *vcpu;
	struct emul_ctx ctx;		/* the instruction and the registers it works on */
	struct pagewalk_cfg paging;	/* paging state, for translations */
	struct walk_fault walk;		/* of the last translation that failed */
	bool reflect;			/* the instruction ends in an exit to L1, which vcpu->exit describes */
	int error;			/* errno of KVM_RUN; valid with EMUL_ERROR */

	u8 bytes[INSN_MAX];		/* bytes of the instruction */
	u8 nr_bytes;			/* number of bytes fetched */

	enum emul_pending pending;
	struct mmio_frag reads[EMUL_MAX_FRAGS];	/* reads of MMIO by this instruction */
	u8 nr_reads;			/* number of them; user space may not have answered the last one yet */
	u8 next_read;			/* index of the read that is served next */
	struct mmio_frag writes[EMUL_MAX_FRAGS];	/* writes to MMIO that user space does not know yet */
	u8 nr_writes;
	u8 next_write;			/* index of the write that is delivered next */
	struct {
		u16 port;
		u8 size;
		u32 count;		/* elements that user space was asked for */
		bool answered;		/* vcpu->pio_data holds them */
	} in;				/* IN or INS */
	struct quick_insn quick[QUICK_INSNS];	/* decoded instructions, by RIP; found again by their bytes */
	const struct quick_insn *quick_load;	/* the load that user space was asked for by quick_mmio() */
	u64 next_rip;			/* behind the IN or OUT that user space was asked about by emul_pio_short() */
	bool out;			/* OUTS has filled vcpu->run and vcpu->pio_data */
};

static inline struct emul_state *emul_state_of(struct emul_ctx *ctx)
{
	return container_of(ctx, struct emul_state, ctx);
}

/* --- emulate.c --- */
void emul_begin(struct emul_state *es);
int emul_resume(struct vcpu *vcpu);
void emul_build_context(struct emul_state *es);
void emul_load_system(struct emul_state *es);
void emul_commit(struct emul_state *es);
void emul_queue_fault(struct emul_state *es);
int emul_exit_to_l1(struct emul_state *es, u32 reason, u64 qual, u64 gla);

/* --- mmio.c --- */
void emul_mmio_ask(struct emul_state *es, gpa_t gpa, u32 len);
int emul_mmio_read(struct emul_state *es, gpa_t gpa, void *data, u32 len);
int emul_mmio_write(struct emul_state *es, gpa_t gpa, const void *data, u32 len);
bool emul_mmio_write_word(struct emul_state *es, gpa_t gpa, u64 val, u32 len);
int emul_mmio_deliver(struct vcpu *vcpu);

/* --- memory.c: the callbacks of struct emul_ops for memory, and instruction fetch --- */
int emul_op_read(struct emul_ctx *ctx, u64 la, void *data, u32 len, bool rmw);
int emul_op_write(struct emul_ctx *ctx, u64 la, const void *data, u32 len);
int emul_op_cmpxchg(struct emul_ctx *ctx, u64 la, const void *old, const void *new, u32 len);
int emul_op_probe(struct emul_ctx *ctx, u64 la, u32 *len, bool write);
int emul_fetch(struct emul_state *es, u64 la, void *data, u32 len);

/* --- pio.c: the callbacks of struct emul_ops for ports --- */
int emul_op_in(struct emul_ctx *ctx, u16 port, u32 size, u32 *count, void *data);
int emul_op_out(struct emul_ctx *ctx, u16 port, u32 size, u32 count, const void *data);

/* --- task_switch.c: a callback of struct emul_ops --- */
int emul_op_write_cr3(struct emul_ctx *ctx, u64 cr3);

/* --- vecregs.c: the callbacks of struct emul_ops for vector registers --- */
void vecregs_lock(void);
void emul_op_get_vec(struct emul_ctx *ctx, u8 reg, void *data);
void emul_op_put_vec(struct emul_ctx *ctx, u8 reg, const void *data, u32 bytes);

/* --- x87regs.c: the callbacks of struct emul_ops for x87 and MMX --- */
int emul_op_get_mm(struct emul_ctx *ctx, u8 reg, u64 *val);
int emul_op_put_mm(struct emul_ctx *ctx, u8 reg, u64 val);
int emul_op_x87(struct emul_ctx *ctx, void *data, bool *stored);

#endif

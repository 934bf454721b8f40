/* SPDX-License-Identifier: GPL-2.0 */
/* Emulation of one instruction of a guest: its state, also while user space does a part of the work. */
#ifndef DROSTE_IO_EMULATE_STATE_H
#define DROSTE_IO_EMULATE_STATE_H

#include "droste.h"
#include "emul/exec.h"
#include "cpu/walk.h"

/* A part of an access to memory-mapped I/O: what KVM_EXIT_MMIO can carry. */
struct mmio_frag {
	gpa_t gpa;
	u8 len;		/* 1 to 8 */
	u8 data[8];
};

/* A 64-byte vector over a page boundary makes 9 fragments; CMPS makes two times 2. */
#define EMUL_MAX_FRAGS	12

/* What user space has been asked for. */
enum emul_pending {
	EMUL_PENDING_NONE,
	EMUL_PENDING_MMIO_READ,	/* answers reads[nr_reads - 1] */
	EMUL_PENDING_IN,		/* answers @in, in vcpu->pio_data */
};

/**
 * struct emul_state - the emulator's own part of a vCPU
 *
 * Owned by the vCPU's thread. An instruction that needs an answer from user
 * space is abandoned without a trace and executed from its start when the
 * answer is there: reads[] then serves what was read already, in order.
 */
struct emul_state {
	struct vcpu *vcpu;
	struct emul_ctx ctx;
	struct pagewalk_cfg paging;
	struct walk_fault walk;		/* of the last translation that failed */
	bool reflect;			/* it has to go to L1: walk_reflect_ept() */
	int error;			/* with EMUL_ERROR */

	u8 bytes[INSN_MAX];		/* of the instruction */
	u8 nr_bytes;

	enum emul_pending pending;
	struct mmio_frag reads[EMUL_MAX_FRAGS];
	u8 nr_reads;			/* answered, or the last one asked for */
	u8 next_read;			/* the next one to be served */
	struct mmio_frag writes[EMUL_MAX_FRAGS];	/* done by the instruction, not yet told to user space */
	u8 nr_writes;
	u8 next_write;
	struct {
		u16 port;
		u8 size;
		u32 count;
		bool answered;
	} in;				/* INS or IN */
	bool out;			/* OUTS filled vcpu->run and vcpu->pio_data */
};

static inline struct emul_state *emul_state_of(struct emul_ctx *ctx)
{
	return container_of(ctx, struct emul_state, ctx);
}

/* --- mmio.c --- */
/* @gpa to @gpa + @len lies in one page, outside memory. Both return enum emul_result. */
int emul_mmio_read(struct emul_state *es, gpa_t gpa, void *data, u32 len);
int emul_mmio_write(struct emul_state *es, gpa_t gpa, const void *data, u32 len);
int emul_mmio_deliver(struct vcpu *vcpu);	/* the next of writes[] to user space: NEXT_USER */

/* --- memory.c: struct emul_ops' memory part --- */
int emul_op_read(struct emul_ctx *ctx, u64 la, void *data, u32 len, bool rmw);
int emul_op_write(struct emul_ctx *ctx, u64 la, const void *data, u32 len);
int emul_op_cmpxchg(struct emul_ctx *ctx, u64 la, const void *old, const void *new, u32 len);
int emul_op_probe(struct emul_ctx *ctx, u64 la, u32 *len, bool write);
int emul_fetch(struct emul_state *es, u64 la, void *data, u32 len);	/* within a page */

/* --- pio.c --- */
int emul_op_in(struct emul_ctx *ctx, u16 port, u32 size, u32 *count, void *data);
int emul_op_out(struct emul_ctx *ctx, u16 port, u32 size, u32 count, const void *data);

/* --- vecregs.c --- */
void emul_op_get_vec(struct emul_ctx *ctx, u8 reg, void *data);
void emul_op_put_vec(struct emul_ctx *ctx, u8 reg, const void *data, u32 bytes);

#endif

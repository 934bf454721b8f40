/* SPDX-License-Identifier: GPL-2.0 */
/* Segment descriptors of the emulated processor. Pure. */
#ifndef DROSTE_EMUL_DESC_H
#define DROSTE_EMUL_DESC_H

#include "emul/exec.h"

struct emul_desc {
	u64 val;	/* the first 8 bytes */
	u64 high;	/* the others, of a system descriptor in IA-32e mode */
	u64 la;		/* linear address */
	u16 sel;
};

int emul_system_read(struct emul_ctx *ctx, u64 la, void *data, u32 len);
int emul_system_write(struct emul_ctx *ctx, u64 la, const void *data, u32 len);
int emul_desc_fetch(struct emul_ctx *ctx, u16 sel, u8 vector, struct emul_desc *d);
void emul_desc_unpack(const struct emul_desc *d, struct emul_seg *seg);
int emul_desc_set_busy(struct emul_ctx *ctx, u16 sel, bool busy);
int emul_load_sreg(struct emul_ctx *ctx, u8 reg, u16 sel, u8 vector, struct emul_seg *out);
int emul_load_cs(struct emul_ctx *ctx, u16 sel, u8 cpl, u8 vector, struct emul_seg *out);
void emul_set_sreg(struct emul_ctx *ctx, u8 reg, const struct emul_seg *seg);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Emulation of one instruction of a guest that accesses MMIO or ports. */
#ifndef DROSTE_IO_EMULATE_H
#define DROSTE_IO_EMULATE_H

#include <linux/types.h>
#include "ept/format.h"
#include "mem/types.h"

struct vcpu;

/* --- emulate.c --- */
int emul_create(struct vcpu *vcpu);
void emul_destroy(struct vcpu *vcpu);
int emul_instruction(struct vcpu *vcpu);

/* --- quick.c --- */

/* Exit qualification of an EPT violation: GLA is valid, and the access was to its translation (SDM 3C table 28-7). */
#define IO_QUAL	(BIT_ULL(7) | BIT_ULL(8))

/*
 * Whether an EPT violation is for a store, by an instruction that does not read from the same place, and is no IRET that has
 * unblocked NMIs (bit 12).
 */
static inline bool io_is_store(u64 qual)
{
	return (qual & (IO_QUAL | EPT_RWX | BIT_ULL(12))) == (IO_QUAL | EPT_WRITE);
}

int quick_mmio(struct vcpu *vcpu, gpa_t gpa);
bool quick_write(struct vcpu *vcpu, gpa_t gpa, u32 size, u64 data);
bool quick_kick(struct vcpu *vcpu, gpa_t gpa);
bool quick_eoi(struct vcpu *vcpu, gpa_t gpa);

/* --- tables.c --- */
bool quick_tables(struct vcpu *vcpu);

/* --- task_switch.c --- */
int emul_task_switch(struct vcpu *vcpu);

/* --- pio.c --- */
int emul_pio_short(struct vcpu *vcpu);
int emul_pio(struct vcpu *vcpu, u16 port, u32 size, bool in);
bool emul_out(struct vcpu *vcpu, u16 port, u32 size, u32 data);

#endif

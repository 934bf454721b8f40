/* SPDX-License-Identifier: GPL-2.0 */
/* Emulation of one instruction of a guest that accesses MMIO or ports. */
#ifndef DROSTE_IO_EMULATE_H
#define DROSTE_IO_EMULATE_H

#include <linux/types.h>
#include "mem/types.h"

struct vcpu;

/* --- emulate.c --- */
int emul_create(struct vcpu *vcpu);
void emul_destroy(struct vcpu *vcpu);
int emul_instruction(struct vcpu *vcpu);

/* --- quick.c --- */
int quick_mmio(struct vcpu *vcpu, gpa_t gpa);
bool quick_write(struct vcpu *vcpu, gpa_t gpa, u32 size, u64 data);
bool quick_kick(struct vcpu *vcpu, gpa_t gpa);
bool quick_eoi(struct vcpu *vcpu, gpa_t gpa);

/* --- tables.c --- */
bool quick_tables(struct vcpu *vcpu);

/* --- task_switch.c --- */
int emul_task_switch(struct vcpu *vcpu);

/* --- pio.c --- */
int emul_pio(struct vcpu *vcpu, u16 port, u32 size, bool in);
bool emul_out(struct vcpu *vcpu, u16 port, u32 size, u32 data);

#endif

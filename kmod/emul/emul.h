/* SPDX-License-Identifier: GPL-2.0 */
/* Instruction decode and emulation for MMIO and string I/O: plain values in, plain values out. */
#ifndef DROSTE_EMUL_H
#define DROSTE_EMUL_H

#include <linux/types.h>

struct vcpu;

/* What became of an instruction. */
enum emul_result {
	EMUL_DONE,	/* executed, or some iterations of a REP are; registers, flags and memory are as after that */
	EMUL_FAULT,	/* it raised emul_ctx.fault; nothing else changed (REP: registers show the finished iterations) */
	EMUL_EXIT,	/* user space must do MMIO or port I/O first; then the instruction starts over */
	EMUL_RETRY,	/* nothing changed; let the processor run the instruction (again) */
	EMUL_ERROR,	/* user memory could not be had: KVM_RUN fails */
	EMUL_UNKNOWN,	/* not an instruction this emulator knows: internal error, with the bytes */
};

/* Glue for a vCPU: emulate the instruction at its RIP. vCPU loaded, srcu held, may sleep. Returns enum next or -errno. */
int emul_instruction(struct vcpu *vcpu);
/* Port I/O of an INS or OUTS exit, and IN/OUT: see emul/pio.c */
int emul_pio(struct vcpu *vcpu, u16 port, u32 size, bool in);	/* IN/OUT with AL/AX/EAX; skips the instruction when done */
int emul_create(struct vcpu *vcpu);	/* allocate vcpu->emul */
void emul_destroy(struct vcpu *vcpu);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* The result of emulating an instruction. */
#ifndef DROSTE_EMUL_H
#define DROSTE_EMUL_H

/* The result of emulating an instruction. */
enum emul_result {
	EMUL_DONE,	/* executed, or some iterations of a REP are; registers, flags and memory are as after that */
	EMUL_FAULT,	/* it raised emul_ctx.fault; nothing else changed (REP: registers show the finished iterations) */
	EMUL_EXIT,	/* user space must do MMIO or port I/O first; then the instruction starts over */
	EMUL_RETRY,	/* nothing changed; let the processor run the instruction (again) */
	EMUL_ERROR,	/* user memory was not accessible: KVM_RUN fails */
	EMUL_UNKNOWN,	/* not an instruction this emulator knows: internal error, with the bytes */
};

#endif

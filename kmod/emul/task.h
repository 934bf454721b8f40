/* SPDX-License-Identifier: GPL-2.0 */
/* Hardware task switches. Pure. */
#ifndef DROSTE_EMUL_TASK_H
#define DROSTE_EMUL_TASK_H

#include "emul/exec.h"

/* What initiates a switch; the values are those of the exit qualification (SDM 3C table 28-2). */
enum emul_task_source { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE };

struct emul_task {
	u16 sel;		/* selector of the new TSS */
	u8 source;		/* enum emul_task_source */
	bool ext;		/* EXT bit of error codes: the event was not raised by an instruction of the program */
	bool has_error;		/* the event has an error code, which the new task finds on its stack */
	u32 error_code;
	/* --- results --- */
	bool committed;		/* the new task is there; a fault is one of the new task */
	bool trap;		/* the new task's T flag is set: #DB with DR6.BT is due */
};

int emul_task_exec(struct emul_ctx *ctx, struct emul_task *task);

#endif

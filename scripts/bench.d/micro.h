/* SPDX-License-Identifier: GPL-2.0 */
/* The small guest of the benchmark: what its two sides, the VM's process and the guest's code, share. */
#ifndef MICRO_H
#define MICRO_H

#include "guest.h"

/* Places that the VM's process prepares. Accesses to other ports and to other places in MMIO_HOLE go to that process. */
#define PORT_USER	0x600
#define PORT_EVENT	0x610		/* an ioeventfd */
#define PORT_COALESCED	0x620
#define PORT_PASSED	0x84		/* a register that nothing uses */
#define PORT_DELAY	0x80		/* Linux waits by writing to it */
#define MMIO_USER	MMIO_HOLE
#define MMIO_EVENT	(MMIO_HOLE + 0x1000)	/* an ioeventfd of 4 bytes */
#define MMIO_EVENT_ANY	(MMIO_HOLE + 0x2000)	/* an ioeventfd of no length */
#define MMIO_COALESCED	(MMIO_HOLE + 0x3000)
#define FRESH		0x20000000ul	/* memory that nothing has touched */
#define BACKED		0x30000000ul	/* memory that the VM's process has touched */
#define TOUCHABLE	0x2000000ul	/* bytes of each */

enum row_flags {
	ROW_EVENT = BIT(0),	/* an interrupt is part of the operation */
	ROW_TWO = BIT(1),	/* needs a second vCPU */
	ROW_TICKS = BIT(2),	/* it is about the host's ticks, so that all counts are taken */
};

/**
 * struct row - one operation
 */
struct row {
	const char *name, *title;
	const char *(*prepare)(void);	/* returns why the operation cannot be measured, or NULL; the function is optional */
	void (*run)(u64 n);		/* carries it out @n times */
	void (*finish)(void);		/* optional */
	u32 times;			/* @n in each of the windows that are counted */
	u32 flags;			/* enum row_flags */
};

extern const struct row rows[];
extern const u32 row_count;

/* The guest calls the host with these at the begin and the end of a row. */
enum stage { STAGE_ROW = 1, STAGE_DONE, STAGE_SKIP };

/* What the VM's process asks of the guest, which has a copy. */
struct request {
	u8 wanted[128];		/* by number of the row */
	u32 level;		/* part of the counts' tags */
	u32 windows;		/* how many to count of each row */
	u32 divide;		/* the rows' @times are divided by this */
	u64 deadline;		/* how many TSC ticks ahead timers are set */
	bool two;		/* rows with ROW_TWO, or those without */
};

extern struct request request;

void micro_main(void);		/* vCPU 0 */
void micro_second(void);	/* vCPU 1 */
u32 micro_times(const struct row *row);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* The fuzzer of the ioctl surface: what its threads share. */
#ifndef FUZZ_H
#define FUZZ_H

#include <pthread.h>
#include "ioctls.h"

/* All memory that pointers may reach: in the middle of nothing, so that a mangled one hits nobody's. */
#define POOL		0x700000000000ul
#define POOL_SIZE	0x2000000ul	/* the guests' memory: 16 MiB; from POOL_ARGS on arguments */
#define POOL_ARGS	0x1000000ul
#define ARGS_SIZE	0x40000ul	/* a thread's */
#define GUEST_SIZE	0x400000ul	/* what a guest has at first, at 0; others overlap it in the pool */
#define CODE_AT		0x10000ul
#define CODE_SIZE	0x8000ul
#define TABLES_AT	0x4000ul	/* page tables: 1 GiB one to one */

#define NR_MACHINES	3
#define NR_THREADS	3

struct machine {
	volatile int dev, vm, vcpu[2];		/* -1: none */
	struct kvm_run *volatile run[2];	/* stays mapped until the round ends; NULL: none */
	volatile int event;			/* an eventfd */
};

extern struct machine machines[NR_MACHINES];

struct fuzzer {
	u64 rng;
	u8 *args;	/* ARGS_SIZE in the pool */
	u64 ops, failed;
	u64 exits, reasons;	/* of KVM_RUN; bits of KVM_EXIT_* */
};

u64 rnd(struct fuzzer *f);
u64 interesting(struct fuzzer *f);
#define CHANCE(f, percent)	(rnd(f) % 100 < (percent))

/* --- args.c: an argument for @r in f->args, made from what the descriptor itself says where it can --- */
u64 make_arg(struct fuzzer *f, const struct ioctl_row *r, int fd, struct machine *m);
void mangle(struct fuzzer *f, u8 *p, u32 size, u32 times);

/* --- code.c: what guests run --- */
void write_code(struct fuzzer *f);
void write_tables(void);
/* Registers from which the code runs for a while: real, protected or long mode. */
void set_state(struct fuzzer *f, int vcpu);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Declarations shared by the files of the ioctl fuzzer. */
#ifndef FUZZ_H
#define FUZZ_H

#include <pthread.h>
#include "ioctls.h"

/* The only memory that pointers refer to. It is far from other mappings, so that mangled pointers miss them. */
#define POOL		0x700000000000ul
#define POOL_SIZE	0x2000000ul	/* 16 MiB of guest memory, then the arguments at POOL_ARGS */
#define POOL_ARGS	0x1000000ul
#define ARGS_SIZE	0x40000ul	/* arguments of one thread */
#define GUEST_SIZE	0x400000ul	/* a guest's initial memory, at address 0; other slots overlap it in the pool */
#define CODE_AT		0x10000ul
#define CODE_SIZE	0x8000ul
#define TABLES_AT	0x4000ul	/* page tables: 1 GiB, identity mapped */

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
	u64 exits, reasons;	/* exits from KVM_RUN; bits of the KVM_EXIT_* seen */
};

u64 rnd(struct fuzzer *f);
u64 interesting(struct fuzzer *f);
#define CHANCE(f, percent)	(rnd(f) % 100 < (percent))

/* --- args.c: makes an argument for @r in f->args, from the descriptor's current state where possible --- */
u64 make_arg(struct fuzzer *f, const struct ioctl_row *r, int fd, struct machine *m);
void mangle(struct fuzzer *f, u8 *p, u32 size, u32 times);

/* --- code.c: the code that guests run --- */
void write_code(struct fuzzer *f);
void write_tables(void);
/* Sets registers with which the code runs for a while: real, protected or long mode. */
void set_state(struct fuzzer *f, int vcpu);

#endif

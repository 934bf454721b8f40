/* SPDX-License-Identifier: GPL-2.0 */
/* Guests that access a page of the test's slot: in a loop, or once for each request. */
#ifndef DEVGUEST_H
#define DEVGUEST_H

#include <unistd.h>
#include "devmap.h"
#include "guest.h"

#define AT	0x20000000ul	/* the slot of the test */

/* --- in a loop --- */

static volatile u64 seen, rounds, stop;

static void guest_loop(void)
{
	while (!stop) {
		seen = *(volatile u32 *)AT;
		rounds++;
	}
}

#define MARK	0x12345678u

/* Waits until the guest has made another two rounds, so that it has read the memory as it is now. */
static bool two_rounds(struct vm *vm)
{
	u64 from = GUEST(vm, rounds), i;

	for (i = 0; i < 20000 && GUEST(vm, rounds) - from < 2; i++)
		usleep(1000);
	return GUEST(vm, rounds) - from >= 2;
}

/* --- once for each request --- */

static volatile u64 ask_page, ask_write, got;

static void guest_asked(void)
{
	for (;;) {
		volatile u32 *p = (u32 *)(AT + ask_page * PAGE);

		if (ask_write)
			*p = MARK;
		else
			got = *p;
		g_sync(1);
	}
}

/* Lets the guest access a page. Returns 0, the number of another exit, or what KVM_RUN fails with. */
static int access_page(struct vcpu *vcpu, u64 page, bool write)
{
	GUEST(vcpu->vm, ask_page) = page;
	GUEST(vcpu->vm, ask_write) = write;
	return devmap_go(vcpu);
}

/* The type of the leaf that maps the slot's first page in EPT01. */
static u64 type01(int fd)
{
	struct droste_ept e = { .gpa = AT, .flags = DROSTE_EPT_OF_L1 };

	DO(fd, DROSTE_GET_EPT, &e);
	return devmap_type(devmap_leaf(&e.ept01));
}

#endif

// SPDX-License-Identifier: GPL-2.0
/* A list of operations of the hypercall whose slot is logged, replaced or gone, after L0 has found it before. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "multicall.h"
#include "save.h"
#include "vm.h"

#define LIST_GPA	0x50000000ul
#define SLOT		1
#define MARK		0x77u

static volatile u64 stop, calls, bad;

static struct droste_multicall *new_memory(void)
{
	struct droste_multicall *list = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	u32 i;

	MUST(list != MAP_FAILED, "mmap");
	list->n = DROSTE_MULTICALL_MAX;
	for (i = 0; i < list->n; i++)
		list->e[i].op = DROSTE_OP_CPUID;
	return list;
}

static struct vcpu *begin(struct vm *vm, void (*fn)(void))
{
	struct vcpu *vcpu;

	vm_create(vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(vm, 0, fn);
	multicall_offer(vcpu, OFFER_PLAIN);
	return vcpu;
}

/* --- between two calls --- */

static void guest_calls(void)
{
	for (;;) {
		g_sync(0);
		G_EQ(multicall((void *)LIST_GPA), 0, "the result");
	}
}

/* Has the guest make some calls, all of which are carried out in @list. */
static void call(struct vcpu *vcpu, struct droste_multicall *list)
{
	for (u32 i = 0; i < 4; i++) {
		list->done = 0;
		vcpu_run_to_sync(vcpu, 0);
		EQ(list->done, list->n, "all are done");
	}
}

static void host_changes(void)
{
	u64 bits[1] = {};
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bits };
	struct droste_multicall *list, *other;
	struct vcpu *vcpu;
	struct vm vm;
	u32 i;

	vcpu = begin(&vm, guest_calls);
	list = new_memory();
	vcpu_run_to_sync(vcpu, 0);
	for (i = 0; i < 4; i++) {
		vm_slot(&vm, SLOT, 0, LIST_GPA, 4096, list);
		call(vcpu, list);
		vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, LIST_GPA, 4096, list);
		DO(vm.fd, KVM_GET_DIRTY_LOG, &log);
		call(vcpu, list);
		DO(vm.fd, KVM_GET_DIRTY_LOG, &log);
		EQ(bits[0], 1, "the log has the list's page");
		DO(vm.fd, KVM_GET_DIRTY_LOG, &log);
		EQ(bits[0], 0, "once");
		if (i & 1) {
			vm_slot(&vm, SLOT, 0, LIST_GPA, 4096, list);
			call(vcpu, list);
		}
		vm_slot(&vm, SLOT, 0, LIST_GPA, 0, list);
		other = new_memory();
		list->done = MARK;
		vm_slot(&vm, SLOT, 0, LIST_GPA, 4096, other);
		call(vcpu, other);
		EQ(list->done, MARK, "the memory that was there");
		list = other;
		vm_slot(&vm, SLOT, 0, LIST_GPA, 0, list);
	}
	vm_destroy(&vm);
}

/* --- while the guest makes calls --- */

static void guest_runs(void)
{
	volatile struct droste_multicall *list = (void *)LIST_GPA;
	s64 rax;

	while (!stop) {
		list->done = 0;
		rax = multicall((void *)LIST_GPA);
		bad += rax && rax != DROSTE_ERR_MEMORY;
		calls++;
	}
	g_done();
}

/* Without memory, the guest's store is an exit. */
static void *serve(void *arg)
{
	u64 kind;

	while ((kind = vcpu_run_to_call(arg, NULL)) == GCALL_NONE)
		;
	EQ(kind, GCALL_DONE, "call");
	return NULL;
}

static void more_calls(struct vm *vm)
{
	volatile u64 *now = &GUEST(vm, calls);
	u64 from = *now;

	while (*now < from + 50)
		sched_yield();
}

static void host_running(void)
{
	struct droste_multicall *lists[2];
	struct vcpu *vcpu;
	pthread_t thread;
	struct vm vm;
	u32 i;

	vcpu = begin(&vm, guest_runs);
	lists[0] = new_memory();
	lists[1] = new_memory();
	vm_slot(&vm, SLOT, 0, LIST_GPA, 4096, lists[0]);
	MUST(!pthread_create(&thread, NULL, serve, vcpu), "thread");
	for (i = 0; i < 30; i++) {
		struct droste_multicall *old = lists[i & 1], *now = lists[~i & 1];

		more_calls(&vm);
		vm_slot(&vm, SLOT, 0, LIST_GPA, 0, old);
		*(volatile u32 *)&old->done = MARK;
		now->done = 0;	/* the guest may have stored its 0 before */
		now->e[0].ret = -1;
		if (i & 2)
			more_calls(&vm);
		vm_slot(&vm, SLOT, i & 4 ? KVM_MEM_LOG_DIRTY_PAGES : 0, LIST_GPA, 4096, now);
		more_calls(&vm);
		EQ(now->e[0].ret, 0, "the lists are carried out in the new memory");
		EQ(*(volatile u32 *)&old->done, MARK, "the memory that was there");
	}
	GUEST(&vm, stop) = 1;
	pthread_join(thread, NULL);
	EQ(GUEST(&vm, bad), 0, "other results");
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "between two calls", .host = host_changes },
	{ "while the guest makes calls", .host = host_running },
};
KSFT_MAIN_DROSTE(tests, "the hypercall with a list of operations")

// SPDX-License-Identifier: GPL-2.0
/* Coalesced MMIO and ports: writes go to the ring until it is full; user space may corrupt the ring. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "guest.h"
#include "vm.h"

#define PORT	0x80
#define AT	(MMIO_HOLE + 0x100)	/* accesses across its start stay within a page and cause one exit each */
#define ZONE	64

/* --- the guest writes repeatedly, alternating between memory and a port --- */

static volatile u64 writes, address, port, mode;

enum { MMIO = 1, PIO = 2, OUTS = 4, WIDE = 8 };

static void guest_writer(void)
{
	u64 i;
	u32 *src = g_page();

	for (;;) {
		for (i = 0; i < writes; i++) {
			if (mode & MMIO) {
				if (mode & WIDE)
					*(volatile u64 *)address = 0x1111111100000000 + i;
				else
					*(volatile u16 *)address = i;
			}
			if (mode & PIO)
				outl(port, 0x100 + i);
		}
		if (mode & OUTS) {
			u64 n = writes;
			u32 *from = src;

			for (i = 0; i < writes; i++)
				src[i] = 0x200 + i;
			asm volatile("rep outsl" : "+c" (n), "+S" (from) : "d" ((u16)port) : "memory");
		}
		g_sync(1);
	}
}

struct machine {
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_coalesced_mmio_ring *ring;
	u32 max;
};

static void create(struct machine *m)
{
	int page;

	vm_create(&m->vm, 0);
	page = ioctl(m->vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);
	if (page <= 0 || ioctl(m->vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_PIO) <= 0)
		ksft_skip("no coalesced writes");
	MUST((page + 1) * 4096 <= m->vm.run_size, "the ring is in the mapping");
	m->vcpu = vcpu_create(&m->vm, 0, guest_writer);
	m->ring = (void *)((u8 *)m->vcpu->run + page * 4096);
	m->max = (4096 - sizeof(*m->ring)) / sizeof(m->ring->coalesced_mmio[0]);
	EQ(m->ring->first, 0, "the ring is empty");
	EQ(m->ring->last, 0, "the ring is empty");
}

static struct kvm_coalesced_mmio_zone zone(u64 addr, u32 size, u32 pio)
{
	return (struct kvm_coalesced_mmio_zone) { .addr = addr, .size = size, .pio = pio };
}

static void reg(struct machine *m, u64 addr, u32 size, u32 pio)
{
	struct kvm_coalesced_mmio_zone z = zone(addr, size, pio);

	DO(m->vm.fd, KVM_REGISTER_COALESCED_MMIO, &z);
}

static void unreg(struct machine *m, u64 addr, u32 size, u32 pio)
{
	struct kvm_coalesced_mmio_zone z = zone(addr, size, pio);

	DO(m->vm.fd, KVM_UNREGISTER_COALESCED_MMIO, &z);
}

/* Lets the guest do @n writes up to its sync. Returns the number of exits. */
static u64 run_at(struct machine *m, u64 how, u64 n, u64 addr, u64 to_port)
{
	u64 exits = 0, kind;

	GUEST(&m->vm, mode) = how;
	GUEST(&m->vm, writes) = n;
	GUEST(&m->vm, address) = addr;
	GUEST(&m->vm, port) = to_port;
	while ((kind = vcpu_run_to_call(m->vcpu, NULL)) == GCALL_NONE) {
		MUST(m->vcpu->run->exit_reason == KVM_EXIT_MMIO || m->vcpu->run->exit_reason == KVM_EXIT_IO,
		     "exit reason %u", m->vcpu->run->exit_reason);
		exits++;
	}
	EQ(kind, GCALL_SYNC, "the guest has finished");
	return exits;
}

static u64 run(struct machine *m, u64 how, u64 n, u64 addr)
{
	return run_at(m, how, n, addr, PORT);
}

static void set_ring(struct machine *m, u32 first, u32 last)
{
	m->ring->first = first;
	m->ring->last = last;
}

static void check_entry(struct machine *m, u32 i, u64 addr, u32 len, u32 pio, u64 data)
{
	struct kvm_coalesced_mmio *e = &m->ring->coalesced_mmio[i % m->max];
	u64 got = 0;

	memcpy(&got, e->data, len <= 8 ? len : 0);
	EQ(e->phys_addr, addr, "entry %u: address", i);
	EQ(e->len, len, "entry %u: length", i);
	EQ(e->pio, pio, "entry %u: port", i);
	EQ(got, data, "entry %u: data", i);
}

/* --- subtests --- */

static void host_arguments(void)
{
	struct kvm_coalesced_mmio_zone z = zone(AT, 8, 2);
	struct machine m;

	create(&m);
	FAILS(m.vm.fd, KVM_REGISTER_COALESCED_MMIO, &z, EINVAL);
	FAILS(m.vm.fd, KVM_UNREGISTER_COALESCED_MMIO, &z, EINVAL);
	z.pio = 0;
	DO(m.vm.fd, KVM_UNREGISTER_COALESCED_MMIO, &z);
	FAILS(m.vm.fd, KVM_REGISTER_COALESCED_MMIO, (void *)8, EFAULT);
	vm_destroy(&m.vm);
}

/* From each position: the ring fills up except for one entry, then each write is an exit. */
static void host_fills(void)
{
	struct machine m;
	u32 start, i;

	create(&m);
	reg(&m, AT, ZONE, 0);
	reg(&m, PORT, 8, 1);
	for (start = 0; start < m.max; start += 13) {
		set_ring(&m, start, start);
		EQ(run(&m, MMIO | PIO | WIDE, m.max / 2, AT), m.max / 2 * 2 - (m.max - 1), "exits for a full ring");
		EQ(m.ring->first, start, "user space's index is unchanged");
		EQ((m.ring->last + 1) % m.max, start, "the ring is full");
		for (i = 0; i + 1 < m.max; i++)
			check_entry(&m, start + i, i & 1 ? PORT : AT, i & 1 ? 4 : 8, i & 1,
				    i & 1 ? 0x100 + i / 2 : 0x1111111100000000 + i / 2);
	}
	/* User space takes one entry, which leaves room for one more. */
	m.ring->first = (m.ring->first + 1) % m.max;
	EQ(run(&m, MMIO, 3, AT), 2, "room for one");
	vm_destroy(&m.vm);
}

static void host_zones(void)
{
	struct machine m;

	create(&m);
	EQ(run(&m, MMIO | PIO, 5, AT), 10, "nothing is registered");
	reg(&m, AT, ZONE, 0);
	EQ(run(&m, MMIO, 5, AT), 0, "the first byte");
	EQ(run(&m, MMIO, 5, AT + ZONE - 2), 0, "the last bytes");
	EQ(run(&m, MMIO, 5, AT + ZONE - 1), 5, "across the end");
	EQ(run(&m, MMIO, 5, AT + ZONE), 5, "after the end");
	EQ(run(&m, MMIO, 5, AT - 1), 5, "across the start");
	EQ(run(&m, PIO, 5, 0), 5, "a memory zone does not cover ports");
	reg(&m, PORT, 4, 1);
	EQ(run(&m, PIO, 5, 0), 0, "a port");
	EQ(m.ring->last, 15, "entries");
	unreg(&m, PORT, 4, 0);
	EQ(run(&m, PIO, 1, 0), 0, "memory was unregistered");
	unreg(&m, PORT, 4, 1);
	EQ(run(&m, PIO, 5, 0), 5, "unregistered");
	/* Two zones contain the range: both are removed. */
	reg(&m, AT, ZONE / 2, 0);
	unreg(&m, AT + 2, 8, 0);
	EQ(run(&m, MMIO, 5, AT), 5, "unregistered");
	/* Zones at the end of the address space. */
	reg(&m, ~0ull - 7, 8, 0);
	reg(&m, 0xffff, 1, 1);
	unreg(&m, ~0ull - 7, 8, 0);
	vm_destroy(&m.vm);
}

/* Zones that overlap, which come and go: one write at a time, which must exit unless one zone of a plain list has all of it. */

#define MANY	100
#define SPAN	0x200

static struct kvm_coalesced_mmio_zone list[MANY];
static u32 listed;

static u64 chance(u64 n)
{
	static u64 state = 1;

	state = state * 6364136223846793005 + 1442695040888963407;
	return (state >> 33) % n;
}

static bool list_has(const struct kvm_coalesced_mmio_zone *z, u64 addr, u32 size, u32 pio)
{
	return z->pio == pio && z->addr <= addr && addr + size <= z->addr + z->size;
}

static bool any_has(u64 addr, u32 size, u32 pio)
{
	u32 i;

	for (i = 0; i < listed; i++)
		if (list_has(&list[i], addr, size, pio))
			return true;
	return false;
}

static void change_zones(struct machine *m)
{
	u32 pio = chance(2), size = chance(chance(8) ? 24 : SPAN), i, kept = 0;
	u64 addr = chance(SPAN) + (pio ? 0 : AT);

	if (listed < MANY && chance(4)) {
		reg(m, addr, size, pio);
		list[listed++] = zone(addr, size, pio);
		return;
	}
	size %= 8;
	unreg(m, addr, size, pio);
	for (i = 0; i < listed; i++)
		if (!list_has(&list[i], addr, size, pio))
			list[kept++] = list[i];
	listed = kept;
}

static void host_many(void)
{
	u64 in = 0, out = 0, round, exits, addr;
	struct machine m;

	create(&m);
	for (round = 0; round < 1500; round++) {
		change_zones(&m);
		set_ring(&m, 0, 0);
		addr = AT + chance(SPAN);
		/* A write across pages is two. */
		if ((addr & 0xfff) == 0xfff)
			continue;
		exits = run(&m, MMIO, 1, addr);
		EQ(exits, !any_has(addr, 2, 0), "round %llu: a write to %#llx, %u zones", (unsigned long long)round,
		   (unsigned long long)addr, listed);
		in += !exits;
		out += exits;
		exits = run_at(&m, PIO, 1, AT, addr - AT);
		EQ(exits, !any_has(addr - AT, 4, 1), "round %llu: a write to port %#llx, %u zones", (unsigned long long)round,
		   (unsigned long long)(addr - AT), listed);
	}
	OK(in > 200 && out > 200, "%llu writes were in a zone, %llu in none", (unsigned long long)in, (unsigned long long)out);
	vm_destroy(&m.vm);
}

/* Zones come and go while the guest writes: no write is lost, and none comes twice. */

static volatile bool changing;

static void *change_main(void *arg)
{
	struct machine *m = arg;

	while (changing) {
		reg(m, AT - chance(64), 128, 0);
		reg(m, AT + chance(64), 128, 0);
		reg(m, AT, 8, 1);
		unreg(m, AT, 8, 0);
		unreg(m, AT + 64, 1, 0);
		unreg(m, AT, 8, 1);
		sched_yield();
	}
	return NULL;
}

/* Takes what is in the ring, whose next value must be @next. Returns the one after the last. */
static u64 take_ring(struct machine *m, u64 next)
{
	u32 first = m->ring->first, last = __atomic_load_n(&m->ring->last, __ATOMIC_ACQUIRE);

	for (; first != last; first = (first + 1) % m->max)
		check_entry(m, first, AT, 8, 0, next++);
	__atomic_store_n(&m->ring->first, first, __ATOMIC_RELEASE);
	return next;
}

static void host_running(void)
{
	u64 next = 0x1111111100000000, written, coalesced = 0, exits = 0, n = 20000, kind, data;
	struct kvm_run *run;
	struct machine m;
	pthread_t thread;

	create(&m);
	run = m.vcpu->run;
	changing = true;
	MUST(!pthread_create(&thread, NULL, change_main, &m), "thread");
	GUEST(&m.vm, mode) = MMIO | WIDE;
	GUEST(&m.vm, writes) = n;
	GUEST(&m.vm, address) = AT;
	do {
		kind = vcpu_run_to_call(m.vcpu, NULL);
		written = take_ring(&m, next);
		coalesced += written - next;
		next = written;
		if (kind != GCALL_NONE)
			break;
		MUST(run->exit_reason == KVM_EXIT_MMIO && run->mmio.len == 8, "exit reason %u", run->exit_reason);
		memcpy(&data, run->mmio.data, 8);
		EQ(data, next, "the write that exits");
		next++;
		exits++;
		if (exits % 16 == 0)
			sched_yield();
	} while (!ksft_failures());
	changing = false;
	pthread_join(thread, NULL);
	EQ(kind, GCALL_SYNC, "the guest has finished");
	EQ(next, 0x1111111100000000 + n, "writes");
	OK(coalesced > 100 && exits > 100, "%llu writes were coalesced, %llu exited", (unsigned long long)coalesced,
	   (unsigned long long)exits);
	vm_destroy(&m.vm);
}

/* As many zones as there may be, in an order that is none. */
static void host_most(void)
{
	struct kvm_coalesced_mmio_zone z = zone(AT, 8, 0);
	struct machine m;
	u32 i;

	create(&m);
	for (i = 0; i < 1000; i++)
		reg(&m, AT + i * 367 % 1000 * 8, 4, 0);
	if (ioctl(m.vm.fd, KVM_REGISTER_COALESCED_MMIO, &z) == 0)
		ksft_diag("there may be more than 1,000 zones");
	for (i = 0; i < 1000; i += 13) {
		set_ring(&m, 0, 0);
		EQ(run(&m, MMIO, 1, AT + i * 8 + 2), 0, "the end of zone %u", i);
		EQ(run(&m, MMIO, 1, AT + i * 8 + 4), 1, "behind zone %u", i);
	}
	for (i = 0; i < 1000; i++)
		unreg(&m, AT + i * 8, 4, 0);
	EQ(run(&m, MMIO, 1, AT + 800), 1, "no zone is left");
	reg(&m, AT + 800, 4, 0);
	EQ(run(&m, MMIO, 1, AT + 800), 0, "there is room again");
	vm_destroy(&m.vm);
}

static void host_outs(void)
{
	struct machine m;
	u32 i;

	create(&m);
	reg(&m, PORT, 4, 1);
	EQ(run(&m, OUTS, 10, AT), 0, "REP OUTS");
	EQ(m.ring->last, 10, "entries");
	for (i = 0; i < 10; i++)
		check_entry(&m, i, PORT, 4, 1, 0x200 + i);
	vm_destroy(&m.vm);
}

/* Invalid indices set by user space: nothing outside the ring is written, and no write is lost. */
static void host_hostile(void)
{
	static const u32 bad[] = { 0, 1, 1000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };
	struct machine m;
	u32 i, j;

	create(&m);
	reg(&m, AT, ZONE, 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		set_ring(&m, 0, m.max + bad[i] < m.max ? ~0u : m.max + bad[i]);
		EQ(run(&m, MMIO, 3, AT), 3, "last is outside the ring: exits");
		for (j = 0; j < 3; j++) {
			set_ring(&m, m.max + bad[i] < m.max ? ~0u : m.max + bad[i], m.max - 2 + (j & 1));
			EQ(run(&m, MMIO, 1, AT), 0, "first is outside the ring: there is room");
			OK(m.ring->last < m.max, "last is in the ring");
		}
	}
	vm_destroy(&m.vm);
}

static const struct ksft_test tests[] = {
	{ "arguments", .host = host_arguments },
	{ "the ring fills up", .host = host_fills },
	{ "zones", .host = host_zones },
	{ "zones that overlap", .host = host_many },
	{ "many zones", .host = host_most },
	{ "zones come and go under the writes", .host = host_running },
	{ "REP OUTS", .host = host_outs },
	{ "invalid indices", .host = host_hostile },
};
KSFT_MAIN(tests)

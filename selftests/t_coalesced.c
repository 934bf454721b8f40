// SPDX-License-Identifier: GPL-2.0
/* Coalesced MMIO and ports: writes go to the ring until it is full; user space may corrupt the ring. */
#define _GNU_SOURCE
#include <errno.h>
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
static u64 run(struct machine *m, u64 how, u64 n, u64 addr)
{
	u64 exits = 0, kind;

	GUEST(&m->vm, mode) = how;
	GUEST(&m->vm, writes) = n;
	GUEST(&m->vm, address) = addr;
	GUEST(&m->vm, port) = PORT;
	while ((kind = vcpu_run_to_call(m->vcpu, NULL)) == GCALL_NONE) {
		MUST(m->vcpu->run->exit_reason == KVM_EXIT_MMIO || m->vcpu->run->exit_reason == KVM_EXIT_IO,
		     "exit reason %u", m->vcpu->run->exit_reason);
		exits++;
	}
	EQ(kind, GCALL_SYNC, "the guest has finished");
	return exits;
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
	{ "REP OUTS", .host = host_outs },
	{ "invalid indices", .host = host_hostile },
};
KSFT_MAIN(tests)

// SPDX-License-Identifier: GPL-2.0
/*
 * What L2 and L1 write while the dirty log is read, as in a migration: a copy made of nothing but logged pages is the
 * memory. The processor decides whether that is with page-modification logging or without.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "vm.h"
#include "vmx.h"

#define AT	0x20000000ul	/* address of the slot that L2 writes to */
#define PAGES	1024ul
#define WORDS	(PAGES / 64)
#define SLOT	1
#define L2_AT	0x60000000ul	/* where EPT12 maps the slot, in reverse order */
#define ROUNDS	24		/* of the migration */
#define BURST	48		/* pages that L2 writes between two exits to L1 */

enum tables { NO_EPT, EPT, EPT_AD };
enum log { BITMAP, CLEARED, RINGS };

/* --- the guest --- */

static volatile u64 progress;
static u64 seed;

/* Page and word come from random bits, so that pages are written again and again. */
static void l2_writes(void)
{
	u64 i, at;

	for (;;) {
		for (i = 0; i < BURST; i++) {
			seed = seed * 6364136223846793005ul + 1442695040888963407ul;
			at = g_arg() == NO_EPT ? AT : L2_AT;
			++*(volatile u64 *)(at + (seed >> 33) % PAGES * 4096 + (seed >> 50) % 512 * 8);
		}
		try_vmcall();
	}
}

static void guest(void)
{
	u64 eptp = ept_new(), i;

	vmcs_new(l2_writes);
	for (i = 0; i < PAGES; i++)
		*ept_entry(eptp, L2_AT + i * 4096, 1) = (AT + (PAGES - 1 - i) * 4096) | EPT_RWX | EPT_MT_WB;
	if (g_arg() == EPT_AD && !(ept_caps() & BIT(21)))
		g_skip("EPT without accessed and dirty flags");
	if (g_arg() != NO_EPT)
		ept_use(eptp | (g_arg() == EPT_AD ? BIT(6) : 0));
	for (i = 0;; i++) {
		vmx_expect(R_VMCALL, "L2");
		vmx_skip();
		++*(volatile u64 *)(AT + i * 5 % PAGES * 4096 + 4088);
		/* Flags of EPT12 that are cleared are set again by L0. */
		if (i % 8 == 0) {
			*ept_entry(eptp, L2_AT + i * 3 % PAGES * 4096, 1) &= ~(EPT_A | EPT_D);
			invept_all();
		}
		progress = i;
	}
}

/* --- the migration --- */

static volatile bool stop;

static void on_signal(int sig)
{
}

static void *run_on(void *arg)
{
	struct vcpu *vcpu = arg;
	u64 args[4];

	while (!stop) {
		u64 call = vcpu_run_to_call(vcpu, args);
		u32 reason = vcpu->run->exit_reason;

		if (call != GCALL_NONE || (reason != KVM_EXIT_INTR && reason != KVM_EXIT_DIRTY_RING_FULL)) {
			describe_exit(vcpu);
			ksft_abort(__FILE__, __LINE__, "the guest ended, call %llu", (unsigned long long)call);
		}
		sched_yield();
	}
	return NULL;
}

#define RING_BYTES	65536ul
#define RING_SIZE	(RING_BYTES / sizeof(struct kvm_dirty_gfn))

struct copy {
	struct vm vm;
	u8 *memory, *slots[2], *copies[2];
	volatile struct kvm_dirty_gfn *ring;
	u64 next, pages;	/* entries of the ring, and pages copied */
};

static u64 slot_pages(int slot)
{
	return slot ? PAGES : MEM_SIZE / 4096;
}

static void copy_page(struct copy *c, int slot, u64 page)
{
	MUST(page < slot_pages(slot), "a page of the slot");
	memcpy(c->copies[slot] + page * 4096, c->slots[slot] + page * 4096, 4096);
	c->pages++;
}

static void copy_bitmap(struct copy *c, int slot, bool cleared)
{
	static u64 bits[MEM_SIZE / 4096 / 64];
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bits };
	struct kvm_clear_dirty_log clear = { .slot = slot, .num_pages = slot_pages(slot), .dirty_bitmap = bits };
	u64 i;

	DO(c->vm.fd, KVM_GET_DIRTY_LOG, &log);
	if (cleared)
		DO(c->vm.fd, KVM_CLEAR_DIRTY_LOG, &clear);
	for (i = 0; i < slot_pages(slot); i++)
		if (bits[i / 64] & BIT(i % 64))
			copy_page(c, slot, i);
}

/* Entries are given back before the pages are read, as a page that is written meanwhile has to be told again. */
static void copy_ring(struct copy *c)
{
	static u32 slots[RING_SIZE];
	static u64 offsets[RING_SIZE];
	u64 n, i;

	for (n = 0; n < RING_SIZE; n++, c->next++) {
		volatile struct kvm_dirty_gfn *e = &c->ring[c->next % RING_SIZE];

		if (__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY)
			break;
		slots[n] = e->slot;
		offsets[n] = e->offset;
		__atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
	}
	DO(c->vm.fd, KVM_RESET_DIRTY_RINGS, 0);
	for (i = 0; i < n; i++) {
		MUST(slots[i] <= SLOT, "a slot");
		copy_page(c, slots[i], offsets[i]);
	}
}

static void copy_logged(struct copy *c, enum log how)
{
	int slot;

	if (how == RINGS)
		copy_ring(c);
	for (slot = 0; slot <= SLOT && how != RINGS; slot++)
		copy_bitmap(c, slot, how == CLEARED);
}

static void begin(struct copy *c, enum log how, enum tables tables)
{
	extern u64 guest_arg;
	struct kvm_enable_cap manual = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = { KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE },
	};

	memset(c, 0, sizeof(*c));
	guest_arg = tables;
	vm_create(&c->vm, 0);
	if (!vm_has_vmx(&c->vm))
		ksft_skip("no VMX for guests");
	if (how == RINGS && vm_enable_cap(&c->vm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL, RING_BYTES))
		ksft_skip("no rings");
	if (how == CLEARED)
		DO(c->vm.fd, KVM_ENABLE_CAP, &manual);
	vcpu_create(&c->vm, 0, guest);
	if (how == RINGS) {
		c->ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, c->vm.vcpu[0].fd,
			       KVM_DIRTY_LOG_PAGE_OFFSET * 4096);
		MUST(c->ring != MAP_FAILED, "map the ring");
	}
	/* In huge pages, which logging has to split. */
	c->memory = aligned_alloc(2 << 20, PAGES * 4096);
	MUST(c->memory, "memory");
	madvise(c->memory, PAGES * 4096, MADV_HUGEPAGE);
	memset(c->memory, 0, PAGES * 4096);
	c->slots[0] = c->vm.mem;
	c->slots[SLOT] = c->memory;
	vm_slot(&c->vm, SLOT, 0, AT, PAGES * 4096, c->memory);
}

static void wait_for(struct vm *vm, u64 more)
{
	u64 until = GUEST(vm, progress) + more;

	while (GUEST(vm, progress) < until)
		sched_yield();
}

static void migrate(enum log how, enum tables tables)
{
	struct sigaction a = { .sa_handler = on_signal };
	struct copy c;
	pthread_t thread;
	int slot, round;
	u64 page;

	begin(&c, how, tables);
	sigaction(SIGUSR1, &a, NULL);
	MUST(!pthread_create(&thread, NULL, run_on, &c.vm.vcpu[0]), "thread");
	/* L2 has written to much of the slot when logging begins. */
	wait_for(&c.vm, 20);
	vm_slot(&c.vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, MEM_SIZE, c.vm.mem);
	vm_slot(&c.vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, c.memory);
	for (slot = 0; slot <= SLOT; slot++) {
		c.copies[slot] = malloc(slot_pages(slot) * 4096);
		MUST(c.copies[slot], "memory");
		memcpy(c.copies[slot], c.slots[slot], slot_pages(slot) * 4096);
	}
	for (round = 0; round < ROUNDS; round++) {
		copy_logged(&c, how);
		/* Sometimes there is little to do, and sometimes much. */
		wait_for(&c.vm, round % 3 * 4);
	}
	stop = true;
	while (pthread_tryjoin_np(thread, NULL)) {
		pthread_kill(thread, SIGUSR1);
		if (how == RINGS)
			copy_logged(&c, how);
		sched_yield();
	}
	copy_logged(&c, how);
	for (slot = 0; slot <= SLOT; slot++)
		for (page = 0; page < slot_pages(slot); page++)
			if (memcmp(c.copies[slot] + page * 4096, c.slots[slot] + page * 4096, 4096))
				ksft_abort(__FILE__, __LINE__, "slot %d: page %#llx was written, and not logged", slot,
					   (unsigned long long)page);
	/* More than the pages that there are: pages were logged anew. */
	OK(c.pages > PAGES, "%llu pages copied", (unsigned long long)c.pages);
	vm_destroy(&c.vm);
}

#define TEST(name, how, tables) static void name(void) { migrate(how, tables); }
TEST(bitmap_ept, BITMAP, EPT)
TEST(bitmap_ad, BITMAP, EPT_AD)
TEST(bitmap_no_ept, BITMAP, NO_EPT)
TEST(cleared_ept, CLEARED, EPT)
TEST(cleared_ad, CLEARED, EPT_AD)
TEST(cleared_no_ept, CLEARED, NO_EPT)
TEST(rings_ept, RINGS, EPT)
TEST(rings_ad, RINGS, EPT_AD)
TEST(rings_no_ept, RINGS, NO_EPT)

static const struct ksft_test tests[] = {
	{ "bitmaps, L2 with EPT", .host = bitmap_ept },
	{ "bitmaps, L2 with EPT and its dirty flags", .host = bitmap_ad },
	{ "bitmaps, L2 without EPT", .host = bitmap_no_ept },
	{ "bitmaps that user space clears, L2 with EPT", .host = cleared_ept },
	{ "bitmaps that user space clears, L2 with EPT and its dirty flags", .host = cleared_ad },
	{ "bitmaps that user space clears, L2 without EPT", .host = cleared_no_ept },
	{ "rings, L2 with EPT", .host = rings_ept },
	{ "rings, L2 with EPT and its dirty flags", .host = rings_ad },
	{ "rings, L2 without EPT", .host = rings_no_ept },
};
KSFT_MAIN(tests)

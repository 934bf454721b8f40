// SPDX-License-Identifier: GPL-2.0
/* The dirty log: pages written by L1, L2 and L0, read and cleared in every way. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/droste.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "vm.h"
#include "vmx.h"

#define AT	0x20000000ul	/* address of the logged slot */
#define PAGES	1024ul
#define SLOT	1
#define WORDS	(PAGES / 64)
#define NONE	~0ul		/* the end of a list of frames */
#define FRAMES(...)	((u64[]) { NONE, ##__VA_ARGS__, NONE } + 1)

/* --- the guest writes or reads frame after frame and reports each --- */

static volatile u64 frames[16], reads;

static void guest_toucher(void)
{
	u64 i;

	for (;;) {
		for (i = 0; frames[i] != NONE; i++) {
			volatile u64 *p = (u64 *)(AT + frames[i] * 4096 + i * 8);

			if (reads)
				(void)*p;
			else
				++*p;
		}
		g_sync(1);
	}
}

static void touch(struct vcpu *vcpu, bool read, const u64 *list)
{
	u64 i = 0;

	do
		GUEST(vcpu->vm, frames[i]) = list[i];
	while (list[i++] != NONE);
	GUEST(vcpu->vm, reads) = read;
	vcpu_run_to_sync(vcpu, 1);
}

#define WRITE(...) touch(vcpu, false, FRAMES(__VA_ARGS__))
#define READ(...) touch(vcpu, true, FRAMES(__VA_ARGS__))

/* --- the log --- */

static u64 *memory(void)
{
	u8 *p = mmap(NULL, PAGES * 4096 + 0x200000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED, "mmap");
	/* Aligned for huge pages, which logging has to split. */
	return (u64 *)(((u64)p + 0x1fffff) & ~0x1ffffful);
}

static void check_log(struct vm *vm, int line, const u64 *list)
{
	u64 got[WORDS], want[WORDS] = { 0 }, i;
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = got };

	memset(got, 0xee, sizeof(got));
	for (i = 0; list[i] != NONE; i++)
		want[list[i] / 64] |= BIT(list[i] % 64);
	DO(vm->fd, KVM_GET_DIRTY_LOG, &log);
	for (i = 0; i < WORDS; i++)
		if (got[i] != want[i])
			ksft_fail(__FILE__, line, "frames from %llu: log %#llx, expected %#llx", (long long)i * 64,
				  (long long)got[i], (long long)want[i]);
}

#define LOG(...) check_log(&vm, __LINE__, FRAMES(__VA_ARGS__))

static void host_written(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u64 *mem = memory();

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_toucher);
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, mem);
	LOG();
	WRITE(0, 1, 511, 512, 1023);
	READ(700, 2);
	LOG(0, 1, 511, 512, 1023);
	LOG();
	EQ(mem[511 * 512 + 2], 1, "the data were written");
	WRITE(1);
	READ(0, 511);
	LOG(1);
	/* A large mapping created by a read must not hide writes. */
	madvise(mem, PAGES * 4096, MADV_DONTNEED);
	READ(100);
	WRITE(101, 102);
	LOG(101, 102);
	vm_destroy(&vm);
}

static void host_switched(void)
{
	u64 bits[WORDS];
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bits };
	struct vm vm;
	struct vcpu *vcpu;
	u64 *mem = memory();

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_toucher);
	FAILS(vm.fd, KVM_GET_DIRTY_LOG, &log, ENOENT);
	vm_slot(&vm, SLOT, 0, AT, PAGES * 4096, mem);
	FAILS(vm.fd, KVM_GET_DIRTY_LOG, &log, ENOENT);
	WRITE(5, 6, 600);
	/* Logging is enabled: writes to pages already mapped are logged too. */
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, mem);
	LOG();
	WRITE(5, 7);
	LOG(5, 7);
	WRITE(600);
	/* Logging is disabled and enabled again: entries that were not read are lost. */
	vm_slot(&vm, SLOT, 0, AT, PAGES * 4096, mem);
	FAILS(vm.fd, KVM_GET_DIRTY_LOG, &log, ENOENT);
	WRITE(8);
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, mem);
	WRITE(9);
	LOG(9);
	/* A slot keeps its log when it is moved. */
	WRITE(10);
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT + 0x1000000, PAGES * 4096, mem);
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, mem);
	LOG(10);
	log.slot = 0xffff << 16 | SLOT;
	FAILS(vm.fd, KVM_GET_DIRTY_LOG, &log, EINVAL);
	log.slot = SLOT;
	log.dirty_bitmap = (void *)8;
	FAILS(vm.fd, KVM_GET_DIRTY_LOG, &log, EFAULT);
	vm_slot(&vm, SLOT, 0, AT, 0, NULL);
	log.dirty_bitmap = bits;
	FAILS(vm.fd, KVM_GET_DIRTY_LOG, &log, ENOENT);
	vm_destroy(&vm);
}

/* --- user space clears --- */

static int try_clear(struct vm *vm, u64 first, u32 n, u64 *bits)
{
	struct kvm_clear_dirty_log c = { .slot = SLOT, .first_page = first, .num_pages = n, .dirty_bitmap = bits };

	return ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &c) ? -errno : 0;
}

static void enable_manual(struct vm *vm, u64 bits)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = { bits } };

	DO(vm->fd, KVM_ENABLE_CAP, &cap);
}

static void host_cleared(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 };
	u64 bits[WORDS] = { 0 };
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	EQ(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2), 3, "capability");
	cap.args[0] = 4;
	FAILS(vm.fd, KVM_ENABLE_CAP, &cap, EINVAL);
	cap.args[0] = 2;
	FAILS(vm.fd, KVM_ENABLE_CAP, &cap, EINVAL);
	enable_manual(&vm, 1);
	vcpu = vcpu_create(&vm, 0, guest_toucher);
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, memory());
	WRITE(3, 4, 70, 1000);
	LOG(3, 4, 70, 1000);
	LOG(3, 4, 70, 1000);
	/* Bit 5 was not set in the log; bit 4 is not in the mask. */
	bits[0] = BIT(3) | BIT(5);
	EQ(try_clear(&vm, 0, 64, bits), 0, "clear");
	LOG(4, 70, 1000);
	WRITE(3);
	LOG(3, 4, 70, 1000);
	bits[0] = ~0ul;
	EQ(try_clear(&vm, 960, 64, bits), 0, "clear the last word");
	LOG(3, 4, 70);
	EQ(try_clear(&vm, 1, 64, bits), -EINVAL, "first page in the middle of a word");
	EQ(try_clear(&vm, 0, 63, bits), -EINVAL, "a part of a word that is not the last");
	EQ(try_clear(&vm, 0, PAGES + 64, bits), -EINVAL, "beyond the slot");
	EQ(try_clear(&vm, PAGES + 64, 64, bits), -EINVAL, "after the slot");
	EQ(try_clear(&vm, 0, 64, (void *)8), -EFAULT, "a bad pointer");
	LOG(3, 4, 70);
	vm_destroy(&vm);
}

static void host_all_set(void)
{
	u64 bits[WORDS], i;
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bits };
	struct vm vm;
	struct vcpu *vcpu;
	u64 *mem = memory();

	vm_create(&vm, 0);
	enable_manual(&vm, 3);
	vcpu = vcpu_create(&vm, 0, guest_toucher);
	vm_slot(&vm, SLOT, 0, AT, PAGES * 4096, mem);
	WRITE(9, 10);
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, mem);
	DO(vm.fd, KVM_GET_DIRTY_LOG, &log);
	for (i = 0; i < WORDS; i++)
		EQ(bits[i], ~0ul, "all frames are marked");
	EQ(try_clear(&vm, 0, PAGES, bits), 0, "clear");
	LOG();
	WRITE(9, 512);
	LOG(9, 512);
	vm_destroy(&vm);
}

/* --- the log while guests run, and with page-modification logging --- */

/* Writes one more frame, reports it, and continues. */
static volatile u64 written, go_on;

static void guest_runs_on(void)
{
	u64 i;

	for (i = 0; i < PAGES; i++) {
		*(volatile u64 *)(AT + i * 4096) = 1;
		written = i + 1;
		while (go_on <= i)
			asm volatile("pause");
	}
}

static void host_running(void)
{
	u64 bits[WORDS], i, tries;
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bits };
	bool droste = strcmp(device_path(), "/dev/kvm");
	volatile u64 *go, *seen;
	struct vm vm;
	struct vcpu *vcpu;
	pthread_t thread;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_runs_on);
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, memory());
	go = &GUEST(&vm, go_on);
	seen = &GUEST(&vm, written);
	vcpu_thread(vcpu, &thread);
	for (i = 0; i < 20; i++) {
		while (*seen <= i)
			sched_yield();
		/* KVM asks its vCPUs to flush their logs, but does not wait for them. */
		for (tries = 0; tries < (droste ? 1 : 1000000); tries++) {
			DO(vm.fd, KVM_GET_DIRTY_LOG, &log);
			if (bits[0])
				break;
		}
		EQ(bits[0], BIT(i), "log after frame %llu", (long long)i);
		*go = i + 1;
	}
	*go = PAGES;
	pthread_join(thread, NULL);
	vm_destroy(&vm);
}

/* Whether L0's processor has a VMX feature, by Linux's name for it. */
static bool has_vmx_flag(const char *name)
{
	char line[4096], word[32];
	FILE *f = fopen("/proc/cpuinfo", "r");
	bool has = false;

	snprintf(word, sizeof(word), " %s", name);
	while (f && fgets(line, sizeof(line), f)) {
		const char *at = strncmp(line, "vmx flags", 9) ? NULL : strstr(line, word);

		has |= at && (at[strlen(word)] == ' ' || at[strlen(word)] == '\n');
	}
	if (f)
		fclose(f);
	return has;
}

static u64 exits(struct vcpu *vcpu, int reason)
{
	struct droste_exit_stats stats = { 0 };

	DO(vcpu->fd, DROSTE_GET_EXIT_STATS, &stats);
	return stats.exits[reason];
}

static void guest_writes_all(void)
{
	u64 i;

	for (;;) {
		for (i = 0; i < PAGES; i++)
			++*(volatile u64 *)(AT + i * 4096);
		g_sync(1);
	}
}

/* With page-modification logging, the second write to a frame causes no exit. */
static void host_processor_logs(void)
{
	struct droste_exit_stats stats;
	u64 bits[WORDS], i, faults, full;
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bits };
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_writes_all);
	if (ioctl(vcpu->fd, DROSTE_GET_EXIT_STATS, &stats))
		ksft_skip("no exit statistics");
	if (!has_vmx_flag("pml"))
		ksft_skip("no page-modification logging");
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, memory());
	vcpu_run_to_sync(vcpu, 1);
	DO(vm.fd, KVM_GET_DIRTY_LOG, &log);
	faults = exits(vcpu, 48);
	full = exits(vcpu, 62);
	vcpu_run_to_sync(vcpu, 1);
	EQ(exits(vcpu, 48) - faults, 0, "EPT violations");
	OK(exits(vcpu, 62) > full, "exits because the processor's log was full");
	DO(vm.fd, KVM_GET_DIRTY_LOG, &log);
	for (i = 0; i < WORDS; i++)
		EQ(bits[i], ~0ul, "frames from %llu", (long long)i * 64);
	LOG();
	vm_destroy(&vm);
}

/* --- the ring --- */

#define RING_BYTES	16384ul
#define RING_SIZE	(RING_BYTES / sizeof(struct kvm_dirty_gfn))

struct ring {
	volatile struct kvm_dirty_gfn *e;
	u64 next;		/* counts entries seen */
};

static int try_ring(struct vm *vm, u32 which, u64 bytes)
{
	struct kvm_enable_cap cap = { .cap = which, .args = { bytes } };

	return ioctl(vm->fd, KVM_ENABLE_CAP, &cap) ? -errno : 0;
}

static int map_ring(struct vcpu *vcpu, int prot, int flags, void **at)
{
	*at = mmap(NULL, RING_BYTES, prot, flags, vcpu->fd, KVM_DIRTY_LOG_PAGE_OFFSET * 4096);
	return *at == MAP_FAILED ? -errno : 0;
}

static struct vcpu *ring_vm(struct vm *vm, struct ring *ring, void (*fn)(void))
{
	struct vcpu *vcpu;
	void *at;

	vm_create(vm, 0);
	MUST(!try_ring(vm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL, RING_BYTES), "enable the ring");
	vcpu = vcpu_create(vm, 0, fn);
	MUST(!map_ring(vcpu, PROT_READ | PROT_WRITE, MAP_SHARED, &at), "map the ring");
	*ring = (struct ring) { at };
	return vcpu;
}

/* Collects the ring's entries and sets the bits of their frames in @bits. Returns the number of entries. */
static u64 harvest(struct ring *ring, u64 bits[WORDS])
{
	u64 n = 0;

	for (;; n++, ring->next++) {
		volatile struct kvm_dirty_gfn *e = &ring->e[ring->next % RING_SIZE];

		if (__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY)
			return n;
		EQ(e->slot, SLOT, "entry %llu: slot", (long long)ring->next);
		MUST(e->offset < PAGES, "frame");
		bits[e->offset / 64] |= BIT(e->offset % 64);
		__atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
	}
}

static void check_ring(struct vm *vm, struct ring *ring, int line, const u64 *list)
{
	u64 got[WORDS] = { 0 }, want[WORDS] = { 0 }, i, n = harvest(ring, got);

	for (i = 0; list[i] != NONE; i++)
		want[list[i] / 64] |= BIT(list[i] % 64);
	for (i = 0; i < WORDS; i++)
		if (got[i] != want[i])
			ksft_fail(__FILE__, line, "frames from %llu: ring %#llx, expected %#llx", (long long)i * 64,
				  (long long)got[i], (long long)want[i]);
	EQ(DO(vm->fd, KVM_RESET_DIRTY_RINGS, 0), n, "line %d: entries reset", line);
}

#define RING(...) check_ring(&vm, &ring, __LINE__, FRAMES(__VA_ARGS__))

static void host_ring_limits(void)
{
	u64 bits[WORDS] = { 0 };
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bits };
	struct kvm_clear_dirty_log clear = { .slot = SLOT, .num_pages = 64, .dirty_bitmap = bits };
	u64 min = has_vmx_flag("pml") ? 16384 : 4096;
	struct vcpu *vcpu;
	struct vm vm;
	void *at;

	vm_create(&vm, 0);
	EQ(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_DIRTY_LOG_RING), 1 << 20, "capability");
	EQ(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_DIRTY_LOG_RING_ACQ_REL), 1 << 20, "capability, ordered");
	FAILS(vm.fd, KVM_RESET_DIRTY_RINGS, 0, EINVAL);
	EQ(try_ring(&vm, KVM_CAP_DIRTY_LOG_RING, 0), -EINVAL, "no size");
	EQ(try_ring(&vm, KVM_CAP_DIRTY_LOG_RING, 3 * 16384), -EINVAL, "not a power of two");
	EQ(try_ring(&vm, KVM_CAP_DIRTY_LOG_RING, min / 2), -EINVAL, "too small");
	EQ(try_ring(&vm, KVM_CAP_DIRTY_LOG_RING, 2 << 20), -E2BIG, "too large");
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, memory());
	DO(vm.fd, KVM_GET_DIRTY_LOG, &log);
	EQ(try_ring(&vm, KVM_CAP_DIRTY_LOG_RING, RING_BYTES), 0, "enable");
	EQ(try_ring(&vm, KVM_CAP_DIRTY_LOG_RING, RING_BYTES), -EINVAL, "twice");
	FAILS(vm.fd, KVM_GET_DIRTY_LOG, &log, ENXIO);
	FAILS(vm.fd, KVM_CLEAR_DIRTY_LOG, &clear, ENXIO);
	vcpu = vcpu_create(&vm, 0, guest_toucher);
	EQ(map_ring(vcpu, PROT_READ | PROT_WRITE, MAP_PRIVATE, &at), -EINVAL, "a private mapping");
	EQ(map_ring(vcpu, PROT_READ | PROT_EXEC, MAP_SHARED, &at), -EINVAL, "an executable mapping");
	EQ(map_ring(vcpu, PROT_READ, MAP_SHARED, &at), 0, "a read-only mapping");
	EQ(DO(vm.fd, KVM_RESET_DIRTY_RINGS, 0), 0, "no entries to reset");
	vm_destroy(&vm);

	vm_create(&vm, 0);
	EQ(try_ring(&vm, KVM_CAP_DIRTY_LOG_RING, min), 0, "the smallest ring");
	vm_destroy(&vm);
	vm_create(&vm, 0);
	EQ(try_ring(&vm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL, 1 << 20), 0, "the largest ring");
	vcpu_create(&vm, 0, guest_toucher);
	vm_destroy(&vm);
	vm_create(&vm, 0);
	vcpu_create(&vm, 0, guest_toucher);
	EQ(try_ring(&vm, KVM_CAP_DIRTY_LOG_RING, RING_BYTES), -EINVAL, "after the first vCPU");
	vm_destroy(&vm);
}

static void host_ring(void)
{
	u64 bits[WORDS] = { 0 };
	struct ring ring;
	struct vm vm;
	struct vcpu *vcpu = ring_vm(&vm, &ring, guest_toucher);
	u64 *mem = memory();

	vm_slot(&vm, SLOT, 0, AT, PAGES * 4096, mem);
	WRITE(3, 4);
	RING();
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, mem);
	READ(8, 3);
	RING();
	WRITE(0, 3, 64, 1023);
	RING(0, 3, 64, 1023);
	/* Entries that were reset are reported again after a write; the others are not. */
	WRITE(3, 3, 5);
	WRITE(3, 5);
	RING(3, 5);
	RING();
	WRITE(7);
	EQ(harvest(&ring, bits), 1, "entries");
	WRITE(7);
	EQ(harvest(&ring, bits), 0, "entries");
	EQ(DO(vm.fd, KVM_RESET_DIRTY_RINGS, 0), 1, "entries reset");
	WRITE(7);
	RING(7);
	vm_slot(&vm, SLOT, 0, AT, PAGES * 4096, mem);
	WRITE(9);
	RING();
	vm_destroy(&vm);
}

static void host_ring_full(void)
{
	u64 bits[WORDS] = { 0 }, args[4], i, n, full = 0;
	struct ring ring;
	struct vm vm;
	struct vcpu *vcpu = ring_vm(&vm, &ring, guest_writes_all);

	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, memory());
	while (vcpu_run_to_call(vcpu, args) == GCALL_NONE) {
		EQ(vcpu->run->exit_reason, KVM_EXIT_DIRTY_RING_FULL, "exit");
		MUST(++full < 10, "room in the ring");
		/* The ring stays full until entries are reset. */
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN again");
		EQ(vcpu->run->exit_reason, KVM_EXIT_DIRTY_RING_FULL, "exit");
		n = harvest(&ring, bits);
		OK(n >= RING_SIZE - 64 - 512 && n <= RING_SIZE, "%llu entries", (long long)n);
		EQ(DO(vm.fd, KVM_RESET_DIRTY_RINGS, 0), n, "entries reset");
	}
	OK(full > 0, "the ring was full");
	harvest(&ring, bits);
	for (i = 0; i < WORDS; i++)
		EQ(bits[i], ~0ul, "frames from %llu", (long long)i * 64);
	vm_destroy(&vm);
}

/* Invalid entries that user space writes to its ring must do no harm. */
static void host_ring_hostile(void)
{
	static const struct { u32 slot; u64 offset; } bad[] = {
		{ ~0u, 0 }, { 511, 0 }, { 1 << 16 | SLOT, 3 }, { SLOT, PAGES }, { SLOT, ~0ul }, { SLOT, 1ul << 58 },
		{ SLOT, 1ul << 63 }, { 0, 0 }, { SLOT, PAGES - 1 },
	};
	struct ring ring;
	struct vm vm;
	struct vcpu *vcpu = ring_vm(&vm, &ring, guest_toucher);
	u64 i;

	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, memory());
	WRITE(0, 1, 2, 3, 4, 5, 6, 7, 8);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ring.e[i].slot = bad[i].slot;
		ring.e[i].offset = bad[i].offset;
		ring.e[i].flags = ~0u;
	}
	ring.next = ARRAY_SIZE(bad);
	EQ(DO(vm.fd, KVM_RESET_DIRTY_RINGS, 0), ARRAY_SIZE(bad), "entries reset");
	WRITE(20, 21);
	RING(20, 21);
	/* KVM counts entries that it never filled, after which its ring stays full. */
	if (!strcmp(device_path(), "/dev/kvm"))
		goto out;
	for (i = 0; i < RING_SIZE; i++)
		ring.e[i].flags = KVM_DIRTY_GFN_F_RESET;
	EQ(DO(vm.fd, KVM_RESET_DIRTY_RINGS, 0), 0, "entries reset that were never filled");
	WRITE(30, 31);
	RING(30, 31);
out:
	vm_destroy(&vm);
}

/* --- writes by L0 and L2 --- */

static void guest_input(void)
{
	u64 to = AT + 33 * 4096 + 4090, n = 12;

	/* Across a page boundary: L0 writes the data supplied by user space. */
	asm volatile("rep insb" : "+D" (to), "+c" (n) : "d" (0x77) : "memory");
	g_sync(2);
}

static void run_input(struct vcpu *vcpu)
{
	u64 args[4];

	vm_slot(vcpu->vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, memory());
	while (vcpu_run_to_call(vcpu, args) == GCALL_NONE)
		MUST(vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == 0x77, "exit");
}

static void host_input(void)
{
	struct vm vm;

	vm_create(&vm, 0);
	run_input(vcpu_create(&vm, 0, guest_input));
	LOG(33, 34);
	vm_destroy(&vm);
}

static void host_input_ring(void)
{
	struct ring ring;
	struct vm vm;

	run_input(ring_vm(&vm, &ring, guest_input));
	RING(33, 34);
	vm_destroy(&vm);
}

#define CODE(name, text) \
extern char name[]; \
asm(".pushsection .text\n.globl " #name "\n" #name ":\n" text "\n\tvmcall\n.popsection\n")
CODE(c_write, "incq (%rbx)");
CODE(c_read, "mov (%rbx), %rax");

/* L2 writes the frames; the VMCS and everything else of L1 are in slot 0. */
static void guest_l1(void)
{
	u64 i;

	vmcs_new((void (*)(void))(u64)c_write);
	if (g_arg())
		ept_use(ept_new());
	for (;;) {
		for (i = 0; frames[i] != NONE; i++) {
			vmwrite(F_RIP, (u64)(reads ? c_read : c_write));
			l2.rbx = AT + frames[i] * 4096;
			vmx_expect(R_VMCALL, "L2");
		}
		g_sync(1);
	}
}

/* The same test with a bitmap and with a ring. */
struct nested_log {
	void (*check)(struct vm *vm, struct ring *ring, int line, const u64 *list);
	bool ring, ept;
};

static void check_bitmap(struct vm *vm, struct ring *ring, int line, const u64 *list)
{
	check_log(vm, line, list);
}

#define WROTE(...) how->check(&vm, &ring, __LINE__, FRAMES(__VA_ARGS__))

static struct vcpu *nested_vm(const struct nested_log *how, struct vm *vm, struct ring *ring, void (*fn)(void))
{
	extern u64 guest_arg;
	struct vcpu *vcpu;

	guest_arg = how->ept;
	if (how->ring) {
		vcpu = ring_vm(vm, ring, fn);
	} else {
		vm_create(vm, 0);
		vcpu = vcpu_create(vm, 0, fn);
	}
	if (!vm_has_vmx(vm))
		ksft_skip("no VMX");
	return vcpu;
}

static void nested_log(const struct nested_log *how)
{
	struct ring ring;
	struct vm vm;
	struct vcpu *vcpu = nested_vm(how, &vm, &ring, guest_l1);
	u64 *mem = memory();

	vm_slot(&vm, SLOT, 0, AT, PAGES * 4096, mem);
	WRITE(20, 21, 700);
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, mem);
	WROTE();
	READ(20, 30);
	WROTE();
	WRITE(20, 22);
	WROTE(20, 22);
	WRITE(20, 700);
	READ(21);
	WROTE(20, 700);
	WROTE();
	EQ(mem[20 * 512], 3, "the data were written");
	vm_destroy(&vm);
}

/* Writes by L0 for VMX: an instruction's operand, and an MSR list across a page boundary. */
static void guest_vmx_writes(void)
{
	u64 *list = (u64 *)(AT + 41 * 4096 - 256), i;

	vmcs_new((void (*)(void))(u64)c_write);
	for (i = 0; i < 100; i++)
		list[i * 2] = 0x277;	/* IA32_PAT */
	g_sync(1);
	l2.rbx = AT + 50 * 4096;
	vmwrite(F_EXIT_MSR_STORE, (u64)list);
	vmwrite(F_EXIT_STORE_COUNT, 100);
	vmx_expect(R_VMCALL, "L2");
	vmptrst((u64 *)(AT + 60 * 4096));
	g_sync(2);
}

static void vmx_writes(const struct nested_log *how)
{
	struct ring ring;
	struct vm vm;
	struct vcpu *vcpu = nested_vm(how, &vm, &ring, guest_vmx_writes);

	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, memory());
	vcpu_run_to_sync(vcpu, 1);
	WROTE(40, 41);
	vcpu_run_to_sync(vcpu, 2);
	WROTE(40, 41, 50, 60);
	vm_destroy(&vm);
}

static const struct nested_log to_bitmap = { check_bitmap }, to_bitmap_ept = { check_bitmap, .ept = true },
			       to_ring = { check_ring, .ring = true },
			       to_ring_ept = { check_ring, .ring = true, .ept = true };

static void host_l2_ept(void)
{
	nested_log(&to_bitmap_ept);
}

static void host_l2_no_ept(void)
{
	nested_log(&to_bitmap);
}

static void host_l2_ring_ept(void)
{
	nested_log(&to_ring_ept);
}

static void host_l2_ring_no_ept(void)
{
	nested_log(&to_ring);
}

static void host_vmx_writes(void)
{
	vmx_writes(&to_bitmap);
}

static void host_vmx_writes_ring(void)
{
	vmx_writes(&to_ring);
}

static const struct ksft_test tests[] = {
	{ "writes by a guest", .host = host_written },
	{ "logging enabled and disabled", .host = host_switched },
	{ "user space clears", .host = host_cleared },
	{ "all pages dirty from the start", .host = host_all_set },
	{ "the log of a running guest", .host = host_running },
	{ "page-modification logging", .host = host_processor_logs },
	{ "writes by L0", .host = host_input },
	{ "writes by L2, with EPT", .host = host_l2_ept },
	{ "writes by L2, without EPT", .host = host_l2_no_ept },
	{ "writes by L0 for VMX", .host = host_vmx_writes },
	{ "sizes of the ring", .host = host_ring_limits },
	{ "the ring", .host = host_ring },
	{ "the ring is full", .host = host_ring_full },
	{ "a ring with invalid entries", .host = host_ring_hostile },
	{ "the ring: writes by L0", .host = host_input_ring },
	{ "the ring: writes by L2, with EPT", .host = host_l2_ring_ept },
	{ "the ring: writes by L2, without EPT", .host = host_l2_ring_no_ept },
	{ "the ring: writes by L0 for VMX", .host = host_vmx_writes_ring },
};
KSFT_MAIN(tests)

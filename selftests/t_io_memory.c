// SPDX-License-Identifier: GPL-2.0
/* DROSTE_PASS_PORTS, and the memory of INS: the log has what the processor writes, and slots come and go. */
#define _GNU_SOURCE
#include <sys/mman.h>
#include "portio.h"

#define NEW_SLOT	5

static bool log_has(struct machine *m, u32 slot, u64 page)
{
	static u64 bits[MEM_SIZE / 4096 / 64];
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bits };

	DO(m->vm.fd, KVM_GET_DIRTY_LOG, &log);
	return bits[page / 64] >> page % 64 & 1;
}

/* REP INSB from a port that is passed, to @to of the guest. */
static void ins_to(struct machine *m, u64 to, const volatile u8 *seen, u8 byte)
{
	u32 i;

	outb(STORE, byte);
	GUEST(&m->vm, access_memory) = to;
	WAY(m, REP_INS, STORE, 1, DIRECT);
	GUEST(&m->vm, access_memory) = 0;
	for (i = 0; i < STRING_LEN; i++)
		EQ(seen[i], byte, "byte %u", i);
}

static void memory_changes(struct machine *m)
{
	u8 *mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), written = 0;
	u64 at = (u64)string, page = at / 4096;
	u32 i;

	MUST(mem != MAP_FAILED, "mmap");
	pass(m, STORE, 3, true);
	for (i = 0; i < 3; i++) {
		vm_slot(&m->vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, MEM_SIZE, m->vm.mem);
		log_has(m, 0, page);
		WAY(m, OUTS, STORE, 1, DIRECT);
		EQ(log_has(m, 0, page), 0, "OUTSB writes no memory");
		ins_to(m, at, GUEST(&m->vm, string), 0x50 + i);
		EQ(log_has(m, 0, page), 1, "the page is in the log");
		ins_to(m, at, GUEST(&m->vm, string), 0x60 + i);
		EQ(log_has(m, 0, page), 1, "the page is in the log again");
		vm_slot(&m->vm, 0, 0, 0, MEM_SIZE, m->vm.mem);
		ins_to(m, at, GUEST(&m->vm, string), 0x70 + i);
		outb(STORE, 0x21);
		EQ(run_device(m, INS, 0, &written), 1, "exits for the port, while no memory is there");
		EQ(written, 0x21, "what the device gets");
		vm_slot(&m->vm, NEW_SLOT, i & 1 ? KVM_MEM_LOG_DIRTY_PAGES : 0, MMIO_HOLE, 4096, mem);
		ins_to(m, MMIO_HOLE, mem, 0x80 + i);
		if (i & 1)
			EQ(log_has(m, NEW_SLOT, 0), 1, "the new slot's page is in its log");
		vm_slot(&m->vm, NEW_SLOT, 0, MMIO_HOLE, 0, mem);
	}
}

static void host_memory(void)
{
	struct machine m;

	create(&m, false);
	memory_changes(&m);
}

static void host_memory_l2(void)
{
	struct machine m;

	create(&m, true);
	memory_changes(&m);
	GUEST(&m.vm, l1_proc) = PROC_IO_BITMAPS;
	memory_changes(&m);
}

static const struct ksft_test tests[] = {
	{ "logged memory and new slots", host_memory },
	{ "logged memory and new slots at L2", host_memory_l2 },
};
KSFT_MAIN(tests)

// SPDX-License-Identifier: GPL-2.0
/* Pages of L1 that VMCS02, EPT02 or L0 point to, which the host moves to other frames while L1 and L2 loop in reflected exits. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "hotprobe.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif

/* How the host moves a page. */
enum move {
	REPLACE,	/* another page takes its place, with the same contents */
	DROP,		/* it is gone, and a new one gets the contents when it is written */
	PAGEOUT,	/* to swap space, if the host has some */
	MIGRATE,	/* the frame is to be taken out of use; impossible while it is pinned */
	MOVES,
};

#define ROUNDS	(2 * MOVES)

/* L1's wish. Once the page has moved, the host writes to it. */
static volatile u64 move_page, move_how, move_off, move_val;
static volatile u64 move_others;	/* so many pages before it are dropped with it, so that it takes long */

/* --- the host --- */

static u64 frame_of(void *page)
{
	static int fd = -1;
	u64 entry = 0;

	if (fd < 0)
		fd = open("/proc/self/pagemap", O_RDONLY);
	if (pread(fd, &entry, 8, (uintptr_t)page / 4096 * 8) != 8 || !(entry >> 63))
		return 0;
	return entry & (BIT(55) - 1);
}

static u64 moved[MOVES], tried[MOVES];

static void replace(void *page)
{
	void *other = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(other != MAP_FAILED, "mmap");
	memcpy(other, page, 4096);
	MUST(mremap(other, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, page) == page, "mremap: %s", strerror(errno));
}

static void move(u8 *page, enum move how, u64 others)
{
	u64 frame = frame_of(page);
	u8 copy[4096];

	switch (how) {
	case REPLACE:
		replace(page);
		break;
	case DROP:
		memcpy(copy, page, 4096);
		memset(page - others * 4096, 1, others * 4096);
		MUST(!madvise(page - others * 4096, (others + 1) * 4096, MADV_DONTNEED), "madvise");
		memcpy(page, copy, 4096);
		break;
	case PAGEOUT:
		madvise(page, 4096, MADV_PAGEOUT);
		break;
	default:
		/* It fails as long as the module has a pin. The attempt makes the vCPU give it up for a moment. */
		madvise(page, 4096, MADV_SOFT_OFFLINE);
		break;
	}
	tried[how]++;
	/* Reads the page, so that it has a frame. */
	*(volatile u8 *)page;
	moved[how] += frame_of(page) != frame;
}

static void *mover(void *arg)
{
	struct vm *vm = arg;
	u8 *page;

	while (!GUEST(vm, row_over)) {
		usleep(200);
		if (!GUEST(vm, move_page))
			continue;
		page = vm->mem + (GUEST(vm, move_page) & ~0xffful);
		move(page, GUEST(vm, move_how), GUEST(vm, move_others));
		*(volatile u64 *)(page + GUEST(vm, move_off)) = GUEST(vm, move_val);
		GUEST(vm, move_page) = 0;
	}
	return NULL;
}

/* --- L1 --- */

/* Has a page moved and then written, while L2 runs as ever. What is seen meanwhile is not the same each time. */
static void move_and_write(void *page, enum move how, u64 off, u64 val)
{
	u64 was1 = noted, was2 = l2_noted;

	move_how = how;
	move_off = off;
	move_val = val;
	move_page = (u64)page;
	while (move_page)
		first_exit();
	noted = was1;
	l2_noted = was2;
}

/* The word at @off has two values in turn. Each must cause its exit, and let L2 see its value. */
static void moves_by(enum move how, void *page, u64 off, const u64 val[2], const u64 exits[2], const u64 sees[2])
{
	u64 i, j;

	for (i = 0; i < 2; i++) {
		move_and_write(page, how, off, val[i]);
		for (j = 0; j < AGAIN; j++) {
			l2_saw = ~0ul;
			G_EQN(first_exit(), exits[i], "the exit with the page's new contents", how);
			if (exits[i] == R_CPUID)
				G_EQN(l2_saw, sees[i], "L2 sees the page's new contents", how);
		}
	}
}

/*
 * The page is the last of many that go. The vCPU, on another CPU, hears of it before the host's page tables have changed, and
 * runs L2 meanwhile.
 */
#define OTHERS	500
static u64 late;

static void *moved_page(void)
{
	if (!late)
		return g_page();
	move_others = OTHERS;
	return (u8 *)g_pages(OTHERS + 1) + OTHERS * 4096;
}

static void moves(void *page, u64 off, const u64 val[2], const u64 exits[2], const u64 sees[2])
{
	u64 i;

	/* So many pages take time. */
	for (i = 0; i < (late ? 2 : ROUNDS); i++)
		moves_by(late ? DROP : i % MOVES, page, off, val, exits, sees);
}

#define PAIR(a, b)	((const u64[]) { a, b })

static void p_rdmsr(u64 turn)
{
	l2_saw = rdmsr(MSR_FS_BASE);
}

static void m_msr_bitmap(void)
{
	u8 *bitmap = moved_page();
	u64 base = vmread(F_FS_BASE);

	vmwrite(F_MSR_BITMAP, (u64)bitmap);
	l2_probe = p_rdmsr;
	moves(bitmap, 1024 + 0x100 / 8, PAIR(1, 0), PAIR(R_RDMSR, R_CPUID), PAIR(base, base));
}

#define PIC_MASK	0x21

static void p_port(u64 turn)
{
	l2_saw = inb(PIC_MASK);
}

static void m_io_bitmap(void)
{
	u8 *bitmaps = g_pages(2);
	u64 mask = inb(PIC_MASK);

	vmwrite(F_IO_BITMAP_A, (u64)bitmaps);
	vmwrite(F_IO_BITMAP_B, (u64)bitmaps + 4096);
	vmset(F_PROC, PROC_IO_BITMAPS);
	l2_probe = p_port;
	moves(bitmaps, 0, PAIR(BIT(PIC_MASK), 0), PAIR(R_IO, R_CPUID), PAIR(mask, mask));
	moves(bitmaps + 4096, 0, PAIR(~0ul, 0), PAIR(R_CPUID, R_CPUID), PAIR(mask, mask));
}

static volatile u32 *vapic, *access_page;

static void p_cr8(u64 turn)
{
	l2_saw = read_cr8();
}

static bool vapic_begin(void)
{
	if (lacks(F_PROC, PROC_TPR_SHADOW, "the TPR shadow"))
		return false;
	vapic = moved_page();
	access_page = moved_page();
	access_page[APIC_TPR / 4] = 0x777;
	ept_split_at((u64)access_page);
	vmwrite(F_VIRTUAL_APIC, (u64)vapic);
	vmwrite(F_TPR_THRESHOLD, 0);
	vmset(F_PROC, PROC_TPR_SHADOW);
	return true;
}

static void m_virtual_apic(void)
{
	if (!vapic_begin())
		return;
	l2_probe = p_cr8;
	moves((void *)vapic, APIC_TPR, PAIR(0x20, 0x50), PAIR(R_CPUID, R_CPUID), PAIR(2, 5));
}

static void p_access(u64 turn)
{
	l2_saw = access_page[APIC_TPR / 4];
}

/* The page itself is never read. */
static void access_moves(void)
{
	vmwrite(F_APIC_ACCESS, (u64)access_page);
	vmset(F_PROC2, SEC_APIC_ACCESS);
	vapic[APIC_TPR / 4] = 0x30;
	l2_probe = p_access;
	moves((void *)access_page, APIC_TPR, PAIR(0x777, 0x888), PAIR(R_CPUID, R_CPUID), PAIR(0x30, 0x30));
	/* L1 sees what the host has written. */
	G_EQ(access_page[APIC_TPR / 4], 0x888, "the page's contents");
}

static void m_apic_access(void)
{
	if (!lacks(F_PROC2, SEC_APIC_ACCESS, "virtualized APIC accesses") && vapic_begin())
		access_moves();
}

static void m_apic_access_no_ept(void)
{
	vmclr(F_PROC2, SEC_EPT);
	m_apic_access();
}

#define VECTOR		0x61
#define NOTIFY		0xe1
#define PIN_POSTED	BIT(7)

static volatile u64 taken;

static void on_virtual(struct trap_regs *r)
{
	taken++;
	access_page[APIC_EOI / 4] = 0;
}

static void p_interrupts(u64 turn)
{
	sti_nop_cli();
	l2_saw = taken;
}

static void m_posted(void)
{
	volatile u64 *desc = g_page();
	u64 i;

	if (lacks(F_PIN, PIN_POSTED, "posted interrupts") || !vapic_begin())
		return;
	apic_enable();
	vmwrite(F_APIC_ACCESS, (u64)access_page);
	vmset(F_PROC2, SEC_APIC_ACCESS | SEC_APIC_REG | SEC_VID);
	g_trap_fn[VECTOR] = on_virtual;
	vmwrite(F_POSTED_DESC, (u64)desc);
	vmwrite(F_POSTED_NV, NOTIFY);
	vmset(F_PIN, PIN_POSTED);
	l2_probe = p_interrupts;
	for (i = 0; i < ROUNDS; i++) {
		/* The host requests the interrupt, and L1 notifies. */
		move_and_write((void *)desc, i / 2 % MOVES, VECTOR / 64 * 8, BIT(VECTOR % 64));
		G_EQN(taken, i, "no interrupt yet", i);
		desc[4] |= 1;
		apic_icr(apic_id(), NOTIFY);
		G_EQN(first_exit(), R_CPUID, "the notification does not exit", i);
		G_EQN(l2_saw, i + 1, "L2's interrupts", i);
		G_EQN(desc[VECTOR / 64], 0, "requests in the descriptor", i);
	}
}

/* --- memory of L2, and EPT12 --- */

#define AT	0x40000000ul	/* L2-physical, and linear. L1 has no memory there. */

static void p_reads(u64 turn)
{
	l2_saw = *(volatile u64 *)AT;
}

static void m_data(void)
{
	u64 *page = moved_page();

	*ept_entry(eptp, AT, 1) = (u64)page | EPT_RWX | EPT_MT_WB;
	l2_probe = p_reads;
	moves(page, 0, PAIR(0x1234, 0x5678), PAIR(R_CPUID, R_CPUID), PAIR(0x1234, 0x5678));
}

/* The host writes another entry to a table of EPT12, as if it were L1. */
static void table_moves(int level)
{
	u64 *a = g_page(), *b = g_page(), *entry, *other, i;

	*a = 0x1234;
	*b = 0x5678;
	*ept_entry(eptp, AT, 1) = (u64)a | EPT_RWX | EPT_MT_WB;
	entry = ept_entry(eptp, AT, level);
	/* Another branch from this level down to @b. */
	if (level == 1) {
		other = (u64 *)((u64)b | EPT_RWX | EPT_MT_WB);
	} else {
		u64 copy = ept_new();

		*ept_entry(copy, AT, 1) = (u64)b | EPT_RWX | EPT_MT_WB;
		other = (u64 *)*ept_entry(copy, AT, level);
	}
	l2_probe = p_reads;
	for (i = 0; i < ROUNDS; i++) {
		static u64 first;

		if (!i)
			first = *entry;
		move_and_write(entry, i / 2 % MOVES, (u64)entry & 0xfff, i & 1 ? (u64)other : first);
		G_EQ(invept_all(), VM_OK, "INVEPT");
		turns(1);
		G_EQN(first_exit(), R_CPUID, "L2's CPUID", i);
		G_EQN(l2_saw, i & 1 ? 0x5678 : 0x1234, "what this table says", i);
	}
}

static void m_ept_table(void)	{ table_moves(1); }
static void m_ept_pd(void)	{ table_moves(2); }
static void m_ept_pdpt(void)	{ table_moves(3); }
static void m_ept_root(void)	{ table_moves(4); }

/* --- lists, and the VMCS itself --- */

static void p_msr(u64 turn)
{
	l2_saw = rdmsr(MSR_KERNEL_GS_BASE);
}

static void m_list(void)
{
	struct {
		u32 msr, reserved;
		u64 val;
	} *list = g_page();

	list->msr = MSR_KERNEL_GS_BASE;
	vmwrite(F_ENTRY_MSR_LOAD, (u64)list);
	vmwrite(F_ENTRY_LOAD_COUNT, 1);
	l2_probe = p_msr;
	moves(list, 8, PAIR(0xa000, 0xb000), PAIR(R_CPUID, R_CPUID), PAIR(0xa000, 0xb000));
}

/* Another frame may not lose what VMCLEAR writes. Its last words are not of VMCS12. */
static void m_vmcs(void)
{
	u64 i;

	for (i = 0; i < ROUNDS; i++) {
		vmwrite(F_FS_BASE, 0x1000 * i);
		turns(AGAIN);
		move_and_write((void *)this_vmcs, i / 2 % MOVES, 4096 - 8, 0);
		G_EQN(vmread(F_FS_BASE), 0x1000 * i, "FS base in the VMCS", i);
		G_EQ(vmclear(this_vmcs), VM_OK, "VMCLEAR");
		vmcs_load(this_vmcs);
		G_EQN(vmread(F_FS_BASE), 0x1000 * i, "FS base after VMCLEAR", i);
		turns(AGAIN);
	}
}

static void late_msr_bitmap(void)	{ late = 1; m_msr_bitmap(); }
static void late_virtual_apic(void)	{ late = 1; m_virtual_apic(); }
static void late_apic_access(void)	{ late = 1; m_apic_access(); }
static void late_data(void)		{ late = 1; m_data(); }

#define T	.thread = mover
static const struct row rows[] = {
	{ "MSR bitmap", m_msr_bitmap, T },
	{ "I/O bitmaps", m_io_bitmap, NULL, KSFT_IRQCHIP, T },
	{ "virtual-APIC page", m_virtual_apic, T },
	{ "APIC-access page", m_apic_access, T },
	{ "APIC-access page without EPT", m_apic_access_no_ept, T },
	{ "posted-interrupt descriptor", m_posted, NULL, KSFT_IRQCHIP, T },
	{ "data of L2", m_data, T },
	{ "EPT12: a page table", m_ept_table, T },
	{ "EPT12: a page directory", m_ept_pd, T },
	{ "EPT12: a page-directory-pointer table", m_ept_pdpt, T },
	{ "EPT12: the root", m_ept_root, T },
	{ "VM-entry MSR-load list", m_list, T },
	{ "the VMCS", m_vmcs, T },
	{ "MSR bitmap, the last of many pages", late_msr_bitmap, T },
	{ "virtual-APIC page, the last of many pages", late_virtual_apic, T },
	{ "APIC-access page, the last of many pages", late_apic_access, T },
	{ "data of L2, the last of many pages", late_data, T },
};

static void host_rows(void)
{
	static const char *const names[] = { "replaced", "dropped", "paged out", "migrated" };
	u64 i;

	run_rows(rows, ARRAY_SIZE(rows));
	for (i = 0; i < MOVES; i++)
		ksft_diag("%s: %llu of %llu pages have got another frame", names[i], (unsigned long long)moved[i],
			  (unsigned long long)tried[i]);
	OK(moved[REPLACE] > 0 && moved[DROP] > 0, "pages move");
}

static const struct ksft_test tests[] = {
	{ "pages that move between reflections", .host = host_rows },
};
KSFT_MAIN(tests)

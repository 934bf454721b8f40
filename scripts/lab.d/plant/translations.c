// SPDX-License-Identifier: GPL-2.0
/* Changes of tables and of tags without the invalidation that SDM 3C 29.4 asks for. */
#include <linux/delay.h>
#include <linux/string.h>
#include <asm/io.h>
#include <asm/msr.h>
#include <asm/page.h>
#include <asm/processor-flags.h>
#include "plant.h"

#define RWX_WB	0x37
#define PRESENT	0x63	/* of the guest's tables: present, writable, accessed, dirty */

/* Tables that map GUEST_LINEAR to another page. */
static u64 other_tables[4][512] __aligned(4096);
static u8 other_page[4096] __aligned(4096);

/* Long enough for an invalidation on its way, after which the strict machine takes none for an error. */
static void wait(void)
{
	mdelay(12);
}

/* Sets the page that the guest's own tables lead to. */
static void page_is(const void *page)
{
	*guest_entry[1] = physical(page) | PRESENT;
}

/* Lets the guest use its page through EPT, so that the translation may be cached. */
static void use(void *code, bool with_ad)
{
	page_is(scratch);
	vm_own_tables();
	vm_ept(with_ad, scratch);
	*ept_entry[1] = physical(scratch) | RWX_WB;
	vm_write(GUEST_RIP, (u64)code);
	vm_enter();
}

/* Lets it use its page again, and makes that the entry before the last. */
static void use_again(void *code)
{
	vm_again(code);
	vm_enter();
	wait();
	vm_again(code);
}

static void other_frame(void)
{
	use(code_load, false);
	*ept_entry[1] = physical(other_page) | RWX_WB;
	use_again(code_load);
}

static void no_write(void)
{
	use(code_store, false);
	*ept_entry[1] &= ~2ull;
	use_again(code_load);
}

static void no_page(void)
{
	use(code_load, false);
	*ept_entry[1] = 0;
	use_again(code_load);
	*ept_entry[1] = physical(scratch) | RWX_WB;
}

static void uncached(void)
{
	use(code_load, false);
	*ept_entry[1] &= ~0x38ull;
	use_again(code_load);
}

static void no_table(void)
{
	use(code_load, false);
	*ept_entry[2] = (physical(scratch) & ~((1ull << 21) - 1)) | 0x80 | RWX_WB;
	use_again(code_load);
}

static void not_dirty(void)
{
	use(code_store, true);
	*ept_entry[1] &= ~0x200ull;
	use_again(code_store);
}

static void flags_on(void)
{
	use(code_load, false);
	vm_set(EPT_POINTER, VMX_EPTP_AD_ENABLE_BIT);
	use_again(code_load);
}

static void apic_page(void)
{
	use(code_load, false);
	vm_secondary(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES);
	vm_write(APIC_ACCESS_ADDR, physical(scratch));
	use_again(code_load);
}

static void large_apic_page(void)
{
	page_is(scratch);
	vm_own_tables();
	vm_ept(false, NULL);
	vm_secondary(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES);
	vm_write(APIC_ACCESS_ADDR, physical(scratch));
	vm_write(GUEST_RIP, (u64)code_load);
}

static void invalidated(void)
{
	use(code_store, false);
	*ept_entry[1] = physical(other_page) | 5;
	vm_again(code_load);
	vm_invept();
	vm_enter();
	wait();
	vm_again(code_load);
}

static void with_vpid(void *code)
{
	page_is(scratch);
	vm_own_tables();
	vm_secondary(SECONDARY_EXEC_ENABLE_VPID);
	vm_write(VIRTUAL_PROCESSOR_ID, 1);
	vm_write(GUEST_RIP, (u64)code);
	vm_enter();
	vm_again(code_load);
}

/* The guest's program stays mapped: only the first entry of the root differs. */
static void other_root(void)
{
	int level;

	with_vpid(code_load);
	memcpy(other_tables[3], phys_to_virt(__read_cr3() & PAGE_MASK), PAGE_SIZE);
	for (level = 3; level >= 0; level--)
		other_tables[level][(GUEST_LINEAR >> (12 + 9 * level)) & 511] =
			physical(level ? (void *)other_tables[level - 1] : other_page) | PRESENT;
	vm_write(GUEST_CR3, physical(other_tables[3]));
}

static void invlpg(void)
{
	vm_set(CPU_BASED_VM_EXEC_CONTROL, CPU_BASED_INVLPG_EXITING);
	with_vpid(code_invlpg);
	page_is(other_page);
}

static void invlpg_done(void)
{
	vm_set(CPU_BASED_VM_EXEC_CONTROL, CPU_BASED_INVLPG_EXITING);
	with_vpid(code_invlpg);
	vm_invvpid();
	page_is(other_page);
}

static void mov_cr3(void)
{
	vm_set(CPU_BASED_VM_EXEC_CONTROL, CPU_BASED_CR3_LOAD_EXITING);
	with_vpid(code_mov_cr3);
	page_is(other_page);
}

/*
 * The guest with the first VPID executes INVVPID for the guest with the second one, which it has launched: a hypervisor and its
 * guest, under this module as L0. The page of the second guest changes then. Returns with the first guest's exit for INVVPID.
 */
static void invvpid_by_l1(u16 l1, u16 l2, u64 type)
{
	page_is(scratch);
	vm_own_tables();
	vm_secondary(SECONDARY_EXEC_ENABLE_VPID);
	vm_write(VIRTUAL_PROCESSOR_ID, l1);
	vm_write(GUEST_RIP, (u64)code_vmlaunch);
	vm_enter();
	vm_write(VIRTUAL_PROCESSOR_ID, l2);
	vm_again(code_load);
	vm_enter();
	invvpid_type = type;
	invvpid_vpid = 1;
	vm_write(VIRTUAL_PROCESSOR_ID, l1);
	vm_again(code_invvpid);
	vm_enter();
	page_is(other_page);
}

/* The first guest goes on behind INVVPID with these flags, and then the second one. */
static void go_on(u16 l2, u64 rflags)
{
	vm_skip();
	vm_write(GUEST_RFLAGS, rflags);
	vm_enter();
	vm_write(GUEST_RFLAGS, X86_EFLAGS_FIXED);
	vm_write(VIRTUAL_PROCESSOR_ID, l2);
	vm_again(code_load);
}

static void l1_invvpid_address(void)
{
	invvpid_by_l1(0x11, 0x21, 0);
	go_on(0x21, X86_EFLAGS_FIXED);
}

static void l1_invvpid_all(void)
{
	invvpid_by_l1(0x12, 0x22, 2);
	go_on(0x22, X86_EFLAGS_FIXED);
}

static void l1_invvpid_done(void)
{
	invvpid_by_l1(0x13, 0x23, 2);
	vm_invvpid();
	go_on(0x23, X86_EFLAGS_FIXED);
}

static void l1_invvpid_refused(void)
{
	invvpid_by_l1(0x14, 0x24, 2);
	go_on(0x24, X86_EFLAGS_FIXED | X86_EFLAGS_CF);
}

#define VMCALL		{ EXITED, EXIT_REASON_VMCALL }

const struct fault translations_faults[] = {
	{ "EPT leads to another page", other_frame, VMCALL },
	{ "EPT loses a right", no_write, VMCALL },
	{ "EPT has no page", no_page, VMCALL },
	{ "EPT has another memory type", uncached, VMCALL },
	{ "an EPT table becomes a page", no_table, VMCALL },
	{ "an EPT dirty flag is cleared", not_dirty, VMCALL },
	{ "accessed and dirty flags for EPT are switched on", flags_on, VMCALL },
	{ "a page becomes the APIC-access page", apic_page, { EXITED, EXIT_REASON_APIC_ACCESS } },
	{ "an APIC-access page in a large page of EPT", large_apic_page, { EXITED, EXIT_REASON_APIC_ACCESS } },
	{ "EPT changes with INVEPT", invalidated, VMCALL },
	{ "a VPID has another root", other_root, VMCALL },
	{ "INVLPG that is not carried out", invlpg, VMCALL },
	{ "INVLPG that is carried out", invlpg_done, VMCALL },
	{ "MOV to CR3 that is not carried out", mov_cr3, VMCALL },
	{ "L1's INVVPID of an address that is not carried out", l1_invvpid_address, VMCALL },
	{ "L1's INVVPID of all that is not carried out", l1_invvpid_all, VMCALL },
	{ "L1's INVVPID that is carried out", l1_invvpid_done, VMCALL },
	{ "L1's INVVPID that fails", l1_invvpid_refused, VMCALL },
	{}
};

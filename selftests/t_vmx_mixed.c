// SPDX-License-Identifier: GPL-2.0
/* An L1 with several L2s in turns: with EPT and without, with a VPID, a shared one and none, launched and cleared again. */
#include "vm.h"
#include "vmx.h"

#define CODE(name, text) \
extern char name[]; \
asm(".pushsection .text\n.globl " #name "\n" #name ":\n" text "\n\tvmcall\n\tjmp " #name "\n.popsection\n")

/* Each L2 reads its window; some let another page in first, and invalidate the translation themselves. */
CODE(c_look, "mov (%rbx), %rax");
CODE(c_remap, "mov %rcx, (%rdx)\n\tinvlpg (%rbx)\n\tmov (%rbx), %rax");
CODE(c_remap_all, "mov %rcx, (%rdx)\n\tmov %cr3, %rax\n\tmov %rax, %cr3\n\tmov (%rbx), %rax");
CODE(c_link, "mov (%rbx), %rax\n\tvmread %rdi, %rcx\n\tvmwrite %rsi, %rdi\n\tvmread %rdi, %rdx");
CODE(c_write, "mov (%rbx), %rax\n\tlock xaddq %rsi, 8(%rbx)");

#define WINDOW		(1ul << 39)	/* its PML4 entry is no other page's */
#define PTE		3ul		/* present, writable */
#define NR_PAGES	4
#define NR_MACHINES	(sizeof(kinds) / sizeof(kinds[0]))

enum { OWN = 1, SHARED, NONE };		/* VPIDs */

static const struct kind {
	bool ept;
	int vpid;
	bool link;
} kinds[] = {
	{ false, NONE }, { false, NONE }, { false, OWN }, { false, OWN }, { false, SHARED }, { false, SHARED },
	{ true, NONE }, { true, OWN }, { true, OWN, true }, { true, SHARED }, { true, SHARED },
};

static struct machine {
	u64 vmcs, link, eptp;
	u64 *pte, *ept;			/* the window's entry in L2's own tables, and its frame's in EPT */
	u64 frame;			/* that @pte names, if there is EPT */
	u64 page[NR_PAGES];
	u64 sum[NR_PAGES];		/* what L2 has added to each page's second word */
	u64 linked;			/* F_RSP of the link's VMCS */
	int now;			/* the page that the window shows */
	bool launched;
} machines[sizeof(kinds) / sizeof(kinds[0])];

static u64 random_state;
static int last_shared;			/* the machine that ran last with the shared VPID */

static u64 pick(u64 n)
{
	random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
	return (random_state >> 33) % n;
}

static bool has_vpid(void)
{
	return ctl_has(F_PROC, PROC_SECONDARY) && ctl_has(F_PROC2, SEC_VPID);
}

static u16 vpid_of(int i)
{
	return kinds[i].vpid == OWN ? 0x100 + i : 0x80;
}

static void invalidate_vpid(int i)
{
	struct inv_desc d = { vpid_of(i) };

	G_EQ(invvpid(1, d), VM_OK, "INVVPID, single-context");
}

static void invalidate_ept(int i)
{
	struct inv_desc d = { machines[i].eptp };

	G_EQ(invept(1, d), VM_OK, "INVEPT, single-context");
}

static void load(int i)
{
	vmcs_load(machines[i].vmcs);
	vmx_launched(machines[i].launched);
}

/* L2's tables: L1's, and the window. */
static u64 make_tables(struct machine *m, u64 frame)
{
	u64 *pml4 = g_pages(4), *l1 = (u64 *)(read_cr3() & ~0xffful), i;

	for (i = 0; i < 512; i++)
		pml4[i] = l1[i];
	pml4[WINDOW >> 39] = (u64)(pml4 + 512) | PTE;
	pml4[512] = (u64)(pml4 + 1024) | PTE;
	pml4[1024] = (u64)(pml4 + 1536) | PTE;
	m->pte = pml4 + 1536;
	*m->pte = frame | PTE;
	return (u64)pml4;
}

static void make(int i)
{
	struct machine *m = &machines[i];
	int k;

	m->vmcs = vmcs_new((void (*)(void))(u64)c_look);
	for (k = 0; k < NR_PAGES; k++) {
		m->page[k] = (u64)g_page();
		*(u64 *)m->page[k] = i << 8 | k;
	}
	m->frame = kinds[i].ept ? (u64)g_page() : m->page[0];
	vmwrite(F_GUEST_CR3, make_tables(m, m->frame));
	if (kinds[i].ept) {
		m->eptp = ept_new();
		ept_use(m->eptp);
		m->ept = ept_entry(m->eptp, m->frame, 1);
		*m->ept = m->page[0] | EPT_RWX | EPT_MT_WB;
	}
	if (kinds[i].vpid != NONE) {
		need_secondary(SEC_VPID, "no VPID for L1");
		vmwrite(F_VPID, vpid_of(i));
	}
	if (kinds[i].link && ctl_has(F_PROC2, SEC_SHADOW)) {
		m->link = vmx_shadow_region();
		vmcs_load(m->link);
		vmwrite(F_RSP, 0);
		G_EQ(vmclear(m->link), VM_OK, "VMCLEAR of the link");
		vmcs_load(m->vmcs);
		need_secondary(SEC_SHADOW, "no VMCS shadowing");
		vmwrite(F_LINK_POINTER, m->link);
		vmwrite(F_VMREAD_BITMAP, (u64)g_page());
		vmwrite(F_VMWRITE_BITMAP, (u64)g_page());
	}
}

/* Runs @code, and compares what L2 saw in its window. */
static void run(int i, char *code)
{
	struct machine *m = &machines[i];

	if (kinds[i].vpid == SHARED) {
		/* L1 answers for mappings that one L2 left to the other. */
		if (last_shared != i)
			invalidate_vpid(i);
		last_shared = i;
	}
	vmwrite(F_RIP, (u64)code);
	l2.rbx = WINDOW;
	vmx_expect(R_VMCALL, "L2");
	m->launched = true;
	G_EQN(l2.rax, (u64)i << 8 | m->now, "the page in the window of machine", i);
}

/* L1 lets another page into the window. */
static void swap(int i)
{
	struct machine *m = &machines[i];

	m->now = pick(NR_PAGES);
	if (m->ept) {
		*m->ept = m->page[m->now] | EPT_RWX | EPT_MT_WB;
		invalidate_ept(i);
	} else {
		*m->pte = m->page[m->now] | PTE;
		/* Without a VPID, entry and exit invalidate. */
		if (kinds[i].vpid != NONE)
			invalidate_vpid(i);
	}
	run(i, c_look);
}

/* L2 lets another page into the window, or the same again by its own tables. */
static void remap(int i)
{
	struct machine *m = &machines[i];

	if (!m->ept)
		m->now = pick(NR_PAGES);
	l2.rcx = (m->ept ? m->frame : m->page[m->now]) | PTE;
	l2.rdx = (u64)m->pte;
	run(i, pick(2) ? c_remap : c_remap_all);
}

static void add(int i)
{
	struct machine *m = &machines[i];
	u64 n = pick(1000);

	l2.rsi = n;
	run(i, c_write);
	G_EQN(l2.rsi, m->sum[m->now], "the sum before, of machine", i);
	m->sum[m->now] += n;
	G_EQN(*(u64 *)(m->page[m->now] + 8), m->sum[m->now], "the sum in memory, of machine", i);
}

/* L2 reads and writes a field of its link's VMCS, which holds what L2 wrote before. */
static void use_link(int i)
{
	struct machine *m = &machines[i];

	if (!m->link) {
		run(i, c_look);
		return;
	}
	l2.rdi = F_RSP;
	l2.rsi = m->linked + pick(1000);
	run(i, c_link);
	G_EQN(l2.rcx, m->linked, "the field of the link's VMCS, of machine", i);
	G_EQN(l2.rdx, l2.rsi, "the same after VMWRITE, of machine", i);
	m->linked = l2.rsi;
}

static void clear(int i)
{
	struct machine *m = &machines[i];

	G_EQ(vmclear(m->vmcs), VM_OK, "VMCLEAR");
	m->launched = false;
	load(i);
	run(i, c_look);
}

/* L1 looks at the link's VMCS, or changes the field, and clears it. */
static void clear_link(int i)
{
	struct machine *m = &machines[i];

	if (m->link) {
		vmcs_load(m->link);
		G_EQN(vmread(F_RSP), m->linked, "the field of the link's VMCS in L1, of machine", i);
		m->linked += pick(2);
		vmwrite(F_RSP, m->linked);
		G_EQ(vmclear(m->link), VM_OK, "VMCLEAR of the link");
		load(i);
	}
	use_link(i);
}

/* Before VMXOFF, what the processor keeps of the VMCSs must go to memory (SDM 3C 25.11.1). */
static void leave(int i)
{
	u64 k;

	for (k = 0; k < NR_MACHINES; k++) {
		G_EQ(vmclear(machines[k].vmcs), VM_OK, "VMCLEAR");
		machines[k].launched = false;
	}
	G_EQ(vmxoff(), VM_OK, "VMXOFF");
	G_EQ(vmxon(vmx_region_on), VM_OK, "VMXON");
	load(i);
	run(i, c_look);
}

static void turns(u64 n)
{
	static void (*const ops[])(int i) = { swap, swap, remap, remap, add, use_link, clear, clear_link };
	u64 k;
	int i;

	for (k = 0; k < n; k++) {
		i = pick(NR_MACHINES);
		/* As often as not the current VMCS stays current. */
		load(i);
		ops[pick(8)](i);
		if (pick(2))
			run(i, c_look);
		if (!pick(100))
			leave(i);
	}
}

static void guest_mixed(void)
{
	u64 i;

	random_state = g_arg();
	last_shared = -1;
	vmx_on();
	if (!has_vpid())
		g_skip("no VPID for L1");
	for (i = 0; i < NR_MACHINES; i++)
		make(i);
	turns(1000);
}

static const struct ksft_test tests[] = {
	{ "L2s of eleven kinds in turns", .guest = guest_mixed, .arg = 1 },
	{ "the same in another order", .guest = guest_mixed, .arg = 2 },
};
KSFT_MAIN(tests)

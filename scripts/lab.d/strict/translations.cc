/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Translations that outlive a change of the tables because no invalidation came (SDM 3C 29.4).
 *
 * Bochs walks the tables anew after each VM entry. A processor may use what it cached, for as long as the SDM allows.
 * This file remembers each walk's result under the tag that the SDM gives it, and reports a later walk under the same
 * tag with another result if no invalidation came between. A table has one place for each hash, and what collides is
 * forgotten, as a processor may forget at any time.
 */
#include <initializer_list>
#include <map>

#define NEED_CPU_REG_SHORTCUTS 1
#include "bochs.h"
#include "cpu/cpu.h"
#include "cpu/strict/strict.h"
#include "memory/memory-bochs.h"
#include "pc_system.h"

namespace {

const unsigned PROCESSORS = 16;		/* more are not watched */
const unsigned PAGES = 1 << 16;		/* places for guest-physical mappings of pages */
const unsigned TABLES = 1 << 10;	/* places for EPT entries of each level that lead to a table */
const unsigned LINEAR = 1 << 15;	/* places for linear and combined mappings */
const unsigned EPT_CONTEXTS = 64;
const unsigned LINEAR_CONTEXTS = 128;
const unsigned OPEN = 32;		/* differences whose invalidation may still be under way */

/*
 * Where there are several processors, an invalidation may be under way on another one when a walk meets the change. It
 * has this many ticks (of 10 ns) to arrive. It is an error only if the guest still runs after that.
 */
const Bit64u GRACE = 1000000;

const Bit64u ADDRESS = BX_CONST64(0x000ffffffffff000);
const unsigned EPT_RIGHTS = 0x407;	/* of an EPT entry: read, write, execute, user-mode execute */
const unsigned EPT_TYPE = 0x78;		/* of the last EPT entry: memory type, "ignore PAT" */
const unsigned EPT_MAPS = 0x80;		/* the entry maps a page */
const unsigned EPT_DIRTY = 0x200;
/* Changes of CR4 that invalidate translations (SDM 3A 4.10.4.1). */
const Bit64u CR4_CHANGED = 0xa0;	/* PGE, PAE */
const Bit64u CR4_CLEARED = 0x20000;	/* PCIDE */
const Bit64u CR4_SET = 0x100000;	/* SMEP */
/* Bits of struct mapping beside those of the entry. */
const unsigned APIC_ACCESS = 0x10000;	/* the frame is the APIC-access page */
const unsigned FLAGS_ON = 0x20000;	/* the EPTP enables accessed and dirty flags */
const unsigned ASKED = 0x40000;		/* the guest executed an invalidation that caused a VM exit */
const unsigned ASKED_BY_L1 = 0x80000;	/* the guest's own hypervisor executed INVVPID */
const unsigned GLOBAL = 0x100;		/* as in Bochs' combined_access */
const unsigned NO_EXECUTE = 1;		/* the same */
const unsigned LINEAR_RIGHTS = 6;	/* the same: user, write */

/* What a walk found. */
struct mapping {
	Bit64u page;	/* number of the page, or of the region that a table maps */
	Bit64u frame;	/* the address that it leads to */
	Bit64u since;	/* the event counter when it was cached */
	Bit32u tag;	/* of the context that cached it */
	Bit32u bits;
};

/*
 * All that is cached under one EP4TA, or under one combination of VPID, PCID and EP4TA. Global translations have a
 * context for each pair of VPID and EP4TA. A new tag invalidates all of them at once.
 */
struct context {
	Bit64u ep4ta;		/* EPTP bits 51:12, or NO_EPT */
	Bit64u cr3;		/* the root of the last walk */
	Bit64u other_root;	/* event counter at the last VM entry with another root */
	Bit64u asked;		/* event counter when the guest asked for an invalidation of all */
	Bit64u asked_by_l1;	/* event counter when the guest's own hypervisor did, by INVVPID */
	Bit32u tag;		/* 0 if unused */
	Bit16u vpid;
	Bit16u pcid;		/* or ALL_PCIDS for global translations */
};

const Bit64u NO_EPT = 1;
const Bit16u ALL_PCIDS = 0xffff;

enum difference { NONE, ABSENT, FRAME, RIGHTS, TYPE, DIRTY, APIC_PAGE, FLAGS, TABLE };

/* A difference that is not yet an error. */
struct open_difference {
	const context *where;	/* NULL if unused */
	mapping was, is;
	Bit64u deadline;
	difference what;
};

struct processor {
	mapping pages[PAGES];
	mapping tables[3][TABLES];	/* entries of levels 1 to 3 */
	mapping linear[LINEAR];
	context ept[EPT_CONTEXTS];
	context linears[LINEAR_CONTEXTS];
	open_difference open[OPEN];
	context *current_ept, *current_linear, *current_global;
	unsigned opened;		/* used members of open[] */
	unsigned next_ept, next_linear;	/* the contexts to be given up next */
	Bit64u events;
	Bit64u stack;			/* HOST_RSP of the last exit */
	Bit16u launcher;		/* the VPID of the guest that it left by VMLAUNCH or VMRESUME, or 0 */
};

/*
 * L1 and its L2, which are both guests of L0: the VPID that is entered next after L1's exit by VMLAUNCH or VMRESUME, on the
 * same stack of L0, is that of an L2. So a thread that L0 switches to in between is not taken for one.
 */
struct nested_guest {
	Bit16u parent;		/* the VPID of L1 */
	Bit64u stack;		/* HOST_RSP of the last entry */
};

/* An INVVPID of L1 that L0 has not yet answered. */
struct invvpid {
	Bit64u next_rip;
	Bit64u laddr;
	Bit64u type;
};

const Bit64u STACK = 0x2000;	/* stacks of two threads are further apart */

std::map<Bit16u, nested_guest> nested_guests;	/* by the VPID of L2 */
std::map<Bit16u, invvpid> invvpids;		/* by the VPID of L1 */
processor *processors[PROCESSORS];
Bit32u last_tag;

/* Returns the memory of a processor, or NULL if it is not watched. */
processor *of(const BX_CPU_C *cpu)
{
	if (cpu->bx_cpuid >= PROCESSORS)
		return NULL;
	if (!processors[cpu->bx_cpuid])
		processors[cpu->bx_cpuid] = new processor();
	return processors[cpu->bx_cpuid];
}

void invalidate(context &c)
{
	c.tag = ++last_tag;
	c.other_root = c.asked = c.asked_by_l1 = 0;
}

unsigned place(Bit64u page, Bit32u tag, unsigned places)
{
	Bit64u hash = (page + tag * BX_CONST64(0x9e3779b97f4a7c15)) * BX_CONST64(0xbf58476d1ce4e5b9);

	return unsigned(hash >> 40) & (places - 1);
}

/* Returns the mapping of a page that is cached in a context, or NULL. */
mapping *cached(mapping *table, unsigned places, const context *c, Bit64u page)
{
	mapping *m = &table[place(page, c->tag, places)];

	return m->tag == c->tag && m->page == page ? m : NULL;
}

void cache(mapping *table, unsigned places, const mapping &m)
{
	table[place(m.page, m.tag, places)] = m;
}

Bit64u ep4ta(const BX_CPU_C *cpu)
{
	return cpu->vmcs.vmexec_ctrls2.EPT_ENABLE() ? cpu->vmcs.eptptr & ADDRESS : NO_EPT;
}

context *ept_context(processor *p, Bit64u root)
{
	if (p->current_ept && p->current_ept->ep4ta == root)
		return p->current_ept;
	for (context &c : p->ept) {
		if (c.tag && c.ep4ta == root)
			return p->current_ept = &c;
	}
	context *c = p->current_ept = &p->ept[p->next_ept++ % EPT_CONTEXTS];
	*c = context();
	c->ep4ta = root;
	invalidate(*c);
	return c;
}

context *linear_context(processor *p, context *&current, Bit16u vpid, Bit16u pcid, Bit64u root)
{
	if (current && current->vpid == vpid && current->pcid == pcid && current->ep4ta == root)
		return current;
	for (context &c : p->linears) {
		if (c.tag && c.vpid == vpid && c.pcid == pcid && c.ep4ta == root)
			return current = &c;
	}
	current = &p->linears[p->next_linear++ % LINEAR_CONTEXTS];
	*current = context();
	current->vpid = vpid;
	current->pcid = pcid;
	current->ep4ta = root;
	invalidate(*current);
	return current;
}

void report(const BX_CPU_C *cpu, const context &c, const open_difference &o)
{
	unsigned long long page = o.was.page << 12, was = o.was.frame, is = o.is.frame, root = c.ep4ta;

#define EPT_REPORT(sentence, ...) \
	strict_report(cpu, STRICT_TRANSLATIONS, sentence " without INVEPT for EP4TA %#llx", __VA_ARGS__, root)
	switch (o.what) {
	case ABSENT:
		EPT_REPORT("guest-physical %#llx was cached as %#llx and has no translation now,", page, was);
		break;
	case FRAME:
		EPT_REPORT("guest-physical %#llx was cached as %#llx and is %#llx now,", page, was, is);
		break;
	case RIGHTS:
		EPT_REPORT("guest-physical %#llx was cached with the rights %#x and has %#x now,", page,
			   o.was.bits & EPT_RIGHTS, o.is.bits & EPT_RIGHTS);
		break;
	case TYPE:
		EPT_REPORT("guest-physical %#llx was cached with the memory type %#x and has %#x now,", page,
			   (o.was.bits & EPT_TYPE) >> 3, (o.is.bits & EPT_TYPE) >> 3);
		break;
	case DIRTY:
		EPT_REPORT("guest-physical %#llx was cached as dirty and its dirty flag is clear now,", page);
		break;
	case APIC_PAGE:
		EPT_REPORT("guest-physical %#llx was cached as %s APIC-access page and is%s now,", page,
			   o.was.bits & APIC_ACCESS ? "the" : "not the", o.is.bits & APIC_ACCESS ? "" : " not");
		break;
	case FLAGS:
		EPT_REPORT("guest-physical %#llx was cached without accessed and dirty flags, which are on now,", page);
		break;
	case TABLE:
		EPT_REPORT("the EPT table of guest-physical %#llx was cached as %#llx and the entry is %#llx now,",
			   o.was.page, was, is);
		break;
	case NONE:
		break;
	}
#undef EPT_REPORT
}

/* Reports the open differences of the current EPT that are old enough, and forgets those that were invalidated. */
void look_at_open(const BX_CPU_C *cpu, processor *p)
{
	Bit64u now = bx_pc_system.time_ticks();

	for (open_difference &o : p->open) {
		if (!o.where)
			continue;
		if (o.was.tag == o.where->tag) {
			if (o.where->ep4ta != ep4ta(cpu) || now < o.deadline)
				continue;
			report(cpu, *o.where, o);
		}
		o.where = NULL;
		p->opened--;
	}
}

/* Records a difference of a guest-physical mapping. Only the first ones are recorded if there are many. */
void differs(const BX_CPU_C *cpu, processor *p, const context *c, difference what, const mapping &was,
	     const mapping &is)
{
	open_difference o = { c, was, is, bx_pc_system.time_ticks() + GRACE, what };

	if (BX_SMP_PROCESSORS == 1) {
		report(cpu, *c, o);
		return;
	}
	for (open_difference &place : p->open) {
		if (!place.where) {
			place = o;
			p->opened++;
			return;
		}
	}
}

difference compare(const mapping &was, const mapping &is, bool write)
{
	if (was.frame != is.frame)
		return FRAME;
	if (was.bits & ~is.bits & EPT_RIGHTS)
		return RIGHTS;
	if ((was.bits ^ is.bits) & EPT_TYPE)
		return TYPE;
	if ((was.bits ^ is.bits) & APIC_ACCESS)
		return APIC_PAGE;
	if (~was.bits & is.bits & FLAGS_ON)
		return FLAGS;
	if (write && was.bits & ~is.bits & EPT_DIRTY && is.bits & FLAGS_ON)
		return DIRTY;
	return NONE;
}

/* Compares the entries that lead to a table, and the last one as such if a table was cached there. */
void look_at_tables(const BX_CPU_C *cpu, processor *p, const context *c, Bit64u guest, const Bit64u *entry, int leaf,
		    bool failed)
{
	for (int level = 3; level > 0 && level >= leaf; level--) {
		mapping *table = p->tables[level - 1];
		mapping is = { guest >> (12 + 9 * level), entry[level] & ADDRESS, 0, c->tag,
			       Bit32u(entry[level] & EPT_RIGHTS) };
		mapping *was = cached(table, TABLES, c, is.page);
		bool leads = level > leaf;

		if (was && (!leads || was->frame != is.frame || was->bits & ~is.bits & 7)) {
			mapping region = *was;

			region.page = is.page << (12 + 9 * level);
			is.frame = entry[level];
			differs(cpu, p, c, TABLE, region, is);
			is.frame &= ADDRESS;
			was->tag = 0;
		}
		if (leads && !failed)
			cache(table, TABLES, is);
		else if (was)
			was->tag = 0;
	}
}

void fill_page(const BX_CPU_C *cpu, mapping &is, Bit64u guest, const Bit64u *entry, int leaf)
{
	Bit64u size = BX_CONST64(1) << (12 + 9 * leaf);
	Bit32u rights = EPT_RIGHTS;

	for (int level = 3; level >= leaf; level--)
		rights &= Bit32u(entry[level]);
	if (!cpu->vmcs.vmexec_ctrls2.MBE_CTRL())
		rights &= 7;
	is.frame = (entry[leaf] & ADDRESS & ~(size - 1)) | (guest & (size - 1) & ADDRESS);
	is.bits = rights | (entry[leaf] & (EPT_TYPE | EPT_DIRTY));
	if (cpu->vmcs.eptptr & 0x40)
		is.bits |= FLAGS_ON;
	if (cpu->vmcs.vmexec_ctrls2.VIRTUALIZE_APIC_ACCESSES() && is.frame == cpu->vmcs.apic_access_page)
		is.bits |= APIC_ACCESS;
}

/* Returns whether the guest or L0 should have ended a linear or combined mapping since it was cached. */
bool should_have_ended(const context *c, const mapping *m)
{
	return m->bits & (ASKED | ASKED_BY_L1) || m->since < c->asked || m->since < c->asked_by_l1 || m->since < c->other_root;
}

void linear_report(const BX_CPU_C *cpu, const context *c, const mapping *was, const mapping *is)
{
	const char *why = was->bits & ASKED ? "the guest's INVLPG" :
			  was->since < c->asked ? "the guest's MOV to a control register" :
			  was->bits & ASKED_BY_L1 || was->since < c->asked_by_l1 ? "an INVVPID of the guest's hypervisor" :
			  "a VM entry with another CR3";

	strict_report(cpu, STRICT_TRANSLATIONS, "linear %#llx was cached as %#llx with the rights %#x, is %#llx with %#x "
		      "now, and %s came between without INVVPID for VPID %#x (PCID %#x, %s %#llx)",
		      (unsigned long long)was->page << 12, (unsigned long long)was->frame,
		      was->bits & (LINEAR_RIGHTS | NO_EXECUTE), is ? (unsigned long long)is->frame : 0,
		      is ? is->bits & (LINEAR_RIGHTS | NO_EXECUTE) : 0, why, c->vpid, c->pcid,
		      c->ep4ta == NO_EPT ? "no EPT, CR3" : "EP4TA",
		      (unsigned long long)(c->ep4ta == NO_EPT ? c->cr3 : c->ep4ta));
}

/* Selects the contexts of the current VPID, PCID and EP4TA. Returns false if nothing is cached for this guest. */
bool linear_contexts(const BX_CPU_C *cpu, processor *p)
{
	if (!cpu->in_vmx_guest || !cpu->vmcs.vmexec_ctrls2.VPID_ENABLE() || !cpu->cr0.get_PG())
		return false;
	Bit16u pcid = cpu->cr4.get_PCIDE() ? cpu->cr3 & 0xfff : 0;
	Bit64u root = ep4ta(cpu);

	linear_context(p, p->current_global, cpu->vmcs.vpid, ALL_PCIDS, root);
	context *c = linear_context(p, p->current_linear, cpu->vmcs.vpid, pcid, root);
	if (c->cr3 != (cpu->cr3 & ADDRESS)) {
		if (c->cr3)
			c->other_root = ++p->events;
		c->cr3 = cpu->cr3 & ADDRESS;
	}
	return true;
}

/* Invalidates what is cached for one linear address in the contexts of a VPID, of one EP4TA or of all. */
void forget_address(processor *p, Bit16u vpid, Bit64u laddr, Bit64u root, bool every_root)
{
	for (context &c : p->linears) {
		if (!c.tag || c.vpid != vpid || (!every_root && c.ep4ta != root))
			continue;
		mapping *m = cached(p->linear, LINEAR, &c, laddr >> 12);
		if (m)
			m->tag = 0;
	}
}

/* Notes that the guest asked for the invalidation of all translations of its VPID, PCID and EP4TA. */
void ask(processor *p, Bit16u vpid, Bit16u pcid, Bit64u root, bool global_too)
{
	for (context &c : p->linears) {
		if (c.tag && c.vpid == vpid && c.ep4ta == root && (c.pcid == pcid || (global_too)))
			c.asked = ++p->events;
	}
}

/* Handles a VM exit for MOV to CR0, CR3 or CR4, whose invalidation L0 has to do (SDM 3A 4.10.4.1). */
void exit_for_cr(const BX_CPU_C *cpu, processor *p, Bit64u qualification)
{
	Bit64u value = cpu->gen_reg[(qualification >> 8) & 15].rrx;
	Bit64u mask, seen;

	if ((qualification >> 4) & 3)
		return;
	switch (qualification & 15) {
	case 0:
		mask = cpu->vmcs.vm_cr0_mask;
		seen = (cpu->cr0.get32() & ~mask) | (cpu->vmcs.vm_cr0_read_shadow & mask);
		if (seen & ~value & BX_CONST64(0x80000000))
			ask(p, cpu->vmcs.vpid, 0, ep4ta(cpu), true);
		break;
	case 3:
		if (!cpu->cr4.get_PCIDE())
			ask(p, cpu->vmcs.vpid, 0, ep4ta(cpu), false);
		else if (!(value >> 63))
			ask(p, cpu->vmcs.vpid, value & 0xfff, ep4ta(cpu), false);
		break;
	case 4:
		mask = cpu->vmcs.vm_cr4_mask;
		seen = (cpu->cr4.get32() & ~mask) | (cpu->vmcs.vm_cr4_read_shadow & mask);
		if ((seen ^ value) & CR4_CHANGED || seen & ~value & CR4_CLEARED || ~seen & value & CR4_SET)
			ask(p, cpu->vmcs.vpid, 0, ep4ta(cpu), true);
		break;
	}
}

bool near(Bit64u a, Bit64u b)
{
	return a - b + STACK < 2 * STACK;
}

bool is_parent(Bit16u vpid)
{
	for (const auto &each : nested_guests) {
		if (each.second.parent == vpid)
			return true;
	}
	return false;
}

/* Reads 8 bytes of the guest's memory without any effect on the guest. */
bool peek(BX_CPU_C *cpu, bx_address laddr, Bit64u *value)
{
	bx_phy_address address;

	return (laddr & 0xfff) <= 0xff8 && cpu->dbg_xlate_linear2phy(laddr, &address) &&
	       BX_MEM(0)->dbg_fetch_mem(cpu, address, 8, (Bit8u *)value);
}

/* Notes the operands of INVVPID, which has caused a VM exit (SDM 3C table 28-14). */
void note_invvpid(BX_CPU_C *cpu, Bit64u displacement)
{
	Bit32u info = cpu->VMread32(VMCS_32BIT_VMEXIT_INSTRUCTION_INFO);
	unsigned address_size = (info >> 7) & 7, segment = (info >> 15) & 7;
	bx_address laddr = displacement;
	Bit64u vpid;
	invvpid request = { cpu->gen_reg[BX_64BIT_REG_RIP].rrx, 0, cpu->gen_reg[info >> 28].rrx };

	if (!(info & 1 << 27))
		laddr += cpu->gen_reg[(info >> 23) & 15].rrx;
	if (!(info & 1 << 22))
		laddr += cpu->gen_reg[(info >> 18) & 15].rrx << (info & 3);
	if (address_size == 1)
		laddr = Bit32u(laddr);
	if (!cpu->long64_mode())
		laddr = Bit32u(laddr + cpu->sregs[segment].cache.u.segment.base);
	else if (segment >= BX_SEG_REG_FS)
		laddr += cpu->sregs[segment].cache.u.segment.base;
	/* With 16-bit addresses the sum above is wrong. No hypervisor has them. */
	if (address_size && peek(cpu, laddr, &vpid) && peek(cpu, laddr + 8, &request.laddr))
		invvpids[cpu->vmcs.vpid] = request;
}

/* L0 must have ended what is cached for an L2 of L1, on each processor that may run it. */
void ask_for_l1(Bit16u vpid, const invvpid &request)
{
	for (processor *p : processors) {
		for (context *c = p ? p->linears : NULL; p && c < p->linears + LINEAR_CONTEXTS; c++) {
			if (!c->tag || c->vpid != vpid)
				continue;
			if (request.type == BX_INVEPT_INVVPID_INDIVIDUAL_ADDRESS_INVALIDATION) {
				mapping *m = cached(p->linear, LINEAR, c, request.laddr >> 12);

				if (m)
					m->bits |= ASKED_BY_L1;
			} else if (c->pcid != ALL_PCIDS ||
				   request.type != BX_INVEPT_INVVPID_SINGLE_CONTEXT_NON_GLOBAL_INVALIDATION) {
				c->asked_by_l1 = ++p->events;
			}
		}
	}
}

/*
 * Looks at the entry after INVVPID: it was executed if the guest goes on behind it and VMsucceed has cleared the flags (SDM
 * 3C 31.2). Which VPID of L1 an L2 has is not known, so all L2s of L1 are meant. L0 has one VPID for them.
 */
void look_at_answer(BX_CPU_C *cpu, Bit16u vpid, const invvpid &request)
{
	const Bit32u failed = EFlagsCFMask | EFlagsPFMask | EFlagsAFMask | EFlagsZFMask | EFlagsSFMask | EFlagsOFMask;

	if (cpu->gen_reg[BX_64BIT_REG_RIP].rrx != request.next_rip || cpu->VMread64(VMCS_GUEST_RFLAGS) & failed)
		return;
	for (const auto &each : nested_guests) {
		if (each.second.parent == vpid && near(each.second.stack, cpu->vmcs.host_state.rsp))
			ask_for_l1(each.first, request);
	}
}

/* Learns which VPIDs are those of L2s. */
void look_at_entry(BX_CPU_C *cpu, processor *p)
{
	Bit16u vpid = cpu->vmcs.vmexec_ctrls2.VPID_ENABLE() ? cpu->vmcs.vpid : 0, launcher = p->launcher;
	Bit64u stack = cpu->vmcs.host_state.rsp;

	p->launcher = 0;
	if (!vpid)
		return;
	auto request = invvpids.find(vpid);
	if (request != invvpids.end()) {
		look_at_answer(cpu, vpid, request->second);
		invvpids.erase(request);
	}
	auto known = nested_guests.find(vpid);
	if (launcher && launcher != vpid && near(p->stack, stack) && !is_parent(vpid))
		nested_guests[vpid] = { launcher, stack };
	else if (known != nested_guests.end())
		known->second.stack = stack;
}

} /* namespace */

void strict_ept_walk(const BX_CPU_C *cpu, Bit64u guest, const Bit64u *entry, int leaf, bool write, bool failed)
{
	processor *p = of(cpu);

	if (!p)
		return;
	const context *c = ept_context(p, cpu->vmcs.eptptr & ADDRESS);
	mapping is = { guest >> 12, 0, 0, c->tag, 0 };
	bool maps = entry[leaf] & 7 && (!leaf || entry[leaf] & EPT_MAPS);

	if (p->opened)
		look_at_open(cpu, p);
	look_at_tables(cpu, p, c, guest, entry, leaf, failed);
	mapping *was = cached(p->pages, PAGES, c, is.page);
	if (maps)
		fill_page(cpu, is, guest, entry, leaf);
	if (was) {
		difference what = maps ? compare(*was, is, write && !failed) : ABSENT;

		if (what)
			differs(cpu, p, c, what, *was, is);
	}
	/* Only a page of 4 KiB is sure to make each access an APIC access (SDM 3C 30.4.5). */
	if (leaf && is.bits & APIC_ACCESS)
		strict_report(cpu, STRICT_TRANSLATIONS, "guest-physical %#llx is the APIC-access page, and EPT maps it with "
			      "an entry of level %d", (unsigned long long)guest & ~0xfffull, leaf + 1);
	/* An EPT violation ends what would be used to translate its address (SDM 3C 29.4.3.1). */
	if (!failed) {
		if (write)
			is.bits |= EPT_DIRTY;
		cache(p->pages, PAGES, is);
	} else if (was) {
		was->tag = 0;
	}
}

void strict_linear_walk(const BX_CPU_C *cpu, Bit64u laddr, Bit64u frame, unsigned access)
{
	processor *p = of(cpu);

	if (!p || !linear_contexts(cpu, p))
		return;
	context *c = access & GLOBAL ? p->current_global : p->current_linear;
	mapping is = { laddr >> 12, frame & ADDRESS, ++p->events, c->tag, access & (LINEAR_RIGHTS | NO_EXECUTE) };

	for (context *each : { p->current_global, p->current_linear }) {
		mapping *was = cached(p->linear, LINEAR, each, is.page);

		if (!was)
			continue;
		bool changed = was->frame != is.frame || was->bits & ~is.bits & LINEAR_RIGHTS ||
			       ~was->bits & is.bits & NO_EXECUTE;
		if (changed && should_have_ended(each, was))
			linear_report(cpu, each, was, &is);
		/* An older translation may still be in use. It stays what a later invalidation has to end. */
		if (!changed && each == c) {
			is.since = was->since;
			is.bits |= was->bits & (ASKED | ASKED_BY_L1);
		}
	}
	cache(p->linear, LINEAR, is);
}

void strict_linear_fault(const BX_CPU_C *cpu, Bit64u laddr, bool absent)
{
	processor *p = of(cpu);

	if (!p || !linear_contexts(cpu, p))
		return;
	for (context *each : { p->current_global, p->current_linear }) {
		mapping *was = cached(p->linear, LINEAR, each, laddr >> 12);

		if (!was)
			continue;
		if (absent && should_have_ended(each, was))
			linear_report(cpu, each, was, NULL);
		was->tag = 0;
	}
}

void strict_translations_flush(const BX_CPU_C *cpu, bool global_too)
{
	processor *p = of(cpu);

	if (!p || !cpu->vmcs.vmexec_ctrls2.VPID_ENABLE())
		return;
	for (context &c : p->linears) {
		if (c.tag && c.vpid == cpu->vmcs.vpid && c.ep4ta == ep4ta(cpu) && (global_too || c.pcid != ALL_PCIDS))
			invalidate(c);
	}
}

void strict_translations_invlpg(const BX_CPU_C *cpu, Bit64u laddr)
{
	processor *p = of(cpu);

	if (p && cpu->vmcs.vmexec_ctrls2.VPID_ENABLE())
		forget_address(p, cpu->vmcs.vpid, laddr, ep4ta(cpu), false);
}

void strict_invept(const BX_CPU_C *cpu, bool all, Bit64u eptp)
{
	processor *p = of(cpu);

	if (!p)
		return;
	for (context &c : p->ept) {
		if (c.tag && (all || c.ep4ta == (eptp & ADDRESS)))
			invalidate(c);
	}
	for (context &c : p->linears) {
		if (c.tag && c.ep4ta != NO_EPT && (all || c.ep4ta == (eptp & ADDRESS)))
			invalidate(c);
	}
}

void strict_invvpid(const BX_CPU_C *cpu, unsigned type, Bit16u vpid, Bit64u laddr)
{
	processor *p = of(cpu);

	if (!p)
		return;
	if (type == BX_INVEPT_INVVPID_INDIVIDUAL_ADDRESS_INVALIDATION) {
		forget_address(p, vpid, laddr, 0, true);
		return;
	}
	for (context &c : p->linears) {
		bool all = type == BX_INVEPT_INVVPID_ALL_CONTEXT_INVALIDATION;
		bool spare = type == BX_INVEPT_INVVPID_SINGLE_CONTEXT_NON_GLOBAL_INVALIDATION && c.pcid == ALL_PCIDS;

		if (c.tag && !spare && (all || c.vpid == vpid))
			invalidate(c);
	}
}

void strict_translations_exit(BX_CPU_C *cpu, unsigned reason, Bit64u qualification)
{
	processor *p = of(cpu);
	bool launches = reason == VMX_VMEXIT_VMLAUNCH || reason == VMX_VMEXIT_VMRESUME;

	if (!p)
		return;
	p->launcher = launches && cpu->vmcs.vmexec_ctrls2.VPID_ENABLE() ? cpu->vmcs.vpid : 0;
	p->stack = cpu->vmcs.host_state.rsp;
	if (!linear_contexts(cpu, p))
		return;
	if (reason == VMX_VMEXIT_INVVPID)
		note_invvpid(cpu, qualification);
	if (reason == VMX_VMEXIT_CR_ACCESS) {
		exit_for_cr(cpu, p, qualification);
	} else if (reason == VMX_VMEXIT_INVLPG) {
		for (context *each : { p->current_global, p->current_linear }) {
			mapping *m = cached(p->linear, LINEAR, each, qualification >> 12);

			if (m)
				m->bits |= ASKED;
		}
	}
}

void strict_translations_entry(BX_CPU_C *cpu)
{
	processor *p = of(cpu);

	if (!p)
		return;
	look_at_entry(cpu, p);
	if (p->opened && cpu->vmcs.vmexec_ctrls2.EPT_ENABLE())
		look_at_open(cpu, p);
}

void strict_translations_reset(const BX_CPU_C *cpu)
{
	if (cpu->bx_cpuid >= PROCESSORS)
		return;
	delete processors[cpu->bx_cpuid];
	processors[cpu->bx_cpuid] = NULL;
}

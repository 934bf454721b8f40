// SPDX-License-Identifier: GPL-2.0
/*
 * Clustering: a VMREAD or VMWRITE of L1 that exits is rarely the only one. L0 looks
 * at the instructions behind it, and executes them up to the last VMREAD or VMWRITE
 * that it can reach, so that those have no exits of their own.
 *
 * L1 cannot tell. It is at the boundary of an instruction at any time, and finds
 * the registers, flags and VMCS that its own execution would have left. Clustering
 * stops, or does not begin,
 *
 * - at an instruction that reads memory, or does more than to compute with general
 *   registers or to store one: see cluster_code.c;
 * - at a store that could fault, set a flag in the page tables, be logged, or reach a
 *   device: see walk_write(); and behind one to the page of the code;
 * - at the end of a page, and where L1's tables or L0's memory slots are not simple:
 *   see walk_code();
 * - if L1 single-steps or is debugged, records branches, or has an active breakpoint,
 *   and if RF is set or STI or MOV SS blocks interrupts: short_next_rip() and
 *   cluster_is_allowed();
 * - at a VMREAD or VMWRITE that needs no exit, or more than VMCS12 and VMCS02;
 * - after CLUSTER_VMX of these, CLUSTER_PLAIN other instructions, and CLUSTER_FILLS runs that have to be decoded. An interrupt
 *   that arrives meanwhile waits so long. One that was pending before has ended the
 *   short loop already.
 *
 * The code is read again each time, and compared with what was decoded.
 * Traces and DROSTE_BREAK are to show each exit: with them, the short loop is off.
 */
#include <linux/hash.h>
#include <linux/moduleparam.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include "droste.h"
#include "cpu/walk.h"
#include "mem/memslot.h"
#include "nested/cluster.h"
#include "nested/cluster_code.h"
#include "nested/insn.h"
#include "nested/vmcs02.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

#define CLUSTER_VMX	16	/* VMREADs and VMWRITEs after the one that exited */
#define CLUSTER_PLAIN	64	/* other instructions */
#define CLUSTER_FILLS	4	/* runs decoded; the next exit goes on from there */
#define CLUSTER_WORDS	(CLUSTER_BYTES / 8)
#define CLUSTER_BITS	6	/* the cache has 2 ^ this entries */

static bool cluster = true;
module_param(cluster, bool, 0644);
MODULE_PARM_DESC(cluster, "Execute further VMREADs and VMWRITEs of L1 at the exit of one");

/* A decoded run, and the code from which it was decoded. */
struct cluster_entry {
	u64 rip;		/* where the run begins */
	u16 idle;		/* uses without a look at the code, since there was nothing to execute */
	u8 nr_words;
	u64 mask;		/* the bits of the last word that belong to the run */
	u64 words[CLUSTER_WORDS];
	struct page_walk walk;
	struct cluster_run run;
};

struct cluster_cache {
	struct cluster_entry entries[1 << CLUSTER_BITS];
};

/**
 * cluster_alloc() - allocate the cache of decoded code, when L1 enters VMX operation
 * @vcpu: the vCPU; may have it already
 *
 * Without memory for it, nothing is clustered.
 *
 * Context: Process context. May sleep.
 */
void cluster_alloc(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (!n->cluster)
		n->cluster = kvzalloc(sizeof(*n->cluster), GFP_KERNEL_ACCOUNT);
}

/**
 * cluster_free() - free the cache of decoded code
 * @vcpu: the vCPU, which is being destroyed
 *
 * Context: Process context.
 */
void cluster_free(struct vcpu *vcpu)
{
	kvfree(vcpu->nested.cluster);
	vcpu->nested.cluster = NULL;
}

static bool cluster_is_allowed(const struct vcpu *vcpu)
{
	return READ_ONCE(cluster) && vcpu->nested.cluster && !vcpu->guest_debug && !(vcpu->dr7 & DR7_ACTIVE) &&
	       !vcpu->debugctl && current->mm == vcpu->vm->mm;
}

/* Read and decode the code at RIP. Returns false if it cannot be read, or has nothing to execute. */
static noinline bool cluster_fill(struct vcpu *vcpu, struct cluster_entry *e, u64 rip)
{
	u32 len = min_t(u32, CLUSTER_BYTES, PAGE_SIZE - offset_in_page(rip)) & ~7U, used;

	e->rip = rip;
	e->idle = 1;
	e->run.nr = 0;
	if (!len || !walk_code(vcpu, &e->walk, rip, e->words, len / 8))
		return false;
	cluster_decode(&e->run, (const u8 *)e->words, len);
	if (!e->run.nr)
		return false;
	e->nr_words = DIV_ROUND_UP(e->run.bytes, 8);
	used = e->run.bytes - 8 * (e->nr_words - 1);
	e->mask = emul_size_mask(used);
	e->words[e->nr_words - 1] &= e->mask;
	return true;
}

/* Whether the code is what it was when it was decoded. */
static bool cluster_is_same(struct vcpu *vcpu, struct cluster_entry *e)
{
	u64 words[CLUSTER_WORDS], differs = 0;
	u32 last = e->nr_words - 1, i;

	if (!walk_code(vcpu, &e->walk, e->rip, words, e->nr_words))
		return false;
	words[last] &= e->mask;
	for (i = 0; i <= last; i++)
		differs |= words[i] ^ e->words[i];
	return !differs;
}

/* What is left of the bounds. */
struct cluster_bounds {
	u32 vmx, plain, fills;
};

/* The run at RIP; NULL if there is none. VMCS01 is current. */
static const struct cluster_entry *cluster_find(struct vcpu *vcpu, u64 rip, struct cluster_bounds *left)
{
	struct cluster_entry *e = &vcpu->nested.cluster->entries[hash_64(rip, CLUSTER_BITS)];
	bool found;
	int idx;

	/* The walk of L1's tables and the decoding take their time, and interrupts are disabled. */
	if (!left->fills)
		return NULL;
	/* The code may have changed: it is looked at again after 65,535 uses, or when another run has had this place. */
	if (e->rip == rip && !e->run.nr && e->idle++)
		return NULL;
	idx = memslot_begin_nofault(vcpu->vm);
	found = e->rip == rip && e->run.nr && cluster_is_same(vcpu, e);
	if (unlikely(!found)) {
		left->fills--;
		found = cluster_fill(vcpu, e, rip);
	}
	memslot_end_nofault(vcpu->vm, idx);
	return found ? e : NULL;
}

/*
 * Write a number to L1's memory. Returns false if L1 must do that. VMCS01 must be current, since its control registers
 * are used.
 */
static noinline bool cluster_store(struct vcpu *vcpu, u64 la, u64 val, u32 bytes)
{
	bool done;
	int idx;

	insn_short_end(vcpu);
	idx = memslot_begin_nofault(vcpu->vm);
	done = walk_write(vcpu, la, val, bytes);
	memslot_end_nofault(vcpu->vm, idx);
	return done;
}

/* VMREAD to memory. A failure writes nothing. Returns false if it needs an exit, or none. */
static bool cluster_read_to_memory(struct vcpu *vcpu, const struct cluster_insn *i, const struct vmcs12_field *f, u64 enc,
				   u64 begin, u64 *set)
{
	u64 val = 0, la = cluster_address(i, vcpu->regs, begin);

	/* Only then does the instruction fail or not without an effect that could have to be undone. */
	if (!insn_short_has(&vcpu->nested, f))
		return false;
	return insn_short_read(vcpu, f, enc, &val, set) && cluster_store(vcpu, la, val, 8);
}

/* Whether insn_short_read() would read VMCS12. */
static __always_inline bool cluster_reads_vmcs12(const struct nested *n, const struct vmcs12_field *f)
{
	return insn_short_has(n, f) && !insn_shadow_is_newer(n, f) && !insn_vmcs02_is_newer(n, f);
}

/* Execute a VMREAD or VMWRITE. Returns false if that needs an exit, or none. */
static __always_inline bool cluster_access(struct vcpu *vcpu, const struct cluster_insn *i, u64 begin, u64 *flags)
{
	const struct vmcs12_field *f = i->field;
	bool read = i->kind == CLUSTER_VMREAD;
	u64 *regs = vcpu->regs, enc = i->imm, set;
	bool done;

	if (unlikely(!f)) {
		enc = regs[read ? i->src : i->dst];
		f = vmcs12_field_lookup(enc);
	}
	if (read && likely(!i->mem) && cluster_reads_vmcs12(&vcpu->nested, f)) {
		regs[i->dst] = insn_short_get(&vcpu->nested, f, enc);
		*flags &= ~INSN_FLAGS;
		return true;
	}
	if (!read)
		done = insn_short_write(vcpu, f, enc, regs[i->src], &set);
	else if (unlikely(i->mem))
		done = cluster_read_to_memory(vcpu, i, f, enc, begin, &set);
	else
		done = insn_short_read(vcpu, f, enc, &regs[i->dst], &set);
	if (done)
		*flags = (*flags & ~INSN_FLAGS) | set;
	return done;
}

/* What follows an instruction of a run. */
enum cluster_next { CLUSTER_GO_ON, CLUSTER_STOP_BEFORE, CLUSTER_STOP_BEHIND, CLUSTER_JUMP };

/* Execute a plain instruction. */
static __always_inline enum cluster_next cluster_plain(struct vcpu *vcpu, const struct cluster_entry *e,
						       const struct cluster_insn *i, u64 begin, u64 *flags)
{
	u64 *regs = vcpu->regs;
	bool taken;

	/* Nearly all are one of these. */
	if (i->kind == CLUSTER_CONST) {
		regs[i->dst] = i->imm;
		return CLUSTER_GO_ON;
	}
	if (i->kind == CLUSTER_STORE) {
		if (!cluster_store(vcpu, cluster_address(i, regs, begin), i->from_imm ? i->imm : regs[i->src], i->bytes))
			return CLUSTER_STOP_BEFORE;
		/* The store may have changed the instructions that follow. */
		return vcpu->store_walk.to == e->walk.to ? CLUSTER_STOP_BEHIND : CLUSTER_GO_ON;
	}
	taken = i->kind == CLUSTER_JCC ? cluster_condition(i->op, *flags) : cluster_execute(i, begin, regs, flags);
	if (likely(!taken))
		return CLUSTER_GO_ON;
	/* To a non-canonical address, the jump raises #GP. It has had no effect yet, so L1 can execute it. */
	return arch_canonical(begin + i->end + i->imm, 48) ? CLUSTER_JUMP : CLUSTER_STOP_BEFORE;
}

/* Check each instruction of a run at @begin: a store within it cannot change those that follow. */
static noinline void cluster_check(struct vcpu *vcpu, const struct cluster_entry *e, u64 begin)
{
	const struct cluster_insn *i = e->run.insn, *end = i + e->run.nr;
	u32 from = 0;

	for (; i < end; i++) {
		paranoid_code(vcpu, i, begin + from, i->end - from);
		from = i->end;
	}
}

/*
 * Execute a run. @rip is that of its first instruction, and then that of the instruction to execute next. Returns true
 * if that is where a jump leads to.
 */
static bool cluster_execute_run(struct vcpu *vcpu, const struct cluster_entry *e, u64 *rip, u64 *flags,
				struct cluster_bounds *left)
{
	const struct cluster_insn *i = e->run.insn, *end = i + e->run.nr;
	enum cluster_next next = CLUSTER_GO_ON;
	u32 vmx = left->vmx, plain = left->plain;
	u64 fl = *flags, begin = *rip, to = begin;

	if (unlikely(again_is_paranoid()))
		cluster_check(vcpu, e, begin);
	if (e->run.uses_rsp)
		vcpu->regs[RSP] = vmcs_read(GUEST_RSP);
	for (; i < end && next == CLUSTER_GO_ON; i++) {
		if (cluster_is_vmx(i)) {
			if (!vmx || !cluster_access(vcpu, i, begin, &fl))
				break;
			vmx--;
			if (unlikely(i->mem) && vcpu->store_walk.to == e->walk.to)
				next = CLUSTER_STOP_BEHIND;
		} else {
			if (!plain--)
				break;
			next = cluster_plain(vcpu, e, i, begin, &fl);
			if (next == CLUSTER_STOP_BEFORE)
				break;
		}
		to = begin + i->end + (next == CLUSTER_JUMP ? i->imm : 0);
	}
	*rip = to;
	*flags = fl;
	vcpu->stats.clustered += left->vmx - vmx;
	left->vmx = vmx;
	left->plain = plain;
	return next == CLUSTER_JUMP;
}

/**
 * cluster_go_on() - execute the instructions behind a VMREAD or VMWRITE that has exited
 * @vcpu: in L1, in 64-bit mode at CPL 0, TF and RF are clear and nothing blocks interrupts; no register is cached
 * @rip: RIP of the first of these instructions
 * @flags: RFLAGS, updated
 *
 * Context: Interrupts disabled. VMCS01 is current before and after.
 * Return: RIP of the next instruction for L1, which may be @rip.
 */
u64 cluster_go_on(struct vcpu *vcpu, u64 rip, u64 *flags)
{
	struct cluster_bounds left = { CLUSTER_VMX, CLUSTER_PLAIN, CLUSTER_FILLS };
	const struct cluster_entry *e;
	bool jumped = true;

	if (!cluster_is_allowed(vcpu))
		return rip;
	while (jumped && left.vmx) {
		e = cluster_find(vcpu, rip, &left);
		if (!e)
			break;
		jumped = cluster_execute_run(vcpu, e, &rip, flags, &left);
		insn_short_end(vcpu);
	}
	return rip;
}

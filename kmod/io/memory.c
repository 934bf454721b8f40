// SPDX-License-Identifier: GPL-2.0
/* Linear memory as an emulated instruction sees it: translation, then guest memory or memory-mapped I/O. */
#include <linux/mm.h>
#include <asm/vmx.h>
#include "droste.h"
#include "cpu/walk.h"
#include "emul/emul.h"
#include "emul/exec.h"
#include "io/emulate_state.h"
#include "mem/memslot.h"

/* At most two pages. */
struct place {
	gpa_t gpa[2];
	u32 len[2];	/* len[1] is 0 within one page */
	bool ram[2];	/* for a write: writable memory */
};

/*
 * An EPT violation by this access told the guest-physical address already
 * (SDM 3C table 28-7, bits 7 and 8), after the processor had checked the
 * guest's own tables for the same kind of access.
 */
static bool emul_mem_known_from_exit(struct emul_state *es, u64 la, bool write, gpa_t *gpa)
{
	const struct vmx_exit *e = &es->vcpu->exit;

	if (e->basic != EXIT_REASON_EPT_VIOLATION || es->vcpu->in_l2)
		return false;
	if ((e->qual & (BIT(7) | BIT(8))) != (BIT(7) | BIT(8)) || (e->qual & EPT_EXEC))
		return false;
	if ((e->gla ^ la) & PAGE_MASK || (write && !(e->qual & EPT_WRITE)))
		return false;
	*gpa = (e->gpa & PAGE_MASK) | offset_in_page(la);
	return true;
}

static int emul_mem_translate(struct emul_state *es, u64 la, u32 access, gpa_t *gpa)
{
	if (es->ctx.cpl == 3)
		access |= WALK_USER;
	if (!(access & WALK_FETCH) && emul_mem_known_from_exit(es, la, access & WALK_WRITE, gpa))
		return EMUL_DONE;
	switch (walk_gva(es->vcpu, &es->paging, la, access, gpa, &es->walk)) {
	case WALK_OK:
		return EMUL_DONE;
	case WALK_PF:
		es->ctx.fault = (struct emul_fault) {
			.vector = VEC_PF,
			.has_error = true,
			.error_code = es->walk.pf.error_code,
			.cr2 = es->walk.pf.payload,
		};
		return EMUL_FAULT;
	case WALK_EPT:
		es->reflect = true;
		return EMUL_RETRY;
	default:
		es->error = -EFAULT;
		return EMUL_ERROR;
	}
}

static bool emul_mem_is_ram(struct emul_state *es, gpa_t gpa, bool write)
{
	const struct memslot *slot = vm_slot(es->vcpu->vm, gpa >> PAGE_SHIFT);

	return slot && !(write && (slot->flags & KVM_MEM_READONLY));
}

/* Both pages are translated before either is touched. @check: the kind of access that must be allowed. */
static int emul_mem_locate(struct emul_state *es, u64 la, u32 len, bool check_write, bool write, struct place *p)
{
	u32 access = check_write ? WALK_WRITE : 0;
	int i, r;

	p->len[0] = min_t(u32, len, PAGE_SIZE - offset_in_page(la));
	p->len[1] = len - p->len[0];
	for (i = 0; i < 2 && p->len[i]; i++) {
		r = emul_mem_translate(es, i ? (la & PAGE_MASK) + PAGE_SIZE : la, access, &p->gpa[i]);
		if (r != EMUL_DONE)
			return r;
		p->ram[i] = emul_mem_is_ram(es, p->gpa[i], write);
	}
	return EMUL_DONE;
}

/* Memory was there, and failed. Where its slot went in the meantime the instruction finds out what is there now. */
static int emul_mem_memory_failed(struct emul_state *es, gpa_t gpa, bool write, int err)
{
	if (!emul_mem_is_ram(es, gpa, write))
		return EMUL_RETRY;
	es->error = err;
	return EMUL_ERROR;
}

int emul_op_read(struct emul_ctx *ctx, u64 la, void *data, u32 len, bool rmw)
{
	struct emul_state *es = emul_state_of(ctx);
	struct place p;
	int i, r, err;

	r = emul_mem_locate(es, la, len, rmw, false, &p);
	for (i = 0; i < 2 && r == EMUL_DONE && p.len[i]; i++) {
		if (p.ram[i]) {
			err = vm_read_guest(es->vcpu->vm, p.gpa[i], data, p.len[i]);
			if (err)
				return emul_mem_memory_failed(es, p.gpa[i], false, err);
		} else {
			r = emul_mmio_read(es, p.gpa[i], data, p.len[i]);
		}
		data += p.len[i];
	}
	return r;
}

int emul_op_write(struct emul_ctx *ctx, u64 la, const void *data, u32 len)
{
	struct emul_state *es = emul_state_of(ctx);
	struct place p;
	int i, r, err;

	r = emul_mem_locate(es, la, len, true, true, &p);
	for (i = 0; i < 2 && r == EMUL_DONE && p.len[i]; i++) {
		if (p.ram[i]) {
			err = vm_write_guest(es->vcpu->vm, p.gpa[i], data, p.len[i]);
			if (err)
				return emul_mem_memory_failed(es, p.gpa[i], true, err);
		} else {
			r = emul_mmio_write(es, p.gpa[i], data, p.len[i]);
		}
		data += p.len[i];
	}
	return r;
}

/* A locked write. Memory-mapped I/O is not read and written atomically, here or by a real bus's devices. */
int emul_op_cmpxchg(struct emul_ctx *ctx, u64 la, const void *old, const void *new, u32 len)
{
	struct emul_state *es = emul_state_of(ctx);
	struct vm *vm = es->vcpu->vm;
	u32 shift = la & 7;
	struct place p;
	u64 seen, next;
	gpa_t word;
	int r;

	r = emul_mem_locate(es, la, len, true, true, &p);
	if (r != EMUL_DONE)
		return r;
	if (!p.ram[0] || (p.len[1] && !p.ram[1]))
		return emul_op_write(ctx, la, new, len);
	/* Memory only, and not within eight bytes: the processor itself can do what cannot be done here. */
	if (shift + len > 8)
		return EMUL_RETRY;
	word = p.gpa[0] & ~7ULL;
	r = vm_read_guest(vm, word, &seen, sizeof(seen));
	if (r)
		return emul_mem_memory_failed(es, word, true, r);
	if (memcmp((u8 *)&seen + shift, old, len))
		return EMUL_RETRY;
	next = seen;
	memcpy((u8 *)&next + shift, new, len);
	r = vm_cmpxchg_guest(vm, word, &seen, next, sizeof(next));
	if (r < 0)
		return emul_mem_memory_failed(es, word, true, r);
	return r ? EMUL_RETRY : EMUL_DONE;
}

int emul_op_probe(struct emul_ctx *ctx, u64 la, u32 *len, bool write)
{
	struct place p;
	int r = emul_mem_locate(emul_state_of(ctx), la, *len, write, write, &p);

	if (r == EMUL_DONE && (!p.ram[0] || (p.len[1] && !p.ram[1])))
		*len = 1;
	return r;
}

/* Code outside memory is not emulated: EMUL_UNKNOWN without bytes. */
int emul_fetch(struct emul_state *es, u64 la, void *data, u32 len)
{
	gpa_t gpa;
	int r = emul_mem_translate(es, la, WALK_FETCH, &gpa);

	if (r != EMUL_DONE)
		return r;
	if (!emul_mem_is_ram(es, gpa, false))
		return EMUL_UNKNOWN;
	r = vm_read_guest(es->vcpu->vm, gpa, data, len);
	return r ? emul_mem_memory_failed(es, gpa, false, r) : EMUL_DONE;
}

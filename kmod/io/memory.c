// SPDX-License-Identifier: GPL-2.0
/* Accesses of an emulated instruction to linear memory: translation, then guest memory or MMIO. */
#include <linux/mm.h>
#include <asm/vmx.h>
#include <asm/trapnr.h>
#include "droste.h"
#include "cpu/walk.h"
#include "emul/emul.h"
#include "emul/exec.h"
#include "io/emulate_state.h"
#include "mem/memslot.h"

/* The operand of an access, which lies in one or two pages. */
struct place {
	gpa_t gpa[2];
	u32 len[2];	/* bytes in each page; len[1] is 0 if there is only one */
	bool ram[2];	/* the page is memory; for a write: writable memory */
};

/*
 * If this access caused an EPT violation, the exit tells its guest-physical
 * address (SDM 3C table 28-7, bits 7 and 8). The processor has checked the
 * guest's page tables for the same kind of access by then, so no walk is needed.
 */
static bool io_mem_known_from_exit(struct emul_state *es, u64 la, bool write, gpa_t *gpa)
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

static int io_mem_translate(struct emul_state *es, u64 la, u32 access, gpa_t *gpa)
{
	if (es->ctx.cpl == 3 && !es->ctx.supervisor)
		access |= WALK_USER;
	if (!(access & WALK_FETCH) && !es->ctx.supervisor && io_mem_known_from_exit(es, la, access & WALK_WRITE, gpa))
		return EMUL_DONE;
	switch (walk_gva(es->vcpu, &es->paging, la, access, gpa, &es->walk)) {
	case WALK_OK:
		return EMUL_DONE;
	case WALK_PF:
		es->ctx.fault = (struct emul_fault) {
			.vector = X86_TRAP_PF,
			.has_error = true,
			.error_code = es->walk.pf.error_code,
			.cr2 = es->walk.pf.payload,
		};
		return EMUL_FAULT;
	case WALK_EPT:
		walk_reflect_ept(es->vcpu, &es->walk);
		es->reflect = true;
		return EMUL_RETRY;
	default:
		es->error = -EFAULT;
		return EMUL_ERROR;
	}
}

/*
 * L2's access to L1's APIC-access page exits to L1. The processor would virtualize some of these accesses instead (SDM
 * 3C 30.4); L1 must handle the exit for them as well, because event delivery and page walks always cause it.
 */
static bool io_mem_on_apic_page(const struct emul_state *es, gpa_t gpa)
{
	const struct vmcs12 *v = es->vcpu->nested.vmcs12;

	return es->vcpu->in_l2 && (v->cpu_based_vm_exec_control & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS) &&
	       (v->secondary_vm_exec_control & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) &&
	       gpa >> PAGE_SHIFT == v->apic_access_addr >> PAGE_SHIFT;
}

/* The qualification of the exit has the offset, and 1 in bits 15:12 for a write (SDM 3C table 28-6). */
static int io_mem_apic_access(struct emul_state *es, gpa_t gpa, u64 la, bool write)
{
	return emul_exit_to_l1(es, EXIT_REASON_APIC_ACCESS, offset_in_page(gpa) | (write ? BIT(12) : 0), la);
}

static bool io_mem_is_ram(struct emul_state *es, gpa_t gpa, bool write)
{
	const struct memslot *slot = vm_slot(es->vcpu->vm, gpa >> PAGE_SHIFT);

	return slot && !(write && (slot->flags & KVM_MEM_READONLY));
}

/*
 * Translate both pages before either is accessed. With @check_write the page
 * tables must allow a write; @write says whether this access is one.
 */
static int io_mem_locate(struct emul_state *es, u64 la, u32 len, bool check_write, bool write, struct place *p)
{
	u32 access = check_write ? WALK_WRITE : 0;
	int i, r;

	p->len[0] = min_t(u32, len, PAGE_SIZE - offset_in_page(la));
	p->len[1] = len - p->len[0];
	for (i = 0; i < 2 && p->len[i]; i++) {
		r = io_mem_translate(es, i ? (la & PAGE_MASK) + PAGE_SIZE : la, access, &p->gpa[i]);
		if (r != EMUL_DONE)
			return r;
		if (unlikely(io_mem_on_apic_page(es, p->gpa[i])))
			return io_mem_apic_access(es, p->gpa[i], la, check_write);
		p->ram[i] = io_mem_is_ram(es, p->gpa[i], write);
	}
	return EMUL_DONE;
}

/* An access to memory failed. If its slot was removed meanwhile, the guest executes the instruction again. */
static int io_mem_failed(struct emul_state *es, gpa_t gpa, bool write, int err)
{
	if (!io_mem_is_ram(es, gpa, write))
		return EMUL_RETRY;
	es->error = err;
	return EMUL_ERROR;
}

/**
 * emul_op_read() - read linear memory, for emul_ops.read
 * @ctx: the instruction
 * @la: linear address
 * @data: filled
 * @len: number of bytes
 * @rmw: the instruction writes to the same address afterwards
 *
 * Context: Process context. May sleep. The vCPU is loaded; caller holds
 * vm->srcu for reading.
 * Return: enum emul_result.
 */
int emul_op_read(struct emul_ctx *ctx, u64 la, void *data, u32 len, bool rmw)
{
	struct emul_state *es = emul_state_of(ctx);
	struct place p;
	int i, r, err;

	r = io_mem_locate(es, la, len, rmw, false, &p);
	for (i = 0; i < 2 && r == EMUL_DONE && p.len[i]; i++) {
		if (p.ram[i]) {
			err = vm_read_guest(es->vcpu->vm, p.gpa[i], data, p.len[i]);
			if (err)
				return io_mem_failed(es, p.gpa[i], false, err);
		} else {
			r = emul_mmio_read(es, p.gpa[i], data, p.len[i]);
		}
		data += p.len[i];
	}
	return r;
}

/**
 * emul_op_write() - write linear memory, for emul_ops.write
 * @ctx: the instruction
 * @la: linear address
 * @data: bytes to write
 * @len: number of bytes
 *
 * Context: as emul_op_read(). May sleep.
 * Return: enum emul_result.
 */
int emul_op_write(struct emul_ctx *ctx, u64 la, const void *data, u32 len)
{
	struct emul_state *es = emul_state_of(ctx);
	struct place p;
	int i, r, err;

	r = io_mem_locate(es, la, len, true, true, &p);
	for (i = 0; i < 2 && r == EMUL_DONE && p.len[i]; i++) {
		if (p.ram[i]) {
			err = vm_write_guest(es->vcpu->vm, p.gpa[i], data, p.len[i]);
			if (err)
				return io_mem_failed(es, p.gpa[i], true, err);
		} else {
			r = emul_mmio_write(es, p.gpa[i], data, p.len[i]);
		}
		data += p.len[i];
	}
	return r;
}

/**
 * emul_op_cmpxchg() - write linear memory if it still holds the old value, for emul_ops.compare_exchange
 * @ctx: the instruction
 * @la: linear address
 * @old: the value that was read
 * @new: the value to write
 * @len: number of bytes
 *
 * A write to MMIO is an ordinary one: devices on a real bus do not support
 * locked accesses either.
 *
 * Context: as emul_op_read(). May sleep.
 * Return: enum emul_result; EMUL_RETRY if memory holds another value by now.
 */
int emul_op_cmpxchg(struct emul_ctx *ctx, u64 la, const void *old, const void *new, u32 len)
{
	struct emul_state *es = emul_state_of(ctx);
	struct vm *vm = es->vcpu->vm;
	u32 shift = la & 7;
	struct place p;
	u64 seen, next;
	gpa_t word;
	int r;

	r = io_mem_locate(es, la, len, true, true, &p);
	if (r != EMUL_DONE)
		return r;
	if (!p.ram[0] || (p.len[1] && !p.ram[1]))
		return emul_op_write(ctx, la, new, len);
	/* All of it is memory but it crosses a quadword: only the processor can do this atomically. */
	if (shift + len > 8)
		return EMUL_RETRY;
	word = p.gpa[0] & ~7ULL;
	r = vm_read_guest(vm, word, &seen, sizeof(seen));
	if (r)
		return io_mem_failed(es, word, true, r);
	if (memcmp((u8 *)&seen + shift, old, len))
		return EMUL_RETRY;
	next = seen;
	memcpy((u8 *)&next + shift, new, len);
	r = vm_cmpxchg_guest(vm, word, &seen, next, sizeof(next));
	if (r < 0)
		return io_mem_failed(es, word, true, r);
	return r ? EMUL_RETRY : EMUL_DONE;
}

/**
 * emul_op_probe() - check whether an access would fault, for emul_ops.probe
 * @ctx: the instruction
 * @la: linear address
 * @len: number of bytes; set to 1 if part of it is not memory, or a device's, which takes each element by an access of its own
 * @write: the access is a write
 *
 * Context: as emul_op_read(). May sleep.
 * Return: enum emul_result.
 */
int emul_op_probe(struct emul_ctx *ctx, u64 la, u32 *len, bool write)
{
	struct emul_state *es = emul_state_of(ctx);
	struct place p;
	int r = io_mem_locate(es, la, *len, write, write, &p);

	if (r != EMUL_DONE)
		return r;
	if (!p.ram[0] || (p.len[1] && !p.ram[1]))
		*len = 1;
	/* A range of two pages is one element. */
	if (*len > 1 && !p.len[1] && vm_is_driver_memory(es->vcpu->vm, p.gpa[0]))
		*len = 1;
	return r;
}

/**
 * emul_fetch() - fetch bytes of the instruction
 * @es: the emulator's state
 * @la: linear address
 * @data: filled
 * @len: number of bytes, all in one page
 *
 * Context: as emul_op_read(). May sleep.
 * Return: enum emul_result; EMUL_UNKNOWN if there is no memory, as code in MMIO
 * is not emulated.
 */
int emul_fetch(struct emul_state *es, u64 la, void *data, u32 len)
{
	gpa_t gpa;
	int r = io_mem_translate(es, la, WALK_FETCH, &gpa);

	if (r != EMUL_DONE)
		return r;
	if (!io_mem_is_ram(es, gpa, false))
		return EMUL_UNKNOWN;
	r = vm_read_guest(es->vcpu->vm, gpa, data, len);
	return r ? io_mem_failed(es, gpa, false, r) : EMUL_DONE;
}

// SPDX-License-Identifier: GPL-2.0
/* Hardware task switches: save the old task in its TSS, load the new one from its own. SDM 3A 8.3. Pure. */
#include <linux/kernel.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include "emul/desc.h"
#include "emul/task.h"

/* SDM 3A figure 8-2. The upper halves of selectors are reserved. */
struct task_tss32 {
	u32 link, stacks[6], cr3, eip, eflags;
	u32 gpr[8];		/* in the order of their encoding */
	u32 sel[6];		/* in the order of their encoding */
	u32 ldt;
	u16 trap, iomap;
};

/* SDM 3A figure 8-10. */
struct task_tss16 {
	u16 link, stacks[6], ip, flags;
	u16 gpr[8];
	u16 sel[4];
	u16 ldt;
};

/* The parts of a TSS that a switch reads, in either format. */
struct task_state {
	u32 cr3, eip, eflags;
	u32 gpr[8];
	u16 sel[NR_SREGS], ldt;
	bool trap;
};

#define FL_LOADED (FL_ARITH | FL_TF | FL_IF | FL_DF | FL_IOPL | FL_NT | FL_RF | FL_VM | FL_AC | FL_VIF | FL_VIP | FL_ID)

static bool task_is_32(const struct emul_seg *tss)
{
	return tss->type & 8;
}

/* CALL and events nest the new task: it gets a link to the old one and NT. */
static bool task_nests(const struct emul_task *task)
{
	return task->source == TASK_CALL || task->source == TASK_GATE;
}

static u64 task_linear(u64 la)
{
	return (u32)la;
}

/* Can the range be accessed? A TSS outside memory is not supported. */
static int task_probe(struct emul_ctx *ctx, u64 la, u32 len, bool write)
{
	u32 plain = len;
	int r;

	ctx->supervisor = true;
	r = ctx->ops->probe(ctx, task_linear(la), &plain, write);
	ctx->supervisor = false;
	return r == EMUL_DONE && plain != len ? EMUL_UNKNOWN : r;
}

/* The processor has checked the new TSS before the exit; memory may have changed since (SDM 3C 26.4.2). */
static int task_find(struct emul_ctx *ctx, const struct emul_task *task, struct emul_seg *tss)
{
	u8 available = task->source == TASK_IRET ? 3 : 1;	/* a returning task must be busy */
	struct emul_desc d;
	int r;

	if (task->sel & 4 || !(task->sel & ~3))
		return emul_raise_err(ctx, X86_TRAP_TS, task->sel & ~3);
	r = emul_desc_fetch(ctx, task->sel, X86_TRAP_TS, &d);
	if (r != EMUL_DONE)
		return r;
	emul_desc_unpack(&d, tss);
	if (tss->s || (tss->type & 7) != available)
		return emul_raise_err(ctx, X86_TRAP_TS, task->sel & ~3);
	if (!tss->present)
		return emul_raise_err(ctx, X86_TRAP_NP, task->sel & ~3);
	if (tss->limit < (task_is_32(tss) ? sizeof(struct task_tss32) : sizeof(struct task_tss16)) - 1)
		return emul_raise_err(ctx, X86_TRAP_TS, task->sel & ~3);
	tss->type |= 2;
	return EMUL_DONE;
}

/* Check all memory before anything is written: the switch is done as a whole, or the old task faults. */
static int task_check_memory(struct emul_ctx *ctx, const struct emul_task *task, const struct emul_seg *old,
			     const struct emul_seg *new)
{
	u32 saved = task_is_32(old) ? offsetof(struct task_tss32, ldt) : offsetof(struct task_tss16, ldt);
	int r;

	if (old->limit < saved - 1)
		return emul_raise_err(ctx, X86_TRAP_TS, old->sel & ~3);
	r = task_probe(ctx, old->base, saved, true);
	if (r == EMUL_DONE)
		r = task_probe(ctx, new->base, task_is_32(new) ? sizeof(struct task_tss32) : sizeof(struct task_tss16), false);
	if (r == EMUL_DONE && task_nests(task))
		r = task_probe(ctx, new->base, 2, true);
	if (r == EMUL_DONE && task->source != TASK_IRET)
		r = task_probe(ctx, ctx->gdt.base + (task->sel & ~7), 8, true);
	if (r == EMUL_DONE && !task_nests(task))
		r = task_probe(ctx, ctx->gdt.base + (old->sel & ~7), 8, true);
	return r;
}

static int task_save32(struct emul_ctx *ctx, u64 base, u32 eflags)
{
	const u32 from = offsetof(struct task_tss32, eip), len = offsetof(struct task_tss32, ldt) - from;
	struct task_tss32 t;
	int r, i;

	/* The reserved halves of selectors are kept. */
	r = emul_system_read(ctx, task_linear(base + from), &t.eip, len);
	if (r != EMUL_DONE)
		return r;
	t.eip = ctx->rip;
	t.eflags = eflags;
	for (i = 0; i < 8; i++)
		t.gpr[i] = ctx->gpr[i];
	for (i = 0; i < NR_SREGS; i++)
		t.sel[i] = (t.sel[i] & 0xffff0000) | ctx->seg[i].sel;
	return emul_system_write(ctx, task_linear(base + from), &t.eip, len);
}

static int task_save16(struct emul_ctx *ctx, u64 base, u32 eflags)
{
	const u32 from = offsetof(struct task_tss16, ip), len = offsetof(struct task_tss16, ldt) - from;
	struct task_tss16 t;
	int i;

	t.ip = ctx->rip;
	t.flags = eflags;
	for (i = 0; i < 8; i++)
		t.gpr[i] = ctx->gpr[i];
	for (i = 0; i < ARRAY_SIZE(t.sel); i++)
		t.sel[i] = ctx->seg[i].sel;
	return emul_system_write(ctx, task_linear(base + from), &t.ip, len);
}

static int task_load32(struct emul_ctx *ctx, u64 base, struct task_state *s)
{
	struct task_tss32 t;
	int r = emul_system_read(ctx, task_linear(base), &t, sizeof(t)), i;

	if (r != EMUL_DONE)
		return r;
	*s = (struct task_state) { .cr3 = t.cr3, .eip = t.eip, .eflags = t.eflags, .ldt = t.ldt, .trap = t.trap & 1 };
	for (i = 0; i < 8; i++)
		s->gpr[i] = t.gpr[i];
	for (i = 0; i < NR_SREGS; i++)
		s->sel[i] = t.sel[i];
	return EMUL_DONE;
}

/* A 16-bit TSS has no CR3 and no T flag. FS and GS become null. */
static int task_load16(struct emul_ctx *ctx, u64 base, struct task_state *s)
{
	struct task_tss16 t;
	int r = emul_system_read(ctx, task_linear(base), &t, sizeof(t)), i;

	if (r != EMUL_DONE)
		return r;
	*s = (struct task_state) { .eip = t.ip, .eflags = t.flags, .ldt = t.ldt };
	for (i = 0; i < 8; i++)
		s->gpr[i] = t.gpr[i];
	for (i = 0; i < ARRAY_SIZE(t.sel); i++)
		s->sel[i] = t.sel[i];
	return EMUL_DONE;
}

/* Leave the old task: busy flags, NT, link (SDM 3A table 8-2). */
static int task_leave(struct emul_ctx *ctx, const struct emul_task *task, const struct emul_seg *old,
		      const struct emul_seg *new)
{
	u32 eflags = task->source == TASK_IRET ? ctx->rflags & ~FL_NT : ctx->rflags;
	int r = EMUL_DONE;

	if (!task_nests(task))
		r = emul_desc_set_busy(ctx, old->sel, false);
	if (r == EMUL_DONE)
		r = task_is_32(old) ? task_save32(ctx, old->base, eflags) : task_save16(ctx, old->base, eflags);
	if (r == EMUL_DONE && task_nests(task))
		r = emul_system_write(ctx, task_linear(new->base), &old->sel, 2);
	if (r == EMUL_DONE && task->source != TASK_IRET)
		r = emul_desc_set_busy(ctx, task->sel, true);
	return r;
}

/* Selectors first, with segments that cannot be used until they are checked. */
static void task_set_selectors(struct emul_ctx *ctx, const struct task_state *s)
{
	struct emul_seg seg;
	int i;

	for (i = 0; i < NR_SREGS; i++) {
		seg = (struct emul_seg) { .sel = s->sel[i], .unusable = true };
		/* The processor has no unusable CS; the handler of a fault brings its own. The DPL of SS is the CPL. */
		if (i == SREG_CS)
			seg = (struct emul_seg) { .sel = s->sel[i], .limit = ~0u, .type = 0xb, .s = true, .present = true,
						  .db = true, .g = true };
		seg.dpl = i == SREG_CS || i == SREG_SS ? ctx->cpl : 0;
		emul_set_sreg(ctx, i, &seg);
	}
	seg = (struct emul_seg) { .sel = s->ldt, .unusable = true };
	emul_set_sreg(ctx, SREG_LDTR, &seg);
}

static int task_load_ldt(struct emul_ctx *ctx, u16 sel)
{
	struct emul_desc d;
	struct emul_seg seg;
	int r;

	if (sel & 4)
		return emul_raise_err(ctx, X86_TRAP_TS, sel & ~3);
	if (!(sel & ~3))
		return EMUL_DONE;
	r = emul_desc_fetch(ctx, sel, X86_TRAP_TS, &d);
	if (r != EMUL_DONE)
		return r;
	emul_desc_unpack(&d, &seg);
	if (seg.s || seg.type != 2 || !seg.present)
		return emul_raise_err(ctx, X86_TRAP_TS, sel & ~3);
	emul_set_sreg(ctx, SREG_LDTR, &seg);
	return EMUL_DONE;
}

static int task_load_sreg(struct emul_ctx *ctx, u8 reg, const struct task_state *s)
{
	struct emul_seg seg;
	int r;

	if (reg == SREG_CS)
		r = emul_load_cs(ctx, s->sel[reg], ctx->cpl, X86_TRAP_TS, &seg);
	else
		r = emul_load_sreg(ctx, reg, s->sel[reg], X86_TRAP_TS, &seg);
	if (r == EMUL_DONE)
		emul_set_sreg(ctx, reg, &seg);
	return r;
}

/* SDM 3A table 8-1. Segments of virtual-8086 mode cannot fault, and must be there when LDTR does. */
static int task_load_segments(struct emul_ctx *ctx, const struct task_state *s)
{
	static const u8 order[] = { SREG_CS, SREG_SS, SREG_DS, SREG_ES, SREG_FS, SREG_GS };
	bool v86 = ctx->rflags & FL_VM;
	int r = v86 ? EMUL_DONE : task_load_ldt(ctx, s->ldt);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(order) && r == EMUL_DONE; i++)
		r = task_load_sreg(ctx, order[i], s);
	return r == EMUL_DONE && v86 ? task_load_ldt(ctx, s->ldt) : r;
}

/* Enter the new task. From here on, faults are those of the new task. */
static int task_enter(struct emul_ctx *ctx, struct emul_task *task, const struct emul_seg *tss, const struct task_state *s)
{
	bool wide = task_is_32(tss);
	int r, i;

	task->committed = true;
	ctx->mode = MODE_32;
	ctx->rip = s->eip;
	ctx->rflags = (s->eflags & FL_LOADED) | FL_FIX | (task_nests(task) ? FL_NT : 0);
	ctx->cpl = ctx->rflags & FL_VM ? 3 : s->sel[SREG_CS] & 3;
	for (i = 0; i < 8; i++)
		ctx->gpr[i] = s->gpr[i];
	emul_set_sreg(ctx, SREG_TR, tss);
	task_set_selectors(ctx, s);
	if (wide && (ctx->cr0 & EMUL_CR0_PG) && ctx->ops->write_cr3(ctx, s->cr3) != EMUL_DONE)
		return emul_raise_err(ctx, X86_TRAP_GP, 0);
	r = task_load_segments(ctx, s);
	if (r != EMUL_DONE)
		return r;
	ctx->mode = ctx->seg[SREG_CS].db ? MODE_32 : MODE_16;
	if (s->eip > ctx->seg[SREG_CS].limit)
		return emul_raise_err(ctx, X86_TRAP_GP, 0);
	return task->has_error ? emul_push_value(ctx, task->error_code, wide ? 4 : 2) : EMUL_DONE;
}

/**
 * emul_task_exec() - switch tasks
 * @ctx: the old task, with all segment and table registers, outside IA-32e mode; RIP is the one to save
 * @task: the switch
 *
 * CR0.TS and DR7 are left to the caller.
 *
 * Context: That of ctx->ops.
 * Return: EMUL_DONE; EMUL_FAULT, of the old task or, if @task is committed, of
 * the new one; EMUL_RETRY or EMUL_ERROR; or
 * EMUL_UNKNOWN if a TSS or a descriptor is not in memory.
 */
int emul_task_exec(struct emul_ctx *ctx, struct emul_task *task)
{
	struct emul_seg old = ctx->seg[SREG_TR], new;
	struct task_state s;
	int r = task_find(ctx, task, &new);

	ctx->changed = 0;
	ctx->mov_ss = false;
	ctx->retired = true;
	if (r == EMUL_DONE)
		r = task_check_memory(ctx, task, &old, &new);
	if (r == EMUL_DONE)
		r = task_leave(ctx, task, &old, &new);
	if (r == EMUL_DONE)
		r = task_is_32(&new) ? task_load32(ctx, new.base, &s) : task_load16(ctx, new.base, &s);
	if (r == EMUL_DONE) {
		r = task_enter(ctx, task, &new, &s);
		task->trap = r == EMUL_DONE && s.trap;
	}
	if (r == EMUL_FAULT && ctx->fault.vector != X86_TRAP_PF)
		ctx->fault.error_code |= task->ext;
	return r;
}

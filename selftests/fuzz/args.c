// SPDX-License-Identifier: GPL-2.0
/* Arguments for ioctls: the object's current state or a plausible template, then partly mangled. */
#include <string.h>
#include "fuzz.h"
#include "guest.h"

u64 rnd(struct fuzzer *f)
{
	f->rng ^= f->rng >> 12;
	f->rng ^= f->rng << 25;
	f->rng ^= f->rng >> 27;
	return f->rng * 0x2545f4914f6cdd1dul;
}

u64 interesting(struct fuzzer *f)
{
	static const u64 v[] = {
		0, 1, 2, 3, 7, 8, 0xf, 0x10, 0x1f, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0xff, 0x100, 0x7ff, 0x800, 0xfff, 0x1000,
		0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffff,
		0x800000000000, 0xffff800000000000, 0x7fffffffffffffff, 0x8000000000000000, ~0ul, ~0ul - 1, 0xfffffffffffff000,
		0xfee00000, 0xfee00900, 0xfee00d00, 0xfec00000, 0x80050033, 0x406f0, 0xd01,
	};

	switch (rnd(f) % 3) {
	case 0:
		return v[rnd(f) % ARRAY_SIZE(v)];
	case 1:
		return 1ul << (rnd(f) & 63);
	default:
		return rnd(f) >> (rnd(f) & 63);
	}
}

void mangle(struct fuzzer *f, u8 *p, u32 size, u32 times)
{
	u64 v;
	u32 at, n;

	while (size && times--) {
		v = interesting(f);
		n = 1u << (rnd(f) & 3);
		at = rnd(f) % size & ~(n - 1);
		if (at + n > size)
			continue;
		if (CHANCE(f, 30)) {
			p[at] ^= 1u << (rnd(f) & 7);
			continue;
		}
		memcpy(p + at, &v, n);
	}
}

/* --- templates --- */

static void memory_region(struct fuzzer *f, u8 *p, struct machine *m)
{
	static const u64 gpa[] = { 0, 0, 0x100000, GUEST_SIZE, 0x80000000, 0xfee00000, 0xfec00000, 0xfffff000, 0x100000000 };
	struct kvm_userspace_memory_region *r = (void *)p;

	r->slot = rnd(f) & 3;
	r->flags = CHANCE(f, 50) ? 0 : rnd(f) & 3;
	r->guest_phys_addr = gpa[rnd(f) % ARRAY_SIZE(gpa)];
	r->memory_size = CHANCE(f, 20) ? 0 : 0x1000ul << (rnd(f) % 11);
	r->userspace_addr = POOL + (CHANCE(f, 50) ? 0 : (rnd(f) & 0xfff) << 12);
}

static void dirty_log(struct fuzzer *f, u8 *p, struct machine *m)
{
	struct kvm_dirty_log *d = (void *)p;

	d->slot = rnd(f) & 3;
	d->dirty_bitmap = p + 0x1000;
}

static void clear_log(struct fuzzer *f, u8 *p, struct machine *m)
{
	struct kvm_clear_dirty_log *d = (void *)p;

	d->slot = rnd(f) & 3;
	d->first_page = (rnd(f) & 15) * 64;
	d->num_pages = (rnd(f) & 15) * 64;
	d->dirty_bitmap = p + 0x1000;
	memset(p + 0x1000, rnd(f), 512);
}

static void irq_line(struct fuzzer *f, u8 *p, struct machine *m)
{
	struct kvm_irq_level *l = (void *)p;

	l->irq = rnd(f) % 26;
	l->level = rnd(f) & 1;
}

static void msi(struct fuzzer *f, u8 *p, struct machine *m)
{
	struct kvm_msi *i = (void *)p;

	i->address_lo = 0xfee00000 | (rnd(f) & 0x3) << 12 | (rnd(f) & 0xc);
	i->data = rnd(f) & 0x7ff;
}

static void irqfd(struct fuzzer *f, u8 *p, struct machine *m)
{
	struct kvm_irqfd *i = (void *)p;

	i->fd = m->event;
	i->gsi = rnd(f) % 26;
	i->flags = rnd(f) & 3;
	i->resamplefd = machines[rnd(f) % NR_MACHINES].event;
}

static void ioeventfd(struct fuzzer *f, u8 *p, struct machine *m)
{
	static const u64 addr[] = { 0x80, 0x43, 0x10000000, 0xfee00000, 0x800000 };
	struct kvm_ioeventfd *i = (void *)p;

	i->fd = m->event;
	i->addr = addr[rnd(f) % ARRAY_SIZE(addr)];
	i->len = (rnd(f) & 3) ? 1 << (rnd(f) & 3) : 0;
	i->flags = rnd(f) & 7;
}

static void routing(struct fuzzer *f, u8 *p, struct machine *m)
{
	struct kvm_irq_routing *r = (void *)p;
	u32 i;

	r->nr = rnd(f) % 40;
	for (i = 0; i < r->nr; i++) {
		struct kvm_irq_routing_entry *e = &r->entries[i];

		memset(e, 0, sizeof(*e));
		e->gsi = rnd(f) % 30;
		e->type = 1 + (rnd(f) & 1);
		if (e->type == KVM_IRQ_ROUTING_IRQCHIP) {
			e->u.irqchip.irqchip = rnd(f) % 3;
			e->u.irqchip.pin = rnd(f) % (e->u.irqchip.irqchip == 2 ? 24 : 8);
		} else {
			e->u.msi.address_lo = 0xfee00000;
			e->u.msi.data = rnd(f) & 0xff;
		}
	}
	mangle(f, p + 8, r->nr * sizeof(r->entries[0]), rnd(f) & 1);
}

static void enable_cap(struct fuzzer *f, u8 *p, struct machine *m)
{
	struct kvm_enable_cap *c = (void *)p;

	c->cap = CHANCE(f, 30) ? KVM_CAP_EXCEPTION_PAYLOAD : CHANCE(f, 50) ? KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 : rnd(f) % 240;
	c->args[0] = rnd(f) & 3;
}

static void msr_list(struct fuzzer *f, u8 *p, struct machine *m)
{
	static const u32 first[] = { 0x10, 0x1b, 0x3a, 0x174, 0x1a0, 0x200, 0x250, 0x277, 0x400, 0x480, 0x6e0, 0x800, 0xda0,
				     0x4b564d00, 0xc0000080, 0xc0000100 };
	struct kvm_msrs *l = (void *)p;
	u32 i;

	l->nmsrs = rnd(f) % 20;
	for (i = 0; i < l->nmsrs; i++) {
		l->entries[i].index = first[rnd(f) % ARRAY_SIZE(first)] + (rnd(f) & 15);
		l->entries[i].data = interesting(f);
	}
}

static void cpuid_list(struct fuzzer *f, u8 *p, struct machine *m)
{
	struct kvm_cpuid2 *c = (void *)p;

	c->nent = 200;
	if (ioctl(m->dev, KVM_GET_SUPPORTED_CPUID, c) < 0)
		c->nent = 0;
	mangle(f, p + 8, c->nent * sizeof(c->entries[0]), rnd(f) & 3);
}

static void array(struct fuzzer *f, u8 *p, struct machine *m)
{
	*(u32 *)p = CHANCE(f, 70) ? 100 : rnd(f) % 700;
}

/* Only the size may be invalid: a mask that blocks the signal which ends KVM_RUN would hang this program. */
static void signal_mask(struct fuzzer *f, u8 *p, struct machine *m)
{
	*(u32 *)p = CHANCE(f, 80) ? 8 : interesting(f);
	memset(p + 4, 0, 8);
}

static void attribute(struct fuzzer *f, u8 *p, struct machine *m)
{
	struct kvm_device_attr *a = (void *)p;

	a->group = rnd(f) & 3;
	a->attr = rnd(f) & 3;
	a->addr = (u64)p + 0x1000;
}

static const struct {
	unsigned int cmd;
	void (*fill)(struct fuzzer *f, u8 *p, struct machine *m);
	bool pointers;	/* has pointers: not mangled, as a mangled one could reach memory of this process */
} templates[] = {
	{ KVM_SET_USER_MEMORY_REGION, memory_region },
#ifdef KVM_SET_USER_MEMORY_REGION2
	{ KVM_SET_USER_MEMORY_REGION2, memory_region },
#endif
	{ KVM_GET_DIRTY_LOG, dirty_log }, { KVM_CLEAR_DIRTY_LOG, clear_log }, { KVM_IRQ_LINE, irq_line },
	{ KVM_IRQ_LINE_STATUS, irq_line }, { KVM_SIGNAL_MSI, msi }, { KVM_IRQFD, irqfd, true },
	{ KVM_IOEVENTFD, ioeventfd, true }, { KVM_SET_GSI_ROUTING, routing, true }, { KVM_ENABLE_CAP, enable_cap },
	{ KVM_SET_MSRS, msr_list, true }, { KVM_GET_MSRS, msr_list, true }, { KVM_SET_CPUID2, cpuid_list, true },
	{ KVM_GET_CPUID2, array, true }, { KVM_GET_SUPPORTED_CPUID, array, true }, { KVM_SET_CPUID, array, true },
	{ KVM_GET_EMULATED_CPUID, array, true }, { KVM_GET_MSR_INDEX_LIST, array, true },
	{ KVM_GET_MSR_FEATURE_INDEX_LIST, array, true }, { KVM_SET_SIGNAL_MASK, signal_mask, true },
	{ KVM_SET_DEVICE_ATTR, attribute }, { KVM_GET_DEVICE_ATTR, attribute }, { KVM_HAS_DEVICE_ATTR, attribute },
};

static u32 arg_size(const struct ioctl_row *r)
{
	u32 size = _IOC_SIZE(r->cmd);

	return r->arg == ARG_VAR && size < 0x1000 ? 0x1000 : size;
}

/* The argument of KVM_SET_X starts as the result of KVM_GET_X. */
static bool from_object(struct fuzzer *f, const struct ioctl_row *r, int fd)
{
	int i;

	if (strncmp(r->name, "KVM_SET_", 8))
		return false;
	for (i = 0; i < nr_ioctl_rows; i++) {
		const struct ioctl_row *g = &ioctl_rows[i];

		if (!strncmp(g->name, "KVM_GET_", 8) && !strcmp(g->name + 8, r->name + 8) && g->arg == ARG_PTR) {
			if (r->cmd == KVM_SET_IRQCHIP)
				*(u32 *)f->args = rnd(f) % 3;
			return !ioctl(fd, g->cmd, f->args);
		}
	}
	return false;
}

u64 make_arg(struct fuzzer *f, const struct ioctl_row *r, int fd, struct machine *m)
{
	u32 size = arg_size(r), i;
	bool pointers = false;

	if (r->arg < ARG_PTR)
		return r->arg == ARG_VALUE ? (CHANCE(f, 70) ? rnd(f) % 300 : interesting(f)) : CHANCE(f, 3) ? interesting(f) : 0;
	if (CHANCE(f, 2))
		return POOL + POOL_SIZE - rnd(f) % 64;
	memset(f->args, 0, size);
	for (i = 0; i < ARRAY_SIZE(templates) && templates[i].cmd != r->cmd; i++)
		;
	if (i < ARRAY_SIZE(templates)) {
		templates[i].fill(f, f->args, m);
		pointers = templates[i].pointers;
	} else {
		from_object(f, r, fd);
	}
	if (!pointers && CHANCE(f, 60))
		mangle(f, f->args, size, 1 + rnd(f) % 4);
	return (u64)f->args;
}

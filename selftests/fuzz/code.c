// SPDX-License-Identifier: GPL-2.0
/* Random guest code, made of instructions that concern a hypervisor, and the vCPU states in which it starts. */
#include <string.h>
#include "fuzz.h"
#include "guest.h"

struct piece {
	u8 n, bytes[8];
};

#define P(...) { sizeof((const u8[]){ __VA_ARGS__ }), { __VA_ARGS__ } }

static const struct piece pieces[] = {
	P(0xf4), P(0xfb), P(0xfa), P(0xf3, 0x90), P(0x0f, 0xa2), P(0x0f, 0x32), P(0x0f, 0x30), P(0x0f, 0x31), P(0x0f, 0x33),
	P(0xe4, 0x80), P(0xe6, 0x80), P(0xe7, 0x43), P(0xec), P(0xee), P(0xef), P(0xf3, 0x6c), P(0xf3, 0x6e), P(0xf3, 0x6d),
	P(0x0f, 0x20, 0xc0), P(0x0f, 0x22, 0xc0), P(0x0f, 0x22, 0xd8), P(0x0f, 0x20, 0xe0), P(0x0f, 0x22, 0xe0),
	P(0x44, 0x0f, 0x22, 0xc0), P(0x0f, 0x06), P(0x0f, 0x01, 0xf0), P(0x0f, 0x23, 0xf8), P(0x0f, 0x21, 0xf0),
	P(0x0f, 0x01, 0xc1), P(0x0f, 0x01, 0xc2), P(0x0f, 0x01, 0xc3), P(0x0f, 0x01, 0xc4), P(0xf3, 0x0f, 0xc7, 0x33),
	P(0x0f, 0xc7, 0x33), P(0x66, 0x0f, 0xc7, 0x33), P(0x0f, 0x79, 0xc3), P(0x0f, 0x78, 0xc3), P(0x0f, 0xc7, 0x3b),
	P(0x66, 0x0f, 0x38, 0x80, 0x03), P(0x66, 0x0f, 0x38, 0x81, 0x03), P(0x66, 0x0f, 0x38, 0x82, 0x03),
	P(0x0f, 0x01, 0xd0), P(0x0f, 0x01, 0xd1), P(0x0f, 0x09), P(0x0f, 0x08), P(0x0f, 0x01, 0x3b), P(0x0f, 0x01, 0x1b),
	P(0x0f, 0x01, 0x13), P(0x0f, 0x00, 0x1b), P(0x8e, 0xd8), P(0x8e, 0xd0), P(0xcf), P(0xcd, 0x21), P(0xcc), P(0xf1),
	P(0xeb, 0xf0), P(0x75, 0xe0), P(0xe8, 0x10, 0, 0, 0), P(0xc3), P(0x50), P(0x9c), P(0x9d), P(0x58),
	P(0x8b, 0x03), P(0x89, 0x03), P(0xf0, 0x01, 0x03), P(0xff, 0x33), P(0xf3, 0xa4), P(0xf3, 0xab), P(0xa6),
	P(0x0f, 0x11, 0x03), P(0x0f, 0x28, 0x03), P(0xc5, 0xfe, 0x6f, 0x03), P(0xdd, 0x03), P(0x0f, 0xae, 0x03),
	P(0x0f, 0xc7, 0xf0), P(0x0f, 0x01, 0xf9), P(0x0f, 0x34), P(0x0f, 0x05), P(0x0f, 0x0b), P(0x9b), P(0x0f, 0xaa),
	P(0x0f, 0x01, 0xc8), P(0x0f, 0x01, 0xc9), P(0xf3, 0x0f, 0x09), P(0x0f, 0x37), P(0xc6, 0xf8, 0), P(0xc7, 0xf8, 0, 0),
};

static const u32 msrs[] = {
	0x10, 0x1b, 0x3a, 0x3b, 0x48, 0x79, 0x8b, 0xfe, 0x174, 0x176, 0x179, 0x17a, 0x1a0, 0x1d9, 0x200, 0x201, 0x250, 0x277,
	0x2ff, 0x400, 0x401, 0x480, 0x48b, 0x491, 0x6e0, 0x802, 0x808, 0x80b, 0x80f, 0x830, 0x832, 0x838, 0x83f, 0xda0,
	0x4b564d00, 0x4b564d01, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000100, 0xc0000102, 0xc0000103,
};

static const u32 places[] = {
	0, 0x1000, CODE_AT, TABLES_AT, GUEST_SIZE - 4, GUEST_SIZE, 0xfec00000, 0xfec00010, 0xfee00000, 0xfee00300, 0xfee00380,
	0xfeefffff, 0x10000000, 0xfffffff0, 0xa0000, 0x800000,
};

/* Writes a MOV of a number to EAX, ECX, EDX, EBX, ESI or EDI: an MSR, an address, or any number. */
static u8 *load(struct fuzzer *f, u8 *p)
{
	static const u8 regs[] = { 0, 1, 1, 2, 3, 3, 6, 7 };
	u8 reg = regs[rnd(f) & 7];
	u32 v = interesting(f);

	if (reg == 1 && CHANCE(f, 70))
		v = msrs[rnd(f) % ARRAY_SIZE(msrs)];
	else if (reg >= 3 && CHANCE(f, 80))
		v = places[rnd(f) % ARRAY_SIZE(places)] + (CHANCE(f, 20) ? rnd(f) % 64 : 0);
	*p++ = 0xb8 | reg;
	memcpy(p, &v, 4);
	return p + 4;
}

void write_code(struct fuzzer *f)
{
	u8 *code = (u8 *)POOL + CODE_AT + rnd(f) % (CODE_SIZE - 1024), *p = code;
	const struct piece *x;

	while (p < code + 900) {
		if (CHANCE(f, 35)) {
			p = load(f, p);
		} else if (CHANCE(f, 8)) {
			*p++ = rnd(f);
		} else {
			x = &pieces[rnd(f) % ARRAY_SIZE(pieces)];
			memcpy(p, x->bytes, x->n);
			p += x->n;
		}
	}
}

void write_tables(void)
{
	u64 *pml4 = (u64 *)(POOL + TABLES_AT), *pdpt = pml4 + 512, *pd = pdpt + 512, i;

	memset(pml4, 0, 0x3000);
	pml4[0] = (TABLES_AT + 0x1000) | 7;
	pdpt[0] = (TABLES_AT + 0x2000) | 7;
	/* Map the last GiB below 4 GiB as well, which has the interrupt controllers. */
	pdpt[3] = 0xc0000000 | 0x87;
	for (i = 0; i < 512; i++)
		pd[i] = i << 21 | 0x87;
}

static struct kvm_segment flat(u8 type, bool l, bool db)
{
	return (struct kvm_segment) {
		.limit = 0xffffffff, .selector = 8, .type = type, .present = 1, .s = 1, .l = l, .db = db, .g = 1,
	};
}

static void set_mode(struct fuzzer *f, struct kvm_sregs *s)
{
	u64 mode = rnd(f) % 3;

	if (!mode) {
		s->cs.base = s->cs.selector = 0;
		s->cr0 &= ~(CR0_PE | CR0_PG);
		s->cr4 = 0;
		s->efer = 0;
		s->cs.l = 0;
		s->cs.selector = CODE_AT >> 4;
		s->cs.base = CODE_AT;
		s->cs.limit = 0xffff;
		s->cs.g = s->cs.db = 0;
		return;
	}
	s->cs = flat(0xb, mode == 2, mode == 1);
	s->ds = s->es = s->fs = s->gs = s->ss = flat(3, false, true);
	s->tr = (struct kvm_segment) { .limit = 0x67, .type = 0xb, .present = 1 };
	s->ldt = (struct kvm_segment) { .unusable = 1 };
	s->idt.limit = 0;
	s->cr0 = CR0_PE | CR0_NE | CR0_ET | (mode == 2 ? CR0_PG : 0);
	s->cr3 = TABLES_AT;
	s->cr4 = CR4_PAE | CR4_OSFXSR;
	s->efer = mode == 2 ? EFER_LME | EFER_LMA : 0;
}

void set_state(struct fuzzer *f, int vcpu)
{
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct { struct kvm_msrs head; struct kvm_msr_entry e; } msr = { .head.nmsrs = 1, .e.index = 0x3a, .e.data = 5 };
	struct kvm_regs r = { .rflags = 2, .rsp = 0x8000 };
	struct kvm_sregs s;
	u64 *gpr = (u64 *)&r;
	int i;

	if (ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
		return;
	set_mode(f, &s);
	if (CHANCE(f, 40))
		s.cr4 |= s.cr0 & CR0_PE ? CR4_VMXE : 0;
	/* The structure has no pointers, so all of it may be mangled. */
	if (CHANCE(f, 25))
		mangle(f, (u8 *)&s, sizeof(s), 1 + rnd(f) % 3);
	ioctl(vcpu, KVM_SET_SREGS, &s);
	for (i = 0; i < 16; i++)
		if (i != 6)
			gpr[i] = CHANCE(f, 60) ? places[rnd(f) % ARRAY_SIZE(places)] : interesting(f);
	r.rip = (s.cr0 & CR0_PE ? CODE_AT : 0) + rnd(f) % CODE_SIZE;
	ioctl(vcpu, KVM_SET_REGS, &r);
	ioctl(vcpu, KVM_SET_MSRS, &msr);
	ioctl(vcpu, KVM_SET_MP_STATE, &mp);
}

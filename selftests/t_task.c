// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware task switches of a 32-bit guest: JMP, CALL, IRET, task gates for calls and events. SDM 3A 8.3.
 *
 * KVM differs: it saves the old task in the format of the new one, raises neither the debug trap of the T flag nor
 * faults of the new task's segments, and keeps DR7.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include "guest.h"
#include "vm.h"

/* SDM 3A figure 8-2. */
struct tss32 {
	u16 link, r0;
	u32 esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
	u32 es, cs, ss, ds, fs, gs, ldt;
	u16 trap, iomap;
};

/* SDM 3A figure 8-10. */
struct tss16 {
	u16 link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
};

enum { TSS_A, TSS_B, TSS_D, NR_TSS };

#define S_CODE	0x08
#define S_DATA	0x10
#define S_A	0x18
#define S_B	0x20
#define S_D	0x28
#define S_C16	0x30	/* a 16-bit TSS */
#define S_GATE	0x38	/* a task gate to B */
#define S_LDT	0x40
#define S_BASED	0x48	/* code that begins at t_b */
#define S_ABSENT 0x50	/* data, not present */
#define S_UCODE	0x5b
#define S_UDATA	0x63

/* Ports that tell where the guest is. */
#define AT_A	0x99
#define AT_B	0x98
#define AT_TRAP	0x97	/* a handler behind an interrupt gate */

static struct {
	u32 odd;	/* so that no descriptor of the GDT is aligned */
	u64 gdt[16] __attribute__((packed));
	u64 idt[0x40], ldt[2];
	struct tss32 tss[NR_TSS] __attribute__((aligned(128)));
	struct tss16 c16 __attribute__((aligned(128)));
	u32 stack[NR_TSS + 1][64];
	u32 dir_a[1024] __attribute__((aligned(4096)));
	u32 dir_b[1024] __attribute__((aligned(4096)));
} t;

#define CODE32(name, text) extern char name[]; asm(".pushsection .text\n.code32\n" #name ":\n" text "\n.code64\n.popsection\n")
#define OUT_A	"\nout %al, $0x99\n"

CODE32(t_jmp, "ljmp $0x20, $0" OUT_A);
CODE32(t_call, "lcall $0x20, $0" OUT_A);
CODE32(t_gate, "lcall $0x38, $0" OUT_A);
CODE32(t_int, "int $0x30" OUT_A);
CODE32(t_int3, "int3" OUT_A);
CODE32(t_ud, "ud2" OUT_A);
CODE32(t_gp, "mov $0x7f8, %ecx\n mov %ecx, %ds" OUT_A);
CODE32(t_pf, "mov 0x40000123, %eax" OUT_A);
CODE32(t_stop, OUT_A OUT_A);
CODE32(t_sti, "sti\n nop" OUT_A "nop" OUT_A);
CODE32(t_jmp16, "ljmp $0x30, $0" OUT_A);
CODE32(t_b, "1: out %al, $0x98\n iret\n jmp 1b\n");
CODE32(t_b16, "out %al, $0x98\n ljmp $0x20, $0\n jmp t_b16");
CODE32(t_iret, "iret");
CODE32(t_handler, "out %al, $0x97");

static u64 descriptor(u64 base, u64 limit, u64 access, u64 flags)
{
	return (limit & 0xffff) | (base & 0xffffff) << 16 | access << 40 | (limit >> 16 & 15) << 48 | flags << 52 |
	       (base >> 24 & 0xff) << 56;
}

#define FLAT(access)	descriptor(0, 0xfffff, access, 0xc)
#define PTR(x)		((u64)(x))
#define TASK_GATE(sel)	((u64)(sel) << 16 | 0xe500ull << 32)
#define INT_GATE(fn)	((PTR(fn) & 0xffff) | (u64)S_CODE << 16 | 0x8e00ull << 32 | (PTR(fn) >> 16) << 48)

struct task {
	struct vm vm;
	struct vcpu *vcpu;
	typeof(t) *t;		/* the guest's copy */
	struct kvm_regs r;
	struct kvm_sregs s;
};

static void set_tss(struct tss32 *tss, void *code, int stack, u32 seed)
{
	*tss = (struct tss32) {
		.eip = PTR(code), .eflags = RFLAGS_FIXED, .eax = seed + 1, .ecx = seed + 2, .edx = seed + 3, .ebx = seed + 4,
		.ebp = seed + 5, .esi = seed + 6, .edi = seed + 7, .esp = PTR(&t.stack[stack + 1]),
		.cs = S_CODE, .ss = S_DATA, .ds = S_DATA, .es = S_DATA, .fs = 0, .gs = S_DATA, .iomap = sizeof(*tss),
	};
}

static void set_tables(typeof(t) *g)
{
	g->gdt[S_CODE / 8] = FLAT(0x9b);
	g->gdt[S_DATA / 8] = FLAT(0x93);
	g->gdt[S_A / 8] = descriptor(PTR(&t.tss[TSS_A]), sizeof(struct tss32) - 1, 0x8b, 0);
	g->gdt[S_B / 8] = descriptor(PTR(&t.tss[TSS_B]), sizeof(struct tss32) - 1, 0x89, 0);
	g->gdt[S_D / 8] = descriptor(PTR(&t.tss[TSS_D]), sizeof(struct tss32) - 1, 0x89, 0);
	g->gdt[S_C16 / 8] = descriptor(PTR(&t.c16), sizeof(struct tss16) - 1, 0x81, 0);
	g->gdt[S_GATE / 8] = TASK_GATE(S_B);
	g->gdt[S_LDT / 8] = descriptor(PTR(t.ldt), sizeof(t.ldt) - 1, 0x82, 0);
	g->gdt[S_BASED / 8] = descriptor(PTR(t_b16), 0xfff, 0x9a, 4);
	g->gdt[S_ABSENT / 8] = FLAT(0x13);
	g->gdt[S_UCODE / 8] = FLAT(0xfb);
	g->gdt[S_UDATA / 8] = FLAT(0xf3);
	g->ldt[1] = FLAT(0x92);
	set_tss(&g->tss[TSS_B], t_b, TSS_B, 0xb000);
	set_tss(&g->tss[TSS_D], t_b, TSS_D, 0xd000);
}

static struct kvm_segment segment(u16 sel, u8 type)
{
	return (struct kvm_segment) { .limit = ~0u, .selector = sel, .type = type, .present = 1, .s = 1, .db = 1, .g = 1 };
}

static void start(struct task *k, char *code)
{
	struct kvm_sregs *s = &k->s;

	memset(k, 0, sizeof(*k));
	vm_create(&k->vm, 0);
	k->vcpu = vcpu_create(&k->vm, 0, NULL);
	k->t = &GUEST(&k->vm, t);
	set_tables(k->t);
	vcpu_sregs(k->vcpu, s);
	s->cr0 = CR0_PE | CR0_ET | CR0_NE;
	s->cr4 = CR4_PSE;
	s->efer = 0;
	s->cs = segment(S_CODE, 0xb);
	s->ss = s->ds = s->es = s->fs = s->gs = segment(S_DATA, 3);
	s->tr = (struct kvm_segment) { .base = PTR(&t.tss[TSS_A]), .limit = sizeof(struct tss32) - 1, .selector = S_A,
				       .type = 0xb, .present = 1 };
	s->ldt = (struct kvm_segment) { .unusable = 1 };
	s->gdt.base = PTR(t.gdt);
	s->gdt.limit = sizeof(t.gdt) - 1;
	s->idt.base = PTR(t.idt);
	s->idt.limit = sizeof(t.idt) - 1;
	k->r = (struct kvm_regs) {
		.rip = PTR(code), .rflags = RFLAGS_FIXED | RFLAGS_CF, .rsp = PTR(&t.stack[TSS_A + 1]), .rax = 0xa1, .rcx = 0xa2,
		.rdx = 0xa3, .rbx = 0xa4, .rbp = 0xa5, .rsi = 0xa6, .rdi = 0xa7,
	};
}

static void run_to(struct task *k, u16 port, const char *what)
{
	EQ(vcpu_run_once(k->vcpu), 0, "KVM_RUN");
	if (k->vcpu->run->exit_reason != KVM_EXIT_IO || k->vcpu->run->io.port != port) {
		describe_exit(k->vcpu);
		ksft_abort(__FILE__, __LINE__, what);
	}
	vcpu_regs(k->vcpu, &k->r);
	vcpu_sregs(k->vcpu, &k->s);
}

static void go(struct task *k)
{
	vcpu_set_sregs(k->vcpu, &k->s);
	vcpu_set_regs(k->vcpu, &k->r);
	run_to(k, AT_B, "the new task");
}

#define NT BIT(14)
#define BUSY(k, sel) ((k)->t->gdt[(sel) / 8] >> 41 & 1)

/* The state in B after a switch from A; @nested: CALL or event. @eip: what A's TSS must hold. */
static void in_b(struct task *k, bool nested, u64 eip)
{
	const struct tss32 *a = &k->t->tss[TSS_A], *b = &k->t->tss[TSS_B];

	EQ(k->r.rax, 0xb001, "EAX");
	EQ(k->r.rcx, 0xb002, "ECX");
	EQ(k->r.rdx, 0xb003, "EDX");
	EQ(k->r.rbx, 0xb004, "EBX");
	EQ(k->r.rbp, 0xb005, "EBP");
	EQ(k->r.rsi, 0xb006, "ESI");
	EQ(k->r.rdi, 0xb007, "EDI");
	EQ(k->r.rflags & ~(u64)NT, b->eflags & ~(u64)NT, "EFLAGS");
	EQ(k->r.rflags & NT, nested ? NT : 0, "NT");
	EQ(k->s.tr.selector, S_B, "TR");
	EQ(k->s.tr.base, PTR(&t.tss[TSS_B]), "TR's base");
	EQ(k->s.tr.type, 0xb, "TR's type");
	EQ(k->s.cs.selector, b->cs, "CS");
	EQ(k->s.ss.selector, b->ss, "SS");
	EQ(k->s.ds.selector, b->ds, "DS");
	EQ(k->s.fs.selector, b->fs, "FS");
	EQ(k->s.fs.unusable || !k->s.fs.present, 1, "FS is null");
	EQ(k->s.gs.limit, ~0u, "GS's limit");
	EQ(k->s.cr0 & CR0_TS, CR0_TS, "CR0.TS");
	EQ(BUSY(k, S_A), nested, "A is busy");
	EQ(BUSY(k, S_B), 1, "B is busy");
	EQ(b->link, nested ? S_A : 0, "the previous task link");
	EQ(a->eip, eip, "A's EIP");
	EQ(a->eax, 0xa1, "A's EAX");
	EQ(a->edx, 0xa3, "A's EDX");
	EQ(a->edi, 0xa7, "A's EDI");
	EQ(a->esp, PTR(&t.stack[TSS_A + 1]), "A's ESP");
	EQ(a->cs, S_CODE, "A's CS");
	EQ(a->ss, S_DATA, "A's SS");
	EQ(a->gs, S_DATA, "A's GS");
}

/* B's IRET returns to A. */
static void back(struct task *k, u64 rip)
{
	run_to(k, AT_A, "the old task");
	EQ(k->r.rip & ~3ull, rip & ~3ull, "EIP is at A's end");
	EQ(k->s.tr.selector, S_A, "TR");
	EQ(BUSY(k, S_B), 0, "B is no longer busy");
	EQ(BUSY(k, S_A), 1, "A is busy");
	EQ(k->r.rflags & NT, 0, "NT");
	EQ(k->t->tss[TSS_B].eflags & NT, 0, "NT in B's TSS");
	EQ(k->t->tss[TSS_B].eip, PTR(t_b) + 3, "B's EIP is behind IRET");
	EQ(k->r.rdi, 0xa7, "EDI");
	EQ(k->r.rflags & RFLAGS_CF, RFLAGS_CF, "CF");
}

static void end(struct task *k)
{
	vm_destroy(&k->vm);
}

static struct task k;

static void host_jmp(void)
{
	start(&k, t_jmp);
	go(&k);
	in_b(&k, false, PTR(t_jmp) + 7);
	end(&k);
}

static void host_call(void)
{
	start(&k, t_call);
	go(&k);
	in_b(&k, true, PTR(t_call) + 7);
	back(&k, PTR(t_call) + 7);
	end(&k);
	start(&k, t_gate);
	go(&k);
	in_b(&k, true, PTR(t_gate) + 7);
	back(&k, PTR(t_gate) + 7);
	end(&k);
}

static void host_events(void)
{
	static const struct {
		const char *name;
		char *code;
		u8 vector, resume;	/* offset of the EIP that is saved */
		u32 error;
	} rows[] = {
		{ "INT n", t_int, 0x30, 2 }, { "INT3", t_int3, 3, 1 }, { "#UD", t_ud, 6, 0 }, { "#GP", t_gp, 13, 5, 0x7f8 },
	};
	u32 i, top = PTR(&t.stack[TSS_B + 1]);

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		start(&k, rows[i].code);
		k.t->idt[rows[i].vector] = TASK_GATE(S_B);
		go(&k);
		in_b(&k, true, PTR(rows[i].code) + rows[i].resume);
		EQ(k.r.rsp, rows[i].error ? top - 4 : top, "%s: ESP", rows[i].name);
		if (rows[i].error)
			EQ(k.t->stack[TSS_B][63], rows[i].error, "%s: error code", rows[i].name);
		if (rows[i].resume && !rows[i].error)
			back(&k, PTR(rows[i].code) + rows[i].resume);
		end(&k);
	}
}

/* #PF through a task gate, which loads another CR3. */
static void host_page_fault(void)
{
	start(&k, t_pf);
	k.t->dir_a[0] = k.t->dir_b[0] = 0x83;
	k.t->dir_a[1] = k.t->dir_b[1] = 0x400083;
	k.t->dir_b[2] = 0x800083;
	k.t->idt[14] = TASK_GATE(S_B);
	k.t->tss[TSS_B].cr3 = PTR(t.dir_b);
	k.s.cr3 = PTR(t.dir_a);
	k.s.cr0 |= CR0_PG;
	go(&k);
	in_b(&k, true, PTR(t_pf));
	EQ(k.s.cr3, PTR(t.dir_b), "CR3");
	EQ(k.s.cr2, 0x40000123, "CR2");
	EQ(k.t->stack[TSS_B][63], 0, "error code");
	EQ(k.t->tss[TSS_A].cr3, 0, "A's CR3 is not saved");
	end(&k);
}

static void host_privilege(void)
{
	start(&k, t_call);
	k.t->tss[TSS_B].cs = S_UCODE;
	k.t->tss[TSS_B].ss = k.t->tss[TSS_B].es = k.t->tss[TSS_B].gs = S_UDATA;
	k.t->tss[TSS_B].eflags |= 0x3000;
	k.t->tss[TSS_B].ldt = S_LDT;
	k.t->tss[TSS_B].ds = 0xc;	/* in the LDT */
	k.t->ldt[1] = FLAT(0xf2);
	go(&k);
	in_b(&k, true, PTR(t_call) + 7);
	EQ(k.s.ss.dpl, 3, "CPL");
	EQ(k.s.ldt.selector, S_LDT, "LDTR");
	EQ(k.s.ldt.base, PTR(t.ldt), "LDTR's base");
	EQ(k.s.ds.dpl, 3, "DS from the LDT");
	EQ(k.t->ldt[1], FLAT(0xf3), "the descriptor is marked as accessed");
	back(&k, PTR(t_call) + 7);
	end(&k);
}

static void host_v86(void)
{
	static const u8 code[] = { 0xe6, AT_B };

	start(&k, t_call);
	memcpy(k.vm.mem + LOW_CODE, code, sizeof(code));
	k.t->tss[TSS_B].eip = 0;
	k.t->tss[TSS_B].cs = k.t->tss[TSS_B].ss = LOW_CODE >> 4;
	k.t->tss[TSS_B].ds = 0x1234;
	k.t->tss[TSS_B].eflags |= 0x3000 | RFLAGS_VM;
	/* The I/O bitmap is in the next TSS, which is zero there. */
	k.t->gdt[S_B / 8] += sizeof(struct tss32);
	vcpu_set_sregs(k.vcpu, &k.s);
	vcpu_set_regs(k.vcpu, &k.r);
	run_to(&k, AT_B, "virtual-8086 mode");
	EQ(k.s.cs.base, LOW_CODE, "CS's base");
	EQ(k.s.ds.base, 0x12340, "DS's base");
	EQ(k.s.ds.limit, 0xffff, "DS's limit");
	EQ(k.r.rflags & RFLAGS_VM, RFLAGS_VM, "VM");
	end(&k);
}

static void host_16(void)
{
	start(&k, t_jmp16);
	k.t->c16 = (struct tss16) {
		.ip = 0, .flags = RFLAGS_FIXED, .ax = 0xc001, .di = 0xc007, .sp = 0x100, .cs = S_BASED, .ss = S_DATA,
		.ds = S_DATA, .es = S_DATA,
	};
	go(&k);
	EQ(k.s.tr.selector, S_C16, "TR");
	EQ(k.s.tr.type, 3, "TR's type");
	EQ(k.s.cs.base, PTR(t_b16), "CS's base");
	EQ(k.r.rax & 0xffff, 0xc001, "AX");
	EQ(k.r.rdi & 0xffff, 0xc007, "DI");
	EQ(k.s.fs.unusable || !k.s.fs.present, 1, "FS is null");
	EQ(k.t->tss[TSS_A].eip, PTR(t_jmp16) + 7, "A's EIP");
	EQ(BUSY(&k, S_A), 0, "A is not busy");
	EQ(BUSY(&k, S_C16), 1, "the 16-bit task is busy");
	/* It jumps to B. */
	run_to(&k, AT_B, "the next task");
	EQ(k.s.tr.selector, S_B, "TR");
	EQ(k.t->c16.ip, 9, "IP");
	EQ(k.t->c16.ax, 0xc001, "AX");
	EQ(k.t->c16.ds, S_DATA, "DS");
	EQ(BUSY(&k, S_C16), 0, "the 16-bit task is not busy");
	end(&k);
}

static void host_debug(void)
{
	struct kvm_debugregs d;

	start(&k, t_call);
	k.t->tss[TSS_B].trap = 1;
	k.t->idt[1] = INT_GATE(t_handler);
	DO(k.vcpu->fd, KVM_GET_DEBUGREGS, &d);
	d.dr7 = 0x400 | 0x3ff;
	DO(k.vcpu->fd, KVM_SET_DEBUGREGS, &d);
	vcpu_set_sregs(k.vcpu, &k.s);
	vcpu_set_regs(k.vcpu, &k.r);
	run_to(&k, AT_TRAP, "#DB");
	DO(k.vcpu->fd, KVM_GET_DEBUGREGS, &d);
	EQ(d.dr6 & 0xe00f, BIT(15), "DR6.BT");
	EQ(d.dr7, 0x400 | 0x2aa, "DR7: local bits are cleared");
	EQ(k.t->stack[TSS_B][61], PTR(t_b), "before the first instruction of B");
	run_to(&k, AT_TRAP, "the handler goes on");
	end(&k);
}

/* A fault on loading B's segments is one of B. Its handler is a task, too: B cannot provide a stack. */
static void host_faults(void)
{
	static const struct {
		const char *name;
		size_t at;
		u16 sel;
		u8 vector;
	} rows[] = {
		{ "SS is not present", offsetof(struct tss32, ss), S_ABSENT, 12 },
		{ "SS is null", offsetof(struct tss32, ss), 0, 10 },
		{ "SS is code", offsetof(struct tss32, ss), S_CODE, 10 },
		{ "CS is data", offsetof(struct tss32, cs), S_DATA, 10 },
		{ "DS is not present", offsetof(struct tss32, ds), S_ABSENT, 11 },
		{ "DS is a TSS", offsetof(struct tss32, ds), S_D, 10 },
		{ "LDT is data", offsetof(struct tss32, ldt), S_DATA, 10 },
		{ "ES is beyond the GDT", offsetof(struct tss32, es), 0xff8, 10 },
	};
	u32 i, j;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		start(&k, t_call);
		for (j = 10; j < 14; j++)
			k.t->idt[j] = TASK_GATE(S_A);	/* busy: a wrong vector ends in a triple fault */
		k.t->idt[rows[i].vector] = TASK_GATE(S_D);
		*(u32 *)((u8 *)&k.t->tss[TSS_B] + rows[i].at) = rows[i].sel;
		vcpu_set_sregs(k.vcpu, &k.s);
		vcpu_set_regs(k.vcpu, &k.r);
		run_to(&k, AT_B, rows[i].name);
		EQ(k.s.tr.selector, S_D, "%s: TR", rows[i].name);
		EQ(k.t->stack[TSS_D][63], rows[i].sel, "%s: error code", rows[i].name);
		EQ(k.t->tss[TSS_D].link, S_B, "%s: the fault is B's", rows[i].name);
		EQ(k.t->tss[TSS_B].eip, PTR(t_b), "%s: B's EIP", rows[i].name);
		EQ(k.t->tss[TSS_A].eip, PTR(t_call) + 7, "%s: A is saved", rows[i].name);
		end(&k);
	}
}

static void host_interrupts(void)
{
	struct kvm_interrupt irq = { 0x31 };

	start(&k, t_sti);
	k.t->idt[0x31] = TASK_GATE(S_B);
	vcpu_set_sregs(k.vcpu, &k.s);
	vcpu_set_regs(k.vcpu, &k.r);
	run_to(&k, AT_A, "STI");
	DO(k.vcpu->fd, KVM_INTERRUPT, &irq);
	run_to(&k, AT_B, "the interrupt");
	in_b(&k, true, PTR(t_sti) + 4);
	back(&k, PTR(t_sti) + 4);
	end(&k);
	/* NMI: blocked until B's IRET. */
	start(&k, t_stop);
	k.t->idt[2] = TASK_GATE(S_B);
	vcpu_set_sregs(k.vcpu, &k.s);
	vcpu_set_regs(k.vcpu, &k.r);
	run_to(&k, AT_A, "the start");
	DO(k.vcpu->fd, KVM_NMI, 0);
	run_to(&k, AT_B, "the NMI");
	in_b(&k, true, PTR(t_stop) + 2);
	DO(k.vcpu->fd, KVM_NMI, 0);
	run_to(&k, AT_B, "the second NMI, after IRET");
	in_b(&k, true, PTR(t_stop) + 2);
	run_to(&k, AT_A, "the end");
	end(&k);
}

/*
 * An NMI's task gate, while the current TSS is too short to save the old task. The NMI has begun: #TS, which takes its place, is delivered
 * with NMIs blocked (SDM 3A 6.7.1). KVM leaves them unblocked.
 */
static void host_nmi_fault(void)
{
	struct kvm_vcpu_events e;

	start(&k, t_stop);
	k.t->idt[2] = TASK_GATE(S_B);
	k.t->idt[10] = INT_GATE(t_handler);
	k.s.tr.limit = 0x40;
	vcpu_set_sregs(k.vcpu, &k.s);
	vcpu_set_regs(k.vcpu, &k.r);
	run_to(&k, AT_A, "the start");
	DO(k.vcpu->fd, KVM_NMI, 0);
	run_to(&k, AT_TRAP, "#TS");
	EQ(k.s.tr.selector, S_A, "TR");
	DO(k.vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
	EQ(e.nmi.masked, 1, "NMIs are blocked");
	end(&k);
}

/* A machine check that waits behind an interrupt is taken at the next boundary, also if the delivery ends in #TS. */
static void host_mce_behind_fault(void)
{
	struct kvm_x86_mce mce = { .status = BIT(63) | BIT(61) | BIT(60) | BIT(56) | 0x134, .mcg_status = BIT(2) | BIT(0) };
	struct kvm_vcpu_events e;
	u64 cap = 4;

	start(&k, t_stop);
	DO(k.vcpu->fd, KVM_X86_SETUP_MCE, &cap);
	k.t->idt[0x20] = TASK_GATE(S_B);
	k.t->idt[10] = INT_GATE(t_handler);
	k.t->idt[18] = INT_GATE(t_b);
	k.s.tr.limit = 0x40;
	k.s.cr4 |= CR4_MCE;
	k.r.rflags |= RFLAGS_IF;
	vcpu_set_sregs(k.vcpu, &k.s);
	vcpu_set_regs(k.vcpu, &k.r);
	run_to(&k, AT_A, "the start");
	DO(k.vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
	e.interrupt.injected = 1;
	e.interrupt.nr = 0x20;
	DO(k.vcpu->fd, KVM_SET_VCPU_EVENTS, &e);
	DO(k.vcpu->fd, KVM_X86_SET_MCE, &mce);
	run_to(&k, AT_B, "#MC, before the first instruction of #TS's handler");
	EQ(k.s.tr.selector, S_A, "TR");
	run_to(&k, AT_TRAP, "#TS");
	end(&k);
}

/* IRET to another task from one whose TSS is too short. It unblocks NMIs although it faults (SDM 3C 26.3). */
static void host_iret_fault(void)
{
	struct kvm_vcpu_events e;

	start(&k, t_iret);
	k.t->tss[TSS_A].link = S_B;
	k.r.rflags |= NT;
	k.t->idt[10] = INT_GATE(t_handler);
	k.t->gdt[S_B / 8] |= 2ull << 40;	/* busy */
	k.s.tr.limit = 0x40;
	vcpu_set_sregs(k.vcpu, &k.s);
	vcpu_set_regs(k.vcpu, &k.r);
	DO(k.vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
	e.nmi.masked = 1;
	DO(k.vcpu->fd, KVM_SET_VCPU_EVENTS, &e);
	run_to(&k, AT_TRAP, "#TS");
	DO(k.vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
	EQ(e.nmi.masked, 0, "NMIs are no longer blocked");
	end(&k);
}

static const struct ksft_test tests[] = {
	{ "JMP to a TSS", .host = host_jmp },
	{ "CALL of a TSS and of a task gate, IRET", .host = host_call },
	{ "INT n, INT3 and faults through task gates", .host = host_events },
	{ "#PF through a task gate, CR3", .host = host_page_fault },
	{ "a task at CPL 3 with an LDT", .host = host_privilege },
	{ "a task in virtual-8086 mode", .host = host_v86 },
	{ "a 16-bit TSS", .host = host_16 },
	{ "DR7, and the T flag", .host = host_debug },
	{ "faults of the new task", .host = host_faults },
	{ "interrupts and NMIs through task gates", .host = host_interrupts },
	{ "an NMI through a task gate that faults", .host = host_nmi_fault },
	{ "a machine check behind a task gate that faults", .host = host_mce_behind_fault },
	{ "IRET to a task that faults", .host = host_iret_fault },
};
KSFT_MAIN(tests)

// SPDX-License-Identifier: GPL-2.0
/* DROSTE_GET_REGS_ALL: the registers of L1 and L2, in each state of a vCPU. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/droste.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "inspect.h"
#include "save.h"
#include "vm.h"
#include "vmx.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R12 = 12, R15 = 15 };
enum { ES, CS, SS, DS, FS, GS, LDTR, TR };

static long get_level(int fd, u32 level, struct droste_regs *r)
{
	*r = (struct droste_regs) { .level = level };
	return ioctl(fd, DROSTE_GET_REGS_ALL, r) ? -errno : 0;
}

static struct droste_regs get(int fd, u32 level)
{
	struct droste_regs r;

	EQ(get_level(fd, level, &r), 0, "registers of level %u", level);
	return r;
}

/* --- comparison with what the KVM API says of the level that runs --- */

static u32 rights_of(const struct kvm_segment *s)
{
	return s->type | s->s << 4 | s->dpl << 5 | s->present << 7 | s->avl << 12 | s->l << 13 | s->db << 14 | s->g << 15 |
	       s->unusable << 16;
}

static void same_segment(const struct droste_segment *s, const struct kvm_segment *want, const char *name)
{
	/* The P bit of an unusable segment is undefined. */
	u32 undefined = want->unusable ? 0x80 : 0;

	EQ(s->base, want->base, "base of %s", name);
	EQ(s->limit, want->limit, "limit of %s", name);
	EQ(s->selector, want->selector, "selector of %s", name);
	EQ(s->rights & ~undefined, rights_of(want) & ~undefined, "access rights of %s", name);
}

/* What a VMCS holds for a level. */
static void same_sregs(const struct droste_regs *r, const struct kvm_sregs *s)
{
	same_segment(&r->seg[ES], &s->es, "ES");
	same_segment(&r->seg[CS], &s->cs, "CS");
	same_segment(&r->seg[SS], &s->ss, "SS");
	same_segment(&r->seg[DS], &s->ds, "DS");
	same_segment(&r->seg[FS], &s->fs, "FS");
	same_segment(&r->seg[GS], &s->gs, "GS");
	same_segment(&r->seg[LDTR], &s->ldt, "LDTR");
	same_segment(&r->seg[TR], &s->tr, "TR");
	EQ(r->gdtr_base, s->gdt.base, "GDTR");
	EQ(r->gdtr_limit, s->gdt.limit, "GDTR's limit");
	EQ(r->idtr_base, s->idt.base, "IDTR");
	EQ(r->idtr_limit, s->idt.limit, "IDTR's limit");
	EQ(r->cr0, s->cr0, "CR0");
	EQ(r->cr3, s->cr3, "CR3");
	EQ(r->cr4, s->cr4, "CR4");
	EQ(r->efer, s->efer, "EFER");
}

static void same(struct vcpu *vcpu, const struct droste_regs *r)
{
	static const u16 offsets[16] = {
#define AT(reg) offsetof(struct kvm_regs, reg)
		AT(rax), AT(rcx), AT(rdx), AT(rbx), AT(rsp), AT(rbp), AT(rsi), AT(rdi),
		AT(r8), AT(r9), AT(r10), AT(r11), AT(r12), AT(r13), AT(r14), AT(r15),
	};
	struct kvm_debugregs dr;
	struct kvm_regs regs;
	struct kvm_sregs s;
	int i;

	vcpu_regs(vcpu, &regs);
	vcpu_sregs(vcpu, &s);
	DO(vcpu->fd, KVM_GET_DEBUGREGS, &dr);
	for (i = 0; i < 16; i++)
		EQ(r->gpr[i], *(u64 *)((char *)&regs + offsets[i]), "general register %d", i);
	EQ(r->rip, regs.rip, "RIP");
	EQ(r->rflags, regs.rflags, "RFLAGS");
	EQ(r->cr2, s.cr2, "CR2");
	EQ(memcmp(r->dr, dr.db, sizeof(r->dr)), 0, "DR0 to DR3");
	EQ(r->dr6, dr.dr6, "DR6");
	EQ(r->dr7, dr.dr7, "DR7");
	same_sregs(r, &s);
}

/* --- L1, and L2 with other values --- */

#define PORT	0x80	/* L1 and L2 write to it with known registers */
#define L2_GS	0x7654321000ul
#define L2_TPR	0x50
#define L1_CR8	3

static volatile u64 virtual_apic;

/* All registers but RSP, RBP, RAX and RDX have known values at the output. */
static void output(u64 base)
{
	asm volatile("lea 1(%0), %%rcx; lea 3(%0), %%rbx; lea 6(%0), %%rsi; lea 7(%0), %%rdi; lea 8(%0), %%r8; lea 9(%0), %%r9;"
		     "lea 10(%0), %%r10; lea 11(%0), %%r11; lea 12(%0), %%r12; lea 13(%0), %%r13; lea 14(%0), %%r14; lea 15(%0), %%r15;"
		     "stc; outb %%al, %1" : : "a" (base), "i" (PORT)
		     : "rcx", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory");
}

#define L1_REGS	0x1111000011110000ul
#define L2_REGS	0x2222000022220000ul

static void known(const struct droste_regs *r, u64 base)
{
	int i;

	for (i = 0; i < 16; i++)
		if (i != RDX && i != RSP && i != RBP)
			EQ(r->gpr[i], base + i, "general register %d", i);
	EQ(r->rflags & RFLAGS_CF, RFLAGS_CF, "RFLAGS.CF");
}

static void run_to_port(struct vcpu *vcpu)
{
	MUST(!vcpu_run_once(vcpu), "KVM_RUN");
	MUST(vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == PORT, "the output: exit reason %u", vcpu->run->exit_reason);
}

static void l2_outputs(void)
{
	output(L2_REGS);
	asm volatile("vmcall");
}

static void guest_levels(void)
{
	u8 *page = g_page();

	vmcs_new(l2_outputs);
	need(F_PROC, PROC_TPR_SHADOW, "no TPR shadow");
	page[APIC_TPR] = L2_TPR;
	virtual_apic = (u64)page;
	vmwrite(F_VIRTUAL_APIC, virtual_apic);
	vmwrite(F_GS_BASE, L2_GS);
	vmwrite(F_GUEST_CR4, vmread(F_GUEST_CR4) | CR4_TSD);
	vmwrite(F_CR4_MASK, CR4_TSD);		/* MOV from CR4 would not show it */
	vmwrite(F_CR4_SHADOW, 0);
	vmset(F_ENTRY_CTLS, ENTRY_LOAD_DEBUG);
	vmwrite(F_GUEST_DR7, 0x700);
	write_dr7(0x500);
	output(L1_REGS);
	vmx_expect(R_VMCALL, "L2");
	output(L1_REGS);
}

/* L1's registers while L2 runs are those of its last output, but for RIP, RSP and RFLAGS. */
static void check_waiting(struct vm *vm, int fd, const struct kvm_sregs *s, const struct droste_regs *l2_now)
{
	struct droste_regs r = get(fd, 1);
	int i;

	EQ(r.level, 1, "level");
	EQ(r.flags, DROSTE_REGS_IN_L2 | DROSTE_REGS_SHARED, "flags");
	same_sregs(&r, s);
	MUST(r.rip < MEM_SIZE - 3, "RIP %#llx", r.rip);
	EQ(memcmp(vm->mem + r.rip, "\x0f\x01\xc2", 3), 0, "RIP is that of VMLAUNCH");
	OK(r.gpr[RSP] > STACKS && r.gpr[RSP] < STACKS + STACK_SIZE, "RSP %#llx is on L1's stack", r.gpr[RSP]);
	EQ(r.rflags & RFLAGS_FIXED, RFLAGS_FIXED, "RFLAGS");
	EQ(r.cr8, L1_CR8, "CR8");
	EQ(r.dr7, 0x500, "DR7");
	for (i = 0; i < 16; i++)
		if (i != RSP)
			EQ(r.gpr[i], l2_now->gpr[i], "general register %d is shared", i);
	EQ(r.cr2, l2_now->cr2, "CR2 is shared");
	EQ(r.dr6, l2_now->dr6, "DR6 is shared");
}

static void host_levels(void)
{
	struct droste_regs r, again;
	struct kvm_sregs s1;
	struct vcpu *vcpu;
	struct vm vm;
	int fd;

	vcpu = vmx_vm(&vm, guest_levels);
	fd = inspect_mine(&vm);
	vcpu->run->cr8 = L1_CR8;
	run_to_port(vcpu);
	r = get(fd, 0);
	EQ(r.level, 1, "level");
	EQ(r.flags, 0, "flags");
	known(&r, L1_REGS);
	EQ(r.cr8, L1_CR8, "CR8");
	EQ(r.dr7, 0x500, "DR7");
	same(vcpu, &r);
	vcpu_sregs(vcpu, &s1);
	again = get(fd, 1);
	EQ(memcmp(&r, &again, sizeof(r)), 0, "level 1 is the level that runs");
	EQ(get_level(fd, 2, &r), -ENOENT, "no L2 runs");
	run_to_port(vcpu);
	r = get(fd, 0);
	EQ(r.level, 2, "level");
	EQ(r.flags, DROSTE_REGS_IN_L2, "flags");
	known(&r, L2_REGS);
	EQ(r.seg[GS].base, L2_GS, "GS");
	EQ(r.cr4 & CR4_TSD, CR4_TSD, "CR4.TSD, with which L2 runs");
	EQ(s1.cr4 & CR4_TSD, 0, "L1 runs without it");
	EQ(r.cr8, L2_TPR >> 4, "CR8 is VTPR");
	EQ(r.dr7, 0x700, "DR7");
	same(vcpu, &r);
	again = get(fd, 2);
	EQ(memcmp(&r, &again, sizeof(r)), 0, "level 2 is the level that runs");
	check_waiting(&vm, fd, &s1, &r);
	again = get(fd, 2);
	EQ(memcmp(&r, &again, sizeof(r)), 0, "looking at L1 changes nothing");
	MUST(!madvise(vm.mem + GUEST(&vm, virtual_apic), 0x1000, MADV_DONTNEED), "madvise");
	r = get(fd, 2);
	EQ(r.flags, DROSTE_REGS_IN_L2 | DROSTE_REGS_NO_CR8, "the host does not have the virtual-APIC page");
	EQ(r.cr8, 0, "CR8");
	run_to_port(vcpu);
	r = get(fd, 0);
	EQ(r.level, 1, "L1 again");
	EQ(r.dr7, 0x400, "DR7 after an exit");
	known(&r, L1_REGS);
	same(vcpu, &r);
	vcpu_run_to_end(vcpu);
	close(fd);
	vm_destroy(&vm);
}

/* --- real mode --- */

#define DS_SEL	0x1234

extern char real_code[], real_end[];
asm(".pushsection .text\n.code16\nreal_code: mov $0x1234, %ax; mov %ax, %ds; mov $0x5678, %sp; out %al, $0x80; hlt\n"
	"real_end:\n.code64\n.popsection\n");

static void host_real(void)
{
	struct kvm_regs regs = { .rip = LOW_CODE, .rflags = RFLAGS_FIXED };
	struct droste_regs r;
	struct kvm_sregs s;
	struct vcpu *vcpu;
	struct vm vm;
	int fd;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, NULL);
	fd = inspect_mine(&vm);
	r = get(fd, 0);
	EQ(r.level, 1, "level");
	EQ(r.rip, 0xfff0, "RIP after reset");
	EQ(r.seg[CS].base, 0xffff0000, "CS base after reset");
	EQ(r.seg[CS].selector, 0xf000, "CS after reset");
	EQ(r.seg[CS].limit, 0xffff, "CS limit after reset");
	EQ(r.seg[CS].rights, 0x9b, "CS access rights after reset");
	EQ(r.cr0, CR0_ET | CR0_CD | CR0_NW, "CR0 after reset");
	EQ(r.rflags, RFLAGS_FIXED, "RFLAGS after reset");
	EQ(r.dr6, 0xffff0ff0, "DR6 after reset");
	EQ(r.dr7, 0x400, "DR7 after reset");
	EQ(r.idtr_limit, 0xffff, "IDTR's limit after reset");
	same(vcpu, &r);
	memcpy(vm.mem + LOW_CODE, real_code, real_end - real_code);
	vcpu_sregs(vcpu, &s);
	s.cs.base = 0;
	s.cs.selector = 0;
	vcpu_set_sregs(vcpu, &s);
	vcpu_set_regs(vcpu, &regs);
	run_to_port(vcpu);
	r = get(fd, 0);
	EQ(r.seg[DS].selector, DS_SEL, "DS");
	EQ(r.seg[DS].base, DS_SEL << 4, "DS base");
	EQ(r.gpr[RSP], 0x5678, "SP");
	EQ(r.gpr[RAX], DS_SEL, "AX");
	EQ(r.cr0 & CR0_PE, 0, "CR0.PE");
	same(vcpu, &r);
	close(fd);
	vm_destroy(&vm);
}

/* --- a vCPU that runs, and one that halts --- */

#define SPIN_R12	0x1234567812345678ul
#define HALT_R12	0x8765432187654321ul

static volatile u64 spins, stop;
extern char spin_at[], spin_end[], halted_at[];

static void l2_spins(void)
{
	spins = 1;
	asm volatile("mov %0, %%r12\n.globl spin_at, spin_end\n"
		     "spin_at: pause; cmpq $0, stop; je spin_at\nspin_end:" : : "i" (SPIN_R12) : "r12", "cc", "memory");
	asm volatile("vmcall");
}

static void guest_spins(void)
{
	vmcs_new(l2_spins);
	vmx_expect(R_VMCALL, "L2");
	apic_enable();
	asm volatile("mov %0, %%r12\n.globl halted_at\nsti; hlt\nhalted_at: cli" : : "i" (HALT_R12) : "r12", "memory");
}

static void host_runs(void)
{
	struct droste_vcpu_info info = { .vcpu = 0 };
	struct droste_regs r;
	struct vcpu *vcpu;
	struct vm vm;
	int fd, i;

	vm_create(&vm, KSFT_IRQCHIP);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	vcpu = vcpu_create(&vm, 0, guest_spins);
	fd = inspect_mine(&vm);
	inspect_running(vcpu);
	for (i = 0; i < 100000 && !GUEST(&vm, spins); i++)
		usleep(100);
	MUST(GUEST(&vm, spins), "L2 runs");
	usleep(10000);
	for (i = 0; i < 20; i++) {
		r = get(fd, 2);
		EQ(r.gpr[R12], SPIN_R12, "R12 of L2");
		OK(r.rip >= (u64)spin_at && r.rip < (u64)spin_end, "RIP of L2, %#llx, is in the loop", r.rip);
		r = get(fd, 1);
		EQ(r.flags, DROSTE_REGS_IN_L2 | DROSTE_REGS_SHARED, "flags");
		MUST(r.rip < MEM_SIZE - 3, "RIP %#llx", r.rip);
		EQ(memcmp(vm.mem + r.rip, "\x0f\x01\xc2", 3), 0, "RIP of L1 is that of VMLAUNCH");
	}
	GUEST(&vm, stop) = 1;
	for (i = 0; i < 100000 && (DO(fd, DROSTE_VCPU_INFO, &info), info.mp_state != KVM_MP_STATE_HALTED); i++)
		usleep(100);
	MUST(info.mp_state == KVM_MP_STATE_HALTED, "L1 halts");
	r = get(fd, 0);
	EQ(r.level, 1, "level");
	EQ(r.gpr[R12], HALT_R12, "R12 of L1");
	EQ(r.rip, (u64)halted_at, "RIP is behind HLT");
	EQ(r.rflags & RFLAGS_IF, RFLAGS_IF, "RFLAGS.IF");
	DO(fd, DROSTE_VCPU_INFO, &info);
	EQ(info.mp_state, KVM_MP_STATE_HALTED, "it halts still");
	/* The thread ends with the process. */
}

/* --- a vCPU that changes its CPU while L2 runs --- */

static void host_moves(void)
{
	struct kvm_sregs s1;
	struct droste_regs r;
	struct vcpu *vcpu;
	struct vm vm;
	int fd;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		ksft_skip("one CPU");
	on_cpu(0);
	vcpu = vmx_vm(&vm, guest_levels);
	fd = inspect_mine(&vm);
	vcpu->run->cr8 = L1_CR8;
	run_to_port(vcpu);
	vcpu_sregs(vcpu, &s1);
	run_to_port(vcpu);
	on_cpu(1);
	r = get(fd, 2);
	check_waiting(&vm, fd, &s1, &r);
	run_to_port(vcpu);
	vcpu_run_to_end(vcpu);
	close(fd);
	vm_destroy(&vm);
}

/* --- errors --- */

static void host_errors(void)
{
	struct droste_regs r;
	struct vm vm;
	int fd;

	vm_create(&vm, 0);
	vcpu_create(&vm, 0, NULL);
	fd = inspect_mine(&vm);
	r = (struct droste_regs) { .vcpu = 1 };
	FAILS(fd, DROSTE_GET_REGS_ALL, &r, EINVAL);
	r = (struct droste_regs) { .level = 3 };
	FAILS(fd, DROSTE_GET_REGS_ALL, &r, EINVAL);
	r = (struct droste_regs) { .flags = 1 };
	FAILS(fd, DROSTE_GET_REGS_ALL, &r, EINVAL);
	r = (struct droste_regs) { .reserved0 = 1 };
	FAILS(fd, DROSTE_GET_REGS_ALL, &r, EINVAL);
	r = (struct droste_regs) { .reserved = { [7] = 1 } };
	FAILS(fd, DROSTE_GET_REGS_ALL, &r, EINVAL);
	r = (struct droste_regs) { .level = 2 };
	FAILS(fd, DROSTE_GET_REGS_ALL, &r, ENOENT);
	/* What user space left in members that are only filled does not come back. */
	r = (struct droste_regs) { .seg = { [3] = { .reserved = { 1, 2, 3 } } } };
	DO(fd, DROSTE_GET_REGS_ALL, &r);
	EQ(r.seg[3].reserved[0] | r.seg[3].reserved[2] | r.reserved[0], 0, "reserved members");
	close(fd);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "registers of L1 and L2", .host = host_levels },
	{ "registers after reset and in real mode", .host = host_real },
	{ "registers of a vCPU that runs or halts", .host = host_runs },
	{ "registers of a vCPU that changes its CPU in L2", .host = host_moves },
	{ "errors", .host = host_errors },
};
KSFT_MAIN(tests)

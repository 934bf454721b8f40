// SPDX-License-Identifier: GPL-2.0
/* Exits to user space that follow each other: the registers of user space and of the guest, which KVM_RUN exchanges. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "accesses.h"

/* Makes the calling thread run on one processor only. Returns false if the processor does not exist. */
static bool pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

/* --- vector registers, and the rest that XSAVE saves --- */

#define IMAGE_BYTES	4096
typedef u8 image[IMAGE_BYTES] __attribute__((aligned(64)));
#define FEATURES	0xe7ul	/* x87, SSE, AVX, AVX-512 */

static u8 image_byte(u64 seed, u32 at)
{
	return (seed * 131 + at * 29) ^ seed >> 8;
}

/* An image of registers, in the format of XRSTOR, that depends on @seed. */
static void image_fill(u8 *img, u64 seed, u64 mask)
{
	u32 i;

	for (i = 0; i < IMAGE_BYTES; i++)
		img[i] = i >= 512 && i < 576 ? 0 : image_byte(seed, i);
	for (i = 0; i < 32; i++)
		img[i] = 0;
	*(volatile u16 *)img = 0x37f;
	img[4] = 0xff;
	*(volatile u32 *)(img + 24) = 0x1f80 | (seed & 0x3f);
	*(volatile u64 *)(img + 512) = mask;
}

/* Returns 0 if two images hold the same registers, else where they differ. */
static u32 image_differs(const volatile u8 *a, const volatile u8 *b, u64 mask)
{
	u32 i, j, size, at, c, d;

	for (i = 0; i < 416; i++)
		if ((i < 28 || i >= 32) && !(i >= 32 && i < 160 && i % 16 >= 10) && a[i] != b[i])
			return i + 1;
	for (i = 2; i < 8; i++) {
		if (!(mask >> i & 1))
			continue;
		cpuid(0xd, i, &size, &at, &c, &d);
		for (j = at; j < at + size; j++)
			if (a[j] != b[j])
				return j + 1;
	}
	return 0;
}

static void x_load(const u8 *img, u64 mask)
{
	asm volatile("xrstor64 (%0)" : : "r" (img), "a" ((u32)mask), "d" (0) : "memory");
}

static void x_save(u8 *img, u64 mask)
{
	asm volatile("xsave64 (%0)" : : "r" (img), "a" ((u32)mask), "d" (0) : "memory");
}

static volatile u64 features;	/* of the guest; 0: no XSAVE */
static image guest_in, guest_out;

/* An access with other registers each time. Some registers are in their initial state each third time. */
static void guest_vectors(void)
{
	u64 i, mask;

	if (!(CPUID_REG(1, 0, c) & BIT(26)))
		g_skip("no XSAVE");
	write_cr4(read_cr4() | BIT(18));
	mask = CPUID_REG(0xd, 0, a) & FEATURES;
	G_EQ(try_xsetbv(0, mask), 0, "XSETBV");
	features = mask;
	for (i = 0;; i++) {
		image_fill(guest_in, i, i % 3 == 2 ? mask & 3 : mask);
		if (i % 3 == 2)
			g_fill(guest_in + 576, 0, IMAGE_BYTES - 576);
		g_fill(guest_out, 0x5a, IMAGE_BYTES);
		*(volatile u64 *)(guest_out + 512) = 0;
		x_load(guest_in, mask);
		got = kind < NR_PORT_KINDS ? access_port(BEFORE) : access_memory(BEFORE);
		x_save(guest_out, mask);
		G_EQ(xgetbv(0), mask, "XCR0 after an exit");
		if (i % 3 != 2)
			G_EQ(image_differs(guest_in, guest_out, mask), 0, "the guest's registers after an exit differ at");
		else
			G_EQ(image_differs(guest_in, guest_out, mask & 3), 0, "the guest's registers after an exit differ at");
		count = i + 1;
	}
}

static u64 own_features;
static image handler_image;
static volatile u64 handled;

static void on_signal(int sig)
{
	x_load(handler_image, own_features);
	handled++;
}

static void own_begin(void)
{
	if (!(CPUID_REG(1, 0, c) & BIT(27)))
		ksft_skip("no XSAVE");
	own_features = xgetbv(0) & FEATURES;
	image_fill(handler_image, 0x7777, own_features);
}

/* KVM_RUN with registers in use, which are the same afterwards. Checks the exit; signals may come. */
static void run_with_image(struct vcpu *vcpu, enum kind k, u64 seed)
{
	static __thread image in, out;
	u64 call, args[4];

	image_fill(in, seed, own_features);
	do {
		memset(out, 0x5a, sizeof(out));
		memset(out + 512, 0, 64);
		x_load(in, own_features);
		call = vcpu_run_once(vcpu);
		x_save(out, own_features);
		EQ(image_differs(in, out, own_features), 0, "user space's registers after KVM_RUN differ at, access %u", k);
	} while ((int)call == -EINTR);
	EQ(call, 0, "KVM_RUN");
	/* A check of the guest that failed. */
	if (vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.size == 4 && vcpu->run->io.port == GCALL_PORT) {
		call = *(u32 *)((u8 *)vcpu->run + 4096);
		memcpy(args, vcpu->vm->mem + call + offsetof(struct gcall, args), sizeof(args));
		MUST(*(u64 *)(vcpu->vm->mem + call) != GCALL_SKIP, "a skip");
		EQ(args[0], args[1], "a check of the guest, access %u", k);
		MUST(false, "the guest cannot go on");
	}
	answer(vcpu, k, "vector registers");
}

static void host_vectors(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	size_t i;
	u64 j;

	own_begin();
	FOR_SOME(i) {
		kind = some[i];
		vm_create(&vm, 0);
		vcpu = vcpu_create(&vm, 0, guest_vectors);
		for (j = 0; j < 40; j++) {
			run_with_image(vcpu, some[i], j * 77);
			EQ(GUEST(&vm, count), j, "accesses that are complete");
		}
		vm_destroy(&vm);
	}
}

static pthread_t main_thread;
static volatile bool ended;

/* Uses the registers, gives up the processor, and sends signals. */
static void *disturber(void *arg)
{
	static image in, out;
	u64 i;

	pin(0);
	for (i = 0; !ended; i++) {
		image_fill(in, i * 7919, own_features);
		memset(out + 512, 0, 64);
		x_load(in, own_features);
		sched_yield();
		x_save(out, own_features);
		EQ(image_differs(in, out, own_features), 0, "another thread's registers differ at");
		if (i % 4 == 0)
			pthread_kill(main_thread, SIGUSR1);
	}
	return NULL;
}

static void host_disturbed(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct vcpu *vcpu;
	struct vm vm;
	pthread_t t;
	u64 j;

	own_begin();
	pin(0);
	sigaction(SIGUSR1, &sa, NULL);
	main_thread = pthread_self();
	kind = IN16;
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_vectors);
	MUST(!pthread_create(&t, NULL, disturber, NULL), "thread");
	for (j = 0; j < 400 || (handled < 20 && j < 20000); j++)
		run_with_image(vcpu, IN16, j * 77);
	ended = true;
	pthread_join(t, NULL);
	OK(handled, "no signal came");
	vm_destroy(&vm);
}

/* KVM_GET_XSAVE, KVM_SET_XSAVE and KVM_SET_XCRS at an exit. */
static void host_xsave(void)
{
	static image want;
	static struct kvm_xsave x __attribute__((aligned(64)));
	struct kvm_xcrs xcrs;
	struct vcpu *vcpu;
	struct vm vm;
	u64 j, mask;

	own_begin();
	kind = OUT16;
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_vectors);
	for (j = 0; j <= 3 * WARM; j++)
		run_with_image(vcpu, OUT16, j);
	mask = GUEST(&vm, features);
	/* The guest is at its access number 18, which has all components. */
	DO(vcpu->fd, KVM_GET_XSAVE, &x);
	image_fill(want, 3 * WARM, mask);
	EQ(image_differs(want, (u8 *)&x, mask), 0, "KVM_GET_XSAVE differs at");
	EQ(*(u64 *)((u8 *)&x + 512) & FEATURES, mask, "components of KVM_GET_XSAVE");
	image_fill(want, 0x4242, mask);
	memcpy(&x, want, sizeof(x));
	DO(vcpu->fd, KVM_SET_XSAVE, &x);
	/* The guest finds the difference, and tells what it has: the first byte of its registers that differs. */
	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	EQ(vcpu->run->io.port, GCALL_PORT, "a report of the guest");
	EQ(image_differs(want, vm.mem + (uintptr_t)guest_out, mask), 0, "the guest's registers after KVM_SET_XSAVE differ at");
	for (j = 0; j < WARM; j++)
		run_with_image(vcpu, OUT16, j);
	DO(vcpu->fd, KVM_GET_XCRS, &xcrs);
	EQ(xcrs.xcrs[0].value, mask, "XCR0");
	xcrs.xcrs[0].value = 3;
	DO(vcpu->fd, KVM_SET_XCRS, &xcrs);
	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	EQ(vcpu->run->io.port, GCALL_PORT, "a report of the guest");
	EQ(xgetbv(0) & FEATURES, own_features, "user space's XCR0");
	vm_destroy(&vm);
}

/* --- the MSRs of SYSCALL --- */

static volatile u64 landed;	/* 1 or 2: the entry that SYSCALL reached */

asm(".globl entry_one, entry_two\nentry_one: movq $1, landed; jmp *%rcx\nentry_two: movq $2, landed; jmp *%rcx\n");
extern char entry_one[], entry_two[];

#define MSR_STAR	0xc0000081
#define MSR_LSTAR	0xc0000082
#define MSR_FMASK	0xc0000084

static u64 syscalls(void)
{
	landed = 0;
	asm volatile("syscall" : : : "rcx", "r11", "memory", "cc");
	return landed;
}

static void guest_syscall(void)
{
	u64 efer = rdmsr(MSR_EFER), i;

	/* SYSCALL becomes possible only after the MSRs were set, and an exit. */
	wrmsr(MSR_EFER, efer & ~EFER_SCE);
	wrmsr(MSR_STAR, (u64)SEL_CS64 << 32);
	wrmsr(MSR_LSTAR, (u64)entry_one);
	wrmsr(MSR_FMASK, 0x40000);
	for (i = 0; i < WARM; i++)
		outb(PORT, 1);
	wrmsr(MSR_EFER, efer | EFER_SCE);
	G_EQ(syscalls(), 1, "SYSCALL after EFER.SCE was set");
	outb(PORT, 2);
	G_EQ(syscalls(), 1, "SYSCALL after an exit");
	wrmsr(MSR_LSTAR, (u64)entry_two);
	G_EQ(syscalls(), 2, "SYSCALL after WRMSR");
	outb(PORT, 3);
	G_EQ(syscalls(), 2, "SYSCALL after WRMSR and an exit");
	outb(PORT, 4);
	/* User space has set IA32_LSTAR. */
	G_EQ(rdmsr(MSR_LSTAR), (u64)entry_one, "IA32_LSTAR that user space has set");
	G_EQ(syscalls(), 1, "SYSCALL after KVM_SET_MSRS");
	/* The MSRs are set while SYSCALL is impossible, in one run with what makes it possible. */
	wrmsr(MSR_EFER, efer & ~EFER_SCE);
	outb(PORT, 5);
	wrmsr(MSR_LSTAR, (u64)entry_two);
	wrmsr(MSR_EFER, efer | EFER_SCE);
	G_EQ(syscalls(), 2, "SYSCALL after both were set");
	wrmsr(MSR_EFER, efer & ~EFER_SCE);
	outb(PORT, 6);
	/* User space has set EFER.SCE. */
	G_EQ(syscalls(), 2, "SYSCALL after KVM_SET_SREGS");
	G_EQ(rdmsr(MSR_STAR), (u64)SEL_CS64 << 32, "IA32_STAR");
	G_EQ(rdmsr(MSR_FMASK), 0x40000, "IA32_FMASK");
	g_sync(1);
}

/* Each check runs after a system call of this thread, which would not come back if the guest's entry were left. */
static void host_syscall(void)
{
	static const u8 expected[] = { 1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6 };
	struct kvm_sregs s;
	struct vcpu *vcpu;
	struct vm vm;
	u64 val, args[4];
	size_t i;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_syscall);
	for (i = 0; i < ARRAY_SIZE(expected); i++) {
		MUST(vcpu_run_to_call(vcpu, args) == GCALL_NONE, "a call");
		EQ(getppid() > 0, 1, "a system call");
		EQ(*((u8 *)vcpu->run + 4096), expected[i], "the guest's place");
		EQ(vcpu_get_msr(vcpu, MSR_LSTAR, &val), 0, "KVM_GET_MSRS");
		EQ(val, (u64)(expected[i] <= 2 || expected[i] == 5 ? entry_one : entry_two), "IA32_LSTAR at place %u", expected[i]);
		if (expected[i] == 4)
			vcpu_set_msr(vcpu, MSR_LSTAR, (u64)entry_one);
		if (expected[i] == 6) {
			vcpu_sregs(vcpu, &s);
			s.efer |= EFER_SCE;
			vcpu_set_sregs(vcpu, &s);
		}
	}
	EQ(vcpu_run_to_call(vcpu, args), GCALL_SYNC, "the guest's end");
	vm_destroy(&vm);
}

/* --- SYSCALL before its MSRs are set: to address 0, with null selectors --- */

#define FIX_HYPERCALL_INSN	BIT(5)

static volatile u64 ud_first;	/* UD2 is the first instruction that raises #UD */

static void guest_first_syscall(void)
{
	u64 r11, rcx, here;

	for (u64 i = 0; i < (u64)entry_two - (u64)entry_one; i++)
		*((volatile u8 *)0 + i) = entry_one[i];
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
	outb(PORT, 0);
	if (ud_first)
		G_EQ(TRY_INSN("ud2"), UD, "UD2");
	landed = 0;
	asm volatile(TRY("syscall")
		     "mov %%r11, %0\n\tmov %%rcx, %1\n\tlea 2b(%%rip), %2\n\t"
		     "mov %3, %%ss\n\tpushq %4\n\tlea 3f(%%rip), %%rcx\n\tpush %%rcx\n\tlretq\n3:"
		     : "=&r" (r11), "=&r" (rcx), "=&r" (here) : "r" (SEL_DS), "i" (SEL_CS64) : "rcx", "r11", "memory", "cc");
	G_EQ(landed, 1, "SYSCALL reaches address 0");
	G_EQ(rcx, here, "RCX");
	G_EQ(r11 & (BIT(16) | 0x42), 0x42, "RF, ZF and bit 1 of R11");
	G_EQ(TRY_INSN("ud2"), UD, "UD2 after SYSCALL");
	g_done();
}

static void host_first_syscall(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	int i;

	for (i = 0; i < 4; i++) {
		ud_first = i & 2;
		vm_create(&vm, 0);
		/* #UD need not exit then. */
		if (i & 1)
			EQ(vm_enable_cap(&vm, KVM_CAP_DISABLE_QUIRKS2, FIX_HYPERCALL_INSN), 0, "KVM_CAP_DISABLE_QUIRKS2");
		vcpu = vcpu_create(&vm, 0, guest_first_syscall);
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		vcpu_run_to_end(vcpu);
		vm_destroy(&vm);
	}
}

static const struct ksft_test tests[] = {
	{ .name = "vector registers", .host = host_vectors },
	{ .name = "signals and another thread", .host = host_disturbed },
	{ .name = "XSAVE and XCR0", .host = host_xsave },
	{ .name = "SYSCALL", .host = host_syscall },
	{ .name = "SYSCALL before its MSRs are set", .host = host_first_syscall },
};

KSFT_MAIN(tests)

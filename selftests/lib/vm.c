// SPDX-License-Identifier: GPL-2.0
/* VMs and vCPUs of the KVM API, which start in long mode with a copy of this program in memory. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/droste.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "vm.h"
#include "guest.h"

extern char __executable_start[], _end[];
extern char trap_stubs[], guest_start[], user_return[];
extern u64 guest_arg;

const char *device_path(void)
{
	const char *path = getenv("DROSTE_DEVICE");

	return path && *path ? path : "/dev/droste";
}

int device_open(void)
{
	int fd = open(device_path(), O_RDWR | O_CLOEXEC);

	if (fd < 0)
		ksft_skip("%s: %s", device_path(), strerror(errno));
	return fd;
}

void vm_slot(struct vm *vm, int slot, u32 flags, u64 gpa, u64 size, void *host)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa,
		.memory_size = size, .userspace_addr = (uintptr_t)host,
	};

	DO(vm->fd, KVM_SET_USER_MEMORY_REGION, &r);
}

static void page_tables(struct vm *vm)
{
	u64 *pml4 = (u64 *)(vm->mem + PAGE_TABLES), *pdpt = pml4 + 512, *pd = pdpt + 512;
	u64 i;

	pml4[0] = (PAGE_TABLES + 0x1000) | 7;
	for (i = 0; i < 4; i++)
		pdpt[i] = (PAGE_TABLES + 0x2000 + i * 0x1000) | 7;
	for (i = 0; i < 2048; i++)
		pd[i] = i << 21 | 0x87;	/* 2 MiB, present, writable, user */
}

u64 vm_force_exits(struct vm *vm, u64 mask)
{
	struct droste_force_exits f = { .mask = mask };

	return ioctl(vm->fd, DROSTE_FORCE_EXITS, &f) ? errno : 0;
}

u64 vm_forceable(struct vm *vm)
{
	struct droste_force_exits f;

	return ioctl(vm->fd, DROSTE_GET_FORCE_EXITS, &f) ? 0 : f.supported;
}

/* With DROSTE_FORCE_EXITS in the environment, a number or "all", every VM of the test takes these exits. */
static void force_as_told(struct vm *vm)
{
	const char *told = getenv("DROSTE_FORCE_EXITS");

	if (told && *told)
		MUST(!vm_force_exits(vm, strcmp(told, "all") ? strtoull(told, NULL, 0) : vm_forceable(vm)), "forced exits %s", told);
}

/* With DROSTE_HIDE_CLOCK in the environment, every VM of the test hides what exits cost, up to so many ns. */
static void hide_as_told(struct vm *vm)
{
	const char *told = getenv("DROSTE_HIDE_CLOCK");
	struct droste_profile p = { .clock_bound = told ? strtoull(told, NULL, 0) : 0 };

	if (told && *told)
		MUST(!ioctl(vm->fd, DROSTE_SET_PROFILE, &p), "a hidden clock of %s ns", told);
}

static void open_fds(struct vm *vm)
{
	vm->dev = device_open();
	vm->fd = DO(vm->dev, KVM_CREATE_VM, 0);
	vm->run_size = DO(vm->dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	force_as_told(vm);
	hide_as_told(vm);
	if (vm->flags & (KSFT_IRQCHIP | KSFT_PIT | KSFT_SMP2))
		DO(vm->fd, KVM_CREATE_IRQCHIP, 0);
	if (vm->flags & KSFT_PIT) {
		struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

		DO(vm->fd, KVM_CREATE_PIT2, &pit);
	}
}

static void close_fds(struct vm *vm)
{
	int i;

	for (i = 0; i < MAX_VCPUS; i++) {
		if (!vm->vcpu[i].run)
			continue;
		munmap(vm->vcpu[i].run, vm->run_size);
		close(vm->vcpu[i].fd);
	}
	memset(vm->vcpu, 0, sizeof(vm->vcpu));
	close(vm->fd);
	close(vm->dev);
}

void vm_create(struct vm *vm, unsigned int flags)
{
	uintptr_t image = (uintptr_t)__executable_start & ~0xffful;

	memset(vm, 0, sizeof(*vm));
	vm->flags = flags;
	open_fds(vm);
	vm->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	MUST(vm->mem != MAP_FAILED, "mmap: %s", strerror(errno));
	MUST((uintptr_t)_end <= HEAP, "the program is too large");
	memcpy(vm->mem + image, (void *)image, (uintptr_t)_end - image);
	page_tables(vm);
	vm_slot(vm, 0, 0, 0, MEM_SIZE, vm->mem);
}

void vm_replace(struct vm *vm)
{
	close_fds(vm);
	open_fds(vm);
	vm_slot(vm, 0, 0, 0, MEM_SIZE, vm->mem);
}

void vm_destroy(struct vm *vm)
{
	close_fds(vm);
	munmap(vm->mem, MEM_SIZE);
	memset(vm, 0, sizeof(*vm));
}

/* --- vCPUs --- */

static void gate(u64 *idt, int vec, u64 handler, int dpl)
{
	idt[vec * 2] = (handler & 0xffff) | (u64)SEL_CS64 << 16 | (u64)(0x8e | dpl << 5) << 40 | (handler >> 16 & 0xffff) << 48;
	idt[vec * 2 + 1] = handler >> 32;
}

static void cpu_tables(struct vm *vm, int id)
{
	u64 at = CPU_TABLES + id * CPU_TABLES_SIZE, tss = at + OFF_TSS;
	u64 *gdt = (u64 *)(vm->mem + at), *idt = (u64 *)(vm->mem + at + OFF_IDT);
	u32 *t = (u32 *)(vm->mem + tss);
	u64 rsp0 = STACKS + id * STACK_SIZE + STACK_SIZE / 4 * 3;
	int i;

	gdt[SEL_CS64 / 8] = 0x00af9b000000ffff;
	gdt[SEL_DS / 8] = 0x00cf93000000ffff;
	gdt[SEL_UCS32 / 8] = 0x00cffb000000ffff;
	gdt[SEL_UDS / 8] = 0x00cff3000000ffff;
	gdt[SEL_UCS64 / 8] = 0x00affb000000ffff;
	gdt[SEL_CS32 / 8] = 0x00cf9b000000ffff;
	gdt[SEL_TSS / 8] = 0x67 | (tss & 0xffffff) << 16 | 0x8bul << 40 | (tss >> 24 & 0xff) << 56;
	gdt[SEL_TSS / 8 + 1] = tss >> 32;
	gdt[SEL_CS16 / 8] = 0x00009b000000ffff;
	gdt[SEL_DS16 / 8] = 0x000093000000ffff;
	for (i = 0; i < 256; i++)
		gate(idt, i, (uintptr_t)trap_stubs + i * 16, i == 3 || i == 4 ? 3 : 0);
	gate(idt, 0x80, (uintptr_t)user_return, 3);
	memcpy(&t[1], &rsp0, 8);
	t[25] = 0x68 << 16;	/* no I/O bitmap */
}

int vm_enable_cap(struct vm *vm, u32 cap, u64 arg)
{
	struct kvm_enable_cap c = { .cap = cap, .args[0] = arg };

	return ioctl(vm->fd, KVM_ENABLE_CAP, &c) ? errno : 0;
}

struct kvm_cpuid2 *supported_cpuid(int dev)
{
	int n = 256;
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + n * sizeof(c->entries[0]));

	c->nent = n;
	DO(dev, KVM_GET_SUPPORTED_CPUID, c);
	return c;
}

static void set_cpuid(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *c = supported_cpuid(vcpu->vm->dev);
	u32 i;

	for (i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		if (e->function == 1)
			e->ebx = (e->ebx & 0x00ffffff) | vcpu->id << 24;
		if (e->function == 0xb || e->function == 0x1f)
			e->edx = vcpu->id;
	}
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	free(c);
}

static struct kvm_segment segment(u16 sel, u8 type, u8 dpl, bool l)
{
	return (struct kvm_segment) {
		.limit = 0xffffffff, .selector = sel, .type = type, .present = 1, .dpl = dpl,
		.db = !l, .s = 1, .l = l, .g = 1,
	};
}

static void long_mode(struct vcpu *vcpu)
{
	struct kvm_sregs s;
	u64 at = CPU_TABLES + vcpu->id * CPU_TABLES_SIZE;

	vcpu_sregs(vcpu, &s);
	s.cs = segment(SEL_CS64, 0xb, 0, true);
	s.ds = s.es = s.fs = s.gs = s.ss = segment(SEL_DS, 3, 0, false);
	s.tr = (struct kvm_segment) { .base = at + OFF_TSS, .limit = 0x67, .selector = SEL_TSS, .type = 0xb, .present = 1 };
	s.ldt = (struct kvm_segment) { .unusable = 1, .type = 2 };
	s.gdt.base = at;
	s.gdt.limit = 0x5f;
	s.idt.base = at + OFF_IDT;
	s.idt.limit = 0xfff;
	s.cr0 = CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE;
	s.cr3 = PAGE_TABLES;
	s.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	s.efer = EFER_LME | EFER_LMA | EFER_NX | EFER_SCE;
	vcpu_set_sregs(vcpu, &s);
}

void vcpu_start(struct vcpu *vcpu, void (*fn)(void), u64 arg)
{
	struct kvm_regs r = {
		.rip = (uintptr_t)guest_start, .rflags = RFLAGS_FIXED, .rax = (uintptr_t)fn, .rdi = arg,
		.rsp = STACKS + vcpu->id * STACK_SIZE + STACK_SIZE / 2,
	};

	vcpu_set_regs(vcpu, &r);
	vcpu->done = false;
}

struct vcpu *vcpu_create(struct vm *vm, int id, void (*fn)(void))
{
	struct vcpu *vcpu = &vm->vcpu[id];

	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->fd = DO(vm->fd, KVM_CREATE_VCPU, id);
	vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	MUST(vcpu->run != MAP_FAILED, "mmap of kvm_run: %s", strerror(errno));
	cpu_tables(vm, id);
	set_cpuid(vcpu);
	if (!fn)	/* waits for INIT and SIPI, as application processors do */
		return vcpu;
	long_mode(vcpu);
	vcpu_start(vcpu, fn, 0);
	if (vm->flags & (KSFT_IRQCHIP | KSFT_PIT | KSFT_SMP2)) {
		struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };

		DO(vcpu->fd, KVM_SET_MP_STATE, &mp);
	}
	return vcpu;
}

void vcpu_regs(struct vcpu *vcpu, struct kvm_regs *regs)
{
	DO(vcpu->fd, KVM_GET_REGS, regs);
}

void vcpu_set_regs(struct vcpu *vcpu, struct kvm_regs *regs)
{
	DO(vcpu->fd, KVM_SET_REGS, regs);
}

void vcpu_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs)
{
	DO(vcpu->fd, KVM_GET_SREGS, sregs);
}

void vcpu_set_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs)
{
	DO(vcpu->fd, KVM_SET_SREGS, sregs);
}

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry e;
};

int vcpu_get_msr(struct vcpu *vcpu, u32 msr, u64 *val)
{
	struct one_msr m = { .head.nmsrs = 1, .e.index = msr };

	if (ioctl(vcpu->fd, KVM_GET_MSRS, &m) != 1)
		return -1;
	*val = m.e.data;
	return 0;
}

int vcpu_set_msr(struct vcpu *vcpu, u32 msr, u64 val)
{
	struct one_msr m = { .head.nmsrs = 1, .e.index = msr, .e.data = val };

	return ioctl(vcpu->fd, KVM_SET_MSRS, &m) == 1 ? 0 : -1;
}

bool vm_has_vmx(struct vm *vm)
{
	struct kvm_cpuid2 *c = supported_cpuid(vm->dev);
	bool vmx = false;
	u32 i;

	for (i = 0; i < c->nent; i++)
		if (c->entries[i].function == 1)
			vmx = c->entries[i].ecx & BIT(5);
	free(c);
	return vmx;
}

/* --- running --- */

int vcpu_run_once(struct vcpu *vcpu)
{
	return ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? -errno : 0;
}

void describe_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct kvm_regs r;
	int i;

	vcpu_regs(vcpu, &r);
	ksft_diag("vCPU %d: exit reason %u at RIP %#llx RSP %#llx RFLAGS %#llx RAX %#llx", vcpu->id, run->exit_reason,
		  r.rip, r.rsp, r.rflags, r.rax);
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR) {
		ksft_diag("internal error %u", run->internal.suberror);
		for (i = 0; i < (int)run->internal.ndata && i < 8; i++)
			ksft_diag("  data %d: %#llx", i, run->internal.data[i]);
	}
	if (run->exit_reason == KVM_EXIT_FAIL_ENTRY)
		ksft_diag("hardware entry failure reason %#llx", run->fail_entry.hardware_entry_failure_reason);
	if (run->exit_reason == KVM_EXIT_MMIO)
		ksft_diag("MMIO %s %#llx, %u bytes", run->mmio.is_write ? "write" : "read", run->mmio.phys_addr, run->mmio.len);
	if (run->exit_reason == KVM_EXIT_IO)
		ksft_diag("port %#x", run->io.port);
}

/* A guest's string constant. The guest is this program, so the constant is at the same address here. */
static const char *guest_text(struct vcpu *vcpu, const char *p)
{
	uintptr_t a = (uintptr_t)p;

	return a && a < MEM_SIZE - 512 ? (char *)vcpu->vm->mem + a : "(no text)";
}

static void failed_check(struct vcpu *vcpu, struct gcall *c)
{
	const char *file = guest_text(vcpu, c->file), *text = guest_text(vcpu, c->text);

	if (c->args[3])
		ksft_fail(file, c->line, "%s (%#llx): %#llx, expected %#llx", text, (long long)c->args[2],
			  (long long)c->args[0], (long long)c->args[1]);
	else
		ksft_fail(file, c->line, "%s: %#llx, expected %#llx", text, (long long)c->args[0], (long long)c->args[1]);
}

u64 vcpu_run_to_call(struct vcpu *vcpu, u64 args[4])
{
	struct kvm_run *run = vcpu->run;
	struct gcall c;
	char text[256];
	u32 at;
	int ret;

	for (;;) {
		ret = vcpu_run_once(vcpu);
		if (ret == -EINTR)
			return GCALL_NONE;
		/* -EAGAIN: a vCPU that waited for INIT and SIPI was started. */
		if (ret == -EAGAIN || (ret == -EFAULT && vcpu->past_faults))
			continue;
		if (ret < 0)
			ksft_abort(__FILE__, __LINE__, "KVM_RUN: %s", strerror(-ret));
		if (run->exit_reason != KVM_EXIT_IO || run->io.port != GCALL_PORT || run->io.size != 4 ||
		    run->io.direction != KVM_EXIT_IO_OUT)
			return GCALL_NONE;
		memcpy(&at, (u8 *)run + run->io.data_offset, 4);
		MUST(at < MEM_SIZE - sizeof(c), "guest call at %#x", at);
		memcpy(&c, vcpu->vm->mem + at, sizeof(c));
		if (args)
			memcpy(args, c.args, sizeof(c.args));
		switch (c.kind) {
		case GCALL_EQ:
			failed_check(vcpu, &c);
			break;
		case GCALL_ABORT:
			failed_check(vcpu, &c);
			_exit(KSFT_FAIL);
		case GCALL_SKIP:
			ksft_skip("%s", guest_text(vcpu, c.text));
		case GCALL_TRAP:
			ksft_abort("guest", 0, "unexpected exception %llu, error code %#llx, RIP %#llx, CR2 %#llx",
				   (long long)c.args[0], (long long)c.args[1], (long long)c.args[2], (long long)c.args[3]);
		case GCALL_DIAG:
			snprintf(text, sizeof(text), guest_text(vcpu, c.text), c.args[0], c.args[1]);
			ksft_diag("%s", text);
			break;
		case GCALL_DONE:
			vcpu->done = true;
			return GCALL_DONE;
		default:
			return c.kind;
		}
	}
}

void vcpu_run_to_end(struct vcpu *vcpu)
{
	u64 kind = vcpu_run_to_call(vcpu, NULL);

	if (kind == GCALL_DONE)
		return;
	if (kind == GCALL_NONE)
		describe_exit(vcpu);
	ksft_abort(__FILE__, __LINE__, "the guest did not end: call %llu", (long long)kind);
}

void vcpu_run_to_sync(struct vcpu *vcpu, u64 stage)
{
	u64 args[4], kind = vcpu_run_to_call(vcpu, args);

	if (kind == GCALL_NONE)
		describe_exit(vcpu);
	MUST(kind == GCALL_SYNC, "the guest did not sync at stage %llu: call %llu", (long long)stage, (long long)kind);
	EQ(args[0], stage, "stage");
}

static void *thread_main(void *arg)
{
	vcpu_run_to_end(arg);
	return NULL;
}

void vcpu_thread(struct vcpu *vcpu, pthread_t *thread)
{
	MUST(!pthread_create(thread, NULL, thread_main, vcpu), "thread");
}

struct watch {
	volatile u64 *counter;
	u64 was;
	pthread_t runner;
};

static void *watch_main(void *arg)
{
	struct watch *w = arg;

	while (*w->counter == w->was)
		usleep(100);
	pthread_kill(w->runner, SIGUSR1);
	return NULL;
}

int vcpu_run_until_changed(struct vcpu *vcpu, volatile u64 *counter)
{
	struct watch w = { .counter = counter, .was = *counter, .runner = pthread_self() };
	pthread_t t;
	int ret;

	MUST(!pthread_create(&t, NULL, watch_main, &w), "thread");
	ret = vcpu_run_once(vcpu);
	pthread_join(t, NULL);
	return ret;
}

u32 vcpu_mp_state(struct vcpu *vcpu)
{
	struct kvm_mp_state mp;

	DO(vcpu->fd, KVM_GET_MP_STATE, &mp);
	return mp.mp_state;
}

struct ticker {
	volatile bool stop;
	pthread_t runner;
};

static void *tick_main(void *arg)
{
	struct ticker *t = arg;

	while (!t->stop) {
		usleep(2000);
		pthread_kill(t->runner, SIGUSR1);
	}
	return NULL;
}

static void on_tick(int sig)
{
}

u64 vcpu_run_to_mp_state(struct vcpu *vcpu, u32 state, u64 args[4])
{
	struct ticker ticker = { .runner = pthread_self() };
	struct sigaction sa = { .sa_handler = on_tick };
	u64 kind = GCALL_NONE;
	pthread_t t;
	int seen = 0;

	sigaction(SIGUSR1, &sa, NULL);
	MUST(!pthread_create(&t, NULL, tick_main, &ticker), "thread");
	while (kind == GCALL_NONE && seen < 3) {
		kind = vcpu_run_to_call(vcpu, args);
		seen = vcpu_mp_state(vcpu) == state ? seen + 1 : 0;
	}
	ticker.stop = true;
	pthread_join(t, NULL);
	return kind;
}

/* The second vCPU of KSFT_SMP2 runs until the process ends. */
static void *ap_main(void *arg)
{
	if (vcpu_run_to_call(arg, NULL) == GCALL_NONE) {
		describe_exit(arg);
		ksft_abort(__FILE__, __LINE__, "vCPU 1 ended");
	}
	return NULL;
}

void guest_subtest(const struct ksft_test *t)
{
	struct vm vm;
	struct vcpu *vcpu;
	pthread_t ap;

	guest_arg = t->arg;
	vm_create(&vm, t->flags);
	if ((t->flags & KSFT_VMX) && !vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	vcpu = vcpu_create(&vm, 0, t->guest);
	if (t->flags & KSFT_SMP2) {
		struct vcpu *v1 = vcpu_create(&vm, 1, NULL);

		MUST(!pthread_create(&ap, NULL, ap_main, v1), "thread");
	}
	vcpu_run_to_end(vcpu);
}

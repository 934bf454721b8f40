// SPDX-License-Identifier: GPL-2.0
/* Misuse of each ioctl of lib/ioctls.def: bad pointers, ioctl numbers, order, descriptors, processes and threads. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "guest.h"
#include "ioctls.h"
#include "vm.h"

#define BUF_SIZE	0x10000

static bool is_droste;

static void guest_out(void)
{
	for (;;)
		outb(0x80, 1);
}

/* --- a VM, its descriptors by kind, and bad memory --- */

struct scene {
	struct vm vm;
	struct vcpu *vcpu;
	int inspect;		/* of DROSTE_INSPECT for @vm; -1 if there is no such ioctl */
	u8 *buf;		/* BUF_SIZE bytes, followed by an inaccessible page */
	u8 *read_only;		/* BUF_SIZE zero bytes */
	u8 *unmapped;
};

static u8 *map(u64 size, int prot)
{
	u8 *p = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	MUST(p != MAP_FAILED, "mmap: %s", strerror(errno));
	return p;
}

/* Looks at the VM that was created last. */
static int newest_vm(int dev)
{
	struct droste_vm_name name = { .flags = DROSTE_NEXT };
	struct droste_vm_info info;
	int fd, newest = -1;

	while ((fd = ioctl(dev, DROSTE_INSPECT, &name)) >= 0) {
		DO(fd, DROSTE_VM_INFO, &info);
		name.number = info.number;
		if (newest >= 0)
			close(newest);
		newest = fd;
	}
	return newest;
}

static void scene_create(struct scene *s, unsigned int flags)
{
	vm_create(&s->vm, flags);
	s->vcpu = vcpu_create(&s->vm, 0, guest_out);
	s->buf = map(BUF_SIZE + 0x1000, PROT_READ | PROT_WRITE);
	mprotect(s->buf + BUF_SIZE, 0x1000, PROT_NONE);
	s->read_only = map(BUF_SIZE, PROT_READ);
	s->unmapped = map(BUF_SIZE, PROT_READ);
	munmap(s->unmapped, BUF_SIZE);
	is_droste = strstr(device_path(), "droste");
	s->inspect = newest_vm(s->vm.dev);
}

/* Checks that the module still works: an ordinary guest runs. */
static void still_works(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_out);
	EQ(vcpu_run_once(vcpu), 0, "a VM created afterwards runs");
	EQ(vcpu->run->exit_reason, KVM_EXIT_IO, "exit");
	vm_destroy(&vm);
}

static int scene_fd(struct scene *s, u8 on)
{
	return on == ON_DEV ? s->vm.dev : on == ON_VM ? s->vm.fd : on == ON_VCPU ? s->vcpu->fd : s->inspect;
}

static const u8 kinds[] = { ON_DEV, ON_VM, ON_VCPU, ON_INSPECT };

static int errno_of(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? errno : 0;
}

/* Calls @fn for each row and each descriptor that implements it. */
static void each_row(struct scene *s, void (*fn)(struct scene *s, const struct ioctl_row *r, int fd))
{
	int i, skipped = 0;
	u32 k;

	for (i = 0; i < nr_ioctl_rows; i++) {
		for (k = 0; k < ARRAY_SIZE(kinds); k++) {
			const struct ioctl_row *r = &ioctl_rows[i];
			int fd = scene_fd(s, kinds[k]);

			if (!(r->on & kinds[k]) || fd < 0)
				continue;
			/* Try with an unmapped argument. ioctls without an argument are covered by other tests. */
			if ((r->arg >= ARG_PTR && errno_of(fd, r->cmd, s->unmapped) == ENOTTY))
				skipped++;
			else
				fn(s, r, fd);
		}
	}
	ksft_diag("%d rows, %d not implemented here", nr_ioctl_rows, skipped);
}

/* --- pointers --- */

static void bad_pointer(const struct ioctl_row *r, int fd, const char *what, u64 at)
{
	EQ(errno_of(fd, r->cmd, (void *)at), r->bad, "%s with %s, errno", r->name, what);
}

/* These ioctls check the attribute or capability before its data; other tests cover the valid ones. */
static bool looks_inside(unsigned int cmd)
{
	return cmd == KVM_SET_DEVICE_ATTR || cmd == KVM_GET_DEVICE_ATTR || cmd == KVM_HAS_DEVICE_ATTR ||
	       cmd == KVM_ENABLE_CAP;
}

static void pointers_of(struct scene *s, const struct ioctl_row *r, int fd)
{
	u32 size = _IOC_SIZE(r->cmd);

	if (r->arg < ARG_PTR || !r->bad)
		return;
	bad_pointer(r, fd, "NULL", 0);
	bad_pointer(r, fd, "a small number", 8);
	bad_pointer(r, fd, "unmapped memory", (u64)s->unmapped);
	bad_pointer(r, fd, "inaccessible memory", (u64)s->buf + BUF_SIZE);
	bad_pointer(r, fd, "a kernel address", 0xffff888000000000);
	bad_pointer(r, fd, "the kernel's text", 0xffffffff81000000);
	bad_pointer(r, fd, "a non-canonical address", 1ul << 63);
	bad_pointer(r, fd, "the end of user space", 0x7ffffffff000);
	bad_pointer(r, fd, "the last address", ~0ul);
	if (size < 2 || looks_inside(r->cmd))
		return;
	/* All bytes but the last are mapped, and zero. */
	memset(s->buf + BUF_SIZE - size, 0, size);
	bad_pointer(r, fd, "the end of a mapping", (u64)s->buf + BUF_SIZE - 1);
	if (r->arg == ARG_PTR)
		bad_pointer(r, fd, "a byte short of the end of a mapping", (u64)s->buf + BUF_SIZE - size + 1);
	/* Some ioctls that only read their argument have the direction _IOC_READ, so check the name too. */
	if (_IOC_DIR(r->cmd) == _IOC_READ && r->arg == ARG_PTR && strstr(r->name, "_GET_"))
		bad_pointer(r, fd, "read-only memory", (u64)s->read_only);
}

static void host_pointers(void)
{
	struct scene s;

	scene_create(&s, KSFT_IRQCHIP | KSFT_PIT);
	each_row(&s, pointers_of);
	EQ(vcpu_run_once(s.vcpu), 0, "the vCPU runs");
	vm_destroy(&s.vm);
}

/* --- ioctl numbers: wrong descriptor, size, direction, type --- */

static void not_known(int fd, u8 on, unsigned long cmd, const char *name)
{
	int err;

	if (ioctl_row(cmd, on))
		return;
	err = errno_of(fd, cmd, NULL);
	/* In KVM the error depends on the descriptor. */
	OK(err == ENOTTY || (!is_droste && err == EINVAL), "%s (%#lx) is unknown on descriptor %u: errno %d",
	   name, cmd, on, err);
}

static void host_numbers(void)
{
	static const u32 sizes[] = { 0, 1, 4, 8, 0x3fff };
	struct scene s;
	int i;
	u32 k, n;

	scene_create(&s, KSFT_IRQCHIP | KSFT_PIT);
	for (i = 0; i < nr_ioctl_rows; i++) {
		const struct ioctl_row *r = &ioctl_rows[i];
		u32 nr = _IOC_NR(r->cmd), dir = _IOC_DIR(r->cmd), size = _IOC_SIZE(r->cmd);

		for (k = 0; k < ARRAY_SIZE(kinds); k++) {
			int fd = scene_fd(&s, kinds[k]);

			if (!is_droste)	/* KVM's architecture handlers accept sizes of other architectures */
				continue;
			not_known(fd, kinds[k], r->cmd, r->name);
			for (n = 0; n < ARRAY_SIZE(sizes); n++)
				not_known(fd, kinds[k], _IOC(dir, KVMIO, nr, sizes[n]), r->name);
			not_known(fd, kinds[k], _IOC(dir, KVMIO, nr, size + 8), r->name);
			not_known(fd, kinds[k], _IOC(dir ^ _IOC_WRITE, KVMIO, nr, size), r->name);
			not_known(fd, kinds[k], _IOC(dir ^ _IOC_READ, KVMIO, nr, size), r->name);
			not_known(fd, kinds[k], _IOC(dir, 'T', nr, size), r->name);
		}
	}
	for (k = 0; k < ARRAY_SIZE(kinds); k++)
		for (n = 0; n < 256; n++)
			not_known(scene_fd(&s, kinds[k]), kinds[k], _IOC(3, KVMIO, n, 0x123), "no ioctl");
	vm_destroy(&s.vm);
}

/* --- ioctls before their objects exist --- */

static void too_early(struct scene *s, const struct ioctl_row *r, int fd)
{
	if (!r->bare)
		return;
	memset(s->buf, 0, BUF_SIZE);
	EQ(errno_of(fd, r->cmd, s->buf), r->bare, "%s without interrupt controllers, errno", r->name);
}

static void zero_only(struct scene *s, const struct ioctl_row *r, int fd)
{
	if (r->arg == ARG_ZERO)
		EQ(errno_of(fd, r->cmd, s->buf), EINVAL, "%s with an argument, errno", r->name);
}

static void host_early(void)
{
	struct scene s;

	scene_create(&s, 0);
	each_row(&s, too_early);
	each_row(&s, zero_only);
	FAILS(s.vm.fd, KVM_SET_BOOT_CPU_ID, 0, EBUSY);
	FAILS(s.vm.fd, KVM_CREATE_VCPU, 0, EEXIST);
	FAILS(s.vm.fd, KVM_CREATE_IRQCHIP, 0, EINVAL);
	FAILS(s.vm.dev, KVM_CREATE_VM, -1, EINVAL);
	vm_destroy(&s.vm);
}

/* --- unknown flags: the 32 bits at an offset, all set --- */

struct flag_row {
	unsigned int cmd;
	u8 on;
	u16 at;
};

#define FLAGS(cmd, on, type, field) { cmd, on, offsetof(struct type, field) }

static const struct flag_row flag_rows[] = {
	FLAGS(KVM_SET_USER_MEMORY_REGION, ON_VM, kvm_userspace_memory_region, flags),
	FLAGS(KVM_ENABLE_CAP, ON_VM, kvm_enable_cap, flags),
	FLAGS(KVM_SET_CLOCK, ON_VM, kvm_clock_data, flags),
	FLAGS(KVM_SIGNAL_MSI, ON_VM, kvm_msi, flags),
	FLAGS(KVM_IRQFD, ON_VM, kvm_irqfd, flags),
	FLAGS(KVM_IOEVENTFD, ON_VM, kvm_ioeventfd, flags),
	FLAGS(KVM_SET_GSI_ROUTING, ON_VM, kvm_irq_routing, flags),
	FLAGS(KVM_SET_IRQCHIP, ON_VM, kvm_irqchip, chip_id),
	FLAGS(KVM_GET_IRQCHIP, ON_VM, kvm_irqchip, chip_id),
	FLAGS(KVM_GET_DIRTY_LOG, ON_VM, kvm_dirty_log, slot),
	FLAGS(KVM_CLEAR_DIRTY_LOG, ON_VM, kvm_clear_dirty_log, slot),
	FLAGS(KVM_SET_SREGS2, ON_VCPU, kvm_sregs2, flags),
	FLAGS(KVM_SET_XCRS, ON_VCPU, kvm_xcrs, flags),
	FLAGS(KVM_SET_DEBUGREGS, ON_VCPU, kvm_debugregs, flags),
	FLAGS(KVM_SET_VCPU_EVENTS, ON_VCPU, kvm_vcpu_events, flags),
	FLAGS(KVM_SET_MP_STATE, ON_VCPU, kvm_mp_state, mp_state),
	FLAGS(KVM_X86_SET_MCE, ON_VCPU, kvm_x86_mce, bank),
	FLAGS(KVM_INTERRUPT, ON_VCPU, kvm_interrupt, irq),
};

static void host_flags(void)
{
	struct scene s;
	u32 i;

	scene_create(&s, KSFT_IRQCHIP | KSFT_PIT);
	for (i = 0; i < ARRAY_SIZE(flag_rows); i++) {
		const struct flag_row *f = &flag_rows[i];

		memset(s.buf, 0, BUF_SIZE);
		*(u32 *)(s.buf + f->at) = ~0u;
		EQ(errno_of(scene_fd(&s, f->on), f->cmd, s.buf), EINVAL, "%s with unknown flags, errno",
		   ioctl_row(f->cmd, f->on)->name);
	}
	EQ(vcpu_run_once(s.vcpu), 0, "the vCPU runs");
	vm_destroy(&s.vm);
}

/* --- arrays with a false size --- */

static void host_counts(void)
{
	struct scene s;
	u32 *count;

	scene_create(&s, KSFT_IRQCHIP);
	count = (u32 *)s.buf;
	memset(s.buf, 0, BUF_SIZE);
	*count = ~0u;
	FAILS(s.vcpu->fd, KVM_SET_MSRS, s.buf, E2BIG);
	FAILS(s.vcpu->fd, KVM_GET_MSRS, s.buf, E2BIG);
	FAILS(s.vcpu->fd, KVM_SET_CPUID2, s.buf, E2BIG);
	FAILS(s.vcpu->fd, KVM_SET_CPUID, s.buf, E2BIG);
	FAILS(s.vm.fd, KVM_SET_GSI_ROUTING, s.buf, EINVAL);
	FAILS(s.vcpu->fd, KVM_SET_SIGNAL_MASK, s.buf, EINVAL);
	/* More entries than are mapped: the mapped ones may be used. */
	*count = 200;
	memset(s.buf + BUF_SIZE - 4096, 0, 4096);
	*(u32 *)(s.buf + BUF_SIZE - 64) = 200;
	FAILS(s.vcpu->fd, KVM_SET_CPUID2, s.buf + BUF_SIZE - 64, EFAULT);
	FAILS(s.vcpu->fd, KVM_SET_MSRS, s.buf + BUF_SIZE - 64, EFAULT);
	FAILS(s.vcpu->fd, KVM_GET_MSRS, s.buf + BUF_SIZE - 64, EFAULT);
	FAILS(s.vm.fd, KVM_SET_GSI_ROUTING, s.buf + BUF_SIZE - 64, EFAULT);
	FAILS(s.vm.dev, KVM_GET_SUPPORTED_CPUID, s.buf + BUF_SIZE - 64, EFAULT);
	EQ(vcpu_run_once(s.vcpu), 0, "the vCPU runs");
	vm_destroy(&s.vm);
}

/* --- memory regions --- */

static void host_regions(void)
{
	static const struct kvm_userspace_memory_region bad[] = {
		{ .slot = 5, .guest_phys_addr = 0x40000001, .memory_size = 0x1000 },
		{ .slot = 5, .guest_phys_addr = 0x40000000, .memory_size = 0x1001 },
		{ .slot = 5, .guest_phys_addr = ~0xffful, .memory_size = 0x2000 },
		{ .slot = 5, .guest_phys_addr = 0x40000000, .memory_size = 1ul << 62 },
		{ .slot = 1 << 20, .guest_phys_addr = 0x40000000, .memory_size = 0x1000 },
		{ .slot = 5, .memory_size = 0, .guest_phys_addr = 0x40000000 },
		{ .slot = 5, .flags = 1u << 31, .guest_phys_addr = 0x40000000, .memory_size = 0x1000 },
	};
	static const u64 hva[] = { 0x1001, 1ul << 63, 0xffff888000000000, ~0xffful, 0x7ffffffff000 };
	struct kvm_userspace_memory_region r;
	struct scene s;
	u32 i;

	scene_create(&s, 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		r = bad[i];
		r.userspace_addr = (u64)s.buf;
		EQ(errno_of(s.vm.fd, KVM_SET_USER_MEMORY_REGION, &r), EINVAL, "region %u, errno", i);
	}
	for (i = 0; i < ARRAY_SIZE(hva); i++) {
		r = (struct kvm_userspace_memory_region) {
			.slot = 5, .guest_phys_addr = 0x40000000, .memory_size = 0x2000, .userspace_addr = hva[i],
		};
		EQ(errno_of(s.vm.fd, KVM_SET_USER_MEMORY_REGION, &r), EINVAL, "user address %u, errno", i);
	}
	EQ(vcpu_run_once(s.vcpu), 0, "the vCPU runs");
	vm_destroy(&s.vm);
}

/* --- other processes --- */

static void in_child(struct scene *s, const struct ioctl_row *r, int fd)
{
	/* Who may look, may look from any process. */
	if (fd == s->vm.dev || fd == s->inspect || r->cmd == KVM_GET_STATS_FD)
		return;
	memset(s->buf, 0, BUF_SIZE);
	EQ(errno_of(fd, r->cmd, r->arg >= ARG_PTR ? s->buf : NULL), EIO, "%s in a child, errno", r->name);
}

static void host_child(void)
{
	struct scene s;
	int status;
	pid_t pid;

	scene_create(&s, KSFT_IRQCHIP | KSFT_PIT);
	pid = fork();
	if (!pid) {
		each_row(&s, in_child);
		/* The mapping is shared, so the parent must survive the child's writes. */
		memset(s.vcpu->run, 0x55, 0x1000);
		_exit(ksft_failures() != 0);
	}
	waitpid(pid, &status, 0);
	EQ(status, 0, "the child");
	memset(s.vcpu->run, 0, 0x1000);
	EQ(vcpu_run_once(s.vcpu), 0, "the parent's vCPU runs");
	/* A child that keeps the descriptors keeps the VM after its creator has closed them. */
	pid = fork();
	if (!pid) {
		close(s.vm.dev);
		close(s.vm.fd);
		EQ(errno_of(s.vcpu->fd, KVM_GET_REGS, s.buf), EIO, "the last descriptor, in a child: errno");
		_exit(ksft_failures() != 0);
	}
	vm_destroy(&s.vm);
	waitpid(pid, &status, 0);
	EQ(status, 0, "the child");
	still_works();
}

static void host_dup(void)
{
	struct scene s;
	struct kvm_regs regs;
	int vcpu, vm;

	scene_create(&s, 0);
	vcpu = dup(s.vcpu->fd);
	vm = dup(s.vm.fd);
	close(s.vm.fd);
	close(s.vcpu->fd);
	close(s.vm.dev);
	DO(vcpu, KVM_GET_REGS, &regs);
	EQ(errno_of(vcpu, KVM_RUN, NULL), 0, "KVM_RUN on a copy");
	EQ(errno_of(vm, KVM_CREATE_VCPU, (void *)1) == 0, 1, "KVM_CREATE_VCPU on a copy");
	close(vm);
	EQ(errno_of(vcpu, KVM_RUN, NULL), 0, "KVM_RUN without a VM descriptor");
	close(vcpu);
	still_works();
}

/* --- mappings --- */

static sigjmp_buf fault_jump;

static void on_fault(int sig)
{
	siglongjmp(fault_jump, sig);
}

static int touch(volatile u8 *p)
{
	int sig = sigsetjmp(fault_jump, 1);

	if (!sig)
		(void)*p;
	return sig;
}

static void host_mappings(void)
{
	struct scene s;
	u8 *p;
	u64 size;

	scene_create(&s, 0);
	size = s.vm.run_size;
	signal(SIGBUS, on_fault);
	signal(SIGSEGV, on_fault);
	OK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, s.vm.fd, 0) == MAP_FAILED, "the VM cannot be mapped");
	OK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, s.vm.dev, 0) == MAP_FAILED, "the device cannot be mapped");
	p = mmap(NULL, size + 0x10000, PROT_READ | PROT_WRITE, MAP_SHARED, s.vcpu->fd, 0);
	OK(p != MAP_FAILED, "a mapping longer than the vCPU's pages");
	EQ(touch(p), 0, "its first byte");
	EQ(touch(p + size), SIGBUS, "its first byte after the pages");
	EQ(touch(p + size + 0xffff), SIGBUS, "its last byte");
	munmap(p, size + 0x10000);
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, s.vcpu->fd, 1ul << 40);
	OK(p == MAP_FAILED || touch(p) == SIGBUS, "a mapping far beyond the pages");
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, s.vcpu->fd, 0);
	if (p != MAP_FAILED) {
		memset(p, 0x55, size);
		EQ(vcpu_run_once(s.vcpu), 0, "writes to a private mapping have no effect");
		munmap(p, size);
	}
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, s.vcpu->fd, 0);
	OK(mremap(p, size, size * 2, MREMAP_MAYMOVE) == MAP_FAILED || 1, "mremap");
	munmap(s.vcpu->run, size);
	EQ(errno_of(s.vcpu->fd, KVM_RUN, NULL), 0, "KVM_RUN without a mapping");
	close(s.vcpu->fd);
	close(s.vm.fd);
	still_works();
}

/* Writes of user space to struct kvm_run, between exits and while the guest runs, must do no harm. */
static volatile bool stop;

static void *scribbler(void *arg)
{
	struct kvm_run *run = arg;
	u32 n = 0x12345;
	u8 *p = (u8 *)run;

	while (!stop) {
		n = n * 1103515245 + 12345;
		p[n >> 8 & 0x1fff] = n >> 3;
		run->immediate_exit = 0;
	}
	return NULL;
}

static void guest_mix(void)
{
	volatile u64 *mmio = (u64 *)MMIO_HOLE;
	u8 data[64];
	u64 rdi, rcx;

	for (;;) {
		mmio[1] = mmio[2];
		outl(0x80, inl(0x84));
		rdi = (u64)data;
		rcx = sizeof(data);
		asm volatile("rep insb" : "+D" (rdi), "+c" (rcx) : "d" (0x90) : "memory");
	}
}

static void host_scribbles(void)
{
	struct scene s;
	pthread_t t;
	int i;

	scene_create(&s, 0);
	vcpu_start(s.vcpu, guest_mix, 0);
	MUST(!pthread_create(&t, NULL, scribbler, s.vcpu->run), "thread");
	for (i = 0; i < 1000; i++)
		vcpu_run_once(s.vcpu);
	stop = true;
	pthread_join(t, NULL);
	vm_destroy(&s.vm);
	still_works();
}

/* --- threads --- */

#define THREADS	4

struct caller {
	struct scene *s;
	u32 n;
	u8 *buf;
};

static void *call_everything(void *arg)
{
	struct caller *c = arg;
	int i, round;
	u32 k;

	for (round = 0; round < 4; round++) {
		for (i = 0; i < nr_ioctl_rows; i++) {
			const struct ioctl_row *r = &ioctl_rows[(i * 7 + c->n * 13) % nr_ioctl_rows];

			/* ioctls that create descriptors would only exhaust them. */
			if (r->cmd == KVM_CREATE_VM || r->cmd == KVM_GET_STATS_FD || r->cmd == KVM_CREATE_DEVICE)
				continue;
			memset(c->buf, round & 1 ? 0xff : 0, 0x2000);
			for (k = 0; k < ARRAY_SIZE(kinds); k++)
				if (r->on & kinds[k] && r->cmd != KVM_SET_SIGNAL_MASK)
					ioctl(scene_fd(c->s, kinds[k]), r->cmd, r->arg >= ARG_PTR ? c->buf : NULL);
		}
	}
	return NULL;
}

static void kicked(int sig)
{
}

static void host_threads(void)
{
	struct caller c[THREADS];
	pthread_t t[THREADS];
	struct scene s;
	int i, j;

	signal(SIGUSR1, kicked);
	scene_create(&s, KSFT_IRQCHIP | KSFT_PIT);
	for (i = 0; i < THREADS; i++) {
		c[i] = (struct caller) { .s = &s, .n = i, .buf = map(BUF_SIZE, PROT_READ | PROT_WRITE) };
		MUST(!pthread_create(&t[i], NULL, call_everything, &c[i]), "thread");
	}
	/* A vCPU that waits for an interrupt that never arrives, or stands at an exit, is woken; others wait for its mutex. */
	for (i = 0; i < THREADS; i++)
		while (pthread_tryjoin_np(t[i], NULL) == EBUSY) {
			for (j = i; j < THREADS; j++)
				pthread_kill(t[j], SIGUSR1);
			usleep(1000);
		}
	vm_destroy(&s.vm);
	still_works();
}

/* The descriptors of a running vCPU are closed: it keeps running until it is signalled. */
static volatile u64 turns;

static void guest_count(void)
{
	for (;;)
		turns++;
}

static void *run_forever(void *arg)
{
	return (void *)(long)ioctl((long)arg, KVM_RUN, 0);
}

static void host_close_running(void)
{
	struct scene s;
	pthread_t t;
	volatile u64 *n;

	signal(SIGUSR1, kicked);
	scene_create(&s, KSFT_IRQCHIP);
	vcpu_start(s.vcpu, guest_count, 0);
	n = &GUEST(&s.vm, turns);
	MUST(!pthread_create(&t, NULL, run_forever, (void *)(long)s.vcpu->fd), "thread");
	while (!*n)
		usleep(100);
	close(s.vcpu->fd);
	close(s.vm.fd);
	close(s.vm.dev);
	munmap(s.vcpu->run, s.vm.run_size);
	/* The guest's memory is unmapped as well. */
	munmap(s.vm.mem, MEM_SIZE);
	while (pthread_tryjoin_np(t, NULL) == EBUSY) {
		pthread_kill(t, SIGUSR1);
		usleep(1000);
	}
	still_works();
}

static const struct ksft_test tests[] = {
	{ "bad pointers", .host = host_pointers },
	{ "unknown ioctl numbers", .host = host_numbers },
	{ "ioctls before their objects exist", .host = host_early },
	{ "unknown flags", .host = host_flags },
	{ "arrays with a false size", .host = host_counts },
	{ "memory regions", .host = host_regions },
	{ "a forked child", .host = host_child },
	{ "copies of descriptors", .host = host_dup },
	{ "mappings", .host = host_mappings },
	{ "writes to struct kvm_run", .host = host_scribbles },
	{ "all ioctls from several threads", .host = host_threads },
	{ "descriptors closed while a vCPU runs", .host = host_close_running },
};
KSFT_MAIN(tests)

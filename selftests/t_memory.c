// SPDX-License-Identifier: GPL-2.0
/* Memory slots: created, moved, deleted, read-only, refused; host mappings that change under the guest; MMIO exits. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include "guest.h"
#include "vm.h"

#define AT	0x20000000ul	/* address of the test's slots */
#define SIZE	0x10000ul

static void *host_memory(u64 size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED, "mmap");
	return p;
}

static int try_slot(struct vm *vm, u32 slot, u32 flags, u64 gpa, u64 size, void *host)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa, .memory_size = size, .userspace_addr = (u64)host,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r) ? -errno : 0;
}

static void host_refused(void)
{
	struct vm vm;
	u8 *p = host_memory(SIZE);

	vm_create(&vm, 0);
	EQ(try_slot(&vm, 1, 0, AT + 1, SIZE, p), -EINVAL, "address misaligned");
	EQ(try_slot(&vm, 1, 0, AT, SIZE + 1, p), -EINVAL, "size misaligned");
	EQ(try_slot(&vm, 1, 0, AT, SIZE, p + 1), -EINVAL, "host address misaligned");
	EQ(try_slot(&vm, 1, 0x80, AT, SIZE, p), -EINVAL, "unknown flag");
	EQ(try_slot(&vm, 0xfff0, 0, AT, SIZE, p), -EINVAL, "slot number");
	EQ(try_slot(&vm, 1, 0, ~0xffful, 0x2000, p), -EINVAL, "wraps");
	EQ(try_slot(&vm, 1, 0, AT, SIZE, (void *)0xffff800000000000ul), -EINVAL, "a kernel address");
	EQ(try_slot(&vm, 1, 0, 0x1000, SIZE, p), -EEXIST, "overlaps slot 0");
	EQ(try_slot(&vm, 1, 0, MEM_SIZE - 0x1000, 0x2000, p), -EEXIST, "overlaps slot 0's end");
	EQ(try_slot(&vm, 1, 0, AT, 0, p), -EINVAL, "deletes a slot that does not exist");
	EQ(try_slot(&vm, 1, 0, AT, SIZE, p), 0, "a valid slot");
	EQ(try_slot(&vm, 1, 0, AT, SIZE * 2, p), -EINVAL, "the size cannot be changed");
	EQ(try_slot(&vm, 2, 0, AT + SIZE - 0x1000, SIZE, p), -EEXIST, "overlaps slot 1");
	EQ(try_slot(&vm, 2, 0, AT + SIZE, SIZE, p), 0, "directly after slot 1");
	EQ(try_slot(&vm, 1, 0, AT + SIZE, SIZE, p), -EEXIST, "moved onto slot 2");
	EQ(try_slot(&vm, 1, 0, AT - SIZE, SIZE, p), 0, "moved away");
	EQ(try_slot(&vm, 1, 0, 0, 0, NULL), 0, "deleted");
	EQ(try_slot(&vm, 2, 0, 0, 0, NULL), 0, "deleted");
	EQ(try_slot(&vm, 2, 0, 0, 0, NULL), -EINVAL, "deleted twice");
	vm_destroy(&vm);
}

/* On each request the guest accesses an address and reports the value it read. */
static volatile u64 ask_addr, ask_write, ask_value;

static void guest_asked(void)
{
	for (;;) {
		if (ask_write)
			*(volatile u64 *)ask_addr = ask_value;
		g_sync2(1, *(volatile u64 *)ask_addr);
	}
}

/* Returns the value the guest read. MMIO exits are counted, and reads get @mmio. */
static int mmio_exits, mmio_writes;
static u64 mmio_wrote;

static u64 access_guest(struct vcpu *vcpu, u64 addr, bool write, u64 val, u64 mmio)
{
	u64 args[4], kind;

	GUEST(vcpu->vm, ask_addr) = addr;
	GUEST(vcpu->vm, ask_write) = write;
	GUEST(vcpu->vm, ask_value) = val;
	for (;;) {
		kind = vcpu_run_to_call(vcpu, args);
		if (kind == GCALL_SYNC)
			return args[1];
		if (vcpu->run->exit_reason != KVM_EXIT_MMIO) {
			describe_exit(vcpu);
			ksft_abort(__FILE__, __LINE__, "unexpected exit");
		}
		mmio_exits++;
		EQ(vcpu->run->mmio.phys_addr, addr, "MMIO address");
		EQ(vcpu->run->mmio.len, 8, "MMIO length");
		if (vcpu->run->mmio.is_write) {
			mmio_writes++;
			memcpy(&mmio_wrote, vcpu->run->mmio.data, 8);
		} else {
			memcpy(vcpu->run->mmio.data, &mmio, 8);
		}
	}
}

#define READ(addr) access_guest(vcpu, addr, false, 0, 0xabcdef)
#define WRITE(addr, val) access_guest(vcpu, addr, true, val, 0xabcdef)

static void host_slots(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u64 *a = host_memory(SIZE), *b = host_memory(SIZE);

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_asked);
	a[0] = 1;
	b[0] = 2;
	EQ(READ(AT), 0xabcdef, "no slot: MMIO");
	EQ(mmio_exits, 1, "MMIO exits");
	vm_slot(&vm, 1, 0, AT, SIZE, a);
	EQ(READ(AT), 1, "slot made");
	EQ(WRITE(AT + 8, 77), 77, "write");
	EQ(a[1], 77, "the process sees the write");
	vm_slot(&vm, 1, 0, AT + SIZE, SIZE, a);
	EQ(READ(AT + SIZE), 1, "slot moved");
	EQ(READ(AT), 0xabcdef, "the slot's old address");
	vm_slot(&vm, 2, 0, AT, SIZE, b);
	EQ(READ(AT), 2, "another slot at that address");
	EQ(READ(AT + SIZE), 1, "the first slot");
	vm_slot(&vm, 2, 0, AT, 0, NULL);
	EQ(READ(AT), 0xabcdef, "deleted");
	vm_slot(&vm, 2, 0, AT, SIZE, a);
	EQ(READ(AT), 1, "the same memory in two slots");
	EQ(WRITE(AT + 16, 5), 5, "write");
	EQ(READ(AT + SIZE + 16), 5, "read through the other slot");
	/* 100 times, to detect stale translations. */
	for (int i = 0; i < 100; i++) {
		vm_slot(&vm, 2, 0, AT, 0, NULL);
		vm_slot(&vm, 2, 0, AT, SIZE, i & 1 ? a : b);
		EQ(READ(AT), i & 1 ? 1 : 2, "round %d", i);
	}
	vm_destroy(&vm);
}

static void host_read_only(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u64 *a = host_memory(SIZE);

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_asked);
	a[0] = 5;
	vm_slot(&vm, 1, KVM_MEM_READONLY, AT, SIZE, a);
	EQ(READ(AT), 5, "read");
	EQ(mmio_exits, 0, "no MMIO exit");
	EQ(WRITE(AT, 6), 5, "write, then read");
	EQ(mmio_writes, 1, "the write is an MMIO exit");
	EQ(mmio_wrote, 6, "its data");
	EQ(a[0], 5, "memory is unchanged");
	a[0] = 9;
	EQ(READ(AT), 9, "the process can change the memory");
	vm_slot(&vm, 1, 0, 0, 0, NULL);
	vm_slot(&vm, 1, 0, AT, SIZE, a);
	EQ(WRITE(AT, 6), 6, "writable now");
	EQ(a[0], 6, "memory");
	vm_destroy(&vm);
}

/* The process's mappings change while the guest uses them (MMU notifier). */
static void host_notifier(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u64 *a = host_memory(SIZE), i;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_asked);
	vm_slot(&vm, 1, 0, AT, SIZE, a);
	for (i = 1; i < 50; i++) {
		EQ(WRITE(AT, i), i, "write");
		switch (i % 3) {
		case 0:
			MUST(!madvise(a, SIZE, MADV_DONTNEED), "madvise");
			EQ(READ(AT), 0, "dropped memory is zero");
			break;
		case 1:
			MUST(mmap(a, SIZE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == a, "mmap");
			a[0] = i * 100;
			EQ(READ(AT), i * 100, "memory after a new mapping");
			break;
		case 2:
			MUST(!mprotect(a, SIZE, PROT_READ), "mprotect");
			EQ(READ(AT), i, "read of memory made read-only");
			MUST(!mprotect(a, SIZE, PROT_READ | PROT_WRITE), "mprotect");
			break;
		}
	}
	/* Without the mapping KVM_RUN fails; once it is back, the VM works again. */
	EQ(READ(AT), a[0], "read");
	munmap(a, SIZE);
	GUEST(&vm, ask_write) = 0;
	GUEST(&vm, ask_addr) = AT;
	EQ(vcpu_run_once(vcpu), -EFAULT, "slot without a mapping");
	MUST(mmap(a, SIZE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == a, "mmap");
	EQ(READ(AT), 0, "memory is mapped again");
	vm_destroy(&vm);
}

/* Slots backed by large pages. */
static void host_huge(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u64 size = 8ul << 20, i;
	u8 *raw = mmap(NULL, size * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u8 *p = (u8 *)(((u64)raw + (2ul << 20) - 1) & ~((2ul << 20) - 1));

	madvise(p, size, MADV_HUGEPAGE);
	memset(p, 0x11, size);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_asked);
	vm_slot(&vm, 1, 0, AT, size, p);
	for (i = 0; i < size; i += 0x31000)
		EQ(WRITE(AT + i, i), i, "write at %#llx", (long long)i);
	for (i = 0; i < size; i += 0x31000)
		EQ(*(u64 *)(p + i), i, "memory at %#llx", (long long)i);
	madvise(p + 0x1000, 0x1000, MADV_DONTNEED);
	EQ(READ(AT + 0x1000), 0, "a small page dropped from a large page");
	EQ(READ(AT + 0x2000), 0x1111111111111111ul, "the next small page");
	vm_destroy(&vm);
}

/* --- faults that wait --- */

static void on_signal(int sig)
{
}

/* The vCPU's thread: one access of the guest to @ask_addr. */
static void *run_thread(void *arg)
{
	return (void *)(long)vcpu_run_once(arg);
}

/* Returns the descriptor of a userfaultfd for @p; skips the test if the kernel has none. */
static int userfault(void *p, u64 size)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .range = { (u64)p, size }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		ksft_skip("no userfaultfd: %s", strerror(errno));
	MUST(!ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &reg), "userfaultfd");
	return fd;
}

/* Any signal ends a KVM_RUN that waits for a page of user memory. */
static void host_userfault(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	u64 *p = host_memory(SIZE);
	int fd = userfault(p, SIZE), major, minor;
	struct uffdio_zeropage zero = { .range = { (u64)p, 0x1000 } };
	struct timespec limit;
	struct uffd_msg msg;
	struct utsname name;
	struct vcpu *vcpu;
	pthread_t thread;
	void *result = NULL;
	bool ended;
	struct vm vm;

	uname(&name);
	if (sscanf(name.release, "%d.%d", &major, &minor) == 2 && major * 100 + minor < 602)
		ksft_skip("before Linux 6.2 only a fatal signal ends the wait");
	sigaction(SIGUSR1, &sa, NULL);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_asked);
	vm_slot(&vm, 1, 0, AT, SIZE, p);
	GUEST(&vm, ask_write) = 0;
	GUEST(&vm, ask_addr) = AT;
	MUST(!pthread_create(&thread, NULL, run_thread, vcpu), "thread");
	MUST(read(fd, &msg, sizeof(msg)) == sizeof(msg) && msg.event == UFFD_EVENT_PAGEFAULT, "the vCPU waits for the page");
	pthread_kill(thread, SIGUSR1);
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 10;
	ended = !pthread_timedjoin_np(thread, &result, &limit);
	OK(ended, "KVM_RUN ends");
	MUST(!ioctl(fd, UFFDIO_ZEROPAGE, &zero), "the page arrives");
	if (!ended) {
		pthread_join(thread, &result);
	} else {
		EQ((long)result, -EINTR, "KVM_RUN");
		EQ(READ(AT), 0, "the guest goes on");
	}
	vm_destroy(&vm);
}

#define BUSY_SIZE	(32ul << 20)

static volatile bool busy_stop;

/* Changes the protection of memory that no slot has, again and again: nearly all its time is an invalidation. */
static void *protect_thread(void *arg)
{
	while (!busy_stop) {
		mprotect(arg, BUSY_SIZE, PROT_READ);
		mprotect(arg, BUSY_SIZE, PROT_READ | PROT_WRITE);
	}
	return NULL;
}

static u64 thread_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

/*
 * A fault does not wait until an invalidation of other memory of the process
 * has ended: the thread that invalidates may be unable to run until then.
 */
static void host_unrelated(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct sched_param fifo = { .sched_priority = 1 }, other = {};
	u8 *p = host_memory(BUSY_SIZE), *a = host_memory(0x100000);
	u64 i, before, longest = 0;
	struct vcpu *vcpu;
	pthread_t thread;
	cpu_set_t one;
	struct vm vm;

	madvise(p, BUSY_SIZE, MADV_NOHUGEPAGE);
	madvise(a, 0x100000, MADV_NOHUGEPAGE);
	memset(p, 1, BUSY_SIZE);
	memset(a, 0, 0x100000);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_asked);
	vm_slot(&vm, 1, 0, AT, 0x100000, a);
	MUST(!pthread_create(&thread, NULL, protect_thread, p), "thread");
	MUST(!sched_setscheduler(0, SCHED_FIFO, &fifo), "SCHED_FIFO");
	for (i = 0; i < 60; i++) {
		nanosleep(&pause, NULL);
		before = thread_ms();
		EQ(READ(AT + i * 0x1000), 0, "a fresh page");
		before = thread_ms() - before;
		longest = before > longest ? before : longest;
	}
	sched_setscheduler(0, SCHED_OTHER, &other);
	busy_stop = true;
	pthread_join(thread, NULL);
	OK(longest < 400, "a fault took the vCPU %llu ms of CPU", (unsigned long long)longest);
	vm_destroy(&vm);
}

/* --- MMIO instructions --- */

static volatile u64 results[32];

static void guest_mmio(void)
{
	volatile u8 *b = (u8 *)MMIO_HOLE;
	u64 v, f;
	u8 buf[16] = "string of MMIO";
	const u8 *src = buf;
	u8 *dst;
	u64 n;

	results[0] = b[0];
	results[1] = *(volatile u16 *)(b + 2);
	results[2] = *(volatile u32 *)(b + 4);
	results[3] = *(volatile u64 *)(b + 8);
	asm volatile("movsbq (%1), %0" : "=r" (v) : "r" (b + 0x80));
	results[4] = v;
	asm volatile("movzwl (%1), %k0" : "=r" (v) : "r" (b + 2));
	results[5] = v;
	b[0x10] = 0x12;
	*(volatile u16 *)(b + 0x12) = 0x3456;
	*(volatile u32 *)(b + 0x14) = 0x789abcde;
	*(volatile u64 *)(b + 0x18) = 0x1122334455667788ul;
	asm volatile("movl $0x55aa, (%0)" : : "r" (b + 0x20) : "memory");
	asm volatile("orb $0x80, (%0)" : : "r" (b + 0x21) : "memory", "cc");
	v = 0x77;
	asm volatile("xchg %b0, (%1)" : "+q" (v) : "r" (b + 0x22) : "memory");
	results[6] = v & 0xff;
	asm volatile("addl $5, (%1); pushfq; pop %0" : "=r" (f) : "r" (b + 0x24) : "memory", "cc");
	results[7] = f & (RFLAGS_CF | RFLAGS_ZF);
	asm volatile("testb $1, (%1); pushfq; pop %0" : "=r" (f) : "r" (b + 1) : "memory", "cc");
	results[8] = f & RFLAGS_ZF;
	dst = (u8 *)b + 0x40;
	n = 4;
	asm volatile("rep movsb" : "+S" (src), "+D" (dst), "+c" (n) : : "memory");
	results[9] = n;
	n = 2;
	dst = (u8 *)b + 0x50;
	asm volatile("rep stosl" : "+D" (dst), "+c" (n) : "a" (0xcafe) : "memory");
	results[10] = (u64)dst;
	/* Across the boundary between two MMIO pages. */
	results[11] = *(volatile u32 *)(b + 0xffe);
}

/* The device: a read at address A returns bytes A, A+1, ...; writes are stored. */
static void host_mmio(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	static u8 dev[0x2000];
	u64 *r, i;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_mmio);
	for (i = 0; i < sizeof(dev); i++)
		dev[i] = i;
	dev[0x24] = dev[0x25] = dev[0x26] = dev[0x27] = 0xff;
	while (vcpu_run_to_call(vcpu, NULL) == GCALL_NONE) {
		struct kvm_run *run = vcpu->run;
		u64 off = run->mmio.phys_addr - MMIO_HOLE;

		if (run->exit_reason != KVM_EXIT_MMIO || off + run->mmio.len > sizeof(dev) || run->mmio.len > 8) {
			describe_exit(vcpu);
			ksft_abort(__FILE__, __LINE__, "unexpected exit");
		}
		if (run->mmio.is_write)
			memcpy(dev + off, run->mmio.data, run->mmio.len);
		else
			memcpy(run->mmio.data, dev + off, run->mmio.len);
	}
	OK(vcpu->done, "it ended");
	r = (u64 *)&GUEST(&vm, results);
	EQ(r[0], 0, "8 bits");
	EQ(r[1], 0x0302, "16 bits");
	EQ(r[2], 0x07060504, "32 bits");
	EQ(r[3], 0x0f0e0d0c0b0a0908ul, "64 bits");
	EQ(r[4], 0xffffffffffffff80ul, "MOVSX");
	EQ(r[5], 0x0302, "MOVZX");
	EQ(dev[0x10], 0x12, "8-bit write");
	EQ(*(u16 *)&dev[0x12], 0x3456, "16-bit write");
	EQ(*(u32 *)&dev[0x14], 0x789abcde, "32-bit write");
	EQ(*(u64 *)&dev[0x18], 0x1122334455667788ul, "64-bit write");
	EQ(*(u16 *)&dev[0x20], 0xd5aa, "write of an immediate, OR");
	EQ(r[6], 0, "XCHG");
	EQ(dev[0x22], 0x77, "XCHG wrote");
	EQ(*(u32 *)&dev[0x24], 4, "ADD");
	EQ(r[7], RFLAGS_CF, "flags of ADD");
	EQ(r[8], 0, "flags of TEST");
	EQ(memcmp(dev + 0x40, "stri", 4), 0, "REP MOVSB");
	EQ(r[9], 0, "RCX after REP MOVSB");
	EQ(*(u32 *)&dev[0x50], 0xcafe, "REP STOSL");
	EQ(*(u32 *)&dev[0x54], 0xcafe, "REP STOSL");
	EQ(r[10], MMIO_HOLE + 0x58, "RDI after REP STOSL");
	EQ(r[11], 0x0100fffe, "across two pages");
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "slots that must be refused", .host = host_refused },
	{ "slots created, moved and deleted", .host = host_slots },
	{ "read-only slots", .host = host_read_only },
	{ "host mappings change", .host = host_notifier },
	{ "large pages", .host = host_huge },
	{ "a signal while a page is missing", .host = host_userfault },
	{ "other memory is invalidated", .host = host_unrelated },
	{ "MMIO instructions", .host = host_mmio },
};
KSFT_MAIN(tests)

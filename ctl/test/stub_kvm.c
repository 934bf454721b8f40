// SPDX-License-Identifier: GPL-2.0
/*
 * A KVM device without a processor, for tests of the whole of drostectl.
 *
 * build/drostectl-stub is drostectl linked with --wrap=ioctl: the calls that go
 * to a KVM device come here, so that any file can be the device. The "guest" is
 * one of the functions below, chosen by the environment variable STUB_GUEST. It
 * runs in a thread and hands its port accesses to KVM_RUN one by one.
 */
#include <asm/bootparam.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../uapi/linux/droste.h"
#include "layout.h"

#define RUN_SIZE	8192
#define RING_BYTES	65536
#define VCPU_SIZE	(KVM_DIRTY_LOG_PAGE_OFFSET * 4096 + RING_BYTES)
#define DATA_OFFSET	4096
#define IDLE_US		1000

#define MSR_TSC		0x010
#define MSR_PAT		0x277
#define MSR_MCG_CAP	0x179
#define MCG_CMCI	(1ull << 10)

#define LSR_DR		0x01
#define MCR_READY	0x03	/* DTR and RTS: the guest takes input */

int fsync(int fd);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

static struct {
	int fd;			/* of vCPU 0 */
	struct kvm_run *run;
	sem_t resume;		/* the guest may go on */
	sem_t left;		/* the guest has left */
	bool idle;		/* it left because it has nothing to do */
	bool started;
} cpu0 = { .fd = -1 };

static uint8_t *memory;		/* the guest's, from address 0 */
static int vm_fd = -1;		/* the last VM that was made */

/* WBINVD. */
static struct {
	bool on;		/* DROSTE_SET_BARRIER */
	bool waits;		/* for DROSTE_RELEASE_BARRIER */
	uint64_t seq;
} barrier;

/* The dirty ring of vCPU 0. */
static struct {
	struct kvm_dirty_gfn *entry;
	unsigned int next;
} ring;

static void leave(bool idle)
{
	cpu0.idle = idle;
	sem_post(&cpu0.left);
	while (sem_wait(&cpu0.resume))
		;
}

static uint8_t *access_port(bool out, uint16_t port, unsigned int size)
{
	struct kvm_run *run = cpu0.run;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = out ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	run->io.port = port;
	run->io.size = size;
	run->io.count = 1;
	run->io.data_offset = DATA_OFFSET;
	leave(false);
	return (uint8_t *)run + DATA_OFFSET;
}

static uint8_t inb(uint16_t port)
{
	return *access_port(false, port, 1);
}

static void out_value(uint16_t port, unsigned int size, uint16_t val)
{
	memcpy((uint8_t *)cpu0.run + DATA_OFFSET, &val, size);
	access_port(true, port, size);
}

static void print(const char *text)
{
	while (*text)
		out_value(PORT_COM1, 1, *text++);
}

static void power_off(void)
{
	out_value(PORT_PM1_CNT, 2, 1 << 13 | S5_SLP_TYP << 10);
}

static void take_input(void)
{
	out_value(PORT_COM1 + 4, 1, MCR_READY);
}

static uint8_t get_key(void)
{
	while (!(inb(PORT_COM1 + 5) & LSR_DR))
		leave(true);
	return inb(PORT_COM1);
}

static void hang(void)
{
	for (;;)
		leave(true);
}

/* Asks for input and never reads it. */
static void guest_deaf(void)
{
	take_input();
	print("READY\r\n");
	hang();
}

/* Sends back what it receives, and powers off on 'q'. */
static void guest_echo(void)
{
	uint8_t key;

	take_input();
	print("READY\r\n");
	while ((key = get_key()) != 'q')
		out_value(PORT_COM1, 1, key);
	power_off();
}

/* Begins to read long after the user began to type. */
static void guest_late(void)
{
	print("READY\r\n");
	for (int i = 0; i < 300; i++)
		leave(true);
	guest_echo();
}

/* Counts its input up to a '!'. */
static void guest_count(void)
{
	unsigned int n = 0, sum = 0;
	char text[64];
	uint8_t key;

	take_input();
	while ((key = get_key()) != '!') {
		n++;
		sum = sum * 31 + key;
	}
	snprintf(text, sizeof(text), "%u bytes, sum %08x\n", n, sum);
	print(text);
	power_off();
}

/* Prints lines without end. */
static void guest_chatty(void)
{
	for (;;)
		print("The guest prints a line, and another, and another.\r\n");
}

/* Prints one line and powers off. */
static void guest_brief(void)
{
	print("READY\n");
	power_off();
}

/* Prints a line without its end, and stays. */
static void guest_prompt(void)
{
	take_input();
	print("login: ");
	hang();
}

/* Ends as Linux does if it has no root file system. */
static void guest_rootless(void)
{
	print("VFS: Unable to mount root fs on unknown-block(0,0)\r\n"
	      "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n"
	      "CPU: 0 PID: 1 Comm: swapper/0\r\n"
	      "---[ end Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0) ]---\r\n");
	hang();
}

/* The same with panic=-1 on the command line: the guest resets at once. */
static void guest_rootless_reset(void)
{
	print("VFS: Unable to mount root fs on unknown-block(0,0)\r\n");
	out_value(PORT_RESET, 1, 4);
}

/* Prints the kernel's command line. */
static void guest_cmdline(void)
{
	print("[");
	print((char *)memory + GPA_CMDLINE);
	print("]\n");
	power_off();
}

/* Prints the size of the initial RAM disk and its first bytes. */
static void guest_initrd(void)
{
	const struct boot_params *bp = (void *)(memory + GPA_ZERO_PAGE);
	char text[64];

	snprintf(text, sizeof(text), "%u bytes: %.6s\n", bp->hdr.ramdisk_size,
		 bp->hdr.ramdisk_size ? (char *)memory + bp->hdr.ramdisk_image : "");
	print(text);
	power_off();
}

/* Writes a number into so many pages from 1 MiB on. */
static void write_pages(unsigned int n, uint64_t number)
{
	for (unsigned int i = 0; i < n; i++) {
		struct kvm_dirty_gfn *e = &ring.entry[ring.next++ % (RING_BYTES / sizeof(*e))];

		while (__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE))
			leave(true);
		memcpy(memory + (256 + i) * 4096, &number, sizeof(number));
		e->slot = 0;
		e->offset = 256 + i;
		__atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_DIRTY, __ATOMIC_RELEASE);
	}
}

static void wbinvd(void)
{
	struct droste_barrier_exit e = { .seq = ++barrier.seq, .level = 1 };

	__atomic_store_n(&barrier.waits, true, __ATOMIC_RELEASE);
	cpu0.run->exit_reason = DROSTE_EXIT_BARRIER;
	memcpy(cpu0.run->padding, &e, sizeof(e));
	leave(false);
	while (__atomic_load_n(&barrier.waits, __ATOMIC_ACQUIRE))
		leave(true);
}

/* Prints numbers; while barriers are on, writes STUB_PAGES pages and executes WBINVD behind each. */
static void guest_barriers(void)
{
	unsigned int pages = atoi(getenv("STUB_PAGES") ?: "4");
	char text[32];

	for (uint64_t n = 1;; n++) {
		snprintf(text, sizeof(text), "number %llu\n", (unsigned long long)n);
		print(text);
		leave(true);
		if (!__atomic_load_n(&barrier.on, __ATOMIC_ACQUIRE))
			continue;
		write_pages(pages, n);
		wbinvd();
	}
}

/* Writes STUB_PAGES pages again and again. */
static void guest_writes(void)
{
	unsigned int pages = atoi(getenv("STUB_PAGES") ?: "4");

	print("READY\n");
	for (uint64_t n = 1;; n++)
		write_pages(pages, n);
}

/* Asks to be saved or moved, and says how often it has. */
static void guest_asks(void)
{
	char text[32];

	for (unsigned int n = 1;; n++) {
		out_value(PORT_MOVE, 1, 1);
		snprintf(text, sizeof(text), "asked %u\n", n);
		print(text);
		leave(true);
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} guests[] = {
	{ "deaf", guest_deaf }, { "echo", guest_echo }, { "late", guest_late },
	{ "count", guest_count }, { "chatty", guest_chatty },
	{ "brief", guest_brief }, { "prompt", guest_prompt },
	{ "rootless", guest_rootless },
	{ "rootless-reset", guest_rootless_reset }, { "cmdline", guest_cmdline },
	{ "initrd", guest_initrd }, { "barriers", guest_barriers }, { "asks", guest_asks },
	{ "writes", guest_writes },
};

static void *guest_thread(void *name)
{
	while (sem_wait(&cpu0.resume))
		;
	for (size_t i = 0; i < sizeof(guests) / sizeof(guests[0]); i++)
		if (!strcmp(guests[i].name, name))
			guests[i].run();
	hang();
	return NULL;
}

static void start_guest(void)
{
	char *name = getenv("STUB_GUEST");
	pthread_t thread;

	sem_init(&cpu0.resume, 0, 0);
	sem_init(&cpu0.left, 0, 0);
	if (pthread_create(&thread, NULL, guest_thread, name ? name : ""))
		abort();
	pthread_detach(thread);
	cpu0.started = true;
}

/* Processors other than the first are never started, so they only wait. */
static int run_other(int fd)
{
	struct kvm_run *run = mmap(NULL, RUN_SIZE, PROT_READ, MAP_SHARED, fd, 0);

	while (!__atomic_load_n(&run->immediate_exit, __ATOMIC_ACQUIRE))
		usleep(IDLE_US);
	munmap(run, RUN_SIZE);
	errno = EINTR;
	return -1;
}

static int run_cpu0(void)
{
	if (!cpu0.started)
		start_guest();
	do {
		if (__atomic_load_n(&cpu0.run->immediate_exit, __ATOMIC_ACQUIRE)) {
			errno = EINTR;
			return -1;
		}
		if (cpu0.idle)
			usleep(IDLE_US);
		sem_post(&cpu0.resume);
		while (sem_wait(&cpu0.left))
			;
	} while (cpu0.idle);
	return 0;
}

static int create_vcpu(unsigned long id)
{
	int fd = memfd_create("vcpu", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, VCPU_SIZE))
		return -1;
	/* A VM that only asks what the device has is made before, or while the guest runs. */
	if (!cpu0.started && !id) {
		cpu0.fd = fd;
		cpu0.run = mmap(NULL, RUN_SIZE, PROT_READ | PROT_WRITE,
				MAP_SHARED, fd, 0);
		ring.entry = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				  KVM_DIRTY_LOG_PAGE_OFFSET * 4096);
	}
	return fd;
}

static int supported_cpuid(struct kvm_cpuid2 *list)
{
	const char *features = getenv("STUB_FEATURES");

	list->nent = 2;
	list->entries[0] = (struct kvm_cpuid_entry2){ .function = 0, .eax = 1 };
	list->entries[1] = (struct kvm_cpuid_entry2){ .function = 1, .ecx = features ? strtoul(features, NULL, 0) : 0 };
	return 0;
}

/* With STUB_POOL_CHANGES, the device gets a pool that has little as soon as the guest runs. */
static bool little(void)
{
	return cpu0.started && getenv("STUB_POOL_CHANGES");
}

/* Two MSRs, or none. */
static int msr_list(struct kvm_msr_list *list, uint32_t n)
{
	list->nmsrs = n;
	if (n) {
		list->indices[0] = MSR_TSC;
		list->indices[1] = MSR_PAT;
	}
	return 0;
}

/*
 * MSRs keep what is written. STUB_MSRS has values that they begin with, as if the guest had written them: INDEX=VALUE, with
 * commas between them. IA32_MCG_CAP is STUB_MCG_CAP, and cannot be written; there are as many banks as it says.
 */
static struct {
	uint32_t index;
	uint64_t value;
} msrs[256];
static unsigned int nr_msrs;
static uint64_t mcg_cap = MCG_CMCI | 2;

static uint64_t *find_msr(uint32_t index)
{
	for (unsigned int i = 0; i < nr_msrs; i++)
		if (msrs[i].index == index)
			return &msrs[i].value;
	if (nr_msrs == sizeof(msrs) / sizeof(msrs[0]))
		abort();
	msrs[nr_msrs].index = index;
	msrs[nr_msrs].value = index >= 0x400 && index < 0x480 && index % 4 == 0 ? UINT64_MAX : 0;
	return &msrs[nr_msrs++].value;
}

static void begin_msrs(void)
{
	char *at = getenv("STUB_MSRS"), *cap = getenv("STUB_MCG_CAP");

	if (nr_msrs)
		return;
	find_msr(MSR_TSC);
	if (cap)
		mcg_cap = strtoull(cap, NULL, 0);
	while (at && *at) {
		uint32_t index = strtoul(at, &at, 0);

		*find_msr(index) = strtoull(at + 1, &at, 0);
		at += *at == ',';
	}
}

static bool has_msr(uint32_t index)
{
	uint32_t banks = mcg_cap & 0xff;

	return index >= 0x400 && index < 0x480 ? index < 0x400 + 4 * banks : index >= 0x280 && index < 0x2a0 ? index < 0x280 + banks : true;
}

/* One MSR is read or written at a time. Returns how many were. */
static int access_msr(struct kvm_msrs *m, bool set)
{
	begin_msrs();
	if (!has_msr(m->entries[0].index) || (set && m->entries[0].index == MSR_MCG_CAP))
		return 0;
	if (!set)
		m->entries[0].data = m->entries[0].index == MSR_MCG_CAP ? mcg_cap : *find_msr(m->entries[0].index);
	else
		*find_msr(m->entries[0].index) = m->entries[0].data;
	return 1;
}

static int setup_mce(const uint64_t *cap)
{
	errno = EINVAL;
	if ((*cap & 0xff) > 32)
		return -1;
	mcg_cap = *cap;
	return 0;
}

/* The state of this processor is always 0. */
static int get_state(unsigned long request, void *arg)
{
	memset(arg, 0, _IOC_SIZE(request));
	return 0;
}

static int set_memory(const struct kvm_userspace_memory_region *slot)
{
	if (!slot->guest_phys_addr)
		memory = (void *)(uintptr_t)slot->userspace_addr;
	return 0;
}

/*
 * STUB_WAITS names a place at which the program waits until somebody has opened the FIFO STUB_FIFO for writing: the reading of
 * the devices' state, or the fsync() of a file or directory.
 */
static void wait_at(const char *place)
{
	const char *where = getenv("STUB_WAITS");

	if (!where)
		return;
	fprintf(stderr, "stub: at %s\n", place);
	if (!strcmp(where, place))
		close(open(getenv("STUB_FIFO"), O_RDONLY | O_CLOEXEC));
}

/* The stub's own, in place of the library's. STUB_DISK_FAILS is the errno with which it fails for directories. */
int fsync(int fd)
{
	const char *fails = getenv("STUB_DISK_FAILS");
	struct stat st;
	bool is_dir = !fstat(fd, &st) && S_ISDIR(st.st_mode);

	wait_at(is_dir ? "directory" : "file");
	errno = is_dir && fails ? atoi(fails) : 0;
	return errno ? -1 : syscall(SYS_fsync, fd);
}

/* The stub's own as well. With STUB_SLOW_SIGNALS, all threads that wait for a signal have seen it before one of them takes it. */
ssize_t read(int fd, void *to, size_t size)
{
	static unsigned int n;

	if (size == sizeof(struct signalfd_siginfo) && getenv("STUB_SLOW_SIGNALS"))
		usleep(__atomic_fetch_add(&n, 1, __ATOMIC_RELAXED) % 2 ? 50 * IDLE_US : 5 * IDLE_US);
	return syscall(SYS_read, fd, to, size);
}

static int check_extension(int fd, unsigned long cap)
{
	if (cap == KVM_CAP_XCRS && fd != vm_fd)
		return !little();
	if (cap == KVM_CAP_DIRTY_LOG_RING_ACQ_REL)
		return RING_BYTES;
	return cap == KVM_CAP_MAX_VCPUS || cap == KVM_CAP_NR_VCPUS ? 64 : 1;
}

/* The pool of the host is a structure in the file that STUB_POOL names. */
static int get_pool(struct droste_pool *p)
{
	FILE *f = fopen(getenv("STUB_POOL") ?: "", "r");
	size_t n = f ? fread(p, sizeof(*p), 1, f) : 0;

	if (f)
		fclose(f);
	errno = ENOTTY;
	return n == 1 ? 0 : -1;
}

/* STUB_REFUSES is the errno with which the device refuses a pool. */
static int set_pool(const struct droste_pool *p)
{
	const char *refuses = getenv("STUB_REFUSES");

	fprintf(stderr, "stub: a pool of %u leaves\n", p->nr_cpuid);
	errno = refuses ? atoi(refuses) : 0;
	return errno ? -1 : 0;
}

static int reset_rings(void)
{
	for (unsigned int i = 0; i < RING_BYTES / sizeof(*ring.entry); i++)
		if (__atomic_load_n(&ring.entry[i].flags, __ATOMIC_ACQUIRE) == KVM_DIRTY_GFN_F_RESET)
			__atomic_store_n(&ring.entry[i].flags, 0, __ATOMIC_RELEASE);
	return 0;
}

static int set_barrier(bool on)
{
	__atomic_store_n(&barrier.on, on, __ATOMIC_RELEASE);
	if (!on)
		__atomic_store_n(&barrier.waits, false, __ATOMIC_RELEASE);
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	unsigned long arg;
	va_list ap;

	va_start(ap, request);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	if (_IOC_TYPE(request) != KVMIO && _IOC_TYPE(request) != DROSTE_IOC_MAGIC)
		return __real_ioctl(fd, request, arg);
	switch (request) {
	case KVM_GET_API_VERSION:
		return KVM_API_VERSION;
	case KVM_CHECK_EXTENSION:
		return check_extension(fd, arg);
	case KVM_GET_VCPU_MMAP_SIZE:
		return RUN_SIZE;
	case KVM_CREATE_VM:
		vm_fd = eventfd(0, EFD_CLOEXEC);
		return vm_fd;
	case KVM_CREATE_VCPU:
		return create_vcpu(arg);
	case KVM_GET_SUPPORTED_CPUID:
		return supported_cpuid((void *)arg);
	case KVM_SET_USER_MEMORY_REGION:
		return set_memory((void *)arg);
	case KVM_SET_MSRS:
	case KVM_GET_MSRS:
		return access_msr((void *)arg, request == KVM_SET_MSRS);
	case KVM_X86_SETUP_MCE:
		return setup_mce((void *)arg);
	case KVM_GET_CPUID2:
		return supported_cpuid((void *)arg);
	case KVM_GET_MSR_INDEX_LIST:
		return msr_list((void *)arg, little() ? 0 : 2);
	case KVM_GET_MSR_FEATURE_INDEX_LIST:
		return msr_list((void *)arg, 0);
	case KVM_GET_TSC_KHZ:
		return 1000000;
	case KVM_GET_CLOCK:
		wait_at("devices");
		return get_state(request, (void *)arg);
	case KVM_GET_REGS:
	case KVM_GET_LAPIC:
	case KVM_GET_MP_STATE:
	case KVM_GET_VCPU_EVENTS:
	case KVM_GET_DEBUGREGS:
	case KVM_GET_XCRS:
	case KVM_GET_PIT2:
		return get_state(request, (void *)arg);
	case KVM_GET_XSAVE:
		memset((void *)arg, 0, sizeof(struct kvm_xsave));
		return 0;
	case KVM_GET_IRQCHIP:
	case KVM_ENABLE_CAP:
	case KVM_SET_LAPIC:
	case KVM_SET_MP_STATE:
	case KVM_SET_VCPU_EVENTS:
	case KVM_SET_DEBUGREGS:
	case KVM_SET_XCRS:
	case KVM_SET_XSAVE:
	case KVM_SET_IRQCHIP:
	case KVM_SET_PIT2:
	case KVM_SET_CLOCK:
	case KVM_SET_TSC_KHZ:
		return 0;
	case KVM_RESET_DIRTY_RINGS:
		return reset_rings();
	case DROSTE_SET_BARRIER:
		return set_barrier(((struct droste_barrier *)arg)->flags & DROSTE_BARRIER_EXITS);
	case DROSTE_RELEASE_BARRIER:
		__atomic_store_n(&barrier.waits, false, __ATOMIC_RELEASE);
		return 0;
	case DROSTE_GET_FORCE_EXITS:
		((struct droste_force_exits *)arg)->supported = DROSTE_FORCE_CR3_LOAD | DROSTE_FORCE_RDTSC;
		return 0;
	case DROSTE_FORCE_EXITS:
		fprintf(stderr, "stub: mask %#llx\n", (unsigned long long)((struct droste_force_exits *)arg)->mask);
		return 0;
	case DROSTE_GET_POOL:
		return get_pool((void *)arg);
	case DROSTE_SET_POOL:
		return set_pool((void *)arg);
	case KVM_GET_SREGS:
		memset((void *)arg, 0, sizeof(struct kvm_sregs));
		return 0;
	case KVM_RUN:
		return fd == cpu0.fd ? run_cpu0() : run_other(fd);
	case KVM_SET_CPUID2:
	case KVM_SET_SREGS:
	case KVM_SET_REGS:
	case KVM_CREATE_IRQCHIP:
	case KVM_CREATE_PIT2:
	case KVM_SET_IDENTITY_MAP_ADDR:
	case KVM_SET_TSS_ADDR:
	case KVM_IRQ_LINE:
		return 0;
	default:
		errno = ENOTTY;
		return -1;
	}
}

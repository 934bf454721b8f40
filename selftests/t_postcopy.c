// SPDX-License-Identifier: GPL-2.0
/*
 * Post-copy: L1 and its L2 run while user space supplies their pages by userfaultfd. Signals end each KVM_RUN that waits
 * for one, and no page and no instruction is lost by that.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "vm.h"
#include "vmx.h"

#define AT	0x20000000ul	/* address of the slot whose pages come late */
#define PAGES	96ul
#define SLOT	1
#define SIGNALS	3		/* before each page */

/* --- the guest: adds up what is in the pages, which it changes --- */

#define STEP	37ul		/* from page to page */

/* LATE_EPT: the last page of the slot, which comes late, too, has a table of EPT12; or a VMCS; or the MSR bitmap. */
enum tables { NO_EPT, EPT, LATE_EPT, LATE_VMCS, LATE_BITMAP };

/* RBX: the page. RAX: what was in it. */
#define CODE(name, text) \
extern char name[]; \
asm(".pushsection .text\n.globl " #name "\n" #name ":\n" text "\n\tvmcall\n.popsection\n")
CODE(c_exchange, "mov $1, %eax; lock xadd %rax, (%rbx)");

static u64 page_of(u64 i)
{
	return AT + i * STEP % PAGES * 4096;
}

static void guest_l1(void)
{
	u64 i, sum = 0;

	for (i = 0; i < PAGES; i++)
		sum += (*(volatile u64 *)page_of(i))++;
	g_sync2(1, sum);
}

/* L0 writes to the first region, and reads the second one, before L1 does. */
static void guest_vmcs(void)
{
	vmx_on();
	G_EQ(vmclear(AT + PAGES * 4096), VM_OK, "VMCLEAR");
	G_EQ(vmptrld(page_of(0)), VM_INVALID, "VMPTRLD of what is no VMCS");
	guest_l1();
}

static void guest_l2(void)
{
	u64 eptp = ept_new(), sum = 0, i, *table;

	vmcs_new((void (*)(void))(u64)c_exchange);
	if (g_arg() == LATE_EPT) {
		/* The last page of the slot has the table that maps the others; the host fills it. */
		table = (u64 *)(AT + PAGES * 4096);
		*ept_entry(eptp, AT, 2) = (u64)table | EPT_RWX;
	}
	if (g_arg() != NO_EPT)
		ept_use(eptp);
	if (g_arg() == LATE_BITMAP) {
		need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
		vmwrite(F_MSR_BITMAP, AT + PAGES * 4096);
	}
	for (i = 0; i < PAGES; i++) {
		vmwrite(F_RIP, (u64)c_exchange);
		l2.rbx = page_of(i);
		vmx_expect(R_VMCALL, "L2");
		sum += l2.rax;
	}
	g_sync2(1, sum);
}

/* --- the machine that the pages come from --- */

static u64 content(u64 page)
{
	return 0x1000001ul * (page + 1);
}

static void fill(u64 *to, u64 page, enum tables tables)
{
	u64 i;

	memset(to, 0, 4096);
	to[0] = content(page);
	for (i = 0; i < 512 && page == PAGES && tables == LATE_EPT; i++)
		to[i] = (AT + i * 4096) | EPT_RWX | EPT_MT_WB;
}

static void on_signal(int sig)
{
}

static volatile u64 interrupted;
static volatile bool over;

/* Runs the vCPU until it tells its sum, which is the result. */
static void *run_to_sum(void *arg)
{
	struct vcpu *vcpu = arg;
	u64 args[4], call;

	while ((call = vcpu_run_to_call(vcpu, args)) == GCALL_NONE) {
		EQ(vcpu->run->exit_reason, KVM_EXIT_INTR, "exit");
		interrupted++;
	}
	over = true;
	MUST(call == GCALL_SYNC, "call %llu", (unsigned long long)call);
	return (void *)args[1];
}

/* Returns the descriptor of a userfaultfd for @p; skips the test if the kernel has none. */
static int userfault(void *p, u64 size)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .range = { (u64)p, size }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		ksft_skip("no userfaultfd: %s", strerror(errno));
	MUST(!ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &reg), "userfaultfd");
	return fd;
}

/* Waits for the next page that is missing. Returns its number, or ~0 when the guest has ended. */
static u64 next_missing(int fd, const u8 *memory)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct uffd_msg msg;

	while (!over)
		if (poll(&p, 1, 20) == 1 && read(fd, &msg, sizeof(msg)) == sizeof(msg)) {
			MUST(msg.event == UFFD_EVENT_PAGEFAULT, "event %u", msg.event);
			return (msg.arg.pagefault.address - (u64)memory) / 4096;
		}
	return ~0ul;
}

static void late(void (*fn)(void), enum tables tables)
{
	struct sigaction a = { .sa_handler = on_signal };
	u64 size = (PAGES + 1) * 4096, sum, page, i, came = 0, want = 0, was;
	bool has[PAGES + 1] = { };
	extern u64 guest_arg;
	int fd, major, minor;
	struct utsname name;
	struct vcpu *vcpu;
	pthread_t thread;
	u64 *buffer;
	struct vm vm;
	u8 *memory;
	void *ret;

	uname(&name);
	if (sscanf(name.release, "%d.%d", &major, &minor) == 2 && major * 100 + minor < 602)
		ksft_skip("before Linux 6.2 only a fatal signal ends the wait");
	guest_arg = tables;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	buffer = aligned_alloc(4096, 4096);
	MUST(memory != MAP_FAILED && buffer, "memory");
	fd = userfault(memory, size);
	vm_create(&vm, 0);
	if (fn != guest_l1 && !vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	vcpu = vcpu_create(&vm, 0, fn);
	vm_slot(&vm, SLOT, 0, AT, size, memory);
	sigaction(SIGUSR1, &a, NULL);
	MUST(!pthread_create(&thread, NULL, run_to_sum, vcpu), "thread");
	while ((page = next_missing(fd, memory)) != ~0ul) {
		struct uffdio_copy copy = { .dst = (u64)memory + page * 4096, .src = (u64)buffer, .len = 4096 };

		MUST(page <= PAGES, "page %llu", (unsigned long long)page);
		/* The guest comes back to a page after a signal, so that there may be more than one message. */
		if (has[page])
			continue;
		for (i = 0; i < SIGNALS; i++)
			for (was = interrupted; interrupted == was; sched_yield())
				pthread_kill(thread, SIGUSR1);
		fill(buffer, page, tables);
		MUST(!ioctl(fd, UFFDIO_COPY, &copy), "page %llu comes: %s", (unsigned long long)page, strerror(errno));
		has[page] = true;
		came++;
	}
	pthread_join(thread, &ret);
	sum = (u64)ret;
	for (page = 0; page < PAGES; page++)
		want += content(page);
	EQ(sum, want, "what the guest read");
	for (page = 0; page < PAGES; page++)
		EQ(*(u64 *)(memory + page * 4096), content(page) + 1, "page %llu", (unsigned long long)page);
	EQ(came, PAGES + (tables >= LATE_EPT), "pages that came");
	OK(interrupted >= came * SIGNALS, "KVM_RUN was interrupted %llu times", (unsigned long long)interrupted);
	vm_destroy(&vm);
}

static void late_l1(void)
{
	late(guest_l1, NO_EPT);
}

static void late_no_ept(void)
{
	late(guest_l2, NO_EPT);
}

static void late_ept(void)
{
	late(guest_l2, EPT);
}

static void late_tables(void)
{
	late(guest_l2, LATE_EPT);
}

static void late_vmcs(void)
{
	late(guest_vmcs, LATE_VMCS);
}

static void late_bitmap(void)
{
	late(guest_l2, LATE_BITMAP);
}

static const struct ksft_test tests[] = {
	{ "pages of L1", .host = late_l1 },
	{ "pages of L2 without EPT", .host = late_no_ept },
	{ "pages of L2 with EPT", .host = late_ept },
	{ "pages of L2 and the table of EPT12 that maps them", .host = late_tables },
	{ "a VMCS", .host = late_vmcs },
	{ "pages of L2 and its MSR bitmap", .host = late_bitmap },
};
KSFT_MAIN(tests)

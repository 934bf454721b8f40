// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of a PCI device in a slot: the graphics card of Bochs and QEMU, which the lab has with `scripts/lab exec --vga`.
 * t_pfnmap.c has what needs no such device.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/droste.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "devguest.h"
#include "devmap.h"
#include "inspect.h"
#include "vm.h"
#include "vmx.h"

#define READS	1000ul
#define VGA_AT		0x500	/* some place in its memory */

static char vga[128];	/* the card's directory in sysfs */

static bool vga_is(const char *directory)
{
	unsigned int vendor = 0, device = 0;
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/vendor", directory);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%x", &vendor) != 1)
		return false;
	fclose(f);
	snprintf(path, sizeof(path), "%s/device", directory);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%x", &device) != 1)
		return false;
	fclose(f);
	return vendor == 0x1234 && device == 0x1111;
}

static void vga_find(void)
{
	glob_t g;
	size_t i;

	if (!glob("/sys/bus/pci/devices/*", 0, NULL, &g)) {
		for (i = 0; i < g.gl_pathc && !*vga; i++)
			if (vga_is(g.gl_pathv[i]))
				snprintf(vga, sizeof(vga), "%s", g.gl_pathv[i]);
	}
	if (!*vga)
		ksft_skip("no graphics card on PCI");
}

static void vga_tell(const char *file, const char *what)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), *file == '/' ? "%s%s" : "%s/%s", *file == '/' ? "" : vga, file);
	f = fopen(path, "w");
	MUST(f && fputs(what, f) >= 0 && !fclose(f), "%s: %s", path, strerror(errno));
}

int ioperm(unsigned long from, unsigned long num, int turn_on);

static void vga_set(u16 index, u16 value)
{
	outw(0x1ce, index);
	outw(0x1cf, value);
}

/* The card's memory is there only in one of its own modes: 640 by 480, 32 bits. */
static void vga_on(void)
{
	if (!*vga)
		vga_find();
	vga_tell("enable", "1");
	if (ioperm(0x1ce, 3, 1))
		ksft_skip("ports: %s", strerror(errno));
	vga_set(4, 0);
	vga_set(1, 640);
	vga_set(2, 480);
	vga_set(3, 32);
	vga_set(4, 0x41);
}

/* The card's memory, which its first BAR has. */
static volatile u32 *vga_map(volatile void *place)
{
	char path[160];
	void *p;
	int fd;

	snprintf(path, sizeof(path), "%s/resource0", vga);
	fd = open(path, O_RDWR);
	MUST(fd >= 0, "%s: %s", path, strerror(errno));
	p = mmap((void *)place, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | (place ? MAP_FIXED : 0), fd, 0);
	MUST(p != MAP_FAILED, "mmap of %s: %s", path, strerror(errno));
	close(fd);
	return p;
}

static volatile u64 bad;

static void read_vga(void)
{
	volatile u32 *p = (u32 *)(AT + VGA_AT);
	u64 i;

	got = *p;
	for (i = 0; i < READS; i++)
		bad += *p != got;
}

static void l2_vga(void)
{
	for (;;) {
		read_vga();
		try_vmcall();
	}
}

static void guest_vga(void)
{
	read_vga();
	g_sync(1);
	read_vga();
	g_sync(2);
	vmx_on();
	vmcs_new(l2_vga);
	ept_use(ept_new());
	vmx_expect(R_VMCALL, "the first round");
	vmx_skip();
	g_sync(3);
	vmx_expect(R_VMCALL, "the second round");
	vmx_skip();
	g_sync(4);
}

static void host_vga_reads(void)
{
	struct devmap_exits before;
	struct vcpu *vcpu;
	struct vm vm;
	volatile u32 *p;
	u64 i;

	vga_on();
	p = vga_map(NULL);
	p[VGA_AT / 4] = MARK;
	EQ(p[VGA_AT / 4], MARK, "the card's memory");
	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	vcpu = vcpu_create(&vm, 0, guest_vga);
	vm_slot(&vm, 1, 0, AT, PAGE, (void *)p);
	for (i = 0; i < 2; i++) {
		vcpu_run_to_sync(vcpu, 1 + 2 * i);
		EQ(GUEST(&vm, got), MARK, "the value in level %d", (int)i + 1);
		before = devmap_exits(vcpu);
		vcpu_run_to_sync(vcpu, 2 + 2 * i);
		if (before.known)
			EQ(devmap_exits(vcpu).caused - before.caused, 0, "exits of %lu accesses of level %d", READS, (int)i + 1);
	}
	EQ(GUEST(&vm, bad), 0, "bad values");
	vm_destroy(&vm);
}

static void host_vga_memory(void)
{
	u64 log = 0;
	struct kvm_dirty_log get = { .slot = 1, .dirty_bitmap = &log };
	struct vcpu *vcpu;
	struct vm vm;
	volatile u32 *p;
	int fd;

	vga_on();
	p = vga_map(NULL);
	*p = 1;
	vm_create(&vm, 0);
	fd = inspect_mine(&vm);
	vcpu = vcpu_create(&vm, 0, guest_asked);
	vm_slot(&vm, 1, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGE, (void *)p);
	EQ(access_page(vcpu, 0, false), 0, "a read");
	EQ(GUEST(&vm, got), 1, "the card's memory");
	EQ(type01(fd), DEVMAP_UC, "its type");
	DO(vm.fd, KVM_GET_DIRTY_LOG, &get);
	EQ(log, 0, "the log after a read");
	EQ(access_page(vcpu, 0, true), 0, "a write");
	EQ(*p, MARK, "the card's memory");
	DO(vm.fd, KVM_GET_DIRTY_LOG, &get);
	EQ(log, 1, "the log after a write");
	close(fd);
	vm_destroy(&vm);
}

/* A driver claims the card's memory, or gives it back (scripts/lab.d/vfio). */
static void vga_claim(bool on)
{
	unsigned long long start = 0;
	char path[160], text[32];
	FILE *f;

	snprintf(path, sizeof(path), "%s/resource", vga);
	f = fopen(path, "r");
	MUST(f && fscanf(f, "%llx", &start) == 1, "%s", path);
	fclose(f);
	snprintf(text, sizeof(text), "%#llx\n", on ? start : 0);
	vga_tell("/sys/module/lab_vfio/parameters/claim", text);
}

/* The kernel takes the memory that a driver claims from all processes, and so from all guests. */
static void host_vga_claimed(void)
{
	struct devmap_thread t;
	volatile u32 *p;
	struct vm vm;
	int i;

	if (access("/sys/module/lab_vfio/parameters/claim", W_OK))
		ksft_skip("no driver that claims the card");
	vga_on();
	p = vga_map(NULL);
	*p = MARK;
	vm_create(&vm, 0);
	t.vcpu = vcpu_create(&vm, 0, guest_loop);
	vm_slot(&vm, 1, 0, AT, PAGE, (void *)p);
	for (i = 0; i < 2; i++) {
		devmap_start(&t);
		MUST(two_rounds(&vm), "the guest runs");
		EQ(GUEST(&vm, seen), MARK, "the card's memory");
		vga_claim(true);
		EQ(devmap_join(&t), -EFAULT, "KVM_RUN without the card");
		vga_claim(false);
		vga_map(p);
	}
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "L1 and L2 read the BAR of a PCI card without an exit", .host = host_vga_reads },
	{ "a PCI card's memory, and the dirty log", .host = host_vga_memory },
	{ "a driver takes the PCI card while the guest runs", .host = host_vga_claimed },
};

KSFT_MAIN(tests)

// SPDX-License-Identifier: GPL-2.0
/* The device, VM and vCPU descriptors: results and errors of their ioctls, and that they may be closed in any order. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include "guest.h"
#include "save.h"
#include "vm.h"

#ifndef KVM_CAP_USER_MEMORY2
#define KVM_CAP_USER_MEMORY2 231
#endif

static void guest_nothing(void)
{
	outb(0x80, 1);
}

/* In KVM the error depends on the descriptor; Droste always returns ENOTTY. */
#define UNKNOWN(fd, req, arg) do { \
	int ret__ = ioctl(fd, req, arg); \
	OK(ret__ < 0 && (errno == ENOTTY || errno == EINVAL), #req " is unknown on this descriptor"); \
} while (0)

static void host_device(void)
{
	int fd = device_open(), size;

	EQ(DO(fd, KVM_GET_API_VERSION, 0), 12, "API version");
	FAILS(fd, KVM_GET_API_VERSION, 1, EINVAL);
	size = DO(fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	OK(size >= 4096 && size % 4096 == 0, "size of the vCPU mapping");
	FAILS(fd, KVM_GET_VCPU_MMAP_SIZE, 7, EINVAL);
	FAILS(fd, KVM_CREATE_VM, 0xdead, EINVAL);
	UNKNOWN(fd, 0x12345678, 0);
	UNKNOWN(fd, KVM_RUN, 0);
	UNKNOWN(fd, KVM_CREATE_VCPU, 0);
	UNKNOWN(fd, KVM_GET_REGS, 0);
	OK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED, "the device cannot be mapped");
	close(fd);
}

static void host_capabilities(void)
{
	static const int must[] = {
		KVM_CAP_IRQCHIP, KVM_CAP_HLT, KVM_CAP_USER_MEMORY, KVM_CAP_EXT_CPUID, KVM_CAP_MP_STATE,
		KVM_CAP_DESTROY_MEMORY_REGION_WORKS, KVM_CAP_IRQ_ROUTING, KVM_CAP_VCPU_EVENTS, KVM_CAP_DEBUGREGS,
		KVM_CAP_XSAVE, KVM_CAP_READONLY_MEM, KVM_CAP_SIGNAL_MSI, KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_IRQFD,
		KVM_CAP_IOEVENTFD, KVM_CAP_NR_VCPUS, KVM_CAP_MAX_VCPUS, KVM_CAP_NR_MEMSLOTS, KVM_CAP_GET_MSR_FEATURES,
	};
	int fd = device_open(), vm;
	u64 i;

	vm = DO(fd, KVM_CREATE_VM, 0);
	for (i = 0; i < ARRAY_SIZE(must); i++) {
		OK(ioctl(fd, KVM_CHECK_EXTENSION, must[i]) > 0, "capability %d", must[i]);
		OK(ioctl(vm, KVM_CHECK_EXTENSION, must[i]) > 0, "capability %d of the VM", must[i]);
	}
	EQ(ioctl(fd, KVM_CHECK_EXTENSION, 100000), 0, "an unknown capability");
	EQ(ioctl(fd, KVM_CHECK_EXTENSION, -1), 0, "an unknown capability");
}

/* The maximum number of vCPUs, and one more; the highest ID, and one more. */
/* The tables of docs/abi.md. A capability that was built for a newer kernel may be missing. */
static void host_documented_capabilities(void)
{
	static const struct {
		const char *name;
		int cap;
		long val;
	} rows[] = {
#define ROW(cap, val) { #cap, cap, val },
#include "abi_caps.inc"
#undef ROW
	};
	struct vm vm;
	u64 i;

	if (!is_droste())
		ksft_skip("the documentation is about Droste");
	vm_create(&vm, 0);
	OK(ARRAY_SIZE(rows) > 80, "%llu capabilities are documented", (unsigned long long)ARRAY_SIZE(rows));
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		long got = ioctl(vm.fd, KVM_CHECK_EXTENSION, rows[i].cap);

		OK(got == rows[i].val || (!got && rows[i].cap >= KVM_CAP_USER_MEMORY2), "docs/abi.md has %ld for %s, but it is %ld",
		   rows[i].val, rows[i].name, got);
	}
	vm_destroy(&vm);
}

static void host_vcpu_limits(void)
{
	int fd = device_open(), vm = DO(fd, KVM_CREATE_VM, 0);
	int max = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS), ids = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID);
	struct rlimit files = { 300, 300 };
	int i;

	OK(max >= 256 && ids >= max, "%d vCPUs, IDs below %d", max, ids);
	setrlimit(RLIMIT_NOFILE, &files);
	DO(vm, KVM_CREATE_IRQCHIP, 0);
	DO(vm, KVM_CREATE_VCPU, ids - 1);
	EQ(ioctl(vm, KVM_CREATE_VCPU, ids), -1, "an ID above the limit");
	EQ(errno, EINVAL, "errno");
	for (i = 0; i < 260; i++)
		DO(vm, KVM_CREATE_VCPU, i);
	EQ(ioctl(vm, KVM_CREATE_VCPU, 259), -1, "an ID in use");
	EQ(errno, EEXIST, "errno");
	EQ(ioctl(vm, KVM_SET_NR_MMU_PAGES, 63), -1, "too few shadow pages");
	EQ(errno, EINVAL, "errno");
	DO(vm, KVM_SET_NR_MMU_PAGES, 64);
}

static void host_cpuid_lists(void)
{
	int fd = device_open();
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + 256 * sizeof(c->entries[0]));
	u32 n;

	c->nent = 0;
	FAILS(fd, KVM_GET_SUPPORTED_CPUID, c, E2BIG);
	FAILS(fd, KVM_GET_EMULATED_CPUID, c, E2BIG);
	c->nent = 256;
	DO(fd, KVM_GET_EMULATED_CPUID, c);
	OK(c->nent < 10, "%u entries of emulated features", c->nent);
	c->nent = 1;
	FAILS(fd, KVM_GET_SUPPORTED_CPUID, c, E2BIG);
	c->nent = 256;
	DO(fd, KVM_GET_SUPPORTED_CPUID, c);
	n = c->nent;
	OK(n > 10 && n < 256, "entries: %u", n);
	c->nent = n;
	DO(fd, KVM_GET_SUPPORTED_CPUID, c);
	EQ(c->nent, n, "entries again");
	FAILS(fd, KVM_GET_SUPPORTED_CPUID, 0, EFAULT);
	FAILS(fd, KVM_GET_SUPPORTED_CPUID, 8, EFAULT);
}

static void host_msr_lists(void)
{
	static const u32 reqs[] = { KVM_GET_MSR_INDEX_LIST, KVM_GET_MSR_FEATURE_INDEX_LIST };
	int fd = device_open();
	struct kvm_msr_list *l = calloc(1, sizeof(*l) + 1024 * 4);
	struct vm vm;
	struct vcpu *vcpu;
	u64 i, v;

	for (i = 0; i < 2; i++) {
		l->nmsrs = 0;
		EQ(ioctl(fd, reqs[i], l), -1, "an empty list");
		EQ(errno, E2BIG, "errno");
		OK(l->nmsrs > 0 && l->nmsrs < 1024, "the number of MSRs is returned");
		EQ(ioctl(fd, reqs[i], l), 0, "the list");
	}
	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_nothing);
	l->nmsrs = 1024;
	DO(fd, KVM_GET_MSR_INDEX_LIST, l);
	for (i = 0; i < l->nmsrs; i++) {
		if (vcpu_get_msr(vcpu, l->indices[i], &v) == 0)
			continue;
		OK(l->indices[i] >= 0x40000000 && l->indices[i] < 0x50000000, "MSR %#x of the list can be read", l->indices[i]);
	}
	OK(vcpu_get_msr(vcpu, 0x1fff, &v), "an MSR that does not exist");
	l->nmsrs = 1024;
	DO(fd, KVM_GET_MSR_FEATURE_INDEX_LIST, l);
	for (i = 0; i < l->nmsrs; i++) {
		struct { struct kvm_msrs head; struct kvm_msr_entry e; } one = { { .nmsrs = 1 }, { .index = l->indices[i] } };

		EQ(ioctl(fd, KVM_GET_MSRS, &one), 1, "feature MSR %#x, of the device", l->indices[i]);
		EQ(vcpu_get_msr(vcpu, l->indices[i], &v), 0, "feature MSR %#x, of a vCPU", l->indices[i]);
	}
}

/* The linear address ~0 is invalid outside 64-bit mode. */
static void host_translate(void)
{
	struct kvm_translation tr = { .linear_address = 0xfff0 };
	struct vm vm;
	int fd;

	vm_create(&vm, 0);
	fd = DO(vm.fd, KVM_CREATE_VCPU, 0);
	DO(fd, KVM_TRANSLATE, &tr);
	EQ(tr.valid, 1, "an address without paging");
	EQ(tr.physical_address, 0xfff0, "is the physical address");
	tr.linear_address = ~0ull;
	DO(fd, KVM_TRANSLATE, &tr);
	EQ(tr.valid, 0, "an address of 64 bits");
	close(fd);
	vm_destroy(&vm);
}

static void host_vm_errors(void)
{
	struct vm vm;
	int i;

	vm_create(&vm, 0);
	UNKNOWN(vm.fd, 0x12345678, 0);
	UNKNOWN(vm.fd, KVM_GET_API_VERSION, 0);
	UNKNOWN(vm.fd, KVM_RUN, 0);
	FAILS(vm.fd, KVM_CREATE_VCPU, 1 << 20, EINVAL);
	FAILS(vm.fd, KVM_CREATE_VCPU, -1, EINVAL);
	vcpu_create(&vm, 0, guest_nothing);
	FAILS(vm.fd, KVM_CREATE_VCPU, 0, EEXIST);
	FAILS(vm.fd, KVM_SET_USER_MEMORY_REGION, 0, EFAULT);
	/* An interrupt controller cannot be created any more. */
	i = ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0);
	OK(i < 0 && errno == EINVAL, "an irqchip after a vCPU");
	vm_destroy(&vm);
	vm_create(&vm, KSFT_IRQCHIP);
	FAILS(vm.fd, KVM_CREATE_IRQCHIP, 0, EEXIST);
	vm_destroy(&vm);
}

static void host_vcpu_errors(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_sregs s;
	struct kvm_mp_state mp = { .mp_state = 99 };
	u64 bad;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_nothing);
	UNKNOWN(vcpu->fd, 0x12345678, 0);
	UNKNOWN(vcpu->fd, KVM_CREATE_VCPU, 0);
	FAILS(vcpu->fd, KVM_RUN, 1, EINVAL);
	FAILS(vcpu->fd, KVM_GET_REGS, 0, EFAULT);
	FAILS(vcpu->fd, KVM_SET_REGS, 0, EFAULT);
	FAILS(vcpu->fd, KVM_SET_SREGS, 8, EFAULT);
	FAILS(vcpu->fd, KVM_SET_MP_STATE, &mp, EINVAL);
	vcpu_sregs(vcpu, &s);
	bad = s.cr4;
	s.cr4 |= 1ul << 40;
	FAILS(vcpu->fd, KVM_SET_SREGS, &s, EINVAL);
	s.cr4 = bad;
	s.efer |= BIT(9);
	FAILS(vcpu->fd, KVM_SET_SREGS, &s, EINVAL);
	s.efer &= ~BIT(9);
	s.cr0 &= ~CR0_PE;
	FAILS(vcpu->fd, KVM_SET_SREGS, &s, EINVAL);
	s.cr0 |= CR0_PE;
	DO(vcpu->fd, KVM_SET_SREGS, &s);
	EQ(vcpu_run_once(vcpu), 0, "the vCPU still runs");
	EQ(vcpu->run->exit_reason, KVM_EXIT_IO, "exit");
	vm_destroy(&vm);
}

static void host_registers(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_regs r, r2;
	struct kvm_sregs s, s2;
	struct kvm_debugregs d = { .db = { 1, 2, 3, 4 }, .dr6 = 0xffff0ff0, .dr7 = 0x400 }, d2;
	u64 i;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_nothing);
	for (i = 0; i < sizeof(r) / 8; i++)
		((u64 *)&r)[i] = 0x0101010101010101ul * (i + 1);
	r.rflags = 0x202;
	vcpu_set_regs(vcpu, &r);
	vcpu_regs(vcpu, &r2);
	EQ(memcmp(&r, &r2, sizeof(r)), 0, "registers");
	vcpu_sregs(vcpu, &s);
	s.fs.base = 0x123456789000;
	s.gs.base = 0xffff888800000000;
	s.cr2 = 0x777;
	vcpu_set_sregs(vcpu, &s);
	vcpu_sregs(vcpu, &s2);
	EQ(s2.fs.base, s.fs.base, "FS base");
	EQ(s2.gs.base, s.gs.base, "GS base");
	EQ(s2.cr2, 0x777, "CR2");
	EQ(s2.cr0, s.cr0, "CR0");
	EQ(s2.cr3, s.cr3, "CR3");
	EQ(s2.cr4, s.cr4, "CR4");
	EQ(s2.efer, s.efer, "EFER");
	EQ(s2.tr.base, s.tr.base, "TR base");
	EQ(s2.cs.l, 1, "CS.L");
	DO(vcpu->fd, KVM_SET_DEBUGREGS, &d);
	DO(vcpu->fd, KVM_GET_DEBUGREGS, &d2);
	for (i = 0; i < 4; i++)
		EQ(d2.db[i], i + 1, "DR%d", (int)i);
	EQ(d2.dr7, 0x400, "DR7");
	vm_destroy(&vm);
}

/* Descriptors may be closed in any order; those still open keep working. */
static void host_close_order(void)
{
	int order, i;

	for (order = 0; order < 6; order++) {
		static const u8 perm[6][3] = {
			{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
		};
		struct vm vm;
		struct vcpu *vcpu;

		vm_create(&vm, order & 1 ? KSFT_IRQCHIP : 0);
		vcpu = vcpu_create(&vm, 0, guest_nothing);
		for (i = 0; i < 3; i++) {
			if (perm[order][i] == 0)
				close(vm.dev);
			if (perm[order][i] == 1)
				close(vm.fd);
			if (perm[order][i] == 2) {
				munmap(vcpu->run, vm.run_size);
				close(vcpu->fd);
				vcpu->run = NULL;
			} else if (vcpu->run) {
				vcpu_start(vcpu, guest_nothing, 0);
				EQ(vcpu_run_once(vcpu), 0, "a vCPU outlives its VM's descriptor");
				EQ(vcpu->run->exit_reason, KVM_EXIT_IO, "exit");
			}
		}
		munmap(vm.mem, MEM_SIZE);
	}
}

static void host_mapping_outlives(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_nothing);
	EQ(vcpu_run_once(vcpu), 0, "run");
	close(vcpu->fd);
	close(vm.fd);
	close(vm.dev);
	EQ(vcpu->run->exit_reason, KVM_EXIT_IO, "the mapping is still there");
	vcpu->run->exit_reason = 5;
	munmap(vcpu->run, vm.run_size);
}

/* A VM uses the memory of the process that created it, so a forked child cannot run it. */
static void host_fork(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	int status;
	pid_t pid;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_nothing);
	pid = fork();
	if (!pid)
		_exit(vcpu_run_once(vcpu) == -EIO ? 0 : 1);
	waitpid(pid, &status, 0);
	EQ(status, 0, "KVM_RUN of a forked child fails with EIO");
	EQ(vcpu_run_once(vcpu), 0, "the parent's vCPU still runs");
}

/* With "insmod droste.ko kvm_node=1", /dev/kvm is Droste too. */
static void host_kvm_node(void)
{
	char on = 'N';
	struct vm vm;
	struct vcpu *vcpu;
	struct stat st;
	int fd;

	fd = open("/sys/module/droste/parameters/kvm_node", O_RDONLY);
	if (fd < 0 || read(fd, &on, 1) != 1 || on != 'Y')
		ksft_skip("Droste was not loaded with kvm_node=1");
	close(fd);
	MUST(!lstat("/dev/kvm", &st), "/dev/kvm exists");
	OK(S_ISCHR(st.st_mode), "a character device");
	EQ(major(st.st_rdev), 10, "major number");
	EQ(minor(st.st_rdev), 232, "minor number");
	setenv("DROSTE_DEVICE", "/dev/kvm", 1);
	EQ(DO(device_open(), KVM_GET_API_VERSION, 0), 12, "API version");
	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_nothing);
	EQ(vcpu_run_once(vcpu), 0, "a vCPU runs");
	EQ(vcpu->run->exit_reason, KVM_EXIT_IO, "exit");
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "device ioctls and errors", .host = host_device },
	{ "capabilities", .host = host_capabilities },
	{ "capabilities as documented", .host = host_documented_capabilities },
	{ "limits of vCPUs", .host = host_vcpu_limits },
	{ "lists of CPUID entries", .host = host_cpuid_lists },
	{ "lists of MSRs", .host = host_msr_lists },
	{ "KVM_TRANSLATE without paging", .host = host_translate },
	{ "errors of VM ioctls", .host = host_vm_errors },
	{ "errors of vCPU ioctls", .host = host_vcpu_errors },
	{ "registers set and read back", .host = host_registers },
	{ "descriptors closed in any order", .host = host_close_order },
	{ "the mapping of a closed vCPU", .host = host_mapping_outlives },
	{ "a forked child", .host = host_fork },
	{ "/dev/kvm with kvm_node=1", .host = host_kvm_node },
};
KSFT_MAIN(tests)

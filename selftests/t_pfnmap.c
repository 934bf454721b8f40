// SPDX-License-Identifier: GPL-2.0
/*
 * Slots of memory that a driver has mapped to user space (VM_PFNMAP): registers of a device, and what else has no struct
 * page. The device is the HPET, which every machine of the lab has. t_bar.c does the same with a PCI device.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/droste.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "devguest.h"
#include "devmap.h"
#include "inspect.h"
#include "save.h"
#include "vm.h"
#include "vmx.h"

#define READS	1000ul
#define COUNTER	0xf0		/* the HPET's main counter */
#define DATA_PORT 0x1234

/* The HPET's registers; skips the subtest if there are none to be had. */
static void *hpet_at(int fd, void *place)
{
	void *p = mmap(place, PAGE, PROT_READ, MAP_SHARED | (place ? MAP_FIXED : 0), fd, 0);

	if (p == MAP_FAILED)
		ksft_skip("mmap of the HPET: %s", strerror(errno));
	return p;
}

static int hpet_open(void)
{
	int fd = open("/dev/hpet", O_RDONLY);

	if (fd < 0)
		ksft_skip("/dev/hpet: %s", strerror(errno));
	return fd;
}

/* --- registers, without an exit --- */

static volatile u64 bad, turns;

/* Reads a constant and the counter many times. */
static void read_registers(void)
{
	volatile u32 *id = (u32 *)AT, *counter = (u32 *)(AT + COUNTER);
	u32 want = *id, last = *counter;
	u64 i;

	for (i = 0; i < READS; i++) {
		u32 now = *counter;

		bad += *id != want || (int)(now - last) < 0;
		last = now;
	}
	turns++;
}

static void guest_registers(void)
{
	/* The first round also maps the guest's own memory. */
	read_registers();
	g_sync2(1, *(u32 *)AT);
	read_registers();
	g_sync2(2, *(u32 *)(AT + COUNTER));
}

static void l2_registers(void)
{
	for (;;) {
		read_registers();
		try_vmcall();
	}
}

static void guest_l2_registers(void)
{
	vmx_on();
	vmcs_new(l2_registers);
	if (g_arg())
		ept_use(ept_new());
	vmx_expect(R_VMCALL, "the first round");
	vmx_skip();
	g_sync2(1, *(u32 *)AT);
	vmx_expect(R_VMCALL, "the second round");
	vmx_skip();
	g_sync2(2, *(u32 *)(AT + COUNTER));
}

static void registers(void (*guest)(void), u64 arg, bool l2)
{
	struct devmap_exits before, after;
	u64 args[4], first, last;
	int fd = hpet_open();
	u32 *regs = hpet_at(fd, NULL);
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, 0);
	if (l2 && !vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	vcpu = vcpu_create(&vm, 0, guest);
	vcpu_start(vcpu, guest, arg);
	vm_slot(&vm, 1, 0, AT, PAGE, regs);
	first = regs[COUNTER / 4];
	MUST(vcpu_run_to_call(vcpu, args) == GCALL_SYNC, "a sync");
	EQ(args[1], regs[0], "the register that the guest reads");
	before = devmap_exits(vcpu);
	MUST(vcpu_run_to_call(vcpu, args) == GCALL_SYNC, "a sync");
	after = devmap_exits(vcpu);
	last = regs[COUNTER / 4];
	OK((u32)(args[1] - first) <= (u32)(last - first), "the counter: %#llx, in the guest %#llx, then %#llx",
	   (long long)first, (long long)args[1], (long long)last);
	EQ(GUEST(&vm, turns), 2, "rounds");
	EQ(GUEST(&vm, bad), 0, "bad values");
	if (before.known)
		EQ(after.caused - before.caused, 0, "exits of %lu accesses", 2 * READS);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_registers(void)
{
	registers(guest_registers, 0, false);
}

static void host_l2_registers(void)
{
	registers(guest_l2_registers, 1, true);
}

static void host_l2_registers_noept(void)
{
	registers(guest_l2_registers, 0, true);
}

/* --- memory types --- */

static void guest_types(void)
{
	u64 eptp, types[] = { 6, 0, 1, 4, 5 }, i, ipat;

	vmx_on();
	vmcs_new(l2_registers);
	eptp = ept_new();
	ept_use(eptp);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		for (ipat = 0; ipat < 2; ipat++) {
			*ept_entry(eptp, AT, 1) = AT | types[i] << 3 | ipat << 6 | EPT_RWX;
			invept_all();
			vmx_expect(R_VMCALL, "L2 reads");
			vmx_skip();
			g_sync2(1, types[i] | ipat << 3);
		}
	}
}

/* Whatever L1 says, a device's memory is UC, or WC if L1 asks for it. Nothing else is safe for the host. */
static void host_types(void)
{
	u32 *regs = hpet_at(hpet_open(), NULL);
	u64 args[4], n = 0;
	struct vcpu *vcpu;
	struct vm vm;
	int fd;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	fd = inspect_mine(&vm);
	vcpu = vcpu_create(&vm, 0, guest_types);
	vm_slot(&vm, 1, 0, AT, PAGE, regs);
	while (vcpu_run_to_call(vcpu, args) == GCALL_SYNC) {
		struct droste_ept e = { .gpa = AT };
		u64 leaf;

		DO(fd, DROSTE_GET_EPT, &e);
		EQ(devmap_type(devmap_leaf(&e.ept01)), DEVMAP_UC, "type of L1's memory");
		leaf = devmap_leaf(&e.ept02);
		EQ(devmap_type(leaf), ((args[1] & 7) == 1 ? DEVMAP_WC : DEVMAP_UC) | (args[1] & 8 ? DEVMAP_IPAT : 0),
		   "type of L2's memory for L1's type %llu, IPAT %llu", (long long)args[1] & 7, (long long)args[1] >> 3);
		EQ(leaf & 0xffffffffff000, devmap_leaf(&e.ept01) & 0xffffffffff000, "page");
		n++;
	}
	EQ(n, 10, "types");
	close(fd);
	vm_destroy(&vm);
}

/* --- pages that come and go --- */

static void l2_loop(void)
{
	guest_loop();
	try_vmcall();
}

static void guest_l2_loop(void)
{
	vmx_on();
	vmcs_new(l2_loop);
	if (g_arg())
		ept_use(ept_new());
	vmx_expect(R_VMCALL, "the end of the loop");
}

static void come_and_go(int fd, void (*guest)(void), u64 arg, bool l2)
{
	u32 *window = hpet_at(fd, NULL), id = *window;
	struct devmap_thread t;
	struct vm vm;
	int i;

	vm_create(&vm, 0);
	if (l2 && !vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	t.vcpu = vcpu_create(&vm, 0, guest);
	vcpu_start(t.vcpu, guest, arg);
	vm_slot(&vm, 1, 0, AT, PAGE, window);
	devmap_start(&t);
	for (i = 0; i < 10; i++) {
		MUST(two_rounds(&vm), "the guest runs, round %d", i);
		EQ(GUEST(&vm, seen), id, "the device's register, round %d", i);
		MUST(mmap(window, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == window, "mmap");
		*window = MARK + i;
		MUST(two_rounds(&vm), "the guest runs on memory, round %d", i);
		EQ(GUEST(&vm, seen), MARK + i, "memory in place of the device, round %d", i);
		hpet_at(fd, window);
	}
	MUST(two_rounds(&vm), "the guest runs");
	/*
	 * Without the right to read, and then without any mapping, KVM_RUN fails, and goes on once there is one again. KVM
	 * maps what a driver has mapped for a process that may not read it.
	 */
	for (i = is_droste() ? 0 : 1; i < 2; i++) {
		if (i)
			munmap(window, PAGE);
		else
			mprotect(window, PAGE, PROT_NONE);
		EQ(devmap_join(&t), -EFAULT, "KVM_RUN without the device");
		hpet_at(fd, window);
		devmap_start(&t);
		MUST(two_rounds(&vm), "the guest runs again");
		EQ(GUEST(&vm, seen), id, "the device's register");
	}
	GUEST(&vm, stop) = 1;
	EQ(devmap_join(&t), 0, "the guest's end");
	vm_destroy(&vm);
}

static void host_come_and_go(void)
{
	come_and_go(hpet_open(), guest_loop, 0, false);
}

static void host_l2_come_and_go(void)
{
	int fd = hpet_open();

	come_and_go(fd, guest_l2_loop, 1, true);
	come_and_go(fd, guest_l2_loop, 0, true);
}

/* --- mixed slots --- */

static u32 *window_of(u64 pages, int prot)
{
	u32 *p = mmap(NULL, pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED, "mmap");
	return p;
}

static void host_mixed(void)
{
	u32 *p = window_of(4, PROT_READ | PROT_WRITE), *second = p + PAGE / 4, id;
	struct vcpu *vcpu;
	struct vm vm;

	id = *(u32 *)hpet_at(hpet_open(), second);
	mprotect(p + 2 * PAGE / 4, PAGE, PROT_NONE);
	p[0] = 1;
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_asked);
	vm_slot(&vm, 1, 0, AT, 4 * PAGE, p);
	EQ(access_page(vcpu, 0, false), 0, "memory before the device");
	EQ(GUEST(&vm, got), 1, "its value");
	EQ(access_page(vcpu, 1, false), 0, "the device");
	EQ(GUEST(&vm, got), id, "its register");
	EQ(access_page(vcpu, 3, true), 0, "memory behind it");
	EQ(p[3 * PAGE / 4], MARK, "its value");
	/* The process may not write the registers, so its guest may not. */
	EQ(access_page(vcpu, 1, true), is_droste() ? -EFAULT : KVM_EXIT_MMIO, "a write to a mapping without that right");
	EQ(*second, id, "the register");
	if (!is_droste())
		return;
	MUST(mmap(second, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == second, "mmap");
	EQ(devmap_go(vcpu), 0, "the same write, to memory");
	EQ(*second, MARK, "its value");
	EQ(access_page(vcpu, 2, false), -EFAULT, "memory without rights");
	mprotect(p + 2 * PAGE / 4, PAGE, PROT_READ);
	EQ(devmap_go(vcpu), 0, "the same read, with the right");
	EQ(access_page(vcpu, 2, true), -EFAULT, "a write without the right");
	vm_destroy(&vm);
}

/* In a read-only slot, the guest's writes are the user's to emulate. */
static void host_readonly_slot(void)
{
	u32 *regs = hpet_at(hpet_open(), NULL);
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_asked);
	vm_slot(&vm, 1, KVM_MEM_READONLY, AT, PAGE, regs);
	EQ(access_page(vcpu, 0, false), 0, "a read");
	EQ(GUEST(&vm, got), regs[0], "the register");
	EQ(access_page(vcpu, 0, true), KVM_EXIT_MMIO, "a write");
	EQ(vcpu->run->mmio.phys_addr, AT, "its address");
	vm_destroy(&vm);
}

/* --- /dev/mem: RAM and ROM as a driver's memory --- */

#define SOME_RAM	0x2000		/* below 1 MiB the kernel lets root map RAM, of which it uses little */
#define SOME_ROM	0xf0000

static u32 *devmem(off_t at, int prot, int kind)
{
	int fd = open("/dev/mem", O_RDWR);
	u32 *p = fd < 0 ? MAP_FAILED : mmap(NULL, PAGE, prot, kind, fd, at);

	if (p == MAP_FAILED)
		ksft_skip("/dev/mem: %s", strerror(errno));
	close(fd);
	return p;
}

static void host_devmem_types(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	u32 *p;
	int fd;

	vm_create(&vm, 0);
	fd = inspect_mine(&vm);
	vcpu = vcpu_create(&vm, 0, guest_asked);
	p = devmem(SOME_ROM, PROT_READ, MAP_SHARED);
	vm_slot(&vm, 1, 0, AT, PAGE, p);
	EQ(access_page(vcpu, 0, false), 0, "ROM");
	EQ(GUEST(&vm, got), *p, "its value");
	EQ(type01(fd), DEVMAP_UC, "its type: it is no RAM");
	vm_slot(&vm, 1, 0, AT, 0, p);
	p = devmem(SOME_RAM, PROT_READ, MAP_SHARED);
	vm_slot(&vm, 1, 0, AT, PAGE, p);
	EQ(access_page(vcpu, 0, false), 0, "RAM");
	EQ(GUEST(&vm, got), *p, "its value");
	EQ(type01(fd), DEVMAP_WB | DEVMAP_IPAT, "its type, which must be the host's");
	EQ(access_page(vcpu, 0, true), -EFAULT, "a write");
	close(fd);
	vm_destroy(&vm);
}

/* A private mapping of RAM: the first write gives the process a copy, which is an ordinary page in a VM_PFNMAP area. */
static void host_devmem_private(void)
{
	u32 *shared = devmem(SOME_RAM, PROT_READ, MAP_SHARED), before = *shared;
	u32 *p = devmem(SOME_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	u64 log = 0;
	struct kvm_dirty_log get = { .slot = 1, .dirty_bitmap = &log };
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_asked);
	vm_slot(&vm, 1, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGE, p);
	EQ(access_page(vcpu, 0, false), 0, "a read");
	EQ(GUEST(&vm, got), before, "RAM");
	DO(vm.fd, KVM_GET_DIRTY_LOG, &get);
	EQ(log, 0, "the log after a read");
	EQ(access_page(vcpu, 0, true), 0, "a write");
	EQ(*p, MARK, "the copy");
	EQ(*shared, before, "RAM");
	DO(vm.fd, KVM_GET_DIRTY_LOG, &get);
	EQ(log, 1, "the log after a write");
	EQ(access_page(vcpu, 0, false), 0, "a read");
	EQ(GUEST(&vm, got), MARK, "the copy");
	vm_destroy(&vm);
}

/* --- what L0 accesses itself --- */

static void guest_outs(void)
{
	u64 from = AT;

	asm volatile("outsl" : "+S" (from) : "d" (DATA_PORT) : "memory");
	G_EQ(from, AT + 4, "RSI");
}

/* L0's emulator reads the operand. */
static void host_emulator(void)
{
	u32 *regs = hpet_at(hpet_open(), NULL);
	struct vcpu *vcpu;
	struct vm vm;

	if (!is_droste())
		ksft_skip("KVM reads it byte by byte, which ends the emulated machine");
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_outs);
	vm_slot(&vm, 1, 0, AT, PAGE, regs);
	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	EQ(vcpu->run->exit_reason, KVM_EXIT_IO, "exit");
	EQ(vcpu->run->io.port, DATA_PORT, "port");
	EQ(*(u32 *)((u8 *)vcpu->run + vcpu->run->io.data_offset), regs[0], "the register");
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void guest_rep_outs(void)
{
	u64 from = AT, n = 4;

	asm volatile("rep outsl" : "+S" (from), "+c" (n) : "d" (DATA_PORT) : "memory");
	G_EQ(from, AT + 16, "RSI");
	G_EQ(n, 0, "RCX");
}

/* A block that is read as a whole, by accesses of another size, comes in one exit. */
static void host_elements(void)
{
	u32 *regs = hpet_at(hpet_open(), NULL);
	struct vcpu *vcpu;
	struct vm vm;
	int i;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_rep_outs);
	if (!devmap_exits(vcpu).known)
		ksft_skip("this is for Droste");
	vm_slot(&vm, 1, 0, AT, PAGE, regs);
	for (i = 0; i < 4; i++) {
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		EQ(vcpu->run->exit_reason, KVM_EXIT_IO, "exit");
		EQ(vcpu->run->io.port, DATA_PORT, "port");
		EQ(vcpu->run->io.count, 1, "elements");
		EQ(*(u32 *)((u8 *)vcpu->run + vcpu->run->io.data_offset), regs[i], "register %d", i);
	}
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void l2_msr(void)
{
	rdmsr(MSR_PAT);
	try_vmcall();
}

/* Structures of L1 in a driver's memory, of which L0 may read what it likes, and can write nothing. */
static volatile u64 tpr_shadow;

static void guest_structures(void)
{
	u64 eptp, reason;

	vmx_on();
	G_OK(vmptrld(AT) != VM_OK, "VMPTRLD of ROM");
	vmcs_new(l2_msr);
	need(F_PROC, PROC_MSR_BITMAPS, "MSR bitmaps");
	vmwrite(F_MSR_BITMAP, AT);
	reason = vmx_run();
	G_OK(reason == R_RDMSR || reason == R_VMCALL, "an MSR bitmap");
	vmcs_new(l2_msr);
	vmwrite(F_ENTRY_MSR_LOAD, AT);
	vmwrite(F_ENTRY_LOAD_COUNT, 1);
	reason = vmx_run();
	G_OK(reason == (R_FAILED_ENTRY | R_BAD_MSRS), "a list of MSRs");
	vmcs_new(l2_msr);
	eptp = ept_new();
	ept_use(eptp);
	*ept_entry(eptp, 0, 4) = AT | EPT_RWX;
	reason = vmx_run();
	G_OK(reason == R_EPT_MISCONFIG || reason == R_EPT_VIOLATION, "EPT's tables");
	if (!tpr_shadow)
		return;
	vmcs_new(l2_msr);
	need(F_PROC, PROC_TPR_SHADOW, "TPR shadow");
	vmwrite(F_VIRTUAL_APIC, AT);
	vmwrite(F_TPR_THRESHOLD, 0);
	reason = vmx_run();
	G_OK(reason == R_RDMSR || reason == R_VMCALL, "a virtual-APIC page");
}

static void host_structures(void)
{
	u32 *rom = devmem(SOME_ROM, PROT_READ, MAP_SHARED);
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	vcpu = vcpu_create(&vm, 0, guest_structures);
	GUEST(&vm, tpr_shadow) = is_droste();	/* for KVM, which has no page there, the entry fails as if a control were wrong */
	vm_slot(&vm, 1, 0, AT, PAGE, rom);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- buffers of the processor that accesses to a device can show: on the lab's strict machine, which counts VERW --- */

enum { LAB_ENTRIES = 0x4c414210, LAB_VERW = 0x4c414213 };

static u64 lab_count(int fd, u32 msr)
{
	u64 val = 0;

	if (pread(fd, &val, 8, msr) != 8)
		ksft_skip("the processor does not count barriers");
	return val;
}

static bool vulnerable(const char *bug)
{
	char line[128] = "";
	FILE *f;

	snprintf(line, sizeof(line), "/sys/devices/system/cpu/vulnerabilities/%s", bug);
	f = fopen(line, "r");
	if (!f || !fgets(line, sizeof(line), f))
		ksft_skip("%s", line);
	fclose(f);
	return strncmp(line, "Not affected", 12);
}

static void guest_touches(void)
{
	volatile u64 *heap = (u64 *)HEAP;
	u64 i;

	for (i = 0; i < 32; i++)
		outb(DATA_PORT, heap[i]);
	g_sync(1);
	got = *(volatile u32 *)AT;
	g_sync(2);
	for (i = 0; i < 32; i++)
		outb(DATA_PORT, heap[i]);
	g_sync(3);
}

static u64 run_to(struct vcpu *vcpu, int fd, u64 *entries)
{
	u64 zero = 0;
	int ret;

	MUST(pwrite(fd, &zero, 8, LAB_ENTRIES) == 8, "counters");
	do {
		ret = devmap_go(vcpu);
	} while (ret == KVM_EXIT_IO);
	EQ(ret, 0, "the guest's call");
	*entries = lab_count(fd, LAB_ENTRIES);
	return lab_count(fd, LAB_VERW);
}

static void host_buffers(void)
{
	int fd = open("/dev/cpu/0/msr", O_RDWR);
	u32 *regs = hpet_at(hpet_open(), NULL);
	struct vcpu *vcpu;
	u64 verw, entries;
	struct vm vm;

	if (fd < 0)
		ksft_skip("/dev/cpu/0/msr");
	lab_count(fd, LAB_ENTRIES);
	if (!vulnerable("mmio_stale_data") || vulnerable("mds"))
		ksft_skip("this is for processors that have only MMIO stale data");
	on_cpu(0);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_touches);
	vm_slot(&vm, 1, 0, AT, PAGE, regs);
	verw = run_to(vcpu, fd, &entries);
	OK(entries > 32, "%llu entries", (long long)entries);
	EQ(verw, 0, "entries with VERW before the guest has a device");
	run_to(vcpu, fd, &entries);
	EQ(GUEST(&vm, got), regs[0], "the device's register");
	verw = run_to(vcpu, fd, &entries);
	OK(entries > 32, "%llu entries", (long long)entries);
	EQ(verw, entries, "entries with VERW since");
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "a guest reads a device's registers without an exit", .host = host_registers },
	{ "so does an L2 of an L1 with EPT", .host = host_l2_registers },
	{ "and an L2 of an L1 without EPT", .host = host_l2_registers_noept },
	{ "a device's memory is never cached, whatever L1 says", .host = host_types },
	{ "a mapping comes and goes while the guest runs", .host = host_come_and_go },
	{ "a mapping comes and goes while an L2 runs", .host = host_l2_come_and_go },
	{ "a slot of memory and a device", .host = host_mixed },
	{ "a read-only slot of a device", .host = host_readonly_slot },
	{ "/dev/mem: the types of RAM and ROM", .host = host_devmem_types },
	{ "/dev/mem: a private mapping of RAM", .host = host_devmem_private },
	{ "the emulator reads a register", .host = host_emulator },
	{ "the emulator reads registers one by one", .host = host_elements },
	{ "L1's structures in a driver's memory", .host = host_structures },
	{ "buffers are cleared at entries once the guest has a device", .host = host_buffers },
};

KSFT_MAIN(tests)

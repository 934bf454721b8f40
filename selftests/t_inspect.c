// SPDX-License-Identifier: GPL-2.0
/* DROSTE_INSPECT: looking at VMs from outside: their list, their counters, and all fields of their VMCSs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/droste.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "inspect.h"
#include "save.h"
#include "vm.h"
#include "vmx.h"

/* --- the list --- */

static void guest_nothing(void)
{
	g_sync(1);
}

static void host_list(void)
{
	struct droste_vcpu_info info = { .vcpu = 0 };
	struct droste_vm_info vm_info;
	struct vcpu *vcpu;
	struct vm vm, other;
	int fd;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu_create(&vm, 0, guest_nothing);
	vcpu_create(&vm, 3, guest_nothing);
	fd = inspect_mine(&vm);
	DO(fd, DROSTE_VM_INFO, &vm_info);
	EQ(vm_info.nr_vcpus, 2, "vCPUs");
	EQ(strncmp(vm_info.name, "t_inspect", 9), 0, "the process' name");
	OK(vm_info.nr_slots >= 1 && vm_info.memory >= MEM_SIZE, "slots");
	info.vcpu = 1;
	DO(fd, DROSTE_VCPU_INFO, &info);
	EQ(info.id, 3, "APIC ID");
	EQ(info.level, 1, "level");
	EQ(info.vmptr, ~0ull, "no VMCS of L1");
	info.vcpu = 2;
	EQ(ioctl(fd, DROSTE_VCPU_INFO, &info), -1, "no such vCPU");
	EQ(errno, EINVAL, "errno");
	/* The descriptor keeps the VM; a newer VM has a higher number. */
	vm_create(&other, 0);
	vcpu = vcpu_create(&other, 0, guest_nothing);
	vcpu_run_to_sync(vcpu, 1);
	close(inspect_mine(&other));
	vm_destroy(&vm);
	DO(fd, DROSTE_VM_INFO, &vm_info);
	EQ(inspect(&other, vm_info.number, 2), -EINVAL, "unknown flags");
	close(fd);
	EQ(inspect(&other, vm_info.number, 0), -ENOENT, "the VM is gone");
	vm_destroy(&other);
}

/* --- fields --- */

static void l2_wait(void)
{
	g_sync(2);
	asm volatile("vmcall");
}

static u64 pattern(u32 i)
{
	return 0x1000000ull * (i + 1);
}

/* Fields of all widths and classes, with values that the next VM entry accepts or does not look at. */
static const enum vmcs_field written[] = {
	F_TSC_OFFSET, F_GS_BASE, F_FS_BASE, F_CR0_SHADOW, F_CR4_SHADOW,
};

static void guest_fields(void)
{
	u64 i;

	vmcs_new(l2_wait);
	for (i = 0; i < ARRAY_SIZE(written); i++)
		vmwrite(written[i], pattern(i));
	vmwrite(F_VPID, 0x55);
	g_sync(1);
	vmx_expect(R_VMCALL, "L2");
}

static void host_fields(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	int fd;
	u32 i;

	vcpu = vmx_vm(&vm, guest_fields);
	fd = inspect_mine(&vm);
	EQ(get_vmcs(fd, DROSTE_VMCS12), -ENOENT, "no VMCS12 yet");
	EQ(get_vmcs(fd, DROSTE_VMCS02), -ENOENT, "no VMCS02 yet");
	vcpu_run_to_sync(vcpu, 1);
	EQ(get_vmcs(fd, DROSTE_VMCS12), 0, "VMCS12");
	EQ(vmcs_flags, 0, "in L1");
	for (i = 0; i < ARRAY_SIZE(written); i++)
		EQ(value(written[i]), pattern(i), "a field of VMCS12");
	EQ(value(F_VPID), 0x55, "VPID");
	OK(nr_fields > 120, "%u fields", nr_fields);
	vcpu_run_to_sync(vcpu, 2);
	EQ(get_vmcs(fd, DROSTE_VMCS12), 0, "VMCS12 in L2");
	EQ(vmcs_flags, DROSTE_VMCS_IN_L2, "in L2");
	EQ(value(F_GS_BASE), pattern(1), "GS base");
	EQ(get_vmcs(fd, DROSTE_VMCS02), 0, "VMCS02");
	EQ(value(F_FS_BASE), pattern(2), "FS base in VMCS02");
	OK(value(F_VPID) != 0x55, "VPID is L0's");
	EQ(get_vmcs(fd, DROSTE_VMCS01), 0, "VMCS01");
	OK(value(F_FS_BASE) != pattern(2), "FS base of L1");
	OK(value(F_HOST_RIP), "the host's RIP, with CAP_SYSLOG");
	vcpu_run_to_end(vcpu);
	close(fd);
	vm_destroy(&vm);
}

/* --- a vCPU that runs, and one that halts --- */

static volatile u64 stop;

static void l2_spin(void)
{
	while (!stop)
		asm volatile("cpuid" : : "a" (0), "c" (0) : "rbx", "rdx", "memory");
	asm volatile("vmcall");
}

static void guest_runs(void)
{
	vmcs_new(l2_spin);
	while (vmx_run() == R_CPUID)
		vmx_skip();
	g_trap_fn[0x41] = NULL;
	apic_enable();
	sti_hlt_cli();
}

static void host_runs(void)
{
	struct droste_vcpu_info a = { .vcpu = 0 }, b;
	struct vcpu *vcpu;
	struct vm vm;
	int fd, i;

	vm_create(&vm, KSFT_IRQCHIP);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	vcpu = vcpu_create(&vm, 0, guest_runs);
	fd = inspect_mine(&vm);
	inspect_running(vcpu);
	for (i = 0; i < 100000 && (DO(fd, DROSTE_VCPU_INFO, &a), a.entries < 10); i++)
		usleep(100);
	MUST(a.entries >= 10, "L2 runs");
	for (i = 0; i < 50; i++) {
		MUST(!get_vmcs(fd, DROSTE_VMCS12), "VMCS12");
		MUST(value(F_GUEST_CS) != 0, "CS");
		MUST(!get_vmcs(fd, DROSTE_VMCS01), "VMCS01");
	}
	/* After a preemption, the thread leaves KVM_RUN for a moment. */
	b.vcpu = 0;
	for (i = 0; i < 1000 && (DO(fd, DROSTE_VCPU_INFO, &b), !(b.flags & DROSTE_VCPU_RUNS)); i++)
		usleep(100);
	OK(b.flags & DROSTE_VCPU_RUNS, "a thread is in KVM_RUN");
	OK(b.flags & DROSTE_VCPU_VMX, "VMX operation");
	OK(b.exits.exits[R_CPUID] > a.exits.exits[R_CPUID], "it goes on");
	OK(b.shown[R_CPUID] >= b.entries / 2, "what L1 was shown");
	GUEST(&vm, stop) = 1;
	for (i = 0; i < 100000 && (DO(fd, DROSTE_VCPU_INFO, &a), a.mp_state != KVM_MP_STATE_HALTED); i++)
		usleep(100);
	EQ(a.mp_state, KVM_MP_STATE_HALTED, "L1 halts");
	EQ(get_vmcs(fd, DROSTE_VMCS01), 0, "VMCS01 of a halted vCPU");
	DO(fd, DROSTE_VCPU_INFO, &a);
	EQ(a.mp_state, KVM_MP_STATE_HALTED, "it halts still");
	/* The thread ends with the process. */
}

/* --- a vCPU that changes its CPU while L2 runs --- */

/*
 * VMCS01 stays behind on the old CPU. Who looks at it makes it active on the new one, where it must not stay: it has the
 * old one's host state, with which the next exit of L1 would end the host.
 */
static void host_moves(void)
{
	struct kvm_regs regs;
	struct vcpu *vcpu;
	struct vm vm;
	int fd, i;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		ksft_skip("one CPU");
	for (i = 0; i < 2; i++) {
		on_cpu(0);
		vcpu = vmx_vm(&vm, guest_fields);
		fd = inspect_mine(&vm);
		vcpu_run_to_sync(vcpu, 1);
		vcpu_run_to_sync(vcpu, 2);	/* in L2 */
		on_cpu(1);
		if (i)
			DO(vcpu->fd, KVM_GET_REGS, &regs);	/* VMCS02 comes along */
		EQ(get_vmcs(fd, DROSTE_VMCS01), 0, "VMCS01 from another CPU");
		EQ(get_vmcs(fd, DROSTE_VMCS12), 0, "VMCS12");
		vcpu_run_to_end(vcpu);
		close(fd);
		vm_destroy(&vm);
	}
}

/* --- a VMCS in L1's memory --- */

static volatile u64 old_vmcs, new_vmcs, no_vmcs;

static void guest_memory(void)
{
	u64 i;

	old_vmcs = vmcs_new(l2_wait);
	for (i = 0; i < ARRAY_SIZE(written); i++)
		vmwrite(written[i], pattern(i));
	vmx_expect(R_VMCALL, "L2");
	new_vmcs = vmcs_new(l2_wait);
	no_vmcs = (u64)g_page();
	*(u64 *)no_vmcs = 1;
	g_sync(1);
	vmclear(old_vmcs);
	g_sync(2);
}

static long get_memory(int fd, u64 gpa, u32 room)
{
	struct droste_vmcs v = { .which = DROSTE_VMCS_MEMORY, .nr = room, .fields = (u64)fields, .vmptr = gpa };
	long ret = ioctl(fd, DROSTE_GET_VMCS, &v);

	nr_fields = v.nr;
	vmcs_flags = v.flags;
	return ret < 0 ? -errno : 0;
}

static void host_memory(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	int fd;
	u32 i;

	vcpu = vmx_vm(&vm, guest_memory);
	fd = inspect_mine(&vm);
	vcpu_run_to_sync(vcpu, 2);	/* that of L2 */
	vcpu_run_to_sync(vcpu, 1);
	EQ(get_memory(fd, GUEST(&vm, old_vmcs), MAX_FIELDS), 0, "a VMCS that is not current");
	EQ(vmcs_flags, DROSTE_VMCS_LAUNCHED, "flags");
	for (i = 0; i < ARRAY_SIZE(written); i++)
		EQ(value(written[i]), pattern(i), "a field");
	EQ(value(F_REASON), R_VMCALL, "exit reason");
	OK(nr_fields > 120, "%u fields", nr_fields);
	EQ(get_memory(fd, GUEST(&vm, new_vmcs), MAX_FIELDS), 0, "the current VMCS");
	EQ(vmcs_flags, DROSTE_VMCS_CURRENT, "flags");
	EQ(get_memory(fd, GUEST(&vm, no_vmcs), MAX_FIELDS), -ENODATA, "no VMCS");
	EQ(get_memory(fd, GUEST(&vm, old_vmcs) + 8, MAX_FIELDS), -EINVAL, "not aligned");
	EQ(get_memory(fd, MMIO_HOLE, MAX_FIELDS), -ENXIO, "no memory");
	EQ(get_memory(fd, ~0xfffull, MAX_FIELDS), -ENXIO, "no memory at all");
	EQ(get_memory(fd, GUEST(&vm, old_vmcs), 3), -E2BIG, "too little room");
	OK(nr_fields > 120, "%u fields", nr_fields);
	vcpu_run_to_sync(vcpu, 2);
	EQ(get_memory(fd, GUEST(&vm, old_vmcs), MAX_FIELDS), 0, "after VMCLEAR");
	EQ(vmcs_flags, 0, "flags");
	MUST(!madvise(vm.mem + GUEST(&vm, old_vmcs), 0x1000, MADV_DONTNEED), "madvise");
	EQ(get_memory(fd, GUEST(&vm, old_vmcs), MAX_FIELDS), -EAGAIN, "a page that the host does not have");
	close(fd);
	vm_destroy(&vm);
}

/* --- why an entry failed --- */

static void l2_calls(void)
{
	asm volatile("vmcall");
}

static void guest_why(void)
{
	u64 vmcs = vmcs_new(l2_calls);
	u32 *list = g_page();

	g_sync(1);
	vmwrite(F_RFLAGS, 0);		/* bit 1 must be set */
	vmwrite(F_CR3_TARGETS, 5);
	vmwrite(F_HOST_RIP, 1ull << 60);
	vmx_host_override = 1;
	vmx_host_rip = 1ull << 60;
	G_EQ(vmx_try_enter(true), VM_FAIL(E_BAD_CONTROLS), "VMfail");
	g_sync(2);
	vmwrite(F_RFLAGS, RFLAGS_FIXED);	/* what is told later is as it was */
	vmwrite(F_CR3_TARGETS, 0);
	vmx_host_override = 0;
	g_sync(3);
	vmx_expect(R_VMCALL, "L2");
	vmwrite(F_RFLAGS, 0);
	vmx_expect(R_BAD_GUEST | R_FAILED_ENTRY, "failed entry");
	g_sync(4);
	/* Entries that no check of the VMCS stops. */
	G_EQ(vmx_try_enter(true), VM_FAIL(E_LAUNCH_NOT_CLEAR), "VMLAUNCH of a launched VMCS");
	g_sync(5);
	vmwrite(F_RFLAGS, RFLAGS_FIXED);
	*list = MSR_FS_BASE;
	vmwrite(F_ENTRY_LOAD_COUNT, 1);
	vmwrite(F_ENTRY_MSR_LOAD, (u64)list);
	vmx_expect(R_BAD_MSRS | R_FAILED_ENTRY, "a list with an MSR that must not be in it");
	g_sync(6);
	G_EQ(vmclear(vmcs), VM_OK, "VMCLEAR");
	G_EQ(vmx_try_enter(false), VM_INVALID, "no current VMCS");
	g_sync(7);
}

static struct droste_why get_why(int fd)
{
	struct droste_why why = { .nr = MAX_FIELDS, .fields = (u64)fields };

	DO(fd, DROSTE_GET_WHY, &why);
	nr_fields = why.nr;
	return why;
}

static int rules_that_fail(const struct droste_why *why)
{
	int i, n = 0;

	for (i = 0; i < 4; i++)
		n += __builtin_popcountll(why->failed[i]);
	return n;
}

/* What is known of the instruction at whose address there are these bytes, and of the numbers of entries. */
static void check_insn(struct vm *vm, const struct droste_why *why, const char *insn, u64 failures, u64 entries)
{
	MUST(why->rip < MEM_SIZE - 3, "RIP %#llx", why->rip);
	EQ(memcmp(vm->mem + why->rip, insn, 3), 0, "the instruction at RIP");
	EQ(why->flags, insn[2] == '\xc2' ? DROSTE_WHY_VMLAUNCH : 0, "which instruction");
	EQ(why->failures, failures, "entries that failed");
	EQ(why->entries, entries, "entries that succeeded");
}

/* The last entry failed with @code and @qual, and not because of a check. */
static void check_unchecked(struct vm *vm, int fd, const char *insn, u64 failures, u64 code, u64 qual)
{
	struct droste_why why = get_why(fd);

	check_insn(vm, &why, insn, failures, 1);
	EQ(why.code, code, "code");
	EQ(why.qual, qual, "exit qualification");
	EQ(why.check, 0, "check");
	EQ(rules_that_fail(&why), 0, "rules that fail");
}

static void host_why(void)
{
	struct droste_why why = { .nr = MAX_FIELDS, .fields = (u64)fields };
	struct vcpu *vcpu;
	struct vm vm;
	int fd;

	vcpu = vmx_vm(&vm, guest_why);
	fd = inspect_mine(&vm);
	vcpu_run_to_sync(vcpu, 1);
	EQ(ioctl(fd, DROSTE_GET_WHY, &why), -1, "no entry has failed");
	EQ(errno, ENOENT, "errno");
	vcpu_run_to_sync(vcpu, 2);
	vcpu_run_to_sync(vcpu, 3);
	why = (struct droste_why) { .nr = 3, .fields = (u64)fields };
	EQ(ioctl(fd, DROSTE_GET_WHY, &why), -1, "too little room");
	EQ(errno, E2BIG, "errno");
	why = get_why(fd);
	EQ(rules_that_fail(&why), 3, "rules that fail");
	EQ(why.code, E_BAD_CONTROLS, "code");
	OK(why.check && why.failed[why.check / 64] >> (why.check % 64) & 1, "the first of them");
	EQ(value(F_RFLAGS), 0, "RFLAGS as it was");
	EQ(value(F_CR3_TARGETS), 5, "CR3 targets");
	OK(why.caps[0] && why.maxphyaddr >= 36 && why.seq, "what L1 was offered");
	check_insn(&vm, &why, "\x0f\x01\xc2", 1, 0);
	vcpu_run_to_sync(vcpu, 4);
	why = get_why(fd);
	check_insn(&vm, &why, "\x0f\x01\xc3", 2, 1);
	EQ(rules_that_fail(&why), 1, "rules that fail");
	EQ(why.code, R_BAD_GUEST, "code");
	vcpu_run_to_sync(vcpu, 5);
	check_unchecked(&vm, fd, "\x0f\x01\xc2", 3, E_LAUNCH_NOT_CLEAR, 0);
	vcpu_run_to_sync(vcpu, 6);
	check_unchecked(&vm, fd, "\x0f\x01\xc3", 4, R_BAD_MSRS, 1);
	OK(nr_fields > 120, "fields");
	vcpu_run_to_sync(vcpu, 7);
	check_unchecked(&vm, fd, "\x0f\x01\xc3", 5, 0, 0);
	EQ(nr_fields, 0, "fields without a VMCS");
	vcpu_run_to_end(vcpu);
	close(fd);
	vm_destroy(&vm);
}

/* --- the kernel log --- */

#define CONTROL	"/proc/dynamic_debug/control"

static bool debug_messages(bool on)
{
	const char *text = on ? "module droste +p" : "module droste -p";
	int fd = open(CONTROL, O_WRONLY);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

static void no_debug_messages(void)
{
	debug_messages(false);
}

/* Whether a message with this text has come since @fd was at the end. */
static bool logged(int fd, const char *text)
{
	char line[2048];
	ssize_t n;

	/* Each read() gives one message; EPIPE: some were overwritten. */
	while ((n = read(fd, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		line[n > 0 ? n : 0] = 0;
		if (strstr(line, text))
			return true;
	}
	return false;
}

static void host_log(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	int log;

	vcpu = vmx_vm(&vm, guest_why);
	close(inspect_mine(&vm));	/* skips this if it is not Droste */
	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (log < 0 || lseek(log, 0, SEEK_END) < 0)
		ksft_skip("no kernel log: %s", strerror(errno));
	vcpu_run_to_sync(vcpu, 1);
	if (!debug_messages(true))
		ksft_skip("no dynamic debugging");
	ksft_at_end(no_debug_messages);
	vcpu_run_to_sync(vcpu, 2);
	OK(logged(log, "droste: vCPU 0: VM entry of L1 fails check CR3_TARGET_COUNT (SDM 3C 27.2.1.1): "),
	   "the first rule that is broken");
	vcpu_run_to_sync(vcpu, 3);
	vcpu_run_to_sync(vcpu, 4);
	OK(logged(log, "VM entry of L1 fails check RFLAGS_RESERVED (SDM 3C 27.3.1.4): "), "another one");
	OK(!logged(log, "rows fail"), "one message for each");
	close(log);
	vm_destroy(&vm);
}

/* --- why an exit went where it went --- */

/* Of kmod/nested/route_why.h. */
enum { WHY_ALWAYS, WHY_IO_BITMAP = 14, WHY_IO_CONTROL, WHY_MSR_BITMAP };

#define AN_MSR	0x174	/* IA32_SYSENTER_CS */

static volatile u64 bitmaps;
extern char rdmsr_at[];

static void l2_syncs(void)
{
	g_sync(2);
	asm volatile("vmcall");
	g_sync(3);
	asm volatile("vmcall");
}

static void guest_exits(void)
{
	vmcs_new(l2_syncs);
	g_sync(1);
	vmx_expect(R_VMCALL, "L2");
	vmx_skip();
	bitmaps = (u64)g_pages(2);
	need(F_PROC, PROC_IO_BITMAPS, "no I/O bitmaps");
	vmwrite(F_IO_BITMAP_A, bitmaps);
	vmwrite(F_IO_BITMAP_B, bitmaps + 0x1000);
	vmx_expect(R_VMCALL, "L2");
}

static struct droste_last_exit last_exit(int fd)
{
	struct droste_last_exit e = { .vcpu = 0 };

	DO(fd, DROSTE_GET_EXIT, &e);
	return e;
}

/* The exits are for g_sync(), a write to a port. */
static void host_exits(void)
{
	struct droste_last_exit e = { .vcpu = 0 };
	struct vcpu *vcpu;
	struct vm vm;
	u64 seq;
	int fd;

	vcpu = vmx_vm(&vm, guest_exits);
	fd = inspect_mine(&vm);
	FAILS(fd, DROSTE_GET_EXIT, &e, ENOENT);
	e = (struct droste_last_exit) { .flags = 1 };
	FAILS(fd, DROSTE_GET_EXIT, &e, EINVAL);
	e = (struct droste_last_exit) { .vcpu = 1 };
	FAILS(fd, DROSTE_GET_EXIT, &e, EINVAL);
	e = (struct droste_last_exit) { .reserved = { 1 } };
	FAILS(fd, DROSTE_GET_EXIT, &e, EINVAL);
	vcpu_run_to_sync(vcpu, 1);
	e = last_exit(fd);
	EQ(e.reason, R_IO, "reason");
	EQ(e.flags, DROSTE_EXIT_RIP | DROSTE_EXIT_ARG | DROSTE_EXIT_QUAL, "flags");
	EQ(e.arg, GCALL_PORT, "port");
	seq = e.seq;
	vcpu_run_to_sync(vcpu, 2);
	e = last_exit(fd);
	EQ(e.flags, DROSTE_EXIT_L2 | DROSTE_EXIT_RIP | DROSTE_EXIT_ARG | DROSTE_EXIT_QUAL, "flags");
	EQ(e.reason, R_IO, "reason");
	OK(e.seq > seq, "number");
	EQ(e.to, 0, "to L0");
	EQ(e.why, WHY_IO_CONTROL, "why");
	EQ(e.field, F_PROC, "the word");
	EQ(e.bits, PROC_IO, "the bit");
	EQ(e.word & e.bits, 0, "it is clear");
	vcpu_run_to_sync(vcpu, 3);
	e = last_exit(fd);
	EQ(e.flags, DROSTE_EXIT_L2 | DROSTE_EXIT_RIP | DROSTE_EXIT_ARG | DROSTE_EXIT_QUAL | DROSTE_EXIT_BITMAP, "flags");
	EQ(e.to, 0, "to L0");
	EQ(e.why, WHY_IO_BITMAP, "why");
	EQ(e.bitmap, GUEST(&vm, bitmaps) + GCALL_PORT / 8, "byte of the bitmap");
	EQ(e.bitmap_mask, 0xf << GCALL_PORT % 8, "bits");
	EQ(e.bitmap_bits, 0, "they are clear");
	vm.mem[e.bitmap] = 0xff;
	e = last_exit(fd);
	EQ(e.bitmap_bits, e.bitmap_mask & 0xff, "the bitmap as it is now");
	EQ(e.to, 1, "to L1, if it came now");
	vm.mem[e.bitmap] = 0;
	vcpu_run_to_end(vcpu);
	close(fd);
	vm_destroy(&vm);
}

static void l2_rdmsr(void)
{
	while (!stop)
		asm volatile(".globl rdmsr_at\nrdmsr_at:\n\trdmsr" : : "c" (AN_MSR) : "rax", "rdx", "memory");
	asm volatile("vmcall");
}

static volatile u64 hot;

static void l2_cpuids(void)
{
	for (;;)
		asm volatile("cpuid" : : "a" (0), "c" (0) : "rbx", "rdx");
}

static void guest_rdmsr(void)
{
	u32 turn, i;

	bitmaps = (u64)g_page();
	*(u8 *)(bitmaps + AN_MSR / 8) = 1 << AN_MSR % 8;
	vmcs_usual(l2_rdmsr, (void *)bitmaps, ept_new());
	/* CPUIDs of L1, now more and now fewer, so that who looks does not keep step with the exits. */
	for (turn = 1; vmx_run() == R_RDMSR; turn = turn * 1103515245 + 12345) {
		vmx_skip();
		for (i = turn >> 16 & 3; i; i--)
			CPUID_REG(0, 0, a);
	}
	/* From here on, exits and entries go the short way, unless they are looked at. */
	vmcs_usual(l2_cpuids, (void *)bitmaps, ept_new());
	vmx_expect(R_CPUID, "the first CPUID");
	vmx_skip();
	hot = true;
	hot_spin(1ul << 40);
}

/* Where exits go the short way, those that are looked at do not. */
static void look_at_short_exits(struct vm *vm, int fd)
{
	struct droste_last_exit e;
	bool cpuid = false;
	int i;

	for (i = 0; i < 100000 && !GUEST(vm, hot); i++)
		usleep(100);
	MUST(GUEST(vm, hot), "L2 spins");
	for (i = 0; i < 20 && !cpuid; i++) {
		usleep(10000);
		e = last_exit(fd);
		EQ(e.flags & DROSTE_EXIT_SHORT, 0, "the exit went the long way");
		cpuid = e.reason == R_CPUID;
	}
	OK(cpuid, "a CPUID of L2 was seen");
	EQ(e.flags, DROSTE_EXIT_L2 | DROSTE_EXIT_RIP | DROSTE_EXIT_SHOWN, "flags");
	EQ(e.to, 1, "to L1");
	EQ(e.why, WHY_ALWAYS, "why");
}

static void host_exits_run(void)
{
	struct droste_vcpu_info info = { .vcpu = 0 };
	bool rdmsr = false, resume = false;
	struct droste_last_exit e;
	struct vcpu *vcpu;
	struct vm vm;
	int fd, i;

	vcpu = vmx_vm(&vm, guest_rdmsr);
	fd = inspect_mine(&vm);
	inspect_running(vcpu);
	for (i = 0; i < 100000 && (DO(fd, DROSTE_VCPU_INFO, &info), info.entries < 200); i++)
		usleep(100);
	for (i = 0; i < 1000 && !(rdmsr && resume); i++) {
		usleep(i % 7 * 50);	/* L1's exits come in turns: do not keep step with them */
		e = last_exit(fd);
		EQ(e.flags & DROSTE_EXIT_SHORT, 0, "the exit went the long way");
		if (e.reason == R_VMRESUME) {
			EQ(e.flags, 0, "VMRESUME of L1: flags");
			resume = true;
		}
		if (e.reason != R_RDMSR || !(e.flags & DROSTE_EXIT_L2) || rdmsr)
			continue;
		rdmsr = true;
		EQ(e.flags, DROSTE_EXIT_L2 | DROSTE_EXIT_RIP | DROSTE_EXIT_ARG | DROSTE_EXIT_SHOWN | DROSTE_EXIT_BITMAP, "RDMSR of L2: flags");
		EQ(e.arg, AN_MSR, "MSR");
		EQ(e.rip, (u64)rdmsr_at, "RIP");
		EQ(e.ilen, 2, "length");
		EQ(e.to, 1, "to L1");
		EQ(e.shown, R_RDMSR, "what L1 is shown");
		EQ(e.why, WHY_MSR_BITMAP, "why");
		EQ(e.field, F_PROC, "the word");
		EQ(e.bits, PROC_MSR_BITMAPS, "its bit");
		EQ(e.bitmap, GUEST(&vm, bitmaps) + AN_MSR / 8, "byte of the bitmap");
		EQ(e.bitmap_mask, 1 << AN_MSR % 8, "bit");
		EQ(e.bitmap_bits, e.bitmap_mask, "it is set");
	}
	ksft_diag("%d looks", i);
	OK(rdmsr, "an RDMSR of L2 was seen");
	OK(resume, "a VMRESUME of L1 was seen");
	GUEST(&vm, stop) = 1;
	look_at_short_exits(&vm, fd);
	/* The thread ends with the process. */
}

/* --- errors and rights --- */

/* Whether a field of VMCS01 or VMCS02 is host state, or may be an address of the host. */
static bool is_secret(u32 enc)
{
	static const u32 numbers[] = {
		F_TSC_OFFSET, F_TSC_MULTIPLIER, F_XSS_BITMAP, F_EOI_EXIT0, F_EOI_EXIT1, F_EOI_EXIT2, F_EOI_EXIT3,
	};
	u32 type = enc >> 10 & 3, width = enc >> 13 & 3, i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		if (enc == numbers[i])
			return false;
	return type == 3 || enc == F_LINK_POINTER || (type == 0 && width == 1);
}

/* Each secret is hidden, and nothing else is. */
static void check_hidden(int fd, u32 which)
{
	u32 i, hidden = 0;

	MUST(!get_vmcs(fd, which), "VMCS");
	for (i = 0; i < nr_fields; i++) {
		u32 hides = fields[i].flags & DROSTE_FIELD_HIDDEN;

		EQ(hides, is_secret(fields[i].encoding) ? DROSTE_FIELD_HIDDEN : 0, "field %#x", fields[i].encoding);
		OK(!hides || !fields[i].value, "field %#x is hidden", fields[i].encoding);
		hidden += hides;
	}
	OK(hidden > 25, "%u secrets", hidden);
}

static void host_rights(void)
{
	struct droste_vmcs v = { .which = DROSTE_VMCS01, .nr = 3, .fields = (u64)fields };
	struct vcpu *vcpu;
	struct vm vm;
	int fd;

	vcpu = vmx_vm(&vm, guest_fields);
	fd = inspect_mine(&vm);
	vcpu_run_to_sync(vcpu, 1);
	vcpu_run_to_sync(vcpu, 2);
	EQ(ioctl(fd, DROSTE_GET_VMCS, &v), -1, "too little room");
	EQ(errno, E2BIG, "errno");
	OK(v.nr > 100, "%u fields", v.nr);
	EQ(v.flags, 0, "flags for another try");
	v = (struct droste_vmcs) { .which = 5, .nr = MAX_FIELDS, .fields = (u64)fields };
	EQ(ioctl(fd, DROSTE_GET_VMCS, &v), -1, "no such VMCS");
	EQ(errno, EINVAL, "errno");
	v = (struct droste_vmcs) { .nr = MAX_FIELDS, .fields = 8 };
	EQ(ioctl(fd, DROSTE_GET_VMCS, &v), -1, "a bad address");
	EQ(errno, EFAULT, "errno");
	v = (struct droste_vmcs) { .nr = MAX_FIELDS, .flags = 1, .fields = (u64)fields };
	EQ(ioctl(fd, DROSTE_GET_VMCS, &v), -1, "flags");
	EQ(errno, EINVAL, "errno");
	drop_capability(CAP_SYSLOG);
	check_hidden(fd, DROSTE_VMCS01);
	check_hidden(fd, DROSTE_VMCS02);
	OK(find(F_HOST_RIP) && find(F_MSR_BITMAP) && find(F_EPTP), "what is hidden is in the list");
	EQ(value(F_FS_BASE), pattern(2), "guest state is not");
	EQ(get_vmcs(fd, DROSTE_VMCS12), 0, "VMCS12");
	OK(value(F_HOST_RIP), "L1's RIP is no secret");
	drop_capability(CAP_SYS_ADMIN);
	EQ(inspect(&vm, 1, DROSTE_NEXT), -EPERM, "without CAP_SYS_ADMIN");
	close(fd);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "the list of VMs", .host = host_list },
	{ "fields of VMCSs", .host = host_fields },
	{ "a vCPU that runs or halts", .host = host_runs },
	{ "a vCPU that changes its CPU in L2", .host = host_moves },
	{ "a VMCS in L1's memory", .host = host_memory },
	{ "why an entry failed", .host = host_why },
	{ "a failed entry in the kernel log", .host = host_log },
	{ "why an exit went where it went", .host = host_exits },
	{ "exits of a vCPU that runs", .host = host_exits_run },
	{ "errors and rights", .host = host_rights },
};
KSFT_MAIN(tests)

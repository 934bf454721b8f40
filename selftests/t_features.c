// SPDX-License-Identifier: GPL-2.0
/* Features and MSRs that a guest gets: what CPUID hides does not work, what it shows does; L1 only. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "guest.h"
#include "save.h"
#include "vm.h"

#define MSR_SPEC_CTRL		0x48
#define MSR_PRED_CMD		0x49
#define MSR_FLUSH_CMD		0x10b
#define MSR_ARCH_CAPABILITIES	0x10a

/* --- CPUID as a host changes it --- */

static struct kvm_cpuid_entry2 *leaf(struct kvm_cpuid2 *c, u32 fn, u32 index)
{
	u32 i;

	for (i = 0; i < c->nent; i++)
		if (c->entries[i].function == fn && c->entries[i].index == index)
			return &c->entries[i];
	return NULL;
}

/* The device's CPUID, for one more KVM_SET_CPUID2 of a vCPU that has not run. */
static struct kvm_cpuid2 *cpuid_of(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *c = supported_cpuid(vcpu->vm->dev);

	if (leaf(c, 1, 0))
		leaf(c, 1, 0)->ebx = (leaf(c, 1, 0)->ebx & 0x00ffffff) | vcpu->id << 24;
	return c;
}

static void set_and_free(struct vcpu *vcpu, struct kvm_cpuid2 *c)
{
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	free(c);
}

/* --- MSRs whose upper half has no meaning --- */

static void guest_wide_msrs(void)
{
	u64 old = rdmsr(MSR_FMASK);

	/* Software that writes all ones finds them accepted. SYSCALL uses bits 31:0 (SDM 2B, SYSCALL). */
	G_EQ(try_wrmsr(MSR_FMASK, ~0ul), NO_FAULT, "WRMSR of all ones to IA32_FMASK");
	G_EQ((u32)rdmsr(MSR_FMASK), 0xffffffffu, "its lower half");
	G_EQ(try_wrmsr(MSR_FMASK, 1ul << 63 | 0x200), NO_FAULT, "WRMSR of bits 63 and 9 to IA32_FMASK");
	G_EQ((u32)rdmsr(MSR_FMASK), 0x200, "its lower half");
	wrmsr(MSR_FMASK, old);
	G_EQ(try_wrmsr(MSR_SYSENTER_CS, 1ul << 32 | 0x10), NO_FAULT, "WRMSR of bit 32 to IA32_SYSENTER_CS");
	G_EQ((u32)rdmsr(MSR_SYSENTER_CS), 0x10, "its lower half");
	wrmsr(MSR_SYSENTER_CS, 0);
	/* The reserved bits of IA32_TSC_AUX fault (SDM 4, table 2-2). */
	if (CPUID_REG(0x80000001, 0, d) & BIT(27))
		G_EQ(try_wrmsr(MSR_TSC_AUX, 1ul << 32), GP0, "WRMSR of bit 32 to IA32_TSC_AUX");
}

/* --- RDRAND and RDSEED --- */


static void guest_random(void)
{
	u64 hidden = g_arg();

	G_EQ(CPUID_REG(1, 0, c) >> 30 & 1, !hidden, "CPUID has RDRAND");
	G_EQ(({ u64 f; asm volatile(TRY("rdrand %%rax") "mov %%r11, %0" : "=r" (f) : : "rax", "r11", "cc"); f; }),
	     hidden ? UD : NO_FAULT, "RDRAND");
	G_EQ(({ u64 f; asm volatile(TRY("rdrand %%ax") "mov %%r11, %0" : "=r" (f) : : "rax", "r11", "cc"); f; }),
	     hidden ? UD : NO_FAULT, "RDRAND, 16 bits");
	G_EQ(({ u64 f; asm volatile(TRY("rdseed %%rax") "mov %%r11, %0" : "=r" (f) : : "rax", "r11", "cc"); f; }),
	     hidden || !(CPUID_REG(7, 0, b) & BIT(18)) ? UD : NO_FAULT, "RDSEED");
}

static void random_vm(bool hide)
{
	extern u64 guest_arg;
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_cpuid2 *c;

	guest_arg = hide;
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_random);
	c = cpuid_of(vcpu);
	if (!(leaf(c, 1, 0)->ecx & BIT(30)))
		ksft_skip("no RDRAND");
	if (hide) {
		leaf(c, 1, 0)->ecx &= ~BIT(30);
		leaf(c, 7, 0)->ebx &= ~BIT(18);
	}
	set_and_free(vcpu, c);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_random(void)
{
	random_vm(false);
	random_vm(true);
}

/* --- the signature in EDX --- */

#define SIGNATURE	0x000806f8
#define SEEN_EDX	0x9000

/* At the SIPI vector: stores EDX. */
extern char edx_start[], edx_end[];
asm(".pushsection .text\n.code16\n"
	"edx_start: xor %ax, %ax; mov %ax, %ds; mov %edx, 0x9000; movl $1, 0x9004\n"
	"1: hlt; jmp 1b\n"
	"edx_end:\n.code64\n.popsection\n");

static void guest_sends_init(void)
{
	volatile u32 *seen = (volatile u32 *)SEEN_EDX;
	u64 i;

	apic_enable();
	g_copy((void *)LOW_CODE, edx_start, edx_end - edx_start);
	apic_icr(1, 0x4500);
	apic_icr(1, 0x4600 | (LOW_CODE >> 12));
	for (i = 0; i < 100000000 && !seen[1]; i++)
		relax();
	G_EQ(seen[1], 1, "the second vCPU started");
	G_EQ(seen[0], SIGNATURE, "EDX after INIT");
}

static void *run_forever(void *arg)
{
	vcpu_run_to_call(arg, NULL);
	return NULL;
}

/* SDM 3A table 10-1: EDX after reset and INIT is the signature that CPUID.1 returns in EAX. */
static void host_signature(void)
{
	struct vm vm;
	struct vcpu *vcpu, *ap;
	struct kvm_cpuid2 *c;
	struct kvm_regs r;
	pthread_t thread;
	int fd;

	vm_create(&vm, KSFT_SMP2);
	vcpu = vcpu_create(&vm, 0, guest_sends_init);
	ap = vcpu_create(&vm, 1, NULL);
	c = cpuid_of(ap);
	leaf(c, 1, 0)->eax = SIGNATURE;
	set_and_free(ap, c);
	MUST(!pthread_create(&thread, NULL, run_forever, ap), "thread");
	vcpu_run_to_end(vcpu);
	/* Without CPUID, the value is that of a processor of family 6. */
	fd = DO(vm.fd, KVM_CREATE_VCPU, 2);
	DO(fd, KVM_GET_REGS, &r);
	EQ(r.rdx, 0x600, "EDX of a new vCPU without CPUID");
	close(fd);
}

/* --- VMMCALL --- */

static u64 user_vmmcall(u64 arg)
{
	u64 f;

	asm volatile(".globl vmmcall_here\n vmmcall_here: xor %%r11d, %%r11d\n1: vmmcall\n2: mov %%r11, %0\n"
		     ".pushsection extable, \"a\"\n.quad 1b, 2b\n.popsection\n"
		     : "=r" (f) : "a" (99) : "r11", "memory", "cc");
	return f;
}

static u64 user_vmcall(u64 arg)
{
	return TRY_INSN("vmcall");
}

static u64 fault_rax, pf_error;

/* The faulting code was called: return from it. */
static void on_code_fault(struct trap_regs *r)
{
	pf_error = r->error | 1ul << 63;
	r->rip = *(u64 *)r->rsp;
	r->rsp += 8;
}

static u64 call_code(u64 code)
{
	u64 rax = 99;

	pf_error = 0;
	asm volatile("call *%1" : "+a" (rax) : "r" (code) : "memory", "cc", "rcx", "rdx", "r11");
	return rax;
}

static void guest_vmmcall(void)
{
	static const u8 code[] = { 0x0f, 0x01, 0xd9, 0xc3 };
	u8 *p = g_page();
	u64 *pte = g_pte((u64)p);

	g_copy(p, code, sizeof(code));
	G_EQ(g_user(user_vmmcall, 0), UD, "VMMCALL at CPL 3");
	G_EQ(g_user(user_vmcall, 0), UD, "VMCALL at CPL 3");
	G_EQ(TRY_INSN("vmcall"), UD, "VMCALL at CPL 0 outside VMX operation");
	*pte &= ~2ul;
	invlpg((u64)p);
	g_trap_fn[VEC_PF] = on_code_fault;
	call_code((u64)p);
	G_EQ(pf_error, 1ul << 63 | 3, "VMMCALL on a read-only page: page fault of a write");
	G_EQ(g_diff(p, code, sizeof(code)), -1ul, "the code");
	G_EQ(TRY_INSN("vmcall"), UD, "VMCALL at CPL 0 outside VMX operation");
	*pte |= 2ul;
	invlpg((u64)p);
	fault_rax = call_code((u64)p);
	G_EQ(fault_rax, -1000l, "VMMCALL on a writable page at CPL 0 is a hypercall");
	G_EQ(p[2], 0xc1, "which is VMCALL now");
	G_EQ(TRY_INSN("vmcall"), NO_FAULT, "VMCALL at CPL 0 is a hypercall, too");
}

/* A process of the guest must not change what VMCALL means for the guest's kernel. */
static void host_vmmcall(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	if (!is_droste())
		ksft_skip("KVM replaces VMMCALL at CPL 3, and VMCALL always is a hypercall");
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_vmmcall);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- IA32_MISC_ENABLE --- */

#define LIMIT_CPUID	BIT(22)
#define XD_DISABLE	BIT(34)

static void guest_misc_enable(void)
{
	u64 v = rdmsr(MSR_MISC_ENABLE);

	if (CPUID_REG(0x80000001, 0, d) & BIT(20)) {
		G_EQ(try_wrmsr(MSR_MISC_ENABLE, v | XD_DISABLE), NO_FAULT, "WRMSR of XD-bit disable");
		G_EQ(rdmsr(MSR_MISC_ENABLE), v | XD_DISABLE, "reads back");
		G_EQ(try_wrmsr(MSR_MISC_ENABLE, v), NO_FAULT, "WRMSR without it");
	}
	G_EQ(try_wrmsr(MSR_MISC_ENABLE, v | LIMIT_CPUID), NO_FAULT, "WRMSR of limit-CPUID");
	G_EQ(rdmsr(MSR_MISC_ENABLE), v | LIMIT_CPUID, "reads back");
	G_EQ(try_wrmsr(MSR_MISC_ENABLE, v), NO_FAULT, "WRMSR without it");
}

/* SDM 4, table 2-2, IA32_MISC_ENABLE. */
static void guest_misc_effects(void)
{
	u64 v = rdmsr(MSR_MISC_ENABLE), efer = rdmsr(MSR_EFER);
	u32 b, b2, a, c, d;

	G_EQ(CPUID_REG(0x80000001, 0, d) & BIT(20), BIT(20), "CPUID's XD flag");
	G_OK(CPUID_REG(0, 0, a) > 3, "the largest leaf");
	wrmsr(MSR_EFER, efer & ~EFER_NX);
	wrmsr(MSR_MISC_ENABLE, v | XD_DISABLE);
	G_EQ(CPUID_REG(0x80000001, 0, d) & BIT(20), 0, "CPUID's XD flag while XD is disabled");
	G_EQ(try_wrmsr(MSR_EFER, efer), GP0, "WRMSR of EFER.NXE while XD is disabled");
	wrmsr(MSR_MISC_ENABLE, v);
	G_EQ(CPUID_REG(0x80000001, 0, d) & BIT(20), BIT(20), "CPUID's XD flag again");
	G_EQ(try_wrmsr(MSR_EFER, efer), NO_FAULT, "WRMSR of EFER.NXE");
	wrmsr(MSR_MISC_ENABLE, v | LIMIT_CPUID);
	cpuid(0, 0, &a, &b, &c, &d);
	G_EQ(a, 2, "the largest leaf with limit-CPUID");
	cpuid(2, 0, &a, &b, &c, &d);
	cpuid(7, 0, &a, &b2, &c, &d);
	G_EQ(b2, b, "leaf 7 is that of the largest leaf");
	G_OK(CPUID_REG(0x80000001, 0, d) & BIT(29), "extended leaves remain");
	wrmsr(MSR_MISC_ENABLE, v);
	G_OK(CPUID_REG(0, 0, a) > 3, "the largest leaf without it");
}

static void host_misc_effects(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	char line[4096];
	bool rep_good = false;
	u64 v = 0;
	FILE *f;

	if (!is_droste())
		ksft_skip("on KVM these bits have no effect");
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_misc_effects);
	/* Linux has rep_good where the processor has fast strings on. */
	f = fopen("/proc/cpuinfo", "r");
	MUST(f, "/proc/cpuinfo");
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "flags") == line)
			rep_good = strstr(line, " rep_good");
	fclose(f);
	MUST(!vcpu_get_msr(vcpu, MSR_MISC_ENABLE, &v), "IA32_MISC_ENABLE");
	EQ(v & 1, rep_good, "fast strings are on as they are in the host");
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- physical addresses --- */

static void host_addresses(void)
{
	int dev = device_open();
	struct kvm_cpuid2 *c = supported_cpuid(dev);
	struct kvm_cpuid_entry2 *e = leaf(c, 0x80000008, 0);
	u32 a, b, cx, d;

	MUST(e, "leaf 0x80000008");
	cpuid(0x80000008, 0, &a, &b, &cx, &d);
	EQ(e->eax & 0xff, a & 0xff, "PhysAddrSize is the processor's");
	EQ(e->eax >> 16 & 0xff, (a & 0xff) < 48 ? a & 0xff : 48, "GuestPhysAddrSize is what four levels of EPT map");
	free(c);
	close(dev);
}

/* --- WBNOINVD --- */

#define WBNOINVD_BIT	BIT(9)		/* of leaf 0x80000008's EBX; its VM exit is WBINVD's (SDM 2C, WBNOINVD; 3C 26.1.3) */

static void guest_wbnoinvd(void)
{
	asm volatile(".byte 0xf3, 0x0f, 0x09" : : : "memory");
	g_sync(CPUID_REG(0x80000008, 0, b) & WBNOINVD_BIT ? 1 : 2);
}

static void host_wbnoinvd(void)
{
	u32 a, b, cx, d;
	struct vm vm;
	struct vcpu *vcpu;

	cpuid(0x80000008, 0, &a, &b, &cx, &d);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_wbnoinvd);
	/* The guest is told of it as the host is. */
	vcpu_run_to_sync(vcpu, b & WBNOINVD_BIT ? 1 : 2);
}

/* --- properties that do not change once a vCPU has run --- */

#define MSR_VMX_MISC 0x485

static void guest_idle(void)
{
	g_sync(1);
	g_sync(2);
}

static void host_immutable(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_cpuid2 *c;
	u64 misc, caps;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu = vcpu_create(&vm, 0, guest_idle);
	MUST(!vcpu_get_msr(vcpu, MSR_VMX_MISC, &misc), "IA32_VMX_MISC");
	EQ(vcpu_set_msr(vcpu, MSR_VMX_MISC, misc & ~BIT(6)), 0, "narrower before KVM_RUN");
	EQ(vcpu_set_msr(vcpu, MSR_VMX_MISC, misc), 0, "as before");
	c = cpuid_of(vcpu);
	vcpu_run_to_sync(vcpu, 1);
	EQ(vcpu_set_msr(vcpu, MSR_VMX_MISC, misc & ~BIT(6)), -1, "narrower after KVM_RUN");
	EQ(vcpu_set_msr(vcpu, MSR_VMX_MISC, misc), 0, "the same after KVM_RUN");
	if (!vcpu_get_msr(vcpu, MSR_ARCH_CAPABILITIES, &caps)) {
		EQ(vcpu_set_msr(vcpu, MSR_ARCH_CAPABILITIES, caps ^ 1), -1, "another IA32_ARCH_CAPABILITIES");
		EQ(vcpu_set_msr(vcpu, MSR_ARCH_CAPABILITIES, caps), 0, "the same");
	}
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	leaf(c, 7, 0)->ebx ^= 1;
	FAILS(vcpu->fd, KVM_SET_CPUID2, c, EINVAL);
	leaf(c, 7, 0)->ebx ^= 1;
	c->nent--;
	FAILS(vcpu->fd, KVM_SET_CPUID2, c, EINVAL);
	free(c);
	vcpu_run_to_sync(vcpu, 2);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- controls of speculation --- */

#define EDX_SPEC_CTRL	BIT(26)
#define EDX_STIBP	BIT(27)
#define EDX_FLUSH	BIT(28)
#define EDX_ARCH_CAP	BIT(29)
#define EDX_SSBD	BIT(31)

static void guest_speculation(void)
{
	u32 d = CPUID_REG(7, 0, d);
	u64 v, i;

	if (d & EDX_SPEC_CTRL) {
		G_EQ(rdmsr(MSR_SPEC_CTRL), 0, "IA32_SPEC_CTRL after reset");
		G_EQ(try_wrmsr(MSR_SPEC_CTRL, 1), NO_FAULT, "IBRS");
		for (i = 0; i < 3; i++) {
			G_EQN(rdmsr(MSR_SPEC_CTRL), 1, "IBRS reads back", i);
			g_sync(MSR_SPEC_CTRL);
		}
		G_EQ(try_wrmsr(MSR_SPEC_CTRL, 1ul << 40), GP0, "IA32_SPEC_CTRL bit 40");
		G_EQ(try_wrmsr(MSR_SPEC_CTRL, d & EDX_STIBP ? 3 : 1), NO_FAULT, "STIBP");
		G_EQ(rdmsr(MSR_SPEC_CTRL), d & EDX_STIBP ? 3 : 1, "STIBP reads back");
		G_EQ(try_wrmsr(MSR_SPEC_CTRL, 4), d & EDX_SSBD ? NO_FAULT : GP0, "SSBD");
		wrmsr(MSR_SPEC_CTRL, 0);
		g_sync(MSR_SPEC_CTRL);
		G_EQ(rdmsr(MSR_SPEC_CTRL), 0, "0 again");
		wrmsr(MSR_SPEC_CTRL, 1);
		G_EQ(try_wrmsr(MSR_PRED_CMD, 1), NO_FAULT, "IBPB");
		G_EQ(try_wrmsr(MSR_PRED_CMD, 0), NO_FAULT, "no command");
		G_EQ(try_wrmsr(MSR_PRED_CMD, 1ul << 33), GP0, "a reserved bit of IA32_PRED_CMD");
	} else {
		G_EQ(try_rdmsr(MSR_SPEC_CTRL, &v), GP0, "RDMSR of IA32_SPEC_CTRL without its CPUID bits");
		G_EQ(try_wrmsr(MSR_SPEC_CTRL, 0), GP0, "WRMSR of IA32_SPEC_CTRL without its CPUID bits");
		G_EQ(try_wrmsr(MSR_PRED_CMD, 1), GP0, "WRMSR of IA32_PRED_CMD without its CPUID bit");
	}
	G_EQ(try_rdmsr(MSR_PRED_CMD, &v), GP0, "RDMSR of IA32_PRED_CMD");
	if (d & EDX_FLUSH) {
		G_EQ(try_wrmsr(MSR_FLUSH_CMD, 1), NO_FAULT, "L1D flush");
		G_EQ(try_wrmsr(MSR_FLUSH_CMD, 2), GP0, "a reserved bit of IA32_FLUSH_CMD");
	} else {
		G_EQ(try_wrmsr(MSR_FLUSH_CMD, 1), GP0, "WRMSR of IA32_FLUSH_CMD without its CPUID bit");
	}
	G_EQ(try_rdmsr(MSR_FLUSH_CMD, &v), GP0, "RDMSR of IA32_FLUSH_CMD");
	if (d & EDX_ARCH_CAP) {
		G_EQ(try_rdmsr(MSR_ARCH_CAPABILITIES, &v), NO_FAULT, "IA32_ARCH_CAPABILITIES");
		G_EQ(try_wrmsr(MSR_ARCH_CAPABILITIES, v), GP0, "WRMSR of IA32_ARCH_CAPABILITIES");
		g_sync2(MSR_ARCH_CAPABILITIES, v);
	}
}

static u64 host_msr(u32 msr)
{
	u64 v = 0;
	int fd = open("/dev/cpu/0/msr", O_RDONLY);

	if (fd < 0)
		return 0;
	if (pread(fd, &v, sizeof(v), msr) != sizeof(v))
		v = 0;
	close(fd);
	return v;
}

static void speculation_vm(u32 mask, u64 host)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_cpuid2 *c;
	u64 args[4], kind, v;
	bool has;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_speculation);
	c = cpuid_of(vcpu);
	leaf(c, 7, 0)->edx &= mask;
	if (leaf(c, 7, 2))
		leaf(c, 7, 2)->edx &= mask;
	if (mask && !(leaf(c, 7, 0)->edx & (EDX_SPEC_CTRL | EDX_FLUSH)))
		ksft_skip("no controls of speculation");
	has = leaf(c, 7, 0)->edx & EDX_SPEC_CTRL;
	set_and_free(vcpu, c);
	while ((kind = vcpu_run_to_call(vcpu, args)) == GCALL_SYNC) {
		if (args[0] == MSR_SPEC_CTRL)
			EQ(host_msr(MSR_SPEC_CTRL), host, "the host's IA32_SPEC_CTRL between two runs");
		if (args[0] == MSR_ARCH_CAPABILITIES && !vcpu_get_msr(vcpu, MSR_ARCH_CAPABILITIES, &v))
			EQ(args[1], v, "IA32_ARCH_CAPABILITIES as user space reads it");
	}
	EQ(kind, GCALL_DONE, "the guest's end");
	if (has) {
		EQ(vcpu_get_msr(vcpu, MSR_SPEC_CTRL, &v), 0, "user space reads IA32_SPEC_CTRL");
		EQ(v, 1, "the guest's value");
	}
	vm_destroy(&vm);
}

static void host_speculation(void)
{
	/* Every run is on CPU 0, whose MSR this test reads. */
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
	speculation_vm(0, host_msr(MSR_SPEC_CTRL));
	speculation_vm(~0u, host_msr(MSR_SPEC_CTRL));
}

/* --- IA32_DEBUGCTL --- */

static void guest_debugctl(void)
{
	static const u64 bits[] = { 1, 2, 3, BIT(9), BIT(10), BIT(9) | BIT(10), BIT(6) };
	u64 i, v;

	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		G_EQN(try_wrmsr(MSR_DEBUGCTL, bits[i]), NO_FAULT, "WRMSR of IA32_DEBUGCTL", bits[i]);
		G_EQN(rdmsr(MSR_DEBUGCTL), bits[i], "reads back", bits[i]);
		g_sync(1);
		G_EQN(rdmsr(MSR_DEBUGCTL), bits[i], "after an exit to user space", bits[i]);
	}
	wrmsr(MSR_DEBUGCTL, 0);
	G_EQ(rdmsr(MSR_DEBUGCTL), 0, "0");
	G_EQ(try_wrmsr(MSR_DEBUGCTL, BIT(5)), GP0, "reserved bit 5");
	G_EQ(try_wrmsr(MSR_DEBUGCTL, BIT(32)), GP0, "reserved bit 32");
	G_EQ(try_rdmsr(MSR_DEBUGCTL, &v), NO_FAULT, "RDMSR");
	G_EQ(v, 0, "nothing changed");
	wrmsr(MSR_DEBUGCTL, 1);
}

static void host_debugctl(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u64 args[4], v;

	if (!is_droste())
		ksft_skip("KVM without a virtual PMU drops LBR and refuses the bits of BTS");
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_debugctl);
	while (vcpu_run_to_call(vcpu, args) == GCALL_SYNC)
		;
	MUST(!vcpu_get_msr(vcpu, MSR_DEBUGCTL, &v), "IA32_DEBUGCTL");
	EQ(v, 1, "as user space reads it");
	EQ(vcpu_set_msr(vcpu, MSR_DEBUGCTL, 2), 0, "user space writes it");
	vm_destroy(&vm);
}

/* --- IPIs by hypercall --- */

static volatile u64 ipi_seen[2];

static void on_ipi(struct trap_regs *r)
{
	ipi_seen[apic_id()] = r->vector;
	apic_eoi();
}

static u64 send_ipi(u64 low, u64 high, u64 min, u64 icr)
{
	u64 rax = 10;

	asm volatile("vmcall" : "+a" (rax) : "b" (low), "c" (high), "d" (min), "S" (icr) : "memory");
	return rax;
}

extern void (*ap_fn)(void);
extern char ap_start[], ap_end[];
static volatile u64 ap_ready;

static void ap_waits(void)
{
	apic_enable();
	ap_ready = 1;
	for (;;)
		asm volatile("sti; hlt" : : : "memory");
}

static bool wait_ipi(int id, u64 vector)
{
	u64 i;

	for (i = 0; i < 100000000 && ipi_seen[id] != vector; i++)
		relax();
	return ipi_seen[id] == vector;
}

static void guest_ipis(void)
{
	if (!(CPUID_REG(0x40000001, 0, a) & BIT(11))) {
		G_OK(false, "KVM's feature leaf has PV_SEND_IPI");
		return;
	}
	apic_enable();
	g_trap_fn[0x51] = on_ipi;
	g_trap_fn[0x52] = on_ipi;
	g_trap_fn[0x53] = on_ipi;
	ap_fn = ap_waits;
	g_copy((void *)LOW_CODE, ap_start, ap_end - ap_start);
	apic_icr(1, 0x4500);
	apic_icr(1, 0x4600 | (LOW_CODE >> 12));
	while (!ap_ready)
		relax();
	G_EQ(send_ipi(2, 0, 0, 0x51), 1, "one IPI, by bit 1");
	G_OK(wait_ipi(1, 0x51), "vCPU 1 takes it");
	G_EQ(send_ipi(1, 0, 1, 0x52), 1, "one IPI, by the lowest APIC ID");
	G_OK(wait_ipi(1, 0x52), "vCPU 1 takes it");
	G_EQ(send_ipi(3, 0, 0, 0x53), 2, "two IPIs");
	G_OK(wait_ipi(1, 0x53), "vCPU 1 takes it");
	sti_nop_cli();
	G_EQ(ipi_seen[0], 0x53, "vCPU 0 takes it");
	G_EQ(send_ipi(4, 0, 0, 0x53), 0, "an APIC ID that does not exist");
	G_EQ(send_ipi(1, 0, ~0ul, 0x53), 0, "an APIC ID far beyond");
	G_EQ(send_ipi(0, 0, 0, 0x53), 0, "no target");
	G_EQ(send_ipi(2, 0, 0, BIT(11) | 0x53), -22l, "a logical destination");
	G_EQ(send_ipi(2, 0, 0, 1 << 18 | 0x53), -22l, "a shorthand");
}

static void host_ipis(void)
{
	struct vm vm;
	struct vcpu *v[2];
	pthread_t thread;
	u64 i;

	vm_create(&vm, KSFT_SMP2);
	v[0] = vcpu_create(&vm, 0, guest_ipis);
	v[1] = vcpu_create(&vm, 1, NULL);
	for (i = 0; i < 2; i++) {
		struct kvm_cpuid2 *c = cpuid_of(v[i]);
		struct kvm_cpuid_entry2 *e = leaf(c, 0x40000000, 0);

		if (e) {
			e->ebx = 0x4b4d564b;	/* "KVMKVMKVM" */
			e->ecx = 0x564b4d56;
			e->edx = 0x4d;
		}
		set_and_free(v[i], c);
	}
	MUST(!pthread_create(&thread, NULL, run_forever, v[1]), "thread");
	vcpu_run_to_end(v[0]);
}

static const struct ksft_test tests[] = {
	{ "MSRs with 32 meaningful bits", .guest = guest_wide_msrs },
	{ "RDRAND and RDSEED that CPUID hides", .host = host_random },
	{ "EDX after reset and INIT", .host = host_signature },
	{ "VMMCALL at CPL 3 and on a read-only page", .host = host_vmmcall },
	{ "IA32_MISC_ENABLE: XD disable and limit-CPUID are taken", .guest = guest_misc_enable },
	{ "IA32_MISC_ENABLE: effects, fast strings", .host = host_misc_effects },
	{ "PhysAddrSize and GuestPhysAddrSize", .host = host_addresses },
	{ "WBNOINVD", .host = host_wbnoinvd },
	{ "feature MSRs and CPUID after KVM_RUN", .host = host_immutable },
	{ "IA32_SPEC_CTRL, PRED_CMD, FLUSH_CMD, ARCH_CAPABILITIES", .host = host_speculation },
	{ "IA32_DEBUGCTL", .host = host_debugctl },
	{ "KVM_HC_SEND_IPI", .host = host_ipis },
};
KSFT_MAIN(tests)

// SPDX-License-Identifier: GPL-2.0
/* DROSTE_SET_PROFILE and L2: its counter, the lists of MSRs and the preemption timer of L1. See docs/stealth.md. */
#include "hideclock.h"

/* --- L2's counter --- */

extern char c_l2_cpuid[];
asm(".pushsection .text\n"
	"c_l2_cpuid:\n"
	"1: rdtsc\n shl $32, %rdx\n or %rdx, %rax\n mov %rax, %rsi\n xor %eax, %eax\n xor %ecx, %ecx\n cpuid\n"
	"rdtsc\n shl $32, %rdx\n or %rdx, %rax\n mov %rax, %rdi\n"
	"vmcall\n jmp 1b\n"
	".popsection\n");

static volatile u64 l2_ratio, took_l2, took_l1;

static u64 times(u64 val, u64 ratio)
{
	return (__uint128_t)val * ratio >> 48;
}

static void guest_l1(void)
{
	u64 before, after, l2_before = 0;

	vmx_on();
	vmcs_usual((void (*)(void))(u64)c_l2_cpuid, g_page(), ept_new());
	need(F_PROC, PROC_TSC_OFFSET, "no TSC offsetting");
	vmwrite(F_TSC_OFFSET, 0x1000000000000ul);
	if (l2_ratio) {
		need_secondary(SEC_TSC_SCALING, "no TSC scaling");
		vmwrite(F_TSC_MULTIPLIER, l2_ratio);
	}
	took_l1 = ~0ul;
	took_l2 = ~0ul;
	for (u64 i = 0; i < 300; i++) {
		before = rdtsc();
		G_EQ(vmx_run(), R_CPUID, "L2's CPUID");
		after = rdtsc();
		ascends(before, "L1 before L2");
		ascends(after, "L1 after L2");
		took_l1 = after - before < took_l1 ? after - before : took_l1;
		vmx_skip();
		G_EQ(vmx_run(), R_VMCALL, "L2's VMCALL");
		vmx_skip();
		G_OK(l2.rsi >= l2_before, "L2's counter does not go back");
		G_OK(l2.rdi >= l2.rsi, "L2's counter does not go back over an exit to L1");
		G_OK(l2.rsi + 32 >= times(before, l2_ratio ?: 1ul << 48) + 0x1000000000000ul, "L2's counter and L1's");
		G_OK(l2.rdi <= times(rdtsc(), l2_ratio ?: 1ul << 48) + 0x1000000000000ul + 32, "L2's counter and L1's, at the end");
		took_l2 = l2.rdi - l2.rsi < took_l2 ? l2.rdi - l2.rsi : took_l2;
		l2_before = l2.rdi;
	}
}

static void run_l1(u64 ratio, u64 *took_1, u64 *took_2, u64 bound)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, KSFT_VMX, guest_l1, bound, 0);

	GUEST(&vm, l2_ratio) = ratio;
	vcpu_run_to_end(vcpu);
	*took_1 = GUEST(&vm, took_l1);
	*took_2 = GUEST(&vm, took_l2);
	vm_destroy(&vm);
}

static void host_l2(void)
{
	u64 shown1, shown2, hidden1, hidden2;

	run_l1(0, &shown1, &shown2, 0);
	run_l1(0, &hidden1, &hidden2, BOUND_NS);
	ksft_diag("CPUID in L2 takes %llu ticks by L2's counter, %llu if it is hidden; L1's entry with the exit %llu and %llu by L1's",
		  (unsigned long long)shown2, (unsigned long long)hidden2, (unsigned long long)shown1,
		  (unsigned long long)hidden1);
	OK(hidden1 + 300 < shown1, "L1 sees less");
	OK(hidden2 + 300 < shown2, "L2 sees less");
}

static void host_l2_scaled(void)
{
	u64 a, b;

	run_l1(3ull << 47, &a, &b, BOUND_NS);
}

/* --- L1's lists of MSRs with the counter --- */

struct msr_entry {
	u32 msr, reserved;
	u64 val;
};

extern char c_l2_reads[];
asm(".pushsection .text\n"
	"c_l2_reads:\n"
	"1: rdtsc\n shl $32, %rdx\n or %rdx, %rax\n mov %rax, %rsi\n xor %eax, %eax\n xor %ecx, %ecx\n cpuid\n jmp 1b\n"
	".popsection\n");

static struct msr_entry store[1] __attribute__((aligned(16))) = { { MSR_TSC } };
static struct msr_entry load[1] __attribute__((aligned(16))) = { { MSR_TSC } };
static struct msr_entry back[1] __attribute__((aligned(16))) = { { MSR_TSC } };

static void not_below(u64 now, u64 least, const char *what)
{
	if (now < least)
		g_call(GCALL_EQ, __FILE__, __LINE__, what, now, least, 0, 0);
}

/* What the lists store and load is what the counter goes on from: nobody reads less afterwards. */
static void guest_lists(void)
{
	volatile struct msr_entry *stored = store;
	u64 after;

	vmx_on();
	vmcs_usual((void (*)(void))(u64)c_l2_reads, g_page(), ept_new());
	vmclr(F_PROC, PROC_TSC_OFFSET);
	vmwrite(F_EXIT_MSR_STORE, (u64)store);
	vmwrite(F_EXIT_STORE_COUNT, 1);
	for (u64 i = 0; i < 100; i++) {
		G_EQ(vmx_run(), R_CPUID, "L2's CPUID");
		after = rdtsc();
		not_below(stored->val, l2.rsi, "what is stored is not before L2's last RDTSC");
		not_below(after, stored->val, "L1 does not read less than what was stored");
		vmx_skip();
	}
	vmwrite(F_EXIT_STORE_COUNT, 0);
	vmwrite(F_ENTRY_MSR_LOAD, (u64)load);
	vmwrite(F_ENTRY_LOAD_COUNT, 1);
	for (u64 i = 0; i < 100; i++) {
		load[0].val = rdtsc() + 1000000;
		G_EQ(vmx_run(), R_CPUID, "L2's CPUID");
		not_below(l2.rsi, load[0].val, "L2 does not read less than what was loaded");
		vmx_skip();
	}
	vmwrite(F_ENTRY_LOAD_COUNT, 0);
	vmwrite(F_EXIT_MSR_LOAD, (u64)back);
	vmwrite(F_EXIT_LOAD_COUNT, 1);
	for (u64 i = 0; i < 100; i++) {
		back[0].val = rdtsc() + 1000000;
		G_EQ(vmx_run(), R_CPUID, "L2's CPUID");
		not_below(rdtsc(), back[0].val, "L1 does not read less than what was loaded");
		vmx_skip();
	}
}

static void lists_with(s64 extra)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, KSFT_VMX, guest_lists, BOUND_NS, extra);

	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_lists(void)
{
	lists_with(0);
	lists_with(nearly_all());
}

/* --- L1's preemption timer --- */

#define USER_MSR	0x606
#define TIMER_TICKS	50000ul
#define TIMER_BOUND_NS	1000000		/* more ticks than the timer has */
#define TIMER_ROUNDS	5

extern char c_l2_msrs[];
asm(".pushsection .text\n"
	"c_l2_msrs:\n"
	"mov $0x606, %ecx\n"
	"1: rdmsr\n jmp 1b\n"
	".popsection\n");

static volatile u64 khz, least_early;

/*
 * L2's RDMSRs are user space's to answer, and their cost is hidden, so that L2 has many while the timer runs. L1 must
 * not find the timer expired before its own counter says so, but for the cost of the last exit.
 */
static void guest_timer(void)
{
	u64 rate, value, ticks, early, from;

	vmx_on();
	rate = rdmsr(MSR_VMX_MISC) & 0x1f;
	value = (TIMER_TICKS >> rate) + 1;
	vmcs_usual((void (*)(void))(u64)c_l2_msrs, g_page(), ept_new());
	need(F_PIN, PIN_TIMER, "no preemption timer");
	least_early = ~0ul;
	for (u64 i = 0; i < TIMER_ROUNDS; i++) {
		vmwrite(F_TIMER, value);
		/* The host's ticks have what was hidden paid back. */
		from = rdtsc();
		while (rdtsc() - from < khz * 12)
			;
		ticks = rdtsc();
		G_EQ(vmx_run(), R_TIMER, "L2 until the timer ends it");
		ticks = rdtsc() - ticks;
		early = ticks < value << rate ? (value << rate) - ticks : 0;
		least_early = early < least_early ? early : least_early;
	}
}

static void host_timer(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, KSFT_VMX, guest_timer, TIMER_BOUND_NS, 0);
	u64 kind, before = 0, now, cost = 0, exits = 0;

	EQ(vm_enable_cap(&vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_UNKNOWN), 0, "the capability");
	GUEST(&vm, khz) = DO(vcpu->fd, KVM_GET_TSC_KHZ, 0);
	while ((kind = vcpu_run_to_call(vcpu, NULL)) == GCALL_NONE && vcpu->run->exit_reason == KVM_EXIT_X86_RDMSR) {
		EQ(vcpu->run->msr.index, USER_MSR, "the MSR");
		now = rdtsc();
		/* Between two rounds more time passes. */
		if (before && now - before < GUEST(&vm, khz) * 10 && now - before > cost)
			cost = now - before;
		before = now;
		exits++;
		vcpu->run->msr.data = 0;
		vcpu->run->msr.error = 0;
	}
	MUST(kind == GCALL_DONE, "the guest does not end: exit %u", vcpu->run->exit_reason);
	ksft_diag("%llu exits; the timer of %lu ticks was early by %llu or more, an exit costs up to %llu",
		  (unsigned long long)exits, TIMER_TICKS, (unsigned long long)GUEST(&vm, least_early),
		  (unsigned long long)cost);
	OK(exits > TIMER_ROUNDS, "L2 has exits while the timer runs");
	OK(GUEST(&vm, least_early) <= cost, "early by no more than an exit costs");
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "L2's counter", .host = host_l2 },
	{ "L2's counter, scaled", .host = host_l2_scaled },
	{ "the counter in L1's lists of MSRs", .host = host_lists },
	{ "L1's preemption timer", .host = host_timer },
};
KSFT_MAIN(tests)

// SPDX-License-Identifier: GPL-2.0
/* The operations that the small guest repeats between markers, and the guest's main functions. */
#include "micro.h"
#include "vmx.h"

#define VEC_TIMER	0x50
#define VEC_SELF	0x51
#define VEC_PING	0x52
#define VEC_PONG	0x53
#define VEC_WAKE	0x54
#define TAG		0xbe000000u	/* of the counts: with the level and the number of the row */
#define NO_TAG		(~0ul)		/* ends a count and starts none */
#define NO_CALL		0xffffff	/* a hypercall that there is none of */
#define X2APIC_EOI	MSR_X2APIC(APIC_EOI)
#define CR4_UNUSED	CR4_MCE		/* KVM does not let guests change it without an exit */
#define HOST_TICK	400000ul	/* TSC ticks from one of the host's to the next: TICK of rows.py */
#define FAR_AHEAD	(1ul << 40)	/* TSC ticks */

struct request request;
static volatile u64 arrived, replied;	/* interrupts that vCPU 0 has handled */
static volatile u64 second_mode;	/* of vCPU 1's APIC: 0 before it is ready, 1 xAPIC, 2 x2APIC */
static volatile u64 wanted_mode = 1;
static u64 saved;
static u64 next_fresh = FRESH, next_backed = BACKED;

static inline void marker(u64 tag)
{
	asm volatile("xchg %%bx, %%bx" : : "a" (tag) : "memory");
}

u32 micro_times(const struct row *row)
{
	u32 n = row->times / request.divide;

	return n ? n : 1;
}

/* A function of a row that carries out a statement @n times. */
#define ROW_FUNCTION(name, statement) \
static void name(u64 n) \
{ \
	for (; n; n--) { \
		statement; \
	} \
}

/* The same for a statement that has to be carried out an even number of times. */
#define ROW_TOGGLE(name, statement) \
static void name(u64 n) \
{ \
	for (n += n & 1; n; n--) { \
		statement; \
	} \
}

/* --- instructions --- */

ROW_FUNCTION(run_nothing, asm volatile("" : : : "memory"))
ROW_FUNCTION(run_cpuid, u32 a; u32 b; u32 c; u32 d; cpuid(0, 0, &a, &b, &c, &d))
ROW_FUNCTION(run_rdmsr_passed, rdmsr(MSR_KERNEL_GS_BASE))
ROW_FUNCTION(run_wrmsr_passed, wrmsr(MSR_KERNEL_GS_BASE, 0))
ROW_FUNCTION(run_rdmsr_trapped, rdmsr(MSR_APIC_BASE))
ROW_FUNCTION(run_wrmsr_trapped, wrmsr(MSR_MISC_ENABLE, saved))
ROW_FUNCTION(run_rdmsr_tsc, rdmsr(MSR_TSC))
ROW_FUNCTION(run_vmcall, u64 a = NO_CALL; asm volatile(TRY("vmcall") : "+a" (a) : : "r11", "memory", "cc"))
ROW_FUNCTION(run_xsetbv, try_xsetbv(0, saved))
ROW_FUNCTION(run_wbinvd, asm volatile("wbinvd" : : : "memory"))
ROW_FUNCTION(run_to_dr, asm volatile("mov %0, %%db0" : : "r" (0ul)))
ROW_FUNCTION(run_from_dr, read_dr0())
ROW_TOGGLE(run_cr0_ts, saved ^= CR0_TS; asm volatile("mov %0, %%cr0" : : "r" (saved) : "memory"))
ROW_TOGGLE(run_cr0_wp, saved ^= CR0_WP; asm volatile("mov %0, %%cr0" : : "r" (saved) : "memory"))
ROW_FUNCTION(run_cr3, asm volatile("mov %0, %%cr3" : : "r" (saved) : "memory"))
ROW_TOGGLE(run_cr4_pge, saved ^= CR4_PGE; asm volatile("mov %0, %%cr4" : : "r" (saved) : "memory"))
ROW_TOGGLE(run_cr4_mce, saved ^= CR4_UNUSED; asm volatile("mov %0, %%cr4" : : "r" (saved) : "memory"))
ROW_FUNCTION(run_invlpg, asm volatile("invlpg (%0)" : : "r" (HEAP) : "memory"))
ROW_FUNCTION(run_pause, relax())

static void run_host_ticks(u64 n)
{
	u64 end = rdtsc() + n * HOST_TICK;

	while ((s64)(rdtsc() - end) < 0)
		;
}

static const char *save_misc_enable(void)
{
	if (try_rdmsr(MSR_MISC_ENABLE, &saved) || try_wrmsr(MSR_MISC_ENABLE, saved))
		return "IA32_MISC_ENABLE cannot be written";
	return NULL;
}

/*
 * Enables all of XCR0 and UMIP, as Linux does: what is the same at all levels need not be switched at each exit. On a
 * processor without UMIP, hypervisors emulate it by descriptor-table exiting.
 */
static void enable_as_linux(void)
{
	if (CPUID_REG(7, 0, c) & BIT(2))
		write_cr4(read_cr4() | BIT(11));
	if (!write_cr4(read_cr4() | CR4_OSXSAVE))
		try_xsetbv(0, CPUID_REG(0xd, 0, a) | (u64)CPUID_REG(0xd, 0, d) << 32);
}

static const char *save_xcr0(void)
{
	if (!(read_cr4() & CR4_OSXSAVE))
		return "no XSAVE";
	saved = xgetbv(0);
	return NULL;
}

static const char *save_cr0(void)
{
	saved = read_cr0();
	return NULL;
}

static const char *save_cr3(void)
{
	saved = read_cr3();
	return NULL;
}

static const char *save_cr4(void)
{
	saved = read_cr4();
	return NULL;
}

/* --- fields of a VMCS --- */

/* The VMCS stays: no other rows follow. */
static const char *prepare_vmcs(void)
{
	static bool made;

	if (!(CPUID_REG(1, 0, c) & BIT(5)))
		return "no VMX";
	if (!made)
		vmcs_new(micro_main);
	made = true;
	return NULL;
}

/* Xen's VMREADs and VMWRITEs look so: a constant, the instruction, and a jump that is not taken. */
#define FOUR_FIELDS(op) \
	"mov $0x6806, %%ecx; " op "; jbe 1f; mov $0x680a, %%ecx; " op "; jbe 1f\n" \
	"mov $0x480e, %%ecx; " op "; jbe 1f; mov $0x0800, %%ecx; " op "; jbe 1f\n"
#define FIELD_ROW(name, code) \
	ROW_FUNCTION(name, asm volatile(code "1:" : : : "rcx", "rdx", "cc"))
#define READ_FOUR	FOUR_FIELDS("vmread %%rcx, %%rdx")
#define WRITE_FOUR	FOUR_FIELDS("vmwrite %%rdx, %%rcx")

FIELD_ROW(run_vmread, "mov $0x6806, %%ecx; vmread %%rcx, %%rdx; jbe 1f\n")
FIELD_ROW(run_vmreads, READ_FOUR READ_FOUR READ_FOUR READ_FOUR)
FIELD_ROW(run_vmwrites, WRITE_FOUR WRITE_FOUR WRITE_FOUR WRITE_FOUR)

/* --- a step --- */

static void on_step(struct trap_regs *regs)
{
}

static const char *prepare_step(void)
{
	g_trap_fn[VEC_DB] = on_step;
	return NULL;
}

/* Each turn of the loop is two steps. The instruction before it and the three after it are four. */
static void run_step(u64 n)
{
	u64 pairs = n > 4 ? (n - 4) / 2 : 0;

	asm volatile("pushfq; orl %1, (%%rsp); popfq\n"
		     "jrcxz 2f\n"
		     "1: dec %0; jnz 1b\n"
		     "2: pushfq; andl %2, (%%rsp); popfq"
		     : "+c" (pairs) : "i" (RFLAGS_TF), "i" (~(u32)RFLAGS_TF) : "memory", "cc");
}

/* --- ports and memory --- */

ROW_FUNCTION(run_out_user, outb(PORT_USER, 0))
ROW_FUNCTION(run_in_user, inb(PORT_USER))
ROW_FUNCTION(run_out_event, outb(PORT_EVENT, 0))
ROW_FUNCTION(run_out_coalesced, outb(PORT_COALESCED, 0))
ROW_FUNCTION(run_in_pic, inb(0x21))
ROW_FUNCTION(run_pio_passed, inb(PORT_PASSED))
ROW_FUNCTION(run_pio_delay, outb(PORT_DELAY, 0))
ROW_FUNCTION(run_write_user, *(volatile u32 *)MMIO_USER = 0)
ROW_FUNCTION(run_read_user, (void)*(volatile u32 *)MMIO_USER)
ROW_FUNCTION(run_write_event, *(volatile u32 *)MMIO_EVENT = 0)
ROW_FUNCTION(run_write_event_any, *(volatile u32 *)MMIO_EVENT_ANY = 0)
ROW_FUNCTION(run_write_coalesced, *(volatile u32 *)MMIO_COALESCED = 0)
ROW_FUNCTION(run_read_ioapic, (void)*(volatile u32 *)0xfec00010ul)
ROW_FUNCTION(run_touch_fresh, *(volatile u8 *)next_fresh = 1; next_fresh += 4096)
ROW_FUNCTION(run_touch_backed, *(volatile u8 *)next_backed = 1; next_backed += 4096)

/* --- the local APIC --- */

static void write_xapic(u32 reg, u32 val)
{
	*(volatile u32 *)(APIC_BASE + reg) = val;
}

static void on_interrupt_xapic(struct trap_regs *regs)
{
	arrived++;
	write_xapic(APIC_EOI, 0);
}

static void on_interrupt_x2apic(struct trap_regs *regs)
{
	arrived++;
	wrmsr(X2APIC_EOI, 0);
}

/* Puts the APIC into the mode. From x2APIC mode only a disabled APIC returns to xAPIC mode (SDM 11.12.5). */
static void set_mode(bool x2)
{
	u64 base = rdmsr(MSR_APIC_BASE) & ~(BIT(10) | BIT(11));

	if (apic_is_x2() != x2) {
		wrmsr(MSR_APIC_BASE, base);
		wrmsr(MSR_APIC_BASE, base | BIT(11));
		if (x2)
			wrmsr(MSR_APIC_BASE, base | BIT(11) | BIT(10));
	}
	apic_enable();
}

static void handle_own(trap_fn fn)
{
	g_trap_fn[VEC_SELF] = fn;
	g_trap_fn[VEC_TIMER] = fn;
	sti();
}

static const char *prepare_xapic(void)
{
	set_mode(false);
	handle_own(on_interrupt_xapic);
	return NULL;
}

static const char *prepare_x2apic(void)
{
	if (!(CPUID_REG(1, 0, c) & BIT(21)))
		return "no x2APIC";
	set_mode(true);
	handle_own(on_interrupt_x2apic);
	return NULL;
}

static const char *prepare_masked(void)
{
	const char *why = prepare_x2apic();

	cli();
	return why;
}

static const char *prepare_deadline(void)
{
	if (!(CPUID_REG(1, 0, c) & BIT(24)))
		return "no TSC-deadline timer";
	if (prepare_x2apic())
		return "no x2APIC";
	apic_write(APIC_LVTT, 2 << 17 | VEC_TIMER);
	return NULL;
}

static const char *prepare_halt(void)
{
	const char *why = prepare_deadline();

	cli();
	return why;
}

static void stop_timer(void)
{
	cli();
	wrmsr(MSR_TSC_DEADLINE, 0);
	apic_write(APIC_LVTT, BIT(16));
}

/* Waits for the interrupt that follows from a statement. */
#define UNTIL_ARRIVED(statement) ({ \
	u64 before__ = arrived; \
\
	statement; \
	while (arrived == before__) \
		relax(); \
})

ROW_FUNCTION(run_read_xapic, (void)*(volatile u32 *)(APIC_BASE + APIC_LVR))
ROW_FUNCTION(run_eoi_xapic, write_xapic(APIC_EOI, 0))
ROW_FUNCTION(run_eoi_x2apic, wrmsr(X2APIC_EOI, 0))
ROW_FUNCTION(run_self_xapic, UNTIL_ARRIVED(write_xapic(APIC_ICR, 1 << 18 | VEC_SELF)))
ROW_FUNCTION(run_self_x2apic, UNTIL_ARRIVED(wrmsr(MSR_X2APIC(APIC_ICR), 1 << 18 | VEC_SELF)))
ROW_FUNCTION(run_self_register, UNTIL_ARRIVED(wrmsr(MSR_X2APIC(APIC_SELF_IPI), VEC_SELF)))
ROW_FUNCTION(run_arm, wrmsr(MSR_TSC_DEADLINE, rdtsc() + FAR_AHEAD))
ROW_FUNCTION(run_fire, UNTIL_ARRIVED(wrmsr(MSR_TSC_DEADLINE, rdtsc() + request.deadline)))
ROW_FUNCTION(run_halt_pending, wrmsr(MSR_X2APIC(APIC_SELF_IPI), VEC_SELF); sti_hlt_cli())
ROW_FUNCTION(run_halt, wrmsr(MSR_TSC_DEADLINE, rdtsc() + request.deadline); sti_hlt_cli())

/* --- two vCPUs --- */

static void end_interrupt(void)
{
	if (wanted_mode == 2)
		wrmsr(X2APIC_EOI, 0);
	else
		write_xapic(APIC_EOI, 0);
}

static void send(u32 to, u32 vector)
{
	if (wanted_mode == 2) {
		wrmsr(MSR_X2APIC(APIC_ICR), (u64)to << 32 | vector);
		return;
	}
	write_xapic(APIC_ICR2, to << 24);
	write_xapic(APIC_ICR, vector);
}

static void on_ping(struct trap_regs *regs)
{
	end_interrupt();
	send(0, VEC_PONG);
}

static void on_pong(struct trap_regs *regs)
{
	replied++;
	end_interrupt();
}

static void on_wake(struct trap_regs *regs)
{
	write_xapic(APIC_EOI, 0);
}

void micro_second(void)
{
	enable_as_linux();
	g_trap_fn[VEC_WAKE] = on_wake;
	set_mode(false);
	for (;;) {
		if (wanted_mode == 2 && second_mode != 2)
			set_mode(true);
		second_mode = wanted_mode;
		sti_hlt_cli();
	}
}

static const char *prepare_pair(void)
{
	g_trap_fn[VEC_PING] = on_ping;
	g_trap_fn[VEC_PONG] = on_pong;
	set_mode(wanted_mode == 2);
	while (second_mode != wanted_mode)
		relax();
	cli();
	return NULL;
}

/* vCPU 1 enters x2APIC mode when it wakes, so it is woken in its old mode. */
static const char *prepare_pair_x2apic(void)
{
	if (!(CPUID_REG(1, 0, c) & BIT(21)))
		return "no x2APIC";
	prepare_pair();
	if (wanted_mode == 1) {
		write_xapic(APIC_ICR2, 1 << 24);
		wanted_mode = 2;
		write_xapic(APIC_ICR, VEC_WAKE);
	}
	return prepare_pair();
}

static void run_pair(u64 n)
{
	for (; n; n--) {
		u64 before = replied;

		send(1, VEC_PING);
		while (replied == before)
			sti_hlt_cli();
	}
}

/* --- the table --- */

const struct row rows[] = {
	{ "nothing", "the loop around the operations", NULL, run_nothing, NULL, 64 },
	{ "cpuid", "CPUID", NULL, run_cpuid, NULL, 32 },
	{ "rdmsr-passed", "RDMSR of IA32_KERNEL_GS_BASE", NULL, run_rdmsr_passed, NULL, 32 },
	{ "wrmsr-passed", "WRMSR of IA32_KERNEL_GS_BASE", NULL, run_wrmsr_passed, NULL, 32 },
	{ "rdmsr-trapped", "RDMSR of IA32_APIC_BASE", NULL, run_rdmsr_trapped, NULL, 32 },
	{ "wrmsr-trapped", "WRMSR of IA32_MISC_ENABLE", save_misc_enable, run_wrmsr_trapped, NULL, 32 },
	{ "rdmsr-tsc", "RDMSR of IA32_TIME_STAMP_COUNTER", NULL, run_rdmsr_tsc, NULL, 32 },
	{ "out-user", "OUT to user space", NULL, run_out_user, NULL, 16 },
	{ "in-user", "IN from user space", NULL, run_in_user, NULL, 16 },
	{ "out-event", "OUT to an ioeventfd", NULL, run_out_event, NULL, 32 },
	{ "out-coalesced", "OUT, coalesced", NULL, run_out_coalesced, NULL, 32 },
	{ "in-kernel", "IN from the PIC", NULL, run_in_pic, NULL, 32 },
	{ "pio-passed", "IN from a port that is passed, if the hypervisor can", NULL, run_pio_passed, NULL, 32 },
	{ "pio-80", "OUT to port 0x80, by which Linux waits, passed if the hypervisor can", NULL, run_pio_delay, NULL, 32 },
	{ "mmio-write-user", "MMIO write to user space", NULL, run_write_user, NULL, 16 },
	{ "mmio-read-user", "MMIO read from user space", NULL, run_read_user, NULL, 16 },
	{ "mmio-event", "MMIO write to an ioeventfd of 4 bytes", NULL, run_write_event, NULL, 32 },
	{ "mmio-event-any", "MMIO write to an ioeventfd without a length", NULL, run_write_event_any, NULL, 32 },
	{ "mmio-coalesced", "MMIO write, coalesced", NULL, run_write_coalesced, NULL, 32 },
	{ "mmio-kernel", "MMIO read from the I/O APIC", NULL, run_read_ioapic, NULL, 32 },
	{ "apic-read", "xAPIC read", prepare_xapic, run_read_xapic, cli, 32 },
	{ "eoi-xapic", "EOI, xAPIC", prepare_xapic, run_eoi_xapic, cli, 32 },
	{ "self-ipi-xapic", "self-IPI by ICR and its EOI, xAPIC", prepare_xapic, run_self_xapic, cli, 16 },
	{ "eoi-x2apic", "EOI, x2APIC", prepare_x2apic, run_eoi_x2apic, cli, 32 },
	{ "self-ipi-x2apic", "self-IPI by ICR and its EOI, x2APIC", prepare_x2apic, run_self_x2apic, cli, 16 },
	{ "self-ipi-register", "self-IPI by SELF IPI and its EOI, x2APIC", prepare_x2apic, run_self_register, cli, 16 },
	{ "deadline-arm", "WRMSR of IA32_TSC_DEADLINE, far ahead", prepare_deadline, run_arm, stop_timer, 32 },
	{ "deadline-fire", "IA32_TSC_DEADLINE, its interrupt and EOI", prepare_deadline, run_fire, stop_timer, 1, ROW_EVENT },
	{ "hlt-wake", "IA32_TSC_DEADLINE, HLT, the interrupt and EOI", prepare_halt, run_halt, stop_timer, 1, ROW_EVENT },
	{ "hlt-pending", "SELF IPI, HLT, which the interrupt ends at once, and EOI", prepare_masked, run_halt_pending, NULL, 16 },
	{ "ipi-pair-xapic", "IPI to a halted vCPU and its reply, xAPIC", prepare_pair, run_pair, NULL, 4, ROW_TWO | ROW_EVENT },
	{ "ipi-pair-x2apic", "IPI to a halted vCPU and its reply, x2APIC", prepare_pair_x2apic, run_pair, NULL, 4, ROW_TWO | ROW_EVENT },
	{ "vmcall", "VMCALL with no known number, or its #UD", NULL, run_vmcall, NULL, 32 },
	{ "xsetbv", "XSETBV", save_xcr0, run_xsetbv, NULL, 32 },
	{ "wbinvd", "WBINVD", NULL, run_wbinvd, NULL, 16 },
	{ "mov-to-dr", "MOV to DR0", NULL, run_to_dr, NULL, 32 },
	{ "mov-from-dr", "MOV from DR0", NULL, run_from_dr, NULL, 32 },
	{ "cr0-ts", "MOV to CR0, TS changes", save_cr0, run_cr0_ts, NULL, 32 },
	{ "cr0-wp", "MOV to CR0, WP changes", save_cr0, run_cr0_wp, NULL, 32 },
	{ "cr3", "MOV to CR3", save_cr3, run_cr3, NULL, 32 },
	{ "cr4-pge", "MOV to CR4, PGE changes", save_cr4, run_cr4_pge, NULL, 32 },
	{ "cr4-mce", "MOV to CR4, MCE changes", save_cr4, run_cr4_mce, NULL, 32 },
	{ "invlpg", "INVLPG", NULL, run_invlpg, NULL, 32 },
	{ "pause", "PAUSE in a loop", NULL, run_pause, NULL, 8192 },
	{ "ept-fresh", "first write to a 4-KiB page that is not backed", NULL, run_touch_fresh, NULL, 32 },
	{ "ept-backed", "first write to a 4-KiB page that is backed", NULL, run_touch_backed, NULL, 32 },
	{ "step", "one step under RFLAGS.TF", prepare_step, run_step, NULL, 64 },
	{ "host-tick", "one timer tick of the host, while the guest is busy and has no timer", NULL, run_host_ticks, NULL, 10, ROW_TICKS },
	{ "vmread", "VMREAD of a field that is not shadowed", prepare_vmcs, run_vmread, NULL, 32 },
	{ "vmread-run", "16 such VMREADs in a row", prepare_vmcs, run_vmreads, NULL, 8 },
	{ "vmwrite-run", "16 VMWRITEs of such fields in a row", prepare_vmcs, run_vmwrites, NULL, 8 },
};

const u32 row_count = ARRAY_SIZE(rows);

void micro_main(void)
{
	u32 i, w;

	enable_as_linux();
	for (i = 0; i < row_count; i++) {
		const struct row *row = &rows[i];
		u64 n = micro_times(row);
		const char *why;

		if (!request.wanted[i] || !!(row->flags & ROW_TWO) != request.two)
			continue;
		g_sync2(STAGE_ROW, i);
		why = row->prepare ? row->prepare() : NULL;
		if (why) {
			g_sync2(STAGE_SKIP, (uintptr_t)why);
			continue;
		}
		row->run(n);
		for (w = 0; w < request.windows; w++) {
			marker(NO_TAG);
			marker(TAG | request.level << 16 | i);
			row->run(n);
			marker(NO_TAG);
		}
		if (row->finish)
			row->finish();
		g_sync2(STAGE_DONE, i);
	}
}

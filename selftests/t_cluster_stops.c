// SPDX-License-Identifier: GPL-2.0
/* Where L0 stops to execute VMREADs and VMWRITEs together with one that has exited. */
#define _GNU_SOURCE
#include "cluster.h"
#include "tracefs.h"
#include <sys/mman.h>

/* Eight pairs of MOV and VMREAD. */
static void make_reads(void)
{
	at = code;
	reads(8);
	e_ret();
}

/* --- where it stops: what L1 sees --- */

static volatile u64 hit_rip, hits, hit_reg;

static void on_breakpoint(struct trap_regs *r)
{
	hit_rip = r->rip;
	hit_reg = r->rdx;
	hits++;
	r->rflags |= RFLAGS_RF;
	write_dr6(0xffff0ff0);
}

/* A trap for each instruction, with the address of the next one. */
static void guest_steps(void)
{
	prepare();
	make_reads();
	compare(0);
	G_EQ(steps, 1 + 2 * 8, "the call, and 8 pairs of instructions");
	for (u64 i = 1; i < steps; i++)
		G_EQN(step_at[i] - step_at[i - 1], i % 2 ? 5 : 3 + (i / 2 % 4 != 1), "length of the instruction", i);
}

static void guest_breakpoint(void)
{
	u8 *middle;

	prepare();
	at = code;
	e_read(F_ES_BASE, DX);
	e_read(F_TSC_OFFSET, DX);
	middle = at;
	e_mov(BX, 7);
	e_read(F_ES_BASE, DX);
	e_ret();
	vmwrite(F_ES_BASE, 0x1000);
	vmwrite(F_TSC_OFFSET, 0x2000);
	call_code(code, 0);
	g_trap_fn[VEC_DB] = on_breakpoint;
	write_dr0((u64)middle);
	write_dr7(0x401);
	call_code(code, 0);
	write_dr7(0x400);
	G_EQ(hits, 1, "the breakpoint is hit");
	G_EQ(hit_rip, (u64)middle, "its address");
	G_EQ(hit_reg, 0x2000, "a register at the breakpoint");
	G_EQ(st.reg[DX], 0x1000, "a register at the end");
	call_code(code, 0);
	G_EQ(hits, 1, "no breakpoint is left");
}

/* A breakpoint at the first VMREAD, which is off when L1 goes on with RF set. */
static void on_first(struct trap_regs *r)
{
	hit_rip = r->rip;
	hits++;
	r->rflags |= RFLAGS_RF;
	write_dr7(0x400);
	write_dr6(0xffff0ff0);
}

/* The processor may save RF as it was at an exit, or as 0. */
static void guest_rf(void)
{
	struct state once;

	prepare();
	make_reads();
	set_fields();
	call_code(code, 0);
	once = st;
	g_trap_fn[VEC_DB] = on_first;
	for (u64 i = 0; i < 3; i++) {
		write_dr0((u64)code + 5);
		write_dr7(0x401);
		call_code(code, 0);
		G_EQN(hits, i + 1, "the breakpoint is hit once", i);
		G_EQN(hit_rip, (u64)code + 5, "its address", i);
		G_EQN(g_diff(&once, &st, sizeof(st)), -1, "registers and flags", i);
	}
}

/* The page behind the code in L1's memory is not the next one at its linear addresses. */
static void guest_page_end(void)
{
	u64 *pte, frame;
	u8 *pages = g_pages(4), *begin = pages + 4096 - 32;

	prepare();
	pte = g_pte((u64)pages + 4096);
	frame = *pte;
	at = begin;
	for (int i = 0; i < 8; i++)
		e_read(F_ES_BASE, i < 4 ? SI : DI);
	e_ret();
	/* The same in another page, with other results. */
	at = pages + 2 * 4096;
	for (int i = 0; i < 4; i++)
		e_read(F_SS_BASE, DI);
	e_ret();
	set_fields();
	call_code(begin, 0);
	G_EQ(st.reg[DI], 0x1000, "the page behind");
	*pte = *g_pte((u64)pages + 2 * 4096);
	invlpg((u64)pages + 4096);
	call_code(begin, 0);
	G_EQ(st.reg[SI], 0x1000, "the first page");
	G_EQ(st.reg[DI], 0x1010, "another page is mapped behind it");
	*pte = frame;
	invlpg((u64)pages + 4096);
	call_code(begin, 0);
	G_EQ(st.reg[DI], 0x1000, "the page behind again");
}

static volatile u64 fault_rip, fault_error;

/* Leaves the code, as its RET would. */
static void on_fetch_fault(struct trap_regs *r)
{
	fault_rip = r->rip;
	fault_error = r->error;
	r->rip = *(u64 *)r->rsp;
	r->rsp += 8;
}

/* A jump to a page that L1 may not execute. The instructions there must not be. */
static void fetch_faults(u64 set, u64 clear, const char *what)
{
	u8 *there = code + 4096;
	u64 *pte = g_pte((u64)there), was = *pte;

	at = there;
	e_read(F_SS_BASE, R9);
	e_ret();
	at = code;
	e_read(F_ES_BASE, R8);
	CODE(0xeb, 9);
	e_read(F_TR_LIMIT, R8);
	e_read(F_ES_BASE, R8);
	CODE(0x0f, 0x87);	/* ja */
	e32(there - (at + 4));
	e_read(F_TR_LIMIT, R9);
	e_ret();
	set_fields();
	call_code(code, 0);
	G_EQ(st.reg[R9], 0x1010, "the jump");
	*pte = (was | set) & ~clear;
	invlpg((u64)there);
	fault_rip = 0;
	g_trap_fn[VEC_PF] = on_fetch_fault;
	call_code(code, 0);
	g_trap_fn[VEC_PF] = NULL;
	G_EQ(fault_rip, (u64)there, what);
	G_EQ(st.reg[R9], initial(R9), what);
	*pte = was;
	invlpg((u64)there);
}

static void guest_no_fetch(void)
{
	prepare();
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NX);
	fetch_faults(1ul << 63, 0, "a page that is not executable");
	fetch_faults(0, BIT(0), "a page that is not present");
}

/* Code that L1 changes, and a page of code that it replaces. */
static void guest_changed(void)
{
	u8 *other = g_page();
	u64 *pte, was;

	prepare();
	set_fields();
	for (u64 i = 0; i < 20; i++) {
		at = code;
		e_read(F_ES_BASE, R8);
		e_read(i & 1 ? F_SS_BASE : F_ES_BASE, R9);
		e_mov(BX, i);
		e_read(i & 2 ? F_DS_LIMIT : F_ES_BASE, R10);
		e_ret();
		call_code(code, 0);
		G_EQN(st.reg[R9], i & 1 ? 0x1010 : 0x1000, "another field", i);
		G_EQN(st.reg[BX], i, "another constant", i);
		G_EQN(st.reg[R10], i & 2 ? 0x1020 : 0x1000, "another field at the end", i);
	}
	g_copy(other, code, 4096);
	at = other + 9;
	e_read(F_DS_LIMIT, R9);
	pte = g_pte((u64)code);
	was = *pte;
	for (u64 i = 0; i < 6; i++) {
		*pte = i & 1 ? *g_pte((u64)other) : was;
		invlpg((u64)code);
		call_code(code, 0);
		G_EQN(st.reg[R9], i & 1 ? 0x1020 : 0x1010, "another page", i);
	}
}

/* STI and MOV SS block interrupts until the instruction behind them is complete, and no longer. */
static void on_irq(struct trap_regs *r)
{
	hit_rip = r->rip;
	hits++;
	apic_eoi();
}

static void blocked(const u8 *first, u64 n, u64 flags, const char *what)
{
	u8 *end;

	at = code;
	e_mov(R8, F_ES_BASE);
	emit(first, n);
	e_vmx(0x78, R8, R9);
	end = at;
	reads(4);
	e8(0xfa);		/* cli */
	e_ret();
	hits = 0;
	apic_icr(0, 0x40051);
	for (int i = 0; i < 1000; i++)
		relax();
	G_EQ(hits, 0, "not yet");
	call_code(code, flags);
	G_EQ(hits, 1, what);
	G_EQ(hit_rip, (u64)end, what);
}

static void guest_blocked(void)
{
	static const u8 sti_code[] = { 0xfb };

	prepare();
	apic_enable();
	g_trap_fn[0x51] = on_irq;
	blocked(sti_code, 1, 0, "an interrupt behind the instruction after STI");
}

/* Stores that L1 must make itself: the flags in its page tables, faults, and its own code. */
static void guest_stores(void)
{
	u64 *pte, was;
	u8 *changed;

	prepare();
	pte = g_pte((u64)memory);
	was = *pte;
	at = code;
	reads(1);
	CODE(0xc7, 0x46, 0, 0x78, 0x56, 0x34, 0x12);	/* movl $0x12345678, 0(%rsi) */
	e_read(F_ES_BASE, R9);
	CODE(0xc6, 0x46, 0x70, 0x55);	/* movb $0x55, 0x70(%rsi) */
	e_read(F_ES_BASE, R10);
	e_ret();
	set_fields();
	for (u64 i = 0; i < 6; i++) {
		memory[0x70] = 0;
		*(u32 *)memory = 0;
		*pte = i & 1 ? was : was & ~BIT(6);
		invlpg((u64)memory);
		call_code(code, 0);
		G_EQN(*(u32 *)memory, 0x12345678, "a store", i);
		G_EQN(memory[0x70], 0x55, "a store of a byte", i);
		G_EQN(st.reg[R10], 0x1000, "a field", i);
		G_EQN(*pte & BIT(6), BIT(6), "the dirty flag", i);
	}
	*pte = was & ~BIT(1);
	invlpg((u64)memory);
	g_trap_fn[VEC_PF] = on_fetch_fault;
	call_code(code, 0);
	g_trap_fn[VEC_PF] = NULL;
	*pte = was;
	invlpg((u64)memory);
	G_EQ(fault_rip, (u64)code + 8, "#PF of a store to a read-only page");
	G_EQ(fault_error & 3, 3, "its error code");
	G_EQ(st.reg[R9], initial(R9), "the instruction behind it");
	/* A store to the code changes the constant of the instruction behind it. */
	at = code;
	reads(1);
	CODE(0xc6, 0x05, 1, 0, 0, 0, 0x77);	/* movb $0x77, 1(%rip) */
	changed = at;
	e_mov(BX, 0x11);
	e_read(F_ES_BASE, R9);
	e_ret();
	for (u64 i = 0; i < 3; i++) {
		changed[1] = 0x11;
		call_code(code, 0);
		G_EQN(st.reg[BX], 0x77, "a constant that the code has changed", i);
		G_EQN(st.reg[R9], 0x1000, "a field", i);
	}
}

/* A page of code that is the last one below the addresses that are not canonical. */
#define LAST_PAGE	0x00007ffffffff000ul

static void map_last_page(void *frame)
{
	u64 *pml4 = (u64 *)(read_cr3() & ~0xffful), *pdpt = g_page(), *pd = g_page(), *pt = g_page();

	pml4[255] = (u64)pdpt | 7;
	pdpt[511] = (u64)pd | 7;
	pd[511] = (u64)pt | 7;
	pt[511] = (u64)frame | 7;
}

/* A jump to an address that is not canonical faults, and so does the instruction of L1. */
static void guest_canonical(void)
{
	u64 jump;

	prepare();
	map_last_page(code);
	set_fields();
	for (u64 i = 0; i < 6; i++) {
		at = code + 2048;
		e_read(F_ES_BASE, R8);
		e_read(F_ES_BASE, R9);
		jump = LAST_PAGE + (at - code);
		CODE(0x0f, 0x87);	/* ja */
		e32(i & 1 ? LAST_PAGE + 0x1000 - (jump + 6) : LAST_PAGE + 0xf00 - (jump + 6));
		e_read(F_SS_BASE, R9);
		e_ret();
		at = code + 0xf00;
		e_read(F_DS_LIMIT, R10);
		e_ret();
		fault_rip = 0;
		g_trap_fn[VEC_GP] = on_fetch_fault;
		call_code((u8 *)LAST_PAGE + 2048, 0);
		g_trap_fn[VEC_GP] = NULL;
		G_EQN(fault_rip, i & 1 ? jump : 0, "#GP of the jump", i);
		G_EQN(st.reg[R9], 0x1000, "the instructions before it", i);
		G_EQN(st.reg[R10], i & 1 ? initial(R10) : 0x1020, "the instructions at its target", i);
	}
}

/* --- another vCPU changes the code --- */

#define ROUNDS	100

extern void (*ap_fn)(void);
extern char ap_start[], ap_end[];

static u8 *volatile to_change;
static volatile u64 asked, changed_to;

static void ap_changes(void)
{
	while (changed_to < ROUNDS) {
		u64 want = asked;

		if (want == changed_to) {
			relax();
			continue;
		}
		*(volatile u8 *)to_change = want;
		changed_to = want;
	}
	for (;;)
		asm volatile("hlt");
}

static void guest_other_vcpu(void)
{
	u32 a, b, c, d;

	apic_enable();
	prepare();
	at = code;
	reads(1);
	to_change = at + 1;
	e_mov(BX, 0);
	e_read(F_ES_BASE, R9);
	e_ret();
	set_fields();
	ap_fn = ap_changes;
	g_copy((void *)LOW_CODE, ap_start, ap_end - ap_start);
	apic_icr(1, 0x4500);
	apic_icr(1, 0x4600 | (LOW_CODE >> 12));
	for (u64 i = 1; i <= ROUNDS; i++) {
		call_code(code, 0);
		G_EQN(st.reg[BX], i - 1, "the constant before the change", i);
		asked = i;
		/* Meanwhile it is the old or the new one. */
		while (changed_to != i) {
			call_code(code, 0);
			G_OK(st.reg[BX] == i - 1 || st.reg[BX] == i, "the constant during the change");
		}
		cpuid(0, 0, &a, &b, &c, &d);	/* SDM 3A 9.1.3 */
		call_code(code, 0);
		G_EQN(st.reg[BX], i, "the constant that another vCPU has written", i);
		G_EQN(st.reg[R9], 0x1000, "a field", i);
	}
}

static u64 user_read(u64 arg)
{
	u64 v = 0;

	return try_vmread(arg, &v);
}

static void guest_user(void)
{
	prepare();
	vmread(F_ES_BASE);
	for (int i = 0; i < 3; i++)
		G_EQ(g_user(user_read, F_ES_BASE), GP0, "VMREAD at CPL 3");
}

/* --- where it stops: counts --- */

static void stop_none(void)
{
	call_code(code, 0);
}

static void stop_tf(void)
{
	g_trap_fn[VEC_DB] = on_db;
	steps = 0;
	call_code(code, RFLAGS_TF);
	G_EQ(steps, 17, "steps");
}

static void stop_dr7(void)
{
	write_dr0((u64)code + 4096);
	write_dr7(0x402);
	call_code(code, 0);
	write_dr7(0x400);
}

static void stop_btf(void)
{
	wrmsr(MSR_DEBUGCTL, 2);
	call_code(code, 0);
	wrmsr(MSR_DEBUGCTL, 0);
}

static void stop_sti(void)
{
	at = code;
	e_mov(CX, F_ES_BASE);
	e8(0xfb);
	e_vmx(0x78, CX, DX);
	reads(7);
	e8(0xfa);
	e_ret();
	call_code(code, 0);
}

static void stop_mov_ss(void)
{
	at = code;
	e_mov(CX, F_ES_BASE);
	CODE(0x8c, 0xd0, 0x8e, 0xd0);	/* mov %ss, %eax; mov %eax, %ss */
	e_vmx(0x78, CX, DX);
	reads(7);
	e_ret();
	call_code(code, 0);
}

static void stop_page_end(void)
{
	at = code + 4096 - 32;
	reads(8);
	e_ret();
	call_code(code + 4096 - 32, 0);
}

static const struct stop {
	const char *name;
	void (*run)(void);
	u32 exits;
} stops[] = {
	{ "nothing stops it", stop_none, 1 },
	{ "RFLAGS.TF", stop_tf, 8 },
	{ "an active breakpoint", stop_dr7, 8 },
	{ "IA32_DEBUGCTL", stop_btf, 8 },
	{ "STI", stop_sti, 2 },
	{ "MOV SS", stop_mov_ss, 2 },
	{ "the end of the page", stop_page_end, 2 },
};

static void guest_stops(void)
{
	prepare();
	for (u64 i = 0; i < ARRAY_SIZE(stops); i++) {
		make_reads();
		g_sync(2 * i);
		stops[i].run();
		g_sync(2 * i + 1);
	}
}

static void host_stops(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, guest_stops, true);

	for (u32 i = 0; i < ARRAY_SIZE(stops); i++) {
		u64 e, c;

		vcpu_run_to_sync(vcpu, 2 * i);
		e = exits(vcpu);
		c = stat(vcpu, "clustered");
		vcpu_run_to_sync(vcpu, 2 * i + 1);
		EQ(exits(vcpu) - e, stops[i].exits, "%s: exits", stops[i].name);
		EQ(stat(vcpu, "clustered") - c, 8 - stops[i].exits, "%s: clustered", stops[i].name);
	}
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- the debugger in user space, traces, the module parameter --- */

static void guest_watched(void)
{
	prepare();
	make_reads();
	call_code(code, 0);
	for (u64 i = 0;; i++) {
		g_sync(i);
		call_code(code, 0);
	}
}

static void set_debug(struct vcpu *vcpu, u32 control, u64 dr0)
{
	struct kvm_guest_debug d = { .control = control ? control | KVM_GUESTDBG_ENABLE : 0,
				     .arch.debugreg = { [0] = dr0, [7] = dr0 ? 0x401 : 0x400 } };

	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &d);
}

static void host_debugger(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, guest_watched, true);
	u64 page, n = 0, e;

	vcpu_run_to_sync(vcpu, 0);
	page = (u64)GUEST(&vm, code);
	/* A breakpoint in the middle of the run. */
	set_debug(vcpu, KVM_GUESTDBG_USE_HW_BP, page + 8);
	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	EQ(vcpu->run->exit_reason, KVM_EXIT_DEBUG, "a breakpoint");
	EQ(vcpu->run->debug.arch.pc, page + 8, "its address");
	/* Single steps from there to the end. */
	set_debug(vcpu, KVM_GUESTDBG_SINGLESTEP, 0);
	e = exits(vcpu);
	do {
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		MUST(vcpu->run->exit_reason == KVM_EXIT_DEBUG, "a step");
		n++;
	} while (vcpu->run->debug.arch.pc - page < 4096);
	EQ(n, 2 * 7 + 1, "steps");
	EQ(exits(vcpu) - e, 7, "exits");
	set_debug(vcpu, 0, 0);
	vcpu_run_to_sync(vcpu, 1);
	vm_destroy(&vm);
}

/* Runs the code up to the next g_sync(), number *@n. An interrupt of the host may end a cluster, so some turns are tried. */
static void expect_exits(struct vcpu *vcpu, u64 *n, u64 want, const char *what)
{
	u64 e, found = ~0ul;
	int i;

	for (i = 0; i < 10 && found != want; i++) {
		e = exits(vcpu);
		vcpu_run_to_sync(vcpu, ++*n);
		found = exits(vcpu) - e;
	}
	EQ(found, want, "exits: %s", what);
}

static void set_parameter(char val)
{
	int fd = open("/sys/module/droste/parameters/cluster", O_WRONLY);

	if (fd < 0)
		ksft_skip("no parameter cluster");
	EQ(write(fd, &val, 1), 1, "write");
	close(fd);
}

static void host_parameter(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, guest_watched, true);
	u64 turn = 0;

	vcpu_run_to_sync(vcpu, 0);
	expect_exits(vcpu, &turn, 1, "on");
	set_parameter('N');
	expect_exits(vcpu, &turn, 8, "off");
	set_parameter('Y');
	expect_exits(vcpu, &turn, 1, "on again");
	vm_destroy(&vm);
}

static void host_trace(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, guest_watched, true);
	u64 turn = 0;
	int n = 0;

	vcpu_run_to_sync(vcpu, 0);
	trace_begin("droste");
	expect_exits(vcpu, &turn, 8, "traced");
	trace_end();
	for (int i = 0; i < nr_trace_events; i++)
		n += trace_is(trace_events[i], "droste_exit") && strstr(trace_events[i], "VMREAD");
	EQ(n, 8, "events of exits by VMREAD");
	expect_exits(vcpu, &turn, 1, "no more traced");
	vm_destroy(&vm);
}

/* --- memory whose writes are logged --- */

#define LOGGED_GPA	0x40000000ul
#define LOGGED_PAGES	8
#define STORE_PAGE	3

static void guest_logged(void)
{
	prepare();
	code = (u8 *)LOGGED_GPA;
	at = code;
	reads(4);
	CODE(0xc7, 0x46, 0x08, 0x78, 0x56, 0x34, 0x12);	/* movl $0x12345678, 8(%rsi) */
	e_read(F_ES_BASE, R9);
	CODE(0x0f, 0x78, 0x4e, 0x10);			/* vmread %rcx, 0x10(%rsi) */
	e_read(F_SS_BASE, R10);
	e_ret();
	set_fields();
	for (u64 i = 0;; i++) {
		u64 *to = (u64 *)(LOGGED_GPA + STORE_PAGE * 4096);

		g_sync(i);
		for (u64 k = 0; k < NR_REGS; k++)
			st.reg[k] = initial(k);
		st.reg[SI] = (u64)to;
		st.flags = RFLAGS_FIXED;
		call_with(&st, code);
		G_EQN((u32)to[1], 0x12345678, "a store", i);
		G_EQN(to[2], 0x1000, "a VMREAD to memory", i);
		G_EQN(st.reg[R10], 0x1010, "a field", i);
		to[1] = to[2] = 0;
	}
}

/* Each store is logged, and is the only write. With page-modification logging, nothing is clustered meanwhile. */
static void host_logged(void)
{
	u8 *mem = mmap(NULL, LOGGED_PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u64 bits = 0;
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = &bits };
	struct vm vm;
	struct vcpu *vcpu = start(&vm, guest_logged, true);

	MUST(mem != MAP_FAILED, "mmap");
	vm_slot(&vm, 1, KVM_MEM_LOG_DIRTY_PAGES, LOGGED_GPA, LOGGED_PAGES * 4096, mem);
	vcpu_run_to_sync(vcpu, 0);
	for (u64 i = 1; i < 5; i++) {
		DO(vm.fd, KVM_GET_DIRTY_LOG, &log);
		vcpu_run_to_sync(vcpu, i);
		DO(vm.fd, KVM_GET_DIRTY_LOG, &log);
		EQ(bits, BIT(STORE_PAGE), "the pages that are written, in turn %u", (u32)i);
	}
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "steps", .guest = guest_steps, .flags = KSFT_VMX },
	{ "breakpoint", .guest = guest_breakpoint, .flags = KSFT_VMX },
	{ "resume-flag", .guest = guest_rf, .flags = KSFT_VMX },
	{ "page-end", .guest = guest_page_end, .flags = KSFT_VMX },
	{ "no-fetch", .guest = guest_no_fetch, .flags = KSFT_VMX },
	{ "changed-code", .guest = guest_changed, .flags = KSFT_VMX },
	{ "blocked", .guest = guest_blocked, .flags = KSFT_VMX | KSFT_IRQCHIP },
	{ "stores", .guest = guest_stores, .flags = KSFT_VMX },
	{ "canonical", .guest = guest_canonical, .flags = KSFT_VMX },
	{ "other-vcpu", .guest = guest_other_vcpu, .flags = KSFT_VMX | KSFT_IRQCHIP | KSFT_SMP2 },
	{ "logged", .host = host_logged },
	{ "user", .guest = guest_user, .flags = KSFT_VMX },
	{ "stops", .host = host_stops },
	{ "debugger", .host = host_debugger },
	{ "parameter", .host = host_parameter },
	{ "trace", .host = host_trace },
};
KSFT_MAIN(tests)

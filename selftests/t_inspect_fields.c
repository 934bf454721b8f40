// SPDX-License-Identifier: GPL-2.0
/* DROSTE_INSPECT: every field of VMCS12 as L1 wrote or reads it, in each state of a vCPU, and VMCS02's controls. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include "fields/expect.h"
#include "inspect.h"
#include "save.h"
#include "vm.h"
#include "vmx.h"

#define IS_HIGH(enc)	((enc) & 1)
#define TYPE(enc)	((enc) >> 10 & 3)
#define WIDTH(enc)	((enc) >> 13 & 3)
enum { TYPE_CTL, TYPE_RO, TYPE_GUEST, TYPE_HOST };
enum { WIDTH_16, WIDTH_64, WIDTH_32, WIDTH_NATURAL };

/* The fields that L1 has, and for each what L1 wrote and what it read after that. */
static struct {
	u64 nr;
	struct {
		u32 enc;
		u32 writable;
		u64 wrote, read, high;	/* @high: read by the encoding of the high half */
	} f[MAX_FIELDS];
} seen;

static volatile u64 may_go_on;	/* set by the host */

static u64 width_mask(u32 enc)
{
	if (WIDTH(enc) == WIDTH_16)
		return 0xffff;
	return WIDTH(enc) == WIDTH_32 ? 0xffffffff : ~0ul;
}

/* The bits that a VMWRITE must keep; reserved bits of access rights need not be (SDM 3C 25.4.1, note). */
static u64 kept(u32 enc)
{
	return enc >= F_ES_AR && enc <= F_TR_AR ? 0x1f0ff : width_mask(enc);
}

/* --- L1 --- */

/* Find all fields, and which can be written. A VMCS is current. */
static void l1_find(void)
{
	u32 last = rdmsr(MSR_VMX_ENUM) >> 1 & 0x1ff, width, type, index, enc;
	bool writes_read_only = rdmsr(MSR_VMX_MISC) & BIT(29);
	u64 v = 0;

	seen.nr = 0;
	for (width = 0; width < 4; width++) {
		for (type = 0; type < 4; type++) {
			for (index = 0; index <= last; index++) {
				enc = width << 13 | type << 10 | index << 1;
				if (try_vmread(enc, &v) != VM_OK)
					continue;
				G_MUST(seen.nr < MAX_FIELDS, "room for the fields");
				seen.f[seen.nr].enc = enc;
				seen.f[seen.nr++].writable = type != TYPE_RO || writes_read_only;
			}
		}
	}
}

/* Another value for each field and each @seed, with all bits in use. */
static u64 value_of(u32 enc, u64 seed)
{
	return (enc * 0x9e3779b97f4a7c15ul + seed * 0xd1b54a32d192ed03ul) ^ (enc + seed) << 40;
}

static void l1_write(u64 seed)
{
	u64 i;

	for (i = 0; i < seen.nr; i++) {
		if (!seen.f[i].writable)
			continue;
		seen.f[i].wrote = value_of(seen.f[i].enc, seed);
		vmwrite(seen.f[i].enc, seen.f[i].wrote);
	}
}

/* As l1_write(), but 64-bit fields in halves. */
static void l1_write_halves(u64 seed)
{
	u64 i;

	for (i = 0; i < seen.nr; i++) {
		if (!seen.f[i].writable || WIDTH(seen.f[i].enc) != WIDTH_64)
			continue;
		seen.f[i].wrote = value_of(seen.f[i].enc, seed);
		vmwrite(seen.f[i].enc, 0);
		vmwrite(seen.f[i].enc | 1, seen.f[i].wrote >> 32);
		vmwrite(seen.f[i].enc, vmread(seen.f[i].enc) | (u32)seen.f[i].wrote);
	}
}

static void l1_read(void)
{
	u64 i;

	for (i = 0; i < seen.nr; i++) {
		seen.f[i].read = vmread(seen.f[i].enc);
		seen.f[i].high = WIDTH(seen.f[i].enc) == WIDTH_64 ? vmread(seen.f[i].enc | 1) : 0;
	}
}

/* --- what the inspector reads, compared with that --- */

enum { WROTE = 1, READ = 2 };

/* Compare VMCS12 with what L1 wrote or read; @skip: fields that are not compared. */
static void compare(struct vm *vm, int fd, unsigned int what, const u32 *skip, int nr_skip, const char *when)
{
	typeof(seen) *s = &GUEST(vm, seen);
	u64 i;
	int j;

	MUST(!get_vmcs(fd, DROSTE_VMCS12), "VMCS12 %s", when);
	MUST(s->nr > 120, "L1 has %u fields", (u32)s->nr);
	EQ(nr_fields, s->nr, "number of fields %s", when);
	for (i = 0; i < s->nr; i++) {
		u32 enc = s->f[i].enc;
		u64 got = value(enc);

		for (j = 0; j < nr_skip && skip[j] != enc; j++)
			;
		if (j < nr_skip)
			continue;
		EQ(find(enc)->flags & ~(DROSTE_FIELD_STALE | DROSTE_FIELD_DIRTY), TYPE(enc) == TYPE_HOST ? DROSTE_FIELD_HOST : 0,
		   "flags of field %#x %s", enc, when);
		EQ(got & ~width_mask(enc), 0, "bits beyond the width of field %#x %s", enc, when);
		if (what & WROTE && s->f[i].writable)
			EQ(got & kept(enc), s->f[i].wrote & kept(enc), "field %#x, which L1 wrote, %s", enc, when);
		if (what & READ)
			EQ(got, s->f[i].read, "field %#x, as L1 reads it, %s", enc, when);
		if (what & READ && WIDTH(enc) == WIDTH_64)
			EQ(got >> 32, s->f[i].high, "high half of field %#x %s", enc, when);
	}
}

/* --- a VMCS that is written, launched, cleared and loaded --- */

static void l2_main(void)
{
	g_sync(10);
	asm volatile("vmcall");
	g_sync(11);
	asm volatile("vmcall");
}

static void guest_states(void)
{
	u64 a, b;

	a = vmcs_new(NULL);
	l1_find();
	l1_write(1);
	l1_read();
	g_sync(1);
	l1_write_halves(2);
	l1_read();
	g_sync(2);
	b = vmcs_usual(l2_main, (void *)g_page(), ept_new());
	vmx_keep_host();	/* the next entries write no fields */
	l1_read();
	g_sync(3);
	vmx_expect(R_VMCALL, "L2");	/* it looks meanwhile */
	l1_read();
	g_sync(4);
	vmx_skip();
	vmwrite(F_ES_BASE, 0x123000);	/* SYNC_RARE: VMCS02 has others that are newer */
	vmwrite(F_CS_LIMIT, 0xfff);
	vmwrite(F_CS_AR, 0x209b);
	l1_read();
	vmwrite(F_CS_LIMIT, 0x1fff);	/* no VMREAD after the last writes */
	vmwrite(F_CS_LIMIT, 0xfff);
	g_sync(5);
	vmx_expect(R_VMCALL, "L2 once more");
	l1_read();
	l1_write(3);			/* at L2's exit */
	l1_read();
	g_sync(6);
	G_EQ(vmclear(b), VM_OK, "VMCLEAR");
	g_sync(7);
	vmcs_load(b);
	g_sync(8);
	l1_write(4);
	l1_read();
	vmcs_load(a);
	vmcs_load(b);
	g_sync(9);
}

/* Fields of VMCS12 that L2 changes while it runs. */
static const u32 of_l2[] = { F_RIP, F_RSP, F_RFLAGS };

static void host_states(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	int fd;

	vcpu = vmx_vm(&vm, guest_states);
	fd = inspect_mine(&vm);
	vcpu_run_to_sync(vcpu, 1);
	compare(&vm, fd, WROTE | READ, NULL, 0, "before a launch");
	vcpu_run_to_sync(vcpu, 2);
	compare(&vm, fd, WROTE | READ, NULL, 0, "written in halves");
	vcpu_run_to_sync(vcpu, 3);
	compare(&vm, fd, READ, NULL, 0, "that an entry accepts");
	vcpu_run_to_sync(vcpu, 10);
	compare(&vm, fd, READ, of_l2, ARRAY_SIZE(of_l2), "while L2 runs");
	EQ(vmcs_flags, DROSTE_VMCS_IN_L2, "L2 runs");
	vcpu_run_to_sync(vcpu, 4);
	compare(&vm, fd, READ, NULL, 0, "at L2's exit");
	EQ(value(F_REASON), R_VMCALL, "exit reason");
	vcpu_run_to_sync(vcpu, 5);
	compare(&vm, fd, READ, NULL, 0, "with some fields written at L2's exit");
	EQ(value(F_ES_BASE), 0x123000, "ES base");
	vcpu_run_to_sync(vcpu, 11);
	compare(&vm, fd, READ, of_l2, ARRAY_SIZE(of_l2), "while L2 runs again");
	EQ(value(F_ES_BASE), 0x123000, "ES base in L2");
	vcpu_run_to_sync(vcpu, 6);
	compare(&vm, fd, WROTE | READ, NULL, 0, "with all fields written at L2's exit");
	vcpu_run_to_sync(vcpu, 7);
	EQ(get_vmcs(fd, DROSTE_VMCS12), -ENOENT, "no VMCS is current after VMCLEAR");
	vcpu_run_to_sync(vcpu, 8);
	compare(&vm, fd, WROTE | READ, NULL, 0, "after VMCLEAR and VMPTRLD");
	vcpu_run_to_sync(vcpu, 9);
	compare(&vm, fd, WROTE | READ, NULL, 0, "after VMPTRLD of another VMCS and back");
	vcpu_run_to_end(vcpu);
	close(fd);
	vm_destroy(&vm);
}

/* --- which fields are out of date, written, or not there for L1 --- */

static void l2_loads_gs(void)
{
	asm volatile("mov %0, %%gs" : : "r" ((u16)SEL_DS));
	g_sync(10);
	asm volatile("vmcall");
}

static void guest_marks(void)
{
	vmcs_new(l2_loads_gs);
	l1_find();
	vmwrite(F_GUEST_GS, 0);
	vmwrite(F_GS_AR, 0x10000);
	vmx_keep_host();
	g_sync(1);
	vmx_expect(R_VMCALL, "L2");
	g_sync(2);
	vmwrite(F_HOST_FS_BASE, 0x1000);
	g_sync(3);
	vmwrite(F_EXCEPTION_BITMAP, 2);
	g_sync(4);
}

static u32 marks(u32 enc)
{
	const struct droste_vmcs_field *f = find(enc);

	MUST(f, "field %#x", enc);
	return f->flags;
}

/* The fields of VMCS01 that L1 does not find by VMREAD, and no others, are marked. */
static void check_gated(struct vm *vm, int fd)
{
	typeof(seen) *s = &GUEST(vm, seen);
	u32 i, gated = 0;
	u64 j;

	MUST(!get_vmcs(fd, DROSTE_VMCS01), "VMCS01");
	for (i = 0; i < nr_fields; i++) {
		u32 flags = fields[i].flags;

		for (j = 0; j < s->nr && s->f[j].enc != fields[i].encoding; j++)
			;
		EQ(flags & DROSTE_FIELD_GATED, j == s->nr ? DROSTE_FIELD_GATED : 0, "field %#x, which L1 has or not", fields[i].encoding);
		EQ(flags & (DROSTE_FIELD_STALE | DROSTE_FIELD_DIRTY), 0, "marks of VMCS12 on field %#x of VMCS01", fields[i].encoding);
		gated += j == s->nr;
	}
	ksft_diag("L1 does not have %u of %u fields", gated, nr_fields);
}

#define HOST	DROSTE_FIELD_HOST
#define STALE	DROSTE_FIELD_STALE
#define DIRTY	DROSTE_FIELD_DIRTY

static void host_marks(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	int fd;

	vcpu = vmx_vm(&vm, guest_marks);
	fd = inspect_mine(&vm);
	vcpu_run_to_sync(vcpu, 1);
	check_gated(&vm, fd);
	MUST(!get_vmcs(fd, DROSTE_VMCS12), "VMCS12");
	EQ(marks(F_GUEST_GS), DIRTY, "GS before the first entry");
	EQ(marks(F_HOST_CR3), DIRTY | HOST, "host CR3 before the first entry");
	EQ(marks(F_EXCEPTION_BITMAP), DIRTY, "exception bitmap before the first entry");
	EQ(marks(F_REASON), 0, "exit reason");
	vcpu_run_to_sync(vcpu, 10);
	MUST(!get_vmcs(fd, DROSTE_VMCS12), "VMCS12");
	EQ(marks(F_GUEST_GS), STALE, "GS, which L2 has loaded");
	EQ(value(F_GUEST_GS), SEL_DS, "GS");
	EQ(marks(F_RIP), STALE, "RIP while L2 runs");
	EQ(marks(F_GUEST_FS), 0, "FS, which L2 has not loaded");
	EQ(marks(F_HOST_CR3), HOST, "host CR3 after an entry");
	EQ(marks(F_EXCEPTION_BITMAP), 0, "exception bitmap after an entry");
	MUST(!get_vmcs(fd, DROSTE_VMCS12), "VMCS12");
	EQ(marks(F_GUEST_GS), STALE, "the next look must collect it again");
	vcpu_run_to_sync(vcpu, 2);
	MUST(!get_vmcs(fd, DROSTE_VMCS12), "VMCS12");
	EQ(marks(F_GUEST_GS), STALE, "GS at L2's exit");
	EQ(value(F_GUEST_GS), SEL_DS, "GS");
	EQ(marks(F_RIP), 0, "an exit saves RIP");
	EQ(marks(F_HOST_CR3), HOST, "host CR3 at L2's exit");
	MUST(!get_vmcs(fd, DROSTE_VMCS12), "VMCS12");
	EQ(marks(F_GUEST_GS), 0, "GS was collected");
	EQ(value(F_GUEST_GS), SEL_DS, "GS");
	vcpu_run_to_sync(vcpu, 3);
	MUST(!get_vmcs(fd, DROSTE_VMCS12), "VMCS12");
	EQ(marks(F_HOST_FS_BASE), DIRTY | HOST, "a host field, which L1 has written");
	EQ(marks(F_HOST_CR3), DIRTY | HOST, "another one of its group");
	EQ(marks(F_EXCEPTION_BITMAP), 0, "exception bitmap");
	vcpu_run_to_sync(vcpu, 4);
	MUST(!get_vmcs(fd, DROSTE_VMCS12), "VMCS12");
	EQ(marks(F_EXCEPTION_BITMAP), DIRTY, "exception bitmap, which L1 has written");
	EQ(marks(F_GUEST_FS), 0, "guest state, which L1 has not");
	vcpu_run_to_end(vcpu);
	close(fd);
	vm_destroy(&vm);
}

/* --- a vCPU that runs meanwhile, on another CPU if there is one --- */

#define ROUNDS	6

static volatile u64 round_done;

static void l2_spins(void)
{
	while (may_go_on <= ROUNDS)
		asm volatile("pause" : : : "memory");
	asm volatile("vmcall");
}

static void guest_spins(void)
{
	u64 i;

	vmcs_new(NULL);
	l1_find();
	for (i = 1; i <= ROUNDS; i++) {
		l1_write(i + 10);
		l1_read();
		round_done = i;
		while (may_go_on < i)
			asm volatile("pause" : : : "memory");
	}
	vmcs_new(l2_spins);
	vmx_keep_host();
	l1_read();
	round_done = ROUNDS + 1;
	vmx_expect(R_VMCALL, "L2");
}

static void *spinner(void *arg)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		on_cpu(1);
	vcpu_run_to_end(arg);
	return NULL;
}

static void wait_for_round(struct vm *vm, u64 n)
{
	int i;

	for (i = 0; i < 300000 && GUEST(vm, round_done) < n; i++)
		usleep(100);
	MUST(GUEST(vm, round_done) == n, "round %llu", (unsigned long long)n);
}

static void host_runs(void)
{
	pthread_t thread;
	struct vcpu *vcpu;
	struct vm vm;
	int fd, i;

	vcpu = vmx_vm(&vm, guest_spins);
	fd = inspect_mine(&vm);
	on_cpu(0);
	MUST(!pthread_create(&thread, NULL, spinner, vcpu), "thread");
	for (i = 1; i <= ROUNDS; i++) {
		wait_for_round(&vm, i);
		compare(&vm, fd, WROTE | READ, NULL, 0, "while L1 runs");
		GUEST(&vm, may_go_on) = i;
	}
	wait_for_round(&vm, ROUNDS + 1);
	for (i = 0; i < 100000 && (get_vmcs(fd, DROSTE_VMCS12), !(vmcs_flags & DROSTE_VMCS_IN_L2)); i++)
		usleep(100);
	for (i = 0; i < 10; i++) {
		compare(&vm, fd, READ, of_l2, ARRAY_SIZE(of_l2), "while L2 runs");
		EQ(vmcs_flags, DROSTE_VMCS_IN_L2, "L2 runs");
	}
	GUEST(&vm, may_go_on) = ROUNDS + 1;
	pthread_join(thread, NULL);
	close(fd);
	vm_destroy(&vm);
}

/* --- VMCS02's controls are what the module's merge makes of VMCS01's and VMCS12's --- */

/* Sets of L1's controls that L2's two instructions do not exit for. */
static const struct variant {
	u32 pin, proc, proc2, exceptions, pf_mask, pf_match;
} variants[] = {
	{ 0 },
	{ .proc = PROC_HLT | PROC_INVLPG | PROC_MWAIT | PROC_RDPMC | PROC_RDTSC | PROC_MONITOR | PROC_PAUSE | PROC_DR },
	{ .proc = PROC_CR3_LOAD | PROC_CR3_STORE | PROC_CR8_LOAD | PROC_CR8_STORE | PROC_TSC_OFFSET },
	{ .pin = PIN_EXTINT | PIN_NMI | PIN_VNMI, .proc = PROC_MSR_BITMAPS },
	{ .pin = PIN_EXTINT, .exceptions = ~0u },
	{ .exceptions = 1u << 14 | 1u << 1, .pf_mask = 0x15, .pf_match = 0x5 },
	{ .proc = PROC_TPR_SHADOW | PROC_SECONDARY, .proc2 = SEC_X2APIC | SEC_APIC_REG },
	{ .proc = PROC_TPR_SHADOW | PROC_CR8_LOAD },
	{ .proc = PROC_SECONDARY, .proc2 = SEC_DESC | SEC_WBINVD | SEC_RDRAND | SEC_RDSEED },
	{ .proc = PROC_SECONDARY, .proc2 = SEC_RDTSCP | SEC_INVPCID | SEC_VPID | SEC_EPT | SEC_XSAVES },
	{ .proc = PROC_SECONDARY, .proc2 = SEC_EPT | SEC_UNRESTRICTED | SEC_PML | SEC_TSC_SCALING },
	{ .proc2 = SEC_EPT | SEC_VPID | SEC_DESC | SEC_X2APIC },	/* not activated */
};

static u64 now;	/* the variant, set by the host */

/* Set those of @bits that L1 is offered. */
static void l1_ask(enum vmcs_field field, u64 bits)
{
	vmset(field, bits & (ctl_msr(field) >> 32));
}

static void l2_looked_at(void)
{
	g_sync(2);
	asm volatile("vmcall");
	g_sync(3);
	asm volatile("vmcall");
}

static void guest_variant(void)
{
	const struct variant *v = &variants[now];
	bool loads = now % 2;	/* entries and exits save and load all that they can */

	vmcs_new(l2_looked_at);
	if (ctl_has(F_PROC, PROC_MSR_BITMAPS))
		vmwrite(F_MSR_BITMAP, (u64)g_page());
	if (ctl_has(F_PROC, PROC_TPR_SHADOW))
		vmwrite(F_VIRTUAL_APIC, (u64)g_page());
	if (ctl_has(F_PROC, PROC_SECONDARY)) {
		if (ctl_has(F_PROC2, SEC_EPT))
			vmwrite(F_EPTP, ept_new());
		if (ctl_has(F_PROC2, SEC_VPID))
			vmwrite(F_VPID, 7);
		if (ctl_has(F_PROC2, SEC_PML))
			vmwrite(F_PML_ADDRESS, (u64)g_page());
		if (ctl_has(F_PROC2, SEC_TSC_SCALING))
			vmwrite(F_TSC_MULTIPLIER, 1ul << 48);
		l1_ask(F_PROC2, v->proc2);
	}
	l1_ask(F_PIN, v->pin);
	l1_ask(F_PROC, v->proc);
	vmwrite(F_EXCEPTION_BITMAP, v->exceptions);
	vmwrite(F_PF_MASK, v->pf_mask);
	vmwrite(F_PF_MATCH, v->pf_match);
	if (loads) {
		l1_ask(F_EXIT_CTLS, EXIT_SAVE_DEBUG | EXIT_ACK | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER);
		l1_ask(F_ENTRY_CTLS, ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER);
	}
	vmx_keep_host();
	l1_find();
	l1_read();
	g_sync(1);
	vmx_expect(R_VMCALL, "L2");
	vmx_skip();
	l1_read();
	vmx_expect(R_VMCALL, "L2 again");
}

static const u32 words[NR_EXPECTED] = {
	[EXPECT_PIN] = F_PIN, [EXPECT_PROC] = F_PROC, [EXPECT_PROC2] = F_PROC2, [EXPECT_EXIT] = F_EXIT_CTLS,
	[EXPECT_ENTRY] = F_ENTRY_CTLS, [EXPECT_EXCEPTIONS] = F_EXCEPTION_BITMAP, [EXPECT_PF_MASK] = F_PF_MASK,
	[EXPECT_PF_MATCH] = F_PF_MATCH,
};

/* Bits that L0 turns on and off after the merge: windows for events, and its own preemption timer. */
static u32 later(int word)
{
	return word == EXPECT_PROC ? PROC_INTR_WINDOW | PROC_NMI_WINDOW : word == EXPECT_PIN ? PIN_TIMER : 0;
}

/* Bits of VMCS01 that L0 sets for L1 alone: L1's mode, #UD of VMCALLs, accesses to descriptor tables (nested/hostload.c). */
static u32 of_l1(int word)
{
	return word == EXPECT_ENTRY ? ENTRY_IA32E : word == EXPECT_EXCEPTIONS ? BIT(6) : word == EXPECT_PROC2 ? SEC_DESC : 0;
}

static void check_merge(struct vm *vm, int fd, const char *when)
{
	u32 got[NR_EXPECTED], expected[NR_EXPECTED], l0[6];
	int i;

	MUST(!get_vmcs(fd, DROSTE_VMCS01), "VMCS01");
	for (i = 0; i < 6; i++)
		l0[i] = value(words[i]);
	MUST(!get_vmcs(fd, DROSTE_VMCS02), "VMCS02");
	for (i = 0; i < 6; i++)
		EQ(vmcs_merged[i] & ~later(i), l0[i] & ~later(i) & ~of_l1(i), "word %d of VMCS01 %s", i, when);
	for (i = 0; i < NR_EXPECTED; i++)
		got[i] = value(words[i]);
	compare(vm, fd, READ, of_l2, ARRAY_SIZE(of_l2), when);
	for (i = 0; i < 6; i++)
		l0[i] &= ~of_l1(i);
	expect_controls(l0, fields, nr_fields, true, expected);
	for (i = 0; i < NR_EXPECTED; i++)
		EQ(got[i] & ~later(i), expected[i] & ~later(i), "word %d of VMCS02 %s", i, when);
}

static void host_merge(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	u64 i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(variants); i++) {
		vcpu = vmx_vm(&vm, guest_variant);
		GUEST(&vm, now) = i;
		fd = inspect_mine(&vm);
		vcpu_run_to_sync(vcpu, 1);
		vcpu_run_to_sync(vcpu, 2);
		check_merge(&vm, fd, "at the first entry");
		vcpu_run_to_sync(vcpu, 3);
		check_merge(&vm, fd, "at the second entry");
		if (ksft_failures())
			ksft_diag("with set %u of controls", (u32)i);
		vcpu_run_to_end(vcpu);
		close(fd);
		vm_destroy(&vm);
	}
}

static const struct ksft_test tests[] = {
	{ "VMCS12 as L1 wrote and reads it", .host = host_states },
	{ "marks of fields", .host = host_marks },
	{ "VMCS12 of a vCPU that runs", .host = host_runs },
	{ "VMCS02's controls are the merge", .host = host_merge },
};
KSFT_MAIN(tests)

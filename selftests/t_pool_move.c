// SPDX-License-Identifier: GPL-2.0
/* An L1 with a running L2 goes from host to host: what both see of their processor stays the same, byte for byte. */
/*
 * t_pool_move			from this host to this host
 * t_pool_move first FILE	start the machine, and save it in FILE while L2 runs
 * t_pool_move next FILE	let it go on, and save it again
 * t_pool_move last FILE	let it go on, start another L2, and end
 * t_pool_move refused FILE	strict_cpuid=1 refuses the machine, which saw more than this host has
 *
 * Lines that begin with "# L1" and "# L2" tell what these see.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "save.h"
#include "vmx.h"

#define STRICT	"/sys/module/droste/parameters/strict_cpuid"

/* --- what a guest sees --- */

#define MAX_LEAVES	160
#define NR_CAPS		(MSR_VMX_VMFUNC - MSR_VMX_BASIC + 1)

static const u32 other_msrs[] = { 0x3a, 0x8b, 0x10a, 0xc0000080 };

struct seen {
	u64 n, xcr0, works;
	u64 cap[NR_CAPS], other[ARRAY_SIZE(other_msrs)];
	u32 leaf[MAX_LEAVES][6];	/* leaf, sub-leaf, EAX to EDX */
};
_Static_assert(sizeof(struct seen) % sizeof(u64) == 0, "compared by words");

static struct seen l1_first, l1_now, l2_first, l2_now, l2_another;
static u8 no_bits[4096] __attribute__((aligned(4096)));

/* A sub-leaf like the one before it is left out. */
static void see_leaf(struct seen *s, u32 fn)
{
	u32 subs = fn == 0xd ? 32 : 8, sub, a, b, c, d, *r = NULL;

	for (sub = 0; sub < subs; sub++) {
		cpuid(fn, sub, &a, &b, &c, &d);
		if (r && r[2] == a && r[3] == b && r[4] == c && r[5] == d)
			continue;
		G_MUST(s->n < MAX_LEAVES, "room for all leaves");
		r = s->leaf[s->n++];
		r[0] = fn;
		r[1] = sub;
		r[2] = a;
		r[3] = b;
		r[4] = c;
		r[5] = d;
	}
}

static u64 see_msr(u32 msr)
{
	u64 v = 0;

	return try_rdmsr(msr, &v) == NO_FAULT ? v : 0xbad;
}

/* Instructions that a control, or XCR0, takes away where CPUID hides them: a bit for each that works. */
static u64 see_instructions(void)
{
	u64 works = 0, f;
	int i = 0;

#define WORKS(insn) do { \
	asm volatile(TRY(insn) "mov %%r11, %0" : "=r" (f) : : "r11", "rax", "rcx", "rdx", "memory", "cc"); \
	works |= (u64)(f == NO_FAULT) << i++; \
} while (0)
	WORKS("rdrand %%rax");
	WORKS("rdseed %%rax");
	WORKS("rdtscp");
	WORKS("vaddps %%ymm0, %%ymm0, %%ymm0");
	WORKS("vpaddd %%zmm0, %%zmm0, %%zmm0");
	return works;
}

/*
 * The guest has no memset() and memcmp(): which of the C library's it would call was chosen by the processor of the host where
 * the program began.
 */
static void clear(struct seen *s)
{
	volatile u64 *p = (volatile u64 *)s;
	size_t i;

	for (i = 0; i < sizeof(*s) / sizeof(*p); i++)
		p[i] = 0;
}

static bool differ(const struct seen *a, const struct seen *b)
{
	const volatile u64 *p = (const volatile u64 *)a, *q = (const volatile u64 *)b;
	size_t i;

	for (i = 0; i < sizeof(*a) / sizeof(*p); i++)
		if (p[i] != q[i])
			return true;
	return false;
}

static void see(struct seen *s)
{
	static const u32 bases[] = { 0, 0x40000000, 0x80000000 };
	u32 i, fn, max;

	clear(s);
	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		max = CPUID_REG(bases[i], 0, a);
		for (fn = bases[i]; fn <= max && fn < bases[i] + 0x20; fn++)
			see_leaf(s, fn);
	}
	for (i = 0; i < NR_CAPS; i++)
		s->cap[i] = see_msr(MSR_VMX_BASIC + i);
	for (i = 0; i < ARRAY_SIZE(other_msrs); i++)
		s->other[i] = see_msr(other_msrs[i]);
	s->xcr0 = read_cr4() & BIT(18) ? xgetbv(0) : 0;
	s->works = see_instructions();
}

/* --- the machine; L2 calls g_sync(1) when it is to be saved, and L1 g_sync(2) after it has gone on --- */

static volatile u64 arrived;	/* set on the last host */

static void l2_watches(void)
{
	see(&l2_first);
	for (;;) {
		g_sync(1);
		see(&l2_now);
		G_OK(!differ(&l2_now, &l2_first), "L2 sees what it saw before");
		asm volatile("vmcall");
	}
}

static void l2_sees(void)
{
	see(&l2_another);
	for (;;)
		asm volatile("vmcall");
}

/* Runs L2 to its next VMCALL. L2's CPUID and its reads of MSRs get what L1's get. */
static void l1_serve(void)
{
	u64 reason;
	u32 a, b, c, d;

	while ((reason = vmx_run()) != R_VMCALL) {
		G_MUST(reason == R_CPUID, "L2's exit is CPUID");
		cpuid(l2.rax, l2.rcx, &a, &b, &c, &d);
		l2.rax = a;
		l2.rbx = b;
		l2.rcx = c;
		l2.rdx = d;
		vmx_skip();
	}
	vmx_skip();
}

static void l1_start_l2(void (*fn)(void))
{
	vmcs_new(fn);
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	vmwrite(F_MSR_BITMAP, (u64)no_bits);
	ept_use(ept_new());
}

static void guest_moves(void)
{
	u64 most = CPUID_REG(0xd, 0, a) | (u64)CPUID_REG(0xd, 0, d) << 32;

	/* All components: the state goes along. */
	if (write_cr4(read_cr4() | BIT(18)) == NO_FAULT)
		G_EQ(try_xsetbv(0, most), NO_FAULT, "XSETBV of all components");
	l1_start_l2(l2_watches);
	see(&l1_first);
	do {
		l1_serve();
		see(&l1_now);
		G_OK(!differ(&l1_now, &l1_first), "L1 sees what it saw before");
		g_sync(2);
	} while (!arrived);
	l1_start_l2(l2_sees);
	l1_serve();
	G_OK(!differ(&l2_another, &l2_first), "another L2 sees what the first saw");
	G_EQ(vmxoff(), VM_OK, "VMXOFF");
}

/* --- files --- */

#define MAX_CPUID	256

struct saved {
	struct saved_vcpu vcpu;
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[MAX_CPUID];
	} cpuid;
};

static const char *file;
static struct saved saved;

static bool is_zero(const u8 *page)
{
	return !page[0] && !memcmp(page, page + 1, 4095);
}

/* Writes the state, then each page of memory that is not zero, behind its address. */
static void write_machine(struct vcpu *vcpu)
{
	FILE *f = fopen(file, "w");
	u64 at;

	MUST(f, "%s: %s", file, strerror(errno));
	vcpu_save(vcpu, &saved.vcpu);
	OK(saved.vcpu.nested.s.flags & KVM_STATE_NESTED_GUEST_MODE, "L2 runs");
	saved.cpuid.head.nent = MAX_CPUID;
	DO(vcpu->fd, KVM_GET_CPUID2, &saved.cpuid);
	MUST(fwrite(&saved, sizeof(saved), 1, f) == 1, "write");
	for (at = 0; at < MEM_SIZE; at += 4096) {
		if (is_zero(vcpu->vm->mem + at))
			continue;
		MUST(fwrite(&at, sizeof(at), 1, f) == 1 && fwrite(vcpu->vm->mem + at, 4096, 1, f) == 1, "write");
	}
	MUST(!fclose(f), "write");
}

/* A VM with the machine's memory, and a vCPU with the CPUID that the device offers. */
static struct vcpu *read_machine(struct vm *vm)
{
	FILE *f = fopen(file, "r");
	u64 at;

	MUST(f, "%s: %s", file, strerror(errno));
	MUST(fread(&saved, sizeof(saved), 1, f) == 1, "read");
	vm_create(vm, 0);
	memset(vm->mem, 0, MEM_SIZE);
	while (fread(&at, sizeof(at), 1, f) == 1)
		MUST(at < MEM_SIZE && fread(vm->mem + at, 4096, 1, f) == 1, "read");
	fclose(f);
	return vcpu_create(vm, 0, NULL);
}

/* --- hosts --- */

static void strict(const char *value)
{
	int fd = open(STRICT, O_WRONLY);

	if (fd < 0)
		ksft_skip("not Droste");
	MUST(write(fd, value, 1) == 1, "write to " STRICT);
	close(fd);
}

static void not_strict(void)
{
	strict("0");
}

static void show_seen(const char *who, const struct seen *s)
{
	u32 i;

	for (i = 0; i < s->n; i++)
		printf("# %s cpuid %#x.%u %08x %08x %08x %08x\n", who, s->leaf[i][0], s->leaf[i][1], s->leaf[i][2], s->leaf[i][3],
		       s->leaf[i][4], s->leaf[i][5]);
	for (i = 0; i < NR_CAPS; i++)
		printf("# %s msr %#x %016lx\n", who, MSR_VMX_BASIC + i, s->cap[i]);
	for (i = 0; i < ARRAY_SIZE(other_msrs); i++)
		printf("# %s msr %#x %016lx\n", who, other_msrs[i], s->other[i]);
	printf("# %s xcr0 %#lx works %#lx\n", who, s->xcr0, s->works);
	fflush(stdout);		/* a subtest ends by _exit() */
}

static void first(void)
{
	struct vm vm;
	struct vcpu *vcpu = vmx_vm(&vm, guest_moves);

	vcpu_run_to_sync(vcpu, 1);
	write_machine(vcpu);
	show_seen("L2", &GUEST(&vm, l2_first));
	vm_destroy(&vm);
}

/* Goes on behind the place where the machine was saved, until L1 has looked. */
static struct vcpu *restore(struct vm *vm)
{
	struct vcpu *vcpu = read_machine(vm);

	strict("1");
	ksft_at_end(not_strict);
	DO(vcpu->fd, KVM_SET_CPUID2, &saved.cpuid);
	vcpu_restore(vcpu, &saved.vcpu, ORDER_QEMU);
	vcpu_run_to_sync(vcpu, 2);
	show_seen("L1", &GUEST(vm, l1_now));
	show_seen("L2", &GUEST(vm, l2_now));
	return vcpu;
}

static void next(void)
{
	struct vm vm;
	struct vcpu *vcpu = restore(&vm);

	vcpu_run_to_sync(vcpu, 1);
	write_machine(vcpu);
	vm_destroy(&vm);
}

static void last(void)
{
	struct vm vm;
	struct vcpu *vcpu = restore(&vm);

	GUEST(&vm, arrived) = 1;
	vcpu_run_to_end(vcpu);
	show_seen("L2", &GUEST(&vm, l2_another));
	vm_destroy(&vm);
}

static void refused(void)
{
	struct vcpu *vcpu;
	struct vm vm;

	vcpu = read_machine(&vm);
	strict("1");
	ksft_at_end(not_strict);
	FAILS(vcpu->fd, KVM_SET_CPUID2, &saved.cpuid, EINVAL);
	vm_destroy(&vm);
}

static const struct ksft_test round_trip[] = {
	{ "the machine starts, and is saved while L2 runs", .host = first },
	{ "it goes on, and is saved again", .host = next },
	{ "it goes on again", .host = next },
	{ "it goes on, and L1 starts another L2", .host = last },
};
static const struct ksft_test refusal[] = { { "strict_cpuid refuses what this host lacks", .host = refused } };

int main(int argc, char **argv)
{
	char scratch[] = "/tmp/t_pool_move.XXXXXX";
	int ret, fd;

	ksft_positional = " | first FILE | next FILE | last FILE | refused FILE\n"
		"  first FILE    start the machine and save it in FILE\n"
		"  next FILE     let it go on, and save it again\n"
		"  last FILE     let it go on to its end, with another L2\n"
		"  refused FILE  with strict_cpuid=1 this host must refuse it";
	if (argc == 3 && argv[1][0] != '-') {
		file = argv[2];
		if (!strcmp(argv[1], "refused"))
			return ksft_main(refusal, 1);
		if (!strcmp(argv[1], "first"))
			return ksft_main(&round_trip[0], 1);
		if (!strcmp(argv[1], "next"))
			return ksft_main(&round_trip[1], 1);
		if (!strcmp(argv[1], "last"))
			return ksft_main(&round_trip[3], 1);
	}
	if (!ksft_options(argc, argv, NULL, 0))
		return 2;
	fd = mkstemp(scratch);
	if (fd < 0) {
		perror(scratch);
		return 2;
	}
	close(fd);
	file = scratch;
	ret = ksft_main(round_trip, ARRAY_SIZE(round_trip));
	unlink(scratch);
	return ret;
}

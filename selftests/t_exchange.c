// SPDX-License-Identifier: GPL-2.0
/* An L1 saved under one hypervisor and restored under another: both must agree on nested state and VMCSs in memory. */
/*
 * t_exchange			save and restore under this hypervisor
 * t_exchange caps DIR		write this hypervisor's VMX capabilities, limited to those in DIR/caps, to DIR/caps
 * t_exchange save DIR		save machines with no more than the capabilities in DIR/caps to DIR/0, DIR/1, ...
 * t_exchange restore DIR	restore those machines and run them to their ends
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "save.h"
#include "vmx.h"

/* --- the machines; each calls g_sync(1) when it is to be saved --- */

#define NR_FIELDS	448

static volatile u64 field_value[2][NR_FIELDS];
static volatile u64 with_ept;
static u8 no_bits[4096] __attribute__((aligned(4096)));

/* The next possible field encoding (SDM 3D appendix B), or 0 after the last. Encoding 0 itself (VPID) is left out. */
static u64 next_field(u64 enc)
{
	for (enc += 2; enc < BIT(15); enc += 2)
		if (!(enc & BIT(12)) && (enc >> 1 & 0x1ff) < 28)
			return enc;
	return 0;
}

/* Writes a different value to each field of the current VMCS and stores the value that reads back. */
static void write_fields(volatile u64 *value, u64 salt)
{
	u64 enc, n = 0, v;

	for (enc = next_field(0); enc; enc = next_field(enc), n++) {
		G_MUST(n < NR_FIELDS, "room for all fields");
		/* The VM-instruction error field is skipped: every failing VMX instruction changes it. */
		if (enc == F_INSN_ERROR || try_vmwrite(enc, (enc + salt) * 0x9e3779b97f4a7c15ul) != VM_OK)
			continue;
		v = 0;
		G_EQN(try_vmread(enc, &v), VM_OK, "VMREAD of a field just written", enc);
		value[n] = v;
		G_OK(v, "a value");
	}
}

/* Checks that each existing field still has its value. The number of fields varies; there must be a minimum. */
static void check_fields(const volatile u64 *value)
{
	u64 enc, n = 0, v, same = 0;

	for (enc = next_field(0); enc; enc = next_field(enc), n++) {
		v = 0;
		if (!value[n] || try_vmread(enc, &v) != VM_OK)
			continue;
		G_EQN(v, value[n], "field", enc);
		same++;
	}
	G_OK(same > 100, "fields compared");
}

static void l2_nothing(void)
{
}

/* One VMCS is current, another one is in memory only. */
static void guest_fields(void)
{
	u64 in_memory = vmcs_new(l2_nothing), current;

	write_fields(field_value[0], 0);
	G_EQ(vmclear(in_memory), VM_OK, "VMCLEAR");
	current = vmcs_new(l2_nothing);
	write_fields(field_value[1], 0x111);
	g_sync(1);
	check_fields(field_value[1]);
	vmcs_load(in_memory);
	check_fields(field_value[0]);
	vmcs_load(current);
	check_fields(field_value[1]);
	G_EQ(vmxoff(), VM_OK, "VMXOFF");
}

#define L2_FS		0x123450000ul
#define L2_SYSENTER	0x4444000ul
#define L2_STAR		0x5555000ul

static void l2_runs(void)
{
	u64 i;

	wrmsr(MSR_FS_BASE, L2_FS);
	wrmsr(MSR_SYSENTER_EIP, L2_SYSENTER);
	wrmsr(MSR_LSTAR, L2_STAR);
	write_cr4(read_cr4() | CR4_TSD);
	g_sync(1);
	G_EQ(rdmsr(MSR_FS_BASE), L2_FS, "FS's base in L2");
	G_EQ(rdmsr(MSR_SYSENTER_EIP), L2_SYSENTER, "SYSENTER_EIP in L2");
	G_EQ(rdmsr(MSR_LSTAR), L2_STAR, "LSTAR in L2");
	G_OK(read_cr4() & CR4_TSD, "CR4 in L2");
	for (i = 0;; i++)
		asm volatile("vmcall" : : "b" (i) : "memory");
}

static void guest_l2(void)
{
	u64 i;

	vmcs_new(l2_runs);
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	vmwrite(F_MSR_BITMAP, (u64)no_bits);
	if (with_ept)
		ept_use(ept_new());
	for (i = 0; i < 5; i++) {
		vmx_expect(R_VMCALL, "L2");
		G_EQ(l2.rbx, i, "RBX of L2");
		G_EQ(vmread(F_FS_BASE), L2_FS, "FS's base of L2");
		G_EQ(vmread(F_GUEST_SYSENTER_EIP), L2_SYSENTER, "SYSENTER_EIP of L2");
		vmx_skip();
	}
}

static void l2_waits(void)
{
	g_sync(1);
	for (;;)
		relax();
}

static volatile u64 due;

static void guest_timer(void)
{
	u64 shift, ticks;

	vmcs_new(l2_waits);
	need(F_PIN, PIN_TIMER, "no preemption timer");
	shift = rdmsr(MSR_VMX_MISC) & 31;
	ticks = 20000000ul >> shift;
	vmwrite(F_TIMER, ticks);
	due = rdtsc() + ((ticks - 1) << shift);
	vmx_expect(R_TIMER, "the timer");
	G_OK(rdtsc() >= due, "the timer does not fire early");
}

static volatile u64 l2_read[2];

static void l2_shadow(void)
{
	u64 v = 0;

	try_vmwrite(F_RIP, 0xbeef);
	g_sync(1);
	G_EQ(try_vmread(F_RIP, &v), VM_OK, "VMREAD of L2");
	l2_read[0] = v;
	try_vmwrite(F_RIP, 0xcafe);
	v = 0;
	try_vmread(F_GUEST_CR3, &v);
	l2_read[1] = v;
	asm volatile("vmcall");
}

static void guest_shadow(void)
{
	u64 vmcs = vmcs_new(l2_shadow), shadow = vmcs_link(no_bits, no_bits);

	vmcs_load(shadow);
	vmwrite(F_GUEST_CR3, 0xc0ffee);
	vmcs_load(vmcs);
	vmx_expect(R_VMCALL, "L2");
	G_EQ(l2_read[0], 0xbeef, "value written by L2");
	G_EQ(l2_read[1], 0xc0ffee, "value written by L1");
	vmcs_load(shadow);
	G_EQ(vmread(F_RIP), 0xcafe, "last value written by L2");
}

static const struct scene {
	void (*guest)(void);
	bool with_ept;
} scenes[] = {
	{ guest_fields }, { guest_l2 }, { guest_l2, .with_ept = true }, { guest_timer }, { guest_shadow },
};

/* --- capabilities --- */

#define FIRST_CAP	MSR_VMX_BASIC
#define NR_CAPS		(MSR_VMX_VMFUNC - FIRST_CAP + 1)

struct caps {
	u64 val[NR_CAPS];	/* by MSR; 0 if it does not exist */
};

/* The capability MSRs that user space may set; the others follow from them or from CPUID. */
static bool is_settable(u32 msr)
{
	return msr == MSR_VMX_BASIC || msr == MSR_VMX_MISC || msr >= MSR_VMX_PROC2;
}

static void get_caps(int dev, struct caps *c)
{
	union {
		struct kvm_msrs m;
		u8 room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} one;
	u32 i;

	for (i = 0; i < NR_CAPS; i++) {
		memset(&one, 0, sizeof(one));
		one.m.nmsrs = 1;
		one.m.entries[0].index = FIRST_CAP + i;
		c->val[i] = ioctl(dev, KVM_GET_MSRS, &one.m) == 1 ? one.m.entries[0].data : 0;
	}
}

/* The smaller of the numbers that @a and @b have in the bits of @mask. */
static u64 fewer(u64 a, u64 b, u64 mask)
{
	return (a & mask) < (b & mask) ? a & mask : b & mask;
}

/* The capabilities common to @a and @b, encoded as in that MSR (SDM 3D appendix A). */
static u64 common(u32 msr, u64 a, u64 b)
{
	const u64 low = 0xffffffff, cr3_targets = 0x1fful << 16, list = 7ul << 25;

	switch (msr) {
	case MSR_VMX_MISC:
		EQ(a & 31, b & 31, "the preemption timer's rate");
		return (a & b & ~(cr3_targets | list)) | fewer(a, b, cr3_targets) | fewer(a, b, list);
	case MSR_VMX_BASIC:
		EQ(a & low, b & low, "the VMCS's revision");
		return a & b;
	case MSR_VMX_EPT:
	case MSR_VMX_VMFUNC:
		return a & b;
	default:
		return (a & b & ~low) | ((a | b) & low);
	}
}

/* --- files --- */

static const char *dir;
static bool saves = true, restores = true;

/* Opens DIR/@name, or DIR/@n. NULL if the file is to be read and does not exist. */
static FILE *open_file(const char *name, int n, const char *mode)
{
	char path[256];
	FILE *f;

	if (name)
		snprintf(path, sizeof(path), "%s/%s", dir, name);
	else
		snprintf(path, sizeof(path), "%s/%d", dir, n);
	f = fopen(path, mode);
	MUST(f || (mode[0] == 'r' && errno == ENOENT), "%s: %s", path, strerror(errno));
	return f;
}

static bool read_caps(struct caps *c)
{
	FILE *f = open_file("caps", 0, "r");

	if (!f)
		return false;
	MUST(fread(c, sizeof(*c), 1, f) == 1, "DIR/caps");
	fclose(f);
	return true;
}

static void host_caps(void)
{
	struct caps mine, other;
	int dev = device_open();
	FILE *f;
	u32 i;

	get_caps(dev, &mine);
	if (read_caps(&other))
		for (i = 0; i < NR_CAPS; i++)
			mine.val[i] = common(FIRST_CAP + i, mine.val[i], other.val[i]);
	f = open_file("caps", 0, "w");
	MUST(fwrite(&mine, sizeof(mine), 1, f) == 1 && !fclose(f), "DIR/caps");
}

/* Restricts the vCPU's capabilities to those in DIR/caps. */
static void narrow(struct vcpu *vcpu)
{
	struct caps mine, c;
	u32 i;

	if (!read_caps(&c))
		return;
	get_caps(vcpu->vm->dev, &mine);
	for (i = 0; i < NR_CAPS; i++)
		if (is_settable(FIRST_CAP + i) && mine.val[i])
			EQ(vcpu_set_msr(vcpu, FIRST_CAP + i, c.val[i]), 0, "MSR %#x = %#llx", FIRST_CAP + i,
			   (long long)c.val[i]);
}

static bool is_zero(const u8 *page)
{
	return !page[0] && !memcmp(page, page + 1, 4095);
}

/* Writes the vCPU's state, then memory; zero pages become holes. */
static void write_machine(int n, struct vcpu *vcpu, const struct saved_vcpu *s)
{
	FILE *f = open_file(NULL, n, "w");
	u64 at;

	MUST(fwrite(s, sizeof(*s), 1, f) == 1, "write");
	for (at = 0; at < MEM_SIZE; at += 4096) {
		if (is_zero(vcpu->vm->mem + at))
			continue;
		MUST(!fseek(f, sizeof(*s) + at, SEEK_SET) && fwrite(vcpu->vm->mem + at, 4096, 1, f) == 1, "write");
	}
	MUST(!fclose(f), "write");
}

/* Memory beyond the end of the file is zero. */
static void read_machine(FILE *f, struct vm *vm, struct saved_vcpu *s)
{
	size_t got;

	MUST(fread(s, sizeof(*s), 1, f) == 1, "read");
	memset(vm->mem, 0, MEM_SIZE);
	got = fread(vm->mem, 1, MEM_SIZE, f);
	MUST(got && !ferror(f), "read");
	fclose(f);
}

/* --- save and restore --- */

static void save_scene(int n)
{
	struct saved_vcpu *s = malloc(sizeof(*s));
	struct vm vm;
	struct vcpu *vcpu = vmx_vm(&vm, scenes[n].guest);

	GUEST(&vm, with_ept) = scenes[n].with_ept;
	narrow(vcpu);
	vcpu_run_to_sync(vcpu, 1);
	vcpu_save(vcpu, s);
	OK(s->nested.s.hdr.vmx.vmxon_pa != ~0ull, "L1 is in VMX operation");
	write_machine(n, vcpu, s);
	vm_destroy(&vm);
	free(s);
}

static void restore_scene(int n)
{
	struct saved_vcpu *s = malloc(sizeof(*s));
	FILE *f = open_file(NULL, n, "r");
	struct vm vm;
	struct vcpu *vcpu;

	if (!f)
		ksft_skip("this machine was not saved");
	vm_create(&vm, 0);
	read_machine(f, &vm, s);
	vcpu = vcpu_create(&vm, 0, NULL);
	narrow(vcpu);
	vcpu_restore(vcpu, s, ORDER_QEMU);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
	free(s);
}

static void host_scene(int n)
{
	if (saves)
		save_scene(n);
	if (restores)
		restore_scene(n);
}

#define SCENE(n) static void host_scene_##n(void) { host_scene(n); }
SCENE(0)
SCENE(1)
SCENE(2)
SCENE(3)
SCENE(4)

static const struct ksft_test machines[] = {
	{ "every field of a VMCS, current and in memory", .host = host_scene_0 },
	{ "a running L2", .host = host_scene_1 },
	{ "a running L2, with EPT in L1", .host = host_scene_2 },
	{ "an L2 with a running preemption timer", .host = host_scene_3 },
	{ "an L2 with a shadow VMCS", .host = host_scene_4 },
};

static const struct ksft_test caps_only[] = { { "capabilities", .host = host_caps } };

int main(int argc, char **argv)
{
	char scratch[] = "/tmp/t_exchange.XXXXXX", path[64];
	int ret;
	size_t i;

	ksft_positional = " | caps DIR | save DIR | restore DIR\n"
		"  caps DIR     keep the VMX capabilities in DIR that this device shares with those kept there\n"
		"  save DIR     save machines in DIR\n"
		"  restore DIR  restore them, on this device or another";
	if (argc > 1 && argv[1][0] == '-') {
		if (!ksft_options(argc, argv, NULL, 0))
			return 2;
		argc = 1;
	}
	if (argc == 3) {
		dir = argv[2];
		if (!strcmp(argv[1], "caps"))
			return ksft_main(caps_only, 1);
		saves = !strcmp(argv[1], "save");
		restores = !strcmp(argv[1], "restore");
	}
	if (argc != 1 && (argc != 3 || (!saves && !restores))) {
		fprintf(stderr, "usage: %s [caps DIR | save DIR | restore DIR]\n", argv[0]);
		return 2;
	}
	if (dir)
		return ksft_main(machines, ARRAY_SIZE(machines));
	dir = mkdtemp(scratch);
	if (!dir) {
		perror(scratch);
		return 2;
	}
	ret = ksft_main(machines, ARRAY_SIZE(machines));
	for (i = 0; i < ARRAY_SIZE(machines); i++) {
		snprintf(path, sizeof(path), "%s/%d", dir, (int)i);
		unlink(path);
	}
	rmdir(dir);
	return ret;
}

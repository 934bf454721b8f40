// SPDX-License-Identifier: GPL-2.0
/* KVM_GET_NESTED_STATE, KVM_SET_NESTED_STATE: an L1 and its L2 are migrated to a new VM. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "save.h"
#include "vmx.h"

#define INVALID	(~0ull)	/* no address */

/* Moves the machine to a new VM and returns the new vCPU. */
static struct vcpu *migrate(struct vcpu *vcpu, enum save_order order)
{
	static struct saved_vcpu s;
	union nested_state again;
	struct vm *vm = vcpu->vm;
	u64 size;

	vcpu_save(vcpu, &s);
	nested_get(vcpu, &again);
	/* Repeated reads return the same preemption-timer deadline and VMCS12. */
	OK(!memcmp(&again, &s.nested, s.nested.s.size), "the same state when saved twice");
	/* KVM does not restore the rest of the page after VMCS12. */
	size = is_droste() ? s.nested.s.size : sizeof(again.s);
	vm_replace(vm);
	vcpu = vcpu_create(vm, 0, NULL);
	vcpu_restore(vcpu, &s, order);
	nested_get(vcpu, &again);
	OK(!memcmp(&again, &s.nested, size), "the same state when saved from the new VM");
	return vcpu;
}

/* --- a long scenario in L1 and L2, whose results must not depend on migrations --- */

#define SCENE_EPT	BIT(0)
#define ROUNDS		4
#define NR_FIELDS	400

static volatile u64 scene, hash, fields_seen, regions[2];
static volatile u64 field_value[NR_FIELDS];
static u8 msr_bitmap[4096] __attribute__((aligned(4096)));

static void mix(u64 v)
{
	hash = (hash ^ v) * 0x9e3779b97f4a7c15ul;
	hash ^= hash >> 29;
}

/* L2 state that is only in VMCS02 while L2 runs, and some that VM-entry controls load. */
static void mix_state(void)
{
	struct dtr d;

	sgdt(&d);
	mix(d.limit);
	sidt(&d);
	mix(d.limit);
	mix(read_cr0());
	mix(read_cr3());
	mix(read_cr4());
	mix(read_cr2());
	mix(read_dr7());
	mix(rdmsr(MSR_FS_BASE));
	mix(rdmsr(MSR_GS_BASE));
	mix(rdmsr(MSR_KERNEL_GS_BASE));
	mix(rdmsr(MSR_SYSENTER_EIP));
	mix(rdmsr(MSR_PAT));
	mix(rdmsr(MSR_EFER));
	mix(rdmsr(MSR_DEBUGCTL));
	mix(rdmsr(MSR_LSTAR));
	mix(read_fs());
	mix(read_tr());
}

static void l2_scene(void)
{
	struct dtr d;
	u64 i;

	for (i = 0;; i++) {
		u32 a, b, c, dd;

		sidt(&d);
		d.limit = 0xfff + i;
		lidt(&d);
		wrmsr(MSR_FS_BASE, 0x123450000 + i);
		wrmsr(MSR_KERNEL_GS_BASE, 0x77770000 + i);
		wrmsr(MSR_SYSENTER_EIP, 0x4444000 + i);
		wrmsr(MSR_LSTAR, 0x5555000 + i);
		write_cr0(read_cr0() ^ CR0_TS);
		write_cr4(read_cr4() ^ CR4_TSD);
		asm volatile("mov %0, %%cr2; mov %1, %%dr7" : : "r" (0x8000 + i), "r" (0x400 | (i & 1)));
		mix_state();
		g_sync(100 + i);
		mix_state();
		asm volatile("vmcall" : : "b" (i) : "memory");
		mix_state();
		g_sync(200 + i);
		cpuid(i, i, &a, &b, &c, &dd);
		mix(a + b * 3 + c * 5 + dd * 7);
	}
}

/* Reads every field as L1 sees it, shadowed or not. Host RSP and RIP are addresses in this program. */
static void look_at_fields(void)
{
	u64 width, type, n, k = 0;

	for (width = 0; width < 4; width++) {
		for (type = 0; type < 4; type++) {
			for (n = 0; n < 28; n++) {
				u64 v = 0, field = width << 13 | type << 10 | n << 1;

				/* Undefined after most exits (SDM 3C 28.2.1). */
				if (field == F_LINEAR || field == F_GUEST_PHYSICAL)
					continue;
				if (try_vmread(field, &v) != VM_OK)
					continue;
				mix(v);
				if (k < NR_FIELDS)
					field_value[k++] = v;
			}
		}
	}
	fields_seen = k;
}

static void fill_scene(u64 *vmcs)
{
	vmcs[0] = vmcs_new(l2_scene);
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	vmwrite(F_MSR_BITMAP, (u64)msr_bitmap);
	if (scene & SCENE_EPT)
		ept_use(ept_new());
	vmwrite(F_CR0_MASK, CR0_TS | CR0_MP);
	vmwrite(F_CR0_SHADOW, CR0_TS | CR0_PE);
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_UD));
	vmset(F_EXIT_CTLS, EXIT_SAVE_DEBUG);
	vmset(F_ENTRY_CTLS, ENTRY_LOAD_DEBUG);
	if (ctl_has(F_ENTRY_CTLS, ENTRY_LOAD_PAT) && ctl_has(F_EXIT_CTLS, EXIT_LOAD_PAT)) {
		vmset(F_ENTRY_CTLS, ENTRY_LOAD_PAT);
		vmset(F_EXIT_CTLS, EXIT_LOAD_PAT);
		vmwrite(F_GUEST_PAT, 0x0606060606060606);
	}
	if (ctl_has(F_ENTRY_CTLS, ENTRY_LOAD_EFER) && ctl_has(F_EXIT_CTLS, EXIT_LOAD_EFER)) {
		vmset(F_ENTRY_CTLS, ENTRY_LOAD_EFER);
		vmset(F_EXIT_CTLS, EXIT_LOAD_EFER);
		vmwrite(F_GUEST_EFER, rdmsr(MSR_EFER) & ~EFER_SCE);
	}
	vmwrite(F_GDTR_LIMIT, 0x5f);
	vmcs[1] = vmcs_new(l2_scene);
	vmwrite(F_GUEST_CR3, 0x7000);
	regions[0] = vmcs[0];
	regions[1] = vmcs[1];
	g_sync(1);
	G_EQ(vmread(F_GUEST_CR3), 0x7000, "field of the current VMCS");
	vmcs_load(vmcs[0]);
}

/* L1 emulates the CR accesses of L2 that it intercepts. */
static void emulate_cr(void)
{
	u64 q = vmread(F_QUAL), field = (q & 15) ? F_GUEST_CR4 : F_GUEST_CR0;
	u64 *r = &l2.rax, val;
	/* RAX, RCX, RDX, RBX in struct l2_regs are 0, 2, 3, 1; RSP is not used. */
	static const u8 at[16] = { 0, 2, 3, 1, 0, 6, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14 };

	val = r[at[q >> 8 & 15]];
	vmwrite(field, val);
	if (field == F_GUEST_CR0)
		vmwrite(F_CR0_SHADOW, val);
	vmx_skip();
}

static void guest_scene(void)
{
	u64 vmcs[2], reason, calls = 0;

	fill_scene(vmcs);
	while (calls < ROUNDS) {
		reason = vmx_run();
		mix(reason);
		if (reason == R_VMCALL) {
			G_EQ(l2.rbx, calls, "RBX of L2");
			calls++;
			vmwrite(F_GDTR_LIMIT, 0x5f + calls);
			vmset(F_RFLAGS, BIT(18));
			g_sync(2);
			look_at_fields();
			g_sync(3);
			vmx_skip();
		} else if (reason == R_CPUID) {
			l2.rax += l2.rcx;
			vmx_skip();
		} else if (reason == R_CR) {
			emulate_cr();
		} else {
			G_EQ(reason, R_VMCALL, "exit reason");
			g_diag("RIP %llx, qualification %llx", vmread(F_RIP), vmread(F_QUAL));
			return;
		}
	}
	look_at_fields();
	vmcs_load(vmcs[1]);
	G_EQ(vmread(F_GUEST_CR3), 0x7000, "field of the other VMCS");
	G_EQ(vmclear(vmcs[0]), VM_OK, "VMCLEAR");
	G_EQ(vmclear(vmcs[1]), VM_OK, "VMCLEAR");
	G_EQ(vmxoff(), VM_OK, "VMXOFF");
	g_sync(4);
}

/* Plays the scene to its end, migrating at each sync unless @order is NR_ORDERS. Returns the number of syncs. */
static int play(struct vm *vm, u64 how, enum save_order order)
{
	struct vcpu *vcpu = vmx_vm(vm, guest_scene);
	u64 args[4], call;
	int n = 0;

	GUEST(vm, scene) = how;
	for (;;) {
		call = vcpu_run_to_call(vcpu, args);
		if (call == GCALL_DIAG)
			continue;
		if (call != GCALL_SYNC)
			describe_exit(vcpu);
		MUST(call == GCALL_SYNC, "the guest syncs");
		if (args[0] == 4)
			return n;
		n++;
		if (order != NR_ORDERS)
			vcpu = migrate(vcpu, order);
	}
}

static void host_scene(u64 how, enum save_order order)
{
	struct vm still, moved;
	u64 i;
	int n;

	n = play(&still, how, NR_ORDERS);
	EQ(play(&moved, how, order), n, "syncs");
	OK(n > 10, "%d syncs", n);
	EQ(GUEST(&moved, hash), GUEST(&still, hash), "hash of the values seen by L1 and L2");
	EQ(GUEST(&moved, fields_seen), GUEST(&still, fields_seen), "number of VMCS fields");
	for (i = 0; i < GUEST(&still, fields_seen) && i < NR_FIELDS; i++)
		EQ(GUEST(&moved, field_value[i]), GUEST(&still, field_value[i]), "field %d", (int)i);
	/* The VMCS regions were compared field by field. */
	for (i = 0; i < MEM_SIZE; i += 4096)
		OK(i == GUEST(&still, regions[0]) || i == GUEST(&still, regions[1]) ||
		   !memcmp(moved.mem + i, still.mem + i, 4096), "memory at %#lx", i);
}

static void host_scene_qemu(void)
{
	host_scene(0, ORDER_QEMU);
}

static void host_scene_selftests(void)
{
	host_scene(0, ORDER_SELFTESTS);
}

static void host_scene_ept_qemu(void)
{
	host_scene(SCENE_EPT, ORDER_QEMU);
}

static void host_scene_ept_selftests(void)
{
	host_scene(SCENE_EPT, ORDER_SELFTESTS);
}

/* --- VMX operation without a current VMCS --- */

static void guest_vmxon_only(void)
{
	u64 ptr = 0;

	g_sync(1);
	vmx_on();
	g_sync(2);
	G_EQ(vmptrst(&ptr), VM_OK, "VMPTRST");
	G_EQ(ptr, INVALID, "no VMCS is current");
	G_EQ(vmxon(vmx_region_on), VM_INVALID, "VMXON in VMX operation");
	G_EQ(vmclear(vmx_region_on), VM_INVALID, "VMCLEAR of the VMXON region");
	G_EQ(vmxoff(), VM_OK, "VMXOFF");
	g_sync(3);
	G_EQ(vmxoff(), UD, "VMXOFF outside VMX operation");
}

static void host_vmxon_only(void)
{
	struct vm vm;
	struct vcpu *vcpu = vmx_vm(&vm, guest_vmxon_only);
	union nested_state n;
	int i;

	for (i = 1; i <= 3; i++) {
		vcpu_run_to_sync(vcpu, i);
		nested_get(vcpu, &n);
		EQ(n.s.size, sizeof(n.s), "size without a VMCS");
		EQ(n.s.format, KVM_STATE_NESTED_FORMAT_VMX, "format");
		EQ(n.s.flags, 0, "flags");
		EQ(n.s.hdr.vmx.vmcs12_pa, INVALID, "no VMCS");
		EQ(n.s.hdr.vmx.vmxon_pa, i == 2 ? GUEST(&vm, vmx_region_on) : INVALID, "VMXON pointer %d", i);
		vcpu = migrate(vcpu, ORDER_QEMU);
	}
	vcpu_run_to_end(vcpu);
}

/* --- the TPR threshold, which concerns entries of L1 only (SDM 3C 27.2.1.1) --- */

static volatile u32 *vapic;

static void l2_lowers_tpr(void)
{
	vapic[0x20] = 0;
	g_sync(1);
	asm volatile("vmcall");
}

static void guest_tpr(void)
{
	vapic = g_page();
	vmcs_new(l2_lowers_tpr);
	need(F_PROC, PROC_TPR_SHADOW, "no TPR shadow");
	vmwrite(F_VIRTUAL_APIC, (u64)vapic);
	vmwrite(F_TPR_THRESHOLD, 5);
	vapic[0x20] = 0x50;
	vmx_expect(R_VMCALL, "L2 goes on with VTPR below the threshold");
}

/* Without EPT and with an entry of L0's own after the exit to user space. */
static void host_tpr(void)
{
	enum save_order order;

	for (order = 0; order < NR_ORDERS; order++) {
		struct vm vm;
		struct vcpu *vcpu = vmx_vm(&vm, guest_tpr);

		vcpu_run_to_sync(vcpu, 1);
		vcpu = migrate(vcpu, order);
		vcpu_run_to_end(vcpu);
		vm_destroy(&vm);
	}
}

/* --- events pending for L2 --- */

static u64 l2_says;

static void l2_sync(void)
{
	g_sync(l2_says ? l2_says : 50);
	asm volatile("vmcall");
	for (;;)
		g_sync(51);
}

static volatile u64 injected;

static void on_injected(struct trap_regs *r)
{
	injected++;
}

static void guest_inject(void)
{
	vmcs_new(l2_sync);
	vmwrite(F_HOST_RIP, 0x400000);
	vmwrite(F_HOST_RSP, 0x400000);
	g_trap_fn[0x55] = on_injected;
	vmwrite(F_ENTRY_INTR_INFO, 1ul << 31 | 4 << 8 | 0x55);
	vmwrite(F_ENTRY_ILEN, 0);
	vmwrite(F_ENTRY_ILEN, 2);
	vmwrite(F_RIP, vmread(F_RIP) - 2);
	g_sync(1);
}

/* The event in L1's VM-entry field is injected only if that VM entry is still pending. */
static void host_run_pending(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	union nested_state n;
	struct kvm_regs r;
	int pending;

	for (pending = 0; pending < 2; pending++) {
		vcpu = vmx_vm(&vm, guest_inject);
		vcpu_run_to_sync(vcpu, 1);
		vcpu_finish_exit(vcpu);
		nested_get(vcpu, &n);
		n.s.flags = KVM_STATE_NESTED_GUEST_MODE | (pending ? KVM_STATE_NESTED_RUN_PENDING : 0);
		EQ(nested_set(vcpu, &n), 0, "KVM_SET_NESTED_STATE");
		nested_get(vcpu, &n);
		EQ(n.s.flags, KVM_STATE_NESTED_GUEST_MODE | (pending ? KVM_STATE_NESTED_RUN_PENDING : 0), "flags");
		if (!pending) {
			/* No event is injected, so RIP must be moved past the instruction that the event stands for. */
			vcpu_regs(vcpu, &r);
			r.rip += 2;
			vcpu_set_regs(vcpu, &r);
		} else {
			vcpu = migrate(vcpu, ORDER_QEMU);
			vcpu = migrate(vcpu, ORDER_SELFTESTS);
		}
		vcpu_run_to_sync(vcpu, 50);
		EQ(GUEST(&vm, injected), pending, "events injected");
		nested_get(vcpu, &n);
		EQ(n.s.flags, KVM_STATE_NESTED_GUEST_MODE, "flags after L2 has run");
		vm_destroy(&vm);
	}
}

static void guest_mtf(void)
{
	vmcs_new(l2_sync);
	need(F_PROC, PROC_MTF, "no monitor trap flag");
	vmclr(F_PROC, PROC_MTF);
	vmx_expect(R_VMCALL, "L2 synced");
	vmx_skip();
	vmset(F_PROC, PROC_MTF);
	/* Single-step L2 up to the OUT of the next sync. */
	while (vmx_run() == R_MTF)
		;
}

/* L0 emulated an instruction of L2 while L1 single-steps L2: the MTF exit stays pending across a migration. */
static void host_mtf(void)
{
	struct vm vm;
	struct vcpu *vcpu = vmx_vm(&vm, guest_mtf);
	union nested_state n;

	vcpu_run_to_sync(vcpu, 50);
	vcpu_run_to_sync(vcpu, 51);
	vcpu_finish_exit(vcpu);
	nested_get(vcpu, &n);
	EQ(n.s.flags, KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_MTF_PENDING, "flags");
	vcpu = migrate(vcpu, ORDER_QEMU);
	vcpu = migrate(vcpu, ORDER_SELFTESTS);
	vcpu_run_to_sync(vcpu, 51);
}

/* --- L1's preemption timer --- */

static volatile u64 started, expired, ticks, shift, any_time;

static void l2_spin(void)
{
	g_sync(1);
	for (;;)
		relax();
}

static void guest_timer(void)
{
	vmcs_new(l2_spin);
	need(F_PIN, PIN_TIMER, "no preemption timer");
	shift = rdmsr(MSR_VMX_MISC) & 31;
	ticks = 1000000ul >> shift << 4;
	vmwrite(F_TIMER, ticks);
	started = rdtsc();
	vmx_expect(R_TIMER, "the timer");
	expired = rdtsc();
	if (!any_time)
		G_OK(expired - started >= (ticks - 1) << shift, "the timer does not fire early");
	g_sync(2);
}

static void host_timer(enum save_order order)
{
	struct vm vm;
	struct vcpu *vcpu = vmx_vm(&vm, guest_timer);
	union nested_state n;
	u64 deadline;

	vcpu_run_to_sync(vcpu, 1);
	nested_get(vcpu, &n);
	EQ(n.s.hdr.vmx.flags, KVM_STATE_VMX_PREEMPTION_TIMER_DEADLINE, "the state has a deadline");
	deadline = n.s.hdr.vmx.preemption_timer_deadline << GUEST(&vm, shift);
	OK(deadline >= GUEST(&vm, started) + ((GUEST(&vm, ticks) - 1) << GUEST(&vm, shift)), "the deadline");
	vcpu = migrate(vcpu, order);
	vcpu_run_to_sync(vcpu, 2);
	OK(GUEST(&vm, expired) >= deadline, "%#llx, deadline %#llx", (long long)GUEST(&vm, expired), (long long)deadline);
	vcpu_run_to_end(vcpu);
}

static void host_timer_qemu(void)
{
	host_timer(ORDER_QEMU);
}

static void host_timer_selftests(void)
{
	host_timer(ORDER_SELFTESTS);
}

/* A deadline long past, and one that is never reached: user space may set any value. */
static void host_timer_wild(void)
{
	static const u64 wild[] = { 0, 1, 1ull << 63, (1ull << 63) - 1, INVALID, INVALID - 1 };
	struct vm vm;
	struct vcpu *vcpu = vmx_vm(&vm, guest_timer);
	union nested_state n;
	u64 i;

	vcpu_run_to_sync(vcpu, 1);
	vcpu_finish_exit(vcpu);
	nested_get(vcpu, &n);
	for (i = 0; i < ARRAY_SIZE(wild); i++) {
		n.s.hdr.vmx.preemption_timer_deadline = wild[i];
		EQ(nested_set(vcpu, &n), 0, "deadline %#llx", (long long)wild[i]);
	}
	n.s.hdr.vmx.preemption_timer_deadline = 1;
	EQ(nested_set(vcpu, &n), 0, "a deadline that has passed");
	if (!is_droste())
		return;		/* KVM lets such an L2 run forever */
	GUEST(&vm, any_time) = 1;
	vcpu_run_to_sync(vcpu, 2);
}

/* --- replacing one state by another --- */

static void guest_l2_run_on(void)
{
	vmcs_new(l2_sync);
	l2_says = 60;
	vmx_expect(R_VMCALL, "L2");
	l2_says = 61;
	vmwrite(F_RIP, (u64)l2_sync);
	vmx_expect(R_VMCALL, "L2 again");
	g_sync(62);
}

/* The state of a running L2 is replaced by that of another L2, or by none. */
static void host_over_l2(void)
{
	struct vm vm;
	struct vcpu *vcpu = vmx_vm(&vm, guest_l2_run_on);
	struct saved_vcpu *s = malloc(sizeof(*s));
	union nested_state none = { .s = { .size = sizeof(none.s) } };

	vcpu_run_to_sync(vcpu, 60);
	vcpu_save(vcpu, s);
	EQ(s->nested.s.flags, KVM_STATE_NESTED_GUEST_MODE, "flags while L2 runs");
	vcpu_restore(vcpu, s, ORDER_SELFTESTS);
	vcpu_run_to_sync(vcpu, 61);
	vcpu_save(vcpu, s);
	none.s.hdr.vmx.vmxon_pa = none.s.hdr.vmx.vmcs12_pa = INVALID;
	EQ(nested_set(vcpu, &none), 0, "state without an L2");
	vcpu_restore(vcpu, s, ORDER_QEMU);
	vcpu_run_to_sync(vcpu, 62);
	vcpu_run_to_end(vcpu);
	free(s);
}

/* --- an L2 with a shadow VMCS --- */

static u8 no_bits[4096] __attribute__((aligned(4096)));
static volatile u64 l2_read[4];

static u64 shadow_rip(void)
{
	u64 v = 0;

	return try_vmread(F_RIP, &v) == VM_OK ? v : INVALID;
}

static void l2_shadow(void)
{
	g_sync(1);
	l2_read[0] = shadow_rip();
	g_sync(2);
	l2_read[1] = shadow_rip();
	try_vmwrite(F_RIP, 0xbeef);
	g_sync(3);
	l2_read[2] = shadow_rip();
	try_vmwrite(F_RIP, 0xcafe);
	asm volatile("vmcall");
}

static void guest_shadow(void)
{
	u64 vmcs = vmcs_new(l2_shadow), shadow = vmcs_link(no_bits, no_bits);

	vmcs_load(shadow);
	vmwrite(F_RIP, 0xc0ffee);
	g_sync(0);
	G_EQ(vmread(F_RIP), 0xc0ffee, "the shadow VMCS is current");
	vmcs_load(vmcs);
	vmx_expect(R_VMCALL, "L2");
	G_EQ(l2_read[0], 0xc0ffee, "value written by L1");
	G_EQ(l2_read[1], 0xc0ffee, "value written by L1, read again");
	G_EQ(l2_read[2], 0xbeef, "value written by L2");
	vmcs_load(shadow);
	G_EQ(vmread(F_RIP), 0xcafe, "last value written by L2");
}

/* States with a missing or invalid shadow VMCS must be refused. In KVM the vCPU is unusable afterwards. */
static void refuse_shadow(struct vcpu *vcpu, const union nested_state *good)
{
	struct kvm_vmx_nested_state_data *d;
	union nested_state n, now;
	int i;

	d = &n.s.data.vmx[0];
	for (i = 0; i < 3; i++) {
		n = *good;
		if (i == 0)
			n.s.size = sizeof(n.s) + 4096;
		else if (i == 1)
			d->shadow_vmcs12[0] ^= 1;
		else
			d->shadow_vmcs12[3] ^= 0x80;
		EQ(nested_set(vcpu, &n), -EINVAL, "without a valid shadow VMCS, case %d", i);
		if (!is_droste())
			continue;
		nested_get(vcpu, &now);
		OK(!memcmp(&now, good, sizeof(now)), "the state is unchanged, case %d", i);
	}
}

static void host_shadow(enum save_order order)
{
	struct vm vm;
	struct vcpu *vcpu = vmx_vm(&vm, guest_shadow);
	struct saved_vcpu *s = malloc(sizeof(*s));
	union nested_state n;
	int i;

	for (i = 0; i <= 3; i++) {
		vcpu_run_to_sync(vcpu, i);
		nested_get(vcpu, &n);
		EQ(n.s.size, sizeof(n.s) + (i ? 2 : 1) * 4096, "size at stage %d", i);
		if (i) {
			vcpu_save(vcpu, s);
			refuse_shadow(vcpu, &s->nested);
			vcpu_restore(vcpu, s, order);
		}
		vcpu = migrate(vcpu, order);
	}
	vcpu_run_to_end(vcpu);
	free(s);
}

static void host_shadow_qemu(void)
{
	host_shadow(ORDER_QEMU);
}

static void host_shadow_selftests(void)
{
	host_shadow(ORDER_SELFTESTS);
}

/* --- a system reset while L2 runs: user space sets all state of the vCPU and the memory anew --- */

static void l2_reset(void)
{
	for (;;)
		g_sync(7);
}

static void guest_reset(void)
{
	vmcs_new(l2_reset);
	ept_use(ept_new());
	need(F_PROC, PROC_TPR_SHADOW | PROC_MSR_BITMAPS, "no TPR shadow, or no MSR bitmaps");
	vmwrite(F_VIRTUAL_APIC, (u64)g_page());
	vmwrite(F_MSR_BITMAP, (u64)g_page());
	vmwrite(F_TPR_THRESHOLD, 0);
	vmx_run();
}

static void host_reset(void)
{
	struct saved_vcpu *fresh = calloc(1, sizeof(*fresh));
	union nested_state n;
	struct vcpu *vcpu;
	struct vm vm;
	u8 *memory;
	int i;

	vcpu = vmx_vm(&vm, guest_reset);
	vcpu_save(vcpu, fresh);
	memory = malloc(MEM_SIZE);
	MUST(memory, "malloc");
	memcpy(memory, vm.mem, MEM_SIZE);
	for (i = 0; i < 6; i++) {
		vcpu_run_to_sync(vcpu, 7);
		/* L2 has its exits to user space, which the reset must forget, in two places. */
		if (i % 3)
			vcpu_run_to_sync(vcpu, 7);
		nested_get(vcpu, &n);
		OK(n.s.flags & KVM_STATE_NESTED_GUEST_MODE, "in L2");
		vcpu_finish_exit(vcpu);
		memcpy(vm.mem, memory, MEM_SIZE);
		/* QEMU clears IA32_FEATURE_CONTROL first, which ends VMX operation; others set the nested state first. */
		if (i & 1)
			EQ(nested_set(vcpu, &fresh->nested), 0, "KVM_SET_NESTED_STATE");
		vcpu_restore(vcpu, fresh, ORDER_QEMU);
		nested_get(vcpu, &n);
		EQ(n.s.flags, 0, "flags");
		EQ(n.s.hdr.vmx.vmxon_pa, INVALID, "no VMX operation");
	}
	vcpu_run_to_sync(vcpu, 7);
	vm_destroy(&vm);
	free(memory);
	free(fresh);
}

static const struct ksft_test tests[] = {
	{ "L1 and L2 migrate, QEMU's order", .host = host_scene_qemu },
	{ "L1 and L2 migrate, the selftests' order", .host = host_scene_selftests },
	{ "L1 and L2 migrate, L1 uses EPT, QEMU's order", .host = host_scene_ept_qemu },
	{ "L1 and L2 migrate, L1 uses EPT, the selftests' order", .host = host_scene_ept_selftests },
	{ "VMX operation without a VMCS", .host = host_vmxon_only },
	{ "an L2 with its TPR below the threshold", .host = host_tpr },
	{ "a pending VM entry with its event", .host = host_run_pending },
	{ "a pending exit by the monitor trap flag", .host = host_mtf },
	{ "L1's preemption timer continues, QEMU's order", .host = host_timer_qemu },
	{ "L1's preemption timer continues, the selftests' order", .host = host_timer_selftests },
	{ "extreme deadlines", .host = host_timer_wild },
	{ "the state of a running L2 is replaced", .host = host_over_l2 },
	{ "a reset of the machine while L2 runs", .host = host_reset },
	{ "an L2 with a shadow VMCS migrates, QEMU's order", .host = host_shadow_qemu },
	{ "an L2 with a shadow VMCS migrates, the selftests' order", .host = host_shadow_selftests },
};
KSFT_MAIN(tests)

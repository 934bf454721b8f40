// SPDX-License-Identifier: GPL-2.0
/* CPUID of a vCPU: the entries that user space may choose from, those it chose, and the results of the instruction. */
#include <linux/kvm_para.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/processor.h>
#include "droste.h"
#include "cpu/cpuid.h"
#include "cpu/cpuid_table.h"
#include "cpu/fpu.h"
#include "cpu/pool.h"
#include "pv/features.h"
#include "run/request.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

#define NO_SIGNATURE	0x600	/* a processor of family 6, for a vCPU without CPUID; as in KVM */

static struct cpuid_host this_host;	/* constant after cpuid_init() */
static u64 this_spec_ctrl;		/* IA32_SPEC_CTRL bits that this host has; constant after cpuid_init() */
static u64 this_cr4;			/* CR4 bits that this host can offer to guests; constant after cpuid_init() */

static void cpuid_read_host(const struct cpuid_host *host, u32 fn, u32 index, u32 regs[NR_CPUID_REGS])
{
	cpuid_count(fn, index, &regs[CPUID_RAX], &regs[CPUID_RBX], &regs[CPUID_RCX], &regs[CPUID_RDX]);
}

/* CR4 bits that the entries allow, without those that the processor refuses in VMX operation (SDM 3C A.8). */
static u64 cpuid_cr4_of(const struct kvm_cpuid_entry2 *entries, int n)
{
	return cpuid_cr4_allowed(entries, n) & offer_caps.cr4_fixed1;
}

/**
 * cpuid_init() - read the properties of this host that limit guests' CPUID
 *
 * Initializes cpu/fpu.c as well. Must be called after vmx_caps_init() and
 * before any other function of this file.
 *
 * Context: Process context, at load. May sleep.
 * Return: 0 or a negative errno.
 */
int cpuid_init(void)
{
	struct kvm_cpuid_entry2 *entries;
	int n;

	fpu_init();
	this_host = (struct cpuid_host) {
		.read = cpuid_read_host,
		.xcr0 = fpu_supported_xcr0(),
		.rdtscp = vmx_features.rdtscp,
		.invpcid = vmx_features.invpcid,
		.xsaves = vmx_features.xsaves,
		.umip_emulated = vmx_features.umip_emulated,
		/* The kernel clears these for processors on which they do not work. */
		.spec_ctrl = boot_cpu_has(X86_FEATURE_SPEC_CTRL),
		.stibp = boot_cpu_has(X86_FEATURE_INTEL_STIBP),
		.ssbd = boot_cpu_has(X86_FEATURE_SPEC_CTRL_SSBD),
		.flush_l1d = boot_cpu_has(X86_FEATURE_FLUSH_L1D),
		.arch_caps = boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES),
	};
	entries = kvcalloc(DROSTE_MAX_CPUID, sizeof(*entries), GFP_KERNEL);
	if (!entries)
		return -ENOMEM;
	n = cpuid_supported(&this_host, entries, DROSTE_MAX_CPUID);
	this_cr4 = cpuid_cr4_of(entries, max(n, 0));
	this_spec_ctrl = cpuid_spec_ctrl_allowed(entries, max(n, 0));
	kvfree(entries);
	return n < 0 ? n : 0;
}

/**
 * cpuid_host_offer() - list all entries that a guest of this host may be given
 * @entries: filled in
 * @max: room in @entries
 *
 * Context: Process context.
 * Return: how many, or -E2BIG.
 */
int cpuid_host_offer(struct kvm_cpuid_entry2 *entries, int max)
{
	return cpuid_supported(&this_host, entries, max);
}

/**
 * cpuid_host_spec_ctrl() - the IA32_SPEC_CTRL bits of this host
 *
 * Context: Any, after cpuid_init().
 * Return: the bits that user space may set for a guest.
 */
u64 cpuid_host_spec_ctrl(void)
{
	return this_spec_ctrl;
}

/**
 * cpuid_get_emulated() - KVM_GET_EMULATED_CPUID
 * @uarg: user address of the list
 *
 * The list is always empty: the emulator has no feature that the processor may
 * lack.
 *
 * Context: Process context. May sleep.
 * Return: 0; -E2BIG if the list has no room at all; -EFAULT.
 */
long cpuid_get_emulated(struct kvm_cpuid2 __user *uarg)
{
	struct kvm_cpuid2 head;

	if (copy_from_user(&head, uarg, sizeof(head)))
		return -EFAULT;
	if (!head.nent)
		return -E2BIG;
	head.nent = 0;
	return copy_to_user(uarg, &head, sizeof(head)) ? -EFAULT : 0;
}

/* The entries that the device offers now: those of its pool, or of the host. */
static int cpuid_offer(struct kvm_cpuid_entry2 *entries, int max)
{
	struct pool *pool = pool_get();
	int n;

	if (!pool)
		return cpuid_host_offer(entries, max);
	n = pool->nr_cpuid <= max ? pool->nr_cpuid : -E2BIG;
	if (n > 0)
		memcpy(entries, pool->cpuid, n * sizeof(*entries));
	pool_put(pool);
	return n;
}

/**
 * cpuid_get_supported() - KVM_GET_SUPPORTED_CPUID
 * @uarg: user address of the list; nent is its room on entry and its length on return
 *
 * Context: Process context. May sleep.
 * Return: 0; -E2BIG if the list is too small; -ENOMEM; -EFAULT.
 */
long cpuid_get_supported(struct kvm_cpuid2 __user *uarg)
{
	struct kvm_cpuid_entry2 *entries;
	struct kvm_cpuid2 head;
	int n, ret = -EFAULT;

	if (copy_from_user(&head, uarg, sizeof(head)))
		return -EFAULT;
	if (!head.nent)
		return -E2BIG;
	head.nent = min_t(u32, head.nent, DROSTE_MAX_CPUID);
	entries = kvcalloc(head.nent, sizeof(*entries), GFP_KERNEL_ACCOUNT);
	if (!entries)
		return -ENOMEM;
	n = cpuid_offer(entries, head.nent);
	if (n < 0) {
		ret = n;
		goto out;
	}
	head.nent = n;
	head.padding = 0;
	if (copy_to_user(uarg, &head, sizeof(head)))
		goto out;
	if (copy_to_user(uarg->entries, entries, n * sizeof(*entries)))
		goto out;
	ret = 0;
out:
	kvfree(entries);
	return ret;
}

/* Whether the vCPU has a feature: its CPUID says so, and its VM's pool. */
static bool cpuid_vcpu_has(struct vcpu *vcpu, u32 fn, enum cpuid_reg reg, u32 bit)
{
	return cpuid_has(vcpu->cpuid, vcpu->nr_cpuid, fn, 0, reg, bit) && pool_has(vcpu->vm->pool, fn, 0, reg, bit);
}

static u8 cpuid_guest_maxphyaddr(struct vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *e = vcpu_find_cpuid(vcpu, 0x80000000, 0);
	u8 bits;

	if (!e || e->eax < 0x80000008)
		return 36;
	e = vcpu_find_cpuid(vcpu, 0x80000008, 0);
	bits = e ? e->eax & 0xff : 36;
	return clamp_t(u8, bits, 32, 52);
}

static u64 cpuid_guest_xcr0(struct vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *e = vcpu_find_cpuid(vcpu, 0xd, 0);

	if (!e || !cpuid_vcpu_has(vcpu, 1, CPUID_RCX, BIT(26)))
		return 0;
	return ((u64)e->edx << 32 | e->eax) & this_host.xcr0 & pool_most(vcpu->vm->pool)->xcr0;
}

/* Do the entries name the hypervisor @signature in the leaf @base? */
static bool cpuid_signed_at(const struct kvm_cpuid_entry2 *entries, int n, u32 base, const char *signature)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(entries, n, base, 0);
	u32 text[3];

	if (!e)
		return false;
	text[0] = e->ebx;
	text[1] = e->ecx;
	text[2] = e->edx;
	return !memcmp(text, signature, sizeof(text));
}

/* The same in the leaf in which guests look for KVM. */
static bool cpuid_has_signature(const struct kvm_cpuid_entry2 *entries, int n, const char *signature)
{
	return cpuid_signed_at(entries, n, KVM_CPUID_SIGNATURE, signature);
}

/* The features of <linux/droste_para.h> that the entries offer. */
static u32 cpuid_droste_features(const struct kvm_cpuid_entry2 *entries, int n)
{
	const struct kvm_cpuid_entry2 *e = NULL;

	if (cpuid_signed_at(entries, n, CPUID_DROSTE_BASE, CPUID_DROSTE_SIGNATURE))
		e = cpuid_find(entries, n, CPUID_DROSTE_BASE + DROSTE_CPUID_FEATURES, 0);
	else if (cpuid_signed_at(entries, n, CPUID_DROSTE_NEXT, CPUID_DROSTE_SIGNATURE))
		e = cpuid_find(entries, n, CPUID_DROSTE_NEXT + DROSTE_CPUID_FEATURES, 0);
	return e ? e->eax & DROSTE_CPUID_ALL : 0;
}

/* The leaf of KVM's features. NULL if there is none, or if the signature is neither KVM's nor Droste's. */
static struct kvm_cpuid_entry2 *cpuid_pv_leaf(struct kvm_cpuid_entry2 *entries, int n)
{
	if (!cpuid_has_signature(entries, n, KVM_SIGNATURE) && !cpuid_has_signature(entries, n, CPUID_DROSTE_SIGNATURE))
		return NULL;
	return (struct kvm_cpuid_entry2 *)cpuid_find(entries, n, KVM_CPUID_FEATURES, 0);
}

/**
 * cpuid_update_caps() - derive vcpu->gcaps from the vCPU's CPUID
 * @vcpu: need not be loaded
 *
 * Context: Process context. Caller holds vcpu->mutex, or the vCPU is being
 * created.
 */
void cpuid_update_caps(struct vcpu *vcpu)
{
	const struct pool_most *most = pool_most(vcpu->vm->pool);
	u64 cr4 = this_cr4 & most->cr4;
	const struct kvm_cpuid_entry2 *e;
	struct guest_caps *g = &vcpu->gcaps;

	*g = (struct guest_caps) {
		.maxphyaddr = cpuid_guest_maxphyaddr(vcpu),
		/* Until KVM_SET_CPUID2, user space may set every CR4 bit that this host, or the pool, can offer. */
		.cr4_allowed = vcpu->cpuid ? cpuid_cr4_of(vcpu->cpuid, vcpu->nr_cpuid) & cr4 : cr4,
		.efer_allowed = cpuid_efer_allowed(vcpu->cpuid, vcpu->nr_cpuid) & most->efer,
		.xcr0_allowed = cpuid_guest_xcr0(vcpu),
		.spec_ctrl = cpuid_spec_ctrl_allowed(vcpu->cpuid, vcpu->nr_cpuid) & this_spec_ctrl & most->spec_ctrl,
		.ibpb = cpuid_vcpu_has(vcpu, 7, CPUID_RDX, EDX7_SPEC_CTRL) && this_host.spec_ctrl,
		.flush_l1d = cpuid_vcpu_has(vcpu, 7, CPUID_RDX, EDX7_FLUSH_L1D) && this_host.flush_l1d,
		.arch_caps = cpuid_vcpu_has(vcpu, 7, CPUID_RDX, EDX7_ARCH_CAPS),
		.vmx = cpuid_vcpu_has(vcpu, 1, CPUID_RCX, BIT(5)),
		.x2apic = cpuid_vcpu_has(vcpu, 1, CPUID_RCX, BIT(21)),
		.tsc_deadline = cpuid_vcpu_has(vcpu, 1, CPUID_RCX, BIT(24)),
		.xsave = cpuid_vcpu_has(vcpu, 1, CPUID_RCX, BIT(26)) && this_host.xcr0,
		.rdtscp = (cpuid_vcpu_has(vcpu, 0x80000001, CPUID_RDX, BIT(27)) || cpuid_vcpu_has(vcpu, 7, CPUID_RCX, BIT(22))) &&
			  vmx_features.rdtscp,
		.tsc_adjust = cpuid_vcpu_has(vcpu, 7, CPUID_RBX, BIT(1)),
		.invpcid = cpuid_vcpu_has(vcpu, 7, CPUID_RBX, BIT(10)) && vmx_features.invpcid,
		.long_mode = cpuid_vcpu_has(vcpu, 0x80000001, CPUID_RDX, BIT(29)),
		.pdpe1gb = cpuid_vcpu_has(vcpu, 0x80000001, CPUID_RDX, BIT(26)),
		.la_bits = cpuid_vcpu_has(vcpu, 7, CPUID_RCX, ECX7_LA57) && (cr4 & X86_CR4_LA57) ? 57 : 48,
		.mtrr = cpuid_vcpu_has(vcpu, 1, CPUID_RDX, BIT(12)),
		.mce = cpuid_vcpu_has(vcpu, 1, CPUID_RDX, BIT(7)),
		.xd = cpuid_vcpu_has(vcpu, 0x80000001, CPUID_RDX, BIT(20)),
		.rtm = cpuid_vcpu_has(vcpu, 7, CPUID_RBX, BIT(11)) && boot_cpu_has(X86_FEATURE_RTM),
		.rdrand = cpuid_vcpu_has(vcpu, 1, CPUID_RCX, BIT(30)),
		.rdseed = cpuid_vcpu_has(vcpu, 7, CPUID_RBX, BIT(18)),
		.aperfmperf = cpuid_vcpu_has(vcpu, 6, CPUID_RCX, BIT(0)),
	};
	e = vcpu_find_cpuid(vcpu, 0, 0);
	g->max_leaf = e ? e->eax : 0;
	e = vcpu_find_cpuid(vcpu, 1, 0);
	g->signature = e ? e->eax : NO_SIGNATURE;
	g->kvm_signature = cpuid_has_signature(vcpu->cpuid, vcpu->nr_cpuid, KVM_SIGNATURE);
	e = cpuid_pv_leaf(vcpu->cpuid, vcpu->nr_cpuid);
	g->kvm_features = e ? e->eax & PV_FEATURES & most->kvm_features : 0;
	g->droste_features = cpuid_droste_features(vcpu->cpuid, vcpu->nr_cpuid) & most->droste_features;
	g->xsaves = g->xsave && vmx_features.xsaves &&
		    cpuid_has(vcpu->cpuid, vcpu->nr_cpuid, 0xd, 1, CPUID_RAX, BIT(3)) &&
		    pool_has(vcpu->vm->pool, 0xd, 1, CPUID_RAX, BIT(3));
	if (!g->xsave && vcpu->cpuid)
		g->cr4_allowed &= ~(u64)X86_CR4_OSXSAVE;
}

/* Leaf 0x80000008 must report 48 or 57 bits of linear address, or 0, which means nothing. */
static bool cpuid_acceptable(const struct kvm_cpuid_entry2 *entries, int n)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(entries, n, 0x80000008, 0);
	u8 linear = e ? e->eax >> 8 : 0;

	return linear == 0 || linear == 48 || linear == 57;
}

/* Update the bits and sizes that depend on the vCPU's present state (SDM 2A, CPUID). */
static void cpuid_run_time_bits(struct vcpu *vcpu, u32 fn, u32 index, u32 r[NR_CPUID_REGS])
{
	switch (fn) {
	case 1:
		r[CPUID_RCX] &= ~BIT(27);
		if (vcpu_cr4(vcpu) & X86_CR4_OSXSAVE)
			r[CPUID_RCX] |= BIT(27);
		if (!(vcpu->apic_base & MSR_IA32_APICBASE_ENABLE))
			r[CPUID_RDX] &= ~BIT(9);
		if (READ_ONCE(vcpu->vm->disabled_quirks) & KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT)
			r[CPUID_RCX] = (r[CPUID_RCX] & ~BIT(3)) |
				       (vcpu->misc_enable & MSR_IA32_MISC_ENABLE_MWAIT ? BIT(3) : 0);
		break;
	case 7:
		/* OSPKE */
		if (!index)
			r[CPUID_RCX] = (r[CPUID_RCX] & ~BIT(4)) | (vcpu_cr4(vcpu) & X86_CR4_PKE ? BIT(4) : 0);
		break;
	case 0xd:
		if (index == 0)
			r[CPUID_RBX] = cpuid_xsave_size(vcpu->cpuid, vcpu->nr_cpuid, vcpu->xcr0, false);
		else if (index == 1 && (r[CPUID_RAX] & (BIT(1) | BIT(3))))
			r[CPUID_RBX] = cpuid_xsave_size(vcpu->cpuid, vcpu->nr_cpuid, vcpu->xcr0 | vcpu->xss,
							true);
		break;
	}
}

/**
 * cpuid_entry_now() - an entry as the guest would read it now
 * @vcpu: loaded
 * @e: the entry as user space set it
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: @e, with the bits and sizes that depend on the vCPU's state.
 */
struct kvm_cpuid_entry2 cpuid_entry_now(struct vcpu *vcpu, struct kvm_cpuid_entry2 e)
{
	u32 r[NR_CPUID_REGS] = { e.eax, e.ebx, e.ecx, e.edx };

	cpuid_run_time_bits(vcpu, e.function, e.index, r);
	e.ebx = r[CPUID_RBX];
	e.ecx = r[CPUID_RCX];
	e.edx = r[CPUID_RDX];
	return e;
}

static bool cpuid_same(struct vcpu *vcpu, const struct kvm_cpuid_entry2 *entries, int n)
{
	int i;

	if (n != vcpu->nr_cpuid)
		return false;
	for (i = 0; i < n; i++) {
		struct kvm_cpuid_entry2 a = cpuid_entry_now(vcpu, vcpu->cpuid[i]), b = cpuid_entry_now(vcpu, entries[i]);

		if (memcmp(&a, &b, sizeof(a)))
			return false;
	}
	return true;
}

/**
 * cpuid_set() - give a vCPU its CPUID
 * @vcpu: loaded
 * @entries: allocated with kvmalloc(), or NULL; this function takes ownership
 * @n: number of entries
 *
 * Once the guest has run, its CPUID can only be set to its present value. The
 * same holds while user space has restored an L1 in VMX operation, whose
 * capabilities follow CPUID.
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex.
 * Return: 1 if CPUID was set, 0 if it had this value already, or -EINVAL.
 */
int cpuid_set(struct vcpu *vcpu, struct kvm_cpuid_entry2 *entries, int n)
{
	struct kvm_cpuid_entry2 *pv = cpuid_pv_leaf(entries, n);
	bool fixed = vcpu->has_run || vcpu->nested.vmxon;
	int ret = 0;

	/* The hypercall cannot wake a vCPU whose HLT does not exit. */
	if (pv && READ_ONCE(vcpu->vm->hlt_in_guest))
		pv->eax &= ~BIT(KVM_FEATURE_PV_UNHALT);
	if (!cpuid_acceptable(entries, n))
		ret = -EINVAL;
	else if (fixed)
		ret = cpuid_same(vcpu, entries, n) ? 0 : -EINVAL;
	else
		swap(vcpu->cpuid, entries);
	kvfree(entries);
	if (ret || fixed)
		return ret;
	vcpu->nr_cpuid = n;
	cpuid_forget(vcpu);
	cpuid_update_caps(vcpu);
	vcpu_request(vcpu, REQ_CPUID);
	vcpu_request(vcpu, REQ_MSR_FILTER);
	return 1;
}

/**
 * vcpu_find_cpuid() - find an entry of a vCPU's CPUID
 * @vcpu: need not be loaded
 * @fn: leaf
 * @index: sub-leaf; ignored for leaves without sub-leaves
 *
 * Context: Process context. Caller holds vcpu->mutex, or the vCPU is being
 * created.
 * Return: the entry as user space set it, valid until KVM_SET_CPUID2 replaces
 * it. NULL if there is none.
 */
const struct kvm_cpuid_entry2 *vcpu_find_cpuid(struct vcpu *vcpu, u32 fn, u32 index)
{
	return cpuid_find(vcpu->cpuid, vcpu->nr_cpuid, fn, index);
}

#define LIMITED_MAX	2	/* the highest basic leaf with IA32_MISC_ENABLE.LIMIT_CPUID */

/* With IA32_MISC_ENABLE.LIMIT_CPUID, basic leaves above 3 are out of range (SDM 2A, CPUID; 4, table 2-2). */
static u32 cpuid_visible_leaf(const struct vcpu *vcpu, u32 fn)
{
	bool limited = vcpu->misc_enable & MSR_IA32_MISC_ENABLE_LIMIT_CPUID;

	return unlikely(limited) && fn > 3 && fn < 0x40000000 ? LIMITED_MAX : fn;
}

/* IA32_MISC_ENABLE lowers the highest leaf and hides the XD flag (SDM 4, table 2-2). KVM_GET_CPUID2 does not show it. */
static void cpuid_misc_enable_bits(const struct vcpu *vcpu, u32 fn, u32 r[NR_CPUID_REGS])
{
	if (fn == 0 && (vcpu->misc_enable & MSR_IA32_MISC_ENABLE_LIMIT_CPUID))
		r[CPUID_RAX] = min_t(u32, r[CPUID_RAX], LIMITED_MAX);
	if (fn == 0x80000001 && (vcpu->misc_enable & MSR_IA32_MISC_ENABLE_XD_DISABLE))
		r[CPUID_RDX] &= ~BIT(20);
}

/* Topology leaves beyond the last level still return the sub-leaf's number and the x2APIC ID (SDM 2A, leaf 0BH). */
static void cpuid_beyond_topology(struct vcpu *vcpu, u32 fn, u32 index, u32 r[NR_CPUID_REGS])
{
	const struct kvm_cpuid_entry2 *first = vcpu_find_cpuid(vcpu, fn, 0);

	if (!first)
		return;
	r[CPUID_RCX] = index & 0xff;
	r[CPUID_RDX] = first->edx;
}

/**
 * vcpu_cpuid() - execute CPUID for a guest
 * @vcpu: loaded
 * @eax: leaf on entry, EAX of the result on return
 * @ebx: EBX of the result
 * @ecx: sub-leaf on entry, ECX of the result on return
 * @edx: EDX of the result
 *
 * Context: Process context. The current VMCS is that of the level that executes
 * CPUID. SDM 2A, CPUID.
 * Return: true if user space set an entry for this leaf and sub-leaf; false if
 * the result is that of another leaf, or zeros.
 */
bool vcpu_cpuid(struct vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	u32 fn = cpuid_visible_leaf(vcpu, *eax), index = *ecx;
	const struct kvm_cpuid_entry2 *e = cpuid_answer(vcpu->cpuid, vcpu->nr_cpuid, fn, index);
	u32 r[NR_CPUID_REGS] = { 0 };
	bool found;

	if (e) {
		r[CPUID_RAX] = e->eax;
		r[CPUID_RBX] = e->ebx;
		r[CPUID_RCX] = e->ecx;
		r[CPUID_RDX] = e->edx;
		cpuid_run_time_bits(vcpu, e->function, index, r);
		cpuid_misc_enable_bits(vcpu, e->function, r);
	} else if (fn == 0xb || fn == 0x1f) {
		cpuid_beyond_topology(vcpu, fn, index, r);
	}
	found = e && e->function == *eax;
	*eax = r[CPUID_RAX];
	*ebx = r[CPUID_RBX];
	*ecx = r[CPUID_RCX];
	*edx = r[CPUID_RDX];
	return found;
}

/**
 * cpuid_remember() - keep an answer for cpuid_quick()
 * @vcpu: loaded
 * @c: where to keep it
 * @fn: the leaf
 * @index: the sub-leaf
 *
 * Context: Any; the caller's thread runs the vCPU. Does not sleep.
 * Return: false if the answer depends on the vCPU's state: see cpuid_run_time_bits() and CPUID_MISC_ENABLE.
 */
bool cpuid_remember(struct vcpu *vcpu, struct cpuid_cached *c, u32 fn, u32 index)
{
	const struct kvm_cpuid_entry2 *e = cpuid_answer(vcpu->cpuid, vcpu->nr_cpuid, fn, index);

	if ((e && (e->function == 1 || e->function == 7 || e->function == 0xd)) ||
	    (vcpu->misc_enable & CPUID_MISC_ENABLE))
		return false;
	*c = (struct cpuid_cached) { .valid = true, .fn = fn, .index = index, .r = { fn, 0, index, 0 } };
	vcpu_cpuid(vcpu, &c->r[CPUID_RAX], &c->r[CPUID_RBX], &c->r[CPUID_RCX], &c->r[CPUID_RDX]);
	return true;
}

/**
 * cpuid_remember_asked() - keep the answer to the CPUID that a guest executes
 * @vcpu: loaded; its registers have the leaf and the sub-leaf
 *
 * Context: Any; the caller's thread runs the vCPU. Does not sleep.
 * Return: as cpuid_remember().
 */
bool cpuid_remember_asked(struct vcpu *vcpu)
{
	u32 fn = vcpu->regs[RAX], index = vcpu->regs[RCX];

	return cpuid_remember(vcpu, cpuid_kept(vcpu, fn, index), fn, index);
}

// SPDX-License-Identifier: GPL-2.0
/* RDMSR and WRMSR: access to the table of a guest's MSRs, and the handlers of the simple ones. SDM 4. */
#include <linux/kvm_para.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include "droste.h"
#include "cpu/cpuid.h"
#include "cpu/msr.h"
#include "cpu/msr_row.h"
#include "cpu/pool.h"
#include "emul/arch.h"
#include "run/request.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* --- handlers for several MSRs, with the row's argument --- */

MSR_GET(msr_get_const)
{
	*data = row->arg;
	return 0;
}

/* User space may write the value that it read, as it does when it restores a guest; a guest's write raises #GP. */
MSR_SET(msr_set_read_only)
{
	u64 now;

	if (!host || row->get(vcpu, row, msr, &now, true))
		return -EINVAL;
	return data == now ? 0 : -EINVAL;
}

/* An MSR of features, none of which is offered: user space reads 0, and the MSR does not exist for guests. */
MSR_GET(msr_get_none)
{
	if (!host)
		return -ENOENT;
	*data = 0;
	return 0;
}

MSR_SET(msr_set_none)
{
	return !host ? -ENOENT : data ? -EINVAL : 0;
}

MSR_SET(msr_set_ignored)
{
	return 0;
}

/* MSRs that are fields of the current VMCS. */
MSR_GET(msr_get_vmcs)
{
	*data = vmcs_read(row->arg);
	return 0;
}

MSR_SET(msr_set_vmcs32)
{
	vcpu->nested.held01.valid = false;
	vmcs_write(row->arg, (u32)data);
	return 0;
}

MSR_SET(msr_set_vmcs_canonical)
{
	if (!arch_canonical(data, vcpu->gcaps.la_bits))
		return -EINVAL;
	vcpu->nested.held01.valid = false;
	vmcs_write(row->arg, data);
	return 0;
}

/* MSRs that hold the guest's value while the vCPU is loaded: see vmx/hoststate.c. */
MSR_GET(msr_get_uret)
{
	*data = vmx_uret_get(vcpu, row->arg);
	return 0;
}

MSR_SET(msr_set_uret)
{
	return vmx_uret_set(vcpu, row->arg, data);
}

MSR_SET(msr_set_uret_canonical)
{
	if (!arch_canonical(data, vcpu->gcaps.la_bits))
		return -EINVAL;
	return vmx_uret_set(vcpu, row->arg, data);
}

/* --- handlers for one MSR --- */

MSR_GET(msr_get_tsc_aux)
{
	if (!host && !vcpu->gcaps.rdtscp)
		return -EINVAL;
	return msr_get_uret(vcpu, row, msr, data, host);
}

MSR_SET(msr_set_tsc_aux)
{
	if (!host && !vcpu->gcaps.rdtscp)
		return -EINVAL;
	/* Bits 63:32 are reserved, and processors fault on them (SDM 4, table 2-2). */
	if (data >> 32)
		return -EINVAL;
	return vmx_uret_set(vcpu, row->arg, data);
}

/* SYSCALL uses bits 31:0 (SDM 2B). Processors take the others without a fault; they are kept, but not loaded by L0. */
MSR_GET(msr_get_fmask)
{
	*data = vmx_uret_get(vcpu, row->arg) | vcpu->misc->fmask_high << 32;
	return 0;
}

MSR_SET(msr_set_fmask)
{
	/* With such bits, the MSR is not passed through: see msr_pass_syscall(). */
	if (unlikely(vcpu->misc->fmask_high != data >> 32))
		vcpu_request(vcpu, REQ_MSR_FILTER);
	vcpu->misc->fmask_high = data >> 32;
	return vmx_uret_set(vcpu, row->arg, (u32)data);
}

MSR_GET(msr_get_platform_info)
{
	if (!host && READ_ONCE(vcpu->vm->hide_platform_info))
		return -EINVAL;
	*data = vcpu->misc->platform_info;
	return 0;
}

MSR_SET(msr_set_platform_info)
{
	/* CPUID faulting is enabled in IA32_MISC_FEATURES_ENABLES, which guests do not have. */
	if (!host || (data & MSR_PLATFORM_INFO_CPUID_FAULT))
		return -EINVAL;
	vcpu->misc->platform_info = data;
	return 0;
}

MSR_GET(msr_get_power_ctl)
{
	*data = vcpu->misc->power_ctl;
	return 0;
}

MSR_SET(msr_set_power_ctl)
{
	vcpu->misc->power_ctl = data;
	return 0;
}

MSR_GET(msr_get_hwcr)
{
	*data = vcpu->misc->hwcr;
	return 0;
}

/* Bits that disable features which no guest has read as 0; McStatusWrEn and TscFreqSel are kept. */
#define HWCR_IGNORED	(BIT_ULL(3) | BIT_ULL(6) | BIT_ULL(8))
#define HWCR_KEPT	(BIT_ULL(18) | BIT_ULL(24))

MSR_SET(msr_set_hwcr)
{
	if (data & ~(HWCR_IGNORED | HWCR_KEPT))
		return -EINVAL;
	vcpu->misc->hwcr = data & HWCR_KEPT;
	return 0;
}

MSR_GET(msr_get_ucode_rev)
{
	*data = vcpu->misc->ucode_rev;
	return 0;
}

MSR_SET(msr_set_ucode_rev)
{
	/* A guest writes 0 and executes CPUID to have the revision loaded (SDM 3A 10.11.7.1). It does not change. */
	if (host)
		vcpu->misc->ucode_rev = data;
	return 0;
}

#define MISC_ENABLE_READ_ONLY	(MSR_IA32_MISC_ENABLE_EMON | MSR_IA32_MISC_ENABLE_BTS_UNAVAIL | \
				 MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL)
#define MISC_ENABLE_WRITABLE	(MSR_IA32_MISC_ENABLE_FAST_STRING | BIT_ULL(3) | MSR_IA32_MISC_ENABLE_MWAIT | \
				 MSR_IA32_MISC_ENABLE_ENHANCED_SPEEDSTEP | BIT_ULL(23))

static u64 host_misc_enable;	/* constant after msr_init() */

MSR_GET(msr_get_misc_enable)
{
	*data = vcpu->misc_enable;
	return 0;
}

/* The bits that a guest may change (SDM 4, table 2-2). They have effect in vcpu_cpuid() and msr_set_efer(). */
static u64 msr_misc_enable_writable(struct vcpu *vcpu)
{
	return MISC_ENABLE_WRITABLE | (vcpu->gcaps.xd ? MSR_IA32_MISC_ENABLE_XD_DISABLE : 0) |
	       (vcpu->gcaps.max_leaf > 2 ? MSR_IA32_MISC_ENABLE_LIMIT_CPUID : 0);
}

MSR_SET(msr_set_misc_enable)
{
	u64 changed = data ^ vcpu->misc_enable, writable = msr_misc_enable_writable(vcpu);

	cpuid_forget(vcpu);
	if (host) {
		vcpu->misc_enable = data;
		return 0;
	}
	/* Writes to read-only bits are ignored. Bits that are in neither mask are reserved on the model. */
	if (changed & ~(MISC_ENABLE_READ_ONLY | writable))
		return -EINVAL;
	vcpu->misc_enable ^= changed & writable;
	return 0;
}

/**
 * msr_debugctl_allowed() - the bits of IA32_DEBUGCTL that are not reserved (SDM 4, table 2-2)
 * @vcpu: the vCPU; caller holds its mutex
 *
 * Context: Any.
 * Return: the bits that WRMSR and VM entry accept.
 */
u64 msr_debugctl_allowed(const struct vcpu *vcpu)
{
	/* LBR, BTF; TR, BTS, BTINT, BTS_OFF_OS, BTS_OFF_USR, FREEZE_LBRS_ON_PMI, FREEZE_PERFMON_ON_PMI; FREEZE_IN_SMM */
	return GENMASK_ULL(1, 0) | GENMASK_ULL(12, 6) | DEBUGCTLMSR_FREEZE_IN_SMM |
	       (vcpu->gcaps.rtm ? DEBUGCTL_RTM : 0);
}

MSR_GET(msr_get_debugctl)
{
	*data = vcpu->debugctl;
	return 0;
}

MSR_SET(msr_set_debugctl)
{
	if (data & ~msr_debugctl_allowed(vcpu))
		return -EINVAL;
	vcpu_set_debugctl(vcpu, data);
	vcpu_request(vcpu, REQ_BLOCKING);
	return 0;
}

MSR_GET(msr_get_xss)
{
	if (!host && !vcpu->gcaps.xsaves)
		return -EINVAL;
	*data = vcpu->xss;
	return 0;
}

MSR_SET(msr_set_xss)
{
	if ((!host && !vcpu->gcaps.xsaves) || (data & ~vcpu->gcaps.xss_allowed))
		return -EINVAL;
	vcpu->xss = data;
	return 0;
}

MSR_GET(msr_get_efer)
{
	*data = vcpu->efer;
	return 0;
}

MSR_SET(msr_set_efer)
{
	if (!host) {
		if ((data & EFER_NX) && (vcpu->misc_enable & MSR_IA32_MISC_ENABLE_XD_DISABLE))
			return -EINVAL;
		return vcpu_set_efer(vcpu, data);
	}
	/* User space sets registers one by one, so it may change LME while paging is on. LMA follows CR0.PG only. */
	if (data & ~(vcpu->gcaps.efer_allowed | EFER_LMA))
		return -EINVAL;
	vmx_write_efer(vcpu, (data & ~(u64)EFER_LMA) | (vcpu->efer & EFER_LMA));
	return 0;
}

MSR_GET(msr_get_cstar)
{
	*data = vcpu->misc->cstar;
	return 0;
}

MSR_SET(msr_set_cstar)
{
	if (!arch_canonical(data, vcpu->gcaps.la_bits))
		return -EINVAL;
	vcpu->misc->cstar = data;
	return 0;
}

/* --- the table --- */

static const struct msr_row *msr_rows;	/* in ascending order; constant after msr_init() */
static unsigned int nr_msr_rows;

/**
 * msr_init() - register the table of MSRs
 * @rows: in ascending order, without overlaps
 * @n: number of rows
 *
 * The table contains handlers of higher parts, so it is in run/msr_table.c.
 *
 * Context: Process context, at load. Must be called before any vCPU is created.
 * Return: 0, or -EINVAL with a log line if the table is wrong.
 */
int msr_init(const struct msr_row *rows, unsigned int n)
{
	unsigned int i;

	msr_rows = rows;
	nr_msr_rows = n;
	(void)rdmsrl_safe(MSR_IA32_MISC_ENABLE, &host_misc_enable);
	msr_spec_init();
	for (i = 0; i < n; i++) {
		const struct msr_row *r = &rows[i];

		if (r->last < r->first || !r->set || (i && r->first <= r[-1].last)) {
			pr_err("droste: msrs.def is wrong at MSR %#x\n", r->first);
			return -EINVAL;
		}
	}
	return 0;
}

static const struct msr_row *msr_find_row(u32 msr)
{
	unsigned int low = 0, high = nr_msr_rows;

	while (low < high) {
		unsigned int mid = (low + high) / 2;
		const struct msr_row *r = &msr_rows[mid];

		if (msr < r->first)
			high = mid;
		else if (msr > r->last)
			low = mid + 1;
		else
			return r;
	}
	return NULL;
}

/* Guests often access the same MSR again. */
static __always_inline const struct msr_row *msr_row_of(struct vcpu *vcpu, u32 msr)
{
	const struct msr_row *row = vcpu->msr_row;

	if (likely(row && msr >= row->first && msr <= row->last))
		return row;
	row = msr_find_row(msr);
	vcpu->msr_row = row;
	return row;
}

static bool msr_is_hidden(const struct vcpu *vcpu, const struct msr_row *row, bool host)
{
	return (row->flags & MSR_F_PV) && !host && !(vcpu->gcaps.kvm_features & BIT(row->arg));
}

/**
 * vcpu_get_msr() - read an MSR, without regard to the MSR filter
 * @vcpu: loaded
 * @msr: number
 * @data: the value; unchanged on failure
 * @host_initiated: user space reads, which also has MSRs that the guest's CPUID hides
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex, and vm->srcu
 * for reading.
 * Return: 0; -ENOENT if there is no such MSR; -EINVAL if the access is not
 * allowed. A guest gets #GP(0) for both.
 */
int vcpu_get_msr(struct vcpu *vcpu, u32 msr, u64 *data, bool host_initiated)
{
	const struct msr_row *row = msr_row_of(vcpu, msr);

	if (!row || !row->get || msr_is_hidden(vcpu, row, host_initiated))
		return -ENOENT;
	return row->get(vcpu, row, msr, data, host_initiated);
}

/**
 * vcpu_set_msr() - write an MSR, without regard to the MSR filter
 * @vcpu: loaded
 * @msr: number
 * @data: new value
 * @host_initiated: user space writes, which may also write MSRs that are read-only for the guest
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex, and vm->srcu
 * for reading.
 * Return: as vcpu_get_msr().
 */
int vcpu_set_msr(struct vcpu *vcpu, u32 msr, u64 data, bool host_initiated)
{
	const struct msr_row *row = msr_row_of(vcpu, msr);

	if (!row || msr_is_hidden(vcpu, row, host_initiated))
		return -ENOENT;
	return row->set(vcpu, row, msr, data, host_initiated);
}

/**
 * msr_create() - allocate and initialize the rarely used MSRs of a new vCPU
 * @vcpu: a new vCPU
 *
 * Context: Process context. May sleep.
 * Return: 0 or -ENOMEM.
 */
int msr_create(struct vcpu *vcpu)
{
	vcpu->misc = kzalloc(sizeof(*vcpu->misc), GFP_KERNEL_ACCOUNT);
	if (!vcpu->misc)
		return -ENOMEM;
	/* The revision of a processor without a microcode update; user space may set that of the host. */
	vcpu->misc->ucode_rev = 1ULL << 32;
	/* Fast strings are on in the guest if they are on in the host. */
	vcpu->misc_enable = (host_misc_enable & MSR_IA32_MISC_ENABLE_FAST_STRING) |
			    MSR_IA32_MISC_ENABLE_BTS_UNAVAIL | MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL;
	vcpu->misc->arch_caps = msr_arch_caps_offered();
	if (vcpu->vm->pool)
		vcpu->misc->arch_caps = pool_msr(vcpu->vm->pool, MSR_IA32_ARCH_CAPABILITIES);
	mce_init_misc(vcpu->misc);
	return 0;
}

/**
 * msr_destroy() - free the memory that msr_create() allocated
 * @vcpu: no longer in use
 *
 * Context: Any.
 */
void msr_destroy(struct vcpu *vcpu)
{
	kfree(vcpu->misc);
}

/* --- ioctls --- */

/* List the MSRs whose row has @flag; @list has room for DROSTE_POOL_LIST. Returns how many there are. */
static u32 msr_list_rows(u32 *list, u32 flag)
{
	u32 n = 0, msr;
	unsigned int i;

	for (i = 0; i < nr_msr_rows; i++) {
		if (!(msr_rows[i].flags & flag))
			continue;
		for (msr = msr_rows[i].first; msr <= msr_rows[i].last; msr++, n++)
			if (!WARN_ON_ONCE(n >= DROSTE_POOL_LIST))
				list[n] = msr;
	}
	return min_t(u32, n, DROSTE_POOL_LIST);
}

/* Give user space a list of @n MSRs. */
static long msr_put_list(struct kvm_msr_list __user *uarg, const u32 *list, u32 n)
{
	u32 room;

	if (get_user(room, &uarg->nmsrs) || put_user(n, &uarg->nmsrs))
		return -EFAULT;
	if (room < n)
		return -E2BIG;
	return copy_to_user(uarg->indices, list, n * sizeof(*list)) ? -EFAULT : 0;
}

/**
 * msr_index_list() - KVM_GET_MSR_INDEX_LIST
 * @uarg: user address of the list; nmsrs is its room on entry and the number of MSRs on return
 *
 * Context: Process context. May sleep.
 * Return: 0; -E2BIG if the list is too small; -EFAULT; -ENOMEM.
 */
long msr_index_list(struct kvm_msr_list __user *uarg)
{
	struct pool *pool = pool_get();
	u32 *list = kcalloc(DROSTE_POOL_LIST, sizeof(*list), GFP_KERNEL_ACCOUNT);
	long ret = -ENOMEM;

	if (list && pool)
		ret = msr_put_list(uarg, pool->p.list, pool->p.nr_list);
	else if (list)
		ret = msr_put_list(uarg, list, msr_list_rows(list, MSR_F_LIST));
	kfree(list);
	pool_put(pool);
	return ret;
}

/**
 * msr_feature_index_list() - KVM_GET_MSR_FEATURE_INDEX_LIST
 * @uarg: as for msr_index_list()
 *
 * Context: Process context. May sleep.
 * Return: as msr_index_list().
 */
long msr_feature_index_list(struct kvm_msr_list __user *uarg)
{
	struct pool *pool = pool_get();
	u32 *list = kcalloc(DROSTE_POOL_LIST, sizeof(*list), GFP_KERNEL_ACCOUNT);
	long ret = -ENOMEM;
	u32 n;

	if (list && pool) {
		for (n = 0; n < pool->p.nr_msrs; n++)
			list[n] = pool->p.msrs[n].index;
		ret = msr_put_list(uarg, list, n);
	} else if (list) {
		ret = msr_put_list(uarg, list, msr_list_rows(list, MSR_F_FEATURE));
	}
	kfree(list);
	pool_put(pool);
	return ret;
}

/* The features of a feature MSR that guests can be offered. */
static int msr_host_feature(u32 msr, u64 *data)
{
	const struct msr_row *row = msr_find_row(msr);

	if (msr >= VMX_CAPS_FIRST && msr < VMX_CAPS_FIRST + VMX_CAPS_NR) {
		*data = *vmx_caps_msr(&offer_caps, msr);
		/* Two of them describe the VMCS: L1's differs from the host's in revision and fields (nested/caps.c). */
		if (msr == MSR_IA32_VMX_BASIC)
			*data = (*data & ~GENMASK_ULL(30, 0)) | VMCS12_REVISION;
		else if (msr == MSR_IA32_VMX_VMCS_ENUM)
			*data = (u64)vmcs12_max_index(vmcs12_gates(&offer_caps)) << 1;
		return 0;
	}
	if (msr == MSR_IA32_ARCH_CAPABILITIES) {
		*data = msr_arch_caps_offered();
		return 0;
	}
	if (msr == MSR_IA32_UCODE_REV) {
		*data = (u64)boot_cpu_data.microcode << 32;
		return 0;
	}
	return row && row->get == msr_get_none ? msr_get_none(NULL, row, msr, data, true) : -EINVAL;
}

/**
 * msr_host_offer() - list the MSRs of guests of this host
 * @p: @msrs and @list are filled in
 *
 * Context: Process context.
 * Return: 0.
 */
int msr_host_offer(struct droste_pool *p)
{
	u32 n, i;
	u64 data;

	n = min_t(u32, msr_list_rows(p->list, MSR_F_FEATURE), DROSTE_POOL_MSRS);
	p->nr_msrs = 0;
	for (i = 0; i < n; i++)
		if (!msr_host_feature(p->list[i], &data))
			p->msrs[p->nr_msrs++] = (struct droste_pool_msr) { .index = p->list[i], .value = data };
	memset(p->list, 0, sizeof(p->list));
	p->nr_list = msr_list_rows(p->list, MSR_F_LIST);
	return 0;
}

/* The same for KVM_GET_MSRS of the device, whose pool may have less. */
static int msr_get_feature(void *pool, u32 msr, u64 *data)
{
	const struct droste_pool_msr *m;

	if (!pool)
		return msr_host_feature(msr, data);
	m = pool_find_msr(&((struct pool *)pool)->p, msr);
	if (m)
		*data = m->value;
	return m ? 0 : -EINVAL;
}

static int msr_get_for_user(void *vcpu, u32 msr, u64 *data)
{
	return vcpu_get_msr(vcpu, msr, data, true);
}

static int msr_set_for_user(void *vcpu, u32 msr, u64 *data)
{
	return vcpu_set_msr(vcpu, msr, *data, true);
}

#define MAX_MSRS_AT_ONCE	256

/* Call @one for each entry, up to the first one that fails. Returns the number of entries done, or a negative errno. */
static long msr_each_msr(void *self, struct kvm_msrs __user *user, int (*one)(void *self, u32 msr, u64 *data), bool write_back)
{
	struct kvm_msr_entry *entries;
	struct kvm_msrs head;
	u32 i;
	long ret;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (head.nmsrs >= MAX_MSRS_AT_ONCE)
		return -E2BIG;
	if (!head.nmsrs)
		return 0;
	entries = memdup_user(user->entries, head.nmsrs * sizeof(*entries));
	if (IS_ERR(entries))
		return PTR_ERR(entries);
	for (i = 0; i < head.nmsrs; i++)
		if (one(self, entries[i].index, &entries[i].data))
			break;
	ret = i;
	if (write_back && copy_to_user(user->entries, entries, head.nmsrs * sizeof(*entries)))
		ret = -EFAULT;
	kfree(entries);
	return ret;
}

/**
 * msr_get_features() - KVM_GET_MSRS of the device
 * @uarg: user address of the list of feature MSRs, whose values are filled
 *
 * Context: Process context. May sleep.
 * Return: the number of MSRs read, which is less than asked for if one cannot
 * be read; -E2BIG if the list is too long; -ENOMEM; -EFAULT.
 */
long msr_get_features(struct kvm_msrs __user *uarg)
{
	struct pool *pool = pool_get();
	long ret = msr_each_msr(pool, uarg, msr_get_feature, true);

	pool_put(pool);
	return ret;
}

/**
 * vcpu_get_msrs() - KVM_GET_MSRS of a vCPU
 * @self: the vCPU, loaded
 * @arg: NULL
 * @uarg: user address of the list of MSRs, whose values are filled
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex, and vm->srcu
 * for reading.
 * Return: as msr_get_features().
 */
long vcpu_get_msrs(void *self, void *arg, unsigned long uarg)
{
	return msr_each_msr(self, (struct kvm_msrs __user *)uarg, msr_get_for_user, true);
}

/**
 * vcpu_set_msrs() - KVM_SET_MSRS of a vCPU
 * @self: the vCPU, loaded
 * @arg: NULL
 * @uarg: user address of the list of MSRs and values
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex, and vm->srcu
 * for reading.
 * Return: the number of MSRs written, which is less than asked for if one
 * cannot be written; -E2BIG if the list is too long; -ENOMEM; -EFAULT.
 */
long vcpu_set_msrs(void *self, void *arg, unsigned long uarg)
{
	return msr_each_msr(self, (struct kvm_msrs __user *)uarg, msr_set_for_user, false);
}

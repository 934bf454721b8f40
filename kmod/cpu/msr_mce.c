// SPDX-License-Identifier: GPL-2.0
/* Machine-check banks (SDM 3B 16.3): registers that the guest reads and writes, and errors that user space injects. */
#include <asm/trapnr.h>
#include "droste.h"
#include "cpu/msr.h"
#include "cpu/msr_row.h"
#include "irqchip/irqchip.h"
#include "run/request.h"
#include "vmx/inject.h"
#include "vmx/regs.h"

#define MC_FIRST	0x400
#define MCG_CTL_P	BIT_ULL(8)
#define MCG_SER_P	BIT_ULL(24)
#define MCG_BANKS	0xffULL
#define MCI_VALID	BIT_ULL(63)
#define MCI_OVER	BIT_ULL(62)
#define MCI_UC		BIT_ULL(61)
#define MCI_PCC		BIT_ULL(57)
#define MCI_S		BIT_ULL(56)
#define MCI_AR		BIT_ULL(55)
#define CTL2_FIRST	0x280
#define CTL2_CMCI_EN	BIT_ULL(30)
#define CTL2_THRESHOLD	GENMASK_ULL(14, 0)
#define MCG_MCIP	BIT_ULL(2)
enum { MC_CTL, MC_STATUS, MC_ADDR, MC_MISC };

/**
 * mce_supported_cap() - the optional features that KVM_X86_SETUP_MCE accepts
 *
 * Context: Any.
 * Return: feature bits of IA32_MCG_CAP, for KVM_X86_GET_MCE_CAP_SUPPORTED.
 */
u64 mce_supported_cap(void)
{
	return MCG_CTL_P | MCG_CMCI_P | MCG_SER_P;
}

/**
 * mce_init_misc() - set the machine-check registers to their values after power-up
 * @misc: MSRs of a new vCPU, zeroed
 *
 * Context: Any.
 */
void mce_init_misc(struct msr_misc *misc)
{
	int bank;

	misc->mcg_cap = DEFAULT_MC_BANKS;
	for (bank = 0; bank < MAX_MC_BANKS; bank++)
		misc->mc[bank * 4 + MC_CTL] = ~0ULL;
}

MSR_GET(msr_get_mcg)
{
	const struct msr_misc *m = vcpu->misc;

	switch (msr) {
	case MSR_IA32_MCG_CAP:
		*data = m->mcg_cap;
		return 0;
	case MSR_IA32_MCG_STATUS:
		*data = m->mcg_status;
		return 0;
	default:
		if (!(m->mcg_cap & MCG_CTL_P) && !host)
			return -EINVAL;
		*data = m->mcg_ctl;
		return 0;
	}
}

MSR_SET(msr_set_mcg)
{
	struct msr_misc *m = vcpu->misc;

	switch (msr) {
	case MSR_IA32_MCG_CAP:
		return host && data == m->mcg_cap ? 0 : -EINVAL;
	case MSR_IA32_MCG_STATUS:
		/* SDM 3B 16.3.1.2: a guest's write of any value but 0 raises #GP. */
		if (!host && data)
			return -EINVAL;
		m->mcg_status = data;
		return 0;
	default:
		if (!(m->mcg_cap & MCG_CTL_P))
			return host && !data ? 0 : -EINVAL;
		if (data != 0 && data != ~0ULL)
			return -EINVAL;
		m->mcg_ctl = data;
		return 0;
	}
}

static bool msr_mce_has_bank(struct vcpu *vcpu, u32 msr)
{
	return (msr - MC_FIRST) / 4 < (vcpu->misc->mcg_cap & MCG_BANKS);
}

MSR_GET(msr_get_mc_bank)
{
	if (!msr_mce_has_bank(vcpu, msr))
		return -EINVAL;
	*data = vcpu->misc->mc[msr - MC_FIRST];
	return 0;
}

MSR_SET(msr_set_mc_bank)
{
	if (!msr_mce_has_bank(vcpu, msr))
		return -EINVAL;
	/* SDM 3B 16.3.2: CTL accepts any mask; STATUS, ADDR and MISC accept only 0. */
	if (!host && (msr & 3) != MC_CTL && data)
		return -EINVAL;
	vcpu->misc->mc[msr - MC_FIRST] = data;
	return 0;
}

static bool msr_mce_has_ctl2(struct vcpu *vcpu, u32 msr, bool host)
{
	return msr - CTL2_FIRST < (vcpu->misc->mcg_cap & MCG_BANKS) && (host || msr_has_cmci(vcpu->misc));
}

MSR_GET(msr_get_mc_ctl2)
{
	if (!msr_mce_has_ctl2(vcpu, msr, host))
		return -EINVAL;
	*data = vcpu->misc->mc_ctl2[msr - CTL2_FIRST];
	return 0;
}

/* SDM 3B 16.3.2.5 */
MSR_SET(msr_set_mc_ctl2)
{
	if (!msr_mce_has_ctl2(vcpu, msr, host && !data) || (data & ~(CTL2_CMCI_EN | CTL2_THRESHOLD)))
		return -EINVAL;
	vcpu->misc->mc_ctl2[msr - CTL2_FIRST] = data;
	return 0;
}

/**
 * vcpu_setup_mce() - KVM_X86_SETUP_MCE
 * @self: the vCPU; need not be loaded
 * @arg: IA32_MCG_CAP as u64: the number of banks, and optional features
 * @uarg: unused
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: 0, or -EINVAL for no bank, too many banks, or a feature that is not
 * supported.
 */
long vcpu_setup_mce(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	u64 cap = *(const u64 *)arg;

	if (!(cap & MCG_BANKS) || (cap & MCG_BANKS) > MAX_MC_BANKS)
		return -EINVAL;
	/* Bits from 8 up are features. Bits 23:16 are accepted, as old user space sets an address width there. */
	if (cap & ~(MCG_BANKS | GENMASK_ULL(23, 16) | mce_supported_cap()))
		return -EINVAL;
	vcpu->misc->mcg_cap = cap;
	vcpu->misc->mcg_ctl = cap & MCG_CTL_P ? ~0ULL : 0;
	return 0;
}

/* Is the error uncorrected without required action (SDM 3B 16.6.3)? It is signalled like a corrected one. */
static bool msr_mce_is_ucna(const struct kvm_x86_mce *mce)
{
	return !mce->mcg_status && !(mce->status & (MCI_PCC | MCI_S | MCI_AR)) && (mce->status & MCI_UC);
}

static void msr_mce_log_ucna(struct vcpu *vcpu, const struct kvm_x86_mce *mce)
{
	struct msr_misc *m = vcpu->misc;
	u64 *bank = &m->mc[mce->bank * 4];

	bank[MC_STATUS] = mce->status;
	bank[MC_ADDR] = mce->addr;
	bank[MC_MISC] = mce->misc;
	m->mcg_status = 0;
	if (vcpu->lapic && msr_has_cmci(vcpu->misc) && (m->mc_ctl2[mce->bank] & CTL2_CMCI_EN))
		vlapic_inject_cmci(vcpu);
}

/**
 * vcpu_set_mce() - KVM_X86_SET_MCE
 * @self: the vCPU, loaded
 * @arg: struct kvm_x86_mce, the error
 * @uarg: unused
 *
 * Logs the error in its bank and raises #MC if it is uncorrected.
 *
 * Context: Process context. Caller holds vcpu->mutex. SDM 3B 16.3.2.
 * Return: 0, or -EINVAL for a bank that does not exist or a status that is not
 * valid.
 */
long vcpu_set_mce(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	const struct kvm_x86_mce *mce = arg;
	struct msr_misc *m = vcpu->misc;
	u64 *bank;

	if (mce->bank >= (m->mcg_cap & MCG_BANKS) || !(mce->status & MCI_VALID))
		return -EINVAL;
	if (msr_mce_is_ucna(mce)) {
		msr_mce_log_ucna(vcpu, mce);
		return 0;
	}
	bank = &m->mc[mce->bank * 4];
	/* The guest has disabled reporting for all banks or for this one: it does not see the error. */
	if ((mce->status & MCI_UC) &&
	    (((m->mcg_cap & MCG_CTL_P) && m->mcg_ctl != ~0ULL) || bank[MC_CTL] != ~0ULL))
		return 0;
	if (mce->status & MCI_UC) {
		if ((m->mcg_status & MCG_MCIP) || !(vcpu_cr4(vcpu) & X86_CR4_MCE)) {
			vcpu->ev.triple_fault = true;
			vcpu_request(vcpu, REQ_EVENT);
			return 0;
		}
		m->mcg_status = mce->mcg_status;
		vcpu->ev.mc_pending = true;
		vcpu_request(vcpu, REQ_EVENT);
	} else if (bank[MC_STATUS] & MCI_VALID) {
		if (bank[MC_STATUS] & MCI_UC) {
			bank[MC_STATUS] |= MCI_OVER;
			return 0;
		}
	}
	bank[MC_ADDR] = mce->addr;
	bank[MC_MISC] = mce->misc;
	bank[MC_STATUS] = mce->status | (bank[MC_STATUS] & MCI_VALID ? MCI_OVER : 0);
	return 0;
}

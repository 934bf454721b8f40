// SPDX-License-Identifier: GPL-2.0
/* MTRRs and the PAT. MTRRs are checked and stored without effect: EPT determines memory types (SDM 3C 29.3.7). */
#include "droste.h"
#include "cpu/msr.h"
#include "cpu/msr_row.h"
#include "vmx/vmx.h"

#define MTRR_CAP_FIXED	BIT_ULL(8)
#define MTRR_CAP_WC	BIT_ULL(10)
#define MTRR_VAR_FIRST	0x200
#define MTRR_VALID	BIT_ULL(11)		/* of a mask register */
#define MTRR_DEF_BITS	(0xffULL | BIT_ULL(10) | BIT_ULL(11))

MSR_GET(msr_get_mtrr_cap)
{
	if (!host && !vcpu->gcaps.mtrr)
		return -EINVAL;
	*data = NR_MTRR_VAR | MTRR_CAP_FIXED | MTRR_CAP_WC;
	return 0;
}

static bool msr_mtrr_hidden(struct vcpu *vcpu, bool host)
{
	return !host && !vcpu->gcaps.mtrr;
}

MSR_GET(msr_get_mtrr_def)
{
	if (msr_mtrr_hidden(vcpu, host))
		return -EINVAL;
	*data = vcpu->misc->mtrr_def;
	return 0;
}

MSR_SET(msr_set_mtrr_def)
{
	if (msr_mtrr_hidden(vcpu, host) || (data & ~MTRR_DEF_BITS) || !msr_memtype_valid(data, false))
		return -EINVAL;
	vcpu->misc->mtrr_def = data;
	return 0;
}

MSR_GET(msr_get_mtrr_var)
{
	if (msr_mtrr_hidden(vcpu, host))
		return -EINVAL;
	*data = vcpu->misc->mtrr_var[msr - MTRR_VAR_FIRST];
	return 0;
}

/* SDM 3A figure 12-7: a base has a memory type in bits 7:0, a mask has a valid bit 11; addresses end at MAXPHYADDR. */
MSR_SET(msr_set_mtrr_var)
{
	u64 address = GENMASK_ULL(vcpu->gcaps.maxphyaddr - 1, 12);
	bool mask = (msr - MTRR_VAR_FIRST) & 1;

	if (msr_mtrr_hidden(vcpu, host) || (data & ~(address | (mask ? MTRR_VALID : 0xff))))
		return -EINVAL;
	if (!mask && !msr_memtype_valid(data, false))
		return -EINVAL;
	vcpu->misc->mtrr_var[msr - MTRR_VAR_FIRST] = data;
	return 0;
}

/* The row's argument is the index of its first register in msr_misc.mtrr_fixed. */
MSR_GET(msr_get_mtrr_fixed)
{
	if (msr_mtrr_hidden(vcpu, host))
		return -EINVAL;
	*data = vcpu->misc->mtrr_fixed[row->arg + msr - row->first];
	return 0;
}

MSR_SET(msr_set_mtrr_fixed)
{
	int i;

	if (msr_mtrr_hidden(vcpu, host))
		return -EINVAL;
	for (i = 0; i < 64; i += 8)
		if (!msr_memtype_valid(data >> i, false))
			return -EINVAL;
	vcpu->misc->mtrr_fixed[row->arg + msr - row->first] = data;
	return 0;
}

MSR_GET(msr_get_pat)
{
	*data = vcpu->pat;
	return 0;
}

/* SDM 3A 12.12.4. The current VMCS holds the PAT of the running level. */
MSR_SET(msr_set_pat)
{
	int i;

	for (i = 0; i < 64; i += 8)
		if (!msr_memtype_valid(data >> i, true))
			return -EINVAL;
	vmcs_write(GUEST_IA32_PAT, data);
	vcpu->pat = data;
	/* VMCS01 or VMCS02 no longer has the value of the entry that again.c has learned, also if @data becomes that again. */
	nested_changed(&vcpu->nested);
	return 0;
}

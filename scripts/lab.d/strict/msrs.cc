/* SPDX-License-Identifier: GPL-2.0 */
/*
 * MSRs that hosts need and Bochs lacks: those of the mitigations, split-lock detection and machine checks. The host's
 * bugs and features are the words of LAB_HOST_TRAITS; without any, the processor has no bug.
 *
 * The lab's own MSRs (LAB_MSR_*) exist in root operation only, in L0's /dev/cpu/N/msr. They count the barriers before VM
 * entries, and poison pages. Accesses of page walks and of VMX to a poisoned page are not seen.
 */
#include <cstdlib>
#include <cstring>
#include <set>

#define NEED_CPU_REG_SHORTCUTS 1
#include "bochs.h"
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/strict/strict.h"
#define LOG_THIS cpu->

bool strict_split_locks;
bool strict_poison;

namespace {

const Bit64u ONE = 1;

enum msr {
	TEST_CTRL = 0x33, SPEC_CTRL = 0x48, PRED_CMD = 0x49, CORE_CAPABILITIES = 0xcf, ARCH_CAPABILITIES = 0x10a,
	FLUSH_CMD = 0x10b, TSX_CTRL = 0x122, MCU_OPT_CTRL = 0x123, MCG_CAP = 0x179, MCG_STATUS = 0x17a, MCG_CTL = 0x17b,
	MC0_CTL = 0x400
};

/* Bits of IA32_ARCH_CAPABILITIES (SDM 4 2.1, table 2-2) */
enum arch_capability {
	RDCL_NO = 0, IBRS_ALL = 1, RSBA = 2, SKIP_L1DFL = 3, SSB_NO = 4, MDS_NO = 5, PSCHANGE_MC_NO = 6, TSX_CTRL_MSR = 7,
	TAA_NO = 8, SBDR_SSDP_NO = 13, FBSDP_NO = 14, PSDP_NO = 15, FB_CLEAR = 17, BHI_NO = 20, PBRSB_NO = 24, GDS_CTRL = 25,
	GDS_NO = 26, RFDS_NO = 27, RFDS_CLEAR = 28, ITS_NO = 62
};

#define CAP(name) (ONE << (name))

/* The capabilities of a processor without bugs */
const Bit64u NO_BUGS = CAP(RDCL_NO) | CAP(IBRS_ALL) | CAP(SKIP_L1DFL) | CAP(SSB_NO) | CAP(MDS_NO) | CAP(PSCHANGE_MC_NO) |
	CAP(TAA_NO) | CAP(SBDR_SSDP_NO) | CAP(FBSDP_NO) | CAP(PSDP_NO) | CAP(BHI_NO) | CAP(PBRSB_NO) | CAP(GDS_NO) |
	CAP(RFDS_NO) | CAP(ITS_NO);

/* Bits of CPUID.07H.0:EDX: MD_CLEAR, IBRS and IBPB, STIBP, L1D_FLUSH, ARCH_CAPABILITIES, CORE_CAPABILITIES, SSBD */
const Bit32u MD_CLEAR = 1u << 10, IBRS = 1u << 26, STIBP = 1u << 27, L1D_FLUSH = 1u << 28, ARCH_CAPS = 1u << 29,
	CORE_CAPS = 1u << 30, SSBD = 1u << 31;

/* One word of LAB_HOST_TRAITS. Bugs are named as in Linux's /sys/devices/system/cpu/vulnerabilities. */
struct trait {
	const char *name;
	Bit64u clears, sets;	/* in IA32_ARCH_CAPABILITIES */
	Bit32u adds, removes;	/* in CPUID.07H.0:EDX */
	Bit32u controls;	/* adds to CPUID.07H.2:EDX */
};

const trait traits[] = {
	{ "l1tf", CAP(RDCL_NO) | CAP(SKIP_L1DFL) },
	{ "meltdown", CAP(RDCL_NO) | CAP(SKIP_L1DFL) },
	{ "mds", CAP(MDS_NO) },
	{ "itlb_multihit", CAP(PSCHANGE_MC_NO) },
	{ "spec_store_bypass", CAP(SSB_NO) },
	{ "tsx_async_abort", CAP(TAA_NO), CAP(TSX_CTRL_MSR) },
	{ "mmio_stale_data", CAP(SBDR_SSDP_NO) | CAP(FBSDP_NO) | CAP(PSDP_NO), CAP(FB_CLEAR) },
	{ "spectre_v2", CAP(IBRS_ALL) },
	{ "retbleed", CAP(IBRS_ALL), CAP(RSBA) },
	{ "bhi", CAP(BHI_NO) },
	{ "gather_data_sampling", CAP(GDS_NO), CAP(GDS_CTRL) },
	{ "reg_file_data_sampling", CAP(RFDS_NO), CAP(RFDS_CLEAR) },
	{ "indirect_target_selection", CAP(ITS_NO) },
	/* Features: BHI_DIS_S in IA32_SPEC_CTRL, split-lock detection, and a host with none of the mitigations' MSRs. */
	{ "bhi_ctrl", 0, 0, 0, 0, 1u << 4 },
	{ "split_lock", 0, 0, CORE_CAPS },
	{ "old_microcode", NO_BUGS, 0, 0, MD_CLEAR | IBRS | STIBP | L1D_FLUSH | ARCH_CAPS | SSBD },
};

Bit64u capabilities = NO_BUGS;
Bit32u features = MD_CLEAR | IBRS | STIBP | L1D_FLUSH | ARCH_CAPS | SSBD;
Bit32u controls;		/* CPUID.07H.2:EDX */

const unsigned BANKS = 4, DATA_BANK = 1;
const Bit64u MCG_CTL_P = ONE << 8, MCG_SER_P = ONE << 24;
const Bit64u RIPV = 1, EIPV = 2, MCIP = 4;	/* of IA32_MCG_STATUS */
/* Of IA32_MCi_STATUS: valid, uncorrected, enabled, MISC and ADDR valid, signalled, action required (SDM 3B 16.6.3) */
const Bit64u UNCORRECTED_RECOVERABLE = ONE << 63 | ONE << 61 | ONE << 60 | ONE << 59 | ONE << 58 | ONE << 56 | ONE << 55;
const Bit64u DATA_READ = 0x134, INSTRUCTION_FETCH = 0x150;	/* SDM 3B 16.9.3.2 */
const Bit64u PAGE_BY_PHYSICAL_ADDRESS = 2 << 6 | 12;		/* IA32_MCi_MISC */

/* What a processor of the machine has. The barriers are those since its last VM exit. */
struct processor {
	Bit64u test_ctrl, tsx_ctrl, mcu_opt_ctrl;
	Bit64u mcg_status, mcg_ctl;
	Bit64u bank[BANKS][4];		/* CTL, STATUS, ADDR, MISC */
	bool barrier[LAB_BARRIERS];
	Bit64u verw_at;			/* instructions executed until the last VERW */
	Bit64u vmcs;			/* of the last entry */
	Bit64u count[LAB_COUNTS];
};

processor *processors;
std::set<bx_phy_address> poisoned;	/* pages */

processor &of(const BX_CPU_C *cpu)
{
	return processors[cpu->bx_cpuid];
}

/* Linux calls VERW some instructions before the entry. One that the guest's registers follow is near enough. */
const Bit64u VERW_IS_NEAR = 64;

void add_trait(const char *word)
{
	for (const trait &t : traits) {
		if (strcmp(word, t.name))
			continue;
		capabilities = (capabilities & ~t.clears) | t.sets;
		features = (features | t.adds) & ~t.removes;
		controls |= t.controls;
		return;
	}
	fprintf(stderr, "LAB_HOST_TRAITS: there is no trait '%s'\n", word);
	exit(1);
}

/* Reads the traits before main(), as strict.cc does with the topics. */
bool read_traits()
{
	const char *list = getenv("LAB_HOST_TRAITS");
	char *copy = list ? strdup(list) : NULL;

	for (char *word = copy ? strtok(copy, ",") : NULL; word; word = strtok(NULL, ","))
		add_trait(word);
	free(copy);
	processors = new processor[BX_MAX_SMP_THREADS_SUPPORTED]();
	return true;
}

const bool traits_are_read = read_traits();

/* The bits that software may set in an MSR; none if the processor does not have the MSR. */
Bit64u settable(Bit32u index)
{
	switch (index) {
	case SPEC_CTRL:
		return (features & IBRS ? 1 : 0) | (features & STIBP ? 2 : 0) | (features & SSBD ? 4 : 0) |
		       (controls & 1u << 4 ? 1 << 10 : 0);
	case PRED_CMD:
		return features & IBRS ? 1 : 0;
	case FLUSH_CMD:
		return features & L1D_FLUSH ? 1 : 0;
	case TEST_CTRL:
		return features & CORE_CAPS ? ONE << 29 : 0;
	case TSX_CTRL:
		return capabilities & CAP(TSX_CTRL_MSR) ? 3 : 0;
	case MCU_OPT_CTRL:
		return capabilities & CAP(GDS_CTRL) ? ONE << 4 | ONE << 5 : 0;
	default:
		return 0;
	}
}

/* Where a readable and writable MSR of the mitigations is kept. */
Bit64u *plain(BX_CPU_C *cpu, Bit32u index)
{
	processor &p = of(cpu);

	return index == TEST_CTRL ? &p.test_ctrl : index == TSX_CTRL ? &p.tsx_ctrl : &p.mcu_opt_ctrl;
}

/* Poisons the page of an address with bit 0 set, heals it without that bit; 0 heals all. */
void poison(Bit64u value)
{
	if (!value)
		poisoned.clear();
	else if (value & 1)
		poisoned.insert(PPFOf(value));
	else
		poisoned.erase(PPFOf(value));
	strict_poison = !poisoned.empty();
	for (int n = 0; n < BX_SMP_PROCESSORS; n++)
		BX_CPU(n)->TLB_flush();
}

/* Logs the error in the bank, and signals it to the other processors, which have no error of their own. */
void broadcast(BX_CPU_C *cpu, bx_phy_address address, bool fetch)
{
	Bit64u *bank = of(cpu).bank[DATA_BANK];

	bank[1] = UNCORRECTED_RECOVERABLE | (fetch ? INSTRUCTION_FETCH : DATA_READ);
	bank[2] = address;
	bank[3] = PAGE_BY_PHYSICAL_ADDRESS;
	for (int n = 0; n < BX_SMP_PROCESSORS; n++) {
		of(BX_CPU(n)).mcg_status = MCIP | RIPV | (BX_CPU(n) == cpu ? EIPV : 0);
		if (BX_CPU(n) != cpu)
			BX_CPU(n)->signal_event(BX_EVENT_MACHINE_CHECK);
	}
}

/* Where an MSR of machine checks is kept, NULL if there is none. */
Bit64u *machine_check_msr(BX_CPU_C *cpu, Bit32u index)
{
	processor &p = of(cpu);

	if (index == MCG_STATUS)
		return &p.mcg_status;
	if (index == MCG_CTL)
		return &p.mcg_ctl;
	if (index >= MC0_CTL && index < MC0_CTL + 4 * BANKS)
		return &p.bank[(index - MC0_CTL) / 4][index % 4];
	return NULL;
}

/* The instruction that a processor executes is locked: it has the prefix, or exchanges with memory. */
bool locked(BX_CPU_C *cpu)
{
	bx_address at = cpu->prev_rip + cpu->eipPageBias;

	for (; at < cpu->eipPageWindowSize; at++) {
		Bit8u byte = cpu->eipFetchPtr[at];

		switch (byte) {
		case 0xf0:
			return true;
		case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x66: case 0x67: case 0xf2: case 0xf3:
			continue;
		}
		if ((byte & 0xf0) == 0x40 && cpu->long64_mode())
			continue;
		return byte == 0x86 || byte == 0x87;
	}
	return false;
}

} /* namespace */

int strict_rdmsr(BX_CPU_C *cpu, Bit32u index, Bit64u *value)
{
	if (Bit64u *kept = machine_check_msr(cpu, index)) {
		*value = *kept;
		return true;
	}
	switch (index) {
	case SPEC_CTRL:
		if (cpu->in_vmx_guest && cpu->vmcs.vmexec_ctrls3.VIRTUALIZE_IA32_SPEC_CTRL())
			return -1;
		*value = cpu->msr.ia32_spec_ctrl;
		return settable(index) != 0;
	case PRED_CMD:
	case FLUSH_CMD:
		return false;
	case TEST_CTRL:
	case TSX_CTRL:
	case MCU_OPT_CTRL:
		*value = *plain(cpu, index);
		return settable(index) != 0;
	case CORE_CAPABILITIES:
		*value = 1 << 5;		/* split-lock detection */
		return (features & CORE_CAPS) != 0;
	case ARCH_CAPABILITIES:
		*value = capabilities;
		return (features & ARCH_CAPS) != 0;
	case MCG_CAP:
		*value = BANKS | MCG_CTL_P | MCG_SER_P;
		return true;
	}
	if (index < LAB_MSR_COUNT || index >= LAB_MSR_COUNT + LAB_COUNTS || cpu->in_vmx_guest)
		return -1;
	*value = of(cpu).count[index - LAB_MSR_COUNT];
	return true;
}

int strict_wrmsr(BX_CPU_C *cpu, Bit32u index, Bit64u value)
{
	processor &p = of(cpu);

	if (Bit64u *kept = machine_check_msr(cpu, index)) {
		/* Software clears STATUS, ADDR and MISC (SDM 3B 16.3.2), and the bits of MCG_STATUS. */
		if (index >= MC0_CTL && index % 4 && value)
			return false;
		*kept = value;
		return true;
	}
	switch (index) {
	case SPEC_CTRL:
		if (cpu->in_vmx_guest && cpu->vmcs.vmexec_ctrls3.VIRTUALIZE_IA32_SPEC_CTRL())
			return -1;
		if (!settable(index) || value & ~settable(index))
			return false;
		cpu->msr.ia32_spec_ctrl = value;
		p.barrier[LAB_SPEC_CTRL] |= !cpu->in_vmx_guest;
		return true;
	case PRED_CMD:
	case FLUSH_CMD:
		if (!settable(index) || value & ~settable(index))
			return false;
		if (value && !cpu->in_vmx_guest)
			p.barrier[index == PRED_CMD ? LAB_IBPB : LAB_L1D_FLUSH] = true;
		return true;
	case TEST_CTRL:
	case TSX_CTRL:
	case MCU_OPT_CTRL:
		if (!settable(index) || value & ~settable(index))
			return false;
		*plain(cpu, index) = value;
		strict_split_locks |= index == TEST_CTRL && value;
		return true;
	case CORE_CAPABILITIES:
	case ARCH_CAPABILITIES:
	case MCG_CAP:
		return false;
	}
	if (cpu->in_vmx_guest)
		return -1;
	if (index == LAB_MSR_POISON) {
		poison(value);
		return true;
	}
	if (index < LAB_MSR_COUNT || index >= LAB_MSR_COUNT + LAB_COUNTS)
		return -1;
	memset(p.count, 0, sizeof(p.count));
	return true;
}

void strict_cpuid(Bit32u leaf, Bit32u subleaf, cpuid_function_t *out)
{
	if (leaf != 7)
		return;
	if (subleaf == 0) {
		out->edx = (out->edx & ~(MD_CLEAR | IBRS | STIBP | L1D_FLUSH | ARCH_CAPS | CORE_CAPS | SSBD)) | features;
		if (controls && out->eax < 2)
			out->eax = 2;
	} else if (subleaf == 2) {
		out->edx = controls;
	}
}

void strict_verw(BX_CPU_C *cpu)
{
	if (cpu->in_vmx_guest)
		return;
	of(cpu).barrier[LAB_VERW] = true;
	of(cpu).verw_at = cpu->get_icount();
}

void strict_count_entry(BX_CPU_C *cpu)
{
	processor &p = of(cpu);
	bool other = p.vmcs != cpu->vmcsptr;

	p.count[LAB_ENTRIES]++;
	for (unsigned b = 0; b < LAB_BARRIERS; b++)
		p.count[LAB_ENTRIES_WITH + b] += p.barrier[b] &&
			(b != LAB_VERW || cpu->get_icount() - p.verw_at <= VERW_IS_NEAR);
	p.count[LAB_SWITCHES] += other;
	p.count[LAB_SWITCHES_WITH_IBPB] += other && p.barrier[LAB_IBPB];
	p.vmcs = cpu->vmcsptr;
	memset(p.barrier, 0, sizeof(p.barrier));
	if (!cpu->cr4.get_MCE())
		strict_report(cpu, STRICT_MSRS, "a guest runs with CR4.MCE clear (CR4 is %#x): a machine check would shut the "
			      "processor down", cpu->cr4.get32());
}

void strict_count_exit(BX_CPU_C *cpu)
{
	memset(of(cpu).barrier, 0, sizeof(of(cpu).barrier));
}

bool strict_is_split_lock(BX_CPU_C *cpu)
{
	return of(cpu).test_ctrl && locked(cpu);
}

bool strict_is_poisoned(bx_phy_address page)
{
	return poisoned.count(page) != 0;
}

void strict_consume_poison(BX_CPU_C *cpu, bx_phy_address address, bool fetch)
{
	processor &p = of(cpu);

	if (!cpu->cr4.get_MCE() || p.mcg_status & MCIP) {
		strict_report(cpu, STRICT_MSRS, "a machine check with %s shuts the processor down",
			      cpu->cr4.get_MCE() ? "another in progress" : "CR4.MCE clear");
		BX_PANIC(("machine check: shutdown"));
	}
	broadcast(cpu, address, fetch);
	cpu->gen_reg[BX_64BIT_REG_RIP].rrx = cpu->prev_rip;
	if (cpu->speculative_rsp)
		cpu->gen_reg[BX_64BIT_REG_RSP].rrx = cpu->prev_rsp;
	cpu->speculative_rsp = false;
	cpu->exception(BX_MC_EXCEPTION, 0);
}

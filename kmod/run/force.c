// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions that exit only because DROSTE_FORCE_EXITS asks for it: INVLPG, INVPCID, RDTSC, RDTSCP, RDRAND, RDSEED. The
 * processor has checked the privilege level, CR4.TSD and whether the instruction exists before the exit (SDM 3C 26.1.1).
 */
#include <asm/trapnr.h>
#include "droste.h"
#include "emul/arch.h"
#include "nested/insn.h"
#include "run/handlers.h"
#include "run/request.h"
#include "vmx/iinfo.h"
#include "vmx/inject.h"
#include "vmx/regs.h"

/*
 * The level that runs has dropped translations. More may be dropped than it asked for (SDM 3A 4.10.4.1), and INVLPG drops
 * entries of the paging-structure caches for other addresses too, so all translations of the VPID go.
 */
static int force_flush(struct vcpu *vcpu)
{
	vcpu_request(vcpu, REQ_TLB_FLUSH_GUEST);
	vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

/**
 * exit_invlpg() - handle INVLPG
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER.
 */
int exit_invlpg(struct vcpu *vcpu)
{
	return force_flush(vcpu);
}

/* The types of INVPCID (SDM 2A, INVPCID). */
enum { INVPCID_ADDR, INVPCID_ONE, INVPCID_ALL_GLOBAL, INVPCID_ALL };

/* Whether INVPCID raises #GP(0) for its descriptor. */
static bool force_invpcid_faults(struct vcpu *vcpu, u64 type, const u64 *desc)
{
	u64 cr4 = vcpu_cr4(vcpu);

	if (desc[0] >> 12)
		return true;
	if (type <= INVPCID_ONE && desc[0] && !(cr4 & X86_CR4_PCIDE))
		return true;
	return type == INVPCID_ADDR && !arch_canonical(desc[1], cr4 & X86_CR4_LA57 ? 57 : 48);
}

/**
 * exit_invpcid() - handle INVPCID
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: enum next, or a negative errno.
 */
int exit_invpcid(struct vcpu *vcpu)
{
	u64 type = vcpu_gpr(vcpu, IINFO_REG2(vcpu->exit.iinfo)), desc[2];
	int ret;

	if (!vcpu_is_64bit(vcpu))
		type = (u32)type;
	if (type > INVPCID_ALL) {
		vcpu_queue_exception_err(vcpu, X86_TRAP_GP, 0);
		return NEXT_ENTER;
	}
	ret = insn_read_operand(vcpu, desc, sizeof(desc));
	if (ret != NEXT_GO_ON)
		return ret;
	if (force_invpcid_faults(vcpu, type, desc)) {
		vcpu_queue_exception_err(vcpu, X86_TRAP_GP, 0);
		return NEXT_ENTER;
	}
	return force_flush(vcpu);
}

/* The time-stamp counter of the level that runs: VMCS02 has the offset and the multiplier of L2. */
static u64 force_tsc(const struct vcpu *vcpu)
{
	const struct vmcs02_held *held = &vcpu->nested.held;
	u64 now = tsc_host_now(&vcpu->hide);

	if (!vcpu->in_l2)
		return tsc_scale(now, vcpu->tsc.ratio) + vcpu->tsc.offset;
	return tsc_scale(now, held->tsc_ratio) + held->tsc_offset;
}

/**
 * exit_rdtsc() - handle RDTSC
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER.
 */
int exit_rdtsc(struct vcpu *vcpu)
{
	u64 tsc = force_tsc(vcpu);

	vcpu->regs[RAX] = (u32)tsc;
	vcpu->regs[RDX] = tsc >> 32;
	vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

/**
 * exit_rdtscp() - handle RDTSCP
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER.
 */
int exit_rdtscp(struct vcpu *vcpu)
{
	vcpu->regs[RCX] = (u32)vmx_uret_get(vcpu, URET_TSC_AUX);
	return exit_rdtsc(vcpu);
}

#define RANDOM_FLAGS	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF)

/* Execute RDRAND or RDSEED, which the processor has. Returns CF: there is a value. */
static bool force_random(bool seed, u64 *val)
{
	unsigned long v;
	bool ok;

	if (seed)
		asm volatile("rdseed %0" : "=r"(v), "=@ccc"(ok));
	else
		asm volatile("rdrand %0" : "=r"(v), "=@ccc"(ok));
	*val = v;
	return ok;
}

/**
 * exit_random() - handle RDRAND and RDSEED: #UD if CPUID hides the instruction, otherwise execute it
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER.
 */
int exit_random(struct vcpu *vcpu)
{
	bool seed = vcpu->exit.basic == EXIT_REASON_RDSEED, ok;
	u32 info = vcpu->exit.iinfo;
	enum gpr reg = IINFO_REG1(info);
	u64 val;

	if (!(seed ? vcpu->gcaps.rdseed : vcpu->gcaps.rdrand) ||
	    !boot_cpu_has(seed ? X86_FEATURE_RDSEED : X86_FEATURE_RDRAND))
		return exit_ud(vcpu);
	ok = force_random(seed, &val);
	/* Without a value, the destination becomes 0 (SDM 2B, RDRAND and RDSEED). */
	val = ok ? val : 0;
	if (IINFO_OPERAND_SIZE(info) == 0)
		val = (vcpu_gpr(vcpu, reg) & ~0xffffULL) | (u16)val;
	else if (IINFO_OPERAND_SIZE(info) == 1)
		val = (u32)val;
	vcpu_set_gpr(vcpu, reg, val);
	vcpu_set_rflags(vcpu, (vcpu_rflags(vcpu) & ~(u64)RANDOM_FLAGS) | (ok ? X86_EFLAGS_CF : 0));
	vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

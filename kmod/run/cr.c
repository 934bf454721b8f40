// SPDX-License-Identifier: GPL-2.0
/* Exits by MOV to and from control registers, CLTS and LMSW. SDM 3C 26.1.3, table 28-3. */
#include <asm/trapnr.h>
#include "droste.h"
#include "cpu/walk.h"
#include "irqchip/irqchip.h"
#include "run/handlers.h"
#include "vmx/inject.h"
#include "vmx/regs.h"

/* Access type, bits 5:4 of the exit qualification. */
enum cr_access { CR_TO = 0, CR_FROM = 1, CR_CLTS = 2, CR_LMSW = 3 };

/*
 * Write a control register for the running level. Returns 0; -EINVAL for #GP(0); -EFAULT if a load of the PDPTEs must
 * exit to L1.
 */
static int cr_write(struct vcpu *vcpu, unsigned int cr, u64 val)
{
	switch (cr) {
	case 0:
		/*
		 * L2 cannot change a bit in L1's guest/host mask: such a bit keeps
		 * the value that L1 gave it. vmx_write_cr0() keeps L1's read shadow.
		 */
		if (vcpu->in_l2) {
			u64 mask = vcpu->nested.vmcs12->cr0_guest_host_mask;

			val = (val & ~mask) | (vcpu_cr0(vcpu) & mask);
		}
		return vcpu_set_cr0(vcpu, val);
	case 3:
		return vcpu_set_cr3(vcpu, val);
	case 4:
		if (vcpu->in_l2) {
			u64 mask = vcpu->nested.vmcs12->cr4_guest_host_mask;

			val = (val & ~mask) | (vcpu->nested.vmcs12->guest_cr4 & mask);
		}
		return vcpu_set_cr4(vcpu, val);
	default:
		return vcpu_set_cr8(vcpu, val);
	}
}

/**
 * exit_cr_access() - handle MOV to CR0, CR3, CR4 or CR8, MOV from CR3 or CR8, CLTS, and LMSW
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER, or NEXT_REFLECT if L1's EPT does not map L2's PDPTEs.
 */
int exit_cr_access(struct vcpu *vcpu)
{
	u64 q = vcpu->exit.qual, val;
	unsigned int cr = q & 15, reg = q >> 8 & 15;
	int ret = 0;

	switch (q >> 4 & 3) {
	case CR_TO:
		val = vcpu_gpr(vcpu, reg);
		if (!vcpu_is_64bit(vcpu))
			val = (u32)val;
		ret = cr_write(vcpu, cr, val);
		break;
	case CR_FROM:
		val = cr == 3 ? vcpu_cr3(vcpu) : vcpu_cr8(vcpu);
		vcpu_set_gpr(vcpu, reg, vcpu_is_64bit(vcpu) ? val : (u32)val);
		break;
	case CR_CLTS:
		ret = cr_write(vcpu, 0, vcpu_cr0(vcpu) & ~(u64)X86_CR0_TS);
		break;
	case CR_LMSW:
		/* LMSW sets PE but never clears it (SDM 2A LMSW). */
		val = vcpu_cr0(vcpu);
		ret = cr_write(vcpu, 0, (val & ~0xeULL) | (q >> 16 & 0xf));
		break;
	}
	if (unlikely(ret == -EFAULT))
		return walk_reflect_pdptrs(vcpu, cr == 3 ? vcpu_gpr(vcpu, reg) : vcpu_cr3(vcpu));
	if (ret)
		vcpu_queue_exception_err(vcpu, X86_TRAP_GP, 0);
	else
		vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

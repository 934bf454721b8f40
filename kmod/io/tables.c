// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses of L1's kernel to descriptor-table registers, which exit where L0 emulates CR4.UMIP. A hypervisor makes some on
 * its way to user space and back. The exit tells all about the operand, so that the instruction need not be decoded.
 *
 * quick_tables() does nothing unless it can do everything. It leaves all other instructions, and all that could fault, to
 * emul_instruction().
 */
#include <asm/vmx.h>
#include "droste.h"
#include "cpu/walk.h"
#include "emul/arch.h"
#include "io/emulate.h"
#include "mem/memslot.h"
#include "vmx/iinfo.h"
#include "vmx/regs.h"

/* walk_fetch() or walk_read() in the short loop. */
static bool tables_access(struct vcpu *vcpu, bool (*access)(struct vcpu *vcpu, u64 la, u64 *words), u64 la, u64 *words)
{
	int idx = memslot_begin_nofault(vcpu->vm);
	bool done;

	done = current->mm == vcpu->vm->mm && access(vcpu, la, words);
	memslot_end_nofault(vcpu->vm, idx);
	return done;
}

/* LGDT or LIDT with an operand in DS, ES or SS, whose base is 0 in 64-bit mode (SDM 1 3.4.2.1). */
static bool tables_load(struct vcpu *vcpu, u32 info)
{
	bool gdt = IINFO_TABLE_INSN(info) == IINFO_LGDT;
	u64 words[2], base, la;

	if (IINFO_SEG(info) >= SEG_FS || IINFO_ADDR_SIZE(info) != 2)
		return false;
	/* The displacement includes the next RIP if the operand is RIP-relative. */
	la = vmcs_read(EXIT_QUALIFICATION);
	if (!IINFO_NO_BASE(info))
		la += vcpu_gpr(vcpu, IINFO_BASE(info));
	if (!IINFO_NO_INDEX(info))
		la += vcpu_gpr(vcpu, IINFO_INDEX(info)) << IINFO_SCALE(info);
	if (!arch_canonical(la, 48) || !tables_access(vcpu, walk_read, la, words))
		return false;
	/* Bytes 0 and 1 are the limit, 2 to 9 the base. */
	base = words[0] >> 16 | words[1] >> 8 << 48;
	if (!arch_canonical(base, 48))
		return false;
	vmcs_write(gdt ? GUEST_GDTR_BASE : GUEST_IDTR_BASE, base);
	vmcs_write(gdt ? GUEST_GDTR_LIMIT : GUEST_IDTR_LIMIT, (u16)words[0]);
	vcpu->nested.held01.tables_changed = true;
	return true;
}

/*
 * The bits of the register that SLDT or STR writes (SDM 2B): all, or 16 with prefix 66. An instruction of three bytes has no
 * prefix, and one of four that names R8 to R15 has only REX. Returns 0 if that is not simply known.
 */
static u64 tables_store_mask(struct vcpu *vcpu, u32 info, u64 len)
{
	u32 reg = IINFO_REG1(info), insn = 0xc0000f | (IINFO_TABLE_INSN(info) << 3 | (reg & 7)) << 16;
	u64 words[2];

	if (len == 3 || (len == 4 && reg >= 8))
		return ~0ULL;
	if (len != 4 || !tables_access(vcpu, walk_fetch, vcpu_rip(vcpu), words) || ((u32)words[0] >> 8) != insn)
		return 0;
	/* Prefix 66, or REX with or without W. */
	return (u8)words[0] == 0x66 ? 0xffff : (words[0] & 0xf0) == 0x40 ? ~0ULL : 0;
}

/* SLDT or STR with a register operand. */
static bool tables_store(struct vcpu *vcpu, u32 info)
{
	u32 reg = IINFO_REG1(info);
	u64 sel, mask;

	if (!IINFO_IS_REG(info) || reg == RSP)
		return false;
	mask = tables_store_mask(vcpu, info, vmcs_read(VM_EXIT_INSTRUCTION_LEN));
	if (!mask)
		return false;
	sel = vmcs_read(IINFO_TABLE_INSN(info) == IINFO_STR ? GUEST_TR_SELECTOR : GUEST_LDTR_SELECTOR);
	vcpu->regs[reg] = (vcpu->regs[reg] & ~mask) | sel;
	return true;
}

static bool tables_execute(struct vcpu *vcpu)
{
	u32 info;

	if (vcpu_cpl(vcpu) || !vcpu_is_64bit(vcpu))
		return false;
	info = vmcs_read(VMX_INSTRUCTION_INFO);
	if (vcpu->exit.basic == EXIT_REASON_LDTR_TR)
		return IINFO_TABLE_INSN(info) <= IINFO_STR && tables_store(vcpu, info);
	return IINFO_TABLE_INSN(info) >= IINFO_LGDT && tables_load(vcpu, info);
}

/**
 * quick_tables() - execute an LGDT, LIDT, SLDT or STR in the short loop
 * @vcpu: in L1, has just exited because of an access to a descriptor-table register; no register is cached
 *
 * The caller sets RIP.
 *
 * Context: Interrupts disabled. VMCS01 is current. Caller holds vcpu->mutex.
 * Return: false if the general path must handle the exit; nothing has changed then.
 */
bool quick_tables(struct vcpu *vcpu)
{
	bool done = tables_execute(vcpu);

	vcpu->reg_avail = 0;
	return done;
}

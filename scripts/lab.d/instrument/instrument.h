/* SPDX-License-Identifier: GPL-2.0 */
/* Bochs instrumentation that counts what root and non-root mode execute between two marker instructions. */
#ifndef LAB_INSTRUMENT_H
#define LAB_INSTRUMENT_H

class bxInstruction_c;

#if BX_INSTRUMENTATION

/* Called before every instruction, with whether the processor is in VMX non-root operation, and whether at CPL 3. */
void lab_count_instruction(unsigned cpu, const bxInstruction_c *i, bool guest, bool user);
/* Called at every VM exit, before the processor leaves non-root operation. */
void lab_count_exit(Bit32u reason);
/* Called when the processor reads physical memory for itself: an AccessReason. */
void lab_count_entry(unsigned why, bool guest);
/* Called when an external interrupt or NMI is delivered. */
void lab_count_interrupt(unsigned cpu, bool guest);

#define BX_INSTR_BEFORE_EXECUTION(cpu_id, i) \
	lab_count_instruction(cpu_id, i, BX_CPU_THIS_PTR in_vmx_guest, \
			      BX_CPU_THIS_PTR sregs[BX_SEG_REG_CS].selector.rpl == 3)
#define BX_INSTR_VMEXIT(cpu_id, reason, qualification) lab_count_exit(reason)
#define BX_INSTR_ENTRY_ACCESS(why, rw) \
	((rw) == BX_READ ? lab_count_entry((why), BX_CPU_THIS_PTR in_vmx_guest) : (void)0)
#define BX_INSTR_HWINTERRUPT(cpu_id, vector, cs, eip) lab_count_interrupt(cpu_id, BX_CPU_THIS_PTR in_vmx_guest)

#else

#define BX_INSTR_BEFORE_EXECUTION(cpu_id, i)
#define BX_INSTR_VMEXIT(cpu_id, reason, qualification)
#define BX_INSTR_ENTRY_ACCESS(why, rw)
#define BX_INSTR_HWINTERRUPT(cpu_id, vector, cs, eip)

#endif

/* IA32_DEBUGCTL.BTF needs these, as without instrumentation (mends.py). */
#define BX_INSTR_CNEAR_BRANCH_TAKEN(cpu_id, branch_eip, new_eip) (BX_CPU_THIS_PTR took_branch = true)
#define BX_INSTR_UCNEAR_BRANCH(cpu_id, what, branch_eip, new_eip) (BX_CPU_THIS_PTR took_branch = true)
#define BX_INSTR_FAR_BRANCH(cpu_id, what, prev_cs, prev_eip, new_cs, new_eip) (BX_CPU_THIS_PTR took_branch = true)

/* The other events that Bochs can report are of no interest. */
#define BX_INSTR_INIT_ENV()
#define BX_INSTR_EXIT_ENV()
#define BX_INSTR_INITIALIZE(cpu_id)
#define BX_INSTR_EXIT(cpu_id)
#define BX_INSTR_RESET(cpu_id, type)
#define BX_INSTR_HLT(cpu_id)
#define BX_INSTR_MWAIT(cpu_id, addr, len, flags)
#define BX_INSTR_DEBUG_PROMPT()
#define BX_INSTR_DEBUG_CMD(cmd)
#define BX_INSTR_CNEAR_BRANCH_NOT_TAKEN(cpu_id, branch_eip)
#define BX_INSTR_OPCODE(cpu_id, i, opcode, len, is32, is64)
#define BX_INSTR_EXCEPTION(cpu_id, vector, error_code)
#define BX_INSTR_INTERRUPT(cpu_id, vector)
#define BX_INSTR_CLFLUSH(cpu_id, laddr, paddr)
#define BX_INSTR_CACHE_CNTRL(cpu_id, what)
#define BX_INSTR_TLB_CNTRL(cpu_id, what, new_cr3)
#define BX_INSTR_PREFETCH_HINT(cpu_id, what, seg, offset)
#define BX_INSTR_AFTER_EXECUTION(cpu_id, i)
#define BX_INSTR_REPEAT_ITERATION(cpu_id, i)
#define BX_INSTR_LIN_ACCESS(cpu_id, lin, phy, len, memtype, rw)
#define BX_INSTR_PHY_ACCESS(cpu_id, phy, len, memtype, rw)
#define BX_INSTR_INP(addr, len)
#define BX_INSTR_INP2(addr, len, val)
#define BX_INSTR_OUTP(addr, len, val)
#define BX_INSTR_WRMSR(cpu_id, addr, value)

#endif

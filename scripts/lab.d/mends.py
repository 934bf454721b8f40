# SPDX-License-Identifier: GPL-2.0
"""The lab's changes to the source of Bochs 3.0: file, old text, new text, each with its reason.

The old text must be in the file exactly once. It may be text that an earlier change has put there.
"""

_REST = "(BX_MEM_THIS block_size - (offset & (BX_MEM_THIS block_size - 1)))"
_NEXT_EVENT = "bx_pc_system.getNumCpuTicksLeftNextEvent()"
# What the lab needs, and what Bochs has wrong.
PLAIN = (
    # Memory is allocated in blocks, so an image is read into them one by one.
    ("memory/misc_mem.cc", "get_vector(offset), size);", f"get_vector(offset), size < {_REST} ? size : {_REST});"),
    # While the processor is halted, time skips to the next event instead of advancing by ten ticks.
    ("cpu/event.cc", "BX_TICKN(10); // when in HLT", f"BX_TICKN({_NEXT_EVENT}); // when in HLT"),
    # The same for several processors when all of them are halted, ...
    ("main.cc", "Bit32u executed = 0, processor = 0;", "Bit32u executed = 0, processor = 0, halted = 0;"),
    ("main.cc", "if (n == 0) n = quantum; // the CPU was halted", "if (n == 0) { n = quantum; halted++; }"),
    ("main.cc", "BX_TICKN(executed / BX_SMP_PROCESSORS);",
     f"BX_TICKN(halted == BX_SMP_PROCESSORS ? {_NEXT_EVENT} : executed / BX_SMP_PROCESSORS); halted = 0;"),
    # ... and a processor that is not halted runs 16 traces before the next one has its turn.
    ("main.cc", "BX_CPU(processor)->cpu_run_trace();",
     "for (int turn = 0; turn < 16 && (!turn || BX_CPU(processor)->activity_state == BX_CPU_C::BX_ACTIVITY_STATE_ACTIVE);"
     " turn++) BX_CPU(processor)->cpu_run_trace();"),
    # The TSC counts on with each instruction (SDM 3B 18.17). Time stood still in a trace, and in a turn of one processor of
    # several, so that RDTSC before and after an exit told the same. What reads a clock brings the time up to the instruction.
    # In a turn on one of two processors an instruction takes half a tick.
    ("cpu/cpu.h", "  BX_SMF Bit64u get_TSC();", "  BX_SMF void   sync_time();\n  BX_SMF Bit64u get_TSC();"),
    ("cpu/cpu.h", "  Bit64u icount_last_sync;",
     "  Bit64u icount_last_sync;\n  static Bit32u executed; // by all processors, and not yet in the time"),
    ("cpu/proc_ctrl.cc", "Bit64u BX_CPU_C::get_TSC(void)\n{\n",
     "Bit32u BX_CPU_C::executed;\n\nvoid BX_CPU_C::sync_time(void)\n{\n"
     "  executed += Bit32u(BX_CPU_THIS_PTR icount - BX_CPU_THIS_PTR icount_last_sync);\n  BX_CPU_THIS_PTR sync_icount();\n"
     "  Bit32u ticks = executed / BX_SMP_PROCESSORS;\n  executed %= BX_SMP_PROCESSORS;\n  BX_TICKN(ticks);\n}\n\n"
     "Bit64u BX_CPU_C::get_TSC(void)\n{\n  BX_CPU_THIS_PTR sync_time();\n"),
    ("cpu/proc_ctrl.cc", "  // compute the correct setting of tsc_adjust",
     "  BX_CPU_THIS_PTR sync_time();\n  // compute the correct setting of tsc_adjust"),
    *(("cpu/apic.cc", text, f"cpu->sync_time();\n{text}") for text in (
        "    BX_DEBUG((\"APIC: Initial Timer Count Register = %u\", value));",
        "  if(! timer_active) {",
        "    BX_DEBUG((\"APIC: TSC-Deadline is set to ",
        "  Bit64u diff = (bx_pc_system.time_ticks()",
        "  vmx_preemption_timer_value = value;")),
    ("cpu/vmexit.cc", "    Bit64u currtime = bx_pc_system.time_ticks();",
     "    BX_CPU_THIS_PTR sync_time();\n    Bit64u currtime = bx_pc_system.time_ticks();"),
    ("main.cc", "Bit32u executed = 0, processor = 0, halted = 0;",
     "Bit32u &executed = BX_CPU_C::executed;\n        static Bit64u turn_began;\n        Bit32u processor = 0, halted = 0;"),
    ("main.cc", "           if (n == 0) { n = quantum; halted++; }",
     "           if (BX_CPU(processor)->get_icount() == turn_began) { n = quantum; halted++; }"),
    ("main.cc", "BX_CPU(processor)->icount_last_sync = BX_CPU(processor)->get_icount();",
     "turn_began = BX_CPU(processor)->icount_last_sync = BX_CPU(processor)->get_icount();"),
    # Time that a fast-string operation takes (SDM Vol. 1, 7.3.9.3): a tick for 64 elements, about a cache line of bytes.
    # Bochs let each element take one, so that a page cleared by REP STOSB took longer than one cleared by a loop.
    ("cpu/string.cc", '#include "pc_system.h"',
     '#include "pc_system.h"\n#undef BX_TICKN\n#define BX_TICKN(n) bx_pc_system.tickn((n) / 64)'),
    # The TSC and the APIC timer count at 100 MHz, the rate that the configuration sets (ips). CPUID leaves 15H and 16H must
    # report it. With the real processor's 3.5 GHz in them, Linux at every level waits 35 seconds for each one.
    ("cpu/cpudb/intel/corei7_skylake-x.cc", "get_leaf(leaf, 0x00000002, 0x00000124, 0x00000000, 0x00000000);",
     "get_leaf(leaf, 1, 1, 100000000, 0);"),
    ("cpu/cpudb/intel/corei7_skylake-x.cc", "get_leaf(leaf, 0x00000dac, 0x00000fa0, 0x00000064, 0x00000000);",
     "get_leaf(leaf, 100, 100, 100, 0);"),
    # An external interrupt ends a guest even if IF was clear in L0 and is clear in the guest (SDM 3C 26.2).
    ("cpu/vmx.cc", "BX_CPU_THIS_PTR in_vmx_guest = true;",
     "BX_CPU_THIS_PTR in_vmx_guest = true; handleInterruptMaskChange();"),
    # The loop for several processors did not commit the new RIP of an exception, as the loop for one does. An interrupt
    # that ended a guest right after the exception saved the old RIP with the handler's CS and stack.
    ("cpu/cpu.cc", "void BX_CPU_C::cpu_run_trace(void)\n{",
     "void BX_CPU_C::cpu_run_trace(void)\n{\n  BX_CPU_THIS_PTR prev_rip = RIP; BX_CPU_THIS_PTR speculative_rsp = false;"),
    # SYSRET loads fixed values into the limit and attributes of SS (SDM 2B, SYSRET). Bochs kept the old ones. After a null
    # SS, which Xen uses in 64-bit mode, the next VM entry failed.
    ("cpu/proc_ctrl.cc", "writeEFlags((Bit32u) R11, EFlagsValidMask);\n  }\n  else // (!64BIT_MODE)",
     "{ bx_descriptor_t &ss = BX_CPU_THIS_PTR sregs[BX_SEG_REG_SS].cache; ss.u.segment.base = 0; ss.u.segment.g = 1;"
     " ss.u.segment.limit_scaled = 0xFFFFFFFF; ss.u.segment.d_b = 1; ss.u.segment.l = 0; ss.u.segment.avl = 0; }"
     " writeEFlags((Bit32u) R11, EFlagsValidMask);\n  }\n  else // (!64BIT_MODE)"),
    # An exit during the delivery of a virtual interrupt has that interrupt in the IDT-vectoring fields (SDM 3C 28.2.4).
    ("cpu/vapic.cc", "clear_event(BX_EVENT_PENDING_VMX_VIRTUAL_INTR);\n\n  BX_CPU_THIS_PTR EXT = 1;",
     "clear_event(BX_EVENT_PENDING_VMX_VIRTUAL_INTR);\n  vm->idt_vector_info = vector | (BX_EXTERNAL_INTERRUPT << 8);"
     " vm->idt_vector_error_code = 0;\n  BX_CPU_THIS_PTR EXT = 1;"),
    # An external interrupt that ends a guest with IF clear must not deliver a virtual interrupt to it (SDM 3C 30.2.2).
    ("cpu/event.cc", "if (is_pending(BX_EVENT_PENDING_VMX_VIRTUAL_INTR)) {",
     "if (is_unmasked_event_pending(BX_EVENT_PENDING_VMX_VIRTUAL_INTR)) {"),
    # A posted-interrupt descriptor is aligned to 64 bytes (SDM 3C 27.2.1.1), not to a page. Xen relies on it.
    ("cpu/vmx.cc", "if (! IsValidPageAlignedPhyAddr(vm->pid_addr)) {",
     "if ((vm->pid_addr & 63) || ! IsValidPhyAddr(vm->pid_addr)) {"),
    # A fault in a repeated CMPS or SCAS restores the flags of before the instruction (SDM 2B, REP).
    ("cpu/cpu.cc", "BX_CPU_C::repeat_ZF(bxInstruction_c *i, BxRepIterationPtr_tR execute)\n{",
     "BX_CPU_C::repeat_ZF(bxInstruction_c *i, BxRepIterationPtr_tR execute)\n{\n#undef BX_CPU_CALL_REP_ITERATION\n"
     "#define BX_CPU_CALL_REP_ITERATION(func, args) (BX_CPU_THIS_PTR oszapc = before, (this->*(func)) args)\n"
     "  const bx_lazyflags_entry before = BX_CPU_THIS_PTR oszapc;"),
    ("cpu/cpu.cc", "BX_ASYNC_EVENT_STOP_TRACE;\n}\n\n// boundaries of consideration:",
     "BX_ASYNC_EVENT_STOP_TRACE;\n  BX_CPU_THIS_PTR oszapc = before;\n}\n\n// boundaries of consideration:"),
    # Protection keys apply to user pages only, whoever accesses them (SDM 3A 4.6.2). A supervisor page that counts as one
    # with key 0 in the TLB costs a walk if that key is denied.
    ("cpu/paging.cc", "  pkey = handle_pkeys(laddr, entry[leaf], user, rw);",
     "  pkey = (combined_access & entry[leaf] & BX_COMBINED_ACCESS_USER) ? handle_pkeys(laddr, entry[leaf], user, rw) : 0;"),
    ("cpu/paging.cc", "      if (user) {\n        if (BX_CPU_THIS_PTR pkru & (1<<(pkey*2))) {",
     "      {\n        if (BX_CPU_THIS_PTR pkru & (1<<(pkey*2))) {"),
    ("cpu/proc_ctrl.cc", "rd_pkey[i] &= ~(TLB_UserReadOK | TLB_UserWriteOK);",
     "rd_pkey[i] &= ~(TLB_SysReadOK | TLB_SysWriteOK | TLB_UserReadOK | TLB_UserWriteOK);"),
    ("cpu/proc_ctrl.cc", "wr_pkey[i] &= ~(TLB_UserReadOK | TLB_UserWriteOK);",
     "wr_pkey[i] &= ~(TLB_SysReadOK | TLB_SysWriteOK | TLB_UserReadOK | TLB_UserWriteOK);"),
    # A VM entry and an exit may change CR4.LA57 in IA-32e mode, and with it the width of linear addresses (SDM 3C 27.3.2.1).
    ("cpu/vmx.cc", "  if (! check_CR4(guest.cr4)) {",
     "  BX_CPU_THIS_PTR cr4.set_LA57((guest.cr4 >> 12) & 1);\n"
     "  BX_CPU_THIS_PTR linaddr_width = BX_CPU_THIS_PTR cr4.get_LA57() ? 57 : 48;\n  if (! check_CR4(guest.cr4)) {"),
    ("cpu/vmx.cc", "  if (! check_CR4(host_state->cr4)) {",
     "  BX_CPU_THIS_PTR cr4.set_LA57((host_state->cr4 >> 12) & 1);\n"
     "  BX_CPU_THIS_PTR linaddr_width = BX_CPU_THIS_PTR cr4.get_LA57() ? 57 : 48;\n  if (! check_CR4(host_state->cr4)) {"),
    # The operand size of RDRAND and RDSEED in the VM-exit instruction information (SDM 3C table 28-12). Bochs told that of
    # the address, so that L0 took RDRAND DX in 64-bit mode for RDRAND EDX.
    ("cpu/vmexit.cc", "else if (i->as32L())\n        instr_info |= 1 << 11;", "else if (i->os32L())\n        instr_info |= 1 << 11;"),
    # INVPCID: the check of the privilege level comes before the exit (SDM 3C 26.1.1), and the type has 64 bits in 64-bit mode
    # without REX.W too (SDM 2A, INVPCID).
    ("cpu/vmx.cc", "    if (BX_CPU_THIS_PTR vmcs.vmexec_ctrls1.INVLPG_VMEXIT()) {\n      VMexit_Instruction(i, VMX_VMEXIT_INVPCID",
     "    if (CPL == 0 && BX_CPU_THIS_PTR vmcs.vmexec_ctrls1.INVLPG_VMEXIT()) {\n      VMexit_Instruction(i, VMX_VMEXIT_INVPCID"),
    ("cpu/vmx.cc", "  bx_address type;\n#if BX_SUPPORT_X86_64\n  if (i->os64L()) {\n    type = BX_READ_64BIT_REG(i->dst());\n  }\n  else\n"
     "#endif\n  {\n    type = BX_READ_32BIT_REG(i->dst());\n  }\n\n  BxPackedXmmRegister invpcid_desc;",
     "  bx_address type = long64_mode() ? BX_READ_64BIT_REG(i->dst()) : BX_READ_32BIT_REG(i->dst());\n\n"
     "  BxPackedXmmRegister invpcid_desc;"),
    # Instrumentation counts the entries of paging structures that the processor reads, and must know which is which.
    ("cpu/cpu.h", "  BX_INSTR_PHY_ACCESS(BX_CPU_ID, (paddr), (size), (memtype), (rw)); ",
     "  BX_INSTR_ENTRY_ACCESS((why), (rw)); BX_INSTR_PHY_ACCESS(BX_CPU_ID, (paddr), (size), (memtype), (rw)); "),
    ("instrument/stubs/instrument.h", "#define BX_INSTR_PHY_ACCESS(cpu_id, phy, len, memtype, rw)\n",
     "#define BX_INSTR_PHY_ACCESS(cpu_id, phy, len, memtype, rw)\n#define BX_INSTR_ENTRY_ACCESS(why, rw)\n"),
    # Linux reads MSRs that Bochs lacks, which must not be logged each time.
    ("cpu/msr.cc", 'BX_ERROR(("RDMSR: Unknown register', 'BX_DEBUG(("RDMSR: Unknown register'),
)

# IA32_DEBUGCTL, which KVM and Linux use and Bochs lacks.
DEBUGCTL = (
    # Of its bits, BTF has an effect (SDM 3B 18.4.3): with EFLAGS.TF, the single-step trap comes only after an instruction
    # that took a branch. The bit BX_DEBUG_BRANCH_STEP_BIT of debug_trap stands for a single-step trap that depends on a
    # branch. The hooks for instrumentation tell which instruction took one.
    ("cpu/crregs.h", "#define BX_DEBUG_TRAP_TASK_SWITCH_BIT (1 << 15)",
     "#define BX_DEBUG_TRAP_TASK_SWITCH_BIT (1 << 15)\n#define BX_DEBUG_BRANCH_STEP_BIT      (1 << 16)"),
    # LBR, BTF, and bits 6 to 15, which no processor with VMX lacks; the rest is reserved.
    ("cpu/crregs.h", "struct bx_dr6_t {",
     "const Bit32u BX_DEBUGCTL_LBR = 1 << 0, BX_DEBUGCTL_BTF = 1 << 1;\n"
     "const Bit64u BX_DEBUGCTL_RESERVED = ~BX_CONST64(0xffc3);\n\nstruct bx_dr6_t {"),
    ("cpu/cpu.h", "Bit32u debug_trap; // holds DR6 value (16bit) to be set",
     "Bit32u debug_trap; // holds DR6 value (16bit) to be set\n"
     "  Bit32u debugctl;   // IA32_DEBUGCTL\n  bool took_branch;  // since the last look"),
    *(("instrument/stubs/instrument.h", f"#define {macro}\n", f"#define {macro} (BX_CPU_THIS_PTR took_branch = true)\n")
      for macro in ("BX_INSTR_CNEAR_BRANCH_TAKEN(cpu_id, branch_eip, new_eip)",
                    "BX_INSTR_UCNEAR_BRANCH(cpu_id, what, branch_eip, new_eip)",
                    "BX_INSTR_FAR_BRANCH(cpu_id, what, prev_cs, prev_eip, new_cs, new_eip)")),
    ("cpu/event.cc", "  // Priority 1: Hardware Reset and Machine Checks",
     "  if (BX_CPU_THIS_PTR debug_trap & BX_DEBUG_BRANCH_STEP_BIT) {\n"
     "    BX_CPU_THIS_PTR debug_trap &= ~BX_DEBUG_BRANCH_STEP_BIT;\n"
     "    if (BX_CPU_THIS_PTR took_branch)\n      BX_CPU_THIS_PTR debug_trap |= BX_DEBUG_SINGLE_STEP_BIT;\n  }\n\n"
     "  // Priority 1: Hardware Reset and Machine Checks"),
    ("cpu/event.cc", "    BX_CPU_THIS_PTR debug_trap |= BX_DEBUG_SINGLE_STEP_BIT;\n  }\n\n  // Priority 6",
     "    BX_CPU_THIS_PTR debug_trap |=\n"
     "      (BX_CPU_THIS_PTR debugctl & BX_DEBUGCTL_BTF) ? BX_DEBUG_BRANCH_STEP_BIT : BX_DEBUG_SINGLE_STEP_BIT;\n"
     "    BX_CPU_THIS_PTR took_branch = false;\n  }\n\n  // Priority 6"),
    ("cpu/tasking.cc", "BX_CPU_THIS_PTR debug_trap &= ~BX_DEBUG_SINGLE_STEP_BIT;",
     "BX_CPU_THIS_PTR debug_trap &= ~(BX_DEBUG_SINGLE_STEP_BIT | BX_DEBUG_BRANCH_STEP_BIT);"),
    # The delivery of a debug exception clears LBR and BTF (SDM 3B 18.4.2, 18.4.3). An exit instead of it does not.
    ("cpu/exception.cc", "    // clear GD flag in the DR7 prior entering debug exception handler",
     "    BX_CPU_THIS_PTR debugctl &= ~(BX_DEBUGCTL_LBR | BX_DEBUGCTL_BTF);\n\n"
     "    // clear GD flag in the DR7 prior entering debug exception handler"),
    ("cpu/init.cc", "  BX_CPU_THIS_PTR inhibit_mask = 0;\n  BX_CPU_THIS_PTR inhibit_icount = 0;",
     "  if (source == BX_RESET_HARDWARE)\n    BX_CPU_THIS_PTR debugctl = 0;\n\n"
     "  BX_CPU_THIS_PTR inhibit_mask = 0;\n  BX_CPU_THIS_PTR inhibit_icount = 0;"),
    ("cpu/msr.cc", "  // artificial MSR for MRSLIST serialization\n  msr_desc",
     '  msr_desc[BX_MSR_DEBUGCTLMSR] = new MSR_Descriptor("MSR_IA32_DEBUGCTL", BX_ISA_P6);\n\n'
     "  // artificial MSR for MRSLIST serialization\n  msr_desc"),
    ("cpu/msr.cc", "    case BX_MSR_IA32_BARRIER:\n      val64 = 0;\n      break;\n",
     "    case BX_MSR_IA32_BARRIER:\n      val64 = 0;\n      break;\n\n"
     "    case BX_MSR_DEBUGCTLMSR:\n      val64 = BX_CPU_THIS_PTR debugctl;\n      break;\n"),
    ("cpu/msr.cc", "    case BX_MSR_IA32_BARRIER:\n      return true;\n",
     "    case BX_MSR_IA32_BARRIER:\n      return true;\n\n"
     "    case BX_MSR_DEBUGCTLMSR:\n      if (val_64 & BX_DEBUGCTL_RESERVED) {\n"
     '        BX_ERROR(("WRMSR: attempt to set reserved bits of IA32_DEBUGCTL: 0x" FMT_LL "x", val_64));\n'
     "        return false;\n      }\n      BX_CPU_THIS_PTR debugctl = GET32L(val_64);\n      break;\n"),
    # VM entries and exits check, load, save and clear it with the debug controls (SDM 3C 27.3.1.1, 27.3.2.1, 28.3.1,
    # 28.5.1).
    ("cpu/vmx.cc", "  guest.ia32_debugctl_msr = VMread64(VMCS_64BIT_GUEST_IA32_DEBUGCTL);\n",
     "  guest.ia32_debugctl_msr = VMread64(VMCS_64BIT_GUEST_IA32_DEBUGCTL);\n"
     "  if (vm->vmentry_ctrls.LOAD_DBG_CTRLS() && (guest.ia32_debugctl_msr & BX_DEBUGCTL_RESERVED) &&\n"
     "      sdm(SDM_DEBUGCTL_RESERVED)) {\n"
     '    BX_ERROR(("VMENTER FAIL: VMCS guest IA32_DEBUGCTL reserved bits"));\n'
     "    return VMX_VMEXIT_VMENTRY_FAILURE_GUEST_STATE;\n  }\n"),
    ("cpu/vmx.cc", "    // always clear bits 15:14 and set bit 10\n",
     "    BX_CPU_THIS_PTR debugctl = GET32L(guest.ia32_debugctl_msr);\n"
     "    // always clear bits 15:14 and set bit 10\n"),
    ("cpu/vmx.cc",
     "  if (vm->vmexit_ctrls1.SAVE_DBG_CTRLS())\n     VMwrite_natural(VMCS_GUEST_DR7, BX_CPU_THIS_PTR dr7.get32());\n",
     "  if (vm->vmexit_ctrls1.SAVE_DBG_CTRLS()) {\n     VMwrite_natural(VMCS_GUEST_DR7, BX_CPU_THIS_PTR dr7.get32());\n"
     "     VMwrite64(VMCS_64BIT_GUEST_IA32_DEBUGCTL, BX_CPU_THIS_PTR debugctl);\n  }\n"),
    ("cpu/vmx.cc", "  BX_CPU_THIS_PTR dr7.set32(0x00000400);\n\n  BX_CPU_THIS_PTR msr.sysenter_cs_msr = host",
     "  BX_CPU_THIS_PTR dr7.set32(0x00000400);\n  BX_CPU_THIS_PTR debugctl = 0;\n\n"
     "  BX_CPU_THIS_PTR msr.sysenter_cs_msr = host"),
)

# The files in strict/ become a directory of the same name beside Bochs' processor.
STRICT = (
    ("cpu/Makefile.in", "OBJS = \\\n\tinit.o \\", "OBJS = \\\n"
     + "".join(f"\tstrict/{name}.o \\\n" for name in ("strict", "checks", "translations", "vmcs", "storms", "msrs"))
     + "\tinit.o \\"),
)

# Checks of VM entries, and what else Bochs does otherwise than the SDM says. Each depends on a rule (strict/rules.def), and is as
# in Bochs while that is off.
CHECKS = (
    # The checks that Bochs lacks are functions in strict/checks.cc.
    ("cpu/vmx.cc", "extern VMCS_Mapping vmcs_map;",
     "#include \"strict/strict.h\"\n#include \"strict/checks.h\"\n\nextern VMCS_Mapping vmcs_map;"),
    ("cpu/vmx.cc", "  return VMXERR_NO_ERROR;\n}\n\nVMX_error_code BX_CPU_C::VMenterLoadCheckHostState(void)\n{",
     "  const char *failed = sdm_check_controls(this);\n  if (failed) {\n    BX_ERROR((\"VMFAIL: %s\", failed));\n"
     "    return VMXERR_VMENTRY_INVALID_VM_CONTROL_FIELD;\n  }\n  return VMXERR_NO_ERROR;\n}\n\n"
     "VMX_error_code BX_CPU_C::VMenterLoadCheckHostState(void)\n{"),
    ("cpu/vmx.cc", "  if (! x86_64_guest && (guest.cr4 & BX_CR4_PAE_MASK) != 0 && (guest.cr0 & BX_CR0_PG_MASK) != 0) {",
     "  const char *failed = sdm_check_guest(this, &guest, qualification);\n  if (failed) {\n"
     "    BX_ERROR((\"VMENTER FAIL: %s\", failed));\n    return VMX_VMEXIT_VMENTRY_FAILURE_GUEST_STATE;\n  }\n\n"
     "  if (! x86_64_guest && (guest.cr4 & BX_CR4_PAE_MASK) != 0 && (guest.cr0 & BX_CR0_PG_MASK) != 0) {"),
    # A usable SS is checked in a 64-bit guest even if its selector is null (SDM 3C 27.3.1.2).
    ("cpu/vmx.cc", "if (n == BX_SEG_REG_SS && (selector & BX_SELECTOR_RPL_MASK) == 0) {",
     "if (n == BX_SEG_REG_SS && (selector & BX_SELECTOR_RPL_MASK) == 0 && !sdm(SDM_NULL_SS)) {"),
    # An NMI injected under blocking by STI is refused with qualification 3 (SDM 3C 27.8).
    ("cpu/vmx.cc", "        BX_ERROR((\"VMENTER FAIL: VMCS guest interrupts blocked when injecting NMI\"));",
     "        if ((guest.interruptibility_state & BX_VMX_INTERRUPTS_BLOCKED_BY_STI) && sdm(SDM_NMI_QUALIFICATION))\n"
     "          *qualification = VMENTER_ERR_GUEST_STATE_INJECT_NMI_BLOCKING_EVENTS;\n"
     "        BX_ERROR((\"VMENTER FAIL: VMCS guest interrupts blocked when injecting NMI\"));"),
    # A VM entry with a shadow VMCS fails as one without a current VMCS does (SDM 3C 27.1).
    ("cpu/vmx.cc", "  if (interrupts_inhibited(BX_INHIBIT_INTERRUPTS_BY_MOVSS)) {\n    BX_ERROR((\"VMFAIL: VMLAUNCH with interrupts",
     "  if ((VMread32(VMCS_REVISION_ID_FIELD_ENCODING) & BX_VMCS_SHADOW_BIT_MASK) && sdm(SDM_SHADOW_ENTRY)) {\n"
     "    BX_ERROR((\"VMFAIL: VMLAUNCH with a shadow VMCS\"));\n    VMfailInvalid();\n    BX_NEXT_TRACE(i);\n  }\n\n"
     "  if (interrupts_inhibited(BX_INHIBIT_INTERRUPTS_BY_MOVSS)) {\n    BX_ERROR((\"VMFAIL: VMLAUNCH with interrupts"),
    # A failed entry leaves blocking by NMI, and all exit information but reason and qualification, alone (SDM 3C 27.8).
    ("cpu/vmx.cc", "  Bit64u qualification = VMENTER_ERR_NO_ERROR;\n",
     "  if (strict(STRICT_CHECKS)) strict_check_host(this);\n\n  const bool nmi_blocked = is_masked_event(BX_EVENT_NMI);\n"
     "  Bit64u qualification = VMENTER_ERR_NO_ERROR;\n"),
    ("cpu/vmx.cc", "    VMexit(VMX_VMEXIT_VMENTRY_FAILURE_MSR | (1 << 31), msr);",
     "    if (nmi_blocked && sdm(SDM_FAILED_ENTRY_NMI)) mask_event(BX_EVENT_NMI);\n"
     "    else if (sdm(SDM_FAILED_ENTRY_NMI)) unmask_event(BX_EVENT_NMI);\n"
     "    VMexit(VMX_VMEXIT_VMENTRY_FAILURE_MSR | (1 << 31), msr);"),
    ("cpu/vmx.cc", "  VMwrite32(VMCS_32BIT_VMEXIT_INSTRUCTION_LENGTH, (RIP-BX_CPU_THIS_PTR prev_rip) & 0xf);",
     "  const bool entered = !(reason & 0x80000000) || !sdm(SDM_FAILED_ENTRY_FIELDS);\n"
     "  if (entered) VMwrite32(VMCS_32BIT_VMEXIT_INSTRUCTION_LENGTH, (RIP-BX_CPU_THIS_PTR prev_rip) & 0xf);"),
    ("cpu/vmx.cc", "  if (reason != VMX_VMEXIT_EXCEPTION_NMI && reason != VMX_VMEXIT_EXTERNAL_INTERRUPT) {",
     "  if (entered && reason != VMX_VMEXIT_EXCEPTION_NMI && reason != VMX_VMEXIT_EXTERNAL_INTERRUPT) {"),
    ("cpu/vmx.cc", "  else {\n    VMwrite32(VMCS_32BIT_IDT_VECTORING_INFO, 0);\n  }",
     "  else if (entered) {\n    VMwrite32(VMCS_32BIT_IDT_VECTORING_INFO, 0);\n  }"),
    # A pending MTF exit is not vectoring: it ends no blocking, drops no debug exception, wakes from no state, and needs no
    # monitor trap flag (SDM 3C 27.7.1 to 27.7.3, 27.7.8).
    ("cpu/vmx.cc", "  if (VMENTRY_INJECTING_EVENT(vm->vmentry_interr_info)) {\n    // the VMENTRY injecting event to the guest\n",
     "  if (VMENTRY_INJECTING_EVENT(vm->vmentry_interr_info) &&\n"
     "      (((vm->vmentry_interr_info >> 8) & 7) != 7 || !sdm(SDM_PENDING_MTF))) {\n"
     "    // the VMENTRY injecting event to the guest\n"),
    ("cpu/vmx.cc", "      signal_event(BX_EVENT_VMX_MONITOR_TRAP_FLAG);\n      return;",
     "      signal_event(BX_EVENT_VMX_MONITOR_TRAP_FLAG);\n"
     "      if (sdm(SDM_PENDING_MTF)) {\n        unmask_event(BX_EVENT_VMX_MONITOR_TRAP_FLAG);\n"
     "        BX_CPU_THIS_PTR async_event = 1;\n      }\n      return;"),
    # In shutdown and wait-for-SIPI no debug exception is pending after the entry (SDM 3C 27.7.3).
    ("cpu/vmx.cc", "    if (BX_CPU_THIS_PTR debug_trap) {\n      BX_CPU_THIS_PTR debug_trap |= BX_DEBUG_TRAP_HIT;",
     "    if (guest.activity_state > BX_ACTIVITY_STATE_HLT && sdm(SDM_INACTIVE_DEBUG)) BX_CPU_THIS_PTR debug_trap = 0;\n"
     "    if (BX_CPU_THIS_PTR debug_trap) {\n      BX_CPU_THIS_PTR debug_trap |= BX_DEBUG_TRAP_HIT;"),
    # Bit 12 of DR7 is clear after an entry, as bits 14 and 15 are (SDM 3C 27.3.2.1).
    ("cpu/vmx.cc", "(guest.dr7 & ~0xc000) | 0x400", "(guest.dr7 & ~(sdm(SDM_DR7_BIT_12) ? 0xd000 : 0xc000)) | 0x400"),
    # An injected NMI blocks NMIs only as a virtual one. Without virtual NMIs, bit 3 of the state decides (SDM 3C 27.7.1).
    ("cpu/vmx.cc",
     "        mask_event(BX_EVENT_VMX_VIRTUAL_NMI);\n      else\n        mask_event(BX_EVENT_NMI);\n\n      BX_CPU_THIS_PTR EXT = 1;",
     "        mask_event(BX_EVENT_VMX_VIRTUAL_NMI);\n      else if (!sdm(SDM_INJECTED_NMI))\n"
     "        mask_event(BX_EVENT_NMI);\n\n      BX_CPU_THIS_PTR EXT = 1;"),
    # A VM exit stores IA32_TSC into its list without offset and multiplier (SDM 3C 28.4).
    ("cpu/vmx.cc", "    if (! rdmsr(index, &msr_hi)) {",
     "    if (index == BX_MSR_TSC && sdm(SDM_STORED_TSC)) {\n      msr_hi = get_TSC();\n    }\n    else if (! rdmsr(index, &msr_hi)) {"),
    # An entry into an inactive state leaves RFLAGS.IF and the blocking of NMIs alone. handleWaitForEvent() knows what each
    # state blocks.
    ("cpu/vmx.cc", "    enter_sleep_state(guest.activity_state);",
     "    if (sdm(SDM_INACTIVE_ENTRY)) {\n      BX_CPU_THIS_PTR activity_state = guest.activity_state;\n"
     "      BX_CPU_THIS_PTR async_event = 1;\n    }\n    else {\n      enter_sleep_state(guest.activity_state);\n    }"),
    # An exit that an event causes directly saves the inactive state in which the event came (SDM 3C 28.1, 28.3.4).
    ("cpu/cpu.h", "  unsigned activity_state;\n",
     "  unsigned activity_state;\n  unsigned woken_from; // until the event that woke it has its effect\n"),
    ("cpu/vmx.cc", "  else\n    VMwrite32(VMCS_32BIT_GUEST_ACTIVITY_STATE, BX_CPU_THIS_PTR activity_state);",
     "  else if (BX_CPU_THIS_PTR woken_from && BX_CPU_THIS_PTR woken_from <= BX_VMX_LAST_ACTIVITY_STATE && !in_event &&\n"
     "           sdm(SDM_EXIT_ACTIVITY))\n"
     "    VMwrite32(VMCS_32BIT_GUEST_ACTIVITY_STATE, BX_CPU_THIS_PTR woken_from);\n"
     "  else\n    VMwrite32(VMCS_32BIT_GUEST_ACTIVITY_STATE, BX_CPU_THIS_PTR activity_state);\n"
     "  BX_CPU_THIS_PTR woken_from = BX_ACTIVITY_STATE_ACTIVE;"),
    # HLT ends also for an open interrupt window, a pending debug exception, a virtual interrupt, and an external interrupt
    # that ends the guest although IF is clear. Shutdown blocks external interrupts (SDM 3C 26.2, 27.7.2, 30.2.2).
    ("cpu/event.cc",
     "    if ((is_pending(BX_EVENT_PENDING_INTR | BX_EVENT_PENDING_LAPIC_INTR | BX_EVENT_PENDING_UINTR) && (BX_CPU_THIS_PTR get_IF()",
     "    bool woken = false;\n"
     "    if (BX_CPU_THIS_PTR in_vmx_guest && BX_CPU_THIS_PTR activity_state != BX_ACTIVITY_STATE_SHUTDOWN &&\n"
     "        sdm(SDM_HLT_ENDS)) {\n"
     "      woken = (is_pending(BX_EVENT_VMX_INTERRUPT_WINDOW_EXITING) && BX_CPU_THIS_PTR get_IF()) ||\n"
     "        is_unmasked_event_pending(BX_EVENT_PENDING_INTR | BX_EVENT_PENDING_LAPIC_INTR |"
     " BX_EVENT_PENDING_VMX_VIRTUAL_INTR);\n"
     "    }\n"
     "    if (BX_CPU_THIS_PTR activity_state != BX_ACTIVITY_STATE_SHUTDOWN && (BX_CPU_THIS_PTR debug_trap & 0xf000) &&\n"
     "        sdm(SDM_HLT_ENDS))\n"
     "      woken = true;\n"
     "    if (woken || (is_pending(BX_EVENT_PENDING_INTR | BX_EVENT_PENDING_LAPIC_INTR | BX_EVENT_PENDING_UINTR) &&"
     " (BX_CPU_THIS_PTR activity_state != BX_ACTIVITY_STATE_SHUTDOWN || !sdm(SDM_INACTIVE_ENTRY)) &&"
     " (BX_CPU_THIS_PTR get_IF()"),
    ("cpu/event.cc", "      BX_CPU_THIS_PTR activity_state = BX_ACTIVITY_STATE_ACTIVE;\n      BX_CPU_THIS_PTR inhibit_mask = 0; // clear",
     "      BX_CPU_THIS_PTR woken_from = BX_CPU_THIS_PTR activity_state;\n"
     "      BX_CPU_THIS_PTR activity_state = BX_ACTIVITY_STATE_ACTIVE;\n      BX_CPU_THIS_PTR inhibit_mask = 0; // clear"),
    ("cpu/event.cc", "  // Priority 6: Faults from fetching next instruction",
     "  BX_CPU_THIS_PTR woken_from = BX_ACTIVITY_STATE_ACTIVE;\n\n  // Priority 6: Faults from fetching next instruction"),
    # Blocking by STI does not hold back the preemption timer (SDM 3C 26.5.1).
    ("cpu/event.cc", "  if (interrupts_inhibited(BX_INHIBIT_INTERRUPTS) || ! SVM_GIF) {",
     "  if ((interrupts_inhibited(BX_INHIBIT_INTERRUPTS) || ! SVM_GIF) &&\n"
     "      ! (is_unmasked_event_pending(BX_EVENT_VMX_PREEMPTION_TIMER_EXPIRED) && sdm(SDM_TIMER_UNDER_STI))) {"),
    # With accessed and dirty flags, EPT takes a walk of the guest's tables for a write. Its violation has both bits, as the
    # update of a guest's flag has (SDM 3C table 28-7).
    ("cpu/paging.cc", "  if ((rw & 3) == BX_READ) access_mask |= BX_EPT_READ;  // handle",
     "  if (is_page_walk && (rw & 1) && sdm(SDM_WALK_QUALIFICATION)) access_mask |= BX_EPT_READ;\n"
     "  if ((rw & 3) == BX_READ) access_mask |= BX_EPT_READ;  // handle"),
    # EPT must let the processor set accessed and dirty flags in a guest's tables. Bochs set them in read-only ones.
    ("cpu/paging.cc", "#include \"memory/memory-bochs.h\"\n",
     "#include \"memory/memory-bochs.h\"\n#include \"strict/checks.h\"\n"),
    ("cpu/paging.cc", "  update_access_dirty_PAE(entry_addr, entry, entry_memtype, start_leaf, leaf, isWrite);\n\n  return",
     "  sdm_write_walk(this, entry, BX_CPU_THIS_PTR cr3, laddr, start_leaf, leaf, isWrite);\n"
     "  update_access_dirty_PAE(entry_addr, entry, entry_memtype, start_leaf, leaf, isWrite);\n\n  return"),
    ("cpu/paging.cc", "  update_access_dirty_PAE(entry_addr, entry, entry_memtype, BX_LEVEL_PDE, leaf, isWrite);\n\n  return",
     "  sdm_write_walk(this, entry, pdpte, laddr, BX_LEVEL_PDE, leaf, isWrite);\n"
     "  update_access_dirty_PAE(entry_addr, entry, entry_memtype, BX_LEVEL_PDE, leaf, isWrite);\n\n  return"),
    ("cpu/paging.cc", "  update_access_dirty(entry_addr, entry, entry_memtype, leaf, isWrite);\n\n  return",
     "  sdm_write_walk(this, entry, Bit32u(BX_CPU_THIS_PTR cr3), laddr, BX_LEVEL_PDE, leaf, isWrite);\n"
     "  update_access_dirty(entry_addr, entry, entry_memtype, leaf, isWrite);\n\n  return"),
)

# Hooks of the strict machine's topics in Bochs' own files.
_LOG_THIS = "#define LOG_THIS BX_CPU_THIS_PTR\n"
_WITH_STRICT = _LOG_THIS + '#include "cpu/strict/strict.h"\n'
_INCLUDES = tuple((f"cpu/{name}.cc", _LOG_THIS, _WITH_STRICT) for name in ("paging", "vmx", "proc_ctrl", "mwait", "event", "init"))


def _call(topic, call):
    """Returns a hook: a call that is made if the topic is on."""
    return f"if (strict(STRICT_{topic})) {call};"


def _call_in_guest(call):
    """Returns a hook of the topic translations that is made in a guest only."""
    return f"if (strict(STRICT_TRANSLATIONS) && BX_CPU_THIS_PTR in_vmx_guest) {call};"


TRANSLATIONS = (
    # Walks: of EPT, ...
    ("cpu/paging.cc", "  if (vmexit_reason) {\n    BX_ERROR((\"VMEXIT: EPT %s for",
     "  " + _call("TRANSLATIONS", "strict_ept_walk(BX_CPU_THIS, guest_paddr, entry, leaf, rw & 1, vmexit_reason != 0)")
     + "\n  if (vmexit_reason) {\n    BX_ERROR((\"VMEXIT: EPT %s for"),
    # ... of the guest's own tables, ...
    ("cpu/paging.cc", "    paddress = (paddress & ~((Bit64u) lpf_mask)) | (laddr & lpf_mask);\n",
     "    paddress = (paddress & ~((Bit64u) lpf_mask)) | (laddr & lpf_mask);\n    "
     + _call_in_guest("strict_linear_walk(BX_CPU_THIS, laddr, paddress, combined_access)") + "\n"),
    # ... and those that fail there.
    ("cpu/paging.cc", "  unsigned isWrite = rw & 1;\n\n  Bit32u error_code = fault",
     "  " + _call_in_guest("strict_linear_fault(BX_CPU_THIS, laddr, fault == ERROR_NOT_PRESENT)")
     + "\n  unsigned isWrite = rw & 1;\n\n  Bit32u error_code = fault"),
    # Invalidations by the guest, ...
    ("cpu/paging.cc", "  INC_TLBFLUSH_STAT(tlbGlobalFlushes);\n",
     "  INC_TLBFLUSH_STAT(tlbGlobalFlushes);\n  " + _call_in_guest("strict_translations_flush(BX_CPU_THIS, true)") + "\n"),
    ("cpu/paging.cc", "  INC_TLBFLUSH_STAT(tlbNonGlobalFlushes);\n",
     "  INC_TLBFLUSH_STAT(tlbNonGlobalFlushes);\n  " + _call_in_guest("strict_translations_flush(BX_CPU_THIS, false)")
     + "\n"),
    ("cpu/paging.cc", "  BX_CPU_THIS_PTR DTLB.invlpg(laddr);\n",
     "  BX_CPU_THIS_PTR DTLB.invlpg(laddr);\n  " + _call_in_guest("strict_translations_invlpg(BX_CPU_THIS, laddr)") + "\n"),
    # ... and by L0.
    ("cpu/vmx.cc", "  BX_INSTR_TLB_CNTRL(BX_CPU_ID, BX_INSTR_INVEPT, type);\n",
     "  BX_INSTR_TLB_CNTRL(BX_CPU_ID, BX_INSTR_INVEPT, type);\n  " + _call("TRANSLATIONS", "strict_invept(BX_CPU_THIS, type == BX_INVEPT_INVVPID_ALL_CONTEXT_INVALIDATION, "
                                  "inv_eptp.xmm64u(0))") + "\n"),
    ("cpu/vmx.cc", "  BX_INSTR_TLB_CNTRL(BX_CPU_ID, BX_INSTR_INVVPID, type);\n",
     "  BX_INSTR_TLB_CNTRL(BX_CPU_ID, BX_INSTR_INVVPID, type);\n  " + _call("TRANSLATIONS", "strict_invvpid(BX_CPU_THIS, type, vpid, invvpid_desc.xmm64u(1))") + "\n"),
    # VM exits with the guest's state still there, VM entries with the guest's state loaded, and resets.
    ("cpu/vmx.cc", "  BX_INSTR_VMEXIT(BX_CPU_ID, reason, qualification);\n",
     "  BX_INSTR_VMEXIT(BX_CPU_ID, reason, qualification);\n  " + _call_in_guest("strict_translations_exit(BX_CPU_THIS, reason & 0xffff, qualification)") + "\n"),
    ("cpu/vmx.cc", "  ///////////////////////////////////////////////////////\n  // STEP 7: Inject events to the guest\n",
     "  " + _call("TRANSLATIONS", "strict_translations_entry(BX_CPU_THIS)")
     + "\n  ///////////////////////////////////////////////////////\n  // STEP 7: Inject events to the guest\n"),
    ("cpu/init.cc", "void BX_CPU_C::reset(unsigned source)\n{\n",
     "void BX_CPU_C::reset(unsigned source)\n{\n  " + _call("TRANSLATIONS", "strict_translations_reset(BX_CPU_THIS)")
     + "\n"),
)

_NO_FIELD = 'VMfail(VMXERR_UNSUPPORTED_VMCS_COMPONENT_ACCESS);\n    BX_NEXT_INSTR(i);\n  }\n\n'
_NO_HIGH_FIELD = 'VMWRITE: not supported field (upper 32-bit not zero)"));\n     ' + _NO_FIELD.replace("\n    BX", "\n     BX")
_WRITTEN_FIELD = ("  Bit32u encoding = BX_READ_32BIT_REG(i->dst());\n\n"
                  "  if (! BX_CPU_THIS_PTR vmcs_map->is_valid(encoding)) {\n")
VMCS = (
    # The instructions that begin and end the use of a region.
    ("cpu/vmx.cc", "    BX_CPU_THIS_PTR vmxonptr = pAddr;\n",
     "    BX_CPU_THIS_PTR vmxonptr = pAddr;\n    " + _call("VMCS", "strict_vmxon(BX_CPU_THIS, pAddr)") + "\n"),
    ("cpu/vmx.cc", "    BX_CPU_THIS_PTR vmxonptr = BX_INVALID_VMCSPTR;\n    BX_CPU_THIS_PTR in_vmx = false;",
     "    " + _call("VMCS", "strict_vmxoff(BX_CPU_THIS, BX_CPU_THIS_PTR vmxonptr)")
     + "\n    BX_CPU_THIS_PTR vmxonptr = BX_INVALID_VMCSPTR;\n    BX_CPU_THIS_PTR in_vmx = false;"),
    ("cpu/vmx.cc", "       set_VMCSPTR(pAddr);\n",
     "       set_VMCSPTR(pAddr);\n       " + _call("VMCS", "strict_vmptrld(BX_CPU_THIS, pAddr)") + "\n"),
    ("cpu/vmx.cc", "    if (pAddr == BX_CPU_THIS_PTR vmcsptr) {\n",
     "    " + _call("VMCS", "strict_vmclear(BX_CPU_THIS, pAddr)") + "\n    if (pAddr == BX_CPU_THIS_PTR vmcsptr) {\n"),
    ("cpu/vmx.cc", "  if (vmlaunch) VMwrite32(VMCS_LAUNCH_STATE",
     "  " + _call("VMCS", "strict_vmcs_entry(BX_CPU_THIS)") + "\n  if (vmlaunch) VMwrite32(VMCS_LAUNCH_STATE"),
    # Accesses by software, each when its translation is made. set_VMCSPTR() does not translate.
    ("cpu/paging.cc", "  ppf = PPFOf(paddress);\n\n  // direct memory access is NOT",
     "  ppf = PPFOf(paddress);\n  if (strict(STRICT_VMCS) && strict_watched(ppf))"
     " strict_vmcs_access(BX_CPU_THIS, paddress, rw & 1);\n\n  // direct memory access is NOT"),
    # VMREAD and VMWRITE with 64-bit operands, the only ones of a 64-bit L0.
    ("cpu/vmx.cc", _NO_FIELD + "  Bit64u field_64;\n",
     _call("VMCS", 'strict_vmcs_field(BX_CPU_THIS, "VMREAD", encoding)') + "\n    " + _NO_FIELD + "  Bit64u field_64;\n"),
    ("cpu/vmx.cc", _NO_HIGH_FIELD + _WRITTEN_FIELD,
     _NO_HIGH_FIELD + _WRITTEN_FIELD + "    " + _call("VMCS", 'strict_vmcs_field(BX_CPU_THIS, "VMWRITE", encoding)') + "\n"),
    # A processor that stops for good, and INIT signals.
    ("cpu/proc_ctrl.cc", '    BX_INFO(("WARNING: HLT instruction with IF=0!"));\n',
     '    BX_INFO(("WARNING: HLT instruction with IF=0!"));\n    ' + _call("VMCS", 'strict_vmcs_halt(BX_CPU_THIS, "HLT with interrupts disabled")')
     + "\n"),
    ("cpu/mwait.cc", "  enter_sleep_state(new_state);\n",
     "  if (! (ECX & 1)) { "
     + _call("VMCS", 'strict_vmcs_halt(BX_CPU_THIS, "MWAIT with interrupts disabled")')
     + " }\n  enter_sleep_state(new_state);\n"),
    ("cpu/event.cc", "  if (! is_masked_event(BX_EVENT_INIT)) {\n",
     "  " + _call("VMCS", "strict_vmcs_init(BX_CPU_THIS)") + "\n  if (! is_masked_event(BX_EVENT_INIT)) {\n"),
    ("cpu/init.cc", "void BX_CPU_C::reset(unsigned source)\n{\n",
     "void BX_CPU_C::reset(unsigned source)\n{\n  "
     + _call("VMCS", "strict_vmcs_reset(BX_CPU_THIS, source == BX_RESET_HARDWARE)") + "\n"),
)

STORMS = (
    ("main.cc", '#include "cpu/cpu.h"\n', '#include "cpu/cpu.h"\n#include "cpu/strict/strict.h"\n'),
    ("main.cc", "for (int turn = 0; turn < 16 && (!turn",
     "for (int turn = 0, most = strict(STRICT_STORMS) ? strict_turn(BX_CPU(processor)) : 16;\n"
     "                 turn < most && !strict_turn_over && (!turn"),
    *((f"cpu/{name}.cc", "#define LOG_THIS BX_CPU_THIS_PTR\n",
       '#include "cpu/strict/strict.h"\n#define LOG_THIS BX_CPU_THIS_PTR\n') for name in ("cpu", "init", "flag_ctrl_pro")),
    # Before each trace, and traces are not linked.
    *(("cpu/cpu.cc", f"\n{to}BX_INSTR_BEFORE_EXECUTION(BX_CPU_ID, i);\n{to}RIP += i->ilen();\n{to}// when handlers",
       f"\n{to}if (strict(STRICT_STORMS)) strict_storm(BX_CPU_THIS);\n"
       f"{to}BX_INSTR_BEFORE_EXECUTION(BX_CPU_ID, i);\n{to}RIP += i->ilen();\n{to}// when handlers")
      for to in ("  ", "      ")),
    ("cpu/cpu.cc", "  if (bx_dbg.debugger_active)\n    return;\n\n#if BX_SUPPORT_SMP",
     "  if (bx_dbg.debugger_active || strict(STRICT_STORMS))\n    return;\n\n#if BX_SUPPORT_SMP"),
    ("cpu/vmx.cc", "  BX_INSTR_VMEXIT(BX_CPU_ID, reason, qualification);\n",
     "  BX_INSTR_VMEXIT(BX_CPU_ID, reason, qualification);\n"
     "  if (strict(STRICT_STORMS)) strict_storm_exit(BX_CPU_THIS);\n"),
    ("cpu/vmx.cc", "  bool vmlaunch = false;\n",
     "  if (strict(STRICT_STORMS)) strict_storm_entry(BX_CPU_THIS);\n\n  bool vmlaunch = false;\n"),
    ("cpu/flag_ctrl_pro.cc", "    // EFLAGS.IF was set, unmask all affected events\n",
     "    if (strict(STRICT_STORMS)) strict_storm_unblocked(BX_CPU_THIS);\n"
     "    // EFLAGS.IF was set, unmask all affected events\n"),
    ("cpu/event.cc", "  // For one processor, pass the time as quickly as possible until\n  // an interrupt wakes up the CPU.\n  while (1)\n",
     "  if (strict(STRICT_STORMS)) strict_storm_halted(BX_CPU_THIS);\n"
     "  // For one processor, pass the time as quickly as possible until\n  // an interrupt wakes up the CPU.\n  while (1)\n"),
    ("cpu/event.cc", "    clear_event(BX_EVENT_NMI);\n",
     "    clear_event(BX_EVENT_NMI);\n    if (strict(STRICT_STORMS)) strict_storm_nmi(BX_CPU_THIS);\n"),
    ("cpu/msr.cc", "BX_CPU_C::rdmsr(Bit32u index, Bit64u *msr)\n{\n",
     "BX_CPU_C::rdmsr(Bit32u index, Bit64u *msr)\n{\n"
     "  if (strict(STRICT_STORMS) && index == LAB_MSR_NMIS && !BX_CPU_THIS_PTR in_vmx_guest) {\n"
     "    *msr = strict_storm_nmis(BX_CPU_THIS);\n    return true;\n  }\n"),
    # The same seed gives the same run: RDRAND and the timers that follow the host's clock, too. The next of those decides
    # how far a repeated instruction goes at once.
    ("iodev/virt_timer.cc", "#define GET_VIRT_REALTIME64_USEC() (bx_get_realtime64_usec())\n",
     '#include "cpu/strict/strict.h"\n#define GET_VIRT_REALTIME64_USEC() '
     "(strict(STRICT_STORMS) ? bx_pc_system.time_usec() : bx_get_realtime64_usec())\n"),
    ("cpu/init.cc", "srand(time(NULL));", "srand(strict(STRICT_STORMS) ? strict_seed : time(NULL));"),
)

MSRS = (
    *((f"cpu/{name}.cc", "#define LOG_THIS BX_CPU_THIS_PTR\n",
       '#include "cpu/strict/strict.h"\n#define LOG_THIS BX_CPU_THIS_PTR\n')
      for name in ("access2", "event", "msr", "paging", "proc_ctrl", "protect_ctrl", "vmx")),
    ("cpu/msr.cc", "BX_CPU_C::rdmsr(Bit32u index, Bit64u *msr)\n{\n",
     "BX_CPU_C::rdmsr(Bit32u index, Bit64u *msr)\n{\n  if (strict(STRICT_MSRS)) {\n"
     "    int known = strict_rdmsr(BX_CPU_THIS, index, msr);\n    if (known >= 0) return known;\n  }\n\n"),
    ("cpu/msr.cc", "BX_CPU_C::wrmsr(Bit32u index, Bit64u val_64)\n{\n",
     "BX_CPU_C::wrmsr(Bit32u index, Bit64u val_64)\n{\n  if (strict(STRICT_MSRS)) {\n"
     "    int known = strict_wrmsr(BX_CPU_THIS, index, val_64);\n    if (known >= 0) return known;\n  }\n\n"),
    ("cpu/proc_ctrl.cc", "  BX_CPU_THIS_PTR cpuid->get_cpuid_leaf(EAX, ECX, &leaf);\n",
     "  BX_CPU_THIS_PTR cpuid->get_cpuid_leaf(EAX, ECX, &leaf);\n"
     "  if (strict(STRICT_MSRS)) strict_cpuid(EAX, ECX, &leaf);\n"),
    # The barriers between an exit and the next entry.
    ("cpu/protect_ctrl.cc", "BX_CPU_C::VERW_Ew(bxInstruction_c *i)\n{\n",
     "BX_CPU_C::VERW_Ew(bxInstruction_c *i)\n{\n  if (strict(STRICT_MSRS)) strict_verw(BX_CPU_THIS);\n\n"),
    ("cpu/vmx.cc", "BX_CPU_THIS_PTR in_vmx_guest = true; handleInterruptMaskChange();",
     "BX_CPU_THIS_PTR in_vmx_guest = true; handleInterruptMaskChange();\n"
     "  if (strict(STRICT_MSRS)) strict_count_entry(BX_CPU_THIS);"),
    ("cpu/vmx.cc", "  BX_INSTR_VMEXIT(BX_CPU_ID, reason, qualification);\n",
     "  BX_INSTR_VMEXIT(BX_CPU_ID, reason, qualification);\n"
     "  if (strict(STRICT_MSRS)) strict_count_exit(BX_CPU_THIS);\n"),
    # A lock that crosses a cache line raises #AC at any privilege level (TEST_CTRL, SDM 4 2.1).
    *(("cpu/access2.cc", f"BX_CPU_C::read_RMW_linear_{name}(unsigned s, bx_address laddr)\n{{\n",
       f"BX_CPU_C::read_RMW_linear_{name}(unsigned s, bx_address laddr)\n{{\n"
       f"  if (strict_split_locks && (laddr & 63) + {size} > 64 && strict_is_split_lock(BX_CPU_THIS))\n"
       "    exception(BX_AC_EXCEPTION, 0);\n\n") for name, size in (("word", 2), ("dword", 4), ("qword", 8))),
    # A poisoned page: what reads it gets a machine check. Its translation is not kept, so that each access comes here.
    ("cpu/paging.cc", "  tlbEntry->hostPageAddr = BX_CPU_THIS_PTR getHostMemAddr(ppf, rw);\n",
     "  bool poisoned = strict_poison && strict_is_poisoned(ppf);\n"
     "  if (poisoned && rw != BX_WRITE) {\n    tlbEntry->invalidate();\n"
     "    strict_consume_poison(BX_CPU_THIS, paddress, isExecute);\n  }\n"
     "  tlbEntry->hostPageAddr = poisoned ? 0 : BX_CPU_THIS_PTR getHostMemAddr(ppf, rw);\n"),
    ("cpu/paging.cc", "extract_memtype(combined_access) /* effective page tables memory type */);\n#endif\n\n  return paddress;",
     "extract_memtype(combined_access) /* effective page tables memory type */);\n#endif\n"
     "  if (poisoned) tlbEntry->invalidate();\n\n  return paddress;"),
    # A machine check that another processor signals.
    ("cpu/cpu.h", "#define BX_EVENT_VMX_VIRTUAL_APIC_WRITE       (1 << 15)",
     "#define BX_EVENT_VMX_VIRTUAL_APIC_WRITE       (1 << 15)\n#define BX_EVENT_MACHINE_CHECK                (1 << 16)"),
    ("cpu/event.cc", "is_unmasked_event_pending(BX_EVENT_NMI | BX_EVENT_SMI | BX_EVENT_INIT |\n",
     "is_unmasked_event_pending(BX_EVENT_NMI | BX_EVENT_SMI | BX_EVENT_INIT | BX_EVENT_MACHINE_CHECK |\n"),
    ("cpu/event.cc", "  //   Machine Check\n  // (bochs doesn't support these)\n",
     "  //   Machine Check\n  if (is_pending(BX_EVENT_MACHINE_CHECK)) {\n    clear_event(BX_EVENT_MACHINE_CHECK);\n"
     "    exception(BX_MC_EXCEPTION, 0);\n  }\n"),
)

CHANGES = PLAIN + DEBUGCTL + STRICT + _INCLUDES + CHECKS + TRANSLATIONS + VMCS + STORMS + MSRS

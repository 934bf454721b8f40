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
    # KVM reads IA32_DEBUGCTL around every VM entry. Bochs lacks that MSR, and must not log each read.
    ("cpu/msr.cc", 'BX_ERROR(("RDMSR: Unknown register', 'BX_DEBUG(("RDMSR: Unknown register'),
)

# The files in strict/ become a directory of the same name beside Bochs' processor.
STRICT = (
    ("cpu/Makefile.in", "OBJS = \\\n\tinit.o \\", "OBJS = \\\n"
     + "".join(f"\tstrict/{name}.o \\\n" for name in ("strict", "checks", "translations", "vmcs", "storms", "msrs"))
     + "\tinit.o \\"),
)

# Checks of VM entries, and what else Bochs does otherwise than the SDM says.
CHECKS = (
)

# Hooks of the strict machine's topics in Bochs' own files.
TRANSLATIONS = (
)

VMCS = (
)

STORMS = (
)

MSRS = (
)

CHANGES = PLAIN + STRICT + CHECKS + TRANSLATIONS + VMCS + STORMS + MSRS

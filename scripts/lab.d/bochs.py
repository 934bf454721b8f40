# SPDX-License-Identifier: GPL-2.0
"""Bochs, the emulator that has all of VMX: builds it, configures it, and reads its log."""
import hashlib
import os
import re
import shutil
import struct

import bootrom
import cache
import cdimage
import debian
from cache import LabError, output, path, run, say

TARBALL = "pool/main/b/bochs/bochs_3.0+dfsg.orig.tar.xz"
SHA256 = "78f6c73d4a6472d5130a87ab9dc306d02c7c71ed8e25b3a8ef642e2a7acd282b"
BIOS = "/usr/share/bochs/BIOS-bochs-latest"
VGA_BIOS = "/usr/share/vgabios/vgabios.bin"
DEBIANS = "/usr/bin/bochs"   # what is used when the source cannot be had
DEBIANS_PACKAGES = ["bochs", "bochs-term"]

# --disable-show-ips matters: its timer signal can deadlock against the emulator's own logging.
CONFIGURE = """--with-nogui --without-x --without-wx --without-sdl --without-term --disable-plugins --enable-x86-64
    --enable-cpu-level=6 --enable-smp --enable-vmx=2 --enable-avx --enable-evex --enable-protection-keys --enable-cet
    --enable-memtype --enable-pci --enable-configurable-msrs --enable-large-ramfile --enable-all-optimizations
    --enable-repeat-speedups --enable-fast-function-calls --enable-handlers-chaining --enable-trace-linking
    --disable-docbook --disable-show-ips""".split()
INSTRUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "instrument")
FLAGS = "-O3 -march=native -fomit-frame-pointer -w"


def _recipe():
    """Names a build by how it is made, and by the processor that -march=native makes it for."""
    with open("/proc/cpuinfo") as f:
        processor = next((line for line in f if line.startswith("flags")), "")
    return hashlib.sha256(repr((processor, CONFIGURE, FLAGS, CHANGES, SHA256)).encode()).hexdigest()[:8]


def program(counting=False):
    """The path of the emulator, built once, else the distribution's own; `counting` names the instrumented build."""
    if os.environ.get("LAB_ENGINE") == "bochs-debian":
        debian.install(DEBIANS_PACKAGES)
        return DEBIANS
    directory = path("bochs", f"3.0-{_recipe()}{'-' + _instrumentation() if counting else ''}")
    built = os.path.join(directory, "bochs")
    if os.path.exists(built):
        return built
    with cache.lock("bochs"):
        if os.path.exists(built):
            return built
        tarball = debian.pool_file(TARBALL, SHA256)
        if tarball:
            build(tarball, directory, counting)
            return built
    debian.install(DEBIANS_PACKAGES)
    return DEBIANS


def _instrumentation():
    """Names the build that counts by what it counts with."""
    digest = hashlib.sha256()
    for name in sorted(os.listdir(INSTRUMENT)):
        with open(os.path.join(INSTRUMENT, name), "rb") as f:
            digest.update(f.read())
    return "count-" + digest.hexdigest()[:8]


# What the lab changes in the source of 3.0: file, its text, the text in its place.
_REST = "(BX_MEM_THIS block_size - (offset & (BX_MEM_THIS block_size - 1)))"
_NEXT_EVENT = "bx_pc_system.getNumCpuTicksLeftNextEvent()"
CHANGES = (
    # Memory is allocated in blocks; an image put into it must not be read as if the first block went on for ever.
    ("memory/misc_mem.cc", "get_vector(offset), size);", f"get_vector(offset), size < {_REST} ? size : {_REST});"),
    # Time that nobody computes in passes at once: straight to the next event, not ten ticks a time.
    ("cpu/event.cc", "BX_TICKN(10); // when in HLT", f"BX_TICKN({_NEXT_EVENT}); // when in HLT"),
    # The same for several processors when all of them are halted, ...
    ("main.cc", "Bit32u executed = 0, processor = 0;", "Bit32u executed = 0, processor = 0, halted = 0;"),
    ("main.cc", "if (n == 0) n = quantum; // the CPU was halted", "if (n == 0) { n = quantum; halted++; }"),
    ("main.cc", "BX_TICKN(executed / BX_SMP_PROCESSORS);",
     f"BX_TICKN(halted == BX_SMP_PROCESSORS ? {_NEXT_EVENT} : executed / BX_SMP_PROCESSORS); halted = 0;"),
    # ... and one that is not halted does some work before the next one has its turn.
    ("main.cc", "BX_CPU(processor)->cpu_run_trace();",
     "for (int turn = 0; turn < 16 && (!turn || BX_CPU(processor)->activity_state == BX_CPU_C::BX_ACTIVITY_STATE_ACTIVE);"
     " turn++) BX_CPU(processor)->cpu_run_trace();"),
    # CPUID leaves 15H and 16H tell the clock that the configuration sets (ips): the TSC and the APIC timer count at
    # 100 MHz. With the real processor's 3.5 GHz in them, Linux at every level takes a second for thirty-five.
    ("cpu/cpudb/intel/corei7_skylake-x.cc", "get_leaf(leaf, 0x00000002, 0x00000124, 0x00000000, 0x00000000);",
     "get_leaf(leaf, 1, 1, 100000000, 0);"),
    ("cpu/cpudb/intel/corei7_skylake-x.cc", "get_leaf(leaf, 0x00000dac, 0x00000fa0, 0x00000064, 0x00000000);",
     "get_leaf(leaf, 100, 100, 100, 0);"),
    # An interrupt that L0 had masked when it entered a guest must end that guest, although IF is clear in both (SDM 3C 26.2).
    ("cpu/vmx.cc", "BX_CPU_THIS_PTR in_vmx_guest = true;",
     "BX_CPU_THIS_PTR in_vmx_guest = true; handleInterruptMaskChange();"),
    # With several processors, an exception's new RIP was not committed as the loop for one does it: an interrupt that
    # ended a guest right after brought back the RIP of before, with the handler's CS and stack.
    ("cpu/cpu.cc", "void BX_CPU_C::cpu_run_trace(void)\n{",
     "void BX_CPU_C::cpu_run_trace(void)\n{\n  BX_CPU_THIS_PTR prev_rip = RIP; BX_CPU_THIS_PTR speculative_rsp = false;"),
    # SYSRET leaves SS with a limit and attributes of its own on Intel's processors (SDM 2B, SYSRET). Kept from a null SS,
    # as Xen has it in 64-bit mode, they make the next VM entry fail.
    ("cpu/proc_ctrl.cc", "writeEFlags((Bit32u) R11, EFlagsValidMask);\n  }\n  else // (!64BIT_MODE)",
     "{ bx_descriptor_t &ss = BX_CPU_THIS_PTR sregs[BX_SEG_REG_SS].cache; ss.u.segment.base = 0; ss.u.segment.g = 1;"
     " ss.u.segment.limit_scaled = 0xFFFFFFFF; ss.u.segment.d_b = 1; ss.u.segment.l = 0; ss.u.segment.avl = 0; }"
     " writeEFlags((Bit32u) R11, EFlagsValidMask);\n  }\n  else // (!64BIT_MODE)"),
    # An exit during the delivery of a virtual interrupt tells which one it was (SDM 3C 28.2.4), not what came before.
    ("cpu/vapic.cc", "clear_event(BX_EVENT_PENDING_VMX_VIRTUAL_INTR);\n\n  BX_CPU_THIS_PTR EXT = 1;",
     "clear_event(BX_EVENT_PENDING_VMX_VIRTUAL_INTR);\n  vm->idt_vector_info = vector | (BX_EXTERNAL_INTERRUPT << 8);"
     " vm->idt_vector_error_code = 0;\n  BX_CPU_THIS_PTR EXT = 1;"),
    # An external interrupt that ends a guest with IF clear must not deliver a virtual interrupt to it (SDM 3C 30.2.2).
    ("cpu/event.cc", "if (is_pending(BX_EVENT_PENDING_VMX_VIRTUAL_INTR)) {",
     "if (is_unmasked_event_pending(BX_EVENT_PENDING_VMX_VIRTUAL_INTR)) {"),
    # A posted-interrupt descriptor is aligned to 64 bytes (SDM 3C 27.2.1.1), as Xen has it, not to a page.
    ("cpu/vmx.cc", "if (! IsValidPageAlignedPhyAddr(vm->pid_addr)) {",
     "if ((vm->pid_addr & 63) || ! IsValidPhyAddr(vm->pid_addr)) {"),
    # A fault in a repeated CMPS or SCAS restores the flags of before the instruction (SDM 2B, REP).
    ("cpu/cpu.cc", "BX_CPU_C::repeat_ZF(bxInstruction_c *i, BxRepIterationPtr_tR execute)\n{",
     "BX_CPU_C::repeat_ZF(bxInstruction_c *i, BxRepIterationPtr_tR execute)\n{\n#undef BX_CPU_CALL_REP_ITERATION\n"
     "#define BX_CPU_CALL_REP_ITERATION(func, args) (BX_CPU_THIS_PTR oszapc = before, (this->*(func)) args)\n"
     "  const bx_lazyflags_entry before = BX_CPU_THIS_PTR oszapc;"),
    ("cpu/cpu.cc", "BX_ASYNC_EVENT_STOP_TRACE;\n}\n\n// boundaries of consideration:",
     "BX_ASYNC_EVENT_STOP_TRACE;\n  BX_CPU_THIS_PTR oszapc = before;\n}\n\n// boundaries of consideration:"),
    # KVM reads IA32_DEBUGCTL, which the emulator does not have, around every VM entry: no line in the log for that.
    ("cpu/msr.cc", 'BX_ERROR(("RDMSR: Unknown register', 'BX_DEBUG(("RDMSR: Unknown register'),
)


def mend(source):
    """Makes the lab's changes; each must find its place exactly once."""
    for name, old, new in CHANGES:
        file = os.path.join(source, name)
        with open(file) as f:
            text = f.read()
        if text.count(old) != 1:
            raise LabError(f"the source of Bochs is not what the lab expects ({name})")
        with open(file, "w") as f:
            f.write(text.replace(old, new))


def build(tarball, directory, counting):
    """Builds the emulator from its tarball and keeps the program alone."""
    say(f"building Bochs 3.0{' that counts' if counting else ''} (some two minutes)")
    configure = CONFIGURE + (["--enable-instrumentation=instrument/lab"] if counting else [])
    with cache.making(directory) as new:
        source = os.path.join(new, "source")
        os.mkdir(source)
        run(["tar", "-xf", tarball, "-C", source, "--strip-components=1"], "unpacking Bochs")
        mend(source)
        if counting:
            shutil.copytree(INSTRUMENT, os.path.join(source, "instrument/lab"))
        run(["./configure", *configure], "configuring Bochs", cwd=source, env={"CFLAGS": FLAGS, "CXXFLAGS": FLAGS})
        run(["make", f"-j{os.cpu_count()}", "bochs"], "building Bochs", cwd=source)
        shutil.copy(os.path.join(source, "bochs"), os.path.join(new, "bochs"))
        run(["strip", os.path.join(new, "bochs")], "stripping Bochs")
        shutil.rmtree(source)


def describe():
    """What runs the machine, in words."""
    if program() != DEBIANS:
        return "Bochs 3.0 (built for this processor)"
    return "Debian's own Bochs 2.7 (several times slower than 3.0, whose source could not be had)"


# nopku: Bochs up to 3.0 applies a guest's PKRU to L0 after a VM exit. idle=halt: idle processors that wait with MWAIT
# keep waking one another. tsc_early_khz: the model's CPUID may name the real processor's frequency.
COMMAND_LINE = "nopku idle=halt tsc=reliable tsc_early_khz=100000 no_timer_check"

# MiB: what the emulator keeps in its own memory (more goes through a file), and what a machine can have.
MOST_HOST_MEMORY = 2048
MOST_MEMORY = 4096

CONFIG = """\
cpu: model={cpu}, count={cpus}, ips=100000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest={memory}, host={host_memory}
romimage: file={bios}
vgaromimage: file={vga_bios}
{boot}
clock: sync={sync}, time0=local
com1: enabled=1, {com1}
com2: enabled=1, mode=file, dev={directory}/com2
com3: enabled=1, mode=file, dev={directory}/com3
log: {directory}/bochs.log
logprefix: %t-%e-@%i-%d
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
"""

FROM_MEMORY = """\
display_library: nogui
optromimage1: file={directory}/boot.rom, address={rom:#x}
optramimage1: file={directory}/kernel, address={kernel:#x}
optramimage2: file={directory}/initrd, address={initrd:#x}"""

FROM_CD = """\
display_library: {display}
ata0-master: type=cdrom, path={image}, status=inserted
boot: cdrom"""


def _configure(options, directory, boot, com1, sync):
    """Writes the emulator's configuration."""
    text = CONFIG.format(cpu=options.cpu, cpus=options.cpus, memory=options.memory,
                         host_memory=min(options.memory, MOST_HOST_MEMORY), bios=BIOS, vga_bios=VGA_BIOS, boot=boot,
                         sync=sync, directory=directory, com1=com1)
    with open(os.path.join(directory, "bochsrc"), "w") as f:
        f.write(text)


def _binary(options, directory):
    """The emulator that the options ask for."""
    if options.memory > MOST_MEMORY:
        raise LabError(f"--memory takes up to {MOST_MEMORY} on Bochs, whose firmware tells of no more")
    binary = program(options.count is not None)
    if options.count is not None:
        if binary == DEBIANS:
            raise LabError("--count needs Bochs built from its source, which could not be had")
        os.environ["LAB_COUNTS"] = os.path.join(directory, "counts")
    return binary


def prepare_cd(options, directory, image, com1):
    """Writes what the emulator reads for a machine that boots a CD and has nothing of the lab's; returns its command."""
    binary = _binary(options, directory)
    if binary == DEBIANS:
        raise LabError("a machine that boots a CD needs Bochs built from its source, which could not be had")
    _configure(options, directory, FROM_CD.format(display="nogui", image=os.path.abspath(image)), com1, "none")
    return [binary, "-q", "-f", os.path.join(directory, "bochsrc")]


def prepare(machine, initrd, command_line, com1):
    """Writes all that the emulator reads into the machine's directory; returns its command and a terminal for it."""
    options, directory = machine.options, machine.directory
    binary = _binary(options, directory)
    with open(machine.kernel.vmlinuz, "rb") as f:
        image = f.read()
    own = binary != DEBIANS
    boot = (_from_memory if own else _from_cd)(directory, image, initrd, command_line, options.memory)
    # A person's idle machine should not run ahead of the clock, and leave the processor to others.
    _configure(options, directory, boot, com1, "none" if options.command else "slowdown")
    command = [binary, "-q", "-f", os.path.join(directory, "bochsrc")]
    if own:
        return command
    # The distribution's build draws on a terminal, so it gets one that nobody sees; its debugger waits to be told to go.
    with open(os.path.join(directory, "go"), "w") as f:
        f.write("continue\n")
    return ["script", "-qec", " ".join([*command, "-rc", os.path.join(directory, "go")]), "/dev/null"]


def _from_memory(directory, image, initrd, command_line, memory):
    """The machine has kernel and initrd in its memory when it is switched on, and a ROM that starts them."""
    try:
        setup, kernel = bootrom.split(image)
    except bootrom.NotAKernel as e:
        raise LabError(f"L0's kernel cannot be booted: {e}") from e
    # The initrd goes near the top of memory, below the BIOS's tables and what a 32-bit loader may name.
    top = min(memory << 20, 0x7FE00000) - (4 << 20)
    address = (top - len(initrd)) & ~0x1FFFFF
    init_size = struct.unpack_from("<L", image, 0x260)[0]
    if address < 0x1000000 + init_size:
        raise LabError(f"{memory} MiB of memory hold no initrd of {len(initrd) >> 20} MiB")
    rom = bootrom.build(setup, command_line, address, len(initrd))
    for name, data in (("boot.rom", rom), ("kernel", kernel), ("initrd", initrd)):
        with open(os.path.join(directory, name), "wb") as f:
            f.write(data)
    return FROM_MEMORY.format(directory=directory, rom=bootrom.ROM_ADDRESS, kernel=bootrom.KERNEL_ADDRESS,
                              initrd=address)


def _from_cd(directory, image, initrd, command_line, memory):
    """The distribution's build cannot put large files into memory; it boots from a CD."""
    del memory
    disc = os.path.join(directory, "boot.iso")
    cdimage.make(disc, image, initrd, command_line)
    return FROM_CD.format(display="term", image=disc)


def read_log(directory):
    """What the emulator knows: whether L0 triple-faulted, why the emulator stopped, and failed VM entries."""
    try:
        with open(os.path.join(directory, "bochs.log"), errors="replace") as f:
            lines = [line.rstrip() for line in f]
    except FileNotFoundError:
        lines = []
    panics = [line for line in lines if "PANIC" in line or re.match(r"\d+-p-", line)]
    return {
        "triple_fault": any("3rd (" in line for line in panics),
        "panics": panics,
        "vmfail": [line for line in lines if "VMFAIL" in line or "VMENTER FAIL" in line],
    }


def read_counts(directory):
    """What the instrumented build counted: a dictionary for each pair of markers."""
    try:
        with open(os.path.join(directory, "counts")) as f:
            return [{key: int(value) for key, value in (word.split("=") for word in line.split())} for line in f]
    except FileNotFoundError:
        return []

# SPDX-License-Identifier: GPL-2.0
"""Builds and configures Bochs, which emulates all of VMX, and reads its log."""
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
DEBIANS = "/usr/bin/bochs"   # used if the source cannot be downloaded
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
    """Hashes all that a build depends on, with the processor that -march=native selects."""
    with open("/proc/cpuinfo") as f:
        processor = next((line for line in f if line.startswith("flags")), "")
    return hashlib.sha256(repr((processor, CONFIGURE, FLAGS, CHANGES, SHA256)).encode()).hexdigest()[:8]


def program(counting=False):
    """Returns the path of the emulator, which is built once; `counting` selects the instrumented build.

    If the source cannot be downloaded, Debian's own Bochs is installed instead.
    """
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
    """Names the instrumented build by a hash of the instrumentation."""
    digest = hashlib.sha256()
    for name in sorted(os.listdir(INSTRUMENT)):
        with open(os.path.join(INSTRUMENT, name), "rb") as f:
            digest.update(f.read())
    return "count-" + digest.hexdigest()[:8]


# The lab's changes to the source of 3.0: file, old text, new text.
_REST = "(BX_MEM_THIS block_size - (offset & (BX_MEM_THIS block_size - 1)))"
_NEXT_EVENT = "bx_pc_system.getNumCpuTicksLeftNextEvent()"
CHANGES = (
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


def mend(source):
    """Applies CHANGES to the source. Each old text must be there exactly once."""
    for name, old, new in CHANGES:
        file = os.path.join(source, name)
        with open(file) as f:
            text = f.read()
        if text.count(old) != 1:
            raise LabError(f"the source of Bochs is not what the lab expects ({name})")
        with open(file, "w") as f:
            f.write(text.replace(old, new))


def build(tarball, directory, counting):
    """Builds the emulator from its tarball, and keeps only the program."""
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
    """Describes the engine in a message."""
    if program() != DEBIANS:
        return "Bochs 3.0 (built for this processor)"
    return "Debian's own Bochs 2.7 (several times slower than 3.0, whose source could not be downloaded)"


# nopku: after a VM exit, Bochs up to 3.0 applies the guest's PKRU to L0. idle=halt: idle processors in MWAIT wake one
# another all the time. tsc_early_khz: the CPUID of some models reports the real processor's frequency.
COMMAND_LINE = "nopku idle=halt tsc=reliable tsc_early_khz=100000 no_timer_check"

# In MiB: the memory of a machine that the emulator keeps in its own (the rest is in a file), and a machine's limit.
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
    """Returns the path of the emulator for these options."""
    if options.memory > MOST_MEMORY:
        raise LabError(f"--memory takes up to {MOST_MEMORY} on Bochs, whose firmware reports no more")
    binary = program(options.count is not None)
    if options.count is not None:
        if binary == DEBIANS:
            raise LabError("--count needs Bochs built from its source, which could not be downloaded")
        os.environ["LAB_COUNTS"] = os.path.join(directory, "counts")
    return binary


def prepare_cd(options, directory, image, com1):
    """Writes the emulator's configuration for a machine that boots a CD, and returns the emulator's command."""
    binary = _binary(options, directory)
    if binary == DEBIANS:
        raise LabError("a machine that boots a CD needs Bochs built from its source, which could not be downloaded")
    _configure(options, directory, FROM_CD.format(display="nogui", image=os.path.abspath(image)), com1, "none")
    return [binary, "-q", "-f", os.path.join(directory, "bochsrc")]


def prepare(machine, initrd, command_line, com1):
    """Writes the emulator's files into the machine's directory, and returns the emulator's command."""
    options, directory = machine.options, machine.directory
    binary = _binary(options, directory)
    with open(machine.kernel.vmlinuz, "rb") as f:
        image = f.read()
    own = binary != DEBIANS
    boot = (_from_memory if own else _from_cd)(directory, image, initrd, command_line, options.memory)
    # The idle machine of a person at a shell keeps to real time, and leaves the processor to others.
    _configure(options, directory, boot, com1, "none" if options.command else "slowdown")
    command = [binary, "-q", "-f", os.path.join(directory, "bochsrc")]
    if own:
        return command
    # Debian's build draws on a terminal and gets a hidden one. Its debugger waits for the command to continue.
    with open(os.path.join(directory, "go"), "w") as f:
        f.write("continue\n")
    return ["script", "-qec", " ".join([*command, "-rc", os.path.join(directory, "go")]), "/dev/null"]


def _from_memory(directory, image, initrd, command_line, memory):
    """Puts kernel and initrd into the machine's memory, and an option ROM that starts them."""
    try:
        setup, kernel = bootrom.split(image)
    except bootrom.NotAKernel as e:
        raise LabError(f"L0's kernel cannot be booted: {e}") from e
    # The initrd goes near the top of memory, below the BIOS's tables and the limit of a 32-bit loader.
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
    """Makes a CD to boot from, because Debian's build cannot put large files into memory."""
    del memory
    disc = os.path.join(directory, "boot.iso")
    cdimage.make(disc, image, initrd, command_line)
    return FROM_CD.format(display="term", image=disc)


def read_log(directory):
    """Returns a triple fault of L0, the reasons why the emulator stopped, and failed VM entries from the log."""
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
    """Returns the counts of the instrumented build, a dictionary for each pair of markers."""
    try:
        with open(os.path.join(directory, "counts")) as f:
            return [{key: int(value) for key, value in (word.split("=") for word in line.split())} for line in f]
    except FileNotFoundError:
        return []

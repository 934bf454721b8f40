# SPDX-License-Identifier: GPL-2.0
"""Builds and configures Bochs, which emulates all of VMX, and reads its log."""
import contextlib
import hashlib
import os
import re
import shutil
import struct

import bootrom
import cache
import cdimage
import debian
import mends
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
HERE = os.path.dirname(os.path.abspath(__file__))
INSTRUMENT = os.path.join(HERE, "instrument")
STRICT = os.path.join(HERE, "strict")
FLAGS = "-O3 -march=native -fomit-frame-pointer -w"


def _recipe():
    """Hashes all that a build depends on, with the processor that -march=native selects."""
    with open("/proc/cpuinfo") as f:
        processor = next((line for line in f if line.startswith("flags")), "")
    return hashlib.sha256(repr((processor, CONFIGURE, FLAGS, mends.CHANGES, SHA256, _digest(STRICT))).encode()).hexdigest()[:8]


def _digest(directory):
    """Returns a hash of a directory's files."""
    digest = hashlib.sha256()
    for name in sorted(os.listdir(directory)):
        with open(os.path.join(directory, name), "rb") as f:
            digest.update(f.read())
    return digest.hexdigest()


def program(counting=False):
    """Returns the path of the emulator, which is built once; `counting` selects the instrumented build.

    If the source cannot be downloaded, Debian's own Bochs is installed instead. LAB_BOCHS names another program, for work
    on the emulator itself.
    """
    if os.environ.get("LAB_BOCHS"):
        return os.environ["LAB_BOCHS"]
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
    return "count-" + _digest(INSTRUMENT)[:8]


def mend(source):
    """Adds the strict machine to the source, and applies the changes. Each old text must be there exactly once."""
    shutil.copytree(STRICT, os.path.join(source, "cpu", "strict"))
    for name, old, new in mends.CHANGES:
        file = os.path.join(source, name)
        with open(file) as f:
            text = f.read()
        if text.count(old) != 1:
            raise LabError(f"the source of Bochs is not what the lab expects ({name}: {old[:60]!r})")
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


# idle=halt: idle processors in MWAIT wake one another all the time. tsc_early_khz: the CPUID of some models reports the
# real processor's frequency.
COMMAND_LINE = "idle=halt tsc=reliable tsc_early_khz=100000 no_timer_check"

TOPICS = ("checks", "translations", "vmcs", "storms", "msrs")   # of the strict machine


def _rules():
    """Returns the names of the SDM's rules that the lab has added to Bochs."""
    with open(os.path.join(STRICT, "rules.def")) as f:
        return tuple(re.findall(r'^RULE\(\w+, "(.*)"\)', f.read(), re.M))


RULES = _rules()
# Bugs and features of its processor (strict/msrs.cc). Bugs have Linux's names.
TRAITS = ("l1tf", "meltdown", "mds", "itlb_multihit", "spec_store_bypass", "tsx_async_abort", "mmio_stale_data", "spectre_v2",
          "retbleed", "bhi", "gather_data_sampling", "reg_file_data_sampling", "indirect_target_selection", "bhi_ctrl",
          "split_lock", "old_microcode")

# In MiB: the memory of a machine that the emulator keeps in its own (the rest is in a file), and a machine's limit.
MOST_HOST_MEMORY = 2048
MOST_MEMORY = 4096

CONFIG = """\
cpu: model={cpu}, count={cpus}, ips=100000000, reset_on_triple_fault=0, ignore_bad_msrs=1, msrs={directory}/msrs
memory: guest={memory}, host={host_memory}
romimage: file={bios}
vgaromimage: file={vga_bios}
{boot}
clock: sync={sync}, time0={time}
pci: enabled=1, chipset=i440fx{slots}
{disk}
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

# MSRs that Bochs lacks: address, type, value at reset, reserved bits, ignored bits; each but the first two as two halves.
# IA32_MISC_ENABLE (SDM Vol. 4, Table 2-2): fast strings are enabled, as on any processor (else Linux does without REP
# MOVSB and STOSB, and clears a page by 704 instructions); bits 11 and 12: neither BTS nor PEBS.
MSRS = """\
0x1a0 0 0x0 0x1801 0x0 0x0 0x0 0x0
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

FIRST_DATE = 1735689600    # 1 January 2025


def topics(strict):
    """Returns the names of the strict machine's topics in a value of --strict."""
    names = {word.partition("=")[0] for word in (strict or "").split(",") if word}
    return set(TOPICS) if "all" in names else names


# The second channel of IDE, because the first may have a CD.
DISK = """\
ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15
ata1-master: type=disk, path={path}, mode=flat, cylinders={cylinders}, heads=16, spt=63"""
CYLINDER = 16 * 63 * 512   # bytes


def _disk(options):
    """Returns the lines for the machine's disk, if it has one. The image grows to whole cylinders."""
    if not options.disk:
        return ""
    cylinders = max(-(-os.path.getsize(options.disk) // CYLINDER), 1)
    os.truncate(options.disk, cylinders * CYLINDER)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(options.disk + ".lock")       # of an emulator that was killed
    return DISK.format(path=os.path.abspath(options.disk), cylinders=cylinders)


def _configure(options, directory, boot, com1, sync):
    """Writes the emulator's configuration."""
    text = CONFIG.format(cpu=options.cpu, slots=", slot1=pcivga" if options.vga else "", disk=_disk(options), cpus=options.cpus, memory=options.memory,
                         host_memory=min(options.memory, MOST_HOST_MEMORY), bios=BIOS, vga_bios=VGA_BIOS, boot=boot,
                         # A storm is the same in each run, so the machine's date is, too.
                         time=FIRST_DATE if "storms" in topics(options.strict) else "local", sync=sync, directory=directory, com1=com1)
    with open(os.path.join(directory, "bochsrc"), "w") as f:
        f.write(text)
    with open(os.path.join(directory, "msrs"), "w") as f:
        f.write(MSRS)


def _binary(options, directory):
    """Returns the path of the emulator for these options."""
    if options.memory > MOST_MEMORY:
        raise LabError(f"--memory takes up to {MOST_MEMORY} on Bochs, whose firmware reports no more")
    binary = program(options.count is not None)
    if options.count is not None:
        if binary == DEBIANS:
            raise LabError("--count needs Bochs built from its source, which could not be downloaded")
        os.environ["LAB_COUNTS"] = os.path.join(directory, "counts")
        if options.count_own:
            os.environ["LAB_COUNT_OWN"] = "1"
        if options.profile:
            os.environ["LAB_PROFILE"] = os.path.abspath(options.profile)
    if options.strict and binary == DEBIANS:
        raise LabError("--strict needs Bochs built from its source, which could not be downloaded")
    if options.lenient and binary == DEBIANS:
        raise LabError("--lenient needs Bochs built from its source, which could not be downloaded")
    os.environ["LAB_STRICT"] = options.strict or ""
    os.environ["LAB_LENIENT"] = options.lenient or ""
    os.environ["LAB_HOST_TRAITS"] = options.host_traits or ""
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


def read_strict(directory):
    """Returns the reports of the strict machine."""
    try:
        with open(os.path.join(directory, "strict.log"), errors="replace") as f:
            return [line.rstrip() for line in f]
    except FileNotFoundError:
        return []

# SPDX-License-Identifier: GPL-2.0
"""The lab's command line."""
import argparse
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bochs
import cache
import debian
import deblibvirt
import debqemu
import debtracers
import debxen
import kernels
import kvmselftests
import machine
from cache import LabError, say

EPILOG = """\
exit status of exec: the command's own, or
  119  the strict machine reported misuse
  120  the lab could not do its work         123  L0's processor shut down (triple fault)
  121  L0's kernel reported a bug, or leaks  124  the command ran into --timeout
  122  L0's kernel panicked                  125  the machine hangs, or ended by itself
always with a sentence on the standard error that says so.

What is downloaded or built is kept in ${XDG_CACHE_HOME:-~/.cache}/droste.
"""


def parser():
    top = argparse.ArgumentParser(
        prog="scripts/lab", description="An emulated machine with VMX, to run Droste in.", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="what", metavar="WHAT", required=True)

    run = commands.add_parser("exec", help="boot L0, run a command in it, exit with its status", epilog=EPILOG,
                              formatter_class=argparse.RawDescriptionHelpFormatter)
    machine_options(run)
    limit_options(run)
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND...",
                     help="one argument is a shell line, several are a program and its arguments")

    shell = commands.add_parser("shell", help="boot L0 with a shell on the terminal; Ctrl-] ends it")
    machine_options(shell)

    commands.add_parser("setup", help="install the Debian packages that the lab needs")

    prepare = commands.add_parser("prepare", aliases=["fetch"], help="do all downloads and builds now")
    prepare.add_argument("--kernel", action="append", choices=kernels.NAMES,
                         help="this kernel, not all; may be given several times")

    build = commands.add_parser("build-module", help="build droste.ko for a kernel of the lab, print its path")
    build.add_argument("--kernel", default="6.12", choices=kernels.NAMES)
    build.add_argument("--kunit", action="store_true", help="build droste_kunit.ko, the KUnit tests (debug kernel)")
    build.add_argument("--kvmtrace", action="store_true", help="print the path of droste_kvmtrace.ko, which is built with it")
    build.add_argument("--plant", action="store_true", help="build plant.ko, which plants faults for the strict machine")
    build.add_argument("--vfio", action="store_true", help="build lab_vfio.ko, a device of VFIO without hardware")

    where = commands.add_parser("path", help="print the path of something in the cache, made if need be")
    where.add_argument("thing", choices=["kernel", "vmlinuz", "headers", "modules", "bochs", "source", "cache", "qemu", "tracers", "libvirt",
                                         *(f"qemu-{version}" for version in debqemu.SUITES),
                                         *(f"kvm-selftests-{release}" for release in kvmselftests.RELEASES),
                                         *(f"xen-{version}" for version in debxen.SUITES)])
    where.add_argument("--kernel", default="6.12", choices=kernels.NAMES)

    image = commands.add_parser("make-initramfs", help="make an initramfs with busybox for an L1 or L2 guest")
    image.add_argument("--out", required=True, metavar="F")
    image.add_argument("--kernel", default="6.12", choices=kernels.NAMES)
    image.add_argument("--modules", default="", metavar="NAME,...", help="with what they depend on; modprobe finds them")
    image.add_argument("--file", action="append", default=[], metavar="PATH[:DEST]",
                       help="a file or directory to put in, at DEST or in the root directory")
    image.add_argument("--init", metavar="SCRIPT", help="/init (default: a shell on the console)")
    image.add_argument("--gzip", action="store_true", help="compress it")

    disc = commands.add_parser("make-cd", help="make a CD, or disk, that boots a kernel in a guest with firmware")
    disc.add_argument("--out", required=True, metavar="F")
    disc.add_argument("--linux", required=True, metavar="F", help="the kernel's bzImage")
    disc.add_argument("--initrd", required=True, metavar="F")
    disc.add_argument("--append", default="", metavar="WORDS", help="the kernel's command line")
    disc.add_argument("--xen", metavar="F", help="Xen, which starts the kernel as its dom0")
    disc.add_argument("--xen-append", default="", metavar="WORDS", help="Xen's command line")

    bare = commands.add_parser("boot-cd", help="boot a CD on the emulated machine, with nothing of the lab in it, and show "
                               "its first serial port until it powers off")
    processor_options(bare)
    limit_options(bare)
    bare.add_argument("cd", metavar="CD")
    return top


def processor_options(sub):
    sub.add_argument("--cpus", type=int, default=1, metavar="N")
    sub.add_argument("--memory", type=int, default=2048, metavar="MiB")
    sub.add_argument("--cpu", default="corei7_skylake_x", metavar="MODEL",
                     help="the machine's processor, by Bochs' name (default corei7_skylake_x)")
    sub.add_argument("--vga", action="store_true", help="the machine (on Bochs) has a graphics card on PCI, whose memory is a BAR")
    sub.add_argument("--disk", metavar="IMAGE", help="a disk, /dev/sda in L0, that keeps its contents in this file")


def limit_options(sub):
    sub.add_argument("--timeout", type=float, default=600, metavar="S",
                     help="seconds of the emulator's CPU time that it may run, 0 for no limit (default 600)")
    sub.add_argument("--count", nargs="?", const="", metavar="FILE",
                     help="count what is executed between two xchg %%bx,%%bx of a guest; into FILE as JSON too")
    sub.add_argument("--count-own", action="store_true",
                     help="(with --count) count only the processor that executes the first of the two, not all")
    sub.add_argument("--profile", metavar="FILE",
                     help="(with --count) also count root instructions by address: lines of tag, address, number into FILE")
    sub.add_argument("--paranoid", action="store_true", default=bool(os.environ.get("LAB_PARANOID")),
                     help="load Droste with paranoid=1, which compares each turn of the short loop with the general path")
    sub.add_argument("--strict", nargs="?", const="all", type=strict_topics, default=os.environ.get("LAB_STRICT"), metavar="TOPIC,...",
                     help="a machine stricter than hardware (docs/strict.md): " + ", ".join(bochs.TOPICS) + "; default all")
    sub.add_argument("--lenient", type=lenient_rules, default=os.environ.get("LAB_LENIENT"), metavar="RULE,...",
                     help="a machine that is as Bochs 3.0 in these rules of the SDM, or in all (docs/strict.md): "
                     + ", ".join(bochs.RULES))
    sub.add_argument("--host-traits", type=host_traits, default=os.environ.get("LAB_HOST_TRAITS"), metavar="NAME,...",
                     help="(with --strict=msrs) bugs and features of the machine's processor, which L0 then mitigates: "
                     + ", ".join(bochs.TRAITS))


def strict_topics(text):
    """The value of --strict: topics, of which storms may have a seed."""
    for word in text.split(","):
        if word.partition("=")[0] not in (*bochs.TOPICS, "all"):
            raise argparse.ArgumentTypeError(f"'{word}' is no topic; there are {', '.join(bochs.TOPICS)}, all")
    return text


def lenient_rules(text):
    """The value of --lenient."""
    for word in text.split(","):
        if word not in (*bochs.RULES, "all"):
            raise argparse.ArgumentTypeError(f"'{word}' is no rule; there are {', '.join(bochs.RULES)}, all")
    return text


def host_traits(text):
    """The value of --host-traits."""
    for word in text.split(","):
        if word not in bochs.TRAITS:
            raise argparse.ArgumentTypeError(f"'{word}' is no trait; there are {', '.join(bochs.TRAITS)}")
    return text


def machine_options(sub):
    sub.add_argument("--kernel", default="6.12", choices=kernels.NAMES, help="L0's kernel (default 6.12)")
    sub.add_argument("--hypervisor", default="droste", choices=["droste", "kvm", "none"],
                     help="what L0 loads: droste.ko of this tree, its own kvm_intel, or neither (default droste)")
    processor_options(sub)
    sub.add_argument("--file", action="append", default=[], metavar="PATH", dest="files",
                     help="a file or directory to copy to /lab")
    sub.add_argument("--append", default="", metavar="WORDS", help="more words for L0's kernel command line")
    sub.add_argument("--console", action="store_true", help="show L0's kernel log as it comes, on the standard error")
    sub.add_argument("--vmfail", action="store_true", help="always show why VMX instructions failed, not only in a failed run")
    sub.add_argument("--allow-splat", action="store_true", help="do not fail when L0's kernel log reports a bug")
    sub.add_argument("--kmemleak", action="store_true", help="(debug kernel) look for leaks after unloading Droste")
    sub.add_argument("--keep", action="store_true", help="keep the machine's files")


def machine_from(arguments, command):
    options = machine.Options()
    for name, value in vars(arguments).items():
        if hasattr(options, name):
            setattr(options, name, value)
    options.command = command
    check_processor(options)
    if options.host_traits and "msrs" not in bochs.topics(options.strict):
        raise LabError("--host-traits needs --strict=msrs")
    for name in "profile", "count_own":
        if getattr(options, name) and options.count is None:
            raise LabError(f"--{name.replace('_', '-')} needs --count")
    if options.kmemleak and options.kernel != "debug":
        raise LabError("--kmemleak needs --kernel debug")
    for file in options.files:
        if not os.path.exists(file):
            raise LabError(f"{file}: no such file")
    return options


def check_processor(options):
    if not 1 <= options.cpus <= 8:
        raise LabError("--cpus takes 1 to 8")
    if not 128 <= options.memory <= 16384:
        raise LabError("--memory takes 128 to 16384 MiB")
    if options.disk and not os.path.exists(options.disk):
        raise LabError(f"{options.disk}: no such file")


def do_exec(arguments):
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise LabError("exec needs a command: scripts/lab exec [options] -- COMMAND...")
    return machine.run(machine_from(arguments, command), kernels.get(arguments.kernel))


def do_shell(arguments):
    arguments.timeout = 0
    return machine.run(machine_from(arguments, None), kernels.get(arguments.kernel))


def do_setup(_):
    """The packages are installed before any action."""


def do_prepare(arguments):
    say(f"engine: {machine.engine().describe()}")
    for name in arguments.kernel or kernels.NAMES:
        kernel = kernels.get(name)
        say(f"kernel {name}: {kernel.release} in {kernel.directory}")
    say(f"QEMU to run in the lab: {debqemu.directory()}")


def do_build_module(arguments):
    import module
    build = (module.build_kunit if arguments.kunit else module.build_plant if arguments.plant
             else module.build_vfio if arguments.vfio else module.build)
    built = build(kernels.get(arguments.kernel))
    print(os.path.join(os.path.dirname(built), "droste_kvmtrace.ko") if arguments.kvmtrace else built)


def do_path(arguments):
    if arguments.thing == "cache":
        print(cache.ROOT)
    elif arguments.thing == "bochs":
        print(bochs.program())
    elif arguments.thing == "tracers":
        print(debtracers.directory())
    elif arguments.thing == "libvirt":
        print(deblibvirt.directory())
    elif arguments.thing == "qemu":
        print(debqemu.directory())
    elif arguments.thing.startswith("qemu-"):
        print(debqemu.newer(arguments.thing.removeprefix("qemu-")))
    elif arguments.thing.startswith("kvm-selftests-"):
        print(kvmselftests.directory(arguments.thing.removeprefix("kvm-selftests-")))
    elif arguments.thing.startswith("xen-"):
        print(debxen.directory(arguments.thing.removeprefix("xen-")))
    elif arguments.thing == "source":
        import debugkernel
        print(debugkernel.source())
    else:
        kernel = kernels.get(arguments.kernel)
        print({"kernel": kernel.directory, "vmlinuz": os.path.realpath(kernel.vmlinuz),
               "headers": os.path.realpath(kernel.headers), "modules": kernel.modules}[arguments.thing])


def do_make_initramfs(arguments):
    import gzip
    import initramfs
    names = [n for n in arguments.modules.split(",") if n]
    init = arguments.init or os.path.join(initramfs.HERE, "guest-init.sh")
    archive, _ = initramfs.base(kernels.get(arguments.kernel), names, init)
    for item in arguments.file:
        source, _, destination = item.partition(":")
        initramfs.add_file(archive, source, destination or os.path.basename(source.rstrip("/")))
    data = archive.bytes()
    with open(arguments.out, "wb") as f:
        f.write(gzip.compress(data, 6) if arguments.gzip else data)


def do_make_cd(arguments):
    import cdimage

    def contents(name):
        with open(name, "rb") as f:
            return f.read()
    cdimage.make(arguments.out, contents(arguments.linux), contents(arguments.initrd), arguments.append,
                 contents(arguments.xen) if arguments.xen else None, arguments.xen_append)


def do_boot_cd(arguments):
    import bare
    check_processor(arguments)
    if not os.path.exists(arguments.cd):
        raise LabError(f"{arguments.cd}: no such file")
    return bare.run(arguments, arguments.cd)


ACTIONS = {
    "exec": do_exec,
    "shell": do_shell,
    "setup": do_setup,
    "prepare": do_prepare,
    "fetch": do_prepare,
    "build-module": do_build_module,
    "path": do_path,
    "make-initramfs": do_make_initramfs,
    "make-cd": do_make_cd,
    "boot-cd": do_boot_cd,
}


def main():
    # A make that has called the lab has no job slots for those that the lab calls, which would warn of it.
    for name in ("MAKEFLAGS", "MFLAGS"):
        os.environ.pop(name, None)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))
    arguments = parser().parse_args()
    try:
        # Quick when all is there; a cache that is shared or older than this machine's packages says nothing about them.
        debian.install(debian.PACKAGES)
        return ACTIONS[arguments.what](arguments) or 0
    except LabError as e:
        say(str(e))
        return machine.STATUS_LAB
    except BrokenPipeError:
        return 141
    except OSError as e:
        say(f"{e.filename}: {e.strerror}" if e.filename else str(e))
        return machine.STATUS_LAB
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

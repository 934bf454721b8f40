# SPDX-License-Identifier: GPL-2.0
"""QEMU as the lab's engine, for hosts whose KVM offers VMX to its guests."""
import os

import debian
from cache import LabError

PROGRAM = "/usr/bin/qemu-system-x86_64"
COMMAND_LINE = ""


def nested_hardware():
    """Whether /dev/kvm offers VMX to L0."""
    try:
        with open("/proc/cpuinfo") as f:
            vmx = any(line.startswith("flags") and " vmx " in line for line in f)
        with open("/sys/module/kvm_intel/parameters/nested") as f:
            nested = f.read().strip() in ("Y", "1")
    except FileNotFoundError:
        return False
    return vmx and nested and os.access("/dev/kvm", os.R_OK | os.W_OK)


def emulated():
    """Whether QEMU is to emulate the processor, without VMX, to test this engine on any host."""
    return os.environ.get("LAB_ENGINE") == "qemu-tcg"


def describe():
    """Describes the engine in a message."""
    return "QEMU's emulation (no VMX)" if emulated() else "QEMU on this processor's own nested VMX"


def prepare(machine, initrd, command_line, com1):
    """Writes QEMU's files into the machine's directory, and returns QEMU's command."""
    debian.install(["qemu-system-x86"])
    options, directory = machine.options, machine.directory
    if emulated() and options.hypervisor != "none":
        raise LabError("QEMU emulates no VMX; use --hypervisor none")
    image = os.path.join(directory, "initrd")
    with open(image, "wb") as f:
        f.write(initrd)
    accelerator = ["-accel", "tcg", "-cpu", "max"] if emulated() else ["-accel", "kvm", "-cpu", "host"]
    command = [PROGRAM, *accelerator, "-machine", "pc", "-m", str(options.memory), "-smp", str(options.cpus),
               "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
               "-kernel", os.path.realpath(machine.kernel.vmlinuz), "-initrd", image, "-append", command_line]
    terminal = com1.removeprefix("mode=term, dev=")
    com1 = f"file,path={directory}/com1" if terminal == com1 else f"serial,path={terminal}"
    for number, device in enumerate((com1, f"file,path={directory}/com2", f"file,path={directory}/com3"), 1):
        command += ["-chardev", f"{device},id=c{number}", "-serial", f"chardev:c{number}"]
    if options.disk:
        command += ["-drive", f"file={os.path.abspath(options.disk)},format=raw,if=ide"]
    return command


def read_log(directory):
    """Returns the same as read_log() of bochs.py. With -no-reboot, QEMU ends silently when L0 triple-faults."""
    with open(os.path.join(directory, "emulator.out"), errors="replace") as f:
        words = f.read().strip()
    return {"triple_fault": not words, "panics": words.splitlines()[-1:], "vmfail": []}

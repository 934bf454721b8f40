# SPDX-License-Identifier: GPL-2.0
"""QEMU, as Debian has it, on Droste: machines, processor models, devices, the debugger's stub, saving and migrating."""
import os

from runner import Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(TREE, "scripts", "lab")
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "qemu.d")

FREESTANDING = """-m32 -O2 -Wall -ffreestanding -fno-pic -no-pie -static -nostdlib -mgeneral-regs-only -fno-stack-protector
    -fcf-protection=none -fno-strict-aliasing -fno-asynchronous-unwind-tables -Wl,-n -Wl,-Ttext=0x100000
    -Wl,--build-id=none -Wl,--no-warn-rwx-segments""".split()

SYMBOLS = {"main", "say", "aps_running"}        # of pc.c, where rsp.c sets its breakpoints


def source(name):
    return os.path.join(HERE, name)


def images(job):
    """What the cases need besides QEMU: the guest of pc.c, and a Linux with virtio's modules."""
    directory = job.path("images", "qemu")
    os.makedirs(directory, exist_ok=True)
    built = {name: os.path.join(directory, name) for name in ("pc.elf", "linux.cpio")}
    job.must(["gcc", *FREESTANDING, "-o", built["pc.elf"], source("pc-head.S"), source("pc.c")], 60, "pc.c builds")
    with open(os.path.join(directory, "symbols.sh"), "w") as f:
        f.write("".join(f"{name}={address}\n" for address, _, name in
                        (line.split() for line in job.output(["nm", built["pc.elf"]]).splitlines()) if name in SYMBOLS))
    job.must(["gcc", "-O2", "-Wall", "-static", "-o", os.path.join(directory, "rsp"), source("rsp.c")], 60, "rsp.c builds")
    job.must([LAB, "make-initramfs", "--out", built["linux.cpio"], "--modules", "virtio_blk,virtio_net,virtio-rng",
              "--init", source("guest.sh")], 120, "a Linux guest with virtio's modules")
    qemu = os.path.join(directory, "qemu-dir")
    snapshots = os.path.join(directory, "snap.qcow2")
    if not os.path.exists(qemu):
        os.symlink(job.output([LAB, "path", "qemu"]), qemu)
    job.must(["qemu-img", "create", "-q", "-f", "qcow2", snapshots, "16M"], 60, "a disk for snapshots")


def cases(groups, cpus, memory, limit):
    """Groups of run.sh's cases in one boot of the lab."""
    def step(job):
        files = [os.path.join(job.path("images", "qemu"), name) for name in ("pc.elf", "rsp", "symbols.sh", "snap.qcow2", "linux.cpio", "qemu-dir")]
        files += [os.path.join(job.path("images", "6.12"), "vmlinuz"), source("run.sh")]
        job.tap([LAB, "exec", "--kernel", "6.12", "--cpus", str(cpus), "--memory", str(memory), "--timeout", str(limit),
                 *(word for file in files for word in ("--file", file)), "--", "./run.sh", *groups],
                limit + 600, "QEMU's cases")
    return step


STEPS = [
    Step("images-qemu", "guests for QEMU", images, ["images-6.12"]),
    Step("qemu-6.12", "QEMU: machines, interrupt controllers, models, debugger, saving, virtio",
         cases(["pcs", "gdb", "states", "linuxes", "linuxstate"], 2, 2048, 1500), ["build-6.12", "images-qemu"]),
]

# SPDX-License-Identifier: GPL-2.0
"""Debian's QEMU on Droste: machines, processor models, devices, the gdb stub, saving and migration."""
import os

from runner import Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(TREE, "scripts", "lab")
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "qemu.d")

FREESTANDING = """-m32 -O2 -Wall -ffreestanding -fno-pic -no-pie -static -nostdlib -mgeneral-regs-only -fno-stack-protector
    -fcf-protection=none -fno-strict-aliasing -fno-asynchronous-unwind-tables -Wl,-n -Wl,-Ttext=0x100000
    -Wl,--build-id=none -Wl,--no-warn-rwx-segments""".split()

SYMBOLS = {"main", "say", "aps_running"}        # of pc.c, for the breakpoints of rsp.c


def source(name):
    return os.path.join(HERE, name)


def images(job):
    """Makes the guests of the cases: that of pc.c, a Linux with virtio's modules, and an L1."""
    directory = job.path("images", "qemu")
    os.makedirs(directory, exist_ok=True)
    built = {name: os.path.join(directory, name) for name in ("pc.elf", "linux.cpio", "l1.cpio")}
    job.must(["gcc", *FREESTANDING, "-o", built["pc.elf"], source("pc-head.S"), source("pc.c")], 60, "pc.c builds")
    with open(os.path.join(directory, "symbols.sh"), "w") as f:
        f.write("".join(f"{name}={address}\n" for address, _, name in
                        (line.split() for line in job.output(["nm", built["pc.elf"]]).splitlines()) if name in SYMBOLS))
    job.must(["gcc", "-O2", "-Wall", "-static", "-o", os.path.join(directory, "rsp"), source("rsp.c")], 60, "rsp.c builds")
    job.must([LAB, "make-initramfs", "--out", built["linux.cpio"], "--modules", "virtio_blk,virtio_net,virtio-rng",
              "--init", source("guest.sh")], 120, "a Linux guest with virtio's modules")
    job.must([LAB, "make-initramfs", "--out", built["l1.cpio"], "--modules", "kvm_intel", "--init", source("l1.sh")], 120,
             "an L1 with kvm_intel")
    snapshots = os.path.join(directory, "snap.qcow2")
    job.must(["qemu-img", "create", "-q", "-f", "qcow2", snapshots, "16M"], 60, "a disk for snapshots")


def cases(groups, limit, qemu="qemu", hypervisor="droste"):
    """Returns a step that runs groups of the cases in run.sh. `qemu` is a name that "scripts/lab path" takes."""
    def step(job):
        link = job.path("images", job.step.name, "qemu-dir")
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(job.output([LAB, "path", qemu]), link)
        files = [os.path.join(job.path("images", "qemu"), name)
                 for name in ("pc.elf", "rsp", "symbols.sh", "snap.qcow2", "linux.cpio", "l1.cpio")]
        files += [link, os.path.join(job.path("images", "6.12"), "vmlinuz"), source("run.sh")]
        job.tap([LAB, "exec", "--kernel", "6.12", "--hypervisor", hypervisor, "--cpus", "2", "--memory", "2048", "--timeout", str(limit),
                 *(word for file in files for word in ("--file", file)), "--", "./run.sh", *groups],
                limit + 600, "QEMU's cases")
    return step


def viommu(limit):
    """Returns a step in which an L1 gives a device to its L2: viommu.sh."""
    def step(job):
        directory = job.path("images", job.step.name)
        os.makedirs(directory, exist_ok=True)
        link = os.path.join(directory, "qemu-dir")
        os.symlink(job.output([LAB, "path", "qemu"]), link)
        built = {name: os.path.join(directory, name) for name in ("l1.cpio", "l2.cpio")}
        job.must([LAB, "make-initramfs", "--out", built["l1.cpio"], "--modules", "kvm_intel,vfio_iommu_type1,vfio-pci",
                  "--init", source("viommu-l1.sh")], 120, "an L1 with kvm_intel and vfio-pci")
        job.must([LAB, "make-initramfs", "--out", built["l2.cpio"], "--init", source("viommu-l2.sh")], 120, "an L2 with a driver for NVMe")
        files = [*built.values(), link, os.path.join(job.path("images", "6.12"), "vmlinuz"), source("viommu.sh")]
        job.tap([LAB, "exec", "--kernel", "6.12", "--hypervisor", "droste", "--cpus", "1", "--memory", "2048", "--timeout", str(limit),
                 *(word for file in files for word in ("--file", file)), "--", "./viommu.sh"], limit + 600, "a device of L1 in L2")
    return step


IN_MAKE_TEST = ["pcs", "gdb", "states", "linuxes"]
GROUPS = [*IN_MAKE_TEST, "linuxstate", "nested"]

STEPS = [
    Step("images-qemu", "guests for QEMU", images, ["images-6.12"]),
    Step("qemu-6.12", "QEMU: machines, interrupt controllers, models, debugger, saving, virtio", cases(IN_MAKE_TEST, 1500),
         ["build-6.12", "images-qemu"]),
    # Five minutes; migrate-loop-short moves an L1 with its L2, and "states" small guests.
    Step("qemu-linuxstate", "a Linux with virtio that is migrated", cases(["linuxstate"], 1500),
         ["build-6.12", "images-qemu"], extra=True),
    # Three minutes; migrate-loop-short has an L1 under QEMU with an L2.
    Step("qemu-nested-6.12", "QEMU in an L1 under QEMU", cases(["nested"], 1500), ["build-6.12", "images-qemu"], extra=True),
    # Seven minutes, and t_nested_state and t_exchange save and restore the same state.
    Step("qemu-nestedstate", "an L1 that is saved and migrated while its L2 runs", cases(["nestedstate"], 3600),
         ["build-6.12", "images-qemu"], extra=True),
    Step("migrate-loop-linux", "a Linux L1 that is migrated four times while its L2 runs", cases(["nestedchain"], 3600),
         ["build-6.12", "images-qemu"], extra=True),
    Step("qemu-10", "the same with QEMU 10 of Debian 13, by the name of the device",
         cases(["by_device", *GROUPS], 3600, "qemu-10"), ["build-6.12", "images-qemu"], extra=True),
    Step("qemu-11", "the same with QEMU 11 of Debian's next", cases(["by_device", *GROUPS], 3600, "qemu-11"),
         ["build-6.12", "images-qemu"], extra=True),
    Step("qemu-viommu", "an L1 with an emulated IOMMU gives its NVMe disk to its L2", viommu(3600),
         ["build-6.12", "images-6.12"], extra=True),
    Step("qemu-kvm", "the reference: QEMU 7.2 on kvm_intel", cases(GROUPS, 3600, hypervisor="kvm"), ["images-qemu"], extra=True),
]

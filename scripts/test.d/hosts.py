# SPDX-License-Identifier: GPL-2.0
"""QEMU and libvirt that migrate a small L1 (nest.c), whose L2 writes to memory, back and forth."""
import glob
import lzma
import os

from runner import Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(TREE, "scripts", "lab")
HERE = os.path.dirname(os.path.abspath(__file__))
LIB = os.path.join(TREE, "selftests", "lib")

SHORT, FULL = 4, 50     # migrations on each interrupt controller
WITHOUT_PML = "corei7_haswell_4770"

FREESTANDING = """-O2 -g0 -Wall -Wextra -Wno-unused-parameter -std=gnu11 -ffreestanding -mgeneral-regs-only -mno-red-zone -fno-pic
    -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -fno-strict-aliasing -fno-jump-tables""".split()
LINK = """-nostdlib -static -no-pie -Wl,-z,muldefs -Wl,-z,noexecstack -Wl,-Ttext=0x400000 -Wl,--build-id=none -Wl,-n
    -Wl,--no-warn-rwx-segments""".split()
# The multiboot header comes first. Without inlining, guest.c calls the functions of nest.c that replace its own.
SOURCES = [("nest-head.S", []), ("nest.c", ["-ffixed-r15"]), ("guest.c", ["-fno-inline"]), ("vmx.c", []), ("vmxenter.S", []),
           ("entry.S", []), ("hotspin.S", [])]


def source(*names):
    return os.path.join(HERE, *names)


def image(job):
    """Makes nest.elf, as 32-bit ELF, which is what QEMU boots."""
    directory = job.path("images", "migrate")
    os.makedirs(directory, exist_ok=True)
    objects, whole = [], os.path.join(directory, "nest.elf64")
    for name, flags in SOURCES:
        file = source("hosts.d", name) if name.startswith("nest") else os.path.join(LIB, name)
        objects.append(os.path.join(directory, f"{name}.o"))
        job.must(["gcc", *FREESTANDING, *flags, f"-I{LIB}", "-c", "-o", objects[-1], file], 60, f"{name} builds")
    job.must(["gcc", *LINK, "-o", whole, *objects], 60, "nest.elf is linked")
    job.must(["objcopy", "-O", "elf32-i386", whole, os.path.join(directory, "nest.elf")], 60, "as 32-bit ELF")


def in_lab(job, name, files, command, limit, *words):
    job.tap([LAB, "exec", "--cpus", "2", "--memory", "2048", "--timeout", str(limit), *words,
             *(word for file in files for word in ("--file", file)), "--", *command], limit * 10, name)


def loop(times, groups, limit, qemu="qemu", words=()):
    """Returns a step that runs groups of loop.sh. `qemu` is a name that "scripts/lab path" takes."""
    def step(job):
        link = job.path("images", job.step.name, "qemu-dir")
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(job.output([LAB, "path", qemu]), link)
        in_lab(job, "migrations", [os.path.join(job.path("images", "migrate"), "nest.elf"), link, source("hosts.d", "loop.sh")],
               ["./loop.sh", str(times), *groups], limit, *words)
    return step


def libvirt(*groups):
    """Returns a step of Debian's libvirt on /dev/kvm, which is Droste: one domain on two hosts that are namespaces."""
    return lambda job: libvirt_groups(job, groups)


def libvirt_groups(job, groups):
    directory = job.path("images", job.step.name)
    os.makedirs(directory, exist_ok=True)
    link, veth = os.path.join(directory, "root"), os.path.join(directory, "veth.ko")
    os.symlink(job.output([LAB, "path", "libvirt"]), link)
    packed = glob.glob(os.path.join(job.output([LAB, "path", "modules", "--kernel", "6.12"]), "**", "veth.ko.xz"), recursive=True)
    with open(veth, "wb") as f:
        f.write(lzma.open(packed[0]).read())
    in_lab(job, "libvirt's cases", [os.path.join(job.path("images", "migrate"), "nest.elf"), link, veth,
                                    job.output([LAB, "build-module", "--kernel", "6.12"]), source("libvirt.d", "run.sh"),
                                    source("libvirt.d", "domain.xml")],
           [f"insmod droste.ko kvm_node=1 && ./run.sh {' '.join(groups)}"], 1800, "--hypervisor", "none")


def without_pml(job):
    """The dirty log of L1 and L2 where the processor has no page-modification logging."""
    programs = [os.path.join(TREE, "selftests/bin", name) for name in ("t_dirty", "t_dirty_l2")]
    in_lab(job, "the dirty log", [os.path.join(TREE, "selftests/run"), *programs],
           ["grep -q 'vmx flags.* pml' /proc/cpuinfo && exit 1; ./run"], 900, "--cpu", WITHOUT_PML)


BUILT = ["build-6.12", "images-migrate"]
STEPS = [
    Step("images-migrate", "a small L1 with an L2 for QEMU and libvirt", image, ["setup"]),
    Step("migrate-loop-short", f"{SHORT} migrations on each interrupt controller with QEMU 7.2", loop(SHORT, ["split", "full"], 1200), BUILT),
    *[Step(f"migrate-loop-{version}-{chip}", f"{FULL} migrations with {option} and QEMU {name}", loop(FULL, [chip], 7200, qemu), BUILT, extra=True)
      for version, name, qemu in (("7", "7.2", "qemu"), ("10", "10", "qemu-10"))
      for chip, option in (("split", "kernel-irqchip=split"), ("full", "kernel-irqchip=on"))],
    Step("migrate-loop-no-pml", "migrations where the processor has no page-modification logging",
         loop(SHORT, ["split", "full"], 1200, words=["--cpu", WITHOUT_PML]), BUILT, extra=True),
    Step("migrate-loop-postcopy", "post-copy with QEMU 7.2", loop(1, ["postcopy"], 1800), BUILT, extra=True),
    Step("migrate-loop-interrupted", "post-copy that is interrupted, and recovered", loop(1, ["interrupted"], 1800), BUILT, extra=True),
    Step("libvirt", "libvirt's QEMU driver on /dev/kvm: define, start, save, restore, virsh migrate", libvirt("life", "moves"), BUILT,
         extra=True),
    Step("libvirt-variants", "virsh migrate, tunnelled and by post-copy", libvirt("variants"), BUILT, extra=True),
    Step("dirty-no-pml", "the dirty log where the processor has no page-modification logging", without_pml, ["build-6.12", "selftests"],
         extra=True),
]

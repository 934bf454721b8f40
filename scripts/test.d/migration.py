# SPDX-License-Identifier: GPL-2.0
"""Guests that are saved, restored and moved by drostectl, and sources that die on the way."""
import os

from runner import Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(TREE, "scripts", "lab")
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "migration.d")
CTL = os.path.join(TREE, "ctl")
DUMPS = [os.path.join(CTL, "test", "pool", name) for name in ("skylake_x.cpu", "haswell.cpu")]

FREESTANDING = ["-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-ffreestanding", "-fno-pic", "-no-pie", "-mno-red-zone",
                "-mgeneral-regs-only", "-fno-stack-protector", "-fcf-protection=none", "-fno-asynchronous-unwind-tables", "-nostdlib",
                "-static", "-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Wl,--no-warn-rwx-segments"]
NEEDS = ["build-6.12", "images-6.12"]


def source(name):
    return os.path.join(HERE, name)


def files(*names):
    return [word for name in names for word in ("--file", name)]


def images(job):
    """Makes the guest with the pattern, what has it moved, and a pool that has less than the lab's processor."""
    directory = job.path("images", job.step.name)
    os.makedirs(directory, exist_ok=True)
    made = {name: os.path.join(directory, name) for name in ("pattern.elf", "pattern", "cuts", "port", "less.pool")}
    job.must(["gcc", *FREESTANDING, f"-Wl,-T,{source('pattern.ld')}", "-o", made["pattern.elf"],
              *(source(name) for name in ("pattern-head.S", "pattern.c", "pattern-l2.c"))], 60, "pattern.c builds")
    job.must(["objcopy", "-O", "binary", made["pattern.elf"], made["pattern"]], 60, "a bzImage is made of it")
    for name in ("cuts", "port"):
        job.must(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-s", "-o", made[name], source(f"{name}.c")], 60,
                 f"{name}.c builds")
    made["drostectl"] = os.path.join(job.path("images", "6.12"), "drostectl")
    with open(made["less.pool"], "w") as f:
        f.write(job.output([made["drostectl"], "cpu", "baseline", *DUMPS]) + "\n")
    return made


def exec_(job, made, names, command, kernel="6.12", limit=1200):
    job.tap([LAB, "exec", "--kernel", kernel, "--cpus", "2", "--timeout", str(limit),
             *files(*(made.get(name) or name for name in names)), "--", command], limit + 600, command)


# Name, words of the guest's command line, option of drostectl run.
KINDS = [("L1", "moves=2", "--barriers"), ("L2", "moves=2 l2", "--barriers"), ("L1-at-once", "moves=2", ""), ("L2-at-once", "moves=2 l2", "")]


def cut(job, made, runs, **machine):
    """Runs cuts in one machine: the name in KINDS, the first record, the step to the next, and at most how many."""
    kinds = {name: (words, option) for name, words, option in KINDS}
    commands = [f"./cuts {name} '{kinds[name][0]}' {first} {step} {most} {kinds[name][1]}" for name, first, step, most in runs]
    exec_(job, made, ["drostectl", "pattern", "cuts"], "; ".join(f'echo "# --- {n}"; {c}' for n, c in enumerate(commands)), **machine)


def short(job):
    """Saved, restored, moved, refused; and some sources die."""
    made = images(job)
    exec_(job, made, ["drostectl", "pattern", "less.pool", source("pattern.sh")], "./pattern.sh less.pool")
    cut(job, made, [("L1", 0, 1, 3), ("L1", 40, 23, 6), ("L2", 45, 23, 6), ("L1-at-once", 30, 29, 6), ("L2-at-once", 31, 29, 6)])


def cuts(job):
    """The source dies at each of the first 200 records with barriers, and at each record of a migration at once."""
    made = images(job)
    cut(job, made, [(name, 0, 1, 200) for name, *_ in KINDS], limit=9000)
    cut(job, made, [("L1", 7, 17, 12), ("L2", 11, 17, 12)], kernel="6.1")


def linux(job):
    """A Linux with two processors moves, and one whose L2 counts meanwhile."""
    made = images(job)
    given = job.path("images", "6.12")
    base = [LAB, "make-initramfs", "--file", f"{made['port']}:/port"]
    for name, more in (("l2.cpio", ["--init", source("l2.sh")]), ("guest.cpio", ["--init", source("guest.sh")])):
        made[name] = job.path("images", job.step.name, name)
        job.must([*base, "--out", made[name], *more], 120, f"{name} is made")
    made["vmlinuz"] = os.path.join(given, "vmlinuz")
    exec_(job, made, ["drostectl", "vmlinuz", "guest.cpio", source("linux.sh")], "./linux.sh")
    job.must([*base, "--out", made["guest.cpio"], "--modules", "kvm_intel",
              *(word for name in ("l2.cpio", "vmlinuz", "drostectl") for word in ("--file", f"{made[name]}:/{name}")),
              "--init", source("guest.sh")], 120, "a guest that runs an L2 is made")
    exec_(job, made, ["drostectl", "vmlinuz", "guest.cpio", source("linux.sh")], "./linux.sh l2", limit=2400)


def barrier(job):
    """WBINVD as a barrier of the module, on both kernels with two CPUs."""
    for kernel in ("6.12", "6.1"):
        job.tap([LAB, "exec", "--kernel", kernel, "--cpus", "2", "--timeout", "900",
                 *files(os.path.join(TREE, "selftests/run"), os.path.join(TREE, "selftests/bin/t_barrier")), "--", "./run"], 1500,
                f"t_barrier on {kernel}")


STEPS = [
    Step("migration-short", "guests that drostectl saves, restores and moves, and sources that die at some records", short, NEEDS),
    Step("migration-cuts", "the source of a migration dies at every record", cuts, [*NEEDS, "build-6.1"], extra=True),
    Step("migration-linux", "a Linux that moves, and one whose L2 runs", linux, NEEDS, extra=True),
    Step("wbinvd-barrier", "WBINVD as a barrier of all processors of a guest", barrier, ["build-6.12", "build-6.1", "selftests"], extra=True),
]

# SPDX-License-Identifier: GPL-2.0
"""What a guest shows of its machine, line by line against the machine itself: docs/stealth.md."""
import fnmatch
import glob
import os
import re

from runner import Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(TREE, "scripts", "lab")
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stealth.d")


class Allowed:
    """A row of stealth.d/allowed: which guests' lines may differ from the machine's, and why."""

    def __init__(self, text):
        name, _, self.reason = text.partition(" -- ")
        self.name, _, bits = name.partition(" & ")
        self.name = self.name.strip()
        self.bits = int(bits, 16) if bits else None
        self.used = False
        if not self.name or not self.reason.strip():
            raise ValueError(f"stealth.d/allowed: a row without name or reason: {text}")

    def covers(self, name, one, other):
        """Whether a line that is `one` on the machine may be `other` in the guest; None: it has no such line."""
        if not fnmatch.fnmatchcase(name, self.name):
            return False
        if self.bits is not None:
            try:
                if (int(one, 16) ^ int(other, 16)) & ~self.bits:
                    return False
            except (TypeError, ValueError):
                return False
        self.used = True
        return True


def allowed(guest):
    """Returns the rows for a guest: those below [NAME], up to the next such line."""
    rows, at = [], None
    with open(os.path.join(HERE, "allowed")) as f:
        for line in f:
            line = line.strip()
            if re.fullmatch(r"\[\w+\]", line):
                at = line[1:-1]
            elif line and not line.startswith("#") and at == guest:
                rows.append(Allowed(line))
    return rows


def machines(lines):
    """Returns {machine: {name: value}} of what run.sh printed."""
    found, at = {}, None
    for line in lines:
        if line.startswith("== "):
            at = found.setdefault(line[3:], {})
        elif at is not None and re.match(r"[a-z_]+\.[^:]*", line):     # not a line of the kernel
            name, _, value = line.partition(": ")
            at[name] = value
    return found


def differences(machine, guest, rows):
    """Returns the lines that differ and may not."""
    wrong = []
    for name in [*machine, *(n for n in guest if n not in machine)]:
        one, other = machine.get(name), guest.get(name)
        if name.startswith("time.") or one == other or any([row.covers(name, one, other) for row in rows]):
            continue
        wrong.append(f"{name}: {'no such line' if other is None else other}, and on the machine: {'no such line' if one is None else one}")
    return wrong


def compare(job, found, one, other):
    """Checks a guest's lines against a machine's, or another guest's."""
    for name in (one, other):
        job.check(f"the probe runs to its end: {name}", None if found.get(name, {}).get("probe.ends") else "it does not")
    rows = allowed(other)
    for line in differences(found.get(one, {}), found.get(other, {}), rows):
        job.check(f"{other} as {one}", line)
    unused = [row.name for row in rows if not row.used]
    job.check(f"each difference that is allowed to {other} is there", f"not there: {', '.join(unused)}" if unused else None)


def images(job, l2):
    """Builds the probe and the guests. Returns what L0 needs."""
    directory = job.path("images", job.step.name)
    os.makedirs(directory, exist_ok=True)
    built = {name: os.path.join(directory, name) for name in ("probe", "l1.cpio", "l2.cpio")}
    job.must(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread", "-D_GNU_SOURCE", "-o", built["probe"],
              *sorted(glob.glob(os.path.join(HERE, "*.c")))], 60, "the probe builds")
    base = [LAB, "make-initramfs", "--file", f"{built['probe']}:/probe", "--init", os.path.join(HERE, "guest.sh")]
    given = job.path("images", "6.12")
    job.must([*base, "--out", built["l2.cpio"], "--modules", "msr"], 120, "a guest with the probe")
    job.must([*base, "--out", built["l1.cpio"], "--modules", "msr,kvm_intel" if l2 else "msr",
              *(["--file", f"{built['l2.cpio']}:/l2.cpio", "--file", f"{given}/vmlinuz:/vmlinuz", "--file", f"{given}/drostectl:/drostectl"]
                if l2 else [])], 120, "L1")
    return [*built.values(), os.path.join(given, "vmlinuz"), os.path.join(given, "drostectl"), os.path.join(HERE, "run.sh")]


def hidden(job, found):
    """Checks that CPUID takes as long in the guest as on the machine, by the TSC; on one CPU, the lab's counts instructions."""
    took = [found.get(name, {}).get("time.cpuid-few.tsc", "nothing") for name in ("bare", "L1")]
    near = all(word.isdigit() for word in took) and abs(int(took[0]) - int(took[1])) <= 2
    job.check(f"CPUID takes {took[0]} ticks on the machine, {took[1]} in the guest", None if near else "they differ by more than two")


def stealth(l2=False, clock=False):
    """Returns a step that compares L1 with the machine, or with `l2` an L2 with a guest of kvm_intel on the machine."""
    def step(job):
        module = job.output([LAB, "build-module", "--kernel", "6.12"])
        lines = []
        cpus = "1" if l2 or clock else "2"
        status = job.command([LAB, "exec", "--hypervisor", "kvm" if l2 else "none", "--cpus", cpus, "--timeout", "900",
                              *(word for file in [module, *images(job, l2)] for word in ("--file", file)), "--", "./run.sh", cpus,
                              *(["clock"] if clock else [])],
                             1500, lines.append)
        job.check("the machines run", f"the lab's exit status is {status}: {'; '.join(lines[-3:])}" if status else None)
        found = machines(lines)
        compare(job, found, *(("KVM", "L2") if l2 else ("bare", "L1")))
        if clock:
            hidden(job, found)
    return step


def stealth_qemu(job):
    """Compares a guest of QEMU's with the machine. Each difference is a known one, because QEMU has its own devices."""
    module = job.output([LAB, "build-module", "--kernel", "6.12"])
    link = job.path("images", job.step.name, "qemu-dir")
    os.makedirs(os.path.dirname(link), exist_ok=True)
    os.symlink(job.output([LAB, "path", "qemu"]), link)
    lines = []
    status = job.command([LAB, "exec", "--hypervisor", "none", "--cpus", "2", "--memory", "2048", "--timeout", "900",
                          *(word for file in [module, link, *images(job, False)] for word in ("--file", file)), "--", "./run.sh", "2", "qemu"],
                         3000, lines.append)
    job.check("the machines run", f"the lab's exit status is {status}: {'; '.join(lines[-3:])}" if status else None)
    compare(job, machines(lines), "bare", "QEMU")


STEPS = [
    Step("stealth-l1", "a guest with the machine's profile, and the machine, by all that a program can ask", stealth(),
         ["build-6.12", "images-6.12"]),
    Step("stealth-l2", "an L2 of KVM in such a guest, and a guest of KVM on the machine itself", stealth(l2=True), ["build-6.12", "images-6.12"],
         extra=True),
    Step("stealth-clock", "the same on one CPU, with a clock that hides what CPUID costs", stealth(clock=True), ["build-6.12", "images-6.12"],
         extra=True),
    Step("stealth-qemu", "a guest of QEMU on Droste with the options of docs/stealth.md, and the machine", stealth_qemu,
         ["build-6.12", "images-6.12"], extra=True),
]

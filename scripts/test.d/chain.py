# SPDX-License-Identifier: GPL-2.0
"""The chain of three Linuxes: L0 with Droste, L1 with its own kvm_intel, and L2, in several combinations."""
import os

from runner import Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(TREE, "scripts", "lab")


class Chain:
    """One combination: the kernel of L0, the kernel of L1 and L2, the CPUs of each level, whether L1 uses EPT,
    whether it runs on the strict machine, and the exits that L1 and L2 are forced to take (drostectl run --force-exits)."""

    def __init__(self, l0, l0_cpus, linux, l1_cpus, ept, l2_cpus, limit=1500, strict=False, force=""):
        self.l0 = l0
        self.l0_cpus = l0_cpus
        self.linux = linux
        self.l1_cpus = l1_cpus
        self.ept = ept
        self.l2_cpus = l2_cpus
        self.limit = limit
        self.strict = strict
        self.force = force

    def name(self):
        return f"chain-{self.l0}-{'ept' if self.ept else 'noept'}-{self.l1_cpus}cpu" + ("-strict" if self.strict else "")

    def title(self):
        return (f"L0 {self.l0} on {self.l0_cpus} CPU, L1 Linux {self.linux} with {self.l1_cpus} vCPU "
                f"{'and' if self.ept else 'without'} EPT, L2 with {self.l2_cpus}"
                + (", on the strict machine" if self.strict else "")
                + (f", with forced exits ({self.force})" if self.force else ""))

    def expected(self):
        """Returns the lines that the levels must print. A missing line is a failure."""
        return [
            f"L1: kvm_intel is loaded: ept={'Y' if self.ept else 'N'} nested=Y on {self.l1_cpus} CPUs",
            "L2: user space runs; powering off",
            "L1: L2 powered off cleanly",
            "L1: kvm_intel is unloaded",
            "L0: L1 powered off cleanly",
        ]

    def run(self, job):
        images = job.path("images", self.linux)
        files = [w for f in sorted(os.listdir(images)) for w in ("--file", os.path.join(images, f))]
        lines = []
        status = job.command(
            [LAB, "exec", "--kernel", self.l0, "--cpus", str(self.l0_cpus), "--timeout", str(self.limit),
             *(["--strict"] if self.strict else []), *files, "--",
             *([f"FORCE_EXITS={self.force}"] if self.force else []), "./l0.sh", "/dev/droste", str(self.l1_cpus), "1024", f"l2cpus={self.l2_cpus}",
             *([] if self.ept else ["kvm_intel.ept=0"])], self.limit + 600, lines.append)
        missing = [line for line in self.expected() if not any(line in said for said in lines)]
        problems = [f"'{line}' is missing" for line in missing] + ([f"the lab's exit status is {status}"] if status else [])
        job.check(self.title(), "; ".join(problems) or None)


# Each value of L0's kernel occurs with each value of EPT and of L1's CPUs, and EPT with each number of L1's CPUs.
CHAINS = [
    Chain("6.12", 1, "6.12", 1, True, 1),
    Chain("6.12", 2, "6.12", 2, True, 2, strict=True),
    Chain("6.12", 1, "6.12", 2, False, 1),
    Chain("6.1", 2, "6.1", 2, True, 1),
    Chain("6.1", 1, "6.12", 1, False, 1),
    Chain("debug", 2, "6.12", 2, True, 1, limit=2400),
]


def images(linux):
    def step(job):
        job.must([os.path.join(TREE, "scripts/demo.d/images"), job.path("images", linux), linux], 900,
                 f"images of L1 and L2 with Linux {linux}")
    return step


def steps(l0):
    """Returns the steps of the chains on one kernel of L0.

    That of the debug kernel takes minutes, and has found nothing that its kselftests do not find; an L1 without EPT needs
    nothing that differs between host kernels. They run when they are named.
    """
    return [Step(c.name(), c.title(), c.run, [f"build-{c.l0}", f"images-{c.linux}"],
                 extra=l0 == "debug" or l0 == "6.1" and not c.ept)
            for c in CHAINS if c.l0 == l0]

# SPDX-License-Identifier: GPL-2.0
"""Steps with Debian's Xen as L1, whose dom0 runs guests as L2."""
import os
import re

from runner import Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
XEN = os.path.join(TREE, "scripts", "xen.d")


def images(version):
    def step(job):
        job.must([os.path.join(XEN, "images"), job.path("images", f"xen-{version}"), version], 1800,
                 f"Xen {version}, dom0 and its guests")
    return step


def run(version, hypervisor, cpus, words, limit):
    """Runs tests in dom0, which print TAP. L1 must also power off cleanly."""
    def step(job):
        lines = job.tap([os.path.join(XEN, "run"), job.path("images", f"xen-{version}"), hypervisor, str(cpus), str(limit),
                         *words], limit + 600, f"Xen {version}")
        for said in (r"1\.\.", r".*: Xen powered off cleanly$"):
            job.check(f"Xen {version} says '{said}'", None if any(re.match(said, line) for line in lines) else "it did not")
    return step


STEPS = [
    Step("images-xen-4.17", "Xen 4.17 of Debian 12, dom0 and its guests", images("4.17"), ["setup"], setup=True),
    Step("xen-4.17", "Xen 4.17 as L1, a PVH guest and an HVM guest as L2", run("4.17", "droste", 1, ["pvh", "hvm"], 1800),
         ["build-6.12", "images-xen-4.17"]),
    Step("xen-4.17-2cpu", "Xen 4.17 with 2 vCPUs, its guests through all of their lives",
         run("4.17", "droste", 2, ["pvh", "hvm", "full"], 3600), ["build-6.12", "images-xen-4.17"], extra=True),
    Step("xen-4.17-kvm", "the reference: the same on kvm_intel", run("4.17", "kvm", 1, ["pvh", "hvm", "full"], 3600),
         ["images-xen-4.17"], extra=True),
    Step("xen-4.17-bare", "the reference: the same on the emulated machine itself, without L0",
         run("4.17", "bare", 1, ["pvh", "hvm", "full"], 3600), ["images-xen-4.17"], extra=True),
    Step("images-xen-4.20", "Xen 4.20 of Debian 13, dom0 and its guests", images("4.20"), ["setup"], extra=True, setup=True),
    *(Step(f"xen-4.20-{cpus}cpu", f"Xen 4.20 as L1 with {cpus} vCPU, its guests through all of their lives",
           run("4.20", "droste", cpus, ["pvh", "hvm", "full"], 3600), ["build-6.12", "images-xen-4.20"], extra=True)
      for cpus in (1, 2)),
]

# SPDX-License-Identifier: GPL-2.0
"""Runs the KUnit suites of the pure parts on the debug kernel. droste_kunit.ko contains them."""
import glob
import os
import re

import tap
from runner import Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(TREE, "scripts", "lab")

# debugfs has the complete output of each suite. The kernel's log may lack a part.
COMMAND = "insmod droste_kunit.ko || exit 1; for s in /sys/kernel/debug/kunit/*; do echo \"# --- ${s##*/}\"; cat $s/results; done"


def suites():
    """Returns the names of the suites in the sources."""
    names = []
    for file in sorted(glob.glob(os.path.join(TREE, "kmod/test/*_kunit.c"))):
        with open(file) as f:
            for body in re.findall(r"struct kunit_suite \w+ = \{(.*?)\};", f.read(), re.S):
                names += re.findall(r"\.name\s*=\s*\"([^\"]+)\"", body)
    return names


def run(job):
    module = job.output([LAB, "build-module", "--kunit", "--kernel", "debug"])
    lines = job.tap([LAB, "exec", "--kernel", "debug", "--hypervisor", "none", "--timeout", "900",
                     "--file", module, "--", COMMAND], 1800, "the suites")
    seen = {m[1] for m in map(tap.PROGRAM.match, lines) if m}
    missing = [name for name in suites() if name not in seen]
    job.check("every suite has run", "missing: " + ", ".join(missing) if missing else None)


STEPS = [Step("kunit", "KUnit suites of the pure parts on the debug kernel", run, ["setup-debug"])]

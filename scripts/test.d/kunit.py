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


def cases():
    """Returns a dictionary of the suites in the sources: the names of each suite's cases."""
    found = {}
    for file in sorted(glob.glob(os.path.join(TREE, "kmod/test/*_kunit.c"))):
        with open(file) as f:
            text = f.read()
        arrays = {name: re.findall(r"KUNIT_CASE\w*\(\s*(\w+)", body)
                  for name, body in re.findall(r"struct kunit_case (\w+)\[\] = \{(.*?)\n\};", text, re.S)}
        for body in re.findall(r"struct kunit_suite \w+ = \{(.*?)\};", text, re.S):
            for name in re.findall(r"\.name\s*=\s*\"([^\"]+)\"", body):
                found[name] = arrays.get(re.search(r"\.test_cases\s*=\s*(\w+)", body)[1], [])
    return found


def suites():
    """Returns the names of the suites in the sources."""
    return list(cases())


def run(job):
    module = job.output([LAB, "build-module", "--kunit", "--kernel", "debug"])
    lines = job.tap([LAB, "exec", "--kernel", "debug", "--hypervisor", "none", "--timeout", "900",
                     "--file", module, "--", COMMAND], 1800, "the suites")
    seen = {m[1] for m in map(tap.PROGRAM.match, lines) if m}
    missing = [name for name in suites() if name not in seen]
    job.check("every suite has run", "missing: " + ", ".join(missing) if missing else None)


STEPS = [Step("kunit", "KUnit suites of the pure parts on the debug kernel", run, ["setup-debug"])]

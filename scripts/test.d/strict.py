# SPDX-License-Identifier: GPL-2.0
"""The step that plants faults, and expects the strict machine to notice each of them (docs/strict.md)."""
import os

import tap
from runner import Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(TREE, "scripts", "lab")

# The reports that the planted faults must cause, by topic and words. All other faults end as the SDM says, which plant.ko
# checks itself.
REPORTS = [
    ("checks", "will change the host's IA32_SYSENTER_EIP from"),
]


def plant(job):
    module = job.output([LAB, "build-module", "--kernel", "6.12", "--plant"])
    reports = []
    reader = tap.Reader(job.report)

    def each_line(text):
        if text.startswith("STRICT "):
            reports.append(text)
        else:
            reader.line(text)

    job.command([LAB, "exec", "--strict", "--hypervisor", "none", "--timeout", "300", "--file", module, "--",
                 "insmod plant.ko && dmesg | sed -n 's/^.*plant: //p'"], 900, each_line)
    reader.end()
    job.check("the guest ran", None if job.passed else job.sentence or "there is no result")
    for topic, words in REPORTS:
        found = [line for line in reports if line.startswith(f"STRICT {topic}: ") and words in line]
        job.check(f"{topic} reports: {words}", None if found else "there is no such line")
    others = [line for line in reports if not any(words in line for _, words in REPORTS)]
    job.check("nothing else is reported", "; ".join(others) or None)


STEPS = [
    Step("strict", "faults that the strict machine must notice", plant, ["setup"]),
]

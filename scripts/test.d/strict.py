# SPDX-License-Identifier: GPL-2.0
"""The steps that plant faults, and expect the strict machine to notice each of them (docs/strict.md)."""
import os
import re
import sys

import tap
from runner import Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(TREE, "scripts", "lab.d"))
import bochs
LAB = os.path.join(TREE, "scripts", "lab")
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "strict.d")

# The reports that the planted faults must cause, by topic and words. All other faults end as the SDM says, which plant.ko
# checks itself.
REPORTS = [
    ("checks", "will change the host's IA32_SYSENTER_EIP from"),
    ("translations", "has no translation now, without INVEPT"),
    ("translations", "and is 0x"),
    ("translations", "was cached with the rights"),
    ("translations", "was cached with the memory type"),
    ("translations", "was cached as not the APIC-access page and is now"),
    ("translations", "is the APIC-access page, and EPT maps it with an entry of level 3"),
    ("translations", "its dirty flag is clear now"),
    ("translations", "was cached without accessed and dirty flags, which are on now"),
    ("translations", "the EPT table of guest-physical"),
    ("translations", "a VM entry with another CR3 came between without INVVPID for VPID"),
    ("translations", "the guest's INVLPG came between without INVVPID for VPID"),
    ("translations", "the guest's MOV to a control register came between without INVVPID for VPID"),
    ("translations", "an INVVPID of the guest's hypervisor came between without INVVPID for VPID 0x21"),
    ("translations", "an INVVPID of the guest's hypervisor came between without INVVPID for VPID 0x22"),
    ("vmcs", "VMXOFF while the VMCS at"),
    ("vmcs", "software writes to"),
    ("vmcs", "in the VMCS region in use by CPU 0"),
    ("vmcs", "in the VMXON region in use by CPU 0"),
    ("vmcs", "VMREAD of field 0x2ffe"),
    ("vmcs", "VMWRITE of field 0x2ffe"),
    ("vmcs", "which VMCLEAR has not initialized"),
    *(("vmcs", f"VM entry whose {structure} at") for structure in (
        "MSR bitmap", "I/O bitmap A", "I/O bitmap B", "VMREAD bitmap", "VMWRITE bitmap", "virtual-APIC page",
        "APIC-access page", "posted-interrupt descriptor", "EPT PML4", "page-modification log", "#VE information area",
        "MSR-load area", "MSR-load area of VM exits", "MSR-store area")),
    ("vmcs", "VMXON with the region"),
    ("vmcs", "VMCLEAR of"),
    ("vmcs", "VMPTRLD of"),
    ("vmcs", "which is active on CPU 0"),
    ("vmcs", "is a VMCS active on CPU 1"),
    ("vmcs", "is in use by a guest on CPU 1"),
    ("vmcs", "INIT signal in VMX root operation while the VMCS at"),
    ("vmcs", "with interrupts disabled while the VMCS at"),
    ("msrs", "a guest runs with CR4.MCE clear"),
]


# Rules that need a model of the processor on which nothing else here works.
NOT_PLANTED = ("mtf-support",)


def program(job, name):
    """Builds a program of strict.d for L0, and returns its path."""
    path = job.path("strict", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    job.output(["cc", "-O2", "-Wall", "-static", "-pthread", "-o", path, os.path.join(HERE, f"{name}.c")])
    return path


def plant(job):
    """The faults of plant.ko. A storm would end its guests before they commit them."""
    module = job.output([LAB, "build-module", "--kernel", "6.12", "--plant"])
    reports = []
    reader = tap.Reader(job.report)

    def each_line(text):
        if text.startswith("STRICT "):
            reports.append(text)
        elif text.startswith("missed turns: "):
            job.check("without a storm CPUs take turns", None if int(text.split()[-1]) < 50 else text)
        else:
            reader.line(text)

    job.command([LAB, "exec", "--strict=checks,translations,vmcs,msrs", "--hypervisor", "none", "--cpus", "2",
                 "--timeout", "300", "--file", module, "--file", program(job, "turns"), "--",
                 "echo missed turns: $(./turns); insmod plant.ko && echo 0 >/sys/devices/system/cpu/cpu1/online; dmesg | sed -n 's/^.*plant: //p'"],
                900, each_line)
    reader.end()
    job.check("the guest ran", None if job.passed else job.sentence or "there is no result")
    for topic, words in REPORTS:
        found = [line for line in reports if line.startswith(f"STRICT {topic}: ") and words in line]
        job.check(f"{topic} reports: {words}", None if found else "there is no such line")
    others = [line for line in reports if not any(words in line for _, words in REPORTS)]
    job.check("nothing else is reported", "; ".join(others) or None)
    # Where the machine is as lenient as Bochs 3.0, the same faults must pass: the rules' switches work, and a fault is noticed by
    # its rule alone.
    command = ["env", "-u", "LAB_STRICT", LAB, "exec", "--cpu", "tigerlake", "--hypervisor", "none", "--timeout", "300",
               "--file", module]
    show = "dmesg | sed -n 's/^.*plant: //p'"
    lines = job.tap([*command, "--lenient=all", "--", f"insmod plant.ko lenient=all; {show}"], 900, "a lenient machine")
    passed = [rule for line in lines if line.startswith("ok") for rule in line.partition(", without ")[2].split(",")]
    for rule in bochs.RULES:
        if rule not in NOT_PLANTED:
            job.check(f"without {rule} a fault passes", None if rule in passed else "no fault of the rule was planted")
    # The rule that the usual model does not need.
    job.tap([*command, "--", f"insmod plant.ko 'which=\"an external interrupt with error code\"'; {show}"], 900, "tigerlake")


def msrs(job):
    """The MSRs and CPUID of a processor with bugs, machine checks, split locks, and the counts of barriers."""
    files = [os.path.join(HERE, "msrs.sh"), os.path.join(TREE, "selftests/bin/t_basic"),
             *(program(job, name) for name in ("blockstep", "labmsr", "poison", "splitlock"))]
    job.tap([LAB, "exec", "--hypervisor", "kvm", "--strict=msrs",
             "--host-traits", "l1tf,mds,itlb_multihit,bhi,mmio_stale_data,split_lock", "--append", "split_lock_detect=fatal",
             *(word for name in files for word in ("--file", name)), "--", "./msrs.sh"], 600, "the strict machine's MSRs")


def host(job):
    """The host's side of entries and exits on a processor with bugs: barriers, split locks, machine checks, large pages."""
    lines = job.tap([LAB, "exec", "--strict=msrs", "--host-traits", "l1tf,mds,split_lock,spectre_v2,itlb_multihit",
                     "--file", os.path.join(TREE, "selftests/bin/t_host"),
                     "--file", os.path.join(TREE, "selftests/bin/t_ept01"), "--", "./t_host; ./t_ept01"], 600, "t_host, t_ept01")
    job.check("large pages are split there", None if "# large pages are split" in lines else "; ".join(lines[-6:]))
    # On the lab's usual model Linux takes the microcode for one whose IBRS and IBPB are broken.
    lines = job.tap([LAB, "exec", "--strict=msrs", "--cpu", "corei7_icelake_u", "--host-traits", "spectre_v2,l1tf,mds",
                     "--file", os.path.join(TREE, "selftests/bin/t_host"),
                     "--file", os.path.join(TREE, "selftests/bin/t_features"), "--",
                     "./t_host --filter '*barriers*'; ./t_features --filter '*SPEC_CTRL*'"], 600, "t_host with IBRS and IBPB")
    tested = any(re.match(r"ok \d+ barriers of L1 and L2$", line) for line in lines)
    job.check("IBPB and IA32_SPEC_CTRL are counted", None if tested else "the subtest was skipped or not run")


def storms(job):
    """A race that a storm exposes, NMIs that reach their handler, and the same run from the same seed."""
    files = [os.path.join(HERE, "storms.sh"), program(job, "labmsr"),
             *(os.path.join(TREE, "selftests/bin", name) for name in ("t_basic", "t_vmx_basic"))]
    command = [LAB, "exec", "--strict=storms=7", *(word for name in files for word in ("--file", name)), "--", "./storms.sh"]
    runs = [[line for line in job.tap(command, 600, "a storm") if line.startswith("# this run")] for _ in range(2)]
    mixed = [os.path.join(HERE, "storms-2cpu.sh"), program(job, "turns"), os.path.join(TREE, "selftests/bin/t_vmx_mixed")]
    job.tap([LAB, "exec", "--cpus", "2", "--strict=storms=7", *(word for name in mixed for word in ("--file", name)), "--",
             "./storms-2cpu.sh"], 900, "a storm on two CPUs")
    job.check("the same seed gives the same run", None if runs[0] and runs[0] == runs[1] else f"the runs tell {runs}")


STEPS = [
    Step("strict", "faults that the strict machine must notice", plant, ["setup"]),
    Step("strict-msrs", "the strict machine's MSRs, machine checks and counts of barriers", msrs, ["setup", "selftests"]),
    Step("strict-host", "barriers, split locks and machine checks of guests on a processor with bugs", host,
         ["build-6.12", "selftests"]),
    Step("strict-storms", "storms of interrupts and NMIs on the strict machine", storms, ["build-6.12", "selftests"], extra=True),
]

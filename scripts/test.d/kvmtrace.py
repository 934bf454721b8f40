# SPDX-License-Identifier: GPL-2.0
"""droste_kvmtrace.ko with Debian's perf and trace-cmd: what they count must be what Droste counts."""
import collections
import os
import re

from runner import Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(TREE, "scripts", "lab")
HERE = os.path.dirname(os.path.abspath(__file__))

# What the subtest "accesses to devices and MSRs" does, as perf shows it, with the number of accesses.
ACCESSES = {
    "perf mmio": {"0x10000000:R": 2, "0x10000000:W": 1, "0xfee000b0:W": 1, "0xfee00380:R": 1, "0xfee00380:W": 1},
    "perf ioport": {"0x5678:PIN": 2, "0x5678:POUT": 2, "0x21:PIN": 1, "0x21:POUT": 1},
    "perf msr": {"0x1b:R": 1, "0x10a0:W": 1, "0x10a0:R": 1, "0x6e0:W": 1},
}


def reasons(headers):
    """Returns the kernel's names of exit reasons by number, which perf and trace-cmd show."""
    header = re.sub("-(cloud-)?amd64$", "-common", headers)
    with open(os.path.join(header, "arch/x86/include/uapi/asm/vmx.h")) as f:
        text = f.read()
    numbers = {name: int(number) for name, number in re.findall(r"#define (EXIT_REASON_\w+)\s+(\d+)", text)}
    return {numbers[name]: shown for name, shown in re.findall(r"\{ (EXIT_REASON_\w+),\s*\"(\w+)\" \}", text)}


def sections(lines):
    """Returns the lines behind each "== NAME": [(name, lines)]."""
    found, at = [], None
    for line in lines:
        if line.startswith("== "):
            at = None if line == "== end" else []
            if at is not None:
                found.append((line[3:], at))
        elif at is not None:
            at.append(line)
    return found


def table(lines):
    """Returns the samples by name in a report of "perf kvm stat", or in all of several."""
    counts = collections.Counter()
    for line in lines:
        match = re.match(r"\s*(\S+)\s+(\d+)\s+[\d.]+%", line)
        if match:
            counts[match[1]] += int(match[2])
    return dict(counts)


def differences(got, want):
    """Returns how two dictionaries differ, or None."""
    keys = [k for k in sorted({*got, *want}) if got.get(k, 0) != want.get(k, 0)]
    return "; ".join(f"{k}: {got.get(k, 0)}, expected {want.get(k, 0)}" for k in keys) or None


def live(got, want):
    """Returns what is wrong with the exits that "perf kvm stat live" showed, or None. It does not show all of a burst."""
    wrong = [f"{k}: {n} of {want.get(k, 0)}" for k, n in got.items() if n > want.get(k, 0)]
    return "; ".join(wrong) or (None if got else "it shows none")


def tools(kernel, cpus):
    """Returns a step that runs kvmtrace.sh."""
    def step(job):
        module = job.output([LAB, "build-module", "--kernel", kernel])
        kvmtrace = job.output([LAB, "build-module", "--kernel", kernel, "--kvmtrace"])
        link = job.path("images", job.step.name, "tracers")
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(job.output([LAB, "path", "tracers"]), link)
        files = [module, kvmtrace, link, os.path.join(TREE, "selftests/bin/t_kvmtrace"), os.path.join(HERE, "kvmtrace.sh")]
        lines = job.tap([LAB, "exec", "--kernel", kernel, "--hypervisor", "kvm", "--cpus", str(cpus), "--memory", "2048",
                         "--timeout", "900", *(word for file in files for word in ("--file", file)), "--", "./kvmtrace.sh"],
                        1500, "perf and trace-cmd")
        names = reasons(job.output([LAB, "path", "headers", "--kernel", kernel]))
        counters, seen = {}, set()
        for name, text in sections(lines):
            if name == "counters":
                counters = {names[int(number)]: int(n) for number, n in re.findall(r"# exits (\d+) (\d+)", "\n".join(text))}
                job.check("the subtest has printed its counters", None if counters else "it has not")
                continue
            if name == "trace-cmd":
                got = {reason: int(n) for n, reason in re.findall(r"(\d+) (\w+)", "\n".join(text))}
                # The VM's last exit, a call to the host, is not in the counters that are printed.
                want = {**counters, "IO_INSTRUCTION": counters.get("IO_INSTRUCTION", 0) + 1}
            else:
                got, want = table(text), ACCESSES.get(name, counters)
            if name == "perf ioport":
                got = {k: n for k, n in got.items() if not k.startswith("0xd05:")}  # calls to the host
            if name == "perf live":
                job.check("perf live shows exits that Droste counts", live(got, want))
            else:
                job.check(f"{name}: as many as Droste counts", differences(got, want))
            seen.add(name)
        missing = {*ACCESSES, "perf vmexit", "perf live", "trace-cmd"} - seen
        job.check("all reports are there", f"without {', '.join(sorted(missing))}" if missing else None)
    return step


STEPS = [
    Step("kvmtrace", "perf and trace-cmd on Droste as on KVM", tools("6.12", 1), ["build-6.12", "selftests"], extra=True),
]

# SPDX-License-Identifier: GPL-2.0
"""Steps for tests that are named one by one: programs and subtests of the kselftests, and suites of KUnit."""
import fnmatch
import glob
import os
import re
import shlex
import subprocess
import sys

import kunit
from runner import Broken, Refused, Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(TREE, "scripts", "lab")
BIN = os.path.join(TREE, "selftests", "bin")
UNIT = os.path.join(TREE, "scripts", "unit.d")

HELP = """\
a step may be:
  NAME                            a step of --list, the beginning of several steps' names, or a glob of them
  selftests:PROGRAM[/SUBTEST]     programs of selftests/ and their subtests, by names or globs: selftests:t_cpu,
                                  selftests:t_cpu/CPUID, 'selftests:t_vmx_*/*EPT*'
  kunit:SUITE[.CASE]              suites of KUnit on the debug kernel, by names or globs: kunit:droste_walk
  unit:SUITE[.CASE]               the same suites in user space, in seconds
--list with such a name prints the tests that it stands for.
"""
SELFTESTS = re.compile(r"selftests(?:-(6\.12|6\.1|debug)-(\d)cpus?(?:-(kvm))?(-strict)?)?:(.+)", re.S)


def programs():
    """Returns the names of the kselftest programs."""
    return sorted(os.path.basename(f)[:-2] for f in glob.glob(os.path.join(TREE, "selftests", "t_*.c")))


class Machine:
    """The machine that kselftests run on."""

    def __init__(self, kernel, cpus, hypervisor, strict=False):
        self.kernel = kernel
        self.cpus = cpus
        self.hypervisor = hypervisor
        self.strict = strict

    def name(self):
        return (f"{self.kernel}-{self.cpus}cpu" + ("-kvm" if self.hypervisor == "kvm" else "")
                + ("-strict" if self.strict else ""))


def split(word, default):
    """Splits a name of kselftests into the machine, the programs and the subtests' glob. None if it is no such name."""
    match = SELFTESTS.fullmatch(word)
    if not match:
        return None
    kernel, cpus, hypervisor, strict, spec = match.groups()
    machine = Machine(kernel, int(cpus), hypervisor or "droste", bool(strict)) if kernel else default
    program, _, subtest = spec.partition("/")
    chosen = fnmatch.filter(programs(), program)
    if not chosen:
        raise Refused(f"there is no kselftest program '{program}'; ls selftests/t_*.c names them")
    return machine, chosen, subtest


def build(names):
    return ["make", "-s", f"-j{os.cpu_count()}", "-C", os.path.join(TREE, "selftests"), "bin/run", *(f"bin/{n}" for n in names)]


def subtests(program, pattern):
    """Returns the subtests of a built program that match a glob."""
    return subprocess.run([os.path.join(BIN, program), "--list", *(["--filter", pattern] if pattern else [])],
                          capture_output=True, text=True).stdout.splitlines()


def run_selftests(machine, specs, limit):
    """Returns a step's function that runs pairs of a program and a subtests' glob, or "", in one machine."""
    def step(job):
        names = sorted({name for name, _ in specs})
        if job.command(build(names), 900):
            raise Broken("the kselftest programs do not build")
        wanted = [(name, pattern) for name, pattern in specs if not pattern or subtests(name, pattern)]
        for pattern in sorted({pattern for _, pattern in specs} - {pattern for _, pattern in wanted}):
            of = ", ".join(sorted({name for name, other in specs if other == pattern}))
            job.check(pattern, f"there is no such subtest in {of}; scripts/test --list selftests:PROGRAM prints the names")
        if not wanted:
            return
        command = ["./run", *(f"{name}/{pattern}" if pattern else name for name, pattern in wanted)]
        device = "DROSTE_DEVICE=/dev/kvm " if machine.hypervisor == "kvm" else ""
        slow = "KSFT_HANG_SECONDS=200 " if machine.kernel == "debug" else ""    # as in the whole step
        files = [os.path.join(BIN, name) for name in ("run", *sorted({name for name, _ in wanted}))]
        job.tap([LAB, "exec", "--kernel", machine.kernel, "--cpus", str(machine.cpus), "--timeout", str(limit),
                 "--hypervisor", machine.hypervisor, *(["--strict"] if machine.strict else []),
                 *(["--kmemleak"] if machine.kernel == "debug" and not device else []),
                 *(w for file in files for w in ("--file", file)), "--", slow + device + shlex.join(command)],
                limit + 600, "kselftests")
    return step


def run_kunit(patterns):
    """Returns a step's function that runs some suites on the debug kernel, one boot for each glob."""
    def step(job):
        module = job.output([LAB, "build-module", "--kunit", "--kernel", "debug"])
        for pattern in patterns:
            job.tap([LAB, "exec", "--kernel", "debug", "--hypervisor", "none", "--timeout", "900", "--append",
                     f"kunit.filter_glob={pattern}", "--file", module, "--", kunit.COMMAND], 1800, f"kunit:{pattern}")
    return step


def run_unit(patterns):
    """Returns a step's function that runs the suites, or some of them, in user space."""
    def step(job):
        if job.command(["make", "-s", f"-j{os.cpu_count()}", "-f", os.path.join(UNIT, "Makefile")], 900, cwd=TREE):
            raise Broken("the suites do not build in user space")
        for pattern in patterns:
            job.tap([os.path.join(UNIT, "build", "unit"), "--filter", pattern], 600, f"unit:{pattern}")
    return step


def check_pattern(word, options):
    kind, _, pattern = word.partition(":")
    suite, _, case = pattern.partition(".")
    known = kunit.cases()
    chosen = fnmatch.filter(known, suite)
    if not chosen:
        raise Refused(f"there is no suite '{suite}' of KUnit; scripts/test --list '{kind}:*' names them")
    if case and not any(fnmatch.filter(known[name], case) for name in chosen):
        raise Refused(f"there is no case '{case}' in {', '.join(chosen)}; scripts/test --list '{kind}:{suite}.*' names them",
                      status=1)
    if kind == "kunit" and options.kernel not in (None, "debug"):
        raise Refused("of the lab's kernels only debug has KUnit; unit: runs the suites without a kernel")
    return pattern


def check_subtests(words):
    """Refuses names of subtests that no program has. Builds the programs; the step reports it if they do not build."""
    for word in words:
        found = split(word, Machine("6.12", 1, "droste"))
        if found and found[2]:
            _, names, pattern = found
            if subprocess.run(build(names), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
                continue
            if not any(subtests(name, pattern) for name in names):
                raise no_subtest(names, pattern)


def no_subtest(names, pattern):
    return Refused(f"there is no subtest '{pattern}' in {', '.join(names)}; scripts/test --list selftests:PROGRAM names them",
                   status=1)


def steps(words, options):
    """Returns the steps for the words with a colon: one for each machine."""
    default = Machine(options.kernel or "6.12", options.cpus or 1, options.hypervisor or "droste")
    machines, patterns = {}, {"kunit": [], "unit": []}
    for word in words:
        kind = word.partition(":")[0]
        if kind in patterns:
            patterns[kind].append(check_pattern(word, options))
            continue
        found = split(word, default)
        if not found:
            raise Refused(f"'{word}' is no name of a test; scripts/test --help describes them")
        machine, names, pattern = found
        machines.setdefault(machine.name(), (machine, []))[1].extend((name, pattern) for name in names)
    picked = []
    for name, (machine, specs) in machines.items():
        picked.append(Step(f"picked-{name}", "kselftests " + ", ".join(f"{p}/{s}" if s else p for p, s in specs),
                           run_selftests(machine, specs, 2400 if machine.kernel == "debug" else 1200)))
        picked[-1].again = [f"selftests-{name}:{p}" + (f"/{s}" if s else "") for p, s in specs]
    for kind, run in (("kunit", run_kunit), ("unit", run_unit)):
        if patterns[kind]:
            picked.append(Step(f"picked-{kind}", f"KUnit suites {', '.join(patterns[kind])}", run(patterns[kind])))
            picked[-1].again = [f"{kind}:{p}" for p in patterns[kind]]
    for step in picked:
        step.picked = True
    return picked


def show(word, options):
    """Prints the tests that a name with a colon stands for. At least one must exist."""
    kind, _, pattern = word.partition(":")
    if kind in ("kunit", "unit"):
        pattern = check_pattern(word, options)
        suite, _, case = pattern.partition(".")
        known = kunit.cases()
        for name in fnmatch.filter(known, suite):
            print("\n".join(f"{kind}:{name}.{c}" for c in fnmatch.filter(known[name], case)) if case else f"{kind}:{name}")
        return
    machine, names, pattern = split(word, Machine(options.kernel or "6.12", options.cpus or 1, "droste")) or (None, [], "")
    if not names:
        raise Refused(f"'{word}' is no name of a test; scripts/test --help describes them")
    if subprocess.run(build(names), stdout=sys.stderr).returncode:
        raise Refused("the kselftest programs do not build")
    found = [f"selftests:{name}/{subtest}" for name in names for subtest in subtests(name, pattern)]
    if not found:
        raise no_subtest(names, pattern)
    print("\n".join(found))


def again(step):
    """Returns the words that run again what failed in a step of a run's results: a step, or some of its programs."""
    failed = [t["name"].partition(": ")[0] for t in step["tests"] if t["outcome"] == "failed"]
    if step.get("again"):
        # The failed test's program is the first part of its name, if the step runs programs.
        return [w for w in step["again"] if w.partition(":")[2].partition("/")[0] in failed] or step["again"]
    if re.match(r"selftests-.*cpu(-strict)?$", step["name"]) and failed and set(failed) <= set(programs()):
        return [f"{step['name']}:{name}" for name in sorted(set(failed))]
    return [step["name"]]

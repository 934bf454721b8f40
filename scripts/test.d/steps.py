# SPDX-License-Identifier: GPL-2.0
"""The steps of scripts/test. Those that the longest chain of other steps waits for start first (times.py)."""
import os
import sys

import chain
import force
import hosts
import kunit
import kvmtests
import kvmtrace
import lab
import migration
import pick
import plants
import pool
import qemu
import stealth
import strict
import xen
from runner import Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(TREE, "scripts", "lab")
EMUL_CASES = 200000     # random instructions that the emulator and the host's processor execute


def prepare(kernel):
    def step(job):
        job.must([LAB, "prepare", "--kernel", kernel], 3600, f"the lab has kernel {kernel}")
    return step


def build(kernel):
    def step(job):
        job.must([LAB, "build-module", "--kernel", kernel], 1200, f"droste.ko builds for {kernel}")
    return step


def ctl(job):
    job.tap(["make", "-s", "-C", os.path.join(TREE, "ctl"), "check"], 900, "drostectl's unit checks")


def tools(job):
    job.tap([sys.executable, os.path.join(TREE, "scripts", "test.d", "toolcheck.py")], 600, "the tools")


def demo_instrument(job):
    """Fails if a command of the session fails, or says nothing of what it should."""
    lines = job.output([os.path.join(TREE, "scripts", "demo-instrument")]).splitlines()
    for want in ("badentry: VMLAUNCH has failed", "RFLAGS_IF  SDM 3C 27.3.1.4", "The merge explains all control bits.",
                 "L0: L1 powered off cleanly"):
        job.check(f"it prints: {want}", None if want in lines else "it does not")
    job.check("events of droste_route", None if any("droste_route: vm" in line for line in lines) else "there are none")


def scale(job):
    """Fails if an exit costs over 10 % more with 8 vCPUs, takes locks, or keeps interrupts disabled for long."""
    for kernel in ("6.12", "debug"):
        job.must([os.path.join(TREE, "scripts", "bench"), "scale", kernel], 3600, f"exits of 1 to 8 vCPUs on the kernel {kernel}")


def ple(job):
    """Fails if L0's exits of PAUSE loops do not help a lock's holder, or L1 sees what is not its own."""
    programs = [os.path.join(TREE, "selftests/bin", name) for name in ("t_ple", "t_pv")]
    for kernel, cpus in (("6.12", 1), ("6.1", 2)):
        job.tap([LAB, "exec", "--kernel", kernel, "--cpus", str(cpus), "--timeout", "900",
                 *lab.files(os.path.join(TREE, "selftests/run"), *programs), "--", "./run"], 1200, f"t_ple and t_pv on {kernel} with {cpus} CPUs")
    job.must([os.path.join(TREE, "scripts", "bench"), "lhp", "small"], 3600, "a lock that two vCPUs on one CPU hand over")


def bench(job):
    """Fails if a row fails, or costs over 5 % more than in docs/bench.json."""
    results = job.path("bench.json")
    job.must([os.path.join(TREE, "scripts", "bench"), "--json", results, "--svg", job.path("bench.svg")], 7200, "the benchmark")
    job.must([os.path.join(TREE, "scripts", "bench"), "compare", os.path.join(TREE, "docs", "bench.json"), results], 60,
             "no row costs over 5 % more than in docs/bench.json")


def host(job):
    job.tap(["make", "-s", "-C", os.path.join(TREE, "kmod/emul/diff"), "check", f"CASES={EMUL_CASES}",
             f"OUTPUT={job.path('images', 'emul-diff')}"], 1800, "the emulator agrees with this processor")


def style(job):
    job.tap([os.path.join(TREE, "scripts", "check-style")], 3600, "check-style")


def style_changed(job):
    job.must([os.path.join(TREE, "scripts", "check-style"), "--changed"], 900, "check-style of the files that changed")


# The programs of selftests-quick: one of each part, those that take a second or two.
QUICK_PROGRAMS = ("t_basic", "t_cpu", "t_memory", "t_irq", "t_vmx_basic", "t_vmx_checks", "t_vmx_ept", "t_vmx_events")
# What to run before each commit, in under five minutes when the cache is warm.
QUICK = ("unit", "ctl", "tools", "style-changed", "chain-6.12-ept-1cpu", "selftests-quick")

STEPS = [
    Step("setup", "packages, the emulator and Linux 6.12", prepare("6.12"), setup=True),
    Step("setup-debug", "the debug kernel, built from Debian's source", prepare("debug"), ["setup"], setup=True),
    Step("build-6.12", "droste.ko for Linux 6.12", build("6.12"), ["setup"], setup=True),
    Step("images-6.12", "drostectl, and images of L1 and L2 with Linux 6.12", chain.images("6.12"), ["setup"]),
    Step("selftests", "the kselftest programs", lab.build_selftests, ["setup"], setup=True),
    *chain.steps("6.12"),
    *lab.steps("6.12"),
    *qemu.STEPS,
    *stealth.STEPS,
    *strict.STEPS,
    *pool.STEPS,
    *migration.STEPS,
    *hosts.STEPS,
    *plants.STEPS,
    Step("newer", "protection keys and 5-level paging, on a model of processor that has them", lab.newer_processor,
         ["build-6.12", "selftests"]),
    Step("apicv-off", "APIC virtualization for L1 is left out where that is asked for", lab.without_apicv, ["build-6.12", "selftests"]),
    Step("hot", "the kselftests of nesting, with each turn of the short loop checked", lab.hot, ["build-6.12", "selftests"], extra=True),
    Step("io", "the paths of accesses to ports and MMIO", lab.instrument("t_io", "t_io_memory", "t_mmio", "t_mmio_fast", "t_coalesced"),
         ["build-6.12", "build-6.1", "selftests"], extra=True),
    Step("pfnmap", "memory of devices in slots, and the device for VFIO", lab.pfnmap, ["build-6.12", "build-6.1", "selftests"], extra=True),
    *force.STEPS,
    Step("trace", "the tracepoints, and drostectl trace", lab.trace, ["build-6.12", "build-6.1", "selftests"], extra=True),
    Step("inspect", "looking at VMs from outside", lab.instrument("t_inspect", "t_inspect_fields", "t_inspect_regs", "t_ept_look", "t_badcaller"), ["build-6.12", "build-6.1", "selftests"],
         extra=True),
    Step("multicall", "10,000 random lists by Droste's hypercall and by instructions", lab.multicall, ["build-6.12", "selftests"], extra=True),
    *kvmtrace.STEPS,
    Step("demo-instrument", "the session of docs/instrument.md", demo_instrument, ["build-6.12", "images-6.12"], extra=True),
    Step("kvm-node", "Droste as /dev/kvm where that is asked for", lab.kvm_node, ["build-6.12", "selftests"]),
    Step("exchange", "nested state that goes from kvm_intel to Droste and back", lab.exchange, ["build-6.12", "selftests"]),
    Step("refusals", "insmod where Droste cannot run", lab.refusals, ["build-6.12", "images-6.12"]),
    Step("kexec", "another kernel started while a guest runs", lab.kexec, ["build-6.12", "images-6.12"], extra=True),
    Step("setup-6.1", "Linux 6.1", prepare("6.1"), ["setup"], setup=True),
    Step("build-6.1", "droste.ko for Linux 6.1", build("6.1"), ["setup-6.1"], setup=True),
    Step("images-6.1", "images of L1 and L2 with Linux 6.1", chain.images("6.1"), ["setup-6.1", "images-6.12"]),
    *chain.steps("6.1"),
    *lab.steps("6.1"),
    Step("ctl", "drostectl's own tests", ctl, ["images-6.12"]),
    Step("unit", "the KUnit suites of the pure parts in user space", pick.run_unit(["*"]), ["setup"]),
    Step("tools", "the scripts themselves: names of tests, results, messages, --help", tools, ["selftests"]),
    Step("host", "the emulator against this machine's processor", host, ["setup"]),
    Step("build-debug", "droste.ko for the debug kernel", build("debug"), ["setup-debug"], setup=True),
    *kunit.STEPS,
    *chain.steps("debug"),
    *lab.steps("debug"),
    *xen.STEPS,
    *kvmtests.STEPS,
    Step("selftests-quick", "some kselftest programs on 6.12 with 1 CPU",
         pick.run_selftests(pick.Machine("6.12", 1, "droste"), [(name, "") for name in QUICK_PROGRAMS], 600),
         ["build-6.12", "selftests"], extra=True),
    Step("scale", "exits with 1 to 8 vCPUs: cost, locks, disabled interrupts", scale, ["build-6.12", "build-debug"], extra=True),
    Step("ple", "PAUSE loops: whose exits they cause, and what they cost a lock's holder", ple, ["build-6.12", "build-6.1", "selftests"], extra=True),
    Step("bench", "the benchmark, against docs/bench.json", bench, ["build-6.12"], extra=True),
    Step("style-changed", "the project's rules in the files that changed", style_changed, ["setup"], extra=True),
    Step("style", "warnings, sparse, checkpatch and the project's rules", style, ["setup-6.1", "setup-debug"]),
]

# SPDX-License-Identifier: GPL-2.0
"""Runs one machine of the lab, which measures all chosen rows of one hypervisor, level by level."""
import json
import os
import shlex
import subprocess
import sys
import threading

import rows

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
LAB = os.path.join(TREE, "scripts", "lab")
DEVICES = {"droste": "/dev/droste", "kvm": "/dev/kvm"}

# Options that avoid boot work without use here; see drostectl(8).
LEAN = ("quiet loglevel=1 tsc=reliable no_timer_check cryptomgr.notests mitigations=off init_on_alloc=0 pci=off io_delay=none "
        "8250.nr_uarts=1 initcall_blacklist=jent_mod_init,init_kprobe_trace")

# For each level of the small guest: counts of each row, the divisor of what one count repeats, and TSC ticks from setting
# a timer to its interrupt. Few counts meet a tick of L0's timer, which comes every 400,000 instructions.
OPTIONS = {"l1": (24, 1, 30000), "l2": (32, 8, 150000), "l2-noept": (32, 8, 150000), "l3": (24, 64, 2000000)}

# The second processor has no ticks while it has but one thread to run; the first one has them for both.
TICKLESS = ["--cpus", "2", "--append", "nohz_full=1 rcu_nocbs=1 isolcpus=nohz,domain,managed_irq,1", "--count-own"]


class Failed(Exception):
    """The benchmark cannot be done; the text says why."""


BUILDING = threading.Lock()
MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")     # what `make bench` has set is not meant for these builds


def build(directory):
    """Builds the programs. Threads that measure at the same time do so one after the other, because drostectl is in the tree."""
    with BUILDING:
        if STOPPED:
            raise Failed("it was stopped")
        for where, words in (("scripts/bench.d", [f"OUTPUT={directory}"]), ("ctl", [])):
            done = subprocess.run(["make", "-s", "-C", os.path.join(TREE, where), *words], stdin=subprocess.DEVNULL,
                                  env={name: value for name, value in os.environ.items() if name not in MAKE})
            if done.returncode:
                raise Failed(f"make -C {where} failed")


def say(text):
    """Prints a line for the user, in place of the line that shows the progress."""
    print(("\r\033[K" if sys.stderr.isatty() else "") + f"bench: {text}", file=sys.stderr, flush=True)


def write_text(name, text):
    with open(name, "w") as f:
        f.write(text)


def lab(*words):
    """Runs the lab, and returns what it prints."""
    if STOPPED:
        raise Failed("it was stopped")
    done = subprocess.run([LAB, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failed(f"scripts/lab {words[0]} ended with status {done.returncode}")
    return done.stdout.strip()


class Plan:
    """What to measure on one hypervisor."""

    def __init__(self, hypervisor, small, linux, windows, profile=False, options=None, tickless=False):
        self.hypervisor = hypervisor
        self.small = small          # for each level the small guest's rows
        self.linux = linux          # for each level the rows of Linux
        self.windows = windows      # how many counts of each row, if not as in OPTIONS
        self.profile = profile      # root instructions are also counted by address
        self.options = options      # of droste.ko, if not the usual ones
        self.tickless = tickless    # the guest's processor is a second one of L0, which has no ticks of its own

    def levels(self):
        return [level for level in rows.LEVELS if self.small.get(level) or self.linux.get(level)]

    def count(self):
        """How many rows the small guest measures."""
        return sum(map(len, self.small.values()))

    def _names(self, level):
        return ",".join(row.name for row in self.small.get(level, ()))

    def _options(self, level):
        windows, divide, deadline = OPTIONS[level]
        return f"--windows {self.windows or windows} --divide {divide} --deadline {deadline}"

    def _tag(self, level, name):
        return next((str(row.tag(level)) for row in self.linux.get(level, ()) if row.name == name), "")

    def _linux(self, level, deeper):
        """Whether a level needs a Linux: for its own rows, or for deeper levels."""
        return "yes" if self.linux.get(level) or any(level in self.levels() for level in deeper) else ""

    def settings(self):
        """Returns the variables of bench.conf for L0 and L1."""
        found = {"device": DEVICES[self.hypervisor], "lean": LEAN, "ticks": str(rows.TICKS),
                 "profile": "yes" if self.profile else ""}
        for level, deeper in (("l0", ()), ("l1", ("l2", "l2-noept", "l3")), ("l2", ("l3",)), ("l2-noept", ())):
            end = level.replace("-", "_")
            found["linux_" + end] = self._linux(level, deeper)
            for key, name in (("tick", "tick"), ("fresh", "touch-fresh"), ("again", "touch-again"), ("boot", "boot")):
                found[f"{key}_{end}"] = self._tag(level, name)
        for level in OPTIONS:
            end = level.replace("-", "_")
            found["micro_" + end] = self._names(level)
            found["options_" + end] = self._options(level)
        return found

    def settings_l2(self, level):
        """Returns the variables of bench.conf in the L2 Linux of a level."""
        common, end = self.settings(), level.replace("-", "_")
        found = {key: common[f"{key}_{end}"] for key in ("tick", "fresh", "again", "boot")}
        found["ticks"] = common["ticks"]
        found["micro_l3"] = common["micro_l3"] if level == "l2" else ""
        found["options_l3"] = common["options_l3"]
        return found


def write(name, settings):
    with open(name, "w") as f:
        f.writelines(f"{key}={shlex.quote(value)}\n" for key, value in settings.items())
    return name


def images(plan, programs, directory):
    """Makes the files that L0 gets, and returns their names."""
    micro, op, shared = (f"{os.path.join(programs, 'micro')}:/micro", f"{os.path.join(programs, 'op')}:/op",
                         f"{HERE}/linux-rows:/linux-rows")
    control = os.path.join(TREE, "ctl", "drostectl")
    conf = write(os.path.join(directory, "bench.conf"), plan.settings())
    files = [conf, os.path.join(HERE, "l0.sh"), os.path.join(programs, "micro"), os.path.join(programs, "op")]
    if not plan.settings()["linux_l1"]:
        return files
    kernel = os.path.join(directory, "vmlinuz")
    if not os.path.exists(kernel):
        os.symlink(lab("path", "vmlinuz", "--kernel", "6.12"), kernel)
    inner = []
    for level in ("l2", "l2-noept"):
        if not plan.settings()["linux_" + level.replace("-", "_")]:
            continue
        own = write(os.path.join(directory, f"{level}.conf"), plan.settings_l2(level))
        image = os.path.join(directory, f"{level}.cpio")
        lab("make-initramfs", "--out", image, *(["--modules", "kvm_intel"] if plan.small.get("l3") and level == "l2" else []),
            "--file", micro, "--file", op, "--file", shared, "--file", f"{own}:/bench.conf",
            "--init", os.path.join(HERE, "l2-init.sh"))
        inner += ["--file", image]
    image = os.path.join(directory, "l1.cpio")
    lab("make-initramfs", "--out", image, "--modules", "kvm_intel", "--file", micro, "--file", op, "--file", shared,
        "--file", f"{control}:/drostectl", "--file", f"{kernel}:/vmlinuz", "--file", f"{conf}:/bench.conf", *inner,
        "--init", os.path.join(HERE, "l1-init.sh"))
    return [*files, kernel, image, control]


RUNNING = []            # the processes of the lab
STOPPED = []            # not empty: no other is started


def stop():
    """Ends all machines that run."""
    STOPPED.append(True)
    for child in RUNNING:
        child.terminate()


class Outcome:
    """What a machine told of its rows."""

    def __init__(self):
        self.times = {}         # by (level, name): operations in a count of the small guest
        self.missing = {}       # by (level, name): why a row was left out, or failed
        self.counts = []
        self.symbols = []       # the lines that tell of the module's functions
        self.profile = None     # the name of the file with root instructions by address

    def line(self, line):
        """Takes a line of the machine's output. Returns (level, name) if it is the begin of a row."""
        words = line.split()
        if words[:1] == ["sym"]:
            self.symbols.append(line)
        if words[:1] != ["bench:"] or len(words) < 4:
            return None
        what, level, name = words[1:4]
        if what == "done":
            self.times[level, name] = int(words[4])
        elif what in ("skip", "fail"):
            self.missing[level, name] = f"{'failed: ' if what == 'fail' else ''}{' '.join(words[4:])}"
        return (level, name) if what == "row" else None


def execute(command, stdout, stderr):
    """Runs a machine to its end. Returns its status and, if stdout is a pipe, its output."""
    if STOPPED:
        raise Failed("it was stopped")
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, text=True, errors="replace") as child:
        RUNNING.append(child)
        output, _ = child.communicate()
    return child.returncode, output


def run(plan, programs, directory, limit, progress, log):
    """Runs the machine. Returns its outcome; `progress` is called with the rows as they begin."""
    os.makedirs(directory, exist_ok=True)
    files = images(plan, programs, directory)
    counts = os.path.join(directory, "counts.json")
    profile = os.path.join(directory, "profile") if plan.profile else None
    start, hypervisor, words = "./l0.sh", plan.hypervisor, []
    if plan.tickless:
        start, words = f"taskset 2 {start}", TICKLESS
    if plan.options:
        files.append(lab("build-module", "--kernel", "6.12"))
        start, hypervisor = f"insmod droste.ko {plan.options} && {start}", "none"
    command = [LAB, "exec", "--hypervisor", hypervisor, "--timeout", str(limit), "--count", counts,
               *(["--profile", profile] if profile else []), *words,
               *[word for file in files for word in ("--file", file)], "--", start]
    outcome = Outcome()
    if STOPPED:
        raise Failed("it was stopped")
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                          errors="replace") as child:
        RUNNING.append(child)
        for line in child.stdout:
            log.write(line)
            log.flush()
            row = outcome.line(line)
            if row:
                progress(*row)
    if not os.path.exists(counts):
        raise Failed(f"the machine of {plan.hypervisor} ended with status {child.returncode} and no counts")
    if child.returncode not in (0, 1):
        raise Failed(f"the machine of {plan.hypervisor} ended with status {child.returncode}")
    with open(counts) as f:
        outcome.counts = json.load(f)
    outcome.profile = profile
    return outcome

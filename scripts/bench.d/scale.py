# SPDX-License-Identifier: GPL-2.0
"""Says how the cost of an exit grows with the number of vCPUs, which locks it takes, and how long it disables interrupts."""
import json
import os
import subprocess
import sys
import tempfile

import machine

CPUS = 8
LIMIT = 3600            # seconds for a machine
GROWTH = 1.10           # root instructions of an exit with some vCPUs, in parts of those with one
MASKED = {"6.12": 1500, "debug": 7000}     # root instructions with interrupts disabled
LOCKS = 0.5             # locks taken in an exit with one vCPU more than this many fail; ticks take some
# The first is called for each lock that is taken, if the kernel has lockdep; the other for each that is not free.
TAKES, WAITS = "lock_acquire", "native_queued_spin_lock_slowpath"
NAMES = {"l1": "CPUID of L1", "l2": "CPUID of L2, reflected to L1"}

LEGEND = f"""\
vCPUs of one VM, each on its own CPU, that do nothing but exit. exits: of all CPUs, in parts of the first one's, for each
CPU. root: instructions of L0 for each exit, ticks included. masked: the longest stretch of root instructions with interrupts
disabled that begins with an exit or ends with an entry. locks: calls of {TAKES}() for each exit (debug kernel only).
waits: calls of {WAITS}(), for a lock that another CPU holds."""


class Row:
    """What was counted with some vCPUs."""

    def __init__(self, count, calls):
        self.vcpus, self.level = count["tag"] >> 8, "l2" if count["tag"] & 1 else "l1"
        exits = sum(value for key, value in count.items() if key.startswith("exit."))
        self.root = count["root"] / exits
        self.share = exits / self.vcpus / (4000 if self.level == "l2" else 2000)
        self.masked = count.get("root.masked", 0)
        self.locks = calls[TAKES] / exits if TAKES in calls else None
        self.waits = calls.get(WAITS, 0)


def calls_of(profile, addresses):
    """Returns for each tag how often the functions at some addresses were called."""
    found = {}
    with open(profile) as f:
        for line in f:
            tag, address, number = line.split()
            name = addresses.get(int(address, 16))
            if name:
                by_name = found.setdefault(int(tag, 16), {})
                by_name[name] = by_name.get(name, 0) + int(number)
    return found


def measure(kernel, directory, log):
    """Runs one machine, and returns its rows."""
    machine.build(directory)
    counts, profile = (os.path.join(directory, name) for name in ("counts.json", "profile"))
    machine.lab("prepare", "--kernel", kernel)
    print(f"bench: running {CPUS} processors on the kernel {kernel}, a minute or two", file=sys.stderr, flush=True)
    with open(log, "w") as f:
        done = subprocess.run([machine.LAB, "exec", "--kernel", kernel, "--cpus", str(CPUS), "--memory", "1024", "--timeout", str(LIMIT),
                               "--count", counts, "--profile", profile, "--file", os.path.join(directory, "scale"),
                               "--file", os.path.join(directory, "op"), "--",
                               f"grep -wE '{TAKES}|{WAITS}' /proc/kallsyms; ./scale && ./op mark last"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=f, text=True)
    if done.returncode:
        raise machine.Failed(f"the machine ended with status {done.returncode}; its output is in {log}")
    words = [line.split() for line in done.stdout.splitlines()]
    addresses = {int(w[0], 16): w[2] for w in words if len(w) >= 3 and w[2] in (TAKES, WAITS)}
    with open(counts) as f:
        found = [count for count in json.load(f) if "exit.10" in count]
    calls = calls_of(profile, addresses)
    zero = {name: 0 for name in addresses.values()}
    return [Row(count, {**zero, **calls.get(count["tag"], {})}) for count in found]


def text(rows):
    """Returns the table."""
    lines = [LEGEND]
    for level, name in NAMES.items():
        lines += ["", name, f"{'vCPUs':>7}{'exits':>8}{'root':>10}{'masked':>9}{'locks':>8}{'waits':>7}"]
        for row in rows:
            if row.level == level:
                locks = "" if row.locks is None else f"{row.locks:.2f}"
                lines.append(f"{row.vcpus:>7}{row.share:>8.2f}{row.root:>10,.0f}{row.masked:>9,}{locks:>8}{row.waits:>7,}")
    return "\n".join(lines)


def faults(rows, kernel):
    """Returns a sentence for each row that is not as it should be."""
    found = []
    if sorted({row.vcpus for row in rows}) != [1, 2, 4, 8] or len(rows) != 8:
        found.append(f"{len(rows)} rows were counted, not 8")
    for row in rows:
        one = next(other for other in rows if other.level == row.level)
        what = f"{NAMES[row.level]}, {row.vcpus} vCPUs:"
        if row.root > GROWTH * one.root:
            found.append(f"{what} {row.root:.0f} root instructions for each exit, {one.root:.0f} with one vCPU")
        if row.masked > MASKED[kernel]:
            found.append(f"{what} interrupts were disabled for {row.masked} instructions, limit {MASKED[kernel]}")
        if row.locks is not None and row.locks > LOCKS:
            found.append(f"{what} an exit takes {row.locks:.2f} locks, limit {LOCKS}")
    return found


def main(cache, kernel="6.12"):
    """Measures, prints the table, and returns the exit status."""
    os.makedirs(cache, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="droste-scale-") as directory:
        rows = measure(kernel, directory, os.path.join(cache, "scale.log"))
    print(text(rows))
    wrong = faults(rows, kernel)
    for sentence in wrong:
        print(f"bench: {sentence}")
    return 1 if wrong else 0

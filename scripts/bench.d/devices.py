# SPDX-License-Identifier: GPL-2.0
"""Says what each path costs on which an access to a device is served, for L1, and for an L2 to which L1 passes the device on."""
import json
import math
import os
import subprocess
import tempfile

import machine
import plot
import reduce
import show

LIMIT = 1200            # seconds for a machine
TAG = 0xca000000        # of a count: with the level in bits 15:8, and the row in bits 7:0
LEVELS = ["l1", "l2", "l2-noept"]
TITLES = {"l1": "L1", "l2": "L2 of an L1 with EPT", "l2-noept": "L2 of an L1 without EPT"}
PATHS = {
    "port-passed": "OUT to a port that is passed",
    "mmio-event": "store to an ioeventfd",
    "mmio-event-4": "the same, of 4 bytes only",
    "port-event": "OUT to an ioeventfd",
    "mmio-coalesced": "store to a coalesced zone",
    "mmio-of-l1": "store to a device of L1's",
    "port-user": "OUT to user space",
    "mmio-write-user": "store to user space",
    "mmio-read-user": "load from user space",
    "mmio-event-string": "STOS to an ioeventfd",
}
KICK = {"l2": 900}      # the most root instructions that a store to an ioeventfd may take, in one exit
LEGEND = """\
Root instructions of one access, and exits that L0 takes for it. The device is one of L0's user space; L1 lets L2 access it.
Only 'store to a device of L1's' is reflected, to the least L1 that there can be: it moves RIP, and resumes."""


def measure(hypervisor, programs, log):
    """Runs one machine, and returns its results by level and row."""
    counts = os.path.join(programs, hypervisor + ".json")
    with open(log, "w") as f:
        status, output = machine.execute([machine.LAB, "exec", "--hypervisor", hypervisor, "--memory", "1024", "--timeout", str(LIMIT),
                                          "--count", counts, "--file", os.path.join(programs, "devices"),
                                          "--file", os.path.join(programs, "op"), "--",
                                          f"DROSTE_DEVICE={machine.DEVICES[hypervisor]} ./devices && ./op mark last"],
                                         subprocess.PIPE, f)
    if status:
        raise machine.Failed(f"the machine ended with status {status}; its output is in {log}")
    words = [line.split() for line in output.splitlines()]
    turns = next(int(w[1]) for w in words if w[:1] == ["turns"])
    names = {int(w[1]): w[2] for w in words if w[:1] == ["row"]}
    with open(counts) as f:
        by_tag = {}
        for count in json.load(f):
            by_tag.setdefault(count["tag"], []).append(count)
    found = {}
    for n, level in enumerate(LEVELS):
        for number, name in names.items():
            windows = by_tag.get(TAG | n << 8 | number)
            if windows:
                found.setdefault(level, {})[name] = reduce.reduce(windows, "quiet", turns)
    return found


def both(results, level, name):
    """What each hypervisor has for a row."""
    return {h: results[h].get(level, {}).get(name) for h in ("droste", "kvm") if h in results}


def text(results):
    """Returns the table."""
    lines = [LEGEND]
    for level in LEVELS:
        lines += ["", f"{TITLES[level]:32}" + "".join(f"{show.NAMES[h]:>12}{'exits':>7}" for h in both(results, level, ""))]
        for name, title in PATHS.items():
            found = both(results, level, name)
            if any(found.values()):
                cells = [f"{r['root']:>12,.0f}{r['exits']:>7.2f}" if r else f"{'-':>12}{'-':>7}" for r in found.values()]
                lines.append(f"  {title:30}" + "".join(cells))
    return "\n".join(lines)


def svg(results):
    """Returns the plot: for each path and hypervisor a bar, on a logarithmic scale from 10 to 100,000."""
    parts, y = [], 62
    names, wide, low, high = 210, 480, 1, 5
    for level in LEVELS:
        parts.append(plot.text(names, y + 4, TITLES[level], 13, weight="bold"))
        y += 14
        for name, title in PATHS.items():
            found = {h: r for h, r in both(results, level, name).items() if r}
            if not found:
                continue
            parts.append(plot.text(names - 6, y + plot.BAR + 3, title, anchor="end"))
            for hypervisor, r in found.items():
                length = max(1, wide * (math.log10(max(10, r["root"])) - low) / (high - low))
                parts.append(f'<rect x="{names}" y="{y}" width="{length:.1f}" height="{plot.BAR - 1}" fill="{plot.COLORS[hypervisor]}"/>')
                parts.append(plot.text(names + length + 4, y + plot.BAR - 1, show.number(r["root"]), 9))
                y += plot.BAR
            y += plot.GAP
        y += 20
    lines = []
    for power in range(low, high + 1):
        x = names + wide * (power - low) / (high - low)
        lines.append(f'<line x1="{x:.0f}" y1="52" x2="{x:.0f}" y2="{y - 14}" stroke="#dddddd"/>')
        lines.append(plot.text(x, 50, f"{10 ** power:,}", 9, "middle"))
    head = [plot.text(names, 18, "Root instructions of one access to a device, on a logarithmic scale", 14, weight="bold")]
    for n, hypervisor in enumerate(h for h in ("droste", "kvm") if h in results):
        head.append(f'<rect x="{names + n * 110}" y="26" width="10" height="10" fill="{plot.COLORS[hypervisor]}"/>')
        head.append(plot.text(names + n * 110 + 14, 35, show.NAMES[hypervisor]))
    width = names + wide + 70
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" font-family="sans-serif">',
                      f'<rect width="{width}" height="{y}" fill="white"/>', *lines, *head, *parts, "</svg>", ""])


def dump(results):
    return json.dumps(results, indent=1, sort_keys=True) + "\n"


def faults(results):
    """Returns a sentence for each figure that is not as it should be. selftests/t_mmio_fast.c tests the paths themselves."""
    found = []
    for level in LEVELS:
        row = results["droste"].get(level, {}).get("port-passed")
        if row and row["exits"]:
            found.append(f"{TITLES[level]}: {row['exits']:.2f} exits of an access to a port that is passed")
    for level, most in KICK.items():
        row = results["droste"].get(level, {}).get("mmio-event")
        if not row:
            found.append(f"{TITLES[level]}: no count of a store to an ioeventfd")
        elif row["root"] > most or row["exits"] > 1.01:
            found.append(f"{TITLES[level]}: a store to an ioeventfd takes {row['root']:,.0f} root instructions and {row['exits']:.2f} exits, "
                         f"not {most} and 1")
    return found


def count(cache, whole=True):
    """Returns the results of both hypervisors. There is no cheaper form."""
    os.makedirs(cache, exist_ok=True)
    results = {}
    with tempfile.TemporaryDirectory(prefix="droste-devices-") as directory:
        machine.build(directory)
        machine.lab("prepare", "--kernel", "6.12")
        for hypervisor in machine.DEVICES:
            machine.say(f"devices: running a machine with {show.NAMES[hypervisor]}, a minute or two")
            results[hypervisor] = measure(hypervisor, directory, os.path.join(cache, f"devices-{hypervisor}.log"))
    return results

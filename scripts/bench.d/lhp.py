# SPDX-License-Identifier: GPL-2.0
"""Counts what a preempted lock holder costs: PAUSEs that two vCPUs on one CPU execute until they have handed a lock over 20 times."""
import json
import math
import os
import subprocess
import tempfile

import machine
import plot

LIMIT = 1800            # seconds for a machine
OFF, LEVELS = 20, 2     # PAUSEs without exits, in parts of those with a directed yield; those of L2, of L1's
LEVEL = {"l1": "L1", "l2": "L2 of an L1 with two vCPUs", "linux-droste": "L2 of a Linux L1 with one vCPU, on Droste",
         "linux-kvm": "L2 of a Linux L1 with one vCPU, on kvm_intel"}
MODE = {"off": "no exits of PAUSE loops", "plain": "plain yield", "directed": "directed yield", "both": "directed yield, L1 asks for exits too",
        "as-is": "as L1's kvm_intel does"}
NAMES, WIDTH, BAR = 330, 420, 16
COLORS = {"off": "#b0b0b0", "plain": "#d08020", "directed": "#2f6f9f", "both": "#2f9f6f", "as-is": "#7f5f9f"}

LEGEND = """\
Two vCPUs on one CPU hand over a lock 20 times. Each works with it for 1,000,000 instructions, and the other one spins with
PAUSE at CPL 0. others: other tasks on the CPU. PAUSEs: of both vCPUs. million: instructions until the end, in millions.
exits: because of PAUSE. yields: times that the scheduler let the chosen vCPU run. shown: exits that L1 saw. In the rows of a
Linux L1, yields are KVM's, which counts only those for a hypercall; a kvm_intel on L0 counts no exits.
"""


def run(hypervisor, log, files, command):
    """Runs a machine with one processor, and returns the words of its lines."""
    with open(log, "w") as f:
        status, output = machine.execute([machine.LAB, "exec", "--hypervisor", hypervisor, "--kernel", "6.12", "--cpus", "1",
                                          "--memory", "2048", "--timeout", str(LIMIT),
                                          *[word for name in files for word in ("--file", name)], "--", command], subprocess.PIPE, f)
        f.write(output)
    if status:
        raise machine.Failed(f"the machine ended with status {status}; its output is in {log}")
    return [line.split() for line in output.splitlines()]


def told(lines):
    """The words of the lines that tell something."""
    return [words[1:] for words in lines if words[:1] == ["lhp:"]]


def row(words, level=None):
    """A result from the words of a line."""
    names = ("others", "pauses", "instructions", "exits", "yields", "shown")
    return {"level": level or words[0], "mode": words[1], **dict(zip(names, map(int, words[2:])))}


def linux(directory, cache):
    """The results of a Linux L1 on both hypervisors."""
    kernel, image = machine.lab("path", "vmlinuz", "--kernel", "6.12"), os.path.join(directory, "l1.cpio")
    machine.lab("make-initramfs", "--out", image, "--modules", "kvm_intel", "--file", f"{os.path.join(directory, 'lhp')}:/lhp",
                "--init", os.path.join(machine.HERE, "lhp-init.sh"))
    name = os.path.join(directory, "vmlinuz")
    os.symlink(kernel, name)
    found = []
    for hypervisor, device in machine.DEVICES.items():
        output = run(hypervisor, os.path.join(cache, f"lhp-{hypervisor}.log"), [name, image, os.path.join(machine.TREE, "ctl", "drostectl")],
                     f"./drostectl run --device {device} --hypervisor kvm --kernel vmlinuz --initrd l1.cpio --cpus 1 --memory 512 --stats "
                     f"--append '{machine.LEAN}'")
        lines = told(output)
        gap = next((int(words[1]) for words in lines if words[0] == "gap"), None)
        # drostectl's table at the end: the exits of L1, of L2, and those of L2 that L1 was shown. KVM counts none.
        pauses = next((list(map(int, words[1:4])) for words in output if words[:1] == ["PAUSE"] and len(words) == 5), [0, 0, 0])
        found += [{**row(words, f"linux-{hypervisor}"), "gap": gap, "exits": pauses[1], "shown": pauses[2]} for words in lines
                  if words[0] == "l1"]
    return found


def text(rows):
    """Returns the table."""
    lines = [LEGEND, f"{'others':>6}{'PAUSEs':>12}{'million':>9}{'exits':>7}{'yields':>8}{'shown':>7}"]
    for r in rows:
        lines.append(f"{r['others']:>6}{r['pauses']:>12,}{r['instructions'] / 1e6:>9.1f}{r['exits']:>7,}{r['yields']:>8,}{r['shown']:>7,}"
                     f"  {LEVEL[r['level']]}: {MODE[r['mode']]}")
        if "gap" in r:
            lines[-1] += f" (its ple_gap is {r['gap']})"
    return "\n".join(lines)


def faults(rows):
    """Returns a sentence for each row that is not as it should be."""
    by = {(r["level"], r["mode"], r["others"]): r["pauses"] for r in rows}
    found = []
    for others in (0, 1):
        for level in ("l1", "l2"):
            off, directed = by.get((level, "off", others)), by.get((level, "directed", others))
            if not off or not directed:
                return ["rows are missing"]
            if directed * OFF > off:
                found.append(f"{LEVEL[level]}: {directed:,} PAUSEs with a directed yield, {off:,} without exits")
        if by["l2", "directed", others] > LEVELS * by["l1", "directed", others]:
            found.append(f"L2 executes {by['l2', 'directed', others]:,} PAUSEs, L1 {by['l1', 'directed', others]:,}")
    on = {level: [r for r in rows if r["level"] == level] for level in ("linux-droste", "linux-kvm")}
    if any(on.values()):
        if not all(r["gap"] for r in on["linux-droste"]) or any(r["gap"] for r in on["linux-kvm"]):
            found.append("a Linux L1 must have PAUSE-loop exiting on Droste, and lacks it on kvm_intel")
        if not all(r["shown"] for r in on["linux-droste"]):
            found.append("a Linux L1 on Droste was shown no exit because of PAUSE")
    return found


def svg(rows):
    """Returns the plot: for each row a bar of its PAUSEs, on a logarithmic scale."""
    high = math.ceil(math.log10(max(r["pauses"] for r in rows)))
    low, parts, y, level = 3, [], 40, None
    for r in rows:
        if r["level"] != level:
            level = r["level"]
            y += 30
            parts.append(plot.text(NAMES, y - 6, LEVEL[level], 13, weight="bold"))
        length = WIDTH * (math.log10(max(r["pauses"], 10 ** low)) - low) / (high - low)
        name = MODE[r["mode"]] + (", another task" if r["others"] else "") + (plot.OLD if "old" in r else "")
        parts.append(plot.text(NAMES - 6, y + BAR - 5, name, anchor="end"))
        parts.append(f'<rect x="{NAMES}" y="{y}" width="{max(1, length):.1f}" height="{BAR - 4}" fill="{COLORS[r["mode"]]}"/>')
        parts.append(plot.text(NAMES + max(1, length) + 4, y + BAR - 6, f"{r['pauses']:,}", 9))
        y += BAR
    lines = []
    for power in range(low, high + 1):
        x = NAMES + WIDTH * (power - low) / (high - low)
        lines.append(f'<line x1="{x:.0f}" y1="46" x2="{x:.0f}" y2="{y}" stroke="#dddddd"/>')
        lines.append(plot.text(x, 44, f"{10 ** power:,}", 9, "middle"))
    title = plot.text(NAMES, 18, "PAUSEs until a lock was handed over 20 times, on a logarithmic scale", 14, weight="bold")
    width, height = NAMES + WIDTH + 180, y + 10
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">',
                      f'<rect width="{width}" height="{height}" fill="white"/>', title, *lines, *parts, "</svg>", ""])


def dump(rows):
    return json.dumps(rows, indent=1) + "\n"


def count(cache, whole=True):
    """Returns the results; the cheap ones are those without a Linux L1."""
    os.makedirs(cache, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="droste-lhp-") as directory:
        machine.build(directory)
        machine.lab("prepare", "--kernel", "6.12")
        machine.say("lhp: running two vCPUs that hand over a lock, some minutes")
        rows = [row(words) for words in told(run("droste", os.path.join(cache, "lhp.log"), [os.path.join(directory, "lhp")], "./lhp"))]
        return rows + linux(directory, cache) if whole else rows


def add_old(rows, file, _mark=True):
    """Completes the results of the cheap form."""
    with open(file) as f:
        old = [{**r, "old": True} for r in json.load(f) if r["level"].startswith("linux-")]
    rows += old
    return [LEVEL[r["level"]] for r in old]

# SPDX-License-Identifier: GPL-2.0
"""Operations one trap at a time, and as lists by Droste's hypercall: what a list costs, and from which length on it pays."""
import json
import os
import tempfile

import machine
import plot
import reduce

LIMIT = 1800
TAG, TIMES = 0xba, 8                    # batching.c
SIZES = (1, 2, 4, 8, 16, 32, 64)
# As in batching.c: WRMSR of an MSR of L0's (IA32_MISC_ENABLE), OUT to a device in the kernel (mask of the PIC), CPUID, an IPI
# (KVM_HC_SEND_IPI) to itself.
OPERATIONS = ("wrmsr", "out", "cpuid", "ipi")
# What is measured: operation, level.
ROWS = (("wrmsr", 1), ("out", 1), ("cpuid", 1), ("ipi", 1), ("wrmsr", 2), ("out", 2))
CROSSOVER, SHARE = 2, 0.25      # the most that n* may be, and that an operation of a list of 32 may cost, as a part of a trap
COLORS = ("#2f6f9f", "#b0542f", "#4f8f4f", "#7f5f9f", "#1f9fbf", "#d08f2f")
LEGEND = """\
Instructions of L0 and of the guest, without interrupts of the host. T: an operation that traps. H: what a list costs
besides its operations. k: each operation of a list, the guest's stores into the list included. n*: the number of
operations from which on a list is cheaper, H / (T - k). at 32: what each operation of a list of 32 costs, as a part of T.
L2: L1 passes the MSR and the port, and has delegated the hypercall to it."""


def measure(log):
    """Runs the machine, and returns what each operation costs: {(name, level, batched, n): instructions}."""
    with tempfile.TemporaryDirectory(prefix="droste-batching-") as directory:
        machine.build(directory)
        counts = os.path.join(directory, "counts.json")
        machine.lab("prepare", "--kernel", "6.12")
        machine.say("batching: running a machine, a minute or two")
        with open(log, "w") as f:
            status, _ = machine.execute([machine.LAB, "exec", "--timeout", str(LIMIT), "--count", counts, "--file",
                                         os.path.join(directory, "batching"), "--", "./batching"], f, f)
        if status:
            raise machine.Failed(f"the machine ended with status {status}; its output is in {log}")
        with open(counts) as f:
            return costs(json.load(f))


def costs(counts):
    """Returns the cheapest of the counts without an interrupt of the host, for each operation and length."""
    found = {}
    for count in counts:
        tag = count["tag"]
        if tag >> 24 == TAG and not reduce.interrupts(count):
            key = OPERATIONS[tag >> 16 & 0xff], 2 if tag >> 9 & 1 else 1, bool(tag >> 8 & 1), tag & 0xff
            total = (count["root"] + count["guest"]) / TIMES
            found[key] = min(total, found.get(key, total))
    return found


class Result:
    """What one operation's counts come to."""

    def __init__(self, name, level, found):
        self.name, self.level = name, level
        self.title = f"{name} of L{level}"
        self.traps, self.lists = ({n: found[name, level, batched, n] for n in SIZES if (name, level, batched, n) in found}
                                  for batched in (False, True))
        if not {1, 4} <= set(self.traps) or not {1, 8, 32} <= set(self.lists):
            raise machine.Failed(f"{self.title}: too few counts without an interrupt")
        self.trap = (self.traps[8] if 8 in self.traps else self.traps[4] * 2) / 8
        self.each = (self.lists[32] - self.lists[8]) / 24
        self.fixed = self.lists[8] - 8 * self.each
        self.crossover = self.fixed / (self.trap - self.each)
        self.share = self.lists[32] / 32 / self.trap


def text(results):
    """Returns the table."""
    lines = [LEGEND, "", f"{'':12}{'T':>8}{'H':>8}{'k':>8}{'n*':>8}{'at 32':>8}   instructions of a list of 1, 2, 4 ... 64"]
    for r in results:
        sizes = "".join(f"{r.lists[n]:>8,.0f}" if n in r.lists else f"{'':>8}" for n in SIZES)
        lines.append(f"{r.title:12}{r.trap:>8,.0f}{r.fixed:>8,.0f}{r.each:>8,.0f}{r.crossover:>8.2f}{r.share:>8.2f}   {sizes}")
    return "\n".join(lines)


def faults(results):
    """Returns a sentence for each figure that is not as it should be."""
    found = []
    for r in results:
        if r.crossover > CROSSOVER:
            found.append(f"{r.title}: a list pays from {r.crossover:.2f} operations on, not from {CROSSOVER}")
        if r.share > SHARE:
            found.append(f"{r.title}: in a list of 32 an operation costs {r.share:.3f} of a trap, over {SHARE}")
    return found


def svg(results):
    """Returns the plot: instructions for each operation, by the number of them, as traps and as lists."""
    width, height, left, top = 620, 300, 60, 50
    most = max(max(r.lists[1] for r in results), max(r.trap for r in results)) * 1.05

    def x(n):
        return left + width * SIZES.index(n) / (len(SIZES) - 1)

    def y(cost):
        return top + height * (1 - cost / most)

    parts = [plot.text(left, 20, "Instructions for each operation, one trap at a time (dashed) and in lists", 14, weight="bold")]
    for n in SIZES:
        parts.append(f'<line x1="{x(n):.0f}" y1="{top}" x2="{x(n):.0f}" y2="{top + height}" stroke="#dddddd"/>')
        parts.append(plot.text(x(n), top + height + 16, str(n), anchor="middle"))
    for cost in range(0, int(most), 500):
        parts.append(f'<line x1="{left}" y1="{y(cost):.0f}" x2="{left + width}" y2="{y(cost):.0f}" stroke="#dddddd"/>')
        parts.append(plot.text(left - 6, y(cost) + 4, f"{cost:,}", anchor="end"))
    parts.append(plot.text(left + width / 2, top + height + 34, "operations in a list", anchor="middle"))
    for i, (r, color) in enumerate(zip(results, COLORS)):
        points = " ".join(f"{x(n):.1f},{y(r.lists[n] / n):.1f}" for n in SIZES if n in r.lists)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts.append(f'<line x1="{left}" y1="{y(r.trap):.1f}" x2="{left + width}" y2="{y(r.trap):.1f}" stroke="{color}" '
                     'stroke-dasharray="5 4"/>')
        parts.append(plot.text(left + width - 250, top + 16 + 15 * i, f"{r.title}: pays from n = {r.crossover:.1f} on"))
        parts.append(f'<rect x="{left + width - 266}" y="{top + 7 + 15 * i}" width="10" height="10" fill="{color}"/>')
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 40}" height="{top + height + 50}" '
                      'font-family="sans-serif">', f'<rect width="{left + width + 40}" height="{top + height + 50}" fill="white"/>',
                      *parts, "</svg>", ""])


def dump(results):
    """Returns the results as JSON."""
    lines = [json.dumps({"operation": r.name, "level": r.level, "trap": round(r.trap, 1), "fixed": round(r.fixed, 1), "each": round(r.each, 1),
                         "crossover": round(r.crossover, 2), "at_32": round(r.share, 3),
                         "lists": {str(n): round(cost, 1) for n, cost in sorted(r.lists.items())}}) for r in results]
    return '{"operations": [\n ' + ",\n ".join(lines) + "\n]}\n"


def count(cache, whole=True):
    """Returns the results. There is no cheaper form."""
    os.makedirs(cache, exist_ok=True)
    found = measure(os.path.join(cache, "batching.log"))
    return [Result(name, level, found) for name, level in ROWS]

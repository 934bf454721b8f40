# SPDX-License-Identifier: GPL-2.0
"""The figure of docs/pools.md: what of their features four processors have, and what of it their pool has."""
import os
import re
import subprocess

import machine
import plot

DUMPS = os.path.join(machine.TREE, "ctl", "test", "pool")
HOSTS = ("haswell", "skylake_x", "icelake_u", "arrow_lake")
NAMES, COLUMN, ROW, TOP = 470, 82, 15, 66        # the widths of the names and of a column, heights
# What a column can have of a feature, and its color.
HAS, LOST, STAYS, POOL = "#2f6f9f", "#b9c9d6", "#d9822b", "#1d7a3e"
LEGEND = ((HAS, "guests of the pool have it"), (LOST, "hidden by the pool, and gone"), (STAYS, "hidden, but the instruction still works"),
          (POOL, "the pool's"))
REGISTERS = {"EAX": 0, "EBX": 1, "ECX": 2, "EDX": 3}


def read(text):
    """The leaves and MSRs of a dump or a pool, by their first words: lists of numbers."""
    rows = (line.split() for line in text.splitlines() if re.match(r"(cpuid|msr) ", line))
    return {(row[0], row[1]): [int(word, 16) for word in row[2:]] for row in rows}


def has(host, place):
    """Whether a dump has a bit, named as by drostectl cpu baseline."""
    cpuid = re.fullmatch(r"CPUID (\S+):(\w+) bit (\d+)", place)
    if cpuid:
        values = host.get(("cpuid", cpuid[1]))
        return bool(values and values[REGISTERS[cpuid[2]]] >> int(cpuid[3]) & 1)
    msr = re.fullmatch(r"MSR (\S+) bit (\d+)", place)
    values = host.get(("msr", msr[1]))
    return bool(values and values[0] >> int(msr[2]) & 1)


def baseline():
    """Returns the pool's text, and of each bit that a host loses, or must be told of, its place: its name and whether it stays usable."""
    ctl = os.path.join(machine.TREE, "ctl")
    subprocess.run(["make", "-s", "-C", ctl, "drostectl"], check=True)
    done = subprocess.run([os.path.join(ctl, "drostectl"), "cpu", "baseline", *(os.path.join(DUMPS, f"{host}.cpu") for host in HOSTS)],
                          capture_output=True, text=True, check=True)
    bits = {}
    for line in done.stderr.splitlines():
        found = re.fullmatch(r"  (.*) \(((?:CPUID|MSR) \S+ bit \d+)\)(.*)", line)
        if found:
            bits[found[2]] = (found[1], "stays usable" in found[3])
    return done.stdout, bits


def order(place):
    """CPUID before MSRs, by leaf or MSR, register and bit."""
    kind, where, *_, bit = place.split()
    leaf, _, register = where.partition(":")
    numbers = tuple(int(part, 0) for part in leaf.split("."))
    return kind, numbers, register, int(bit)


def title(name, place):
    """A short name: those of VMX controls are long."""
    short = {"Secondary processor-based execution controls": "VMX", "Primary processor-based execution controls": "VMX",
             "Pin-based execution controls": "VMX", "VM-exit controls": "VMX, exit", "VM-entry controls": "VMX, entry"}
    for long, word in short.items():
        name = name.replace(long, word)
    return f"{name}  [{place.replace(' bit ', '.')}]"


def cell(column, y, color):
    return f'<rect x="{NAMES + column * COLUMN + 3}" y="{y + 1}" width="{COLUMN - 6}" height="{ROW - 2}" fill="{color}"/>'


def svg():
    """Returns the plot."""
    text, bits = baseline()
    pool = read(text)
    hosts = []
    for host in HOSTS:
        with open(os.path.join(DUMPS, f"{host}.cpu")) as f:
            hosts.append(read(f.read()))
    width, height = NAMES + (len(HOSTS) + 1) * COLUMN + 10, TOP + len(bits) * ROW + 12
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">',
             f'<rect width="{width}" height="{height}" fill="white"/>',
             plot.text(10, 18, "Features that not all of four processors have, and their pool", 14, weight="bold")]
    for n, (color, words) in enumerate(LEGEND):
        parts += [f'<rect x="{10 + n * 210}" y="26" width="10" height="10" fill="{color}"/>', plot.text(24 + n * 210, 35, words, 10)]
    for column, name in enumerate((*HOSTS, "pool")):
        parts.append(plot.text(NAMES + (column + 0.5) * COLUMN, TOP - 6, name, 11, "middle", "bold"))
    for n, place in enumerate(sorted(bits, key=order)):
        name, stays = bits[place]
        y = TOP + n * ROW
        if n % 2 == 0:
            parts.append(f'<rect x="0" y="{y}" width="{width}" height="{ROW}" fill="#f4f4f4"/>')
        parts.append(plot.text(10, y + ROW - 4, title(name, place), 10))
        shared = has(pool, place)
        for column, host in enumerate(hosts):
            if has(host, place):
                parts.append(cell(column, y, HAS if shared else STAYS if stays else LOST))
        if shared:
            parts.append(cell(len(HOSTS), y, POOL))
    return "\n".join([*parts, "</svg>", ""])

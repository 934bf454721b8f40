# SPDX-License-Identifier: GPL-2.0
"""Compares ways to give a guest page tables: EPT, EPT with exits at MOV to CR3, and shadow paging."""
import concurrent.futures
import json
import math
import os
import subprocess
import sys
import tempfile
import time

import explain
import machine
import plot
import show

LIMIT = 6000            # seconds for a machine
DOCUMENT = os.path.join(machine.TREE, "docs", "paging.md")


class Column:
    """A way to give a guest page tables."""

    def __init__(self, name, title, hypervisor, how, divide=1):
        self.name = name
        self.title = title
        self.hypervisor = hypervisor
        self.how = how          # for paging-l0.sh
        self.divide = divide    # the workloads but "walk" have that many times fewer operations, because one takes long


COLUMNS = [
    Column("ept", "L1, EPT", "droste", "plain"),
    Column("ept-4k", "L1, EPT with 4-KiB pages", "droste", "small"),
    Column("cr3", "L1, EPT, MOV to CR3 exits", "droste", "cr3"),
    Column("l2-ept", "L2, EPT", "droste", "l2"),
    Column("l2-cr3", "L2, EPT, MOV to CR3 exits to L0", "droste", "l2-cr3"),
    Column("l2-shadow", "L2, shadow paging by L1", "droste", "l2-noept", 10),
    Column("kvm-ept", "L1 on KVM, EPT", "kvm", "plain"),
    Column("kvm-l2-ept", "L2 on KVM, EPT", "kvm", "l2"),
    Column("kvm-l2-shadow", "L2 on KVM, shadow paging by L1", "kvm", "l2-noept", 10),
    # Last, because L0's kvm_intel is loaded anew for it.
    Column("kvm-shadow", "L1 on KVM, shadow paging", "kvm", "noept"),
]
# In the order of paging.c: name, operations between two markers, what one is.
WORKLOADS = [("switch", 1000, "a round of two processes over pipes"), ("fork", 100, "a fork of 4 MiB; the child changes 64 pages"),
             ("map", 1000, "mmap, touch, munmap of 4 pages"), ("walk", 2 * 16384, "an access to a page whose translation no TLB has")]
CHEAP = ("ept", "ept-4k", "cr3", "kvm-ept")     # without another level, and without shadow paging
STRIDE = 16             # between the tags of two columns
CR, INVLPG, EXCEPTION, EPT_VIOLATION = "exit.28", "exit.14", "exit.0", "exit.48"


def tag(column):
    return (COLUMNS.index(column) + 1) * STRIDE


def images(programs, directory):
    """Makes the files that L0 gets, and returns their names."""
    control = os.path.join(machine.TREE, "ctl", "drostectl")
    conf = machine.write(os.path.join(directory, "paging.conf"), {"lean": machine.LEAN})
    kernel, guest, l1 = (os.path.join(directory, name) for name in ("vmlinuz", "guest.cpio", "l1.cpio"))
    os.symlink(machine.lab("path", "vmlinuz", "--kernel", "6.12"), kernel)
    machine.lab("make-initramfs", "--out", guest, "--file", f"{os.path.join(programs, 'paging')}:/paging",
                "--init", os.path.join(machine.HERE, "paging-init.sh"))
    machine.lab("make-initramfs", "--out", l1, "--modules", "kvm_intel", "--file", f"{control}:/drostectl", "--file", f"{kernel}:/vmlinuz",
                "--file", f"{guest}:/guest.cpio", "--file", f"{conf}:/paging.conf", "--init", os.path.join(machine.HERE, "paging-l1.sh"))
    return [conf, kernel, guest, l1, control, os.path.join(machine.HERE, "paging-l0.sh")]


def run(hypervisor, columns, files, cache):
    """Runs one machine, and returns its counts by tag."""
    counts, log = (os.path.join(cache, f"paging-{hypervisor}.{end}") for end in ("json", "log"))
    with open(log, "w") as f:
        status, _ = machine.execute([machine.LAB, "exec", "--hypervisor", hypervisor, "--timeout", str(LIMIT), "--count", counts,
                                     *[word for file in files for word in ("--file", file)], "--", "./paging-l0.sh",
                                     machine.DEVICES[hypervisor], *[f"{tag(c)}:{c.how}:{c.divide}" for c in columns]], f, subprocess.STDOUT)
    if status:
        raise machine.Failed(f"the machine of {hypervisor} ended with status {status}; its output is in {log}")
    with open(counts) as f:
        return {count["tag"]: count for count in json.load(f)}


def measure(cache, columns):
    """Runs the machines, and returns the results: one for each column and workload, for one operation."""
    with tempfile.TemporaryDirectory(prefix="droste-paging-") as directory:
        machine.build(os.path.join(directory, "programs"))
        machine.lab("prepare", "--kernel", "6.12")
        files = images(os.path.join(directory, "programs"), directory)
        of = {h: [c for c in columns if c.hypervisor == h] for h in machine.DEVICES}
        with concurrent.futures.ThreadPoolExecutor() as pool:
            jobs = [pool.submit(run, h, mine, files, cache) for h, mine in of.items() if mine]
            counts = {key: value for job in jobs for key, value in job.result().items()}
    rows = []
    for column in columns:
        for n, (name, times, _) in enumerate(WORKLOADS):
            count = counts.get(tag(column) + n)
            if count is None:
                raise machine.Failed(f"{column.name} {name} was not counted")
            keep = {key: value for key, value in count.items() if key in ("root", "guest", "guest.walks", "guest.pt", "guest.ept")
                    or key.startswith("exit.")}
            rows.append({"column": column.name, "workload": name, "times": times if name == "walk" else times // column.divide, **keep})
    return rows


def title_of(row):
    return next(column.title for column in COLUMNS if column.name == row["column"])


def one(row, key):
    """What one operation has of something."""
    return row.get(key, 0) / row["times"]


def exits(row):
    return sum(value for key, value in row.items() if key.startswith("exit."))


def for_a_walk(row):
    """Entries of paging structures that the processor reads for one miss of the TLB."""
    return (row.get("guest.pt", 0) + row.get("guest.ept", 0)) / max(1, row.get("guest.walks", 0))


def faults(rows):
    """Returns a sentence for each row that is not as it should be."""
    found, by = [], {(row["column"], row["workload"]): row for row in rows}
    for (column, workload), row in by.items():
        what = f"{column} {workload}:"
        if column in ("ept", "ept-4k", "kvm-ept") and row.get(CR, 0) + row.get(INVLPG, 0):
            found.append(f"{what} {row.get(CR, 0)} exits of control registers, {row.get(INVLPG, 0)} of INVLPG; EPT needs none")
        if column == "cr3" and workload == "switch" and row.get(CR, 0) < 2 * row["times"]:
            found.append(f"{what} {row.get(CR, 0)} exits of control registers; each of {2 * row['times']} switches has one")
        if column == "kvm-shadow" and (row.get("guest.ept", 0) or for_a_walk(row) > 4):
            found.append(f"{what} {for_a_walk(row):.1f} references for a walk; page tables of four levels need 4")
        if workload == "walk" and row.get("guest.walks", 0) < row["times"]:
            found.append(f"{what} {row.get('guest.walks', 0)} walks; each of {row['times']} accesses needs one")
        if column == "ept-4k" and workload == "walk" and for_a_walk(row) < 23.9:
            found.append(f"{what} {for_a_walk(row):.1f} references for a walk; two sets of tables with four levels need 24")
        if for_a_walk(row) > 24:
            found.append(f"{what} {for_a_walk(row):.1f} references for a walk; 24 are the most")
    return found


def reason(key):
    return explain.reasons().get(int(key[5:]), key)


def exits_text(row):
    """The exits of one operation by reason, those that matter."""
    found = sorted(((one(row, key), key) for key in row if key.startswith("exit.") and one(row, key) >= 0.1), reverse=True)
    return ", ".join(f"{show.number(value)} {reason(key)}" for value, key in found[:5]) or ("none" if not exits(row) else "under 0.1")


def table(rows):
    """The lines of the tables, one for each workload."""
    lines = []
    for name, times, what in WORKLOADS:
        lines += ["", f"`{name}`: one operation is {what}; {times:,} were counted.", "",
                  "| | exits by reason | root instructions | guest instructions | TLB misses | references for a miss |",
                  "|---|---|---|---|---|---|"]
        for row in rows:
            if row["workload"] != name:
                continue
            lines.append(f"| {title_of(row)} | {exits_text(row)} | {show.number(one(row, 'root'))} | {show.number(one(row, 'guest'))} | "
                         f"{show.number(one(row, 'guest.walks'))} | {for_a_walk(row):.1f} |")
    return lines


COLORS = {"root": "#2f6f9f", "guest": "#9fc3dd", "pt": "#d9822b"}
NAMES, WIDTH, BAR, GAP, HEADING = 230, 560, 8, 5, 40


def bar(x, y, length, color):
    return f'<rect x="{x:.0f}" y="{y}" width="{max(1, length):.1f}" height="{BAR - 1}" fill="{color}"/>'


def svg(rows):
    """Returns the plot: for each workload and way three bars on a logarithmic scale."""
    top = max(1, math.ceil(math.log10(max(one(row, key) for row in rows for key in ("root", "guest", "guest.pt")))))
    parts, y = [], 50

    def length(value):
        return WIDTH * math.log10(max(1, value)) / top
    for name, _, what in WORKLOADS:
        y += HEADING
        parts.append(plot.text(NAMES, y - 8, f"{name}: {what}", 12, weight="bold"))
        for row in rows:
            if row["workload"] != name:
                continue
            title = title_of(row) + (plot.OLD if "old" in row else "")
            parts.append(plot.text(NAMES - 6, y + 15, title, anchor="end"))
            for key, value in (("root", one(row, "root")), ("guest", one(row, "guest")),
                               ("pt", one(row, "guest.pt") + one(row, "guest.ept"))):
                parts += [bar(NAMES, y, length(value), COLORS[key]),
                          plot.text(NAMES + length(value) + 4, y + BAR - 1, show.number(value), 8)]
                y += BAR
            y += GAP
    lines = [f'<line x1="{NAMES + WIDTH * p / top:.0f}" y1="64" x2="{NAMES + WIDTH * p / top:.0f}" y2="{y}" stroke="#dddddd"/>'
             + plot.text(NAMES + WIDTH * p / top, 62, f"{10 ** p:,}", 9, "middle") for p in range(top + 1)]
    legend = [plot.text(NAMES, 18, "What one operation costs, on a logarithmic scale", 14, weight="bold")]
    for n, (key, words) in enumerate((("root", "instructions of L0"), ("guest", "instructions of the guests"),
                                      ("pt", "entries of paging structures that the processor reads"))):
        legend += [f'<rect x="{NAMES + n * 165}" y="28" width="10" height="10" fill="{COLORS[key]}"/>',
                   plot.text(NAMES + n * 165 + 14, 37, words)]
    width, height = NAMES + WIDTH + 80, y + 10
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">',
                      f'<rect width="{width}" height="{height}" fill="white"/>', *lines, *legend, *parts, "</svg>", ""])


def dump(rows):
    lines = ",\n".join(f" {json.dumps(row, sort_keys=True)}" for row in rows)
    return f"[\n{lines}\n]\n"


def text(rows):
    return "\n".join(table(rows))


def count(cache, whole=True, ways=()):
    """Returns the results of some ways, or of all, or of those that are cheap to count."""
    os.makedirs(cache, exist_ok=True)
    columns = [column for column in COLUMNS if (column.name in ways if ways else whole or column.name in CHEAP)]
    machine.say(f"paging: running two machines, some {'ten' if whole else 'two'} minutes")
    return measure(cache, columns)


def add_old(rows, file, mark=True):
    """Completes the results of some ways, in the order of the columns."""
    have = {row["column"] for row in rows}
    with open(file) as f:
        old = [{**row, **({"old": True} if mark else {})} for row in json.load(f) if row["column"] not in have]
    names = [column.name for column in COLUMNS]
    rows[:] = sorted(rows + old, key=lambda row: names.index(row["column"]))
    return sorted({title_of(row) for row in old})


def document(rows):
    """Writes the tables into docs/paging.md."""
    with open(DOCUMENT) as f:
        content = f.read()
    machine.write_text(DOCUMENT, explain.insert(content, table(rows)))

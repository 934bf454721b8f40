# SPDX-License-Identifier: GPL-2.0
"""Says what an access to a port costs at L1 and at L2, by the path that it takes."""
import json
import os
import subprocess
import tempfile

import machine
import plot
import reduce
import rows
import show

LIMIT = 1800            # seconds for the machine
ROWS = ("nothing", "out-user", "out-event", "out-coalesced", "in-kernel", "pio-80", "pio-passed")
# The numbers are part of the counts' tags: see ports-l0.sh and ports-l1.sh.
LEVELS = {"l1": (1, "L1"), "l2-kvm": (2, "L2 of kvm_intel, which passes no port"), "l2-droste": (3, "L2 of a Droste that passes the port")}
PASSED = ("pio-80", "pio-passed")
COLUMNS = ("exits", "root", "guest")
BAR, STEP, NAMES, WIDTH = 10, 15, 190, 520


def measure(directory, log):
    """Runs the machine, and returns a result for each row and level."""
    machine.build(directory)
    small = {row.name: row for row in rows.small(os.path.join(directory, "micro"))}
    settings = {"only": ",".join(ROWS), "lean": machine.LEAN}
    for level in ("l1", "l2"):
        windows, divide, deadline = machine.OPTIONS[level]
        settings[f"options_{level}"] = f"--windows {windows} --divide {divide} --deadline {deadline}"
    machine.lab("prepare", "--kernel", "6.12")
    conf, image, kernel, counts = (os.path.join(directory, name) for name in ("ports.conf", "l1.cpio", "vmlinuz", "counts.json"))
    machine.write(conf, settings)
    os.symlink(machine.lab("path", "vmlinuz", "--kernel", "6.12"), kernel)
    micro = os.path.join(directory, "micro")
    machine.lab("make-initramfs", "--out", image, "--modules", "kvm_intel", "--file", f"{micro}:/micro", "--file", f"{conf}:/ports.conf",
                "--file", f"{machine.lab('build-module', '--kernel', '6.12')}:/droste.ko",
                "--init", os.path.join(machine.HERE, "ports-l1.sh"))
    machine.say("ports: running one machine, a minute or two")
    files = [conf, image, kernel, micro, os.path.join(machine.TREE, "ctl", "drostectl"), os.path.join(machine.HERE, "ports-l0.sh")]
    with open(log, "w") as f:
        status, output = machine.execute([machine.LAB, "exec", "--timeout", str(LIMIT), "--count", counts,
                                          *[word for file in files for word in ("--file", file)], "--", "./ports-l0.sh"],
                                         subprocess.PIPE, f)
        f.write(output)
    if not os.path.exists(counts):
        raise machine.Failed(f"the machine ended with status {status} and no counts; its output is in {log}")
    with open(counts) as f:
        return results(json.load(f), output, small, log)


def results(counts, output, small, log):
    """Returns a result for each row and level."""
    times = {tuple(words[2:4]): int(words[4]) for words in map(str.split, output.splitlines()) if words[:2] == ["bench:", "done"]}
    found = []
    for level, (number, _) in LEVELS.items():
        for name in ROWS:
            taken = [count for count in counts if count["tag"] == rows.TAG | number << 16 | small[name].number]
            if not taken or (level, name) not in times:
                raise machine.Failed(f"{name} was not measured at {level}; the output is in {log}")
            found.append({"level": level, "row": name, "title": small[name].title,
                          **reduce.reduce(taken, small[name].kind, times[level, name])})
    return found


def text(found):
    """Returns the table."""
    lines = []
    for level, (_, title) in LEVELS.items():
        lines += ["", title, f"{'':16}" + "".join(f"{column:>10}" for column in COLUMNS)]
        lines += [f"{r['row']:16}" + "".join(f"{show.number(r[column]):>10}" for column in COLUMNS) for r in found if r["level"] == level]
    return "\n".join(lines[1:])


def svg(found):
    """Returns a plot of root instructions, a group of bars for each level."""
    most, parts, y = max(r["root"] for r in found), [], 24
    parts.append(plot.text(10, 18, "Instructions of L0, and of L1's hypervisor, that one access to a port costs", 14, weight="bold"))
    for level, (_, title) in LEVELS.items():
        y += 28
        parts.append(plot.text(NAMES, y - 8, title, 12, weight="bold"))
        for r in (r for r in found if r["level"] == level and r["row"] != "nothing"):
            root, guest = (WIDTH * value / (most * 1.6) for value in (r["root"], r["guest"]))
            parts.append(plot.text(NAMES - 6, y + BAR - 1, r["row"], anchor="end"))
            parts.append(f'<rect x="{NAMES}" y="{y}" width="{root:.1f}" height="{BAR}" fill="{plot.COLORS["droste"]}"/>')
            parts.append(f'<rect x="{NAMES + root:.1f}" y="{y}" width="{guest:.1f}" height="{BAR}" fill="{plot.COLORS["kvm"]}"/>')
            label = f"{show.number(r['root'])} + {show.number(r['guest'])}, exits: {show.number(r['exits'])}"
            parts.append(plot.text(NAMES + root + guest + 4, y + BAR - 1, label, 9))
            y += STEP
    for n, (color, words) in enumerate((("droste", "L0"), ("kvm", "guests: the loop, and at L2 L1's hypervisor"))):
        parts.append(f'<rect x="{NAMES + n * 60}" y="{y + 8}" width="10" height="10" fill="{plot.COLORS[color]}"/>')
        parts.append(plot.text(NAMES + n * 60 + 14, y + 17, words))
    width, height = NAMES + WIDTH + 150, y + 28
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">',
                      f'<rect width="{width}" height="{height}" fill="white"/>', *parts, "</svg>", ""])


def faults(found):
    """Returns a sentence for each access that exits although all levels pass the port."""
    return [f"{r['row']} at {r['level']}: {r['exits']} exits" for r in found
            if r["row"] in PASSED and r["level"] != "l2-kvm" and (r["exits"] or r["root"])]


def dump(found):
    return "[\n" + ",\n".join(json.dumps(r, sort_keys=True) for r in found) + "\n]\n"


def count(cache, whole=True):
    """Returns the results. There is no cheaper form."""
    os.makedirs(cache, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="droste-ports-") as directory:
        return measure(directory, os.path.join(cache, "ports.log"))

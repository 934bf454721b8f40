# SPDX-License-Identifier: GPL-2.0
"""The results as a table on the terminal."""
import model
import rows

# Columns of Droste's part: heading, width, and value of a result.
COLUMNS = [
    ("exits", 8, lambda r: r["exits"]),
    ("root", 12, lambda r: r["root"]),
    ("user", 9, lambda r: r["user"]),
    ("guest", 12, lambda r: r["guest"]),
    ("VMREAD", 9, lambda r: r["vmread"]),
    ("VMWRITE", 9, lambda r: r["vmwrite"]),
    ("VMPTRLD", 8, lambda r: r["vmptrld"]),
    ("VMCLEAR", 8, lambda r: r["vmclear"]),
    ("RDMSR", 7, lambda r: r["rdmsr"]),
    ("WRMSR", 7, lambda r: r["wrmsr"]),
    ("XSETBV", 7, lambda r: r["xsetbv"]),
    ("cycles", 12, model.cycles),
]
RATIOS = [("exits", lambda r: r["exits"]), ("root", lambda r: r["root"]), ("cycles", model.cycles)]
NAMES = {"droste": "Droste", "kvm": "kvm_intel"}

LEGEND = f"""\
One operation, in counts of the lab: exits that L0 took; instructions in VMX root operation, and those of them in L0's user
space; instructions of guests, the loop of the operation included (row "nothing"); then instructions in root. The column
{model.SENTENCE}.
Ticks of the host's timer are left out, but for rows marked *, where interrupts are part of the operation, and ~, where they
could not be."""


def number(value):
    """A number in few characters: decimals only if they tell something."""
    if value >= 1e7:
        return f"{value / 1e6:,.1f} M"
    if value >= 100 or abs(value - round(value)) < 0.005:
        return f"{round(value):,}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def mark(result):
    return "~" if result["ticks"] else "*" if result["kind"] in ("all", "middle") else ""


def key(result):
    return result["level"], result["row"]


def by_hypervisor(results):
    """Returns for each hypervisor the rows by level and name."""
    found = {}
    for result in results["rows"]:
        found.setdefault(result["hypervisor"], {})[key(result)] = result
    return found


def ratio(mine, other, value):
    """Droste's cost in parts of KVM's; empty where a ratio means nothing."""
    if not mine or not other or not value(other) or other["exits"] < 0.05 and value is not RATIOS[0][1]:
        return ""
    return f"{value(mine) / value(other):.2f}"


def order(found):
    """The keys of all rows in their order."""
    seen = {}
    for part in found.values():
        for result in part.values():
            seen[key(result)] = (rows.LEVELS.index(result["level"]), result["number"])
    return sorted(seen, key=seen.get)


def table(results, hypervisor, other):
    """The lines of one hypervisor's table; the other's is for ratios."""
    found = by_hypervisor(results)
    lines, level = [], None
    for where in order(found):
        mine, theirs = found.get(hypervisor, {}).get(where), found.get(other, {}).get(where)
        if not mine:
            continue
        if where[0] != level:
            level = where[0]
            heading = "".join(f"{name:>{width}}" for name, width, _ in COLUMNS)
            if other:
                heading += "  of KVM's:" + "".join(f"{name:>8}" for name, _ in RATIOS)
            lines += ["", f"{NAMES[hypervisor]}, {rows.TITLES[level]}", f"{'':20}{heading}"]
        values = "".join(f"{number(value(mine)):>{width}}" for _, width, value in COLUMNS)
        if other:
            values += f"{'':11}" + "".join(f"{ratio(mine, theirs, value):>8}" for _, value in RATIOS)
        lines.append(f"{where[1] + mark(mine):20}{values}".rstrip())
    return lines


def longest(results, hypervisor):
    """A line for each level: its row with the longest stretch of root instructions with interrupts disabled."""
    found, lines = by_hypervisor(results)[hypervisor], []
    for level in rows.LEVELS[1:]:
        row = max((r for r in found.values() if r["level"] == level), key=lambda r: r.get("masked", 0), default=None)
        if row and row.get("masked"):
            lines.append(f"{level:9}{number(row['masked']):>8}  in {row['row']}")
    return ["", f"{NAMES[hypervisor]}, the longest stretch of root instructions with interrupts disabled, at an exit or entry:",
            *lines] if lines else []


def text(results):
    """The whole table."""
    found = by_hypervisor(results)
    lines = []
    if "kvm" in found:
        lines += table(results, "kvm", None)
    if "droste" in found:
        lines += table(results, "droste", "kvm" if "kvm" in found else None)
        lines += longest(results, "droste")
    for entry in results.get("missing", []):
        lines += ["" if entry is results["missing"][0] else None,
                  f"not measured: {NAMES[entry['hypervisor']]} {entry['level']} {entry['row']}: {entry['why']}"]
    return "\n".join([*(line for line in lines if line is not None), "", LEGEND])

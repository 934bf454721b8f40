# SPDX-License-Identifier: GPL-2.0
"""Writes into docs/bench.md what the dearest rows consist of."""
import os
import sys

import functions
import rows
import show

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab.d"))

BEGIN, END = "<!-- made by scripts/bench reference: begin -->", "<!-- made by scripts/bench reference: end -->"
LEVELS = ("l1", "l2")   # of which the dearest rows are explained
DEAREST = 10
FUNCTIONS = 8           # that are named of each row


def reasons():
    """The names of exits, as the lab prints them."""
    import counts
    return counts.EXITS


def exits(result):
    """An operation's exits by reason, those that matter."""
    found = sorted(((value, key) for key, value in result.items() if key.startswith("exit.") and value >= 0.05), reverse=True)
    return ", ".join(f"{show.number(value)} {reasons().get(int(key[5:]), key)}" for value, key in found) or "none"


def dearest(results, level):
    """The small guest's rows with the most root instructions; those in which a timer is awaited tell of it more than of a row."""
    mine = [r for r in results["rows"] if r["hypervisor"] == "droste" and r["level"] == level and r["number"] < rows.LINUX]
    return sorted(mine, key=lambda r: -r["root"])[:DEAREST]


def table(results, level, by_row):
    """The lines of a level's table. `by_row` has the functions of rows, by level and name."""
    lines = ["", f"The dearest rows of {rows.TITLES[level]}:", "",
             "| row | root instructions, of KVM's | exits | functions of L0 with the most instructions in one operation |",
             "|---|---|---|---|"]
    found = show.by_hypervisor(results)
    for result in dearest(results, level):
        other = found.get("kvm", {}).get(show.key(result))
        part = show.ratio(result, other, lambda r: r["root"])
        named = by_row.get(show.key(result), functions.Row()).named[:FUNCTIONS]
        lines.append(f"| `{result['row']}` | {show.number(result['root'])}{', ' + part if part else ''} | {exits(result)} | "
                     + ", ".join(f"`{name}` {show.number(number)}" if name != functions.USER else f"{name} {show.number(number)}"
                                 for name, number in named) + " |")
    return lines


def insert(document, lines):
    """Returns a document with other lines between the two comments."""
    head, _, rest = document.partition(BEGIN)
    _, _, tail = rest.partition(END)
    if not rest or not tail:
        raise ValueError("the document lacks the comments between which the tables go")
    return f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n\n{END}{tail}"

# SPDX-License-Identifier: GPL-2.0
"""Compares two results of the benchmark, as they are in its JSON files."""
import json

import show

FORMAT = 1              # of the JSON file
ALLOWED = 0.05          # how much more is no failure
# What is compared of Droste's rows, and how much more is none in any case: a fraction of an event, or some instructions,
# which a tick of the host's timer can cause.
COMPARED = {"exits": 0.05, "root": 30, "vmread": 0.5, "vmwrite": 0.5, "vmptrld": 0.05, "vmclear": 0.05, "rdmsr": 0.1,
            "wrmsr": 0.1, "xsetbv": 0.1, "masked": 100}
WORDS = {"exits": "exits", "root": "root instructions", "vmread": "VMREADs", "vmwrite": "VMWRITEs", "vmptrld": "VMPTRLDs",
         "vmclear": "VMCLEARs", "rdmsr": "RDMSRs", "wrmsr": "WRMSRs", "xsetbv": "XSETBVs", "masked": "instructions with interrupts disabled"}
# The allowance where interrupts are part of what is counted: their number is not the same in each run.
WITH_TICKS = 2


class Unreadable(Exception):
    """A file has no results; the text says why."""


def read(name):
    """Returns the results in a file."""
    try:
        with open(name) as f:
            results = json.load(f)
    except OSError as e:
        raise Unreadable(f"{name}: {e.strerror}") from e
    except ValueError as e:
        raise Unreadable(f"{name} is no JSON file: {e}") from e
    if not isinstance(results, dict) or results.get("format") != FORMAT or "rows" not in results:
        raise Unreadable(f"{name} has no results of scripts/bench")
    return results


def allowance(old, new, field):
    """How much a field of a row may be without a failure."""
    times = WITH_TICKS if old["kind"] != "quiet" or old["ticks"] or new["ticks"] else 1
    return max(old[field] * (1 + ALLOWED * times), old[field] + COMPARED[field] * times)


def worse(old, new):
    """Returns (sentence, part) for each field of a row that has grown by more than is allowed."""
    found = []
    for field, word in WORDS.items():
        if field not in old or field not in new:        # older results do not have all
            continue
        if new[field] > allowance(old, new, field):
            part = new[field] / old[field] - 1 if old[field] else None
            more = f"{part:.0%} more" if part is not None else "none before"
            found.append(f"{word} {show.number(old[field])} -> {show.number(new[field])} ({more})")
    return found


def compare(old, new, hypervisor="droste"):
    """Returns the lines to print, and the number of rows that got worse or went missing."""
    before, after = (show.by_hypervisor(results).get(hypervisor, {}) for results in (old, new))
    lines, failed = [], 0
    for where in show.order({"": before}):
        name = f"{where[0]} {where[1]}"
        if where not in after:
            failed += 1
            lines.append(f"{name}: it is missing in the new results")
            continue
        problems = worse(before[where], after[where])
        failed += bool(problems)
        if problems:
            lines.append(f"{name}: {', '.join(problems)}")
        elif after[where]["root"] < before[where]["root"] * (1 - ALLOWED) - COMPARED["root"]:
            lines.append(f"{name}: better, root instructions {show.number(before[where]['root'])} -> "
                         f"{show.number(after[where]['root'])}")
    rows = len(before)
    if failed:
        lines.append(f"{failed} of {rows} rows cost more than {ALLOWED:.0%} more, or are missing")
    else:
        lines.append(f"none of {rows} rows costs more than {ALLOWED:.0%} more")
    return lines, failed

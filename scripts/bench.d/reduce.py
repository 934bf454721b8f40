# SPDX-License-Identifier: GPL-2.0
"""Makes one result of the counts of a row. Each count is a dictionary of the lab (scripts/lab.d/counts.py)."""
import statistics

import rows

# What a result has, by keys of a count. "exits" is the sum of all exits.
FIELDS = {
    "root": ["root"], "user": ["root.user"], "guest": ["guest"], "vmread": ["root.vmread"], "vmwrite": ["root.vmwrite"],
    "vmptrld": ["root.vmptrld"], "vmclear": ["root.vmclear"], "rdmsr": ["root.rdmsr"], "wrmsr": ["root.wrmsr"],
    "xsetbv": ["root.xsetbv"], "invept": ["root.invept"], "invvpid": ["root.invvpid"],
}
# An interrupt of the host's: it ends an entry, arrives in root, or is the VMX-preemption timer.
INTERRUPTS = ("exit.1", "exit.52", "root.interrupt")
FEWEST = 3      # counts without an interrupt that are enough


def interrupts(count):
    return sum(count.get(key, 0) for key in INTERRUPTS)


def result_of(count):
    """Returns a count's fields."""
    found = {name: sum(count.get(key, 0) for key in keys) for name, keys in FIELDS.items()}
    found["interrupts"] = interrupts(count)
    found["exits"] = 0
    for key, value in count.items():
        if key.startswith("exit."):
            found[key] = value
            found["exits"] += value
    return found


def middle(results, choose):
    """Applies a function, mean or median, to each field of some results."""
    keys = {key for result in results for key in result}
    return {key: choose([result.get(key, 0) for result in results]) for key in keys}


def reduce(counts, kind, times):
    """
    Returns the result of one operation.

    kind "all" and "less": the mean of all counts. "middle": the median of each field over the counts. "quiet": the mean of the counts
    in which the host had no interrupt, so that its timer's ticks are left out; if there are too few, as "middle".
    """
    results = [result_of(count) for count in counts]
    quiet = [result for result in results if not result["interrupts"]]
    ticks = kind == "quiet" and len(quiet) < min(FEWEST, len(results))
    if kind == "quiet" and not ticks:
        chosen, found = quiet, middle(quiet, statistics.mean)
    elif kind in ("all", "less"):
        chosen, found = results, middle(results, statistics.mean)
    else:
        chosen, found = results, middle(results, statistics.median)
    found = {key: round(value / times, 4) for key, value in found.items()}
    # Of all counts, because it is a maximum. A tick counts only if it came before interrupts were enabled after an exit.
    masked = max((count.get("root.masked", 0) for count in counts), default=0)
    return {"times": times, "kind": kind, "ticks": ticks, "counts": len(results), "taken": len(chosen), "masked": masked, **found}


def take_ticks_out(result, tick):
    """
    Subtracts the ticks of Linux, as row "tick" of the same level has them, from the root instructions of a long result.
    Not from the rest: a tick that comes while L0 works for long needs no exit of its own.
    """
    ticks = (result["root"] + result["guest"]) / rows.TICK
    result["root"] = round(max(0, result["root"] - ticks * tick["root"]))


def all_rows(outcome, chosen):
    """Returns the results of a machine, by level and name. `chosen` has the rows of each level."""
    by_tag = {}
    for count in outcome.counts:
        by_tag.setdefault(count["tag"], []).append(count)
    results, missing = {}, dict(outcome.missing)
    for level, row in ((level, row) for level in rows.LEVELS for row in chosen.get(level, ())):
        key = level, row.name
        counts = by_tag.get(row.tag(level), [])
        linux = row.number >= rows.LINUX
        if key in missing:
            continue
        if not counts or not linux and key not in outcome.times:
            missing[key] = "failed: it was not reached, or did not end"
            continue
        results[key] = reduce(counts, row.kind, row.times if linux else outcome.times[key])
    for (level, name), result in results.items():
        if result["kind"] == "less":
            result["ticks"] = (level, "tick") not in results
            if not result["ticks"]:
                take_ticks_out(result, results[level, "tick"])
    return results, missing

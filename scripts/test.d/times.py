# SPDX-License-Identifier: GPL-2.0
"""Remembers the steps' times for the next run, orders the steps by them, and prints them as a table."""
import json
import os

# The seconds of steps on two idle processors, for a cache that does not know them yet.
TYPICAL = {
    "setup": 150, "setup-debug": 450, "setup-6.1": 15, "images-xen-4.17": 60,
    "build-6.12": 30, "build-6.1": 30, "build-debug": 30,
    "style": 300, "style-changed": 20, "host": 70, "ctl": 20, "unit": 15, "tools": 10, "kunit": 90,
    "selftests-6.12-1cpu": 180, "selftests-6.12-2cpu-strict": 360, "selftests-6.1-2cpu": 240, "selftests-debug-1cpu": 600,
    "strict": 60, "strict-msrs": 30, "strict-storms": 60,
    "life-6.12-2cpu": 150, "life-6.1-2cpu": 120, "life-debug-1cpu": 240, "chain-debug-ept-2cpu": 240,
    "qemu-6.12": 240, "qemu-nested-6.12": 150, "qemu-nestedstate": 480, "xen-4.17": 200,
}
TYPICAL_OTHER = 60


class Memory:
    """The elapsed time and the CPU time of each step the last time that it passed, in a file of the cache."""

    def __init__(self, file):
        self.file = file
        try:
            with open(file) as f:
                self.times = {name: (float(t["elapsed"]), float(t["cpu"])) for name, t in json.load(f).items()}
        except (FileNotFoundError, ValueError, AttributeError, TypeError, KeyError):
            self.times = {}

    def note(self, name, before=""):
        """Returns "last time N s" with some text before it, or nothing if the step's time is not known."""
        return f"{before}last time {self.times[name][0]:.0f} s" if name in self.times else ""

    def expected(self, name):
        """Returns the seconds that a step takes on idle processors.

        On a crowded machine the CPU time is nearer to that than the elapsed time, but it is more for a parallel build.
        """
        return min(self.times[name]) if name in self.times else TYPICAL.get(name, TYPICAL_OTHER)

    def save(self, records):
        """Remembers the steps that passed. A failed step may have ended early."""
        self.times.update((r.name, (round(r.seconds, 1), round(r.cpu, 1))) for r in records
                          if not r.failed and not r.picked)
        new = f"{self.file}.new-{os.getpid()}"
        with open(new, "w") as f:
            json.dump({name: {"elapsed": t[0], "cpu": t[1]} for name, t in sorted(self.times.items())}, f, indent=1)
        os.replace(new, self.file)


def longest_path_first(steps, memory):
    """Sorts steps by their own time and that of the longest chain of steps that depend on them."""
    path = {}

    def seconds(step):
        if step.name not in path:
            path[step.name] = memory.expected(step.name) + max(
                (seconds(s) for s in steps if step.name in s.needs), default=0)
        return path[step.name]
    return sorted(steps, key=seconds, reverse=True)


class Record:
    """The times of one step of this run."""

    def __init__(self, step, began, ended):
        """`ended` has the records of the steps that have ended, in this order."""
        needed = [r for r in ended if r.name in step.needs]
        ready = needed[-1].end() if needed else 0
        self.name = step.name
        self.setup = step.setup
        self.picked = step.picked
        self.began = began                  # seconds since the run's start
        self.waited = began - ready         # seconds for a free slot, with all needs met
        # The step whose end let this one start; None at the run's start.
        cause = needed if self.waited < 1 else ended
        self.behind = cause[-1].name if cause else None
        self.seconds = 0.0
        self.cpu = 0.0                      # of all the step's processes
        self.failed = False

    def end(self):
        return self.began + self.seconds


def chain(records):
    """Returns the names of the steps that make up the run's time: the last one, the one before it, and so on."""
    by_name = {r.name: r for r in records}
    names = []
    last = max(records, key=Record.end)
    while last:
        names.append(last.name)
        last = by_name.get(last.behind)
    return names[::-1]


def clock(seconds):
    """Minutes and seconds, as "12:07"."""
    return f"{round(seconds) // 60:d}:{round(seconds) % 60:02d}"


def behind(record):
    """Describes in the table the step that another one waited for."""
    if record.waited < 1:
        return record.behind or ""
    return f"{record.behind} (for a slot, {clock(record.waited)})"


def table(records, total, slots):
    """Returns the lines of the table that ends a run, the longest step first."""
    if not records:
        return []
    longest = set(chain(records))
    everything = sum(r.seconds for r in records)

    def row(mark, title, some, began="", note=""):
        seconds, cpu = sum(r.seconds for r in some), sum(r.cpu for r in some)
        share = 100 * seconds / max(everything, 1)
        return f"{mark:1} {title:26} {clock(seconds):>7} {clock(cpu):>7} {share:5.1f} %  {began:>6}  {note}".rstrip()

    rule = "-" * 88
    busy = 100 * everything / max(slots * total, 1)
    return [
        f"  {'where the time went':26} {'elapsed':>7} {'CPU':>7} {'share':>7}  {'began':>6}  after",
        rule,
        *[row("*" if r.name in longest else "", r.name, [r], clock(r.began), behind(r))
          for r in sorted(records, key=lambda r: -r.seconds)],
        rule,
        row("", "setup (kept in the cache)", [r for r in records if r.setup]),
        row("", "tests", [r for r in records if not r.setup]),
        row("", "all steps", records),
        f"  total {clock(total)}; {slots} steps at once, {busy:.0f} % of that time used; "
        "* the steps that one after the other make up the total",
    ]

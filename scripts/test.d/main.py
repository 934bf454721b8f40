# SPDX-License-Identifier: GPL-2.0
"""The command line of scripts/test: which steps, how many at once, and the closing count."""
import argparse
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import runner
import steps
import times

KEPT = 5                # directories of earlier runs that are kept
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "droste")


def parser():
    top = argparse.ArgumentParser(
        prog="scripts/test", description="Runs all tests of Droste, or the steps named and what they need. "
        "At the end it prints where the time went. The last line is 'N passed, N failed'; the exit status is 0 only if "
        "nothing failed.")
    top.add_argument("--list", action="store_true", help="list the steps and exit")
    top.add_argument("--jobs", type=int, metavar="N", default=max(1, min(os.cpu_count() or 1, 4)),
                     help="steps that may run at once (default: the number of CPUs, at most 4)")
    top.add_argument("--alone", action="store_true", help="run the named steps only, without the steps that they need")
    top.add_argument("steps", nargs="*", metavar="STEP", help="a step, or the beginning of several steps' names")
    return top


def select(words, alone):
    """Returns the steps that the words name and, unless alone, the steps that they need, in the order of the list."""
    by_name = {s.name: s for s in steps.STEPS}
    wanted = set()

    def add(name):
        if name not in wanted:
            wanted.add(name)
            if not alone:
                for need in by_name[name].needs:
                    add(need)

    for word in words:
        matches = [word] if word in by_name else [n for n in by_name if n.startswith(word)]
        if not matches:
            sys.exit(f"scripts/test: there is no step '{word}'; see scripts/test --list")
        for name in matches:
            add(name)
    return [s for s in steps.STEPS if (s.name in wanted if words else not s.extra)]


def make_directory():
    """Makes a directory for this run's logs, and removes the oldest ones of runs that have ended."""
    root = os.path.join(CACHE, "test")
    os.makedirs(root, exist_ok=True)
    for old in sorted(os.listdir(root))[:-KEPT]:
        if os.path.exists(f"/proc/{old.rpartition('-')[2]}"):
            continue
        shutil.rmtree(os.path.join(root, old), ignore_errors=True)
    directory = os.path.join(root, f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
    os.makedirs(directory)
    return directory


def main():
    arguments = parser().parse_args()
    chosen = select(arguments.steps, arguments.alone)
    if arguments.list:
        for step in chosen if arguments.steps else steps.STEPS:
            print(f"{step.name:24} {step.title}" + (f" [after {', '.join(step.needs)}]" if step.needs else "")
                  + (" [only when named]" if step.extra else ""))
        return 0
    if arguments.alone:
        for step in chosen:
            step.needs = tuple(n for n in step.needs if n in {s.name for s in chosen})
    memory = times.Memory(os.path.join(CACHE, "step-times.json"))
    work = runner.Runner(chosen, make_directory(), max(1, arguments.jobs), memory)
    runner.on_signal(work)
    work.run()
    for kind in ("images",):
        shutil.rmtree(os.path.join(work.directory, kind), ignore_errors=True)
    memory.save(work.records)
    print("\n".join(["", *times.table(work.records, work.seconds(), work.slots), ""]))
    if work.skipped:
        print(f"{work.skipped} skipped")
    print(f"logs: {work.directory}")
    print(f"{work.passed} passed, {work.failed} failed", flush=True)
    return 1 if work.failed or not work.passed else 0


if __name__ == "__main__":
    sys.exit(main())

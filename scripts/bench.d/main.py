# SPDX-License-Identifier: GPL-2.0
"""The benchmark's command line."""
import argparse
import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import compare
import explain
import figures
import functions
import machine
import plot
import pools
import reduce
import rows
import scale
import show

LIMIT = 3600            # seconds for a machine
SHOWN = 25              # functions of a row with --by-function
DOCUMENT = os.path.join(machine.TREE, "docs", "bench.md")
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "droste", "bench")

REFERENCE = ["--json", os.path.join(machine.TREE, "docs", "bench.json"), "--svg", os.path.join(machine.TREE, "docs", "bench.svg"),
             "--by-function"]

EPILOG = """\
words for --only are names of rows, or their beginnings up to a hyphen (mmio is mmio-write-user and the others), or globs:
  scripts/bench --only cpuid,mmio --level l1 --hypervisor droste
other uses:
  scripts/bench compare OLD NEW     compare two JSON files; fails on 5 % more in a row of Droste's
  scripts/bench show FILE           the table of a JSON file
  scripts/bench plot FILE           its plot, as SVG
  scripts/bench scale [KERNEL]      exits with 1 to 8 vCPUs: cost, locks, disabled interrupts; on kernel 6.12 or debug
  scripts/bench ports [NAME]        accesses to ports, by path, at L1 and L2; writes NAME.json and NAME.svg
  scripts/bench devices [NAME]      what each path of an access to a device costs; the same
  scripts/bench batching [NAME]     operations as traps and in lists by the hypercall; the same
  scripts/bench lhp [small]         PAUSEs while a lock's holder waits for a CPU; small: without a Linux L1
  scripts/bench paging [small | WAY,...]  EPT, EPT with exits at MOV to CR3, and shadow paging, at L1 and L2; small: EPT at L1
  scripts/bench ports reference     the same for each of these five: makes its figure and its JSON in docs/, and tables that are made
  scripts/bench paging reference WAY,...  the same, but only these ways are counted anew
  scripts/bench pools               the figure of docs/pools.md, from the dumps of four processors; counts nothing
  scripts/bench reference           measure all rows, and make docs/bench.json, docs/bench.svg and the tables of docs/bench.md
The figures of --figures are those five, of the small forms; a row that these leave out is taken from docs/, and called older.
exit status: 0, or 1 if a row failed or got worse, or 2
"""


def words(text):
    return [word for word in text.split(",") if word]


def one_of(choices):
    def check(text):
        for word in words(text):
            if word not in choices:
                raise argparse.ArgumentTypeError(f"'{word}' is none of {', '.join(choices)}")
        return words(text)
    return check


def parser():
    top = argparse.ArgumentParser(prog="scripts/bench", description="Measures what operations of guests cost, in the lab.",
                                  epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--only", type=words, default=["*"], metavar="ROW,...", help="the rows to measure (default: all)")
    top.add_argument("--level", type=one_of(rows.LEVELS), default=list(rows.LEVELS), metavar="LEVEL,...",
                     help=f"the levels: {', '.join(rows.LEVELS)} (default: all)")
    top.add_argument("--hypervisor", type=one_of(list(machine.DEVICES)), default=["kvm", "droste"], metavar="NAME,...",
                     help="droste, kvm (default: both)")
    top.add_argument("--module-options", metavar="WORDS", help="load droste.ko with these, apicv=0 for instance")
    top.add_argument("--tickless", action="store_true",
                     help="run the guests on a second processor of L0, which has no ticks (nohz_full), and count only that one")
    top.add_argument("--windows", type=int, metavar="N", help="how often to count each row of the small guest")
    top.add_argument("--json", metavar="FILE", help="write the results to a file")
    top.add_argument("--svg", metavar="FILE", help="write a plot of them to a file")
    top.add_argument("--figures", metavar="PREFIX", help="also make the figures of other comparisons: PREFIX-NAME.svg and .json of "
                                                         + ", ".join(figures.FIGURES))
    top.add_argument("--by-function", action="store_true", help="also print the functions of Droste's L0 that each row executes")
    top.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="machines at once (default: one per CPU)")
    top.add_argument("--list", action="store_true", help="print the rows")
    return top


class Progress:
    """Tells what is being measured: on a terminal in one line, else a line for each level."""

    def __init__(self, total):
        self.total = total
        self.begun = 0
        self.now = {}
        self.started = time.monotonic()
        self.lock = threading.Lock()
        self.terminal = sys.stderr.isatty()

    def row(self, hypervisor):
        def begin(level, name):
            with self.lock:
                new = self.now.get(hypervisor, ("", ""))[0] != level
                self.now[hypervisor] = level, name
                self.begun += 1
                seconds = f"[{time.monotonic() - self.started:4.0f} s]"
                if self.terminal:
                    what = "; ".join(f"{h}: {l} {n}" for h, (l, n) in sorted(self.now.items()))
                    print(f"\r\033[K{seconds} {self.begun} of {self.total}; {what}", end="", file=sys.stderr, flush=True)
                elif new:
                    print(f"{seconds} {self.begun} of {self.total} rows; {hypervisor}: {level}", file=sys.stderr, flush=True)
        return begin

    def end(self):
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr)
        print(f"measured in {time.monotonic() - self.started:.0f} s", file=sys.stderr)


def commit():
    """The commit of the tree, with a + if it has changes."""
    def git(*arguments):
        return subprocess.run(["git", "-C", machine.TREE, *arguments], capture_output=True, text=True).stdout.strip()
    return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")


def choose(small, arguments):
    """Returns the rows of the small guest and of Linux, by level."""
    def chosen(all_rows):
        return {level: found for level in arguments.level
                if (found := [row for row in all_rows if level in row.levels and rows.matches(row.name, arguments.only)])}
    return chosen(small), chosen(rows.LINUX_ROWS)


def measure(arguments, directory, others=()):
    """Runs the machines, and returns the results. Figures of other comparisons are made on processors that have nothing to do."""
    machine.build(os.path.join(directory, "programs"))
    programs = os.path.join(directory, "programs")
    small, linux = choose(rows.small(os.path.join(programs, "micro")), arguments)
    if not small and not linux:
        raise machine.Failed("there is no such row; scripts/bench --list prints them")
    plans = [machine.Plan(hypervisor, small, linux, arguments.windows, arguments.by_function and hypervisor == "droste",
                          arguments.module_options if hypervisor == "droste" else None, arguments.tickless)
             for hypervisor in arguments.hypervisor]
    machine.lab("prepare", "--kernel", "6.12")
    progress = Progress(sum(plan.count() for plan in plans))
    os.makedirs(CACHE, exist_ok=True)

    def run(plan):
        with open(os.path.join(CACHE, f"{plan.hypervisor}.log"), "w") as log:
            return machine.run(plan, programs, os.path.join(directory, plan.hypervisor), LIMIT,
                               progress.row(plan.hypervisor), log)

    chosen = {level: small.get(level, []) + linux.get(level, []) for level in rows.LEVELS}
    by_row = {}
    results = {"format": compare.FORMAT, "commit": commit(), "kernel": "6.12", "rows": [], "missing": []}
    with concurrent.futures.ThreadPoolExecutor(max(1, arguments.jobs)) as pool:
        try:
            jobs = [pool.submit(run, plan) for plan in plans] + [pool.submit(figure.make, CACHE) for figure in others]
            outcomes = [job.result() for job in jobs][:len(plans)]
        except BaseException:       # the threads end when their machines do
            machine.stop()
            raise
        for plan, outcome in zip(plans, outcomes):
            found, missing = reduce.all_rows(outcome, chosen)
            for (level, name), result in found.items():
                number = next(row.number for row in chosen[level] if row.name == name)
                results["rows"].append({"hypervisor": plan.hypervisor, "level": level, "row": name, "number": number, **result})
            results["missing"] += [{"hypervisor": plan.hypervisor, "level": level, "row": name, "why": why}
                                   for (level, name), why in missing.items()]
            if outcome.profile:
                by_row = by_function(outcome, found, chosen, directory)
    progress.end()
    return results, by_row


def by_function(outcome, found, chosen, directory):
    """Returns the functions with the most root instructions of each row, by level and name."""
    profile = functions.read(outcome.profile)
    names = functions.names_of(profile, functions.symbols(outcome.symbols), directory)
    return {(level, row.name): functions.row(profile[row.tag(level)], names, result["counts"] * result["times"])
            for level in rows.LEVELS for row in chosen.get(level, ())
            if (result := found.get((level, row.name))) and row.tag(level) in profile}


def show_functions(by_row):
    """Prints the functions of all rows."""
    for (level, name), row in by_row.items():
        print(f"\nroot instructions of {level} {name} by function, ticks included; {show.number(row.modules)} are Droste's, and "
              f"{show.number(row.kernel)} the host kernel's:")
        for function, number in row.named[:SHOWN]:
            print(f"{show.number(number):>12}  {function}")


def list_rows(small):
    for row in [*small, *rows.LINUX_ROWS]:
        print(f"{row.name:20}{row.title} ({', '.join(row.levels)})")


def dump(results):
    """Returns the results as JSON with a line for each row, so that two files can be compared by eye."""
    parts = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in results.items() if not isinstance(value, list)]
    for key, value in results.items():
        if isinstance(value, list):
            lines = ",\n".join(f"  {json.dumps(entry, sort_keys=True)}" for entry in value)
            parts.append(f" {json.dumps(key)}: [\n{lines}\n ]" if value else f" {json.dumps(key)}: []")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def write(name, text):
    with open(name, "w") as f:
        f.write(text)


def use(what, names):
    """Carries out one of the other uses, of JSON files."""
    if len(names) != (2 if what == "compare" else 1):
        print(f"usage: scripts/bench {what} {'OLD NEW' if what == 'compare' else 'FILE'}", file=sys.stderr)
        return 2
    try:
        results = [compare.read(name) for name in names]
    except compare.Unreadable as e:
        print(f"bench: {e}", file=sys.stderr)
        return 2
    if what == "compare":
        lines, failed = compare.compare(*results)
        print("\n".join(lines))
        return 1 if failed else 0
    print(show.text(results[0]) if what == "show" else plot.svg(results[0]), end="\n" if what == "show" else "")
    return 0


def measure_other(name, words):
    """Carries out scripts/bench NAME for a comparison of its own."""
    try:
        if name in figures.COMMANDS:
            return figures.measure(name, words, CACHE)
        if len(words) > 1 or not set(words) <= set(scale.MASKED):
            print(f"usage: scripts/bench scale [{' | '.join(scale.MASKED)}]", file=sys.stderr)
            return 2
        return scale.main(CACHE, *words)
    except machine.Failed as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1


def main():
    if sys.argv[1:2] and sys.argv[1] in ("compare", "show", "plot"):
        return use(sys.argv[1], sys.argv[2:])
    if sys.argv[1:2] and sys.argv[1] in ("scale", *figures.COMMANDS):
        return measure_other(sys.argv[1], sys.argv[2:])
    if sys.argv[1:] == ["pools"]:
        print(pools.svg(), end="")
        return 0
    reference = sys.argv[1:] == ["reference"]
    arguments = parser().parse_args(REFERENCE if reference else None)
    others = figures.chosen(arguments.figures) if arguments.figures else []
    with tempfile.TemporaryDirectory(prefix="droste-bench-") as directory:
        try:
            if arguments.list:
                machine.build(directory)
                list_rows(rows.small(os.path.join(directory, "micro")))
                return 0
            results, by_row = measure(arguments, directory, others)
        except machine.Failed as e:
            print(f"bench: {e}; the machines' output is in {CACHE}", file=sys.stderr)
            return 1
    if arguments.json:
        write(arguments.json, dump(results))
    if arguments.svg:
        write(arguments.svg, plot.svg(results))
    print(show.text(results))
    for figure in others:
        print("\n".join(figure.lines))
    if reference:
        with open(DOCUMENT) as f:
            document = f.read()
        write(DOCUMENT, explain.insert(document, [line for level in explain.LEVELS for line in explain.table(results, level, by_row)]))
    elif arguments.by_function:
        show_functions(by_row)
    failed = [figure for figure in others if figure.failed]
    return 1 if failed or any(entry["why"].startswith("failed") for entry in results["missing"]) else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)

# SPDX-License-Identifier: GPL-2.0
"""The command line of scripts/test: which steps, how many at once, and the closing count."""
import argparse
import fnmatch
import hashlib
import json
import os
import re
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import pick
import results
import runner
import steps
import times
from runner import Refused

KEPT = 20               # directories of earlier runs that are kept
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "droste")
ROOT = os.path.join(CACHE, "test")      # of the runs' logs


def number_of_jobs(text):
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 1 up")
    return int(text)


def parser():
    top = argparse.ArgumentParser(
        prog="scripts/test", description="Runs all tests of Droste, or the steps and tests named and what they need. "
        "At the end it prints where the time went. The last line is 'N passed, N failed'. The exit status is 0 if "
        "nothing failed, 1 if a test failed, the run was stopped, or a subtest or case does not exist, 2 for other errors in "
        "the command line.",
        epilog=pick.HELP + f"\nThe logs of the last run are in {ROOT}/latest.",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--list", action="store_true", help="list the steps, or the tests named, and exit")
    top.add_argument("--quick", action="store_true",
                     help="what to run before each commit: " + ", ".join(steps.QUICK))
    top.add_argument("--failed", action="store_true", help="run again what failed in the last run of this tree")
    top.add_argument("--jobs", type=number_of_jobs, metavar="N", default=max(1, min(os.cpu_count() or 1, 4)),
                     help="steps that may run at once (default: the number of CPUs, at most 4)")
    top.add_argument("--alone", action="store_true", help="run the named steps only, without the steps that they need")
    top.add_argument("--strict", action="store_true", help="run the steps' machines on the strict machine (docs/strict.md)")
    top.add_argument("--paranoid", action="store_true", help="load Droste with paranoid=1 in the steps' machines")
    machine = top.add_argument_group("the machine for names like selftests:t_cpu")
    machine.add_argument("--kernel", choices=["6.12", "6.1", "debug"], help="L0's kernel (default 6.12)")
    machine.add_argument("--cpus", type=int, choices=range(1, 9), metavar="N", help="its CPUs (default 1)")
    machine.add_argument("--hypervisor", choices=["droste", "kvm"], help="kvm: run on kvm_intel, the reference")
    output = top.add_argument_group("output")
    output.add_argument("--tap", action="store_true", help="print TAP: a line for each test, all else as comments")
    output.add_argument("--junit", metavar="FILE", help="write the results as JUnit's XML")
    output.add_argument("--json", metavar="FILE", help="write the results as JSON")
    top.add_argument("steps", nargs="*", metavar="STEP", help="a step or a test, see below")
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
        if not word:
            raise Refused("the name of a step is empty")
        matches = [word] if word in by_name else [n for n in by_name if n.startswith(word) or fnmatch.fnmatch(n, word)]
        if not matches:
            for kind, known in (("selftests", pick.programs()), ("unit", pick.kunit.suites())):
                if re.split(r"[/.]", word)[0] in known:
                    raise Refused(f"'{word}' is no step; the test is {kind}:{word}")
            raise Refused(f"there is no step '{word}'; see scripts/test --list, and --help for single tests")
        for name in matches:
            add(name)
    return [s for s in steps.STEPS if s.name in wanted]


def last_results():
    """Returns the file with the results of this tree's last run. The cache may be that of several trees."""
    return os.path.join(ROOT, f"last-{hashlib.sha256(steps.TREE.encode()).hexdigest()[:12]}.json")


def failed_words():
    """Returns the words for what failed in the last run."""
    try:
        with open(last_results()) as f:
            last = json.load(f)
    except FileNotFoundError:
        raise Refused("there are no results of an earlier run of this tree")
    words = [word for step in last["steps"] if step["outcome"] == "failed" for word in pick.again(step)]
    if not words:
        print(f"nothing failed in the last run ({last['began']}: {last['passed']} passed)")
        sys.exit(0)
    print("failed in the last run: " + ", ".join(words), file=sys.stderr)
    return words


def open_output(file):
    """Opens a file for the results, or returns None if no file is named."""
    try:
        return open(file, "w", encoding="utf-8") if file else None
    except OSError as e:
        raise Refused(f"{file} cannot be written: {e.strerror}") from e


def make_directory():
    """Makes a directory for this run's logs, and removes the oldest ones of runs that have ended."""
    os.makedirs(ROOT, exist_ok=True)
    for old in sorted(name for name in os.listdir(ROOT) if re.fullmatch(r"\d{8}-\d{6}-\d+", name))[:-KEPT]:
        if os.path.exists(f"/proc/{old.rpartition('-')[2]}"):
            continue
        shutil.rmtree(os.path.join(ROOT, old), ignore_errors=True)
    directory = os.path.join(ROOT, f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
    os.makedirs(directory)
    link = os.path.join(ROOT, f"latest.new-{os.getpid()}")
    os.symlink(os.path.basename(directory), link)
    os.replace(link, os.path.join(ROOT, "latest"))
    return directory


def show(chosen, words, arguments):
    """Prints the list of the steps, or of the tests that are named one by one."""
    for step in chosen:
        print(f"{step.name:24} {step.title}" + (f" [after {', '.join(step.needs)}]" if step.needs else "")
              + (" [only when named]" if step.extra else ""))
    for word in words:
        pick.show(word, arguments)


def run(arguments):
    """Does as the command line says, and returns the exit status."""
    if arguments.strict:
        os.environ["LAB_STRICT"] = "all"        # the default of --strict in scripts/lab
    if arguments.paranoid:
        os.environ["LAB_PARANOID"] = "1"        # the default of --paranoid in scripts/lab
    words = [*arguments.steps, *(steps.QUICK if arguments.quick else ()), *(failed_words() if arguments.failed else ())]
    single = [w for w in words if ":" in w]
    if (arguments.kernel or arguments.cpus or arguments.hypervisor) and not single:
        raise Refused("--kernel, --cpus and --hypervisor are for tests like selftests:t_cpu; a step has its own")
    chosen = select([w for w in words if ":" not in w], arguments.alone)
    if arguments.list:
        show(chosen if words else steps.STEPS, single, arguments)
        return 0
    chosen = [*chosen, *pick.steps(single, arguments)] if words else [s for s in steps.STEPS if not s.extra]
    if arguments.alone:
        for step in chosen:
            step.needs = tuple(n for n in step.needs if n in {s.name for s in chosen})
    pick.check_subtests(single)
    json_file, junit_file = open_output(arguments.json), open_output(arguments.junit)
    memory = times.Memory(os.path.join(CACHE, "step-times.json"))
    began = time.time()
    if arguments.tap:
        print("TAP version 13", flush=True)
    work = runner.Runner(chosen, make_directory(), arguments.jobs, memory, arguments.tap)
    runner.on_signal(work)
    work.run()
    shutil.rmtree(os.path.join(work.directory, "images"), ignore_errors=True)
    memory.save(work.records)
    all_results = results.collect(work, began)
    for file in (last_results(), os.path.join(work.directory, "results.json")):
        results.write_json(file, all_results)
    for file, write in ((json_file, results.dump_json), (junit_file, results.write_junit)):
        if file:
            with file:
                write(file, all_results)
    if len(work.records) > 1:
        work.say("\n".join(["", *times.table(work.records, work.seconds(), work.slots), ""]))
    if work.skipped:
        work.say(f"{work.skipped} skipped")
    work.say(f"logs: {work.directory} (also {ROOT}/latest)")
    if work.failed or work.not_run:
        work.say("scripts/test --failed runs again what failed or was not run")
    if arguments.tap:
        print(f"1..{len(work.results)}", flush=True)
    not_run = f", {work.not_run} step{'s' if work.not_run > 1 else ''} not run" if work.not_run else ""
    work.say(f"{work.passed} passed, {work.failed} failed{not_run}")
    return 1 if work.failed or work.not_run or not work.passed else 0


def main():
    # A make that has called this has no job slots for those that the steps call, which would warn of it.
    for name in ("MAKEFLAGS", "MFLAGS"):
        os.environ.pop(name, None)
    arguments = parser().parse_args()
    try:
        status = run(arguments)
        sys.stdout.flush()
        return status
    except Refused as e:
        print(f"scripts/test: {e}", file=sys.stderr)
        return e.status
    except BrokenPipeError:
        # Python flushes the standard output once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


if __name__ == "__main__":
    sys.exit(main())

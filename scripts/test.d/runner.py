# SPDX-License-Identifier: GPL-2.0
"""Runs steps, several at a time where they do not need each other, and counts the tests in them."""
import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time

import tap
import times

PROGRESS = 30           # seconds between the lines that list the running steps
TAIL = 30               # lines of a failed step's log that are shown
LIBC = ctypes.CDLL(None)
TICKS = os.sysconf("SC_CLK_TCK")


class Broken(Exception):
    """The step cannot go on. The text says why, and counts as a failure."""


class Refused(Exception):
    """The command line is wrong, and no test was run. The text says why. The exit status is 1 for a test that does
    not exist in its program or suite, else 2."""

    def __init__(self, text, status=2):
        super().__init__(text)
        self.status = status


class Step:
    """A function of a Job to run, and the names of the steps that must have passed before it starts.

    The result of a setup step is kept in the cache, so it takes time once. An extra step runs only when it is named.
    """

    def __init__(self, name, title, function, needs=(), extra=False, setup=False):
        self.name = name
        self.title = title
        self.function = function
        self.needs = tuple(needs)
        self.extra = extra
        self.setup = setup
        self.picked = False     # it runs tests that were named one by one, so that its time says nothing about others
        self.again = None       # the words that run it again, if its name does not


class Job:
    """A running step: its log, and the results so far."""

    def __init__(self, runner, step, record):
        self.runner = runner
        self.step = step
        self.record = record
        self.log_name = os.path.join(runner.directory, step.name + ".log")
        self.passed = 0
        self.skipped = 0
        self.failed_before_stop = None  # the number of failures when a signal stopped the run
        self.failures = []
        self.last_line = ""
        self.sentence = ""      # the lab's, about how the machine ended
        self.child = None
        self.started = time.monotonic()

    def seconds(self):
        return time.monotonic() - self.started

    def path(self, *parts):
        """Returns a path below the run's directory, for files that steps share."""
        return os.path.join(self.runner.directory, *parts)

    def check(self, name, problem=None):
        """Counts one test: passed if there is no problem."""
        with open(self.log_name, "a") as log:
            log.write(f"=== {'FAILED' if problem else 'passed'}: {name}{': ' + problem if problem else ''}\n")
        self.runner.result(self.step, name, "failed" if problem else "passed", problem)
        if problem:
            self.failures.append((name, problem))
            self.runner.say(f"    not ok  {self.step.name}: {name}: {problem}")
        else:
            self.passed += 1

    def report(self, name, outcome):
        """Counts one result of a TAP reader. The log already has its line."""
        if outcome == "skip":
            self.skipped += 1
            self.runner.result(self.step, name, "skipped")
        elif outcome == "ok":
            self.passed += 1
            self.runner.result(self.step, name, "passed")
        else:
            self.check(name, outcome)

    def command(self, arguments, limit, each_line=None, cwd=None):
        """Runs a program with its output in the step's log, and returns its exit status. The limit is in seconds."""
        with open(self.log_name, "ab") as log:
            log.write(f"=== {' '.join(arguments)}\n".encode())
            log.flush()
            self.child = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd,
                start_new_session=True, preexec_fn=lambda: LIBC.prctl(1, signal.SIGTERM))  # PR_SET_PDEATHSIG
            watchdog = threading.Timer(limit, self.kill)
            watchdog.start()
            for line in self.child.stdout:
                log.write(line)
                log.flush()
                text = line.decode(errors="replace").rstrip()
                if text.strip():
                    self.last_line = text.strip()
                if re.match(r"lab: .* \[exit status \d+\]$", text):
                    self.sentence = text.removeprefix("lab: ")
                if each_line:
                    each_line(text)
            status = self.wait(self.child)
            watched = watchdog.is_alive()
            watchdog.cancel()
            self.child = None
        if not watched:
            raise Broken(f"{os.path.basename(arguments[0])} did not end within {limit} s")
        return status

    def wait(self, child):
        """Waits for a child's end and returns its exit status; adds the CPU time of all its processes to the step's."""
        with contextlib.suppress(OSError):      # kill() may have reaped the child
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            with open(f"/proc/{child.pid}/stat") as f:
                fields = f.read().rpartition(")")[2].split()
            self.record.cpu += sum(map(int, fields[11:15])) / TICKS     # utime, stime, cutime, cstime
        return child.wait()

    def must(self, arguments, limit, what):
        """Runs a program that must succeed, as one test."""
        status = self.command(arguments, limit)
        self.check(what, f"exit status {status}" if status else None)
        if status:
            raise Broken("")

    def output(self, arguments):
        """Returns the standard output of a program that must succeed. Its standard error goes to the log."""
        with open(self.log_name, "ab") as log:
            child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
            text = child.stdout.read()
            child.stdout.close()
            status = self.wait(child)
        if status:
            raise Broken(f"{' '.join(arguments[:2])} exited with {status}")
        return text.strip()

    def tap(self, arguments, limit, what, cwd=None):
        """Runs a program that prints TAP, and returns its lines. Each result counts as a test."""
        lines = []
        reader = tap.Reader(self.report)

        def each_line(text):
            lines.append(text)
            reader.line(text)

        before = self.passed + len(self.failures)
        failed_before = len(self.failures)
        status = self.command(arguments, limit, each_line, cwd)
        reader.end()
        if self.passed + len(self.failures) == before:
            self.check(what, self.sentence or f"it printed no result (exit status {status})")
        elif status and len(self.failures) == failed_before:
            self.check(what, self.sentence or f"exit status {status} although no result is a failure")
        return lines

    def kill(self):
        child = self.child
        if child and child.poll() is None:
            try:
                os.killpg(child.pid, signal.SIGTERM)
                time.sleep(1)
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def run(self):
        try:
            self.step.function(self)
        except Broken as e:
            if str(e):
                self.check(self.step.name, str(e))
        except Exception as e:  # the other steps must go on
            self.check(self.step.name, f"{type(e).__name__}: {e}")
        if not self.passed and not self.failures and not self.skipped:
            self.check(self.step.name, "it tested nothing")


class Runner:
    """All steps of one run."""

    def __init__(self, steps, directory, slots, memory, tap=False):
        self.waiting = times.longest_path_first(steps, memory)
        self.directory = directory
        self.slots = slots
        self.memory = memory    # of the steps' times in earlier runs
        self.running = []
        self.records = []       # of the steps that have ended, in this order
        self.good = set()       # names of steps that passed
        self.bad = set()
        self.passed = 0
        self.failed = 0
        self.not_run = 0    # steps that a signal kept from running, or ended
        self.skipped = 0
        self.tap = tap          # standard output is TAP
        self.results = []       # step, name, outcome and reason of each test
        self.reported = []      # the steps that have results
        self.began = time.monotonic()
        self.change = threading.Condition()
        self.print_lock = threading.Lock()
        self.stopped = False

    def say(self, text):
        with self.print_lock:
            print(re.sub(r"^", "# ", text, flags=re.M) if self.tap else text, flush=True)

    def result(self, step, name, outcome, why=None):
        """Keeps the result of a test, and prints it if the output is TAP."""
        with self.print_lock:
            self.results.append((step.name, name, outcome, why))
            if step not in self.reported:
                self.reported.append(step)
            if self.tap:
                print(f"{'not ok' if outcome == 'failed' else 'ok'} {len(self.results)} - {step.name}: {name.replace('#', chr(92) + '#')}"
                      + (" # SKIP" if outcome == "skipped" else ""), flush=True)

    def seconds(self):
        return time.monotonic() - self.began

    def clock(self):
        return f"[{times.clock(self.seconds()):>6}]"

    def stop(self):
        """Ends all running steps. They and the steps that have not started are reported as not run."""
        self.stopped = True
        for job in list(self.running):
            job.failed_before_stop = len(job.failures)
            job.kill()

    def next_step(self):
        """Returns the first waiting step whose needs have passed, or None. Steps whose needs failed count as failed."""
        for step in list(self.waiting):
            lost = [n for n in step.needs if n in self.bad]
            if lost or self.stopped:
                self.waiting.remove(step)
                self.bad.add(step.name)
                why = "the run was stopped" if self.stopped else f"{lost[0]} failed"
                self.result(step, "the step", "failed", f"not run, because {why}")
                if self.stopped:
                    self.not_run += 1
                else:
                    self.failed += 1
                    self.say(f"{self.clock()} FAILED  {step.name}: not run, because {why}")
            elif all(n in self.good for n in step.needs):
                self.waiting.remove(step)
                return step
        return None

    def run(self):
        count = "1 step" if len(self.waiting) == 1 else f"{len(self.waiting)} steps, {self.slots} at once"
        self.say(f"{count}; logs: {self.directory}")
        with self.change:
            while self.waiting or self.running:
                while len(self.running) < self.slots:
                    step = self.next_step()
                    if not step:
                        break
                    self.start(step)
                if self.running and not self.change.wait(PROGRESS):
                    for job in self.running:
                        note = self.memory.note(job.step.name, ", ")
                        self.say(f"{self.clock()}   ...   {job.step.name} ({job.seconds():.0f} s{note}): "
                                 f"{job.last_line[:90]}")
                    # Of tests named one by one, no earlier run tells the time.
                    if not all(job.step.picked for job in self.running):
                        self.say(f"{self.clock()}   ...   {self.outlook()}")

    def outlook(self):
        """Describes the steps that have not started, and the time to the end by that of earlier runs."""
        running = [max(0, self.memory.expected(j.step.name) - j.seconds()) for j in self.running]
        waiting = [self.memory.expected(s.name) for s in self.waiting]
        rest = max([sum(running + waiting) / self.slots, *running])
        left = f"about {times.clock(rest)} left" if rest else "longer than expected"
        return f"{len(waiting) or 'no'} more to come; {left}, by the times of earlier runs"

    def start(self, step):
        job = Job(self, step, times.Record(step, self.seconds(), self.records))
        self.running.append(job)
        note = self.memory.note(step.name)
        self.say(f"{self.clock()} start   {step.name}: {step.title}" + (f" ({note})" if note else ""))
        threading.Thread(target=self.work, args=(job,), daemon=True).start()

    def work(self, job):
        job.run()
        job.record.seconds = job.seconds()
        job.record.failed = bool(job.failures)
        with self.change:
            self.running.remove(job)
            self.records.append(job.record)
            self.passed += job.passed
            if job.failed_before_stop is not None and job.failures:
                self.not_run += 1
                self.failed += job.failed_before_stop
                self.bad.add(job.step.name)
                self.say(f"{self.clock()} stopped {job.step.name}: {job.passed} passed, {job.failed_before_stop} failed")
                self.change.notify()
                return
            self.failed += len(job.failures)
            self.skipped += job.skipped
            (self.bad if job.failures else self.good).add(job.step.name)
            verdict = "FAILED" if job.failures else "passed"
            skipped = f", {job.skipped} skipped" if job.skipped else ""
            self.say(f"{self.clock()} {verdict}  {job.step.name}: {job.passed} passed, {len(job.failures)} failed{skipped}"
                     f" ({job.record.seconds:.0f} s)")
            if job.failures:
                self.show_tail(job)
            self.change.notify()

    def show_tail(self, job):
        try:
            with open(job.log_name, errors="replace") as log:
                lines = log.readlines()[-TAIL:]
        except FileNotFoundError:
            return
        self.say(f"    the end of {job.log_name}:\n" + "".join(f"    | {line.rstrip()}\n" for line in lines).rstrip())


def on_signal(runner):
    """Makes SIGINT and SIGTERM stop the run, which still prints its count."""
    def handler(number, _):
        signal.signal(number, signal.SIG_DFL)
        print(f"stopping ({signal.Signals(number).name})", file=sys.stderr)
        threading.Thread(target=runner.stop, daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)

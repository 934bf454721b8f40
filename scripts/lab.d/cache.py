# SPDX-License-Identifier: GPL-2.0
"""The lab's cache of downloads and builds, and its messages about progress."""
import contextlib
import fcntl
import glob
import os
import shutil
import signal
import subprocess
import sys
import time

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROOT = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "droste")
BACKGROUND = 10         # the nice value of a build that other work need not wait for


class LabError(Exception):
    """The lab cannot do its work; the text tells the user why."""


def path(*parts):
    """A path in the cache; its directory exists afterwards."""
    full = os.path.join(ROOT, *parts)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    return full


def say(text):
    """Prints a line about progress to the standard error, apart from the command's output."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def lock(name):
    """Holds a lock in the cache, so that only one lab at a time makes the thing of that name."""
    with open(path("locks", name), "w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another lab that is preparing {name}")
            fcntl.flock(f, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def making(directory):
    """Yields a scratch directory, and renames it to `directory` when the caller has filled it.

    The caller holds the lock for this directory, so any other scratch directory is a stale one.
    """
    for stale in glob.glob(f"{glob.escape(directory)}.new-*"):
        shutil.rmtree(stale, ignore_errors=True)
    scratch = f"{directory}.new-{os.getpid()}"
    os.makedirs(scratch)
    try:
        yield scratch
        shutil.rmtree(directory, ignore_errors=True)
        os.rename(scratch, directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def once(directory, name, make):
    """Returns the directory. The first call fills it by make(scratch), under the lock `name`."""
    if not os.path.exists(directory):
        with lock(name):
            if not os.path.exists(directory):
                with making(directory) as new:
                    make(new)
    return directory


def step_back():
    """Runs in a child, before its program: lets emulated machines that run at the same time go first."""
    os.nice(BACKGROUND)
    # Where the kernel schedules sessions as groups (sched_autogroup_enabled), nice values only count within a session.
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as f:
        f.write(str(BACKGROUND))


def run(command, what, cwd=None, env=None, log=None, background=False):
    """Runs a program that may take long, and says every 30 s that it still runs; shows its output if it fails."""
    log = log or path("logs", what.replace(" ", "-").replace("/", "-") + ".log")
    started = last = time.monotonic()
    interactive = sys.stderr.isatty()
    with open(log, "w") as f:
        # In its own session, make can be killed together with all the makes below it.
        child = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT,
                                 env={**os.environ, **(env or {})}, start_new_session=True,
                                 preexec_fn=step_back if background else None)
        while True:
            try:
                child.wait(1)
                break
            except subprocess.TimeoutExpired:
                now = time.monotonic()
                if interactive:
                    print(f"\rlab: {what} ... {now - started:.0f} s", end="", file=sys.stderr, flush=True)
                elif now - last > 30:
                    say(f"{what} ... {now - started:.0f} s")
                    last = now
            except BaseException:
                os.killpg(child.pid, signal.SIGTERM)
                raise
    if interactive and time.monotonic() - started > 1:
        print("\r\033[K", end="", file=sys.stderr)
    if child.returncode:
        with open(log, errors="replace") as f:
            lines = f.readlines()
        # With several jobs, the error is seldom at the end of the log.
        errors = [line for line in lines[:-10] if "error:" in line or "Error " in line][:10]
        raise LabError(f"{what} failed (whole log: {log}):\n" + "".join(errors + lines[-10:]))


def output(command, what):
    """Returns the standard output of a short program, which must succeed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"{what} failed: {done.stderr.strip()}")
    return done.stdout

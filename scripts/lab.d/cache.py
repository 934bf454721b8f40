# SPDX-License-Identifier: GPL-2.0
"""Where the lab keeps what it downloads and builds, and how it says what it is doing."""
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


class LabError(Exception):
    """Something the lab needs is missing or failed; the text is for the user."""


def path(*parts):
    """A path in the cache; its directory exists afterwards."""
    full = os.path.join(ROOT, *parts)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    return full


def say(text):
    """One line about progress, apart from the command's output."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def lock(name):
    """Lets one lab at a time make the same thing; another one waits and then finds it made."""
    with open(path("locks", name), "w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another lab that is preparing {name}")
            fcntl.flock(f, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def making(directory):
    """Gives a scratch directory that takes the place of `directory` once it is complete."""
    # The caller holds the lock for this directory, so any other scratch directory is one that was left behind.
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
    """The directory, which make(scratch) fills when it is asked for the first time; `name` is its lock's."""
    if not os.path.exists(directory):
        with lock(name):
            if not os.path.exists(directory):
                with making(directory) as new:
                    make(new)
    return directory


def run(command, what, cwd=None, env=None, log=None):
    """Runs a program that may take long, showing that it is alive; its output is shown if it fails."""
    log = log or path("logs", what.replace(" ", "-").replace("/", "-") + ".log")
    started = last = time.monotonic()
    interactive = sys.stderr.isatty()
    with open(log, "w") as f:
        # A session of its own, so that an interrupted make ends with all the makes below it.
        child = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT,
                                 env={**os.environ, **(env or {})}, start_new_session=True)
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
        # With several jobs at work, the error is seldom at the end.
        errors = [line for line in lines[:-10] if "error:" in line or "Error " in line][:10]
        raise LabError(f"{what} failed (whole log: {log}):\n" + "".join(errors + lines[-10:]))


def output(command, what):
    """The standard output of a short program that must succeed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"{what} failed: {done.stderr.strip()}")
    return done.stdout

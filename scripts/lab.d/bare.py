# SPDX-License-Identifier: GPL-2.0
"""A machine that boots a CD without the lab's L0. It has one serial port, and ends when it powers off."""
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time

import bochs
import counts
import machine
from cache import say

POWERED_OFF = "soft power off"      # in the emulator's last line of output


class Bare:
    """The emulator's process and its files. As a context manager it removes both at the end."""

    def __init__(self, options, cd):
        machine.clean_up()
        self.options = options
        self.directory = tempfile.mkdtemp(prefix=f"droste-lab-{os.getpid()}-")
        self.port, theirs = os.pipe()
        command = bochs.prepare_cd(options, self.directory, cd, f"mode=file, dev=/proc/self/fd/{theirs}")
        with open(os.path.join(self.directory, "emulator.out"), "wb") as out:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.directory,
                                          pass_fds=[theirs], preexec_fn=machine.die_with_parent)
        os.close(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        os.close(self.port)
        shutil.rmtree(self.directory, ignore_errors=True)

    def follow(self, timeout):
        """Copies the machine's serial output until the machine ends. Returns the status, and a sentence or None."""
        selector = selectors.DefaultSelector()
        selector.register(self.port, selectors.EVENT_READ)
        deadline = time.monotonic() + timeout if timeout else None
        while True:
            if selector.select(1):
                data = os.read(self.port, 65536)
                if not data:
                    return self.judge()
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
            if deadline and time.monotonic() > deadline:
                return machine.STATUS_TIMEOUT, f"the machine did not power off within {timeout:.0f} s"

    def judge(self):
        """Returns the status and the sentence for the way that the emulator ended."""
        self.child.wait()
        log = bochs.read_log(self.directory)
        last = log["panics"][-1] if log["panics"] else f"emulator status {self.child.returncode}"
        if POWERED_OFF in last:
            if self.reports():
                return machine.STATUS_STRICT, "the strict machine reported misuse (lines STRICT above)"
            return 0, None
        if log["triple_fault"]:
            return machine.STATUS_TRIPLE_FAULT, "the machine triple-faulted"
        return machine.STATUS_HUNG, f"the machine ended by itself: {last}"

    def reports(self):
        return bochs.read_strict(self.directory) if self.options.strict else []


def run(options, cd):
    """Runs the machine from start to end and returns the lab's exit status."""
    with Bare(options, cd) as bare:
        status, sentence = bare.follow(options.timeout)
        for line in bare.reports():
            print(line, file=sys.stderr)
        if sentence:
            for line in bochs.read_log(bare.directory)["vmfail"][-10:]:
                say(line)
            say(f"{sentence} [exit status {status}]")
        if options.count is not None:
            counts.report(bochs.read_counts(bare.directory), options.count)
        return status

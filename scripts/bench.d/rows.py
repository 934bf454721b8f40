# SPDX-License-Identifier: GPL-2.0
"""The rows of the benchmark: operations of the small guest (rows.c), and work of a Linux (op.c), at each level."""
import fnmatch
import subprocess

LEVELS = ("l0", "l1", "l2", "l2-noept", "l3")     # an index is part of a count's tag, as in micro's --level
TITLES = {
    "l0": "L0: the host itself",
    "l1": "L1: a guest of the hypervisor",
    "l2": "L2: a guest of KVM in L1, with EPT",
    "l2-noept": "L2 without EPT: the same with kvm_intel ept=0",
    "l3": "L3: a guest of KVM in L2",
}
TAG = 0xbe000000
LINUX = 0x8000          # in the number of a row that Linux measures
TICKS = 10              # that one count of "tick" waits for
TICK = 400000           # instructions of all levels from one tick to the next: 1/250 s, at 100 million in a second
EVENT = 1               # of the small guest's flags: an interrupt is part of the operation
HOST_TICKS = 4          # the row is about the host's ticks


class Row:
    """One operation, at any level."""

    def __init__(self, number, name, title, levels, times, kind):
        self.number = number
        self.name = name
        self.title = title
        self.levels = levels
        self.times = times      # operations in a count; of the small guest's rows the machine tells it
        self.kind = kind        # which counts are taken, and how: see reduce.py

    def tag(self, level):
        return TAG | LEVELS.index(level) << 16 | self.number


LINUX_ROWS = [
    Row(LINUX, "tick", "one timer tick of a busy Linux, with the host's own", ("l0", "l1", "l2", "l2-noept"), TICKS, "all"),
    Row(LINUX + 1, "touch-fresh", "a Linux program writes to 64 MiB of fresh memory", ("l1", "l2", "l2-noept"), 1 / 256, "less"),
    Row(LINUX + 2, "touch-again", "the same memory again", ("l1", "l2", "l2-noept"), 1 / 256, "less"),
    Row(LINUX + 3, "boot", "Linux boots to its init", ("l1", "l2", "l2-noept"), 1, "all"),
]


def small(program):
    """Returns the rows of the small guest, as its program lists them."""
    listed = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout
    rows = []
    for line in listed.splitlines():
        number, times, flags, name, title = line.split("\t")
        kind = "middle" if int(flags) & EVENT else "all" if int(flags) & HOST_TICKS else "quiet"
        rows.append(Row(int(number), name, title, LEVELS[1:], int(times), kind))
    return rows


def matches(name, words):
    """Whether a name is one of the words, or begins with one and a hyphen. Words may be globs."""
    return any(fnmatch.fnmatchcase(name, word) or fnmatch.fnmatchcase(name, word + "-*") for word in words)

# SPDX-License-Identifier: GPL-2.0
"""The figures of docs/ that are no part of the table of operations: each is of a comparison of its own."""
import os
import sys

import batching
import devices
import lhp
import machine
import paging
import ports

DOCS = os.path.join(machine.TREE, "docs")
# By the names of the files in docs/: the module that counts, with
#   count(cache, whole): the results, and with whole=False those that are cheap to count;
#   text(), faults(), dump(), svg(): their table, a sentence for each that is not as it should be, their JSON, and their plot;
#   add_old(results, file, mark): for comparisons with a cheap form, completes the results from a JSON file; with mark, the plot
#     calls them older. Returns names of what it added;
#   document(results): for comparisons with tables in a document, writes them. Only the whole form's results have all rows.
FIGURES = {"ports": ports, "io": devices, "batching": batching, "ple": lhp, "paging": paging}


class Figure:
    """A figure and its JSON file, to be made."""

    def __init__(self, name, base, whole, ways=()):
        self.name = name
        self.ways = ways        # those that are counted; the others are taken from docs/. None: all
        self.base = base        # the files' names without the ends
        self.whole = whole
        self.module = FIGURES[name]
        self.lines = []         # what to print
        self.failed = False

    def make(self, cache):
        """Counts, and writes the files."""
        try:
            results = self.module.count(cache, self.whole, *([self.ways] if self.ways else []))
        except machine.Failed as e:
            self.failed, self.lines = True, [f"bench: {self.name}: {e}"]
            return self
        old, reference = [], os.path.join(DOCS, self.name + ".json")
        if (self.ways or not self.whole) and hasattr(self.module, "add_old"):
            old = self.module.add_old(results, reference, not self.ways)
        for end, text in (("json", self.module.dump(results)), ("svg", self.module.svg(results))):
            machine.write_text(f"{self.base}.{end}", text)
        if self.whole and hasattr(self.module, "document"):
            self.module.document(results)
        wrong = self.module.faults(results)
        self.failed = bool(wrong)
        self.lines = ["", f"{self.base}.svg:", self.module.text(results), *[f"bench: {sentence}" for sentence in wrong],
                      f"bench: {self.base}.svg: " + (f"counted anew, but for these of docs/{self.name}.json: {', '.join(old)}" if old
                                                     else "counted anew")]
        return self


def chosen(prefix):
    """The figures in their cheap forms, with names that begin with a prefix."""
    return [Figure(name, f"{prefix}-{name}", False) for name in FIGURES]


# The commands: how a comparison is called, and the words that may follow.
COMMANDS = {"ports": ("ports", "NAME | reference"), "devices": ("io", "NAME | reference"), "batching": ("batching", "NAME | reference"),
            "lhp": ("ple", "small | reference"), "paging": ("paging", "small | WAY,... | reference [WAY,...]")}


def measure(command, words, cache):
    """Carries out scripts/bench COMMAND, and returns the exit status."""
    name, usage = COMMANDS[command]
    module, word = FIGURES[name], words[0] if words else ""
    takes_name = "NAME" in usage
    takes_ways = command == "paging" and word not in ("", "small")
    ways = words[-1].split(",") if takes_ways and words[-1] != "reference" else []
    good = word in ("", "reference") or takes_name or word == "small" or bool(ways)
    if not good or len(words) > 1 + (takes_ways and word == "reference") or not set(ways) <= {column.name for column in paging.COLUMNS}:
        print(f"usage: scripts/bench {command} [{usage}]" + (f"; ways are {', '.join(c.name for c in paging.COLUMNS)}" if ways else ""),
              file=sys.stderr)
        return 2
    if word == "reference" or (word and takes_name):
        figure = Figure(name, os.path.join(DOCS, name) if word == "reference" else word, True, ways).make(cache)
        print("\n".join(figure.lines))
        return 1 if figure.failed else 0
    results = module.count(cache, word != "small", *([ways] if ways else []))
    wrong = module.faults(results)
    print("\n".join([module.text(results), *[f"bench: {sentence}" for sentence in wrong]]))
    return 1 if wrong else 0

# SPDX-License-Identifier: GPL-2.0
"""The check `layers`: the parts of the module include and use each other as scripts/layers says."""
import collections
import fnmatch
import os
import re

import csource


class TableError(Exception):
    pass


def matches(name, patterns):
    """Whether a file is one of those; a star does not go into folders."""
    return any(name.count("/") == p.count("/") and fnmatch.fnmatchcase(name, p) for p in patterns)


class Allowed:
    """An exception of the table."""

    def __init__(self, line, source, target):
        self.line, self.source, self.target = line, source, target
        self.needed = False


class Table:
    """scripts/layers, read."""

    def __init__(self, text, file):
        self.file = file
        self.order = {}         # part: number of its layer, the highest is 0
        self.skipped = []       # folders
        self.pure = []          # patterns of files
        self.objects = []       # patterns of headers without prototypes
        self.shared = []        # (patterns, patterns of what those may include)
        self.allowed = []
        self.any = []           # parts that may use everything and that nothing uses
        self.patterns = []      # (line, pattern): each must be of some file
        for number, line in enumerate(text.split("\n"), 1):
            rule, _, reason = line.partition("#")
            words = rule.split()
            if words:
                self._row(number, words[0], words[1:], reason.strip())

    def _row(self, number, key, words, reason):
        def bad(why):
            raise TableError(f"{self.file}:{number}: {why}")

        if not words:
            bad(f"'{key}' names nothing")
        if key == "part":
            for part in words:
                if part in self.order:
                    bad(f"part {part} is named twice")
                self.order[part] = len(self.order) and max(self.order.values()) + (part == words[0])
        elif key == "over":
            self.any += words
        elif key == "skip":
            self.skipped += words
        elif key == "pure":
            self.pure += words
            self.patterns += [(number, w) for w in words]
        elif key == "objects":
            self.objects += words
            self.patterns += [(number, w) for w in words]
        elif key == "shared":
            if "->" not in words:
                bad("shared FILES -> FILES THAT THEY MAY INCLUDE")
            at = words.index("->")
            self.shared.append((words[:at], words[at + 1:]))
            self.patterns += [(number, w) for w in words if w != "->"]
        elif key == "allow":
            if len(words) != 3 or words[1] != "->":
                bad("allow FILE-OR-PART -> FILE-OR-PART-OR-NAME  # reason")
            if not reason:
                bad("an exception needs a reason behind '#'")
            self.allowed.append(Allowed(number, words[0], words[2]))
        else:
            bad(f"there is no rule '{key}'")


class Layers:
    """The rules of a table applied to a module."""

    def __init__(self, root, table):
        self.table = table
        self.sources = csource.load(root, table.skipped)
        self.problems = []
        self.arrows = set()             # (part, part)
        self.edges = collections.defaultdict(set)   # file: the files that it needs
        self.parts = {f: self._part(f) for f in self.sources}
        self.defined = {}               # name: (file, line)
        for file, source in self.sources.items():
            if file.endswith((".c", ".S")):
                for d in source.declared:
                    if d.kind != "prototype" and not d.static and self.parts[file] not in table.any:
                        self.defined.setdefault(d.name, (file, d.line))
        self._table_fits()
        for file, source in self.sources.items():
            if source.declared is not None and source.unmatched:
                self._report(file, 1, "has braces that do not match without the preprocessor; this check cannot read it")
        for file, source in self.sources.items():
            self._includes(file, source)
            self._uses(file, source)
            self._kunit(file, source)
            if matches(file, table.objects):
                for d in source.declared:
                    if d.kind == "prototype":
                        self._report(file, d.line, f"declares {d.name}(); it holds objects, and a function is declared in its part's header")
        self._circles()
        for a in table.allowed:
            if not a.needed:
                self.problems.append(f"{table.file}:{a.line}: the exception {a.source} -> {a.target} is not needed")

    def _part(self, file):
        part = file.split("/")[0]
        return part if part in self.table.order or part in self.table.any else None

    def _report(self, file, line, text):
        self.problems.append(f"{file}:{line}: {text}")

    def _table_fits(self):
        table = self.table
        for file, part in self.parts.items():
            if part is None and self._shared(file) is None and not matches(file, table.pure):
                self._report(file, 1, "is in no part")
        for part in [*table.order, *table.any]:
            if part not in self.parts.values():
                self.problems.append(f"{table.file}: part {part} has no file")
        for line, pattern in table.patterns:
            if not any(matches(f, [pattern]) for f in self.sources):
                self.problems.append(f"{table.file}:{line}: no file is {pattern}")

    def _shared(self, file):
        """What a shared file may include, or None."""
        for files, targets in self.table.shared:
            if matches(file, files):
                return targets
        return None

    def _refusal(self, file, target):
        """Who may not include another file or use a name of it, and why: (file or its part, reason), or None."""
        if file == target or self.parts[file] in self.table.any:
            return None
        targets = self._shared(file)
        if targets is not None:
            return None if matches(target, targets) else (file, "it may only need " + (" ".join(targets) or "nothing"))
        if matches(file, self.table.pure):
            return None if matches(target, self.table.pure) else (file, f"it is pure and {target} is not")
        if self._shared(target) is not None or matches(target, self.table.pure):
            return None
        own, other = self.parts[file], self.parts[target]
        if None in (own, other) or own == other:
            return None             # a file in no part was reported
        if other in self.table.any:
            return own, f"nothing needs {other}"
        if self.table.order[other] == self.table.order[own]:
            return own, f"{other} is beside {own}"
        return (own, f"{other} is above {own}") if self.table.order[other] < self.table.order[own] else None

    def _allowed(self, file, target, name=None):
        """Whether an exception lets a file include a header, or use a name of another file."""
        def names(what, one):
            return what == one or what == self.parts.get(one) or matches(one, [what])

        found = False
        for a in self.table.allowed:
            if not names(a.source, file):
                continue
            # A header in the table stands for the names in it, too.
            declares = name and a.target in self.sources and name in self.sources[a.target].used
            if names(a.target, target) or a.target == name or declares:
                a.needed = found = True
        return found

    def _judge(self, file, line, target, what, name=None):
        own, other = self.parts[file], self.parts[target]
        if other and own != other and own not in self.table.any:
            self.arrows.add((own, other))
        refusal = self._refusal(file, target)
        if refusal and not self._allowed(file, target, name):
            self._report(file, line, f"{refusal[0]} may not {what} ({refusal[1]})")

    def _includes(self, file, source):
        for line, included in source.includes:
            if included[0] not in "\"<":
                self._report(file, line, f"includes {included}: not a file's name")
                continue
            name = included[1:-1]
            beside = os.path.normpath(os.path.join(os.path.dirname(file), name))
            places = [beside, os.path.normpath(name)] if included[0] == '"' else [os.path.normpath(name)]
            target = next((p for p in places if p in self.sources), None)
            if target:
                self.edges[file].add(target)
                self._judge(file, line, target, f"include {target}")
            elif included[0] == '"' and not name.startswith("linux/"):
                self._report(file, line, f"includes {included}, which is not there")

    def _uses(self, file, source):
        if file.endswith(".def"):
            return                  # a table's names are of those who expand it
        for name, at in source.used.items():
            target, _ = self.defined.get(name, (None, 0))
            if not target or target == file or any(d.name == name and d.kind != "prototype" for d in source.declared):
                continue
            if name in source.called:
                self.edges[file].add(target)
            self._judge(file, source.line(at), target, f"use {self.parts[target] or target}'s {name}", name)

    def _kunit(self, file, source):
        if self.parts[file] == "test":
            return
        if re.search(r"_kunit\.\w+$", file):
            self._report(file, 1, "a KUnit suite belongs in test/")
        for line, included in source.includes:
            if included.startswith("<kunit/"):
                self._report(file, line, f"includes {included}, which only test/ may")

    def _circles(self):
        """Files over different parts that need each other (strongly connected components, Tarjan's algorithm)."""
        index, low, stack, count = {}, {}, [], 0

        def visit(start):
            nonlocal count
            work = [(start, iter(sorted(self.edges[start])))]
            index[start] = low[start] = count
            count += 1
            stack.append(start)
            while work:
                file, targets = work[-1]
                for target in targets:
                    if target not in index:
                        index[target] = low[target] = count
                        count += 1
                        stack.append(target)
                        work.append((target, iter(sorted(self.edges[target]))))
                        break
                    if target in stack:
                        low[file] = min(low[file], index[target])
                else:
                    work.pop()
                    if work:
                        low[work[-1][0]] = min(low[work[-1][0]], low[file])
                    if low[file] == index[file]:
                        at = stack.index(file)
                        circle, stack[at:] = stack[at:], []
                        found.append(circle)

        found = []
        for file in self.sources:
            if file not in index and self.parts[file] not in self.table.any:
                visit(file)
        for circle in found:
            if len({self.parts[f] for f in circle}) > 1:
                way = min((self._way(b, a, circle) for a in sorted(circle) for b in sorted(self.edges[a] & set(circle))
                           if self.parts[a] != self.parts[b]), key=len)
                self._report(way[0], 1, f"a circle over parts, of {len(circle)} files; the shortest: "
                             + " -> ".join([*way, way[0]]))

    def _way(self, start, end, files):
        """The shortest way from one file to another along edges within some files."""
        came, queue = {start: None}, [start]
        for file in queue:
            for target in sorted(self.edges[file] & set(files)):
                if target not in came:
                    came[target] = file
                    queue.append(target)
        way = [end]
        while way[-1] != start:
            way.append(came[way[-1]])
        return way[::-1]


def check(root, table_file):
    """(problems, summary)"""
    with open(table_file) as f:
        text = f.read()
    try:
        found = Layers(root, Table(text, os.path.basename(table_file)))
    except TableError as e:
        return [str(e)], ""
    return found.problems, f"{len(found.sources)} files, {len(found.table.order)} parts, {len(found.arrows)} arrows"

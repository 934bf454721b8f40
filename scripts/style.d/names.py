# SPDX-License-Identifier: GPL-2.0
"""The check `names`: a function's name says where it is, and no name stands for two things."""
import collections
import os
import re

import csource
from layers import TableError, matches

# The exceptions of SDM 3A, table 6-1. The kernel has them as X86_TRAP_* in asm/trapnr.h.
VECTORS = {"DE": 0, "DB": 1, "NMI": 2, "BP": 3, "OF": 4, "BR": 5, "UD": 6, "NM": 7, "DF": 8, "OLD_MF": 9, "TS": 10, "NP": 11,
           "SS": 12, "GP": 13, "PF": 14, "MF": 16, "AC": 17, "MC": 18, "XF": 19, "XM": 19, "VE": 20, "CP": 21, "VC": 29}
DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+(.*?)[ \t]*$", re.M)


def prefixes(text, file):
    """scripts/names, read: [(line, pattern, prefixes)]."""
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split()
        if len(words) == 1:
            raise TableError(f"{file}:{number}: FILES PREFIX...")
        if words:
            rows.append((number, words[0], words[1:]))
    return rows


def own_prefixes(file):
    """What follows from a file's name: its stem, the first word of that, and its folder."""
    stem = os.path.splitext(os.path.basename(file))[0]
    return [f"{word}_" for word in (stem, stem.split("_")[0], os.path.dirname(file)) if word]


def duplicates_vector(name, value):
    """Whether a macro is an exception's vector under another name."""
    if re.fullmatch(r"X86_TRAP_\w+", name):
        return True
    m = re.fullmatch(r"(?:(\w+)_)?(%s)(?:_(\w+))?" % "|".join(VECTORS), name)
    if not m:
        return False
    if "VECTOR" in (m.group(1), m.group(3)):
        return True
    number = re.fullmatch(r"\(?(0x[0-9a-fA-F]+|\d+)[uUlL]*\)?", value)
    return bool(number) and int(number.group(1), 0) == VECTORS[m.group(2)]


def check(root, table_file):
    """The problems of a module."""
    problems = []
    sources = csource.load(root, ["emul/diff"])
    file = os.path.basename(table_file)
    with open(table_file) as f:
        try:
            rows = prefixes(f.read(), file)
        except TableError as e:
            return [str(e)]
    for number, pattern, _ in rows:
        if not any(matches(f, [pattern]) for f in sources):
            problems.append(f"{file}:{number}: no file is {pattern}")

    functions = collections.defaultdict(dict)       # name: {file: line}
    statics = set()
    for name, source in sources.items():
        _comment(name, source, problems)
        if name != "compat.h":
            for m in DEFINE.finditer(source.bare):
                if duplicates_vector(m.group(1), m.group(2)):
                    problems.append(f"{name}:{source.line(m.start(1))}: {m.group(1)} duplicates a constant X86_TRAP_*")
        good = own_prefixes(name)
        for _, pattern, more in rows:
            if matches(name, [pattern]):
                good += more
        for d in source.declared:
            if d.kind == "prototype" and name.endswith(".c") and not d.static:
                problems.append(f"{name}:{d.line}: {d.name} is declared in a .c file; its header is the place")
            if d.kind != "function" or name.startswith("test/"):
                continue
            functions[d.name].setdefault(name, d.line)
            if d.static:
                statics.add(d.name)
                if not d.name.lstrip("_").startswith(tuple(good)) and d.name + "_" not in good:
                    problems.append(f"{name}:{d.line}: {d.name}() begins with none of " + " ".join(dict.fromkeys(good)))
    for function in sorted(statics):
        places = [f"{name}:{line}" for name, line in functions[function].items()]
        if len(places) > 1:
            problems.append(f"{places[0]}: {function}() is also the name of " + ", ".join(places[1:]))
    return problems


def _comment(name, source, problems):
    lines = source.text.split("\n")
    after = 1 if "SPDX-License-Identifier" in lines[0] else 2
    if not (len(lines) > after and re.match(r"/[*/] ?\S|/\*$", lines[after])):
        problems.append(f"{name}:{after + 1}: no comment behind the license says what the file is for")

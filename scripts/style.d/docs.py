# SPDX-License-Identifier: GPL-2.0
"""The check `docs`: what README and docs/ name is there, and each measured figure stands with a command."""
import fnmatch
import glob
import os
import re
import subprocess

FOLDERS = ("kmod", "scripts", "selftests", "ctl", "docs", "uapi", "udev")
# Files that a build leaves behind, by the programs of this repository that make them.
BUILT = re.compile(r"kmod/droste(?:_kvmtrace)?\.ko|ctl/drostectl|selftests/bin\b|scripts/unit\.d/build\b")
PATH = re.compile(r"(?<![\w./~$-])((?:%s)/[\w./*{},+-]*\w\*?)(?::(\w+)(?:\(\))?)?" % "|".join(FOLDERS))
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")
# A figure of a measurement: a time, a share, or a number with a unit of size or cost, or in thousands.
FIGURE = re.compile(r"(?<![Bb]its )(?<!E[A-D]X )\b\d+:[0-5]\d\b|\b\d[\d.,]* ?(?:%|[KMGT]i?B\b|M\b)|\b\d[\d.,]* (?:seconds|minutes|hours|lines|passed|failed)\b")
# Figures that are limits, rates or sizes of the interface, in documents where a test compares them.
LIMITS = ("docs/abi.md",)
COMMAND = re.compile(r"(?:^|[\s`])(?:make\b|scripts/|time |du |git |ctl/|drostectl |\./|xl )")


def anchors(text):
    """The names of a document's headings, as a link has them."""
    names = []
    for heading in re.findall(r"^#+ +(.+)$", outside(text), re.M):
        plain = re.sub(r"[`*]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).strip().lower()
        names.append(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return names


def outside(text):
    """A document with its blocks of code blanked; the numbers of its lines stay."""
    return re.sub(r"^```.*?^```$", lambda m: "\n" * m.group().count("\n"), text, flags=re.M | re.S)


def blocks(text):
    """The lines of code in a document: (number of the line, text), of its blocks and of its spans."""
    inside = False
    # A line that goes on in the next one is one line, with the number of its last.
    pending = ""
    for number, line in enumerate(text.split("\n"), 1):
        if inside and line.endswith("\\"):
            pending += line[:-1]
            continue
        line, pending = pending + line, ""
        if line.startswith("```"):
            inside = not inside
        elif inside:
            yield number, line
        else:
            for span in CODE.findall(line):
                yield number, span


class Tree:
    """What the documents may name."""

    def __init__(self, top, steps, programs):
        self.top = top
        self.steps = steps          # names of the steps of scripts/test
        self.programs = programs    # names of the kselftest programs
        self.texts = {}

    def read(self, *patterns):
        """The text of all files of some patterns."""
        if patterns not in self.texts:
            text = []
            for pattern in patterns:
                for file in glob.glob(os.path.join(self.top, pattern), recursive=True):
                    if os.path.isfile(file):
                        with open(file, errors="replace") as f:
                            text.append(f.read())
            self.texts[patterns] = "\n".join(text)
        return self.texts[patterns]

    def targets(self):
        return set(re.findall(r"^([a-z][\w-]*):", self.read("Makefile"), re.M)) - {"headers"}

    def parameters(self):
        return set(re.findall(r"module_param(?:_named)?\((\w+)", self.read("kmod/**/*.c")))


def check_links(tree, name, text):
    for number, line in enumerate(outside(text).split("\n"), 1):
        for target in LINK.findall(line):
            if re.match(r"\w+:", target):
                continue
            file, _, anchor = target.partition("#")
            path = os.path.normpath(os.path.join(os.path.dirname(name), file)) if file else name
            if not os.path.exists(os.path.join(tree.top, path)):
                yield number, f"links to {target}, which is not there"
            elif anchor and anchor not in anchors(tree.read(path)):
                yield number, f"links to {target}, and {path} has no such heading"


def check_paths(tree, name, text):
    for number, line in enumerate(text.split("\n"), 1):
        for path, function in PATH.findall(line):
            if BUILT.match(path) or "{" in path:
                continue
            found = glob.glob(os.path.join(tree.top, path))
            if not found:
                yield number, f"names {path}, which is not there"
            elif function and os.path.isfile(found[0]) and not re.search(rf"\b{function}\b", tree.read(path)):
                yield number, f"names {path}:{function}, and the file has no such name"


def step_exists(tree, word):
    """Whether scripts/test would take a word."""
    kind, _, spec = word.partition(":")
    if kind.startswith("selftests") and spec:
        return bool(fnmatch.filter(tree.programs, spec.split("/")[0]))
    if kind in ("kunit", "unit") and spec:
        return bool(re.search(rf'\.name = "{re.sub(r"[*]", ".*", spec.split(".")[0])}', tree.read("kmod/test/*.c")))
    return any(s.startswith(word) or fnmatch.fnmatchcase(s, word) for s in tree.steps)


def check_commands(tree, name, text):
    for number, line in blocks(text):
        line = re.split(r"\s#\s", line)[0]
        for words in re.findall(r"(?<![\w/])scripts/test((?: +[^\s;|&()]+)*)", line):
            words = words.split()
            while words:
                word = words.pop(0).strip("'\"")
                if word in ("--kernel", "--cpus", "--hypervisor", "--jobs", "--junit", "--json"):
                    words = words[1:]
                elif word.startswith("--"):
                    if f'"{word}"' not in tree.read("scripts/test.d/main.py"):
                        yield number, f"gives scripts/test the option {word}, which it has not"
                elif word.isupper() or "PROGRAM" in word or "SUITE" in word:
                    pass
                elif not step_exists(tree, word):
                    yield number, f"names the step {word}, which scripts/test has not"
        for target in re.findall(r"(?:^|[;&] *)make +([a-z][\w-]*)", line):
            if target not in tree.targets():
                yield number, f"names the target '{target}', which the Makefile has not"
        for command, source in (("drostectl", ("ctl/*.[ch]",)), ("scripts/lab", ("scripts/lab.d/*.py",)),
                                ("scripts/check-style", ("scripts/check-style",))):
            for words in re.findall(rf"(?:^|sudo |[;&|] *|-- |`)(?:\./|ctl/)?{command}((?:\s+[^\s;|]+)*)", line):
                for option in re.findall(r"\s--([a-z][\w-]*)", words.split(" -- ")[0]):
                    if not re.search(rf'"(?:--)?{option}[",= \[]', tree.read(*source)) and option != "help":
                        yield number, f"gives {command} the option --{option}, which it has not"
        for words in re.findall(r"(?:insmod \S*droste\.ko|modprobe droste)((?: +\w+=\S+)*)", line):
            for parameter in re.findall(r"(\w+)=", words):
                if parameter not in tree.parameters() | {"dyndbg"}:
                    yield number, f"gives the module the parameter {parameter}, which it has not"


def check_figures(tree, name, text):
    """A section with a figure has a command that shows it, or the document's first section has, for all."""
    if name in LIMITS:
        return
    sections = re.split(r"^(?=#)", text, flags=re.M)
    number = 1
    for section in sections:
        commands = any(COMMAND.search(code) for _, code in blocks(section))
        for offset, line in enumerate(outside(section).split("\n")):
            found = FIGURE.search(re.sub(r"`[^`]*`", "", line))
            if found and not commands:
                yield number + offset, f"has the figure '{found.group()}' in a section without a command that shows it"
                break
        number += section.count("\n")


CHECKS = (check_links, check_paths, check_commands, check_figures)


def problems(tree, names):
    """The problems of some documents, as lines of text."""
    found = []
    for name in names:
        text = tree.read(name)
        found += [f"{name}:{number}: {what}" for check in CHECKS for number, what in check(tree, name, text)]
    return found


def documents(top):
    return sorted(os.path.relpath(f, top) for pattern in ("*.md", "docs/*.md") for f in glob.glob(os.path.join(top, pattern)))


def check(top):
    listed = subprocess.run([os.path.join(top, "scripts", "test"), "--list"], capture_output=True, text=True, check=True).stdout
    steps = [line.split()[0] for line in listed.splitlines() if line[:1].isalpha()]
    programs = [os.path.basename(f)[:-2] for f in glob.glob(os.path.join(top, "selftests", "t_*.c"))]
    return problems(Tree(top, steps, programs), documents(top))

# SPDX-License-Identifier: GPL-2.0
"""Reads C and assembly by text: includes, definitions at file level, and the identifiers that a file uses."""
import functools
import os
import re

# A comment, a string or a character; the quotes stay, what is between them goes.
LEXEMES = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.M)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(.*?)[ \t]*$', re.M)
BREAK = re.compile(r"[{};]")
# A member of a struct (.x, ->x) is no use of a global name x.
IDENTIFIER = re.compile(r"(?<!\.)(?<!->)\b[A-Za-z_]\w*")
ENTRY = re.compile(r"\bSYM_(?:FUNC|CODE|INNER_LABEL|DATA)(?:_START)?(?:_NOALIGN)?\((\w+)|^\s*\.glob[a]?l\s+(\w+)", re.M)
ATTRIBUTE = re.compile(r"\b(?:__attribute__|__printf|__aligned|__section|__acquires|__releases|__must_hold|__free|"
                       r"__counted_by|__assume_aligned)\s*\((?:[^()]|\([^()]*\))*\)")
DEFINER = r"(?:DEFINE_\w+|DECLARE_BITMAP|LIST_HEAD|HLIST_HEAD)\((.*)\)$"


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def _lexeme(match):
    text = match.group()
    if text[0] == "/":
        return _blank(text) if "\n" in text else " " * len(text)
    return text[0] + " " * (len(text) - 2) + text[-1]


class Declared:
    """A declaration or definition at file level."""

    def __init__(self, kind, name, static, inline, line, at, text):
        self.kind = kind            # "function", "variable" or "prototype"
        self.name = name
        self.static = static
        self.inline = inline
        self.line = line
        self.at = at                # where its text begins
        self.text = text            # without the body


class Source:
    """One file of the module."""

    def __init__(self, root, name):
        self.name = name
        with open(os.path.join(root, name), errors="replace") as f:
            self.text = f.read()
        self.unmatched = False      # declared found braces that do not match, and may have missed something
        self.bare = LEXEMES.sub(_lexeme, self.text)     # the same length and lines, without comments and strings

    def line(self, at):
        return self.text.count("\n", 0, at) + 1

    @functools.cached_property
    def includes(self):
        """(line, what is included) in the file's order; quotes or angle brackets stay."""
        # A file's name is a string and went with them, the directive is at the same place.
        return [(self.line(m.start()), self.text[m.start(1):m.end(1)]) for m in INCLUDE.finditer(self.bare)]

    @functools.cached_property
    def declared(self):
        """The declarations at file level."""
        if self.name.endswith(".S"):
            return [Declared("function", m.group(1) or m.group(2), False, False, self.line(m.start()), m.start(), m.group())
                    for m in ENTRY.finditer(self.bare)]
        code = DIRECTIVE.sub(lambda m: _blank(m.group()), self.bare)
        found, depth, begin, body = [], 0, 0, None
        for m in BREAK.finditer(code):
            mark, at = m.group(), m.start()
            if mark == "{":
                if not depth:
                    body = at if body is None else body
                    head = code[begin:at]
                    if re.search(r"\)\s*$", ATTRIBUTE.sub("", head)) and "=" not in head:
                        found.append(self._declared(head, begin, "function"))
                depth += 1
            elif mark == "}":
                depth -= 1
                if not depth and found and found[-1] and found[-1].kind == "function" and body is not None \
                        and found[-1].at >= begin:
                    begin, body = at + 1, None
            elif not depth:
                head = code[begin:at if body is None else body]
                found.append(self._declared(head, begin, "variable", code[begin:at]))
                begin, body = at + 1, None
        self.unmatched = depth != 0
        return [d for d in found if d]

    def _declared(self, head, begin, kind, whole=None):
        lead = len(head) - len(head.lstrip())
        at, head = begin + lead, ATTRIBUTE.sub("", head.strip())
        words = set(re.findall(r"\w+", head.split("(")[0]))
        static, inline = "static" in words, bool(words & {"inline", "__always_inline"})

        def declared(kind, name):
            return Declared(kind, name, static, inline, self.line(self.text.find(name, at)), at, head)

        m = re.search(r"\b(\w+)\s*\(", head)
        made = re.match(r"(?:static\s+)?[A-Z]\w*\(\s*(\w+)\s*\)$", head)      # MSR_GET(msr_get_tsc) { ... }
        if kind == "function" and made:
            m = made
        if kind == "function":
            return declared(kind, m.group(1)) if m else None
        if "typedef" in words:
            return None
        value = head.find("=")
        if m and not head.startswith(m.group()) and (value < 0 or m.start() < value):
            made = re.match(r"(?:static\s+)?" + DEFINER, head, re.S)
            if made:
                return declared("variable", re.findall(r"\w+", made.group(1))[0 if "BITMAP" in head else -1])
            pointer = re.match(r"[^(]*\(\s*\*\s*(?:const\s+)?(\w+)[^()]*\)\s*\(", head)
            if pointer:
                return declared("variable", pointer.group(1)) if "extern" not in words else None
            return declared("prototype", m.group(1))
        made = re.match(DEFINER, head, re.S)
        if made:
            return declared("variable", re.findall(r"\w+", made.group(1))[-1])
        if m and (value < 0 or m.start() < value):
            return None             # a macro's call: MODULE_LICENSE("GPL")
        # struct x { ... } y; has its name behind the braces.
        tail = whole[whole.rfind("}") + 1:] if whole and "{" in whole and value < 0 else head.split("=")[0]
        m = re.search(r"(\w+)\s*(?:\[[^\]]*\]\s*)*$", re.sub(r":\s*\w+\s*$", "", tail.strip()))
        if not m or (tail is not None and "{" not in (whole or "") and len(re.findall(r"\w+", tail)) < 2):
            return None
        if re.match(r"(?:struct|union|enum)\s+\w+$", tail.strip()):
            return None             # struct x;
        return declared("prototype" if "extern" in words else "variable", m.group(1))

    @functools.cached_property
    def _code(self):
        """What can name something global: without includes and without the members of structs."""
        text = INCLUDE.sub(lambda m: _blank(m.group()), self.bare)
        for m in re.finditer(r"\b(?:struct|union|enum)\s*\w*\s*\{", text):
            depth = 0
            for brace in re.finditer(r"[{}]", text[m.end() - 1:]):
                depth += 1 if brace.group() == "{" else -1
                if not depth:
                    end = m.end() - 1 + brace.start()
                    text = text[:m.end()] + _blank(text[m.end():end]) + text[end:]
                    break
        return text

    @functools.cached_property
    def used(self):
        """Each identifier in the file and the offset of its first use; includes and members are left out."""
        found = {}
        for m in IDENTIFIER.finditer(self._code):
            found.setdefault(m.group(), m.start())
        return found

    @functools.cached_property
    def called(self):
        """As used, but a mere declaration of a function or variable is no use."""
        text = self._code
        for d in self.declared:
            if d.kind == "prototype":
                end = text.find(";", d.at)
                text = text[:d.at] + _blank(text[d.at:end]) + text[end:]
        return set(IDENTIFIER.findall(text))


def load(root, skipped=()):
    """The sources below a directory by their name there."""
    found = {}
    for directory, folders, names in os.walk(root):
        here = os.path.relpath(directory, root)
        folders[:] = [f for f in folders if os.path.normpath(os.path.join(here, f)) not in skipped]
        for name in names:
            if name.endswith((".c", ".h", ".S", ".def")) and not name.endswith(".mod.c"):
                file = os.path.normpath(os.path.join(here, name))
                found[file] = Source(root, file)
    return dict(sorted(found.items()))

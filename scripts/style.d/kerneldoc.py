# SPDX-License-Identifier: GPL-2.0
"""The check `kernel-doc`: each function that another file uses is described, and the kernel's script has no complaint."""
import glob
import os
import re
import subprocess

import csource
from layers import Table, matches

# A sentence that says in which context a function may be called.
CONTEXT = re.compile(r"Context:|\bcontext\b|\bsleeps?\b|\binterrupts (?:are )?(?:disabled|enabled|off|on)\b|\bpreempt|\bsrcu\b|"
                     r"\bholds?\b|\bheld\b|\block|\bmutex\b|\bthread\b|\bVMCS\w* (?:is|are|must be) |\bcurrent\b|"
                     r"\bmust be called\b|\bcalled (?:by|from|with|while|before|after|once|at|when|on)\b", re.I)


def described(source, declared):
    """The kernel-doc comment directly above a definition, or None."""
    before = source.text[:declared.at].rstrip()
    if not before.endswith("*/"):
        return None
    comment = before[before.rfind("/*"):]
    return comment if comment.startswith("/**") else None


def undescribed(root, pure):
    """Functions without a sufficient kernel-doc comment, as problems."""
    sources = csource.load(root, ["emul/diff"])
    used = {}       # name: the files that use it
    for file, source in sources.items():
        for name in source.called if not file.endswith(".def") else source.used:
            used.setdefault(name, set()).add(file)
    problems = []
    for file, source in sources.items():
        if not file.endswith(".c") or file.startswith("test/"):
            continue
        for d in source.declared:
            # A handler in MSR_GET(name) has the shape that the macro's comment describes; kernel-doc cannot read it.
            if d.kind != "function" or d.static or re.match(r"[A-Z]\w*\(", d.text) or not used.get(d.name, set()) - {file}:
                continue
            text = described(source, d)
            if text is None:
                what = "has no kernel-doc comment"
            elif not re.search(rf"^/\*\*\s*\n?\s*\*?\s*{d.name}(?:\(\))?\s+-", text):
                what = "has a kernel-doc comment of another name"
            elif not CONTEXT.search(text) and not matches(file, pure):
                what = "has a kernel-doc comment that does not say in which context it may be called (Context:)"
            else:
                continue
            problems.append(f"{file}:{d.line}: {d.name}() {what}")
    return problems


def complaints(script, tree, files):
    """The kernel's script's own complaints: parameters, Return: and form."""
    done = subprocess.run(["perl", script, "-none", "-Wall", *files], cwd=tree, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    found = [line for line in (done.stdout + done.stderr).splitlines() if re.search(r":\d+: (?:warning|error):", line)]
    if done.returncode and not found:
        return [f"kernel-doc failed: {done.stderr.strip()[-200:]}"]
    return list(dict.fromkeys(found))


def check(tree, table_file, script):
    kmod = os.path.join(tree, "kmod")
    with open(table_file) as f:
        table = Table(f.read(), os.path.basename(table_file))
    files = sorted(glob.glob("kmod/**/*.[ch]", root_dir=tree, recursive=True) +
                   glob.glob("uapi/linux/*.h", root_dir=tree))
    return ["kmod/" + p for p in undescribed(kmod, table.pure)] + complaints(script, tree, files)

# SPDX-License-Identifier: GPL-2.0
"""Shows on small made-up modules that the checks find each kind of problem that they are for, and no other."""
import os
import tempfile

import docs
import kerneldoc
import layers
import names

TABLE = """
part main.c		# load
part high
part left right
part low
over test
skip low/diff
shared compat.h		->
shared droste.h		-> compat.h */types.h
shared */types.h	-> */types.h pure/*
shared high/tell.[ch]	-> droste.h high/tell.[ch]
objects droste.h */types.h
pure pure/*
part pure
"""
MODULE = {
    "main.c": '#include "high/high.h"\n#include <linux/module.h>\nint init(void)\n{\n\treturn high_run();\n}\n',
    "compat.h": "",
    "droste.h": '#include "compat.h"\n#include "low/types.h"\nstruct vm {\n\tstruct low low;\n\tint high_run;\n};\n',
    "high/high.h": "int high_run(void);\nextern int high_count;\n",
    "high/high.c": '#include "high/high.h"\n#include "left/left.h"\n#include "low.h"\nint high_count = 3, *high_p;\n'
                   "int high_run(void)\n{\n\treturn left_do() + low_do(0);\n}\n",
    "high/tell.h": '#include "droste.h"\nvoid tell(struct vm *vm);\n',
    "high/tell.c": '#include "high/tell.h"\nvoid tell(struct vm *vm)\n{\n\tvm->high_run = 1;\n}\n',
    "high/low.h": '#include "low/low.h"\n',
    "left/left.h": "int left_do(void);\n",
    "left/left.c": '#include "left.h"\n#include "high/tell.h"\n/* high_run(); */\nint left_do(void)\n{\n\ttell("right_do()");\n\treturn 0;\n}\n',
    "right/right.h": "int right_do(void);\n",
    "right/right.c": '#include "right/right.h"\nint right_do(void)\n{\n\treturn 1;\n}\n',
    "low/types.h": "struct low {\n\tint left_do;\n};\nstatic inline int low_one(void)\n{\n\treturn 1;\n}\n",
    "low/low.h": "int low_do(int n);\n",
    "low/low.c": '#include "low/low.h"\n#include "pure/pure.h"\nint low_do(int n)\n{\n\treturn pure_add(n, 1);\n}\n',
    "low/diff/main.c": '#include "high/high.h"\n',
    "pure/pure.h": "int pure_add(int a, int b);\n",
    "pure/pure.c": '#include "pure/pure.h"\nint pure_add(int a, int b)\n{\n\treturn a + b;\n}\n',
    "test/low_kunit.c": '#include <kunit/test.h>\n#include "high/high.h"\nint low_do(int n);\n',
}

# name, files changed (appended to when they begin with +), rows added to the table, what each problem says
LAYERS = [
    ("nothing is wrong", {}, "", []),
    ("an include upwards", {"low/low.h": '+#include "high/high.h"\n'}, "",
     ["low/low.h:2: low may not include high/high.h (high is above low)"]),
    ("the same with angle brackets", {"low/low.h": "+#include <high/high.h>\n"}, "", ["low/low.h:2: low may not include high/high.h"]),
    ("the same by a way through folders", {"low/low.c": '+#include "../high/high.h"\n'}, "", ["low/low.c:7: low may not include"]),
    ("an include beside", {"left/left.c": '+#include "right/right.h"\n'}, "",
     ["left/left.c:9: left may not include right/right.h (right is beside left)"]),
    ("an include of a file that is not there", {"low/low.c": '+#include "low/gone.h"\n'}, "", ["low/low.c:7: includes"]),
    ("an include by a macro", {"low/low.c": "+#include HIGH\n"}, "", ["low/low.c:7: includes HIGH"]),
    ("a prototype in a .c file", {"low/low.c": "+int high_run(void);\n"}, "", ["low/low.c:7: low may not use high's high_run"]),
    ("a variable used upwards", {"low/low.c": "+static int *p = &high_count;\n"}, "",
     ["low/low.c:7: low may not use high's high_count", "low/low.c:1: a circle over parts, of 2 files"]),
    ("a function used upwards", {"low/low.c": "+static int f(void) { return right_do(); }\n"}, "",
     ["low/low.c:7: low may not use right's right_do (right is above low)"]),
    ("a macro that uses a function upwards", {"low/low.h": "+#define UP() high_run()\n"}, "",
     ["low/low.h:2: low may not use high's", "low/low.c:1: a circle over parts, of 4 files"]),
    ("a name through a shared header", {"droste.h": "+int high_run(void);\n"}, "",
     ["droste.h:7: droste.h may not use high's high_run", "droste.h:7: declares high_run()"]),
    ("a prototype among the objects", {"low/types.h": "+int low_two(void);\n"}, "", ["low/types.h:8: declares low_two()"]),
    ("a header that droste.h may not include", {"droste.h": '+#include "low/low.h"\n'}, "", ["droste.h:7: droste.h may not include low/low.h"]),
    ("the way upwards needs something", {"high/tell.c": '+#include "high/high.h"\n'}, "", ["high/tell.c:6: high/tell.c may not include high/high.h (it may only need droste.h high/tell.[ch])"]),
    ("a pure file that needs another", {"pure/pure.c": '+#include "low/low.h"\n'}, "",
     ["pure/pure.c:6: pure/pure.c may not include low/low.h (it is pure and low/low.h is not)"]),
    ("an exception", {"low/low.c": '+#include "high/high.h"\n'}, "allow low/low.c -> high/high.h # because\n", []),
    ("an exception for the names of a header", {"left/left.c": '+#include "right/right.h"\nstatic int *p = right_do();\n'},
     "allow left -> right/right.h # because\n", []),
    ("an exception for one name", {"left/left.c": "+static int p = right_do();\n"}, "allow left/left.c -> right_do # because\n", []),
    ("an exception that is not needed", {}, "allow low/low.c -> high/high.h # because\n",
     ["layers:15: the exception low/low.c -> high/high.h is not needed"]),
    ("an exception without a reason", {}, "allow low/low.c -> high/high.h\n", ["layers:15: an exception needs a reason"]),
    ("a file in no part", {"more/more.c": "int more;\n"}, "", ["more/more.c:1: is in no part"]),
    ("a file in the root", {"more.c": "int more;\n"}, "", ["more.c:1: is in no part"]),
    ("a part without a file", {}, "part more\n", ["layers: part more has no file"]),
    ("a pattern without a file", {}, "pure pure/more.c\n", ["layers:15: no file is pure/more.c"]),
    ("a test outside of test/", {"low/low_kunit.c": "#include <kunit/test.h>\n"}, "",
     ["low/low_kunit.c:1: a KUnit suite belongs in test/", "low/low_kunit.c:1: includes <kunit/test.h>"]),
    ("a use of the tests", {"low/low.c": '+#include "test/test.h"\n', "test/test.h": ""}, "", ["low/low.c:7: low may not include test/test.h"]),
    ("a file that is not understood", {"low/low.c": "+int f(void)\n{\n#ifdef A\n\tif (a) {\n#else\n\tif (b) {\n#endif\n\t}\n}\n"}, "",
     ["low/low.c:1: has braces that do not match"]),
    ("a circle over an exception", {"low/low.c": "+static int p = high_run();\n"}, "allow low/low.c -> high # because\n",
     ["low/low.c:1: a circle over parts, of 2 files; the shortest: low/low.c -> high/high.c -> low/low.c"]),
]

PREFIXES = "main.c droste_\nlow/*.c obj_\n"
HEAD = "// SPDX-License-Identifier: GPL-2.0\n/* A file. */\n"
NAMED = {
    "main.c": HEAD + "static int droste_init(void)\n{\n\treturn 0;\n}\n",
    "compat.h": HEAD + "#define X86_TRAP_CP 21\n",
    "low/file_two.c": HEAD + "#define FL_PF 4\n#define DB_SIZE 3\nstatic int file_two_a(void);\nstatic int file_two_a(void)\n{\n}\n"
                      "static int file_b(void)\n{\n}\nstatic void *low_c(void)\n{\n}\nstatic int obj_d(int (*f)(void))\n{\n}\n"
                      "static const struct x file_ops = { .a = file_b };\nint anything(void)\n{\n}\nMODULE_LICENSE(\"GPL\");\n",
    "low/low.h": HEAD + "int anything(void);\nstatic inline int low_e(void)\n{\n}\n",
    "test/low_kunit.c": HEAD + "static void low_c(void)\n{\n}\n",
}
NAMES = [
    ("nothing is wrong", {}, []),
    ("a function without a prefix", {"main.c": "+static int other(void)\n{\n}\n"}, ["main.c:7: other() begins with none of main_ droste_"]),
    ("an inline function without a prefix", {"low/low.h": "+static __always_inline int other(void)\n{\n}\n"},
     ["low/low.h:7: other() begins with none of low_"]),
    ("two statics of one name", {"low/more.c": HEAD + "static int low_c(void)\n{\n}\n"},
     ["low/file_two.c:12: low_c() is also the name of low/more.c:3"]),
    ("a static of an inline's name", {"low/more.c": HEAD + "static int low_e(void)\n{\n}\n"}, ["low/low.h:4: low_e() is also the name of"]),
    ("a static of a global's name", {"low/anything.c": HEAD + "static int anything(void)\n{\n}\n"},
     ["low/anything.c:3: anything() is also the name of low/file_two.c:"]),
    ("a prototype in a .c file", {"main.c": "+int anything(\n\tint a,\n\tint b);\n"}, ["main.c:7: anything is declared in a .c file"]),
    ("an external variable in a .c file", {"main.c": "+extern const struct x y;\n"}, ["main.c:7: y is declared in a .c file"]),
    ("a vector", {"main.c": "+#define GP_VECTOR 13\n"}, ["main.c:7: GP_VECTOR duplicates"]),
    ("a vector under another name", {"main.c": "+#define MY_PF 0x0e\n"}, ["main.c:7: MY_PF duplicates"]),
    ("a vector in the test", {"test/low_kunit.c": "+#define X86_TRAP_DB 1\n"}, ["test/low_kunit.c:6: X86_TRAP_DB duplicates"]),
    ("a file without a comment", {"low/more.h": "/* SPDX-License-Identifier: GPL-2.0 */\n#ifndef X\n#endif\n"}, ["low/more.h:2: no comment"]),
    ("a row without a file", {"main.c": None}, ["names:1: no file is main.c"]),
]

DOC = "/**\n * high_run() - runs\n * @a: a number\n *\n * May sleep.\n *\n * Return: a number.\n */\n"
DESCRIBED = {
    "high.c": '#include "high.h"\n' + DOC + "int high_run(int a)\n{\n}\nint high_own(void)\n{\n}\nstatic int f(void)\n{\n}\n",
    "high.h": "int high_run(int a);\nint high_own(void);\n",
    "main.c": '#include "high.h"\nint init(void)\n{\n\treturn high_run(1);\n}\n',
    "pure.c": "/**\n * pure_add() - adds\n */\nint pure_add(void)\n{\n}\n",
    "pure.h": "static inline int pure_two(void)\n{\n\treturn pure_add();\n}\n",
}
DOCS = [
    ("nothing is wrong", {}, []),
    ("no description", {"high.c": "int high_run(int a)\n{\n}\n"}, ["high.c:1: high_run() has no kernel-doc comment"]),
    ("an ordinary comment", {"high.c": DOC.replace("/**", "/*") + "int high_run(int a)\n{\n}\n"}, ["high.c:9: high_run() has no"]),
    ("a description elsewhere", {"high.c": DOC + "int high_own(void)\n{\n}\nint high_run(int a)\n{\n}\n"}, ["high.c:12: high_run() has no"]),
    ("another function's description", {"high.c": DOC.replace("run()", "walk()") + "int high_run(int a)\n{\n}\n"},
     ["high.c:9: high_run() has a kernel-doc comment of another name"]),
    ("no context", {"high.c": DOC.replace("May sleep", "Runs") + "int high_run(int a)\n{\n}\n"},
     ["high.c:9: high_run() has a kernel-doc comment that does not say in which context"]),
    ("a use by a table only", {"high.def": "ROW(high_own)\n"}, ["high.c:13: high_own() has no"]),
    ("a description of a macro's function", {"high.def": "ROW(high_row)\n", "high.c": "+MSR_GET(high_row)\n{\n}\n"}, []),
]

DOCUMENTS = {
    "README.md": "# A name\nSee [the tour](docs/tour.md#the-way-in), [below](#a-name) and https://example.org/kmod/x.c.\n",
    "docs/tour.md": "# Tour\n## The way `in`\nRead `kmod/high.c:high_run()`, then kmod/*.c and `ctl/drostectl`.\n",
    "kmod/high.c": "module_param(apicv, bool, 0444);\nint high_run(void)\n{\n}\n",
    "kmod/test/high_kunit.c": '.name = "droste_high",\n',
    "ctl/main.c": '{ "memory", required_argument },\n',
    "scripts/lab.d/main.py": 'add("--cpus")\n',
    "scripts/test.d/main.py": 'add("--list")\n',
    "scripts/check-style": 'add("--changed")\n',
    "scripts/test": "", "scripts/lab": "",
    "Makefile": "demo:\n\tx\n",
}
STEPS = ["chain-6.12", "kunit"]
FIGURES = [
    ("nothing is wrong", "", []),
    ("good commands", "```\nscripts/test --list selftests:t_cpu/X kunit:droste_h* chain\nmake demo\nsudo insmod kmod/droste.ko apicv=0\n"
                      "scripts/lab exec --cpus 2 \\\n\t--cpus 1 -- drostectl run --memory 4\n```\nIt takes 3 minutes.\n", []),
    ("a link to no file", "[x](gone.md)\n", ["docs/more.md:1: links to gone.md, which"]),
    ("a link to no heading", "[x](tour.md#gone)\n", ["docs/more.md:1: links to tour.md#gone, and docs/tour.md has"]),
    ("a file that is gone", "\nsee kmod/gone.c\n", ["docs/more.md:2: names kmod/gone.c"]),
    ("a function that is gone", "`kmod/high.c:high_gone()`\n", ["docs/more.md:1: names kmod/high.c:high_gone"]),
    ("a step that is gone", "`scripts/test chain gone`\n", ["docs/more.md:1: names the step gone"]),
    ("a program that is gone", "`scripts/test selftests:t_gone`\n", ["docs/more.md:1: names the step selftests:t_gone"]),
    ("a suite that is gone", "`scripts/test unit:droste_gone`\n", ["docs/more.md:1: names the step unit:droste_gone"]),
    ("an option that is gone", "`scripts/test --gone`\n", ["docs/more.md:1: gives scripts/test the option --gone"]),
    ("a target that is gone", "`make gone`\n", ["docs/more.md:1: names the target 'gone'"]),
    ("an option of drostectl", "`drostectl run --gone`\n", ["docs/more.md:1: gives drostectl the option --gone"]),
    ("an option of the lab", "```\nscripts/lab exec --cpus 1 \\\n\t--gone\n```\n", ["docs/more.md:3: gives scripts/lab the option --gone"]),
    ("a parameter that is gone", "`insmod droste.ko gone=1`\n", ["docs/more.md:1: gives the module the parameter gone"]),
    ("a figure without a command", "## One\nIt takes 3 minutes.\n## Two\n`make demo`\n", ["docs/more.md:2: has the figure '3 minutes'"]),
    ("a share without a command", "40 % less\n", ["docs/more.md:1: has the figure '40 %'"]),
]


def made(directory, module, changes):
    """Writes a module's files below a directory."""
    for name, text in {**module, **changes}.items():
        if text is None:
            continue
        file = os.path.join(directory, name)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "w") as f:
            f.write(module[name] + text[1:] if text[:1] == "+" else text)


def compare(title, found, wanted):
    """Problems that were found against the beginnings of those that should be; what is wrong, as a list."""
    left = list(found)
    wrong = []
    for w in wanted:
        match = next((p for p in left if p.startswith(w)), None)
        if match is None:
            wrong.append(f"{title}: not found: {w}")
        else:
            left.remove(match)
    return wrong + [f"{title}: found: {p}" for p in left]


def run(title, module, changes, table, problems, wanted):
    """Applies a check, problems(directory, file of the table), to a module; what is wrong, as a list."""
    with tempfile.TemporaryDirectory() as directory:
        kmod = os.path.join(directory, "kmod")
        made(kmod, module, changes)
        file = os.path.join(directory, table[0])
        with open(file, "w") as f:
            f.write(table[1])
        return compare(f"{table[0]}, {title}", problems(kmod, file), wanted)


def check():
    wrong = []
    for title, changes, rows, wanted in LAYERS:
        wrong += run(title, MODULE, changes, ("layers", TABLE + rows), lambda kmod, file: layers.check(kmod, file)[0], wanted)
    for title, changes, wanted in NAMES:
        wrong += run(title, NAMED, changes, ("names", PREFIXES), names.check, wanted)
    for title, changes, wanted in DOCS:
        wrong += run(title, DESCRIBED, changes, ("kernel-doc", ""), lambda kmod, file: kerneldoc.undescribed(kmod, ["pure.c"]), wanted)
    for title, text, wanted in FIGURES:
        with tempfile.TemporaryDirectory() as directory:
            made(directory, DOCUMENTS, {"docs/more.md": text})
            found = docs.problems(docs.Tree(directory, STEPS, ["t_cpu"]), docs.documents(directory))
            wrong += compare(f"docs, {title}", found, wanted)
    return wrong

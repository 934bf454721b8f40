# SPDX-License-Identifier: GPL-2.0
"""A build of the module with a fault in each path by which a page gets into the dirty log: t_dirty_l2 must find each."""
import hashlib
import os
import shutil

from runner import Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(TREE, "scripts", "lab")
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hosts.d")
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "droste")
COPIED = ("kmod", "uapi", "scripts/lab", "scripts/lab.d", "Kbuild", "VERSION")
WITHOUT_PML = "corei7_haswell_4770"

# The module's parameter that says which fault there is; 0: none.
PARAMETER = [
    ("kmod/mem/dirty.h", "#endif\n", "extern int droste_plant;\n#endif\n"),
    ("kmod/ept/ept01.c", '#include "droste.h"\n', '#include "droste.h"\n#include "mem/dirty.h"\n'),
    ("kmod/mem/dirty.c", '#include "droste.h"\n',
     '#include <linux/moduleparam.h>\n#include "droste.h"\nint droste_plant;\nmodule_param_named(plant, droste_plant, int, 0444);\n'),
]
# The faults, from 1: file, what is in it once, and what is there instead.
PLANTS = [
    # The processor's log is thrown away.
    ("kmod/vmx/pml.c", "\t\tif (slot)\n\t\t\tdirty_mark", "\t\tif (slot && droste_plant != 1)\n\t\t\tdirty_mark"),
    # The first write to a page by EPT02 is not listed, ...
    ("kmod/ept/ept01_fault.c", "\tif (slot)\n\t\tdirty_mark", "\tif (slot && droste_plant != 2)\n\t\tdirty_mark"),
    # ... or makes no fault.
    ("kmod/ept/ept01_fault.c", "\tif (shadow && READ_ONCE(vm->pml)", "\tif (droste_plant != 3 && shadow && READ_ONCE(vm->pml)"),
    # When the log has been read, EPT02 keeps what it has.
    ("kmod/ept/ept01.c", "(atomic64_t *)slot);\n\tept01_leaf_gone(vm, old, level, gone);\n\treturn true;",
     "(atomic64_t *)slot);\n\tif (droste_plant != 4)\n\t\tept01_leaf_gone(vm, old, level, gone);\n\treturn true;"),
    # Without the processor's log, a fault of a write lists nothing.
    ("kmod/ept/ept01_fault.c", "\t\tif (!err && src->write)\n", "\t\tif (!err && src->write && droste_plant != 5)\n"),
    # What L0 writes for the guest, such as the flags in L1's EPT, is not listed.
    ("kmod/mem/memslot.c", "\tif (s)\n\t\tdirty_mark", "\tif (s && droste_plant != 6)\n\t\tdirty_mark"),
]
BITMAP, RINGS = "bitmaps, L2 with", "rings, L2 with"
# With page-modification logging, and without: the fault, and the subtests that must find it.
WITH = [(0, [BITMAP + " EPT"]), (1, [BITMAP + "out EPT", RINGS + "out EPT"]), (2, [BITMAP + " EPT", RINGS + " EPT"]),
        (3, [BITMAP + " EPT", RINGS + " EPT"]), (4, [BITMAP + " EPT", RINGS + " EPT"]), (6, [BITMAP + " EPT and its dirty flags"])]
WITHOUT = [(0, [BITMAP + " EPT"]), (4, [BITMAP + " EPT"]), (5, [BITMAP + " EPT", BITMAP + "out EPT"])]


def planted(job):
    """Makes a copy of the tree with all faults, and returns the path of its module. The copy stays, for the next build."""
    copy = os.path.join(CACHE, "plants", hashlib.sha256(TREE.encode()).hexdigest()[:12])
    for name in COPIED:
        source, target = os.path.join(TREE, name), os.path.join(copy, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.isdir(source):
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.o", "*.ko", ".*", "__pycache__"))
        else:
            shutil.copy2(source, target)
    for name, old, new in PARAMETER + PLANTS:
        with open(os.path.join(copy, name)) as f:
            text = f.read()
        job.check(f"there is a place for a fault in {name}", None if text.count(old) == 1 else f"{old!r} is there {text.count(old)} times")
        with open(os.path.join(copy, name), "w") as f:
            f.write(text.replace(old, new, 1))
    return job.output([os.path.join(copy, "scripts", "lab"), "build-module", "--kernel", "6.12"])


def run(job):
    module = planted(job)
    programs = [os.path.join(HERE, "plants.sh"), os.path.join(TREE, "selftests/bin/t_dirty_l2"), module]
    for name, runs, machine in (("with page-modification logging", WITH, []), ("without", WITHOUT, ["--cpu", WITHOUT_PML])):
        arguments = " ".join(f"{plant} '{subtest}'" for plant, subtests in runs for subtest in subtests)
        job.tap([LAB, "exec", "--hypervisor", "none", "--cpus", "2", "--timeout", "900", *machine,
                 *(word for file in programs for word in ("--file", file)), "--", f"./plants.sh {arguments}"], 3600, name)


STEPS = [
    Step("dirty-plants", "faults that are planted in the dirty log's paths are found", run, ["build-6.12", "selftests"], extra=True),
]

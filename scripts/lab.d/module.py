# SPDX-License-Identifier: GPL-2.0
"""Builds droste.ko for one of the lab's kernels, outside of the source tree."""
import hashlib
import os
import re
import shutil
import subprocess
import sys

import cache
from cache import LabError, TREE

SOURCES = ("kmod", "uapi")
# Debian's kernels are configured with debug information. Nothing in the lab reads that of the module, which is 95 % of
# the file and a sixth of the build's time.
WITHOUT_DEBUG_INFO = ["CONFIG_DEBUG_INFO=", "CONFIG_DEBUG_INFO_BTF_MODULES="]


def _sync(source, target):
    """Brings a copy of a source directory up to date, and keeps the build products in it.

    What a build in the tree has left there (droste.mod.c) is that of another kernel, and stays there.
    """
    os.makedirs(target, exist_ok=True)
    names = os.listdir(source)
    for name in names:
        a, b = os.path.join(source, name), os.path.join(target, name)
        if os.path.isdir(a):
            _sync(a, b)
        elif name.endswith((".c", ".h", ".S", ".def", ".lds")) and not name.endswith(".mod.c") or name in ("Kbuild", "Makefile"):
            with open(a, "rb") as f:
                data = f.read()
            try:
                with open(b, "rb") as f:
                    same = f.read() == data
            except FileNotFoundError:
                same = False
            if not same:
                with open(b, "wb") as f:
                    f.write(data)
    for name in os.listdir(target):
        gone = name not in names and name.endswith((".c", ".h", ".S", ".def")) and not name.endswith(".mod.c")
        if gone:
            os.unlink(os.path.join(target, name))


def _make(arguments, directory):
    """Runs make, and names the files in its messages as they are called in the tree.

    Returns the exit status, and whether there was a warning.
    """
    # A message of the compiler is short from the tree's top, and otherwise names a file that an editor can open.
    top = "" if os.path.realpath(os.getcwd()) == os.path.realpath(TREE) else TREE + "/"
    child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    copied = re.compile(re.escape(f"{directory}/").encode() + rb"(?=(?:kmod|uapi)/\S+\.(?:c|h|S|def)\b)")
    warned = False
    try:
        for line in child.stdout:
            warned = warned or b"warning:" in line
            sys.stderr.buffer.write(copied.sub(top.encode(), line))
            sys.stderr.buffer.flush()
        return child.wait(), warned
    finally:
        child.kill()


def version():
    """Returns the version of the tree, as kmod/Kbuild finds it. The copy that is built has no repository."""
    if os.path.exists(os.path.join(TREE, ".git")) and shutil.which("git"):
        done = subprocess.run(["git", "-C", TREE, "describe", "--tags", "--match", "v[0-9]*", "--dirty"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.strip()
    try:
        with open(os.path.join(TREE, "VERSION")) as f:
            return f.read().strip()
    except FileNotFoundError:
        return "unknown"


def _objects(directory):
    """Yields the object files below a directory."""
    for path, _, names in os.walk(directory):
        yield from (os.path.join(path, name) for name in names if name.endswith(".o"))


def build(kernel, flavour="", module="droste.ko", words=(), strict=False):
    """Builds the module for a kernel and returns its path. Files that are up to date are not built again.

    A build with other words on make's command line is another flavour, and has its own directory. The compiler's warnings
    (W=1) are shown. They are errors if @strict; for that, the objects of a build with warnings are built anew the next time.
    """
    if not os.path.exists(os.path.join(TREE, "kmod", "Kbuild")):
        raise LabError("there is no kmod/Kbuild in this tree; use --hypervisor none or kvm")
    name = hashlib.sha256(TREE.encode()).hexdigest()[:12]
    directory = cache.path("build", name, kernel.name + flavour)
    with cache.lock(f"build-{name}-{kernel.name}{flavour}"):
        for source in SOURCES:
            if os.path.isdir(os.path.join(TREE, source)):
                _sync(os.path.join(TREE, source), os.path.join(directory, source))
        # The Kbuild at the top, as DKMS and distributions build.
        shutil.copy2(os.path.join(TREE, "Kbuild"), directory)
        # A WARN names its file as the tree does: kmod/run/loop.c.
        flags = " ".join([f"-fmacro-prefix-map={directory}/=", *(w.partition("=")[2] for w in words if w.startswith("KCFLAGS="))])
        words = [*(w for w in words if not w.startswith("KCFLAGS=")), f"KCFLAGS={flags}"]
        list_of_warned = os.path.join(directory, "warned")
        if os.path.exists(list_of_warned):
            with open(list_of_warned) as f:
                for name in f.read().split():
                    if os.path.exists(name):
                        os.unlink(name)
            os.unlink(list_of_warned)
        before = {name: os.stat(name).st_mtime_ns for name in _objects(directory)}
        failed, warned = 0, True            # until make says otherwise, because it may be interrupted
        try:
            failed, warned = _make(["make", "-s", f"-j{os.cpu_count()}", "-C", kernel.headers, f"M={directory}", "W=1",
                                    *WITHOUT_DEBUG_INFO, f"DROSTE_VERSION={version()}", *words, "modules"], directory)
        finally:
            if warned:
                new = [name for name in _objects(directory) if os.stat(name).st_mtime_ns != before.get(name)]
                with open(list_of_warned, "w") as f:
                    f.writelines(f"{name}\n" for name in new)
        if failed:
            raise LabError(f"{module} does not build for kernel {kernel.name} ({kernel.release})")
        if warned and strict:
            raise LabError(f"{module} builds for kernel {kernel.name} ({kernel.release}) with warnings")
    return os.path.join(directory, "kmod", module)


def build_kunit(kernel, words=(), strict=False):
    """Builds the KUnit tests for a kernel and returns the path of droste_kunit.ko."""
    return build(kernel, "-kunit", "droste_kunit.ko", [*words, "DROSTE_KUNIT=1"], strict)


def build_own(kernel, name, module):
    """Builds a module of the lab from its directory in lab.d, and returns its path."""
    source = os.path.join(TREE, "scripts", "lab.d", name)
    flavour = f"{hashlib.sha256(TREE.encode()).hexdigest()[:12]}/{kernel.name}-{name}"
    directory = cache.path("build", flavour)
    with cache.lock(f"build-{flavour.replace('/', '-')}"):
        _sync(source, directory)
        shutil.copy2(os.path.join(source, "Kbuild"), directory)
        if _make(["make", "-s", "-C", kernel.headers, f"M={directory}", *WITHOUT_DEBUG_INFO, "modules"], directory)[0]:
            raise LabError(f"{module} does not build for kernel {kernel.name} ({kernel.release})")
    return os.path.join(directory, module)


def build_plant(kernel):
    """Builds plant.ko, which plants faults for the strict machine, and returns its path."""
    return build_own(kernel, "plant", "plant.ko")


def build_vfio(kernel):
    """Builds lab_vfio.ko, a device of VFIO without hardware, and returns its path."""
    return build_own(kernel, "vfio", "lab_vfio.ko")

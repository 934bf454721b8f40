# SPDX-License-Identifier: GPL-2.0
"""Debian's QEMU in one directory that runs in the lab: program, libraries, firmware, and a script that starts it.

The QEMU of Debian 12 is installed on this machine. Newer ones are unpacked from packages of other suites.
"""
import glob
import os
import re
import shutil

import cache
import debian
import libraries
from cache import output, path, run, say
from suite import Suite

SUITES = {"10": "trixie", "11": "forky"}     # QEMU's versions besides the installed one
PACKAGES = ["qemu-system-x86", "qemu-utils", "seabios"]
PROGRAM = "/usr/bin/qemu-system-x86_64"
FIRMWARE = ["/usr/share/seabios/*.bin", "/usr/share/qemu/kvmvapic.bin", "/usr/share/qemu/*boot*.bin", "/usr/share/qemu/pvh.bin"]

# QEMU starts through its own loader, so that L0 needs no libraries.
START = """\
#!/bin/sh
here=${0%/*}
exec "$here/lib/ld-linux-x86-64.so.2" --library-path "$here/lib" "$here/qemu-system-x86_64" -L "$here/fw" "$@"
"""


def _libraries():
    """Returns the libraries of the program, and its loader."""
    return re.findall(r"(/\S+) \(0x", output(["ldd", PROGRAM], "ldd"))


def directory():
    """Returns the directory, which is made once for each version of the package."""
    debian.install(PACKAGES)
    version = output(["dpkg-query", "-W", "-f", "${Version}", PACKAGES[0]], "dpkg-query")
    made = path("qemu", re.sub(r"[^\w.+-]", "-", version))
    return cache.once(made, "qemu", _fill)


def newer(version):
    """Returns the directory of one of SUITES, which is made once."""
    return cache.once(path("qemu", version), "qemu-" + version, lambda new: _unpack(new, version))


def _unpack(new, version):
    say(f"fetching QEMU {version} of Debian's {SUITES[version]} (a minute)")
    packages = os.path.join(new, "packages")
    Suite(SUITES[version]).unpack(["qemu-system-x86", "seabios"], packages)
    program = packages + PROGRAM
    libraries.put(packages, [program], os.path.join(new, "lib"))
    _finish(new, program, packages)
    shutil.rmtree(packages)


def _fill(new):
    for library in _libraries():
        libraries.copy(library, os.path.join(new, "lib", os.path.basename(library)))
    _finish(new, PROGRAM, "")


def _finish(new, program, root):
    """Adds program, firmware and script to the libraries."""
    run(["strip", "-o", os.path.join(new, "qemu-system-x86_64"), program], "stripping QEMU")
    for file in [f for pattern in FIRMWARE for f in glob.glob(root + pattern)]:
        libraries.copy(file, os.path.join(new, "fw", os.path.basename(file)))
    start = os.path.join(new, "qemu")
    with open(start, "w") as f:
        f.write(START)
    os.chmod(start, 0o755)

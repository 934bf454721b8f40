# SPDX-License-Identifier: GPL-2.0
"""Debian's QEMU as one directory that runs in the lab: program, libraries, firmware, and a script that starts it."""
import glob
import os
import re
import shutil

import cache
import debian
from cache import output, path, run

PACKAGES = ["qemu-system-x86", "qemu-utils", "seabios"]
PROGRAM = "/usr/bin/qemu-system-x86_64"
FIRMWARE = ["/usr/share/seabios/*.bin", "/usr/share/qemu/kvmvapic.bin", "/usr/share/qemu/*boot*.bin", "/usr/share/qemu/pvh.bin"]

# Started through its own loader, so that the system around it needs no libraries.
START = """\
#!/bin/sh
here=${0%/*}
exec "$here/lib/ld-linux-x86-64.so.2" --library-path "$here/lib" "$here/qemu-system-x86_64" -L "$here/fw" "$@"
"""


def _libraries():
    """The files that the program is linked with, and its loader."""
    return re.findall(r"(/\S+) \(0x", output(["ldd", PROGRAM], "ldd"))


def directory():
    """The directory, made once for each version of the package."""
    debian.install(PACKAGES)
    version = output(["dpkg-query", "-W", "-f", "${Version}", PACKAGES[0]], "dpkg-query")
    made = path("qemu", re.sub(r"[^\w.+-]", "-", version))
    if os.path.exists(made):
        return made
    with cache.lock("qemu"):
        if not os.path.exists(made):
            with cache.making(made) as new:
                _fill(new)
    return made


def _fill(new):
    for name in ("lib", "fw"):
        os.mkdir(os.path.join(new, name))
    run(["strip", "-o", os.path.join(new, "qemu-system-x86_64"), PROGRAM], "stripping QEMU")
    for library in _libraries():
        shutil.copy(library, os.path.join(new, "lib"))
    for file in [f for pattern in FIRMWARE for f in glob.glob(pattern)]:
        shutil.copy(file, os.path.join(new, "fw"))
    start = os.path.join(new, "qemu")
    with open(start, "w") as f:
        f.write(START)
    os.chmod(start, 0o755)

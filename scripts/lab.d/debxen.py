# SPDX-License-Identifier: GPL-2.0
"""Debian's Xen in one directory: the hypervisor, and the programs that dom0 has besides busybox."""
import gzip
import os
import shutil

import cache
import libraries
from cache import path, say
from suite import Suite

# Xen's versions, and the Debian suite of each.
SUITES = {"4.17": "bookworm", "4.20": "trixie"}

# The programs that dom0 runs, and their data. The rest of the packages is left out. {v} is Xen's version.
PROGRAMS = """usr/lib/xen-{v}/bin/xl usr/lib/xen-{v}/bin/xenstored usr/lib/xen-{v}/bin/xenconsoled
    usr/lib/xen-{v}/bin/xenconsole usr/lib/xen-{v}/bin/xen-init-dom0 usr/lib/xen-{v}/bin/libxl-save-helper
    usr/libexec/xen-qemu-system-i386""".split()
DATA = """usr/lib/xen-{v}/boot/hvmloader usr/share/seabios/bios-256k.bin usr/share/qemu/linuxboot_dma.bin
    usr/share/qemu/linuxboot.bin usr/share/qemu/kvmvapic.bin usr/share/qemu/keymaps/en-us""".split()
LIBRARIES = "usr/lib/xen-{v}/lib/x86_64-linux-gnu"


def directory(version):
    """Returns the directory with `xen` (a multiboot ELF) and `root` (for dom0's initramfs), which is made once."""
    return cache.once(path("xen", version), "xen-" + version, lambda new: _make(version, new))


def _make(version, new):
    say(f"fetching Xen {version} of Debian's {SUITES[version]} (a minute)")
    packages = os.path.join(new, "packages")
    Suite(SUITES[version]).unpack(
        [f"xen-hypervisor-{version}-amd64", f"xen-utils-{version}", "qemu-system-xen", "seabios"], packages)
    with gzip.open(os.path.join(packages, f"boot/xen-{version}-amd64.gz")) as f, open(os.path.join(new, "xen"), "wb") as to:
        shutil.copyfileobj(f, to)
    root = os.path.join(new, "root")
    programs = [p.format(v=version) for p in PROGRAMS]
    for name in [*programs, *(d.format(v=version) for d in DATA)]:
        libraries.copy(os.path.join(packages, name), os.path.join(root, name))
    libraries.put(packages, [os.path.join(packages, p) for p in programs], os.path.join(root, "lib/x86_64-linux-gnu"),
                  [LIBRARIES.format(v=version)])
    os.makedirs(os.path.join(root, "lib64"))
    os.symlink(f"../lib/x86_64-linux-gnu/{libraries.LOADER}", os.path.join(root, "lib64", libraries.LOADER))
    shutil.rmtree(packages)

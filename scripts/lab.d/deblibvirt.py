# SPDX-License-Identifier: GPL-2.0
"""Debian's libvirt with its QEMU driver and QEMU, as the root directory of a small system for chroot in the lab."""
import glob
import os
import shutil

import cache
import libraries
from cache import path, run, say
from suite import Suite

SUITE = "bookworm"
PACKAGES = ["libvirt-daemon", "libvirt-daemon-driver-qemu", "libvirt-clients", "qemu-system-x86", "seabios"]

# The rest of the packages is left out.
PROGRAMS = ["usr/sbin/libvirtd", "usr/sbin/virtlogd", "usr/bin/virsh", "usr/bin/qemu-system-x86_64",
            "usr/lib/libvirt/libvirt_iohelper", "usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so",
            "usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so"]     # libvirt asks QEMU about both of its accelerators
DATA = ["usr/share/libvirt/cpu_map/*", "usr/share/libvirt/schemas/*"]
FIRMWARE = ["usr/share/seabios/*.bin", "usr/share/qemu/kvmvapic.bin", "usr/share/qemu/*boot*.bin", "usr/share/qemu/pvh.bin"]


def directory():
    """Returns the root directory, which is made once."""
    return cache.once(path("libvirt", SUITE), "libvirt", _make)


def _make(new):
    say(f"fetching libvirt and QEMU of Debian's {SUITE} (a minute)")
    packages = os.path.join(new, "packages")
    Suite(SUITE).unpack(PACKAGES, packages)

    def copy(name, to):
        libraries.copy(os.path.join(packages, name), os.path.join(new, to))

    for name in PROGRAMS:
        copy(name, name)
    for name in [f for pattern in DATA for f in glob.glob(pattern, root_dir=packages)]:
        copy(name, name)
    for name in [f for pattern in FIRMWARE for f in glob.glob(pattern, root_dir=packages)]:
        copy(name, os.path.join("usr/share/qemu", os.path.basename(name)))
    run(["strip", *(os.path.join(new, name) for name in PROGRAMS)], "stripping libvirt")
    libraries.put(packages, [os.path.join(packages, name) for name in PROGRAMS], os.path.join(new, "lib/x86_64-linux-gnu"))
    os.makedirs(os.path.join(new, "lib64"))
    os.symlink(f"../lib/x86_64-linux-gnu/{libraries.LOADER}", os.path.join(new, "lib64", libraries.LOADER))
    # Where the system's and a host's own parts are mounted.
    for name in ("bin", "dev", "etc", "proc", "root", "run", "shared", "sys", "tmp", "var"):
        os.makedirs(os.path.join(new, name), exist_ok=True)
    shutil.rmtree(packages)

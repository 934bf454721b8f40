# SPDX-License-Identifier: GPL-2.0
"""Makes initramfs images with busybox as user land, for L0 and for guests."""
import lzma
import os
import subprocess

import cpio
from cache import LabError

HERE = os.path.dirname(os.path.abspath(__file__))
BUSYBOX = "/bin/busybox"


def read_module(kernel, file):
    """Returns a module's bytes, decompressed for busybox's insmod."""
    full = os.path.join(kernel.modules, file)
    with open(full, "rb") as f:
        data = f.read()
    return lzma.decompress(data) if full.endswith(".xz") else data


def add_modules(archive, kernel, names):
    """Adds modules and their dependencies to /lib/modules, with a modules.dep for modprobe. Returns their paths."""
    order = kernel.module_files(names)
    root = f"lib/modules/{kernel.release}"
    plain = {file: file.removesuffix(".xz") for file in order}
    paths = []
    for file in order:
        archive.file(f"{root}/{plain[file]}", read_module(kernel, file))
        paths.append(f"/{root}/{plain[file]}")
    lines = []
    for file in order:
        name = os.path.basename(file).split(".ko")[0]
        needed = [plain[f] for f in reversed(kernel.module_files([name])) if f != file]
        lines.append(f"{plain[file]}: {' '.join(needed)}\n")
    archive.file(f"{root}/modules.dep", "".join(lines).encode())
    return paths


def base(kernel, modules, init):
    """Returns an archive with busybox, root directories, modules and /init, and the modules' paths in it."""
    if not os.path.exists(BUSYBOX):
        raise LabError("busybox-static is not installed; run: scripts/lab setup")
    archive = cpio.Archive()
    for name in ("bin", "dev", "etc", "lab", "proc", "root", "run", "sys", "tmp", "usr"):
        archive.directory(name)
    for link, target in (("sbin", "bin"), ("usr/bin", "../bin"), ("usr/sbin", "../bin")):
        archive.symlink(link, target)
    archive.char_device("dev/console", 5, 1)
    archive.char_device("dev/null", 1, 3, 0o666)
    archive.copy(BUSYBOX, "bin/busybox")
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in applets:
        if applet != "busybox":
            archive.symlink(f"bin/{applet}", "busybox")
    archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    archive.file("etc/group", b"root:x:0:\n")
    paths = add_modules(archive, kernel, modules)
    with open(init, "rb") as f:
        archive.file("init", f.read(), 0o755)
    return archive, paths


def add_file(archive, source, destination):
    """Adds a file or directory of the host. A link is followed."""
    source = os.path.realpath(source)
    if not os.path.exists(source):
        raise LabError(f"{source}: no such file")
    archive.copy(source, destination)

# SPDX-License-Identifier: GPL-2.0
"""Builds the debug kernel from Debian's source and scripts/debug.config."""
import glob
import hashlib
import os
import shutil

import cache
import debian
from cache import LabError, TREE, path, run, say

SOURCE = "linux-source-6.12"
FRAGMENT = os.path.join(TREE, "scripts", "debug.config")


def directory_name():
    """Names the kernel's directory in the cache by the options of its configuration, without the comments."""
    with open(FRAGMENT) as f:
        options = [line for line in f if line.startswith(("CONFIG_", "# CONFIG_"))]
    return "debug-" + hashlib.sha256("".join(options).encode()).hexdigest()[:8]


def source():
    """Returns the unpacked source tree of Debian's Linux 6.12."""
    return cache.once(path("source", SOURCE), SOURCE, _unpack)


def _unpack(new):
    say("fetching and unpacking the source of Linux 6.12 (half a minute)")
    debian.update()
    debian.unpack([SOURCE], os.path.join(new, "deb"))
    tarball = glob.glob(os.path.join(new, "deb/usr/src/*.tar.xz"))[0]
    run(["tar", "-xf", tarball, "-C", new, "--strip-components=1"], "unpacking Linux 6.12")
    shutil.rmtree(os.path.join(new, "deb"))


def build(directory):
    """Configures and builds the kernel into `directory`, with the layout of an unpacked stock kernel."""
    debian.install(["lz4"])
    tree = source()
    say("building the debug kernel (some seven minutes on two idle processors)")
    # Modules are built against the build directory. Its makefiles contain its path, so it is never renamed.
    build_directory = directory + ".build"
    os.makedirs(build_directory, exist_ok=True)
    make = ["make", "-s", "-C", tree, f"O={build_directory}", "ARCH=x86_64", f"-j{os.cpu_count()}"]
    run([*make, "tinyconfig"], "configuring the debug kernel")
    with open(os.path.join(build_directory, ".config"), "a") as config, open(FRAGMENT) as fragment:
        config.write(fragment.read())
    run([*make, "olddefconfig"], "configuring the debug kernel")
    check_config(os.path.join(build_directory, ".config"))
    run([*make, "bzImage", "modules"], "building the debug kernel", background=True)
    with open(os.path.join(build_directory, "include/config/kernel.release")) as f:
        release = f.read().strip()
    with cache.making(directory) as new:
        run([*make, f"INSTALL_MOD_PATH={new}/tree", "modules_install"], "installing the debug kernel's modules")
        for link in ("build", "source"):
            stale = os.path.join(new, "tree/lib/modules", release, link)
            if os.path.islink(stale):
                os.unlink(stale)
        shutil.copy(os.path.join(build_directory, "arch/x86/boot/bzImage"), os.path.join(new, "vmlinuz"))
        shutil.copy(os.path.join(build_directory, ".config"), os.path.join(new, "config"))
        os.symlink(build_directory, os.path.join(new, "headers"))
        with open(os.path.join(new, "release"), "w") as f:
            f.write(release + "\n")


def check_config(file):
    """Fails if the configuration lacks an option of the fragment, because a dependency of that option is missing."""
    with open(file) as f:
        got = set(f.read().splitlines())
    with open(FRAGMENT) as f:
        wanted = [line for line in f.read().splitlines() if line.startswith("CONFIG_")]
    lost = [line for line in wanted if line not in got]
    if lost:
        raise LabError("the debug kernel's configuration lost " + ", ".join(lost))

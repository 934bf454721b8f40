# SPDX-License-Identifier: GPL-2.0
"""The kernels of the lab: Debian's stock ones unpacked from their packages, and the debug kernel."""
import os

import cache
import debian
import debugkernel
from cache import LabError, path, say

# Debian's cloud flavour has KVM, the notifiers that hypervisors hook into, and boots fastest; Xen's dom0 is full.
STOCK = {
    "6.12": r"linux-image-6\.12\.[0-9]+\+deb12-cloud-amd64",
    "6.1": r"linux-image-6\.1\.0-[0-9]+-cloud-amd64",
    "6.12-full": r"linux-image-6\.12\.[0-9]+\+deb12-amd64",
}
NAMES = [*STOCK, "debug"]


class Kernel:
    """A kernel in the cache: a directory with vmlinuz, config, modules below tree/, and a KDIR."""

    def __init__(self, name, directory):
        self.name = name
        self.directory = directory
        with open(os.path.join(directory, "release")) as f:
            self.release = f.read().strip()
        self.vmlinuz = os.path.join(directory, "vmlinuz")
        self.modules = os.path.join(directory, "tree/lib/modules", self.release)
        self.headers = os.path.join(directory, "headers")

    def module_files(self, names):
        """Paths below lib/modules/RELEASE of the modules and what they need, in the order of loading."""
        needs = {}
        with open(os.path.join(self.modules, "modules.dep")) as f:
            for line in f:
                file, _, needed = line.partition(":")
                needs[file] = needed.split()
        by_name = {os.path.basename(f).split(".ko")[0].replace("-", "_"): f for f in needs}
        with open(os.path.join(self.modules, "modules.builtin")) as f:
            builtin = {os.path.basename(line.strip()).split(".ko")[0].replace("-", "_") for line in f}
        order = []
        for name in names:
            name = name.replace("-", "_")
            if name not in by_name:
                if name in builtin:
                    continue
                raise LabError(f"kernel {self.name} ({self.release}) has no module {name}")
            # modules.dep lists the closure, the deepest dependency last.
            for file in [*reversed(needs[by_name[name]]), by_name[name]]:
                if file not in order:
                    order.append(file)
        return order


def get(name):
    """The kernel of that name, made if the cache does not have it."""
    if name not in NAMES:
        raise LabError(f"there is no kernel '{name}'; there are {', '.join(NAMES)}")
    directory = path("kernels", name if name in STOCK else debugkernel.directory_name())
    if not os.path.exists(os.path.join(directory, "release")):
        with cache.lock(f"kernel-{name}"):
            if not os.path.exists(os.path.join(directory, "release")):
                if name in STOCK:
                    _unpack_stock(name, directory)
                else:
                    debugkernel.build(directory)
    return Kernel(name, directory)


def _unpack_stock(name, directory):
    debian.update()  # old lists may name versions that the archive no longer has
    image = debian.newest(STOCK[name])
    release = image[len("linux-image-"):]
    headers = image.replace("linux-image-", "linux-headers-")
    common = debian.dependency(headers, r"linux-headers-.*-common")
    kbuild = debian.dependency(headers, r"linux-kbuild-.*")
    say(f"kernel {name} is Debian's {release}")
    with cache.making(directory) as new:
        tree = os.path.join(new, "tree")
        debian.unpack([image, headers, common, kbuild], tree)
        os.symlink(f"tree/boot/vmlinuz-{release}", os.path.join(new, "vmlinuz"))
        os.symlink(f"tree/boot/config-{release}", os.path.join(new, "config"))
        os.symlink(f"tree/usr/src/linux-headers-{release}", os.path.join(new, "headers"))
        # The headers' Makefile names the common headers by the path they would be installed at.
        makefile = os.path.join(new, "headers", "Makefile")
        with open(makefile) as f:
            text = f.read()
        with open(makefile, "w") as f:
            f.write(text.replace("/usr/src/", os.path.join(directory, "tree/usr/src/")))
        cache.run(["/sbin/depmod", "-b", tree, release], f"indexing the modules of {release}")
        with open(os.path.join(new, "release"), "w") as f:
            f.write(release + "\n")

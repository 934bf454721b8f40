# SPDX-License-Identifier: GPL-2.0
"""The lab's kernels: Debian's stock kernels, unpacked from their packages, and the debug kernel."""
import os

import cache
import debian
import debugkernel
from cache import LabError, path, say

# Debian's cloud flavour has KVM and the notifiers for hypervisors, and boots fastest. Xen's dom0 needs the full one.
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
        """Returns the paths below lib/modules/RELEASE of modules and their dependencies, in the order of loading."""
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
            # modules.dep lists all direct and indirect dependencies, the deepest last.
            for file in [*reversed(needs[by_name[name]]), by_name[name]]:
                if file not in order:
                    order.append(file)
        return order


def get(name):
    """Returns the kernel of that name, and makes it if the cache does not have it."""
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
    debian.update()  # outdated lists name versions that are no longer in the archive
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
        # The headers' Makefile contains the path where the common headers would be installed.
        makefile = os.path.join(new, "headers", "Makefile")
        with open(makefile) as f:
            text = f.read()
        with open(makefile, "w") as f:
            f.write(text.replace("/usr/src/", os.path.join(directory, "tree/usr/src/")))
        cache.run(["/sbin/depmod", "-b", tree, release], f"indexing the modules of {release}")
        with open(os.path.join(new, "release"), "w") as f:
            f.write(release + "\n")

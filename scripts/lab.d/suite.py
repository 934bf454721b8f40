# SPDX-License-Identifier: GPL-2.0
"""Packages of any Debian suite, unpacked apart from this machine: its own apt and dpkg are neither asked nor changed."""
import glob
import os
import shutil

import cache
from cache import LabError, output, path, run

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def _mirror():
    """Where this machine gets Debian's packages from."""
    sites = output(["apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL)", "Created-By: Packages",
                    "Origin: Debian"], "apt-get indextargets").splitlines()
    for site in sites:
        uri, _, label = site.partition(" ")
        if label == "Debian":
            return uri
    raise LabError("this machine's apt knows no Debian archive; run apt-get update")


class Suite:
    """One suite by its codename, with lists of its own in the cache; signatures are checked as apt does."""

    def __init__(self, name):
        self.name = name
        self.root = path("apt", name, "x")[:-2]
        self.options = [
            "-q", "-o", f"Dir::Etc::SourceList={self.root}/sources.list", "-o", "Dir::Etc::SourceParts=-",
            "-o", "Dir::Etc::PreferencesParts=-", "-o", f"Dir::State={self.root}/state",
            "-o", f"Dir::State::Lists={self.root}/lists", "-o", f"Dir::State::Status={self.root}/status",
            "-o", f"Dir::Cache={self.root}/cache", "-o", "Acquire::Languages=none", "-o", "APT::Sandbox::User=root",
            "-o", "APT::Install-Recommends=no"]

    def _update(self):
        for name in ("state", "lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(self.root, name), exist_ok=True)
        with open(os.path.join(self.root, "sources.list"), "w") as f:
            f.write(f"deb [signed-by={KEYRING}] {_mirror()} {self.name} main\n")
        # Nothing is installed in this world, so that all that a package needs comes with it.
        with open(os.path.join(self.root, "status"), "w"):
            pass
        run(["apt-get", *self.options, "update"], f"reading Debian's {self.name}")

    def unpack(self, packages, directory, alone=False):
        """Downloads packages with all that they depend on, or alone, and unpacks them under a directory."""
        with cache.lock(f"apt-{self.name}"):
            self._update()
            archives = os.path.join(self.root, "cache/archives")
            if alone:
                run(["apt-get", *self.options, "download", *packages], f"downloading {' '.join(packages)}", cwd=archives)
            else:
                run(["apt-get", *self.options, "install", "-y", "--download-only", *packages],
                    f"downloading {' '.join(packages)}")
            for deb in sorted(glob.glob(os.path.join(archives, "*.deb"))):
                run(["dpkg-deb", "-x", deb, directory], "unpacking packages")
            shutil.rmtree(os.path.join(self.root, "cache"))

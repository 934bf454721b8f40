# SPDX-License-Identifier: GPL-2.0
"""Unpacks packages of any Debian suite, without use or change of this machine's own apt and dpkg state."""
import glob
import os
import shutil

import cache
from cache import LabError, output, path, run

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def _mirror():
    """Returns the Debian mirror of this machine."""
    sites = output(["apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL)", "Created-By: Packages",
                    "Origin: Debian"], "apt-get indextargets").splitlines()
    for site in sites:
        uri, _, label = site.partition(" ")
        if label == "Debian":
            return uri
    raise LabError("this machine's apt knows no Debian archive; run apt-get update")


class Suite:
    """One suite by its codename. Its package lists are in the cache, and apt checks their signatures."""

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
        # No package counts as installed, so that apt downloads all dependencies.
        with open(os.path.join(self.root, "status"), "w"):
            pass
        run(["apt-get", *self.options, "update"], f"reading Debian's {self.name}")

    def unpack(self, packages, directory, alone=False):
        """Downloads packages, with their dependencies unless `alone`, and unpacks them under a directory."""
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

# SPDX-License-Identifier: GPL-2.0
"""Gets packages and files from the Debian archive that this machine's apt uses."""
import glob
import os
import re
import subprocess

from cache import LabError, lock, output, path, run, say

# The Debian 12 packages that the lab needs.
PACKAGES = """build-essential bc bison bochsbios busybox-static cpio flex kmod libelf-dev libssl-dev
    pahole python3 rsync sparse vgabios xz-utils""".split()

_updated = False


def missing(packages):
    """Returns the packages that are not installed."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *packages],
                          capture_output=True, text=True)
    present = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("installed ")}
    return [p for p in packages if p not in present]


def update():
    """Updates apt's lists, once in a run of the lab. apt fails if another one does so at the same time."""
    global _updated
    if not _updated:
        with lock("package-lists"):
            run(_root(["apt-get", "update", "-q"]), "refreshing the package lists")
        _updated = True


def _root(command):
    return command if os.geteuid() == 0 else ["sudo", *command]


def install(packages):
    """Installs the missing packages. It is quick if there are none."""
    wanted = missing(packages)
    if not wanted:
        return
    say("installing " + " ".join(wanted))
    update()
    with lock("packages"):
        run(_root(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", "--no-install-recommends",
                   "-o", "DPkg::Lock::Timeout=300", *wanted]), "installing packages")


def newest(pattern):
    """Returns the package with the newest version in its name, of those that match a regular expression."""
    prefix = pattern.split("[")[0].replace("\\", "")
    names = [n for n in output(["apt-cache", "pkgnames", prefix], "apt-cache").split() if re.fullmatch(pattern, n)]
    if not names:
        raise LabError(f"apt offers no package that matches {pattern}")
    return max(names, key=lambda n: [int(x) for x in re.findall(r"\d+", n)])


def dependency(package, pattern):
    """Returns the dependency of a package whose name matches a pattern."""
    for line in output(["apt-cache", "depends", package], "apt-cache").splitlines():
        match = re.search(r"Depends: (\S+)", line)
        if match and re.fullmatch(pattern, match[1]):
            return match[1]
    raise LabError(f"{package} depends on nothing like {pattern}")


def unpack(packages, directory):
    """Downloads packages and unpacks them under a directory, without installing them."""
    work = path("downloads", "x")[:-1]

    for package in packages:
        run(["apt-get", "download", "-q", package], f"downloading {package}", cwd=work)
        deb = max(glob.glob(f"{work}/{glob.escape(package)}_*.deb"), key=os.path.getmtime)
        run(["dpkg-deb", "-x", deb, directory], f"unpacking {package}")
        os.unlink(deb)


def pool_file(name, sha256):
    """Downloads a file of the archive's pool from this machine's mirror. Returns None if it is not there."""
    target = path("downloads", os.path.basename(name))
    sites = output(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian",
                    "Label: Debian"], "apt-get indextargets").split()
    for site in dict.fromkeys(sites):
        done = subprocess.run(["/usr/lib/apt/apt-helper", "download-file", f"{site}{name}", target, f"SHA256:{sha256}"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode == 0:
            return target
    return None

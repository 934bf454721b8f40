# SPDX-License-Identifier: GPL-2.0
"""Builds the kernel's KVM selftests from Debian's source packages into the cache. This tree has no copy of them."""
import glob
import os
import shutil

import cache
import debian
import debugkernel
from cache import path, run, say
from suite import Suite

# The Linux releases, and the Debian suite of their source. None is this machine's suite.
RELEASES = {"6.12": None, "7.2": "forky"}


def directory(release):
    """Returns the directory with the static programs for x86, which is made once."""
    return cache.once(path("kvm-selftests", release), "kvm-selftests-" + release, lambda new: _build(release, new))


def _source(release, scratch):
    """Returns the kernel's source tree: that of the debug kernel, or one that the caller removes after the build."""
    if not RELEASES[release]:
        return debugkernel.source()
    say(f"fetching the source of Linux {release}")
    Suite(RELEASES[release]).unpack([f"linux-source-{release}"], scratch, alone=True)
    tree = os.path.join(scratch, "tree")
    os.mkdir(tree)
    tarball = glob.glob(os.path.join(scratch, "usr/src/*.tar.xz"))[0]
    run(["tar", "-xf", tarball, "-C", tree, "--strip-components=1"], f"unpacking Linux {release}")
    return tree


def _build(release, new):
    debian.install(["libcap-dev"])
    scratch = os.path.join(new, "scratch")
    os.mkdir(scratch)
    tree = _source(release, scratch)
    headers, out = os.path.join(scratch, "headers"), os.path.join(scratch, "out")
    run(["make", "-s", "-C", tree, f"O={scratch}/build", "ARCH=x86_64", "headers_install", f"INSTALL_HDR_PATH={headers}"],
        f"headers of Linux {release}")
    # -k: a program does not build if Debian lacks the static form of one of its libraries. The others are still built.
    run(["make", "-s", "-k", f"-j{os.cpu_count()}", "-C", os.path.join(tree, "tools/testing/selftests/kvm"), f"OUTPUT={out}",
         f"KHDR_INCLUDES=-isystem {headers}/include", "LDFLAGS=-static -pthread -no-pie"],
        f"building the KVM selftests of Linux {release}")
    for directory_name, _, names in os.walk(out):
        for name in names:
            file = os.path.join(directory_name, name)
            if os.access(file, os.X_OK) and "." not in name:
                run(["strip", "-o", os.path.join(new, name), file], "stripping the KVM selftests")
    shutil.rmtree(scratch)

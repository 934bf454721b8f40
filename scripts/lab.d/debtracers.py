# SPDX-License-Identifier: GPL-2.0
"""Debian's perf and trace-cmd in one directory that runs in the lab: programs, libraries, trace-cmd's plugins."""
import glob
import os
import re

import cache
import debian
import libraries
from cache import output, path, run

PACKAGES = ["linux-perf", "trace-cmd", "libtraceevent1-plugin"]
PROGRAMS = ["perf", "trace-cmd"]
PLUGINS = "/usr/lib/x86_64-linux-gnu/traceevent/plugins/*.so"

# perf has its own copy of the library that loads plugins, and does not know what these need.
SETTINGS = {"trace-cmd": 'export TRACEEVENT_PLUGIN_DIR="$here/plugins"\n'}
# The programs start through their own loader, so that L0 needs no libraries.
START = """\
#!/bin/sh
here=${0%%/*}
%sexec "$here/lib/ld-linux-x86-64.so.2" --library-path "$here/lib" "$here/programs/%s" "$@"
"""


def directory():
    """Returns the directory, which is made once for each pair of versions."""
    debian.install(PACKAGES)
    versions = output(["dpkg-query", "-W", "-f", "${Version}-", *PACKAGES[:2]], "dpkg-query")
    return cache.once(path("tracers", re.sub(r"[^\w.+-]", "-", versions.strip("-"))), "tracers", _fill)


def _fill(new):
    os.makedirs(os.path.join(new, "programs"))
    for name in PROGRAMS:
        program = f"/usr/bin/{name}"
        for library in re.findall(r"(/\S+) \(0x", output(["ldd", program], "ldd")):
            libraries.copy(library, os.path.join(new, "lib", os.path.basename(library)))
        run(["strip", "-o", os.path.join(new, "programs", name), program], f"stripping {name}")
        start = os.path.join(new, name)
        with open(start, "w") as f:
            f.write(START % (SETTINGS.get(name, ""), name))
        os.chmod(start, 0o755)
    for plugin in glob.glob(PLUGINS):
        libraries.copy(plugin, os.path.join(new, "plugins", os.path.basename(plugin)))

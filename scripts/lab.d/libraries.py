# SPDX-License-Identifier: GPL-2.0
"""Finds the shared libraries of programs that are unpacked from packages, not installed."""
import glob
import os
import re
import shutil

from cache import LabError, output

PLACES = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/*"]
LOADER = "ld-linux-x86-64.so.2"


def copy(source, target):
    """Copies the file that a link leads to, because links between packages' directories do not work elsewhere."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(source, target)


def needed(packages, programs, places=()):
    """Returns all shared libraries of programs by name. Further directories to search may be given."""
    found = {}
    waiting = list(programs)
    while waiting:
        for name in re.findall(r"\(NEEDED\).*\[(.*)\]", output(["readelf", "-d", waiting.pop()], "readelf")):
            if name in found:
                continue
            files = [f for place in [*PLACES, *places] for f in glob.glob(os.path.join(packages, place, name))]
            if not files:
                raise LabError(f"no package that was unpacked has the library {name}")
            # The loader asks for this name, even if it is a link to another file.
            found[name] = files[0]
            waiting.append(files[0])
    return found


def put(packages, programs, directory, places=()):
    """Copies the libraries that needed() finds into a directory."""
    for library in needed(packages, programs, places).values():
        copy(library, os.path.join(directory, os.path.basename(library)))

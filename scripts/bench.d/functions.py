# SPDX-License-Identifier: GPL-2.0
"""Says which functions of L0 execute the root instructions of a row, by the lab's profile (scripts/lab exec --profile)."""
import bisect
import os
import subprocess
import typing

import machine

USER = "user space"
OTHER = "addresses with few instructions"
FEW = 4000              # an address with a smaller part of a row's instructions is not looked up in the kernel's long list
KERNEL = 0xffffffff81000000     # the kernel's text; modules are above MODULES
MODULES = 0xffffffffa0000000

# In L0: prints the start and the name of each function that has one of the addresses in a file. Both lists are sorted.
AWK = r"""
NR == FNR { at[n++] = "x" $1; next }
NF == 3 && $2 ~ /[tTwW]/ {
	for (; i < n && at[i] < "x" $1; i++)
		if (shown != name) { print "sym", start, name; shown = name }
	start = $1; name = $3
}
"""


def read(name):
    """Returns for each tag the instructions by address."""
    found = {}
    with open(name) as f:
        for line in f:
            tag, address, number = line.split()
            by_address = found.setdefault(int(tag, 16), {})
            by_address[int(address, 16)] = by_address.get(int(address, 16), 0) + int(number)
    return found


def symbols(lines):
    """Returns (address, name) of the lines "sym ADDRESS NAME" among some."""
    words = [line.split() for line in lines]
    return [(int(w[1], 16), w[2]) for w in words if len(w) == 3 and w[0] == "sym"]


def kernel_symbols(addresses, directory):
    """Asks an L0 which of its kernel's functions have some addresses. With nokaslr they are the same in each boot."""
    names = {"addresses": "".join(f"{address:016x}\n" for address in sorted(addresses)), "names.awk": AWK}
    for name, text in names.items():
        with open(os.path.join(directory, name), "w") as f:
            f.write(text)
    words = [word for name in names for word in ("--file", os.path.join(directory, name))]
    done = subprocess.run([machine.LAB, "exec", "--hypervisor", "none", *words, "--", "awk -f names.awk addresses /proc/kallsyms"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    return symbols(done.stdout.splitlines())


class Names:
    """The functions of a machine."""

    def __init__(self, known, unknown=()):
        known = sorted(set(known))
        self.unknown = unknown
        self.starts = [start for start, _ in known]
        self.names = [name for _, name in known]

    def of(self, address):
        if not address:
            return USER
        if address in self.unknown:
            return OTHER
        at = bisect.bisect_right(self.starts, address) - 1
        return self.names[at] if at >= 0 else hex(address)


def dearest(by_address, names, operations):
    """Returns (name, instructions of one operation), the dearest first."""
    found = {}
    for address, number in by_address.items():
        name = names.of(address)
        found[name] = found.get(name, 0) + number
    return sorted(((name, number / operations) for name, number in found.items()), key=lambda item: -item[1])


class Row(typing.NamedTuple):
    """The root instructions of one operation: by function, the dearest first; and of the kernel and its modules as a whole."""
    named: list = []
    kernel: float = 0
    modules: float = 0          # in the lab, Droste is the only one that does something


def row(by_address, names, operations):
    """Returns the Row of a profile."""
    kernel = sum(number for address, number in by_address.items() if KERNEL <= address < MODULES)
    modules = sum(number for address, number in by_address.items() if address >= MODULES)
    return Row(dearest(by_address, names, operations), kernel / operations, modules / operations)


def names_of(profile, module_symbols, directory):
    """Returns the names for a profile; those of the module are known."""
    kernel, many = set(), set()
    for by_address in profile.values():
        least = sum(by_address.values()) / FEW
        own = {address for address in by_address if KERNEL <= address < MODULES}
        kernel |= own
        many |= {address for address in own if by_address[address] >= least}
    return Names([*module_symbols, *kernel_symbols(many, directory)], kernel - many)

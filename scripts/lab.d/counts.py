# SPDX-License-Identifier: GPL-2.0
"""Shows the instrumented emulator's counts of the instructions between two markers."""
import json
import sys

# Names of basic exit reasons (SDM Vol. 3, Appendix C). Others are shown by number.
EXITS = {
    0: "exception or NMI", 1: "external interrupt", 2: "triple fault", 3: "INIT", 4: "SIPI", 7: "interrupt window",
    8: "NMI window", 9: "task switch", 10: "CPUID", 12: "HLT", 13: "INVD", 14: "INVLPG", 15: "RDPMC", 16: "RDTSC",
    18: "VMCALL", 19: "VMCLEAR", 20: "VMLAUNCH", 21: "VMPTRLD", 22: "VMPTRST", 23: "VMREAD", 24: "VMRESUME",
    25: "VMWRITE", 26: "VMXOFF", 27: "VMXON", 28: "control-register access", 29: "MOV DR", 30: "I/O instruction",
    31: "RDMSR", 32: "WRMSR", 33: "entry failure, guest state", 34: "entry failure, MSR loading", 36: "MWAIT",
    37: "monitor trap flag", 39: "MONITOR", 40: "PAUSE", 43: "TPR below threshold", 44: "APIC access",
    45: "virtualized EOI", 46: "GDTR or IDTR access", 47: "LDTR or TR access", 48: "EPT violation",
    49: "EPT misconfiguration", 50: "INVEPT", 51: "RDTSCP", 52: "VMX-preemption timer", 53: "INVVPID", 54: "WBINVD",
    55: "XSETBV", 56: "APIC write", 58: "INVPCID", 59: "VMFUNC", 62: "page-modification log full", 63: "XSAVES",
    64: "XRSTORS",
}
KINDS = ("vmread", "vmwrite", "vmptrld", "vmclear", "vmentry", "invept", "invvpid", "rdmsr", "wrmsr", "xsetbv")


def show(number, count):
    """Prints the counts of one pair of markers."""
    def line(name, value):
        print(f"    {name:<34} {value:>16,}", file=sys.stderr)

    print(f"lab: count {number} (tag {count['tag']:#x})", file=sys.stderr)
    line("root instructions", count["root"])
    for key, name in (("root.user", "  of these, in user space"), ("root.interrupt", "interrupts delivered in root"),
                      ("root.masked", "interrupts disabled for at most")):
        if key in count:
            line(name, count[key])
    line("guest instructions", count["guest"])
    for mode in ("root", "guest"):
        for kind in KINDS:
            if f"{mode}.{kind}" in count:
                line(f"{kind.upper()} in {mode}", count[f"{mode}.{kind}"])
    exits = {int(key[5:]): value for key, value in count.items() if key.startswith("exit.")}
    line("VM exits", sum(exits.values()))
    for reason, value in sorted(exits.items(), key=lambda item: -item[1]):
        line(f"  {EXITS.get(reason, f'reason {reason}')}", value)


def report(counts, file):
    """Prints all counts, and writes them to a file as JSON if one is named."""
    if not counts:
        print("lab: no pair of markers (xchg %bx,%bx) was executed", file=sys.stderr)
    for number, count in enumerate(counts, 1):
        show(number, count)
    if file:
        with open(file, "w") as f:
            json.dump(counts, f, indent=1)
            f.write("\n")

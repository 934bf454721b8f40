# SPDX-License-Identifier: GPL-2.0
"""A model that makes cycles of counts. It is no measurement: docs/bench.md says where its weights come from."""

EXIT = 1000             # a VM exit and the VM entry that follows
ACCESS = 6              # a VMREAD or VMWRITE
SWITCH = 150            # a VMPTRLD or VMCLEAR
PER_CYCLE = 4           # instructions

SENTENCE = (f"cycles is a model, not a measurement: {EXIT:,} for each exit with its entry, {ACCESS} for a VMREAD or VMWRITE,\n"
            f"{SWITCH} for a VMPTRLD or VMCLEAR, and {PER_CYCLE} instructions in a cycle (docs/bench.md has the sources)")


def cycles(result):
    return (result["exits"] * EXIT + (result["vmread"] + result["vmwrite"]) * ACCESS
            + (result["vmptrld"] + result["vmclear"]) * SWITCH + (result["root"] + result["guest"]) / PER_CYCLE)

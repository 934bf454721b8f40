# SPDX-License-Identifier: GPL-2.0
"""The step of DROSTE_FORCE_EXITS: programs and a chain of Linuxes with exits that no guest needs."""
import os

import chain
import lab
from runner import Step

# The bits of DROSTE_FORCE_EXITS.
BITS = [f"{1 << n:#x}" for n in range(9)]
FORCE = ("t_force", "t_force_modes", "t_force_paging")
# What runs under all bits, and under each bit alone.
EACH = ("t_cpu", "t_diff")
# What runs only under all of them. t_vmx_exits: L1 asks for the same exits.
ALL = ("t_basic", "t_cr4", "t_traps", "t_task", "t_tsc", "t_vmx_emul", "t_vmx_exits", "t_vmx_features", "t_vmx_hot",
       "t_vmx_shadow", "t_vmx_traps")


def forced(job):
    programs = [os.path.join(lab.TREE, "selftests/bin", name) for name in (*FORCE, *EACH, *ALL)]

    def run(words, what):
        job.tap([lab.LAB, "exec", "--timeout", "1200", *lab.files(os.path.join(lab.TREE, "selftests/run"), *programs), "--", words],
                1800, what)

    run(f"./run {' '.join(FORCE)}", " and ".join(FORCE))
    # Paranoid, so that the short way is compared with the general one under the added controls.
    run("echo 1 >/sys/module/droste/parameters/paranoid; "
        f"DROSTE_FORCE_EXITS=all ./run {' '.join((*EACH, *ALL))}", "kselftests with all bits")
    each = [f"echo '# mask {mask}'; DROSTE_FORCE_EXITS={mask} ./run {' '.join(EACH)} || status=1" for mask in BITS]
    run(f"status=0; {'; '.join(each)}; exit $status", "kselftests with each bit")
    chain.Chain("6.12", 1, "6.12", 1, True, 1, force="all").run(job)


STEPS = [Step("force-exits", "exits that no guest needs: kselftests under each bit, a chain under all", forced,
              ["build-6.12", "images-6.12", "selftests"], extra=True)]

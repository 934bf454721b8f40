# SPDX-License-Identifier: GPL-2.0
"""Steps that run the kernel's KVM selftests on kvm_intel and on Droste, in one lab, and compare the results."""
import fnmatch
import os
import re

from runner import Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(TREE, "scripts", "lab")
HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 90                      # L0's seconds for one program, but for those in LIMITS
LIMITS = {"rseq_test": 900}     # does 100,000 migrations between CPUs

# Programs that do not apply to Droste, which is for Intel's processors and has no interface of Hyper-V or Xen.
LEFT_OUT = {
    "sev_*": "AMD's SEV",
    "svm_*": "AMD's SVM",
    "nested_svm*": "AMD's SVM",
    "hyperv_*": "Hyper-V's interface",
    "xen_*": "Xen's interface as KVM emulates it",
    "nx_huge_pages_test": "kvm.ko's work-around for a processor's defect, by its module parameter",
    "hardware_disable_test": "512 processes killed in turn; on kvm_intel too it does not end within minutes on the emulator",
}

# Options that make programs small which would run for minutes or use gigabytes.
ARGUMENTS = {
    "access_tracking_perf_test": "-b 2M -v 1",
    "demand_paging_test": "-b 2M -v 2",
    "dirty_log_page_splitting_test": "-b 16M",
    "dirty_log_perf_test": "-b 2M -v 2 -i 2",
    "dirty_log_test": "-i 3 -I 1",
    "kvm_page_table_test": "-b 8M -v 2",
    "max_guest_memory_test": "-c 2 -m 1 -s 1",
    "memslot_modification_stress_test": "-b 2M -v 2 -i 10",
    "memslot_perf_test": "-l 1 -s 64 -e 1",
    "mmu_stress_test": "-c 2 -m 1 -s 1",
}

# Programs that pass on kvm_intel and by choice do not on Droste: their result there, and the reason.
CHOICES = {
    "nested_dirty_log_test": ("FAIL", "it wants a page that L2 only reads reported as written; Droste reports what was written"),
    "smm_test": ("skip", "SMM is not offered"),
    "vmx_apic_access_test": ("FAIL", "an APIC-access page where L1 has no memory is no error, as on hardware"),
}

WORDS = {0: "pass", 4: "skip", 124: "time out", 143: "time out", 137: "time out"}


def word(status):
    return "-" if status is None else WORDS.get(status, "FAIL")


def programs(release, directory):
    """Returns the names of all programs but those in LEFT_OUT."""
    return [name for name in sorted(os.listdir(directory)) if not any(fnmatch.fnmatch(name, p) for p in LEFT_OUT)]


def problem(name, kvm, droste):
    """Returns the reason why a program's two statuses are wrong. None if they are right."""
    if name in CHOICES:
        expected, why = CHOICES[name]
        return None if word(droste) == expected else f"it was to {expected} by choice ({why}), and did {word(droste)}"
    if droste is None:
        return "it was not run to its end"
    if word(kvm) == "pass" and word(droste) != "pass":
        return f"{word(droste)} on Droste, although it passes on kvm_intel"
    return None


def compare(release):
    def step(job):
        directory = job.output([LAB, "path", f"kvm-selftests-{release}"])
        files = job.path(f"kvm-selftests-{release}")
        os.makedirs(files, exist_ok=True)
        names = programs(release, directory)
        listing = os.path.join(files, "list")
        with open(listing, "w") as f:
            f.writelines(f"{LIMITS.get(name, LIMIT)} {name} {ARGUMENTS.get(name, '')}\n" for name in names)
        link = os.path.join(files, "kvm-selftests")
        if not os.path.lexists(link):
            os.symlink(directory, link)
        module = job.output([LAB, "build-module", "--kernel", "6.12"])
        results = {}

        def each_line(line):
            found = re.match(r"result (\S+) (\S+) (\d+)", line)
            if found:
                results[found[1], found[2]] = int(found[3])

        job.command([LAB, "exec", "--hypervisor", "kvm", "--cpus", "2", "--memory", "3072", "--allow-splat",
                     "--timeout", "5000", "--file", module, "--file", listing, "--file", link,
                     "--file", os.path.join(HERE, "kvmtests.sh"), "--", "./kvmtests.sh", "list"], 6000, each_line)
        report(job, release, [*names, "the-kernel's-log"], results)
    return step


def report(job, release, names, results):
    """Prints the statuses of all programs side by side. Each program counts as a test."""
    rows = []
    for name in names:
        kvm, droste = results.get(("kvm_intel", name)), results.get(("droste", name))
        why = problem(name, kvm, droste)
        note = f"by choice: {CHOICES[name][1]}" if name in CHOICES else ""
        rows.append(f"    {name:42} {word(kvm):10} {word(droste):10} {note}".rstrip())
        job.check(f"Linux {release}'s {name}", why)
    job.runner.say("\n".join([f"    {'KVM selftests of Linux ' + release:42} {'kvm_intel':10} Droste", *rows]))


STEPS = [Step(f"kvm-selftests-{release}", f"the KVM selftests of Linux {release}, on kvm_intel and on Droste", compare(release),
              ["build-6.12"], extra=True) for release in ("6.12", "7.2")]

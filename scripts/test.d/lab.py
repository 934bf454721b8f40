# SPDX-License-Identifier: GPL-2.0
"""Steps that run the kselftests in the lab, and load, unload and refuse the module there."""
import glob
import lzma
import os
import re

from runner import Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(TREE, "scripts", "lab")
HERE = os.path.dirname(os.path.abspath(__file__))


def files(*names):
    return [word for name in names for word in ("--file", name)]


def build_selftests(job):
    job.must(["make", "-s", "-C", os.path.join(TREE, "selftests")], 900, "the kselftest programs build")


# These look at what a guest sees of its processor, and need little of the host's kernel and of the module's locks. They run on
# 6.12 in each make test. On the other kernels, where they take half of the time, they run only when named.
GUESTS_VIEW = {f"t_{name}" for name in (
    "clock cluster cluster_stops coalesced cpu cr4 diff dirty_l2 emul ept_look exchange features force force_modes force_paging "
    "inspect_fields inspect_regs mmio mmio_fast multicall_l2 multicall_l2_stops multicall_same multicall_same_l2 near "
    "nested_checks nested_state pool_move quirks stealth_clock task traps tsc user vmx_apic vmx_apicv vmx_basic vmx_caps vmx_checks "
    "vmx_emul vmx_exits vmx_features vmx_fields vmx_hotfields vmx_hothost vmx_insn vmx_mixed vmx_nmi vmx_shadow vmx_traps").split()}


def chosen_for(kernel, end):
    """Returns the programs of a step with selftests; t_diff tests the emulator, which KUnit runs on the debug kernel."""
    programs = sorted(glob.glob(os.path.join(TREE, "selftests/bin/t_*")))
    if kernel != "6.12":
        programs = [p for p in programs if (os.path.basename(p) in GUESTS_VIEW) == (end == "-guests-view")]
    return [p for p in programs if (kernel, os.path.basename(p)) != ("debug", "t_diff")]


def selftests(kernel, cpus, end, strict, limit):
    """Returns a step that runs the kselftest programs. On the debug kernel, kmemleak then looks for leaks.

    On the strict machine, paranoid=1 compares each turn of the short loop with the general path.
    """
    before = "KSFT_HANG_SECONDS=200 " if kernel == "debug" else "echo 1 >/sys/module/droste/parameters/paranoid && " if strict else ""

    def step(job):
        programs = chosen_for(kernel, end)
        job.tap([LAB, "exec", "--kernel", kernel, "--cpus", str(cpus), "--timeout", str(limit),
                 *(["--kmemleak"] if kernel == "debug" else []), *([f"--strict={strict}"] if strict else []),
                 *files(os.path.join(TREE, "selftests/run"), *programs),
                 "--", f"{before}./run"], limit + 600, "kselftests")
    return step


def lifecycle(kernel, cpus, loads, limit):
    """Returns a step that loads and unloads the module, and kills VMs. Droste must refuse to load beside kvm_intel."""
    def step(job):
        module = job.output([LAB, "build-module", "--kernel", kernel])
        images = job.path("images", "6.12")
        guest = job.path("images", f"guest-{kernel}", "guest.cpio")
        os.makedirs(os.path.dirname(guest), exist_ok=True)
        job.output([LAB, "make-initramfs", "--out", guest, "--file", f"{images}/drostectl:/drostectl",
                    "--init", os.path.join(TREE, "scripts/demo.d/l2-init.sh")])
        job.tap([LAB, "exec", "--kernel", kernel, "--hypervisor", "kvm", "--cpus", str(cpus), "--timeout", str(limit),
                 *(["--kmemleak"] if kernel == "debug" else []),
                 *files(module, guest, os.path.join(HERE, "lifecycle.sh"),
                        *(os.path.join(images, name) for name in ("drostectl", "vmlinuz", "l1.cpio"))),
                 "--", "./lifecycle.sh", str(loads)], limit + 600, "the module's life")
    return step


def without_apicv(job):
    """With apicv=0 Droste must not offer APIC virtualization to L1."""
    module = job.output([LAB, "build-module", "--kernel", "6.12"])
    lines = []
    job.command([LAB, "exec", "--hypervisor", "none", *files(module, os.path.join(TREE, "selftests", "bin", "t_vmx_apicv")),
                 "--", "insmod droste.ko apicv=0 && ./t_vmx_apicv"], 600, lines.append)
    results = [line for line in lines if re.match(r"(not )?ok\b", line)]
    offered = [line for line in results if "# SKIP" not in line]
    job.check("with apicv=0 all of t_vmx_apicv is skipped", None if results and not offered else f"it said {offered or lines[-5:]}")


def newer_processor(job):
    """Protection keys and 5-level paging of guests, which the lab's usual model has not. L0 uses four levels."""
    job.tap([LAB, "exec", "--cpu", "sapphire_rapids", "--append", "no5lvl",
             *files(os.path.join(TREE, "selftests/run"), os.path.join(TREE, "selftests/bin/t_cr4")), "--", "./run"], 600, "t_cr4")
    job.check("no subtest was skipped", f"{job.skipped} were" if job.skipped else None)


def hot(job):
    """Runs the kselftests of nesting with paranoid=1, which compares each turn of the short loop with the general path."""
    programs = sorted(glob.glob(os.path.join(TREE, "selftests/bin/t_vmx_*")))
    job.tap([LAB, "exec", "--cpus", "2", "--timeout", "1800", *files(os.path.join(TREE, "selftests/run"), *programs),
             "--", "echo 1 > /sys/module/droste/parameters/paranoid && ./run"], 2400, "kselftests with paranoid=1")


def instrument(*names):
    """Returns a step that runs some kselftests on both kernels, with one CPU and with two."""
    def step(job):
        programs = [os.path.join(TREE, "selftests/bin", name) for name in names]
        for kernel, cpus in (("6.12", 1), ("6.1", 2)):
            job.tap([LAB, "exec", "--kernel", kernel, "--cpus", str(cpus), "--timeout", "900",
                     *files(os.path.join(TREE, "selftests/run"), *programs), "--", "./run"], 1200, f"on {kernel} with {cpus} CPUs")
    return step


def pfnmap(job):
    """Slots of a device's memory, and the device for VFIO, with a graphics card on PCI; and what KVM does."""
    programs = [os.path.join(TREE, "selftests/bin", name) for name in ("t_pfnmap", "t_bar", "t_vfio")]
    run = os.path.join(TREE, "selftests/run")
    modules = [job.path("vfio.ko"), job.output([LAB, "build-module", "--kernel", "6.12", "--vfio"])]
    packed = glob.glob(os.path.join(job.output([LAB, "path", "modules", "--kernel", "6.12"]), "**", "vfio.ko.xz"), recursive=True)
    with open(modules[0], "wb") as f:
        f.write(lzma.open(packed[0]).read())
    with_vfio = "insmod vfio.ko && insmod lab_vfio.ko && "
    for kernel, cpus, hypervisor in (("6.12", 2, "droste"), ("6.1", 2, "droste"), ("6.12", 1, "kvm")):
        job.tap([LAB, "exec", "--vga", "--kernel", kernel, "--cpus", str(cpus), "--hypervisor", hypervisor, "--timeout", "900",
                 *files(run, *programs, *(modules if kernel == "6.12" else [])), "--",
                 (with_vfio if kernel == "6.12" else "") + ("DROSTE_DEVICE=/dev/kvm " if hypervisor == "kvm" else "") + "./run"],
                1200, f"on {kernel} with {cpus} CPUs and {hypervisor}")
    lines = job.tap([LAB, "exec", "--strict=msrs", "--host-traits", "mmio_stale_data", *files(programs[0]),
                     "--", "./t_pfnmap --filter '*buffers*'"], 600, "a processor whose buffers accesses to a device can show")
    tested = any(re.match(r"ok \d+ buffers [^#]*$", line) for line in lines)
    job.check("VERW is counted", None if tested else "the subtest was skipped or not run")


def multicall(job):
    """10,000 lists of L1 and as many of L2, by several seeds; make test runs fewer. And the other programs with two CPUs."""
    *same, a, b, c, d = [os.path.join(TREE, "selftests/bin", f"t_multicall{end}")
                         for end in ("_same", "_same_l2", "", "_slots", "_l2", "_l2_stops")]
    job.tap([LAB, "exec", "--cpus", "2", "--timeout", "900", *files(os.path.join(TREE, "selftests/run"), a, b, c, d), "--", "./run"],
            1200, "with 2 CPUs")
    for program in same:
        name = os.path.basename(program)
        job.tap([LAB, "exec", "--timeout", "3000", *files(program), "--", "for seed in 1 2 3 4; do echo \"# --- seed-$seed\"; "
                 f"./{name} --lists 2500 --seed $seed || exit 1; done"], 3600, f"10,000 lists of four seeds, {name}")


def trace(job):
    """The tracepoints, and drostectl trace, which records them."""
    instrument("t_trace")(job)
    ctl = os.path.join(TREE, "ctl")
    job.must(["make", "-s", "-C", ctl, "drostectl"], 600, "drostectl builds")
    programs = [os.path.join(TREE, "selftests/bin", name) for name in ("t_basic", "t_vmx_exits")]
    for kernel, cpus in (("6.12", 1), ("6.1", 2)):
        job.tap([LAB, "exec", "--kernel", kernel, "--cpus", str(cpus), "--timeout", "900",
                 *files(os.path.join(ctl, "drostectl"), os.path.join(HERE, "trace.sh"), *programs), "--", "./trace.sh"],
                1200, f"drostectl trace on {kernel} with {cpus} CPUs")


# Shell lines for L0. A process that ended may use the module for a moment more, so rmmod is tried twice.
NODE = ("insmod droste.ko kvm_node=1 && ./t_device && { rmmod droste || { sleep 2; rmmod droste; }; } && "
        "[ ! -e /dev/kvm ] && [ ! -e /dev/droste ] && echo 'both nodes are gone'")
# With enable_virt_at_load=0, kvm_intel has /dev/kvm and leaves VMX off while there is no VM.
NODE_TAKEN = ("rmmod kvm_intel kvm && modprobe kvm enable_virt_at_load=0 && modprobe kvm_intel && [ -c /dev/kvm ] || exit 1; "
              "insmod droste.ko kvm_node=1 && exit 2; dmesg | grep 'droste: '; "
              "[ ! -e /dev/droste ] && [ ! -e /sys/module/droste ] && [ -c /dev/kvm ] && insmod droste.ko && [ -c /dev/droste ]")


def kvm_node(job):
    """With kvm_node=1 Droste has /dev/kvm too. Beside kvm_intel, insmod refuses that, and works without it."""
    module = job.output([LAB, "build-module", "--kernel", "6.12"])
    lines = job.tap([LAB, "exec", "--hypervisor", "none", *files(module, os.path.join(TREE, "selftests", "bin", "t_device")),
                     "--", NODE], 600, "t_device")
    tested = any(re.match(r"ok \d+ .*kvm_node=1$", line) for line in lines)
    job.check("t_device tests /dev/kvm", None if tested else "the subtest of kvm_node=1 was skipped or not run")
    gone = "both nodes are gone" in lines
    job.check("rmmod removes /dev/kvm and /dev/droste", None if gone else f"it said {'; '.join(lines[-4:])}")
    lines = []
    status = job.command([LAB, "exec", "--hypervisor", "kvm", *files(module), "--", NODE_TAKEN], 600, lines.append)
    refused = any("another module, such as kvm.ko, has minor 232" in line for line in lines)
    job.check("insmod refuses kvm_node=1 where kvm.ko has /dev/kvm",
              None if refused and not status else f"exit status {status}: {'; '.join(lines[-4:])}")


def exchange(job):
    """Moves L1s with their L2s from kvm_intel to Droste and back."""
    module = job.output([LAB, "build-module", "--kernel", "6.12"])
    job.tap([LAB, "exec", "--hypervisor", "kvm", "--cpus", "2", "--timeout", "600",
             *files(module, os.path.join(TREE, "selftests/bin/t_exchange"), os.path.join(HERE, "exchange.sh")),
             "--", "./exchange.sh"], 1200, "nested state goes from one hypervisor to the other")


# Processors on which insmod must fail: description, name in the lab, arguments of refuse.sh.
REFUSALS = [
    ("a processor without VMX", "p4_prescott_celeron_336", ["No such device", "has no VMX"]),
    ("a processor without EPT", "core2_penryn_t9600", ["not supported", "lacks EPT"]),
]


def refusals(job):
    module = job.output([LAB, "build-module", "--kernel", "6.12"])

    def refuses(what, *words):
        lines = []
        status = job.command([LAB, "exec", *words], 600, lines.append)
        refused = any("refused as it must be" in line for line in lines)
        job.check(f"insmod refuses {what}", None if refused and not status else f"exit status {status}: {'; '.join(lines[-4:])}")

    for what, cpu, words in REFUSALS:
        refuses(what, "--hypervisor", "none", "--cpu", cpu, *files(module, os.path.join(HERE, "refuse.sh")),
                "--", "./refuse.sh", *words)
    # A guest of Droste, with VMX locked off in IA32_FEATURE_CONTROL, must refuse too.
    images, guest = job.path("images", "6.12"), job.path("locked.cpio")
    job.output([LAB, "make-initramfs", "--out", guest, "--file", f"{module}:/droste.ko",
                "--init", os.path.join(HERE, "refuse.sh")])
    refuses("VMX that firmware locked off",
            *files(guest, os.path.join(images, "drostectl"), os.path.join(images, "vmlinuz")), "--",
            "./drostectl", "run", "--kernel", "vmlinuz", "--initrd", "locked.cpio", "--lock-vmx", "--append", "loglevel=1")


def kexec(job):
    """Starts another kernel while a guest runs. It must find VMX off on every processor."""
    images, program, small = job.path("images", "6.12"), job.path("kexec"), job.path("small", "droste.ko")
    second, guest = job.path("second.cpio"), job.path("guest.cpio")
    os.makedirs(os.path.dirname(small), exist_ok=True)
    job.output(["cc", "-O2", "-static", "-o", program, os.path.join(HERE, "kexec.c")])
    # kexec hashes the initrd, which is slow on an emulator, so the module in it is stripped.
    job.output(["strip", "-g", "-o", small, job.output([LAB, "build-module", "--kernel", "6.12"])])
    job.output([LAB, "make-initramfs", "--out", second, "--file", f"{small}:/droste.ko", "--init", os.path.join(HERE, "kexec.sh")])
    job.output([LAB, "make-initramfs", "--out", guest, "--init", os.path.join(TREE, "scripts/demo.d/l2-init.sh")])
    lines = []
    job.command([LAB, "exec", "--cpus", "2", "--append", "nosoftlockup nowatchdog",
                 *files(program, second, guest, os.path.join(HERE, "kexec.sh"),
                        *(os.path.join(images, name) for name in ("drostectl", "vmlinuz"))), "--", "./kexec.sh"],
                900, lines.append)
    for what in "second kernel: 2 CPUs", "second kernel: Droste is loaded":
        job.check(f"kexec while a guest runs: {what}",
                  None if any(what in line for line in lines) else f"not seen; {'; '.join(lines[-4:])}")


# Kernel, CPUs, the name's end and the topics of the strict machine, seconds, whether only when named. Under storms each
# build of the module meets other events, so a fault that shows now and then would fail a run that changed nothing.
SELFTESTS = [
    # The debug kernel's steps run the same programs on one CPU with the same kernel version, so that of 6.12 is extra.
    ("6.12", 1, "", None, 1200, True),
    ("6.12", 2, "-strict", "checks,translations,vmcs,msrs", 1800, False),
    ("6.12", 2, "-storms", "all", 1800, True),
    ("6.1", 2, "", None, 1200, False),
    ("6.1", 2, "-guests-view", None, 1200, True),
    ("debug", 1, "", None, 2400, False),
    ("debug", 1, "-guests-view", None, 2400, True),
]
# Kernel, CPUs, loads, seconds, whether only when named: the last two take twelve minutes of CPU for the same on other kernels.
LIFECYCLES = [("6.12", 2, 12, 1200, False), ("6.1", 2, 10, 1200, True), ("debug", 1, 5, 2400, True)]


def steps(kernel):
    """Returns the steps on one kernel."""
    return [
        *[Step(f"selftests-{k}-{cpus}cpu{end}",
               f"kselftests on {k} with {cpus} CPU" + (" on the strict machine" if strict else "")
               + (", in a storm" if strict == "all" else "") + (", what guests see" if end == "-guests-view" else ""),
               selftests(k, cpus, end, strict, limit), [f"build-{k}", "selftests"], extra=extra)
          for k, cpus, end, strict, limit, extra in SELFTESTS if k == kernel],
        *[Step(f"life-{k}-{cpus}cpu", f"loading, unloading and killing on {k} with {cpus} CPU",
               lifecycle(k, cpus, loads, limit), [f"build-{k}", "images-6.12"], extra=extra)
          for k, cpus, loads, limit, extra in LIFECYCLES if k == kernel],
    ]

# SPDX-License-Identifier: GPL-2.0
"""An L1 with a running L2 that moves among processors which have a pool, and is refused where there is none."""
import os
import re
import tarfile

from runner import Step

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(TREE, "scripts", "lab")
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pool.d")
CTL = os.path.join(TREE, "ctl")
DUMPS = os.path.join(CTL, "test", "pool")

# The lab's names of the processors whose dumps are in ctl/test/pool.
MODELS = {"haswell": "corei7_haswell_4770", "skylake_x": "corei7_skylake_x", "icelake_u": "corei7_icelake_u", "arrow_lake": "arrow_lake"}
SHORT = ("skylake_x", "arrow_lake", "skylake_x")
LONG = ("skylake_x", "haswell", "icelake_u", "arrow_lake", "skylake_x")
QEMUS_MODEL = "Skylake-Server"      # of which arrow_lake lacks AVX-512


def dump(model):
    return os.path.join(DUMPS, f"{model}.cpu")


def source(name):
    return os.path.join(HERE, name)


def images(job):
    """Makes the pool of the four processors, and the images of L1 and L2."""
    directory = job.path("images", "pool")
    os.makedirs(directory, exist_ok=True)

    def made(name):
        return os.path.join(directory, name)

    job.must(["make", "-s", "-C", CTL, "drostectl"], 600, "drostectl builds")
    job.must(["strip", "-o", made("drostectl"), os.path.join(CTL, "drostectl")], 60, "drostectl without symbols")
    with open(made("all.pool"), "w") as f:
        f.write(job.output([made("drostectl"), "cpu", "baseline", *map(dump, MODELS)]) + "\n")
    job.must(["gcc", "-O2", "-Wall", "-Wextra", "-static", "-s", "-o", made("identity"), source("identity.c")], 60, "identity.c builds")
    os.symlink(job.output([LAB, "path", "vmlinuz"]), made("vmlinuz"))
    job.must([LAB, "make-initramfs", "--out", made("l2.cpio"), "--modules", "msr", "--file", f"{made('identity')}:/identity",
              "--init", source("l2.sh")], 120, "an L2 that watches its processor")
    contents = [word for name in ("identity", "drostectl", "vmlinuz", "l2.cpio") for word in ("--file", f"{made(name)}:/{name}")]
    job.must([LAB, "make-initramfs", "--out", made("l1.cpio"), "--modules", "kvm_intel,msr", *contents, "--init", source("l1.sh")], 120,
             "an L1 with kvm_intel that runs it")


def make_disk(job, mebibytes):
    disk = job.path(f"{job.step.name}.disk")
    with open(disk, "wb") as f:
        f.truncate(mebibytes << 20)
    return disk


def place(hosts, n):
    return "first" if n == 0 else "last" if n == len(hosts) - 1 else "next"


def told(lines, who):
    """What an L1 or L2 told of its processor, as the last that it told."""
    return [line for line in lines if re.match(rf"(# )?{who} (cpuid|msr|xcr0|executes|lacks) ", line)]


def same(job, what, seen):
    """Checks that all hosts' lines are the same, byte for byte. `seen` has lines by the name of the host."""
    (first, reference), *others = seen
    problem = None if len(reference) > 40 else f"{first} told only {len(reference)} lines"
    for host, lines in others:
        differing = [f"{a!r} and {b!r}" for a, b in zip(reference, lines) if a != b]
        if not problem and (differing or len(lines) != len(reference)):
            problem = f"{first} and {host} differ: {(differing or ['number of lines'])[0]}"
    job.check(f"{what}: the same {len(reference)} lines on {', '.join(host for host, _ in seen)}", problem)


def files(job, *names):
    directory = job.path("images", "pool")
    return [word for name in names for word in ("--file", name if os.path.isabs(name) else os.path.join(directory, name))]


def short(job):
    """The program t_pool_move goes from skylake_x to arrow_lake and back, and is refused where it has seen more."""
    disk, seen, came = make_disk(job, 16), {"L1": [], "L2": []}, []
    for n, model in enumerate(SHORT):
        lines = job.tap([LAB, "exec", "--cpu", MODELS[model], "--disk", disk, "--memory", "1024", "--timeout", "300",
                         *files(job, "all.pool", "drostectl", "vmlinuz", *came, os.path.join(TREE, "selftests/bin/t_pool_move"),
                                os.path.join(TREE, "selftests/bin/t_pool"), source("short.sh"), dump("skylake_x"),
                                *([] if model == "skylake_x" else [dump(model)])),
                         "--", "./short.sh", place(SHORT, n), f"{model}.cpu"], 900, f"host {n + 1}, {model}")
        if n < len(SHORT) - 1:
            # Bochs reads its disk so slowly that the next machine gets files.
            try:
                with tarfile.open(disk) as archive:
                    archive.extractall(job.path("images", job.step.name))
            except tarfile.TarError as e:
                job.check(f"host {n + 1} saved its machines", str(e))
                return
            came = [job.path("images", job.step.name, name) for name in ("with", "without")]
        for who, hosts in seen.items():
            rows = told(lines, who)
            # The first host tells of the machine without the pool as well, before the other.
            hosts += [(model, part) for part in split(rows)[-1 if n == 0 else 0:]]
    for who, hosts in seen.items():
        same(job, who, [(host, part) for host, part in hosts if part])


def split(rows):
    """Splits what was told several times: each time begins with leaf 0."""
    parts = []
    for row in rows:
        if re.search(r" cpuid (0x0|0)\.0 ", row):
            parts.append([])
        if parts:
            parts[-1].append(row)
    return parts or [[]]


def long(job):
    """QEMU's L1 with a running L2 goes around the four processors of the pool; another L2 starts at the end."""
    seen, qemu = {"L1": [], "L2": []}, job.path("images", job.step.name, "qemu-dir")
    os.makedirs(os.path.dirname(qemu), exist_ok=True)
    came, last = [], "0"
    os.symlink(job.output([LAB, "path", "qemu"]), qemu)
    for n, model in enumerate(LONG):
        lines, disk = [], make_disk(job, 256)
        status = job.command([LAB, "exec", "--cpu", MODELS[model], "--disk", disk, "--memory", "1536", "--timeout", "900",
                              *files(job, "all.pool", "drostectl", "vmlinuz", "l1.cpio", qemu, source("move.sh"), *came), "--",
                              "./move.sh", place(LONG, n), "all.pool", last, *([QEMUS_MODEL] if model == "arrow_lake" else [])],
                             3600, lines.append)
        problem = f"exit status {status}" if status else None if "host: done" in lines else "it did not end well"
        wrong = [line for line in lines if "DIFFERENT" in line]
        job.check(f"host {n + 1}, {model}: L1 and its L2 " + ("start, and leave" if n == 0 else "go on"), problem or (wrong or [None])[0])
        if problem:
            return
        came = [job.path("images", job.step.name, "state")]
        with open(disk, "rb") as f, open(came[0], "wb") as to:
            to.write(f.read().rstrip(b"\0"))       # a state ends with a text
        last = next((line.split()[-1] for line in lines if line.startswith("host: left at ")), last)
        if model == "arrow_lake":
            refused = any("refuses: " in line and "CPUID.07H:EBX.avx512f [bit 16]" in line for line in lines)
            job.check("QEMU with a named model and enforce names what arrow_lake lacks", None if refused else "it does not")
        for who, hosts in seen.items():
            hosts.append((model, split(told(lines, who))[-1]))
        if n == len(LONG) - 1:
            another = [line.replace("another ", "L2 ", 1) for line in told(lines, "another")]
            same(job, "another L2 sees what the first sees", [("the first L2", seen["L2"][-1][1]), ("another", another)])
    for who, hosts in seen.items():
        same(job, who, hosts)


def run_cpu(job):
    """Without a pool of the device, drostectl run --cpu gives one guest what the pool has."""
    lines = []
    status = job.command([LAB, "exec", "--cpu", MODELS["arrow_lake"], *files(job, "all.pool", "drostectl", "vmlinuz", "l2.cpio"), "--",
                          "./drostectl run --kernel vmlinuz --initrd l2.cpio --cpu all.pool --fast --append 'name=P once'"], 900, lines.append)
    rows = told(lines, "P")
    missing = [row for row in ("P lacks RDSEED", "P executes RDRAND", "P executes AVX2", "P lacks AVX-512") if row not in rows]
    job.check("drostectl run --cpu: a guest has what the pool has",
              f"exit status {status}" if status else f"it did not tell '{missing[0]}'" if missing else None)


STEPS = [
    Step("images-pool", "a pool of four processors, and an L1 and an L2 that watch theirs", images, ["setup"]),
    Step("pool-short", "a machine with L1 and L2 that goes to another processor and back, or is refused", short,
         ["build-6.12", "images-pool", "selftests"]),
    Step("pool-run", "drostectl run --cpu on a processor that has more than the pool", run_cpu, ["build-6.12", "images-pool"], extra=True),
    Step("pool-round", "QEMU's L1 with a running L2 that goes around four processors", long, ["build-6.12", "images-pool"], extra=True),
]

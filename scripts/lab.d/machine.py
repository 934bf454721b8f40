# SPDX-License-Identifier: GPL-2.0
"""One lab machine: prepares its files, starts the emulator, follows L0's messages, and judges the machine's end."""
import contextlib
import ctypes
import glob
import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import tty

import bochs
import cache
import counts
import initramfs
import module
import qemu
from cache import LabError, say

# Exit statuses of the lab. All others are the command's. Each of these comes with a sentence.
STATUS_STRICT = 119        # the command ended, but the strict machine reported misuse
STATUS_LAB = 120           # the lab could not do its work
STATUS_SPLAT = 121         # the command succeeded, but L0's kernel reported a bug
STATUS_PANIC = 122         # L0's kernel panicked
STATUS_TRIPLE_FAULT = 123  # L0's processor shut down
STATUS_TIMEOUT = 124       # the command ran for longer than --timeout
STATUS_HUNG = 125          # the machine hangs, or ended by itself

# Limits are in seconds of the emulator's CPU time, so that a busy machine needs longer and fails no more often.
BOOT_LIMIT = 420           # until L0 must have said READY
SILENCE_LIMIT = 180        # without a heartbeat, after which L0 counts as hung
STALL = 10                 # an emulator that sleeps is allowed this many times as much of the clock on the wall
PANIC_GRACE = 2            # seconds for the rest of a panic's report
TICKS = os.sysconf("SC_CLK_TCK")
ESCAPE = b"\x1d"           # Ctrl-] leaves an interactive machine
LOGS_KEPT = 100           # kernel logs in the cache
CONSOLE_TAIL = 40          # lines of the kernel's log that a failure shows

# Lines of the kernel's log that report a bug in the kernel or a module.
SPLATS = "|".join((
    r"BUG:", r"WARNING:", r"KASAN", r"UBSAN", r"possible (circular|recursive) locking", r"inconsistent lock state",
    r"sleeping function called", r"suspicious RCU", r"scheduling while atomic", r"bad unlock balance",
    r"general protection fault", r"unchecked MSR access", r"Call Trace:", r"refcount_t:", r"DEBUG_LOCKS_WARN",
    r"rcu: INFO: .* stall", r"INFO: task .* blocked", r"held lock freed", r"lock held when returning"))

# These words make the boot short and repeatable. The engine adds more.
COMMAND_LINE = ("console=ttyS2,115200 quiet nokaslr oops=panic softlockup_panic=1 mitigations=off edd=off "
                "raid=noautodetect cryptomgr.notests pty.legacy_count=0 8250.nr_uarts=4 random.trust_cpu=on "
                "rcupdate.rcu_expedited=1 "
                "rdinit=/init initcall_blacklist=" + ",".join((
                    # Each takes a tenth of a second or more, and the lab does not need it.
                    "trace_eval_init", "jent_mod_init", "dev_map_init", "bpf_tcp_ca_kfunc_init",
                    "bpf_dummy_struct_ops_init", "load_system_certificate_list", "init_encrypted",
                    "crypto_kdf108_init")))


def engine(count=None, strict=None, lenient=None):
    """Returns the module that runs the machine: QEMU on hosts with nested VMX, else Bochs. Only Bochs counts, or is strict
    or lenient."""
    if count is None and not strict and not lenient and (qemu.emulated() or not os.environ.get("LAB_ENGINE") and qemu.nested_hardware()):
        return qemu
    return bochs


class Options:
    """A machine's properties, by the names of the command line's options."""
    kernel = "6.12"
    hypervisor = "droste"
    cpus = 1
    memory = 2048
    vga = False                # a graphics card on PCI
    disk = None                # a raw image that keeps its contents: /dev/sda
    files = ()
    command = None             # None: an interactive shell
    timeout = 600
    console = False
    vmfail = False
    allow_splat = False
    kmemleak = False
    count = None               # None: no; else the file for the counts, or an empty name
    count_own = False          # only the processor that executes the first of two markers is counted
    profile = None             # the file for root instructions by address
    strict = None              # the topics of the strict machine, as in LAB_STRICT, if any
    paranoid = False           # load Droste with paranoid=1
    lenient = None             # the SDM's rules that are off, as in LAB_LENIENT, if any
    host_traits = None         # bugs and features of the strict machine's processor, as in LAB_HOST_TRAITS
    append = ""
    cpu = "corei7_skylake_x"   # Bochs' name
    keep = False

    def heartbeat(self):
        """Whether L0 sends a heartbeat. It does not while instructions are counted, because it would be counted too."""
        return self.count is None


def hypervisor_modules(options, kernel):
    """Returns the kernel's own modules for L0, and their parameters."""
    if options.hypervisor == "kvm":
        return ["kvm_intel"], {"kvm_intel": "nested=1 enable_apicv=0"}
    return [], {}


def make_initrd(options, kernel):
    """Returns L0's initramfs: the base, the hypervisor's module, the user's files and the command."""
    names, arguments = hypervisor_modules(options, kernel)
    if kernel.name != "debug":
        names = [*names, "msr"]         # for drostectl info; the debug kernel is built without it
    if options.disk:
        names = [*names, "ata_piix", "sd_mod"]
    archive, paths = initramfs.base(kernel, names, os.path.join(initramfs.HERE, "l0-init.sh"))
    lines = []
    for file in paths:
        name = os.path.basename(file).removesuffix(".ko").replace("-", "_")
        lines.append(f"{file} {arguments.get(name, '')}".strip())
    if "storms" in bochs.topics(options.strict):
        initramfs.add_file(archive, module.build_own(kernel, "nmi", "lab_nmi.ko"), "lib/lab_nmi.ko")
        lines.insert(0, "/lib/lab_nmi.ko")
    if options.kmemleak:
        initramfs.add_file(archive, module.build_own(kernel, "shadow", "lab_shadow.ko"), "lib/lab_shadow.ko")
        lines.insert(0, "/lib/lab_shadow.ko")
    if options.hypervisor == "droste":
        built = module.build(kernel)
        initramfs.add_file(archive, built, "lib/droste.ko")
        # Not loaded: t_kvmtrace does that.
        initramfs.add_file(archive, os.path.join(os.path.dirname(built), "droste_kvmtrace.ko"), "lib/droste_kvmtrace.ko")
        lines.append("/lib/droste.ko" + (" paranoid=1" if options.paranoid else ""))
    for file in options.files:
        initramfs.add_file(archive, file, "lab/" + os.path.basename(os.path.abspath(file)))
    settings = {
        "hypervisor": options.hypervisor,
        "modules": "\n".join(lines),
        "mode": "exec" if options.command else "shell",
        "splats": SPLATS,
        "kmemleak": "yes" if options.kmemleak else "no",
        "unload": "yes" if options.kmemleak or kernel.name == "debug" else "no",
        "heartbeat": "yes" if options.heartbeat() else "no",
    }
    if not options.command:
        size = shutil.get_terminal_size()
        settings.update(rows=str(size.lines), columns=str(size.columns))
    archive.file("lab.conf", "".join(f"{k}={shlex.quote(v)}\n" for k, v in settings.items()).encode())
    if options.command:
        # One argument is a shell line, several are a program and its arguments.
        command = options.command[0] if len(options.command) == 1 else shlex.join(options.command)
        archive.file("lab.command", command.encode() + b"\n")
    return archive.bytes()


def clean_up():
    """Removes the files of labs that were killed, and all but the newest kernel logs."""
    for directory in glob.glob(os.path.join(tempfile.gettempdir(), "droste-lab-*-*")):
        pid = os.path.basename(directory).split("-")[2]
        # --keep leaves a machine's files without a process.
        if not os.path.exists(f"/proc/{pid}") and not os.path.exists(os.path.join(directory, "keep")):
            shutil.rmtree(directory, ignore_errors=True)
    # Another lab may remove the same logs at the same time.
    with contextlib.suppress(FileNotFoundError):
        for log in sorted(glob.glob(cache.path("logs", "console-*.log")), key=os.path.getmtime)[:-LOGS_KEPT]:
            os.unlink(log)


def die_with_parent():
    """Runs in the emulator's process before the emulator starts: the kernel will kill it when the lab dies."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Machine:
    """A running lab machine. As a context manager it ends the process and removes the files at the end."""

    def __init__(self, options, kernel):
        self.options = options
        self.kernel = kernel
        self.engine = engine(options.count, options.strict, options.lenient)
        clean_up()
        self.directory = tempfile.mkdtemp(prefix=f"droste-lab-{os.getpid()}-")
        self.ports = {}           # the file that each serial port is read from
        self.left = False         # the user typed the escape
        self.console_log = open(cache.path("logs", f"console-{os.getpid()}.log"), "wb")
        self.child = None
        self.buffer = b""         # of the message port, up to the next line end
        self.log = None           # the name and lines of a log that L0 is sending
        self.logs = {}            # the logs that L0 has sent
        self.ready = False        # L0 runs the command
        self.status = None        # the command's exit status
        self.failure = None       # why L0 gave up before the command
        self.panicked = None      # when L0's kernel panicked
        self.console_tail = b""
        self.began = time.monotonic()
        self.started = self.heard = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child and self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self.console_log.close()
        if self.options.keep:
            open(os.path.join(self.directory, "keep"), "w").close()
            say(f"the machine's files are in {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def start(self):
        """Writes the machine's files and starts the emulator."""
        for port in ("com1", "com2", "com3"):
            fifo = os.path.join(self.directory, port)
            os.mkfifo(fifo)
            # Opened for reading and writing, it has no end of file, and the emulator's open does not block.
            self.ports[port] = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        com1 = f"mode=file, dev={self.directory}/com1"
        if not self.options.command:
            self.ports["com1"], self.terminal = os.openpty()
            tty.setraw(self.terminal)
            com1 = f"mode=term, dev={os.ttyname(self.terminal)}"
        initrd = make_initrd(self.options, self.kernel)
        # kmemleak records a backtrace at each allocation, which costs a large part of the debug kernel's boot.
        leaks = "" if self.options.kmemleak else "kmemleak=off"
        words = COMMAND_LINE.replace(" mitigations=off", "") if self.options.host_traits else COMMAND_LINE
        command_line = " ".join((words, self.engine.COMMAND_LINE, leaks, self.options.append)).strip()
        command = self.engine.prepare(self, initrd, command_line, com1)
        say(f"{self.engine.describe()}, L0 Linux {self.kernel.release}, hypervisor {self.options.hypervisor}")
        with open(os.path.join(self.directory, "emulator.out"), "wb") as out:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                          cwd=self.directory, preexec_fn=die_with_parent)
        self.began = time.monotonic()

    def run_time(self):
        """How long the emulator has run, in seconds of its CPU time."""
        used = 0
        with contextlib.suppress(OSError), open(f"/proc/{self.child.pid}/stat") as f:
            used = sum(map(int, f.read().rpartition(")")[2].split()[11:13])) / TICKS     # utime, stime
        return max(used, (time.monotonic() - self.began) / STALL)

    def follow(self):
        """Copies the command's output until the machine is done. Returns the status, and a sentence or None."""
        selector = selectors.DefaultSelector()
        handlers = {"com1": self.on_output, "com2": self.on_message, "com3": self.on_console}
        for port, fd in self.ports.items():
            selector.register(fd, selectors.EVENT_READ, handlers[port])
        typing = bool(self.options.command)  # the user's input is being read, or there is none
        while True:
            if self.ready and not typing:
                # Earlier input has waited in the terminal, because L0 would have lost it.
                selector.register(sys.stdin.fileno(), selectors.EVENT_READ, self.on_input)
                typing = True
            for key, _ in selector.select(0.2):
                data = os.read(key.fd, 65536)
                key.data(data)
                if not data:
                    selector.unregister(key.fd)
            verdict = self.verdict()
            if verdict:
                # The machine's last output is still in the pipes.
                for key, _ in selector.select(0):
                    if key.data != self.on_input:
                        key.data(os.read(key.fd, 1 << 20))
                return self.verdict() or verdict

    def on_input(self, data):
        """Passes input to the shell. An end of input ends the shell, and ESCAPE ends the machine."""
        if ESCAPE in data:
            self.left = True
        os.write(self.ports["com1"], data or b"\x04")

    def on_output(self, data):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def on_console(self, data):
        self.console_log.write(data)
        self.console_log.flush()
        if self.options.console:
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()
        self.console_tail = (self.console_tail + data)[-16384:]
        if not self.panicked and b"Kernel panic - not syncing" in self.console_tail:
            self.panicked = time.monotonic()

    def on_message(self, data):
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            self.heard = self.run_time()
            text = line.decode(errors="replace").rstrip("\r")
            if self.log:
                if text == "END":
                    self.logs[self.log[0]] = self.log[1]
                    self.log = None
                else:
                    self.log[1].append(text)
                continue
            word, _, rest = text.partition(" ")
            if word == "READY":
                self.ready = True
                self.started = self.run_time()
            elif word == "LOG":
                self.log = (rest, [])
            elif word == "EXIT":
                self.status = int(rest)
            elif word == "FAIL":
                self.failure = rest
            elif word == "NOTE":
                say(rest)

    def verdict(self):
        """Returns how the machine ended, or None while it runs."""
        if self.panicked:
            if time.monotonic() - self.panicked < PANIC_GRACE:
                return None
            return STATUS_PANIC, "L0's kernel panicked: " + self.panic_reason()
        if self.left:
            return 0, None
        if self.status is not None:
            return self.judge_finished()
        if self.failure is not None:
            return STATUS_LAB, f"L0 could not be set up: {self.failure}"
        if self.child.poll() is not None:
            log = self.engine.read_log(self.directory)
            for said, what in ((b"reboot: Power down", "powered off"), (b"reboot: machine restart", "rebooted")):
                if said in self.console_tail:
                    return STATUS_HUNG, f"L0 {what} before the command had ended"
            if log["triple_fault"]:
                return STATUS_TRIPLE_FAULT, "L0 triple-faulted: its processor shut down"
            why = log["panics"][-1] if log["panics"] else self.emulator_output()
            return STATUS_HUNG, f"the machine ended by itself (emulator status {self.child.returncode}): {why}"
        now = self.run_time()
        if not self.ready:
            if now - self.started > BOOT_LIMIT:
                return STATUS_HUNG, f"L0 did not come up within {BOOT_LIMIT} s"
            return None
        silent = now - self.heard
        if self.options.timeout and now - self.started > self.options.timeout:
            state = "L0 is alive" if silent < 30 else f"L0 has been silent for {silent:.0f} s"
            return STATUS_TIMEOUT, f"the command did not end within {self.options.timeout} s ({state})"
        if self.options.heartbeat() and silent > SILENCE_LIMIT:
            return STATUS_HUNG, f"the machine hangs: L0 has been silent for {silent:.0f} s"
        return None

    def judge_finished(self):
        """Returns the command's status, unless L0's kernel reported a bug or leaks."""
        if self.log:
            return None
        if not self.options.allow_splat:
            for name, text in (("leaks", "leaked memory"), ("splats", "L0's kernel reported a bug")):
                if name in self.logs:
                    return STATUS_SPLAT, f"{text}{self.first_splat(name)}; the command itself exited with {self.status}"
        reports = self.strict_reports()
        if reports:
            more = f", and {len(reports) - 1} more" if len(reports) > 1 else ""
            return STATUS_STRICT, (f"the strict machine reported misuse: {reports[0].removeprefix('STRICT ')}{more}; the command "
                                   f"itself exited with {self.status}")
        return self.status, None

    def strict_reports(self):
        return bochs.read_strict(self.directory) if self.options.strict else []

    def first_splat(self, name):
        """Returns the line of a log that reports a bug, after a colon and without its time."""
        line = next((line for line in self.logs[name] if re.search(SPLATS, line)), "") if name == "splats" else ""
        return ": " + re.sub(r"^\[ *[\d.]+\] *", "", line) if line else ""

    def panic_reason(self):
        lines = self.console_tail.decode(errors="replace").splitlines()
        return next((line for line in lines if "Kernel panic" in line), "").split("not syncing: ")[-1].strip()

    def emulator_output(self):
        with open(os.path.join(self.directory, "emulator.out"), errors="replace") as f:
            lines = [line.strip() for line in f if line.strip()]
        return lines[-1] if lines else "it said nothing"

    def explain(self, status, sentence):
        """Prints the logs that help to understand a failure."""
        log = self.engine.read_log(self.directory)
        if log["vmfail"] and (status or self.options.vmfail):
            say("failed VM entries and VMX instructions, as the processor explains them:")
            for line in log["vmfail"][-10:]:
                print("    " + re.sub(r"^\S+\s*", "", line), file=sys.stderr)
        for line in self.strict_reports():
            print(line, file=sys.stderr)
        if not sentence:
            return
        if status == STATUS_STRICT:
            say(f"{sentence} [exit status {status}]")
            return
        if status == STATUS_SPLAT:
            # The sentence comes first, because a splat's log is long.
            say(f"{sentence} [exit status {status}]")
            print("\n".join(self.logs["leaks" if "leaks" in self.logs else "splats"]), file=sys.stderr)
            return
        if "failure" in self.logs:
            print("\n".join(self.logs["failure"]), file=sys.stderr)
        elif not self.options.console:
            with open(self.console_log.name, errors="replace") as f:
                tail = f.readlines()[-CONSOLE_TAIL:]
            if tail:
                say(f"the end of L0's kernel log ({self.console_log.name}):")
                sys.stderr.write("".join(f"    {line.rstrip()}\n" for line in tail))
        say(f"{sentence} [exit status {status}]")


def run(options, kernel):
    """Runs one machine from start to end and returns the lab's exit status."""
    with Machine(options, kernel) as machine:
        machine.start()
        interactive = not options.command and sys.stdin.isatty()
        if interactive:
            say("the shell comes in some seconds; Ctrl-] switches the machine off")
            saved = termios.tcgetattr(sys.stdin)
            tty.setraw(sys.stdin)
        try:
            status, sentence = machine.follow()
        finally:
            if interactive:
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)
        machine.explain(status, sentence)
        if options.count is not None:
            counts.report(bochs.read_counts(machine.directory), options.count)
        return status

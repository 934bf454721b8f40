# SPDX-License-Identifier: GPL-2.0
"""Checks the tools themselves, without an emulated machine: names of tests, results, messages, --help. Prints TAP."""
import contextlib
import glob
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import types
import xml.dom.minidom

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(TREE, "scripts", "lab.d")]

import bochs
import cache
import kunit
import machine
import main as command_line
import pick
import results
import runner
import stealth
import tap
import times

# A suite that fails in each way: an expectation, an assertion, a fatal signal, an access that a sanitizer finds.
SUITE = """
#include <kunit/test.h>
#define GOOD(name) static void name(struct kunit *test) { KUNIT_EXPECT_EQ(test, 1, 1); }
GOOD(good)
static void expects(struct kunit *test) { int i; for (i = 0; i < 2; i++) KUNIT_EXPECT_EQ_MSG(test, 1, 2, "row %d", i); }
static void asserts(struct kunit *test) { KUNIT_ASSERT_NOT_NULL(test, NULL); KUNIT_EXPECT_TRUE(test, false); }
static void overruns(struct kunit *test) { ((volatile char *)kunit_kzalloc(test, 4, GFP_KERNEL))[4] = 1; }
static struct kunit_case results[] = { KUNIT_CASE(good), KUNIT_CASE(expects), KUNIT_CASE(asserts), {} };
static struct kunit_case crash[] = { KUNIT_CASE(overruns), KUNIT_CASE(good), {} };
static struct kunit_suite one = { .name = "one", .test_cases = results }, two = { .name = "two", .test_cases = crash };
kunit_test_suites(&one, &two);
"""


def output(*arguments, cwd=TREE, status=0, errors=False):
    """Returns what a program prints. It must end soon, and with the exit status."""
    done = subprocess.run(arguments, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()[-300:]}"
    return done.stderr if errors else done.stdout


def refuses(function, *arguments):
    """Calls a function that must refuse its arguments with a sentence, and returns the sentence."""
    try:
        function(*arguments)
    except runner.Refused as e:
        return str(e)
    raise AssertionError(f"{function.__name__}{arguments} refuses nothing")


def names(words, alone=True):
    return [s.name for s in command_line.select(words, alone)]


OPTIONS = types.SimpleNamespace(kernel=None, cpus=None, hypervisor=None)


def test_steps_by_name():
    assert names(["kunit"]) == ["kunit"]
    assert names(["kunit"], alone=False) == ["setup", "setup-debug", "kunit"]
    assert names(["chain-6.1-*"]) == [n for n in names(["chain-"]) if n.startswith("chain-6.1-")] != []
    assert "no step 'nix'" in refuses(names, ["nix"])
    assert "the test is selftests:t_cpu/CPUID" in refuses(names, ["t_cpu/CPUID"])
    assert "the test is unit:droste_walk" in refuses(names, ["droste_walk"])
    assert "is empty" in refuses(names, [""])
    assert set(command_line.steps.QUICK) <= {s.name for s in command_line.steps.STEPS}


def test_tests_by_name():
    on_kvm = types.SimpleNamespace(kernel="6.1", cpus=2, hypervisor="kvm")
    assert [s.name for s in pick.steps(["selftests:t_cpu/CPUID", "selftests:t_irq"], OPTIONS)] == ["picked-6.12-1cpu"]
    assert [s.name for s in pick.steps(["selftests:t_cpu"], on_kvm)] == ["picked-6.1-2cpu-kvm"]
    strict = pick.steps(["selftests-6.12-2cpu-strict:t_cpu"], OPTIONS)[0]
    assert strict.name == "picked-6.12-2cpu-strict" and strict.again == ["selftests-6.12-2cpu-strict:t_cpu"]
    assert pick.steps(["selftests:t_cpu/port I/O"], OPTIONS)[0].again == ["selftests-6.12-1cpu:t_cpu/port I/O"]
    assert [s.name for s in pick.steps(["kunit:droste_w*", "unit:droste_walk.*"], OPTIONS)] == ["picked-kunit", "picked-unit"]
    assert "no kselftest program 't_nix'" in refuses(pick.steps, ["selftests:t_nix"], OPTIONS)
    assert "no case 'nix' in droste_walk" in refuses(pick.steps, ["kunit:droste_walk.nix"], OPTIONS)
    assert all(kunit.cases().values()), kunit.cases()
    assert "no suite 'nix'" in refuses(pick.steps, ["unit:nix"], OPTIONS)
    assert "only debug has KUnit" in refuses(pick.steps, ["kunit:droste_walk"], on_kvm)
    assert "is no name" in refuses(pick.steps, ["nix:x"], OPTIONS)


def test_again():
    def again(name, words=None, *failed):
        return pick.again({"name": name, "again": words, "tests": [{"name": n, "outcome": "failed"} for n in failed]})
    assert again("kexec", None, "some test") == ["kexec"]
    assert again("selftests-6.1-2cpu", None, "t_cpu: MSRs", "t_irq: x") == [
        "selftests-6.1-2cpu:t_cpu", "selftests-6.1-2cpu:t_irq"]
    assert again("selftests-6.1-2cpu", None, "t_cpu: MSRs", "the step") == ["selftests-6.1-2cpu"]
    assert again("selftests-6.12-2cpu-strict", None, "t_cpu: MSRs") == ["selftests-6.12-2cpu-strict:t_cpu"]
    words = ["selftests-6.12-1cpu-kvm:t_cpu/CPUID", "selftests-6.12-1cpu-kvm:t_irq"]
    assert again("picked-6.12-1cpu-kvm", words, "t_irq: x") == words[1:]
    assert pick.steps(words, OPTIONS)[0].name == "picked-6.12-1cpu-kvm"


def test_a_wrong_command_line_starts_no_run():
    with tempfile.TemporaryDirectory() as cache:
        for words, says in [(["nix"], "no step 'nix'"), ([""], "is empty"), (["--jobs", "0", "unit"], "'0' is no number"),
                            (["unit:droste_walk.nix"], "no case 'nix'"), (["selftests:t_cpu/NIX"], "no subtest 'NIX'"),
                            (["--list", "selftests:t_cpu/NIX"], "no subtest 'NIX'"), (["--kernel", "6.1", "unit"], "--kernel"),
                            (["--json", "/nowhere/f", "unit"], "/nowhere/f cannot be written"),
                            (["--junit", "/nowhere/f", "unit"], "/nowhere/f cannot be written")]:
            status = 1 if "no case" in says or "no subtest" in says else 2
            said = output("env", f"XDG_CACHE_HOME={cache}", "scripts/test", *words, status=status, errors=True)
            assert says in said and "Traceback" not in said, said
        assert not os.path.exists(os.path.join(cache, "droste", "test"))


def run_steps(directory, *steps):
    """Runs steps without printing, and returns the runner."""
    work = runner.Runner(steps, directory, 2, times.Memory(os.path.join(directory, "times.json")))
    work.say = lambda text: None
    work.run()
    return work


def test_results():
    def good(job):
        job.check("a <b> & \x01")
        job.report("t_x: left out", "skip")

    def bad(job):
        job.check('say "no"', "1 < 2")

    with tempfile.TemporaryDirectory() as directory:
        work = run_steps(directory, runner.Step("good", "", good), runner.Step("bad", "", bad),
                         runner.Step("behind", "", good, ["bad"]))
        all_results = results.collect(work, 0)
        file = os.path.join(directory, "results")
        results.write_json(file, all_results)
        with open(file) as f:
            read = json.load(f)
        assert (read["passed"], read["failed"], read["skipped"]) == (1, 2, 1), read
        assert {s["name"]: s["outcome"] for s in read["steps"]} == {"good": "passed", "bad": "failed", "behind": "failed"}
        with open(file, "w", encoding="utf-8") as f:
            results.write_junit(f, all_results)
        suites = xml.dom.minidom.parse(file).getElementsByTagName("testsuite")
        assert sorted((s.getAttribute("name"), s.getAttribute("failures")) for s in suites) == [
            ("bad", "1"), ("behind", "1"), ("good", "0")]


def test_kselftest_options():
    output("make", "-s", "-C", "selftests", "bin/run", "bin/t_cpu")
    cpu, run = "selftests/bin/t_cpu", "selftests/bin/run"
    listed = output(cpu, "--list").splitlines()
    assert "CPUID" in listed and "port I/O" in listed
    assert output(cpu, "--list", "--filter", "cpu*") == "CPUID\n"
    environment = ["env", "DROSTE_DEVICE=/nowhere"]
    said = output(*environment, cpu, "--filter", "CPUID", status=4)
    assert "1..1\n" in said and "ok 1 CPUID # SKIP" in said
    assert "no subtest is named 'nix'" in output(cpu, "--filter", "nix", status=2, errors=True)
    assert output(cpu, "--help").startswith("usage: ")
    said = output(*environment, run, f"{cpu}/port I/O")
    assert "ok 1 port I/O # SKIP" in said and said.endswith("0 passed, 0 failed\n")


def test_unit_can_fail():
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "suite.c"), "w") as f:
            f.write(SUITE)
        program = os.path.join(directory, "unit")
        output("gcc", "-O1", "-g", "-w", "-std=gnu11", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
               "-Iscripts/unit.d/include", "-o", program, "scripts/unit.d/main.c", os.path.join(directory, "suite.c"))
        said = output(program, status=1)
        seen = []
        reader = tap.Reader(lambda name, outcome: seen.append((name, outcome == "ok")))
        for line in said.splitlines():
            reader.line(line)
        reader.end()
        assert seen[:3] == [("good", True), ("expects", False), ("asserts", False)], said
        assert seen[3:] and not any(ok for _, ok in seen[3:]), said
        assert said.endswith("1 passed, 4 failed\n"), said
        assert said.count("row ") == 2 and "1 (0x1) and 2 (0x2): row 0" in said
        assert output(program, "--filter", "one.g*").endswith("1 passed, 0 failed\n")
        assert output(program, "--list", "--filter", "two") == "two.overruns\ntwo.good\n"


def test_build_products_of_the_tree_stay_there():
    """`make` in the tree, for another kernel than the lab's, must not change what the lab builds."""
    with tempfile.TemporaryDirectory() as directory:
        for side, text in (("tree", "of another kernel"), ("cache", "of this kernel")):
            os.mkdir(os.path.join(directory, side))
            for name in ("droste.mod.c", "main.c"):
                with open(os.path.join(directory, side, name), "w") as f:
                    f.write(text)
        output(sys.executable, "-c", "import sys, module; module._sync(*sys.argv[1:])", os.path.join(directory, "tree"),
               os.path.join(directory, "cache"), cwd=os.path.join(TREE, "scripts", "lab.d"))
        for name, expected in (("droste.mod.c", "of this kernel"), ("main.c", "of another kernel")):
            with open(os.path.join(directory, "cache", name)) as f:
                assert f.read() == expected, name


def test_messages_name_the_tree():
    with tempfile.TemporaryDirectory() as directory:
        script = os.path.join(directory, "compiler")
        with open(script, "w") as f:
            f.write(f"#!/bin/sh\necho {directory}/kmod/run/loop.c:1: error: x\necho {directory}/kmod/run/loop.o\nexit 3\n")
        os.chmod(script, 0o755)
        said = output(sys.executable, "-c", "import sys, module; sys.exit(module._make([sys.argv[1]], sys.argv[2])[0])", script,
                      directory, cwd=os.path.join(TREE, "scripts", "lab.d"), status=3, errors=True)
        assert said == f"{TREE}/kmod/run/loop.c:1: error: x\n{directory}/kmod/run/loop.o\n", said


def test_a_splat_is_shown_once():
    lab = machine.Machine.__new__(machine.Machine)
    lab.options = machine.Options()
    lab.engine = types.SimpleNamespace(read_log=lambda directory: {"vmfail": []})
    lab.directory, lab.log, lab.status = "", None, 0
    lab.logs = {"splats": ["[    1.0] droste: loaded", "[    2.5] WARNING: CPU: 0 PID: 1 at kmod/run/loop.c:1 x+0x1/0x2"]}
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        lab.judge_finished()
        status, sentence = lab.judge_finished()     # the verdict is taken twice, at the end and after the last output
        lab.explain(status, sentence)
    lines = said.getvalue().splitlines()
    assert lines[0] == ("lab: L0's kernel reported a bug: WARNING: CPU: 0 PID: 1 at kmod/run/loop.c:1 x+0x1/0x2; "
                        "the command itself exited with 0 [exit status 121]"), lines
    assert lines[1:] == lab.logs["splats"], lines


def test_changes_of_bochs_fit_together():
    tarball = cache.path("downloads", os.path.basename(bochs.TARBALL))
    if not os.path.exists(tarball):
        return
    with tempfile.TemporaryDirectory() as source:
        subprocess.run(["tar", "-xf", tarball, "-C", source, "--strip-components=1"], check=True)
        bochs.mend(source)
        with open(os.path.join(source, "cpu", "vmx.cc")) as f:
            assert "BX_INSTR_VMEXIT(" in f.read()       # the instrumented build counts exits there


def test_style_of_files():
    said = output("scripts/check-style", "scripts/test.d/toolcheck.py")
    assert said.startswith("1 file: no problems"), said
    assert "no check and no file 'nix'" in output("scripts/check-style", "nix", status=2, errors=True)
    for word in "udev", "README.md":
        assert f"{word} has no file that is checked" in output("scripts/check-style", word, status=2, errors=True)


def test_style_without_git():
    with tempfile.TemporaryDirectory() as directory:
        shutil.copytree(os.path.join(TREE, "scripts"), os.path.join(directory, "scripts"), ignore=shutil.ignore_patterns("build"))
        for words in [], ["--changed"], ["license"], ["scripts"]:
            said = output("scripts/check-style", *words, cwd=directory, status=1, errors=True)
            assert said.startswith("check-style: it needs a git repository") and said.count("\n") == 1, said
        output("scripts/check-style", "self-test", cwd=directory)


def row(name, **changes):
    """A result of scripts/bench for one row."""
    fields = ("root", "user", "guest", "vmread", "vmwrite", "vmptrld", "vmclear", "rdmsr", "wrmsr", "xsetbv", "exits")
    return {"hypervisor": "droste", "level": "l2", "row": name, "number": 1, "kind": "quiet", "ticks": False, "times": 1,
            "counts": 3, "taken": 3, **dict.fromkeys(fields, 0), "root": 1000, "exits": 2, **changes}


def test_bench_compare():
    with tempfile.TemporaryDirectory() as directory:
        def results(name, *rows):
            file = os.path.join(directory, name)
            with open(file, "w") as f:
                json.dump({"format": 1, "rows": rows, "missing": []}, f)
            return file

        def compare(*rows, status=0):
            return output("scripts/bench", "compare", old, results("new", *rows), status=status)

        other = row("hlt", hypervisor="kvm")
        old = results("old", row("cpuid"), row("hlt", vmread=40, vmptrld=4, masked=900), other)
        assert compare(row("cpuid", root=1049, exits=2.04), row("hlt", vmread=41, vmptrld=4)).endswith(
            "none of 2 rows costs more than 5% more\n")
        said = compare(row("cpuid", root=1051), row("hlt", vmread=40, vmptrld=4, root=500), status=1)
        assert "l2 cpuid: root instructions 1,000 -> 1,051 (5% more)\n" in said and "l2 hlt: better" in said, said
        said = compare(row("cpuid", exits=2.2, vmclear=1), row("hlt", vmread=44, vmptrld=4), status=1)
        assert "exits 2 -> 2.20 (10% more), VMCLEARs 0 -> 1 (none before)" in said and "VMREADs 40 -> 44 (10% more)" in said, said
        assert said.endswith("2 of 2 rows cost more than 5% more, or are missing\n"), said
        said = compare(row("cpuid", masked=5000), row("hlt", vmread=40, vmptrld=4, masked=1001), status=1)
        assert "l2 hlt: instructions with interrupts disabled 900 -> 1,001 (11% more)" in said and "cpuid" not in said, said
        said = compare(row("cpuid"), other, status=1)
        assert "l2 hlt: it is missing in the new results" in said, said
        made = output("make", "-s", "bench-compare", old, os.path.join(directory, "new"), status=2)
        assert "l2 hlt: it is missing" in made, made
        made = output("make", "-s", "bench-compare", f"OLD={old}", f"NEW={old}")
        assert made == "none of 2 rows costs more than 5% more\n", made
        assert "kvm_intel, L2" in output("scripts/bench", "show", old)
        xml.dom.minidom.parseString(output("scripts/bench", "plot", old))
        assert "No such file" in output("scripts/bench", "compare", old, "/nowhere", status=2, errors=True)
        assert "is no JSON file" in output("scripts/bench", "show", "docs/abi.md", status=2, errors=True)
    said = output("scripts/bench", "--level", "l9", status=2, errors=True)
    assert "'l9' is none of l0, l1" in said, said


# Counts of which some met an interrupt: how scripts/bench.d/reduce.py makes a result of them.
REDUCE = """
import reduce, rows
def count(root, **more): return {"tag": 1, "root": root, "guest": 10, "exit.10": 4, **more}
tick = {"exit.1": 1}
quiet = [count(100), count(104), count(102)]
r = reduce.reduce([*quiet, count(900, **tick), count(800, **{"root.interrupt": 1})], "quiet", 2)
assert (r["root"], r["exits"], r["guest"], r["taken"], r["ticks"]) == (51, 2, 5, 3, False), r
r = reduce.reduce([count(100), count(900, **tick), count(904, **tick), count(902, **{"exit.52": 1})], "quiet", 1)
assert (r["root"], r["exits"], r["ticks"]) == (901, 5, True), r
assert reduce.reduce([*quiet, count(900, **tick)], "middle", 1)["root"] == 103
assert reduce.reduce([*quiet, count(900, **tick)], "all", 1)["root"] == 301.5
r = reduce.reduce([count(rows.TICK - 10, **tick)], "less", 1)
reduce.take_ticks_out(r, {"root": 1000, "exits": 3})
assert (r["root"], r["guest"], r["exits"]) == (rows.TICK - 1010, 10, 5), r
class outcome:
    counts, times, missing = [dict(count(8), tag=row.tag("l2")) for row in rows.LINUX_ROWS[:1]], {}, {}
found, missing = reduce.all_rows(outcome, {"l2": rows.LINUX_ROWS[:2]})
assert found["l2", "tick"]["root"] == 8 / rows.TICKS and list(missing) == [("l2", "touch-fresh")], (found, missing)
assert [r.name for r in rows.LINUX_ROWS if rows.matches(r.name, ["touch", "b*"])] == ["touch-fresh", "touch-again", "boot"]
"""


def test_bench_reduce():
    output(sys.executable, "-B", "-c", REDUCE, cwd=os.path.join(TREE, "scripts", "bench.d"))


def test_stealth_can_fail():
    rows = [stealth.Allowed("a.x & 0x6 -- why"), stealth.Allowed("b.* -- why"), stealth.Allowed("unused -- why")]
    said = ["== bare", "a.x: 0x10", "a.y: 1", "b.1: 1", "c: 1", "time.x: 1", "[ 1.0] reboot: bye", "== L1", "a.x: 0x16", "a.y: 2", "time.x: 9", "d.e: 1"]
    found = stealth.machines(said)
    assert found["bare"] == {"a.x": "0x10", "a.y": "1", "b.1": "1", "time.x": "1"}, found
    assert [line.partition(":")[0] for line in stealth.differences(found["bare"], found["L1"], rows)] == ["a.y", "d.e"]
    assert [row.used for row in rows] == [True, True, False]
    found["L1"]["a.x"] = "0x18"
    assert any(line.startswith("a.x") for line in stealth.differences(found["bare"], found["L1"], rows))
    assert all(stealth.allowed(guest) for guest in ("L1", "L2", "QEMU"))


def test_a_closed_pipe():
    for script in "test", "check-style":
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([f"scripts/{script}", "--list"], cwd=TREE, stdout=write, stderr=subprocess.PIPE, text=True)
        os.close(write)
        assert (done.returncode, done.stderr) == (141, ""), done


def test_lab_cannot_write():
    with tempfile.TemporaryDirectory() as directory:
        image = os.path.join(directory, "nowhere", "image")
        said = output("scripts/lab", "make-cd", "--out", image, "--linux", image, "--initrd", image, status=120, errors=True)
        assert said.splitlines()[-1] == f"lab: {image}: No such file or directory", said


def test_help_does_nothing_else():
    for script in "bench", "demo", "demo-xen", "lab", "test", "check-style":
        assert output(f"scripts/{script}", "--help").startswith("usage: "), script
    # Scripts that run in the lab would mount file systems, load modules and power off.
    for script in glob.glob(os.path.join(TREE, "scripts", "*.d", "**", "*.sh"), recursive=True):
        with open(script) as f:
            assert f.read().splitlines()[2].removeprefix("# ") in output("sh", script, "--help"), script
    listed = output("make", "help")
    assert all(f"  {target} " in listed for target in ("unit", "test", "test-quick", "install")), listed
    assert "'make help' lists them" in output("make", "nix", status=2, errors=True)
    assert "apt-get install linux-headers-" in output("make", "module", "KDIR=/nowhere", status=2, errors=True)
    # make's own line about the error follows the message, and nothing else does.
    said = output("make", "-j4", "install", "KDIR=/nowhere", "DESTDIR=/nowhere", status=2, errors=True).splitlines()
    assert "'make -C ctl install' installs" in said[-3] and "'make demo' need none" in said[-2], said


TESTS = [(name.removeprefix("test_").replace("_", " "), value) for name, value in list(globals().items())
         if name.startswith("test_")]


def main():
    os.environ.pop("MAKEFLAGS", None)
    print(f"TAP version 13\n1..{len(TESTS)}", flush=True)
    failed = 0
    for number, (name, function) in enumerate(TESTS, 1):
        problem = None
        try:
            function()
        except Exception as e:  # the others must go on
            problem = f"{type(e).__name__} at line {e.__traceback__.tb_next.tb_lineno}: {e}"
            print("".join(f"# {line}\n" for line in problem.splitlines()), end="")
        failed += bool(problem)
        print(f"{'not ok' if problem else 'ok'} {number} - {name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

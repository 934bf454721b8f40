# SPDX-License-Identifier: GPL-2.0
"""The results of a run as JSON and as JUnit's XML."""
import json
import os
import re
import time
from xml.sax.saxutils import escape, quoteattr


def collect(work, began):
    """Returns the results of a run as plain values."""
    times = {r.name: r for r in work.records}
    rows = []
    for step in work.reported:
        tests = [{"name": name, "outcome": outcome, **({"why": why} if why else {})}
                 for of, name, outcome, why in work.results if of == step.name]
        record = times.get(step.name)
        rows.append({
            "name": step.name,
            "title": step.title,
            "outcome": "failed" if any(t["outcome"] == "failed" for t in tests) else "passed",
            "seconds": round(record.seconds, 1) if record else 0,
            "cpu": round(record.cpu, 1) if record else 0,
            "log": os.path.join(work.directory, step.name + ".log") if record else None,
            "again": step.again,
            "tests": tests,
        })
    return {
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(began)),
        "seconds": round(work.seconds(), 1),
        "passed": work.passed,
        "failed": work.failed,
        "skipped": work.skipped,
        "logs": work.directory,
        "steps": rows,
    }


def dump_json(f, results):
    """Writes the results to an open file."""
    json.dump(results, f, indent=1)
    f.write("\n")


def write_json(file, results):
    """Writes the results in one go, so that no reader sees a part of them."""
    new = f"{file}.new-{os.getpid()}"
    with open(new, "w") as f:
        dump_json(f, results)
    os.replace(new, file)


def _text(text):
    """Makes a text fit for XML, which has no control characters."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]", "?", text)


def write_junit(f, results):
    """Writes to an open file a test suite for each step, and a test case for each test."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>',
             f'<testsuites name="droste" tests="{results["passed"] + results["failed"] + results["skipped"]}" '
             f'failures="{results["failed"]}" skipped="{results["skipped"]}" time="{results["seconds"]}">']
    for step in results["steps"]:
        counts = {o: sum(t["outcome"] == o for t in step["tests"]) for o in ("failed", "skipped")}
        lines.append(f'  <testsuite name={quoteattr(step["name"])} tests="{len(step["tests"])}" failures="{counts["failed"]}" '
                     f'skipped="{counts["skipped"]}" time="{step["seconds"]}">')
        for test in step["tests"]:
            head = f'    <testcase classname={quoteattr("droste." + step["name"])} name={quoteattr(_text(test["name"]))}'
            if test["outcome"] == "failed":
                why = _text(test.get("why", ""))
                lines.append(f'{head}>\n      <failure message={quoteattr(why)}>{escape(str(step["log"]))}</failure>\n    </testcase>')
            elif test["outcome"] == "skipped":
                lines.append(f"{head}>\n      <skipped/>\n    </testcase>")
            else:
                lines.append(head + "/>")
        lines.append("  </testsuite>")
    f.write("\n".join([*lines, "</testsuites>", ""]))

# SPDX-License-Identifier: GPL-2.0
"""Reads TAP and KTAP line by line, and counts the results that do not sum up others."""
import re

RESULT = re.compile(r"^(\s*)(not )?ok\b(?:\s+(\d+))?(?:\s+-)?\s*(.*)$")
PLAN = re.compile(r"^(\s*)1\.\.(\d+)")
PROGRAM = re.compile(r"^# --- (\S+)")


class Level:
    """The plan and the results of one depth of indentation."""

    def __init__(self, plan):
        self.plan = plan
        self.results = 0
        self.failed = 0


class Reader:
    """Takes lines and calls report(name, outcome) once for each test; outcome is "ok", "skip" or a reason.

    A result that follows deeper ones sums them up (a KUnit suite, or a case with parameters), and counts only
    when it fails although none of them did. A level with more or fewer results than its plan is one failure.
    """

    def __init__(self, report):
        self.report = report
        self.levels = {}        # by indentation
        self.heading = ""       # the kselftest program whose output this is
        self.notes = []         # diagnostic lines since the last result

    def name(self, text):
        return f"{self.heading}: {text}" if self.heading else text

    def line(self, text):
        text = text.rstrip()
        program = PROGRAM.match(text)
        plan = PLAN.match(text)
        result = RESULT.match(text)
        if program:
            self.end()
            self.heading = program[1]
        elif plan:
            self.planned(len(plan[1]), int(plan[2]))
        elif result:
            self.result(len(result[1]), not result[2], result[4])
        elif text.lstrip().startswith("#"):
            self.notes = [*self.notes, text.strip()][-8:]

    def planned(self, indent, number):
        """Takes a plan, which comes before the results of its level or after them."""
        level = self.levels.get(indent)
        if level and level.results and level.plan is None:
            level.plan = number
            self.close(indent)
            return
        self.close(indent)
        self.levels[indent] = Level(number)

    def result(self, indent, ok, text):
        parts = [level for depth, level in self.levels.items() if depth > indent and level.results]
        inner = sum(level.failed for level in parts) + self.close(indent + 1)
        level = self.levels.setdefault(indent, Level(None))
        level.results += 1
        name, _, directive = text.partition(" # ")
        skipped = directive.upper().startswith("SKIP")
        if not ok:
            level.failed += 1
        if not parts or (not ok and not inner):
            why = "ok" if ok else "; ".join(self.notes[-3:]) or "not ok"
            self.report(self.name(name.strip()), "skip" if ok and skipped else why)
        self.notes = []

    def close(self, indent):
        """Ends the levels from an indentation on. Returns the number of plans that were not met."""
        missing = 0
        for depth in [d for d in self.levels if d >= indent]:
            level = self.levels.pop(depth)
            if level.plan is not None and level.results != level.plan:
                missing += 1
                self.report(self.name("plan"), f"{level.results} results came, not {level.plan}")
        return missing

    def end(self):
        """Ends all levels, because there are no more lines or another program starts."""
        self.close(0)
        self.notes = []

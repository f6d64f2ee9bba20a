"""python -m tests.stack.chaos FILE: prints a table of the scenarios from what pytest wrote (--junitxml)."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

# What a scenario prints and the table repeats.
MEASURED = ("p99: ", "requests: ", "time to recover: ")


def rows(path: Path) -> list[tuple[str, str, str, str]]:
    """Scenario, behaviour, outcome and seconds of each test, and the measurements below it."""
    found = []
    for case in ET.parse(path).iter("testcase"):  # noqa: S314
        outcome = "ok"
        for tag in ("failure", "error", "skipped"):
            if case.find(tag) is not None:
                outcome = "FAILED" if tag != "skipped" else "skipped"
        scenario = case.get("classname", "").rpartition(".")[2].removeprefix("test_").replace("_", " ")
        behaviour = case.get("name", "").removeprefix("test_").replace("_", " ")
        found.append((scenario, behaviour, outcome, f"{float(case.get('time', 0)):.0f} s"))
        said = case.findtext("system-out") or ""
        found += [("", f"  {line}", "", "") for line in said.splitlines() if line.startswith(MEASURED)]
    return found


def main() -> None:
    """Print the table."""
    table = rows(Path(sys.argv[1]))
    widths = [max((len(row[at]) for row in table), default=0) for at in range(3)]
    print()
    for row in table:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip())


if __name__ == "__main__":
    main()

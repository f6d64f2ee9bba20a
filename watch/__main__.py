"""What the docker engine's verbs call: `python -m watch logs past|live`, `python -m watch ps PROJECT:MODE…`."""

from __future__ import annotations

import io
import sys
from typing import cast

from watch import containers, logs, table


def main() -> int:
    """Run one verb; returns the exit status."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        # What strangers send, and a terminal that cannot show it.
        cast(io.TextIOWrapper, stream).reconfigure(errors="replace")
    match sys.argv[1:]:
        case ["logs", ("past" | "live") as mode]:
            return logs.main(mode)
        case ["ps", *stacks] if stacks:
            return table.show([containers.gather(*stack.split(":", 1)) for stack in stacks])
        case _:
            print(f"usage: {__doc__}", file=sys.stderr)
            return 2


if __name__ == "__main__":
    raise SystemExit(main())

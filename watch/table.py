"""The numbers of a stack in words, at most WIDTH characters a line: what `make ps` prints."""

from __future__ import annotations

import json
import os
import sys
import time

from backup.listing import KINDS, age, size
from watch.figures import Numbers, Part, Running

WIDTH = 100
COLOURS = {"healthy": 32, "running": 32, "starting": 33, "restarting": 33, "paused": 33, "unhealthy": 31, "down": 31}


def known(number: object) -> str:
    """A number, or a dash for one that nobody knows."""
    return "–" if number is None else str(number)


def web(numbers: Numbers) -> str:
    """How busy uWSGI is, and whether it has the traffic: there are two of it during a deploy."""
    text = (
        f"{numbers['busy']}/{numbers['workers']} busy, {numbers['requests']} requests, "
        f"{numbers['exceptions']} exceptions"
    )
    if numbers["harakiri"]:
        text += f", {numbers['harakiri']} harakiri"
    return text if numbers["serving"] else f"{text}, no traffic"


def worker(numbers: Numbers) -> str:
    """The queue."""
    return f"tasks: {numbers['waiting']} waiting, {numbers['running']} running, {numbers['failed']} failed"


def db(numbers: Numbers) -> str:
    """Connections and size."""
    return f"{numbers['connections']}/{numbers['limit']} connections, {size(numbers['bytes'])}"


def proxy(numbers: Numbers) -> str:
    """Connections, ports, the certificate."""
    count = known(numbers["connections"])
    text = f"{count} connection{'' if count == '1' else 's'}"
    if numbers.get("ports"):
        text += f", ports {' '.join(map(str, numbers['ports']))}"
    if "certificate_ends" in numbers:
        left = numbers["certificate_ends"] - time.time()
        text += f", certificate {age(left)}" if left > 0 else ", CERTIFICATE RAN OUT"
    return text


def backup(numbers: Numbers) -> str:
    """The last backup, the archive, the last drill."""
    taken = f"{KINDS[numbers['type']]} {age(numbers['age'])} ago" if numbers["type"] else "none yet"
    if numbers["drill_ok"] is None:
        drill = "no drill yet"
    else:
        drill = f"drill {'passed' if numbers['drill_ok'] else 'FAILED'} {age(numbers['drill_age'])} ago"
    archive = f"archive {numbers['archive']}"
    # A line has an end, and what is wrong goes in front.
    return ", ".join([taken, drill, archive] if numbers["archive"] == "ok" else [archive, taken, drill])


WORDS = {"web": web, "worker": worker, "db": db, "proxy": proxy, "backup": backup}


def row(part: Part, release: int) -> str:
    """A line of the table; `release` is that column's width."""
    words = WORDS.get(part["service"])
    uptime = "–" if part["uptime"] is None else age(part["uptime"])
    if part["numbers"] is not None and words:
        said = words(part["numbers"])
    else:
        said = "no answer" if words and part["uptime"] is not None and part["health"] != "paused" else ""
    line = f"  {part['service']:<7} {part['health']:<11} {part['release'][:release]:<{release}} {uptime:>7}  {said}"
    line = line.rstrip()
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def lines(found: Running, colour: bool) -> list[str]:
    """The table of one stack."""
    release = min(16, max([len(part["release"]) for part in found["parts"]] + [7]))
    heading = [found["name"], f"{found['mode']}, {found['engine']} engine", found["url"]]
    table = ["   ".join(filter(None, heading)), f"  {'':<7} {'HEALTH':<11} {'RELEASE':<{release}} {'UP':>7}"]
    for part in found["parts"]:
        line = row(part, release)
        if colour:
            code = COLOURS.get(part["health"].split(" ")[0], 31)
            line = f"{line[:10]}\033[{code}m{line[10:21]}\033[0m{line[21:]}"
        table.append(line)
    return table


def show(stacks: list[Running]) -> int:
    """Print the stacks, or with JSON=1 their numbers. Exit status 1 when no part of any runs."""
    if os.environ.get("JSON") == "1":
        print(json.dumps(stacks, indent=1, ensure_ascii=False))
    else:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        print("\n\n".join("\n".join(lines(stack, colour)) for stack in stacks))
    return 0 if any(part["uptime"] is not None for stack in stacks for part in stack["parts"]) else 1

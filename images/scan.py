"""Looks for known vulnerabilities of what is locked and installed.

    python -m images.scan --suite trixie --feed FILE|URL [--python-feed URL] --output FILE --sbom FILE... --lock FILE...

Python packages of the locks are asked of a service with OSV's protocol, by pip-audit; Debian packages of the bills of
materials are compared with the feed of Debian's security tracker. Exit status 2, and a line, when one of the two could
not be looked at; 1 when something is found that has a fix (FAIL_ON=any: or has none and is not "unimportant"); else 0.

Formats: https://security-tracker.debian.org/tracker/data/json (source → CVE → releases → suite: `status` open, resolved
or undetermined, `fixed_version` "0" for never affected, `urgency`), https://google.github.io/osv.dev/post-v1-query/.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from debian.debian_support import NativeVersion
from packageurl import PackageURL

from images import locks
from images.locks import Locked, LockError

TRACKER = "https://security-tracker.debian.org/tracker/data/json"
OSV = "https://api.osv.dev/v1/query"
# Seconds: for the whole feed (some 70 MB), and for an answer of the service for Python packages.
FEED_SECONDS = 300
ANSWER_SECONDS = 15
FAIL_ON = ("fixable", "any")
# Debian's word for what is no danger in the way the package is built and used.
UNIMPORTANT = "unimportant"


class ScanError(Exception):
    """A database that could not be had, or bad input: the text is one line with the way to mend it."""


@dataclass(frozen=True, order=True)
class Finding:
    """A known vulnerability: `fixed` is empty without a fix; `where` are images, or locks of what is in none."""

    package: str
    installed: str
    fixed: str
    id: str
    urgency: str
    where: str
    kind: str

    @property
    def group(self) -> str:
        """How it counts."""
        if self.fixed:
            return "fixable"
        return "unimportant" if self.urgency == UNIMPORTANT else "unfixed"


@dataclass(frozen=True)
class Ignored:
    """A line of the list of what is left out."""

    id: str
    package: str
    until: date
    reason: str
    line: int


# ---------------------------------------------------------------------------------------------------------- Debian


def sources(paths: Iterable[Path]) -> dict[tuple[str, str], list[str]]:
    """The source packages (name, version) of Debian that bills of materials name, with the images they are in."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in paths:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            purls = [PackageURL.from_string(component["purl"]) for component in document["components"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ScanError(f"{path} is no bill of materials ({error!r}): write it with `make sbom`") from error
        image = path.name.removesuffix(".cdx.json")
        for purl in purls:
            if purl.type != "deb":
                continue
            name, _, version = dict(purl.qualifiers).get("upstream", purl.name).partition("@")
            images = found.setdefault((name, version or str(purl.version)), [])
            if image not in images:
                images.append(image)
    if not found:
        raise ScanError("the bills of materials name no Debian package: write them with `make sbom`")
    return found


def fetch(feed: str, cache: Path) -> Path:
    """The feed as a file: the one named, or downloaded to `cache` from an address. Raises ScanError."""
    if not re.match(r"https?://", feed):
        if not Path(feed).is_file():
            raise ScanError(f"DEBIAN_FEED={feed} is no file: save {TRACKER} there, or unset it")
        return Path(feed)
    part = cache.with_suffix(".new")
    cache.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + FEED_SECONDS
    try:
        with urllib.request.urlopen(feed, timeout=ANSWER_SECONDS) as answer, part.open("wb") as file:  # noqa: S310  (http or https, see above)
            while block := answer.read(2**20):
                file.write(block)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not complete after {FEED_SECONDS} s")
        part.replace(cache)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise ScanError(
            f"Debian's security feed cannot be had from {feed} ({reason}): download it where it can, "
            "and name the file, `make scan DEBIAN_FEED=path`"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return cache


def read_feed(path: Path) -> dict[str, dict[str, Any]]:
    """The feed of Debian's security tracker. Raises ScanError when the file is not one."""
    try:
        feed = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ScanError(f"{path} is no feed of Debian's security tracker ({error}): download {TRACKER} anew") from error
    if not isinstance(feed, dict) or not feed or not all(isinstance(entries, dict) for entries in feed.values()):
        raise ScanError(f"{path} is no feed of Debian's security tracker: download {TRACKER} anew")
    return feed


def debian_findings(
    installed: Mapping[tuple[str, str], list[str]], feed: Mapping[str, Mapping[str, Any]], suite: str, path: Path
) -> list[Finding]:
    """What the feed says of the installed source packages. Raises ScanError when that is nothing at all."""
    if not any(name in feed for name, _ in installed):
        raise ScanError(f"{path} knows none of the {len(installed)} source packages: download {TRACKER} anew")
    found = []
    seen = 0
    for (name, version), images in installed.items():
        for identifier, entry in feed.get(name, {}).items():
            try:
                release = entry.get("releases", {}).get(suite)
                if release is None:
                    continue
                status, fixed = release["status"], release.get("fixed_version", "")
                if status not in ("open", "resolved", "undetermined") or (status == "resolved" and not fixed):
                    raise KeyError("status")
                affected = status != "resolved" or NativeVersion(version) < NativeVersion(fixed)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise ScanError(
                    f"{path}: {name}, {identifier} is not as the tracker writes it: download it anew"
                ) from error
            seen += 1
            if affected:
                urgency = "undetermined" if status == "undetermined" else release.get("urgency", "")
                found.append(
                    Finding(
                        name,
                        version,
                        fixed if status == "resolved" else "",
                        identifier,
                        urgency,
                        ", ".join(images),
                        "Debian",
                    )
                )
    if not seen:
        raise ScanError(f"{path} says nothing of {suite}: download {TRACKER} anew, or mend DEBIAN_SUITE in pins.env")
    return found


# ---------------------------------------------------------------------------------------------------------- Python


def audit(paths: Iterable[Path], service: str) -> list[dict[str, Any]]:
    """What pip-audit answers for each package of the locks. Raises ScanError when it could not look at all of them."""
    with tempfile.TemporaryDirectory() as work:
        output = Path(work, "audit.json")
        command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--progress-spinner", "off"]
        command += ["--vulnerability-service", "osv", "--osv-url", service, "--timeout", str(ANSWER_SECONDS)]
        command += [
            "--cache-dir",
            work,
            "--format",
            "json",
            "--desc",
            "off",
            "--aliases",
            "on",
            "--output",
            str(output),
        ]
        command += [part for path in paths for part in ("--requirement", str(path))]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        # 1 is its status both for vulnerabilities and for having failed: only the file tells.
        try:
            answer: list[dict[str, Any]] = json.loads(output.read_text(encoding="utf-8"))["dependencies"]
        except (OSError, ValueError, KeyError) as error:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            lines = lines or [f"pip-audit ended with {done.returncode}"]
            raise ScanError(
                f"the vulnerabilities of Python packages cannot be had from {service} ({lines[-1].strip()[:200]}): "
                "let this machine reach it, or name a mirror with OSV's protocol, `make scan PYTHON_FEED_URL=https://…/v1/query`"
            ) from error
    if "Unsupported OSV schema" in done.stderr:
        raise ScanError(
            f"{service} answers in a version of OSV's schema that pip-audit cannot read: upgrade it, `make lock`"
        )
    for one in answer:
        if "skip_reason" in one:
            raise ScanError(f"pip-audit did not look at {one['name']}: {one['skip_reason']}")
    return answer


def python_findings(answer: Iterable[Mapping[str, Any]], locked: Mapping[str, Mapping[str, Locked]]) -> list[Finding]:
    """What pip-audit found; `where` is the image web for what is in its lock, and the locks' names for what is not."""
    found = []
    looked = set()
    for one in answer:
        looked.add(one["name"])
        files = [name for name, packages in locked.items() if one["name"] in packages]
        where = "web" if "web" in files else ", ".join(f"{name}.txt" for name in files)
        for vulnerability in one["vulns"]:
            names = [vulnerability["id"], *vulnerability.get("aliases", [])]
            identifier = next((name for name in names if name.startswith("CVE-")), names[0])
            fixed = ", ".join(vulnerability["fix_versions"])
            found.append(Finding(one["name"], one["version"], fixed, identifier, "", where, "Python"))
    missing = sorted({name for packages in locked.values() for name in packages} - looked)
    if missing:
        raise ScanError(f"pip-audit did not look at {', '.join(missing)}")
    return found


# ---------------------------------------------------------------------------------------------------------- both


def ignore_list(path: Path, today: date) -> list[Ignored]:
    """The lines of the list of what is left out. Raises ScanError for one that is malformed or has expired."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.exists() else [], 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\S+)\s+(\S+)\s+(\d{4}-\d\d-\d\d)\s+#\s*(\S.*)", line)
        try:
            if not match:
                raise ValueError
            until = date.fromisoformat(match[3])
        except ValueError:
            raise ScanError(f"{path} line {number} is not 'id package YYYY-MM-DD # reason': {line.strip()}") from None
        if until <= today:
            raise ScanError(
                f"{path} line {number}: {match[1]} was ignored until {until}: look again, and renew or remove it"
            )
        found.append(Ignored(match[1], match[2], until, match[4], number))
    return found


def split(
    findings: Iterable[Finding], ignored: Iterable[Ignored]
) -> tuple[list[Finding], list[Finding], list[Ignored]]:
    """The findings that count, those that are ignored, and the lines that ignore nothing."""
    lines = {(line.id, line.package): line for line in ignored}
    counted: list[Finding] = []
    left: list[Finding] = []
    used = set()
    for finding in sorted(findings):
        key = (finding.id, finding.package)
        used.add(key)
        (left if key in lines else counted).append(finding)
    return counted, left, [line for key, line in lines.items() if key not in used]


def table(findings: Iterable[Finding]) -> list[str]:
    """The findings in columns."""
    rows = [("package", "installed", "fixed in", "vulnerability", "urgency", "where")]
    rows += [(one.package, one.installed, one.fixed or "-", one.id, one.urgency or "-", one.where) for one in findings]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def write(path: Path, content: object) -> None:
    """Write JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".new")
    part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def debian(given: argparse.Namespace) -> tuple[str, list[Finding]]:
    """What was looked at of Debian's packages, and what was found."""
    installed = sources(given.sbom)
    path = fetch(given.feed, given.output.parent / "debian-security.json")
    return f"{len(installed)} Debian sources", debian_findings(installed, read_feed(path), given.suite, path)


def python(given: argparse.Namespace) -> tuple[str, list[Finding]]:
    """What was looked at of the Python packages, and what was found."""
    locked = {path.stem: locks.python(path) for path in given.lock}
    found = python_findings(audit(given.lock, given.python_feed), locked)
    return f"{len({name for one in locked.values() for name in one})} Python packages", found


def run(given: argparse.Namespace, fail_on: str) -> int:
    """Look, print, write; returns the exit status. Raises ScanError and LockError for bad input."""
    given.output.unlink(missing_ok=True)
    ignored = ignore_list(given.ignore, datetime.now(UTC).date())
    results: list[tuple[str, list[Finding]]] = []
    failures = []
    for look in (debian, python):
        try:
            results.append(look(given))
        except ScanError as error:
            failures.append(error)
    counted, left, unused = split([one for _, found in results for one in found], ignored)
    fixable, unfixed, minor = (
        [one for one in counted if one.group == group] for group in ("fixable", "unfixed", "unimportant")
    )
    if fixable or unfixed:
        print("\n".join(table(fixable + unfixed)))
    for what, found in results:
        numbers = [sum(one in found for one in chosen) for chosen in (fixable, unfixed, minor, left)]
        print("scan: {}: {} vulnerabilities with a fix, {} without, {} unimportant, {} ignored".format(what, *numbers))
    if failures:
        for failure in failures:
            print(f"scan: {failure}", file=sys.stderr)
        return 2
    for line in unused:
        print(f"scan: {given.ignore} line {line.line}: {line.id} of {line.package} is not found any more: remove it")
    write(
        given.output,
        {
            "looked_at": [what for what, _ in results],
            "databases": [given.feed, given.python_feed],
            "fixable": [asdict(one) for one in fixable],
            "unfixed": [asdict(one) for one in unfixed],
            "unimportant": [asdict(one) for one in minor],
            "ignored": [asdict(one) for one in left],
        },
    )
    return 1 if fixable or (fail_on == "any" and unfixed) else 0


def main(arguments: list[str] | None = None) -> int:
    """The command; see the text of this module."""
    parser = argparse.ArgumentParser(prog="scan", description="Looks for known vulnerabilities.")
    parser.add_argument("--sbom", type=Path, nargs="+", required=True, metavar="FILE", help="bills of materials")
    parser.add_argument("--lock", type=Path, nargs="+", required=True, metavar="FILE", help="Python locks with hashes")
    parser.add_argument("--suite", required=True, help="Debian's, such as trixie")
    parser.add_argument("--feed", default=TRACKER, metavar="FILE|URL", help="of Debian's security tracker")
    parser.add_argument("--python-feed", default=OSV, metavar="URL", help="a service with OSV's protocol")
    parser.add_argument(
        "--ignore", type=Path, default=Path("services/scan-ignore"), metavar="FILE", help="what is left out"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the findings, as JSON")
    given = parser.parse_args(arguments)
    fail_on = os.environ.get("FAIL_ON") or "fixable"
    try:
        if fail_on not in FAIL_ON:
            raise ScanError(f"FAIL_ON={fail_on} is neither fixable nor any")
        return run(given, fail_on)
    except (LockError, OSError, ScanError) as error:
        print(f"scan: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

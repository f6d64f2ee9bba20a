"""Shows of which locked Python packages the package index has newer versions (bin/outdated runs it).

Asks the JSON form of the simple API (https://packaging.python.org/en/latest/specifications/simple-repository-api/), at
PIP_INDEX_URL. Files that are yanked, pre-releases, or not for the Python that the locks are made with, do not count.
"""

from __future__ import annotations

import base64
import json
import os
import re
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

REQUIREMENTS = Path("requirements")
JSON = "application/vnd.pypi.simple.v1+json"
SECONDS = 20
# At a time; an index is shared with others.
CONNECTIONS = 8


class UnansweredError(Exception):
    """What is newer cannot be told; the text is one line that says why."""


def locked() -> dict[str, str]:
    """The locked version of each package, by name; no two locks differ in it."""
    pins: dict[str, str] = {}
    for path in sorted(REQUIREMENTS.glob("*.txt")):
        pins |= dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    return dict(sorted(pins.items()))


def asked() -> dict[str, SpecifierSet]:
    """The versions that the .in files allow, by name; a package that none of them names may have any."""
    allowed: dict[str, SpecifierSet] = {}
    for path in REQUIREMENTS.glob("*.in"):
        for line in path.read_text(encoding="utf-8").splitlines():
            text = line.partition("#")[0].strip()
            if text and not text.startswith("-"):
                requirement = Requirement(text)
                name = canonicalize_name(requirement.name)
                allowed[name] = allowed.get(name, SpecifierSet()) & requirement.specifier
    return allowed


def python() -> str:
    """The Python that the locks are made with. Raises UnansweredError when they do not say it."""
    found = re.search(r"with Python (\d+\.\d+)", (REQUIREMENTS / "lock.txt").read_text(encoding="utf-8"))
    if not found:
        raise UnansweredError("requirements/lock.txt names no Python: run `make lock`")
    return found[1]


class Index:
    """The package index that pip would ask, through the proxy and with the certificates that pip would use."""

    def __init__(self) -> None:
        url = urllib.parse.urlsplit(os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple/")
        user, _, host = url.netloc.rpartition("@")
        self.url = url._replace(netloc=host, path=url.path.rstrip("/") + "/").geturl()
        self.headers = {"Accept": JSON}
        if user:
            self.headers["Authorization"] = "Basic " + base64.b64encode(urllib.parse.unquote(user).encode()).decode()
        handlers: list[urllib.request.BaseHandler] = [
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=os.environ.get("PIP_CERT") or None))
        ]
        if proxy := os.environ.get("PIP_PROXY"):
            handlers.append(urllib.request.ProxyHandler({"http": proxy, "https": proxy}))
        self.opener = urllib.request.build_opener(*handlers)

    def versions(self, name: str, interpreter: str) -> list[Version]:
        """The versions of a package that may be installed, oldest first. Raises UnansweredError."""
        request = urllib.request.Request(f"{self.url}{name}/", headers=self.headers)  # noqa: S310  (pip's own index)
        try:
            with self.opener.open(request, timeout=SECONDS) as answer:
                if "json" not in answer.headers.get("Content-Type", ""):
                    raise UnansweredError(
                        f"{self.url} does not answer in JSON: set PIP_INDEX_URL to an index that does"
                    )
                files = json.load(answer)["files"]
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise UnansweredError(f"{self.url} answers {error.code} {error.reason}: check PIP_INDEX_URL") from error
        except (OSError, ValueError, KeyError) as error:
            reason = getattr(error, "reason", error)
            raise UnansweredError(
                f"the package index cannot be reached ({reason}): "
                "check the network, PIP_INDEX_URL, PIP_PROXY and PIP_CERT"
            ) from error
        return sorted({version for file in files if (version := installable(file, interpreter))})


def installable(file: dict[str, object], interpreter: str) -> Version | None:
    """The version of a file of the index; none where it does not count."""
    try:
        if file.get("yanked") or not SpecifierSet(str(file.get("requires-python") or "")).contains(interpreter):
            return None
        filename = str(file["filename"])
        parse = parse_wheel_filename if filename.endswith(".whl") else parse_sdist_filename
        version = parse(filename)[1]
    except (InvalidSpecifier, InvalidSdistFilename, InvalidWheelFilename, InvalidVersion):
        return None
    return None if version.is_prerelease else version


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Name, locked version, newest that the .in allows, newest on the index, of each package that has a newer one."""
    pins, allowed, index, interpreter = locked(), asked(), Index(), python()
    pool = ThreadPoolExecutor(CONNECTIONS)
    try:
        found = list(pool.map(lambda name: index.versions(name, interpreter), pins))
    finally:
        # Of an index that does not answer, the rest need not be asked.
        pool.shutdown(cancel_futures=True)
    for (name, version), versions in zip(pins.items(), found, strict=True):
        if versions and versions[-1] > Version(version):
            fitting = list(allowed.get(name, SpecifierSet()).filter(versions))
            yield name, version, str(fitting[-1]) if fitting else "-", str(versions[-1])


def main() -> int:
    """Print the table; returns the exit status."""
    try:
        found = list(rows())
    except UnansweredError as error:
        print(f"outdated: Python packages: {error}", file=sys.stderr)
        return 1
    if not found:
        print("Python packages: the locked versions are the newest")
        return 0
    for row in (("Python package", "locked", "allowed", "newest"), *found):
        print("{:<32} {:<16} {:<16} {}".format(*row))
    print("`bin/lock --upgrade` takes what is allowed; what is newer needs another line in requirements/*.in")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Names the licences of installed packages, as SPDX does where a name is exact and in their own words where it is not.

Sources: Debian's machine-readable copyright files (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/),
Python's core metadata (https://packaging.python.org/specifications/core-metadata/), SPDX's list in CycloneDX's schema.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from email.message import Message
from pathlib import Path
from typing import Any

from cyclonedx.model.license import DisjunctiveLicense, License, LicenseAcknowledgement, LicenseExpression
from cyclonedx.spdx import fixup_id, is_expression
from debian.copyright import Copyright, Error

from images.locks import LockError

# It warns of each small fault of a copyright file, which is none of ours.
logging.getLogger("debian.copyright").setLevel(logging.CRITICAL)

DECLARED = LicenseAcknowledgement.DECLARED
# Short names of the Debian format that SPDX spells otherwise.
DEBIAN_NAMES = {"expat": "MIT", "apache-2": "Apache-2.0", "mpl-2": "MPL-2.0"}
# The GNU licences, which the Debian format writes as GPL-2+ or LGPL-2.1.
GNU = re.compile(r"(GPL|LGPL|AGPL|GFDL)(-NIV)?-(\d)(?:\.(\d))?(\+)?", re.IGNORECASE)
# Classifiers that name one licence in one version; the others ("BSD License") stay what they are.
CLASSIFIERS = {
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "Python Software Foundation License": "PSF-2.0",
    "zlib/libpng License": "Zlib",
    "The Unlicense (Unlicense)": "Unlicense",
}


def licence(name: str, acknowledgement: LicenseAcknowledgement = DECLARED) -> License:
    """A licence by its SPDX id or, where there is none of that name, in its own words."""
    if identifier := fixup_id(name):
        return DisjunctiveLicense(id=identifier, acknowledgement=acknowledgement)
    return DisjunctiveLicense(name=name, acknowledgement=acknowledgement)


def expression(terms: str, acknowledgement: LicenseAcknowledgement = DECLARED) -> License:
    """The licence that an SPDX expression means, which may be one id."""
    return (
        licence(terms, acknowledgement)
        if fixup_id(terms)
        else LicenseExpression(terms, acknowledgement=acknowledgement)
    )


def by_hand(path: Path) -> dict[str, License]:
    """The licences that `path` (services/licences) names, by package; none when there is no such file.

    Raises LockError when a line is not "package SPDX-expression # reason".
    """
    found: dict[str, License] = {}
    if not path.exists():
        return found
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\S+)\s+([^#]+?)\s+#\s*(\S.*)", line)
        if not match or not is_expression(match[2]):
            raise LockError(f"{path} line {number} is not 'package SPDX-expression # reason': {line.strip()}")
        found[match[1]] = expression(match[2], LicenseAcknowledgement.CONCLUDED)
    return found


def spdx(name: str) -> str:
    """The SPDX id of a short name of the Debian format, where there is exactly one; else the name."""
    if match := GNU.fullmatch(name):
        family, unmodified, major, minor, later = match.groups()
        middle = "-no-invariants" if unmodified else ""
        return f"{family}-{major}.{minor or 0}{middle}-{'or-later' if later else 'only'}"
    return DEBIAN_NAMES.get(name.lower(), name)


def named(names: Iterable[str]) -> list[License]:
    """A licence for each of the short names of the Debian format, each once."""
    return [licence(name) for name in sorted({fixup_id(spdx(name)) or name for name in names})]


def parts(synopsis: str) -> list[str]:
    """The licences that apply together; a choice between some ("GPL-1+ or Artistic") stays in one piece."""
    synopsis = " ".join(synopsis.split())
    return [synopsis] if re.search(r"\bor\b", synopsis, re.IGNORECASE) else re.split(r",? and |, ", synopsis)


def of_copyright(text: str) -> list[License]:
    """The licences that a copyright file of Debian names: of all its files, or else the common ones it refers to.

    Empty when it names none.
    """
    try:
        document = Copyright(text.splitlines(), strict=False)
        declared: list[Any] = [paragraph.license for paragraph in document.all_files_paragraphs()]
        declared = declared or [document.header.license]
        names = [part for one in declared if one and one.synopsis for part in parts(one.synopsis)]
    except (Error, ValueError):
        names = []
    if names:
        return named(names)
    # In prose, GPL-3 may mean that version or any later one: its name is not exact.
    common = {found.rstrip(".") for found in re.findall(r"/common-licenses/([A-Za-z0-9.+-]+)", text)}
    return [licence(name) for name in sorted(common)]


def of_metadata(metadata: Message) -> list[License]:
    """The licences that the METADATA of a Python package names. Empty when it names none."""
    terms = (metadata.get("License-Expression") or "").strip()
    if terms and is_expression(terms):
        return [expression(terms)]
    # The field may hold a whole text: its first line names it.
    field = next((line.strip() for line in (metadata.get("License") or "").splitlines() if line.strip()), "")
    if fixup_id(field):
        return [licence(field)]
    texts = [text for text in metadata.get_all("Classifier", []) if text.startswith("License :: ")]
    classifiers = {text.rpartition(" :: ")[2] for text in texts}
    if classifiers and classifiers <= set(CLASSIFIERS):
        return [licence(name) for name in sorted({CLASSIFIERS[name] for name in classifiers})]
    if field and field != "UNKNOWN":
        return [licence(field)]
    return [licence(name) for name in sorted(classifiers - {"OSI Approved"})]

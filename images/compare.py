"""Compares two builds of the images: which layers differ, which files of them, and in what.

python -m images.compare FIRST SECOND [--against FILE] [--about JSON] [--output FILE]

FIRST and SECOND are directories of archives, NAME.tar in both. Exit status 0: the same bytes; 1: not; 2: unreadable.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from images.oci import ArchiveError, Entry, Image, Layer

# More would hide what they have in common; the digests tell the rest.
MOST_FILES = 25


def digests(image: Image) -> dict[str, Any]:
    """What is compared of an image, and kept: the digests of image, configuration and layers."""
    return {
        "digest": image.digest,
        "config": image.config_digest,
        "platform": f"{image.config['os']}/{image.config['architecture']}",
        "layers": [
            {
                "digest": layer.digest,
                "diff_id": layer.diff_id,
                "size": layer.size,
                "created_by": shorten(layer.created_by),
            }
            for layer in image.layers
        ],
    }


def shorten(step: str, length: int = 100) -> str:
    """A step of a Dockerfile as one line of at most `length` characters, without what the builder adds."""
    # The builder puts the arguments of the build in front of the command: |2 NAME=value NAME=value /bin/sh -c …
    line = re.sub(r"^(RUN )?(\|\d+ (\S+=\S* )+)?(/bin/sh -c )?", "", " ".join(step.split()))
    line = line.removesuffix(" # buildkit")
    return line if len(line) <= length else line[: length - 1] + "…"


def differences(first: Image, second: Image, told: dict[tuple[str, str], str], name: str) -> Iterator[str]:
    """Lines that say what differs between two images, from the configuration to the single file; none: the same.

    `told` holds the pairs of layers that were told of already, with the image's name; this one's are added.
    """
    if first.config_digest != second.config_digest:
        yield from (f"configuration: {line}" for line in unequal(first.config, second.config))
    pairs = list(zip_longest(first.layers, second.layers))
    for number, (one, other) in enumerate(pairs, start=1):
        if one is None or other is None:
            here = one or other
            yield f"layer {number}: only one build has it ({shorten(here.created_by)})"
        elif one.diff_id != other.diff_id:
            pair = (one.diff_id, other.diff_id)
            if pair in told:
                yield f"layer {number} of {len(pairs)}: as in {told[pair]}"
                continue
            told[pair] = name
            yield f"layer {number} of {len(pairs)}: {shorten(one.created_by)}"
            lines = list(files(first, one, second, other))
            yield from islice(lines, MOST_FILES)
            if len(lines) > MOST_FILES:
                yield f"  … and {len(lines) - MOST_FILES} more"
        elif one.digest != other.digest:
            yield f"layer {number} of {len(pairs)}: the same files, compressed differently"
    # What is left of the manifest, once configuration and layers are told.
    rest = [
        {key: image.manifest.get(key) for key in image.manifest.keys() - {"config", "layers"}}
        for image in (first, second)
    ]
    yield from (f"manifest: {line}" for line in unequal(rest[0], rest[1]))
    types = [[layer.get("mediaType") for layer in image.manifest["layers"]] for image in (first, second)]
    yield from (f"manifest: layers: {line}" for line in unequal(types[0], types[1]))


def unequal(first: Any, second: Any, path: str = "") -> Iterator[str]:
    """Where two parsed JSON values differ: `path: one value | other value`."""
    if path == "rootfs":
        # The layers, told file by file.
        return
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for number, (one, other) in enumerate(zip(first, second, strict=True), start=1):
            yield from unequal(one, other, f"{path}[{number}]")
    elif isinstance(first, dict) and isinstance(second, dict):
        for name in sorted(first.keys() | second.keys()):
            yield from unequal(first.get(name), second.get(name), f"{path}.{name}" if path else name)
    elif first != second:
        yield f"{path}: {json.dumps(first)} | {json.dumps(second)}"


def files(first: Image, one: Layer, second: Image, other: Layer) -> Iterator[str]:
    """One line for each file that differs between two layers, and for an order that does."""
    before = {entry.path: entry for entry in first.entries(one)}
    after = {entry.path: entry for entry in second.entries(other)}
    changed = {
        path for path, entry in before.items() if path in after and entry.digest and entry.digest != after[path].digest
    }
    # Read again: only now is it known whose content matters.
    contents = [
        {
            entry.path: entry.content or b""
            for entry in image.entries(layer, changed.__contains__)
            if entry.path in changed
        }
        for image, layer in ((first, one), (second, other))
    ]
    quiet = True
    for path in sorted(before.keys() | after.keys()):
        if path not in before or path not in after:
            yield f"  {path}: only in the {'first' if path in before else 'second'} build"
            quiet = False
            continue
        said = list(aspects(before[path], after[path]))
        if path in changed:
            said.append(content(contents[0][path], contents[1][path]))
        if said:
            yield f"  {path}: {'; '.join(said)}"
            quiet = False
    if quiet and list(before) != list(after):
        yield "  the same files in another order"
    elif quiet:
        yield "  the same files; the archives around them differ"


def aspects(one: Entry, other: Entry) -> Iterator[str]:
    """What differs between two files of a path, but for their content."""
    if one.kind != other.kind:
        yield f"{one.kind} | {other.kind}"
        return
    if one.mode != other.mode:
        yield f"mode {one.mode:04o} | {other.mode:04o}"
    if (one.uid, one.gid) != (other.uid, other.gid):
        yield f"owner {one.uid}:{one.gid} | {other.uid}:{other.gid}"
    if one.mtime != other.mtime:
        yield f"time {one.mtime:.0f} | {other.mtime:.0f}"
    if one.target != other.target:
        yield f"target {one.target} | {other.target}"
    if one.attributes != other.attributes:
        yield f"attributes {dict(one.attributes)} | {dict(other.attributes)}"


def content(one: bytes, other: bytes) -> str:
    """How two contents differ: the first line that does, where both are text; else sizes and the first byte."""
    if b"\0" not in one + other:
        lines = zip_longest(*(text.decode(errors="replace").splitlines() for text in (one, other)), fillvalue="")
        for number, (left, right) in enumerate(lines, start=1):
            if left != right:
                return f"content, line {number}: {shown(left)} | {shown(right)}"
    at = next(
        (i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other))
    )
    sizes = f"{len(one)} bytes" if len(one) == len(other) else f"{len(one)} | {len(other)} bytes"
    return f"content, {sizes}, from byte {at}: {printable(one[at : at + 24])} | {printable(other[at : at + 24])}"


def printable(data: bytes) -> str:
    """Bytes as text, with a dot for each that is no printable ASCII."""
    return json.dumps("".join(chr(byte) if 32 <= byte < 127 else "." for byte in data))


def shown(line: str) -> str:
    return json.dumps(line[:80] + ("…" if len(line) > 80 else ""), ensure_ascii=False)


def names(first: Path, second: Path) -> list[str]:
    """The images that both directories hold. Raises ArchiveError when they hold none, or not the same."""
    found = [{path.stem for path in directory.glob("*.tar")} for directory in (first, second)]
    if not found[0] or found[0] != found[1]:
        raise ArchiveError(f"{first} and {second} do not hold the archives of the same images")
    return sorted(found[0])


def foreign(path: Path, images: dict[str, Any]) -> Iterator[str]:
    """Lines that say what differs from the digests that another machine has kept in the file `path`."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))["images"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{path} is no digests.json of `make verify`: {error}") from error
    for name, image in images.items():
        if name not in kept:
            yield f"{name}: {path} does not have it"
        elif kept[name]["digest"] != image["digest"]:
            yield f"{name}: {kept[name]['digest']} in {path}"
            if [layer["digest"] for layer in image["layers"]] == [layer["digest"] for layer in kept[name]["layers"]]:
                yield "  the layers are the same, the configuration is not: another commit's time, or another STRICT?"
            for number, (layer, there) in enumerate(zip_longest(image["layers"], kept[name]["layers"]), start=1):
                if not layer or not there or layer["diff_id"] != there["diff_id"]:
                    yield f"  layer {number}: {(layer or there)['created_by']}"


def main(arguments: list[str]) -> int:
    """Compare, print and keep; returns the exit status."""
    parser = argparse.ArgumentParser(prog="images.compare")
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--about", default="{}")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    images: dict[str, Any] = {}
    different = 0
    told: dict[tuple[str, str], str] = {}
    for name in names(options.first, options.second):
        with Image(options.first / f"{name}.tar") as first, Image(options.second / f"{name}.tar") as second:
            images[name] = digests(first)
            same = first.digest == second.digest
            print(f"  {name:<8} {first.digest}  {len(first.layers):>2} layers  {'same twice' if same else 'DIFFERS'}")
            if not same:
                different += 1
                print(f"  {'':<8} {second.digest}")
                lines = list(differences(first, second, told, name)) or ["the manifests"]
                print("\n".join(f"    {line}" for line in lines))
    if different:
        print(
            f"verify: {different} of {len(images)} images are not the same twice: see the files named above",
            file=sys.stderr,
        )
        return 1
    if options.against and (lines := list(foreign(options.against, images))):
        print("\n".join(f"  {line}" for line in lines))
        print(f"verify: the same twice here, but not the same as in {options.against}", file=sys.stderr)
        return 1
    if options.output:
        kept = json.loads(options.about) | {"images": images}
        options.output.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except (ArchiveError, OSError) as error:
        print(f"verify: {error}", file=sys.stderr)
    except (AttributeError, KeyError, TypeError) as error:
        print(f"verify: this is no digests.json of `make verify` ({error!r}): name another in AGAINST", file=sys.stderr)
    raise SystemExit(2)

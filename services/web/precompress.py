"""Writes .gz and .br beside the collected static files, for nginx to send as they are: `precompress.py DIRECTORY`.

Run while the image is built, where `brotli` is installed. The result depends on the content alone.
"""

from __future__ import annotations

import gzip
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import brotli

# Pictures and fonts of the web are compressed already.
SUFFIXES = {".css", ".csv", ".html", ".ico", ".js", ".json", ".map", ".md", ".mjs", ".svg", ".txt", ".xml"}
# Below one packet nothing is gained.
SMALLEST = 1000


def compress(path: Path) -> int:
    """Write the compressed forms of `path` that are at least a tenth smaller; returns how many there are."""
    data = path.read_bytes()
    if len(data) < SMALLEST:
        return 0
    written = 0
    for suffix, content in (
        (".gz", gzip.compress(data, 9, mtime=0)),
        (".br", brotli.compress(data, mode=brotli.MODE_TEXT, quality=11)),
    ):
        if len(content) < 0.9 * len(data):
            path.with_name(path.name + suffix).write_bytes(content)
            written += 1
    return written


def main() -> None:
    """Compress every file below the directory named on the command line."""
    paths = sorted(path for path in Path(sys.argv[1]).rglob("*") if path.suffix in SUFFIXES and path.is_file())
    with ProcessPoolExecutor() as pool:
        written = sum(pool.map(compress, paths, chunksize=8))
    print(f"precompressed {len(paths)} files, {written} written")


if __name__ == "__main__":
    main()

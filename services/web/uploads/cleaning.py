"""Removes pictures that nothing has used for a while, and files that belong to no picture; a chore of the worker.

Any number may run at once, and be killed at any moment: each step looks at what is there and leaves it right.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from uploads import files, sizes, storing, tasks
from uploads.models import Picture

logger = logging.getLogger(__name__)

KEPT_UNUSED = timedelta(days=7)
BATCH = 200
# A file whose row is not committed yet, or that is being written.
YOUNG_SECONDS = 3600
SHARDS = 256
HOURS = 24


def mark() -> None:
    """Date when pictures fell out of use, and undate those that are used again."""
    Picture.objects.filter(unused_since=None).unused().update(unused_since=timezone.now())
    Picture.objects.filter(unused_since__isnull=False).used().update(unused_since=None)


def remove_unused() -> int:
    """Remove a batch of pictures that nothing has used for KEPT_UNUSED; returns how many.

    A text that is being saved holds its pictures' rows (uploads.using.lock): those are passed over. One that comes a
    moment later waits, and then does not find the picture.
    """
    removed = 0
    old = Picture.objects.filter(unused_since__lt=timezone.now() - KEPT_UNUSED)
    for pk in list(old.order_by("unused_since").values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            held = Picture.objects.select_for_update(skip_locked=True).filter(pk=pk).first()
            # Asked again, with the row held: what was saved up to now is seen.
            if held is not None and not held.uses.exists():
                storing.remove(held)
                removed += 1
    return removed


def compare_files(shard: int) -> tuple[int, int]:
    """Remove the files of one of SHARDS directories that belong to no picture, and report the pictures without a file.

    Returns how many of each there were.
    """
    folder = f"{sizes.FOLDER}/{shard:02x}"
    directory = files.path_of(folder)
    try:
        present = {entry.name: entry.stat().st_mtime for entry in directory.iterdir()}
    except FileNotFoundError:
        present = {}
    known: set[str] = set()
    missing = 0
    # After the files: a picture whose file was seen has its row by now, or is young.
    for pk, name, width in Picture.objects.filter(name__startswith=f"{folder}/").values_list("pk", "name", "width"):
        known |= {name, *(size for size, _width, _extension in sizes.files(name, width))}
        gone = name.rpartition("/")[2] not in present and not files.path_of(name).exists()
        if gone and Picture.objects.filter(pk=pk).exists():
            missing += 1
            logger.error("picture %s: the file %s is missing", pk, name)
    removed = 0
    for file, changed in present.items():
        if f"{folder}/{file}" not in known and changed < time.time() - YOUNG_SECONDS:
            with suppress(OSError):
                (directory / file).unlink()
                removed += 1
    return removed, missing


def clean() -> None:
    """All of it. Of the files one part in HOURS is compared, by the hour of the day: each once a day."""
    mark()
    removed = remove_unused()
    if removed:
        logger.info("%s unused pictures removed", removed)
    tasks.queue_missing()
    hour = timezone.now().hour
    try:
        for shard in range(hour, SHARDS, HOURS):
            orphans, _missing = compare_files(shard)
            if orphans:
                logger.info("%s files without a picture removed from %s/%02x", orphans, sizes.FOLDER, shard)
    except OSError as error:
        logger.error("the pictures cannot be looked through: %s", error)

"""Writes and removes the files of pictures."""

from __future__ import annotations

import errno
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from uploads import sizes

logger = logging.getLogger(__name__)

# What a full disk, and one whose quota is used up, answer.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def path_of(name: str) -> Path:
    """Where the file called `name` is."""
    return Path(settings.MEDIA_ROOT, name)


def new_name(extension: str) -> str:
    """A name that nobody can guess and no file has."""
    stem = secrets.token_hex(16)
    return f"{sizes.FOLDER}/{stem[:2]}/{stem}.{extension}"


@contextmanager
def refused_without_room() -> Iterator[None]:
    """Within it a full disk is a ValidationError (`room`), to be said in the form, and one line in the log."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        logger.error("no room for a picture in %s: %s", settings.MEDIA_ROOT, error.strerror)
        message = _("The site has no room for pictures at the moment. Yours is fine: please try again later.")
        raise ValidationError(message, "room") from error


def write(name: str, content: bytes) -> None:
    """Write the file called `name`, whole or not at all: nginx reads the same directory. Raises OSError."""
    path = path_of(name)
    path.parent.mkdir(mode=settings.FILE_UPLOAD_DIRECTORY_PERMISSIONS, parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        temporary.write_bytes(content)
        temporary.chmod(settings.FILE_UPLOAD_PERMISSIONS)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove(name: str, width: int) -> None:
    """Remove a picture and all its sizes, as far as they are there."""
    for file in (name, *(size for size, _width, _extension in sizes.files(name, width))):
        with suppress(OSError):
            path_of(file).unlink()

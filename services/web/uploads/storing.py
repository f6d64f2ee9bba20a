"""Takes pictures in, within the owner's quota, and lets them go."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.core.files.storage import Storage, default_storage
from django.db import transaction
from django.db.models import Sum
from django.utils.translation import gettext_lazy as _

from accounts.deletion import account_leaves
from accounts.models import User
from blog.text import clean_line
from uploads import decoding, files, sizes
from uploads.models import LONGEST_ALT, Picture
from uploads.tasks import make_sizes


def used_bytes(owner: User) -> int:
    """How much of the quota the pictures of `owner` take."""
    return Picture.objects.filter(owner=owner).aggregate(total=Sum("bytes"))["total"] or 0


def store(owner: User, upload: File, alt: str = "", *, opaque: bool = False) -> tuple[Picture, bool]:
    """Take `upload` in as a picture of `owner`; returns it, and whether it was an animation, of which the first
    picture is kept. `opaque` puts it on white where something shines through.

    Raises ValidationError for what is no picture, or does not fit into the quota or onto the disk.
    """
    decoded = decoding.decode(upload)
    image = decoding.flattened(decoded.image) if opaque else decoded.image
    content, extension = decoding.encode(image)
    picture = Picture(
        owner=owner,
        name=files.new_name(extension),
        label=clean_line(upload.name or "")[:100],
        alt=clean_line(alt)[:LONGEST_ALT],
        width=image.width,
        height=image.height,
        bytes=len(content),
    )
    add(picture, content)
    return picture, decoded.moved


def add(picture: Picture, content: bytes) -> None:
    """Store a new picture whose file has `content`, and queue its sizes. Raises ValidationError beyond the quota
    and where the disk is full.
    """
    try:
        with files.refused_without_room(), transaction.atomic():
            # Uploads of one person wait for each other here, so that two cannot both fit into the room for one.
            User.objects.select_for_update(no_key=True).get(pk=picture.owner_id)
            if used_bytes(picture.owner) + picture.bytes > settings.PICTURE_QUOTA:
                limit = settings.PICTURE_QUOTA // (1024 * 1024)
                message = _("Your pictures would take more than the %(limit)d MB that you have. Delete some first.")
                raise ValidationError(message, "quota", {"limit": limit})
            files.write(picture.name, content)
            picture.save()
            make_sizes.enqueue(picture.pk)
    except Exception:
        files.remove(picture.name, picture.width)
        raise


def remove(picture: Picture) -> None:
    """Delete a picture, and its files once that is committed."""
    name, width = picture.name, picture.width
    picture.delete()
    transaction.on_commit(lambda: files.remove(name, width))


def remove_pictures(user: User, **_: Any) -> list[tuple[Storage, str]]:
    """Receiver of account_leaves: the files of the user's pictures; their rows go with the account's."""
    found = []
    for name, width in Picture.objects.filter(owner=user).values_list("name", "width"):
        found += [name, *(size for size, _width, _extension in sizes.files(name, width))]
    return [(default_storage, name) for name in found]


def connect() -> None:
    """Connect the receiver."""
    account_leaves.connect(remove_pictures, sender=User, dispatch_uid="remove_pictures")

"""Which pictures may be an avatar."""

from __future__ import annotations

import io

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from accounts.avatars import LARGEST_BYTES, validate_avatar


def picture(kind: str, size: tuple[int, int] = (8, 8)) -> bytes:
    """A picture of that format."""
    buffer = io.BytesIO()
    Image.new("RGB", size, "navy").save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_a_picture_is_accepted_whatever_its_name(kind: str) -> None:
    validate_avatar(SimpleUploadedFile("x.bin", picture(kind)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><script>alert(1)</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        picture("TIFF"),
        picture("PNG")[:45],
        picture("JPEG")[:-10],
    ],
    ids=["empty", "html", "svg", "tiff", "cut png", "cut jpeg"],
)
def test_anything_else_is_refused_although_it_is_called_png(content: bytes) -> None:
    with pytest.raises(ValidationError):
        validate_avatar(SimpleUploadedFile("x.png", content, "image/png"))


def test_a_file_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValidationError, match="2 MB"):
        validate_avatar(SimpleUploadedFile("x.png", picture("PNG") + b"\0" * LARGEST_BYTES))


def test_a_decompression_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(ValidationError, match="pixels"):
        validate_avatar(SimpleUploadedFile("x.png", picture("PNG", (20_000, 900))))

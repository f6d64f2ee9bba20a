"""Which files are pictures, and what is kept of them."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from contextlib import suppress

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from tests.web.uploads.making import content, upload
from uploads import decoding

KINDS = ["JPEG", "PNG", "WEBP", "GIF", "AVIF"]


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    """A PNG of some bytes that says it has so many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def archive() -> bytes:
    """A zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("index.html", "<p>")
    return buffer.getvalue()


def commented(text: str) -> bytes:
    """A PNG with a text in its metadata."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", text)
    return content(pnginfo=info)


def error_of(data: bytes) -> ValidationError:
    """What is said of a file that is refused."""
    with pytest.raises(ValidationError) as caught:
        decoding.decode(upload(data))
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_taken_whatever_its_name(kind: str) -> None:
    decoded = decoding.decode(upload(content(kind), name="x.html"))
    assert decoded.image.size == (40, 30)
    assert not decoded.moved


REFUSED = {
    "empty": (b"", "format"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "format"),
    "html": (b"<!doctype html><script>alert(1)</script>", "format"),
    "pdf": (b"%PDF-1.7\n1 0 obj", "format"),
    "tiff": (content("TIFF"), "format"),
    "bmp": (content("BMP"), "format"),
    "ico": (content("ICO"), "format"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "format"),
    "html after a jpeg": (content("JPEG") + b"<html><script>alert(1)</script>", "polyglot"),
    "zip after a png": (content("PNG") + archive(), "polyglot"),
    "zip after a gif": (content("GIF") + archive(), "polyglot"),
    "php in metadata": (commented("<?php system($_GET[0]); ?>"), "polyglot"),
    "script in metadata": (commented("<SCRIPT>alert(1)</SCRIPT>"), "polyglot"),
    "svg in a jpeg comment": (content("JPEG", comment=b"<svg onload=alert(1)>"), "polyglot"),
    "pdf in a jpeg comment": (content("JPEG", comment=b"%PDF-1.4 1 0 obj"), "polyglot"),
    "html in exif": (content("JPEG", exif=b"Exif\0\0<iframe src=//x>"), "polyglot"),
    "bomb": (bomb(30_000, 30_000), "pixels"),
    "larger than the limit of png": (bomb(8_000, 4_001), "pixels"),
    "half a png": (content("PNG", (300, 300))[:200], "damaged"),
    "half a jpeg": (content("JPEG", (300, 300))[:1500], "damaged"),
    "half a webp": (content("WEBP", (300, 300))[:100], "damaged"),
    "half an avif": (content("AVIF", (300, 300))[:-200], "damaged"),
    "png with a broken chunk": (content("PNG").replace(b"IDAT", b"IDAX"), "damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused_with_one_message(name: str) -> None:
    data, code = REFUSED[name]
    error = error_of(data)
    assert len(error.messages) == 1
    assert error.code in ((code, "format") if code == "damaged" else (code,))


def test_a_file_that_is_too_large_is_refused_unread() -> None:
    assert error_of(content() + bytes(decoding.LARGEST_BYTES)).code == "size"


def test_pixels_are_counted_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("decoded"))
    assert error_of(bomb(20_000, 20_000)).code == "pixels"


def test_the_decoders_of_webp_and_avif_get_fewer_pixels() -> None:
    big = Image.new("L", (4001, 4000))
    for kind in ("WEBP", "AVIF"):
        buffer = io.BytesIO()
        big.convert("RGB").save(buffer, kind, **({"speed": 10} if kind == "AVIF" else {"method": 0}))
        assert error_of(buffer.getvalue()).code == "pixels"


def test_nothing_of_the_metadata_is_kept() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret camera"
    exif.get_ifd(0x8825)[1] = "N"
    data = content("JPEG", exif=exif, comment=b"secret comment", xmp=b"<x:xmpmeta>secret</x:xmpmeta>")
    stored, extension = decoding.encode(decoding.decode(upload(data)).image)
    assert extension == "jpg"
    assert b"ecret" not in stored
    with Image.open(io.BytesIO(stored)) as image:
        assert not image.getexif()
        assert not {"exif", "xmp", "icc_profile", "comment"} & set(image.info)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decoding.decode(upload(content("JPEG", (64, 32), exif=exif)))
    assert decoded.image.size == ((64, 32) if orientation < 5 else (32, 64))


def test_a_large_picture_is_upright_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = decoding.decode(upload(content("JPEG", (4000, 1000), exif=exif)))
    assert decoded.image.size == (640, 2560)


def test_exif_that_makes_no_sense_does_no_harm() -> None:
    data = content("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03")
    assert decoding.decode(upload(data)).image.size == (40, 30)


def test_colours_are_brought_to_srgb() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 100, 50)).save(buffer, "PNG", icc_profile=b"no profile at all")
    assert decoding.decode(upload(buffer.getvalue())).image.getpixel((4, 4)) == (200, 100, 50)
    # A profile of another colour space than the picture's is as good as none.
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 100, 50)).save(buffer, "PNG", icc_profile=lab)
    assert decoding.decode(upload(buffer.getvalue())).image.mode == "RGB"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_of_png(mode: str) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (3000, 20), 1 if mode in ("1", "P") else None or 0).save(buffer, "PNG")
    decoded = decoding.decode(upload(buffer.getvalue()))
    assert decoded.image.mode in ("RGB", "RGBA")
    assert decoded.image.size[0] == decoding.LONGEST_SIDE


def test_sixteen_bits_become_eight() -> None:
    buffer = io.BytesIO()
    Image.new("I;16", (8, 8), 0x8000).save(buffer, "PNG")
    assert decoding.decode(upload(buffer.getvalue())).image.getpixel((1, 1)) == (128, 128, 128)


def test_cmyk_is_taken() -> None:
    assert decoding.decode(upload(content("JPEG", mode="CMYK"))).image.mode == "RGB"


def test_what_shines_through_stays_png_and_what_does_not_becomes_jpeg() -> None:
    assert decoding.encode(decoding.decode(upload(content(mode="RGBA"))).image)[1] == "png"
    buffer = io.BytesIO()
    Image.new("RGBA", (9, 9), (1, 2, 3, 255)).save(buffer, "PNG")
    assert decoding.encode(decoding.decode(upload(buffer.getvalue())).image)[1] == "jpg"


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_of_an_animation_the_first_picture_is_kept(kind: str) -> None:
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    decoded = decoding.decode(upload(buffer.getvalue()))
    assert decoded.moved
    pixel = decoded.image.getpixel((4, 4))
    assert isinstance(pixel, tuple)
    assert pixel[0] > 200
    assert pixel[2] < 60


@settings(max_examples=150)
@given(st.sampled_from(KINDS), st.integers(0, 10_000), st.binary(min_size=1, max_size=40), st.booleans())
def test_no_file_is_anything_but_taken_or_refused(kind: str, at: int, noise: bytes, cut: bool) -> None:
    data = bytearray(content(kind, (64, 48)))
    at %= len(data)
    data[at : at + len(noise)] = noise
    with suppress(ValidationError):
        decoding.encode(decoding.decode(upload(bytes(data[: at + len(noise)] if cut else data))).image)


@settings(max_examples=100)
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"GIF89a", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF....WEBPVP8X"]),
)
def test_random_bytes_are_refused(data: bytes, magic: bytes) -> None:
    with pytest.raises(ValidationError):
        decoding.decode(upload(magic + data))

"""Which files are pictures, and what is kept of them: pixels in sRGB, upright, and nothing else.

What comes in is decoded and encoded anew. So nothing of the file itself is ever stored or sent to anybody: no place or
name from its metadata, no other document hidden in it.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.utils.translation import gettext_lazy as _
from PIL import AvifImagePlugin, Image, ImageCms, ImageOps, UnidentifiedImageError

# What browsers and cameras make. Each plugin of Pillow is code that parses what strangers send.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
ACCEPT = "image/jpeg,image/png,image/webp,image/gif,image/avif"
# The body lies in /tmp twice while it is read (uWSGI, Django), in 64 MB for two processes.
LARGEST_BYTES = 12 * 1000 * 1000
# What a process may need at the most stays below uWSGI's evil-reload-on-rss: a JPEG is decoded at the size that is
# needed, a PNG or GIF once at its full size; the decoders of WebP and AVIF hold the picture several times over.
LARGEST_PIXELS = {"JPEG": 50_000_000, "MPO": 50_000_000, "PNG": 32_000_000, "GIF": 32_000_000}
LARGEST_PIXELS_OF_OTHERS = 16_000_000
# No side of a stored picture is longer: enough for the width of an article on a screen of twice the density.
LONGEST_SIDE = 2560
JPEG_QUALITY = 88

AvifImagePlugin.DEFAULT_MAX_THREADS = 1

# The beginnings of other documents, which some programs find anywhere in a file.
MARKUP = re.compile(rb"<(?:!doctype\s|(?:html|head|body|script|svg|iframe)[\s>]|\?php\s)", re.IGNORECASE)
PDF = re.compile(rb"%PDF-\d\.\d")


@dataclass(frozen=True)
class Decoded:
    """A picture as it may be stored: RGB or, where anything shines through, RGBA; `moved` if it was an animation."""

    image: Image.Image
    moved: bool

    @property
    def has_alpha(self) -> bool:
        """Whether anything shines through."""
        return self.image.mode == "RGBA"


def refuse_two_in_one(content: bytes) -> None:
    """Raise ValidationError for a file that another program may take for a page, a program or an archive."""
    if MARKUP.search(content) or PDF.search(content[:1024]) or zipfile.is_zipfile(io.BytesIO(content)):
        raise ValidationError(_("This file is another kind of document as well, not only a picture."), "polyglot")


def upright(image: Image.Image) -> Image.Image:
    """`image` turned as its EXIF says; EXIF that makes no sense says nothing."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001  (struct, OSError, TypeError … : whatever parsing what a stranger wrote raises)
        image.info.pop("exif", None)
        image.getexif().clear()
        return image


def in_srgb(image: Image.Image) -> Image.Image:
    """`image` as RGB or RGBA in sRGB: its colour profile, if it has one that works, is applied."""
    mode = "RGBA" if image.has_transparency_data else "RGB"
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256, "L") if image.mode == "I;16" else image.convert("I").convert("L")
    if profile and image.mode in ("RGB", "CMYK", "L", "RGBA"):
        try:
            found = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if image.mode != "RGBA":
                target = ImageCms.createProfile("sRGB")
                converted = ImageCms.profileToProfile(image, found, target, outputMode="RGB")
                return converted or image.convert(mode)
            alpha = image.getchannel("A")
            colours = ImageCms.profileToProfile(image.convert("RGB"), found, ImageCms.createProfile("sRGB"))
            colours = colours or image.convert("RGB")
            colours.putalpha(alpha)
            return colours
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass
    return image.convert(mode)


def decode(
    upload: File, *, largest_bytes: int = LARGEST_BYTES, largest_pixels: int | None = None, side: int = LONGEST_SIDE
) -> Decoded:
    """The picture in `upload`, no side longer than `side`. Its name and declared type prove nothing.

    Raises ValidationError, with one message for the field, for anything but a whole picture of one of FORMATS of at
    most `largest_bytes` and so many pixels, which are counted before any of them is decoded.
    """
    if (upload.size or 0) > largest_bytes:
        limit = largest_bytes // 1_000_000
        raise ValidationError(_("The picture is larger than %(limit)d MB."), "size", {"limit": limit})
    upload.seek(0)
    content = upload.read(largest_bytes + 1)
    upload.seek(0)
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata, which is dropped anyway, and of many pixels, which are counted here.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                kept = normalised(image, largest_pixels, side)
    except ValidationError:
        raise
    except Image.DecompressionBombError as error:
        raise too_many_pixels(LARGEST_PIXELS_OF_OTHERS) from error
    except UnidentifiedImageError as error:
        raise ValidationError(_("This is not a JPEG, PNG, WebP, GIF or AVIF picture."), "format") from error
    except Exception as error:  # whatever the decoders raise at what a stranger sends: OSError, SyntaxError, struct …
        raise ValidationError(_("The picture is damaged or not complete."), "damaged") from error
    refuse_two_in_one(content)
    return kept


def too_many_pixels(limit: int) -> ValidationError:
    """The error that says so."""
    message = _("The picture has more than %(limit)d million pixels.")
    return ValidationError(message, "pixels", {"limit": limit // 1_000_000})


def normalised(image: Image.Image, largest_pixels: int | None, side: int) -> Decoded:
    """The opened, not yet decoded `image` decoded, upright, small enough and in sRGB."""
    limit = LARGEST_PIXELS.get(image.format or "", LARGEST_PIXELS_OF_OTHERS)
    limit = min(limit, largest_pixels or limit)
    if image.width * image.height > limit:
        raise too_many_pixels(limit)
    moved = bool(getattr(image, "is_animated", False)) and image.format != "MPO"
    # A JPEG can be decoded at a half, a quarter or an eighth of its size, in as much less memory.
    image.draft(None, (side, side))
    image.load()
    # The palette and transparency must be resolved before colours can be mixed; a mode of 1 or P cannot be resized.
    if max(image.size) > side:
        profile = image.info.get("icc_profile")
        exif = image.info.get("exif")
        if image.mode in ("1", "P", "LA", "PA"):
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        image.info.update({key: value for key, value in (("icc_profile", profile), ("exif", exif)) if value})
    kept = in_srgb(upright(image))
    if kept.mode == "RGBA" and kept.getchannel("A").getextrema() == (255, 255):
        kept = kept.convert("RGB")
    # A new picture has no metadata to be written by mistake.
    clean = Image.new(kept.mode, kept.size)
    clean.paste(kept)
    return Decoded(clean, moved)


def flattened(image: Image.Image) -> Image.Image:
    """`image` on white, where anything shines through."""
    if image.mode != "RGBA":
        return image
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def encode(image: Image.Image) -> tuple[bytes, str]:
    """The bytes that are stored as the original, and their extension: JPEG, or PNG where anything shines through."""
    buffer = io.BytesIO()
    if image.mode == "RGBA":
        image.save(buffer, "PNG", optimize=False, compress_level=6)
        return buffer.getvalue(), "png"
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, progressive=True, optimize=True)
    return buffer.getvalue(), "jpg"

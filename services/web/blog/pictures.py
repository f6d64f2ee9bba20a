"""Draws the sample's covers and avatars from a name: the same name gives the same picture on every machine.

A cover is a scene of the shore in a few flat layers over a soft gradient; its colours, horizon and shapes come from a
hash of the name. `describe` says in words what `cover` draws, for readers who cannot see it.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from uploads import decoding

Colour = tuple[int, int, int]

WIDTH, HEIGHT = 1200, 630
AVATAR = 256

# Sky above, sky at the horizon, water or land far, near, and an accent.
PALETTES: tuple[tuple[str, tuple[Colour, Colour, Colour, Colour, Colour]], ...] = (
    ("blue|蓝色", ((24, 58, 92), (142, 190, 214), (52, 110, 146), (12, 36, 60), (247, 196, 108))),
    ("amber|琥珀色", ((94, 60, 86), (248, 184, 120), (190, 98, 84), (58, 34, 58), (255, 236, 190))),
    ("green|绿色", ((20, 72, 76), (178, 214, 190), (62, 132, 122), (10, 46, 54), (246, 226, 150))),
    ("violet|紫色", ((44, 40, 96), (196, 172, 222), (104, 88, 164), (26, 24, 62), (255, 204, 178))),
    ("red|红色", ((112, 34, 44), (250, 190, 160), (186, 72, 66), (62, 20, 34), (255, 226, 168))),
    ("grey|灰色", ((62, 76, 90), (206, 214, 216), (112, 130, 142), (34, 46, 58), (244, 178, 96))),
    ("teal|青色", ((8, 62, 84), (150, 222, 214), (36, 132, 148), (6, 38, 58), (255, 214, 132))),
    ("rose|玫瑰色", ((88, 50, 92), (250, 200, 200), (176, 96, 134), (52, 28, 62), (255, 240, 206))),
)
# What the methods of Scene draw, in the order of Scene.draw.
SCENES = (
    ("Waves under a low sun", "低垂的太阳下层层的波浪"),
    ("Hills behind hills at dusk", "暮色里一重又一重的山"),
    ("Sailing boats on calm water", "平静水面上的帆船"),
    ("A lighthouse above the sea", "海边的一座灯塔"),
    ("The moon and its reflection in the water", "月亮和它在水中的倒影"),
    ("Pines on a slope in the mist", "薄雾山坡上的松树"),
)


class Dice:
    """Numbers drawn from a hash of a name: no state of the machine has a part in them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.drawn = 0

    def number(self, below: int) -> int:
        """The next whole number, 0 to `below` - 1."""
        self.drawn += 1
        digest = hashlib.sha256(f"{self.name}\0{self.drawn}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % below

    def between(self, low: float, high: float) -> float:
        """The next number from `low` to `high`, in a million steps."""
        return low + (high - low) * self.number(1_000_001) / 1_000_000


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """`one` with `share` (0 to 1) of `other` in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def gradient(size: tuple[int, int], colours: Sequence[Colour]) -> Image.Image:
    """A picture that goes through `colours` from top to bottom."""
    strip = Image.new("RGB", (1, len(colours)))
    strip.putdata(list(colours))
    return strip.resize(size, Image.Resampling.BICUBIC)


class Scene:
    """A picture in the making, drawn at twice its size, so that edges come out smooth."""

    def __init__(self, name: str) -> None:
        self.dice = Dice(f"cover {name}")
        self.kind = self.dice.number(len(SCENES))
        _words, self.colours = PALETTES[self.dice.number(len(PALETTES))]
        self.width, self.height = WIDTH * 2, HEIGHT * 2
        self.horizon = int(self.height * self.dice.between(0.52, 0.66))
        sky, glow, *_rest = self.colours
        self.image = gradient((self.width, self.height), (sky, mixed(sky, glow, 0.55), glow, glow))
        self.pen = ImageDraw.Draw(self.image, "RGBA")

    def disc(self, x: float, y: float, radius: float, colour: Colour, halo: bool = True) -> None:
        """A sun or moon, with a halo."""
        rings = ((1.9, 22), (1.45, 36)) if halo else ()
        for size, alpha in rings:
            reach = radius * size
            self.pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=(*colour, alpha))
        self.pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*colour, 255))

    def ridge(self, level: float, swing: float, waves: float, colour: Colour, sharp: bool = False) -> list[float]:
        """Everything below a curve, in one colour; returns the curve's heights, one every 12 pixels."""
        shift, second = self.dice.between(0, math.tau), self.dice.between(0, math.tau)
        heights = []
        for x in range(0, self.width + 12, 12):
            place = x / self.width * math.tau
            curve = math.sin(place * waves + shift) + 0.45 * math.sin(place * waves * 2.3 + second)
            if sharp:
                curve = abs(curve) * 1.2 - 0.6
            heights.append(level - swing * curve)
        points = [(index * 12, height) for index, height in enumerate(heights)]
        self.pen.polygon([*points, (self.width, self.height), (0, self.height)], fill=(*colour, 255))
        return heights

    def layers(self, count: int, swing: float, waves: float, sharp: bool = False) -> list[float]:
        """Ridges from the horizon to the foreground, darker the nearer; returns the heights of the nearest."""
        _sky, _glow, far, near, _accent = self.colours
        heights: list[float] = []
        for number in range(count):
            share = number / max(1, count - 1)
            level = self.horizon + (self.height - self.horizon) * share * 0.78
            grown = swing * (0.55 + 0.6 * share)
            heights = self.ridge(level, grown, waves * self.dice.between(0.8, 1.3), mixed(far, near, share), sharp)
        return heights

    def water(self) -> None:
        """Flat water below the horizon, with glints that widen towards the viewer."""
        _sky, glow, far, near, _accent = self.colours
        sea = gradient((self.width, self.height - self.horizon), (mixed(far, glow, 0.35), far, near))
        self.image.paste(sea, (0, self.horizon))
        for _glint in range(70):
            depth = self.dice.between(0, 1) ** 1.6
            y = self.horizon + 8 + depth * (self.height - self.horizon - 16)
            length = 30 + 240 * depth
            x = self.dice.between(-100, self.width)
            self.pen.rounded_rectangle((x, y, x + length, y + 3 + 4 * depth), 4, fill=(*glow, 26))

    def reflection(self, x: float, radius: float, colour: Colour) -> None:
        """The broken light of a disc at `x` on the water."""
        y = float(self.horizon + 14)
        step = 0
        while y < self.height - 20:
            reach = radius * (0.9 - 0.012 * step) * self.dice.between(0.55, 1.1) + step * 2.5
            thick = 5 + step * 0.55
            self.pen.rounded_rectangle((x - reach, y, x + reach, y + thick), thick / 2, fill=(*colour, 150 - step * 3))
            y += 16 + step * 1.6
            step += 1

    def boat(self, x: float, y: float, size: float) -> None:
        """A hull with two sails, standing on the line `y`."""
        _sky, _glow, _far, near, accent = self.colours
        self.pen.polygon(
            [(x - size, y), (x + size, y), (x + size * 0.7, y + size * 0.34), (x - size * 0.7, y + size * 0.34)],
            fill=(*near, 255),
        )
        mast = x - size * 0.08
        self.pen.polygon(
            [(mast, y - size * 2.1), (mast, y - size * 0.12), (x + size * 0.85, y - size * 0.12)], fill=(*accent, 255)
        )
        self.pen.polygon(
            [
                (mast - size * 0.1, y - size * 1.7),
                (mast - size * 0.1, y - size * 0.12),
                (x - size * 0.8, y - size * 0.12),
            ],
            fill=(*mixed(accent, (255, 255, 255), 0.45), 255),
        )

    def lighthouse(self, x: float, foot: float, size: float) -> None:
        """A striped tower with its beam."""
        _sky, _glow, _far, near, accent = self.colours
        white = mixed(accent, (255, 255, 255), 0.75)
        lamp = foot - size * 2.1
        for side in (-1, 1):
            beam = [(x, lamp), (x + side * size * 9, lamp - size * 1.3), (x + side * size * 9, lamp + size * 0.5)]
            self.pen.polygon(beam, fill=(*accent, 70))
        for band in range(5):
            low, high = foot - band * size * 0.4, foot - (band + 1) * size * 0.4
            wide, narrow = size * (0.34 - 0.03 * band), size * (0.34 - 0.03 * (band + 1))
            corners = [(x - wide, low), (x + wide, low), (x + narrow, high), (x - narrow, high)]
            self.pen.polygon(corners, fill=(*(white if band % 2 else near), 255))
        top = foot - size * 2.0
        self.pen.rectangle((x - size * 0.26, top - size * 0.04, x + size * 0.26, top), fill=(*near, 255))
        self.pen.rectangle(
            (x - size * 0.14, top - size * 0.24, x + size * 0.14, top - size * 0.04), fill=(*accent, 255)
        )
        self.pen.polygon(
            [(x - size * 0.2, top - size * 0.24), (x + size * 0.2, top - size * 0.24), (x, top - size * 0.42)],
            fill=(*near, 255),
        )

    def pine(self, x: float, foot: float, size: float, colour: Colour) -> None:
        """A fir tree in four tiers."""
        for tier in range(4):
            top = foot - size * (1 - tier * 0.2)
            wide = size * (0.12 + 0.07 * tier)
            self.pen.polygon(
                [(x, top), (x - wide, top + size * 0.36), (x + wide, top + size * 0.36)], fill=(*colour, 255)
            )

    def waves(self) -> None:
        """Layered waves under a low sun."""
        radius = self.dice.between(90, 150)
        self.disc(self.across(), self.horizon - radius * 0.2, radius, self.colours[4])
        self.layers(6, 34, 3.2)

    def hills(self) -> None:
        """Hill behind hill."""
        radius = self.dice.between(72, 120)
        self.disc(self.across(), self.horizon - radius * 3, radius, self.colours[4])
        self.layers(5, 110, 1.6, sharp=True)

    def boats(self) -> None:
        """Three boats, the nearest the largest."""
        _sky, glow, far, _near, accent = self.colours
        radius = self.dice.between(63, 105)
        self.disc(self.across(), self.horizon - radius * 2.3, radius, accent)
        self.ridge(self.horizon - 4, 34, 1.3, mixed(far, glow, 0.5))
        self.water()
        for number in range(3):
            place = self.width * self.dice.between(0.1 + 0.28 * number, 0.3 + 0.28 * number)
            self.boat(place, self.horizon + 30 + 110 * number, 46 + 40 * number)

    def tower(self) -> None:
        """A lighthouse on its rock."""
        self.water()
        x = self.width * (0.2 if self.dice.number(2) else 0.78)
        self.lighthouse(x, self.horizon + 40, self.dice.between(210, 260))
        rock = [(x - 420, self.height), (x - 260, self.horizon + 90), (x - 90, self.horizon + 30)]
        rock += [(x + 110, self.horizon + 34), (x + 300, self.horizon + 120), (x + 460, self.height)]
        self.pen.polygon(rock, fill=(*self.colours[3], 255))

    def moon(self) -> None:
        """The moon over water."""
        _sky, _glow, far, near, accent = self.colours
        x, radius = self.across(), self.dice.between(76, 128)
        self.disc(x, self.horizon - radius * 2.6, radius, mixed(accent, (255, 255, 255), 0.5))
        self.ridge(self.horizon - 2, 60, 1.1, mixed(far, near, 0.4))
        self.water()
        self.reflection(x, radius, mixed(accent, (255, 255, 255), 0.4))

    def pines(self) -> None:
        """Four slopes with trees, clearer the nearer."""
        _sky, glow, far, near, _accent = self.colours
        for number in range(4):
            share = number / 3
            colour = mixed(mixed(far, glow, 0.55), near, share)
            heights = self.ridge(self.horizon - 60 + 165 * number, 60, 1.1, colour)
            for _tree in range(16):
                place = self.dice.number(len(heights))
                size = self.dice.between(90, 150) * (0.6 + 0.9 * share)
                self.pine(place * 12, heights[place] + size * 0.12, size, colour)

    def across(self) -> float:
        """A place from left to right, away from the edges."""
        return self.width * self.dice.between(0.22, 0.78)

    def draw(self) -> Image.Image:
        """The whole picture at its own size."""
        scenes = (self.waves, self.hills, self.boats, self.tower, self.moon, self.pines)
        scenes[self.kind]()
        return self.image.resize((WIDTH, HEIGHT), Image.Resampling.BOX)


def cover(name: str) -> bytes:
    """The cover called `name`: JPEG, WIDTH x HEIGHT."""
    content, _extension = decoding.encode(Scene(name).draw())
    return content


def describe(name: str, language: str) -> str:
    """What cover(name) shows, in English or, for `zh-hans`, in Chinese."""
    dice = Dice(f"cover {name}")
    english, chinese = SCENES[dice.number(len(SCENES))]
    words, _colours = PALETTES[dice.number(len(PALETTES))]
    colour, colour_chinese = words.split("|")
    return f"{chinese}，{colour_chinese}调" if language == "zh-hans" else f"{english}, in {colour}"


def avatar(name: str) -> bytes:
    """The avatar of `name`: a sun over two hills, WebP, AVATAR x AVATAR."""
    dice = Dice(f"avatar {name}")
    _words, (sky, glow, far, near, accent) = PALETTES[dice.number(len(PALETTES))]
    size = AVATAR * 4
    image = gradient((size, size), (sky, mixed(sky, glow, 0.6), glow))
    pen = ImageDraw.Draw(image)
    x, y, radius = dice.between(0.3, 0.7) * size, dice.between(0.26, 0.42) * size, dice.between(0.13, 0.2) * size
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=accent)
    for level, colour in ((0.56, far), (0.74, near)):
        shift, swing = dice.between(0, math.tau), dice.between(0.04, 0.1)
        curve = [
            (step * size / 32, size * (level - swing * math.sin(step / 32 * math.tau * 0.9 + shift)))
            for step in range(33)
        ]
        pen.polygon([*curve, (size, size), (0, size)], fill=colour)
    buffer = io.BytesIO()
    image.resize((AVATAR, AVATAR), Image.Resampling.BOX).save(buffer, "WEBP", quality=85, method=4)
    return buffer.getvalue()

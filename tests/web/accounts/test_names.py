"""Which usernames there may be."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from accounts.names import is_reserved, route_segments, validate_username


@pytest.mark.parametrize("name", ["ann", "Ann", "a1", "沈知远", "老周", "mara-l", "x_y", "a2026"])
def test_a_good_name_is_accepted(name: str) -> None:
    validate_username(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../x y",
        "a b",
        "a.b",
        "feed.atom",
        "-a",
        "a-",
        "a--b",
        "a\0b",
        "a\nb",
        "a\n",
        "аnn",  # a Cyrillic а
        "ａｎｎ",  # full width
        "ﬁn",  # a ligature
        "ann\u200b",
        "\u202eann",
        "é",
        "2026",
        "🙂",
        "x" * 33,
    ],
)
def test_a_name_that_cannot_be_an_address_or_looks_like_another_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        validate_username(name)


@pytest.mark.parametrize("name", ["admin", "ADMIN", "login", "static", "media", "tag", "healthz", "index", "i18n"])
def test_a_reserved_name_is_refused_in_any_case(name: str) -> None:
    with pytest.raises(ValidationError, match="reserved"):
        validate_username(name)


def test_the_first_segment_of_every_route_is_reserved() -> None:
    assert {"admin", "i18n", "preferences", "tag", "robots", "feed"} <= route_segments()
    assert all(map(is_reserved, route_segments()))

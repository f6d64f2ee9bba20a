"""Which usernames there may be."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from accounts.models import User
from accounts.names import is_reserved, route_segments, validate_username
from tests.web.accounts.people import a_member
from tests.web.routes import own_routes


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


@pytest.mark.parametrize(
    "name",
    ["account", "comments", "votes", "notifications", "unsubscribe", "report", "write", "preview", "search", "index"],
)
def test_no_page_of_the_site_is_an_authors(name: str) -> None:
    assert name in route_segments()
    with pytest.raises(ValidationError, match="reserved"):
        validate_username(name.capitalize())


def test_every_route_begins_with_a_name_that_is_taken_or_with_a_part_that_is_no_name() -> None:
    for path in own_routes():
        first = path.partition("/")[0]
        # What has a dot, or is a number, can be no username (validate_username).
        assert not first or first.startswith("<") or "." in first or is_reserved(first), path


@pytest.mark.django_db
def test_a_name_that_an_upgrade_reserves_stays_its_owners(client: Client) -> None:
    user = a_member("cookies2")
    User.objects.filter(pk=user.pk).update(username="cookies")
    assert is_reserved("cookies")
    client.force_login(user)
    profile = {"display_name": "Ann", "bio": "", "language": "en"}
    assert client.post("/account/", profile).status_code == 302
    assert client.get("/cookies/").status_code == 200
    assert client.post("/account/login/", {"login": "cookies", "password": "x"}).status_code < 500

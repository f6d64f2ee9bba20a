"""The editor's script and the page it works on."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tests.web.builders import a_user
from tests.web.config.test_environment import WEB

SCRIPT = (WEB / "static" / "editor.js").read_text(encoding="utf-8")


def test_own_scripts_and_the_stylesheet_stay_small() -> None:
    assert sum(path.stat().st_size for path in (WEB / "static").glob("*.js")) < 30_000
    assert (WEB / "static" / "site.css").stat().st_size < 30_000


@pytest.mark.django_db
def test_the_page_has_what_the_script_asks_for(client: Client) -> None:
    client.force_login(a_user("ann"))
    page = client.get("/write/new/").text
    for name in set(re.findall(r"texts\.(\w+)", SCRIPT)):
        attribute = "data-" + re.sub(r"[A-Z]", lambda letter: f"-{letter.group().lower()}", name)
        assert f"{attribute}=" in page, attribute
    for selector in ("data-status", "data-preview", "data-offer", 'role="toolbar"', 'value="save"'):
        assert selector in page


@pytest.mark.django_db
def test_without_the_script_nothing_of_it_is_shown(client: Client) -> None:
    client.force_login(a_user("ann"))
    page = client.get("/write/new/").text
    for part in re.findall(r"<[^>]*(?:role=\"toolbar\"|data-offer|data-preview )[^>]*>", page):
        assert " hidden" in part


@pytest.mark.django_db
def test_the_live_preview_is_what_the_article_will_be(client: Client) -> None:
    client.force_login(a_user("ann"))
    answer = client.post("/write/preview/", {"body": "**“中文”**强调 <script>"})
    assert answer.text == "<p><strong>“中文”</strong>强调 &lt;script&gt;</p>"


@pytest.mark.django_db
def test_a_text_too_long_to_be_saved_is_not_previewed(client: Client) -> None:
    client.force_login(a_user("ann"))
    assert client.post("/write/preview/", {"body": "长" * 70_000}).status_code == 413

"""Every page and every mail is Chinese to who reads Chinese: no English word is left, wherever it comes from.

Our own texts, Django's and allauth's; names of things and what users wrote may be Latin, and so may what says that it
is English (`lang`).
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import allauth
import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.utils import translation

from config import limits
from tests.web.accounts.people import a_member
from tests.web.builders import a_comment, a_user, an_article
from tests.web.routes import World, own_routes, undone

pytestmark = pytest.mark.django_db

# Names that are the same in every language.
NAMES = "Slipway Markdown JavaScript JPEG PNG GIF WebP AVIF MB kB Atom RSS URL PDF TOTP QR Latin UTC IP PIN Cookie test"
# What the users of the test's site wrote, and are called.
WRITTEN = (
    "A title|Another title|The sea|sea.png|Thrown away|Notes|Some words|More words|Words|I agree|two words|"
    "nginx|newcomer|reader|other|ords|Some w|moderator|staff|ann|Telephone|a-title"
)
ALLOWED = re.compile(
    r"https?://\S+|[\w.+-]+@[\w.-]+|@\w+|/[\w/%-]+|example\.org|Ctrl-[A-Z]|[A-Z2-7]{16,}|"
    rf"(?<![A-Za-z])(?:{WRITTEN}|{NAMES.replace(' ', '|')})(?![A-Za-z])"
)
WORD = re.compile(r"[A-Za-z]{2,}")
SAID = ("title", "aria-label", "placeholder", "alt")
SILENT = ("script", "style", "code", "textarea")


class Texts(HTMLParser):
    """The texts of a page that a reader sees or hears, but those that say they are in another language than Chinese."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[tuple[str, bool]] = []
        self.language = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note the language, and texts in attributes."""
        values = dict(attributes)
        if tag == "html":
            self.language = values.get("lang") or ""
        foreign = not (values.get("lang") or "zh").startswith("zh")
        silent = tag in SILENT or foreign or (bool(self.open) and self.open[-1][1])
        if tag not in ("meta", "link", "input", "img", "br", "hr", "use", "path", "circle"):
            self.open.append((tag, silent))
        if not silent:
            self.found += [str(values[name]) for name in SAID if values.get(name)]
            if tag == "meta" and values.get("name") == "description":
                self.found.append(values["content"] or "")

    def handle_endtag(self, tag: str) -> None:
        """Close up to the element of that name."""
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Keep what is read."""
        if not (self.open and self.open[-1][1]) and data.strip():
            self.found.append(" ".join(data.split()))


def english(texts: list[str]) -> list[str]:
    """Those of `texts` that have a word left that may not be there."""
    return [text for text in texts if WORD.search(ALLOWED.sub("", text))]


def english_of(response: Any) -> list[str]:
    """The same of a page."""
    if not response.headers.get("Content-Type", "").startswith("text/html"):
        return []
    texts = Texts()
    texts.feed(response.text)
    # A preview of a text is a part of a page.
    assert texts.language in ("zh-hans", "")
    return english(texts.found)


@pytest.fixture
def chinese() -> Client:
    """A browser whose reader reads Chinese."""
    headers = {"x-forwarded-proto": "https", "host": "testserver", "accept-language": "zh-CN"}
    return Client(raise_request_exception=False, headers=headers)


def test_an_english_word_is_found() -> None:
    assert english(["搜索 word", "Slipway 上的文章", "Email地址"]) == ["搜索 word", "Email地址"]


@pytest.mark.parametrize("person", ["anonymous", "owner", "other", "staff"])
def test_every_page_is_chinese(world: World, chinese: Client, person: str) -> None:
    world.log_in(chinese, person)
    left = {}
    for path in own_routes():
        for method in (chinese.get, chinese.post):
            with undone(chinese):
                if words := english_of(method(world.address(path))):
                    left[path] = words
    assert left == {}


def test_every_page_after_something_was_done_is_chinese(world: World, chinese: Client) -> None:
    world.log_in(chinese, "owner")
    left = {}
    for path in own_routes():
        with undone(chinese):
            response = chinese.post(world.address(path))
            if response.status_code == 302 and (words := english_of(chinese.get(response["Location"]))):
                left[path] = words
    assert left == {}


def bad_request(client: Client) -> Any:
    """A host that is not the site's."""
    return client.get("/", headers={"host": "evil.example"})


def forbidden(client: Client) -> Any:
    """The admin, to who has nothing to do there."""
    client.force_login(a_user("ann"))
    return client.get("/admin/login/")


def without_token(client: Client) -> Any:
    """A form without its token."""
    client.handler.enforce_csrf_checks = True
    return client.post("/account/login/")


def text_without_token(client: Client) -> Any:
    """A text without its token."""
    client.force_login(a_user("ann"))
    client.handler.enforce_csrf_checks = True
    return client.post("/write/new/", {"body": "正文"})


def text_without_session(client: Client) -> Any:
    """A text of somebody who was logged out meanwhile."""
    return client.post("/write/new/", {"body": "正文"})


def missing(client: Client) -> Any:
    """An address that leads nowhere."""
    return client.get("/nobody/")


def too_often(client: Client) -> Any:
    """A password too many."""
    rate = limits.RATES["login"].account
    assert rate
    for _turn in range(rate.times + 1):
        response = client.post("/account/login/", {"login": "ann", "password": "x"})
    return response


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (400, bad_request),
        (403, forbidden),
        (403, without_token),
        (403, text_without_token),
        (403, text_without_session),
        (404, missing),
        (429, too_often),
    ],
)
def test_every_error_is_chinese(chinese: Client, status: int, cause: Any) -> None:
    response = cause(chinese)
    assert response.status_code == status
    assert english_of(response) == []


def test_the_error_that_speaks_both_languages_says_which_is_which(client: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr("blog.views.listing", lambda *_a, **_k: 1 / 0)
    page = client.get("/").text
    assert re.search(r'<html lang="en">.*<div lang="zh-Hans">', page, re.DOTALL)


MAILS = sorted(
    path.relative_to(Path(allauth.__file__).parent / "templates").as_posix()
    for path in (Path(allauth.__file__).parent / "templates").glob("*/email/*.txt")
    if path.parts[-3] in ("account", "mfa", "usersessions") and "base" not in path.name
)


@pytest.mark.parametrize("template", MAILS)
def test_every_mail_of_an_account_is_chinese(template: str, rf: Any) -> None:
    context = {
        "user": a_member(),
        "current_site": {"name": "Slipway", "domain": "example.org"},
        "email": "ann@example.org",
        "deleted_email": "ann@example.org",
        "from_email": "ann@example.org",
        "to_email": "ann@example.org",
        "ip": "192.0.2.1",
        "user_agent": "",
        "timestamp": "",
        "code": "123456",
        "key": "x",
        "username": "ann",
        **dict.fromkeys(("activate_url", "password_reset_url", "signup_url"), "https://example.org/"),
    }
    with translation.override("zh-hans"):
        assert english([render_to_string(template, context)]) == []


# --- Numbers and dates


@pytest.mark.parametrize(
    ("accept", "articles", "text"),
    [("en", 1, "1 article"), ("en", 2, "2 articles"), ("zh-CN", 1, "1 篇文章"), ("zh-CN", 2, "2 篇文章")],
)
def test_the_number_of_articles_is_said_as_one_says_it(client: Client, accept: str, articles: int, text: str) -> None:
    for _number in range(articles):
        an_article(tags=("counted",))
    page = client.get("/tag/counted/", headers={"accept-language": accept}).text
    assert re.search(rf"(?<!\d){text}(?![a-z])".replace(" ", r"\s*"), page)


@pytest.mark.parametrize(("accept", "date"), [("en", "May 10, 2026"), ("zh-CN", "2026年5月10日")])
def test_a_date_is_written_as_one_writes_it(client: Client, accept: str, date: str) -> None:
    assert date in client.get(an_article().get_absolute_url(), headers={"accept-language": accept}).text


def test_a_text_says_its_own_language_on_a_page_in_another(client: Client) -> None:
    article = an_article(title="部署手记", language="zh-hans", body="正文")
    a_comment(article)
    page = client.get(article.get_absolute_url(), headers={"accept-language": "en"}).text
    assert '<html lang="en"' in page
    assert re.search(r'<(?:article|h1|div)[^>]* lang="zh-hans"', page, re.IGNORECASE)

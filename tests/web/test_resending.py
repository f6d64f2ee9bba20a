"""No text is lost: whatever is typed into any form of the site is on the page that refuses it, to be sent again."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any, NamedTuple

import pytest
from django.db import OperationalError
from django.db.backends.utils import CursorWrapper
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import User
from blog.models import Article, Comment
from config import limits, resending
from config.resending import LABELS, is_own, sent_by
from tests.web.blog.test_fuzz import fields_of
from tests.web.builders import a_user, an_article
from tests.web.routes import World, own_routes, undone

pytestmark = pytest.mark.django_db

TYPED = {"", "text", "search", "email", "url"}
# What a browser says of a form that stood on another site.
FOREIGN: list[dict[str, str]] = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"referer": "https://evil.example/a"},
    {"referer": "https://testserver.evil.example/"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site", "origin": "https://testserver"},
]


class Form(NamedTuple):
    """A form that is sent by POST, and the names of what is typed into it."""

    address: str
    page: str
    names: tuple[str, ...]


class Forms(HTMLParser):
    """The forms of a page into which something is typed: where each is sent, and the names."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {}
        self.action: str | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note a form, and what is in it."""
        found = dict(attributes)
        if tag == "form":
            self.action = (found.get("action") or "") if (found.get("method") or "").lower() == "post" else None
        if self.action is None or "readonly" in found:
            return
        if tag == "textarea" or (tag == "input" and (found.get("type") or "") in TYPED):
            self.found.setdefault(self.action, []).append(found.get("name") or "")


def a_browser(**options: Any) -> Client:
    """A browser on https."""
    headers = {"x-forwarded-proto": "https", "host": "testserver"}
    return Client(raise_request_exception=False, headers=headers, **options)


def forms_of(world: World) -> list[Form]:
    """Every form of the site into which the owner or an anonymous reader types."""
    forms: dict[tuple[str, tuple[str, ...]], Form] = {}
    for person in ("owner", "anonymous"):
        browser = a_browser()
        world.log_in(browser, person)
        for path in own_routes():
            address = world.address(path)
            with undone(browser):
                response = browser.get(address)
            if response.status_code != 200 or not response.headers["Content-Type"].startswith("text/html"):
                continue
            parser = Forms()
            parser.feed(response.text)
            for action, names in parser.found.items():
                form = Form(action or address, response.text, tuple(names))
                # The same form stands on many pages.
                forms.setdefault((re.sub(r"\d+", "N", form.address), form.names), form)
    return list(forms.values())


def typed(form: Form) -> dict[str, str]:
    """The form filled: into each field a text of its own."""
    words = {name: f"typed <i>{number}</i> & 中文" for number, name in enumerate(form.names)}
    return {**fields_of(form.page), **words}


def lost(form: Form, page: str) -> list[str]:
    """The names of the fields whose texts are not on `page`."""
    return [name for name in form.names if not_secret(name) and html.escape(typed(form)[name]) not in page]


def not_secret(name: str) -> bool:
    """Whether what is typed into a field of this name may be shown again."""
    return not resending.SECRET.search(name)


def test_every_field_that_is_typed_has_a_label(world: World) -> None:
    names = {name for form in forms_of(world) for name in form.names if not_secret(name)}
    assert len(names) > 8
    assert names - set(LABELS) - {"website"} == set()


def test_no_text_is_lost_with_an_expired_form(world: World) -> None:
    browser = a_browser(enforce_csrf_checks=True)
    world.log_in(browser, "owner")
    found = {}
    for form in forms_of(world):
        with undone(browser):
            response = browser.post(form.address, typed(form), headers={"origin": "https://testserver"})
        found[form.address] = (response.status_code, lost(form, response.text))
    assert found == dict.fromkeys(found, (403, []))


def test_no_text_is_lost_with_an_ended_session(world: World) -> None:
    browser = a_browser()
    found = {}
    for form in forms_of(world):
        with undone(browser):
            response = browser.post(form.address, typed(form))
        # What the anonymous may use answers as ever, with what is wrong.
        found[form.address] = (response.status_code in (200, 302, 403), lost(form, response.text))
    kept = {address for address, (_ok, names) in found.items() if not names}
    assert {address for address in found if address.startswith(("/write/", "/report/"))} <= kept
    assert {"/account/", "/account/username/", "/account/email/", "/account/signup/"} <= kept
    assert any("/comments/" in address for address in kept)
    # The one that is taken: it says that the mail is on its way.
    assert set(found) - kept <= {"/account/password/reset/"}


def test_no_text_is_lost_by_a_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(*_arguments: Any) -> None:
        raise limits.LimitReachedError(90)

    monkeypatch.setattr(limits, "take", reached)
    found = {}
    for person in ("owner", "anonymous"):
        browser = a_browser()
        world.log_in(browser, person)
        for form in forms_of(world):
            with undone(browser):
                response = browser.post(form.address, typed(form))
            if response.status_code == 429:
                found[form.address] = ("90" in response.headers.get("Retry-After", ""), lost(form, response.text))
    assert found == dict.fromkeys(found, (True, []))
    assert "/account/password/reset/" in found
    assert any("/comments/" in address for address in found)


def test_no_text_is_lost_when_the_database_goes_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    forms = forms_of(world)
    browser = a_browser()
    world.log_in(browser, "owner")

    def away(*_arguments: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    found = {}
    with monkeypatch.context() as patch:
        patch.setattr(CursorWrapper, "execute", away)
        for form in forms:
            response = browser.post(form.address, typed(form))
            found[form.address] = (response.status_code, "Retry-After" in response.headers, lost(form, response.text))
    assert found == dict.fromkeys(found, (503, True, []))


# --- One click


def again(response: Any) -> tuple[str, dict[str, str]]:
    """Where the form on the page goes, and what a browser sends of it, the token too."""
    start = response.text.index('<form class="form"')
    part = response.text[start : response.text.index("</form>", start)]
    action = re.search(r'action="([^"]*)"', part)
    assert action
    fields = {
        name: html.unescape(value) for name, value in re.findall(r'<input[^>]*name="(\w+)" value="([^"]*)"', part)
    }
    texts = re.findall(r'<textarea[^>]*name="(\w+)"[^>]*readonly>\n(.*?)</textarea>', part, re.DOTALL)
    return html.unescape(action[1]), {**fields, **{name: html.unescape(value) for name, value in texts}}


OWN = {"origin": "https://testserver"}


def test_one_click_sends_an_expired_form_again() -> None:
    browser = a_browser(enforce_csrf_checks=True)
    browser.force_login(a_user("ann"))
    form = {
        **fields_of(browser.get("/write/new/").text),
        "title": 'A "title" <b>',
        "body": "\n\nOne.\n\nTwo.",
        "do": "save",
    }
    address, fields = again(browser.post("/write/new/?a=1&b=2", form, headers=OWN))
    assert address == "/write/new/?a=1&b=2"
    assert browser.post(address, fields, headers=OWN).status_code == 302
    article = Article.objects.latest("pk")
    assert (article.title, article.body.strip()) == ('A "title" <b>', "One.\n\nTwo.")


def test_after_a_failure_of_the_database_one_click_sends_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    browser = a_browser(enforce_csrf_checks=True)
    browser.force_login(a_user("ann"))
    page = browser.get("/write/new/").text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token
    form = {**fields_of(page), "title": "A", "body": "One.", "do": "save", "csrfmiddlewaretoken": token[1]}

    def away(*_arguments: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(CursorWrapper, "execute", away)
        address, fields = again(browser.post("/write/new/", form, headers=OWN))
    assert browser.post(address, fields, headers=OWN).status_code == 302
    assert Article.objects.latest("pk").body == "One."


def test_nothing_is_sent_as_somebody_else_unseen() -> None:
    article = an_article()
    browser = a_browser(enforce_csrf_checks=True)
    browser.force_login(a_user("bob"))
    browser.get("/write/new/")
    form = {"body": "Bob's words."}
    browser.logout()
    address, fields = again(browser.post(write_address(article), form, headers=OWN))
    browser.get("/account/login/")
    log_in_anew(browser, a_user("carol"))
    response = browser.post(address, fields, headers=OWN)
    assert response.status_code == 403
    assert "(@carol)" in response.text
    assert not Comment.objects.filter(body="Bob's words.").exists()
    address, fields = again(response)
    assert browser.post(address, fields, headers=OWN).status_code == 302
    assert Comment.objects.get(body="Bob's words.").author == a_user("carol")


def write_address(article: Article) -> str:
    """Where a comment on `article` is sent."""
    return reverse("blog:comment_write", args=[article.pk])


def log_in_anew(browser: Client, user: User) -> None:
    """Log in as a form does: with a new token."""
    user.set_password("correct horse battery")
    user.save()
    token = browser.cookies["csrftoken"].value
    response = browser.post(
        "/account/login/",
        {"login": user.username, "password": "correct horse battery", "csrfmiddlewaretoken": token},
        headers=OWN,
    )
    assert response.status_code == 302, response.text


# --- What is never offered


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("person", ["ann", ""])
def test_what_another_site_sent_is_not_offered(headers: dict[str, str], person: str) -> None:
    browser = a_browser(enforce_csrf_checks=True)
    if person:
        browser.force_login(a_user(person))
    response = browser.post("/write/new/", {"title": "Evil.", "body": "Evil words."}, headers=headers)
    assert response.status_code == 403
    assert "Evil" not in response.text
    assert "Send it again" not in response.text


def test_another_sites_form_is_not_offered_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_arguments: Any) -> None:
        raise OperationalError("away")

    browser = a_browser()
    browser.force_login(a_user("ann"))
    monkeypatch.setattr(CursorWrapper, "execute", away)
    response = browser.post("/write/new/", {"body": "Evil words."}, headers={"origin": "https://evil.example"})
    assert response.status_code == 503
    assert "Evil" not in response.text


def a_request(data: dict[str, Any], **options: Any) -> HttpRequest:
    """A form on its way."""
    return RequestFactory().post("/a/", data, headers={"host": "testserver"}, **options)


def test_passwords_and_codes_are_never_repeated() -> None:
    secrets = (
        "password",
        "password1",
        "oldpassword",
        "code",
        "otp_code",
        "credential",
        "csrfmiddlewaretoken",
        "secret",
    )
    sent = sent_by(a_request({"username": "ann", **dict.fromkeys(secrets, "hidden words")}))
    assert sent
    assert [(field.name, field.value) for field in sent.fields] == [("username", "ann")]
    assert sent.had_secrets


@pytest.mark.parametrize(
    "data",
    [
        {"value": "1"},
        {"body": "  \n"},
        {"body": "x" * (resending.LARGEST_CHARACTERS + 1)},
        {"body": "x", **{f"f{number}": "1" for number in range(resending.MOST_FIELDS)}},
    ],
    ids=["a button", "nothing", "too much", "too many"],
)
def test_what_is_no_text_or_too_much_is_not_offered(data: dict[str, str]) -> None:
    assert sent_by(a_request(data)) is None


def test_a_visit_offers_nothing() -> None:
    assert sent_by(RequestFactory().get("/?body=words")) is None


def test_both_names_of_the_site_are_its_own(settings: Any) -> None:
    for origin in (settings.SITE_URL, "http://testserver"):
        assert is_own(RequestFactory().post("/", headers={"host": "testserver", "origin": origin}))


def test_a_page_that_asks_to_log_in_is_kept_by_nobody() -> None:
    response = a_browser().post("/write/new/", {"body": "Words."})
    assert response.status_code == 403
    assert "no-store" in response.headers["Cache-Control"]


def test_htmx_shows_the_texts_in_place_of_the_page() -> None:
    response = a_browser().post(write_address(an_article()), {"body": "Words."}, headers={"HX-Request": "true"})
    assert response.status_code == 403
    assert response.headers["HX-Retarget"] == "#main"
    assert "Words." in response.text

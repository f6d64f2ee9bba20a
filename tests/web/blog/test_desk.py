"""The back office as its authors use it, without JavaScript."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blog import writing
from blog.models import Article, Category, Tag
from blog.writing import Submission
from tests.web.builders import a_category, a_user, an_article, later

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(client: Client) -> Client:
    """Ann's browser."""
    client.force_login(a_user("ann"))
    return client


def fields_of(page: str) -> dict[str, str]:
    """The hidden fields and the plain ones of the editor's form, as a browser would send them."""
    form = page[page.index('<form class="columns editor"') :]
    found = dict(re.findall(r'<input type="(?:text|hidden|url|datetime-local)" name="(\w+)" value="([^"]*)"', form))
    found |= dict(re.findall(r'<textarea name="(\w+)"[^>]*>\n?(.*?)</textarea>', form, re.DOTALL))
    for name, options in re.findall(r'<select name="(\w+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        found[name] = chosen.group(1) if chosen else ""
    return {name: html.unescape(value) for name, value in found.items() if name != "csrfmiddlewaretoken"}


def send(browser: Client, address: str, do: str = "save", **changes: str) -> Any:
    """Open the editor, change fields, press a button; the answer."""
    return browser.post(address, {**fields_of(browser.get(address).text), **changes, "do": do})


# --- The editor


def test_a_new_article_is_written_and_published(ann: Client) -> None:
    response = send(
        ann, "/write/new/", "publish", title="部署", body="正文", tags="部署，nginx、Docker", new_category="笔记"
    )
    article = Article.objects.get()
    assert response.headers["Location"] == f"/write/{article.pk}/"
    assert ann.get(article.get_absolute_url()).status_code == 200
    assert article.get_absolute_url() == f"/ann/{article.pk}-部署/".replace("部署", "%E9%83%A8%E7%BD%B2")
    assert [tag.name for tag in article.tags.order_by("article_tags__pk")] == ["部署", "nginx", "Docker"]
    assert str(article.category) == "笔记"


def test_saving_what_the_form_shows_changes_nothing(ann: Client) -> None:
    article = an_article(a_user("ann"), tags=("b", "a"), category=a_category(a_user("ann")), summary="In short.")
    stored = Article.objects.values().get()
    send(ann, f"/write/{article.pk}/")
    assert Article.objects.values().get() == stored


def test_a_button_pressed_twice_saves_once(ann: Client) -> None:
    form = {**fields_of(ann.get("/write/new/").text), "title": "A title", "body": "Words.", "do": "publish"}
    assert [ann.post("/write/new/", form).status_code for _turn in range(2)] == [302, 302]
    assert Article.objects.get().revisions.count() == 1


def test_a_date_to_come_schedules(ann: Client) -> None:
    send(ann, "/write/new/", "publish", title="Later", published_at=later(days=2).strftime("%Y-%m-%dT%H:%M"))
    article = Article.objects.get()
    assert (article.status, article.is_public) == ("published", False)
    assert ann.get(article.get_absolute_url()).status_code == 404


def test_back_to_draft_takes_it_from_readers(ann: Client) -> None:
    article = an_article(a_user("ann"))
    send(ann, f"/write/{article.pk}/", "draft")
    assert ann.get(article.get_absolute_url()).status_code == 404


def test_an_old_slug_leads_to_the_new_one(ann: Client) -> None:
    article = an_article(a_user("ann"))
    old = article.get_absolute_url()
    send(ann, f"/write/{article.pk}/", slug="新的 Name")
    article.refresh_from_db()
    assert article.slug == "新的-name"
    assert ann.get(old).headers["Location"] == article.get_absolute_url()


def test_the_slug_of_a_draft_follows_its_title(ann: Client) -> None:
    article = an_article(a_user("ann"), status="draft", published_at=None)
    send(ann, f"/write/{article.pk}/", title="Another one")
    assert Article.objects.get().slug == "another-one"


def test_the_slug_of_what_was_published_stays_when_the_title_changes(ann: Client) -> None:
    article = an_article(a_user("ann"))
    send(ann, f"/write/{article.pk}/", title="Another one")
    assert Article.objects.get().slug == "a-title"


def test_a_preview_saves_nothing_and_keeps_what_was_typed(ann: Client) -> None:
    page = send(ann, "/write/new/", "preview", title="A title", body="**“中文”**强调", tags="a、b").text
    assert "<strong>“中文”</strong>强调" in page
    assert {"title": "A title", "body": "**“中文”**强调", "tags": "a、b"}.items() <= fields_of(page).items()
    assert not Article.objects.exists()


def test_two_tabs_are_a_conflict_that_shows_both_texts(ann: Client) -> None:
    article = an_article(a_user("ann"))
    address = f"/write/{article.pk}/"
    other = {**fields_of(ann.get(address).text), "body": "From the other tab.", "do": "save"}
    send(ann, address, body="From the first tab.")
    response = ann.post(address, other)
    assert response.status_code == 409
    assert "From the first tab." in response.text
    assert fields_of(response.text)["body"] == "From the other tab."
    assert Article.objects.get().body == "From the first tab."


def test_after_a_conflict_saving_again_replaces_knowingly(ann: Client) -> None:
    article = an_article(a_user("ann"))
    address = f"/write/{article.pk}/"
    other = {**fields_of(ann.get(address).text), "body": "From the other tab.", "do": "save"}
    send(ann, address, body="From the first tab.")
    again = {**fields_of(ann.post(address, other).text), "do": "save"}
    assert ann.post(address, again).status_code == 302
    assert Article.objects.get().body == "From the other tab."
    assert article.revisions.filter(body="From the first tab.").exists()


def test_what_was_never_saved_is_offered_and_taken_up(ann: Client) -> None:
    article = an_article(a_user("ann"))
    ann.post(f"/write/{article.pk}/autosave/", {"title": "A title", "body": "Typed.", "version": "1", "tab": "t"})
    assert "never saved" in ann.get(f"/write/{article.pk}/").text
    assert fields_of(ann.get(f"/write/{article.pk}/?unsaved").text)["body"] == "Typed."


# --- What cannot be saved

BAD = {
    "title": ["", " ", "x" * 201, "\u202e", "\0"],
    "body": ["长" * 70_000],
    "summary": ["x" * 301],
    "tags": ["x" * 51, ",".join(map(str, range(21))), "\ufdfa" * 40],
    "category": ["987654", "abc", "a\0b", "9" * 40],
    "new_category": ["x" * 51, "\ufdfa" * 40],
    "language": ["", "xx", "a\0b"],
    "comment_policy": ["", "xx"],
    "published_at": ["abc", "2026-13-01T00:00", "0001-01-01T00:00", "9999-12-31T23:59", "a\0b"],
    "slug": ["x" * 101],
    "canonical_url": ["javascript:alert(1)", "ftp://example.org/", "http://[", "https://" + "x" * 600 + ".org"],
    "note": ["x" * 201],
    "version": ["", "abc", "-1", "9" * 30],
    "key": ["abc", "a\0b"],
    "tab": ["a b", "x" * 33],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_what_is_wrong_is_told_and_what_was_typed_is_still_there(name: str, value: str, ann: Client) -> None:
    kept = {"title": "Kept title", "body": "Kept text.", name: value}
    response = send(ann, "/write/new/", **kept)
    assert response.status_code == 422
    assert 'role="alert"' in response.text
    shown = fields_of(response.text)
    assert all(shown[field] == kept[field] for field in ("title", "body") if field != name)
    assert not Article.objects.exists()


def test_what_is_wrong_stands_beside_its_field(ann: Client) -> None:
    page = send(ann, "/write/new/", title="A title", canonical_url="ftp://example.org/").text
    assert '<p class="wrong" id="id_canonical_url_error">' in page
    assert re.search(r'name="canonical_url"[^>]*aria-invalid="true"', page)


def test_another_authors_category_is_no_choice(ann: Client) -> None:
    other = a_category(a_user("bob"))
    assert send(ann, "/write/new/", title="A title", category=str(other.pk)).status_code == 422


@pytest.mark.parametrize("tags", ["#a, ＃A，a;；、a\n", "Ａ,a"])
def test_a_tag_is_given_once(tags: str, ann: Client) -> None:
    send(ann, "/write/new/", title="A title", tags=tags)
    assert Tag.objects.count() == 1


def test_emoji_and_other_scripts_are_text_like_any(ann: Client) -> None:
    send(ann, "/write/new/", "publish", title="🙂 العربية", body="🙂", tags="🙂", new_category="🙂", slug="🙂")
    article = Article.objects.get()
    assert (article.title, article.slug, Category.objects.get().name) == ("🙂 العربية", "article", "🙂")
    assert ann.get(article.get_absolute_url()).status_code == 200


def test_control_characters_are_left_out(ann: Client) -> None:
    send(ann, "/write/new/", title="a\0\u202eb", body="one\r\ntwo\0")
    assert Article.objects.values_list("title", "body").get() == ("ab", "one\ntwo")


def test_after_the_session_ended_the_text_is_still_there(ann: Client) -> None:
    form = {**fields_of(ann.get("/write/new/").text), "title": "A title", "body": "Typed <for> long.", "do": "save"}
    ann.logout()
    response = ann.post("/write/new/", form)
    assert response.status_code == 403
    assert "Typed &lt;for&gt; long." in response.text
    assert 'action="/write/new/"' in response.text
    assert re.search(r'<textarea [^>]*name="title"[^>]*>\nA title</textarea>', response.text)


def browser_with_csrf() -> Client:
    """Ann's browser, which has no valid token."""
    browser = Client(enforce_csrf_checks=True, headers={"x-forwarded-proto": "https", "host": "testserver"})
    browser.force_login(a_user("ann"))
    return browser


def test_an_expired_form_can_be_sent_again() -> None:
    browser = browser_with_csrf()
    form = {**fields_of(browser.get("/write/new/").text), "title": "A title", "body": "Typed."}
    response = browser.post("/write/new/", form, headers={"origin": "https://testserver"})
    assert response.status_code == 403
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', response.text)
    assert token is not None
    again = {**form, "csrfmiddlewaretoken": token.group(1)}
    assert browser.post("/write/new/", again, headers={"origin": "https://testserver"}).status_code == 302
    assert Article.objects.get().body == "Typed."


def test_what_another_site_sent_is_not_offered_to_be_sent_again() -> None:
    response = browser_with_csrf().post("/write/new/", {"body": "Evil."}, headers={"origin": "https://evil.example"})
    assert response.status_code == 403
    assert "Evil." not in response.text


values = st.one_of(st.text(max_size=30), st.sampled_from([value for group in BAD.values() for value in group]))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["new/", "1/", "new/autosave/", "preview/", "links", "new/discard/"]),
    st.dictionaries(st.sampled_from([*BAD, "do", "days"]), values),
)
def test_no_form_is_answered_with_a_server_error(ann: Client, address: str, fields: dict[str, str]) -> None:
    article = Article.objects.first() or an_article(a_user("ann"))
    path = "/write/" + address.replace("1/", f"{article.pk}/").replace("links", f"{article.pk}/links/")
    sent = {name: value.encode("utf-8", "replace") for name, value in fields.items()}
    browser = Client(raise_request_exception=True, headers={"x-forwarded-proto": "https", "host": "testserver"})
    browser.force_login(article.author)
    assert browser.post(path, sent).status_code < 500


# --- The list


def titles(page: str) -> set[str]:
    """The articles in the list."""
    return set(re.findall(r'<h2 lang="\w+"><a [^>]*>([^<]*)</a>', page))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"Draft one", "Scheduled", "Published"}),
        ("?state=draft", {"Draft one"}),
        ("?state=scheduled", {"Scheduled"}),
        ("?state=published", {"Published"}),
        ("?state=trash", {"Trashed"}),
        ("?q=one+DRAFT", {"Draft one"}),
        ("?q=%00%25", set()),
        ("?tag=nginx", {"Published"}),
        ("?category=CATEGORY", {"Draft one"}),
        ("?category=99999999999999999999", set()),
    ],
)
def test_the_list_is_filtered(query: str, expected: set[str], ann: Client) -> None:
    author = a_user("ann")
    category = a_category(author)
    an_article(author, "Draft one", status="draft", category=category)
    an_article(author, "Scheduled", published_at=later(days=1))
    an_article(author, "Published", tags=("nginx",))
    writing.trash(an_article(author, "Trashed"))
    an_article(a_user("bob"), "Of another author")
    assert titles(ann.get("/write/" + query.replace("CATEGORY", str(category.pk))).text) == expected


@pytest.mark.parametrize("query", ["?state=x", "?category=abc", "?page=abc", "?page=2", "?category=%00", "?state=%00"])
def test_what_is_no_filter_is_404(query: str, ann: Client) -> None:
    assert ann.get("/write/" + query).status_code == 404


def test_the_pages_keep_the_filter(ann: Client) -> None:
    for number in range(21):
        an_article(a_user("ann"), f"Title {number}", status="draft")
    page = ann.get("/write/?state=draft&q=title").text
    assert 'href="/write/?state=draft&amp;q=title&amp;page=2"' in page


# --- How much each page asks of the database

QUERIES = {
    "/write/": 10,  # session, user; counts, how many, articles, their tags; categories, tags; waiting; unread
    "/write/new/": 6,  # session, user; unsaved text, categories, pictures for a cover; unread notifications
    "/write/ID/": 8,  # ... and the article, its tags
    "/write/ID/revisions/": 6,  # session, user; article; how many, revisions
    "/write/ID/revisions/REVISION/": 6,  # session, user; article; revision, the one before
    "/write/ID/links/": 5,  # session, user; article; links
}


@pytest.mark.parametrize("articles", [2, 6])
@pytest.mark.parametrize("page", QUERIES)
def test_a_page_makes_this_many_queries(
    page: str, articles: int, ann: Client, queries_of: Callable[[int], AbstractContextManager[object]]
) -> None:
    author = a_user("ann")
    for number in range(articles):
        article = an_article(author, f"Title {number}", tags=("a", f"tag{number}"), category=None)
        for version in range(1, number + 2):
            writing.save(article, author, Submission({"body": f"Text {version}."}, version=version))
    address = page.replace("ID", str(article.pk)).replace("REVISION", str(article.revisions.latest("pk").pk))
    with queries_of(QUERIES[page]):
        assert ann.get(address).status_code == 200


def test_a_save_makes_this_many_queries(
    ann: Client, queries_of: Callable[[int], AbstractContextManager[object]]
) -> None:
    article = writing.save(an_article(a_user("ann")), a_user("ann"), Submission({"body": "One."}, version=1))
    form = {**fields_of(ann.get(f"/write/{article.pk}/").text), "body": "Two.", "do": "save"}
    with queries_of(19):
        assert ann.post(f"/write/{article.pk}/", form).status_code == 302

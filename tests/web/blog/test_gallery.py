"""One's own pictures in the back office, and the cover in the editor."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.test import Client

from blog.models import Article
from config import limits
from tests.web.blog.test_desk import fields_of
from tests.web.builders import a_user, an_article
from tests.web.uploads.conftest import media  # noqa: F401  (a fixture for every test here)
from tests.web.uploads.making import a_picture, content, upload
from uploads.models import Picture, Use

pytestmark = pytest.mark.django_db
PAGE = "/write/pictures/"
JSON = {"accept": "application/json"}


@pytest.fixture
def ann(client: Client) -> Client:
    """The browser of ann."""
    client.force_login(a_user("ann"))
    return client


def test_a_picture_is_uploaded_and_shown(ann: Client) -> None:
    response = ann.post(PAGE, {"file": upload(), "alt": "The sea"}, follow=True)
    picture = Picture.objects.get()
    assert picture.alt == "The sea"
    assert picture.owner == a_user("ann")
    assert f'value="![The sea]({picture.url})"' in response.text
    assert f'src="{picture.url}" alt="The sea" width="40" height="30"' in response.text


def test_a_refused_file_is_a_message_beside_the_field_and_the_description_stays(ann: Client) -> None:
    response = ann.post(PAGE, {"file": upload(b"<svg/>"), "alt": "My words"})
    assert response.status_code == 422
    assert 'id="id_file_error"' in response.text
    assert 'value="My words"' in response.text
    assert not Picture.objects.exists()


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_message_is_in_the_readers_language(ann: Client, language: str) -> None:
    ann.post("/i18n/setlang/", {"language": language})
    response = ann.post(PAGE, {"file": upload(b"<svg/>")}, headers=JSON)
    assert response.json() == {
        "error": {
            "en": "This is not a JPEG, PNG, WebP, GIF or AVIF picture.",
            "zh-hans": "这不是 JPEG、PNG、WebP、GIF 或 AVIF 图片。",
        }[language]
    }


def test_the_editor_is_answered_in_json(ann: Client) -> None:
    response = ann.post(PAGE, {"file": upload()}, headers=JSON)
    assert response.status_code == 201
    assert response.json() == {"url": Picture.objects.get().url, "note": ""}


def test_of_an_animation_it_is_said_that_it_stands_still(ann: Client) -> None:
    moving = content("GIF", save_all=True, append_images=[_other()])
    assert "first" in ann.post(PAGE, {"file": upload(moving)}, headers=JSON).json()["note"]


def _other() -> Any:
    """Another frame."""
    from PIL import Image

    return Image.new("RGB", (40, 30), "red")


@pytest.mark.parametrize("fields", [{}, {"file": ""}, {"file": "text"}, {"alt": "x" * 301}])
def test_a_form_without_a_file_is_refused(ann: Client, fields: dict[str, Any]) -> None:
    assert ann.post(PAGE, fields).status_code == 422
    assert ann.post(PAGE, fields, headers=JSON).status_code == 422


def test_odd_texts_do_no_harm(ann: Client) -> None:
    for name in ("a" * 400 + ".png", "\u202egnp.exe", "中文 图.png", "a\0b.png", "<b>.png"):
        for alt in ("\0", "\u202e", "🙂" * 300, "](x)", "\n\n# x"):
            status = ann.post(PAGE, {"file": upload(name=name), "alt": alt}).status_code
            assert status in (302, 422)
    assert ann.get(PAGE).status_code == 200


def test_too_many_are_429_and_say_when_to_come_back(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.RATES, "upload", limits.Rates(limits.Rate(9, 60), limits.Rate(1, 60)))
    for headers in ({}, JSON):
        ann.post(PAGE, {"file": upload()}, headers=headers)
        response = ann.post(PAGE, {"file": upload(), "alt": "My words"}, headers=headers)
        assert response.status_code == 429
        assert int(response.headers["Retry-After"]) <= 60
    assert Picture.objects.count() == 1


def test_beyond_the_quota_it_is_a_message(ann: Client, settings: Any) -> None:
    settings.PICTURE_QUOTA = 100
    response = ann.post(PAGE, {"file": upload()}, headers=JSON)
    assert response.status_code == 422
    assert "MB that you have" in response.json()["error"]


def test_only_ones_own_pictures_are_listed(ann: Client) -> None:
    a_picture(a_user("bob"), alt="Bobs")
    a_picture(a_user("ann"), alt="Anns")
    page = ann.get(PAGE).text
    assert "Anns" in page
    assert "Bobs" not in page


def test_the_description_can_be_changed(ann: Client) -> None:
    picture = a_picture(a_user("ann"))
    assert ann.post(f"{PAGE}{picture.pk}/", {"alt": "  New  words "}).status_code == 302
    picture.refresh_from_db()
    assert picture.alt == "New words"
    assert ann.post(f"{PAGE}{picture.pk}/", {"alt": "x" * 301}).status_code == 422


def test_the_list_says_where_a_picture_is_used(ann: Client) -> None:
    picture = a_picture(a_user("ann"))
    article = an_article(a_user("ann"), title="Of the sea", body=picture.markdown, cover=picture.name)
    ann.post("/write/new/autosave/", {"title": "", "body": picture.markdown, "version": "0", "tab": "tab"})
    page = ann.get(PAGE).text
    assert page.count(f'<a href="/write/{article.pk}/" lang="en">Of the sea</a>') == 2
    assert '<a href="/write/new/">unsaved text</a>' in page


def test_deleting_asks_and_warns(ann: Client) -> None:
    picture = a_picture(a_user("ann"))
    an_article(a_user("ann"), title="Of the sea", body=picture.markdown)
    page = ann.get(f"{PAGE}{picture.pk}/delete/").text
    assert "It is used." in page
    assert "Of the sea" in page
    assert Picture.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_deleted_picture_is_no_cover_any_more(ann: Client, media: Any) -> None:  # noqa: F811
    picture = a_picture(a_user("ann"), ready=True)
    article = an_article(a_user("ann"), cover=picture.name)
    assert ann.post(f"{PAGE}{picture.pk}/delete/").status_code == 302
    article.refresh_from_db()
    assert (article.cover.name, article.cover_width, article.cover_ready) == ("", None, False)
    assert ann.get(article.get_absolute_url()).status_code == 200
    assert not list(media.rglob("*.*"))
    assert ann.post(f"{PAGE}{picture.pk}/delete/").status_code == 404


QUERIES = {
    PAGE: 7,  # session, user, unread notifications; bytes used, how many, pictures, their uses with the articles
    f"{PAGE}ID/": 6,  # session, user, unread notifications; picture (whose, what), its uses
    f"{PAGE}ID/delete/": 6,
}


@pytest.mark.parametrize("number", [2, 7])
@pytest.mark.parametrize("page", QUERIES)
def test_a_page_makes_this_many_queries(
    page: str, number: int, ann: Client, queries_of: Callable[[int], AbstractContextManager[object]]
) -> None:
    for title in range(number):
        picture = a_picture(a_user("ann"))
        an_article(a_user("ann"), title=f"{title}", body=picture.markdown, cover=picture.name)
        ann.post(
            f"/write/{Article.objects.latest('pk').pk}/autosave/",
            {"title": "", "body": picture.markdown, "version": "1", "tab": "tab"},
        )
    with queries_of(QUERIES[page]):
        assert ann.get(page.replace("ID", str(picture.pk))).status_code == 200


# --- The cover in the editor


def sent(ann: Client, article: Article, **fields: Any) -> Any:
    """The editor's form with these fields, sent."""
    form = fields_of(ann.get(f"/write/{article.pk}/").text)
    return ann.post(f"/write/{article.pk}/", {**form, "do": "save", **fields})


def test_a_cover_is_uploaded_with_the_form(ann: Client) -> None:
    article = an_article(a_user("ann"))
    assert sent(ann, article, cover_file=upload(mode="RGBA"), cover_alt="The sea").status_code == 302
    article.refresh_from_db()
    picture = Picture.objects.get()
    assert (article.cover.name, article.cover_alt) == (picture.name, "The sea")
    assert (article.cover_width, article.cover_height) == (40, 30)
    assert picture.name.endswith(".jpg"), "what other sites show is a JPEG"
    assert Use.objects.get().role == "cover"


def test_a_cover_is_chosen_kept_and_taken_away(ann: Client) -> None:
    article = an_article(a_user("ann"))
    picture = a_picture(a_user("ann"), alt="The sea")
    sent(ann, article, cover=str(picture.pk))
    article.refresh_from_db()
    assert (article.cover.name, article.cover_alt) == (picture.name, "The sea")
    sent(ann, article, body="Other words.")
    article.refresh_from_db()
    assert article.cover.name == picture.name
    sent(ann, article, cover="")
    article.refresh_from_db()
    assert not article.cover


def test_anothers_picture_is_no_choice(ann: Client) -> None:
    article = an_article(a_user("ann"))
    response = sent(ann, article, cover=str(a_picture(a_user("bob")).pk))
    assert response.status_code == 422
    for odd in ("0", "-1", "x", "9" * 30, "\0"):
        assert sent(ann, article, cover=odd).status_code == 422


def test_a_refused_cover_keeps_what_was_typed(ann: Client) -> None:
    article = an_article(a_user("ann"))
    response = sent(ann, article, cover_file=upload(b"<svg/>"), body="My words.")
    assert response.status_code == 422
    assert 'id="id_cover_file_error"' in response.text
    assert "My words." in response.text


def test_a_cover_stays_chosen_when_something_else_is_wrong(ann: Client) -> None:
    article = an_article(a_user("ann"))
    response = sent(ann, article, cover_file=upload(), title="")
    assert response.status_code == 422
    assert f'<option value="{Picture.objects.get().pk}" selected>' in response.text


def test_after_too_many_covers_what_was_typed_is_still_there(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.RATES, "upload", limits.Rates(limits.Rate(9, 60), limits.Rate(0, 60)))
    article = an_article(a_user("ann"))
    response = sent(ann, article, cover_file=upload(), body="My words.")
    assert response.status_code == 429
    assert "My words." in response.text


def test_the_author_is_told_of_pictures_without_description_and_of_other_sites(ann: Client) -> None:
    article = an_article(a_user("ann"))
    body = "![](/media/pictures/a.jpg) ![x](https://other.example/a.png) ![y](//other.example/b.png)"
    page = ann.get(sent(ann, article, body=body).headers["Location"]).text
    assert "1 picture has no description" in page
    assert "2 pictures of other sites" in page


def test_the_administrator_s_cover_is_taken_in_as_any_other(client: Client) -> None:
    client.force_login(a_user("root", is_staff=True, is_superuser=True))
    article = an_article(a_user("ann"))
    page = client.get(f"/admin/blog/article/{article.pk}/change/").text
    names = re.findall(r'name="(\w+-(?:TOTAL|INITIAL|MIN_NUM|MAX_NUM)_FORMS)" value="(\d+)"', page)
    form = {
        **dict(names),
        "author": article.author_id,
        "title": "T",
        "slug": "t",
        "language": "en",
        "status": "draft",
        "body": "B",
        "comment_policy": "open",
        "published_at_0": "",
        "published_at_1": "",
    }
    response = client.post(f"/admin/blog/article/{article.pk}/change/", {**form, "cover": upload(b"<svg/>")})
    assert response.status_code == 200
    assert "errorlist" in response.text
    response = client.post(f"/admin/blog/article/{article.pk}/change/", {**form, "cover": upload(name="x.php")})
    assert response.status_code == 302
    article.refresh_from_db()
    picture = Picture.objects.get()
    assert (article.cover.name, picture.owner) == (picture.name, article.author)

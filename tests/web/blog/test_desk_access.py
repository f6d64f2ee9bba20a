"""Who may open what in the back office: every address, by every kind of person."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import get_resolver

from blog import sharing, writing
from blog.desk_urls import urlpatterns
from blog.models import Article
from blog.writing import Submission
from tests.web.builders import a_user, an_article

pytestmark = pytest.mark.django_db

# What each gets: anonymous, another author, the owner, staff. 302 of the anonymous leads to log-in.
GET = {
    "articles": (302, 200, 200, 200),
    "new": (302, 200, 200, 200),
    "edit": (302, 404, 200, 200),
    "delete": (302, 404, 200, 200),
    "revisions": (302, 404, 200, 200),
    "revision": (302, 404, 200, 200),
    "links": (302, 404, 200, 200),
    "comments": (302, 200, 200, 200),
    "blocked": (302, 200, 200, 200),
}
POST = {
    "new": (302, 422, 422, 422),
    "edit": (302, 404, 422, 422),
    "preview": (302, 200, 200, 200),
    "autosave_new": (302, 200, 200, 200),
    "discard_new": (302, 302, 302, 302),
    "autosave": (302, 404, 200, 200),
    "discard": (302, 404, 302, 302),
    "trash": (302, 404, 302, 302),
    "restore": (302, 404, 302, 302),
    "delete": (302, 404, 302, 302),
    "restore_revision": (302, 404, 302, 302),
    "links": (302, 404, 422, 422),
    "revoke": (302, 404, 302, 302),
    "comments": (302, 400, 400, 400),
    "blocked": (302, 404, 404, 404),
}
PEOPLE = ("", "other", "ann", "chief")


@pytest.fixture
def article() -> Article:
    """An article of ann's in the trash, with a revision and a preview link."""
    made = writing.save(an_article(a_user("ann")), a_user("ann"), Submission({"body": "Words."}, version=1))
    sharing.share(made, "key", 7)
    return writing.trash(made)


def address(name: str, article: Article) -> str:
    """The address of that name, about the article."""
    ids = {"revision": "revisions", "restore_revision": "revisions", "revoke": "preview_links"}
    route = next(str(pattern.pattern) for pattern in urlpatterns if pattern.name == name)
    number = getattr(article, ids[name]).first().pk if name in ids else 0
    return "/write/" + route.replace("<id:pk>", str(article.pk)).replace("<id:number>", str(number))


def visitor(client: Client, person: str) -> Client:
    """The browser of that person."""
    if person:
        client.force_login(a_user(person, is_staff=person == "chief"))
    return client


def test_every_address_has_a_row() -> None:
    assert {pattern.name for pattern in urlpatterns} == {*GET, *POST}


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("name", GET)
def test_who_may_see(name: str, person: str, article: Article, client: Client) -> None:
    response = visitor(client, person).get(address(name, article))
    assert response.status_code == GET[name][PEOPLE.index(person)]


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("name", POST)
def test_who_may_do(name: str, person: str, article: Article, client: Client) -> None:
    fields = {"version": "2", "tab": "tab"} if name.startswith("autosave") else {}
    response = visitor(client, person).post(address(name, article), fields)
    assert response.status_code == POST[name][PEOPLE.index(person)]


@pytest.mark.parametrize("name", sorted({*POST} - {*GET}))
def test_nothing_is_done_by_get(name: str, article: Article, client: Client) -> None:
    assert visitor(client, "ann").get(address(name, article)).status_code == 405


@pytest.mark.parametrize("name", POST)
def test_nothing_is_done_without_a_token(name: str, article: Article) -> None:
    browser = Client(enforce_csrf_checks=True, headers={"x-forwarded-proto": "https"})
    assert visitor(browser, "ann").post(address(name, article)).status_code == 403


def test_log_in_leads_back(article: Article, client: Client) -> None:
    response = client.get(address("edit", article))
    assert response.headers["Location"].endswith(f"?next=/write/{article.pk}/")


@pytest.mark.parametrize("method", ["get", "post"])
def test_unknown_ids_are_404(method: str, article: Article, client: Client) -> None:
    visitor(client, "ann")
    for pattern in urlpatterns:
        route = str(pattern.pattern)
        for number in (0, 987654, 10**17):
            path = "/write/" + route.replace("<id:pk>", str(number)).replace("<id:number>", "1")
            if path != "/write/" + route:
                assert getattr(client, method)(path).status_code in (404, 405)


def test_a_revision_of_another_article_is_404(article: Article, client: Client) -> None:
    other = writing.save(an_article(a_user("other")), a_user("other"), Submission({"body": "B."}, version=1))
    number = other.revisions.latest("pk").pk
    assert visitor(client, "ann").get(f"/write/{article.pk}/revisions/{number}/").status_code == 404
    assert client.post(f"/write/{article.pk}/revisions/{number}/restore/").status_code == 404


def test_nobody_keeps_a_back_office_page(client: Client) -> None:
    assert "no-store" in visitor(client, "ann").get("/write/").headers["Cache-Control"]


def test_the_name_write_belongs_to_the_site() -> None:
    assert get_resolver().resolve("/write/").func.__module__ == "blog.desk"


# --- Preview links


def shared(article: Article) -> str:
    """The address of the article's preview."""
    writing.restore(article)
    return f"/preview/{sharing.token_for(article, 'key')}/"


def test_a_preview_needs_no_account_and_is_not_indexed(article: Article, client: Client) -> None:
    response = client.get(shared(article))
    assert "Words." in response.text
    assert response.headers["X-Robots-Tag"].startswith("noindex")
    assert '<meta name="robots" content="noindex' in response.text
    assert "no-store" in response.headers["Cache-Control"]


def test_a_revoked_preview_is_404(article: Article, client: Client) -> None:
    address = shared(article)
    link = article.preview_links.get()
    visitor(client, "ann").post(f"/write/{article.pk}/links/{link.pk}/revoke/")
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("token", ["0" * 64, "x", "0" * 63, "中" * 64])
def test_another_token_is_404(token: str, client: Client) -> None:
    assert client.get(f"/preview/{token}/").status_code == 404

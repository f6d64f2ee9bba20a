"""Ways into the back office, and what may be seen from outside of it (who may what: tests.web.test_permissions)."""

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


@pytest.fixture
def article() -> Article:
    """An article of ann's in the trash, with a revision and a preview link."""
    made = writing.save(an_article(a_user("ann")), a_user("ann"), Submission({"body": "Words."}, version=1))
    sharing.share(made, "key", 7)
    return writing.trash(made)


def visitor(client: Client, person: str) -> Client:
    """The browser of that person."""
    if person:
        client.force_login(a_user(person))
    return client


def test_log_in_leads_back(article: Article, client: Client) -> None:
    response = client.get(f"/write/{article.pk}/")
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

"""Many generated articles."""

from __future__ import annotations

import io

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from blog import counters, scaling, search
from blog.models import Article

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several batches, few texts."""
    monkeypatch.setattr(scaling, "BATCH", 40)
    monkeypatch.setattr(scaling, "VARIANTS", 8)


def scale(number: int) -> str:
    """What the command says."""
    out = io.StringIO()
    call_command("seed", scale=number, stdout=out)
    return out.getvalue()


def test_as_many_articles_as_asked_for_are_there() -> None:
    scale(100)
    assert Article.objects.published().count() == 100


def test_the_counters_and_scores_equal_the_rows() -> None:
    scale(100)
    assert counters.recount(Article.objects.values_list("pk", flat=True)) == 0
    assert Article.objects.filter(up_count__gt=0, score__gt=0).exists()


def test_a_second_run_adds_only_what_is_missing() -> None:
    scale(60)
    assert scale(60).startswith("0 articles generated")
    scale(100)
    assert Article.objects.count() == 100


def test_the_rate_is_printed() -> None:
    assert "articles a second" in scale(40)


def test_the_pages_of_such_a_site_work(client: Client) -> None:
    scale(60)
    article = Article.objects.select_related("author", "category").exclude(tags=None).latest("pk")
    addresses = ["/", "/?page=6", "/feed.atom", article.get_absolute_url(), article.author.get_absolute_url()]
    addresses += [article.tags.all()[0].get_absolute_url()]
    assert [client.get(address).status_code for address in addresses] == [200] * len(addresses)


def test_the_generated_articles_are_found_as_if_they_had_been_saved(client: Client) -> None:
    scale(40)
    assert not search.stale().exists()
    article = Article.objects.exclude(tags=None).latest("pk")
    generated = set(lexemes(article))
    search.index_again(Article.objects.filter(pk=article.pk))
    assert set(lexemes(article)) == generated


def lexemes(article: Article) -> list[str]:
    """What the article is found by."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tsvector_to_array(vector) FROM blog_searchentry WHERE article_id = %s", [article.pk])
        return list(cursor.fetchone()[0])


def test_a_text_with_tabs_and_backslashes_survives_copy() -> None:
    assert scaling.escaped("a\tb\\n\nc") == "a\\tb\\\\n\\nc"

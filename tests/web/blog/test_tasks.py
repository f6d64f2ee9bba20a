"""Rendering anew in the background."""

from __future__ import annotations

import pytest
from django_tasks_db.models import DBTaskResult

from blog import rendering, tasks
from blog.models import Article, Comment
from tests.web.builders import a_comment, an_article
from tests.web.config.test_worker import a_worker

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_the_tests_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker keeps the test's connection; batches are small."""
    monkeypatch.setattr("django_tasks_db.management.commands.db_worker.close_old_connections", lambda: None)
    monkeypatch.setattr(tasks, "BATCH", 2)


def make_stale() -> None:
    """As if an older renderer had made all HTML."""
    Article.objects.update(body_html="old", rendered_with=0)
    Comment.objects.update(body_html="old", rendered_with=0)


def test_every_stale_text_is_rendered_batch_by_batch() -> None:
    for number in range(5):
        a_comment(an_article(title=str(number)))
    make_stale()
    tasks.queue_rerendering()
    a_worker().run()
    assert not tasks.stale_articles().exists()
    assert not tasks.stale_comments().exists()
    assert not Article.objects.filter(body_html="old").exists()
    assert set(DBTaskResult.objects.values_list("status", flat=True)) == {"SUCCESSFUL"}


def test_rendering_anew_does_not_date_the_article() -> None:
    article = an_article()
    make_stale()
    tasks.rerender_articles(0)
    assert Article.objects.get().updated_at == article.updated_at


def test_one_text_that_cannot_be_rendered_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        an_article(title=str(number), body=f"text {number}")
    make_stale()
    render = rendering.render_article

    def fails_once(source: str, pictures: object = None) -> rendering.Rendered:
        if source == "text 0":
            raise RuntimeError("broken on purpose")
        return render(source)

    monkeypatch.setattr(rendering, "render_article", fails_once)
    tasks.queue_rerendering()
    a_worker().run()
    assert [article.title for article in tasks.stale_articles()] == ["0"]


def test_an_article_saved_meanwhile_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    article = an_article(body="before")
    make_stale()
    render = Article.render

    def render_while_the_author_saves(self: Article) -> None:
        render(self)
        Article.objects.filter(pk=article.pk).update(updated_at="2030-01-01T00:00Z", body_html="after")

    monkeypatch.setattr(Article, "render", render_while_the_author_saves)
    tasks.rerender_articles(0)
    assert Article.objects.get().body_html == "after"

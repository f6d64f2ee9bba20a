"""The command that checks the counters."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from blog import counters
from blog.models import Article, Vote
from tests.web.builders import a_comment, a_user, an_article

pytestmark = pytest.mark.django_db


@pytest.fixture
def article() -> Article:
    """One with a comment that its counter does not know, and a vote that does not exist."""
    right = an_article(title="Right")
    Vote.objects.create(article=right, voter=a_user("reader"), value=1)
    counters.recount([right.pk])
    wrong = an_article(title="Wrong")
    a_comment(wrong)
    Article.objects.filter(pk=wrong.pk).update(up_count=7)
    return wrong


def run(*arguments: str) -> str:
    """What the command says."""
    out = io.StringIO()
    call_command("counters", *arguments, stdout=out)
    return out.getvalue()


def test_each_difference_is_named_and_nothing_is_changed(article: Article) -> None:
    out = io.StringIO()
    with pytest.raises(CommandError, match="2 counters are wrong") as failure:
        call_command("counters", stdout=out)
    assert failure.value.returncode == 1
    assert out.getvalue().splitlines() == [
        f"article {article.pk}: comment_count is 0, 1 was counted",
        f"article {article.pk}: up_count is 7, 0 was counted",
    ]
    article.refresh_from_db()
    assert article.up_count == 7


def test_repair_sets_them_right(article: Article) -> None:
    assert "2 counters were wrong and are repaired" in run("--repair")
    assert run() == "all counters are right\n"
    article.refresh_from_db()
    assert (article.up_count, article.comment_count) == (0, 1)


def test_every_batch_is_looked_at(article: Article, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "BATCH", 1)
    assert len(list(counters.check())) == 2

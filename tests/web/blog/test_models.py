"""Articles, categories and tags: what follows from what, and what a reader may see."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from blog import rendering
from blog.models import Article, Category, Tag
from tests.web.builders import MAY, a_category, a_user, an_article, later

pytestmark = pytest.mark.django_db


def published() -> list[str]:
    """The titles that everybody may read."""
    return [article.title for article in Article.objects.published().newest()]


def test_a_published_article_is_seen() -> None:
    an_article(title="seen")
    assert published() == ["seen"]


@pytest.mark.parametrize("status", ["draft", "trashed"])
def test_a_draft_or_trashed_article_is_not_seen(status: str) -> None:
    an_article(status=status)
    assert published() == []


def test_a_scheduled_article_is_seen_when_its_time_has_come_without_any_job() -> None:
    moment = later(hours=1)
    an_article(title="soon", published_at=moment)
    assert published() == []
    assert [article.title for article in Article.objects.published(moment)] == ["soon"]


def test_publishing_without_a_date_publishes_now() -> None:
    article = an_article(published_at=None)
    assert article.published_at is not None
    assert timezone.now() - article.published_at < timedelta(minutes=1)


def test_changing_the_date_later_keeps_the_first_one_and_the_score() -> None:
    article = an_article()
    before = article.score
    article.published_at = MAY + timedelta(days=30)
    article.save()
    assert (article.first_published_at, article.score) == (MAY, before)


def test_until_the_time_has_come_the_first_date_moves_with_it() -> None:
    article = an_article(published_at=later(days=5))
    article.published_at = later(days=1)
    article.save()
    assert article.first_published_at == article.published_at


def test_saving_renders_the_body() -> None:
    article = an_article(body="**中**")
    assert article.body_html == "<p><strong>中</strong></p>"
    assert article.rendered_with == rendering.VERSION


def test_the_excerpt_is_the_summary_or_the_beginning_of_the_text() -> None:
    assert an_article(body="*Words* here.").excerpt == "Words here."
    assert an_article(body="*Words* here.", summary="In short").excerpt == "In short"


def test_control_characters_are_taken_out_when_saving() -> None:
    article = an_article(title="a\0b\u202ec", body="x\0y\r\nz")
    assert (article.title, article.body) == ("abc", "xy\nz")


def test_a_slug_of_ones_own_is_kept_as_far_as_it_can_be_an_address() -> None:
    assert an_article(slug="mine").slug == "mine"
    assert an_article(slug="a/b c?d").slug == "a-b-c-d"


def test_the_address_has_the_name_the_id_and_the_slug() -> None:
    article = an_article(a_user("沈知远"), title="一个请求")
    assert article.get_absolute_url() == (
        f"/%E6%B2%88%E7%9F%A5%E8%BF%9C/{article.pk}-%E4%B8%80%E4%B8%AA%E8%AF%B7%E6%B1%82/"
    )


def test_a_category_of_another_author_is_refused_beside_the_field() -> None:
    article = an_article()
    article.category = a_category(a_user("bob"))
    with pytest.raises(ValidationError) as refused:
        article.full_clean()
    assert "category" in refused.value.message_dict


def test_a_body_that_is_too_large_is_refused_beside_the_field() -> None:
    article = an_article()
    article.body = "中" * 70_000
    with pytest.raises(ValidationError) as refused:
        article.full_clean()
    assert "body" in refused.value.message_dict


def test_a_tag_is_the_same_in_any_case_and_width() -> None:
    assert Tag.objects.named("Django") == Tag.objects.named(" ｄｊａｎｇｏ ")


def test_tags_and_categories_keep_chinese_in_their_slugs() -> None:
    assert Tag.objects.named("全文检索").slug == "全文检索"
    assert a_category(name="数据库").slug == "数据库"


def test_names_that_give_one_slug_get_different_ones() -> None:
    assert [Tag.objects.named(name).slug for name in ("C", "C++", "C#")] == ["c", "c-2", "c-3"]


def test_a_second_category_of_a_name_is_refused_beside_the_field() -> None:
    a_category(name="Notes")
    with pytest.raises(ValidationError) as refused:
        Category(author=a_user(), name="NOTES").full_clean()
    assert "name" in refused.value.message_dict


def test_months_are_counted_newest_first() -> None:
    for moment in (MAY, MAY, MAY - timedelta(days=40)):
        an_article(published_at=moment)
    months = [(str(entry["month"]), entry["count"]) for entry in Article.objects.published().months()]
    assert months == [("2026-05-01", 2), ("2026-03-01", 1)]


def test_a_month_holds_its_first_and_last_moment_and_no_other() -> None:
    first = MAY.replace(day=1, hour=0)
    for offset in (timedelta(0), timedelta(days=31, microseconds=-1), timedelta(days=31), timedelta(microseconds=-1)):
        an_article(published_at=first + offset)
    assert Article.objects.in_month(2026, 5).count() == 2


@pytest.mark.parametrize(("year", "month"), [(0, 1), (9999, 12), (2026, 13)])
def test_a_month_outside_the_calendar_is_refused(year: int, month: int) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        Article.objects.in_month(year, month)


def test_the_recommended_list_goes_by_score() -> None:
    for title, score in (("low", 1.0), ("high", 3.0), ("middle", 2.0)):
        Article.objects.filter(pk=an_article(title=title).pk).update(score=score)
    assert [article.title for article in Article.objects.published().recommended()] == ["high", "middle", "low"]

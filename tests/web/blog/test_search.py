"""Finding articles."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django_tasks_db.models import DBTaskResult

from blog import search, tasks
from blog.models import Article, ArticleTag, SearchEntry, Tag
from tests.web.builders import MAY, a_comment, a_user, an_article, later
from tests.web.config.test_worker import a_worker

pytestmark = pytest.mark.django_db


def page(client: Client, query: str, **parameters: str) -> Any:
    """The answer to a search."""
    response = client.get(f"/search/?{urlencode({'q': query, **parameters})}")
    assert response.status_code == 200
    return response


def titles(client: Client, query: str, **parameters: str) -> list[str]:
    """The titles of what is found, best first."""
    return [article.title for article in page(client, query, **parameters).context["page_obj"]]


def hit(client: Client, query: str) -> Article:
    """The one article found."""
    (found,) = page(client, query).context["page_obj"]
    return found


# --- What is found


def test_a_chinese_word_of_two_characters_is_found_exactly(client: Client) -> None:
    an_article(title="yes", body="全文检索测试")
    an_article(title="no", body="检查索引")
    assert titles(client, "检索") == ["yes"]


def test_a_single_character_is_found(client: Client) -> None:
    an_article(title="first", body="中文")
    an_article(title="last", body="其中", published_at=MAY - timedelta(days=1))
    an_article(title="no", body="文字")
    assert sorted(titles(client, "中")) == ["first", "last"]


def test_an_english_word_is_found_in_its_other_forms(client: Client) -> None:
    an_article(title="yes", body="He was running requests.")
    an_article(title="no", body="A runner.")
    assert titles(client, "request runs") == ["yes"]


def test_an_english_word_in_a_chinese_article_is_found_too(client: Client) -> None:
    an_article(title="yes", body="用Sockets通信", language="zh-hans")
    assert titles(client, "socket") == ["yes"]


def test_words_of_other_languages_are_taken_as_they_are(client: Client) -> None:
    an_article(title="yes", body="Наука и жизнь, café")
    assert titles(client, "наука CAFÉ") == ["yes"]
    assert titles(client, "науки") == []


def test_a_stop_word_hides_nothing_and_can_be_looked_for_alone(client: Client) -> None:
    an_article(title="yes", body="Restore a database")
    assert titles(client, "how to restore the database") == ["yes"]
    assert titles(client, "a") == ["yes"]


@pytest.mark.parametrize("fields", [{"status": "draft"}, {"status": "trashed"}, {"published_at": later(days=1)}])
def test_an_article_that_is_not_public_is_not_found(client: Client, fields: dict[str, Any]) -> None:
    an_article(body="secret 机密", **fields)
    assert titles(client, "secret") == titles(client, "机密") == []


def test_a_draft_is_found_as_soon_as_it_is_published(client: Client) -> None:
    article = an_article(body="news", status="draft")
    assert titles(client, "news") == []
    article.status = "published"
    article.save()
    assert titles(client, "news") == ["A title"]


def test_what_was_written_anew_is_found_and_what_stood_there_is_not(client: Client) -> None:
    article = an_article(body="before")
    article.body = "after"
    article.save()
    assert (titles(client, "after"), titles(client, "before")) == (["A title"], [])


def test_code_headings_tables_and_alternative_texts_are_found(client: Client) -> None:
    an_article(body="## Heading\n\n```ini\nharakiri = 30\n```\n\n|a|\n|-|\n|cell|\n\n![gulls](/media/x.png)")
    for word in ("heading", "harakiri", "cell", "gulls"):
        assert titles(client, word) == ["A title"]


def test_emphasis_within_a_word_does_not_part_it_and_paragraphs_do(client: Client) -> None:
    an_article(title="inside", body="全文**检**索")
    an_article(title="across", body="检\n\n索")
    assert titles(client, "检索") == ["inside"]


def test_tags_are_found_when_they_are_given_and_not_when_they_are_taken(client: Client) -> None:
    article = an_article(tags=("部署",))
    assert titles(client, "部署") == ["A title"]
    article.tags.clear()
    assert titles(client, "部署") == []
    row = ArticleTag.objects.create(article=article, tag=Tag.objects.get())
    assert titles(client, "部署") == ["A title"]
    row.delete()
    assert titles(client, "部署") == []
    Tag.objects.get().articles.add(article)
    assert titles(client, "部署") == ["A title"]


def test_a_title_counts_more_than_a_tag_and_a_tag_more_than_the_text(client: Client) -> None:
    texts: dict[str, dict[str, Any]] = {
        "text": {"body": "x " * 60 + "缓存"},
        "tag": {"tags": ("缓存",), "body": "x " * 60},
        "缓存": {"body": "x " * 60},
    }
    for days, (title, fields) in enumerate(texts.items()):
        an_article(title=title, summary="s", published_at=MAY - timedelta(days=days), **fields)
    assert titles(client, "缓存") == ["缓存", "tag", "text"]


# --- Filters and pages


def test_a_search_is_narrowed_to_an_author_and_a_tag(client: Client) -> None:
    an_article(a_user("ann"), title="hers", tags=("nginx",), body="word")
    an_article(a_user("ann"), title="hers too", body="word")
    an_article(a_user("bob"), title="his", tags=("nginx",), body="word")
    assert sorted(titles(client, "word", author="ANN")) == ["hers", "hers too"]
    assert titles(client, "word", author="ann", tag="nginx") == ["hers"]


@pytest.mark.parametrize("parameters", [{"author": "nobody"}, {"tag": "nothing"}, {"author": "a\0b"}, {"tag": "\0"}])
def test_a_filter_that_names_nothing_finds_nothing(client: Client, parameters: dict[str, str]) -> None:
    an_article(body="word")
    expected = ["A title"] if parameters == {"tag": "\0"} else []
    assert titles(client, "word", **parameters) == expected


def test_what_was_found_is_counted_by_author_and_tag(client: Client) -> None:
    an_article(a_user("ann"), tags=("nginx", "tls"), body="word")
    an_article(a_user("bob"), tags=("nginx",), body="word")
    an_article(a_user("eve"), tags=("other",), body="else")
    context = page(client, "word").context
    assert [(user.username, user.article_count) for user in context["authors"]] == [("ann", 1), ("bob", 1)]
    assert [(tag.name, tag.article_count) for tag in context["tags"]] == [("nginx", 2), ("tls", 1)]


def test_the_next_page_keeps_the_words_and_the_filters(client: Client) -> None:
    for number in range(12):
        an_article(title=f"{number:02}", body="a & b", tags=("nginx",))
    text = page(client, "a & b", author="ann", tag="nginx").text
    assert 'href="/search/?q=a+%26+b&amp;author=ann&amp;tag=nginx&amp;page=2"' in text
    assert len(titles(client, "a & b", author="ann", tag="nginx", page="2")) == 2


def test_the_newest_are_ranked_where_a_word_is_everywhere(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST_FOUND", 2)
    for number in range(4):
        an_article(title=str(number), body="word", published_at=MAY + timedelta(days=number))
    assert titles(client, "word") == ["3", "2"]


# --- What is shown


def test_what_was_found_is_marked_and_the_text_is_escaped(client: Client) -> None:
    an_article(title="<b>缓存</b>", body="`<script>alert(1)</script>` 与缓存 & more")
    found = hit(client, "缓存")
    assert found.marked_title == "&lt;b&gt;<mark>缓存</mark>&lt;/b&gt;"
    assert found.marked_text == "&lt;script&gt;alert(1)&lt;/script&gt; 与<mark>缓存</mark> &amp; more"
    assert "<script>alert" not in page(client, "缓存").text


def test_other_forms_of_a_word_are_marked(client: Client) -> None:
    an_article(body="Requests were requested; the unrequested are not.")
    assert hit(client, "request").marked_text.count("<mark>") == 2


def test_a_long_text_is_shown_where_it_says_most_of_what_was_asked(client: Client) -> None:
    an_article(body=f"alpha first. {'filler ' * 200}Then alpha meets beta. {'filler ' * 200}")
    text = hit(client, "alpha beta").marked_text
    assert text.startswith("…")
    assert text.endswith("…")
    assert "<mark>alpha</mark> meets <mark>beta</mark>" in text
    assert len(text) < 260


def test_the_search_is_typed_back_escaped(client: Client) -> None:
    text = page(client, '"><script>alert(1)</script>').text
    assert 'value="&quot;&gt;&lt;script&gt;' in text
    assert "<script>alert" not in text


def test_a_page_of_results_is_in_no_index_and_has_no_canonical_address(client: Client) -> None:
    an_article(body="word")
    text = page(client, "word").text
    assert '<meta name="robots" content="noindex">' in text
    assert 'rel="canonical"' not in text
    assert "Disallow: /search/" in client.get("/robots.txt").text


@pytest.mark.parametrize(
    "query",
    [
        *(
            "",
            " ",
            "\0",
            "a\0b",
            "，。！？",
            "''",
            '"',
            '"""',
            "“",
            "\\",
            "\\'",
            "&",
            "|",
            "!",
            "a & !b",
            "(a",
            "a <-> b",
        ),
        *(
            "a:*",
            ":*",
            "a <9999999> b",
            "🙂",
            "\u202eabc",
            "\u200f",
            "%",
            "_",
            "%s",
            "\ud800",
            "ﷺ",
            "e\u0301",
            "-a",
            "٣",
        ),
        *("中" * 200, "中 " * 100, '"' * 200, "a" * 200, "x" * 10_000, "中" * 10_000),
    ],
)
def test_no_query_is_answered_with_an_error(client: Client, query: str) -> None:
    an_article(body="a b 中")
    response = client.get("/search/", {"q": query.encode("utf-8", "surrogatepass")})
    assert response.status_code == 200


def test_a_query_that_is_too_long_is_said_to_be_and_kept_in_its_field(client: Client) -> None:
    response = page(client, "x" * 500)
    assert "at most 200 characters" in response.text
    assert "x" * 500 in response.text


# --- The index


def test_articles_are_indexed_anew_when_they_are_missing_older_or_changed_elsewhere() -> None:
    missing, older, changed, current = (an_article(title=str(number)) for number in range(4))
    SearchEntry.objects.filter(article=missing).delete()
    SearchEntry.objects.filter(article=older).update(version=0)
    Article.objects.filter(pk=changed.pk).update(updated_at=later(hours=1))
    assert set(search.stale()) == {missing, older, changed}
    tasks.queue_reindexing()
    assert tasks.queue_reindexing() == 3
    assert DBTaskResult.objects.count() == 1
    assert current not in search.stale()


def test_the_worker_brings_the_index_up_to_date_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_tasks_db.management.commands.db_worker.close_old_connections", lambda: None)
    monkeypatch.setattr(tasks, "BATCH", 2)
    for number in range(5):
        an_article(title=str(number))
    SearchEntry.objects.all().delete()
    tasks.queue_reindexing()
    a_worker().run()
    assert not search.stale().exists()
    assert set(DBTaskResult.objects.values_list("status", flat=True)) == {"SUCCESSFUL"}


def test_an_article_that_cannot_be_indexed_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        an_article(title=str(number))
    SearchEntry.objects.all().delete()
    index = search.index

    def fails_once(articles: list[Article]) -> None:
        if articles[0].title == "0":
            raise RuntimeError("broken on purpose")
        index(articles)

    monkeypatch.setattr(search, "index", fails_once)
    tasks.reindex_articles(0)
    assert [article.title for article in search.stale()] == ["0"]


def test_the_command_indexes_what_is_stale_or_all() -> None:
    an_article()
    SearchEntry.objects.update(vector="")
    out = io.StringIO()
    call_command("reindex", stdout=out)
    assert SearchEntry.objects.get().vector == ""
    call_command("reindex", all=True, stdout=out)
    assert SearchEntry.objects.get().vector != ""
    assert out.getvalue() == "0 articles indexed\n1 articles indexed\n"


def test_the_articles_of_a_renamed_tag_are_queued() -> None:
    article = an_article(tags=("old",))
    tag = Tag.objects.get()
    tag.name = "new"
    tag.save()
    assert list(search.stale()) == [article]
    assert DBTaskResult.objects.count() == 1


def test_an_article_is_deleted_with_its_entry_also_by_code_that_does_not_know_it() -> None:
    an_article(title="a", tags=("nginx",)).delete()
    other = an_article(title="b")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM blog_article WHERE id = %s", [other.pk])
    assert not SearchEntry.objects.exists()


def test_votes_and_comments_leave_the_index_alone() -> None:
    article = an_article()
    SearchEntry.objects.update(text="untouched")
    a_comment(article)
    article.save(update_fields=["comment_count"])
    assert SearchEntry.objects.get().text == "untouched"

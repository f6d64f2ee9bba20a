"""What happens to a text that is being written: saved once, never lost, every earlier one kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from blog import writing
from blog.models import Article, Autosave, Category, Revision
from blog.writing import ConflictError, Submission
from tests.web.builders import a_category, a_user, an_article


def sent(title: str = "A title", body: str = "New words.", **options: Any) -> Submission:
    """A form with that title and text."""
    values = {"title": title, "body": body, **options.pop("values", {})}
    return Submission(values, **{"version": 1, **options})


def texts(article: Article) -> list[str]:
    """The texts of the revisions, newest first."""
    return list(article.revisions.values_list("body", flat=True))


@pytest.mark.django_db
def test_a_new_article_is_a_draft_with_a_revision() -> None:
    article = writing.save(Article(author=a_user()), a_user(), sent(version=0, key=uuid4()))
    assert (article.status, texts(article)) == ("draft", ["New words."])


@pytest.mark.django_db
def test_a_form_sent_twice_makes_one_article() -> None:
    form = sent(version=0, key=uuid4(), new_category="Notes", tags=["nginx"])
    first, second = (writing.save(Article(author=a_user()), a_user(), form) for _turn in range(2))
    assert first.pk == second.pk
    assert (Article.objects.count(), Category.objects.count(), Revision.objects.count()) == (1, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_a_form_sent_many_times_at_one_moment_makes_one_article() -> None:
    author, form = a_user(), sent(version=0, key=uuid4(), new_category="Notes", tags=["nginx"])

    def send(_turn: int) -> int:
        try:
            return writing.save(Article(author=author), author, form).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(send, range(12)))) == 1
    assert (Article.objects.count(), Revision.objects.count()) == (1, 1)


@pytest.mark.django_db
def test_the_form_of_another_author_with_the_same_key_is_another_article() -> None:
    form = sent(version=0, key=uuid4())
    ids = {writing.save(Article(author=a_user(name)), a_user(name), form).pk for name in ("ann", "bob")}
    assert len(ids) == 2


@pytest.mark.django_db
def test_a_save_keeps_the_text_it_replaces_and_its_own() -> None:
    article = an_article(body="Old words.")
    assert texts(writing.save(article, article.author, sent())) == ["New words.", "Old words."]


@pytest.mark.django_db
def test_a_save_that_changes_no_text_writes_no_revision() -> None:
    article = writing.save(an_article(), a_user(), sent())
    stored = writing.save(article, a_user(), sent(version=2, values={"language": "zh-hans"}))
    assert (stored.language, texts(stored)) == ("zh-hans", ["New words.", "Some words."])


@pytest.mark.django_db
def test_what_the_admin_changed_is_a_revision_before_it_is_replaced() -> None:
    article = writing.save(an_article(), a_user(), sent())
    article.body = "By the admin."
    article.save()
    assert "By the admin." in texts(writing.save(article, a_user(), sent(body="Newer.", version=3)))


@pytest.mark.django_db
def test_a_save_of_an_older_version_is_a_conflict_and_changes_nothing() -> None:
    article = an_article()
    writing.save(article, a_user(), sent())
    with pytest.raises(ConflictError) as conflict:
        writing.save(article, a_user(), sent(body="Other words."))
    assert conflict.value.stored.body == "New words."
    assert Article.objects.get().body == "New words."


@pytest.mark.django_db(transaction=True)
def test_of_two_saves_at_one_moment_one_is_a_conflict() -> None:
    article = an_article()

    def store(number: int) -> bool:
        try:
            writing.save(article, article.author, sent(body=f"Words {number}."))
        except ConflictError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(store, range(4))) == 1
    assert Article.objects.get().version == 2


@pytest.mark.django_db
def test_publishing_twice_keeps_the_first_moment() -> None:
    article = an_article(status="draft", published_at=None)
    form = sent(values={"status": "published", "published_at": None})
    first = writing.save(article, a_user(), form)
    second = writing.save(article, a_user(), form)
    assert second.published_at == first.published_at is not None


@pytest.mark.django_db
def test_a_category_is_made_once_whatever_its_case() -> None:
    a_category(name="Notes")
    article = writing.save(an_article(), a_user(), sent(new_category="ＮＯＴＥＳ"))
    assert article.category is not None
    assert (article.category.name, Category.objects.count()) == ("Notes", 1)


@pytest.mark.django_db
def test_tags_keep_their_order() -> None:
    article = writing.save(an_article(tags=("a", "b")), a_user(), sent(tags=["部署", "b"]))
    assert [tag.name for tag in article.tags.order_by("article_tags__pk")] == ["部署", "b"]


@pytest.mark.django_db
def test_restoring_a_revision_keeps_what_it_replaces() -> None:
    article = writing.save(an_article(body="Old words."), a_user(), sent())
    restored = writing.restore_revision(article.revisions.get(body="Old words."), a_user(), "again")
    assert restored.body == "Old words."
    assert texts(restored) == ["Old words.", "New words.", "Old words."]


# --- The trash


@pytest.mark.django_db
def test_what_is_in_the_trash_is_not_published() -> None:
    writing.trash(an_article())
    assert not Article.objects.published().exists()


@pytest.mark.django_db
def test_what_is_restored_is_a_draft() -> None:
    article = an_article()
    writing.trash(article)
    assert writing.restore(article).status == "draft"


@pytest.mark.django_db
def test_restoring_what_is_not_in_the_trash_does_not_unpublish_it() -> None:
    assert writing.restore(an_article()).status == "published"


@pytest.mark.django_db
def test_only_what_is_in_the_trash_is_deleted_for_good() -> None:
    article = an_article()
    assert writing.delete_for_good(article) is False
    writing.trash(article)
    assert writing.delete_for_good(article) is True
    assert not Article.objects.exists()


# --- Between two saves


@pytest.mark.django_db
def test_an_autosave_is_neither_the_article_nor_a_revision() -> None:
    article = an_article()
    assert writing.autosave(article, a_user(), "A title", "Typed.", 1, "tab").kept
    article.refresh_from_db()
    assert (article.body, article.revisions.count()) == ("Some words.", 0)
    assert writing.unsaved(article, a_user()) is not None


@pytest.mark.django_db
def test_the_autosave_of_another_page_stays() -> None:
    article = an_article()
    writing.autosave(article, a_user(), "A title", "First tab.", 1, "one")
    assert not writing.autosave(article, a_user(), "A title", "Second tab.", 1, "two").kept
    assert Autosave.objects.get().body == "First tab."


@pytest.mark.django_db
def test_an_autosave_says_who_else_is_at_it_and_that_the_article_was_saved() -> None:
    article = an_article()
    writing.autosave(article, a_user("bob"), "A title", "Bob's.", 1, "one")
    writing.save(article, a_user(), sent())
    told = writing.autosave(article, a_user(), "A title", "Ann's.", 1, "two")
    assert (told.others, told.version) == (["bob"], 2)


@pytest.mark.django_db
def test_a_save_forgets_the_autosave_of_its_own_page_only() -> None:
    article = an_article()
    writing.autosave(article, a_user(), "A title", "First tab.", 1, "one")
    stored = writing.save(article, a_user(), sent(tab="two"))
    assert writing.unsaved(stored, a_user()) is not None
    writing.save(article, a_user(), sent(body="Newer.", version=2, tab="one"))
    assert not Autosave.objects.exists()


@pytest.mark.django_db
def test_a_text_without_an_article_is_kept_once_a_user() -> None:
    for body in ("Typed.", "Typed on."):
        writing.autosave(None, a_user(), "", body, 0, "tab")
    assert Autosave.objects.get().body == "Typed on."


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.django_db(transaction=True)
def test_autosaves_at_one_moment_make_one_row_of_one_page(new: bool) -> None:
    user, article = a_user(), None if new else an_article()

    def keep(number: int) -> bool:
        try:
            return writing.autosave(article, user, "", f"Words {number}.", 1, f"tab{number}").kept
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(keep, range(6))) == 1
    assert Autosave.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("new", [True, False])
def test_a_category_that_is_deleted_meanwhile_costs_no_text(new: bool) -> None:
    article = Article(author=a_user()) if new else an_article()
    category = a_category()
    form = sent(version=0 if new else 1, key=uuid4(), values={"category": category})
    Category.objects.filter(pk=category.pk).delete()
    stored = writing.save(article, a_user(), form)
    stored.refresh_from_db()
    assert (stored.body, stored.category) == ("New words.", None)

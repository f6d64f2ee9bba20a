"""Unused pictures go; what anything may still need stays."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from blog import writing
from blog.models import Article
from blog.writing import Submission
from tests.web.builders import a_user, an_article
from tests.web.config.test_worker import a_worker
from tests.web.uploads.making import a_picture
from uploads import cleaning, using
from uploads.models import Picture, Use


def age(days: float = 8) -> None:
    """Let that many days pass."""
    Picture.objects.update(unused_since=F("unused_since") - timedelta(days=days))


def elsewhere(do: Callable[[], object]) -> None:
    """Do it on a connection of its own, in a thread."""
    try:
        do()
    finally:
        connection.close()


def in_text(picture: Picture) -> object:
    return an_article(a_user("ann"), body=picture.markdown)


def in_draft(picture: Picture) -> object:
    return an_article(a_user("ann"), body=picture.markdown, status="draft", published_at=None)


def in_trash(picture: Picture) -> object:
    return writing.trash(an_article(a_user("ann"), body=picture.markdown))


def in_another_authors_text(picture: Picture) -> object:
    return an_article(a_user("bob"), body=picture.markdown)


def in_revision(picture: Picture) -> object:
    ann = a_user("ann")
    article = writing.save(an_article(ann), ann, Submission({"body": picture.markdown}, version=1))
    return writing.save(article, ann, Submission({"body": "Without."}, version=article.version))


def as_cover(picture: Picture) -> object:
    return an_article(a_user("ann"), cover=picture.name)


def unsaved(picture: Picture) -> object:
    return writing.autosave(an_article(a_user("ann")), a_user("ann"), "T", picture.markdown, 1, "tab")


def unsaved_in_a_new_text(picture: Picture) -> object:
    return writing.autosave(None, a_user("ann"), "T", picture.markdown, 0, "tab")


def as_a_size(picture: Picture) -> object:
    return an_article(a_user("ann"), body=f"[large]({picture.url.removesuffix('.jpg')}-480.webp)")


USES = [
    *(in_text, in_draft, in_trash, in_another_authors_text, in_revision, as_cover),
    *(unsaved, unsaved_in_a_new_text, as_a_size),
]


@pytest.mark.django_db(transaction=True)
def test_what_nothing_used_for_seven_days_goes_with_all_its_files(media: Path) -> None:
    a_picture(a_user("ann"), ready=True)
    age(6.9)
    cleaning.clean()
    assert Picture.objects.count() == 1
    age(0.2)
    cleaning.clean()
    assert not Picture.objects.exists()
    assert not list(media.rglob("*.*"))


@pytest.mark.django_db
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_what_is_used_stays(use: Callable[[Picture], object]) -> None:
    picture = a_picture(a_user("ann"))
    use(picture)
    age()
    for _turn in range(2):
        cleaning.clean()
    picture.refresh_from_db()
    assert picture.unused_since is None


@pytest.mark.django_db
def test_seven_days_are_counted_from_the_last_use() -> None:
    a_picture(a_user("ann"))
    article = an_article(a_user("ann"), body=Picture.objects.get().markdown)
    age(100)
    cleaning.clean()
    writing.trash(article)
    writing.delete_for_good(article)
    cleaning.clean()
    assert Picture.objects.get().unused_since is not None
    age(6.9)
    cleaning.clean()
    assert Picture.objects.exists()
    age()
    cleaning.clean()
    assert not Picture.objects.exists()


@pytest.mark.django_db
def test_a_cover_that_was_replaced_is_used_no_more() -> None:
    old, new = a_picture(a_user("ann")), a_picture(a_user("ann"))
    article = an_article(a_user("ann"), cover=old.name)
    article.cover = new.name
    article.save()
    assert [use.picture for use in Use.objects.all()] == [new]


@pytest.mark.django_db
def test_an_unsaved_text_lets_go_of_what_was_taken_out_of_it() -> None:
    unsaved_in_a_new_text(a_picture(a_user("ann")))
    writing.autosave(None, a_user("ann"), "T", "Nothing.", 0, "tab")
    assert not Use.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_text_that_is_being_saved_keeps_its_picture(media: Path) -> None:
    picture = a_picture(a_user("ann"))
    age()
    with transaction.atomic():
        held = using.lock([picture.name])
        cleaner = threading.Thread(target=elsewhere, args=[cleaning.remove_unused])
        cleaner.start()
        cleaner.join(10)
        assert not cleaner.is_alive(), "the cleaner passes over it, and waits for nobody"
        using.note_article(an_article(a_user("ann"), body=picture.markdown), held)
    assert cleaning.remove_unused() == 0
    assert Picture.objects.filter(pk=picture.pk).exists()
    assert list(media.rglob("*.jpg"))


@pytest.mark.django_db(transaction=True)
def test_a_use_between_the_look_and_the_lock_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = a_picture(a_user("ann"))
    age()
    atomic = transaction.atomic

    def saved_just_before() -> object:
        monkeypatch.setattr("uploads.cleaning.transaction.atomic", atomic)
        saver = threading.Thread(target=elsewhere, args=[lambda: an_article(a_user("ann"), body=picture.markdown)])
        saver.start()
        saver.join(10)
        return atomic()

    monkeypatch.setattr("uploads.cleaning.transaction.atomic", saved_just_before)
    assert cleaning.remove_unused() == 0
    assert Article.objects.exists()
    assert Picture.objects.filter(pk=picture.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_saving_and_cleaning_at_once_never_leaves_a_text_without_its_picture() -> None:
    ann = a_user("ann")
    pictures = [a_picture(ann) for _number in range(12)]
    articles = [an_article(ann, title=f"{number}") for number in range(12)]
    age()
    lost = []

    def save_all() -> None:
        for picture, article in zip(pictures, articles, strict=True):
            article.body = picture.markdown
            article.save()
            noted = Use.objects.filter(article=article).exists()
            if noted and not Picture.objects.filter(pk=picture.pk).exists():
                lost.append(picture.pk)
        connection.close()

    saver = threading.Thread(target=save_all)
    saver.start()
    while saver.is_alive():
        cleaning.remove_unused()
    saver.join()
    assert lost == []
    assert Use.objects.count() == Picture.objects.count()


@pytest.mark.django_db(transaction=True)
def test_an_unsaved_text_does_not_wait_for_a_save_with_the_same_pictures() -> None:
    picture = a_picture(a_user("ann"))
    article = an_article(a_user("ann"), body=picture.markdown)
    typed = (None, a_user("ann"), "T", picture.markdown, 0, "tab")
    with transaction.atomic():
        article.save()
        saver = threading.Thread(target=elsewhere, args=[lambda: writing.autosave(*typed)])
        saver.start()
        saver.join(10)
        assert not saver.is_alive()
    assert Use.objects.filter(role="unsaved").count() == 1


@pytest.mark.django_db
def test_files_without_a_picture_go_when_they_are_old(media: Path) -> None:
    picture = a_picture(a_user("ann"), ready=True)
    folder = media / picture.name.rpartition("/")[0]
    kept = {path.name for path in folder.iterdir()}
    for name in ("0" * 32 + ".jpg", "0" * 32 + "-480.avif", "half.jpg.12345678.new"):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (1, 1))
    (folder / ("1" * 32 + ".jpg")).write_bytes(b"just being uploaded")
    for path in folder.iterdir():
        if path.name in kept:
            os.utime(path, (1, 1))
    assert cleaning.compare_files(int(folder.name, 16)) == (3, 0)
    assert {path.name for path in folder.iterdir()} == kept | {"1" * 32 + ".jpg"}
    assert cleaning.compare_files(int(folder.name, 16)) == (0, 0)


@pytest.mark.django_db
def test_a_picture_without_a_file_is_reported(media: Path, caplog: pytest.LogCaptureFixture) -> None:
    picture = a_picture(a_user("ann"))
    (media / picture.name).unlink()
    with caplog.at_level(logging.ERROR, "uploads.cleaning"):
        assert cleaning.compare_files(int(picture.name.split("/")[1], 16)) == (0, 1)
    assert picture.name in caplog.text
    assert Picture.objects.exists()


@pytest.mark.django_db
def test_every_directory_is_compared_once_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def look(shard: int) -> tuple[int, int]:
        seen.append(shard)
        return 0, 0

    monkeypatch.setattr(cleaning, "compare_files", look)
    now = timezone.now()
    for hour in range(24):
        monkeypatch.setattr("django.utils.timezone.now", lambda hour=hour: now + timedelta(hours=hour))
        cleaning.clean()
    assert sorted(seen) == list(range(256))


@pytest.mark.django_db
def test_a_media_directory_that_cannot_be_read_does_not_stop_the_worker(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def denied(shard: int) -> tuple[int, int]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cleaning, "compare_files", denied)
    cleaning.clean()
    assert "Permission denied" in caplog.text


@pytest.mark.django_db
def test_the_worker_cleans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_tasks_db.management.commands.db_worker.close_old_connections", lambda: None)
    a_picture(a_user("ann"), ready=True)
    age()
    started = time.monotonic()
    a_worker().run()
    assert not Picture.objects.exists()
    assert time.monotonic() - started < 60

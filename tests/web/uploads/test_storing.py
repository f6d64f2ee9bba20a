"""Taking pictures in, within the quota, and letting them go."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from accounts.deletion import delete_account
from blog.rendering import render_article
from tests.web.builders import a_user, an_article
from tests.web.uploads.making import a_picture, upload
from uploads import storing, tasks
from uploads.models import Picture


@pytest.mark.django_db
def test_a_picture_is_stored_under_a_name_of_ours(media: Path) -> None:
    picture = a_picture(a_user("ann"), name="../../<b>evil.php")
    assert picture.name.startswith("pictures/")
    assert picture.name.endswith(".jpg")
    assert "evil" not in picture.name
    stored = media / picture.name
    assert stored.read_bytes()[:3] == b"\xff\xd8\xff"
    assert stored.stat().st_mode & 0o777 == 0o644
    assert picture.bytes == stored.stat().st_size
    assert DBTaskResult.objects.ready().count() == 1


@pytest.mark.django_db
def test_the_same_file_twice_is_two_pictures() -> None:
    assert a_picture(a_user("ann")).name != a_picture(a_user("ann")).name


@pytest.mark.django_db
def test_a_refused_picture_leaves_nothing(media: Path) -> None:
    with pytest.raises(ValidationError):
        storing.store(a_user("ann"), upload(b"<svg/>"))
    assert not Picture.objects.exists()
    assert not list(media.rglob("*.*"))


@pytest.mark.django_db
def test_beyond_the_quota_nothing_is_stored(settings: Any, media: Path) -> None:
    ann = a_user("ann")
    first = a_picture(ann)
    settings.PICTURE_QUOTA = first.bytes * 2 - 1
    with pytest.raises(ValidationError) as caught:
        a_picture(ann)
    assert caught.value.code == "quota"
    assert Picture.objects.get() == first
    assert len(list(media.rglob("*.*"))) == 1
    assert a_picture(a_user("bob"))
    storing.remove(first)
    assert a_picture(ann)


@pytest.mark.django_db(transaction=True)
def test_the_quota_holds_however_many_upload_at_once(settings: Any, media: Path) -> None:
    ann = a_user("ann")
    one = a_picture(ann).bytes
    settings.PICTURE_QUOTA = one * 4

    def store_one(_number: int) -> bool:
        try:
            storing.store(ann, upload())
        except ValidationError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(max_workers=8) as pool:
        taken = list(pool.map(store_one, range(12)))
    assert sum(taken) == 3
    assert storing.used_bytes(ann) == one * 4
    assert len(list(media.rglob("*.jpg"))) == 4


@pytest.mark.django_db(transaction=True)
def test_a_file_that_cannot_be_written_is_no_picture(media: Path) -> None:
    media.mkdir()
    (media / "pictures").write_text("in the way")
    with pytest.raises(OSError, match="pictures"):
        storing.store(a_user("ann"), upload())
    assert not Picture.objects.exists()
    assert not DBTaskResult.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_full_disk_is_said_as_what_it_is(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ValidationError, match="has no room for pictures") as caught:
        storing.store(a_user("ann"), upload())
    assert caught.value.code == "room"
    assert not Picture.objects.exists()
    assert not list(media.rglob("*.*"))


@pytest.mark.django_db(transaction=True)
def test_a_full_disk_uses_up_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = a_picture(a_user("ann"))

    def full(_path: Path, _content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    for _ in range(tasks.MOST_ATTEMPTS + 1):
        with pytest.raises(OSError, match="No space"):
            tasks.make_sizes.func(picture.pk)
    monkeypatch.undo()
    Picture.objects.update(queued_at=timezone.now() - timedelta(minutes=16))
    assert tasks.queue_missing() == 1


@pytest.mark.django_db(transaction=True)
def test_a_deleted_account_takes_its_pictures_along(media: Path) -> None:
    ann = a_user("ann")
    picture = a_picture(ann, size=(1000, 500), ready=True)
    other = a_picture(a_user("bob"))
    an_article(ann, body=picture.markdown)
    assert len(list(media.rglob("*.*"))) > 5
    delete_account(ann)
    assert [path.name for path in media.rglob("*.*")] == [other.name.rpartition("/")[2]]
    assert Picture.objects.get() == other


@pytest.mark.django_db
def test_markdown_cannot_be_broken_out_of_by_a_description() -> None:
    picture = a_picture(a_user("ann"), alt="a](/x) ![*b*` <c>")
    html = render_article(picture.markdown).html
    assert html.count("<img") == 1
    assert 'alt="a](/x) ![*b*` &lt;c&gt;"' in html


@pytest.mark.django_db
def test_a_picture_that_cannot_be_stored_leaves_no_file(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(Picture, "save", full)
    with pytest.raises(OSError, match="no room"):
        storing.store(a_user("ann"), upload())
    assert not list(media.rglob("*.*"))

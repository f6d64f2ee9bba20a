"""The sizes of a picture, made in the background."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from PIL import Image

from blog.models import Article
from config.lost import is_idempotent
from tests.web.builders import a_user, an_article
from tests.web.config.test_worker import a_worker
from tests.web.uploads.making import a_picture
from uploads import files, sizes, tasks
from uploads.models import Picture

pytestmark = pytest.mark.django_db


def digest(media: Path) -> dict[str, str]:
    """Every file and a hash of it."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in media.rglob("*.*")}


def run(picture: Picture) -> str:
    """Run the task, as the worker does."""
    done: str = tasks.make_sizes.func(picture.pk)
    picture.refresh_from_db()
    return done


def test_each_size_is_there_in_each_format(media: Path) -> None:
    picture = a_picture(a_user("ann"), size=(1700, 850))
    assert run(picture) == "done"
    for name, width, extension in sizes.files(picture.name, picture.width):
        with Image.open(media / name) as image:
            assert image.size == (width, width // 2)
            assert image.format == {"avif": "AVIF", "webp": "WEBP", "jpg": "JPEG"}[extension]
    assert len(digest(media)) == 12
    assert [source.type for source in picture.sources] == ["image/avif", "image/webp", "image/jpeg"]
    assert picture.sources[2].srcset.count("jpg") == 4


def test_what_shines_through_does_so_in_each_size(media: Path) -> None:
    picture = a_picture(a_user("ann"), size=(600, 300), mode="RGBA")
    run(picture)
    assert {name.rpartition(".")[2] for name in digest(media)} == {"png", "avif", "webp"}
    for path in media.rglob("*.*"):
        with Image.open(path) as image:
            assert image.has_transparency_data


def test_a_small_picture_has_only_its_own_size() -> None:
    picture = a_picture(a_user("ann"), size=(300, 300))
    assert [width for _name, width, _extension in sizes.files(picture.name, picture.width)] == [300, 300]


def test_a_very_flat_picture_keeps_a_row_of_pixels(media: Path) -> None:
    picture = a_picture(a_user("ann"), size=(2560, 1))
    assert run(picture) == "done"


def test_run_twice_it_does_the_same(media: Path) -> None:
    picture = a_picture(a_user("ann"), size=(1000, 500))
    run(picture)
    first = digest(media)
    assert run(picture) == "done before"
    Picture.objects.update(announced=False, ready=False)
    assert run(picture) == "done"
    assert digest(media) == first


@pytest.mark.parametrize("after", [0, 1, 3, 4])
def test_killed_at_any_file_it_is_completed_by_the_next_run(
    after: int, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = a_picture(a_user("ann"), size=(1000, 500))
    article = an_article(a_user("ann"), body=picture.markdown)
    write = files.write
    written: list[str] = []

    def killed(name: str, content: bytes) -> None:
        if len(written) == after:
            raise KeyboardInterrupt
        written.append(name)
        write(name, content)

    monkeypatch.setattr(files, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        run(picture)
    monkeypatch.setattr(files, "write", write)
    article.refresh_from_db()
    assert "<picture>" not in article.body_html
    late = timezone.now() - timedelta(hours=1)
    DBTaskResult.objects.all().delete()
    assert tasks.queue_missing() == 0
    Picture.objects.update(queued_at=late)
    assert tasks.queue_missing() == 1
    assert tasks.queue_missing() == 0
    assert DBTaskResult.objects.ready().count() == 1
    run(picture)
    article.refresh_from_db()
    assert "<picture>" in article.body_html
    assert len(digest(media)) == 9


def test_killed_before_the_pages_know_they_are_told_by_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = a_picture(a_user("ann"))
    article = an_article(a_user("ann"), body=picture.markdown)
    render = Article.render

    def killed(self: Article) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Article, "render", killed)
    with pytest.raises(KeyboardInterrupt):
        run(picture)
    monkeypatch.setattr(Article, "render", render)
    run(picture)
    article.refresh_from_db()
    assert "<picture>" in article.body_html
    assert Picture.objects.get().announced


def test_what_fails_again_and_again_is_left() -> None:
    picture = a_picture(a_user("ann"))
    files.path_of(picture.name).unlink()
    for _attempt in range(tasks.MOST_ATTEMPTS):
        Picture.objects.update(queued_at=timezone.now() - timedelta(hours=1))
        assert tasks.queue_missing() == 1
        with pytest.raises(FileNotFoundError):
            run(picture)
    Picture.objects.update(queued_at=timezone.now() - timedelta(hours=1))
    assert tasks.queue_missing() == 0
    # Nor does one that is queued all the same, for its worker is gone, try again.
    assert tasks.make_sizes.func(picture.pk) == "given up"


def test_a_worker_that_is_killed_leaves_it_to_the_next(media: Path) -> None:
    assert is_idempotent(tasks.make_sizes.module_path)


def test_a_picture_that_is_gone_is_no_error(media: Path) -> None:
    picture = a_picture(a_user("ann"))
    pk = picture.pk
    picture.delete()
    assert tasks.make_sizes.func(pk) == "gone"


def test_a_picture_deleted_meanwhile_leaves_no_files(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = a_picture(a_user("ann"))
    write_sizes = tasks.write_sizes

    def while_it_is_deleted(found: Picture) -> None:
        write_sizes(found)
        Picture.objects.all().delete()

    monkeypatch.setattr(tasks, "write_sizes", while_it_is_deleted)
    assert tasks.make_sizes.func(picture.pk) == "gone"
    assert digest(media) == {}


# --- The pages that show it


def test_a_text_shows_the_original_until_the_sizes_are_there() -> None:
    picture = a_picture(a_user("ann"), size=(1000, 500))
    article = an_article(a_user("ann"), body=f"![Sea]({picture.url})")
    before = article.updated_at
    assert f'<img src="{picture.url}" alt="Sea" loading="lazy" decoding="async" width="1000" height="500">' in (
        article.body_html
    )
    run(picture)
    article.refresh_from_db()
    assert article.updated_at == before
    assert article.version == 1
    stem = picture.url.removesuffix(".jpg")
    assert (
        f'<picture><source type="image/avif" srcset="{stem}-480.avif 480w, {stem}-960.avif 960w, '
        f'{stem}-1000.avif 1000w" sizes="{sizes.IN_TEXT}">' in article.body_html
    )
    assert f'{stem}-960.jpg 960w, {picture.url} 1000w"' in article.body_html
    assert re.search(r'<img [^>]*alt="Sea"[^>]*></picture>', article.body_html)


def test_a_text_saved_later_shows_the_sizes_at_once() -> None:
    picture = a_picture(a_user("ann"), ready=True)
    assert "<picture>" in an_article(a_user("ann"), body=picture.markdown).body_html


def test_a_text_saved_while_the_sizes_were_announced_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = a_picture(a_user("ann"))
    article = an_article(a_user("ann"), body=picture.markdown)
    render = Article.render

    def while_the_author_saves(self: Article) -> None:
        render(self)
        monkeypatch.setattr(Article, "render", render)
        saved = Article.objects.get(pk=article.pk)
        saved.body = "New words."
        saved.save()

    monkeypatch.setattr(Article, "render", while_the_author_saves)
    run(picture)
    article.refresh_from_db()
    assert article.body_html == "<p>New words.</p>"


def test_a_cover_is_offered_in_its_sizes(client: Client) -> None:
    picture = a_picture(a_user("ann"), size=(1200, 600))
    article = an_article(a_user("ann"), cover=picture.name, cover_alt="The sea")
    assert "<picture>" not in client.get(article.get_absolute_url()).text
    run(picture)
    for address in ("/", article.get_absolute_url()):
        page = client.get(address).text
        assert page.count("<picture>") == 1
        assert "-480.avif 480w" in page
        assert 'width="1200" height="600"' in page
    assert f'<meta property="og:image" content="https://testserver{picture.url}">' in page
    assert picture.url.endswith(".jpg")


def test_feeds_show_one_size_with_an_absolute_address(client: Client) -> None:
    picture = a_picture(a_user("ann"), ready=True)
    an_article(a_user("ann"), body=picture.markdown)
    feed = client.get("/feed.atom").text
    assert f"https://testserver{picture.url}" in feed
    assert "srcset" not in feed
    assert "picture&gt;" not in feed


def test_a_picture_of_many_pixels_stays_within_its_time(media: Path) -> None:
    """Not a measurement: that the largest picture there can be is made at all, in all its sizes."""
    picture = a_picture(a_user("ann"), size=(2560, 1920), kind="JPEG")
    assert run(picture) == "done"
    assert picture.bytes < 2_000_000


def test_the_worker_takes_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_tasks_db.management.commands.db_worker.close_old_connections", lambda: None)
    picture = a_picture(a_user("ann"))
    a_worker().run()
    picture.refresh_from_db()
    assert picture.announced

"""The sample content."""

from __future__ import annotations

import hashlib
import io
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from accounts.models import User
from blog import counters, pictures, sampling
from blog.models import Article, ArticleTag, Comment, Vote
from tests.web.builders import a_user, an_article

TABLES = (User, Article, ArticleTag, Comment, Vote)


drawn_once = cache(pictures.cover)


@pytest.fixture
def media(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty media directory. Each cover is drawn once for all tests; that it is always the same has its own test."""
    settings.MEDIA_ROOT = tmp_path / "media"
    monkeypatch.setattr(pictures, "cover", drawn_once)
    return tmp_path / "media"


def seed(**options: Any) -> str:
    """What the command says."""
    out = io.StringIO()
    call_command("seed", stdout=out, **options)
    return out.getvalue()


def state(media: Path) -> str:
    """A digest of every row the sample touches, ids of articles and comments included, and of every picture."""
    digest = hashlib.sha256()
    for article in Article.objects.order_by("pk").prefetch_related("tags", "comments", "votes__voter"):
        digest.update(repr((article.pk, article.title, article.slug, article.body_html, article.score)).encode())
        digest.update(repr((article.published_at, article.updated_at, str(article.cover), article.cover_alt)).encode())
        digest.update(repr([tag.slug for tag in article.tags.all()]).encode())
        comments = article.comments.order_by("floor").select_related("author", "parent")
        digest.update(repr([(c.pk, c.floor, c.body_html, str(c.author), str(c.parent)) for c in comments]).encode())
        digest.update(repr(sorted((str(vote.voter), vote.value) for vote in article.votes.all())).encode())
    for user in User.objects.order_by("username"):
        digest.update(repr((user.username, user.display_name, user.bio, str(user.avatar), user.date_joined)).encode())
    for path in sorted([*media.rglob("*.webp"), *media.rglob("*.jpg")]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@pytest.mark.django_db
def test_the_sample_makes_a_site_worth_looking_at(media: Path) -> None:
    seed()
    articles = Article.objects.published()
    assert articles.count() >= 30
    assert set(articles.values_list("language", flat=True)) == {"en", "zh-hans"}
    assert len(list(media.rglob("*.jpg"))) >= 20
    assert Comment.objects.exists()
    assert Vote.objects.exists()


@pytest.mark.django_db
def test_the_sample_is_the_same_every_time(media: Path) -> None:
    seed()
    first = state(media)
    Article.objects.all().delete()
    User.objects.all().delete()
    shutil.rmtree(media)
    seed()
    assert state(media) == first


@pytest.mark.django_db
def test_a_second_run_adds_nothing(media: Path) -> None:
    seed()
    before = [model.objects.count() for model in TABLES], state(media)
    assert "already" in seed()
    assert ([model.objects.count() for model in TABLES], state(media)) == before


@pytest.mark.django_db
def test_the_counters_equal_the_rows(media: Path) -> None:
    seed()
    assert counters.recount(Article.objects.values_list("pk", flat=True)) == 0


@pytest.mark.django_db
def test_a_site_with_articles_is_left_alone_when_asked_to(media: Path) -> None:
    an_article()
    assert "already" in seed(if_empty=True)
    assert Article.objects.count() == 1


@pytest.mark.django_db
def test_the_sample_finds_its_place_beside_articles_that_are_there(media: Path) -> None:
    mine = an_article(a_user("visitor"), title="Mine")
    seed()
    assert Article.objects.get(pk=mine.pk).title == "Mine"
    assert an_article(a_user("visitor"), title="Next").pk > mine.pk


@pytest.mark.django_db
def test_an_article_written_after_the_sample_gets_a_free_id(media: Path) -> None:
    seed()
    assert an_article(a_user("visitor")).pk > Article.objects.filter(author__password="!sample").count()


@pytest.mark.django_db
def test_a_name_that_belongs_to_somebody_else_stops_it_with_nothing_done(media: Path) -> None:
    a_user("mara", password="real person")
    with pytest.raises(CommandError, match="mara"):
        seed()
    assert not Article.objects.exists()


@pytest.mark.django_db
def test_nobody_can_log_in_as_somebody_of_the_sample(media: Path) -> None:
    seed()
    assert not any(user.has_usable_password() for user in User.objects.all())


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("site.toml", 'username = "mara"', "username = mara", "site.toml"),
        ("site.toml", 'username = "petra"', 'nickname = "petra"', "site.toml"),
        ("comments.toml", "reply_to = 1\n", "reply_to = 99\n", "no floor 99"),
        ("articles/01-life-of-a-request.md", 'slug = "the', 'slug = "The ', "no slug"),
        ("articles/01-life-of-a-request.md", "+++\n", "---\n", "01-life-of-a-request.md"),
        ("articles/01-life-of-a-request.md", "published = ", "publisht = ", "published is missing"),
    ],
)
def test_a_fault_in_the_samples_files_is_named(tmp_path: Path, file: str, old: str, new: str, named: str) -> None:
    directory = shutil.copytree(sampling.DIRECTORY, tmp_path / "sample")
    path = directory / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(sampling.SampleError, match=named):
        sampling.load(directory)


def test_a_picture_is_the_same_every_time_and_another_for_another_name() -> None:
    assert pictures.cover("harbour") == pictures.cover("harbour") != pictures.cover("tower")


def test_pictures_have_their_size_and_are_small() -> None:
    cover, avatar = pictures.cover("harbour"), pictures.avatar("ann")
    assert Image.open(io.BytesIO(cover)).size == (pictures.WIDTH, pictures.HEIGHT)
    assert Image.open(io.BytesIO(avatar)).size == (pictures.AVATAR, pictures.AVATAR)
    assert len(cover) < 40_000
    assert len(avatar) < 10_000


def test_a_picture_is_described_in_the_language_of_the_article() -> None:
    assert pictures.describe("harbour", "en").isascii()
    assert not pictures.describe("harbour", "zh-hans").isascii()


def test_every_scene_can_be_drawn_and_described() -> None:
    names = [f"name {number}" for number in range(40)]
    kinds = {pictures.Scene(name).kind for name in names}
    assert kinds == set(range(len(pictures.SCENES)))

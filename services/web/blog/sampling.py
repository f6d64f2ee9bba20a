"""Loads the sample site: blog/sample/ holds the texts; everything else follows from them by hashes, never by chance.

The same files give the same rows, the same ids (on a site without articles) and the same pictures on every machine.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection, models, transaction

from accounts.models import User
from blog import counters, pictures, search
from blog.models import Article, ArticleTag, Blog, Category, Comment, Tag, Vote
from blog.text import clean_line, folded, slug_of
from uploads import sizes, storing, using
from uploads.models import Picture

DIRECTORY = Path(__file__).resolve().parent / "sample"
JOINED = datetime(2025, 8, 1, 8, 0, tzinfo=UTC)
FENCE = "+++\n"


class SampleError(Exception):
    """The sample cannot be loaded; the message names the file and what is wrong in it."""


@dataclass(frozen=True)
class Person:
    """An author or a reader of site.toml."""

    username: str
    display_name: str
    language: str
    email: str = ""
    bio: str = ""
    blog_title: str = ""
    blog_tagline: str = ""
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Said:
    """A comment of comments.toml; `reply_to` is a floor of the same article."""

    author: str
    at: datetime
    body: str
    reply_to: int | None = None


@dataclass(frozen=True)
class Text:
    """An article of articles/*.md."""

    title: str
    slug: str
    author: str
    language: str
    category: str
    tags: tuple[str, ...]
    published: datetime
    excerpt: str
    cover: str
    body: str


@dataclass
class Sample:
    """All of it."""

    people: list[Person] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    comments: dict[str, list[Said]] = field(default_factory=dict)


def toml(path: Path, source: str | None = None) -> dict[str, Any]:
    """The TOML in `path`, or in `source` that stands in `path`. Raises SampleError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8") if source is None else source)
    except (OSError, ValueError) as error:
        raise SampleError(f"{path}: {error}") from error


def aware(path: Path, moment: object) -> datetime:
    """`moment`, which must have a time zone."""
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise SampleError(f"{path}: {moment!r} is not a date and time with an offset")
    return moment


def read_person(path: Path, entry: Mapping[str, Any]) -> Person:
    """A person from a table of site.toml."""
    try:
        return Person(**{**entry, "categories": tuple(entry.get("categories", ()))})
    except TypeError as error:
        raise SampleError(f"{path}: {entry.get('username', entry)}: {error}") from error


def read_text(path: Path) -> Text:
    """An article from a file: TOML between two lines of +++, then Markdown."""
    content = path.read_text(encoding="utf-8")
    if not content.startswith(FENCE) or f"\n{FENCE}" not in content:
        raise SampleError(f"{path}: it must begin with TOML between two lines of +++")
    head, _fence, body = content.removeprefix(FENCE).partition(f"\n{FENCE}")
    entry = toml(path, head)
    try:
        return Text(
            title=entry["title"],
            slug=entry["slug"],
            author=entry["author"],
            language=entry["language"],
            category=entry.get("category", ""),
            tags=tuple(entry.get("tags", ())),
            published=aware(path, entry["published"]),
            excerpt=entry.get("excerpt", ""),
            cover=entry.get("cover", ""),
            body=body.strip() + "\n",
        )
    except KeyError as error:
        raise SampleError(f"{path}: {error.args[0]} is missing") from error


def read(directory: Path = DIRECTORY) -> Sample:
    """Read and check the sample's files. Raises SampleError."""
    site = toml(directory / "site.toml")
    people = [
        read_person(directory / "site.toml", entry) for entry in (*site.get("authors", []), *site.get("readers", []))
    ]
    texts = [read_text(path) for path in sorted((directory / "articles").glob("*.md"))]
    known = {person.username for person in people}
    slugs = {text.slug for text in texts}
    for text in texts:
        if text.slug != slug_of(text.slug, "article"):
            raise SampleError(f"articles: {text.slug!r} is no slug, {slug_of(text.slug, 'article')} would be one")
        if text.author not in known:
            raise SampleError(f"articles: {text.slug} is by {text.author}, who is not in site.toml")
    comments: dict[str, list[Said]] = {}
    path = directory / "comments.toml"
    for entry in toml(path).get("comments", []):
        try:
            said = Said(entry["author"], aware(path, entry["at"]), entry["body"], entry.get("reply_to"))
            thread = comments.setdefault(entry["article"], [])
        except KeyError as error:
            raise SampleError(f"{path}: {error.args[0]} is missing in {entry}") from error
        if entry["article"] not in slugs or said.author not in known:
            raise SampleError(f"{path}: no article {entry['article']}, or nobody called {said.author}")
        if said.reply_to is not None and not 1 <= said.reply_to <= len(thread):
            raise SampleError(f"{path}: {entry['article']} has no floor {said.reply_to} before this reply")
        thread.append(said)
    texts.sort(key=lambda text: (text.published, text.slug))
    return Sample(people, texts, comments)


def share(*parts: object) -> float:
    """A number from 0 to 1 that depends on `parts` alone."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def vote_of(slug: str, voter: str) -> int:
    """What `voter` thinks of the article: 1, -1, or 0 for no vote. Some articles please nearly everybody, some few."""
    appeal = 0.15 + 0.8 * share("appeal", slug) ** 1.4
    drawn = share("vote", slug, voter)
    if drawn < appeal:
        return 1
    return -1 if drawn > 0.96 else 0


def store_avatar(content: bytes) -> str:
    """Write an avatar under the hash of its content, unless it is there; returns its name in the media directory."""
    name = f"avatars/{hashlib.sha256(content).hexdigest()[:24]}.webp"
    return name if default_storage.exists(name) else default_storage.save(name, ContentFile(content))


def draw_covers(texts: Iterable[Text]) -> dict[str, bytes]:
    """Draw the covers of these texts; returns each by its name."""
    ordered = sorted({text.cover for text in texts if text.cover})
    with ThreadPoolExecutor(max_workers=2) as pool:
        return dict(zip(ordered, pool.map(pictures.cover, ordered), strict=True))


def store_cover(owner: User, text: Text, content: bytes) -> Picture:
    """The cover as a picture of `owner`, which the worker gets the sizes of. The name is a hash of whose and what."""
    stem = hashlib.sha256(f"{owner.username} {text.slug}".encode() + content).hexdigest()[:32]
    name = f"{sizes.FOLDER}/{stem[:2]}/{stem}.jpg"
    picture = Picture.objects.filter(name=name).first()
    if picture is None:
        picture = Picture(
            owner=owner,
            name=name,
            label=f"{text.cover}.jpg",
            alt=pictures.describe(text.cover, text.language),
            width=pictures.WIDTH,
            height=pictures.HEIGHT,
            bytes=len(content),
        )
        storing.add(picture, content)
    return picture


def take_ids(model: type[models.Model], count: int) -> list[int]:
    """`count` free ids: from 1 where the table is empty, whatever its sequence has given out, else the next ones."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        # The sequence moves on either way, so that it never gives one of them to somebody else.
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [table, max(count, 0)]
        )
        taken = [row[0] for row in cursor.fetchall()]
    return taken if model._default_manager.exists() else list(range(1, count + 1))


def load_people(sample: Sample) -> dict[str, User]:
    """The sample's people, made where they are missing. Raises SampleError when a name is somebody else's."""
    found = {}
    for person in sample.people:
        user = User.objects.filter(username__lower=person.username.lower()).first()
        if user is None:
            user = User(
                username=person.username,
                email=person.email,
                display_name=person.display_name,
                bio=person.bio,
                language=person.language,
                date_joined=JOINED,
                # No password fits it; set_unusable_password would make up another text every time.
                password="!sample",  # noqa: S106
                avatar=store_avatar(pictures.avatar(person.username)),
            )
            user.save()
            if person.blog_title:
                Blog.objects.create(author=user, title=person.blog_title, tagline=person.blog_tagline)
            for name in person.categories:
                Category.objects.create(author=user, name=name)
        elif user.password != "!sample":  # noqa: S105
            raise SampleError(f"the username {person.username} of the sample belongs to somebody else on this site")
        found[person.username] = user
    return found


def load_articles(sample: Sample, people: Mapping[str, User]) -> dict[str, Article]:
    """The sample's articles that are not there yet, by slug, with their tags; oldest first, so ids follow the dates."""
    present = set(
        Article.objects.filter(author__in=[user.pk for user in people.values()]).values_list("author__username", "slug")
    )
    texts = [text for text in sample.texts if (people[text.author].username, text.slug) not in present]
    covers = draw_covers(texts)
    categories = {
        (category.author_id, category.key): category
        for category in Category.objects.filter(author__in=[user.pk for user in people.values()])
    }
    articles, tags = [], []
    for text, number in zip(texts, take_ids(Article, len(texts)), strict=True):
        author = people[text.author]
        category = categories.get((author.pk, folded(clean_line(text.category))))
        if text.category and category is None:
            raise SampleError(f"{text.slug}: {text.author} has no category {text.category} in site.toml")
        article = Article(
            pk=number,
            author=author,
            title=text.title,
            slug=text.slug,
            language=text.language,
            status=Article.Status.PUBLISHED,
            published_at=text.published,
            first_published_at=text.published,
            created_at=text.published,
            updated_at=text.published,
            body=text.body,
            summary=text.excerpt,
            category=category,
        )
        if text.cover:
            cover = store_cover(author, text, covers[text.cover])
            article.cover = cover.name
            article.cover_width, article.cover_height = cover.width, cover.height
            article.cover_alt = cover.alt
        article.prepare()
        articles.append(article)
        tags += [ArticleTag(article_id=number, tag=Tag.objects.named(name)) for name in dict.fromkeys(text.tags)]
    Article.objects.bulk_create(articles)
    held = using.lock([str(article.cover.name) for article in articles if article.cover])
    for article in articles:
        using.note_article(article, held)
    ArticleTag.objects.bulk_create(tags)
    search.index(articles)
    return {article.slug: article for article in articles}


def load_comments(sample: Sample, people: Mapping[str, User], articles: Mapping[str, Article]) -> int:
    """The comments on `articles`; returns how many."""
    threads = [(article, sample.comments.get(slug, [])) for slug, article in articles.items()]
    numbers = iter(take_ids(Comment, sum(len(thread) for _article, thread in threads)))
    comments: list[Comment] = []
    for article, thread in threads:
        floors: list[Comment] = []
        for said in thread:
            comment = Comment(
                pk=next(numbers),
                article=article,
                author=people[said.author],
                parent=floors[said.reply_to - 1] if said.reply_to else None,
                floor=len(floors) + 1,
                body=said.body.strip(),
                created_at=said.at,
            )
            comment.join_thread()
            comment.render()
            floors.append(comment)
        comments += floors
    Comment.objects.bulk_create(comments)
    return len(comments)


def load_votes(people: Mapping[str, User], articles: Mapping[str, Article]) -> int:
    """The votes of everybody on everybody else's `articles`; returns how many."""
    votes = [
        Vote(article=article, voter=voter, value=value, created_at=article.created_at)
        for slug, article in articles.items()
        for name, voter in people.items()
        if voter.pk != article.author_id and (value := vote_of(slug, name))
    ]
    Vote.objects.bulk_create(votes)
    return len(votes)


@dataclass(frozen=True)
class Loaded:
    """What load() added."""

    people: int
    articles: int
    comments: int
    votes: int


@transaction.atomic
def load(directory: Path = DIRECTORY) -> Loaded:
    """Add what is missing of the sample, all or nothing. Raises SampleError, or OSError for the pictures."""
    sample = read(directory)
    before = User.objects.count()
    people = load_people(sample)
    articles = load_articles(sample, people)
    comments = load_comments(sample, people, articles)
    votes = load_votes(people, articles)
    counters.recount(article.pk for article in articles.values())
    return Loaded(User.objects.count() - before, len(articles), comments, votes)

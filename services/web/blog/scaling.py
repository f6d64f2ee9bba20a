"""Fills the site with many articles, for measuring: plausible pages at any size, written by COPY.

The texts are paragraphs of the sample, shuffled and rendered beforehand; everything is drawn from one fixed seed, so
two sites of one size are alike. The counters are written with the articles and equal the rows written after them.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from accounts.models import User
from blog import ranking, rendering, sampling, search, tokens
from blog.models import LONGEST_EXCERPT, Article, ArticleTag, Blog, Category, Comment, SearchEntry, Tag, Vote
from blog.tokens import Token

SEED = 20261120
AUTHORS = 40
READERS = 160
VARIANTS = 240
BATCH = 5_000
FROM = datetime(2024, 1, 1, tzinfo=UTC)
UNTIL = datetime(2026, 11, 20, tzinfo=UTC)
AUTHOR_NAME = "author-{:03}"
READER_NAME = "reader-{:03}"
CATEGORIES = ("Notes", "Operations", "Data", "Field reports", "随笔")

Cell = str | int | float | datetime | None


@dataclass(frozen=True)
class Variant:
    """A text that many articles share, rendered once; the strings are ready for COPY."""

    title: str
    slug: str
    language: str
    body: str
    body_html: str
    excerpt: str
    reading_minutes: int
    # What is found in title, excerpt and text; those of an article's number and tags are added for each.
    found: str
    places: int
    text: str


def escaped(text: str) -> str:
    """`text` as COPY's text format wants it (PostgreSQL, COPY, "Text Format")."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def cell(value: Cell) -> str:
    """A value other than text in that format."""
    if value is None:
        return "\\N"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def copy(table: str, columns: str, rows: Iterable[tuple[Cell, ...]]) -> None:
    """Write `rows` to `table`; their texts are escaped already."""
    buffer = io.StringIO("".join("\t".join(map(cell, row)) + "\n" for row in rows))
    with connection.cursor() as cursor:
        cursor.cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN", buffer)


def variants(dice: random.Random) -> list[Variant]:
    """Texts made of the sample's paragraphs, each in one language."""
    sample = sampling.read()
    paragraphs: dict[str, list[str]] = {}
    titles: dict[str, list[str]] = {}
    for text in sample.texts:
        titles.setdefault(text.language, []).append(text.title)
        plain = [
            part for part in text.body.split("\n\n") if part[:1].isalnum() and "[^" not in part and len(part) < 900
        ]
        paragraphs.setdefault(text.language, []).extend(plain)
    made = []
    for number in range(VARIANTS):
        language = "zh-hans" if number % 2 else "en"
        chosen = dice.sample(paragraphs[language], 4)
        body = (
            f"{chosen[0]}\n\n## {dice.choice(titles[language])}\n\n{chosen[1]}\n\n{chosen[2]}\n\n> {chosen[3][:120]}\n"
        )
        rendered = rendering.render_article(body)
        article = Article(title=dice.choice(titles[language]), body="")
        article.prepare()
        made.append(
            Variant(
                title=escaped(article.title),
                slug=article.slug,
                language=language,
                body=escaped(body),
                body_html=escaped(rendered.html),
                excerpt=escaped(rendering.shortened(rendered.text, LONGEST_EXCERPT)),
                reading_minutes=rendering.reading_minutes(rendered.text),
                **indexed(article.title, rendering.shortened(rendered.text, LONGEST_EXCERPT), rendered.html),
            )
        )
    return made


def indexed(title: str, excerpt: str, html: str) -> dict[str, Any]:
    """The fields of a variant that the search index needs."""
    text = tokens.composed(rendering.text_of(html))
    parts = [
        (tokens.tokens(tokens.composed(title)), "A"),
        (tokens.tokens(tokens.composed(excerpt)), "B"),
        (tokens.tokens(text), "C"),
    ]
    stems = search.Stems({word for found, _weight in parts for word in tokens.words_of(found)})
    return {
        "found": escaped(tokens.vector(parts, stems)),
        "places": sum(len(found) + 1 for found, _weight in parts),
        "text": escaped(text),
    }


@dataclass(frozen=True)
class Cast:
    """Who and what the articles refer to, by id."""

    authors: list[int]
    categories: dict[int, list[int]]
    readers: list[int]
    tags: list[int]
    # What is found in the name of each tag.
    tag_tokens: list[list[Token]]


@transaction.atomic
def cast() -> Cast:
    """The authors, readers, categories and tags of the generated articles, made where they are missing."""
    wanted = [AUTHOR_NAME.format(number) for number in range(1, AUTHORS + 1)]
    readers = [READER_NAME.format(number) for number in range(1, READERS + 1)]
    present = set(User.objects.filter(username__in=[*wanted, *readers]).values_list("username", flat=True))
    User.objects.bulk_create(
        User(
            username=name,
            display_name=name.replace("-", " ").title(),
            password="!scale",  # noqa: S106
            date_joined=FROM,
        )
        for name in [*wanted, *readers]
        if name not in present
    )
    authors = list(User.objects.filter(username__in=wanted).order_by("username"))
    Blog.objects.bulk_create(
        (Blog(author=author, title=f"The blog of {author.display_name}") for author in authors), ignore_conflicts=True
    )
    for author in authors:
        if not author.categories.exists():
            for name in CATEGORIES:
                Category.objects.create(author=author, name=name)
    names = sorted({name for text in sampling.read().texts for name in text.tags})
    categories: dict[int, list[int]] = {}
    for category in Category.objects.filter(author__in=authors).order_by("pk"):
        categories.setdefault(category.author_id, []).append(category.pk)
    return Cast(
        authors=[author.pk for author in authors],
        categories=categories,
        readers=list(User.objects.filter(username__in=readers).order_by("username").values_list("pk", flat=True)),
        tags=[Tag.objects.named(name).pk for name in names],
        tag_tokens=[tokens.tokens(tokens.composed(name)) for name in names],
    )


@transaction.atomic
def write_batch(dice: random.Random, count: int, cast: Cast, texts: list[Variant], first: int, total: int) -> None:
    """Write `count` articles, numbers `first` and on of `total`, with their tags, comments and votes."""
    span = (UNTIL - FROM) / max(1, total)
    ids = sampling.take_ids(Article, count)
    articles: list[tuple[Cell, ...]] = []
    tags: list[tuple[Cell, ...]] = []
    comments: list[tuple[Cell, ...]] = []
    votes: list[tuple[Cell, ...]] = []
    entries: list[tuple[Cell, ...]] = []
    stems = search.Stems({word for found in cast.tag_tokens for word in tokens.words_of(found)})
    version = rendering.VERSION
    for offset, number in enumerate(ids):
        at = FROM + span * (first + offset) + timedelta(seconds=dice.randrange(3600))
        # Early authors wrote more, and liked tags are used more, as on any site.
        author = cast.authors[int(len(cast.authors) * dice.random() ** 2)]
        text = texts[dice.randrange(len(texts))]
        likes = int(dice.paretovariate(1.6)) - 1
        voters = dice.sample(cast.readers, min(likes, 40))
        down = sum(1 for _voter in voters if dice.random() < 0.1)
        votes += [(number, voter, -1 if place < down else 1, at) for place, voter in enumerate(voters)]
        said = int(dice.random() * 4) if dice.random() < 0.25 else 0
        for floor in range(1, said + 1):
            words = escaped("同意，我这里也是。" if text.language == "zh-hans" else "Agreed, and the same here.")
            comments.append((number, dice.choice(cast.readers), floor, words, f"<p>{words}</p>", version, at))
        chosen = {int(len(cast.tags) * dice.random() ** 2) for _ in range(2)}
        tags += [(number, cast.tags[place]) for place in chosen]
        extra = [
            Token(str(first + offset + 1), "word", 0, 0),
            *(token for place in chosen for token in cast.tag_tokens[place]),
        ]
        # A lexeme that stands twice in the text of a vector is merged by PostgreSQL.
        own = tokens.vector([(extra, "A")], stems, after=text.places)
        entries.append((number, f"{text.found} {own}", text.text, search.VERSION, at))
        up = len(voters) - down
        articles.append(
            (
                number,
                author,
                dice.choice(cast.categories[author]),
                f"{text.title} {first + offset + 1}",
                text.slug,
                text.language,
                "published",
                at,
                at,
                at,
                at,
                text.body,
                text.body_html,
                "",
                text.excerpt,
                text.reading_minutes,
                version,
                "",
                "",
                "",
                said,
                up,
                down,
                ranking.score(up, down, at),
            )
        )
    copy(
        Article._meta.db_table,
        "id, author_id, category_id, title, slug, language, status, published_at, first_published_at, created_at, "
        "updated_at, body, body_html, summary, excerpt, reading_minutes, rendered_with, cover, cover_alt, "
        "canonical_url, comment_count, up_count, down_count, score",
        articles,
    )
    copy(SearchEntry._meta.db_table, "article_id, vector, text, version, article_updated_at", entries)
    copy(ArticleTag._meta.db_table, "article_id, tag_id", tags)
    columns = "article_id, author_id, floor, body, body_html, rendered_with, created_at"
    copy(Comment._meta.db_table, columns, comments)
    copy(Vote._meta.db_table, "article_id, voter_id, value, created_at", votes)


def existing() -> int:
    """How many generated articles there are."""
    return Article.objects.filter(author__password="!scale").count()  # noqa: S106


def fill(total: int, progress: Callable[[int], None]) -> int:
    """Generate articles until there are `total` generated ones; returns how many were added.

    Each batch is a transaction of its own, so an interrupted run goes on where it was. `progress` hears how many there
    are after each.
    """
    done = start = existing()
    if done >= total:
        return 0
    dice = random.Random(SEED)  # noqa: S311  (the same everywhere, which is the point)
    texts = variants(dice)
    people = cast()
    while done < total:
        dice.seed(SEED + done)
        count = min(BATCH, total - done)
        write_batch(dice, count, people, texts, done, total)
        done += count
        progress(done)
    with connection.cursor() as cursor:
        # As the application's role it is only a warning: autovacuum does it within a minute.
        cursor.execute("ANALYZE blog_article, blog_searchentry, blog_articletag, blog_comment, blog_vote")
    return done - start

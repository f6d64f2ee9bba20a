"""Finding articles: the index, kept when an article or its tags are saved, and the query.

The index is a table of its own. A vector in the article's row would be written again with every vote, and read by
every query that forgets to leave it out.

English stems come from PostgreSQL's dictionary, for words of the letters a to z in articles of either language: such a
word in a Chinese article is English, or a name that the query reduces in the same way. All other words are taken as
they are, folded. Stop words are indexed, and count in a query only where it has nothing else, or quotes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models, transaction
from django.db.models import F, Func, Q, QuerySet, Value
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from blog import rendering, tokens
from blog.models import Article, ArticleQuerySet, ArticleTag, SearchEntry, Tag
from blog.tokens import Term

# Raise it when the same article gets another vector than before: `release` then queues all articles.
VERSION = 1

LONGEST_QUERY = 200
# A word that many articles have is looked for in the newest of them: ranking reads every vector that it compares.
MOST_FOUND = 1_000
SNIPPET = 160
SENTENCE_END = re.compile(r"\n|[。！？]|[.!?]\s+")
GAP = re.compile(r"\s+|[，；：、]")
LONGEST_SEARCHED_SNIPPET = 30_000


class Query(Value):
    """A tsquery. It is a cast and no function of PostgreSQL's, whose parser would cut the lexemes again."""

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str, ...]]:
        """The placeholder, with its type."""
        return "%s::tsquery", (self.value,)


class Matches(Func):
    """vector @@ query."""

    template = "%(expressions)s"
    arg_joiner = " @@ "
    output_field = models.BooleanField()


class Rank(Func):
    """ts_rank: weights 1.0, 0.4 and 0.2 for title, tags and excerpt, text; divided by the logarithm of the length."""

    function = "ts_rank"
    output_field = models.FloatField()


class Stems:
    """The English stems of some words, asked for once."""

    def __init__(self, words: Iterable[str]) -> None:
        wanted = sorted(words)
        self.known: dict[str, str] = {}
        self.stop_words: set[str] = set()
        if not wanted:
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT word, ts_lexize('english_stem', word) FROM unnest(%s::text[]) AS word", [wanted])
            for word, lexemes in cursor.fetchall():
                if lexemes:
                    self.known[word] = lexemes[0]
                else:
                    self.stop_words.add(word)

    def __call__(self, word: str) -> str:
        """The stem, or the word itself where it has none."""
        return self.known.get(word, word)


# --- The index


def index(articles: Sequence[Article]) -> None:
    """Write what can be found in `articles` (with their texts loaded), in three queries for any number."""
    names: dict[int, list[str]] = {}
    tagged = ArticleTag.objects.filter(article__in=[article.pk for article in articles])
    for article_id, name in tagged.order_by("pk").values_list("article_id", "tag__name"):
        names.setdefault(article_id, []).append(name)
    cut = [
        (
            article,
            text := tokens.composed(rendering.text_of(article.body_html)),
            [
                (tokens.tokens(tokens.composed(article.title)), "A"),
                (tokens.tokens(tokens.composed("\n".join(names.get(article.pk, [])))), "B"),
                (tokens.tokens(tokens.composed(article.excerpt)), "B"),
                (tokens.tokens(text), "C"),
            ],
        )
        for article in articles
    ]
    stems = Stems({word for _article, _text, parts in cut for found, _ in parts for word in tokens.words_of(found)})
    SearchEntry.objects.bulk_create(
        [
            SearchEntry(
                article_id=article.pk,
                vector=tokens.vector(parts, stems),
                text=text,
                version=VERSION,
                article_updated_at=article.updated_at,
            )
            for article, text, parts in cut
        ],
        update_conflicts=True,
        unique_fields=["article"],
        update_fields=["vector", "text", "version", "article_updated_at"],
    )


@transaction.atomic
def index_again(articles: ArticleQuerySet) -> list[int]:
    """Index `articles` as they are stored, whose rows are locked meanwhile; returns their ids."""
    locked = list(
        articles.select_for_update(of=("self",)).order_by("pk").only("title", "excerpt", "body_html", "updated_at")
    )
    index(locked)
    return [article.pk for article in locked]


def stale() -> ArticleQuerySet:
    """Articles that are not in the index, or as an older version or another release's process wrote them."""
    return Article.objects.filter(
        Q(search_entry=None)
        | Q(search_entry__version__lt=VERSION)
        | Q(search_entry__article_updated_at__lt=F("updated_at"))
    )


def index_saved(instance: Article, update_fields: object = None, raw: bool = False, **_: object) -> None:
    """Receiver: an article was saved as a whole."""
    if update_fields is None and not raw:
        index([instance])


def index_tagged(instance: ArticleTag, raw: bool = False, **_: object) -> None:
    """Receiver: an article got a tag."""
    if not raw:
        index_again(Article.objects.filter(pk=instance.article_id))


def index_untagged(instance: ArticleTag, origin: Any, **_: object) -> None:
    """Receiver: an article lost a tag. Where the article itself goes, nothing may be written for it any more."""
    if getattr(origin, "model", type(origin)) in (ArticleTag, Tag):
        index_again(Article.objects.filter(pk=instance.article_id))


def index_changed(instance: Any, action: str, reverse: bool, pk_set: set[int] | None, **_: object) -> None:
    """Receiver: the tags of an article were set, or the articles of a tag."""
    if action.startswith("post_"):
        index_again(Article.objects.filter(pk__in=(pk_set or ()) if reverse else [instance.pk]))


def forget_renamed(instance: Tag, created: bool, **_: object) -> None:
    """Receiver: a tag may have another name now, so its articles are to be indexed anew."""
    from blog.tasks import queue_reindexing

    renamed = SearchEntry.objects.filter(article__article_tags__tag=instance)
    if not created and renamed.update(version=0):
        queue_reindexing()


def connect() -> None:
    """Connect the receivers."""
    post_save.connect(index_saved, sender=Article, dispatch_uid="index_saved")
    post_save.connect(index_tagged, sender=ArticleTag, dispatch_uid="index_tagged")
    post_delete.connect(index_untagged, sender=ArticleTag, dispatch_uid="index_untagged")
    m2m_changed.connect(index_changed, sender=ArticleTag, dispatch_uid="index_changed")
    post_save.connect(forget_renamed, sender=Tag, dispatch_uid="forget_renamed")


# --- The query


class Search:
    """What a reader asked for, understood. `asked` is empty when there was nothing to look for in it."""

    def __init__(self, query: str) -> None:
        asked = tokens.terms(query[:LONGEST_QUERY])
        self.stems = Stems(
            {wanted.lexeme for term in asked for wanted in term if tokens.STEMMED.fullmatch(wanted.lexeme)}
        )
        telling = [term for term in asked if not (len(term) == 1 and term[0].lexeme in self.stems.stop_words)]
        self.asked: list[Term] = telling or asked

    def find(self, articles: ArticleQuerySet) -> list[int]:
        """The ids of those of `articles` that have all terms, best first; the newest MOST_FOUND of them at most."""
        if not self.asked:
            return []
        query = Query(tokens.tsquery(self.asked, self.stems))
        newest = (
            articles.annotate(rank=Rank(F("search_entry__vector"), query, Value(1)))
            .filter(Matches(F("search_entry__vector"), query))
            .newest()
            .values_list("pk", "rank", "published_at")[:MOST_FOUND]
        )
        ranked = sorted(newest, key=lambda row: (row[1], row[2], row[0]), reverse=True)
        return [pk for pk, _rank, _date in ranked]

    def matching(self) -> QuerySet[SearchEntry, int]:
        """The ids of the articles that have all terms, in whatever status; for the admin."""
        if not self.asked:
            return SearchEntry.objects.none().values_list("pk", flat=True)
        query = Query(tokens.tsquery(self.asked, self.stems))
        return SearchEntry.objects.filter(Matches(F("vector"), query)).values_list("pk", flat=True)

    def highlight(self, articles: Sequence[Article]) -> None:
        """Give each of `articles` (with its search entry) `marked_title` and `marked_text`: HTML, with what was found
        in <mark>.
        """
        titles = [tokens.composed(article.title) for article in articles]
        texts = [article.search_entry.text[:LONGEST_SEARCHED_SNIPPET] for article in articles]
        # Stems begin as their words do: only words that begin like one that was asked for can share its stem.
        begins = {word[:2] for word in (*self.stems.known, *self.stems.known.values())}
        candidates = {
            word
            for text in (*titles, *texts)
            for word in (tokens.words_of(tokens.tokens(text)) if begins else ())
            if word[:2] in begins
        }
        stems = Stems(candidates - self.stems.known.keys())
        stems.known.update(self.stems.known)
        for article, title, text in zip(articles, titles, texts, strict=True):
            article.marked_title = marked(title, tokens.spans(title, self.asked, stems))
            article.marked_text = snippet(text, tokens.spans(text, self.asked, stems))


def marked(text: str, spans: Iterable[tuple[int, int, int]]) -> SafeString:
    """`text` as HTML with the spans in <mark>; those that overlap or touch are one."""
    html: list[str] = []
    done = 0
    merged: list[list[int]] = []
    for start, end, _term in spans:
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    for start, end in merged:
        html += [escape(text[done:start]), "<mark>", escape(text[start:end]), "</mark>"]
        done = end
    html.append(escape(text[done:]))
    return mark_safe("".join(html))  # noqa: S308  (every piece of the text is escaped)


def snippet(text: str, spans: Sequence[tuple[int, int, int]]) -> SafeString:
    """The part of `text` with the most different terms, or its beginning, as marked HTML."""
    best, start = 0, 0
    for first, (begin, _end, _term) in enumerate(spans):
        within = {term for place, _, term in spans[first : first + 50] if place < begin + SNIPPET * 3 // 4}
        if len(within) > best:
            best, start = len(within), begin
    start = line_start(text, start)
    end = min(len(text), start + SNIPPET)
    # A word that the end would cut stays out, where words are spaced.
    if end < len(text) and (space := max(text.rfind(" ", start, end), text.rfind("\n", start, end))) > end - 24:
        end = space
    shown = [(max(at, start) - start, min(to, end) - start, term) for at, to, term in spans if start <= at < end]
    html = marked(text[start:end].replace("\n", " "), shown)
    return mark_safe(f"{'…' if start else ''}{html}{'…' if end < len(text) else ''}")  # noqa: S308  (escaped in marked)


def line_start(text: str, at: int) -> int:
    """Where to begin in order to show what leads to `at`: its line or its sentence, or a word a little before."""
    earliest = max(0, at - SNIPPET // 4)
    if not earliest:
        return 0
    ends = [match.end() for match in SENTENCE_END.finditer(text, earliest, at)]
    gap = GAP.search(text, earliest, at)
    return ends[-1] if ends else gap.end() if gap else earliest

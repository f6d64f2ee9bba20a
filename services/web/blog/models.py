"""The blog's data: what belongs together is tied together in the database, not only here.

Two ties need more than Django's foreign keys and stand in migration 0002 as composite ones: an article's category
belongs to the article's author, and a comment's parent to the comment's article.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import models, transaction
from django.db.models import Case, Count, F, Q, When
from django.db.models.functions import Coalesce, TruncMonth
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from blog import ranking, rendering
from blog.text import LONGEST_SLUG, clean_line, clean_text, folded, free_slug, slug_of
from uploads import sizes, using
from uploads.models import Picture

LARGEST_BODY_BYTES = 200_000
LONGEST_COMMENT = 10_000
LONGEST_EXCERPT = 300
NEWEST_OF_TAG = 100


class OctetLength(models.Transform):
    """octet_length(text): the bytes of a text in UTF-8, as `field__octet_length`."""

    function = "octet_length"
    lookup_name = "octet_length"
    output_field = models.IntegerField()


models.TextField.register_lookup(OctetLength)


def validate_body(body: str) -> None:
    """Raise ValidationError for a body that is too large."""
    if len(body.encode("utf-8", "replace")) > LARGEST_BODY_BYTES:
        raise ValidationError(_("The text is longer than %(limit)d kB."), "size", {"limit": LARGEST_BODY_BYTES // 1000})


class Blog(models.Model):
    """What an author's blog is called. An author without one has a blog all the same, under the author's name."""

    author = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="blog", verbose_name=_("author")
    )
    title = models.CharField(_("title"), max_length=100)
    tagline = models.CharField(_("tagline"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("blog")
        verbose_name_plural = _("blogs")

    def __str__(self) -> str:
        return self.title

    @property
    def description(self) -> str:
        """The tagline, under the name that pages use for it."""
        return self.tagline


class Category(models.Model):
    """A shelf of one author. Articles outlive it."""

    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="categories", verbose_name=_("author")
    )
    name = models.CharField(_("name"), max_length=50)
    key = models.CharField(_("name, folded"), max_length=200, editable=False)
    slug = models.SlugField(_("slug"), max_length=LONGEST_SLUG, allow_unicode=True, blank=True)

    class Meta:
        verbose_name = _("category")
        verbose_name_plural = _("categories")
        ordering = ("author_id", "name")
        constraints = [
            models.UniqueConstraint(fields=["author", "key"], name="category_name_unique"),
            models.UniqueConstraint(fields=["author", "slug"], name="category_slug_unique"),
            # What the composite foreign key of an article points at.
            models.UniqueConstraint(fields=["id", "author"], name="category_of_author"),
            models.CheckConstraint(condition=~Q(key="") & ~Q(slug=""), name="category_named"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, with the key that makes names unique, and a slug that can be an address and is free."""
        self.name = clean_line(self.name)
        self.key = folded(self.name)
        others = Category.objects.filter(author_id=self.author_id).exclude(pk=self.pk)
        slug = slug_of(self.slug or self.name, "category")
        self.slug = free_slug(slug, lambda taken: others.filter(slug=taken).exists())
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        """The author's articles in this category."""
        return reverse("blog:author_category", args=[self.author.username, self.slug])

    def clean(self) -> None:
        """A name like another of this author's is a message beside the field."""
        key = folded(clean_line(self.name))
        if not key:
            raise ValidationError({"name": _("A category needs a name.")})
        if Category.objects.filter(author_id=self.author_id, key=key).exclude(pk=self.pk).exists():
            raise ValidationError({"name": _("This author has a category of that name.")})


class TagQuerySet(models.QuerySet["Tag"]):
    """Tags by what they are used for."""

    def recent(self, articles: int = 100) -> TagQuerySet:
        """The tags of the newest `articles` published articles, most used there first, with `article_count`."""
        newest = Article.objects.published().newest().values("pk")[:articles]
        return (
            self.filter(article_tags__article__in=newest)
            .annotate(article_count=Count("article_tags"))
            .order_by("-article_count", "name")
        )

    def used_by(self, author: User) -> TagQuerySet:
        """The tags of `author`'s published articles, most used first, with `article_count`."""
        published = Article.objects.published().filter(author=author).values("pk")
        return (
            self.filter(article_tags__article__in=published)
            .annotate(article_count=Count("article_tags"))
            .order_by("-article_count", "name")
        )


class TagManager(models.Manager.from_queryset(TagQuerySet)):  # type: ignore[misc]
    """Makes tags from what people type."""

    def named(self, name: str) -> Tag:
        """The tag called `name`, whatever its case and width; made if there is none. Raises ValueError for no name."""
        name = clean_line(name)
        if not (key := folded(name)):
            raise ValueError("a tag needs a name")
        tag, _created = self.get_or_create(key=key, defaults={"name": name})
        return tag


class Tag(models.Model):
    """A word that articles of all authors share."""

    name = models.CharField(_("name"), max_length=50)
    key = models.CharField(_("name, folded"), max_length=200, unique=True, editable=False)
    slug = models.SlugField(_("slug"), max_length=LONGEST_SLUG, allow_unicode=True, unique=True, blank=True)

    objects: ClassVar[TagManager] = TagManager()

    class Meta:
        verbose_name = _("tag")
        verbose_name_plural = _("tags")
        ordering = ("name",)
        constraints = [models.CheckConstraint(condition=~Q(key="") & ~Q(slug=""), name="tag_named")]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, with the key that makes names unique, and a slug that can be an address and is free."""
        self.name = clean_line(self.name)
        self.key = folded(self.name)
        others = Tag.objects.exclude(pk=self.pk)
        slug = slug_of(self.slug or self.name, "tag")
        self.slug = free_slug(slug, lambda taken: others.filter(slug=taken).exists())
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        """The articles of all authors with this tag."""
        return reverse("blog:tag", args=[self.slug])

    def clean(self) -> None:
        """A name like another's is a message beside the field."""
        key = folded(clean_line(self.name))
        if not key:
            raise ValidationError({"name": _("A tag needs a name.")})
        if Tag.objects.filter(key=key).exclude(pk=self.pk).exists():
            raise ValidationError({"name": _("There is a tag of that name.")})


class ArticleQuerySet(models.QuerySet["Article"]):
    """Articles by what a reader may see and in which order."""

    def published(self, now: datetime | None = None) -> Self:
        """Those that everybody may read at `now` (default: this moment): published, and not scheduled for later."""
        return self.filter(status=Article.Status.PUBLISHED, published_at__lte=now or timezone.now())

    def newest(self) -> Self:
        """Newest first; the id decides between equal dates, so that pages never overlap."""
        return self.order_by("-published_at", "-pk")

    def recommended(self) -> Self:
        """Best score first (blog.ranking)."""
        return self.order_by("-score", "-pk")

    def in_month(self, year: int, month: int) -> Self:
        """Those published in that month of the current time zone. Raises ValueError for one outside the calendar."""
        try:
            zone = timezone.get_current_timezone()
            start = datetime(year, month, 1, tzinfo=zone)
            # In the ten days after the 28th every month has become the next one.
            end = (datetime(year, month, 28, tzinfo=zone) + timedelta(days=10)).replace(day=1)
        except OverflowError as error:
            raise ValueError(f"no month {year}-{month}") from error
        return self.filter(published_at__gte=start, published_at__lt=end)

    def for_listing(self) -> Self:
        """With what a list shows, in two queries, and without the texts, which can be 200 kB each."""
        return (
            self.select_related("author", "category")
            .prefetch_related("tags")
            .defer("body", "body_html", "author__password", "author__bio")
        )

    def related_to(self, article: Article) -> Self:
        """Those that share tags with `article`: of its language first, then by how many tags, then newest. One query.

        Of each tag only the newest NEWEST_OF_TAG are looked at, so that it costs the same on a site of any size.
        """
        tags = [tag.pk for tag in article.tags.all()]
        if not tags:
            return self.none()
        newest = [
            ArticleTag.objects.filter(tag=tag).order_by("-article_id").values("article_id")[:NEWEST_OF_TAG]
            for tag in tags
        ]
        shared = Count("article_tags", filter=Q(article_tags__tag__in=tags))
        other_language = Case(When(language=article.language, then=0), default=1)
        return (
            self.filter(pk__in=newest[0].union(*newest[1:]))
            .exclude(pk=article.pk)
            .annotate(shared=shared)
            .order_by(other_language, "-shared", "-published_at", "-pk")
        )

    def months(self) -> list[dict[str, Any]]:
        """The months that have articles, newest first, each as {"month": date, "count": number}."""
        months = self.order_by().annotate(month=TruncMonth("published_at")).values("month").annotate(count=Count("*"))
        # Sorted here: asked to do it, PostgreSQL sorts every article before it counts.
        rows = sorted(months, key=itemgetter("month"), reverse=True)
        return [{"month": row["month"].date(), "count": row["count"]} for row in rows]


class Article(models.Model):
    """A text of one author. Its HTML is rendered when it is saved."""

    class Status(models.TextChoices):
        """What the author has done with it. Scheduled is published with a date to come."""

        DRAFT = "draft", _("draft")
        PUBLISHED = "published", _("published")
        TRASHED = "trashed", _("in the trash")

    class CommentPolicy(models.TextChoices):
        """Who sees a new comment."""

        OPEN = "open", _("open")
        APPROVE = "approve", _("shown after approval")
        CLOSED = "closed", _("closed")

    # An account with articles cannot be deleted by the way: whoever deletes it says what becomes of them.
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="articles", db_index=False, verbose_name=_("author")
    )
    title = models.CharField(_("title"), max_length=200)
    slug = models.SlugField(_("slug"), max_length=LONGEST_SLUG, allow_unicode=True, blank=True, db_index=False)
    language = models.CharField(_("language"), max_length=10, choices=settings.LANGUAGES, default="en")
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.DRAFT)
    published_at = models.DateTimeField(
        _("published at"), null=True, blank=True, help_text=_("A time to come schedules the article.")
    )
    # Kept when the date is changed later, so that an article cannot be lifted by it. Also the date in the feed's ids.
    first_published_at = models.DateTimeField(_("first published at"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), default=timezone.now, editable=False)

    body = models.TextField(_("text"), blank=True, validators=[validate_body], help_text=_("Markdown."))
    body_html = models.TextField(editable=False, blank=True)
    summary = models.CharField(
        _("summary"),
        max_length=LONGEST_EXCERPT,
        blank=True,
        help_text=_("Shown in lists. Without one the text's beginning is."),
    )
    excerpt = models.CharField(max_length=LONGEST_EXCERPT, editable=False, blank=True)
    reading_minutes = models.PositiveSmallIntegerField(default=1, db_default=1, editable=False)
    rendered_with = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    # The constraint is the composite foreign key of migration 0002, which sets it to NULL.
    category = models.ForeignKey(
        Category,
        models.SET_NULL,
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
        related_name="articles",
        verbose_name=_("category"),
    )
    tags: models.ManyToManyField[Tag, ArticleTag] = models.ManyToManyField(
        Tag, through="ArticleTag", related_name="articles", blank=True, verbose_name=_("tags")
    )
    cover = models.ImageField(
        _("cover"), upload_to="covers/%Y/%m", blank=True, width_field="cover_width", height_field="cover_height"
    )
    cover_width = models.PositiveIntegerField(null=True, blank=True, editable=False)
    cover_height = models.PositiveIntegerField(null=True, blank=True, editable=False)
    # Whether the cover's sizes are there (uploads.sizes).
    cover_ready = models.BooleanField(default=False, db_default=False, editable=False)
    cover_alt = models.CharField(
        _("description of the cover"), max_length=300, blank=True, help_text=_("For readers who cannot see it.")
    )
    canonical_url = models.URLField(
        _("canonical address"), max_length=500, blank=True, help_text=_("Where the text appeared first, if elsewhere.")
    )

    comment_policy = models.CharField(
        _("comments"), max_length=10, choices=CommentPolicy, default=CommentPolicy.OPEN, db_default=CommentPolicy.OPEN
    )
    comment_count = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    up_count = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    down_count = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    score = models.FloatField(default=0.0, db_default=0.0, editable=False)

    # Counts the saves, so that a form knows whether somebody saved since it was opened.
    version = models.PositiveIntegerField(default=1, db_default=1, editable=False)
    # Of the empty form that it came from: a form sent twice makes one article.
    form_key = models.UUIDField(null=True, editable=False)

    # As HTML, where a search found it (blog.search).
    marked_title: SafeString
    marked_text: SafeString

    objects: ClassVar[models.Manager[Article]] = ArticleQuerySet.as_manager()

    class Meta:
        verbose_name = _("article")
        verbose_name_plural = _("articles")
        get_latest_by = "published_at"
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["draft", "published", "trashed"]), name="article_status_known"
            ),
            models.CheckConstraint(
                condition=~Q(status="published") | Q(published_at__isnull=False, first_published_at__isnull=False),
                name="article_published_has_date",
            ),
            models.CheckConstraint(
                condition=Q(comment_policy__in=["open", "approve", "closed"]), name="article_comment_policy_known"
            ),
            models.CheckConstraint(
                condition=Q(comment_count__gte=0, up_count__gte=0, down_count__gte=0),
                name="article_counters_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(body__octet_length__lte=LARGEST_BODY_BYTES), name="article_body_not_too_large"
            ),
            models.CheckConstraint(condition=~Q(title="") & ~Q(slug=""), name="article_titled"),
            models.UniqueConstraint(fields=["author", "form_key"], name="article_form_sent_once"),
        ]
        indexes = [
            models.Index(
                F("published_at").desc(), F("id").desc(), name="article_newest", condition=Q(status="published")
            ),
            models.Index(
                F("author"),
                F("published_at").desc(),
                F("id").desc(),
                name="article_of_author",
                condition=Q(status="published"),
            ),
            models.Index(
                F("score").desc(), F("id").desc(), name="article_recommended", condition=Q(status="published")
            ),
            models.Index("category", F("published_at").desc(), name="article_of_category"),
            models.Index("author", "status", F("updated_at").desc(), name="article_desk"),
        ]

    def __str__(self) -> str:
        return self.title

    def save(self, *, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Save. A whole save prepares the article first and dates the change; one of named fields writes just these."""
        if update_fields is not None:
            super().save(update_fields=update_fields, **kwargs)
            return
        with transaction.atomic():
            # The article first, as those do who hold it before they save it: two saves never wait for each other.
            if not self._state.adding:
                self.updated_at = timezone.now()
                self.take_counters()
                self.version += 1
            # Before they are looked at, and until what is saved here names them.
            held = using.lock([*using.names_in(self.body), *([str(self.cover.name)] if self.cover else [])])
            self.prepare()
            self.score = ranking.score(self.up_count, self.down_count, self.first_published_at)
            super().save(**kwargs)
            using.note_article(self, held)

    def get_absolute_url(self) -> str:
        """Its one address: /<username>/<id>-<slug>/."""
        return reverse("blog:article", args=[self.author.username, f"{self.pk}-{self.slug}"])

    @property
    def is_public(self) -> bool:
        """Whether everybody may read it now."""
        return (
            self.status == self.Status.PUBLISHED
            and self.published_at is not None
            and self.published_at <= timezone.now()
        )

    @property
    def changed_at(self) -> datetime:
        """When a reader's copy of it was last outdated: never before it was published."""
        return max(self.updated_at, self.published_at or self.updated_at)

    @property
    def cover_sources(self) -> list[sizes.Source]:
        """What a <picture> of the cover names beside the original; nothing until the sizes are there."""
        return sizes.sources(str(self.cover.name), self.cover_width) if self.cover_ready and self.cover_width else []

    @property
    def contents(self) -> list[rendering.Heading]:
        """Its table of contents."""
        return rendering.contents(self.body_html)

    def prepare(self) -> None:
        """Fill every field that follows from others: clean texts, slug, HTML, excerpt, dates of publication."""
        self.title = clean_line(self.title)
        self.summary = clean_line(self.summary)
        self.cover_alt = clean_line(self.cover_alt)
        self.body = clean_text(self.body)
        self.slug = slug_of(self.slug or self.title, "article")
        self.render()
        self.cover_ready = bool(self.cover) and Picture.objects.filter(name=self.cover.name, ready=True).exists()
        if self.status == self.Status.PUBLISHED:
            self.published_at = self.published_at or timezone.now()
            # Until the moment has come nobody has seen it: the date may still move.
            if self.first_published_at is None or self.first_published_at > timezone.now():
                self.first_published_at = self.published_at

    def render(self) -> None:
        """Render the body, and what follows from it."""
        rendered = rendering.render_article(self.body, using.pictures_in(self.body))
        self.body_html = rendered.html
        self.excerpt = self.summary or rendering.shortened(rendered.text, LONGEST_EXCERPT)
        self.reading_minutes = rendering.reading_minutes(rendered.text)
        self.rendered_with = rendering.VERSION

    def take_counters(self) -> None:
        """Lock the row and read what counts in it, which others may have moved since this object was loaded."""
        counters = ("comment_count", "up_count", "down_count", "version")
        stored = Article.objects.select_for_update().filter(pk=self.pk).values(*counters).first()
        for name, value in (stored or {}).items():
            setattr(self, name, value)

    def clean(self) -> None:
        """What the database would refuse is a message beside the field."""
        if self.category is not None and self.category.author_id != self.author_id:
            raise ValidationError({"category": _("This category belongs to another author.")})
        if not clean_line(self.title):
            raise ValidationError({"title": _("An article needs a title.")})


class ArticleTag(models.Model):
    """That an article has a tag, once; in the order in which they were given."""

    article = models.ForeignKey(Article, models.CASCADE, related_name="article_tags", db_index=False)
    tag = models.ForeignKey(Tag, models.CASCADE, related_name="article_tags", db_index=False)

    class Meta:
        verbose_name = _("tag of an article")
        verbose_name_plural = _("tags of articles")
        ordering = ("pk",)
        constraints = [models.UniqueConstraint(fields=["article", "tag"], name="article_tag_unique")]
        indexes = [models.Index(fields=["tag", "article"], name="article_tag_by_tag")]

    def __str__(self) -> str:
        return f"{self.article_id}: {self.tag_id}"


class SearchEntry(models.Model):
    """What can be found in an article, and the text that a finding is shown in. Written by blog.search alone."""

    # The constraint is that of migration 0003, which cascades: a release without this table may delete the article.
    article = models.OneToOneField(
        Article, models.CASCADE, primary_key=True, db_constraint=False, related_name="search_entry"
    )
    vector = SearchVectorField()
    text = models.TextField()
    version = models.PositiveIntegerField()
    # Of the article that was indexed: another release's process may save it without writing here.
    article_updated_at = models.DateTimeField()

    class Meta:
        verbose_name = _("search entry")
        verbose_name_plural = _("search entries")
        indexes = [GinIndex(fields=["vector"], name="search_entry_vector")]

    def __str__(self) -> str:
        return f"{self.article_id}"


class CommentQuerySet(models.QuerySet["Comment"]):
    """Comments by who may see them."""

    def visible(self) -> Self:
        """Those that count."""
        return self.filter(status=Comment.Status.VISIBLE)

    def shown_to(self, reader: User | None = None, *, moderates: bool = False) -> Self:
        """What the article's page shows: those visible, and the gaps of deleted ones.

        Those that wait or are hidden are shown to the `reader` who wrote them, and to whoever `moderates`.
        """
        if moderates:
            return self
        shown = Q(status__in=[Comment.Status.VISIBLE, Comment.Status.DELETED])
        return self.filter(shown if reader is None else shown | Q(author=reader))

    def threaded(self) -> Self:
        """In the order of the page: thread by thread, and within one by floor; with what a comment shows."""
        return (
            self.select_related("author", "parent", "parent__author")
            .defer("author__password", "author__bio", "parent__author__password", "parent__author__bio")
            .alias(within=Coalesce("thread", "floor"))
            .order_by("within", "floor")
        )

    def before(self, comment: Comment) -> Self:
        """Those that stand before `comment` in that order."""
        thread = comment.thread or comment.floor
        return self.alias(within=Coalesce("thread", "floor")).filter(
            Q(within__lt=thread) | Q(within=thread, floor__lt=comment.floor)
        )


class Comment(models.Model):
    """A reply to an article, or to another comment on the same article. Its floor is its number there, for ever."""

    class Status(models.TextChoices):
        """Who sees it."""

        VISIBLE = "visible", _("visible")
        PENDING = "pending", _("waiting for approval")
        HIDDEN = "hidden", _("hidden by the author")
        DELETED = "deleted", _("deleted")

    article = models.ForeignKey(
        Article, models.CASCADE, related_name="comments", db_index=False, verbose_name=_("article")
    )
    # Others may have answered: what somebody said outlives the account.
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="comments",
        verbose_name=_("author"),
    )
    # The composite foreign key of migration 0002 ties it to the same article and sets it to NULL.
    parent = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        db_constraint=False,
        related_name="replies",
        verbose_name=_("in reply to"),
    )
    floor = models.PositiveIntegerField(_("floor"), editable=False)
    # The floor of the comment that began the thread, its own for that one. NULL, from a release before: its own.
    thread = models.PositiveIntegerField(null=True, editable=False)
    body = models.TextField(_("text"), validators=[MaxLengthValidator(LONGEST_COMMENT)], help_text=_("Markdown."))
    body_html = models.TextField(editable=False, blank=True)
    rendered_with = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    status = models.CharField(
        _("status"), max_length=10, choices=Status, default=Status.VISIBLE, db_default=Status.VISIBLE
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    edited_at = models.DateTimeField(_("edited at"), null=True, blank=True, editable=False)
    # Of the empty form that it came from: a form sent twice makes one comment.
    form_key = models.UUIDField(null=True, editable=False)

    objects: ClassVar[models.Manager[Comment]] = CommentQuerySet.as_manager()

    class Meta:
        verbose_name = _("comment")
        verbose_name_plural = _("comments")
        ordering = ("article_id", "floor")
        constraints = [
            models.UniqueConstraint(fields=["article", "floor"], name="comment_floor_unique"),
            # What the composite foreign key of a reply points at.
            models.UniqueConstraint(fields=["id", "article"], name="comment_of_article"),
            models.CheckConstraint(condition=Q(floor__gte=1), name="comment_floor_counts_from_1"),
            models.CheckConstraint(
                condition=Q(status__in=["visible", "pending", "hidden", "deleted"]), name="comment_status_known"
            ),
            models.CheckConstraint(condition=~Q(parent=F("id")), name="comment_not_its_own_parent"),
            models.CheckConstraint(condition=Q(status="deleted") | ~Q(body=""), name="comment_says_something"),
            models.UniqueConstraint(fields=["author", "form_key"], name="comment_form_sent_once"),
        ]
        indexes = [
            models.Index(
                "article", "created_at", name="comment_to_moderate", condition=Q(status__in=["pending", "hidden"])
            )
        ]

    def __str__(self) -> str:
        return f"#{self.floor}"

    def save(self, *, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Save; a whole save finds the thread and renders first."""
        if update_fields is None:
            self.join_thread()
            self.render()
        super().save(update_fields=update_fields, **kwargs)

    def get_absolute_url(self) -> str:
        """An address that leads to its place, on whichever page of the article that is by then."""
        return reverse("blog:comment", args=[self.pk])

    @property
    def quoted(self) -> Comment | None:
        """The comment it answers, where that may be shown."""
        return self.parent if self.parent is not None and self.parent.status == self.Status.VISIBLE else None

    @property
    def is_reply(self) -> bool:
        """Whether it stands on the second level."""
        return self.thread not in (None, self.floor)

    def join_thread(self) -> None:
        """Find the thread of a new comment."""
        if self.thread is None:
            self.thread = (self.parent.thread or self.parent.floor) if self.parent is not None else self.floor

    def render(self) -> None:
        """Render the body."""
        self.body = clean_text(self.body)
        self.body_html = rendering.render_comment(self.body)
        self.rendered_with = rendering.VERSION


class Block(models.Model):
    """That an author does not let a reader comment on any of the author's articles."""

    # The constraints are migration 0006's, which cascade: a release without this table may delete accounts.
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, db_constraint=False, db_index=False, related_name="blocks"
    )
    reader = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, db_constraint=False, related_name="blocked_by")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("blocked reader")
        verbose_name_plural = _("blocked readers")
        ordering = ("-pk",)
        constraints = [
            models.UniqueConstraint(fields=["author", "reader"], name="block_once"),
            models.CheckConstraint(condition=~Q(author=F("reader")), name="block_somebody_else"),
        ]

    def __str__(self) -> str:
        return f"{self.author_id}: {self.reader_id}"


class Vote(models.Model):
    """One reader's opinion of an article: 1 or -1, once. Written through blog.voting, which keeps the counters."""

    article = models.ForeignKey(Article, models.CASCADE, related_name="votes", db_index=False)
    voter = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="votes")
    value = models.SmallIntegerField(_("value"), choices=[(1, _("up")), (-1, _("down"))])
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("vote")
        verbose_name_plural = _("votes")
        constraints = [
            models.UniqueConstraint(fields=["article", "voter"], name="vote_once"),
            models.CheckConstraint(condition=Q(value__in=[1, -1]), name="vote_up_or_down"),
        ]

    def __str__(self) -> str:
        return f"{self.value:+d}"


class Revision(models.Model):
    """The text of an article as it was saved once. Written by blog.writing, at explicit saves only."""

    article = models.ForeignKey(Article, models.CASCADE, related_name="revisions", db_index=False)
    # The history outlives the account of a helper.
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("author")
    )
    title = models.CharField(_("title"), max_length=200)
    body = models.TextField(_("text"), blank=True)
    checksum = models.CharField(max_length=64, editable=False)
    note = models.CharField(_("note"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("revision")
        verbose_name_plural = _("revisions")
        ordering = ("-pk",)
        indexes = [models.Index("article", F("id").desc(), name="revision_of_article")]

    def __str__(self) -> str:
        return f"{self.article_id}: {self.pk}"


class Autosave(models.Model):
    """What somebody has typed since the last save: one a person and article, and one for an article not yet saved."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    article = models.ForeignKey(Article, models.CASCADE, null=True, related_name="autosaves")
    title = models.TextField(blank=True)
    body = models.TextField(blank=True)
    # The version of the article that was being changed, and the page that is changing it.
    version = models.PositiveIntegerField(default=0)
    tab = models.CharField(max_length=32, blank=True)
    saved_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("unsaved text")
        verbose_name_plural = _("unsaved texts")
        constraints = [models.UniqueConstraint(fields=["user", "article"], nulls_distinct=False, name="autosave_once")]

    def __str__(self) -> str:
        return self.title


class PreviewLink(models.Model):
    """Lets whoever has the link read an article before it is published, until it expires. Only a hash is stored."""

    article = models.ForeignKey(Article, models.CASCADE, related_name="preview_links")
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires at"))

    class Meta:
        verbose_name = _("preview link")
        verbose_name_plural = _("preview links")

    def __str__(self) -> str:
        return f"{self.article_id}: {self.pk}"

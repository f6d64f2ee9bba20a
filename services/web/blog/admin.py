"""Articles, categories, tags and comments in Django's admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import models
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.forms import FileField, ModelForm, Textarea
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from blog import commenting, writing
from blog.desk import user_of
from blog.models import Article, ArticleTag, Block, Blog, Category, Comment, PreviewLink, Revision, Tag, Vote
from blog.search import Search
from blog.text import clean_line
from moderation.site import Kept
from uploads import storing
from uploads.models import Picture


class ArticleTagInline(admin.TabularInline):
    """The tags of an article."""

    model = ArticleTag
    autocomplete_fields = ("tag",)
    extra = 1


class ArticleAdminForm(ModelForm):
    """The form of an article; its cover is taken in as any other picture."""

    taken_cover: Picture | None = None

    def clean(self) -> dict[str, Any]:
        """Take a new cover in, once nothing else is wrong."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        cover = cleaned.get("cover")
        if isinstance(cover, UploadedFile) and not self.errors:
            try:
                self.taken_cover, _moved = storing.store(
                    cleaned["author"], cover, cleaned.get("cover_alt", ""), opaque=True
                )
            except ValidationError as error:
                self.add_error("cover", error)
            else:
                # Nothing of the file itself is stored.
                cleaned["cover"] = self.instance.cover
        return cleaned


@admin.register(Article)
class ArticleAdmin(admin.ModelAdmin):
    """Articles of all authors."""

    form = ArticleAdminForm
    list_display = ("title", "author", "status", "published_at", "language", "category", "comment_count", "up_count")
    list_filter = ("status", "language", "comment_policy", "published_at")
    list_select_related = ("author", "category")
    # What is searched is get_search_results' to say; the box is shown where there is a field.
    search_fields = ("title",)
    search_help_text = _("Words of title, tags and text; an id; or @ and a whole username.")
    # The newest by id: the table's own index, however many there are.
    ordering = ("-pk",)
    autocomplete_fields = ("author", "category")
    inlines = (ArticleTagInline,)
    actions = ("unpublish",)
    readonly_fields = (
        "first_published_at",
        "created_at",
        "updated_at",
        "excerpt",
        "reading_minutes",
        "comment_count",
        "up_count",
        "down_count",
        "score",
    )
    fieldsets = (
        (None, {"fields": ("author", "title", "slug", "language", "status", "published_at")}),
        (_("Text"), {"fields": ("body", "summary", "category")}),
        (_("Cover"), {"fields": ("cover", "cover_alt")}),
        (_("More"), {"fields": ("comment_policy", "canonical_url")}),
        (_("Kept by the site"), {"classes": ("collapse",), "fields": readonly_fields}),
    )
    formfield_overrides = {
        models.ImageField: {"form_class": FileField},
        models.TextField: {"widget": Textarea(attrs={"rows": 30, "class": "vLargeTextField"})},
        models.URLField: {"assume_scheme": "https"},
    }

    def save_model(self, request: HttpRequest, obj: Article, form: Any, change: bool) -> None:
        """Save. A new cover becomes a picture of the author's."""
        if form.taken_cover is not None:
            obj.cover = form.taken_cover.name
        super().save_model(request, obj, form, change)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Article]:
        """Lists need no texts."""
        articles: QuerySet[Article] = super().get_queryset(request)
        match = request.resolver_match
        return (
            articles.defer("body", "body_html") if match and match.url_name == "blog_article_changelist" else articles
        )

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[Any, bool]:
        """By the site's own search, which knows Chinese and has an index, over articles in every status."""
        asked = clean_line(search_term)
        if not asked:
            return queryset, False
        if asked.isascii() and asked.isdigit() and len(asked) < 19:
            return queryset.filter(pk=int(asked)), False
        if asked.startswith("@"):
            return queryset.filter(author__username__lower=asked[1:].lower()), False
        return queryset.filter(pk__in=Search(asked).matching()), False

    @admin.action(description=_("Make the selected articles drafts again"), permissions=["change"])
    def unpublish(self, request: HttpRequest, articles: QuerySet[Article]) -> None:
        """Take them away from readers."""
        for article in articles.filter(status=Article.Status.PUBLISHED):
            writing.set_status(article, Article.Status.DRAFT)


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):
    """Categories of all authors."""

    list_display = ("name", "author", "slug", "articles")
    list_select_related = ("author",)
    search_fields = ("name", "author__username")
    autocomplete_fields = ("author",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Category]:
        """With how many articles each has."""
        categories: QuerySet[Category] = super().get_queryset(request)
        # For the rows of the page alone: a join would count the articles of every category first.
        own = Article.objects.filter(category=OuterRef("pk")).order_by().values("category")
        uses = Subquery(own.annotate(total=Count("*")).values("total"), output_field=models.IntegerField())
        return categories.annotate(uses=Coalesce(uses, 0))

    @admin.display(description=_("articles"), ordering="uses")
    def articles(self, category: Any) -> int:
        """How many it has, in every status."""
        return int(category.uses)


@admin.register(Tag)
class TagAdmin(admin.ModelAdmin):
    """Tags of the site."""

    list_display = ("name", "slug", "articles")
    search_fields = ("name", "slug")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tag]:
        """With how often each is used."""
        tags: QuerySet[Tag] = super().get_queryset(request)
        return tags.annotate(uses=Count("article_tags"))

    @admin.display(description=_("articles"), ordering="uses")
    def articles(self, tag: Any) -> int:
        """How often it is used."""
        return int(tag.uses)


@admin.register(Comment)
class CommentAdmin(admin.ModelAdmin):
    """Comments. What is done to them keeps the thread and the counters."""

    list_display = ("beginning", "article", "floor", "author", "status", "created_at")
    list_filter = ("status", "created_at")
    list_select_related = ("article", "author")
    search_fields = ("body", "=author__username")
    search_help_text = _("Words of the text, or a whole username.")
    ordering = ("-pk",)
    actions = ("show", "hide")
    readonly_fields = ("article", "author", "parent", "floor", "status", "created_at", "edited_at")
    fields = ("article", "floor", "author", "parent", "status", "body", "created_at", "edited_at")

    @admin.display(description=_("text"))
    def beginning(self, comment: Comment) -> str:
        """The beginning of the text."""
        return Truncator(comment.body).chars(60) or "–"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Comment]:
        """Without the texts of the articles."""
        comments: QuerySet[Comment] = super().get_queryset(request)
        return comments.defer("article__body", "article__body_html", "body_html")

    def has_hide_permission(self, request: HttpRequest) -> bool:
        """Moderators hide comments, and change no text."""
        return self.has_change_permission(request) or request.user.has_perm("moderation.hide_comment")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A comment is written on the article's page."""
        return False

    def delete_model(self, request: HttpRequest, obj: Comment) -> None:
        """Empty it. The row stays: its floor would be lost to those who refer to it."""
        commenting.set_status(obj, Comment.Status.DELETED, by=user_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Comment]) -> None:
        """Likewise, for the action on several."""
        for comment in queryset:
            commenting.set_status(comment, Comment.Status.DELETED, by=user_of(request))

    def save_model(self, request: HttpRequest, obj: Comment, form: Any, change: bool) -> None:
        """Only the text can be changed here."""
        commenting.edit(obj, obj.body)

    @admin.action(description=_("Show the selected comments"), permissions=["hide"])
    def show(self, request: HttpRequest, comments: QuerySet[Comment]) -> None:
        """Make them visible; deleted ones have no text left to show."""
        for comment in comments.exclude(status=Comment.Status.DELETED):
            commenting.set_status(comment, Comment.Status.VISIBLE, by=user_of(request))

    @admin.action(description=_("Hide the selected comments"), permissions=["hide"])
    def hide(self, request: HttpRequest, comments: QuerySet[Comment]) -> None:
        """Hide them from everybody but their writers."""
        for comment in comments.exclude(status=Comment.Status.DELETED):
            commenting.set_status(comment, Comment.Status.HIDDEN, by=user_of(request))


@admin.register(Blog)
class BlogAdmin(admin.ModelAdmin):
    """What the authors' blogs are called."""

    list_display = ("title", "author", "tagline")
    list_select_related = ("author",)
    search_fields = ("title", "author__username")
    autocomplete_fields = ("author",)


@admin.register(Block)
class BlockAdmin(Kept, admin.ModelAdmin):
    """Whom authors do not let comment. It is theirs to change."""

    list_display = ("author", "reader", "created_at")
    list_select_related = ("author", "reader")
    list_filter = ("created_at",)
    search_fields = ("=author__username", "=reader__username")
    search_help_text = _("A whole username.")
    ordering = ("-pk",)
    fields = readonly_fields = ("author", "reader", "created_at")


@admin.register(Vote)
class VoteAdmin(Kept, admin.ModelAdmin):
    """Who is for what. Counters follow votes, so none is made or changed here."""

    list_display = ("article", "voter", "value", "created_at")
    list_select_related = ("article", "voter")
    list_filter = ("value", "created_at")
    search_fields = ("=voter__username",)
    search_help_text = _("The whole username of the voter.")
    ordering = ("-pk",)
    fields = readonly_fields = ("article", "voter", "value", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Vote]:
        """Without the texts of the articles."""
        votes: QuerySet[Vote] = super().get_queryset(request)
        return votes.defer("article__body", "article__body_html")


@admin.register(Revision)
class RevisionAdmin(Kept, admin.ModelAdmin):
    """Earlier texts. They are restored in the back office, which keeps what they replace."""

    list_display = ("title", "article", "author", "note", "created_at")
    list_select_related = ("article", "author")
    list_filter = ("created_at",)
    search_fields = ("article__pk__exact", "=author__username")
    search_help_text = _("The id of an article, or a whole username.")
    ordering = ("-pk",)
    fields = readonly_fields = ("article", "author", "title", "body", "note", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Revision]:
        """Lists need no texts."""
        revisions: QuerySet[Revision] = super().get_queryset(request)
        match = request.resolver_match
        lists = match and match.url_name == "blog_revision_changelist"
        return revisions.defer("body", "article__body", "article__body_html") if lists else revisions


@admin.register(PreviewLink)
class PreviewLinkAdmin(Kept, admin.ModelAdmin):
    """Links to what is not published. What is stored of a link opens nothing; deleting it closes it."""

    list_display = ("article", "created_at", "expires_at")
    list_select_related = ("article",)
    list_filter = ("expires_at",)
    search_fields = ("article__pk__exact",)
    search_help_text = _("The id of an article.")
    ordering = ("-pk",)
    fields = readonly_fields = ("article", "created_at", "expires_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PreviewLink]:
        """Without the texts of the articles."""
        links: QuerySet[PreviewLink] = super().get_queryset(request)
        return links.defer("article__body", "article__body_html")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As Django has it."""
        return request.user.has_perm("blog.delete_previewlink")

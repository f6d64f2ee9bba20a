"""Articles, categories, tags and comments in Django's admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import models
from django.db.models import Count, QuerySet
from django.forms import FileField, ModelForm, Textarea
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from blog import commenting
from blog.models import Article, ArticleTag, Blog, Category, Comment, Tag
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
    list_filter = ("status", "language", "comment_policy")
    list_select_related = ("author", "category")
    search_fields = ("title", "slug", "author__username")
    date_hierarchy = "published_at"
    ordering = ("-created_at",)
    autocomplete_fields = ("author", "category")
    inlines = (ArticleTagInline,)
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


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):
    """Categories of all authors."""

    list_display = ("name", "author", "slug")
    list_select_related = ("author",)
    search_fields = ("name", "author__username")
    autocomplete_fields = ("author",)


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

    list_display = ("article", "floor", "author", "status", "created_at")
    list_filter = ("status",)
    list_select_related = ("article", "author")
    search_fields = ("body", "author__username", "article__title")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    actions = ("show", "hide")
    readonly_fields = ("article", "author", "parent", "floor", "status", "created_at", "edited_at")
    fields = ("article", "floor", "author", "parent", "status", "body", "created_at", "edited_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A comment is written on the article's page."""
        return False

    def delete_model(self, request: HttpRequest, obj: Comment) -> None:
        """Empty it. The row stays: its floor would be lost to those who refer to it."""
        commenting.set_status(obj, Comment.Status.DELETED)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Comment]) -> None:
        """Likewise, for the action on several."""
        for comment in queryset:
            commenting.set_status(comment, Comment.Status.DELETED)

    def save_model(self, request: HttpRequest, obj: Comment, form: Any, change: bool) -> None:
        """Only the text can be changed here."""
        commenting.edit(obj, obj.body)

    @admin.action(description=_("Show the selected comments"))
    def show(self, request: HttpRequest, comments: QuerySet[Comment]) -> None:
        """Make them visible; deleted ones have no text left to show."""
        for comment in comments.exclude(status=Comment.Status.DELETED):
            commenting.set_status(comment, Comment.Status.VISIBLE)

    @admin.action(description=_("Hide the selected comments"))
    def hide(self, request: HttpRequest, comments: QuerySet[Comment]) -> None:
        """Hide them from everybody but their writers."""
        for comment in comments.exclude(status=Comment.Status.DELETED):
            commenting.set_status(comment, Comment.Status.HIDDEN)


@admin.register(Blog)
class BlogAdmin(admin.ModelAdmin):
    """What the authors' blogs are called."""

    list_display = ("title", "author", "tagline")
    list_select_related = ("author",)
    search_fields = ("title", "author__username")
    autocomplete_fields = ("author",)

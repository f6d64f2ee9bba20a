"""The forms of the back office and of comments: what was typed, as clean values or with a message beside the field."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import URLValidator
from django.http import QueryDict
from django.utils.crypto import get_random_string
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _

from blog.models import LONGEST_COMMENT, LONGEST_EXCERPT, Article, Autosave, Category, validate_body
from blog.sharing import LIFETIMES
from blog.text import LONGEST_SLUG, clean_line, clean_text, folded, slug_of
from blog.writing import Submission
from uploads import decoding
from uploads.models import LONGEST_ALT, Picture

MOST_TAGS = 20
LONGEST_NAME = 50
LONGEST_KEY = 200
BETWEEN_TAGS = re.compile("[,，、;；\n]")
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class Line(forms.CharField):
    """One line of text: no control or direction characters."""

    def to_python(self, value: Any) -> str:
        """Cleaned, before its length is measured."""
        return clean_line(super().to_python(value) or "")


class Text(forms.CharField):
    """Text of several lines, each ended by \\n, as it is stored."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> str:
        """Cleaned, before its length is measured."""
        return clean_text(super().to_python(value) or "")


class WebAddress(forms.URLField):
    """An address with http or https, and nothing else."""

    default_validators = [URLValidator(["http", "https"])]


def named(name: str) -> str:
    """`name`, if a tag or category can have it, else ValidationError."""
    if len(name) > LONGEST_NAME or len(folded(name)) > LONGEST_KEY:
        raise ValidationError(
            _("“%(name)s” is longer than %(limit)d characters."), "long", {"name": name[:60], "limit": LONGEST_NAME}
        )
    return name


def tag_names(text: str) -> list[str]:
    """The names in a line of tags, which Western and Chinese commas part; each once. Raises ValidationError."""
    names: dict[str, str] = {}
    for part in BETWEEN_TAGS.split(text):
        name = clean_line(clean_line(part).lstrip("#＃"))
        if key := folded(name):
            names.setdefault(key, named(name))
    if len(names) > MOST_TAGS:
        raise ValidationError(_("An article has at most %(limit)d tags."), "many", {"limit": MOST_TAGS})
    return list(names.values())


def stored_slug(article: Article) -> str:
    """The slug as the form shows it: empty as long as it follows the title of an article that nobody has seen yet."""
    follows = article.first_published_at is None and article.slug == slug_of(article.title, "article")
    return "" if follows else article.slug


class CoverChoice(forms.ModelChoiceField):
    """One of the author's pictures."""

    def label_from_instance(self, obj: Picture) -> str:
        """What is on it, or what its file was called; and its size."""
        return f"{(obj.alt or obj.label)[:60]} ({obj.width} × {obj.height})"


class ArticleForm(forms.Form):
    """An article as its author writes it."""

    title = Line(label=_("title"), max_length=200)
    body = Text(label=_("text"), required=False, validators=[validate_body], strip=False)
    summary = Line(
        label=_("summary"),
        required=False,
        max_length=LONGEST_EXCERPT,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Shown in lists. Without one the text's beginning is."),
    )
    tags = Text(
        label=_("tags"), required=False, widget=forms.TextInput(), help_text=_("With commas between them: , ， or 、")
    )
    category = forms.ModelChoiceField(label=_("category"), queryset=Category.objects.none(), required=False)
    new_category = Line(label=_("or a new category"), required=False, max_length=LONGEST_NAME)
    language = forms.ChoiceField(label=_("language"), choices=settings.LANGUAGES)
    comment_policy = forms.ChoiceField(label=_("comments"), choices=Article.CommentPolicy.choices)
    published_at = forms.DateTimeField(
        label=_("published at"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    slug = Line(
        label=_("slug"),
        required=False,
        max_length=LONGEST_SLUG,
        help_text=_("Part of the address. Without one it follows the title; addresses with the old one keep working."),
    )
    canonical_url = WebAddress(
        label=_("canonical address"),
        required=False,
        max_length=500,
        assume_scheme="https",
        help_text=_("Where the text appeared first, if elsewhere."),
    )
    cover = CoverChoice(
        label=_("cover"),
        queryset=Picture.objects.none(),
        required=False,
        empty_label=_("none"),
        help_text=_("One of your pictures, or a new one:"),
    )
    cover_file = forms.FileField(
        label=_("new cover"),
        required=False,
        max_length=1000,
        widget=forms.FileInput(attrs={"accept": decoding.ACCEPT}),
    )
    cover_alt = Line(
        label=_("description of the cover"),
        required=False,
        max_length=LONGEST_ALT,
        help_text=_("For readers who cannot see it."),
    )
    note = Line(
        label=_("note"), required=False, max_length=200, help_text=_("What changed, for the list of revisions.")
    )
    version = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput())
    key = forms.UUIDField(required=False, widget=forms.HiddenInput())
    tab = forms.RegexField(r"\A\w{1,32}\Z", required=False, widget=forms.HiddenInput())

    def __init__(
        self,
        article: Article,
        data: QueryDict | None = None,
        files: MultiValueDict[str, UploadedFile] | None = None,
        unsaved: Autosave | None = None,
    ) -> None:
        self.article = article
        # A cover is a JPEG, which all that show a page's picture elsewhere understand.
        pictures = Picture.objects.filter(owner=article.author_id, name__endswith=".jpg").order_by("-pk")
        tags = [] if article._state.adding else article.article_tags.values_list("tag__name", flat=True)
        initial = {
            **{
                name: getattr(article, name)
                for name in ("title", "body", "summary", "language", "canonical_url", "cover_alt")
            },
            **{name: getattr(article, name) for name in ("comment_policy", "published_at", "category")},
            "slug": stored_slug(article) if article.pk else "",
            "tags": ", ".join(tags) if data is None else "",
            "cover": pictures.filter(name=article.cover.name).first() if article.cover else None,
            "version": article.version if article.pk else 0,
            "key": uuid4(),
            "tab": get_random_string(16),
        }
        if unsaved is not None:
            initial |= {name: getattr(unsaved, name) for name in ("title", "body", "version", "tab")}
        super().__init__(data, files, initial=initial)
        covers = self.fields["cover"]
        assert isinstance(covers, forms.ModelChoiceField)  # noqa: S101  (it stands above)
        covers.queryset = pictures.only("alt", "label", "width", "height", "name")
        categories = self.fields["category"]
        assert isinstance(categories, forms.ModelChoiceField)  # noqa: S101  (it stands above)
        categories.queryset = Category.objects.filter(author=article.author).order_by("name")
        categories.empty_label = str(_("none"))

    def clean_tags(self) -> list[str]:
        """The names."""
        return tag_names(self.cleaned_data["tags"])

    def clean_new_category(self) -> str:
        """A name that a category can have."""
        return named(self.cleaned_data["new_category"])

    def clean_published_at(self) -> datetime | None:
        """A date in a calendar that everybody can show; the stored one where the form shows its minute."""
        chosen: datetime | None = self.cleaned_data["published_at"]
        stored = self.article.published_at
        if chosen and not EARLIEST <= chosen < LATEST:
            raise ValidationError(_("The date lies too far away."), "far")
        same = chosen and stored and chosen == stored.replace(second=0, microsecond=0)
        return stored if same else chosen

    def sent(self) -> QueryDict:
        """A copy of what was sent, to be changed."""
        assert isinstance(self.data, QueryDict)  # noqa: S101  (a form without data has no errors to be sent again)
        return self.data.copy()

    def take_cover(self, picture: Picture) -> None:
        """Let the form choose `picture`, which its file was stored as: it is sent again without the file."""
        data = self.sent()
        data["cover"] = str(picture.pk)
        self.data = data
        self.cleaned_data["cover"] = picture

    def submission(self, do: str) -> Submission:
        """What a valid form sent. `do` says what becomes of the article: publish, draft, or (save) neither."""
        data = dict(self.cleaned_data)
        cover = data.pop("cover")
        del data["cover_file"]
        # A form without the field says nothing of it; a cover that is no picture of the author's stays unless replaced.
        if cover is not None or (self.initial["cover"] is not None and "cover" in self.data):
            data["cover"] = cover.name if cover else ""
            data["cover_alt"] = data["cover_alt"] or (cover.alt if cover else "")
        elif "cover_alt" not in self.data:
            del data["cover_alt"]
        own = {name: data.pop(name) for name in ("tags", "new_category", "version", "key", "note", "tab")}
        data["slug"] = slug_of(data["slug"] or data["title"], "article")
        if do in ("publish", "draft"):
            data["status"] = {"publish": Article.Status.PUBLISHED, "draft": Article.Status.DRAFT}[do]
        return Submission(values=data, **own)


class AutosaveForm(forms.Form):
    """What the editor sends every now and then. Nothing is required: half a text is what it is for."""

    title = Line(required=False, max_length=1000)
    body = Text(required=False, validators=[validate_body], strip=False)
    version = forms.IntegerField(min_value=0, max_value=2**31 - 1)
    tab = forms.RegexField(r"\A\w{1,32}\Z")


class LinkForm(forms.Form):
    """A preview link to be made."""

    days = forms.TypedChoiceField(label=_("expires after"), coerce=int, choices=[(days, days) for days in LIFETIMES])
    key = forms.RegexField(r"\A\w{1,64}\Z", widget=forms.HiddenInput())


class CommentForm(forms.Form):
    """A comment as a reader writes it."""

    body = Text(
        label=_("your comment"),
        max_length=LONGEST_COMMENT,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text=_("Markdown: **bold**, *italic*, `code`, > quotation, lists and links."),
    )
    key = forms.UUIDField(required=False, widget=forms.HiddenInput())
    parent = forms.IntegerField(required=False, min_value=1, max_value=10**18 - 1, widget=forms.HiddenInput())

    def __init__(self, data: QueryDict | None = None, *, answers: bool = False, **values: Any) -> None:
        """With `data` that was sent, or with `values`. `answers`: it takes the place of the one at the end."""
        super().__init__(data, initial={"key": uuid4(), **values}, auto_id="comment-%s", use_required_attribute=False)
        attributes = self.fields["body"].widget.attrs
        # Checked here, with what was typed kept; a browser would cut a long text off without a word.
        attributes.pop("maxlength")
        if answers:
            attributes["hx-preserve"] = "true"
        if data is not None or values.get("body"):
            attributes["autofocus"] = True

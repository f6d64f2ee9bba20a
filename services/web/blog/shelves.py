"""The part of the back office for an author's categories, and for what the blog is called."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from accounts.models import User
from blog import views
from blog.desk import user_of, writer
from blog.forms import LONGEST_NAME, Line, named
from blog.models import Article, Blog, Category
from blog.text import LONGEST_SLUG, folded, slug_of

PER_PAGE = 50
NAME_TAKEN = gettext_lazy("You have a category of that name.")


class CategoryForm(forms.Form):
    """The name of a category and, for one that is there, the part of its address."""

    name = Line(label=gettext_lazy("Name"), max_length=LONGEST_NAME)
    slug = Line(
        label=gettext_lazy("Part of its address"),
        max_length=LONGEST_SLUG,
        help_text=gettext_lazy("A new name does not change it. If you do, the old address leads nowhere."),
    )

    def __init__(self, category: Category, data: Any = None) -> None:
        super().__init__(data, initial={"name": category.name, "slug": category.slug}, use_required_attribute=False)
        self.category = category
        self.others = Category.objects.filter(author=category.author_id).exclude(pk=category.pk)
        if category._state.adding:
            del self.fields["slug"]

    def clean_name(self) -> str:
        """A name that no other category of this author's has, in any case and width."""
        name = named(self.cleaned_data["name"])
        if self.others.filter(key=folded(name)).exists():
            raise ValidationError(NAME_TAKEN, "taken")
        return name

    def clean_slug(self) -> str:
        """What can be an address, and is not another category's."""
        slug = slug_of(self.cleaned_data["slug"], "category")
        if self.others.filter(slug=slug).exists():
            raise ValidationError(_("Another category of yours has this address."), "taken")
        return slug

    def save(self) -> bool:
        """Store it; False, and the form says why, if somebody was quicker with the name."""
        self.category.name = self.cleaned_data["name"]
        self.category.slug = self.cleaned_data.get("slug", "")
        try:
            with transaction.atomic():
                self.category.save()
        except IntegrityError:
            self.add_error("name", str(NAME_TAKEN))
            return False
        return True


class BlogForm(forms.Form):
    """What a blog is called."""

    title = Line(
        label=gettext_lazy("Title"),
        required=False,
        max_length=100,
        help_text=gettext_lazy("Without one the blog has your name."),
    )
    tagline = Line(label=gettext_lazy("Tagline"), required=False, max_length=200)

    def clean(self) -> dict[str, Any]:
        """There is no tagline without a title."""
        if self.cleaned_data.get("tagline") and not self.cleaned_data.get("title") and "title" not in self.errors:
            self.add_error("title", _("A tagline needs a title above it."))
        return self.cleaned_data


def merge(source: Category, target: Category) -> int:
    """Put the articles of `source` into `target`, of the same author, and delete `source`; returns how many.

    Both rows are locked, so that two merges at once, or one with a deletion, wait for each other. Raises
    Category.DoesNotExist if one of them is gone, and ValueError for one and the same.
    """
    if source.pk == target.pk:
        raise ValueError("a category is merged with another")
    with transaction.atomic():
        both = Category.objects.select_for_update().filter(pk__in=[source.pk, target.pk], author=source.author_id)
        if len(both.order_by("pk")) < 2:
            raise Category.DoesNotExist
        moved = Article.objects.filter(category=source.pk).update(category=target.pk)
        Category.objects.filter(pk=source.pk).delete()
    return moved


def own_categories(author: User) -> QuerySet[Category]:
    """The categories of `author`, by name, with how many articles out of the trash each has as `article_count`."""
    counted = Count("articles", filter=~Q(articles__status=Article.Status.TRASHED))
    return author.categories.annotate(article_count=counted).order_by("name", "pk")


def category_or_404(request: HttpRequest, pk: int) -> Category:
    """One of one's own."""
    found: Category = get_object_or_404(own_categories(user_of(request)), pk=pk)
    return found


@writer
@require_http_methods(["GET", "HEAD", "POST"])
def categories(request: HttpRequest) -> HttpResponse:
    """One's own categories; adds one."""
    author = user_of(request)
    form = CategoryForm(Category(author=author), request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid() and form.save():
        messages.success(request, _("The category “%(name)s” is there.") % {"name": form.category.name})
        return redirect("desk:categories")
    context = {**views.paged(request, own_categories(author), PER_PAGE), "form": form}
    return render(request, "desk/categories.html", context, status=422 if form.errors else 200)


@writer
@require_http_methods(["GET", "HEAD", "POST"])
def category(request: HttpRequest, pk: int) -> HttpResponse:
    """A category: its name and address, and (`do=merge`) its end in another one."""
    found = category_or_404(request, pk)
    others = own_categories(user_of(request)).exclude(pk=pk)
    merging = request.method == "POST" and request.POST.get("do") == "merge"
    form = CategoryForm(found, request.POST if request.method == "POST" and not merging else None)
    wrong = ""
    if merging:
        chosen = request.POST.get("into", "")
        is_id = chosen.isascii() and chosen.isdigit() and len(chosen) < 19
        target = others.filter(pk=int(chosen)).first() if is_id else None
        if target is not None:
            n = merge(found, target)
            said = ngettext("%(n)d article is now in “%(name)s”.", "%(n)d articles are now in “%(name)s”.", n)
            messages.success(request, said % {"n": n, "name": target.name})
            return redirect("desk:categories")
        wrong = _("Choose one of your other categories.")
    elif request.method == "POST" and form.is_valid() and form.save():
        messages.success(request, _("Saved."))
        return redirect("desk:categories")
    context = {"category": found, "form": form, "others": list(others), "wrong": wrong}
    return render(request, "desk/category.html", context, status=422 if form.errors or wrong else 200)


@writer
@require_http_methods(["GET", "HEAD", "POST"])
def delete_category(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks, then deletes a category. Its articles stay, without one."""
    found = category_or_404(request, pk)
    if request.method != "POST":
        return render(request, "desk/delete_category.html", {"category": found})
    found.delete()
    messages.success(request, _("The category is deleted. Its articles are still there."))
    return redirect("desk:categories")


@writer
@require_http_methods(["GET", "HEAD", "POST"])
def blog(request: HttpRequest) -> HttpResponse:
    """What one's blog is called."""
    author = user_of(request)
    stored = Blog.objects.filter(author=author).values("title", "tagline").first()
    form = BlogForm(request.POST if request.method == "POST" else None, initial=dict(stored or {}))
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["title"]:
            Blog.objects.update_or_create(author=author, defaults=form.cleaned_data)
        else:
            Blog.objects.filter(author=author).delete()
        messages.success(request, _("Saved."))
        return redirect("desk:blog")
    return render(request, "desk/blog.html", {"form": form}, status=422 if form.errors else 200)

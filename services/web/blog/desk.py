"""The back office: an author's own articles, from the first word to the trash.

Every address answers 404 for the articles of others, except to administrators who may change them, and sends the
anonymous to log-in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ValidationError
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import User
from blog import rendering, sharing, views, writing
from blog.comparing import compare
from blog.forms import ArticleForm, AutosaveForm, LinkForm
from blog.models import LARGEST_BODY_BYTES, Article, ArticleQuerySet, Comment, Revision, Tag
from blog.text import clean_line, clean_text
from config import limits
from config.preferences import way_back
from moderation.reporting import reason_for_draft
from uploads import storing, using

PER_PAGE = 20
STATES = ("draft", "scheduled", "published", "trash")

View = Callable[..., HttpResponse]


def writer(view: View) -> View:
    """Only for who is logged in. The anonymous are sent to log-in (a text they sent is kept: config.resending)."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        back = request.get_full_path() if request.method in ("GET", "HEAD") else way_back(request)
        return redirect_to_login(back)

    return never_cache(guarded)


def user_of(request: HttpRequest) -> User:
    """Who is logged in."""
    assert isinstance(request.user, User)  # noqa: S101  (writer() has seen to it)
    return request.user


def own_or_404(request: HttpRequest, pk: int) -> Article:
    """The article, if whoever asks may write it."""
    articles = Article.objects.select_related("author", "category")
    user = user_of(request)
    # Ordinary authors are not asked for permissions: that would be two queries on each of their pages.
    all_of_them = user.is_staff and user.has_perm("blog.change_article")
    return get_object_or_404(articles if all_of_them else articles.filter(author=user), pk=pk)


def chosen_articles(request: HttpRequest, own: ArticleQuerySet) -> tuple[ArticleQuerySet, dict[str, Any]]:
    """Those of `own` that the query asks for, and what it asks for; 404 for what is no choice."""
    state, category = request.GET.get("state", ""), request.GET.get("category", "")
    tag, words = clean_line(request.GET.get("tag", "")), clean_line(request.GET.get("q", ""))[:200]
    now = timezone.now()
    published = Q(status=Article.Status.PUBLISHED)
    if state not in ("", *STATES) or (category and not (category.isascii() and category.isdigit())):
        raise Http404("no such filter")
    by_state = {
        "": ~Q(status=Article.Status.TRASHED),
        "draft": Q(status=Article.Status.DRAFT),
        "scheduled": published & Q(published_at__gt=now),
        "published": published & Q(published_at__lte=now),
        "trash": Q(status=Article.Status.TRASHED),
    }
    found = own.filter(by_state[state])
    if category:
        found = found.filter(category=int(category[:18]))
    if tag:
        found = found.filter(article_tags__tag__slug=tag[:120])
    for word in words.split()[:8]:
        found = found.filter(title__icontains=word)
    return found, {"state": state, "category": category, "tag": tag, "q": words}


@writer
@require_safe
def articles(request: HttpRequest) -> HttpResponse:
    """One's own articles, last changed first."""
    author = user_of(request)
    own: ArticleQuerySet = Article.objects.filter(author=author)
    found, chosen = chosen_articles(request, own)
    published = Q(status=Article.Status.PUBLISHED)
    counts = own.aggregate(
        draft=Count("pk", Q(status=Article.Status.DRAFT)),
        scheduled=Count("pk", published & Q(published_at__gt=timezone.now())),
        published=Count("pk", published & Q(published_at__lte=timezone.now())),
        trash=Count("pk", Q(status=Article.Status.TRASHED)),
    )
    names = {
        "": _("All"),
        "draft": _("Drafts"),
        "scheduled": _("Scheduled"),
        "published": _("Published"),
        "trash": _("Trash"),
    }
    totals = {"": counts["draft"] + counts["scheduled"] + counts["published"], **counts}
    context = {
        **views.paged(request, found.for_listing().order_by("-updated_at", "-pk"), PER_PAGE),
        "chosen": chosen,
        "states": [(state, name, totals[state]) for state, name in names.items()],
        "categories": list(author.categories.order_by("name")),
        "tags": list(Tag.objects.filter(article_tags__article__author=author).distinct().order_by("name")),
        "waiting": Comment.objects.filter(article__author=author, status=Comment.Status.PENDING).count(),
    }
    return render(request, "desk/articles.html", context)


def editor(request: HttpRequest, article: Article, form: ArticleForm, status: int = 200, **extra: Any) -> HttpResponse:
    """The page with the form."""
    context = {
        "article": article,
        "form": form,
        "is_scheduled": article.status == Article.Status.PUBLISHED and not article.is_public,
        "zone": timezone.get_current_timezone_name(),
        "taken_away": reason_for_draft(article),
        **extra,
    }
    return render(request, "desk/editor.html", context, status=status)


def write(request: HttpRequest, article: Article) -> HttpResponse:
    """The editor, for an article that is there or (without an id) one to be made."""
    user = user_of(request)
    if request.method != "POST":
        unsaved = writing.unsaved(article, user)
        taken_up = unsaved if "unsaved" in request.GET else None
        form = ArticleForm(article, unsaved=taken_up)
        return editor(request, article, form, unsaved=None if taken_up else unsaved, taken_up=taken_up)
    form = ArticleForm(article, request.POST, request.FILES)
    status = take_cover(request, article, form)
    do = request.POST.get("do", "save")
    if do == "preview":
        return editor(request, article, form, preview=previewed(form))
    if not form.is_valid():
        return editor(request, article, form, status=status or 422)
    try:
        stored = writing.save(article, user, form.submission(do))
    except writing.ConflictError as conflict:
        # Sent again it replaces what it was compared with, knowingly.
        again = form.sent()
        again["version"] = str(conflict.stored.version)
        form = ArticleForm(article, again)
        rows = compare(conflict.stored.body, clean_text(request.POST.get("body", "")))
        return editor(request, conflict.stored, form, status=409, conflict=conflict.stored, rows=rows)
    messages.success(request, saved_message(stored, do))
    for hint in picture_hints(stored.body):
        messages.warning(request, hint)
    return redirect("desk:edit", stored.pk)


def take_cover(request: HttpRequest, article: Article, form: ArticleForm) -> int | None:
    """Store the cover that was sent as a file. It stays chosen when something else in the form is wrong; what is wrong
    with the file is said beside it. Returns 429 after too many.
    """
    if not request.FILES.get("cover_file"):
        return None
    form.is_valid()
    if "cover_file" in form.errors:
        return None
    try:
        limits.take_all("upload", request)
        picture, _moved = storing.store(
            article.author, form.cleaned_data["cover_file"], form.cleaned_data.get("cover_alt", ""), opaque=True
        )
    except ValidationError as error:
        form.add_error("cover_file", error)
    except limits.LimitReachedError:
        form.add_error("cover_file", _("That were many pictures in a short time. Please try again later."))
        return 429
    else:
        form.take_cover(picture)
    return None


def picture_hints(body: str) -> list[str]:
    """What the author of a text should know of the pictures in it."""
    rendered = rendering.render_article(body)
    hints = []
    if count := rendered.without_alt:
        text = ngettext(
            "%(count)d picture has no description: readers who cannot see it learn nothing of it.",
            "%(count)d pictures have no description: readers who cannot see them learn nothing of them.",
            count,
        )
        hints.append(text % {"count": count})
    if count := rendered.foreign:
        text = ngettext(
            "%(count)d picture of another site is shown as a link: no other site learns who reads this. Upload it.",
            "%(count)d pictures of other sites are shown as links: no other site learns who reads this. Upload them.",
            count,
        )
        hints.append(text % {"count": count})
    return hints


def previewed(form: ArticleForm) -> dict[str, str] | None:
    """What a preview of the form shows; None for a text that is too long to be one."""
    if "body" in form.errors:
        return None
    typed = {name: form.cleaned_data.get(name, "") for name in ("title", "language", "body")}
    return {**typed, "html": rendering.render_article(typed["body"], using.pictures_in(typed["body"])).html}


def saved_message(article: Article, do: str) -> str:
    """What happened."""
    if do == "publish" and article.status == Article.Status.PUBLISHED:
        if article.is_public:
            return _("Published.")
        when = date_format(timezone.localtime(article.published_at), "DATETIME_FORMAT")
        return _("Scheduled for %(date)s") % {"date": when}
    if do == "draft":
        return _("Back to draft: readers no longer see it.")
    return _("Saved.")


@writer
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """An empty editor."""
    language = getattr(request, "LANGUAGE_CODE", "en")
    return write(request, Article(author=user_of(request), language=language))


@writer
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """The editor of an article."""
    return write(request, own_or_404(request, pk))


@writer
@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """The text as it will look, for the editor's live preview."""
    body = clean_text(request.POST.get("body", ""))
    if len(body.encode()) > LARGEST_BODY_BYTES:
        return HttpResponse(status=413)
    return HttpResponse(rendering.render_article(body, using.pictures_in(body)).html)


# --- The trash


@writer
@require_POST
def trash(request: HttpRequest, pk: int) -> HttpResponse:
    """Into the trash."""
    writing.trash(own_or_404(request, pk))
    messages.success(request, _("Moved to the trash."))
    return redirect("desk:articles")


@writer
@require_POST
def restore(request: HttpRequest, pk: int) -> HttpResponse:
    """Out of the trash."""
    writing.restore(own_or_404(request, pk))
    messages.success(request, _("Restored as a draft."))
    return redirect("desk:edit", pk)


@writer
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks, then deletes for good what is in the trash."""
    article = own_or_404(request, pk)
    if article.status != Article.Status.TRASHED:
        raise Http404("not in the trash")
    if request.method != "POST":
        return render(request, "desk/delete.html", {"article": article})
    writing.delete_for_good(article)
    messages.success(request, _("Deleted for good."))
    return redirect(f"{reverse('desk:articles')}?state=trash")


# --- Revisions


@writer
@require_safe
def revisions(request: HttpRequest, pk: int) -> HttpResponse:
    """Every text that was saved."""
    article = own_or_404(request, pk)
    found = article.revisions.select_related("author").defer("body", "author__password", "author__bio")
    return render(request, "desk/revisions.html", {**views.paged(request, found, PER_PAGE), "article": article})


def revision_or_404(article: Article, number: int) -> Revision:
    """A revision of this article."""
    return get_object_or_404(Revision.objects.select_related("author", "article__author"), article=article, pk=number)


@writer
@require_safe
def revision(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """A revision, compared with the one before it or (`?with=now`) with the article as it is."""
    article = own_or_404(request, pk)
    found = revision_or_404(article, number)
    with_now = request.GET.get("with") == "now"
    earlier = None if with_now else article.revisions.filter(pk__lt=found.pk).first()
    old, fresh = (found, article) if with_now else (earlier, found)
    context = {
        "article": article,
        "revision": found,
        "with_now": with_now,
        "earlier": earlier,
        "title_rows": compare(old.title if old else "", fresh.title),
        "rows": compare(old.body if old else "", fresh.body),
    }
    return render(request, "desk/revision.html", context)


@writer
@require_POST
def restore_revision(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Make an earlier text the article's again."""
    found = revision_or_404(own_or_404(request, pk), number)
    when = date_format(timezone.localtime(found.created_at), "DATETIME_FORMAT")
    writing.restore_revision(found, user_of(request), _("Text of %(date)s restored") % {"date": when})
    messages.success(request, _("Restored. The text that it replaced is in the list of revisions."))
    return redirect("desk:edit", pk)


# --- Preview links


@writer
@require_http_methods(["GET", "HEAD", "POST"])
def links(request: HttpRequest, pk: int) -> HttpResponse:
    """The links that show an article to whoever has them; makes one."""
    article = own_or_404(request, pk)
    data = request.POST if request.method == "POST" else None
    form = LinkForm(data, initial={"days": 7, "key": get_random_string(32)})
    if request.method == "POST" and form.is_valid():
        key = form.cleaned_data["key"]
        sharing.share(article, key, form.cleaned_data["days"])
        return redirect(f"{reverse('desk:links', args=[pk])}?key={key}")
    found = sharing.live_links(article)
    made = sharing.token_for(article, clean_line(request.GET.get("key", "")))
    context = {
        "article": article,
        "form": form,
        "links": found,
        "made": made if sharing.hashed(made) in {link.token_hash for link in found} else None,
    }
    return render(request, "desk/links.html", context, status=422 if form.errors else 200)


@writer
@require_POST
def revoke(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """End a link. One that is gone is what was asked for."""
    own_or_404(request, pk).preview_links.filter(pk=number).delete()
    messages.success(request, _("The link opens nothing any more."))
    return redirect("desk:links", pk)


@never_cache
@require_safe
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """An article as its preview link shows it, to whoever has the link. Nobody may index it."""
    found = sharing.shared_article(token)
    if found is None:
        raise Http404("no such link")
    response = render(request, "desk/shared.html", {"article": found[0], "link": found[1]})
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


# --- Not saved yet


@writer
@require_POST
def autosave(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """Keep what the editor sends; 409 when another page's text would be lost by it."""
    article = None if pk is None else own_or_404(request, pk)
    form = AutosaveForm(request.POST)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=400)
    done = writing.autosave(article, user_of(request), **form.cleaned_data)
    told = {
        "time": date_format(timezone.localtime(done.at), "TIME_FORMAT"),
        "version": done.version,
        "others": done.others,
    }
    return JsonResponse(told, status=200 if done.kept else 409)


@writer
@require_POST
def discard(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """Throw away what was typed and never saved."""
    article = None if pk is None else own_or_404(request, pk)
    writing.discard_autosave(article, user_of(request))
    messages.success(request, _("The unsaved text is gone."))
    return redirect("desk:edit", pk) if pk else redirect("desk:new")

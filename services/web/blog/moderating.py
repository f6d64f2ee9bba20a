"""The part of the back office for comments: what waits, what is shown, what is hidden, and who is blocked."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from accounts.models import User
from blog import commenting, discussion, views
from blog.commenting import CommentingError
from blog.desk import user_of, writer
from blog.models import Block, Comment, CommentQuerySet

PER_PAGE = 20
STATES = {
    "waiting": Comment.Status.PENDING,
    "visible": Comment.Status.VISIBLE,
    "hidden": Comment.Status.HIDDEN,
}
TAKEN_AWAY = gettext_lazy("A moderator took this comment away: only a moderator can show it again.")


def own_comments(request: HttpRequest) -> CommentQuerySet:
    """The comments on one's own articles; for staff with the permission, by `?of=all`, on everybody's."""
    moderator = user_of(request)
    comments: CommentQuerySet = Comment.objects.all()
    if request.GET.get("of") == "all":
        if not discussion.moderates_all(moderator):
            raise Http404("only for moderators")
        return comments
    return comments.filter(article__author=moderator)


@writer
@require_http_methods(["GET", "HEAD", "POST"])
def comments(request: HttpRequest) -> HttpResponse:
    """The comments in one state, newest first; shows or hides those that are ticked."""
    state = request.GET.get("state", "waiting")
    if state not in STATES:
        raise Http404("no such state")
    own, moderator = own_comments(request), user_of(request)
    if request.method == "POST":
        return decide(request, own)
    names = {"waiting": _("Waiting"), "visible": _("Visible"), "hidden": _("Hidden")}
    counts = own.aggregate(**{name: Count("pk", Q(status=status)) for name, status in STATES.items()})
    found = own.filter(status=STATES[state]).select_related("author", "article__author")
    found = found.defer("article__body", "article__body_html", "author__bio", "author__password").order_by("-pk")
    paging = views.paged(request, found, PER_PAGE, total=counts[state])
    context: dict[str, Any] = {
        **paging,
        "taken_away": commenting.taken_away(paging["page_obj"], moderator),
        "state": state,
        "of_all": request.GET.get("of") == "all",
        "moderates_all": discussion.moderates_all(moderator),
        "states": [(name, label, counts[name]) for name, label in names.items()],
    }
    return render(request, "desk/comments.html", context)


def decide(request: HttpRequest, own: CommentQuerySet) -> HttpResponse:
    """Show or hide the ticked ones of `own`."""
    do = request.POST.get("do")
    if do not in ("show", "hide"):
        return HttpResponseBadRequest("do is show or hide", content_type="text/plain")
    ticked = [int(pk) for pk in request.POST.getlist("comment")[:100] if pk.isascii() and pk.isdigit() and len(pk) < 19]
    status = Comment.Status.VISIBLE if do == "show" else Comment.Status.HIDDEN
    found = own.filter(pk__in=ticked).exclude(status__in=[status, Comment.Status.DELETED]).order_by("pk")
    n = refused = 0
    for comment in found:
        try:
            commenting.set_status(comment, status, by=user_of(request))
            n += 1
        except CommentingError:
            refused += 1
    if do == "show":
        said = ngettext("%(n)d comment is shown.", "%(n)d comments are shown.", n) % {"n": n}
    else:
        said = ngettext("%(n)d comment is hidden.", "%(n)d comments are hidden.", n) % {"n": n}
    if refused:
        messages.error(request, TAKEN_AWAY)
    if n or not refused:
        messages.success(request, said if n else _("Nothing was ticked."))
    query = request.META.get("QUERY_STRING", "")
    return redirect(f"{reverse('desk:comments')}?{query}" if query else reverse("desk:comments"))


@writer
@require_http_methods(["GET", "HEAD", "POST"])
def blocked(request: HttpRequest) -> HttpResponse:
    """Who may not comment on one's own articles; blocks and unblocks."""
    author = user_of(request)
    typed = request.POST.get("reader", "") if request.method == "POST" else request.GET.get("reader", "")
    reader: User | None = None
    if typed or request.method == "POST":
        if not (typed.isascii() and typed.isdigit() and len(typed) < 19):
            raise Http404("no such reader")
        reader = get_object_or_404(User.objects.defer("password", "bio"), pk=int(typed))
    if request.method == "POST":
        assert reader is not None  # noqa: S101  (it was looked for)
        do = request.POST.get("do")
        if do not in ("block", "unblock") or reader == author:
            return HttpResponseBadRequest("do is block or unblock, of somebody else", content_type="text/plain")
        if do == "block":
            commenting.block(author, reader)
            messages.success(request, _("%(name)s can no longer comment on your articles.") % {"name": reader.name})
        else:
            commenting.unblock(author, reader)
            messages.success(request, _("%(name)s can comment on your articles again.") % {"name": reader.name})
        return redirect("desk:blocked")
    blocks = Block.objects.filter(author=author).select_related("reader").defer("reader__password", "reader__bio")
    context = {
        **views.paged(request, blocks, PER_PAGE),
        "reader": None if reader == author else reader,
        "waiting": Comment.objects.filter(article__author=author, status=Comment.Status.PENDING).count(),
    }
    return render(request, "desk/blocked.html", context)

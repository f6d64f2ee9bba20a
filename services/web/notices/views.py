"""The pages of notifications: the list, what one wants to be told, and the end of mails."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import User
from blog.models import Comment
from blog.views import paged
from notices import unsubscribing
from notices.forms import WishesForm
from notices.models import Kind, Notice

PER_PAGE = 20


def user_of(request: HttpRequest) -> User:
    """Who is logged in."""
    assert isinstance(request.user, User)  # noqa: S101  (login_required has seen to it)
    return request.user


@never_cache
@login_required
@require_safe
def notices(request: HttpRequest) -> HttpResponse:
    """One's own notifications, newest first."""
    found = Notice.objects.listed_for(user_of(request)).select_related("comment__author", "comment__article")
    found = found.defer("comment__article__body", "comment__article__body_html", "comment__author__password")
    return render(request, "notices/list.html", paged(request, found, PER_PAGE))


@never_cache
@login_required
@require_safe
def notice(request: HttpRequest, pk: int) -> HttpResponse:
    """The way to what it tells of. Having gone there it is read."""
    found = get_object_or_404(Notice.objects.select_related("comment"), pk=pk, recipient=user_of(request))
    Notice.objects.filter(pk=found.pk).read()
    if found.comment.status == Comment.Status.PENDING and found.kind == Kind.COMMENT:
        return redirect("desk:comments")
    return redirect(found.comment)


@never_cache
@login_required
@require_POST
def read(request: HttpRequest) -> HttpResponse:
    """Mark the notification that the form names as read, or all."""
    own = Notice.objects.filter(recipient=user_of(request))
    if wanted := request.POST.get("notice", ""):
        if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 19):
            raise Http404("no such notification")
        get_object_or_404(own, pk=int(wanted))
        own = own.filter(pk=int(wanted))
    own.read()
    return redirect("notices:list")


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: HttpRequest) -> HttpResponse:
    """What one wants to be told of, and how."""
    form = WishesForm(user_of(request), request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
        messages.success(request, _("Saved."))
        return redirect("notices:settings")
    return render(request, "notices/settings.html", {"form": form})


@never_cache
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """End the mails that the signed address names: by POST at once, as mail programs send it; by GET it only asks."""
    meant = unsubscribing.meant(token)
    if meant is None:
        raise Http404("not signed by this site")
    user_id, kind = meant
    everything = request.POST.get("all") == "1"
    if request.method == "POST":
        unsubscribing.unsubscribe(user_id, list(Kind) if everything else [kind])
    return render(
        request, "notices/unsubscribe.html", {"kind": kind, "done": request.method == "POST", "all": everything}
    )

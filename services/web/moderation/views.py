"""The page on which a reader reports a comment, an article or a user."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.models import User
from config import limits
from moderation import reporting
from moderation.forms import ReportForm


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def report(request: HttpRequest, kind: str, pk: str) -> HttpResponse:
    """Asks what is wrong, and stores it. 404 for what readers cannot see and for one's own."""
    user = request.user
    if not isinstance(user, User):
        return redirect_to_login(request.get_full_path())
    target = reporting.readable(kind, int(pk))
    author = reporting.responsible(target)
    if target is None or author == user:
        raise Http404("nothing to report")
    form = ReportForm(request.POST if request.method == "POST" else None)
    status = 200
    wait = 0
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                limits.take_all("report", request)
                reporting.report(target, kind, user, form.cleaned_data["reason"], form.cleaned_data["text"])
            except limits.LimitReachedError as error:
                status, wait = 429, error.seconds
                form.add_error(None, _("You have reported a lot. Please try again later; your text is still here."))
            except reporting.ReportingError:
                messages.info(request, _("You have reported this already. A moderator will look at it."))
                return redirect(target.get_absolute_url())
            else:
                messages.success(request, _("Thank you. A moderator will look at it."))
                return redirect(target.get_absolute_url())
    context = {"form": form, "kind": kind, "target": target, "author": author, "title": reporting.title_of(target)}
    response = render(request, "moderation/report.html", context, status=status)
    if wait:
        response["Retry-After"] = str(wait)
    return response

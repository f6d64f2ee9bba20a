"""Development only: pages that show the mail of the site in place of a mail server (config.urls adds them)."""

from __future__ import annotations

import re

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.html import escape
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe

from config.models import OutgoingMail

SHOWN = 50
ADDRESS = re.compile(r"https?://[^\s<>&\"']+")


def only_in_development() -> None:
    """Raise Http404 in production: a second lock, should the address ever be there."""
    if not settings.DEBUG:
        raise Http404


@require_safe
def mailbox(request: HttpRequest) -> HttpResponse:
    """The newest mail."""
    only_in_development()
    return render(request, "mailbox/list.html", {"mails": OutgoingMail.objects.order_by("-pk")[:SHOWN]})


@require_safe
def mail(request: HttpRequest, number: int) -> HttpResponse:
    """One mail, with its links to follow."""
    only_in_development()
    found = get_object_or_404(OutgoingMail, pk=number)
    # Escaped first; what is put in between is an address without any character that HTML knows.
    linked = ADDRESS.sub(lambda match: f'<a href="{match[0]}">{match[0]}</a>', str(escape(found.text)))
    return render(request, "mailbox/mail.html", {"mail": found, "text": mark_safe(linked)})  # noqa: S308

"""One's own pictures in the back office: a list, an upload, what is on each, where it is used, and their end."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from accounts.models import User
from blog import views, writing
from blog.desk import user_of, writer
from blog.forms import Line
from config import limits
from uploads import decoding, storing
from uploads.models import LONGEST_ALT, Picture, Use

PER_PAGE = 24
ALT_HELP = _("What is on it, for readers who cannot see it. Empty only if it is mere decoration.")


class UploadForm(forms.Form):
    """A picture to be taken in."""

    file = forms.FileField(
        label=_("Picture"),
        max_length=1000,
        help_text=_("JPEG, PNG, WebP, GIF or AVIF, at most 12 MB. Place and camera are not kept."),
        widget=forms.FileInput(attrs={"accept": decoding.ACCEPT}),
    )
    alt = Line(label=_("Description"), required=False, max_length=LONGEST_ALT, help_text=ALT_HELP)


class AltForm(forms.Form):
    """What is on a picture."""

    alt = Line(label=_("Description"), required=False, max_length=LONGEST_ALT, help_text=ALT_HELP)


def own_picture_or_404(request: HttpRequest, pk: int) -> Picture:
    """The picture, if whoever asks may change it."""
    user = user_of(request)
    all_of_them = user.is_staff and user.has_perm("uploads.change_picture")
    return get_object_or_404(Picture if all_of_them else Picture.objects.filter(owner=user), pk=pk)


def with_uses(pictures: Any) -> Any:
    """`pictures` with the articles that use them, in one query more."""
    uses = Use.objects.select_related("article", "autosave").only(
        "picture", "role", "article__title", "article__language", "autosave__article"
    )
    return pictures.prefetch_related(Prefetch("uses", uses.order_by("-article", "role")))


def page(request: HttpRequest, form: UploadForm, status: int = 200) -> HttpResponse:
    """The list with the form."""
    user = user_of(request)
    used, quota = storing.used_bytes(user), settings.PICTURE_QUOTA
    context = {
        **views.paged(request, with_uses(Picture.objects.filter(owner=user).order_by("-pk")), PER_PAGE),
        "form": form,
        "used": used,
        "quota": quota,
    }
    return render(request, "desk/pictures.html", context, status=status)


def told(form: UploadForm, status: int) -> JsonResponse:
    """What is wrong with an upload, for the editor."""
    return JsonResponse(
        {"error": " ".join(str(error) for errors in form.errors.values() for error in errors)}, status=status
    )


def take_in(user: User, form: UploadForm) -> tuple[Picture, bool] | None:
    """Store what a form sent; None, and the form says why, when it cannot be."""
    if not form.is_valid():
        return None
    try:
        return storing.store(user, form.cleaned_data["file"], form.cleaned_data["alt"])
    except forms.ValidationError as error:
        form.add_error("file", error)
        return None


@writer
@require_http_methods(["GET", "HEAD", "POST"])
def pictures(request: HttpRequest) -> HttpResponse:
    """One's own pictures, newest first; takes one in. The editor asks for JSON."""
    if request.method != "POST":
        return page(request, UploadForm())
    as_json = request.accepts("application/json") and not request.accepts("text/html")
    form = UploadForm(request.POST, request.FILES)
    try:
        limits.take_all("upload", request)
    except limits.LimitReachedError as error:
        form.is_valid()
        form.add_error("file", _("That were many pictures in a short time. Please try again later."))
        response = told(form, 429) if as_json else page(request, form, 429)
        response["Retry-After"] = str(error.seconds)
        return response
    taken = take_in(user_of(request), form)
    if taken is None:
        return told(form, 422) if as_json else page(request, form, 422)
    picture, moved = taken
    note = _("Of an animation only the first picture is kept.") if moved else ""
    if as_json:
        return JsonResponse({"url": picture.url, "note": str(note)}, status=201)
    messages.success(request, _("The picture is there. Copy its line into a text to show it."))
    if note:
        messages.info(request, note)
    return redirect("desk:pictures")


@writer
@require_http_methods(["GET", "HEAD", "POST"])
def picture(request: HttpRequest, pk: int) -> HttpResponse:
    """A picture at its full size, with what is on it, to be changed."""
    found = own_picture_or_404(request, pk)
    form = AltForm(request.POST if request.method == "POST" else None, initial={"alt": found.alt})
    if request.method == "POST" and form.is_valid():
        Picture.objects.filter(pk=pk).update(alt=form.cleaned_data["alt"])
        messages.success(request, _("Saved. Texts that show the picture have descriptions of their own."))
        return redirect("desk:pictures")
    context = {"picture": with_uses(Picture.objects.filter(pk=pk)).get(), "form": form}
    return render(request, "desk/picture.html", context, status=422 if form.errors else 200)


@writer
@require_http_methods(["GET", "HEAD", "POST"])
def delete_picture(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks, saying where the picture is used, then deletes it."""
    found = own_picture_or_404(request, pk)
    if request.method != "POST":
        context = {"picture": with_uses(Picture.objects.filter(pk=pk)).get()}
        return render(request, "desk/delete_picture.html", context)
    writing.take_picture_out(found)
    messages.success(request, _("The picture is deleted."))
    return redirect("desk:pictures")

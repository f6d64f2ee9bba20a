"""Addresses that the blog of the article had (YcBlog): each answers with the address of today, for good, or is 404."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse

from blog import views
from blog.models import Article


@views.read_only
def index(request: HttpRequest) -> HttpResponse:
    """/index/"""
    return HttpResponsePermanentRedirect(reverse("blog:front"))


@views.read_only
def article(request: HttpRequest, username: str, number: int) -> HttpResponse:
    """/<username>/articles/<id>: the public article of that id, if it is that author's."""
    public = Article.objects.published().select_related("author").only("slug", "author__username")
    return HttpResponsePermanentRedirect(
        get_object_or_404(public, pk=number, author=views.author_or_404(username)).get_absolute_url()
    )


@views.read_only
def tag(request: HttpRequest, username: str, name: str) -> HttpResponse:
    """/<username>/tag/<name>, where the name is no slug."""
    return HttpResponsePermanentRedirect(views.former_tag(views.author_or_404(username), name))


@views.read_only
def category(request: HttpRequest, username: str, name: str) -> HttpResponse:
    """/<username>/category/<name>, where the name is no slug."""
    return HttpResponsePermanentRedirect(views.former_category(views.author_or_404(username), name))


@views.read_only
def archive(request: HttpRequest, username: str, year: int, month: int) -> HttpResponse:
    """/<username>/archive/<YYYY/MM>"""
    if not year:
        raise Http404("no such year")
    return HttpResponsePermanentRedirect(
        reverse("blog:author_month", args=[views.author_or_404(username).username, year, month])
    )

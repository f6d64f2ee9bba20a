"""What a reader answers to an article: comments and votes. Each is a form; htmx gets the part that changed."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from blog import commenting, discussion, rendering, views, voting
from blog.commenting import CommentingError
from blog.desk import user_of, writer
from blog.forms import CommentForm
from blog.models import LONGEST_COMMENT, Article, Comment
from config import limits
from config.htmx import fits

VALUES = {"1": 1, "-1": -1, "0": 0}


def reason(error: CommentingError) -> str:
    """Why a comment was not taken, for who wrote it."""
    return {
        "closed": _("Comments on this article are closed."),
        "unpublished": _("This article is no longer published."),
        "blocked": _("The author has blocked you: you can read, but not comment."),
        "empty": _("A comment needs some words."),
        "long": _("A comment has at most %(limit)d characters.") % {"limit": LONGEST_COMMENT},
        "parent": _("What you answer is no longer there. Sent again, this is a comment of its own."),
        "taken_away": _("A moderator took this comment away: only a moderator can show it again."),
        "late": _("The time to change this comment is over."),
    }[error.code]


def too_often(error: limits.LimitReachedError) -> str:
    """What to say of a limit."""
    minutes = -(-error.seconds // limits.MINUTE)
    return _("That was too often. Your text is still here: send it again in %(minutes)d min.") % {"minutes": minutes}


def with_retry(response: HttpResponse, error: limits.LimitReachedError) -> HttpResponse:
    """`response`, telling when to try again."""
    response.headers["Retry-After"] = str(error.seconds)
    return response


def comment_or_404(request: HttpRequest, pk: int) -> tuple[Comment, Article]:
    """A comment that this reader sees, with the article it is on, which everybody may read."""
    comments = Comment.objects.select_related("author", "parent__author")
    comment = get_object_or_404(comments, pk=pk)
    article = get_object_or_404(discussion.readable(request), pk=comment.article_id)
    comment.article = article
    reader = discussion.reader_of(request)
    moderates = discussion.may_moderate(reader, article)
    if not article.comments.shown_to(reader, moderates=moderates).filter(pk=pk).exists():
        raise Http404("no such comment")
    return comment, article


def place(request: HttpRequest, comment: Comment, article: Article) -> str:
    """The address of `comment` on the page of `article` where this reader sees it."""
    reader = discussion.reader_of(request)
    seen = article.comments.shown_to(reader, moderates=discussion.may_moderate(reader, article))
    number = discussion.page_of(seen, comment, views.COMMENTS_PER_PAGE)
    query = f"?page={number}" if number > 1 else ""
    return f"{article.get_absolute_url()}{query}#floor-{comment.floor}"


def article_or_404(request: HttpRequest, pk: int) -> Article:
    """An article that everybody may read, with what its page shows."""
    found: Article = get_object_or_404(discussion.readable(request), pk=pk)
    return found


@views.page
def permalink(request: HttpRequest, pk: int) -> HttpResponse:
    """The way to a comment, on whichever page it is."""
    comment, article = comment_or_404(request, pk)
    return redirect(place(request, comment, article))


@writer
@require_POST
def write(request: HttpRequest, pk: int) -> HttpResponse:
    """Write a comment, or (`do=preview`) show it. What is not taken comes back in its form."""
    article = article_or_404(request, pk)
    form = CommentForm(request.POST)
    if request.POST.get("do") == "preview":
        html = rendering.render_comment(form.cleaned_data["body"]) if form.is_valid() else ""
        return with_form(request, article, form, 200 if html else 422, preview=html)
    try:
        limits.take_all("comment", request)
    except limits.LimitReachedError as error:
        form.add_error(None, too_often(error))
        return with_retry(with_form(request, article, form, 429), error)
    if not form.is_valid():
        return with_form(request, article, form, 422)
    wanted = form.cleaned_data["parent"]
    try:
        parent = Comment.objects.filter(pk=wanted).first() if wanted else None
        if wanted and parent is None:
            raise CommentingError("parent")
        key = form.cleaned_data["key"]
        written = commenting.comment(article, user_of(request), form.cleaned_data["body"], parent, key=key)
    except CommentingError as error:
        again = request.POST.copy()
        again.pop("parent", None)
        form = CommentForm(again)
        form.add_error(None, reason(error))
        return with_form(request, article, form, 422)
    article = article_or_404(request, pk)
    pending = written.status == Comment.Status.PENDING
    said = _("Your comment waits for the author's approval.") if pending else _("Your comment is published.")
    messages.success(request, said)
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "blog/_comments.html", swapped(views.comments_of(request, article, focus=written)))
    return redirect(place(request, written, article))


def swapped(context: dict[str, Any]) -> dict[str, Any]:
    """`context`, for a part of the page that takes with it what else has changed."""
    return {**context, "swapped": True}


def with_form(request: HttpRequest, article: Article, form: CommentForm, status: int, **more: Any) -> HttpResponse:
    """The page of the article, or for htmx its comments, with the form as it was sent."""
    context = {**views.comments_of(request, article, form), **more}
    if request.htmx:  # type: ignore[attr-defined]
        return fits(render(request, "blog/_comments.html", context, status=status))
    return views.article_page(request, article, context, status)


def changed(request: HttpRequest, comment: Comment, said: str, level: int = messages.SUCCESS) -> HttpResponse:
    """The answer to a change of `comment`: it alone for htmx, else the way to its place."""
    messages.add_message(request, level, said)
    article = article_or_404(request, comment.article_id)
    comment.article = article
    if request.htmx:  # type: ignore[attr-defined]
        reader = user_of(request)
        moderates = discussion.may_moderate(reader, article)
        here = frozenset([comment.parent_id] if comment.parent_id else [])
        taken = commenting.taken_away([comment], reader) if moderates else frozenset()
        seen = discussion.shown(
            comment, reader, article, moderates=moderates, here=here, focus=comment, taken_away=taken
        )
        return render(request, "blog/_comment.html", swapped({"shown": seen, "article": article}))
    return redirect(place(request, comment, article))


@writer
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change one's own comment, for a while."""
    comment, _article = comment_or_404(request, pk)
    if comment.author_id != user_of(request).pk or comment.status == Comment.Status.DELETED:
        raise Http404("not yours")
    if request.method != "POST":
        form = CommentForm(body=comment.body)
        late = not commenting.may_edit(comment, user_of(request))
        return editor(request, comment, form, late=late, status=403 if late else 200)
    form = CommentForm(request.POST)
    try:
        limits.take_all("comment", request)
    except limits.LimitReachedError as error:
        form.add_error(None, too_often(error))
        return with_retry(editor(request, comment, form, status=429), error)
    if not form.is_valid():
        return editor(request, comment, form, status=422)
    try:
        stored = commenting.edit(comment, form.cleaned_data["body"], by=user_of(request))
    except CommentingError as error:
        form.add_error(None, reason(error))
        return editor(request, comment, form, status=422)
    pending = stored.status == Comment.Status.PENDING
    return changed(request, stored, _("Your comment waits for the author's approval.") if pending else _("Saved."))


def editor(
    request: HttpRequest, comment: Comment, form: CommentForm, late: bool = False, status: int = 200
) -> HttpResponse:
    """The page with the form of a comment."""
    context = {"comment": comment, "article": comment.article, "form": form, "late": late}
    return fits(render(request, "blog/comment_edit.html", context, status=status))


@writer
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks, then deletes one's own comment. What others answered stays, and its floor."""
    comment, article = comment_or_404(request, pk)
    if comment.author_id != user_of(request).pk:
        raise Http404("not yours")
    if request.method != "POST":
        return render(request, "blog/comment_delete.html", {"comment": comment, "article": article})
    stored = commenting.set_status(comment, Comment.Status.DELETED, by=user_of(request))
    return changed(request, stored, _("Your comment is deleted."))


@writer
@require_POST
def moderate(request: HttpRequest, pk: int) -> HttpResponse:
    """Show or hide a comment, for the author of the article and for staff."""
    comment, article = comment_or_404(request, pk)
    if not discussion.may_moderate(user_of(request), article):
        raise PermissionDenied("not your article")
    do = request.POST.get("do")
    if do not in ("show", "hide"):
        return HttpResponseBadRequest("do is show or hide", content_type="text/plain")
    status = Comment.Status.VISIBLE if do == "show" else Comment.Status.HIDDEN
    try:
        stored = commenting.set_status(comment, status, by=user_of(request))
    except CommentingError as error:
        return changed(request, comment, reason(error), messages.ERROR)
    return changed(request, stored, _("The comment is shown.") if do == "show" else _("The comment is hidden."))


@writer
@require_POST
def vote(request: HttpRequest, pk: int) -> HttpResponse:
    """Vote up or down, or take the vote back."""
    article = article_or_404(request, pk)
    if request.POST.get("value") not in VALUES:
        return HttpResponseBadRequest("value is 1, -1 or 0", content_type="text/plain")
    try:
        limits.take_all("vote", request)
    except limits.LimitReachedError as error:
        if not request.htmx:  # type: ignore[attr-defined]
            raise
        response = render(request, "blog/_votes.html", {"article": article, "limit": too_often_voted()}, status=429)
        return fits(with_retry(response, error))
    try:
        voting.vote(article, user_of(request), VALUES[request.POST["value"]])
    except voting.VotingError as error:
        if error.code == "own":
            raise PermissionDenied("nobody votes for their own article") from error
        raise Http404("not published") from error
    except Article.DoesNotExist as error:
        raise Http404("deleted") from error
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "blog/_votes.html", swapped({"article": article_or_404(request, pk)}))
    return redirect(f"{article.get_absolute_url()}#votes")


def too_often_voted() -> str:
    """What to say of that limit."""
    return _("That was too often. Try again later.")

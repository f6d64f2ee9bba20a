"""What a reader sees of the comments on an article: threads of two levels, and what may be done with each."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Exists, OuterRef, Subquery
from django.http import HttpRequest

from accounts.models import User
from blog.commenting import may_edit, taken_away
from blog.models import Article, ArticleQuerySet, Block, Comment, CommentQuerySet, Vote


def reader_of(request: HttpRequest) -> User | None:
    """Who is logged in, if anybody is."""
    return request.user if isinstance(request.user, User) else None


def readable(request: HttpRequest) -> ArticleQuerySet:
    """The articles that everybody may read, with what their pages show.

    For who is logged in also `own_vote` (1, -1 or None), and `blocks_reader`, whether the author does.
    """
    articles: ArticleQuerySet = (
        Article.objects.published()
        .select_related("author", "author__blog", "category")
        .prefetch_related("tags")
        .defer("body", "author__password")
    )
    reader = reader_of(request)
    if reader is None:
        return articles
    vote = Vote.objects.filter(article=OuterRef("pk"), voter=reader).values("value")
    block = Block.objects.filter(author=OuterRef("author"), reader=reader)
    return articles.annotate(own_vote=Subquery(vote), blocks_reader=Exists(block))


def may_moderate(reader: User | None, article: Article) -> bool:
    """Whether `reader` approves and hides comments on `article`: its author, and staff with the permission."""
    if reader is None:
        return False
    return reader.pk == article.author_id or moderates_all(reader)


def moderates_all(reader: User) -> bool:
    """Whether `reader` approves and hides comments on everybody's articles."""
    return reader.is_staff and reader.has_perm("blog.change_comment")


def may_comment(reader: User | None, article: Article) -> bool:
    """Whether the form is shown: a comment by `reader` on `article` (of readable()) would be taken."""
    is_open = article.comment_policy != Article.CommentPolicy.CLOSED
    return reader is not None and is_open and not getattr(article, "blocks_reader", False)


@dataclass(frozen=True)
class Shown:
    """A comment on a page, and what may be done with it there."""

    comment: Comment
    may_reply: bool = False
    may_edit: bool = False
    may_delete: bool = False
    may_moderate: bool = False
    # Whether a moderator took it away, so that the article's author cannot show it again.
    is_taken_away: bool = False
    may_block: bool = False
    # Whether it is pointed out, as what has just been written.
    has_focus: bool = False
    # Whether it says whom it answers: not where it stands right below that comment's thread.
    names_parent: bool = False
    parent_is_here: bool = False


@dataclass
class Thread:
    """A comment and all answers below it. Without the first one where that is hidden or on the page before."""

    first: Shown | None = None
    answers: list[Shown] = field(default_factory=list)


def shown(
    comment: Comment,
    reader: User | None,
    article: Article,
    *,
    moderates: bool,
    here: frozenset[int] = frozenset(),
    focus: Comment | None = None,
    taken_away: frozenset[int] = frozenset(),
) -> Shown:
    """`comment` as `reader` sees it on a page that has the comments with the ids `here`.

    `taken_away` are the ids of those that `reader` may not show again (blog.commenting).
    """
    parent = comment.quoted
    root_is_here = parent is not None and parent.pk in here and parent.floor == comment.thread
    is_there = comment.status != Comment.Status.DELETED
    own = reader is not None and comment.author_id == reader.pk
    return Shown(
        comment,
        may_reply=comment.status == Comment.Status.VISIBLE and may_comment(reader, article),
        may_edit=is_there and reader is not None and may_edit(comment, reader),
        may_delete=is_there and own,
        may_moderate=is_there and moderates and comment.pk not in taken_away,
        is_taken_away=comment.pk in taken_away,
        may_block=comment.author is not None
        and not own
        and reader is not None
        and reader.pk == article.author_id
        and is_there,
        has_focus=comment == focus,
        names_parent=comment.is_reply and not root_is_here,
        parent_is_here=parent is not None and parent.pk in here,
    )


def threads(
    comments: list[Comment],
    reader: User | None,
    article: Article,
    *,
    moderates: bool,
    focus: Comment | None = None,
) -> list[Thread]:
    """The comments of a page, in the order of CommentQuerySet.threaded(), by thread."""
    here = frozenset(comment.pk for comment in comments)
    taken = taken_away(comments, reader) if moderates and reader is not None else frozenset()
    found: dict[int, Thread] = {}
    for comment in comments:
        thread = found.setdefault(comment.thread or comment.floor, Thread())
        seen = shown(comment, reader, article, moderates=moderates, here=here, focus=focus, taken_away=taken)
        if comment.is_reply:
            thread.answers.append(seen)
        else:
            thread.first = seen
    return list(found.values())


def page_of(comments: CommentQuerySet, comment: Comment, per_page: int) -> int:
    """The number of the page of `comments` (those that a reader sees) on which `comment` stands."""
    return comments.before(comment).count() // per_page + 1


def answerable(article: Article, comments: list[Comment], typed: str) -> Comment | None:
    """The comment on `article` with the id `typed`, if it may be answered: one of `comments`, or as stored."""
    if not (typed.isascii() and typed.isdigit() and len(typed) <= 18):
        return None
    for comment in comments:
        if comment.pk == int(typed):
            return comment if comment.status == Comment.Status.VISIBLE else None
    found: Comment | None = article.comments.visible().select_related("author").filter(pk=int(typed)).first()
    return found

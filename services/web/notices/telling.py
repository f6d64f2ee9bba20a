"""Tells people of comments: once each, never of what they did themselves, never before a comment may be read.

The exception is the author of an article where comments wait for approval: somebody has to approve them.
"""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.models import User
from blog.commenting import comment_approved, comment_written
from blog.models import Block, Comment
from blog.rendering import shortened
from blog.text import clean_line
from notices import unsubscribing
from notices.models import Channel, Kind, Notice, OptOut

LONGEST_QUOTE = 600
LONGEST_TITLE = 80


def of_new_comment(comment: Comment, **_: Any) -> None:
    """Receiver: tell the article's author and, if everybody may read it, whom it answers."""
    tell(Kind.COMMENT, comment.article.author, comment, by=comment.author)
    if comment.status == Comment.Status.VISIBLE:
        of_answer(comment, by=comment.author)


def of_approval(comment: Comment, by: User | None, **_: Any) -> None:
    """Receiver: a comment that waited may be read now. Tell its writer, and whom it answers."""
    if comment.author is not None:
        tell(Kind.APPROVED, comment.author, comment, by=by)
    of_answer(comment, by=comment.author)


def of_answer(comment: Comment, by: User | None) -> None:
    """Tell whom `comment` answers; the article's author knows already."""
    answered = comment.parent.author if comment.parent is not None else None
    if answered is not None and answered != comment.article.author:
        tell(Kind.REPLY, answered, comment, by)


def tell(kind: Kind, recipient: User, comment: Comment, by: User | None) -> None:
    """Tell `recipient` what `by` did, unless that is the same person, may not be told, or was told before.

    Call it in the transaction of what happened: the notification and the mail are part of it.
    """
    # Asked again: the object may be older than what was done to the account.
    if recipient == by or not User.objects.reachable().filter(pk=recipient.pk).exists():
        return
    if Block.objects.filter(author=comment.article.author_id, reader=recipient).exists():
        return
    unwanted = set(OptOut.objects.filter(user=recipient, kind=kind).values_list("channel", flat=True))
    _notice, is_new = Notice.objects.get_or_create(
        recipient=recipient, kind=kind, comment=comment, defaults={"in_site": Channel.SITE not in unwanted}
    )
    if is_new and Channel.MAIL not in unwanted:
        mail(kind, recipient, comment)


def mail(kind: Kind, recipient: User, comment: Comment) -> None:
    """Write to the verified address of `recipient`, if there is one, in that person's language."""
    address = EmailAddress.objects.filter(user=recipient, primary=True, verified=True).first()
    if address is None:
        return
    with translation.override(recipient.language):
        subject, sentence = words(kind, comment)
        stop = settings.SITE_URL + unsubscribing.address(recipient, kind)
        place = reverse("desk:comments") if comment.status == Comment.Status.PENDING else comment.get_absolute_url()
        lines = [
            sentence,
            "" if kind == Kind.APPROVED else quoted(comment.body),
            settings.SITE_URL + place,
            "-- \n" + _("No more mail of this kind: %(address)s") % {"address": stop},
        ]
    EmailMessage(
        subject=f"[{settings.SITE_NAME}] {subject}",
        body="\n\n".join(line for line in lines if line) + "\n",
        to=[address.email],
        # RFC 8058: a mail program's own button, which asks nothing.
        headers={"List-Unsubscribe": f"<{stop}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
    ).send()


def quoted(body: str) -> str:
    """`body` as mail quotes: each line marked, so that it cannot pass for the site's own words."""
    return "\n".join(f"> {line}" for line in shortened(body, LONGEST_QUOTE).split("\n"))


def words(kind: Kind, comment: Comment) -> tuple[str, str]:
    """The subject (one line) and the sentence of a mail, in the current language."""
    names = {
        "name": clean_line(comment.author.name if comment.author else ""),
        "title": shortened(clean_line(comment.article.title), LONGEST_TITLE),
    }
    if kind == Kind.APPROVED:
        return _("Your comment on “%(title)s” is shown") % names, _(
            "Your comment on “%(title)s” was approved: everybody can read it now."
        ) % names
    if kind == Kind.REPLY:
        return _("%(name)s answered you") % names, _("%(name)s answered your comment on “%(title)s”:") % names
    if comment.status == Comment.Status.PENDING:
        return _("A comment on “%(title)s” waits for you") % names, _(
            "%(name)s commented on “%(title)s”. Readers see it once you approve it:"
        ) % names
    return _("%(name)s commented on “%(title)s”") % names, _("%(name)s commented on “%(title)s”:") % names


def connect() -> None:
    """Connect the receivers."""
    comment_written.connect(of_new_comment, dispatch_uid="notice_of_comment")
    comment_approved.connect(of_approval, dispatch_uid="notice_of_approval")

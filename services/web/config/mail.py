"""Mail through an outbox in PostgreSQL: a request writes a row, the worker sends it, again and again if it has to.

The row is part of the request's transaction: no mail leaves for what was rolled back, and a mail server that does not
answer costs no reader a second.
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.utils import timezone

from config.models import OutgoingMail

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 12
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
# While it is being sent nobody else takes it; a worker that dies meanwhile leaves it to be tried again after this.
LEASE = timedelta(minutes=10)
KEPT = timedelta(days=30)
SMTP = "django.core.mail.backends.smtp.EmailBackend"


class OutboxBackend(BaseEmailBackend):
    """Django's mail backend: puts messages into the outbox."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Store `email_messages`. Raises ValueError for an attachment, which no mail of this site has."""
        rows = [stored(message) for message in email_messages if message.recipients()]
        return len(OutgoingMail.objects.bulk_create(rows))


def stored(message: EmailMessage) -> OutgoingMail:
    """`message` as a row, not saved. Raises BadHeaderError for a line break in a header, ValueError for attachments."""
    html = [part.content for part in getattr(message, "alternatives", []) if part.mimetype == "text/html"]
    if message.attachments or message.cc or message.bcc or message.content_subtype != "plain":
        raise ValueError("the outbox takes plain text with an HTML alternative, and no attachments or copies")
    message.message()
    return OutgoingMail(
        sender=message.from_email,
        recipients=message.to,
        subject=str(message.subject).replace("\0", "")[:998],
        text=str(message.body).replace("\0", ""),
        html=str(html[0]).replace("\0", "") if html else "",
        headers={name: str(value) for name, value in message.extra_headers.items()},
    )


def can_send() -> bool:
    """Whether a mail server is set up. Where none is, mail waits in the outbox."""
    return bool(settings.EMAIL_HOST)


def pause_after(attempts: int) -> timedelta:
    """How long to wait after that many failed attempts: one minute, doubled each time, at most six hours."""
    return min(FIRST_PAUSE * 2 ** (attempts - 1), LONGEST_PAUSE)


def take_next() -> OutgoingMail | None:
    """The next message that is due, for this process alone; None when there is none."""
    with transaction.atomic():
        mail = OutgoingMail.objects.due().select_for_update(skip_locked=True).first()
        if mail is not None:
            mail.attempts += 1
            mail.next_attempt_at = timezone.now() + LEASE
            mail.save(update_fields=["attempts", "next_attempt_at"])
    return mail


def is_final(error: Exception) -> bool:
    """Whether the server has refused for good: every recipient, or the message itself, with a code of 500 and more."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _reason in error.recipients.values())
    return isinstance(error, (smtplib.SMTPDataError, smtplib.SMTPSenderRefused)) and error.smtp_code >= 500


def deliver(mail: OutgoingMail) -> bool:
    """Hand one message to the mail server and write down what came of it; whether it was taken."""
    message = EmailMultiAlternatives(mail.subject, mail.text, mail.sender, mail.recipients, headers=mail.headers)
    if mail.html:
        message.attach_alternative(mail.html, "text/html")
    try:
        get_connection(SMTP).send_messages([message])
    except (OSError, ValueError) as error:  # SMTPException is an OSError
        given_up = is_final(error) or mail.attempts >= MOST_ATTEMPTS
        mail.last_error = f"{type(error).__name__}: {error}"[:1000].replace("\0", "")
        mail.next_attempt_at = None if given_up else timezone.now() + pause_after(mail.attempts)
        mail.save(update_fields=["last_error", "next_attempt_at"])
        logger.log(
            logging.ERROR if given_up else logging.WARNING,
            "mail %s was not sent in attempt %s%s: %s",
            mail.pk,
            mail.attempts,
            ", given up" if given_up else "",
            mail.last_error,
        )
        return False
    mail.sent_at, mail.next_attempt_at, mail.text, mail.html = timezone.now(), None, "", ""
    mail.last_error = ""
    mail.save(update_fields=["sent_at", "next_attempt_at", "text", "html", "last_error"])
    return True


def send_due(most: int = 20) -> int:
    """Try up to `most` of the messages that are due; returns how many were sent."""
    if not can_send():
        return 0
    sent = 0
    for _turn in range(most):
        if (mail := take_next()) is None:
            break
        sent += deliver(mail)
    return sent


def sweep() -> int:
    """Remove what was sent long ago; returns how many."""
    return OutgoingMail.objects.sent().filter(sent_at__lt=timezone.now() - KEPT).delete()[0]

"""The outbox: mail is stored with the request and sent by the worker."""

from __future__ import annotations

import smtplib
import socketserver
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import BadHeaderError, EmailMessage, EmailMultiAlternatives, send_mail
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from accounts.models import User
from config import mail
from config.models import OutgoingMail
from tests.web.config.test_worker import a_worker

pytestmark = pytest.mark.django_db


class MailServer(socketserver.ThreadingTCPServer):
    """As much of SMTP as a client needs. `answers` holds what to say to a command instead of yes."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.answers: dict[str, str] = {}
        self.messages: list[str] = []


class Conversation(socketserver.StreamRequestHandler):
    """One client."""

    server: MailServer

    def say(self, line: str) -> None:
        """One line of answer."""
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        """Until QUIT or the end."""
        self.say("220 test")
        while line := self.rfile.readline().decode():
            command = line.split()[0].upper()
            if command in self.server.answers:
                self.say(self.server.answers[command])
            elif command == "DATA":
                self.say("354 go on")
                self.server.messages.append("".join(iter(lambda: self.rfile.readline().decode(), ".\r\n")))
                self.say("250 taken")
            elif command == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")


@pytest.fixture
def server(settings: Any) -> Iterator[MailServer]:
    """A mail server, and the settings that lead to it."""
    with MailServer() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", running.socket.getsockname()[1]
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        yield running
        running.shutdown()


@pytest.fixture(autouse=True)
def outbox(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend as configured (the test runner puts another in its place); the worker keeps the test's connection."""
    monkeypatch.setattr("django_tasks_db.management.commands.db_worker.close_old_connections", lambda: None)
    settings.EMAIL_BACKEND = "config.mail.OutboxBackend"


def a_mail(**changes: Any) -> OutgoingMail:
    """One message in the outbox, to be sent now."""
    send_mail("Subject 主题", "Text 正文", None, ["ann@example.org"])
    found = OutgoingMail.objects.latest("pk")
    for name, value in changes.items():
        setattr(found, name, value)
    found.save()
    return found


def now_due() -> None:
    """As if the pause were over."""
    OutgoingMail.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=timezone.now())


def test_what_is_sent_waits_in_the_outbox() -> None:
    assert a_mail().state == "waiting"


def test_mail_of_a_request_that_is_rolled_back_never_leaves() -> None:
    with transaction.atomic():
        a_mail()
        transaction.set_rollback(True)
    assert not OutgoingMail.objects.exists()


def test_the_worker_sends_what_waits(server: MailServer) -> None:
    waiting = a_mail()
    a_worker().run()
    waiting.refresh_from_db()
    assert waiting.state == "sent"
    assert len(server.messages) == 1


def test_text_html_and_headers_arrive_as_they_were_given(server: MailServer) -> None:
    message = EmailMultiAlternatives(
        "Hello", "plain", None, ["a@example.org"], headers={"List-Unsubscribe": "<https://x>"}
    )
    message.attach_alternative("<b>rich</b>", "text/html")
    message.send()
    mail.send_due()
    assert all(part in server.messages[0] for part in ("plain", "<b>rich</b>", "List-Unsubscribe: <https://x>"))


def test_a_sent_mail_keeps_no_text(server: MailServer) -> None:
    waiting = a_mail()
    mail.send_due()
    waiting.refresh_from_db()
    assert (waiting.text, waiting.html) == ("", "")


def test_nothing_is_sent_twice(server: MailServer) -> None:
    a_mail()
    assert (mail.send_due(), mail.send_due()) == (1, 0)


@pytest.mark.parametrize(("attempts", "minutes"), [(1, 1), (2, 2), (5, 16), (9, 256), (10, 360), (11, 360)])
def test_the_pause_doubles_up_to_six_hours(attempts: int, minutes: int) -> None:
    assert mail.pause_after(attempts) == timedelta(minutes=minutes)


def test_a_server_that_is_busy_is_tried_again_later(server: MailServer) -> None:
    server.answers["DATA"] = "451 come back"
    waiting = a_mail()
    mail.send_due()
    waiting.refresh_from_db()
    assert (waiting.state, waiting.attempts) == ("waiting", 1)
    assert "come back" in waiting.last_error
    assert waiting.next_attempt_at is not None
    assert timedelta(seconds=50) < waiting.next_attempt_at - timezone.now() <= timedelta(minutes=1)


def test_a_server_that_does_not_answer_is_tried_again_later(settings: Any) -> None:
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", 1, False
    waiting = a_mail()
    mail.send_due()
    waiting.refresh_from_db()
    assert (waiting.state, "Connection refused" in waiting.last_error) == ("waiting", True)


def test_a_later_attempt_that_works_sends_it_once(server: MailServer) -> None:
    server.answers["DATA"] = "451 come back"
    waiting = a_mail()
    mail.send_due()
    server.answers.clear()
    now_due()
    assert (mail.send_due(), len(server.messages)) == (1, 1)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.last_error) == ("sent", "")


def test_after_the_last_attempt_it_is_kept_as_failed(server: MailServer) -> None:
    server.answers["DATA"] = "451 come back"
    waiting = a_mail(attempts=mail.MOST_ATTEMPTS - 1)
    mail.send_due()
    waiting.refresh_from_db()
    assert (waiting.state, waiting.text) == ("failed", "Text 正文")


@pytest.mark.parametrize("command", ["RCPT", "DATA", "MAIL"])
def test_what_is_refused_for_good_is_not_tried_again(command: str, server: MailServer) -> None:
    server.answers[command] = "550 no such person"
    waiting = a_mail()
    mail.send_due()
    waiting.refresh_from_db()
    assert waiting.state == "failed"


def test_one_that_fails_does_not_hold_up_the_next(server: MailServer) -> None:
    a_mail(recipients=["not an address\r\n"])
    a_mail()
    assert mail.send_due() == 1


def test_a_worker_that_dies_while_sending_leaves_the_mail_for_later() -> None:
    waiting = a_mail()
    assert mail.take_next() == waiting
    assert mail.take_next() is None
    now_due()
    assert mail.take_next() == waiting


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_take_the_same_mail() -> None:
    first, second = a_mail(), a_mail()
    taken: list[OutgoingMail | None] = []

    def take() -> None:
        try:
            taken.append(mail.take_next())
        finally:
            connection.close()

    with transaction.atomic():
        OutgoingMail.objects.select_for_update().get(pk=first.pk)
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    assert taken == [second]


def test_without_a_mail_server_everything_waits(settings: Any) -> None:
    settings.EMAIL_HOST = ""
    waiting = a_mail()
    a_worker().run()
    waiting.refresh_from_db()
    assert (waiting.state, waiting.attempts) == ("waiting", 0)


def test_what_was_sent_long_ago_is_removed_and_what_failed_is_kept() -> None:
    long_ago = timezone.now() - timedelta(days=31)
    a_mail(sent_at=long_ago, next_attempt_at=None)
    failed = a_mail(next_attempt_at=None, created_at=long_ago)
    mail.sweep()
    assert list(OutgoingMail.objects.all()) == [failed]


def test_a_line_break_in_a_header_is_refused_before_it_is_stored() -> None:
    with pytest.raises(BadHeaderError):
        send_mail("a\nBcc: everybody@example.org", "x", None, ["a@example.org"])
    assert not OutgoingMail.objects.exists()


def test_an_attachment_is_refused_rather_than_lost() -> None:
    message = EmailMessage("a", "b", None, ["a@example.org"])
    message.attach("x.txt", "x", "text/plain")
    with pytest.raises(ValueError, match="attachments"):
        message.send()


def test_a_refusal_of_some_recipients_is_not_final() -> None:
    refused = smtplib.SMTPRecipientsRefused({"a": (550, b"no"), "b": (450, b"later")})
    assert not mail.is_final(refused)


@pytest.fixture
def staff(client: Client) -> Client:
    """A browser in which a superuser is logged in."""
    client.force_login(User.objects.create_superuser("chief", "chief@example.org", "x"))
    return client


def test_the_admin_shows_what_failed_and_why(staff: Client) -> None:
    a_mail(next_attempt_at=None, last_error="550 no such person")
    a_mail(subject="Still on its way")
    page = staff.get("/admin/config/outgoingmail/?state=failed").text
    assert "ann@example.org" in page
    assert "Still on its way" not in page


def test_the_admin_shows_no_text_of_a_mail(staff: Client) -> None:
    waiting = a_mail(text="https://testserver/a-secret-link/")
    page = staff.get(f"/admin/config/outgoingmail/{waiting.pk}/change/")
    assert page.status_code == 200
    assert "secret-link" not in page.text


def test_the_admin_can_try_again(staff: Client) -> None:
    failed = a_mail(next_attempt_at=None, attempts=12)
    staff.post("/admin/config/outgoingmail/", {"action": "try_again", "_selected_action": [failed.pk]})
    failed.refresh_from_db()
    assert (failed.state, failed.attempts) == ("waiting", 0)


def test_the_admin_says_that_no_mail_server_is_set_up(staff: Client, settings: Any) -> None:
    assert "EMAIL_HOST" in staff.get("/admin/config/outgoingmail/").text
    settings.EMAIL_HOST = "mail.example.org"
    assert "EMAIL_HOST" not in staff.get("/admin/config/outgoingmail/").text


@pytest.mark.parametrize("address", ["/mail/", "/mail/1/"])
def test_production_shows_nobody_the_mail(address: str, client: Client, staff: Client) -> None:
    a_mail()
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("view", ["mailbox", "mail"])
def test_the_pages_of_development_answer_nothing_in_production_even_if_they_had_an_address(view: str, rf: Any) -> None:
    from django.http import Http404

    from config import mailbox

    with pytest.raises(Http404):
        getattr(mailbox, view)(rf.get("/"), **({"number": a_mail().pk} if view == "mail" else {}))


@pytest.mark.urls("tests.web.config.mailbox_urls")
def test_in_development_a_mail_is_read_with_its_links(client: Client, settings: Any) -> None:
    settings.DEBUG = True
    shown = a_mail(text="Follow https://testserver/account/x-1/ <b>")
    assert "Subject 主题" in client.get("/mail/").text
    page = client.get(f"/mail/{shown.pk}/").text
    assert '<a href="https://testserver/account/x-1/">' in page
    assert "&lt;b&gt;" in page


def test_a_sent_mail_cannot_be_waiting_too() -> None:
    from django.db import IntegrityError

    with pytest.raises(IntegrityError, match="mail_sent_is_done"):
        a_mail(sent_at=timezone.now())

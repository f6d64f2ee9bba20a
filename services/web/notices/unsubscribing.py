"""The addresses in mails that end them: signed, for whoever has them, without an account and without an end."""

from __future__ import annotations

from django.core.signing import BadSignature, Signer
from django.urls import reverse

from accounts.models import User
from notices.models import Channel, Kind, OptOut

signer = Signer(salt="notices.unsubscribing", sep=".")


def address(user: User, kind: Kind) -> str:
    """The path at which `user` ends mails of `kind`."""
    return reverse("unsubscribe", args=[signer.sign(f"{user.pk}.{kind.value}")])


def meant(token: str) -> tuple[int, Kind] | None:
    """Whose mails, and of which kind, a token ends; None for one that this site did not sign."""
    try:
        number, kind = signer.unsign(token).split(".")
        return int(number), Kind(kind)
    except (BadSignature, ValueError):
        return None


def unsubscribe(user_id: int, kinds: list[Kind]) -> None:
    """No more mails of `kinds` to that account; nothing happens for one that is gone."""
    if User.objects.filter(pk=user_id).exists():
        rows = [OptOut(user_id=user_id, kind=kind, channel=Channel.MAIL) for kind in kinds]
        OptOut.objects.bulk_create(rows, ignore_conflicts=True)

"""Deleting an account for good, as its owner asks. In the admin an author is protected (Article.author)."""

from __future__ import annotations

from typing import Any

from django.core.files.storage import Storage
from django.db import transaction
from django.dispatch import Signal

from accounts.models import User

# Sent in the transaction that deletes: `user` is about to go. A receiver removes what protects or outlives the account
# against its owner's will, and returns the files to remove once it is done, as pairs of storage and name.
account_leaves = Signal()


class DeletionError(Exception):
    """This account has to stay: without it nobody could run the site."""


def delete_account(user: User) -> None:
    """Delete `user`, and by the receivers of account_leaves what is theirs. Comments stay, without their author.

    The username stays taken: nobody can step into an old one's place. Raises DeletionError for the only superuser.
    """
    files: list[tuple[Storage, str]] = []
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        others = User.objects.select_for_update().filter(is_superuser=True, is_active=True).exclude(pk=user.pk)
        if user.is_superuser and not others:
            raise DeletionError
        if user.avatar:
            files.append((user.avatar.storage, str(user.avatar.name)))
        answers: list[Any] = account_leaves.send(sender=User, user=user)
        for _receiver, found in answers:
            files += found or []
        user.delete()
    for storage, name in files:
        storage.delete(name)

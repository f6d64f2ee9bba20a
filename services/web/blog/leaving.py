"""What becomes of an author's work when the account is deleted by its owner: it goes, with its pictures."""

from __future__ import annotations

from typing import Any

from django.core.files.storage import Storage

from accounts.deletion import account_leaves
from accounts.models import User
from blog.models import Article
from uploads import sizes


def remove_work(user: User, **_: Any) -> list[tuple[Storage, str]]:
    """Receiver: delete the user's articles, in every status; returns the files of their covers."""
    articles = Article.objects.filter(author=user)
    # Those that are pictures are their owner's (uploads.storing).
    plain = articles.exclude(cover="").exclude(cover__startswith=f"{sizes.FOLDER}/")
    covers = [(article.cover.storage, str(article.cover.name)) for article in plain.only("cover")]
    articles.delete()
    return covers


def connect() -> None:
    """Connect the receiver."""
    account_leaves.connect(remove_work, sender=User, dispatch_uid="remove_work")

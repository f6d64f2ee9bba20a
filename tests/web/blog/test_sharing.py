"""Links that show an article before it is published."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from blog import sharing, writing
from blog.models import PreviewLink
from tests.web.builders import an_article

pytestmark = pytest.mark.django_db


def test_a_link_opens_the_draft() -> None:
    article = an_article(status="draft")
    sharing.share(article, "key", 7)
    found = sharing.shared_article(sharing.token_for(article, "key"))
    assert found is not None
    assert found[0] == article


def test_only_a_hash_is_stored() -> None:
    article = an_article()
    sharing.share(article, "key", 7)
    assert PreviewLink.objects.get().token_hash != sharing.token_for(article, "key")


def test_the_same_form_makes_one_link() -> None:
    article = an_article()
    assert sharing.share(article, "key", 1) == sharing.share(article, "key", 7)


def test_an_expired_link_opens_nothing() -> None:
    article = an_article()
    sharing.share(article, "key", 1)
    PreviewLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert sharing.shared_article(sharing.token_for(article, "key")) is None
    assert sharing.live_links(article) == []


def test_what_is_in_the_trash_is_not_shared() -> None:
    article = an_article()
    sharing.share(article, "key", 1)
    writing.trash(article)
    assert sharing.shared_article(sharing.token_for(article, "key")) is None


def test_a_link_lives_as_long_as_there_is_a_choice_for() -> None:
    with pytest.raises(ValueError, match="365"):
        sharing.share(an_article(), "key", 365)

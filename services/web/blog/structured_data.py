"""What a page says about itself to machines: JSON-LD in the words of schema.org."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe

from blog.models import Article

# None of them can then end the script element, or begin a comment in it.
ESCAPES = {ord(character): f"\\u{ord(character):04X}" for character in "<>&\u2028\u2029"}


def article(described: Article, canonical_url: str) -> SafeString:
    """`described` (author, category and tags loaded) as a BlogPosting, for a <script type="application/ld+json">.

    Such an element is a block of data, which a content security policy does not concern (HTML, "prepare the script
    element": the type is looked at first).
    """
    author = described.author
    facts: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "BlogPosting",
        "mainEntityOfPage": canonical_url,
        "headline": described.title,
        "description": described.excerpt,
        "inLanguage": described.language,
        "datePublished": described.published_at,
        "dateModified": described.changed_at,
        "author": {
            "@type": "Person",
            "name": author.name,
            "url": f"{settings.SITE_URL}{author.get_absolute_url()}",
        },
        "publisher": {"@type": "Organization", "name": settings.SITE_NAME, "url": f"{settings.SITE_URL}/"},
        "keywords": [tag.name for tag in described.tags.all()],
        "articleSection": described.category.name if described.category else None,
        "image": f"{settings.SITE_URL}{described.cover.url}" if described.cover else None,
        "timeRequired": f"PT{described.reading_minutes}M",
        "commentCount": described.comment_count,
    }
    told = {name: value for name, value in facts.items() if value not in (None, "", [])}
    text = json.dumps(told, ensure_ascii=False, default=lambda moment: moment.isoformat())
    return mark_safe(text.translate(ESCAPES))  # noqa: S308  (nothing in it is markup any more)

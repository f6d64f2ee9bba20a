"""Which usernames there may be: the first segment of an author's address, so none may shadow another route."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from django.core.exceptions import ValidationError
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.translation import gettext_lazy as _

LONGEST = 32
# Latin letters without accents, digits, Chinese characters; hyphen and underscore between them. One alphabet besides
# Chinese leaves no two letters that look alike (Latin a and Cyrillic а); no dot, so that no file name can be taken.
CHARACTERS = "A-Za-z0-9\u3400-\u4dbf\u4e00-\u9fff"
FORM = re.compile(rf"[{CHARACTERS}]+(?:[-_][{CHARACTERS}]+)*")

# First segments of addresses that later parts of the site or its proxy may want, and names that claim authority.
RESERVED = frozenset(
    re.findall(
        r"\w+",
        """
    about abuse account accounts activity admin administrator anonymous api app archive article articles assets atom
    auth author authors backend blog blogs bookmarks bot calendar captcha categories category cn_backend comment
    comments contact cookie cookies css dashboard data delete deleted digg docs download drafts edit editor email
    everyone explore export favicon feed feeds file files follow following forgot group groups healthz help home
    host html i18n icon icons image images img import inbox index info invite js json legal link links list live
    local login logout mail mailbox mark me media member members message messages metrics mod moderation moderator
    month new news newsletter nobody notification notifications null oauth official owner page pages password pay
    ping post posts preferences press preview privacy private profile proxy public random readyz register report
    reports reset robots root rss save search security session sessions settings setup share shop sign signin
    signout signup site sitemap sitemaps slipway source staff start static stats status stream subscribe support
    supreme sys system tag tags team terms test tests theme themes token topic topics trash undefined unsubscribe
    update upload uploads url user username users verify version video vote votes webhook webhooks webmaster wiki
    write www year
        """,
    )
)


def folded(name: str) -> str:
    """The form in which two usernames that look alike are equal: NFKC, then case folded."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


# What is left of a name when all that the eye takes for the same is made the same, and what only separates is dropped.
LOOK_ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "-": None, "_": None, "曰": "日", "囗": "口"})


def skeleton(name: str) -> str:
    """The form in which two usernames that the eye confuses are equal: paul, PAUI, pau1 and pa-ul are one."""
    return folded(name).translate(LOOK_ALIKE).replace("rn", "m").replace("vv", "w")


@cache
def route_segments() -> frozenset[str]:
    """The literal first segment of every route, folded."""
    found = set()

    def walk(patterns: list[URLPattern | URLResolver], prefix: str) -> None:
        for pattern in patterns:
            route = prefix + str(pattern.pattern)
            first, slash, _rest = route.lstrip("^").partition("/")
            if isinstance(pattern, URLResolver) and not slash:
                walk(pattern.url_patterns, route)
            elif literal := re.match(r"[\w-]+", first):
                found.add(folded(literal.group()))

    walk(get_resolver().url_patterns, "")
    return frozenset(found)


def is_reserved(name: str) -> bool:
    """Whether `name` is the first segment of a route, or kept for one."""
    return folded(name) in RESERVED or folded(name) in route_segments()


def validate_username(name: str) -> None:
    """Raise ValidationError unless `name` may be somebody's username (uniqueness is the database's to see to)."""
    if len(name) > LONGEST:
        raise ValidationError(_("A username has at most %(limit)d characters."), "length", {"limit": LONGEST})
    if unicodedata.normalize("NFKC", name) != name or not FORM.fullmatch(name):
        raise ValidationError(
            _("A username has letters a to z, digits, Chinese characters, and single - or _ between them."), "form"
        )
    if name.isdigit():
        raise ValidationError(_("A username cannot be a number."), "number")
    if is_reserved(name):
        raise ValidationError(_("This username is reserved."), "reserved")

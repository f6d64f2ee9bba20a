"""The variable parts of addresses. What cannot be one is no address: 404, before any view is asked."""

from __future__ import annotations

from django.urls import register_converter

# Letters of any script, digits, underscore, hyphen. Never NUL, a slash, a dot or a space.
SLUG = r"[-\w]{1,120}"


class UsernameConverter:
    """A username, or what looks like one."""

    regex = r"[-\w]{1,32}"

    def to_python(self, value: str) -> str:
        """As it is."""
        return value

    def to_url(self, value: str) -> str:
        """As it is."""
        return value


class SlugConverter(UsernameConverter):
    """The slug of a tag or a category, in any script."""

    regex = SLUG


class NameConverter(UsernameConverter):
    """The name of a tag or a category as it was typed: anything but a slash and control characters."""

    regex = r"[^/\x00-\x1f]{1,120}"


class NumberConverter(UsernameConverter):
    """An id that fits a bigint."""

    regex = r"[0-9]{1,18}"


class YearConverter:
    """A year of four digits."""

    regex = r"[0-9]{4}"
    form = "%04d"

    def to_python(self, value: str) -> int:
        """As a number."""
        return int(value)

    def to_url(self, value: str | int) -> str:
        """With its leading zeros."""
        return self.form % int(value)


class MonthConverter(YearConverter):
    """A month, 01 to 12."""

    regex = r"0[1-9]|1[0-2]"
    form = "%02d"


class IdConverter:
    """The id of a row; it fits a bigint."""

    regex = r"[0-9]{1,18}"

    def to_python(self, value: str) -> int:
        """As a number."""
        return int(value)

    def to_url(self, value: int) -> str:
        """Without separators, whatever the language."""
        return str(value)


class ArticleConverter:
    """An article's id and slug, `<id>-<slug>`, as the pair of both. Only the id decides; another slug is redirected."""

    regex = r"[0-9]{1,18}(?:-[-\w]{0,120})?"

    def to_python(self, value: str) -> tuple[int, str]:
        """The id (it fits a bigint) and the slug."""
        number, _hyphen, slug = value.partition("-")
        return int(number), slug

    def to_url(self, value: str) -> str:
        """As `<id>-<slug>`."""
        return value


# Of several modules of addresses, each of which may be the first to be imported.
register_converter(IdConverter, "id")

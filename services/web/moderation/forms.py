"""The forms of a report and of the decision on it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from moderation.models import LONGEST_TEXT, Report


class ReportForm(forms.Form):
    """What is wrong."""

    reason = forms.ChoiceField(label=_("What is wrong?"), choices=[("", "—"), *Report.Reason.choices])
    text = forms.CharField(
        label=_("Explanation"),
        required=False,
        max_length=LONGEST_TEXT,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text=_("What a moderator should know, at most 1,000 characters."),
    )

    def clean(self) -> dict[str, Any]:
        """Something else has to be explained."""
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("reason") == Report.Reason.OTHER and not cleaned.get("text") and "text" not in self.errors:
            self.add_error("text", _("Please say what is wrong."))
        return cleaned


LENGTHS = [("1", _("1 day")), ("7", _("7 days")), ("30", _("30 days")), ("365", _("1 year")), ("0", _("for good"))]


class SuspensionForm(forms.Form):
    """For how long, and why."""

    days = forms.ChoiceField(label=_("For how long"), choices=LENGTHS, initial="7")
    reason = forms.CharField(
        label=_("Reason"), max_length=300, help_text=_("Shown to the user after a log-in with the right password.")
    )

    def until(self) -> datetime | None:
        """The end that was chosen; None for good."""
        return end_of(self.cleaned_data["days"])


def end_of(days: str) -> datetime | None:
    """The moment that many days from now; None for "0"."""
    return timezone.now() + timedelta(days=int(days)) if int(days) else None


class DecisionForm(forms.Form):
    """What becomes of an object that was reported."""

    outcome = forms.ChoiceField(label=_("Decision"), widget=forms.RadioSelect)
    days = forms.ChoiceField(label=_("Suspend for"), choices=LENGTHS, initial="7", required=False)
    note = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Shown to the author of an article that is taken away, and to a user who is suspended."),
    )

    def __init__(self, *args: Any, choices: list[tuple[str, Any]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["outcome"].choices = choices  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Who is suspended is told why."""
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("outcome") in (Report.Outcome.SUSPENDED, Report.Outcome.BOTH):
            if not cleaned.get("note") and "note" not in self.errors:
                self.add_error("note", _("A suspension needs a reason."))
            if not cleaned.get("days") and "days" not in self.errors:
                self.add_error("days", _("For how long?"))
        return cleaned

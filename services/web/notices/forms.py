"""The form of what somebody wants to be told of."""

from __future__ import annotations

from django import forms
from django.http import QueryDict
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from notices.models import Channel, Kind, OptOut


class WishesForm(forms.Form):
    """A row of boxes for each way to be told; a box that is ticked is what is wanted."""

    mail = forms.MultipleChoiceField(
        label=_("Mail me about"), choices=Kind.choices, required=False, widget=forms.CheckboxSelectMultiple
    )
    site = forms.MultipleChoiceField(
        label=_("Tell me on the site about"), choices=Kind.choices, required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, user: User, data: QueryDict | None = None) -> None:
        self.user = user
        unwanted = set(OptOut.objects.filter(user=user).values_list("kind", "channel"))
        wanted = {
            channel.value: [kind.value for kind in Kind if (kind.value, channel.value) not in unwanted]
            for channel in Channel
        }
        super().__init__(data, initial=wanted)
        for name in ("mail", "site"):
            self.fields[name].choices = [(kind.value, capfirst(kind.label)) for kind in Kind]  # type: ignore[attr-defined]

    def save(self) -> None:
        """Store what is not ticked, in a transaction."""
        OptOut.objects.filter(user=self.user).delete()
        rows = [
            OptOut(user=self.user, kind=kind, channel=channel)
            for channel in Channel
            for kind in Kind
            if kind.value not in self.cleaned_data[channel.value]
        ]
        OptOut.objects.bulk_create(rows, ignore_conflicts=True)

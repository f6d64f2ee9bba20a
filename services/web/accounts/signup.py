"""The sign-up form, and what it asks of a browser so that robots find it dear and people do not notice it.

No image to decipher. A field that people do not see, a time no person is faster than, and a proof of work that a
script finds while the form is being filled in. Without JavaScript there is no proof: such a form is taken as well, but
only a few an hour from one address. Whichever way, the account opens with a link that is mailed to its address.
"""

from __future__ import annotations

import hashlib
from typing import Any

from allauth.account import forms as allauth_forms
from allauth.account.adapter import get_adapter
from django import forms
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, SignatureExpired, TimestampSigner
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import get_random_string
from django.utils.translation import gettext_lazy as _

from accounts.avatars import validate_avatar
from accounts.models import User
from config import limits
from uploads import decoding

FASTEST_SECONDS = 3
LONGEST_SECONDS = 12 * 60 * 60
# A hash that begins with so many zero bits takes 2^WORK_BITS tries: about a second of a telephone.
WORK_BITS = 16
signer = TimestampSigner(salt="accounts.signup")


def new_token() -> str:
    """What a form carries to prove when and by whom it was made; also the challenge of the proof of work."""
    return signer.sign(get_random_string(16))


def is_proof(token: str, work: str) -> bool:
    """Whether SHA-256 of `token:work` begins with WORK_BITS zero bits."""
    if not work.isascii() or not work.isdigit() or len(work) > 12:
        return False
    found = hashlib.sha256(f"{token}:{work}".encode()).digest()
    return int.from_bytes(found, "big") >> (256 - WORK_BITS) == 0


class SignupForm(allauth_forms.SignupForm):
    """allauth's form with an avatar and the guards."""

    field_order = ("username", "email", "password1", "avatar")
    avatar = forms.FileField(
        label=_("Avatar"),
        required=False,
        validators=[validate_avatar],
        help_text=_("JPEG, PNG, WebP, GIF or AVIF, at most 2 MB. You can add it later, too."),
        widget=forms.FileInput(attrs={"accept": decoding.ACCEPT}),
    )
    # Robots fill in every field whose name they know.
    website = forms.CharField(required=False, widget=forms.TextInput(attrs={"tabindex": "-1", "autocomplete": "off"}))
    token = forms.CharField(required=False, widget=forms.HiddenInput)
    work = forms.CharField(required=False, widget=forms.HiddenInput(attrs={"data-work": WORK_BITS}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].help_text = User._meta.get_field("username").help_text
        self.fields["email"].help_text = _("We send a link to it that opens the account. Nobody else sees it.")
        self.fields["token"].initial = new_token()

    def renew_token(self) -> None:
        """Give the page that shows this form again a token of its own."""
        self.data: Any = self.data.copy()
        self.data["token"], self.data["work"] = new_token(), ""

    def clean_token(self) -> str:
        """Raise ValidationError for a form that is forged, too old, or filled in faster than people can."""
        token = str(self.cleaned_data["token"])
        try:
            signer.unsign(token, max_age=LONGEST_SECONDS)
        except (BadSignature, SignatureExpired):
            self.renew_token()
            raise ValidationError(_("The form was open for too long. Please send it once more."), "expired") from None
        try:
            signer.unsign(token, max_age=FASTEST_SECONDS)
        except SignatureExpired:
            return token
        raise ValidationError(_("That was very quick. Please wait a few seconds and send it once more."), "quick")

    def clean(self) -> dict[str, Any]:
        """With the errors of the hidden fields where people see them."""
        cleaned: dict[str, Any] = super().clean()
        for message in self.errors.pop("token", []):
            self.add_error(None, message)
        return cleaned

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """Make the account, or answer a robot and an address that has an account as if one had been made.

        Raises LimitReachedError for the second use of a token, and when too many come without a proof.
        """
        if self.cleaned_data["website"]:
            # Not even logged: a robot that learns nothing goes away.
            return None, get_adapter().respond_email_verification_sent(request, None)
        limits.take("signup/token", self.cleaned_data["token"], limits.Rate(1, LONGEST_SECONDS))
        if not is_proof(self.cleaned_data["token"], self.cleaned_data["work"]):
            limits.take_all("signup_unproven", request)
        if self.account_already_exists:
            # As long as a new account takes.
            make_password(self.cleaned_data["password1"])
        return super().try_save(request)

"""The settings of an email account."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.models import EmailAccount, Period, ShareLevel
from mail.models import Folder
from panel.services.signature import MAX_SIGNATURE, SignatureRefused, made_new


class EmailAccountForm(forms.Form):
    """Everything that is saved together; `folders` are ids of this mailbox's folders."""

    display_name = forms.CharField(max_length=200, required=False)
    signature_html = forms.CharField(max_length=MAX_SIGNATURE, required=False)
    period = forms.ChoiceField(choices=Period.choices)
    auto_download = forms.BooleanField(required=False)
    is_read_only = forms.BooleanField(required=False)
    folders = forms.ModelMultipleChoiceField(queryset=Folder.objects.none(), required=False)
    has_folders = forms.BooleanField(required=False)  # the tree was on the page
    can_send = forms.BooleanField(required=False)
    is_default_sender = forms.BooleanField(required=False)

    def clean_signature_html(self) -> str:
        """The signature as it is kept: cleaned, its pictures made new."""
        try:
            return made_new(self.cleaned_data["signature_html"])
        except SignatureRefused as error:
            raise forms.ValidationError(str(error)) from None

    def __init__(self, *args: Any, email_account: EmailAccount, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["folders"].queryset = Folder.objects.filter(email_account=email_account)  # type: ignore[attr-defined]


class AliasForm(forms.Form):
    """Another address of a mailbox. What it is worth is judged where it is kept."""

    address = forms.CharField(max_length=320)
    display_name = forms.CharField(max_length=200, required=False)


class ShareForm(forms.Form):
    """With whom (`user:3` or `group:2`) and how far."""

    who = forms.RegexField(r"(user|group):\d{1,18}")
    level = forms.ChoiceField(choices=ShareLevel.choices)

    def target(self) -> tuple[str, int]:
        """("user" or "group", id)."""
        kind, _colon, pk = self.cleaned_data["who"].partition(":")
        return kind, int(pk)

"""The pace of a download."""

from __future__ import annotations

from django import forms

from sync.models import Attachments


class PaceForm(forms.Form):
    """The daily limit in megabytes (empty: none) and which attachments are kept."""

    daily_megabytes = forms.IntegerField(min_value=1, max_value=10_000_000, required=False)
    attachments = forms.ChoiceField(choices=Attachments.choices)

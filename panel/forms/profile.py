"""What a user says about themselves, and invitations."""

from __future__ import annotations

import zoneinfo
from functools import cache

from django import forms
from django.utils.translation import gettext_lazy as _

from base.addresses import is_valid, normalise_address


@cache
def time_zones() -> list[tuple[str, str]]:
    """Names of regions, UTC first."""
    names = sorted(
        name for name in zoneinfo.available_timezones() if "/" in name and not name.startswith(("Etc/", "posix"))
    )
    return [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in names)]


class ProfileForm(forms.Form):
    """Name and time zone."""

    name = forms.CharField(max_length=150, required=False)
    time_zone = forms.ChoiceField(choices=time_zones)


class LookForm(forms.Form):
    """Theme and density."""

    theme = forms.ChoiceField(choices=[("system", _("As the system")), ("light", _("Light")), ("dark", _("Dark"))])
    density = forms.ChoiceField(choices=[("comfortable", _("Comfortable")), ("compact", _("Compact"))])


class InvitationForm(forms.Form):
    """Whom to invite, and with which rights."""

    email = forms.CharField(max_length=254)
    is_mail_administrator = forms.BooleanField(required=False)
    is_staff = forms.BooleanField(required=False)

    def clean_email(self) -> str:
        """One complete address, normalised."""
        email = normalise_address(self.cleaned_data["email"])
        if not is_valid(email):
            raise forms.ValidationError(_("The address is not complete: it needs a name, an @ and a domain."))
        return email


class AcceptForm(forms.Form):
    """Name and password of somebody who was invited."""

    name = forms.CharField(max_length=150)
    password = forms.CharField(max_length=1000, strip=False, widget=forms.PasswordInput(render_value=False))

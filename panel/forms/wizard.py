"""What the wizard asks. Invariant: a password field is never bound to a value when it is rendered."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.servers import exchange_server
from accounts.setup import ChosenServer
from base.addresses import is_valid, normalise_address
from providers.discovery.autodiscover import find_exchange
from providers.models import LoginFormat
from providers.server_rules import MAX_CA_BUNDLE, url_errors

SECURITY = {
    "imap": [("ssl", "SSL/TLS"), ("starttls", "STARTTLS"), ("none", _("None"))],
    "smtp": [("starttls", "STARTTLS"), ("ssl", "SSL/TLS"), ("none", _("None"))],
}


class AddressForm(forms.Form):
    """The mailbox's address."""

    address = forms.CharField(max_length=320, strip=True)

    def clean_address(self) -> str:
        """One complete address, normalised."""
        address = normalise_address(self.cleaned_data["address"])
        if not is_valid(address):
            raise forms.ValidationError(_("The address is not complete: it needs a name, an @ and a domain."))
        return address


class PasswordForm(forms.Form):
    """The password, and the user name where it is not the address."""

    password = forms.CharField(max_length=1000, strip=False, widget=forms.PasswordInput(render_value=False))
    user_name = forms.CharField(max_length=320, required=False)

    def __init__(self, *args: Any, needs_user_name: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["user_name"].required = needs_user_name
        self.fields["password"].error_messages["required"] = _("Type the password.")
        self.fields["user_name"].error_messages["required"] = _("Type the user name that the server expects.")


class ServersForm(forms.Form):
    """Servers typed in by somebody who may manage servers. Sending may be left out: then the mailbox only receives."""

    name = forms.CharField(max_length=120, label=_("Name"))
    kind = forms.ChoiceField(
        choices=[("imap", _("IMAP and SMTP")), ("exchange", _("Exchange Server"))], initial="imap", required=False
    )
    ews_url = forms.CharField(max_length=500, required=False)
    ca_bundle = forms.CharField(max_length=MAX_CA_BUNDLE, required=False, strip=True)
    imap_host = forms.CharField(max_length=253, required=False)
    imap_port = forms.IntegerField(min_value=1, max_value=65535, initial=993)
    imap_security = forms.ChoiceField(choices=SECURITY["imap"], initial="ssl")
    smtp_host = forms.CharField(max_length=253, required=False)
    smtp_port = forms.IntegerField(min_value=1, max_value=65535, initial=587, required=False)
    smtp_security = forms.ChoiceField(choices=SECURITY["smtp"], initial="starttls", required=False)
    login_format = forms.ChoiceField(
        choices=[
            (LoginFormat.ADDRESS.value, _("The whole email address")),
            (LoginFormat.MAILBOX_NAME.value, _("The part before @")),
            (LoginFormat.MANUAL.value, _("Typed by each person")),
        ],
        initial=LoginFormat.ADDRESS.value,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for kind in SECURITY:
            words = _("A port is a number from 1 to 65535.")
            self.fields[f"{kind}_port"].error_messages |= {"invalid": words, "required": words}
            for validator in self.fields[f"{kind}_port"].validators:
                validator.message = words  # type: ignore[attr-defined]
        self.fields["name"].error_messages["required"] = _("Give it a name.")
        if self.data.get("kind") == "exchange":
            for name in ("imap_port", "imap_security"):
                self.fields[name].required = False

    def _host(self, field: str) -> str:
        host = self.cleaned_data[field].strip().strip("[]").rstrip(".").lower()
        if any(c.isspace() or c in "/@\\\x00" for c in host):
            raise forms.ValidationError(_("Only the name of the server, like mail.example.org."))
        return host

    def clean_imap_host(self) -> str:
        """A host name without scheme or path; none is needed beside Exchange."""
        host = self._host("imap_host")
        if not host and not self._is_exchange():
            raise forms.ValidationError(_("Type the name of the server."))
        return host

    def _is_exchange(self) -> bool:
        return self.cleaned_data.get("kind") == "exchange"

    def clean_ews_url(self) -> str:
        """The whole address of the service, made of a host where only that was typed."""
        url = str(self.cleaned_data["ews_url"])
        if not self._is_exchange() or not url:  # none: Autodiscover is asked
            return ""
        said = url_errors(url)
        if said:
            raise forms.ValidationError(said["url"])
        return exchange_server(url).url

    def clean_ca_bundle(self) -> str:
        """PEM text of a private authority, or nothing."""
        bundle = str(self.cleaned_data["ca_bundle"])
        if bundle and "BEGIN CERTIFICATE" not in bundle:
            raise forms.ValidationError(_("Paste the certificate of your own authority in PEM form, at most 64 KB."))
        return bundle

    def clean_smtp_host(self) -> str:
        """A host name without scheme or path, or nothing."""
        return self._host("smtp_host")

    def discover(self, address: str) -> bool:
        """Fill a service address that was left empty in by Autodiscover; False with an error where it names none."""
        if not self._is_exchange() or self.cleaned_data["ews_url"]:
            return True
        found = find_exchange(address, ca_bundle=self.cleaned_data["ca_bundle"])
        if found is not None and not found.is_online:
            self.cleaned_data["ews_url"] = found.url
            return True
        if found is not None:
            said = _("This mailbox is on Microsoft 365: go back and choose that service.")
        else:
            said = _("Autodiscover names no Exchange Server for this address: type the address of its service.")
        self.add_error("ews_url", said)
        return False

    def servers(self) -> tuple[ChosenServer, ...]:
        """What was typed, after is_valid()."""
        data = self.cleaned_data
        if self._is_exchange():
            login_format, bundle = data["login_format"], data["ca_bundle"]
            return (exchange_server(data["ews_url"], login_format=login_format, ca_bundle=bundle),)
        kinds = ["imap"] + (["smtp"] if data["smtp_host"] else [])
        ports = {"imap": 993, "smtp": 587}
        return tuple(
            ChosenServer(
                protocol=kind,
                host=data[f"{kind}_host"],
                port=data[f"{kind}_port"] or ports[kind],
                security=data[f"{kind}_security"] or SECURITY[kind][0][0],
                login_format=data["login_format"],
                ca_bundle=data["ca_bundle"],
            )
            for kind in kinds
        )

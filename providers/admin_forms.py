"""Forms of the administration of providers. Invariant: a removed row of the lookup is revived, never doubled."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from drivers.ews.address import endpoint_of
from providers.domain_csv import MAX_CHARACTERS
from providers.models import LoginFormat, Protocol, ProviderDomain, ProviderServer, SecurityMode
from providers.server_rules import NewServer, server_errors
from providers.services import clean_domain


class DomainListField(forms.CharField):
    """Domains, one on a line, kept as a list."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        """Show a list as lines."""
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """Return normalised domains. Raises ValidationError naming the first line that is none."""
        if isinstance(value, list):
            return value
        return [_clean(line) for line in (super().to_python(value) or "").splitlines()[:200] if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare what was meant, not how it was typed."""
        try:
            return (initial or []) != self.to_python(data)
        except forms.ValidationError:
            return True


def _clean(text: str) -> str:
    try:
        return clean_domain(text)
    except forms.ValidationError as error:
        raise forms.ValidationError(error.messages) from None


class ProviderForm(forms.ModelForm):
    """A provider: at least one direction is switched on while mail programs get in at all."""

    mx_suffixes = DomainListField(
        label=_("MX suffixes"),
        required=False,
        help_text=_("Endings of the names of its MX hosts, one on a line: the DNS then names this provider"),
    )

    def clean(self) -> dict[str, Any]:
        """Check what belongs together."""
        data = super().clean() or {}
        if data.get("access") == "direct" and not data.get("can_receive") and not data.get("can_send"):
            self.add_error("can_receive", _("Switch receiving or sending on, at least one of them."))
        return data


class ServerForm(forms.ModelForm):
    """A server of a provider, by the rules of providers.server_rules."""

    class Meta:
        model = ProviderServer
        fields = (
            "protocol",
            "host",
            "port",
            "security",
            "url",
            "login_format",
            "position",
            "ca_bundle",
            "impersonates",
        )

    def clean(self) -> dict[str, Any]:
        """Check host and port, or the URL of an Exchange service."""
        data = super().clean() or {}
        server = NewServer(
            protocol=data.get("protocol", ""),
            host=data.get("host", ""),
            port=data.get("port"),
            security=data.get("security") or SecurityMode.SSL,
            login_format=data.get("login_format") or LoginFormat.ADDRESS,
            url=data.get("url", ""),
            ca_bundle=data.get("ca_bundle", ""),
        )
        for field, said in server_errors([server]).items():
            name = field.partition("-")[2]
            self.add_error(name if name in self.fields else None, said)
        if server.protocol == Protocol.EWS and not self.errors.get("url"):
            data["url"] = endpoint_of(server.url).url
        return data


class DomainForm(forms.ModelForm):
    """A row of the lookup; a row that was removed comes back under its old id."""

    class Meta:
        model = ProviderDomain
        fields = ("domain", "match", "provider")

    def clean_domain(self) -> str:
        """Return the normalised domain."""
        return _clean(self.cleaned_data["domain"])

    def clean(self) -> dict[str, Any]:
        """Take over the removed row of this domain, if there is one."""
        data = super().clean() or {}
        if self.instance.pk is None and data.get("domain"):
            removed = ProviderDomain.objects.filter(
                domain=data["domain"], match=data.get("match", "exact"), is_removed=True
            ).first()
            if removed is not None:
                self.instance.pk, self.instance.created_at = removed.pk, removed.created_at
                self.instance._state.adding = False
        self.instance.is_removed = False
        return data


class TryAddressForm(forms.Form):
    """*Try an address*."""

    address = forms.CharField(label=_("Address or domain"), max_length=320)


class ImportForm(forms.Form):
    """A CSV file, or the text of the preview that is now confirmed."""

    file = forms.FileField(label=_("CSV file"), required=False)
    text = forms.CharField(widget=forms.HiddenInput, required=False, max_length=MAX_CHARACTERS, strip=False)

    def clean(self) -> dict[str, Any]:
        """Put the file's text into "text"."""
        data = super().clean() or {}
        upload = data.get("file")
        if upload is not None:
            raw = upload.read(MAX_CHARACTERS + 1)
            if len(raw) > MAX_CHARACTERS:
                raise forms.ValidationError(_("The file is too large: at most 2 MB."))
            data["text"] = raw.decode("utf-8", "replace")
        if not data.get("text"):
            raise forms.ValidationError(_("Choose a CSV file."))
        return data

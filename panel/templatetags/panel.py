"""Small words for the templates: icons."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from lucide.templatetags.lucide import lucide as lucide_icon

register = template.Library()


@register.simple_tag
def icon(name: str, label: str = "", tone: str = "") -> SafeString:
    """A lucide icon inline; decorative without `label`, else announced. `tone`: ok | warn | bad | ""."""
    css = f"icon {tone}".strip()
    if label:
        svg = lucide_icon(name, size=None, **{"class": css, "role": "img", "aria-label": label})
    else:
        svg = lucide_icon(name, size=None, **{"class": css, "aria-hidden": "true"})
    return format_html("{}", svg)

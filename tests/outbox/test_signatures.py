"""Pictures of a signature: made new, kept small, sent inline by content id with every mail, swapped with the sender."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from outbox import services
from outbox.models import SendState
from outbox.types import DraftFields
from panel.services.signature import SignatureRefused, clean_signature, made_new
from tests.outbox.conftest import Desk


def picture(kind: str = "PNG", side: int = 8, *, noise: bool = False) -> str:
    image = (
        Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)) if noise else Image.new("RGB", (side, side))
    )
    out = io.BytesIO()
    image.save(out, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_picture_is_decoded_and_written_anew(kind: str) -> None:
    source = picture(kind)
    made = made_new(f'<p>Anna</p><img src="{source}" width="48" onerror="x()" style="width:9px">')
    assert (
        made.startswith("<p>Anna</p><img ") and 'width="48"' in made and "onerror" not in made and "style" not in made
    )
    assert made.count("data:image/") == 1 and (kind == "JPEG" or "data:image/png" in made)


@pytest.mark.parametrize(
    "source",
    [
        "https://track.example/p.gif",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "javascript:x()",
        "data:text/html;base64,eA==",
        "//x.example/a.png",
    ],
)
def test_what_would_be_fetched_or_run_is_no_picture(source: str) -> None:
    assert made_new(f'<p>Anna</p><img src="{source}">') == "<p>Anna</p>"
    assert "img" not in clean_signature(f'<img src="{source}">') or "src" not in clean_signature(
        f'<img src="{source}">'
    )


@pytest.mark.parametrize(
    "html",
    [
        '<img src="data:image/png;base64,aGVsbG8=">',
        f'<img src="{picture(side=400, noise=True)}">',
        f'<img src="{picture()}">' * 6,
        "x" * 20_001,
        '<img src="data:image/png;base64,' + "A" * 1_400_000 + '">',
    ],
    ids=["no picture", "too large together", "too many", "too long", "too large"],
)
def test_what_would_burden_every_mail_is_refused_in_words(html: str) -> None:
    with pytest.raises(SignatureRefused) as caught:
        made_new(html)
    assert "Nothing was changed" in str(caught.value)


def test_the_picture_leaves_inline_by_content_id_and_goes_with_its_signature(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(signature_html=made_new(f'<p>Anna</p><img src="{picture()}" alt="Nordlys">'))
    other = make_desk("sales@example.com", owner=desk.user, signature_html="<p>Sales</p>").account
    draft = services.start_draft(user=desk.user, email_account=desk.account)
    assert "data:" not in draft.html and draft.html.count("cid:") == 1 and draft.attachments.count() == 1
    fields = DraftFields(to=(("", "ida@customer.example"),), subject="Lanterns", html=draft.html)
    row = desk.send(services.save_draft(user=desk.user, draft=draft, version=1, fields=fields))
    assert row.state == SendState.FILED
    sent: Any = desk.in_folder("Sent")[0]
    parts = {part.get_content_type(): part for part in sent.walk()}
    assert parts["image/png"]["Content-ID"].strip("<>") in parts["text/html"].get_content()
    assert parts["image/png"].get_content_disposition() == "inline" and "multipart/related" in parts
    moved = services.change_sender(
        user=desk.user, draft=services.start_draft(user=desk.user, email_account=desk.account), email_account=other
    )
    assert "cid:" not in moved.html and "Sales" in moved.html
    back = services.change_sender(user=desk.user, draft=moved, email_account=desk.account)
    assert back.html.count("cid:") == 1 and back.attachments.count() == 1

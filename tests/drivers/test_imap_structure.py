"""BODYSTRUCTURE keeps the server's numbers; a message put together without its attachments keeps the tree."""

import contextlib
from email import message_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import ProtocolError
from drivers.imap.structure import put_together, read_structure
from drivers.imap.syntax import parse_tokens

FORWARDED = (
    b'(("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 20 1 NIL NIL NIL NIL)'
    b'("message" "rfc822" NIL NIL NIL "7bit" 900 ("d" "s" NIL NIL NIL NIL NIL NIL NIL "<i>") '
    b'(("text" "html" NIL NIL NIL "7bit" 30 1 NIL NIL NIL NIL)("image" "png" ("name" "a.png") "<cid@x>" NIL "base64" '
    b'400 NIL ("inline" ("filename" "a.png")) NIL NIL) "related" ("boundary" "x") NIL NIL NIL) 30 NIL '
    b'("attachment" ("filename" "old.eml")) NIL NIL)'
    b'("application" "pdf" ("name*" "utf-8\'\'Pl%C3%A4ne.pdf") NIL NIL "base64" 8000 NIL '
    b'("attachment" ("filename" "a\\"b.pdf")) NIL NIL) "mixed" ("boundary" "y") NIL NIL NIL)'
)


def tree(text):
    return read_structure(parse_tokens([text])[0])


def test_parts_are_numbered_as_the_server_numbers_them():
    root = tree(FORWARDED)
    assert [part.section for part in root.leaves()] == ["1", "2", "3"]
    assert root.find("2.1").subtype == "html"
    assert root.find("2.2").info().content_id == "<cid@x>"
    assert root.find("2.3") is None and root.find("") is None
    pdf = root.find("3").info()
    assert (pdf.content_type, pdf.size, pdf.file_name, pdf.encoding) == ("application/pdf", 8000, 'a"b.pdf', "base64")
    assert root.find("2").info().file_name == "old.eml"


def test_a_single_part_is_section_one():
    root = tree(b'("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 5 1)')
    assert root.find("1").encoding == "quoted-printable"
    assert put_together(b"Subject: a\r\nContent-Type: text/plain\r\n\r\n", root, {"1": b"body"}) == (
        b"Subject: a\r\nContent-Type: text/plain\r\n\r\nbody"
    )


def test_the_message_put_together_has_the_same_parts_and_its_own_boundaries():
    header = (
        b"Subject: Hi\r\nContent-Type: multipart/mixed;\r\n\tboundary=y\r\nX-After: yes\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n\r\n"
    )
    raw = put_together(header, tree(FORWARDED), {"1": b"--y\r\n--y--\r\ntext"})
    message = message_from_bytes(raw)
    assert (message["Subject"], message["X-After"]) == ("Hi", "yes")
    assert len(message.get_all("Content-Type")) == 1
    assert [part.get_content_type() for part in message.get_payload()] == [
        "text/plain",
        "message/rfc822",
        "application/pdf",
    ]
    assert message.get_payload()[0].get_payload() == "--y\r\n--y--\r\ntext"
    assert message.get_payload()[2].get_filename() == 'a"b.pdf'
    assert message.get_payload()[1].get_filename() == "old.eml"


def test_words_of_a_hostile_server_make_no_headers():
    text = (
        b'(("text\r\nX-Evil: 1" "plain" ("name" "a\r\n\r\nevil" "x y" "z") "<c>\r\nX-Evil: 2" NIL "7bit\r\nX-Evil: 3" 5 1 '
        b'NIL ("inline\r\nX-Evil: 4" NIL) NIL NIL) "mixed" NIL NIL NIL NIL)'
    )
    raw = put_together(b"Subject: Hi\r\n\r\n", tree(text), {})
    assert b"\nX-Evil" not in raw and b"\r\n\r\nevil" not in raw


@pytest.mark.parametrize("rubbish", [b"NIL", b"()", b'"x"', b"(" * 59 + b")" * 59])
def test_rubbish_is_a_protocol_error_or_an_empty_tree(rubbish):
    with contextlib.suppress(ProtocolError):
        list(tree(rubbish).leaves())


def test_thousands_of_parts_are_refused():
    with pytest.raises(ProtocolError):
        tree(b"(" + b'("text" "plain" NIL NIL NIL "7bit" 1 1)' * 3000 + b' "mixed")')


nested = st.recursive(
    st.one_of(st.none(), st.binary(max_size=8)), lambda children: st.lists(children, max_size=5), max_leaves=40
)


@given(nested, st.binary(max_size=80))
def test_any_token_is_a_tree_or_a_protocol_error(token, header):
    try:
        root = read_structure(token)
    except ProtocolError:
        return
    raw = put_together(header, root, {})
    message_from_bytes(raw)
    assert all(part.info().id for part in root.leaves())

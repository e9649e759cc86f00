"""What is sent holds no foreign line; what is read is cut right, whatever it is."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import ProtocolError
from drivers.imap.reading import read_copy, read_described, read_flags, read_items
from drivers.imap.syntax import (
    Literal,
    astring,
    decode_folder,
    encode_folder,
    expand_set,
    flag_list,
    format_date,
    format_internal_date,
    parse_internal_date,
    parse_tokens,
    show_folder,
    uid_sets,
)


@pytest.mark.parametrize("bad", ["a\r\nb", "a\nb", "a\0b", "\r"])
def test_a_line_break_or_nul_is_refused_everywhere(bad):
    for make in (astring, encode_folder, lambda text: flag_list([text])):
        with pytest.raises(ProtocolError):
            make(bad)


@given(st.text(max_size=60))
def test_an_argument_is_an_atom_a_quoted_string_or_a_literal(text):
    try:
        argument = astring(text)
    except ProtocolError:
        assert set(text) & set("\r\n\0")
        return
    data = text.encode("utf-8", "surrogatepass")
    if isinstance(argument, Literal):
        assert bytes(argument) == data
    elif argument.startswith(b'"'):
        assert parse_tokens([argument]) == [data]
    else:
        assert argument == data and data.upper() != b"NIL"


@given(
    st.text(alphabet=st.characters(exclude_categories=("Cs",), exclude_characters="\r\n\0"), min_size=1, max_size=40)
)
def test_a_folder_name_survives_the_wire(name):
    wire = bytes(encode_folder(name))
    wire = parse_tokens([wire])[0] if wire.startswith(b'"') else wire
    assert encode_folder(decode_folder(wire)) == encode_folder(name)


@given(st.binary(min_size=1, max_size=40).filter(lambda data: not set(data) & set(b"\r\n\0")))
def test_any_wire_name_comes_back_as_it_was(wire):
    again = encode_folder(decode_folder(wire))
    if isinstance(again, Literal) or not again.startswith(b'"'):
        assert bytes(again) == wire
    else:
        assert parse_tokens([again]) == [wire]
    assert isinstance(show_folder(decode_folder(wire)), str)


@given(st.lists(st.integers(1, 3000), max_size=300), st.integers(8, 60))
def test_sets_hold_every_uid_once_and_are_short(uids, longest):
    found = []
    for text, members in uid_sets(uids, longest=longest):
        assert len(text) <= max(longest, 9)
        assert expand_set(text) == members
        found += members
    assert found == sorted(set(uids))


def test_a_set_that_would_fill_the_memory_is_refused_or_clipped():
    with pytest.raises(ProtocolError):
        expand_set(b"1:4294967295")
    assert expand_set(b"1:4294967295", high=5) == [1, 2, 3, 4, 5]
    with pytest.raises(ProtocolError):
        expand_set(b"1:x")


def test_dates_are_english_and_in_utc():
    assert format_date(date(2026, 3, 5)) == b"5-Mar-2026"
    moment = datetime(2026, 3, 5, 9, 8, 7, tzinfo=UTC)
    assert parse_internal_date(format_internal_date(moment).strip(b'"')) == moment
    assert parse_internal_date(b" 5-Mar-2026 11:08:07 +0200") == moment
    assert parse_internal_date(b"05-mar-2026 04:08:07 -0500") == moment
    for rubbish in (b"", b"yesterday", b"99-Foo-2026 00:00:00 +0000", b"31-Feb-2026 00:00:00 +0000"):
        assert parse_internal_date(rubbish) is None


@given(st.binary(max_size=40))
def test_no_date_raises(text):
    parse_internal_date(text)


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5))
def test_no_response_raises_undeclared(parts):
    for wrapped in (parts, [b"* 1 FETCH (" + parts[0], *parts[1:]]):
        try:
            read_copy(read_items(wrapped))
            parse_tokens(wrapped)
        except ProtocolError:
            pass


def test_deep_nesting_is_refused_without_recursion():
    with pytest.raises(ProtocolError):
        parse_tokens([b"(" * 100_000])


@pytest.mark.parametrize(
    "parts",
    [
        [
            b'* 4 FETCH (UID 9 FLAGS (\\Seen $Work) INTERNALDATE "05-Mar-2026 09:08:07 +0000" RFC822.SIZE 77 MODSEQ (12))\r\n'
        ],
        [
            b'* 4 FETCH (MODSEQ (12) RFC822.SIZE 77 INTERNALDATE " 5-Mar-2026 10:08:07 +0100" FLAGS (\\SEEN $work) UID 9)\r\n'
        ],
        [
            b"* 4 FETCH (X-UNKNOWN ((a) (b {3}\r\n",
            b"q)q",
            b')) UID 9 FLAGS (\\Seen $work) RFC822.SIZE 77 X-Y "a (\\"b" MODSEQ (12)',
            *[] * 2,
        ],
    ],
)
def test_a_copy_is_read_in_any_order_among_unknown_items(parts):
    copy = read_copy(read_items(parts))
    assert copy is not None
    assert (copy.key, copy.uid, copy.size, copy.modseq) == ("9", 9, 77, 12)
    assert copy.flags == {"\\seen", "$work"}
    assert copy.received_at in (None, datetime(2026, 3, 5, 9, 8, 7, tzinfo=UTC))


def test_a_body_is_read_as_literal_quoted_or_nil():
    assert read_items([b"* 1 FETCH (UID 3 BODY[] {5}\r\n", b"a)b\r\n", b" FLAGS ())\r\n"])[b"BODY[]"] == b"a)b\r\n"
    assert read_items([b"* 1 FETCH (BODY[]<0> {2}\r\n", b"hi", b" UID 3)\r\n"])[b"BODY[]"] == b"hi"
    assert read_items([b'* 1 FETCH (UID 3 BODY[1] "a\\"b")\r\n'])[b"BODY[1]"] == b'a"b'
    assert read_items([b"* 1 FETCH (UID 3 BODY[] NIL)\r\n"])[b"BODY[]"] is None
    assert read_items([b'* 1 FETCH (UID 3 BODY[] "")\r\n'])[b"BODY[]"] == b""
    assert read_items([b"* 1 FETCH (BODY[HEADER.FIELDS (MESSAGE-ID)] {2}\r\n", b"\r\n", b" UID 3)\r\n"])[b"UID"] == b"3"


def test_gmails_labels_are_read_with_brackets_quotes_and_umlauts():
    line = (
        b'* 1 FETCH (X-GM-LABELS ("\\\\Inbox" "B\\"ig (one)" K&APY-ln Work) X-GM-MSGID 1278455344230334865 UID 3)\r\n'
    )
    copy = read_copy(read_items([line]))
    assert copy is not None
    assert copy.labels == ("\\Inbox", 'B"ig (one)', "Köln", "Work")
    assert (copy.object_id, copy.uid) == ("1278455344230334865", 3)


def test_an_object_id_is_read():
    copy = read_copy(read_items([b"* 1 FETCH (UID 3 EMAILID (M6d99ac3275bb4e) THREADID (T64b478a75b7ea9))\r\n"]))
    assert copy is not None
    assert (copy.object_id, copy.thread_id) == ("M6d99ac3275bb4e", "T64b478a75b7ea9")


def test_recent_is_no_flag_of_ours():
    assert read_flags(b"\\Seen \\Recent Junk") == {"\\seen", "junk"}


def test_the_server_dialogues_of_the_corpus_are_read(corpus):
    read = 0
    for path in sorted((corpus / "imap/imaptest").iterdir()):
        if path.suffix == ".mbox" or path.is_dir():
            continue
        for line in path.read_bytes().splitlines():
            if line.startswith(b"* "):
                parse_tokens([line + b"\r\n"])
                read_items([line.replace(b"$n", b"1") + b"\r\n"])
                read += 1
    assert read > 100


@given(
    st.integers(0, 2**32),
    st.integers(0, 2**40),
    st.lists(st.sampled_from([b"\\Seen", b"\\Recent", b"$Work", b"\\FLAGGED", b"a]b", b"\xe9"]), max_size=4),
    st.one_of(st.none(), st.integers(0, 2**62)),
    st.sampled_from([b"05-Mar-2026 09:08:07 +0000", b" 5-Mar-2026 10:08:07 -0130", b"99-Foo-2026 00:00:00 +0000"]),
)
def test_a_copy_answered_in_our_order_is_read_as_any_other(uid, size, flags, modseq, moment):
    told = [b"UID %d" % uid, b'INTERNALDATE "%s"' % moment, b"RFC822.SIZE %d" % size, b"FLAGS (%s)" % b" ".join(flags)]
    told += [] if modseq is None else [b"MODSEQ (%d)" % modseq]
    ours, turned = (b"* 7 FETCH (" + b" ".join(items) + b")\r\n" for items in (told, reversed(told)))
    assert read_described([ours]) == read_copy(read_items([ours])) == read_described([turned])
    assert read_described([b"* 7 FETCH (UID 3 FLAGS ())\r\n"]) is None

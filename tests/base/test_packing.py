"""Long texts go to the database packed and come back as they were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.packing import PACKED, SHORT, pack, unpack

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
REPEATED = "<p>&nbsp;</p>\n" * 500


@given(TEXTS, st.integers(1, 400))
def test_a_text_comes_back_as_it_was(text: str, times: int) -> None:
    assert unpack(pack(text * times)) == text * times
    assert unpack(memoryview(pack(text * times))) == text * times


@given(TEXTS)
def test_a_row_from_before_is_read_as_it_is(text: str) -> None:
    assert unpack(text.encode()) == text, "PostgreSQL gives its bytes"
    assert unpack(text) == text, "SQLite gives its text"


def test_repetition_is_packed_and_a_short_text_is_left() -> None:
    packed = pack(REPEATED)
    assert packed.startswith(PACKED) and len(packed) < len(REPEATED) / 20
    assert pack("x" * (SHORT - 1)) == b"x" * (SHORT - 1)
    assert pack("") == b""


def test_what_packing_makes_no_smaller_is_left() -> None:
    text = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(400))
    assert pack(text) == text.encode()


def test_no_text_is_taken_for_a_packed_one() -> None:
    assert unpack(pack("\xff" * 3)) == "\xff" * 3
    with pytest.raises(UnicodeDecodeError):
        PACKED.decode()


@pytest.mark.parametrize("damaged", [PACKED, pack(REPEATED)[:-9], PACKED + b"\xff\xff\xff\x7f" + b"x" * 20])
def test_a_damaged_row_is_said_to_be_damaged(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack(damaged)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        pack("\ud800" * SHORT)

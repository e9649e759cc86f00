"""Secrets at rest: bound to their row, rotated by a ring, never shown."""

import base64
import pickle
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.crypto import BadKey, CryptoError, KeyRing, Tampered, WrongKey, generate_key, make_private_file

OLD, NEW, FOREIGN = generate_key(), generate_key(), generate_key()
ROW = "accounts.credential:17:secret"


def test_a_secret_comes_back_under_its_own_row_name():
    ring = KeyRing([NEW])
    assert ring.decrypt(ring.encrypt(b"lantern 7", bound_to=ROW), bound_to=ROW) == b"lantern 7"


def test_a_token_copied_to_another_row_does_not_open():
    ring = KeyRing([NEW])
    token = ring.encrypt(b"lantern 7", bound_to=ROW)
    with pytest.raises(Tampered):
        ring.decrypt(token, bound_to="accounts.credential:18:secret")


def test_the_same_secret_never_looks_the_same_twice():
    ring = KeyRing([NEW])
    assert ring.encrypt(b"x", bound_to=ROW) != ring.encrypt(b"x", bound_to=ROW)


def test_after_rotation_old_tokens_open_and_ask_to_be_renewed():
    old_token = KeyRing([OLD]).encrypt(b"secret", bound_to=ROW)
    ring = KeyRing([NEW, OLD])
    assert ring.decrypt(old_token, bound_to=ROW) == b"secret"
    assert ring.needs_rotation(old_token)
    assert not ring.needs_rotation(ring.encrypt(b"secret", bound_to=ROW))


def test_a_key_that_is_gone_is_told_from_damage():
    token = KeyRing([FOREIGN]).encrypt(b"secret", bound_to=ROW)
    with pytest.raises(WrongKey):
        KeyRing([NEW, OLD]).decrypt(token, bound_to=ROW)


def test_every_changed_character_is_noticed():
    ring = KeyRing([NEW])
    token = ring.encrypt(b"secret", bound_to=ROW)
    for place in range(len(token)):
        replacement = "A" if token[place] != "A" else "B"
        changed = token[:place] + replacement + token[place + 1 :]
        with pytest.raises((Tampered, WrongKey)):
            ring.decrypt(changed, bound_to=ROW)


@given(st.text(max_size=200))
def test_any_text_that_is_no_token_is_refused_with_a_declared_error(text):
    with pytest.raises((Tampered, WrongKey)):
        KeyRing([NEW]).decrypt(text, bound_to=ROW)


@given(st.binary(max_size=500), st.text(max_size=50))
def test_any_bytes_and_any_row_name_survive(plaintext, row):
    ring = KeyRing([NEW])
    assert ring.decrypt(ring.encrypt(plaintext, bound_to=row), bound_to=row) == plaintext


def test_no_key_is_shown_pickled_or_told_in_an_error():
    ring = KeyRing([NEW])
    assert NEW not in repr(ring) and base64.urlsafe_b64decode(NEW).hex() not in repr(ring)
    assert not hasattr(ring, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(ring)
    with pytest.raises(BadKey) as caught:
        KeyRing([NEW, "tooshortasecret="])
    assert "tooshortasecret" not in str(caught.value) and "number 2" in str(caught.value)


@pytest.mark.parametrize("keys", [[], [""], ["!!!"], [base64.b64encode(b"x" * 16).decode()], ["ключ"]])
def test_a_bad_key_is_refused_at_the_start(keys):
    with pytest.raises(BadKey):
        KeyRing(keys)


def test_standard_and_url_safe_spellings_of_a_key_are_the_same_key():
    raw = bytes(range(224, 256))
    token = KeyRing([base64.b64encode(raw).decode()]).encrypt(b"x", bound_to=ROW)
    assert KeyRing([base64.urlsafe_b64encode(raw).decode().rstrip("=")]).decrypt(token, bound_to=ROW) == b"x"


def test_the_key_file_is_made_once_and_private(tmp_path):
    path = tmp_path / "data" / "keys"
    first = make_private_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert make_private_file(path) == first
    assert [entry.name for entry in path.parent.iterdir()] == ["keys"]
    KeyRing([first])


def test_processes_that_start_together_agree_on_one_key(tmp_path):
    path, seen = tmp_path / "keys", []
    threads = [threading.Thread(target=lambda: seen.append(make_private_file(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 and len(set(seen)) == 1


def test_a_key_file_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "keys"
    make_private_file(path)
    path.chmod(0o644)
    with pytest.raises(CryptoError):
        make_private_file(path)

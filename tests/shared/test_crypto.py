"""Secrets at rest."""

import base64
import stat
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared import crypto
from shared.crypto import CryptoError, DataKey, Keyring, MasterKeyMissing, load_keyring
from shared.settings import Settings

MASTER = bytes(range(32))
OTHER = bytes(range(1, 33))
VALUE = SecretStr("a-secret-value")


@pytest.fixture
def data_key() -> DataKey:
    keyring = Keyring([MASTER])
    return keyring.unwrap(keyring.new_data_key())


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_what_was_sealed_opens_again(text: str) -> None:
    data_key = DataKey(MASTER)

    opened = data_key.open(data_key.seal(SecretStr(text), "place"), "place")

    assert opened.get_secret_value() == text


def test_the_same_value_is_never_sealed_the_same_way(data_key: DataKey) -> None:
    assert data_key.seal(VALUE, "place") != data_key.seal(VALUE, "place")


@pytest.mark.parametrize("place", [(), ("other",), ("place", "more"), ("plac", "e")])
def test_what_was_moved_does_not_open(data_key: DataKey, place: tuple[str, ...]) -> None:
    sealed = data_key.seal(VALUE, "place")

    with pytest.raises(CryptoError):
        data_key.open(sealed, *place)


def test_every_part_of_a_secrets_place_counts(data_key: DataKey) -> None:
    ids = (uuid4(), uuid4(), uuid4())
    sealed = data_key.seal(VALUE, *crypto.value_place(*ids, "KEY", 1))

    moved = [
        crypto.value_place(uuid4(), ids[1], ids[2], "KEY", 1),
        crypto.value_place(ids[0], uuid4(), ids[2], "KEY", 1),
        crypto.value_place(ids[0], ids[1], uuid4(), "KEY", 1),
        crypto.value_place(*ids, "OTHER", 1),
        crypto.value_place(*ids, "KEY", 2),
        crypto.comment_place(*ids, "KEY"),
        crypto.credentials_place(ids[0]),
    ]

    for place in moved:
        with pytest.raises(CryptoError):
            data_key.open(sealed, *place)


@pytest.mark.parametrize("broken", [b"", b"x", b"x" * 40])
def test_what_was_changed_does_not_open_and_says_nothing_of_it(data_key: DataKey, broken: bytes) -> None:
    with pytest.raises(CryptoError) as error:
        data_key.open(broken, "place")

    assert error.value.message == CryptoError.__doc__
    assert error.value.__cause__ is None


def test_another_key_does_not_open_it(data_key: DataKey) -> None:
    with pytest.raises(CryptoError):
        DataKey(OTHER).open(data_key.seal(VALUE, "place"), "place")


# --- fingerprints --------------------------------------------------------------------------------------


def test_equal_values_have_equal_fingerprints_under_one_key_only(data_key: DataKey) -> None:
    assert data_key.fingerprint(VALUE) == data_key.fingerprint(SecretStr("a-secret-value"))
    assert data_key.fingerprint(VALUE) != data_key.fingerprint(SecretStr("another"))
    assert data_key.fingerprint(VALUE) != DataKey(OTHER).fingerprint(VALUE)


# --- master keys ---------------------------------------------------------------------------------------


def test_a_new_master_key_wraps_and_the_old_one_still_unwraps() -> None:
    old = Keyring([MASTER])
    wrapped = old.new_data_key()
    sealed = old.unwrap(wrapped).seal(VALUE, "place")
    both = Keyring([OTHER, MASTER])

    newer = both.new_data_key()

    assert both.unwrap(wrapped).open(sealed, "place") == VALUE
    with pytest.raises(CryptoError, match="not known here"):
        old.unwrap(newer)


def test_a_data_key_that_was_changed_does_not_open() -> None:
    keyring = Keyring([MASTER])
    wrapped = bytearray(keyring.new_data_key())
    wrapped[-1] ^= 1

    with pytest.raises(CryptoError):
        keyring.unwrap(bytes(wrapped))


def test_a_keyring_without_a_key_is_none() -> None:
    with pytest.raises(MasterKeyMissing):
        Keyring([])


def encoded(*keys: bytes) -> SecretStr:
    return SecretStr(",".join(base64.b64encode(key).decode() for key in keys))


def test_several_master_keys_are_read_from_the_settings(tmp_path: Path) -> None:
    wrapped = Keyring([MASTER]).new_data_key()

    keyring = load_keyring(Settings(data_dir=tmp_path, master_key=encoded(OTHER, MASTER)))

    keyring.unwrap(wrapped)
    Keyring([OTHER]).unwrap(keyring.new_data_key())


@pytest.mark.parametrize(
    "text",
    ["x", "AAAA", "not base64!", base64.b64encode(MASTER[:16]).decode()],
    ids=["one letter", "three bytes", "no base64", "half a key"],
)
def test_a_master_key_of_another_form_is_refused_without_repeating_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(MasterKeyMissing) as refused:
        load_keyring(Settings(data_dir=tmp_path, master_key=SecretStr(text)))

    assert text not in refused.value.message


def test_without_any_master_key_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(MasterKeyMissing, match="KEYTIDE_MASTER_KEY"):
        load_keyring(Settings(data_dir=tmp_path))


def test_a_master_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    crypto.create_master_key_file(settings.master_key_file)
    wrapped = load_keyring(settings).new_data_key()

    crypto.create_master_key_file(settings.master_key_file)

    load_keyring(settings).unwrap(wrapped)
    assert stat.S_IMODE(settings.master_key_file.stat().st_mode) == 0o600


# --- what is shown -------------------------------------------------------------------------------------


def test_the_text_of_a_key_shows_nothing() -> None:
    keyring = Keyring([b"K" * 32])
    data_key = DataKey(b"K" * 32)

    shown = f"{keyring!r} {keyring} {data_key!r} {data_key}"

    assert "KKK" not in shown
    assert base64.b64encode(b"K" * 32).decode() not in shown


def test_tokens_are_random_and_stored_as_a_hash() -> None:
    one, two = crypto.new_token().get_secret_value(), crypto.new_token().get_secret_value()

    assert one != two
    assert one.startswith("kt_")
    assert len(bytes.fromhex(one.removeprefix("kt_"))) * 8 == 160
    assert one not in crypto.hash_token(one)
    assert crypto.hash_token(one) == crypto.hash_token(one) != crypto.hash_token(two)

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.errors import KeytideError
from shared.references import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_REFERENCES,
    Address,
    Reference,
    Unresolvable,
    expand,
    find,
    folders_named,
)


class Undecryptable(KeytideError):
    """This value cannot be decrypted."""


class DictVault:
    """A vault in a dict. A value of None stands for one that cannot be decrypted."""

    def __init__(self, secrets: Mapping[Address, str | None]) -> None:
        self._secrets = {
            address: None if text is None else SecretStr(text) for address, text in secrets.items()
        }

    def has_environment(self, slug: str) -> bool:
        return slug in {"dev", "staging", *(address.environment for address in self._secrets)}

    def origin(self, address: Address) -> Address:
        return address

    def value(self, address: Address) -> SecretStr | None:
        if address not in self._secrets:
            return None
        value = self._secrets[address]
        if value is None:
            raise Undecryptable
        return value


def at(key: str, path: str = "/", environment: str = "dev") -> Address:
    return Address(environment, path, key)


def expanded(secrets: Mapping[str, str], key: str = "ROOT") -> str:
    """Expand *key* where all secrets lie in one folder."""
    vault = DictVault({at(name): text for name, text in secrets.items()})
    return expand(at(key), vault).value.get_secret_value()


def reason_of(vault: DictVault, address: Address) -> str:
    with pytest.raises(Unresolvable) as caught:
        expand(address, vault)
    return caught.value.reason


def test_each_form_of_reference_is_found() -> None:
    found = find("a ${KEY} b ${prod.KEY} c ${prod.api.v1.KEY-2_x}")

    assert found == [
        Reference("${KEY}", None, "", "KEY"),
        Reference("${prod.KEY}", "prod", "/", "KEY"),
        Reference("${prod.api.v1.KEY-2_x}", "prod", "/api/v1", "KEY-2_x"),
    ]


@pytest.mark.parametrize(
    "text",
    ["$KEY", "${}", "${KEY", "{KEY}", "${A B}", "${.A}", "${A.}", "${a..b}", "${A:-b}", "${@p.e.K}", "${Ä}"],
)
def test_other_text_in_braces_is_not_a_reference(text: str) -> None:
    assert find(text) == []


def test_a_second_dollar_sign_changes_nothing() -> None:
    assert expanded({"ROOT": "$${HOST}", "HOST": "db"}) == "$db"


def test_only_other_folders_are_named() -> None:
    value = SecretStr("${LOCAL} ${prod.A} ${prod.B} ${prod.api.C} ${dev.api.C}")

    assert folders_named(value) == {("prod", "/"), ("prod", "/api"), ("dev", "/api")}


def test_references_are_replaced_where_they_stand() -> None:
    assert expanded({"ROOT": "http://${HOST}:${PORT}/", "HOST": "db", "PORT": "80"}) == "http://db:80/"


def test_a_reference_reaches_another_environment_and_folder() -> None:
    vault = DictVault({at("ROOT"): "${prod.api.v1.KEY}", at("KEY", "/api/v1", "prod"): "far"})

    assert expand(at("ROOT"), vault).value.get_secret_value() == "far"


def test_a_nested_reference_means_the_folder_of_the_secret_that_holds_it() -> None:
    vault = DictVault(
        {
            at("ROOT"): "${prod.api.URL}",
            at("URL", "/api", "prod"): "//${HOST}",
            at("HOST", "/api", "prod"): "there",
            at("HOST"): "here",
        }
    )

    assert expand(at("ROOT"), vault).value.get_secret_value() == "//there"


def test_a_value_without_references_is_the_same_object() -> None:
    vault = DictVault({at("ROOT"): "plain $HOME {x}"})

    result = expand(at("ROOT"), vault)

    assert result.value is vault.value(at("ROOT"))
    assert result.warnings == ()


def test_pieces_of_two_values_do_not_make_a_reference() -> None:
    secrets = {"ROOT": "${A}${B} $${C}", "A": "$", "B": "{SECRET}", "C": "{SECRET}", "SECRET": "leaked"}

    assert expanded(secrets) == "${SECRET} ${SECRET}"


def test_a_missing_key_of_the_same_folder_stays_text_and_is_named_once() -> None:
    vault = DictVault({at("ROOT"): "${MID} ${HOME}/bin:${HOME}", at("MID"): "${GONE}"})

    result = expand(at("ROOT"), vault)

    assert result.value.get_secret_value() == "${GONE} ${HOME}/bin:${HOME}"
    assert result.warnings == (
        "MID seems to refer to a secret that is not in its folder; the text was left as it is.",
        "ROOT seems to refer to a secret that is not in its folder; the text was left as it is.",
    )


def test_a_missing_environment_stays_text_and_is_named() -> None:
    vault = DictVault({at("ROOT"): "echo ${a.b}"})

    result = expand(at("ROOT"), vault)

    assert result.value.get_secret_value() == "echo ${a.b}"
    assert result.warnings == (
        "ROOT seems to refer to an environment that does not exist; the text was left as it is.",
    )


def test_a_missing_key_of_a_named_folder_fails() -> None:
    vault = DictVault({at("ROOT"): "${staging.api.KEY}"})

    assert reason_of(vault, at("ROOT")) == "it refers to KEY in /api of staging, which does not exist"


def test_a_missing_key_further_on_names_the_secret_that_refers_to_it() -> None:
    vault = DictVault({at("ROOT"): "${MID}", at("MID"): "${staging.KEY}"})

    assert reason_of(vault, at("ROOT")) == (
        "MID in / of dev refers to KEY in / of staging, which does not exist"
    )


def test_a_secret_that_does_not_exist_fails() -> None:
    assert reason_of(DictVault({}), at("ROOT")) == "it does not exist"


def test_a_circle_fails_and_is_named_without_the_way_to_it() -> None:
    vault = DictVault({at("ROOT"): "${A}", at("A"): "${prod.x.B}", at("B", "/x", "prod"): "${dev.A}"})

    assert reason_of(vault, at("ROOT")) == (
        "its references go round in a circle: A in / of dev → B in /x of prod → A in / of dev"
    )


def test_a_secret_that_refers_to_itself_fails() -> None:
    assert "ROOT in / of dev → ROOT in / of dev" in reason_of(DictVault({at("ROOT"): "${ROOT}"}), at("ROOT"))


def test_the_same_secret_twice_is_no_circle() -> None:
    assert expanded({"ROOT": "${A}${B}${A}", "A": "${B}", "B": "x"}) == "xxx"


def chain(length: int) -> dict[str, str]:
    links = {f"K{n}": f"${{K{n + 1}}}" for n in range(length)}
    return {**links, f"K{length}": "end"}


def test_ten_references_may_follow_one_another() -> None:
    assert expanded(chain(MAX_DEPTH), "K0") == "end"


def test_eleven_references_that_follow_one_another_fail() -> None:
    vault = DictVault({at(key): text for key, text in chain(MAX_DEPTH + 1).items()})

    assert "more than 10 deep" in reason_of(vault, at("K0"))


def test_a_value_may_need_a_thousand_references_and_not_one_more() -> None:
    secrets = {at("ROOT"): "${A}" * MAX_REFERENCES, at("MORE"): "${A}" * (MAX_REFERENCES + 1), at("A"): "x"}
    vault = DictVault(secrets)

    assert expand(at("ROOT"), vault).value.get_secret_value() == "x" * MAX_REFERENCES
    assert reason_of(vault, at("MORE")) == "it needs more than 1000 references"


def test_references_that_multiply_fail_before_they_fill_the_memory() -> None:
    secrets = {at(f"K{n}"): f"${{K{n + 1}}}" * 10 for n in range(9)}
    vault = DictVault({**secrets, at("K9"): "x"})

    assert f"more than {MAX_REFERENCES} references" in reason_of(vault, at("K0"))


def test_references_that_bring_in_too_much_fail() -> None:
    vault = DictVault({at("ROOT"): "${LONG}" * 100, at("LONG"): "x" * 60_000})

    assert f"longer than {MAX_LENGTH} characters" in reason_of(vault, at("ROOT"))


def test_a_value_that_cannot_be_decrypted_is_not_taken_for_a_missing_one() -> None:
    vault = DictVault({at("ROOT"): "${BROKEN}", at("BROKEN"): None})

    with pytest.raises(Undecryptable):
        expand(at("ROOT"), vault)


names = st.sampled_from(["A", "B", "C"])
pieces = st.one_of(
    st.just("hunter2"),
    st.sampled_from(["$", "{A}", "$${A}", " "]),
    names.map("${{{}}}".format),
    names.map("${{staging.{}}}".format),
    names.map("${{nowhere.{}}}".format),
)
folders = st.dictionaries(names, st.lists(pieces, max_size=3).map("".join))


@given(folders, folders)
def test_no_warning_reason_or_repr_shows_a_value(dev: dict[str, str], staging: dict[str, str]) -> None:
    vault = DictVault(
        {
            at("ROOT"): "hunter2${A}${B}${C}",
            **{at(key): text for key, text in dev.items()},
            **{at(key, "/", "staging"): text for key, text in staging.items()},
        }
    )

    try:
        result = expand(at("ROOT"), vault)
        told = repr(result) + str(result.warnings)
    except Unresolvable as error:
        told = repr(error) + error.reason + error.message

    assert "hunter2" not in told


@given(st.dictionaries(names, st.text(alphabet="${}A. x", max_size=8), min_size=3))
def test_text_of_values_is_kept_to_the_letter(values: dict[str, str]) -> None:
    plain = {key: text for key, text in values.items() if not find(text)}

    root = "<" + "|".join(f"${{{key}}}" for key in plain) + ">"

    assert expanded({"ROOT": root, **plain}) == "<" + "|".join(plain.values()) + ">"

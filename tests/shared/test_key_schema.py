from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.key_schema import KeySchema

ENVIRONMENT = "production"

vault_keys = st.text(min_size=1, max_size=30).filter(lambda key: not set(key) & set("/:"))
environments = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)?", fullmatch=True)
around = st.lists(st.sampled_from(["A", "b", "_", "-", "/", "7", "{{environment}}"]), max_size=6).map("".join)
schemas = st.builds(lambda before, after: f"{before}{{{{secretKey}}}}{after}", around, around)

# Few letters and short texts, so that prefixes and suffixes often fit into each other.
tight = st.text(alphabet="ab/", max_size=2)
tight_schemas = st.builds(KeySchema, tight, tight)
SHORT_KEYS = ["".join(letters) for size in range(1, 6) for letters in product("ab/", repeat=size)]


@given(schemas, vault_keys, environments)
def test_stripping_undoes_applying(schema: str, key: str, environment: str) -> None:
    parsed = KeySchema.parse(schema)

    applied = parsed.apply(key, environment)

    assert parsed.matches(applied, environment)
    assert parsed.strip(applied, environment) == key


@given(schemas, st.text(max_size=30), environments)
def test_only_what_the_schema_could_have_produced_matches(schema: str, remote: str, environment: str) -> None:
    parsed = KeySchema.parse(schema)

    stripped = parsed.strip(remote, environment)

    assert parsed.matches(remote, environment) == (stripped is not None)
    assert stripped is None or (stripped and parsed.apply(stripped, environment) == remote)


@pytest.mark.parametrize("text", [None, "", "   ", "{{secretKey}}"])
def test_no_schema_keeps_every_key(text: str | None) -> None:
    schema = KeySchema.parse(text)

    assert schema.apply("A=B", ENVIRONMENT) == "A=B"
    assert schema.strip("a/b", ENVIRONMENT) == "a/b"


def test_the_environment_may_stand_on_both_sides_and_repeatedly() -> None:
    schema = KeySchema.parse("{{environment}}_{{secretKey}}_{{environment}}{{environment}}")

    assert schema.apply("KEY", "dev") == "dev_KEY_devdev"
    assert schema.strip("dev_KEY_devdev", "dev") == "KEY"
    assert schema.strip("dev_KEY_devdev", "prod") is None


@pytest.mark.parametrize("key", ["A=B", "A&B", "<A>", "'A\"", "`A`", "{{environment}}"])
def test_a_key_is_never_escaped_or_rendered(key: str) -> None:
    schema = KeySchema.parse("APP_{{secretKey}}")

    assert schema.apply(key, ENVIRONMENT) == f"APP_{key}"


def test_a_schema_with_a_folder_does_not_match_keys_in_folders_below_it() -> None:
    schema = KeySchema.parse("/team/{{secretKey}}")

    assert schema.matches("/team/KEY", ENVIRONMENT)
    assert not schema.matches("/team/sub/KEY", ENVIRONMENT)


@pytest.mark.parametrize("remote", ["APP_", "_X", "APP_X", "APP_KEY", "KEY_X", "app_KEY_X", ""])
def test_a_key_that_lacks_a_part_does_not_match(remote: str) -> None:
    schema = KeySchema.parse("APP_{{secretKey}}_X")

    assert schema.strip(remote, ENVIRONMENT) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("PREFIX_", "exactly once"),
        ("{{environment}}", "exactly once"),
        ("{{secretKey}}_{{secretKey}}", "exactly once"),
        ("{{ secretKey }}", "without spaces"),
        ("{{secretKey}}{{project}}", "placeholders"),
        ("{{secretKey}}.X", "placeholders"),
        ("{{secretKey}}{", "placeholders"),
        ("MY {{secretKey}}", "without spaces"),
        ("Ä{{secretKey}}", "placeholders"),
        ("{{secretKey}}\nX", "placeholders"),
        ("{{SecretKey}}", "placeholders"),
        ("A" * 242 + "{{secretKey}}" + "A", "at most 255"),
    ],
)
def test_a_wrong_schema_is_refused_with_the_rule_it_breaks(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        KeySchema.parse(text)

    assert caught.value.field == ("syncOptions", "keySchema")


def test_a_schema_may_have_255_characters() -> None:
    schema = KeySchema.parse("A" * 242 + "{{secretKey}}")

    assert schema.prefix == "A" * 242


@given(tight_schemas, tight_schemas)
# "a/x/b" belongs to both, but only because the first suffix lies inside what the second adds.
@example(KeySchema("a/", "/b"), KeySchema("a/a/", ""))
@example(KeySchema("a/", ""), KeySchema("a/b/", ""))
def test_schemas_overlap_exactly_if_some_key_matches_both(one: KeySchema, other: KeySchema) -> None:
    by_trial = any(one.matches(key, "") and other.matches(key, "") for key in SHORT_KEYS)

    assert one.overlaps("", other, "") == by_trial
    assert other.overlaps("", one, "") == by_trial


def test_the_environment_can_keep_two_syncs_apart() -> None:
    schema = KeySchema.parse("{{environment}}_{{secretKey}}")

    assert schema.overlaps("dev", schema, "dev")
    assert not schema.overlaps("dev", schema, "prod")


def test_no_schema_overlaps_with_every_schema() -> None:
    assert KeySchema.parse(None).overlaps("dev", KeySchema.parse("/a/{{secretKey}}/b"), "prod")

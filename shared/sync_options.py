"""The options of a sync, as they stand on the wire and in the database."""

from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from shared.backoff import parse_cron
from shared.key_schema import KeySchema

KEY_SCHEMA = "How keys are called at the destination, such as `SHOP_{{secretKey}}`. No other key is touched."
RECONCILE_CRON = "When to look for drift, as a cron expression in UTC, instead of every so many seconds."

Pattern = Annotated[str, Field(min_length=1, max_length=255)]


class InitialBehavior(StrEnum):
    """What the first run against a destination does with what it finds there."""

    OVERWRITE = "overwrite-destination"
    IMPORT_PRIORITIZE_SOURCE = "import-prioritize-source"
    IMPORT_PRIORITIZE_DESTINATION = "import-prioritize-destination"


class SyncOptions(BaseModel):
    """How a sync behaves. An unknown option is refused: a misspelt one could delete what it should keep."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, use_enum_values=False
    )

    initial_sync_behavior: InitialBehavior = Field(
        description="Whether the first run writes at once, or first takes over what the destination holds."
    )
    key_schema: Annotated[str, Field(max_length=255)] | None = Field(None, description=KEY_SCHEMA)
    disable_secret_deletion: bool = Field(False, description="Never delete a key at the destination.")
    delete_unmanaged: bool = Field(
        True, description="Also delete keys in scope that Keytide did not write. False: only those it wrote."
    )
    deletion_limit_percent: Annotated[int, Field(ge=0, le=100)] = Field(
        30,
        description="A run that would delete more than this share of the keys in scope waits for approval.",
    )
    include_keys: tuple[Pattern, ...] = Field(
        (), description="Only keys of the vault that match one of these patterns, such as `DB_*`. Empty: all."
    )
    exclude_keys: tuple[Pattern, ...] = Field(
        (), description="No keys of the vault that match one of these patterns."
    )
    redeploy: Literal["never", "after-change"] = Field(
        "never", description="Whether running services take the values up after a run that changed something."
    )
    # The wire has two names for it: ``recursive`` and ``includeAllSubFolders``.
    recursive: bool = Field(False, description="Also the folders below the source's.")
    reconcile_mode: Literal["repair", "report", "off"] = Field(
        "repair", description="What happens to drift: it is repaired, only reported, or not looked for."
    )
    reconcile_every_seconds: Annotated[int, Field(ge=60, le=31 * 86400)] | None = Field(
        None, description="How often to look for drift, in seconds. Unset: `KEYTIDE_RECONCILE_SECONDS`."
    )
    reconcile_cron: str | None = Field(None, description=RECONCILE_CRON)

    @model_validator(mode="before")
    @classmethod
    def _other_name_of_recursive(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and "includeAllSubFolders" in fields:
            rest = {name: value for name, value in fields.items() if name != "includeAllSubFolders"}
            return {"recursive": fields["includeAllSubFolders"], **rest}
        return fields

    @field_validator("key_schema")
    @classmethod
    def _schema_is_valid(cls, text: str | None) -> str | None:
        KeySchema.parse(text)
        return text.strip() or None if text else None

    @field_validator("reconcile_cron")
    @classmethod
    def _cron_is_valid(cls, text: str | None) -> str | None:
        return parse_cron(text) if text else None

    @model_validator(mode="after")
    def _recursive_only_writes(self) -> Self:
        if self.recursive and self.initial_sync_behavior is not InitialBehavior.OVERWRITE:
            raise ValueError("recursive goes with initialSyncBehavior 'overwrite-destination' only.")
        return self

    @model_validator(mode="after")
    def _one_cadence(self) -> Self:
        if self.reconcile_cron and self.reconcile_every_seconds:
            raise ValueError("Give reconcileCron or reconcileEverySeconds, not both.")
        return self

    @property
    def parsed_key_schema(self) -> KeySchema:
        return KeySchema.parse(self.key_schema)

    def covers(self, key: str) -> bool:
        """Do the filters let the vault's *key* through?"""
        if self.include_keys and not any(fnmatchcase(key, pattern) for pattern in self.include_keys):
            return False
        return not any(fnmatchcase(key, pattern) for pattern in self.exclude_keys)

    def stored(self) -> dict[str, Any]:
        """Return the form that is kept in the database."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

"""The wire forms of secrets. A value is stored exactly as it was sent."""

import re
from dataclasses import replace
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr, StrictBool

from api.infisical.tags import TagOut, tag_out
from api.infisical.wire import (
    Dated,
    EnvironmentSlug,
    FolderPath,
    ProjectReference,
    QueryBool,
    WireModel,
)
from shared.db.vault import ROOT
from shared.usecases.edit_secrets import Draft
from shared.usecases.read_secrets import Detail, ImportedSecrets, SecretView

#: Stands where a value was not asked for.
HIDDEN = "<hidden>"

Key = Annotated[str, Field(min_length=1, max_length=255, examples=["DATABASE_URL"])]

# --- what is sent --------------------------------------------------------------------------------------


class SecretPlace(ProjectReference):
    """The folder that holds the secrets."""

    environment: EnvironmentSlug
    secret_path: FolderPath = ROOT
    type: Literal["shared"] = Field("shared", description="Personal secrets do not exist here.")


class SecretsQuery(SecretPlace):
    """How much to show of a folder's secrets."""

    view_secret_value: QueryBool = True
    expand_secret_references: QueryBool = False
    include_imports: QueryBool = Field(False, alias="include_imports")
    camel_include_imports: QueryBool = Field(
        False, alias="includeImports", description="The same as `include_imports`."
    )

    def detail(self) -> Detail:
        return Detail(
            values=self.view_secret_value,
            expand=self.expand_secret_references,
            imports=self.include_imports or self.camel_include_imports,
        )


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    """Return the pairs of a metadata filter. Raises ``ValueError``."""
    found = set()
    for part in text.split("|") if text else ():
        named = re.fullmatch(r"key=([^,]+),value=(.*)", part)
        if named is None:
            raise ValueError("Write key=…,value=… for each pair, and | between pairs.")
        found.add((named[1], named[2]))
    if len(found) > 10:
        raise ValueError("Name at most 10 pairs.")
    return frozenset(found)


def _readable(text: str) -> str:
    _pairs(text)
    return text


class ListQuery(SecretsQuery):
    recursive: QueryBool = False
    tag_slugs: str = Field(
        "", max_length=2048, description="Only secrets with one of these tags; several with commas between."
    )
    metadata_filter: Annotated[str, AfterValidator(_readable)] = Field(
        "",
        max_length=4_096,
        description="Only secrets with all of this metadata: `key=…,value=…`, and `|` between pairs.",
    )

    def detail(self) -> Detail:
        return replace(
            super().detail(),
            recursive=self.recursive,
            tag_slugs=frozenset(slug for slug in self.tag_slugs.split(",") if slug),
            metadata=_pairs(self.metadata_filter),
        )


class OneQuery(SecretsQuery):
    version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None


class ValueQuery(WireModel):
    """How much to show of a secret that is named by its id."""

    view_secret_value: QueryBool = True
    expand_secret_references: QueryBool = False


class Metadata(WireModel):
    """A name and a text, kept in clear so that one can search for them."""

    key: Annotated[str, Field(min_length=1, max_length=255, examples=["team"])]
    value: Annotated[str, Field(max_length=1020, examples=["payments"])]
    is_encrypted: Literal[False] = False


class Labelled(WireModel):
    """Tags and metadata; what is sent replaces what was there. No sync follows: they go nowhere."""

    tag_ids: Annotated[list[UUID], Field(max_length=100)] | None = None
    secret_metadata: Annotated[list[Metadata], Field(max_length=100)] | None = None

    def labels(self) -> dict[str, Any]:
        """Return the labels as a draft takes them."""
        noted = self.secret_metadata
        return {
            "tag_ids": self.tag_ids,
            "metadata": None if noted is None else {each.key: each.value for each in noted},
        }


class New(Labelled):
    # Left out, it is a misspelt field far more often than an empty value, and would empty destinations.
    secret_value: SecretStr = Field(examples=["postgres://shop@db/shop"])
    secret_comment: SecretStr | None = None

    def draft_of(self, key: str) -> Draft:
        return Draft(key, self.secret_value, self.secret_comment, **self.labels())


class Changed(Labelled):
    """What is not sent stays as it is."""

    secret_value: SecretStr | None = Field(None, examples=["postgres://shop@db/shop"])
    secret_comment: SecretStr | None = None
    new_secret_name: Key | None = None

    def draft_of(self, key: str) -> Draft:
        return Draft(key, self.secret_value, self.secret_comment, self.new_secret_name, **self.labels())


class NewSecret(New, SecretPlace):
    """Reminders and ``skipMultilineEncoding`` are taken and not kept."""


class ChangedSecret(Changed, SecretPlace):
    """What is not sent stays as it is."""


class NewItem(New):
    secret_key: Key

    def draft(self) -> Draft:
        return self.draft_of(self.secret_key)


class ChangedItem(Changed):
    secret_key: Key
    secret_path: FolderPath | None = Field(None, description="Another folder than the request names.")

    def draft(self) -> Draft:
        return replace(self.draft_of(self.secret_key), path=self.secret_path)


class NamedItem(WireModel):
    secret_key: Key


Batch = Field(min_length=1, max_length=1000)


class NewSecrets(SecretPlace):
    secrets: list[NewItem] = Batch


class ChangedSecrets(SecretPlace):
    """``mode`` says what to do with secrets that do not exist."""

    secrets: list[ChangedItem] = Batch
    mode: Literal["failOnNotFound", "upsert", "ignore"] = "failOnNotFound"


class NamedSecrets(SecretPlace):
    secrets: list[NamedItem] = Batch


class MovedSecrets(ProjectReference):
    """Which secrets leave which folder for which."""

    source_environment: EnvironmentSlug
    source_secret_path: FolderPath = ROOT
    destination_environment: EnvironmentSlug
    destination_secret_path: Annotated[str, Field(min_length=1, max_length=2048, examples=["/web"])] = ROOT
    secret_ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)]
    should_overwrite: StrictBool = Field(
        False, description="Whether a secret of the same name there takes the moved value."
    )


# --- what is answered ----------------------------------------------------------------------------------


class SecretOut(Dated):
    id: UUID
    old_id: UUID = Field(alias="_id")
    workspace: UUID
    environment: str
    version: int
    type: str = "shared"
    secret_key: str
    secret_value: str
    secret_value_hidden: bool
    secret_comment: str
    secret_path: str
    secret_reminder_note: str | None = None
    secret_reminder_repeat_days: int | None = None
    skip_multiline_encoding: StrictBool | None = None
    actor: str | None = None
    is_rotated_secret: bool = False
    rotation_id: UUID | None = None
    tags: list[TagOut]
    secret_metadata: list[Metadata]


class ImportedOut(WireModel):
    secret_path: str
    environment: str
    folder_id: UUID
    secrets: list[SecretOut]


class OneSecret(WireModel):
    secret: SecretOut


class Secrets(WireModel):
    secrets: list[SecretOut]


class Moved(WireModel):
    is_source_updated: bool = True
    is_destination_updated: bool = True


class SecretsAndImports(Secrets):
    imports: list[ImportedOut]


def secret_out(view: SecretView) -> SecretOut:
    """Return the wire form of a secret: here, and only here, a value is opened to be shown."""
    return SecretOut(
        id=view.id,
        old_id=view.id,
        workspace=view.project_id,
        environment=view.environment,
        version=view.version,
        secret_key=view.key,
        secret_value=HIDDEN if view.value is None else view.value.get_secret_value(),
        secret_value_hidden=view.value is None,
        secret_comment=view.comment.get_secret_value() if view.comment else "",
        secret_path=view.path,
        tags=[tag_out(tag) for tag in view.labels.tags],
        secret_metadata=[Metadata(key=key, value=value) for key, value in view.labels.metadata],
        created_at=view.created_at,
        updated_at=view.updated_at,
    )


def imported_out(imported: ImportedSecrets) -> ImportedOut:
    """Return the wire form of what one import shows."""
    return ImportedOut(
        secret_path=imported.path,
        environment=imported.environment,
        folder_id=imported.folder_id,
        secrets=[secret_out(view) for view in imported.secrets],
    )

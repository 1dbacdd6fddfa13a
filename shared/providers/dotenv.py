"""A .env file on this machine. Needs no account: the way to see a sync at work.

How such a file is read and written: ``docs/providers/dotenv.md``.
"""

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, SecretStr, StringConstraints

from shared.errors import AccessDenied, ProviderError, RequestRejected, Unavailable
from shared.plan import Change, Delete, Remote
from shared.providers.base import (
    Access,
    Account,
    Credentials,
    Destination,
    DestinationConfig,
    Provider,
    Pulled,
    Pushed,
)

TITLE = ".env file"
KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# --- the text ------------------------------------------------------------------------------------------

_BLANK = r"[^\S\r\n]"

#: A key and what follows it. Possessive, so that no line is tried in a second way. Where a quote is never
#: closed, or something stands behind the closing one, the text is matched but holds no assignment.
_STATEMENT = re.compile(
    rf"""
    {_BLANK}*+ (?:export{_BLANK}++)?+ (?P<key> '[^']++' | [^'=\#\s][^=\#\s]*+ ) {_BLANK}*+
    (?P<assigned>
        = (?:{_BLANK}++ (?!\#))?+
        (?P<value>
            ' (?P<single> (?:\\.|[^'\\])*+ ) '
          | " (?P<double> (?:\\.|[^"\\])*+ ) "
          | (?!['"]) (?P<plain> [^\r\n]*+ )
        )
    )?+
    (?P<rest> [^\r\n]*+ ) (?P<end> \r\n | \r | \n | \Z )
    """,
    re.VERBOSE | re.DOTALL,
)
_LINE = re.compile(r"[^\r\n]*+(?:\r\n|\r|\n|\Z)")
_COMMENT = re.compile(rf"{_BLANK}*+(?:#.*)?", re.DOTALL)
_COMMENT_BEHIND_PLAIN = re.compile(rf"{_BLANK}#")

_SINGLE_ESCAPES = {"\\": "\\", "'": "'"}
_DOUBLE_ESCAPES = {
    **_SINGLE_ESCAPES,
    '"': '"',
    "$": "$",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}
_TO_DOUBLE = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Statement:
    """A piece of the file as it stands there. ``head`` and ``tail`` are what is around an assigned value."""

    text: str
    key: str | None = None
    value: str = ""
    head: str = ""
    tail: str = ""

    def holding(self, value: str) -> "Statement":
        """Return the same statement with another value; ``export`` and the comment behind it stay."""
        return Statement(f"{self.head}{quoted(value)}{self.tail}", self.key, value, self.head, self.tail)


@dataclass(frozen=True, slots=True)
class EnvText:
    """The text of a .env file. What is not assigned to a key we know stays as it is, to the byte."""

    statements: tuple[Statement, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take *text* apart. Every text can be taken apart; a broken line is a statement without a key."""
        return cls(tuple(_statements(text)))

    @property
    def text(self) -> str:
        return "".join(statement.text for statement in self.statements)

    @property
    def values(self) -> dict[str, str]:
        """The value of each key. Of several assignments to a key the last one counts."""
        return {each.key: each.value for each in self.statements if each.key is not None}

    def holding(self, values: Mapping[str, str]) -> "EnvText":
        """Return the text with *values*: in place where a key is assigned (each time), else at the end."""
        kept = tuple(
            each.holding(values[each.key])
            if each.key is not None and each.value != values.get(each.key, each.value)
            else each
            for each in self.statements
        )
        known = self.values
        added = [f"{key}={quoted(value)}" for key, value in values.items() if key not in known]
        return EnvText(kept + tuple(self._appended(added)))

    def without(self, keys: Sequence[str]) -> "EnvText":
        """Return the text without any assignment to *keys*."""
        return EnvText(tuple(each for each in self.statements if each.key not in keys))

    def _appended(self, lines: Sequence[str]) -> Iterator[Statement]:
        text = self.text
        newline = "\r\n" if "\r\n" in text else "\n"
        if lines and text and not text.endswith(("\n", "\r")):
            yield Statement(newline)
        for line in lines:
            yield Statement(line + newline)


def _statements(text: str) -> Iterator[Statement]:
    position = len(text) - len(text.removeprefix("\ufeff"))
    if position:
        yield Statement(text[:position])
    while position < len(text):
        found = _STATEMENT.match(text, position)
        line = found or _LINE.match(text, position)
        assert line is not None  # noqa: S101 - every text starts with a line
        yield _assignment(found) if found else Statement(line[0])
        position = line.end()


def _assignment(found: re.Match[str]) -> Statement:
    """Return what was *found* as an assignment, or as a mere piece of text."""
    key = found["key"][1:-1] if found["key"].startswith("'") else found["key"]
    if found["assigned"] is None or not KEY.fullmatch(key):
        return Statement(found[0])
    head = found.string[found.start() : found.start("value")]
    if found["plain"] is not None:
        behind = _COMMENT_BEHIND_PLAIN.search(found["plain"])
        end = behind.start() if behind else len(found["plain"])
        return Statement(
            found[0], key, found["plain"][:end].strip(), head, found["plain"][end:] + found["end"]
        )
    if not _COMMENT.fullmatch(found["rest"]):
        return Statement(found[0])
    if found["single"] is not None:
        value = _unescaped(found["single"], _SINGLE_ESCAPES)
    else:
        value = _unescaped(found["double"], _DOUBLE_ESCAPES)
    return Statement(found[0], key, value, head, found["rest"] + found["end"])


def _unescaped(text: str, escapes: Mapping[str, str]) -> str:
    return re.sub(r"\\(.)", lambda pair: escapes.get(pair[1], pair[0]), text, flags=re.DOTALL)


def quoted(value: str) -> str:
    """Write *value* on one line, so that the common readers of .env files find the same value again."""
    if re.fullmatch(r"[A-Za-z0-9_@%+,./:=-]*", value):
        return value
    # Nothing is expanded inside single quotes. Only of two backslashes, or of one before a quote, some
    # readers make one; and inside double quotes some take off none.
    if not re.search(r"['\r\n]|\\\\|\\$", value):
        return f"'{value}'"
    return f'"{value.translate(_TO_DOUBLE)}"'


def _unwritable(value: str) -> str | None:
    """Why a .env file cannot hold *value*, or None."""
    if "\0" in value:
        return "the value holds a NUL character, which no environment variable can"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "the value is not valid Unicode"
    return None


# --- the file ------------------------------------------------------------------------------------------

_REFUSED = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL}


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The file *path* below *directory*. No link is followed out of the directory."""

    directory: str
    path: str

    def read(self) -> str:
        """Return the text of the file, empty if there is none."""
        with self._errors("read"):
            try:
                with self._folder(create=False) as (folder, name):
                    content = self._content(folder, name)
            except FileNotFoundError:
                return ""
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise RequestRejected(
                f"{self.path} is not UTF-8 text, so it was left as it is.", provider=TITLE
            ) from None

    def write(self, text: str) -> None:
        """Replace the file as a whole: a reader sees the old text or the new one."""
        with self._errors("written"), self._folder(create=True) as (folder, name):
            temporary = f".keytide-{secrets.token_hex(8)}"
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
            try:
                with open(descriptor, "wb") as file:
                    file.write(text.encode())
                    file.flush()
                    os.fsync(descriptor)
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)
                raise
            os.fsync(folder)

    def _content(self, folder: int, name: str) -> bytes:
        # Without O_NONBLOCK, opening a pipe would wait for somebody to write into it.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise RequestRejected(f"{self.path} is not a regular file.", provider=TITLE)
            return file.read()

    @contextmanager
    def _folder(self, *, create: bool) -> Iterator[tuple[int, str]]:
        """Yield the open folder that holds the file, and the file's name in it."""
        root = prepared(self.directory)
        target = Path(os.path.realpath(root / self.path))
        if root not in target.parents:
            raise RequestRejected(f"{self.path} leads out of the allowed directory.", provider=TITLE)
        *parts, name = target.relative_to(root).parts
        # The resolved path holds no link. Should one appear now, O_NOFOLLOW stops at it.
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        with ExitStack() as opened:
            folder = os.open(root, flags)
            opened.callback(os.close, folder)
            for part in parts:
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=folder)
                folder = os.open(part, flags, dir_fd=folder)
                opened.callback(os.close, folder)
            yield folder, name

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise os_error(f"{self.path} cannot be {what}", error) from None


def prepared(directory: str) -> Path:
    """Return *directory* without links in its path. It is made, for its owner only, if it is missing."""
    path = Path(directory)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(os.path.realpath(path))


def os_error(message: str, error: OSError) -> ProviderError:
    """Return what *error* means to a sync. Only its name is kept: its text holds the whole path."""
    code = errno.errorcode.get(error.errno or 0, "OSError")
    kind: type[ProviderError] = Unavailable
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        kind = AccessDenied
    elif error.errno in _REFUSED:
        kind = RequestRejected
    return kind(f"{message} ({code}).", provider=TITLE, code=code)


# --- the provider --------------------------------------------------------------------------------------


def _relative(path: str) -> str:
    """Return *path* in its one plain form. Raises ``ValueError`` if it may lie outside the directory."""
    parts = PurePosixPath(path).parts
    if not parts or parts[0].startswith("/") or ".." in parts:
        raise ValueError("must be a path below the allowed directory, such as web/.env, and without '..'")
    if not path.isprintable():
        raise ValueError("must not hold control characters")
    return "/".join(parts)


class DotenvConfig(DestinationConfig):
    """A file, by its path below the allowed directory."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_relative)]


class DotenvCredentials(Credentials):
    """Nothing: whoever runs Keytide decides which directory may be written to."""


class DotenvDestination(Destination):
    """One .env file."""

    # Each push replaces the file, so a run should need one for what it sets and one for what it deletes.
    batch_size = 10_000

    def __init__(self, access: Access, config: DotenvConfig) -> None:
        self._access = access
        self._file = EnvFile(access.address, config.path)

    def pull(self) -> Pulled:
        self._access.before_call()
        values = EnvText.parse(self._file.read()).values
        return Pulled({key: Remote(key, SecretStr(value)) for key, value in values.items()})

    def push(self, batch: Sequence[Change]) -> Pushed:
        self._access.before_call()
        removed = [change.key for change in batch if isinstance(change, Delete)]
        wanted = {
            change.key: change.desired.value.get_secret_value()
            for change in batch
            if not isinstance(change, Delete)
        }
        refused = {key: reason for key, value in wanted.items() if (reason := _unwritable(value))}
        self._apply({key: value for key, value in wanted.items() if key not in refused}, removed)
        return Pushed(
            stamps={key: None for key in (*wanted, *removed) if key not in refused}, refused=refused
        )

    def refuses(self, key: str) -> str | None:
        if not KEY.fullmatch(key):
            return "a .env file takes letters, digits and _ in a name, and no digit first"
        return None

    def _apply(self, wanted: Mapping[str, str], removed: Sequence[str]) -> None:
        # Read anew: somebody may have edited the file since the pull, and their edit has to stay.
        before = EnvText.parse(self._file.read())
        after = before.holding(wanted).without(removed)
        if after.text == before.text:
            return
        expected = {key: value for key, value in before.values.items() if key not in removed}
        if EnvText.parse(after.text).values != {**expected, **wanted}:
            raise RequestRejected(
                f"A quote in {self._file.path} is never closed and would swallow what is written behind it. "
                "Nothing was written: close the quote.",
                provider=TITLE,
            )
        self._file.write(after.text)


class DotenvProvider(Provider[DotenvConfig]):
    """The .env files below one directory."""

    name = "dotenv"
    title = TITLE
    methods: ClassVar[Mapping[str, type[Credentials]]] = {"directory": DotenvCredentials}
    config_type = DotenvConfig
    reads_values = True

    def whoami(self) -> Account:
        """Return the directory. Raises a ``ProviderError`` if it cannot be used."""
        self.access.before_call()
        try:
            root = str(prepared(self.access.address))
        except OSError as error:
            raise os_error("the directory for .env files cannot be used", error) from None
        if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
            raise AccessDenied("The directory for .env files cannot be written to.", provider=TITLE)
        return Account(root, root)

    def destination(self, config: DotenvConfig) -> DotenvDestination:
        return DotenvDestination(self.access, config)

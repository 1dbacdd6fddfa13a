"""Logging a program in: it shows a code, a person confirms that code in a browser, and it gets a token.

The person proves who they are with a token of their own each time, so there is no session that another site
could use, and the new token can do what that person's can, for a week, and not without it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from pydantic import SecretStr
from sqlalchemy.orm import Session

from shared.crypto import hash_token, new_device_code, new_user_code
from shared.db import device_logins
from shared.db.device_logins import DeviceLogin, DeviceStatus
from shared.db.tokens import ApiToken
from shared.errors import InvalidInput, NotFound
from shared.runtime import Runtime
from shared.usecases import tokens
from shared.usecases.tokens import Caller

#: How long a person may take to confirm.
LIFETIME = timedelta(minutes=15)
#: How often a program should ask, in seconds.
POLL_SECONDS = 5
#: How long the token of a login lives, unless that of whoever confirmed it ends or is revoked before.
TOKEN_LIFETIME = timedelta(days=7)

#: What the name of a token that was handed out ends with.
_SUFFIX = " (device login)"

UNKNOWN_CODE = "This code is not known here: it was used already, or it is older than 15 minutes."


@dataclass(frozen=True, slots=True)
class Started:
    """A login that waits for a person."""

    device_code: SecretStr
    user_code: SecretStr


@dataclass(frozen=True, slots=True)
class Progress:
    """What became of a login. A token is there once, when it was approved."""

    status: str
    token: SecretStr | None = None
    login: str | None = None
    expires_at: datetime | None = None


def start(runtime: Runtime, repository: str | None) -> Started:
    """Begin a login."""
    started = Started(new_device_code(), new_user_code())
    now = runtime.clock()
    with runtime.database.transaction() as session:
        session.add(
            DeviceLogin(
                id=uuid4(),
                device_hash=_hash(started.device_code),
                user_hash=_hash(started.user_code),
                repository=repository,
                status=DeviceStatus.PENDING,
                created_at=now,
                expires_at=now + LIFETIME,
            )
        )
    return started


def poll(runtime: Runtime, device_code: SecretStr) -> Progress:
    """Return what became of a login; the first time after its approval, with the token.

    Raises ``NotFound`` if there is no such login.
    """
    now = runtime.clock()
    with runtime.database.transaction() as session:
        login = device_logins.find_by_device(session, _hash(device_code))
        if login is None:
            raise NotFound("Device code not found")
        if login.status == DeviceStatus.DENIED:
            return Progress("denied")
        if login.expires_at <= now or login.status == DeviceStatus.USED:
            return Progress("expired")
        # Locked: it is not revoked while it hands its rights on.
        approver = session.get(ApiToken, login.token_id, with_for_update=True) if login.token_id else None
        if approver is None:
            return Progress("pending")
        login.status = DeviceStatus.USED
        return _hand_out(runtime, session, approver, now)


def decide(runtime: Runtime, caller: Caller, user_code: SecretStr, *, approve: bool) -> str | None:
    """Let the program that shows *user_code* have a token that can do what *caller* can, or refuse it.

    Returns the repository that the program named. Raises ``InvalidInput`` if no login waits for that code.
    """
    code = SecretStr(user_code.get_secret_value().strip().upper())
    with runtime.database.transaction() as session:
        login = device_logins.find_by_user(session, _hash(code))
        waits = login is not None and login.status == DeviceStatus.PENDING
        if login is None or not waits or login.expires_at <= runtime.clock():
            raise InvalidInput(UNKNOWN_CODE, field=("user_code",))
        login.status = DeviceStatus.APPROVED if approve else DeviceStatus.DENIED
        login.token_id = caller.token_id if approve else None
        return login.repository


def _hand_out(runtime: Runtime, session: Session, approver: ApiToken, now: datetime) -> Progress:
    ends = now + TOKEN_LIFETIME
    expires_at = ends if approver.expires_at is None else min(ends, approver.expires_at)
    if expires_at <= now:
        return Progress("expired")
    token = tokens.hand_on(runtime, session, approver, _name_after(approver), expires_at=expires_at)
    return Progress("approved", token, approver.name, expires_at)


def _name_after(approver: ApiToken) -> str:
    """Return the name of a token that *approver* let somebody have: clients show it to a person."""
    return f"{approver.name.removesuffix(_SUFFIX)[: 255 - len(_SUFFIX)]}{_SUFFIX}"


def _hash(code: SecretStr) -> str:
    return hash_token(code.get_secret_value())

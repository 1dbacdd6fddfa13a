"""What can go wrong, arranged by what to do about it.

    KeytideError
    ├── InputError            the caller's to mend; nothing was changed
    │   ├── InvalidInput        a field is wrong
    │   ├── NotFound            it does not exist, or not for this caller
    │   ├── Conflict            it exists already, or is in use
    │   ├── Unauthenticated     no token, or a wrong one
    │   └── Forbidden           a token without that right
    ├── ProviderError         a service outside answered badly; status and code are kept, never the body
    │   ├── Transient           tried again by itself, after ``retry_after`` seconds if it said so
    │   │   ├── RateLimited       it wants fewer requests
    │   │   ├── Unavailable       5xx, or busy with another change
    │   │   └── Unreachable       no answer: whether the call took effect is unknown
    │   └── Permanent           waits for a person
    │       ├── CredentialsRejected
    │       ├── AccessDenied
    │       ├── DestinationNotFound
    │       ├── RequestRejected
    │       └── UnexpectedAnswer
    ├── PlanError             the plan cannot be made or must not be applied; nothing was changed
    │   ├── SourceMissing       the environment or folder is gone
    │   ├── SourceUnreadable    a value or reference cannot be resolved
    │   ├── PlanBlocked         it would delete too much
    │   └── PlanOutdated        what was approved is not what would happen now
    └── RunStopped            this run may write no more; somebody else carries on
        ├── LeaseLost
        └── SyncChanged

How each becomes an HTTP status stands in ``api/errors.py``; when a transient one is tried again, in
``shared/backoff.py``.
"""

from collections.abc import Mapping, Sequence


class KeytideError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)

    @property
    def message(self) -> str:
        return str(self)


# --- the caller's to mend ------------------------------------------------------------------------------


class InputError(KeytideError):
    """The request cannot be carried out as it stands."""


class InvalidInput(InputError):
    """A field of the request is wrong."""

    def __init__(self, message: str | None = None, *, field: Sequence[str | int] = ()) -> None:
        super().__init__(message)
        self.field = tuple(field)


class NotFound(InputError):
    """There is nothing by that name."""


class Conflict(InputError):
    """It exists already, or something still uses it."""


class Unauthenticated(InputError):
    """No valid token was sent. Send one as 'Authorization: Bearer …'."""


class Forbidden(InputError):
    """This token does not carry that right."""


# --- a service outside ---------------------------------------------------------------------------------


class ProviderError(KeytideError):
    """The provider answered with an error.

    ``status`` is the HTTP status, ``code`` the provider's own error code; either may be unknown.
    The body is never kept: services echo what was sent to them.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        provider: str = "",
        status: int | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.status = status
        self.code = code


class Transient(ProviderError):
    """The provider could not do it just now. ``retry_after`` is in seconds, None if it did not say."""

    def __init__(
        self,
        message: str | None = None,
        *,
        provider: str = "",
        status: int | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, provider=provider, status=status, code=code)
        self.retry_after = retry_after


class RateLimited(Transient):
    """The provider asks for fewer requests."""


class Unavailable(Transient):
    """The provider is out of order."""


class Unreachable(Transient):
    """No answer came from the provider; whether it took the request is not known."""


class Permanent(ProviderError):
    """The provider refuses, and will until somebody changes something."""


class CredentialsRejected(Permanent):
    """The provider does not accept these credentials."""


class AccessDenied(Permanent):
    """The credentials are valid but may not do this."""


class DestinationNotFound(Permanent):
    """The destination does not exist, or these credentials cannot see it."""


class RequestRejected(Permanent):
    """The provider refused the request."""


class UnexpectedAnswer(Permanent):
    """The provider answered in a form its documentation does not describe."""


# --- the plan ------------------------------------------------------------------------------------------


class PlanError(KeytideError):
    """The run stopped before it changed anything."""


class SourceMissing(PlanError):
    """The source environment or folder no longer exists, so nothing was changed at the destination."""


class SourceUnreadable(PlanError):
    """Some secrets cannot be read. ``keys`` says why, for each of them."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self.keys = dict(keys)
        named = "; ".join(f"{key}: {reason}" for key, reason in sorted(self.keys.items()))
        super().__init__(f"The source cannot be read, so nothing was changed at the destination. {named}.")


class PlanBlocked(PlanError):
    """The plan removes too much to be applied without a person's approval."""

    def __init__(self, message: str, *, plan_hash: str) -> None:
        super().__init__(message)
        self.plan_hash = plan_hash


class PlanOutdated(PlanError):
    """The source or the destination changed since this plan was approved. Look at the new plan first."""

    def __init__(self, message: str | None = None, *, plan_hash: str = "") -> None:
        super().__init__(message)
        self.plan_hash = plan_hash


# --- the run -------------------------------------------------------------------------------------------


class RunStopped(KeytideError):
    """This run may write no more."""


class LeaseLost(RunStopped):
    """The lease of this run ended, so another worker may have taken the job over."""


class SyncChanged(RunStopped):
    """The sync was paused, changed or deleted while it ran."""

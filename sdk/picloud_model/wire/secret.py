"""Secrets: requests and answers about values that only the jobs that name them can read."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from picloud_model.wire.body import Answer, Request
from picloud_model.wire.slot import AttemptRef

MAX_SECRETS: Final = 100
"""Maximum number of secrets of an account."""
MAX_SECRET_BYTES: Final = 60_000
"""Maximum number of bytes of the names and values of one secret."""

SecretName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$(?!\n)", max_length=64)]


class SetSecretRequest(Request, frozen=True):
    """Store a secret under a name, in place of an earlier one: `POST /v1/secrets`.

    `values` are environment variables of the jobs that name the secret. With `as_file` each of
    these variables has the path of a file that holds the value.
    """

    name: SecretName
    values: dict[str, str]
    as_file: bool = False

    def __repr__(self) -> str:
        return f"SetSecretRequest(name={self.name!r})"


class SecretRequest(Request, frozen=True):
    """Remove a secret: `POST /v1/secrets/remove`."""

    name: SecretName


class SecretsRequest(Request, frozen=True):
    """List the secrets of the account, without their values: `POST /v1/secrets/list`."""


class ListedSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret as lists show it: the names of its variables, and when it was set last.

    One that is `minted` comes from a source of the server's operator, anew for each job.
    """

    name: str
    variables: list[str]
    as_file: bool
    set_at: float
    minted: bool = False


class SecretsListed(Answer, frozen=True):
    """Secrets, by name."""

    secrets: list[ListedSecret]


class JobSecretsRequest(Request, frozen=True):
    """Read the secrets of a job that the slot holds: `POST /v1/secrets/job`."""

    job: AttemptRef


class JobSecret(msgspec.Struct, frozen=True, array_like=True):
    """The values of a secret by variable; `as_file` as in `SetSecretRequest`."""

    values: dict[str, str]
    as_file: bool = False

    def __repr__(self) -> str:
        return f"JobSecret({', '.join(self.values)})"


class JobSecrets(Answer, frozen=True):
    """The secrets of a job, in the order in which its options name them."""

    secrets: list[JobSecret]

"""Secret sources: requests and answers about what mints secrets for single jobs."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from picloud_model.wire.body import Answer, Request
from picloud_model.wire.secret import SecretName

MAX_SOURCES: Final = 200
"""Maximum number of secret sources of a server."""

_Text = Annotated[str, Meta(max_length=500)]
PATH_PATTERN: Final = r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$(?!\n)"
_Path = Annotated[str, Meta(pattern=PATH_PATTERN, min_length=1, max_length=150)]
_Role = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$(?!\n)", max_length=64)]
_Accounts = Annotated[list[Annotated[str, Meta(max_length=31)]], Meta(max_length=1000)] | None


class PutSecretSourceRequest(Request, frozen=True):
    """Define a secret source, in place of an earlier one: `POST /v1/secret-sources`.

    For each job that names it, Vault makes credentials by the `role` under the `path`: it is
    written to with `parameters`, or read if there are none. `variables` are environment variables
    of the job, each with the field of Vault's answer that it holds; with `as_file` each has the
    path of a file that holds it. Jobs of `accounts` may name the source, or those of all accounts
    without it.
    """

    name: SecretName
    path: _Path
    role: _Role
    variables: Annotated[dict[_Text, _Text], Meta(max_length=50)]
    parameters: Annotated[dict[_Text, _Text], Meta(max_length=50)] = {}
    as_file: bool = False
    accounts: _Accounts = None


class SecretSourceRequest(Request, frozen=True):
    """Remove a secret source: `POST /v1/secret-sources/remove`."""

    name: SecretName


class SecretSourcesRequest(Request, frozen=True):
    """List all secret sources: `POST /v1/secret-sources/list`."""


class SecretSource(msgspec.Struct, frozen=True, kw_only=True):
    """A secret source, as it was defined last."""

    name: str
    path: str
    role: str
    variables: dict[str, str]
    parameters: dict[str, str]
    as_file: bool
    accounts: list[str] | None
    defined_at: float


class SecretSourcesListed(Answer, frozen=True):
    """Secret sources, by name."""

    sources: list[SecretSource]

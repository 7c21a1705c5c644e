"""Environments: requests and answers about what jobs find besides their own modules."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from picloud_model.wire.body import Answer, Request, Timeout

MAX_ENVIRONMENTS_OF_ACCOUNT: Final = 1000
"""Most environments of an account."""
MAX_VERSIONS: Final = 10
"""Number of versions of an environment that are kept, the current one included."""
MAX_RECIPE_BYTES: Final = 32 * 1024
"""Largest recipe, encoded: the record of an environment holds one for each version."""
OWN_BASES: Final = "base/"
"""The prefix of the names of bases."""

EnvironmentName = Annotated[
    str, Meta(pattern=r"^(?!auto$)[A-Za-z0-9][A-Za-z0-9_.-]{0,29}$(?!\n)", max_length=30)
]
EnvironmentPath = Annotated[
    str, Meta(pattern=r"^(/[A-Za-z0-9_-]{1,64}/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,29}$(?!\n)")
]
"""The name of an environment of the account, or `/owner/name` for a public one.

The owner `picloud` is the account of those who operate the server.
"""
EnvironmentDescription = Annotated[str, Meta(max_length=1000)]
Requirement = Annotated[str, Meta(min_length=1, max_length=500)]
ShellLine = Annotated[str, Meta(min_length=1, max_length=4000)]
EnvironmentStatus = Literal["new", "building", "failed", "ready"]

_LAYOUT: Final = "1"
"""Part of each digest; another number builds every environment again."""


class Recipe(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """What an environment is built from.

    `base` is the name of a base, by default the first one of the server. `pip` are requirements of
    Python packages, `apt` Debian packages. `files` are texts by their paths below the environment's
    directory, which is `sys.prefix` in a job. `commands` are lines for `/bin/sh`, which run in that
    directory once packages and files are there. `test` is a command that must succeed at the end.
    """

    base: Annotated[str, Meta(max_length=100)] = ""
    pip: Annotated[list[Requirement], Meta(max_length=1000)] = []
    apt: Annotated[list[Requirement], Meta(max_length=1000)] = []
    files: dict[str, str] = {}
    commands: Annotated[list[ShellLine], Meta(max_length=100)] = []
    test: Annotated[list[Annotated[str, Meta(max_length=4000)]], Meta(max_length=100)] = []

    def digest(self, python: str) -> str:
        """Return the digest of what this recipe builds for a Python minor version.

        Equal recipes have equal digests: neither the order of packages counts nor the name of the
        base, only its Python.

        >>> Recipe(pip=["b", "a"]).digest("3.11") == Recipe(pip=["a", "b"]).digest("3.11")
        True
        """
        content: tuple[object, ...] = (
            _LAYOUT,
            python,
            sorted(set(self.pip)),
            sorted(set(self.apt)),
            sorted(self.files.items()),
            self.test,
        )
        if self.commands:  # what was built from other recipes keeps its digest
            content = (*content, self.commands)
        return f"sha256:{sha256(msgspec.json.encode(content)).hexdigest()}"


class BuildEnvironmentRequest(Request, frozen=True):
    """Build an environment: `POST /v1/environments`.

    It is a new version if the environment exists. What was built before from an equal recipe is not
    built again. The reply comes at once; the log is followed with `POST /v1/environments/log`.
    """

    name: EnvironmentName
    recipe: Recipe
    desc: EnvironmentDescription | None = None


class EnvironmentRequest(Request, frozen=True):
    """Return what is known of an environment: `POST /v1/environments/get`."""

    name: EnvironmentPath


class ListEnvironmentsRequest(Request, frozen=True):
    """List the environments of the account, or all public ones: `POST /v1/environments/list`."""

    public: bool = False


class ListBasesRequest(Request, frozen=True):
    """List what environments can be built on: `POST /v1/environments/bases`."""


class EnvironmentLogRequest(Request, frozen=True):
    """Read the log of the latest build, from a byte on: `POST /v1/environments/log`.

    The reply waits up to `timeout_s` for more text, or for the end of the build.
    """

    name: EnvironmentName
    offset: Annotated[int, Meta(ge=0)] = 0
    timeout_s: Timeout = 0.0


class CloneEnvironmentRequest(Request, frozen=True):
    """Copy the current version of an environment: `POST /v1/environments/clone`."""

    parent: EnvironmentPath
    name: EnvironmentName
    desc: EnvironmentDescription | None = None


class EditEnvironmentRequest(Request, frozen=True):
    """Change the name or the description of an environment: `POST /v1/environments/edit`."""

    name: EnvironmentName
    new_name: EnvironmentName | None = None
    new_desc: EnvironmentDescription | None = None


class RollBackEnvironmentRequest(Request, frozen=True):
    """Make an earlier version the current one, as a new one: `POST /v1/environments/rollback`."""

    name: EnvironmentName
    number: Annotated[int, Meta(ge=1)]


class PublishEnvironmentRequest(Request, frozen=True):
    """Let other accounts use an environment, or only its owner: `POST /v1/environments/publish`."""

    name: EnvironmentName
    public: bool


class DeleteEnvironmentRequest(Request, frozen=True):
    """Delete an environment: `POST /v1/environments/delete`."""

    name: EnvironmentName


class StoredVersion(msgspec.Struct, frozen=True, array_like=True):
    """A version of an environment: `image` is the digest of what was built from its recipe.

    One that was `saved` from a setup machine has a recipe that lists the packages in it.
    """

    number: int
    image: str
    base: str
    python: str
    made_at: float
    recipe: Recipe
    saved: bool = False


class Environment(Answer, frozen=True):
    """An environment.

    `status` and `problem` tell of the latest build, "new" before the first; jobs run in the latest
    of `versions`. `path` is the name by which other accounts find it while it is public. `packages`
    are those of Python, and `apt` those of Debian that its base lacks. While it `has_setup`, a
    setup machine of it is open.
    """

    name: str
    path: str
    status: EnvironmentStatus
    problem: str = ""
    desc: str = ""
    public: bool = False
    created_at: float = 0.0
    modified_at: float = 0.0
    versions: list[StoredVersion] = []
    packages: list[str] = []
    apt: list[str] = []
    size: int = 0
    has_setup: bool = False


class EnvironmentsListed(Answer, frozen=True):
    """Environments, by name."""

    environments: list[Environment]


class EnvironmentBase(msgspec.Struct, frozen=True, kw_only=True):
    """What environments are built on: `python` is its minor version, such as "3.11"."""

    name: str
    python: str
    desc: str = ""


class BasesListed(Answer, frozen=True):
    """The bases of a server; the first one is the default."""

    bases: list[EnvironmentBase]


class EnvironmentLog(Answer, frozen=True):
    """A part of the log of a build; the next one begins at byte `offset`."""

    text: str
    offset: int
    status: EnvironmentStatus
    problem: str = ""

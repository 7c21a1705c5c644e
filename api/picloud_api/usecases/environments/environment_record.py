"""The records of environments, and how one is found by the name in a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from picloud_model.errors import EnvironmentNotFound, missing_name
from picloud_model.wire.environment import StoredVersion

from picloud_api.store import layout
from picloud_api.store.records import NamedRecord

if TYPE_CHECKING:
    from picloud_api.store.view import View

OPERATOR: Final = "picloud"
"""Stands for the account of those who operate the server in the path of an environment."""


class SetupRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A setup machine: its files are the image `image`, which was copied from `origin`.

    `base` and `python` are those of both.
    """

    image: str
    origin: str
    base: str
    python: str

    @property
    def images(self) -> tuple[str, str]:
        """Both, which are not removed while the machine is open."""
        return (self.image, self.origin)


class EnvironmentRecord(NamedRecord, frozen=True, kw_only=True):
    """An environment, under the key `environments/<account>/<name>`.

    `history` are its versions, the current one last. `pending` is what is being built, or what
    failed to; it becomes the current version as soon as its image is ready.
    `base` is what an environment begins with that was created without a recipe, and `setup` the
    machine in which it is changed.
    """

    prefix: ClassVar[str] = "environments/"

    desc: str
    created_at: float
    modified_at: float
    public: bool = False
    history: tuple[StoredVersion, ...] = ()
    pending: StoredVersion | None = None
    base: str = ""
    setup: SetupRecord | None = None

    @property
    def current(self) -> StoredVersion | None:
        """The version that jobs run in; None before the first build has ended."""
        return self.history[-1] if self.history else None

    @property
    def latest(self) -> StoredVersion | None:
        """The version whose build began last."""
        return self.pending or self.current

    @property
    def next_number(self) -> int:
        """The number of the next version."""
        return 1 + max([each.number for each in self.history], default=0)


def environment_key(account: str, name: str = "") -> str:
    """Return the key of an environment; without a name, the prefix of all of an account."""
    return f"{EnvironmentRecord.prefix}{account}/{name}"


def owner_and_name(account: str, path: str) -> tuple[str, str]:
    """Return whose environment a path names; `picloud` is who operates the server.

    >>> owner_and_name("a1", "numpy"), owner_and_name("a1", "/a2/numpy")
    (('a1', 'numpy'), ('a2', 'numpy'))
    >>> owner_and_name("a1", "/picloud/desktop")
    ('a0000001', 'desktop')
    """
    if not path.startswith("/"):
        return account, path
    owner, slash, name = path[1:].partition("/")
    if owner == OPERATOR:
        owner = layout.FIRST_ACCOUNT
    return (owner, name) if slash else (account, "")


async def find(view: View, account: str, path: str) -> EnvironmentRecord:
    """Return an environment of an account, or a public one of another account.

    Raises:
        EnvironmentNotFound: When there is none; the message names one with a similar name. It is
            the same for an environment of another account that is not public.
    """
    owner, name = owner_and_name(account, path)
    record: EnvironmentRecord | None = None
    if name and "/" not in name:
        record = await view.fresh(environment_key(owner, name))
    if record is None or (owner != account and not record.public):
        raise EnvironmentNotFound(await _unknown(view, account, path), field="name")
    return record


async def _unknown(view: View, account: str, path: str) -> str:
    if path.startswith("/"):
        return f"There is no public environment {path[:100]!r}."
    return missing_name("environment", path, await view.names(environment_key(account)))


def taken(name: str) -> str:
    """Return the message about a name that another environment of the account has."""
    return f"There is already an environment {name!r} in your account."


def no_machine(name: str) -> str:
    """Return the message about an environment without a setup machine."""
    return f"The environment {name!r} has no setup machine; picloud env modify {name} starts one."

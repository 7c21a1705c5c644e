"""Environments of an account."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from picloud_model.wire import Answer
from picloud_model.wire import environment as wire
from picloud_model.wire.limits import LONGEST_POLL_S

from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._http.transport import Transport


class EnvironmentClient:
    """Builds, lists, changes and deletes environments."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def build(self, name: str, recipe: wire.Recipe, desc: str | None) -> wire.Environment:
        """Begin to build an environment."""
        body = wire.BuildEnvironmentRequest(name=name, recipe=recipe, desc=desc)
        return self._transport.post("/v1/environments", body, wire.Environment)

    def follow(self, name: str, show: Callable[[str], object], *, wait: bool = True) -> None:
        """Pass the log of the latest build to a function, until the build has ended.

        Raises:
            CloudException: When the build has failed.
        """
        offset = 0
        while True:
            timeout_s = LONGEST_POLL_S if wait else 0.0
            body = wire.EnvironmentLogRequest(name=name, offset=offset, timeout_s=timeout_s)
            part = self._transport.poll(
                "/v1/environments/log", body, wire.EnvironmentLog, timeout_s
            )
            if part.text:
                show(part.text)
                offset = part.offset
            elif part.status == "failed":
                raise CloudException(f"The environment {name!r} was not built: {part.problem}")
            elif part.status == "ready" or not wait:
                return

    def get(self, name: str) -> wire.Environment:
        """Return what is known of an environment."""
        body = wire.EnvironmentRequest(name=name)
        return self._transport.post("/v1/environments/get", body, wire.Environment)

    def bases(self) -> list[wire.EnvironmentBase]:
        """Return what environments can be built on."""
        body = wire.ListBasesRequest()
        return self._transport.post("/v1/environments/bases", body, wire.BasesListed).bases

    def list(self, *, public: bool = False) -> list[wire.Environment]:
        """Return the environments of the account, or all public ones, by name."""
        body = wire.ListEnvironmentsRequest(public=public)
        found = self._transport.post("/v1/environments/list", body, wire.EnvironmentsListed)
        return found.environments

    def clone(self, parent: str, name: str, desc: str | None) -> wire.Environment:
        """Copy an environment."""
        body = wire.CloneEnvironmentRequest(parent=parent, name=name, desc=desc)
        return self._transport.post("/v1/environments/clone", body, wire.Environment)

    def edit(self, name: str, new_name: str | None, new_desc: str | None) -> wire.Environment:
        """Change the name or the description of an environment."""
        body = wire.EditEnvironmentRequest(name=name, new_name=new_name, new_desc=new_desc)
        return self._transport.post("/v1/environments/edit", body, wire.Environment)

    def roll_back(self, name: str, number: int) -> wire.Environment:
        """Make an earlier version the current one."""
        body = wire.RollBackEnvironmentRequest(name=name, number=number)
        return self._transport.post("/v1/environments/rollback", body, wire.Environment)

    def publish(self, name: str, *, public: bool) -> wire.Environment:
        """Let other accounts use an environment, or only its owner."""
        body = wire.PublishEnvironmentRequest(name=name, public=public)
        return self._transport.post("/v1/environments/publish", body, wire.Environment)

    def delete(self, name: str) -> None:
        """Delete an environment."""
        body = wire.DeleteEnvironmentRequest(name=name)
        self._transport.post("/v1/environments/delete", body, Answer)


def described(found: wire.Environment) -> dict[str, Any]:
    """Return what is known of an environment as users see it."""
    action = "edit" if found.has_setup else "idle"
    if found.status == "building":
        action = "save" if found.has_setup else "build"
    current = found.versions[-1] if found.versions else None
    return {
        "name": found.name,
        "path": found.path,
        "desc": found.desc,
        "status": found.status,
        "problem": found.problem,
        "action": action,
        "version": current.number if current else None,
        "base": current.base if current else None,
        "python": current.python if current else None,
        "packages": found.packages,
        "apt": found.apt,
        "size": found.size,
        "public": found.public,
        "created": time_of(found.created_at),
        "modified": time_of(found.modified_at),
    }


def time_of(at: float) -> datetime:
    """Return a time of the server's as users see it."""
    return datetime.fromtimestamp(at).astimezone()

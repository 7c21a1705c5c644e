"""Setup machines: requests and answers about the jobs in which environments are changed by hand."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from picloud_model.wire.body import Answer, Request
from picloud_model.wire.environment import EnvironmentDescription, EnvironmentName

SETUP: Final = "setup/"
"""The beginning of what the job of a setup machine names as its environment."""
SetupState = Literal["preparing", "failed", "ready"]


class OpenSetupRequest(Request, frozen=True):
    """Open the setup machine of an environment: `POST /v1/environments/setup`.

    With a `base` the environment is new, and without one it exists; its machine may be open.
    """

    name: EnvironmentName
    base: Annotated[str, Meta(max_length=100)] | None = None
    desc: EnvironmentDescription | None = None


class SetupRequest(Request, frozen=True):
    """Return what is known of a setup machine: `POST /v1/environments/setup/get`."""

    name: EnvironmentName


class SaveSetupRequest(Request, frozen=True):
    """Save what a setup machine has become: `POST /v1/environments/setup/save`.

    It is the next version of the environment once it is stored, and the machine goes on. The reply
    comes at once; `POST /v1/environments/log` tells how far it is.
    """

    name: EnvironmentName


class CloseSetupRequest(Request, frozen=True):
    """End a setup machine, with what was not saved: `POST /v1/environments/setup/close`."""

    name: EnvironmentName


class SetupMachine(Answer, frozen=True):
    """A setup machine.

    When it is "ready", a job that names `env` as its environment is the machine. `jid` is this job
    while it is not over; None before it is submitted. `problem` tells why a machine is "failed".
    """

    name: str
    env: str
    state: SetupState
    problem: str = ""
    jid: int | None = None

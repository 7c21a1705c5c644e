"""Setup machines: requests and answers about the jobs in which environments are changed by hand."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta

from picloud_model.wire.body import Answer, Request
from picloud_model.wire.environment import EnvironmentDescription, EnvironmentName
from picloud_model.wire.slot import TunnelOrder
from picloud_model.wire.tunnel import PublicKey

if TYPE_CHECKING:
    from collections.abc import MutableMapping

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


class SetupShellRequest(Request, frozen=True):
    """Open a shell in a setup machine: `POST /v1/environments/setup/ssh`.

    Machines that are jobs are reached as other jobs are.
    """

    name: EnvironmentName


class SetupCertificateRequest(Request, frozen=True):
    """Issue an SSH certificate for a machine: `POST /v1/environments/setup/certificate`."""

    name: EnvironmentName
    public_key: PublicKey


class SetupMachine(Answer, frozen=True):
    """A setup machine.

    When it is "ready" and `is_job`, a job that names `env` as its environment is the machine. `jid`
    is this job while it is not over; None before it is submitted. A machine that is a
    container runs when it is "ready". `problem` tells why a machine is "failed". The answer to a
    request that opens it tells whether it was `lost` with what was not saved, and begins again.
    """

    name: str
    env: str
    state: SetupState
    problem: str = ""
    jid: int | None = None
    is_job: bool = True
    lost: bool = False


class MachineShell(msgspec.Struct, frozen=True, array_like=True):
    """Asks a setup machine for a shell server, whose stream begins at the gateway of a host."""

    host: str
    order: TunnelOrder

    def variables(self) -> dict[str, str]:
        """Return the variables from which `taken_from` reads this."""
        return {_ORDER: b64encode(msgspec.msgpack.encode(self)).decode()}

    @classmethod
    def taken_from(cls, variables: MutableMapping[str, str]) -> MachineShell:
        """Return what is in variables, and remove it: commands of the shell do not need it.

        >>> found = MachineShell("10.0.0.1", TunnelOrder(22, 7000, "ticket")).variables()
        >>> MachineShell.taken_from(found).host, found
        ('10.0.0.1', {})
        """
        return msgspec.msgpack.decode(b64decode(variables.pop(_ORDER)), type=cls)


_ORDER: Final = "PICLOUD_SHELL_ORDER"

"""A secret store that mints, and a server over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from picloud_api.usecases.accounts.account import Holder
from picloud_driver.secret import MintedSecret, SecretRole
from picloud_driver.secret.file import FileSecrets
from picloud_model.errors import RequestRefused, Unavailable
from picloud_model.token import JobToken
from picloud_model.wire import AttemptRef
from picloud_model.wire.secret_source import PutSecretSourceRequest

from tests.unit.api.api_harness import ACCOUNT, ApiHarness

if TYPE_CHECKING:
    from pathlib import Path

    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.wiring import Ports
    from picloud_model.errors import PiCloudError
    from picloud_model.wire import Lease

OWNER = Holder(ACCOUNT, "0" * 12)
CANARY = "canary-9d1f"
VALID_S = 100.0


class MintingSecrets(FileSecrets):
    """Mints secrets with the fields `user` and `password`; records which leases are valid."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[SecretRole] = []
        self.leases: list[str] = []
        """Those that are valid."""
        self.renewed: list[str] = []
        self.failure: PiCloudError | None = None
        """What each request raises."""
        self.limit = 10
        """How many secrets are minted before the failure."""
        self.may_be_renewed = True
        self.is_away = False
        """Whether no value can be read."""

    async def get(self, name: str) -> bytes | None:
        if self.is_away:
            raise Unavailable("vault: sealed")
        return await super().get(name)

    async def mint(self, role: SecretRole) -> MintedSecret:
        if self.failure and len(self.asked) >= self.limit:
            raise self.failure
        self.asked.append(role)
        lease = f"{role.path}/{role.name}/{len(self.asked)}"
        self.leases.append(lease)
        fields = {"user": "me", "password": CANARY}
        return MintedSecret(fields, lease, VALID_S, renewable=True)

    async def renew(self, lease: str) -> float:
        if not self.may_be_renewed or lease not in self.leases:
            raise RequestRefused("a lease has ended")
        self.renewed.append(lease)
        return VALID_S

    async def revoke(self, lease: str) -> None:
        if self.failure:
            raise self.failure
        if lease in self.leases:
            self.leases.remove(lease)


class MintingApi(ApiHarness):
    """A server over such a store."""

    def ports(self) -> Ports:
        self.secrets = MintingSecrets(self.root / "secrets")
        return replace(super().ports(), secrets=self.secrets)

    async def define(self, name: str = "db", **fields: Any) -> None:
        """Define a source as the administrator."""
        request = PutSecretSourceRequest(
            name=name,
            path=fields.pop("path", "database/creds"),
            role=fields.pop("role", "reports"),
            variables=fields.pop("variables", {"DB_PASSWORD": "password"}),
            **fields,
        )
        await self.use_cases.accounts.secret_sources.put(OWNER, request)

    async def begin(self, *names: str) -> tuple[SlotSession, Lease, JobToken]:
        """Let a slot lease a job that names these secrets."""
        (jid,) = await self.submit(1, secrets=[*names])
        slot = await self.slot()
        (lease,) = (await self.work(slot)).leases
        return slot, lease, JobToken(ACCOUNT, slot.number, jid, lease.jobs[0].attempt)

    async def read(self, slot: SlotSession, lease: Lease) -> list[dict[str, str]]:
        """Return the values of the secrets of a job, as its slot asks for them."""
        job = AttemptRef(lease.batch, 0, lease.jobs[0].attempt)
        answer = await self.use_cases.accounts.secrets.of_job(slot, job)
        return [each.values for each in answer.secrets]

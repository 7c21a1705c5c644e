"""Members of accounts, as tests need them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire.role import Role

from tests.unit.api.key_owner import administrator_of

if TYPE_CHECKING:
    from picloud_api.usecases.accounts.account import Holder

    from tests.unit.api.api_harness import ApiHarness

PASSWORD: Final = "correct horse"


async def invited(api: ApiHarness, role: Role = Role.MEMBER, by: Holder | None = None) -> str:
    """Return the link of an invitation, as the address of its page has it."""
    by = by or (await administrator_of(api)).holder
    made = await api.use_cases.accounts.invites.create(by, role)
    return made.path.rpartition("/")[2]


async def join(
    api: ApiHarness, name: str, role: Role = Role.MEMBER, by: Holder | None = None
) -> tuple[Holder, str]:
    """Let a person accept an invitation; return whom the session acts for, and the session."""
    accounts = api.use_cases.accounts
    session = await accounts.invites.accept(await invited(api, role, by), name, PASSWORD)
    return await accounts.sessions.recognise(session), session

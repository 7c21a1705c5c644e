"""Making Consul ready for the platform, with a management token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_driver.consul.administrator import ConsulAdministrator
from picloud_driver.policies import policy

if TYPE_CHECKING:
    from picloud_driver.consul.gateway import ConsulAccess

POLICY: Final = "picloud-api"
"""The name of the policy, and of the role that has it."""
METHOD: Final = "picloud-nomad"
"""The auth method by which the API on Nomad gets a token."""


def bootstrap(administrator: ConsulAccess, token: str) -> None:
    """Make the policy `picloud-api` as its file says, and a token with it and no other.

    Each call sets the policy again; a token that exists stays as it is. It blocks.

    Args:
        administrator: Consul's address and a token that may do all this; it is not stored.
        token: The secret of the API's token, a UUID that the caller has stored.

    Raises:
        Unavailable: When Consul refuses the administrator's token, or does not answer.
    """
    with ConsulAdministrator(administrator) as consul:
        consul.set_policy(POLICY, policy("consul.hcl"))
        consul.create_token(token, POLICY)

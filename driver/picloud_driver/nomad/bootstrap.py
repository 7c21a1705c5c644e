"""Making Nomad ready for the platform, with a management token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_driver.nomad.administrator import NomadAdministrator
from picloud_driver.policies import policy

if TYPE_CHECKING:
    from picloud_driver.nomad.client import NomadAccess

POLICY: Final = "picloud-api"


def rules(namespace: str) -> str:
    """Return the rules of the policy for the namespace of bursts.

    >>> rules("jobs").splitlines()[1]
    'namespace "jobs" {'
    """
    return policy("nomad.hcl").replace('"default"', f'"{namespace}"')


def bootstrap(administrator: NomadAccess) -> str:
    """Make the policy `picloud-api` as its file says, and a token with it and no other.

    Each call sets the policy again; a token that exists is returned. It blocks.

    Args:
        administrator: Nomad's address, the namespace of bursts, and a management token, which is
            not stored.

    Returns:
        The secret of the API's token.

    Raises:
        Unavailable: When Nomad refuses the administrator's token, or does not answer.
    """
    with NomadAdministrator(administrator) as nomad:
        nomad.set_policy(POLICY, rules(administrator.namespace))
        found = nomad.tokens_of(POLICY) or [nomad.create_token(POLICY)]
        return found[0].secret_id

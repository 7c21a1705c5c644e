"""Making Nomad ready for the platform, with a management token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from nomad import api
from picloud_model.errors import NotAllowed, Unavailable

from picloud_driver.nomad.client import NomadClient
from picloud_driver.policies import policy

if TYPE_CHECKING:
    from picloud_driver.nomad.client import NomadAccess

_POLICY: Final = "picloud-api"


class _Token(msgspec.Struct, frozen=True, rename="pascal"):
    """An ACL token; lists have no secrets."""

    accessor_id: str = msgspec.field(name="AccessorID")
    name: str = ""
    type: str = ""
    policies: list[str] | None = None
    secret_id: str = msgspec.field(name="SecretID", default="")


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
    client = NomadClient(administrator, connections=1)
    try:
        acl = client.endpoint(api.Acl)
        rules = policy("nomad.hcl").replace('"default"', f'"{administrator.namespace}"')
        _put(client, acl, "policy", _POLICY, body={"Name": _POLICY, "Rules": rules})
        tokens = client.ask(acl, "tokens", answer=list[_Token])
        for token in filter(_is_ours, tokens):
            return client.ask(acl, "token", token.accessor_id, answer=_Token).secret_id
        body = {"Name": _POLICY, "Type": "client", "Policies": [_POLICY]}
        return client.ask(acl, "token", answer=_Token, method="post", json=body).secret_id
    except NotAllowed as error:
        raise Unavailable(
            f"Nomad at {administrator.address} refuses our token: it takes a management token to "
            "make the API's own."
        ) from error
    finally:
        client.close()


def _put(client: NomadClient, endpoint: api.Requester, *path: str, body: Any) -> None:
    """Send a body; the answer has none."""
    with client.explained():
        client.send(endpoint, *path, method="post", json=body)


def _is_ours(token: _Token) -> bool:
    return (token.name, token.type, token.policies) == (_POLICY, "client", [_POLICY])

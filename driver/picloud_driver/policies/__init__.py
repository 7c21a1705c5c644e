"""What the API may do on the servers of others: files in their own languages."""

from __future__ import annotations

from importlib import resources


def policy(name: str) -> str:
    """Return the text of a policy.

    Args:
        name: The file's name, such as "consul.hcl".

    >>> policy("consul.hcl").splitlines()[-1]
    'session_prefix "" { policy = "write" }'
    """
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")

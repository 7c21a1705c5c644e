"""The authority of a hashicorp stack from which tests mint secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from picloud_driver.stack.servers import vault

from tests.vault_pki import VaultPki, administrator_of

if TYPE_CHECKING:
    from tests.e2e.stack_hashicorp import HashiCorpStack


def stack_pki(stack: HashiCorpStack) -> VaultPki:
    """Return an authority in the Vault of a stack."""
    keys = json.loads((stack.data / "stack" / "vault.keys.json").read_text())
    access = vault.access(stack.addresses().vault)
    return VaultPki(administrator_of(access, keys["root_token"]))

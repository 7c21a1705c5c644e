"""Bootstrap's rules: which servers it may change."""

from __future__ import annotations

import pytest
from picloud_driver.stack.bootstrap.change import Found, require_own, require_version
from picloud_driver.stack.faults import StackFault
from picloud_driver.stack.servers.nomad import Nomad

MARK = "PiCloud, cluster 1"


@pytest.mark.parametrize("found", [Found(None), Found(MARK), Found(MARK, "keys")])
def test_an_empty_server_and_its_own_may_be_changed(found: Found) -> None:
    """Data of its own are no reason to refuse."""
    require_own("Consul", found, MARK, adopt=False)


@pytest.mark.parametrize("found", [Found(None, "keys"), Found("PiCloud, cluster 2"), Found("")])
def test_any_other_is_refused_unless_it_is_adopted(found: Found) -> None:
    """The message names the server, and the two ways on."""
    with pytest.raises(StackFault, match=r"^Consul belongs to .* with --keys, .* --adopt"):
        require_own("Consul", found, MARK, adopt=False)
    require_own("Consul", found, MARK, adopt=True)


def test_an_old_version_is_named_with_the_one_that_is_wanted() -> None:
    """Newer ones are accepted."""
    require_version("Nomad", Nomad.program, "1.10.5")
    require_version("Nomad", Nomad.program, "2.0.1+ent")
    with pytest.raises(StackFault, match=r"version 1\.7\.7, but nomad 1\.8\.0 or newer is wanted"):
        require_version("Nomad", Nomad.program, "1.7.7")
    with pytest.raises(StackFault, match="version unknown"):
        require_version("Nomad", Nomad.program, "")

"""What the doctor says of the servers of the HashiCorp stack, without any of them."""

from __future__ import annotations

from picloud_driver.stack.doctor.servers import images_finding


def test_several_machines_need_a_registry() -> None:
    """One machine has what it builds; for others the problem says which variable to set."""
    one, several = images_finding("", 1), images_finding("", 3)

    assert (one.check, one.ok) == ("images", True)
    assert not several.ok
    assert several.detail.startswith("3 machines run slots, but there is no registry: ")
    assert "PICLOUD_SLOT_REGISTRY" in several.detail
    assert images_finding("10.0.0.5:5000", 3).detail.endswith("from 10.0.0.5:5000")

"""The server and the key that the functions of `import cloud` use."""

from __future__ import annotations

import cloud
import pytest
from cloud import CloudException

from tests.current_client import current_client
from tests.unit.sdk.fake_server import ADDRESS, FakeServer, client_for


def test_connection_info_has_no_secret() -> None:
    """It says where jobs go, and which key is used without revealing it."""
    with current_client(client_for(FakeServer())):
        info = cloud.connection_info()

    assert info["server_url"] == ADDRESS.url

    assert info["api_key"] == "12ab"
    assert "secret" not in str(info)
    assert not cloud.is_simulated()


@pytest.mark.parametrize("names", ["numpy", 5, ["numpy", 5]])
def test_a_whitelist_is_a_list_of_names(names: object) -> None:
    """A single name is not taken for its letters."""
    with pytest.raises(CloudException, match="whitelist must be a list of module names"):
        cloud.set_dependency_whitelist(names)  # type: ignore[arg-type]

"""What contract tests of several files share."""

from tests.contract.state_adapters import (  # noqa: F401 - fixtures
    consul_server,
    consul_site,
    other,
    sqlite_site,
    state,
    state_site,
)

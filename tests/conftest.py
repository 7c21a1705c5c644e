"""What every test process needs."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

# The same examples in each run, however slow the machine is at the moment, as on CI systems that
# Hypothesis knows; `--hypothesis-profile default` searches for new ones.
settings.register_profile(
    "steady",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)

STACKS: Final = ("embedded", "hashicorp", "docker")
"""Names of the stacks that tests run over."""
OVER: Final = ("stack", "begin", "begin_each")
"""Fixtures that come once for each of these stacks; see `tests.e2e.conftest.over_stacks`."""
_MARKER: Final = (
    "containers(only=False): each run tries it over slots in containers, too, or nowhere else."
)


def pytest_configure(config: pytest.Config) -> None:
    """Take Ctrl-C and the end of a terminal, however this process was started.

    A shell starts background processes with SIGINT ignored, nohup with SIGHUP ignored, and every
    process that we start would inherit that: tests of these signals would then wait forever.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    config.addinivalue_line("markers", _MARKER)
    if not config.getoption("--hypothesis-profile", None):
        settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--stack`: only tests of these stacks run then, and all of them."""
    chosen = "Run the tests of this stack, all of them and no others; may be given again."
    parser.addoption("--stack", action="append", choices=STACKS, default=[], help=chosen)
    browser = "Run the tests in a browser, too; `make browser` installs what they need."
    parser.addoption("--browser", action="store_true", help=browser)
    infra = "Run the tests of infrastructure, too, which need Terraform: `make test-infra`."
    parser.addoption("--infra", action="store_true", help=infra)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the tests in a browser and of infrastructure unless their options are given."""
    if collection_path.name in ("browser", "infra"):
        return None if config.getoption(f"--{collection_path.name}") else True
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that `--stack` chose."""
    asked = config.getoption("--stack")
    if asked:
        config.hook.pytest_deselected(items=[item for item in items if not _over(item, asked)])
        items[:] = [item for item in items if _over(item, asked)]


def _over(item: pytest.Item, stacks: list[str]) -> bool:
    """Return whether a test runs over one of these stacks."""
    chosen = getattr(item, "callspec", None)
    return chosen is not None and any(chosen.params.get(name) in stacks for name in OVER)

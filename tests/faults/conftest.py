"""What the fault tests share: the stacks of the end-to-end tests."""

from tests.e2e.conftest import begin

__all__ = ["begin"]

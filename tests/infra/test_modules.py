"""Each module alone: its form, and its own tests with a provider that answers by itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.infra.terraform import EXAMPLES, MODULES, ROOT

if TYPE_CHECKING:
    from tests.infra.terraform import Terraform

FOLDERS = [*(f"modules/{name}" for name in MODULES), *(f"examples/{name}" for name in EXAMPLES)]
BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}$', re.MULTILINE | re.DOTALL)


def test_the_format_is_terraforms(terraform: Terraform) -> None:
    """`terraform fmt` would change nothing."""
    assert terraform.run(".", "fmt", "-check", "-recursive") == ""


@pytest.mark.parametrize("module", MODULES)
def test_a_modules_own_tests_pass(terraform: Terraform, module: str) -> None:
    """Each module has tests, which need no account."""
    terraform.init(f"modules/{module}")

    printed = terraform.run(f"modules/{module}", "test", "-no-color")

    assert re.search(r"^Success! [1-9]\d* passed, 0 failed\.$", printed, re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_valid(terraform: Terraform, example: str) -> None:
    """Examples pass to modules what these take."""
    terraform.init(f"examples/{example}")

    assert "The configuration is valid" in terraform.run(
        f"examples/{example}", "validate", "-no-color"
    )


@pytest.mark.parametrize("folder", FOLDERS)
def test_interfaces_are_small_and_described(folder: str) -> None:
    """A module has at most 20 variables; each is typed, and each has a sentence."""
    for file in ("variables", "outputs"):
        text = (ROOT / folder / f"{file}.tf").read_text(encoding="utf-8")
        blocks = BLOCK.findall(text)

        assert 0 < len(blocks) <= 20
        for kind, name, body in blocks:
            assert re.search(r'^  description = "[A-Z].*\."$', body, re.MULTILINE), name
            assert kind == "output" or "  type " in body, name


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_network_is_open_by_default(folder: str) -> None:
    """No variable has the whole Internet as its default."""
    text = (ROOT / folder / "variables.tf").read_text(encoding="utf-8")

    assert "0.0.0.0/0" not in text
    assert "::/0" not in text

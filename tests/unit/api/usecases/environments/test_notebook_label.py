"""Labels: valid in a host name, and the same notebook again."""

from __future__ import annotations

import re

import pytest
from picloud_api.usecases.environments.notebook_label import label_of, notebook_of

ACCOUNT = "a0000001"
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@pytest.mark.parametrize("name", ["a", "a-", "0", "xn--a", "a-nb", "x" * 40, "a0000002-a-nb"])
def test_each_name_has_a_label(name: str) -> None:
    """It is one of DNS, and not one that names a text of Unicode."""
    label = label_of(ACCOUNT, name)

    assert LABEL.fullmatch(label)
    assert label[2:4] != "--"
    assert notebook_of(label) == (ACCOUNT, name)


@pytest.mark.parametrize("label", ["", "www", "a-nb", "a0000001-nb", "a0000001--nb", "a0000001-a"])
def test_other_labels_name_none(label: str) -> None:
    """They are not an error either."""
    assert notebook_of(label) == ("", "")

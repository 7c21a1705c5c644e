"""The names of variables that secrets set."""

from __future__ import annotations

import pytest
from picloud_api.usecases.accounts.secrets.variable import check_variable
from picloud_model.errors import RequestRefused


@pytest.mark.parametrize("name", ["", "1A", "A=B", "A\n", "\u00e4", "A" * 129])
def test_what_cannot_name_a_variable_is_refused(name: str) -> None:
    """The error has the field of the request, and at most 40 characters of the name."""
    with pytest.raises(RequestRefused, match="cannot name a variable: use letters") as refused:
        check_variable(name, "values")

    assert refused.value.field == "values"
    assert len(refused.value.message) < 150

"""The error tree: codes and messages."""

from __future__ import annotations

import re

import pytest
from picloud_model import errors
from picloud_model.errors import BlobMissing, PiCloudError, RequestRefused, every_error


def test_each_error_has_a_code_of_its_own() -> None:
    """A code names one class: no class has the code of its parent."""
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    kinds = [kind for kind in classes if issubclass(kind, PiCloudError)]

    assert sorted(every_error()) == sorted(kind.code for kind in kinds)
    assert all(every_error()[kind.code] is kind for kind in kinds)


@pytest.mark.parametrize("code", every_error())
def test_a_docstring_is_the_default_message(code: str) -> None:
    """An error without a message of its own says the sentence of its class."""
    kind = every_error()[code]

    assert kind().message == str(kind()) == (kind.__doc__ or "").strip()
    assert kind("Another.", field="jids").message == "Another."


def test_the_docstring_of_the_module_draws_the_tree() -> None:
    """Every class is in the drawing."""
    drawn = set(re.findall(r"[── ]([A-Z]\w+)", errors.__doc__ or ""))

    assert {kind.__name__ for kind in every_error().values()} <= drawn


def test_errors_carry_what_clients_need() -> None:
    """The field that is wrong, and the blobs that are missing."""
    assert RequestRefused("No.", field="label").field == "label"
    assert BlobMissing(digests=("d",)).digests == ("d",)

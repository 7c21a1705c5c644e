"""The functions of `cloud.environment` for setup machines."""

from __future__ import annotations

import inspect

import pytest
from cloud import environment

ORIGINAL = {
    "list_envs": "name",
    "list_bases": "",
    "create": "name base desc",
    "edit_info": "name new_name new_desc",
    "modify": "name",
    "save": "name",
    "save_shutdown": "name",
    "shutdown": "name",
    "clone": "parent_name new_name new_desc",
    "delete": "name",
    "get_setup_hostname": "name",
    "get_key_path": "",
    "ssh": "name cmd",
    "rsync": "src_path dest_path delete pipe_output",
    "run_script": "name filename",
    "wait_for_idle": "name invalid_actions",
    "wait_for_edit": "name invalid_actions",
}


@pytest.mark.parametrize(("name", "parameters"), ORIGINAL.items())
def test_functions_take_what_those_of_the_original_client_took(name: str, parameters: str) -> None:
    """In the same order; what is new comes after it."""
    signature = inspect.signature(getattr(environment, name))
    wanted = parameters.split()

    assert [*signature.parameters][: len(wanted)] == wanted
    assert name in environment.__all__

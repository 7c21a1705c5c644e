"""`cloud.serialization.cloudpickle`: the functions of the cloudpickle package."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING

import cloudpickle
from cloud.serialization import cloudpickle as served

if TYPE_CHECKING:
    from pathlib import Path

IMPORTS = """
import cloud, cloud.cloud, cloud.cloudconfig, cloud.pool_interface, cloud.util
from cloud.serialization.cloudpickle import dumps, loads
from cloud.serialization import cloudpickle
import cloud.serialization.cloudpickle as cp
print(cp.dumps is dumps, cloudpickle is cp, cloud.pool_interface.__name__)
"""


def test_the_modules_of_the_original_can_be_imported(tmp_path: Path) -> None:
    """Each by the name and in the ways that old scripts import them."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("True True cloud.pool_interface\n", "")


def test_it_is_the_package() -> None:
    """Each name is that of the package."""
    assert all(getattr(served, name) is getattr(cloudpickle, name) for name in served.__all__)


def test_a_function_without_a_name_arrives() -> None:
    """As bytes and through a file."""
    file = io.BytesIO()
    served.dump(lambda x: x + 2, file)

    assert served.loads(served.dumps(lambda x: x + 1))(2) == 3
    assert served.loads(file.getvalue())(2) == 4

"""Modules and parameters that scripts for the original client use."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException
from cloud._client.current import CurrentClient
from cloud._packing.module_source import may_be_local

if TYPE_CHECKING:
    from pathlib import Path

IMPORTS = """
import cloud, cloud.cloud, cloud.cloudconfig, cloud.pool_interface, cloud.util
from cloud.serialization.cloudpickle import dumps, loads
from cloud.serialization import cloudpickle
from cloud.cloud import CloudException, CloudTimeoutError
import cloud.serialization.cloudpickle as cp
assert CloudException is cloud.CloudException and CloudTimeoutError is cloud.CloudTimeoutError
assert loads(dumps(lambda x: x + 1))(2) == 3
cloud.cloudconfig.flush_config()
print(cp.dumps is dumps, cloudpickle is cp, cloud.pool_interface.__name__)
"""


def test_the_modules_of_the_original_can_be_imported(tmp_path: Path) -> None:
    """Each by the name and in the ways that old scripts import them."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("True True cloud.pool_interface\n", "")


def test_nothing_of_it_is_loaded_by_import_cloud() -> None:
    """Whoever writes a new script pays nothing."""
    code = (
        "import sys, cloud; compat = {'cloud.util', 'cloud.cloud', 'cloud.cloudconfig'};"
        "print([name for name in sys.modules if name in compat or 'cloud._compat' in name])"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_what_cloud_util_held_is_named() -> None:
    """The error for a script that uses one of those helpers names it."""
    from cloud import util

    with pytest.raises(AttributeError, match="no 'OrderedDict'"):
        _ = util.OrderedDict


def test_an_exception_of_the_old_name_pickles_as_the_new_one() -> None:
    """`cloud.cloud.CloudException` is the same class."""
    from cloud.cloud import CloudException as Old

    assert pickle.loads(pickle.dumps(Old("broke", 3))).jid == 3


@pytest.mark.parametrize("wrong", ["module", 7, [1], [None], object()])
def test_a_whitelist_is_a_list_of_names(wrong: Any) -> None:
    """Anything else is refused, and the restriction in force stays."""
    with pytest.raises(CloudException, match="list of module names"):
        cloud.set_dependency_whitelist(wrong)


def test_only_modules_of_the_whitelist_travel() -> None:
    """A name stands for what is inside it, too, and not for names that begin alike."""
    cloud.set_dependency_whitelist(["mine", "lib.part"])
    try:
        found = [may_be_local(name) for name in ("mine", "mine.a", "mines", "lib", "lib.part.b")]
    finally:
        cloud.set_dependency_whitelist(None)

    assert found == [True, True, False, False, True]
    assert may_be_local("mines")


def test_an_immutable_key_stays() -> None:
    """`setkey(immutable=True)`: later keys are ignored, with a warning in the log."""
    current = CurrentClient()

    current.choose("http://one", "pk_1_a", immutable=True)
    current.choose("http://two", "pk_2_b")

    assert (current.url, current.key) == ("http://one", "pk_1_a")

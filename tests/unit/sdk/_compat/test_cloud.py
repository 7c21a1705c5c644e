"""`cloud.cloud`: the exceptions, where old scripts import them from."""

from __future__ import annotations

import pickle
import subprocess
import sys

import cloud


def test_the_exceptions_are_those_of_cloud() -> None:
    """A handler of the old name catches what is raised today."""
    from cloud.cloud import CloudException, CloudTimeoutError

    assert CloudException is cloud.CloudException
    assert CloudTimeoutError is cloud.CloudTimeoutError


def test_an_exception_of_the_old_name_pickles_as_the_new_one() -> None:
    """`cloud.cloud.CloudException` is the same class."""
    from cloud.cloud import CloudException as Old

    assert pickle.loads(pickle.dumps(Old("broke", 3))).jid == 3


def test_nothing_of_it_is_loaded_by_import_cloud() -> None:
    """New scripts do not pay for the modules of old ones."""
    code = (
        "import sys, cloud; compat = {'cloud.util', 'cloud.cloud', 'cloud.cloudconfig'};"
        "print([name for name in sys.modules if name in compat or 'cloud._compat' in name])"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"

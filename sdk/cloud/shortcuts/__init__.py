"""`cloud.shortcuts`: frequently used functions, by the names that old scripts use.

`get_connection_info` is `cloud.wait_for.port`; `cloud.shortcuts.ssh` is about SSH to jobs.
"""

from cloud.shortcuts import ssh
from cloud.wait_for import port as get_connection_info

__all__ = ["get_connection_info", "ssh"]


def __dir__() -> list[str]:
    return sorted(__all__)

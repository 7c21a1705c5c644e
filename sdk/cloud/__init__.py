"""PiCloud: run functions on the cloud.

    import cloud

    jid = cloud.call(pow, 2, 10)
    cloud.result(jid)  # 1024
    jids = cloud.map(abs, [-1, 2, -3])
    cloud.result(jids)  # [1, 2, 3]

`picloud up` starts a server on this machine; `cloud.start_simulator()` one for this script alone.
"""

from cloud import account, mp, shell, shortcuts, wait_for
from cloud._client.functions import (
    call,
    close,
    config,
    connection_info,
    delete,
    info,
    iresult,
    iresult_unordered,
    is_simulated,
    join,
    kill,
    map,  # noqa: A004 - it is the cloud's map
    result,
    running_on_cloud,
    setkey,
    start_simulator,
    status,
)
from cloud.errors import CloudConnectionError, CloudException, CloudTimeoutError

__all__ = [
    "CloudConnectionError",
    "CloudException",
    "CloudTimeoutError",
    "account",
    "call",
    "close",
    "config",
    "connection_info",
    "delete",
    "info",
    "iresult",
    "iresult_unordered",
    "is_simulated",
    "join",
    "kill",
    "map",
    "mp",
    "result",
    "running_on_cloud",
    "setkey",
    "shell",
    "shortcuts",
    "start_simulator",
    "status",
    "wait_for",
]

for _name in ("CloudConnectionError", "CloudException", "CloudTimeoutError"):
    globals()[_name].__module__ = __name__  # users see cloud.CloudException
del _name

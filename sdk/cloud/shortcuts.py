"""`cloud.shortcuts`: what is asked for often, under the names of old scripts.

`get_connection_info` is `cloud.wait_for.port`.
"""

from cloud.wait_for import port as get_connection_info

__all__ = ["get_connection_info"]

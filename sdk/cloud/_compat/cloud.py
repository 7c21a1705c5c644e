"""`cloud.cloud`: the exceptions, where the original client defined them."""

from cloud.errors import CloudException, CloudTimeoutError

__all__ = ["CloudException", "CloudTimeoutError"]

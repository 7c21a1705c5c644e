"""Packing: functions, arguments and the user's own modules, made ready to travel."""

from cloud.packing.errors import PackingError
from cloud.packing.functions import PackedFunction, Packer
from cloud.packing.modules import Bundle

__all__ = ["Bundle", "PackedFunction", "Packer", "PackingError"]

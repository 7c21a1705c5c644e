"""Packing: functions, arguments and the user's own modules, made ready to travel."""

from cloud._packing.bundler import Bundle
from cloud._packing.errors import PackingError
from cloud._packing.packer import PackedFunction, Packer

__all__ = ["Bundle", "PackedFunction", "Packer", "PackingError"]

"""Formats and decoders of the standard library: their part in C is made anew."""

from __future__ import annotations

import copyreg
import struct
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picloud_pickle.reference import PicklingContext


def reduced(context: PicklingContext, value: Any) -> Any:
    """Return the reduction of a `struct.Struct` or a `json.JSONDecoder`."""
    kind = type(value)
    context.modules.add(kind.__module__)
    if isinstance(value, struct.Struct):
        return kind, (value.format,), getattr(value, "__dict__", None) or None
    state = {name: each for name, each in vars(value).items() if name != "scan_once"}
    make: Any = copyreg.__newobj__  # type: ignore[attr-defined]
    return make, (kind,), state, None, None, fill_decoder


def fill_decoder(decoder: Any, state: dict[str, Any]) -> None:
    """Give a decoder its attributes, and the scanner that is made of them."""
    vars(decoder).update(state)
    scanner: Any = sys.modules["json.scanner"]
    decoder.scan_once = scanner.make_scanner(decoder)

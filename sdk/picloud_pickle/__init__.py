"""Pickling on both sides: what the SDK sends and what a job returns."""

from picloud_pickle.pickler import PROTOCOL, Pickler, dumps, pickled, pickled_pieces
from picloud_pickle.reference import MAIN, Unsendable

__all__ = ["MAIN", "PROTOCOL", "Pickler", "Unsendable", "dumps", "pickled", "pickled_pieces"]

"""Pickling on both sides: what the SDK sends and what a job returns."""

from picloud_pickle.pickler import PROTOCOL, Pickler, dumps, pickled
from picloud_pickle.reference import Unsendable

__all__ = ["PROTOCOL", "Pickler", "Unsendable", "dumps", "pickled"]

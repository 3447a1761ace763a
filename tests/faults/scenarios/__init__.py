"""The scenarios; importing this registers them all, in the order of the table."""

from tests.faults.scenarios import clocks, kills, senders, spacebring, stops, store

__all__ = ["clocks", "kills", "senders", "spacebring", "stops", "store"]

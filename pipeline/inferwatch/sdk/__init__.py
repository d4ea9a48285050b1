"""What a model server embeds: `Monitor`, and everything between its `log()` and Kafka.

A row goes from the caller's thread into a bounded buffer (`buffer`), is turned into columns
(`table`), stripped of what must not leave (`privacy`), written as a batch (`pack`) and sent by one
background thread of the process (`transport`). `emitter` ties these together for one model.
Nothing here raises into the caller, waits for the network in the caller, or imports numpy.
"""

from inferwatch.sdk.buffer import Counters, Drop
from inferwatch.sdk.monitor import Monitor

__all__ = ["Counters", "Drop", "Monitor"]

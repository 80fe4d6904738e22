"""Memories of the network, one module each."""

from pfc_metarl.memory import gru, lstm, none, rnn, slots  # noqa: F401  (register)
from pfc_metarl.memory.base import MEMORIES, Activity, Memory, memory_class, register

__all__ = ["MEMORIES", "Activity", "Memory", "memory_class", "register"]

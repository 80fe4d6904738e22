"""Memories of the network, one module each."""

from pfc_metarl.memory import lstm, none  # noqa: F401  (they enter the registry)
from pfc_metarl.memory.base import MEMORIES, Activity, Memory, memory_class, register

__all__ = ["MEMORIES", "Activity", "Memory", "memory_class", "register"]

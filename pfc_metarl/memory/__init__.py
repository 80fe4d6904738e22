"""Memories of the network, one module each."""

from pfc_metarl.memory import (  # noqa: F401  (each registers itself)
    attention,
    ctrnn,
    episodic_lstm,
    gru,
    lstm,
    none,
    rnn,
    slots,
)
from pfc_metarl.memory.base import MEMORIES, Activity, Memory, memory_class, register

__all__ = ["MEMORIES", "Activity", "Memory", "memory_class", "register"]

"""Memories of the network, one module each."""

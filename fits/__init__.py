"""Behavioural models, fitted to agents and animals by the same code."""

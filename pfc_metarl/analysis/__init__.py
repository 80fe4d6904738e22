"""Statistics of trial tables and recordings, one module per question."""

"""The tasks: each a distribution of related problems, simulated in batches."""

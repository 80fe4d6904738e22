"""Animal data sets: where they are, how they are read. No data files."""

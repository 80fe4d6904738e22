"""The emergence card: its figures, report and page."""

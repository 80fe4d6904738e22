"""Errors that a person can mend: shown as one line, exit code 2."""


class InputError(ValueError):
    """Something that was given cannot be used.

    The message is one line: what was wrong, what was expected, what to do.
    """


class DataError(InputError):
    """A data file or trial table is damaged, foreign or out of range."""

"""Where each number of a simulation comes from: a source beside every setting."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

GUESS = "guess"
"""How a source begins when the literature does not give the number."""


@dataclass(frozen=True)
class Provenance:
    """One setting of a simulation and its source."""

    name: str
    value: Any
    unit: str
    source: str

    @property
    def is_guess(self) -> bool:
        """Whether the literature does not give this number."""
        return self.source.startswith(GUESS)


def parameter(default: Any, source: str, *, unit: str = "1") -> Any:
    """Declare a dataclass field whose source travels with it.

    Parameters
    ----------
    default
        Its value unless the user says otherwise.
    source
        Paper and place, or ``"guess: reason"``. It speaks of the default only.
    unit
        Unit of the value; "1" for pure numbers.
    """
    return field(default=default, metadata={"source": source, "unit": unit})


def provenance(settings: Any, changed: str) -> Iterator[Provenance]:
    """List the settings of a dataclass made with :func:`parameter`.

    Parameters
    ----------
    settings
        An instance; fields without a source are left out.
    changed
        The source of every value that differs from its default.
    """
    for entry in fields(settings):
        if "source" in entry.metadata:
            value = getattr(settings, entry.name)
            source = entry.metadata["source"] if value == entry.default else changed
            yield Provenance(entry.name, value, entry.metadata["unit"], source)

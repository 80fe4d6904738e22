from dataclasses import dataclass, replace

import pytest

from pfc_metarl.provenance import Provenance, parameter, provenance


@dataclass(frozen=True)
class Maze:
    length: float = parameter(1.5, "Tolman 1948, Fig. 1", unit="m")
    arms: int = parameter(3, "guess: the figure shows no end")
    walls: tuple[int, ...] = parameter((1, 2), "Tolman 1948")
    name: str = "T"


def test_a_parameter_has_its_default_and_can_be_changed() -> None:
    assert Maze() == Maze(1.5, 3, (1, 2), "T")
    assert Maze(length=2.0).length == 2.0


def test_every_parameter_is_listed_in_order_with_unit_and_source() -> None:
    assert list(provenance(Maze(), changed="the user")) == [
        Provenance("length", 1.5, "m", "Tolman 1948, Fig. 1"),
        Provenance("arms", 3, "1", "guess: the figure shows no end"),
        Provenance("walls", (1, 2), "1", "Tolman 1948"),
    ]


def test_a_changed_value_has_the_source_of_the_change() -> None:
    changed = replace(Maze(), arms=4, walls=())
    sources = {entry.name: entry.source for entry in provenance(changed, "the user")}
    assert sources == {
        "length": "Tolman 1948, Fig. 1",
        "arms": "the user",
        "walls": "the user",
    }


def test_a_value_set_to_its_default_keeps_its_source() -> None:
    length = next(provenance(Maze(length=float("1.5")), "the user"))
    assert length.source == "Tolman 1948, Fig. 1"


@pytest.mark.parametrize(
    ("source", "is_guess"),
    [("guess: no number given", True), ("Guessous 1999", False), ("a guess", False)],
)
def test_a_guess_is_known_by_how_its_source_begins(source: str, is_guess: bool) -> None:
    assert Provenance("x", 1, "1", source).is_guess == is_guess

from dataclasses import replace

import pytest

from pfc_metarl.configuration import FAST, Configuration
from pfc_metarl.tasks.two_step import TwoStep


@pytest.fixture(scope="session")
def small() -> Configuration:
    """A run of seconds: it goes through every stage and learns nothing."""
    return Configuration(
        "two-step",
        TwoStep(trials=20),
        "fast",
        seeds=2,
        learning=replace(FAST, updates=3, batch=4),
        test_episodes=20,
        recorded_episodes=6,
    )

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from pfc_metarl.trials import trial_table

P_COMMON, P_REWARD, P_REVERSAL = 0.8, 0.8, 0.02


@pytest.fixture
def four_trials() -> xr.Dataset:
    """Choice 1 commonly leads to state 1; the third trial is rare."""
    return table_of([1, 1, 0, 1], [1, 1, 1, 1], [1, 0, 1, 0])


def table_of(
    choice: list[int],
    state2: list[int],
    reward: list[float],
    session: list[int] | None = None,
    congruent: bool = True,
    **columns: list[int],
) -> xr.Dataset:
    session = session or [0] * len(choice)
    common = [int((c == s) == congruent) for c, s in zip(choice, state2, strict=True)]
    return trial_table(
        {
            "choice": choice,
            "state2": state2,
            "reward": reward,
            "transition_common": common,
            **columns,
        },
        subject=[0] * len(choice),
        session=session,
        trial_in_session=list(range(len(choice))),
        subject_id=["a"],
    )


@pytest.fixture
def make_table() -> Callable[..., xr.Dataset]:
    return table_of


@pytest.fixture
def simulated() -> Callable[..., xr.Dataset]:
    """Simulate agents written as plain loops, apart from the package's models."""
    return simulate


def simulate(
    system: str,
    alpha: float,
    beta: float,
    perseveration: float = 0.5,
    bias: float = -0.2,
    n_sessions: int = 10,
    n_trials: int = 300,
    seed: int = 3,
) -> xr.Dataset:
    generator = np.random.default_rng(seed)
    rows: list[tuple[int, int, int, int]] = []
    for session in range(n_sessions):
        value, before, good = 0.0, 0, int(generator.integers(2))
        for _ in range(n_trials):
            good = good ^ int(generator.random() < P_REVERSAL)
            logit = beta * value + perseveration * before + bias
            choice = int(generator.random() < 1 / (1 + np.exp(-logit)))
            state2 = choice ^ int(generator.random() > P_COMMON)
            reward = int(generator.random() < (P_REWARD if state2 == good else 0.2))
            credited = state2 if system == "model-based" else choice
            value += alpha * ((2 * credited - 1) * (2 * reward - 1) - value)
            before = 2 * choice - 1
            rows.append((choice, state2, reward, session))
    choices, states, rewards, sessions = map(list, zip(*rows, strict=True))
    return table_of(choices, states, rewards, sessions)

"""What differs in gymnasium 1: ``make test-gymnasium1``.

That target also runs test_environments.py, which holds on gymnasium 0.29 and 1 alike:
ids, seeds, gymnasium's checker, neurogym's wrappers, batches.
"""

import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from pfc_metarl.tasks import TASKS, TwoStep
from pfc_metarl.tasks.vector_environment import FINAL, TaskVectorEnv

pytestmark = pytest.mark.gymnasium1


def test_this_is_gymnasium_1() -> None:
    assert int(gymnasium.__version__.split(".")[0]) == 1


def test_the_ids_are_there_after_an_import_of_ours(tmp_path: Path) -> None:
    code = (
        "import gymnasium\n"
        "print(sum('pfc_metarl' in name for name in gymnasium.registry))\n"
        "import pfc_metarl\n"
        "gymnasium.register_envs(pfc_metarl)\n"
        "print(sum('pfc_metarl' in name for name in gymnasium.registry))\n"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.split() == [b"0", str(len(TASKS)).encode()]


def test_make_vec_makes_a_batch() -> None:
    envs = gymnasium.make_vec("pfc_metarl/TwoStep-v0", num_envs=3, trials=7)
    assert isinstance(envs, TaskVectorEnv)
    assert (envs.num_envs, envs.task) == (3, TwoStep(trials=7))


def test_a_batch_says_how_it_resets() -> None:
    envs = TaskVectorEnv(TwoStep(), 2)
    mode = gymnasium.vector.AutoresetMode.SAME_STEP
    assert envs.metadata["autoreset_mode"] is mode
    assert FINAL == "final_obs"


def test_gymnasiums_own_vectors_play_what_the_batch_plays() -> None:
    task = {"id": "pfc_metarl/TwoStep-v0", "num_envs": 3, "trials": 4}
    mode = gymnasium.vector.AutoresetMode.SAME_STEP
    theirs = gymnasium.make_vec(
        **task, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}
    )
    ours = gymnasium.make_vec(**task)
    seen, _ = theirs.reset(seed=[1, 2, 3])
    assert np.array_equal(ours.reset(seed=[1, 2, 3])[0], seen)
    rng = np.random.default_rng(0)
    for action in rng.integers(2, size=(20, 3)):
        expected, found = theirs.step(action), ours.step(action)
        for one, other in zip(expected[:4], found[:4], strict=True):
            assert np.array_equal(one, other)
        assert (FINAL in expected[4]) == (FINAL in found[4])
        if FINAL in found[4]:
            assert np.array_equal(
                np.stack(expected[4][FINAL]), np.stack(found[4][FINAL])
            )

"""What in the experiments is a guess: numbers and procedures that no paper gives."""

from pfc_metarl.emergence.criterion import LATE_SHARE, Criterion
from pfc_metarl.emergence.experiments import (
    every_memory,
    inner_rate,
    inputs_needed,
    memory_needed,
    related_tasks_needed,
    shaping_needed,
)


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


_CRITERION = Criterion()

CRITERION = (
    f"The criterion and its numbers: {_CRITERION.adapted:g} and {_CRITERION.late:g} of "
    f"the way from chance to the ideal observer, the last {LATE_SHARE:.0%} of the "
    f"trials, {_CRITERION.near_chance:g} around chance. No paper has a criterion of "
    "emergence."
)

GUESSES: dict[str, tuple[str, ...]] = {
    "E1": (
        "Half way through the episode is where the activity is taken away; the inputs "
        "from the trial before are blanked with it, for they are a memory, too.",
    ),
    "E2": (
        f"How the reach is cut: every {_listed(memory_needed.HORIZONS)} trials, in "
        "training and in test, so that on average the memory reaches half as far.",
        f"The tolerance of {memory_needed.TOLERANCE:g} around the index of one trial's "
        "memory.",
    ),
    "E3": (
        f"The mark: an adaptation index below {shaping_needed.MARK:g}.",
        "The scale of the random memory: as the network is drawn before training.",
    ),
    "E4": (
        f"The numbers of problems, {_listed(related_tasks_needed.PROBLEMS)}, and that "
        "every seed draws its own.",
        "How relatedness is taken away: in every trial the hidden state is that of "
        "another episode.",
        f"The mark: an adaptation index below {related_tasks_needed.MARK:g}.",
    ),
    "E5": (
        f"The delays, {_listed(inputs_needed.DELAYS)} trials.",
        f"The mark: an adaptation index within {inputs_needed.MARK:g} of 0.",
    ),
    "E6": (
        "Sizes are matched by the number of parameters, heads included, not by units "
        "or by computing time.",
        *(
            f"On {task} the {memory} learns with "
            + ", ".join(f"{name} {value}" for name, value in changed.items())
            + ": chosen by measurement on training seeds from 100 on and validation "
            "episodes."
            for (task, memory), changed in every_memory.LEARNING.items()
        ),
    ),
    "2x2x2": (
        "How each condition is removed: the feed-forward network for memory, a memory "
        "that stays as it was drawn for shaping, one problem for related tasks.",
    ),
    "E7": (
        "The task's volatilities and payoffs, in training and in test, and the "
        "settings of the slow learning: chosen by measurement on training seeds from "
        "100 on and validation episodes.",
        f"The mark, {inner_rate.MARK:g}; {inner_rate.N_EPISODES} test episodes. How "
        "the rates of the paper's figure were fitted is not known to us.",
    ),
    "E8": (
        "The settings by which the informative bandit is learned, and the number of "
        "updates on independent arms, the same as on correlated ones.",
        "The pasts that both kinds of network are told alike, and all marks but "
        "P(informative arm first) > 0.9.",
    ),
    "E9": (
        "When sides exchange their value, and the settings of the slow learning on "
        "that task.",
        "The index of inference is that of the value; 0.8 is its mark.",
    ),
    "E10": (
        "The levels of every factor that the literature does not name, and that a "
        "spread is made by 64 listed problems.",
        "Competence in short lifetimes: half way from the player that remembers one "
        "trial to the ideal observer.",
    ),
    "E11": (
        "All marks, how often the light agrees with the reward, the unfamiliar "
        "problems, when arms swap or beliefs are exchanged, and the maps' settings.",
    ),
}
"""By experiment."""

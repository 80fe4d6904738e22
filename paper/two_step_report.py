"""The report beside the two-step figure: numbers, provenance, guesses marked."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from pfc_metarl.configuration import Configuration
from pfc_metarl.paper.two_step_statistics import RIDGE
from pfc_metarl.provenance import provenance
from pfc_metarl.simulation import BEHAVIOUR
from pfc_metarl.trial_files import load

CELLS = [
    ("rewarded", "common"),
    ("rewarded", "rare"),
    ("unrewarded", "common"),
    ("unrewarded", "rare"),
]


def report(
    configuration: Configuration, statistics: xr.DataTree, folder: Path, rats_note: str
) -> str:
    """Write the report of a two-step run, in Markdown.

    Parameters
    ----------
    configuration
        Of the run.
    statistics
        From :func:`pfc_metarl.paper.two_step_statistics.statistics`.
    folder
        The run's folder, for the behaviour.
    rats_note
        Which rats there are, or why there are none.
    """
    agents = load(folder / BEHAVIOUR)
    parts = [
        f"# Two-step task, preset {configuration.preset}",
        "![the figure](figure.png)",
        _caption(configuration, rats_note),
        *_learning(configuration, statistics, agents),
        *_stay(statistics),
        *_models(statistics),
        *_rpe(statistics),
        *_settings(configuration),
        *_made_with(configuration, statistics, agents),
    ]
    return "\n\n".join(parts) + "\n"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _caption(configuration: Configuration, rats_note: str) -> str:
    return (
        "**Figure.** (a) The task. (b) Reward per trial in training, every seed (thin) "
        "and their mean. (c) Probability of repeating a choice after a common or rare "
        "transition and a rewarded or unrewarded outcome; dots are seeds or rats. "
        "(d) Logistic regression of choice on the last five trials (Miller, Botvinick "
        "& Brody 2017; positive: repeat), with the same ridge penalty of "
        f"{RIDGE:g} for all. (e) The networks' reward prediction error against a "
        "model-based and a model-free learner's (dots: seed 0), and the variance that "
        "only one of them explains. The learners' equations are this package's: a "
        "**guess**, as the paper's are not known to us. (f) Choice around reversals. "
        f"In (c)-(f) the weights are frozen; {configuration.test_episodes} test "
        f"episodes a seed, {configuration.recorded_episodes} of them in (e).\n\n"
        f"Animals: {rats_note}"
    )


def _learning(
    configuration: Configuration, statistics: xr.DataTree, agents: xr.Dataset
) -> Iterator[str]:
    before = json.loads(agents.attrs["weights_sha256_before"])
    after = json.loads(agents.attrs["weights_sha256_after"])
    reward = agents.reward.groupby(agents.subject).mean().values
    curve = statistics["/agents/within_episode"].mean_reward.mean("subject").values
    yield "## A second learner\n\nReward per trial with frozen weights:"
    rows = [
        (seed, f"{reward[seed]:.4f}", old[:16], new[:16], _yes(old == new))
        for seed, (old, new) in enumerate(zip(before, after, strict=True))
    ]
    head = ("seed", "reward", "weights before", "weights after", "frozen")
    yield markdown_table(head, rows)
    levels = {
        "random": statistics.attrs["random"],
        "observer that remembers one trial": statistics.attrs["last_trial_observer"],
        "ideal observer": statistics.attrs["ideal_observer"],
    }
    yield markdown_table(
        ("to compare with", "reward"), [(k, f"{v:.4f}") for k, v in levels.items()]
    )
    yield (
        f"{np.sum(reward >= 0.69)} of {configuration.seeds} seeds earn 0.690 or more. "
        f"Within an episode the networks earn {curve[0]:.3f} on the first trial, "
        f"{curve[1:10].mean():.3f} on trials 2-10 and "
        f"{curve[len(curve) // 2 :].mean():.3f} in the second half."
    )


def _yes(fact: bool) -> str:
    return "yes" if fact else "NO"


def _stay(statistics: xr.DataTree) -> Iterator[str]:
    yield "## Stay probability\n\nMean over seeds or rats (lowest to highest):"
    rows = []
    for who in statistics.children:
        if who == "training":
            continue
        stay = statistics[f"/{who}/stay"].stay
        cells = [stay.sel(outcome=o, transition=t) for o, t in CELLS]
        spread = [f"{c.mean():.3f} ({c.min():.3f}-{c.max():.3f})" for c in cells]
        rows.append((who, stay.sizes["subject"], *spread))
    yield markdown_table(("who", "n", *(f"{o}, {t}" for o, t in CELLS)), rows)


def _models(statistics: xr.DataTree) -> Iterator[str]:
    yield (
        "## Behavioural models\n\nMaximum likelihood per subject, the same code for "
        "networks (recorded episodes) and rats; log-likelihood and BIC are summed over "
        "subjects, smaller BIC is better:"
    )
    rows = []
    for who in ("agents", "rats"):
        if who not in statistics.children:
            continue
        table = statistics[f"/{who}/comparison"].to_dataset()
        for model in table.model.values:
            one = table.sel(model=model)
            fit = statistics[f"/{who}/fit_{model}"].to_dataset()
            mean = ", ".join(
                f"{name} {fit.estimate.sel(parameter=name).mean():.2f}"
                for name in fit.parameter.values
            )
            bound = int(fit.on_bound.any("parameter").sum())
            numbers = (f"{one.log_likelihood:.1f}", f"{one.bic:.1f}", int(one.n_best))
            rows.append((who, model, *numbers, mean, bound))
    head = ("who", "model", "log-likelihood", "BIC", "best for")
    yield markdown_table((*head, "mean estimates", "subjects on a bound"), rows)


def _rpe(statistics: xr.DataTree) -> Iterator[str]:
    yield (
        "## Dopamine\n\nVariance of the networks' RPE that the learners' RPE explain, "
        "mean over seeds (Wang et al. 2018 report a marginal r² of 0.89 model-based "
        "and 5.8e-7 model-free; the two learners' RPE are correlated, so that marginal "
        "values near 0 cannot come from a plain model-free learner):"
    )
    results = statistics["/agents/rpe"].to_dataset()
    rows = []
    for trials in results.trial_set.values:
        for epoch in results.epoch.values:
            place = {"trial_set": trials, "epoch": epoch}
            mean = results.sel(place).mean("subject")
            numbers = [*mean.r2.values, *mean.semipartial_r2.values]
            rows.append((trials, epoch, *(f"{number:.3f}" for number in numbers)))
    kinds = ("r² MB", "r² MF", "semipartial MB", "semipartial MF")
    yield markdown_table(("trials", "epoch", *kinds), rows)


def _settings(configuration: Configuration) -> Iterator[str]:
    yield (
        "## Settings and where they come from\n\nA **guess** is a number that the "
        "literature does not give, or that was chosen here."
    )
    if configuration.preset == "fast":
        changed = "guess: preset fast, chosen here by measurement for quick learning"
    else:
        changed = "set by preset paper"
    rows = []
    for name in ("task", "network", "learning"):
        for entry in provenance(getattr(configuration, name), changed):
            source = entry.source.replace("guess", "**guess**", 1)
            source = source if entry.is_guess else entry.source
            rows.append((name, entry.name, entry.value, entry.unit, source))
    yield markdown_table(("of the", "setting", "value", "unit", "source"), rows)


def _made_with(
    configuration: Configuration, statistics: xr.DataTree, agents: xr.Dataset
) -> Iterator[str]:
    versions = json.loads(agents.attrs["versions"])
    made = ", ".join(f"{name} {version}" for name, version in versions.items())
    yield (
        f"## Made with\n\n{made}; device {configuration.device}; seeds 0 to "
        f"{configuration.seeds - 1}. Test episodes come from a stream of random "
        "numbers of their own. Every file's SHA-256 sum is in manifest.json."
    )
    separated = {
        who: int(statistics[f"/{who}/history"].separated.sum())
        for who in statistics.children
        if who != "training"
    }
    noted = ", ".join(f"{count} of the {who}" for who, count in separated.items())
    yield (
        "In (d) a subject whose choices the regression separates perfectly has weights "
        f"whose size only the ridge sets: {noted}."
    )

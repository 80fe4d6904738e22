"""Intervals agree with their formulas, and censored seeds are not forgotten."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from pfc_metarl.emergence.intervals import kaplan_meier, mean, sign_test, wilson
from pfc_metarl.errors import InputError


@pytest.mark.parametrize(("k", "n"), [(0, 8), (3, 8), (8, 8), (4, 4), (14, 50)])
def test_wilson_s_interval_is_that_of_statsmodels(k: int, n: int) -> None:
    low, high = proportion_confint(k, n, method="wilson")
    assert wilson(k, n) == pytest.approx((k / n, low, high))


def test_eight_of_eight_seeds_are_no_certainty() -> None:
    assert wilson(8, 8).low == pytest.approx(0.676, abs=0.001)


def test_a_fraction_of_no_seeds_is_unknown() -> None:
    estimate, low, high = wilson(0, 0)
    assert math.isnan(estimate)
    assert (low, high) == (0, 1)


@pytest.mark.parametrize(("k", "n"), [(-1, 8), (9, 8)])
def test_more_than_all_seeds_are_refused(k: int, n: int) -> None:
    with pytest.raises(InputError, match=f"{k} of {n} seeds; expected 0 to {n}"):
        wilson(k, n)


def test_the_interval_of_a_mean_is_student_s() -> None:
    values = [0.2, 0.5, 0.4, 0.9]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean(values) == pytest.approx((0.5, expected.low, expected.high))


def test_one_seed_has_a_mean_and_no_interval() -> None:
    estimate, low, high = mean([0.3])
    assert estimate == 0.3
    assert math.isnan(low)
    assert math.isnan(high)


def test_the_sign_test_counts_who_is_above_and_below() -> None:
    assert sign_test([1, 2, 3, 4, 5, 6, 7, 8]) == pytest.approx(2 / 2**8)
    assert sign_test([1, -1, 0]) == 1
    assert sign_test([0, 0]) == 1
    assert sign_test([]) == 1


def test_without_censoring_the_curve_is_the_share_that_is_left() -> None:
    curve = kaplan_meier([30, 10, 20, 20], [True] * 4)
    assert curve.time.tolist() == [10, 20, 30]
    assert curve.share == pytest.approx([0.75, 0.25, 0])


def test_seeds_that_never_emerged_stay_in_the_curve() -> None:
    """By hand: 1/4 falls at 10, of the three left 1 at 20; two are censored at 50."""
    curve = kaplan_meier([10, 20, 50, 50], [True, True, False, False])
    at = dict(zip(curve.time, curve.share, strict=True))
    assert at[10] == pytest.approx(3 / 4)
    assert at[20] == pytest.approx(3 / 4 * 2 / 3)
    assert curve.share[-1] == pytest.approx(0.5)


def test_greenwood_s_interval_holds_the_curve() -> None:
    """log-log bounds by hand at the first fall of ten seeds."""
    curve = kaplan_meier(np.arange(1, 11), [True] * 5 + [False] * 5)
    share, greenwood = 0.9, 1 / (10 * 9)
    width = 1.959964 * math.sqrt(greenwood) / abs(math.log(share))
    expected = sorted(share ** math.exp(sign * width) for sign in (-1, 1))
    assert [curve.low[0], curve.high[0]] == pytest.approx(expected, rel=1e-4)


def test_if_none_emerged_the_curve_stays_at_one() -> None:
    curve = kaplan_meier([50, 50], [False, False])
    assert (curve.share == 1).all()


@pytest.mark.parametrize(("time", "emerged"), [([1, 2], [True]), ([], [])])
def test_times_without_seeds_are_refused(time: list[int], emerged: list[bool]) -> None:
    with pytest.raises(InputError, match="as many of each"):
        kaplan_meier(time, emerged)

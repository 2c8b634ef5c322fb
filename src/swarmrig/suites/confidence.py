"""How far apart two small sets of measurements are, and how sure that is.

The shift is the Hodges-Lehmann estimate, the median of all differences; its interval is that of the Mann-Whitney test
(Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 4.3), exact for small sets. Nothing is assumed about
the distribution, so a few outliers, as a busy machine makes them, do not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import erf, sqrt
from statistics import median

_EXACT = 10_000
"""Up to so many pairs the distribution is counted, beyond it is normal."""
_MOST = 250
"""Values of a set that are paired with those of the other; of more, evenly spread ones stand for all."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How much greater the second set is than the first, and between which bounds, at a level of confidence."""

    estimate: float
    low: float
    high: float


def shift(first: Sequence[float], second: Sequence[float], confidence: float) -> Shift | None:
    """None when the sets are too small for that confidence, whatever is in them."""
    first, second = _thinned(first), _thinned(second)
    rank = _rank(len(first), len(second), (1 - confidence) / 2)
    if rank == 0:
        return None
    differences = sorted([late - early for early in first for late in second])  # of sorted parts: quick
    return Shift(median(differences), differences[rank - 1], differences[-rank])


def fewest(confidence: float) -> int:
    """How many measurements each of two equal sets needs for that confidence."""
    size = 1
    while _rank(size, size, (1 - confidence) / 2) == 0:
        size += 1
    return size


@cache
def _rank(n: int, m: int, tail: float) -> int:
    """The greatest r for which fewer than r pairs being in the wrong order has at most the probability `tail`."""
    if n * m > _EXACT:
        return _normal_rank(n, m, tail)
    counts = _orders(n, m)
    allowed, below, rank = tail * sum(counts), 0, 0
    for count in counts:
        below += count
        if below > allowed:
            break
        rank += 1
    return rank


def _orders(n: int, m: int) -> list[int]:
    """By number of pairs in the wrong order, how many orders of n and m things have so many: the coefficients of the
    Gaussian binomial."""
    counts = [1] + [0] * (n * m)
    for i in range(1, n + 1):
        for at in range(n * m, m + i - 1, -1):
            counts[at] -= counts[at - m - i]
        for at in range(i, n * m + 1):
            counts[at] += counts[at - i]
    return counts


def _normal_rank(n: int, m: int, tail: float) -> int:
    mean, deviation = n * m / 2, sqrt(n * m * (n + m + 1) / 12)
    low, high = 0, n * m // 2
    while low < high:
        middle = (low + high + 1) // 2
        if (1 + erf((middle - 0.5 - mean) / deviation / sqrt(2))) / 2 <= tail:
            low = middle
        else:
            high = middle - 1
    return low


def _thinned(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    if len(ordered) <= _MOST:
        return ordered
    return [ordered[(2 * i + 1) * len(ordered) // (2 * _MOST)] for i in range(_MOST)]

"""Statistics of a sequence of signed values.

Of the magnitudes b of all n values: ``mean`` Σ b / n; ``var`` Σ (b - mean)² / n, of a population; ``std`` its root; ``min``, ``max``; ``range``
max - min; ``median`` the middle one or the mean of the two middle ones; ``sum``; ``count``. With the central moments m_k = Σ (b - mean)^k / n:
``skew`` m3 / m2^1.5, ``kurt`` the excess m4 / m2² - 3, both 0 where m2 is 0; ``cv`` std / mean, 0 where the mean is 0. ``up`` is over the
positive values, ``down`` over the magnitudes of the negative ones, 0 without any; zeros are of neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..needs import need

if TYPE_CHECKING:
    import numpy.typing

#: Those that the engine works out, in the order of columns.
ENGINE = (
    "mean std var min max range median sum"
    " up_mean up_std up_min up_max up_sum up_count down_mean down_std down_min down_max down_sum down_count count"
).split()
#: Those of the shape, which no column has.
SHAPE = ["skew", "kurt", "cv"]
#: Sequences that have statistics: their names in ``stats``, and their own.
BLOCKS = {
    **{name: name for name in ["packet_lengths", "ip_lengths", "trans_lengths", "app_lengths", "iats", "payload_bytes", "tcp_flags"]},
    "tcp_window": "tcp_window_sizes",
}


def shape(values: numpy.typing.NDArray[Any]) -> dict[str, float]:
    """Skewness, excess kurtosis and coefficient of variation; 0 without values."""
    numpy = need("numpy", "flow.stats")
    if len(values) == 0:
        return dict.fromkeys(SHAPE, 0.0)
    magnitudes = numpy.abs(values).astype(float)
    mean = float(magnitudes.mean())
    apart = magnitudes - mean
    # Of equal values what is left is rounding.
    m2 = float((apart**2).mean()) if magnitudes.min() != magnitudes.max() else 0.0
    return {
        "skew": float((apart**3).mean()) / m2**1.5 if m2 > 0 else 0.0,
        "kurt": float((apart**4).mean()) / m2**2 - 3 if m2 > 0 else 0.0,
        "cv": m2**0.5 / mean if mean > 0 else 0.0,
    }


def figures(values: numpy.typing.NDArray[Any]) -> dict[str, float]:
    """All of one or more values."""
    numpy = need("numpy", "flow.stats")
    magnitudes = numpy.abs(values)
    least, most = float(magnitudes.min()), float(magnitudes.max())
    var = float(magnitudes.var()) if least != most else 0.0
    found: dict[str, float] = {
        "mean": float(magnitudes.mean()),
        "std": var**0.5,
        "var": var,
        "min": least,
        "max": most,
        "range": most - least,
        "median": float(numpy.median(magnitudes)),
        "sum": float(magnitudes.sum()),
    }
    for side, of in (("up", magnitudes[values > 0]), ("down", magnitudes[values < 0])):
        some = len(of) > 0
        found[f"{side}_mean"] = float(of.mean()) if some else 0.0
        found[f"{side}_std"] = float(of.std()) if some else 0.0
        found[f"{side}_min"] = float(of.min()) if some else 0.0
        found[f"{side}_max"] = float(of.max()) if some else 0.0
        found[f"{side}_sum"] = float(of.sum()) if some else 0.0
        found[f"{side}_count"] = len(of)
    found["count"] = len(values)
    return found

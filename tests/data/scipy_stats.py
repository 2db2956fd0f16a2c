#!/usr/bin/env python3
"""Writes scipy_stats.json, the values `src/stats.rs` is tested against: scipy_stats.py   (pip install scipy)"""
import json
import pathlib

import numpy as np
import scipy
from scipy import stats

SAMPLES = {
    "velograd": [80.79, 81.02, 80.41, 80.93, 80.66],
    "adam": [78.95, 79.21, 78.80, 79.40, 78.55],
    "sgd": [75.34, 76.10, 74.98, 75.77, 75.01],
    "close": [80.71, 81.05, 80.52, 80.80, 80.69],
    "three": [0.5747, 0.5811, 0.5702],
    "three_too": [0.6227, 0.6190, 0.6301],
    "two": [1.0, 1.5],
    "two_too": [0.25, 0.5],
    "many": [float(v) for v in np.round(np.random.default_rng(0).normal(90, 0.5, 20), 4)],
    "many_more": [float(v) for v in np.round(np.random.default_rng(1).normal(91.5, 0.6, 20), 4)],
}
PAIRS = [("velograd", "adam"), ("adam", "sgd"), ("velograd", "close"), ("three", "three_too"), ("two", "two_too"),
         ("many", "many_more")]
GROUPS = [["velograd", "adam", "sgd"], ["velograd", "close"], ["three", "three_too"], ["two", "two_too"],
          ["many", "many_more"], ["velograd", "many", "two"]]


def pooled_d(a, b):
    spread = ((len(a) - 1) * np.var(a, ddof=1) + (len(b) - 1) * np.var(b, ddof=1)) / (len(a) + len(b) - 2)
    return (np.mean(a) - np.mean(b)) / np.sqrt(spread)


def pair(names):
    a, b = (SAMPLES[n] for n in names)
    test = stats.ttest_rel(a, b)
    return {"samples": names, "t": test.statistic, "degrees": int(test.df), "p": test.pvalue, "d": pooled_d(a, b),
            "mean_difference": np.mean(np.subtract(a, b))}


def group(names):
    f, p = stats.f_oneway(*(SAMPLES[n] for n in names))
    return {"samples": names, "f": f, "p": p}


def interval(name):
    drawn = stats.bootstrap((SAMPLES[name],), np.mean, n_resamples=1_000_000, batch=50_000, confidence_level=0.95,
                            method="percentile", rng=np.random.default_rng(0))
    ends = drawn.confidence_interval
    # Where the ends of an interval from 10,000 resamples fall: ranks 250 and 9750, five times their deviation of 16.
    around = np.percentile(drawn.bootstrap_distribution, [1.7, 3.3, 96.7, 98.3])
    return {"sample": name, "low": ends.low, "high": ends.high, "around_low": list(around[:2]),
            "around_high": list(around[2:])}


result = {
    "made_with": f"SciPy {scipy.__version__}, NumPy {np.__version__}",
    "samples": SAMPLES,
    "single": [{"sample": n, "mean": np.mean(v), "sd": np.std(v, ddof=1)} for n, v in SAMPLES.items()],
    "pairs": [pair(names) for names in PAIRS],
    "groups": [group(names) for names in GROUPS],
    "intervals": [interval(name) for name in SAMPLES],
}
text = json.dumps(result, indent=1, default=float) + "\n"
pathlib.Path(__file__).with_suffix(".json").write_text(text)

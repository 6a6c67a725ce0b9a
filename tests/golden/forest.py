"""Writes forest.json: what scikit-learn's IsolationForest says of one-dimensional data, over 20 seeds.

Made with Python 3.11, scikit-learn 1.9.1, numpy 2.4.6. To make it again:

    python3 -m venv venv && venv/bin/pip install scikit-learn==1.9.1 numpy==2.4.6
    venv/bin/python tests/golden/forest.py
"""

import json
import pathlib

import numpy
import sklearn
from sklearn.ensemble import IsolationForest

TREES = 256
SEEDS = 20


def cases():
    random = numpy.random.default_rng(7)
    near = lambda centre, n: numpy.clip(random.normal(centre, 0.02, n), 0, 1)
    yield "three, one apart", 0.14, [1, 1, 0]
    yield "three, all apart", 0.14, [0, 0.5, 1]
    yield "all equal", 0.14, [0.5] * 30
    yield "half and half", 0.14, [0, 1] * 20
    yield "a crowd near 0 and two at 1", 0.14, [*near(0.02, 20), 1, 1]
    yield "a crowd near 1 and three below", 0.14, [*near(0.98, 37), 0.1, 0.2, 0.5]
    yield "forty uniform", 0.14, random.uniform(0, 1, 40)
    yield "ratios with ties", 0.14, random.integers(0, 11, 60) / 10
    yield "ties, a third asked for", 0.33, random.integers(0, 9, 50) ** 2 / 64
    yield "closer than 1e-7", 0.14, [0.5, 0.5 + 3e-8, 0.5 + 6e-8, 0.5 + 2e-7, 0.50001, 0.6]
    yield "256 uniform", 0.14, random.uniform(0, 1, 256)
    yield "300 near 0 and 1", 0.14, [*near(0.03, 250), *near(0.97, 50)]
    yield "300, few asked for", 0.02, [*near(0.5, 296), 0, 0.01, 0.99, 1]
    yield "600 uniform", 0.14, random.uniform(0, 1, 600)
    yield "600 of three crowds, half asked for", 0.5, [*near(0.1, 300), *near(0.5, 200), *near(0.9, 100)]


def case(name, contamination, values):
    # Four decimals keep the file small; the "closer than" case needs its own.
    values = numpy.round(numpy.asarray(values, dtype=float), 9 if "closer" in name else 4)
    column = values.reshape(-1, 1)
    outlier, distance, score = [], [], []
    for seed in range(SEEDS):
        forest = IsolationForest(n_estimators=TREES, contamination=contamination, random_state=seed)
        outlier.append(forest.fit_predict(column) == -1)
        score.append(forest.score_samples(column))
        distance.append(numpy.abs(score[-1] - forest.offset_))
    return {
        "name": name,
        "contamination": contamination,
        "values": values.tolist(),
        "outlier": numpy.sum(outlier, axis=0).tolist(),
        "margin": numpy.min(distance, axis=0).round(4).tolist(),
        "score": numpy.mean(score, axis=0).round(4).tolist(),
    }


def main():
    golden = {
        "versions": {"scikit-learn": sklearn.__version__, "numpy": numpy.__version__},
        "trees": TREES,
        "seeds": SEEDS,
        "cases": [case(*each) for each in cases()],
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    lines = json.dumps(golden, separators=(",", ":")).replace('{"name"', '\n{"name"')
    path.write_text(lines + "\n")


if __name__ == "__main__":
    main()

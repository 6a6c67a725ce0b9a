"""Writes tokens.json: exact floors of logarithms, from Python's fractions.

Made with Python 3.11; needs nothing else. To make it again: python3 tests/golden/tokens.py
"""

import fractions
import json
import math
import pathlib
import random

BASES = [2.0, 10.0, math.e, 1.5, 3.0, 1.01, 1.1, 7.25, 1024.0, 1e9, 1e12, 1e300]
TOP = {"count": 2**64 - 1, "duration": 2**63 - 1}
UNIT = {"count": 1, "duration": 10**9}


def floor_log(base, value):
    """The largest k with base**k <= value, by a float guess and exact comparisons."""
    k = math.floor(math.log(value) / math.log(base)) - 2
    power = base**k
    while power * base <= value:
        power *= base
        k += 1
    return k


def rows(kind, base):
    draw = random.Random(f"{kind} {base}")
    exact, unit, top = fractions.Fraction(base), UNIT[kind], TOP[kind]
    values = {1, 2, 3, unit - 1, unit, unit + 1, top - 1, top}
    lowest, highest = floor_log(exact, fractions.Fraction(1, unit)), floor_log(exact, fractions.Fraction(top, unit))
    bins = range(lowest - 1, highest + 2)
    for k in bins if len(bins) < 100 else draw.sample(bins, 40):
        step = math.ceil(exact**k * unit)
        values |= {step - 1, step, step + 1}
    values |= {draw.getrandbits(draw.randint(1, 63)) for _ in range(20)}
    for value in sorted(value for value in values if 0 < value <= top):
        yield [value, floor_log(exact, fractions.Fraction(value, unit))]


def main():
    golden = [{"kind": kind, "base": base, "rows": list(rows(kind, base))} for kind in UNIT for base in BASES]
    text = json.dumps(golden, separators=(",", ":")).replace('{"kind"', '\n{"kind"')
    pathlib.Path(__file__).with_suffix(".json").write_text(text + "\n")


if __name__ == "__main__":
    main()

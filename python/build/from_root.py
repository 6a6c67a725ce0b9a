"""Builds the package from the folder above: maturin, in the folder that is the package's."""

import os

os.chdir("python")

from maturin import *  # noqa: E402, F403

"""Names of the methods that choose ranges. Imports nothing heavy: the command line needs them."""

from typing import Literal, get_args

Method = Literal["minmax", "percentile", "entropy", "mse"]
METHODS: tuple[Method, ...] = get_args(Method)

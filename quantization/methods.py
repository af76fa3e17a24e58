"""How ranges can be chosen, by name. Imports nothing heavy."""

from typing import Literal, get_args

Method = Literal["minmax", "percentile", "entropy", "mse"]
METHODS: tuple[Method, ...] = get_args(Method)

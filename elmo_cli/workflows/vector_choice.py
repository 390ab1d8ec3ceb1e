"""Which vectors are wanted of a text: which layers, what is kept of the tokens, which type of number."""

import re
from dataclasses import dataclass

from elmo_cli.config import FIXED_POOLINGS
from elmo_cli.errors import ConfigError

DTYPES = ("float32", "float16")


@dataclass(frozen=True)
class VectorChoice:
    """What a text becomes.

    Args:
        layers: ``mix`` is the weighted sum of the layers; ``all`` keeps them apart; numbers from 0, such as
            ``2`` or ``0,2``, choose some in that order, and a single number gives that layer alone.
        pool: ``none`` keeps the vectors of all tokens; ``mean``, ``max`` or ``mean,max`` make one of them
            for each layer, before layers are mixed, as the classifier does.
        dtype: ``float32`` or ``float16``.

    Raises:
        ConfigError: For anything else.
    """

    layers: str = "mix"
    pool: str = "mean"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        """Checks what can be checked before an ELMo is loaded."""
        numbers = self.numbers
        if self.layers not in ("mix", "all") and (not numbers or len(set(numbers)) < len(numbers)):
            raise ConfigError(
                "--layers must be mix, all, or numbers of layers from 0, each once, such as 2 or 0,2; "
                f"received {self.layers!r}."
            )
        poolings = self.poolings
        if not set(poolings) <= set(FIXED_POOLINGS) or len(set(poolings)) < len(poolings):
            raise ConfigError(f"--pool must be none, mean, max or mean,max; received {self.pool!r}.")
        if self.dtype not in DTYPES:
            raise ConfigError(f"--dtype must be float32 or float16; received {self.dtype!r}.")

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the layers that are chosen one by one; empty for ``mix`` and ``all``."""
        if not re.fullmatch("[0-9]+(,[0-9]+)*", self.layers, re.ASCII):
            return ()
        return tuple(map(int, self.layers.split(",")))

    @property
    def poolings(self) -> tuple[str, ...]:
        """Names of the poolings, joined in this order; empty where all tokens are kept."""
        return () if self.pool == "none" else tuple(self.pool.split(","))

    def check_possible(self, name: str, *, num_layers: int, token_level: bool) -> None:
        """Raises ConfigError if an ELMo cannot give such vectors.

        Args:
            name: What the user calls it.
            num_layers: How many layers it has, L.
            token_level: Whether it gives vectors of tokens; otherwise it gives one for the whole text.
        """
        if wrong := [number for number in self.numbers if number >= num_layers]:
            has = f"{num_layers} layers, 0 to {num_layers - 1}" if num_layers > 1 else "one layer, 0"
            raise ConfigError(f"--layers {self.layers}: there is no layer {wrong[0]}; {name} has {has}.")
        if not token_level and self.poolings != ("mean",):
            raise ConfigError(
                f"--pool {self.pool}: {name} gives one vector for a whole text, and none for its tokens. "
                "Use --pool mean, which takes that vector as it is."
            )

    def shape(self, num_layers: int, dim: int) -> tuple[int | None, ...]:
        """Returns the shape of what a text becomes.

        Args:
            num_layers: Number of layers of the ELMo, L.
            dim: Their width, D.

        Returns:
            (P,) with P = D times the number of poolings, or (None, D) where all tokens are kept; in front of
            it the number of layers where there may be several.
        """
        row = (dim * len(self.poolings),) if self.poolings else (None, dim)
        if self.layers == "all":
            return num_layers, *row
        return (len(self.numbers), *row) if len(self.numbers) > 1 else row

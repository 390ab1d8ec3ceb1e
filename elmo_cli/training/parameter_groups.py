"""Adam with a step size, a weight decay and a beginning for each group of variables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from elmo_cli.training.adam import FusedAdam

# Howard & Ruder 2018, section 3.2: the lowest rate is a thirty-second of the highest.
_RATIO = 32


@dataclass(frozen=True)
class ParameterGroup:
    """Variables that learn alike.

    Args:
        variables: At least one; matrices among them decay, vectors and numbers do not.
        rate: Their share of the optimizer's step size, above 0.
        weight_decay: Share of a matrix that is taken off per step, times its step size; at least 0.
        first_step: Step, from 0, from which they learn.
    """

    variables: tuple[keras.Variable, ...]
    rate: float = 1.0
    weight_decay: float = 0.0
    first_step: int = 0


class GroupedAdam(FusedAdam):
    """Adam with decoupled weight decay, different for different groups of variables.

    A group that begins late is moved as if its first step were the first of all: Adam's correction of its
    empty moments begins there.

    Args:
        groups: All variables that it will ever move; none twice. ``build`` makes their state at once.
        learning_rate: Step size of a group of rate 1.
        **kwargs: Those of `keras.optimizers.Adam`.

    Reference:
        Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2.
    """

    def __init__(self, groups: Sequence[ParameterGroup], learning_rate: float, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.groups = tuple(groups)
        self._group_of = [group for group in self.groups for _ in group.variables]
        self.build([variable for group in self.groups for variable in group.variables])

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one variable; called by `apply`.

        Args:
            gradient: Of the loss by the variable.
            variable: One of those of the groups.
            learning_rate: Scalar.
        """
        group = self._group_of[self._get_variable_index(variable)]
        rate = learning_rate * group.rate
        if group.weight_decay and len(variable.shape) > 1:
            variable.assign_sub(rate * group.weight_decay * variable)
        self.adam_step(gradient, variable, rate, self.iterations + 1 - group.first_step)


def slanted_triangular(share: float, *, warmup: float) -> float:
    """Returns the step size, as a share of the highest one, of a rate that rises fast and falls slowly.

    Args:
        share: Share of the training that is done, in [0, 1].
        warmup: Share of the training over which the rate rises, in [0, 1).

    Reference:
        Howard & Ruder 2018, "Universal language model fine-tuning for text classification", equation 3.
    """
    height = share / warmup if share < warmup else (1 - share) / (1 - warmup)
    return (1 + height * (_RATIO - 1)) / _RATIO

"""Which head suits how many rows."""

from dataclasses import dataclass

from elmo_cli.config import ClassifierConfig

# Below, a linear head with a penalty was up to five points better on TREC, SUBJ and SST-2 (100 and 500 rows)
# and no worse with 1,500; with 5,000 and more a hidden layer gains up to a point.
FEW_ROWS = 2000
HIDDEN = (256,)
# How large the weights of a linear head are expected to be: the deviation of a normal prior around 0. With
# the three layers of an ELMo side by side, each scaled by a third, this is C = 0.01 of scikit-learn's
# logistic regression on standardised vectors, which suited all three sets.
WEIGHT_DEVIATION = 0.3


@dataclass(frozen=True)
class HeadChoice:
    """What `PooledClassifier` is told of its head.

    Args:
        hidden: Widths of hidden layers.
        dropout: Share of inputs dropped in training.
        l2: L2 penalty on the weights of a linear head.
    """

    hidden: tuple[int, ...]
    dropout: float
    l2: float = 0.0


def choose_head(config: ClassifierConfig, num_rows: int) -> HeadChoice:
    """Says what ``hidden: auto`` means for so many training rows; what is given is taken as it stands.

    With few rows the head is linear, without dropout, and a normal prior on its weights keeps it from
    learning the rows by heart: the penalty shrinks as rows become more.
    """
    if not isinstance(config.hidden, str):
        return HeadChoice(config.hidden, config.dropout)
    if num_rows >= FEW_ROWS:
        return HeadChoice(HIDDEN, config.dropout)
    return HeadChoice((), 0.0, 1 / (2 * WEIGHT_DEVIATION**2 * num_rows))

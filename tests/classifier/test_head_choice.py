"""Which head suits how many rows."""

import pytest

from elmo_cli.classifier.head_choice import FEW_ROWS, HIDDEN, HeadChoice, choose_head
from elmo_cli.config import ClassifierConfig


def test_few_rows_get_a_linear_head_whose_penalty_shrinks_as_they_become_more() -> None:
    few, more = (choose_head(ClassifierConfig(), rows) for rows in (50, 500))
    assert (few.hidden, few.dropout) == ((), 0.0)
    assert few.l2 == pytest.approx(1 / (2 * 0.09 * 50))
    assert few.l2 == pytest.approx(10 * more.l2)


def test_many_rows_get_a_hidden_layer_and_dropout() -> None:
    assert choose_head(ClassifierConfig(dropout=0.3), FEW_ROWS) == HeadChoice(HIDDEN, 0.3)
    assert choose_head(ClassifierConfig(), FEW_ROWS - 1).hidden == ()


@pytest.mark.parametrize("hidden", [(), (8, 4)])
@pytest.mark.parametrize("rows", [10, 10_000])
def test_what_is_given_is_taken_as_it_stands(hidden: tuple[int, ...], rows: int) -> None:
    assert choose_head(ClassifierConfig(hidden=hidden, dropout=0.1), rows) == HeadChoice(hidden, 0.1)

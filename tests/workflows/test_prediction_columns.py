"""Which columns are added, by hand."""

import numpy as np
import pandas as pd
import pytest

from elmo_cli.errors import ConfigError
from elmo_cli.text.labels import LabelSet
from elmo_cli.workflows.prediction_columns import PredictionColumns

LABELS = LabelSet(("a", "b", "c"))
PROBABILITIES = np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]], np.float32)


def test_the_likeliest_class_and_its_probability_are_added() -> None:
    result = PredictionColumns().add(pd.DataFrame({"x": [1, 2]}), PROBABILITIES, LABELS)
    assert result["predicted"].tolist() == ["b", "a"]  # ties go to the smaller class id
    assert result["probability"].tolist() == PROBABILITIES[[0, 1], [1, 0]].tolist()


def test_top_k_is_sorted_and_proba_is_in_class_order() -> None:
    result = PredictionColumns(proba=True, top_k=3).add(pd.DataFrame({"x": [1, 2]}), PROBABILITIES, LABELS)
    assert list(result.columns) == [
        *["x", "predicted", "probability", "predicted_2", "probability_2", "predicted_3", "probability_3"],
        *["probability_of_a", "probability_of_b", "probability_of_c"],
    ]
    assert result.loc[0, ["predicted", "predicted_2", "predicted_3"]].tolist() == ["b", "c", "a"]
    assert result.loc[1, ["predicted", "predicted_2", "predicted_3"]].tolist() == ["a", "c", "b"]
    np.testing.assert_array_equal(result.iloc[:, -3:].to_numpy(), PROBABILITIES)


def test_columns_that_come_twice_are_kept() -> None:
    table = pd.DataFrame([[1, 2], [3, 4]], columns=["x", "x"])
    result = PredictionColumns().add(table, PROBABILITIES, LABELS)
    assert list(result.columns) == ["x", "x", "predicted", "probability"]


def test_a_column_in_the_way_is_named() -> None:
    table = pd.DataFrame({"probability_of_b": [1]})
    PredictionColumns().check_free(table, LABELS)
    with pytest.raises(ConfigError, match='the table has a column "probability_of_b" already'):
        PredictionColumns(proba=True).check_free(table, LABELS)


@pytest.mark.parametrize(("top_k", "holds"), [(0, False), (1, True), (3, True), (4, False)])
def test_top_k_is_between_1_and_the_number_of_classes(top_k: int, holds: bool) -> None:
    if holds:
        PredictionColumns(top_k=top_k).check_top_k(LABELS)
    else:
        with pytest.raises(ConfigError, match=f"received {top_k}"):
            PredictionColumns(top_k=top_k).check_top_k(LABELS)

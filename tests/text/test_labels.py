import numpy as np
import pytest

from elmo_cli.errors import DataError
from elmo_cli.text.labels import LabelSet


def test_classes_are_sorted_by_code_point() -> None:
    assert LabelSet.fit(["b", "a", "B", "a"]).names == ("B", "a", "b")


def test_whole_numbers_are_sorted_by_value() -> None:
    assert LabelSet.fit(["10", "9", "-1", "9"]).names == ("-1", "9", "10")
    assert LabelSet.fit(["10", "9", "x"]).names == ("10", "9", "x")


def test_encode_and_decode_are_inverse_and_unknown_labels_are_minus_one() -> None:
    labels = LabelSet(("a", "b", "c"))
    ids = labels.encode(["c", "a", "new", "b"])
    assert ids.dtype == np.int32
    assert ids.tolist() == [2, 0, -1, 1]
    assert labels.decode(ids[ids >= 0]) == ["c", "a", "b"]
    assert labels.num_classes == 3
    assert labels.encode([]).shape == (0,)
    assert labels.decode([]) == []


@pytest.mark.parametrize("class_ids", [[3], [-1]])
def test_an_id_outside_the_set_is_refused(class_ids: list[int]) -> None:
    with pytest.raises(ValueError, match="from 0 to 2"):
        LabelSet(("a", "b", "c")).decode(class_ids)


@pytest.mark.parametrize(("values", "found"), [(["a", "a"], 'only one class, "a"'), ([], "no labels")])
def test_fewer_than_two_classes_are_refused(values: list[str], found: str) -> None:
    with pytest.raises(DataError, match=rf"a\.csv has {found}.*at least two.*--label-column"):
        LabelSet.fit(values, where="a.csv")


def test_names_are_distinct() -> None:
    with pytest.raises(ValueError, match="distinct"):
        LabelSet(("a", "a"))

"""What each of several opinions counts."""

import numpy as np
import pytest

from elmo_cli.classifier.blend import SHARE_DEVIATION, fit_shares, log_softmax


def opinions(num_rows: int, skills: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Logarithmic probabilities of parts that see the class, each through noise of its own."""
    random = np.random.default_rng(3)
    targets = random.integers(0, 3, num_rows).astype(np.int32)
    parts = [skill * np.eye(3)[targets] + random.normal(size=(num_rows, 3)) for skill in skills]
    return log_softmax(np.stack(parts)), targets


def loss(shares: tuple[float, ...], parts: np.ndarray, targets: np.ndarray) -> float:
    found = log_softmax(np.tensordot(shares, parts, axes=1))
    return float(-found[np.arange(len(targets)), targets].mean())


@pytest.mark.parametrize("skills", [(2.0, 1.0), (1.0, 2.0), (3.0, 0.0), (0.0, 3.0)])
def test_together_they_are_no_worse_than_the_better_one(skills: tuple[float, float]) -> None:
    parts, targets = opinions(600, skills)
    shares = fit_shares(parts, targets, np.ones(600, np.float32))
    assert min(shares) >= 0
    best = min(loss((1, 0), parts, targets), loss((0, 1), parts, targets))
    assert loss(shares, parts, targets) < best + 0.005


def test_a_part_that_knows_nothing_is_left_out() -> None:
    parts, targets = opinions(2000, (3.0, 0.0))
    shares = fit_shares(parts, targets, np.ones(2000, np.float32))
    assert shares[1] < 0.15 < 0.9 < shares[0]


def test_without_rows_all_count_the_same() -> None:
    parts, targets = opinions(0, (1.0, 1.0, 1.0))
    assert fit_shares(parts, targets, np.ones(0, np.float32)) == pytest.approx((1 / 3,) * 3)


def test_it_finds_the_least_of_the_loss() -> None:
    parts, targets = opinions(40, (2.0, 1.0))
    weights = np.linspace(0, 2, 40, dtype=np.float32)

    def total(shares: np.ndarray) -> float:
        found = log_softmax(np.tensordot(shares, parts, axes=1))[np.arange(40), targets]
        return float(-(found @ weights) + ((shares - 0.5) ** 2).sum() / (2 * SHARE_DEVIATION**2))

    shares = np.array(fit_shares(parts, targets, weights))
    for step in ([0.02, 0], [-0.02, 0], [0, 0.02], [0, -0.02]):
        assert total(shares) < total(shares + step)

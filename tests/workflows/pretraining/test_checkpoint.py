"""The file from which a pre-training goes on."""

import dataclasses
from pathlib import Path

from elmo_cli.bilm.batches import Place
from elmo_cli.training.stream import Progress, save_checkpoint
from elmo_cli.workflows.pretraining.checkpoint import FORMAT, Checkpoint


def test_a_checkpoint_of_a_version_that_knew_less_goes_on_in_the_order_it_began_with(tmp_path: Path) -> None:
    saved = Checkpoint({"--seed": 13}, Progress(5, 50, 1.5), Place(1, 3, (0, 2)), (50,))
    saved.save(tmp_path / "state.npz", [])
    assert Checkpoint.read(tmp_path / "state.npz") == saved

    facts = dataclasses.asdict(saved)
    del facts["place"]["pool_tokens"], facts["minutes"], facts["max_tokens"]
    save_checkpoint(tmp_path / "old.npz", [], {"format": FORMAT, **facts})
    old = Checkpoint.read(tmp_path / "old.npz")
    assert old == dataclasses.replace(saved, place=Place(1, 3, (0, 2), pool_tokens=None))

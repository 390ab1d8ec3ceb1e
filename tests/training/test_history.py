"""The record of a training."""

from elmo_cli.training.history import EpochRecord, History

HISTORY = History(
    (EpochRecord(1, 1.5, 0.25, 1.25, 0.5, 2.0), EpochRecord(2, 1.0, 0.5, 1.5, 0.5, 2.5)), best_epoch=1
)


def test_it_becomes_csv():
    lines = HISTORY.to_csv().splitlines()
    assert lines == [
        "epoch,loss,accuracy,val_loss,val_accuracy,seconds",
        "1,1.5,0.25,1.25,0.5,2.0",
        "2,1.0,0.5,1.5,0.5,2.5",
    ]


def test_it_knows_its_best_epoch():
    assert HISTORY.best.val_loss == 1.25
    assert HISTORY.rows()[1]["loss"] == 1.0

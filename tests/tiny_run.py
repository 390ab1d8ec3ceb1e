"""A tiny ELMo with random weights and two small tables, for tests that train."""

import csv
from collections.abc import Sequence
from pathlib import Path

import keras
from click.testing import CliRunner, Result
from conftest import messages_as_before

from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions, CharacterCNNOptions, LSTMOptions
from elmo_cli.bilm.weights import write_weights
from elmo_cli.cli import embed, evaluate, export, fetch, predict, pretrain, train

COMMANDS = {
    "train": train.main,
    "eval": evaluate.main,
    "predict": predict.main,
    "pretrain": pretrain.main,
    "fetch": fetch.main,
    "embed": embed.main,
    "export": export.main,
}

KITCHEN = """The soup needs a little more salt.
She fried two eggs in butter.
My grandmother's bread rises overnight.
We ate cold noodles with sesame.
Peel the potatoes, then boil them.
He burned the rice again!
A slice of lemon cake, please.
The cheese smells like old boots.
Stir the sauce until it thickens.
They grilled peppers on the balcony.
Is there garlic in this stew?
I baked a pie with sour cherries.
The butcher sold us lamb chops.
Chop the onions as fine as you can.
Her dumplings fall apart in the pot.
Fresh basil makes the salad better.
You can't cook beans without water.
The oven is still too hot for biscuits.
He drank his coffee without sugar.
Pickled cabbage goes well with ham.
We ran out of flour and yeast.
This curry is far too spicy."""

SKY = """Heavy rain fell all night.
The wind tore branches off the oak.
Snow covers the hills since Monday.
It was foggy down by the river.
A storm is coming from the west.
The sun came out after breakfast.
Hail broke the greenhouse roof.
Clouds hang low over the harbour.
It's freezing, take your gloves!
Lightning struck the old church tower.
The drought has lasted for six weeks.
A warm breeze blew in from the sea.
Thunder woke the children at three.
The forecast says sleet tomorrow.
There was frost on every window.
Will it be sunny at the weekend?
A rainbow stood over the valley.
The humid air makes me sleepy.
Icicles hang from the gutter.
The heat wave ended on Friday."""

TEST = """The gravy was thin and salty.,kitchen
Gusts of wind shook the tent.,sky
Boil the eggs for six minutes.,kitchen
Snow fell on the harbour.,sky
Who ate my cake?,kitchen
It rained on Monday and Tuesday.,sky
Butter the bread on one side.,kitchen
The storm passed us in the night.,sky
Add garlic and onions.,kitchen
Fog and frost until noon.,sky"""


def write_csv(path: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = ("text", "label")) -> Path:
    """Writes a table."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_tables(directory: Path) -> None:
    """Writes train.csv (42 rows) and test.csv (10 rows)."""
    rows = [(text, "kitchen") for text in KITCHEN.splitlines()]
    rows += [(text, "sky") for text in SKY.splitlines()]
    write_csv(directory / "train.csv", rows)
    write_csv(directory / "test.csv", [line.rsplit(",", 1) for line in TEST.splitlines()])


def write_elmo(directory: Path, *, seed: int = 7) -> Path:
    """Writes options.json and weights.hdf5 of a biLM with random weights."""
    directory.mkdir(parents=True, exist_ok=True)
    options = BiLMOptions(CharacterCNNOptions(4, ((1, 4), (2, 8), (3, 8)), num_highway=1), LSTMOptions(16, 8))
    keras.utils.set_random_seed(seed)
    bilm = BiLM(options)
    bilm.build()
    # Larger than the initial weights, so that texts differ.
    for weight in bilm.weights:
        weight.assign(weight * 2)
    (directory / "options.json").write_text(options.to_json())
    write_weights(bilm, directory / "weights.hdf5")
    return directory


def invoke(command: str, *arguments: object, stdin: str | bytes | None = None) -> Result:
    """Runs a command in this process, as ``elmo-COMMAND`` would with these arguments."""
    with messages_as_before():
        return CliRunner().invoke(COMMANDS[command], [str(argument) for argument in arguments], input=stdin)

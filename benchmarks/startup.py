"""How long is it from the shell to elmo-predict's answer, above a bare `import tensorflow`?

    python benchmarks/startup.py --rounds 7

A run is trained on the sample data with the bundled ELMo; then a process that only imports TensorFlow,
`elmo-predict RUN "one sentence"` and `elmo-train --help` take turns. The first round is not counted: it
brings the files into the memory of the operating system. Processor seconds are the sum over all cores; they
say what the work is, on a machine that others use too.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from commands import Cost, elmo, measure, train_on_senses

SENTENCE = "We sat on the bank and watched the ducks."
BARE = "import tensorflow; print('imported', flush=True)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--run", type=Path, help="a run of your own, instead of one on the sample data")
    parser.add_argument("extra", nargs="*", help="further options of elmo-predict, after --")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        cache, run = Path(place) / "cache", arguments.run
        if run is None:
            run = Path(place) / "run"
            train_on_senses(run, cache=cache)
        # What is run, and how many lines its answer has.
        contestants = {
            "import tensorflow": ([sys.executable, "-c", BARE], 1),
            "elmo-predict RUN TEXT": ([elmo("predict"), str(run), SENTENCE, "-q", *arguments.extra], 2),
            "elmo-train --help": ([elmo("train"), "--help"], 1),
        }
        costs: dict[str, list[Cost]] = {name: [] for name in contestants}
        for _ in range(arguments.rounds + 1):
            for name, (command, answer_lines) in contestants.items():
                costs[name].append(measure(command, cache=cache, answer_lines=answer_lines))
    bare = "import tensorflow"
    print("| process | to the answer, s | to the end, s | processor, s | answer above the import, s |")
    print("|---|---|---|---|---|")
    for name, all_of_it in costs.items():
        counted, base = all_of_it[1:], costs[bare][1:]
        above = statistics.median(
            ours.answer_s - its.answer_s for ours, its in zip(counted, base, strict=True)
        )
        medians = (
            statistics.median(getattr(cost, field) for cost in counted)
            for field in ("answer_s", "seconds", "processor_s")
        )
        print(f"| {name} | {' | '.join(f'{median:.2f}' for median in medians)} | {above:+.2f} |")


if __name__ == "__main__":
    main()

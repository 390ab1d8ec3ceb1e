"""Trains on a GPU what `prepare` wrote; needs PyTorch and NumPy alone.

    python -m gpu_pretraining.train DIR -o OUT --seconds 500 --dim 768 --width 192

in `benchmarks/`. Writes the weights in half precision as ``weights-<n>.npz``, for `finish`, and ``log.txt``.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .network import Batch, Network, State, new_parameters, zero_state
from .optimizer import Optimizer
from .streams import Text, read_characters, read_text

_WARMUP_STEPS = 300
_MOST_BYTES = 14_000_000  # of one file


def main() -> None:
    """Reads, trains, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path, nargs="+", help="directories that prepare wrote")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=500.0, help="for training; reading comes on top")
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--lanes", type=int, default=512)
    parser.add_argument("--steps", type=int, default=64, help="positions of a piece")
    parser.add_argument("--learning-rate", type=float, default=0.008)
    parser.add_argument("--decay-share", type=float, default=0.7)
    parser.add_argument("--dropout", type=float, default=0.05)
    parser.add_argument("--lower-share", type=float, default=0.2)
    parser.add_argument("--max-types", type=int, default=12_288)
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--evaluate-seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=13)
    arguments = parser.parse_args()
    training = Training(arguments)
    training.run()


class Training:
    """One training; the arguments are those of `main`."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.dtype = torch.bfloat16 if self.device == "cuda" else torch.float32
        arguments.output.mkdir(parents=True, exist_ok=True)
        self.log_file = open(arguments.output / "log.txt", "a", encoding="utf-8")  # noqa: SIM115
        self.began = time.monotonic()
        torch.manual_seed(arguments.seed)
        files = {path.name: path for directory in arguments.text for path in directory.iterdir()}
        directory = files["words.npz"].parent
        characters = read_characters(directory).to(self.device)
        words = np.load(files["words.npz"])
        lower, targets = torch.from_numpy(words["lower"]), torch.from_numpy(words["targets"])

        def text(*paths: Path) -> Text:
            return Text(*read_text(*paths), lower, targets, len(lower), self.device)

        self.text = text(*(files[name] for name in sorted(files) if name.startswith("text-")))
        self.held_out = text(files["held-out.xz"])
        self.num_words = 1 + int(targets.max())
        self.parameters = new_parameters(
            arguments.dim, arguments.width, self.num_words, arguments.seed, self.device
        )
        self.optimizer = Optimizer(self.parameters, self.dtype)
        self.network = Network(
            characters,
            max_types=arguments.max_types,
            dtype=self.dtype,
            dropout=arguments.dropout,
            rows=arguments.rows,
        )
        self.say(
            f"{len(self.text.stream) / 1e6:.1f} M tokens, {len(self.text.lengths)} sentences, "
            f"{len(characters)} types, {self.num_words} words; "
            f"{sum(map(torch.Tensor.numel, self.parameters.values())) / 1e6:.2f} M parameters on {self.name}"
        )

    @property
    def name(self) -> str:
        """What computes."""
        return torch.cuda.get_device_name() if self.device == "cuda" else "a CPU"

    def say(self, message: str) -> None:
        """Logs a message with the seconds since the start."""
        line = f"{time.monotonic() - self.began:7.1f} s  {message}"
        print(line, flush=True)
        self.log_file.write(f"{line}\n")
        self.log_file.flush()

    def run(self) -> None:
        """Trains for the time that is given."""
        arguments, tokens_per_step = self.arguments, self.arguments.lanes * self.arguments.steps
        self.state = self.new_state(arguments.lanes)
        self.batch = _as_numbers(next(self.pieces(0)))
        self.summed = torch.zeros(3, device=self.device)
        replay = self.capture()
        self.say("captured")
        start, evaluated, steps, since = time.monotonic(), time.monotonic(), 0, 0
        epoch = 0
        while True:
            for piece in self.pieces(epoch):
                spent = (time.monotonic() - start) / arguments.seconds
                if spent >= 1.0:
                    break
                for into, values in zip(self.batch, piece, strict=True):
                    into.copy_(values)
                self.optimizer.rate.fill_(self.rate(steps, spent))
                replay()
                steps, since = steps + 1, since + 1
                if since == 100:
                    losses = (self.summed / since).tolist()
                    most = int(self.network.most_seen)
                    self.summed.zero_()
                    since = 0
                    if steps % 500 == 0 or steps <= 500:
                        speed = steps * tokens_per_step / (time.monotonic() - start)
                        self.say(
                            f"step {steps}, {steps * tokens_per_step / 1e6:.1f} M tokens, "
                            f"{speed / 1e3:.0f} k/s, "
                            f"perplexity {math.exp(losses[0]):.1f} {math.exp(losses[1]):.1f}, "
                            f"norm {losses[2]:.3f}, most types {most}, rate {float(self.optimizer.rate):.5f}"
                        )
                    if not all(map(math.isfinite, losses)):
                        raise SystemExit("the loss is no number any more")
                    if time.monotonic() - evaluated > arguments.evaluate_seconds:
                        self.evaluate()
                        evaluated = time.monotonic()
            else:
                epoch += 1
                for part in self.state:
                    part.zero_()
                continue
            break
        seconds = time.monotonic() - start
        tokens = steps * tokens_per_step
        self.say(f"{steps} steps, {tokens / 1e6:.1f} M tokens in {seconds:.0f} s, pass {epoch}")
        forward, backward = self.evaluate()
        self.write(
            {
                "tokens": tokens,
                "steps": steps,
                "seconds": round(seconds),
                "held_out_perplexity": [round(forward, 1), round(backward, 1)],
                "device": self.name,
                "dim": arguments.dim,
                "width": arguments.width,
                "arguments": {
                    name: value for name, value in vars(arguments).items() if name not in ("text", "output")
                },
            }
        )

    def pieces(self, epoch: int) -> Any:
        """Returns one pass over the text."""
        arguments = self.arguments
        return self.text.pieces(
            arguments.lanes,
            arguments.steps,
            lower_share=arguments.lower_share,
            seed=arguments.seed + epoch,
        )

    def new_state(self, num_lanes: int) -> State:
        """Returns zeros."""
        return zero_state(num_lanes, self.arguments.dim, self.arguments.width, self.dtype, self.device)

    def rate(self, steps: int, spent: float) -> float:
        """Returns the learning rate: it warms up, stays, and falls linearly to zero."""
        falling = min(1.0, (1.0 - spent) / self.arguments.decay_share)
        return self.arguments.learning_rate * min(1.0, (steps + 1) / _WARMUP_STEPS) * falling

    def step(self) -> None:
        """Takes one step on what stands in `batch`."""
        losses, after = self.network.losses(self.parameters, self.batch, self.state, training=True)
        gradients = torch.autograd.grad(losses.mean(), list(self.parameters.values()))
        norm = self.optimizer.step(dict(zip(self.parameters, gradients, strict=True)))
        with torch.no_grad():
            self.summed += torch.nan_to_num(torch.cat([losses, norm[None]]), 20.0, 20.0)
            for into, values in zip(self.state, after, strict=True):
                into.copy_(torch.nan_to_num(values))

    def capture(self) -> Any:
        """Returns what takes a step: on a GPU the replay of a graph."""
        if self.device == "cpu":
            return self.step
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):  # with a rate of zero
                self.step()
                torch.cuda.synchronize()
                self.say("warming up")
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step()
        for part in (*self.state, *self.optimizer.state, self.summed):
            part.zero_()
        self.graph = graph
        return graph.replay

    @torch.no_grad()
    def evaluate(self) -> tuple[float, float]:
        """Measures perplexity on the held-out text."""
        num_lanes = self.arguments.lanes
        state, total, pieces = self.new_state(num_lanes), torch.zeros(2, device=self.device), 0
        for piece in self.held_out.pieces(num_lanes, self.arguments.steps, lower_share=0.0, seed=None):
            losses, state = self.network.losses(self.parameters, _as_numbers(piece), state, training=False)
            total += losses
            pieces += 1
        forward, backward = torch.exp(total / pieces).tolist()
        self.say(f"held-out perplexity {forward:.1f} forward, {backward:.1f} backward ({pieces} pieces)")
        return forward, backward

    def write(self, facts: dict[str, Any]) -> None:
        """Writes the weights, in files that are not too large, and what is known of them."""
        files: list[dict[str, np.ndarray]] = [{}]
        size = 0
        for name, value in self.parameters.items():
            array = value.detach().cpu().numpy().astype(np.float16)
            if size + array.nbytes > _MOST_BYTES:
                files.append({})
                size = 0
            files[-1][name] = array
            size += array.nbytes
        for number, arrays in enumerate(files):
            np.savez(self.arguments.output / f"weights-{number}.npz", **arrays)
        (self.arguments.output / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")


def _as_numbers(piece: Batch) -> Batch:
    return Batch(piece.inputs.long(), piece.targets.long(), piece.goes_on.float())


if __name__ == "__main__":
    main()

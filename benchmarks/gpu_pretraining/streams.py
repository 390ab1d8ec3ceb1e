"""The text as lanes: sentences in random order, one behind the other, in both reading directions."""

import lzma
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .network import Batch

# Marks of `elmo_cli.bilm.characters`, and of `prepare`.
_SENTENCE_BEGIN, _SENTENCE_END, _TOKEN_BEGIN, _TOKEN_END, _PADDING = 256, 257, 258, 259, 260
_RARE, _WIDTH = 65_535, 50


def read_characters(directory: Path) -> Tensor:
    """Returns how each type is spelled, int16 (types + 2, 50); the last two are the sentence marks."""
    words = lzma.decompress((directory / "words.xz").read_bytes()).split(b"\n")
    characters = np.full((len(words) + 2, _WIDTH), _PADDING, np.int16)
    characters[:, 0] = _TOKEN_BEGIN
    for row, word in enumerate(words):
        spelled = word[: _WIDTH - 2]
        characters[row, 1 : 1 + len(spelled)] = list(spelled)
        characters[row, 1 + len(spelled)] = _TOKEN_END
    characters[-2:, 1] = _SENTENCE_BEGIN, _SENTENCE_END
    characters[-2:, 2] = _TOKEN_END
    return torch.from_numpy(characters)


def read_text(*paths: Path) -> tuple[Tensor, Tensor]:
    """Returns the numbers of all tokens, int32 (N,), and the sentences' lengths, int64 (S,)."""
    streams, all_lengths = [], []
    for path in paths:
        content = lzma.decompress(path.read_bytes())
        num_tokens, num_rare, num_sentences = np.frombuffer(content, "<i8", 3)
        at = 24
        stream = np.frombuffer(content, "<u2", num_tokens, at).astype(np.int32)
        at += 2 * num_tokens
        stream[stream == _RARE] = np.frombuffer(content, "<i4", num_rare, at)
        at += 4 * num_rare
        streams.append(stream)
        all_lengths.append(np.frombuffer(content, "u1", num_sentences, at).astype(np.int64))
    return torch.from_numpy(np.concatenate(streams)), torch.from_numpy(np.concatenate(all_lengths))


class Text:
    """A text on a device.

    Args:
        stream: int32 (N,), types.
        lengths: int64 (S,), tokens of each sentence.
        lower: int32 (types,), each type in lower case.
        targets: int32 (types,), the word that each type is to be predicted as.
        num_types: Types without the two marks.
        device: Where it is kept.
    """

    def __init__(
        self, stream: Tensor, lengths: Tensor, lower: Tensor, targets: Tensor, num_types: int, device: str
    ) -> None:
        self.device = device
        marks = torch.tensor([num_types, num_types + 1], dtype=torch.int32)
        self.begin, self.end = int(marks[0]), int(marks[1])
        self.stream = stream.to(device)
        self.lengths = lengths.to(device)
        self.starts = (lengths.cumsum(0) - lengths).to(device)
        self.lower = torch.cat([lower, marks]).to(device)
        self.targets = torch.cat([targets, torch.tensor([0, 1], dtype=torch.int32)]).to(device)

    def pieces(
        self, num_lanes: int, num_steps: int, *, lower_share: float, seed: int | None
    ) -> Iterator[Batch]:
        """Goes over the text once.

        Args:
            num_lanes: B.
            num_steps: T.
            lower_share: Share of the sentences that are lower-cased.
            seed: Of their order and of which are lower-cased; None leaves all as it is.

        Yields:
            Pieces whose lanes go on from one to the next; what is left at the end is left out.
        """
        inputs, targets, goes_on = [], [], []
        generator = torch.Generator(self.device)
        num_sentences = len(self.lengths)
        order = torch.arange(num_sentences, device=self.device)
        lowered = torch.zeros(num_sentences, dtype=torch.bool, device=self.device)
        if seed is not None:
            generator.manual_seed(seed)
            order = torch.randperm(num_sentences, generator=generator, device=self.device)
            lowered = torch.rand(num_sentences, generator=generator, device=self.device) < lower_share
        lengths, starts = self.lengths[order] + 1, self.starts[order]
        sentence = torch.repeat_interleave(lengths)
        place = torch.arange(len(sentence), device=self.device) - (lengths.cumsum(0) - lengths)[sentence]
        first, length = starts[sentence], lengths[sentence] - 1
        lowered = lowered[sentence]
        per_piece = num_lanes * num_steps
        num_pieces = len(sentence) // per_piece
        for backward in (False, True):
            at = first + (length - 1 - place if backward else place)  # of the token that is predicted
            inside = place < length
            predicted = self.stream[torch.where(inside, at, 0)]
            predicted = torch.where(lowered, self.lower[predicted], predicted)
            begin, end = (self.end, self.begin) if backward else (self.begin, self.end)
            predicted = torch.where(inside, predicted, end)
            read = torch.where(place == 0, begin, predicted.roll(1))
            for into, values in (
                (inputs, read),
                (targets, self.targets[predicted]),
                (goes_on, place != 0),
            ):
                lanes = values[: num_pieces * per_piece].view(num_lanes, num_pieces, num_steps)
                into.append(lanes.permute(1, 2, 0).contiguous())
        del sentence, place, first, length, lowered
        for piece in range(num_pieces):
            yield Batch(
                *(
                    torch.stack([direction[piece] for direction in both])
                    for both in (inputs, targets, goes_on)
                )
            )

"""How well does an ELMo with a softmax beside it predict a text?

    python benchmarks/perplexity.py ELMO ../shared/corpus/{heldout-00,wikitext2-test}.txt.gz

ELMO is what `elmo-pretrain` wrote: options.json, weights.hdf5, softmax.npz. The texts have one tokenised
sentence a line. The softmax is over its whole vocabulary; words outside it count as the unknown word, and
their share is said.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from elmo_cli.bilm.batches import Speller
from elmo_cli.bilm.corpus import pieces, read_sentences
from elmo_cli.bilm.language_model import LanguageModel
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.perplexity import measure_perplexity
from elmo_cli.bilm.softmax import FILE_NAME, Softmax
from elmo_cli.bilm.weights import read_weights
from elmo_cli.workflows.pretraining.model import signature


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("elmo", type=Path)
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--max-tokens", type=int, help="measure on about so many, spread evenly")
    parser.add_argument("--max-sentence-tokens", type=int, default=64, help="longer ones are cut")
    arguments = parser.parse_args()
    options = BiLMOptions.from_json(arguments.elmo / "options.json")
    softmax = Softmax.read(arguments.elmo / FILE_NAME, options.lstm.projection_dim)
    model = LanguageModel(BiLM(options), len(softmax.vocabulary))
    model.build()
    read_weights(model.bilm, arguments.elmo / "weights.hdf5")
    softmax.assign_to(model)
    losses = tf.function(model, input_signature=[signature(sampled=False)])
    speller = Speller(options.char_cnn.max_characters_per_token, options.char_cnn.max_filter_width)
    for path in arguments.texts:
        sentences = [
            piece
            for tokens in read_sentences(path)
            for piece in pieces(tokens, arguments.max_sentence_tokens)
        ]
        perplexity = measure_perplexity(
            losses,
            sentences,
            softmax.vocabulary,
            speller,
            batch_tokens=2560,
            max_tokens=arguments.max_tokens,
        )
        print(f"{path.name}: {perplexity}", flush=True)


if __name__ == "__main__":
    main()

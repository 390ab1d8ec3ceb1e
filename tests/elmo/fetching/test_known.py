"""The table of public ELMos."""

from urllib.parse import urlsplit

import pytest

from elmo_cli.elmo.fetching.known import KNOWN, known_elmo, known_names
from elmo_cli.errors import SourceError


@pytest.mark.parametrize(
    ("handle", "name"),
    [
        ("google/elmo/3", "google/elmo/3"),
        ("google/elmo", "google/elmo/3"),
        ("https://tfhub.dev/google/elmo/2", "google/elmo/2"),
        ("https://tfhub.dev/google/elmo/3/", "google/elmo/3"),
        ("https://www.kaggle.com/models/google/elmo/TensorFlow1/elmo/3", "google/elmo/3"),
        ("https://storage.googleapis.com/tfhub-modules/google/elmo/1.tar.gz", "google/elmo/1"),
        ("allennlp:small", "allennlp:small"),
        ("AllenNLP:Medium", "allennlp:medium"),
        ("allennlp:large", "allennlp:5.5B"),
        ("allennlp:5.5b", "allennlp:5.5B"),
        ("allennlp:portuguese", "allennlp:pt"),
        ("nlpl:212", "nlpl:212"),
        ("NLPL:7", "nlpl:7"),
        ("http://vectors.nlpl.eu/repository/20/217.zip", "nlpl:217"),
    ],
)
def test_names_and_addresses_lead_to_the_model(handle, name):
    assert known_elmo(handle).name == name


@pytest.mark.parametrize(
    "handle", ["", "elmo", "google/elmo/4", "allennlp:", "nlpl:", "nlpl:x", "nlpl:1/../2"]
)
def test_other_handles_are_not_known(handle):
    assert known_elmo(handle) is None


def test_former_addresses_of_a_pair_are_known_too():
    for model in KNOWN:
        for address in model.addresses:
            assert known_elmo(",".join(address)) is model


def test_any_number_of_nlpl_has_addresses():
    assert known_elmo("nlpl:7").addresses[0] == ("https://vectors.nlpl.eu/repository/20/7.zip",)


@pytest.mark.parametrize("handle", ["nlpl:136", "NLPL:144", "nlpl:179"])
def test_another_network_is_refused_before_its_download(handle):
    with pytest.raises(SourceError, match=rf"^ELMo {handle}: this is a model of ELMoForManyLangs"):
        known_elmo(handle)
    assert known_elmo("nlpl:135")
    assert known_elmo("nlpl:180")


def test_names_are_distinct_and_addresses_are_of_the_web():
    names = [*known_names()]
    assert len({name.lower() for name in names}) == len(names)
    for model in KNOWN:
        assert len(set(model.addresses)) == len(model.addresses)
        for url in (url for address in model.addresses for url in address):
            parts = urlsplit(url)
            assert parts.scheme in ("http", "https")
            assert parts.netloc
        # Encrypted addresses are tried first.
        schemes = [urlsplit(address[0]).scheme for address in model.addresses]
        assert schemes == sorted(schemes, reverse=True)


def test_pairs_are_options_and_weights_in_this_order():
    for address in (address for model in KNOWN for address in model.addresses if len(address) > 1):
        options, weights = address
        assert options.endswith("options.json")
        assert weights.endswith(".hdf5")
        assert options.rpartition("/")[0] == weights.rpartition("/")[0]

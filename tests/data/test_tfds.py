"""TensorFlow Datasets, prepared on disk by the test itself."""

import logging
import shutil
import time

import numpy as np
import pytest

from apps.data import group, label, read, text
from apps.errors import UserError

COLUMNS = {"text": text(), "label": label(), "group": group()}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A data set that only its files describe: the class that wrote them is not registered."""
    import tensorflow_datasets as tfds

    with tfds.core.registered.skip_registration():

        class TinyReviews(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                features = {
                    "review": tfds.features.Text(),
                    "label": tfds.features.ClassLabel(names=["negative", "positive"]),
                    "stars": np.int64,
                }
                return tfds.core.DatasetInfo(
                    builder=self, features=tfds.features.FeaturesDict(features)
                )

            def _split_generators(self, _):
                return {
                    "train": self._generate_examples(6, range(6)),
                    "test": self._generate_examples(2, [-1, -1]),
                }

            def _generate_examples(self, count, labels):
                for i, label in zip(range(count), labels, strict=True):
                    yield i, {"review": f"Stück {i}", "label": min(label, label % 2), "stars": i}

    folder = tmp_path_factory.mktemp("tfds")
    tfds.disable_progress_bar()
    TinyReviews(data_dir=folder).download_and_prepare()
    tfds.enable_progress_bar()
    return folder


@pytest.fixture
def data_dir(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    return prepared


def refused(source):
    with pytest.raises(UserError) as error:
        read(source, COLUMNS, rename={"text": "review"})
    assert source in str(error.value)
    return str(error.value)


def test_class_numbers_become_names(data_dir):
    examples = read("tfds:tiny_reviews", COLUMNS, rename={"text": "review"})
    pairs = set(zip(examples["text"], examples["label"], strict=True))
    assert pairs == {(f"Stück {i}", ("negative", "positive")[i % 2]) for i in range(6)}
    assert examples.places[0] == "tfds:tiny_reviews row 1"


def test_other_features_can_be_the_label(data_dir):
    rename = {"text": "review", "label": "stars"}
    examples = read("tfds:tiny_reviews:train[:50%]", COLUMNS, rename=rename)
    assert [f"Stück {label}" for label in examples["label"]] == examples["text"]
    assert len(examples) == 3


def test_reading_twice_gives_the_same_order(data_dir):
    once, again = (read("tfds:tiny_reviews", COLUMNS, rename={"text": "review"}) for _ in "12")
    assert once == again


def test_a_split_without_answers(data_dir):
    assert "the label is empty (2 of 2 rows)" in refused("tfds:tiny_reviews:test")


def test_a_missing_feature(data_dir):
    with pytest.raises(UserError, match=r"no column 'text'; its columns are .*'review'"):
        read("tfds:tiny_reviews", COLUMNS)


def test_an_unknown_split(data_dir):
    message = refused("tfds:tiny_reviews:dev")
    assert "there is no split 'dev'; its splits are 'train', 'test'" in message


def test_an_unknown_data_set(data_dir):
    message = refused("tfds:imdb_review")
    assert (
        f"TFDS has no data set 'imdb_review' and none of that name is prepared in {data_dir}"
        in message
    )
    assert "did you mean tfds:imdb_reviews?" in message


def test_an_unknown_config(data_dir):
    assert "its configs are 'plain_text'" in refused("tfds:imdb_reviews/nope")


@pytest.mark.parametrize("source", ["tfds:", "tfds:a/b/c", "tfds:../x"])
def test_a_malformed_name(data_dir, source):
    assert "write tfds:NAME[/config][:split]" in refused(source)


def test_a_data_set_that_cannot_be_downloaded_fails_fast_and_quietly(data_dir, monkeypatch, capfd):
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    start = time.monotonic()
    message = refused("tfds:imdb_reviews")
    assert time.monotonic() - start < 15
    assert f"is not prepared in {data_dir} and preparing it failed" in message
    assert "tfds.load('imdb_reviews')" in message
    assert "TFDS_DATA_DIR" in message
    assert capfd.readouterr() == ("", "")
    assert logging.root.manager.disable == 0


def test_damaged_files(data_dir, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(data_dir, copy)
    (record,) = copy.glob("tiny_reviews/1.0.0/*train.tfrecord*")
    record.write_bytes(record.read_bytes()[:-20])
    monkeypatch.setenv("TFDS_DATA_DIR", str(copy))
    message = refused("tfds:tiny_reviews")
    assert f"the files in {copy}/tiny_reviews/1.0.0 cannot be read (DataLossError)" in message

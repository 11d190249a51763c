"""Telling sources apart, and paths that cannot be read."""

import subprocess
import sys

import pytest

from apps.data import Examples, files, group, label, read, text
from apps.errors import UserError

COLUMNS = {"text": text(), "label": label(), "group": group()}


def test_the_sample_is_made_from_the_seed():
    def sample(seed):
        return Examples({"text": [f"seed {seed}"], "label": ["x"]}, ["sample row 1"], "sample")

    assert read("sample", COLUMNS, sample=sample, seed=7)["text"] == ["seed 7"]


def test_an_application_without_a_sample_asks_for_a_file():
    with pytest.raises(UserError, match="no built-in sample; name a file: --data FILE"):
        read("sample", COLUMNS)


def test_a_missing_file_with_the_nearest_name(tmp_path):
    (tmp_path / "reviews.csv").write_text("text,label\n")
    with pytest.raises(UserError) as error:
        read(tmp_path / "review.csv", COLUMNS)
    assert str(error.value) == (
        f"{tmp_path}/review.csv: no such file or folder; did you mean {tmp_path}/reviews.csv?"
    )


def test_a_missing_folder(tmp_path):
    with pytest.raises(UserError, match=r"nowhere/a\.csv: no such file, nor is there a folder"):
        read(tmp_path / "nowhere" / "a.csv", COLUMNS)


@pytest.mark.parametrize("name", ["reviews.xlsx", "reviews", "reviews.gz", "reviews.data"])
def test_an_unknown_suffix(tmp_path, name):
    (tmp_path / name).write_text("text,label\n")
    with pytest.raises(UserError) as error:
        read(tmp_path / name, COLUMNS)
    assert str(error.value) == (
        f"{tmp_path}/{name} is none of .csv, .tsv, .tab, .jsonl, .ndjson, .json, .txt (each also "
        ".gz); convert it, "
        "or name a folder per class"
    )


def test_an_empty_name():
    with pytest.raises(UserError, match="the name of the data source is empty"):
        read("", COLUMNS)


def test_a_folder_where_a_file_is_expected(tmp_path):
    (tmp_path / "reviews.csv").mkdir()
    with pytest.raises(UserError, match=r"reviews\.csv is a folder where a file is expected"):
        read(tmp_path / "reviews.csv", COLUMNS)


def test_permission_denied(tmp_path, monkeypatch):
    path = tmp_path / "my reviews.csv"
    path.write_text("text,label\na,1\n")

    # The superuser may read everything, so the refusal has to be acted out.
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "open", refuse, raising=False)
    with pytest.raises(UserError) as error:
        read(path, COLUMNS)
    assert str(error.value) == (f"{path}: permission denied; allow reading: chmod u+rX '{path}'")


def test_other_failures_of_the_operating_system(tmp_path):
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)
    with pytest.raises(UserError, match=r"loop\.csv cannot be read: "):
        read(loop, COLUMNS)


def test_importing_the_package_and_reading_a_file_take_neither_tensorflow_nor_pandas(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\na,1\n")
    program = (
        "import sys; from apps.data import read, text; "
        f"read({str(path)!r}, {{'text': text()}}); "
        "print({'tensorflow', 'pandas', 'tensorflow_datasets'} & set(sys.modules))"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "set()"

"""A folder per class."""

import pytest

from apps.data import group, label, read, text
from apps.errors import UserError

COLUMNS = {"text": text(), "label": label(), "group": group()}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "reviews"
    for name, content in [("pos/2", "gut\nso"), ("pos/10", ""), ("neg/1", "\ufeffschlecht ☹")]:
        file = root / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    return root


def refused(path):
    with pytest.raises(UserError) as error:
        read(path, COLUMNS)
    return str(error.value).replace(str(path.parent) + "/", "")


def test_texts_labels_and_places(folder):
    (folder / ".cache").mkdir()
    (folder / "README.md").write_text("not a class")
    (folder / "pos" / "notes.md").write_text("not a text")
    examples = read(folder, COLUMNS)
    assert dict(examples.columns) == {
        "text": ["schlecht ☹", "", "gut\nso"],
        "label": ["neg", "pos", "pos"],
    }
    assert examples.places == [
        str(folder / name) for name in ("neg/1.txt", "pos/10.txt", "pos/2.txt")
    ]


def test_names_from_another_source_do_not_concern_a_folder(folder):
    assert len(read(str(folder), COLUMNS, rename={"text": "review"})) == 3


def test_a_folder_without_classes(tmp_path):
    empty = tmp_path / "reviews"
    empty.mkdir()
    (empty / "loose.txt").write_text("a")
    assert refused(empty) == (
        "reviews has no folder per class; put the texts into reviews/CLASS/*.txt"
    )


def test_a_class_without_texts(folder):
    (folder / "neutral").mkdir()
    message = refused(folder)
    assert message.startswith("reviews/neutral has no texts (.txt); put the texts into")
    assert message.endswith("or remove the folder")


def test_classes_one_level_further_down(folder):
    above = folder.parent / "all"
    above.mkdir()
    folder.rename(above / "train")
    message = refused(above)
    assert message == (
        "all/train holds classes of its own ('neg', 'pos'); name that folder: --data all/train"
    )


def test_a_text_that_is_not_utf8(folder):
    (folder / "pos" / "3.txt").write_bytes(b"ol\xe9")
    message = refused(folder)
    assert message.startswith("reviews/pos/3.txt: byte 0xe9 at position 2 is not UTF-8")
    assert "iconv -f cp1252" in message


def test_a_folder_where_a_text_is_expected(folder):
    (folder / "pos" / "9.txt").mkdir()
    assert refused(folder) == (
        "reviews/pos/9.txt is a folder where a file is expected; name a file"
    )


def test_columns_that_a_folder_cannot_give(folder):
    columns = {**COLUMNS, "group": group(required=True)}
    with pytest.raises(UserError, match=r"a folder per class has no 'group'; give a \.csv file"):
        read(folder, columns)

"""JSON lines."""

import gzip
import json
from typing import Any

import pytest

from apps.data import group, label, read, text
from apps.errors import UserError

COLUMNS = {"text": text(), "label": label(), "group": group()}


def write(tmp_path, content, name="reviews.jsonl"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path):
    with pytest.raises(UserError) as error:
        read(path, COLUMNS)
    assert "\n" not in str(error.value)
    return str(error.value).replace(str(path), path.name)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_round_trip(tmp_path, end, compress, mark, ascii_only):
    rows: list[dict[str, Any]] = [
        {"text": "zwei\nZeilen \u2028 🙂", "label": 1},
        {"label": "b ", "text": ""},
    ]
    lines = [json.dumps(row, ensure_ascii=ascii_only) + end for row in rows]
    content = mark + "".join([lines[0], end, lines[1]]).encode()
    path = write(tmp_path, gzip.compress(content) if compress else content)
    examples = read(path, COLUMNS)
    assert examples["text"] == [row["text"] for row in rows]
    assert examples["label"] == ["1", "b"]
    assert examples.places == [f"{path} row 1", f"{path} row 2"]


def test_keys_may_differ_in_case_and_order_from_row_to_row(tmp_path):
    path = write(tmp_path, '{"text": "a", "label": 1}\n{"Label": 0, "Text": "b", "more": []}\n')
    assert dict(read(path, COLUMNS).columns) == {"text": ["a", "b"], "label": ["1", "0"]}


def test_a_row_that_lacks_a_column(tmp_path):
    message = refused(write(tmp_path, '{"text": "a", "label": 1}\n{"label": 1}\n'))
    assert message.startswith("reviews.jsonl row 2 has no column 'text'; its columns are 'label'")
    assert "--columns text=NAME" in message


def test_a_group_that_only_some_rows_have(tmp_path):
    rows = '{"text": "a", "label": 1, "group": "g"}\n{"text": "a", "label": 1}\n'
    message = refused(write(tmp_path, rows))
    assert message.startswith("reviews.jsonl row 2: the group is empty (1 of 2 rows)")


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ('{"text": "a", "label": 1', "is not valid JSON"),
        ("text,label", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ('["a", 1]', "is a JSON list, not an object"),
    ],
)
def test_lines_that_are_not_objects(tmp_path, line, part):
    message = refused(write(tmp_path, '\n{"text": "a", "label": 1}\n' + line + "\n"))
    assert message.startswith("reviews.jsonl row 2 (line 3) " + part)
    assert "write one object a line" in message


def test_an_empty_file(tmp_path):
    assert refused(write(tmp_path, "\n")) == "reviews.jsonl has no rows; give at least one"


def test_bytes_that_are_not_utf8(tmp_path):
    message = refused(write(tmp_path, b'{"text": "caf\xe9", "label": 1}\n'))
    assert message.startswith("reviews.jsonl row 1: byte 0xe9 at position 13 is not UTF-8")
    assert "iconv -f cp1252 -t utf-8 < reviews.jsonl > " in message


def test_half_a_surrogate_pair(tmp_path):
    message = refused(write(tmp_path, '{"text": "\\ud83d", "label": 1}\n'))
    assert message.startswith("reviews.jsonl row 1: the text has half of a surrogate pair")


ROWS = [{"text": "a", "label": 1}, {"text": "zwei\nZeilen \u2028", "label": 0}]
DOCUMENTS = {
    "array": json.dumps(ROWS),
    "array over lines": json.dumps(ROWS, indent=2),
    "array in an object": json.dumps({"data": ROWS}, indent=2),
    "columns": json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]}),
    "columns of pandas": json.dumps(
        {name: {str(i): row[name] for i, row in enumerate(ROWS)} for name in ROWS[0]}
    ),
    "lines": "\n".join(map(json.dumps, ROWS)),
    "blank lines": "\n\n" + "\n\n".join(map(json.dumps, ROWS)) + "\n\n",
}


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".ndjson", ".json.gz"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_documents_and_lines_under_any_name(tmp_path, document, suffix, mark):
    content = mark + DOCUMENTS[document].encode()
    path = write(tmp_path, content, f"reviews{suffix}")
    examples = read(path, COLUMNS)
    assert examples["text"] == [row["text"] for row in ROWS]
    assert examples["label"] == ["1", "0"]
    assert examples.places == [f"{path} row 1", f"{path} row 2"]


def test_a_single_object(tmp_path):
    assert len(read(write(tmp_path, json.dumps(ROWS[0], indent=1), "one.json"), COLUMNS)) == 1


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ('[{"text": "a", "label": 1},]', "reviews.jsonl is not valid JSON"),
        ('[{"text": "a", "label": 1}, 5]', "reviews.jsonl row 2 is a JSON int, not an object"),
        ('[{"text": "a"}]', "reviews.jsonl row 1 has no column 'label'"),
        ('[{"text": "a", "text": "b", "label": 1}]', "row 1: the key 'text' is there twice"),
        ("[]", "reviews.jsonl has no rows"),
        ('{"a": {"b": 1}, "c": 5}', "row 1 has no column 'text'; its columns are 'a', 'c'"),
        ('[{"text": "a", "label": "\u00e9"}]'.encode("latin1"), "not UTF-8; convert the file"),
    ],
)
def test_documents_that_are_no_tables(tmp_path, content, part):
    assert part in refused(write(tmp_path, content))

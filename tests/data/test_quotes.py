"""Quotes in tables: where they enclose texts, where they are characters, and what is said."""

import csv
import io

import pytest

from apps.data import label, read, text
from apps.errors import UserError

COLUMNS = {"text": text(), "label": label()}
TEXTS = ["awful breakfast", '"clean and cheap', "it said:", 'would come back any day"', "fine"]


def write(tmp_path, content, name="reviews.csv"):
    path = tmp_path / name
    path.write_bytes(content.encode())
    return path


def rows(path):
    examples = read(path, COLUMNS)
    return list(zip(examples["text"], examples["label"], strict=True))


@pytest.mark.parametrize(("mark", "name"), [("\t", "a.tsv"), (";", "a.csv"), (",", "a.csv")])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("label_first", [False, True])
def test_a_table_that_never_quotes(tmp_path, capsys, mark, name, end, label_first):
    """Quotes that pair up over lines would join them without an error."""
    cells = [(str(i % 2), one) if label_first else (one, str(i % 2)) for i, one in enumerate(TEXTS)]
    header = ("label", "text") if label_first else ("text", "label")
    path = write(tmp_path, end.join(map(mark.join, [header, *cells])) + end, name)
    assert [text for text, _ in rows(path)] == TEXTS
    said = capsys.readouterr().err
    assert "quotes are read as characters of the texts, since" in said
    assert said.count("\n") == 1


def test_columns_behind_the_text(tmp_path):
    lines = [f"p{i}\t{one}\t\t2\ten\t" for i, one in enumerate(TEXTS)]
    path = write(tmp_path, "\n".join(["path\ttext\tage\tlabel\tlocale\tsegment", *lines]), "a.tsv")
    assert [text for text, _ in rows(path)] == TEXTS


@pytest.mark.parametrize(
    "row", ['"never closed,1\nmore,0\n', '"closed" too early,1\n', 'size 5\' 2","1\n']
)
def test_quotes_that_do_not_pair_up(tmp_path, capsys, row):
    path = write(tmp_path, f"text,label\ngood,1\n{row}")
    assert rows(path)[1] == tuple(row.split("\n")[0].rsplit(",", 1))
    assert "since they do not pair up" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows_before", "row", "line"),
    [
        ('"yes, closed",1\n', '"never closed,1\nmore,0\n', 3),
        ('"a ""b""",0\n"c",1\n', '"never closed,1\nmore,0\n', 4),
        ("", '"no, never closed,1\nmore,0\n', 2),
    ],
)
def test_a_quote_that_is_not_closed_in_a_table_that_quotes(tmp_path, rows_before, row, line):
    path = write(tmp_path, f"text,label\n{rows_before}{row}")
    with pytest.raises(UserError, match=rf"row {line - 1} \(line {line}\): a quote is not closed"):
        rows(path)


@pytest.mark.parametrize("mark", [",", "\t", ";"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
def test_what_writers_quote(tmp_path, capsys, mark, quoting):
    """As pandas and spreadsheets write it: separators, line ends and quotes within texts."""
    texts = ["two\nlines", "a\tb, c; d", 'he said "no"', '"', "a, b\nc, d", "plain", 'end"', ""]
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=mark, quoting=quoting, lineterminator="\n")
    writer.writerow(["text", "label"])
    writer.writerows([one, i % 2] for i, one in enumerate(texts))
    path = write(tmp_path, buffer.getvalue(), "a.tsv" if mark == "\t" else "a.csv")
    assert [text for text, _ in rows(path)] == texts
    assert capsys.readouterr().err == ""


def test_a_single_text_of_two_lines_with_as_many_commas_as_the_header(tmp_path):
    path = write(tmp_path, 'label,text\n1,"one, two\nthree, four"\n0,plain\n')
    assert rows(path) == [("one, two\nthree, four", "1"), ("plain", "0")]


def test_quotes_escaped_with_a_backslash(tmp_path, capsys):
    lines = ['"he said \\"no\\", then left",1', '"end with \\"",0', "plain,1"]
    assert rows(write(tmp_path, "\n".join(["text,label", *lines]))) == [
        ('he said "no", then left', "1"),
        ('end with "', "0"),
        ("plain", "1"),
    ]
    assert 'escaped as \\"' in capsys.readouterr().err


def test_rows_that_a_quote_joins_are_named(tmp_path):
    path = write(tmp_path, 'text,label\n"a, b",1\n"c,0\nd,0\ne",1,2\n')
    with pytest.raises(UserError, match=r"row 2 \(lines 3 to 5\) has 3 fields.*a quote joins"):
        rows(path)


def test_a_separator_behind_every_row(tmp_path):
    assert rows(write(tmp_path, "text,label\na,1,\nb,0,\n")) == [("a", "1"), ("b", "0")]
    with pytest.raises(UserError, match=r"row 2 \(line 3\) has 4 fields"):
        rows(write(tmp_path, "text,label\na,1,\nb,c,0,\n"))
    with pytest.raises(UserError, match=r"row 2 \(line 3\) has 3 fields"):
        rows(write(tmp_path, "text,label\na,1\nno, never,\n"))


@pytest.mark.parametrize("line", ["sep=;\n", '"sep=;"\r\n', "\ufeffsep=;\n"])
def test_a_line_that_tells_spreadsheets_the_separator(tmp_path, capsys, line):
    path = write(tmp_path, f"{line}label;text\n1;a, b\n0;'c\n")
    assert rows(path) == [("a, b", "1"), ("'c", "0")]
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match=r"row 1 \(line 3\) has 3 fields"):
        rows(write(tmp_path, f"{line}label;text\n1;a;b\n"))


def test_zero_bytes_behind_the_last_row(tmp_path):
    with pytest.raises(UserError, match="row 2: a zero byte, which no text has"):
        rows(write(tmp_path, "text,label\na,1\n" + "\0" * 99))


def test_lines_that_are_no_rows_are_counted(tmp_path, capsys):
    path = write(tmp_path, "text,label\na,1\n\n  \nb,0\ntext,label\nc,1\n\n")
    assert [text for text, _ in rows(path)] == ["a", "b", "c"]
    said = capsys.readouterr().err
    assert "2 lines passed over, blank: line '3', '4'" in said
    assert "1 line passed over, the header once more: line '6'" in said


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_end_at_line_feeds_only(tmp_path, end):
    texts = ["a\u2028b", "c\u0085d", "e\x0bf\x0cg\x1ch\x1d\x1e", "i\u2029j"]
    lines = [f"{one},{i % 2}" for i, one in enumerate(texts)]
    examples = read(write(tmp_path, end.join(["text,label", *lines])), COLUMNS)
    assert examples["text"] == texts
    assert examples["label"] == ["0", "1", "0", "1"]


def test_tables_put_one_after_another(tmp_path):
    path = write(tmp_path, "\ufefftext,label\na,1\n\ufefftext,label\n\ufeffb,0\n")
    assert rows(path) == [("a", "1"), ("b", "0")]


def test_a_tsv_that_is_a_csv(tmp_path):
    assert rows(write(tmp_path, "text,label\na\tb,1\n", "a.tsv")) == [("a\tb", "1")]
    assert rows(write(tmp_path, "id|note, more|text|label\n1|x|a|1\n")) == [("a", "1")]

"""CSV and TSV: dialects, compression, encodings, and each way in which a table can be broken."""

import csv
import gzip
import io

import pytest

from apps.data import group, label, read, text
from apps.errors import UserError

COLUMNS = {"text": text(), "label": label(), "group": group()}
AWKWARD = ['a "quoted" word', "two\nlines", "comma, semicolon; tab\t.", "äöü 漢字 🙂", " ", ""]


def write(tmp_path, content, name="reviews.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path, **arguments):
    with pytest.raises(UserError) as error:
        read(path, COLUMNS, **arguments)
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    return message.replace(str(path), path.name)


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_round_trip(tmp_path, suffix, end, compress, mark):
    buffer = io.StringIO()
    delimiter = "\t" if suffix == ".tsv" else ","
    writer = csv.writer(buffer, csv.unix_dialect, delimiter=delimiter, lineterminator=end)
    writer.writerow(["label", "text"])
    writer.writerows([i, text] for i, text in enumerate(AWKWARD))
    content = mark + buffer.getvalue().encode()
    name = f"reviews{suffix}.gz" if compress else f"reviews{suffix}"
    path = write(tmp_path, gzip.compress(content) if compress else content, name)
    examples = read(str(path), COLUMNS)
    assert examples["text"] == AWKWARD
    assert examples["label"] == ["0", "1", "2", "3", "4", "5"]
    assert examples.places[4] == f"{path} row 5"
    assert examples.source == str(path)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_of_a_csv_is_sniffed(tmp_path, separator):
    rows = [["text", "label"], ["a", "x"]]
    path = write(tmp_path, "\n".join(map(separator.join, rows)))
    assert dict(read(path, COLUMNS).columns) == {"text": ["a"], "label": ["x"]}


def test_gzip_is_told_by_its_content_and_suffixes_in_any_case(tmp_path):
    content = b"text,label\na,x\n"
    assert len(read(write(tmp_path, gzip.compress(content)), COLUMNS)) == 1
    assert len(read(write(tmp_path, content, "plain.CSV.GZ"), COLUMNS)) == 1


def test_blank_lines_are_passed_over_and_not_counted(tmp_path):
    path = write(tmp_path, "\n\ntext;label\n\na;x\n\n\nb;y\n")
    assert read(path, COLUMNS).places == [f"{path} row 1", f"{path} row 2"]


def test_a_tsv_that_never_quotes_keeps_its_quotes(tmp_path):
    path = write(tmp_path, 'text\tlabel\n"Great" she said\t1\n"open\t0\n', "corpus.tsv")
    assert read(path, COLUMNS)["text"] == ['"Great" she said', '"open']


def test_columns_that_nobody_asked_for_may_hold_anything(tmp_path):
    path = write(tmp_path, b"text,note,label,\na,\xe9,x,\n")
    assert dict(read(path, COLUMNS).columns) == {"text": ["a"], "label": ["x"]}


def test_a_field_may_be_longer_than_the_csv_module_allows_and_its_limit_is_kept(tmp_path):
    before = csv.field_size_limit()
    long = "x" * (before + 1)
    assert read(write(tmp_path, f"text,label\n{long},1\n"), COLUMNS)["text"] == [long]
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("content", [b"", b"\n\n", gzip.compress(b"", mtime=0)])
def test_an_empty_file(tmp_path, content):
    message = refused(write(tmp_path, content))
    assert message == "reviews.csv is empty; name the columns 'text', 'label' in its first row"


def test_a_header_without_rows(tmp_path):
    message = refused(write(tmp_path, "text,label\n"))
    assert message == "reviews.csv has no rows; give at least one"


def test_a_row_with_too_many_fields(tmp_path):
    message = refused(write(tmp_path, 'text,label\n"a\nb",1\nno, never,0\n'))
    assert message == (
        "reviews.csv row 2 (line 4) has 3 fields, the header only 2; "
        "put quotes around a text that holds a comma"
    )


def test_a_row_with_too_few_fields(tmp_path):
    message = refused(write(tmp_path, "text;label\na;1\nb\n"))
    assert message == (
        "reviews.csv row 2 (line 3) has only 1 of 2 fields; complete the row, or remove it"
    )


def test_bytes_that_are_not_utf8_in_a_header(tmp_path):
    message = refused(write(tmp_path, b"text,label,caf\xe9\na,1,2\n"))
    assert message.startswith("reviews.csv header: byte 0xe9 at position 3 is not UTF-8")


def test_the_conversion_of_a_compressed_file_unpacks_it_first(tmp_path):
    path = write(tmp_path, gzip.compress(b"text,label\n\xe9,1\n"), "r s.csv.gz")
    message = refused(path)
    assert "gunzip -c < 'r s.csv.gz' | iconv -f cp1252 -t utf-8 > " in message.replace(
        str(path), path.name
    )


@pytest.mark.parametrize("damage", [lambda raw: raw[:-9], lambda raw: raw[:15] + b"\0" * 9])
def test_damaged_gzip(tmp_path, damage):
    content = gzip.compress(b"text,label\n" + b"".join(b"%d,x\n" % i for i in range(999)))
    message = refused(write(tmp_path, damage(content), "reviews.csv.gz"))
    assert "is a damaged gzip file" in message
    assert "download it again" in message

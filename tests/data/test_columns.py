"""Column names: renaming, difference in case, and what may be missing."""

import pytest

from apps.data import group, label, parse_rename, read, text
from apps.errors import UserError

COLUMNS = {"text": text(), "label": label(), "group": group()}


def test_parse_rename_reads_pairs_and_ignores_spaces():
    assert parse_rename("text=review, label = stars", COLUMNS) == {
        "text": "review",
        "label": "stars",
    }


def test_columns_may_change_places():
    swap = parse_rename("text=label,label=text", COLUMNS)
    examples = read([{"text": "x", "label": "good"}], COLUMNS, rename=swap)
    assert dict(examples.columns) == {"text": ["good"], "label": ["x"]}


def test_a_name_in_the_source_may_hold_an_equals_sign():
    assert parse_rename("text=a=b", COLUMNS) == {"text": "a=b"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("text", ["'text' is not COLUMN=NAME", "--columns text=NAME"]),
        ("text=", ["'text=' is not COLUMN=NAME"]),
        ("", ["'' is not COLUMN=NAME"]),
        ("txt=review", ["no column 'txt'", "did you mean 'text'?"]),
        ("text=a,text=b", ["'text' is given twice"]),
        ("text=a,label=a", ["'text', 'label' would both be read from 'a'"]),
        ("text=label", ["'text', 'label' would both be read from 'label'"]),
    ],
)
def test_a_malformed_rename_is_refused(text, parts):
    with pytest.raises(UserError) as error:
        parse_rename(text, COLUMNS)
    for part in ["--columns", *parts]:
        assert part in str(error.value)


def test_rename_in_python_refuses_unknown_columns():
    with pytest.raises(UserError, match=r"no column 'lable' to rename; did you mean 'label'\?"):
        read([("good", 1)], COLUMNS, rename={"lable": "stars"})


def test_columns_are_found_under_other_names_and_in_other_case(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("ID,Review,STARS\n1,fine,5\n")
    examples = read(path, COLUMNS, rename={"text": "review", "label": "Stars"})
    assert dict(examples.columns) == {"text": ["fine"], "label": ["5"]}


def test_the_exact_name_goes_before_one_in_other_case(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("Text,text,label\nwrong,right,1\n")
    assert read(path, COLUMNS)["text"] == ["right"]


@pytest.mark.parametrize("name", ["R\u00e9sum\u00e9", "Re\u0301sume\u0301"])
@pytest.mark.parametrize("form", ["csv", "jsonl", "rows", "columns"])
def test_names_may_be_composed_in_different_ways(tmp_path, name, form):
    source = {"rows": [{name: "fine", "label": 1}], "columns": {name: ["fine"], "label": [1]}}
    path = tmp_path / f"reviews.{form}"
    path.write_text(
        f"{name},label\nfine,1\n" if form == "csv" else f'{{"{name}": "fine", "label": 1}}'
    )
    rename = parse_rename("text=re\u0301sum\u00e9", COLUMNS)
    assert read(source.get(form, path), COLUMNS, rename=rename)["text"] == ["fine"]


@pytest.mark.parametrize(
    "line", ["what an awful long breakfast,0", "good,1", "a.txt,x", "no,-1.5", "never;once;2"]
)
def test_a_first_row_of_data_instead_of_a_header(tmp_path, line):
    path = tmp_path / "reviews.csv"
    path.write_text(f"{line}\n{line}\n")
    with pytest.raises(UserError, match="if that is a row of data, put a row of names above it"):
        read(path, COLUMNS)


def test_names_that_differ_in_case_only_are_refused(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("Text,TEXT,label\na,b,1\n")
    with pytest.raises(UserError, match=r"reviews\.csv: 'Text', 'TEXT' could .* --columns text=Te"):
        read(path, COLUMNS)


def test_a_missing_column_is_reported_with_those_there_are(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("review,stars\na,1\n")
    with pytest.raises(UserError) as error:
        read(path, COLUMNS)
    assert str(error.value) == (
        f"{path} has no column 'text'; its columns are 'review', 'stars'; "
        "say which one holds the text: --columns text=NAME"
    )


def test_the_remedy_speaks_of_arguments_where_the_source_is_in_python():
    with pytest.raises(UserError, match=r"list row 1 has no column 'label'.*columns=\{'label': "):
        read([{"text": "a", "stars": 1}], COLUMNS)


def test_a_label_may_be_missing_where_it_is_optional(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("text\na\n")
    assert "label" not in read(path, COLUMNS, optional=("label",))
    path.write_text("text,label\na,1\nb,\n")
    assert "label" not in read(path, COLUMNS, optional=("label",))
    path.write_text("text,label\na,1\n")
    assert read(path, COLUMNS, optional=("label",))["label"] == ["1"]


def test_a_group_that_was_named_must_be_there(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("text,label,patient\na,1,p1\n")
    assert read(path, COLUMNS, rename={"group": "patient"})["group"] == ["p1"]
    assert "group" not in read(path, COLUMNS)
    with pytest.raises(UserError, match="no column 'speaker'"):
        read(path, COLUMNS, rename={"group": "speaker"})


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.jsonl", "frame", "dict"])
def test_a_name_that_is_there_twice(tmp_path, name):
    source = tmp_path / name
    if name == "frame":
        pandas = pytest.importorskip("pandas")
        source = pandas.DataFrame([["a", "b", 1]], columns=["text", "text", "label"])
    elif name == "dict":
        source = {"text": ["a"], 1: ["b"], "1": ["c"], "label": [1]}
    elif name == "rows.jsonl":
        source.write_text('{"text": "a", "text": "b", "label": 1}\n')
    else:
        mark = "," if name == "rows.csv" else "\t"
        source.write_text(mark.join(["text", "text", "label"]) + "\n" + mark.join("ab1"))
    with pytest.raises(UserError, match=r"'(text|1)' is there twice; rename one of them"):
        read(source, COLUMNS)

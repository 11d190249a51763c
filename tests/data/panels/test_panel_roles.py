"""Roles of columns: targets, ids, covariates, and what a model asks of later tables."""

from __future__ import annotations

import json

import numpy as np
import pytest
from panel_tables import Told, made, refused, table

from apps.data.panels.series import Channels

LONG = [
    f"2020-01-{day + 1:02},{shop},{day * n % 5 + n}"
    for n, shop in enumerate("abc")
    for day in range(4)
]
COVARIATES = table(
    "date,y,promo,kind,region",
    *(
        f"2020-01-{day + 1:02},{day if day < 6 else ''},{day % 2},{'ab'[day % 2]},north"
        for day in range(9)
    ),
)
ROLES = {"target": "y", "future": "promo+kind", "static": "region"}


def test_without_roles_numbers_are_targets(told: Told) -> None:
    text = table(",date,x,note,c,e,y", "0,2020-01-01,1,hm,5,,3", "1,2020-01-02,2,so,5,,9")
    _, channels = made(text)
    assert channels.targets == ("x", "y")
    for words in ("'c' is always 5", "'e' is empty", "texts, not used: 'note'", "counts rows"):
        assert words in told.text


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["date,c", "2020-01-01,5", "2020-01-02,5"], ["'c' is always 5", "--columns target=NAME"]),
        (["date,c", "2020-01-01,a", "2020-01-02,b"], ["no column of numbers", "'c'"]),
        (["date,x", "2020-01-01,1", "2020-01-02,", "2020-01-03,oops"], ["row 3", "'x'", "'oops'"]),
        (["date,x", "2020-01-01,1", "2020-01-02,-inf"], ["row 2", "'x'", "infinite"]),
        (["date,x", "2020-01-01,3%", "2020-01-02,4"], ["'x'", "percents"]),
    ],
)
def test_targets_that_are_none(lines: list[str], words: list[str]) -> None:
    message = refused(table(*lines))
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("name", ["shop", "anything", "store"])
def test_times_that_repeat_need_an_id(name: str, told: Told) -> None:
    series, channels = made(table(f"date,{name},x", *LONG))
    assert channels.id == (name,)
    assert [one.name for one in series] == ["a", "b", "c"]
    assert series[1].lines.tolist() == [5, 6, 7, 8]
    assert series[1].place(2) == series[1].source + ", series 'b', row 7"
    assert f"'{name}' names the series" in told.text


def test_ids_of_numbers_by_name_or_by_role(told: Told) -> None:
    numbers = [row.translate(str.maketrans("abc", "123")) for row in LONG]
    for name, roles in (("store", {}), ("anything", {"id": "anything"})):
        series, channels = made(table(f"date,{name},x", *numbers), roles=roles)
        assert [one.name for one in series] == ["1", "2", "3"]
        assert channels.targets == ("x",)


def test_several_columns_may_name_the_series(told: Told) -> None:
    rows = [
        f"2020-01-{day + 1:02},{a},{b},{day * a + b}"
        for a in (1, 2)
        for b in (3, 4)
        for day in range(4)
    ]
    series, channels = made(table("date,store,item,x", *rows))
    assert channels.id == ("store", "item")
    assert [one.name for one in series] == ["1/3", "1/4", "2/3", "2/4"]
    letters = [row.replace(",1,", ",p,").replace(",2,", ",q,") for row in rows]
    letters = [row.replace(",3,", ",u,").replace(",4,", ",v,") for row in letters]
    assert "--columns id=foo+bar" in refused(table("date,foo,bar,x", *letters))
    counted = [row.replace(",3,", ",30,") for row in rows]
    assert "--columns id=alpha+beta" in refused(table("date,alpha,beta,x", *counted))
    twins = [f"2020-01-0{day + 1},{one},{one * 2},{day}" for one in "pq" for day in range(4)]
    message = refused(table("date,foo,bar,x", *twins))
    assert "'foo', 'bar'" in message
    assert "--columns id=foo" in message
    gap = [LONG[0].replace(",a,", ",,"), *LONG[1:]]
    assert "row 1" in refused(table("date,shop,x", *gap), roles={"id": "shop"})


def test_covariates(told: Told) -> None:
    series, channels = made(COVARIATES, roles=ROLES)
    (one,) = series
    assert channels.future == ("promo", "kind=a", "kind=b")
    assert channels.categories == {"kind": ("a", "b"), "region": ("north",)}
    assert (one.end, len(one.times), one.last) == (6, 9, 6)
    assert one.future[7].tolist() == [1, 0, 1]
    assert one.static.tolist() == [1]
    assert Channels.from_dict(json.loads(json.dumps(channels.to_dict()))) == channels


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (",1,b,north", ",,b,north", ["row 2", "'promo'"]),
        ("2020-01-08,,1", "2020-01-08,,", ["row 8", "'promo'", "behind the last target"]),
        ("2020-01-03,2,0,a,north", "2020-01-03,2,0,a,south", ["rows 1 and 3", "'region'"]),
    ],
)
def test_covariates_with_holes(before: str, after: str, words: list[str], told: Told) -> None:
    """Behind the last target nothing fills them; before it they are filled and said."""
    text = COVARIATES.replace(before, after)
    if words[0] == "row 2":
        text = text.replace("2020-01-08,,,b", "2020-01-08,,1,b")
        made(text, roles=ROLES)
        message = told.text
    else:
        message = refused(text, roles=ROLES)
    assert [word for word in words if word not in message] == []


def test_a_covariate_that_stops_before_the_target() -> None:
    rows = [f"2020-01-{day + 1:02},{day},{day % 2 if day < 5 else ''}" for day in range(9)]
    message = refused(table("date,y,promo", *rows), roles={"target": "y", "future": "promo"})
    assert "row 6" in message
    assert "'promo' stops before the target" in message
    assert "--columns past=promo" in message
    made(table("date,y,promo", *rows), roles={"target": "y", "past": "promo"})


def test_rows_behind_the_last_target_are_named(told: Told) -> None:
    rows = [f"2020-01-{day + 1:02},{'' if day in (0, 8) else day}" for day in range(9)]
    series, _ = made(table("date,y", *rows))
    assert series[0].lines.tolist() == list(range(2, 9))
    assert "1 row before the first target" in told.text
    assert "1 row behind the last target" in told.text


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ({"target": "yy"}, ["'yy'", "'y'"]),
        ({"target": "y", "past": "y"}, ["'y'", "target and past"]),
        ({"time": "region"}, ["row 1", "'north'"]),
    ],
)
def test_roles_that_do_not_fit(roles: dict[str, str], words: list[str]) -> None:
    message = refused(COVARIATES, roles=roles)
    assert [word for word in words if word not in message] == []


def test_names_with_a_plus(told: Told) -> None:
    text = table("date,a+b,c,d", "2020-01-01,1,2,7", "2020-01-02,2,3,8")
    assert made(text, roles={"target": "a+b"})[1].targets == ("a+b",)
    assert made(text, roles={"target": "C+d"})[1].targets == ("c", "d")
    assert "not used: 'a+b'" in told.text


def test_what_a_model_knows_is_asked_for_again(told: Told) -> None:
    _, known = made(COVARIATES, roles=ROLES)
    text = table(
        "promo,y,more,date,kind,region",
        *(f"{n % 2},{n},9,2021-03-0{n + 1},z,north" for n in range(4)),
    )
    series, again = made(text, known)
    assert again == known
    assert series[0].future.tolist() == [[n % 2, 0, 0] for n in range(4)]
    assert "'z'" in told.text
    assert "'promo'" in refused(text.replace("promo", "prom"), known)
    assert "'prom'" in refused(text.replace("promo", "prom"), known)
    assert len(made(text.replace("date", "when"), known)[0][0].times) == 4
    series, again = made(text.replace("kind", "Kind").replace("region", "REGION"), known)
    assert again == known
    assert series[0].future.shape == (4, 3)
    assert "--columns time=NAME" in refused(
        table("promo,y,kind,region", "0,1,a,north", "1,2,a,north"), known
    )


def test_a_constant_series_may_be_asked_about(told: Told) -> None:
    _, known = made([1, 2, 3, 5])
    assert made([5, 5, 5], known)[0][0].targets[:, 0].tolist() == [5, 5, 5]
    _, dated = made(table("date,x", "2020-01-01,1", "2020-01-02,2", "2020-01-03,4"))
    series, _ = made([5, 5, 6], dated)
    assert np.diff(series[0].times).tolist() == [86_400, 86_400]
    assert "numbers without times" in told.text


def test_further_times_are_no_targets(told: Told) -> None:
    rows = [
        f"{1_609_459_200_000 + n * 60_000},{n % 3},{1_609_459_259_999 + n * 60_000}"
        for n in range(5)
    ]
    _, channels = made(table("open_time,price,close_time", *rows))
    assert (channels.time, channels.targets) == ("open_time", ("price",))
    assert "further times, not used: 'close_time'" in told.text

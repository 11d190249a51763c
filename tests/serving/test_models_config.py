"""What `models.config` says: policies, labels, names, and what happens when it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from watched_models import factor, run, serving, states, two_looks, until

from apps.errors import UserError
from apps.serving.errors import Code, ServingError
from apps.serving.models.served import Choice, Models

Publish = Callable[..., Path]


def configure(folder: Path, *models: str) -> None:
    lists = " ".join(f"config {{ {model} }}" for model in models)
    beside = folder / ".config"
    beside.write_text(f"model_config_list {{ {lists} }}")
    beside.rename(folder / "models.config")


ELSEWHERE = 'name: "toy" base_path: "/models/toy" model_platform: "tensorflow"'


def test_the_configuration_says_which_versions_are_served(base: Path, publish: Publish) -> None:
    publish(base / "2", factor=2)
    publish(base / "3", factor=3)
    folder = base.parent
    configure(folder, ELSEWHERE + " model_version_policy { specific { versions: [1, 2, 8] } }")

    async def scenario() -> None:
        async with serving(folder) as models:
            assert states(models) == {1: "AVAILABLE", 2: "AVAILABLE"}
            assert await factor(models) == 2
            assert await factor(models, Choice("toy", 1)) == 1
            configure(folder, ELSEWHERE + " model_version_policy { all {} }")
            await until(lambda: states(models) == dict.fromkeys((1, 2, 3), "AVAILABLE"))
            configure(folder, ELSEWHERE + " model_version_policy { latest { num_versions: 2 } }")
            await until(lambda: states(models)[1] == "END")
            assert states(models) == {1: "END", 2: "AVAILABLE", 3: "AVAILABLE"}
            configure(folder, ELSEWHERE, f'name: "other" base_path: "{base}"')
            await until(lambda: states(models)[2] == "END" and "other" in models.names())
            await until(lambda: states(models, "other") == {3: "AVAILABLE"})
            configure(folder, f'name: "other" base_path: "{base}"')
            await until(lambda: states(models)[3] == "END")
            assert await factor(models, Choice("other")) == 3

    run(scenario)


def test_a_configuration_that_is_empty_for_a_moment_changes_nothing(base: Path) -> None:
    configure(base.parent, ELSEWHERE)

    async def scenario() -> None:
        lines: list[str] = []
        async with serving(base.parent, log=lines.append) as models:
            (base.parent / "models.config").write_text("")
            await until(lambda: any("add one" in line for line in lines))
            await two_looks(models)
            assert states(models) == {1: "AVAILABLE"}
            configure(base.parent)
            await until(lambda: states(models) == {1: "END"})

    run(scenario)


def test_labels_lead_to_loaded_versions_only(base: Path, publish: Publish) -> None:
    publish(base / "2", factor=2)
    folder = base.parent
    both = ELSEWHERE + " model_version_policy { specific { versions: [1, 2] } }"
    stable = ' version_labels { key: "stable" value: 1 }'
    configure(folder, both + stable + ' version_labels { key: "canary" value: 3 }')

    async def scenario() -> None:
        lines: list[str] = []
        async with serving(folder, log=lines.append) as models:
            assert await factor(models, Choice("toy", label="stable")) == 1
            with pytest.raises(ServingError) as refusal:
                await factor(models, Choice("toy", label="canary"))
            assert refusal.value.code is Code.INVALID_ARGUMENT
            assert refusal.value.message == "Unrecognized servable version label: canary"
            assert [line for line in lines if "canary" in line] == [
                "Request to assign label canary to version 3 of model toy, which is not currently "
                "available for inference"
            ]
            configure(folder, both + stable + ' version_labels { key: "canary" value: 2 }')
            await until(lambda: "canary" in models._models["toy"].labels)
            assert await factor(models, Choice("toy", label="canary")) == 2
            configure(folder, both + ' version_labels { key: "canary" value: 9 }')
            await until(lambda: "stable" not in models._models["toy"].labels)
            assert await factor(models, Choice("toy", label="canary")) == 2

    run(scenario)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ("model_config_list {\n config {\n nam: 'x' } }", "line 3"),
        ("model_config_list { config { name: 'x' } }", "needs both a name and a base_path"),
        ("model_config_list { config { base_path: '/x' } }", "needs both a name and a base_path"),
        (
            "model_config_list { config { name: 'x' base_path: '/x' } "
            "config { name: 'x' base_path: '/y' } }",
            "duplicate model name x",
        ),
        (
            "model_config_list { config { name: 'x' base_path: '/x' model_platform: 'caffe' } }",
            "platform 'caffe'",
        ),
        ("custom_model_config { }", "custom_model_config is not supported"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(
    tmp_path: Path, config: str, complaint: str
) -> None:
    (tmp_path / "models.config").write_text(config)
    with pytest.raises(UserError, match=complaint) as refusal:
        Models(tmp_path)
    assert str(tmp_path / "models.config") in str(refusal.value)


def test_a_configuration_that_breaks_later_changes_nothing(base: Path) -> None:
    configure(base.parent, ELSEWHERE)

    async def scenario() -> None:
        lines: list[str] = []
        async with serving(base.parent, log=lines.append) as models:
            (base.parent / "models.config").write_text("model_config_list { config { name: ")
            await until(lambda: any("models stay as they are" in line for line in lines))
            await two_looks(models)
            assert await factor(models) == 1
            assert sum("models stay as they are" in line for line in lines) == 1
            (base.parent / "models.config").unlink()
            await until(lambda: "models.config is gone" in lines[-1])
            assert await factor(models) == 1

    run(scenario)

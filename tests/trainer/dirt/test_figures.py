"""How a user chooses the dirt, and what its figures bear."""

import pytest
from pydantic import ValidationError

from models.errors import UsageError
from trainer.dirt.figures import KINDS, Dirt, choose_dirt


def rates(dirt: Dirt) -> dict[str, float]:
    return {kind: getattr(dirt, kind).rate for kind in KINDS}


def test_only_the_kinds_named_are_on():
    assert rates(choose_dirt([])) == dict.fromkeys(KINDS, 0.0)
    assert choose_dirt(["all"]) == Dirt()
    on = {kind: rate for kind, rate in rates(choose_dirt(["late", "duplicate=0.25"])).items() if rate}
    assert on == {"late": Dirt().late.rate, "duplicate": 0.25}


@pytest.mark.parametrize("choices", [["all", "late=0"], ["late=0", "all"]])
def test_all_comes_first_wherever_it_stands(choices):
    assert rates(choose_dirt(choices)) == rates(Dirt()) | {"late": 0.0}


def test_every_kind_is_on_in_a_plant_and_every_figure_has_a_source():
    assert all(rates(Dirt()).values())
    for kind in KINDS:
        for name, field in type(getattr(Dirt(), kind)).model_fields.items():
            assert {"unit", "low", "high", "source"} == set(field.json_schema_extra or {}), f"{kind}.{name}"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("lat", "expected all, KIND or KIND=RATE with a KIND of drift, stuck, missing_sensor, "),
        ("all=0.1", "got `all=0.1` at --dirt"),
        ("late=", "expected a rate of 0 to 0.5 of the scans, got `late=` at --dirt"),
        ("late=much", "got `late=much` at --dirt"),
        ("late=nan", "got `late=nan` at --dirt"),
        ("late=0.6", "expected a rate of 0 to 0.5 of the scans, got `late=0.6` at --dirt"),
        ("gap=-1", "expected a rate of 0 to 100 in a strand-hour, got `gap=-1` at --dirt"),
    ],
)
def test_a_wrong_choice_is_one_clear_line(choice, message):
    with pytest.raises(UsageError) as caught:
        choose_dirt([choice])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_figure_out_of_range_or_unknown_is_refused():
    with pytest.raises(ValidationError, match=r"expected 0\.001 to 3600\.0 s, rising"):
        Dirt.model_validate({"late": {"delay_s": (0, 1)}})
    with pytest.raises(ValidationError):
        Dirt.model_validate({"latte": {}})

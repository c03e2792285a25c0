"""The stack's own word on who may launch its images, and how long stages last."""

from __future__ import annotations

import re
from typing import Any

import pytest

from omi.config.settings import Settings
from omi.profile.model import Access
from omi.support.errors import SettingsError


def load(**values: Any) -> Settings:
    """The settings of a stack whose configuration holds these beside its Region."""
    return Settings.load({"region": "eu-west-2", **values})


@pytest.mark.parametrize(
    ("told", "means"),
    [
        ("private", Access()),
        ("public", Access(public=True)),
        ([], Access()),
        (["222222222222", "012345678901", "222222222222"], Access(accounts=("012345678901", "222222222222"))),
        ([222222222222], Access(accounts=("222222222222",))),
    ],
)
def test_access_is_private_public_or_a_list(told: Any, means: Access) -> None:
    assert load(access=told).access == means


def test_without_it_the_profile_decides() -> None:
    assert load().access is None


@pytest.mark.parametrize(
    "wrong",
    [
        "publik",
        "",
        "222222222222",
        222222222222,
        ["12"],
        ["everyone"],
        ["²22222222222"],
        [None],
        {"public": True},
        True,
    ],
)
def test_anything_else_is_one_line(wrong: Any) -> None:
    with pytest.raises(SettingsError) as raised:
        load(access=wrong)
    assert str(raised.value) == (
        f"stack config: access: {wrong!r} is not allowed; "
        "allowed: private, public, or a list of account ids: 12 digits each, quoted"
    )


def test_each_stage_has_its_days_and_what_is_not_said_keeps_its_default() -> None:
    stages = load(retention={"stages": {"shared": {"private_days": 7}}}).retention.stages
    assert (stages.shared.deprecated_days, stages.shared.private_days) == (30, 7)
    assert (stages.private.deprecated_days, stages.private.private_days) == (0, 0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"shared": {"private_days": -1}}, "retention.stages.shared.private_days: -1 is not allowed: "),
        ({"shared": {"deprecated_days": 999999}}, "retention.stages.shared.deprecated_days: 999999 is not allowed: "),
        ({"shared": {"grace": 3}}, "retention.stages.shared.grace: unknown setting"),
        ({"public": {}}, "retention.stages.public: unknown setting"),
        ("slow", "retention.stages: 'slow' is not allowed; allowed: a map of private, shared"),
    ],
)
def test_wrong_days_are_one_line(wrong: Any, says: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(retention={"stages": wrong})
    assert str(raised.value).startswith(f"stack config: {says}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("key", ["max_age_days", "max_run_days", "end_of_life_days", "key_expiry_days"])
def test_a_threshold_of_health_beyond_all_dates_is_one_line(key: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(health={key: 10**12})
    assert str(raised.value) == f"stack config: health.{key}: {10**12} is not allowed: must be at most 3650"


@pytest.mark.parametrize("key", ["vm.timeout", "vm.verify_timeout", "vm.ssh_port", "cloud.limits.answer"])
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (0, "must be at least 1"),
        (-1, "must be at least 1"),
        (10**50, "must be at most "),
        (True, "must be a whole number"),
        (1.5, "must be a whole number"),
    ],
)
def test_a_wait_or_port_that_no_system_takes_is_one_line(key: str, wrong: Any, says: str) -> None:
    top, *inner = key.split(".")
    value = wrong
    for name in reversed(inner):
        value = {name: value}
    with pytest.raises(SettingsError) as raised:
        load(**{top: value})
    assert str(raised.value).startswith(f"stack config: {key}: {wrong} is not allowed: {says}")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"retention": {"max_prunes": True}}, "retention.max_prunes: True is not allowed: must be a whole number"),
        ({"retention": {"release": {"keep": False}}}, "retention.release.keep: False is not allowed: must be a"),
        ({"again": {"one": True}}, "again.one: True is not allowed: must be a whole number"),
        ({"health": {"max_age_days": True}}, "health.max_age_days: True is not allowed: must be a whole number"),
        ({"releases_dir": ""}, "releases_dir: '' is not allowed: must not be empty"),
        ({"revoked": {"a": "x" * 121}}, "is not allowed: must have at most 120 characters"),
    ],
)
def test_a_truth_is_no_number_and_nothing_is_no_text(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(**wrong)
    assert says in str(raised.value)


def test_of_a_long_value_the_error_has_the_beginning() -> None:
    with pytest.raises(SettingsError) as raised:
        load(access="y" * 5000)
    assert re.fullmatch(r"stack config: access: 'y{98}… is not allowed; allowed: private, .*", str(raised.value))


def test_a_grace_beyond_all_dates_is_one_line() -> None:
    with pytest.raises(SettingsError, match=r"grace_days: 10{12} is not allowed: must be at most 3650$"):
        load(retention={"end_of_life": {"grace_days": 10**12}})


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"verify": False}, "adopt: old: verify is only for an image with `own: true`; take it out, or set that"),
        ({"user": "root"}, "adopt: old: user is only for an image with `own: true`; take it out, or set that"),
        ({"own": True, "user": "a b"}, "adopt: old: user: 'a b' is not a user's name"),
        ({"own": "perhaps"}, "adopt.0.own: 'perhaps' is not allowed: "),
        ({"owns": True}, "adopt.0.owns: unknown setting (did you mean 'own'?)"),
    ],
)
def test_how_an_adopted_image_is_checked_is_only_for_one_that_the_stack_owns(entry: dict[str, Any], says: str) -> None:
    old = {"name": "old", "omi": "ami-1", "build": "b", "release": "3.23.6"}
    with pytest.raises(SettingsError) as raised:
        load(adopt=[{**old, **entry}])
    assert str(raised.value).startswith(f"stack config: {says}")
    (read,) = load(adopt=[{**old, "own": True, "verify": False, "user": "ec2-user"}]).adopt
    assert (read.own, read.verify, read.user) == (True, False, "ec2-user")
    assert not load(adopt=[old]).adopt[0].own

"""Packages that don't exist, and services that nothing brings: said before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from omi.config.regions import regions_of
from omi.config.settings import FurtherRegion, Settings
from omi.plan import Action, Plan
from omi.plan.held import Held
from omi.plan.join import join_plans
from omi.plan.lacking import Stock, was_built
from omi.plan.planning import plan_stack
from omi.plan.survey import Survey, survey_stack
from omi.profile.content import package_lines
from omi.profile.load import Profile
from omi.profile.model import Target
from omi.profile.resolve import essential_packages
from omi.support.dependency import read_dependency
from omi.support.safe_yaml import read_values
from omi.upstream.index import Index, Packaged
from omi.upstream.offer import Offer
from omi.upstream.packages import Offered
from tests.omi.conftest import TOP
from tests.omi.plan.make import TODAY, account, build, digest, held, ledger, outcome, plan_of, upstream
from tests.omi.specs import OWNER

UP = upstream("3.23.6")


def index(*packages: Packaged) -> Index:
    return Index({each.name: (each.version,) for each in packages}, packages=packages)


def packaged(name: str, version: str, **more: str) -> Packaged:
    return Packaged(name, version, name, **more)


MAIN = (
    packaged("nginx", "1.28-r0", depends="so:libc.musl-x86_64.so.1 !nginx-old", provides="cmd:nginx=1.28-r0"),
    packaged("nginx-openrc", "1.28-r0", install_if="openrc nginx=1.28-r0"),
    packaged("bind-tools", "9-r0", provides="cmd:dig=9-r0"),
    packaged("python3", "3.12-r0", provides="python3-minimal=3.12-r0"),
    packaged("openssl", "3.5.8-r0"),
    packaged("acpid-openrc", "2-r0", install_if="openrc acpid=2-r0"),
    packaged("docker", "28-r0", depends="containerd>1 docker-cli"),
    packaged("containerd", "2-r0"),
    packaged("containerd-openrc", "2-r0", install_if="openrc containerd=2-r0"),
    packaged("web-server", "1-r0", depends="virtual-httpd"),
    packaged("lighttpd", "1-r0", provides="virtual-httpd"),
    packaged("lighttpd-openrc", "1-r0", install_if="openrc lighttpd=1-r0"),
    packaged("chrony", "4-r0"),
    packaged("chrony-openrc", "4-r0", install_if="openrc chrony=4-r0"),
    packaged("iptables", "1-r0"),
    packaged("iptables-openrc", "1-r0", install_if="openrc iptables=1-r0"),
    packaged("dhcp", "4-r0"),
    packaged("dhcp-openrc", "4-r0", install_if="openrc dhcp=4-r0"),
    packaged("dhcpcd", "10-r0"),
    packaged("dhcpcd-openrc", "10-r0", install_if="openrc dhcpcd=10-r0"),
    packaged("strongswan", "6-r0"),
    packaged("strongswan-openrc", "6-r0", install_if="openrc strongswan=6-r0"),
    packaged("openrc", "0.63-r0"),
)
TESTING = (packaged("foot", "1-r0"), packaged("foot-openrc", "1-r0", install_if="openrc foot=1-r0"))


def stock(packages: Mapping[str, bool | str], **values: Any) -> Stock:
    """Of a build with these packages, openrc besides."""
    of = build(packages={"openrc": True, **packages}, **values)
    needed = (packaged(name, "1-r0") for name in essential_packages(of))
    asked = Offer([(None, index(*MAIN, *needed)), ("testing", index(*TESTING))])
    offer = replace(asked, asked=tuple(map(read_dependency, package_lines(of))))
    return Stock(of, offer, Profile("alpine", (of,)))


WHERE = "the repositories for Alpine 3.23"


@pytest.mark.parametrize(
    ("packages", "problem"),
    [
        ({"ngnix": True}, f"packages.ngnix: there is no package ngnix in {WHERE}; similar names: nginx"),
        ({"python": True}, f"packages.python: there is no package python in {WHERE}; similar names: python3"),
        ({"dig": True}, f"packages.dig: there is no package dig in {WHERE}; the command dig is in bind-tools"),
        ({"zzz": True}, f"packages.zzz: there is no package zzz in {WHERE}; take it out, or add a repo that has it"),
        ({"zzz~2": True}, f"packages.zzz~2: there is no package zzz in {WHERE}; take it out, or add a repo"),
        (
            {"foot": True},
            "packages.foot: foot is in the repo with the tag testing alone; ask for it by `foot: testing`",
        ),
        ({"openssl~3.6": True}, f"packages.openssl~3.6: {WHERE} have openssl in version 3.5.8-r0; ask for that"),
    ],
)
def test_a_package_that_is_not_there_is_named_with_key_branch_and_what_is_near(
    packages: dict[str, bool | str], problem: str
) -> None:
    (line,) = stock(packages).missing()
    assert line.startswith(f"v3_23: {problem}")


@pytest.mark.parametrize(
    "packages", [{"nginx": True, "openssl~3.5": True}, {"foot": "testing"}, {"python3-minimal": True}, {}]
)
def test_what_is_there_by_name_or_by_a_name_that_another_provides_is_fine(packages: dict[str, bool | str]) -> None:
    assert list(stock(packages).missing()) == []


def test_a_package_that_follows_from_another_key_says_so() -> None:
    of = build(packages={})
    lines = list(Stock(of, Offer([(None, index(*MAIN))]), Profile("alpine", (of,))).missing())
    assert any(line.startswith("v3_23: packages.tiny-cloud: ") and "it follows from" in line for line in lines)


def services(*names: str) -> dict[str, tuple[str, ...]]:
    return {"default": names}


def test_a_service_whose_package_is_not_listed_is_named_with_the_package() -> None:
    (line,) = stock({}, services=services("nginx")).unbrought()
    assert line == (
        "v3_23: services.default.nginx: no package of the build brings it; nginx-openrc does: add nginx to packages"
    )


@pytest.mark.parametrize(
    ("packages", "service", "meant"),
    [
        ({"nginx": True}, "ngnix", "nginx"),
        ({}, "ngnix", "nginx"),
        ({}, "ngin", "nginx"),
        ({}, "nginxx", "nginx"),
        ({}, "crodn", "crond"),
    ],
)
def test_a_misspelt_service_is_named_with_the_one_that_is_near(
    packages: dict[str, bool | str], service: str, meant: str
) -> None:
    (line,) = stock(packages, services=services(service)).unbrought()
    assert line == f"v3_23: services.default.{service}: no package is known to bring it; did you mean {meant}?"


@pytest.mark.parametrize(
    ("packages", "service"),
    [
        ({"nginx": True}, "nginx"),
        ({"nginx-openrc": True}, "nginx"),
        ({"docker": True}, "containerd"),
        ({"web-server": True}, "lighttpd"),
        ({"foot": "testing"}, "foot"),
        ({}, "acpid"),
        ({}, "sshd"),
        ({}, "tiny-cloud-main"),
        ({"chrony": True}, "chronyd"),
        ({"iptables": True}, "ip6tables"),
        ({"dhcp": True, "dhcpcd": True}, "dhcpd"),
        ({"strongswan": True}, "charon"),
    ],
)
def test_no_warning_is_wrong(packages: dict[str, bool | str], service: str) -> None:
    assert list(stock(packages, services=services(service)).unbrought()) == []


def test_no_service_of_the_projects_profiles_and_examples_is_warned_of() -> None:
    files = [*(TOP / "profiles").rglob("*.yaml"), *(TOP / "examples" / "images").glob("*.yaml")]
    layers = [read_values(file.read_text(encoding="utf-8")).get("services", {}) for file in files]
    names = {name for layer in layers for level in layer.values() for name in level}
    assert "sshd" in names
    packages: dict[str, bool | str] = {"nginx": True}
    assert list(stock(packages, services=services(*sorted(names))).unbrought()) == []


def test_a_setup_script_may_bring_any_service() -> None:
    assert list(stock({}, services=services("nginx"), setup_script="web.sh").unbrought()) == []


LINES = ("v3_23: packages.ngnix: there is no package ngnix",)


def test_nothing_is_built_of_what_is_not_there_and_all_else_goes_on() -> None:
    of, other = build(), build("v3_22", "3.22")
    plan = plan_of([of, other], upstream("3.23.6", "3.22.6"), ledger(), lacking={"v3_23": LINES})
    assert plan.refused == LINES
    assert outcome(plan) == {"alpine-v3_22-3.22.6-x86_64-r0": "build"}


@pytest.mark.parametrize("pinned", [None, 3])
def test_the_image_before_it_stays(pinned: int | None) -> None:
    of = build()
    image = held(of, "3.23.6")
    changed = of.model_copy(update={"user": "other", "revision": pinned})
    plan = plan_of([changed], UP, ledger(image), lacking={"v3_23": LINES})
    assert outcome(plan) == {image.name: "keep"}
    assert plan.refused == LINES


def test_what_is_built_already_is_not_refused() -> None:
    image = held(build(), "3.23.6")
    plan = plan_of([build()], UP, ledger(image), lacking={"v3_23": LINES})
    assert (plan.refused, plan.changes) == ((), False)


def test_an_image_shows_that_its_packages_were_there() -> None:
    of = build(packages={"nginx": True})
    own = held(of, "3.23.6")
    assert was_built(of, [own])
    assert was_built(of.model_copy(update={"user": "other"}), [own])
    assert not was_built(of.model_copy(update={"packages": {"nginx": True, "curl": True}}), [own])
    assert not was_built(of.model_copy(update={"services": {"default": ("nginx",)}}), [own])
    assert not was_built(of, [held(of, "3.23.6", adopted=True)])
    assert not was_built(of.model_copy(update={"name": "other"}), [own])


HOME, OTHER = "eu-west-2", "us-east-2"


@pytest.mark.parametrize("images", ["build", "copy"])
def test_a_copy_in_another_region_needs_no_packages(images: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omi.plan.planning.image_digest", digest)
    of, other = build(), {"cloud": {"osc_profile": OTHER}, "images": images}
    config = Settings(region=HOME, regions={OTHER: FurtherRegion.model_validate(other)})
    image = held(of, "3.23.6")
    seen = Survey(
        Profile("alpine", (of,)),
        UP,
        regions_of(config, ledger(image)),
        {HOME: account(image), OTHER: account()},
        TODAY,
        OWNER,
        stocks={of.name: Offer([(None, index(*MAIN))])},
    )
    plan = plan_stack(config, seen)
    copied = images == "copy"
    assert [step.region for step in plan.of(Action.BUILD)] == ([OTHER] if copied else [])
    assert bool(plan.refused) != copied


def test_nothing_is_built_of_a_repository_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omi.plan.planning.image_digest", digest)
    new, other = build("new"), build("other")
    config = Settings(region=HOME)
    line = "new: the server has no such file"
    accounts = {HOME: account()}
    regions = regions_of(config, ledger())
    seen = Survey(
        Profile("alpine", (new, other)), UP, regions, accounts, TODAY, OWNER, absent={"new": {"https://a/main": line}}
    )
    plan = plan_stack(config, seen)
    assert [step.build for step in plan.of(Action.BUILD)] == ["other"]
    assert plan.refused == (line,)


def test_indexes_are_asked_of_what_was_not_built_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def offered(asking: list[Target], *_: object, **__: object) -> Offered:
        asked.extend(each.name for each in asking)
        return Offered({each.name: Offer([]) for each in asking})

    keys = {"a.rsa.pub": "PEM"}
    old, new, watched = (build(name, keys=keys) for name in ("old", "new", "watched"))
    builds = (old, new, watched.model_copy(update={"rebuild_on": "packages"}))

    monkeypatch.setattr("omi.plan.survey.read_offered", offered)
    monkeypatch.setattr("omi.plan.survey.load_profile", lambda *_: Profile("alpine", builds))
    monkeypatch.setattr("omi.plan.survey.fetch_upstream", lambda *_, **__: UP)
    monkeypatch.setattr("omi.plan.survey.check_own_releases", lambda *_, **__: None)
    monkeypatch.setattr("omi.plan.survey._account", lambda *_: account())
    state = Held(OWNER, ledger(held(old, "3.23.6"), held(watched, "3.23.6")))
    seen = survey_stack(Settings(region=HOME), state)
    assert asked == ["new", "watched"]
    assert (set(seen.stocks), set(seen.offers)) == ({"new", "watched"}, {"watched"})


def test_a_refusal_of_several_regions_stands_there_once() -> None:
    both = Plan((), (), regions=(HOME,), refused=("same", "own"))
    one = Plan((), (), regions=(OTHER,), refused=("same",))
    assert join_plans([both, one]).refused == (f"Region {HOME}, {OTHER}: same", f"Region {HOME}: own")
    assert join_plans([both]).refused == ("same", "own")

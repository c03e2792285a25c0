"""Edits of a profile that already has images: each key, in each layer, added, changed and taken out again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from omi.config.settings import Retention
from omi.plan import Action, Plan, PlanInput, make_plan
from omi.plan.discover import versions_to_discover
from omi.plan.model import ChangeKind, PlannedImage
from omi.profile.content import content
from omi.profile.digest import digest_of
from omi.profile.discover import expand_discovered
from omi.profile.load import load_profile
from omi.profile.model import Access, Target, profile_keys
from omi.profile.schema import BuildKeys
from omi.state.image import BuildVm, ImageSpec
from omi.state.ledger import Ledger, LedgerImage, read_ledger
from omi.support.errors import ProfileError, StateError
from tests.omi.plan.make import TODAY, applied, upstream
from tests.omi.specs import OWNER, make_access
from tests.omi.state.test_ledger import state

TESTING = "https://dl-cdn.alpinelinux.org/alpine/edge/testing"
KEY = "alpine-devel@lists.alpinelinux.org-4a6a0840.rsa.pub"
CONTENT: dict[str, tuple[Any, Any]] = {
    "volume_size": (2, 3),
    "user": ("admin", "tester"),
    "privileges": ("sudo", "none"),
    "repos": ({TESTING: "commented"}, {TESTING: "testing"}),
    "packages": ({"nginx": True}, {"nginx": True, "dhcpcd": False}),
    "services": (
        {"default": {"sshd": True, "crond": True}},
        {"default": {"sshd": True, "crond": False}, "boot": {"seedrng": True}},
    ),
    "ntp_servers": ({"a.example.org": True}, {"b.example.org": True}),
    "sysctl": ({"vm.swappiness": 10}, {"vm.swappiness": 20}),
    "kernel_flavor": ("lts", "virt"),
    "kernel_modules": ({"loop": True}, {"nvme": True}),
    "kernel_options": ({"quiet": True}, {"nosmt": True}),
    "initfs_features": ({"xfs": True}, {"lvm": True}),
    "setup_script": ("one.sh", "two.sh"),
    "setup_copy": ({"a": "one.sh"}, {"a": "two.sh"}),
    "bootstrap": ("cloud-init", "tiny-cloud"),
    "firmware": ("uefi", "hybrid"),
    "keys": ({"one.rsa.pub": True}, {"two.rsa.pub": True}),
}
"""Two values of each key that decides the content; none is Alpine's or the base's own in both places."""
SURROUNDINGS: dict[str, tuple[Any, Any]] = {
    "prefix": ("other-", "another-"),
    "suffix": ("-a", "-b"),
    "description": ("One", "Two"),
    "ports": ({"80/tcp": True}, {"443/tcp": True}),
    "tests": ({"a": "one.sh"}, {"a": "two.sh"}),
    "rebuild_on": ("packages", "content"),
    "access": ({"public": True}, {"accounts": {"012345678901": True}}),
}
for _key, _declared, _ in profile_keys():  # a key that needs no second value is edited to its example and back
    if not _declared.of_build and _key not in CONTENT | SURROUNDINGS:
        _example = yaml.safe_load(_declared.example)
        (CONTENT if _declared.decides else SURROUNDINGS)[_key] = (_example, _example)
PINS: dict[str, tuple[Any, Any]] = {
    "version": ("3.22", "3.24"),
    "arch": ("x86_64", "x86_64"),
    "release": ("3.23.5", "3.23.4"),
    "revision": ("r3", "r4"),
}
LAYERS = {"base": "base/1.yaml", "version": "version/3.23.yaml", "arch": "arch/x86_64.yaml", "target": "p.yaml"}
ABSENT = object()


class Folder:
    """Profiles on disk, one key of one layer set at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "p.yaml").write_text("builds: {a: {version: '3.23'}}\n")
        for folder in (root, root / "base", root / "version", root / "arch"):
            (folder / "one.sh").write_text("echo one\n")
            (folder / "two.sh").write_text("echo two\n")
        for name in ("one.rsa.pub", "two.rsa.pub"):
            (root / "keys" / name).write_bytes((root / "keys" / KEY).read_bytes())
        self.own = {layer: (root / file).read_text() for layer, file in LAYERS.items()}

    def build(self, layer: str, key: str, value: object) -> Target:
        file = "target" if layer == "build" else layer
        tree = yaml.safe_load(self.own[file])
        below = tree["builds"]["a"] if layer == "build" else tree
        if value is not ABSENT:
            below[key] = {**below[key], **value} if isinstance(value, dict) and key in below else value
        (self.root / LAYERS[file]).write_text(yaml.safe_dump(tree))
        return load_profile("p", self.root).builds[0]


@pytest.fixture
def folder(root: Path) -> Folder:
    return Folder(root)


def digest(build: Target, release: str) -> str:
    return digest_of({"release": release, "content": content(build)})


def recorded(build: Target, release: str = "3.23.6") -> LedgerImage:
    """An image of the build, read from the words that state holds."""
    planned = PlannedImage(build, release, 0, digest(build, release), None)
    image = applied(planned)
    text = planned.to_spec(OWNER, make_access(region="r", api="https://api.test"), BuildVm(), "releases").to_json()
    return replace(image, spec=ImageSpec.from_json(text, "state"))


def edited(before: Target, *after: Target) -> Plan:
    known = upstream("3.22.4", "3.23.6", "3.24.1")
    retention = Retention(allow_mass_prune=("all",))
    return make_plan(PlanInput(after, known, Ledger.of([recorded(before)]), retention, TODAY, digest))


def edits(folder: Folder, layer: str, key: str, values: tuple[Any, Any]) -> list[tuple[Target, Target]]:
    """Added, changed, taken out, and reset by null."""
    absent, one, two = (folder.build(layer, key, value) for value in (ABSENT, *values))
    pairs = [(absent, one), (one, two), (two, one), (one, absent), (two, absent)]
    try:
        return [*pairs, (one, folder.build(layer, key, None))]
    except ProfileError:  # nothing is left of what an image needs, which is said when the profile is read
        return pairs


def test_each_key_of_a_profile_is_edited_here() -> None:
    assert CONTENT.keys() | SURROUNDINGS.keys() | PINS.keys() == BuildKeys.model_fields.keys()


@pytest.mark.parametrize("layer", [*LAYERS, "build"])
@pytest.mark.parametrize("key", CONTENT)
def test_an_edit_of_content_makes_a_revision_whose_reason_names_the_key(key: str, layer: str, folder: Folder) -> None:
    made = 0
    for before, after in edits(folder, layer, key, CONTENT[key]):
        built = edited(before, after).of(Action.BUILD)
        assert bool(built) == (content(before) != content(after))
        for step in built:
            made += 1
            assert step.reason.startswith("revision r1: ")
            assert key in step.reason
            assert "guest files" not in step.reason
    assert made >= 2


@pytest.mark.parametrize("layer", [*LAYERS, "build"])
@pytest.mark.parametrize("key", SURROUNDINGS)
def test_an_edit_of_what_surrounds_an_image_builds_nothing(key: str, layer: str, folder: Folder) -> None:
    for before, after in edits(folder, layer, key, SURROUNDINGS[key]):
        plan = edited(before, after)
        assert {step.action for step in plan.steps} == {Action.KEEP}
        shared = {change.kind for step in plan.steps for change in step.changes}
        assert bool(shared & {ChangeKind.SHARE, ChangeKind.UNSHARE}) == (before.access != after.access)


@pytest.mark.parametrize("key", PINS)
def test_an_edit_of_a_pin_is_planned_with_a_reason_of_its_own(key: str, folder: Folder) -> None:
    one, two = (folder.build("build", key, value) for value in PINS[key])
    absent = folder.build("build", key, "3.23" if key == "version" else ABSENT)
    for before, after in ((absent, one), (one, two), (one, absent)):
        for step in edited(before, after).of(Action.BUILD):
            assert key in step.reason or "release" in step.reason
            assert "guest files" not in step.reason


@pytest.mark.parametrize(("key", "value"), [("setup_script", "one.sh"), ("setup_copy", {"conf/a": "one.sh"})])
def test_a_changed_file_of_the_setup_is_named(key: str, value: object, folder: Folder) -> None:
    before = folder.build("target", key, value)
    (folder.root / "one.sh").write_text("echo changed\n")
    (step,) = edited(before, folder.build("target", key, value)).of(Action.BUILD)
    named = "one.sh" if key == "setup_script" else "conf/a"
    assert step.reason == f"revision r1: {key} ({named}) changed in the profile"


def test_an_entry_of_a_nested_map_is_named(folder: Folder) -> None:
    before = folder.build("target", "services", ABSENT)
    (step,) = edited(before, folder.build("target", "services", {"default": {"crond": True}})).of(Action.BUILD)
    assert step.reason == "revision r1: services (default: +crond) changed in the profile"


@pytest.mark.parametrize("change", [{"name": "b"}, {"profile": "q"}])
def test_a_renamed_build_or_profile_gets_images_of_its_own(change: dict[str, str], folder: Folder) -> None:
    before = folder.build("target", "user", ABSENT)
    after = before.model_copy(update=change)
    told = [(step.action, step.reason) for step in edited(before, after).steps]
    assert told == [(Action.BUILD, f"first image of {after.name}"), (Action.PRUNE, "removed from profile")]


def test_a_build_taken_out_has_its_image_pruned(folder: Folder) -> None:
    (step,) = edited(folder.build("target", "user", ABSENT)).steps
    assert (step.action, step.reason) == (Action.PRUNE, "removed from profile")


WRONG = (None, True, -7, "\u20ac", ["x"], {"x": [{"y": 1}]})
"""Values of which no key takes all."""
NAMING = {"profile", "name", "version"}
READABLE = Target.model_fields.keys() - NAMING - {"unread"}


def with_key(image: LedgerImage, key: str, value: object) -> dict[str, dict[str, Any]]:
    """State in which another version made the image, with this key in its build."""
    told = json.loads(image.command.stdin)
    told["recipe"]["build"][key] = value
    told["digest"] = f"sha256:{'0' * 64}"
    return state(image, stdin=json.dumps(told))


def planned(before: Ledger, build: Target) -> Plan:
    return make_plan(PlanInput([build], upstream("3.23.6"), before, Retention(), TODAY, digest))


@pytest.mark.parametrize("key", sorted({*READABLE, "bygone"}))
def test_a_key_of_a_record_that_is_none_or_of_another_type_is_named_and_stops_nothing(key: str, folder: Folder) -> None:
    build = folder.build("target", "user", ABSENT)
    image = recorded(build)
    image = replace(image, command=replace(image.command, stdin=image.spec.to_json()))
    unread = 0
    for value in WRONG:
        ledger = read_ledger(with_key(image, key, value))
        (held,) = ledger.images
        (made,) = planned(ledger, build).of(Action.BUILD)
        assert "guest files" not in made.reason or not held.spec.target.unread
        if held.spec.target.unread:
            unread += 1
            assert held.spec.target.unread == (key,)
            assert made.reason == f"revision r1: {key} can't be read as its record has it"
            assert planned(Ledger.of([held]), build).of(Action.KEEP)[0].image == held, "kept as state has it"
            shared = held.published(Access(public=True))
            assert ImageSpec.from_json(shared.command.stdin, "state").target == held.spec.target
    assert unread >= 2


@pytest.mark.parametrize("key", sorted(NAMING))
def test_a_record_that_does_not_say_which_build_it_is_is_one_line_with_a_cure(key: str, folder: Folder) -> None:
    image = recorded(folder.build("target", "user", ABSENT))
    image = replace(image, command=replace(image.command, stdin=image.spec.to_json()))
    wrong: tuple[object, ...] = ([], {"x": 1})
    for value in wrong:
        with pytest.raises(StateError, match=rf"cannot be read: recipe\.build\.{key}: .*pulumi state delete 'urn:"):
            read_ledger(with_key(image, key, value))


DISCOVER: tuple[dict[str, Any] | None, ...] = (
    None,
    {},
    {"versions": ["3.23"]},
    {"versions": ["3.22", "3.24"]},
    {"edge": 1},
)


@pytest.mark.parametrize("after", DISCOVER, ids=str)
@pytest.mark.parametrize("before", DISCOVER, ids=str)
def test_an_edit_of_discover_leaves_every_other_build_alone_and_says_what_comes_and_goes(
    before: dict[str, Any] | None, after: dict[str, Any] | None, root: Path
) -> None:
    known, retention = upstream("3.22.4", "3.23.6", "3.24.1"), Retention(allow_mass_prune=("all",))

    def builds(discover: dict[str, Any] | None, ledger: Ledger) -> tuple[Target, ...]:
        own: dict[str, Any] = {"builds": {"named": {"version": "3.23", "prefix": "own-"}}}
        if discover is not None:
            own["discover"] = {"versions": "supported", **discover}
        (root / "p.yaml").write_text(yaml.safe_dump(own))
        profile = load_profile("p", root)
        versions = versions_to_discover(known, ledger, retention, TODAY, "p", "x86_64", lambda _: None)
        return expand_discovered(profile, versions).builds

    def plan(discover: dict[str, Any] | None, ledger: Ledger) -> Plan:
        return make_plan(PlanInput(builds(discover, ledger), known, ledger, retention, TODAY, digest))

    def apply(made: Plan) -> Ledger:
        return Ledger.of(
            applied(step.image) if isinstance(step.image, PlannedImage) else step.image
            for step in made.steps
            if step.action is not Action.PRUNE
        )

    ledger = apply(plan(before, Ledger()))
    had = {image.build for image in ledger.images}
    edited = plan(after, ledger)
    wanted = {build.name for build in builds(after, ledger)}
    for step in edited.steps:
        expected = {
            (True, True): (Action.KEEP, "current"),
            (False, True): (Action.BUILD, f"first image of {step.build}"),
            (True, False): (Action.PRUNE, "removed from profile"),
        }[step.build in had, step.build in wanted]
        assert (step.action, step.reason) == expected
    assert {step.build for step in edited.steps} == had | wanted
    assert "named" in had & wanted
    assert not plan(after, apply(edited)).changes, "and the next plan has nothing to do"

"""What a person does, in what state it is done, and what strikes meanwhile."""

from __future__ import annotations

import signal

import yaml

from omi.state.identity import Identity
from omi.state.owner import CLAIM, STACK_ID, VERIFIED
from tests.reliability.edits import (
    ONE,
    ONE_OLD,
    TWO,
    TWO_OLD,
    Deed,
    configure,
    destroy,
    edit_builds,
    keep_one,
    then,
    use_key_of,
)
from tests.reliability.ring import Round
from tests.reliability.settings_deeds import SETTINGS_DEEDS, revoke
from tests.reliability.state_deeds import STATE_DEEDS
from tests.sandbox.client import empty_volume, launch, register, root_volume, snapshot

# --- what a person does ------------------------------------------------------------------------------------------


def _remove_build(at: Round) -> None:
    edit_builds(at, lambda builds: builds.pop("two"))
    at.up()


def _rename_build(at: Round) -> None:
    edit_builds(at, lambda builds: builds.update(zwei=builds.pop("two")))
    at.up()


def _change_suffix(at: Round) -> None:
    edit_builds(at, lambda builds: builds["two"].update(suffix="-x"))
    at.up()


def _change_content(at: Round) -> None:
    edit_builds(at, lambda builds: builds["two"].update(packages={"musl": True}))
    at.up()


def _protect_and_keep_one(at: Round) -> None:
    configure(at, "retention", {"release": {"keep": 1}, "protect": [TWO_OLD]})
    at.up()


def _protect_then_not(at: Round) -> None:
    _protect_and_keep_one(at)
    configure(at, "retention", {"release": {"keep": 1}, "protect": []})
    at.up()


def _protect_and_destroy(at: Round) -> None:
    configure(at, "retention", {"protect": [TWO]})
    at.up()
    destroy(at)


def _allow_all(at: Round) -> None:
    configure(at, "retention", {"allow_mass_prune": ["all"], "max_prunes": 1})
    edit_builds(at, lambda builds: builds.pop("two"))
    at.up()


def _too_many(at: Round) -> None:
    configure(at, "retention", {"max_prunes": 1})
    edit_builds(at, lambda builds: builds.pop("two"))
    at.up()


def _state_delete(at: Round) -> None:
    at.pulumi("state", "delete", at.urn_of(ONE), "--yes")
    at.up()


def _fork(at: Round) -> None:
    at.omi("fork", "--yes")


def _publish_elsewhere(at: Round) -> None:
    """Publish in a folder of its own, as the other stack has one."""
    configure(at, "releases_dir", "releases/forked")


def _claim(at: Round) -> None:
    """Claim the image back that another record holds."""
    at.omi("claim", TWO_OLD)
    keep_one(at)


def _recover(at: Round) -> None:
    """Recover; what strikes Pulumi strikes the update that does it."""
    at.strike, strike = None, at.strike
    lost = at.tags_of(at.ids[ONE])[STACK_ID]
    if at.omi("recover", "--stack-id", lost, "--yes").code == 0:
        at.strike = strike
        at.up()


def _lose_and_recover(at: Round) -> None:
    _empty_backend(at)
    _recover(at)


def _recover_in_both(at: Round) -> None:
    """Recover in a second backend although the first state lives on, which is then updated and pruned."""
    _lose_and_recover(at)
    at.backend = "backend"
    keep_one(at)


def _stack_rename(at: Round) -> None:
    at.pulumi("stack", "rename", "other")
    at.stack = "other"
    at.up()


def _second_backend(at: Round) -> None:
    """Export and import, then an update there, and one of the first."""
    _copy_state(at)
    at.backend = "second"
    at.up()
    at.backend = "backend"
    at.up()


def _replace(at: Round) -> None:
    at.up("--replace", at.urn_of(ONE))


def _target(at: Round) -> None:
    at.up("--target", "**one**", "--target-dependents")


def _by_hand(at: Round) -> None:
    _missing(at)
    at.up()


def _copy_tags(at: Round) -> None:
    """Put all tags of an image on an OMI, a VM, a volume and a snapshot of one's own, and sweep."""
    tags, volume = at.tags_of(at.ids[ONE]), empty_volume(at.oapi)
    taken = snapshot(at.oapi, volume)
    mine = [register(at.oapi, "my own", taken), taken, volume, vm := launch(at.oapi), root_volume(at.oapi, vm)]
    at.tag(mine, tags)
    at.adopt(mine)
    at.omi("sweep", "--yes")
    at.up()


def _untag(*keys: str) -> Deed:
    def take_off(at: Round) -> None:
        at.untag(at.ids[TWO], *keys)
        at.up()

    return take_off


def _untag_and_destroy(at: Round) -> None:
    at.untag(at.ids[TWO])
    destroy(at)


def _adopt(at: Round) -> None:
    volume = empty_volume(at.oapi)
    mine = register(at.oapi, "two-3.23.8-x86_64-r0", taken := snapshot(at.oapi, volume))
    at.adopt([mine, taken, volume])
    entry = {"name": "two-3.23.8-x86_64-r0", "omi": mine, "build": "two", "release": "3.23.8", "revision": 0}
    configure(at, "adopt", [entry])
    at.up()
    configure(at, "adopt", [])
    configure(at, "retention", {"release": {"keep": 1}})
    at.up()


def _own(at: Round) -> None:
    """Take an image over and let retention prune it; another of one's own and what belongs to it stay."""
    volume = empty_volume(at.oapi)
    mine = register(at.oapi, "two-3.23.8-x86_64-r9", other := snapshot(at.oapi, volume))
    at.adopt([mine, other, volume])
    old = register(at.oapi, "two-3.23.8-x86_64-r0", snapshot(at.oapi, volume))
    entry = {"name": "two-3.23.8-x86_64-r0", "omi": old, "build": "two", "release": "3.23.8", "own": True}
    configure(at, "adopt", [{**entry, "verify": False}])
    at.up()
    configure(at, "retention", {"release": {"keep": 1}})
    at.up()
    if at.image(old) is not None:
        raise AssertionError(old)


def _import(at: Round) -> None:
    volume = empty_volume(at.oapi)
    mine = register(at.oapi, "two-3.23.8-x86_64-r0", taken := snapshot(at.oapi, volume))
    at.adopt([mine, taken, volume])
    leaf = {"profile_build": "two", "release": "3.23.8", "revision": "r0", "arch": "x86_64", "build_time": "1630478686"}
    old = {"two": {"3.23.8": {"two-3.23.8-x86_64-r0": {**leaf, "artifacts": {"eu-west-2": mine}}}}}
    (at.project.folder / "old.yaml").write_text(yaml.safe_dump(old), encoding="utf-8")
    at.omi("import", "old.yaml", "--yes")
    at.up()


def _another_key(*command: str) -> Deed:
    def use(at: Round) -> None:
        use_key_of(at, "second")
        at.pulumi(*command) if command[0] != "sweep" else at.omi(*command)
        use_key_of(at, at.profile)

    return use


def _new_release(at: Round) -> None:
    at.place.offer("3.23.11")
    at.up()


PERSON: dict[str, Deed] = {
    "preview": lambda at: at.pulumi("preview"),
    "up": lambda at: at.up(),
    "up --target": _target,
    "up --replace": _replace,
    "destroy": destroy,
    "refresh": lambda at: at.pulumi("refresh", "--yes", "--skip-preview"),
    "state delete, up": _state_delete,
    "stack rename, up": _stack_rename,
    "export, import elsewhere, up in both": _second_backend,
    "keep: 1, up": keep_one,
    "remove a build, up": _remove_build,
    "rename a build, up": _rename_build,
    "change a suffix, up": _change_suffix,
    "change packages, up": _change_content,
    "Alpine's new release, up": _new_release,
    "protect, keep: 1, up": _protect_and_keep_one,
    "protect, unprotect, up": _protect_then_not,
    "protect, destroy": _protect_and_destroy,
    "allow_mass_prune, remove a build, up": _allow_all,
    "max_prunes: 1, remove a build, up": _too_many,
    "sweep --yes": lambda at: at.omi("sweep", "--yes"),
    "deregister one by hand, up": _by_hand,
    "copy its tags, sweep --yes, up": _copy_tags,
    "take its tags off, up": _untag(),
    "take its tags off, destroy": _untag_and_destroy,
    "take its claim off, up": _untag(CLAIM),
    "take stack id and verified off, up": _untag(STACK_ID, VERIFIED),
    "adopt, no longer adopt, keep: 1, up": _adopt,
    "own another's, keep: 1, up": _own,
    "import, up": _import,
    "another account's key, up": _another_key("up", "--yes", "--skip-preview"),
    "another account's key, sweep --yes": _another_key("sweep", "--yes"),
    "fork --yes, up": then(_fork, Round.up),
    "fork --yes, keep: 1, up": then(_fork, keep_one),
    "fork --yes, up, sweep --yes": then(_fork, Round.up, lambda at: at.omi("sweep", "--yes")),
    "fork --yes, releases_dir, up, destroy": then(_fork, _publish_elsewhere, Round.up, destroy),
    "fork --yes, recover --yes, up": then(_fork, _recover),
    "claim, keep: 1, up": _claim,
    "claim of an image that is missing": lambda at: at.omi("claim", TWO_OLD),
    "recover --yes, up": _recover,
    "recover --yes, destroy": then(_recover, destroy),
    "lose the state, recover --yes, up": _lose_and_recover,
    "revoke, lose the state, recover --yes, up": then(revoke(ONE), _lose_and_recover),
    "recover --yes without an id": lambda at: at.omi("recover", "--yes"),
    "recover elsewhere, keep: 1, up": _recover_in_both,
    "releases": lambda at: at.omi("publish"),
    **STATE_DEEDS,
    **SETTINGS_DEEDS,
}


# --- the state in which it is done -------------------------------------------------------------------------------


def _copy_state(at: Round) -> None:
    (at.project.folder / "second").mkdir()
    file = str(at.project.folder / "state.json")
    at.pulumi("stack", "export", "--file", file)
    at.backend = "second"
    at.pulumi("stack", "init")
    at.pulumi("stack", "import", "--file", file)
    at.backend = "backend"


def _copied(at: Round) -> None:
    _copy_state(at)
    at.backend = "second"


def _empty_backend(at: Round) -> None:
    at.backend = "second"
    (at.project.folder / "second").mkdir()
    at.pulumi("stack", "init")


def _shrunken(at: Round) -> None:
    urn = at.urn_of(TWO)
    at.edit_state(lambda resources: [each for each in resources if each["urn"] != urn])


def _renamed(at: Round) -> None:
    at.pulumi("stack", "rename", "other")
    at.stack = "other"


def _foreign_claim(at: Round) -> None:
    at.tag([at.ids[TWO_OLD]], {CLAIM: "of another"})


def _missing(at: Round) -> None:
    """Deregister an image in the console, which leaves its snapshot: whoever did it may want it."""
    taken = at.snapshot_of(at.ids[TWO_OLD])
    at.oapi.call("DeleteImage", ImageId=at.ids[TWO_OLD])
    at.adopt([taken])


def _half_made(at: Round) -> None:
    """Packer was ended between CreateImage and CreateTags of the build's next image."""
    (spec,) = [each.spec for each in next(at.ledgers()).images if each.name == TWO]
    name = TWO.replace("-r0", "-r1")
    volume = empty_volume(at.oapi)
    taken = snapshot(at.oapi, volume)
    description = Identity(spec.model_copy(update={"name": name, "revision": 1})).description
    register(at.oapi, name, taken, Description=description)
    at.oapi.call("DeleteVolume", VolumeId=volume)


STATES: dict[str, Deed] = {
    "whole": lambda at: None,
    "empty backend": _empty_backend,
    "copied": _copied,
    "shrunken": _shrunken,
    "stack renamed": _renamed,
    "foreign claim": _foreign_claim,
    "an image is missing": _missing,
    "half-made build": _half_made,
}


# --- what strikes ------------------------------------------------------------------------------------------------


def _lie(*images: str, times: int = 1) -> Deed:
    return lambda at: at.fault(action="ReadImages", omit=[at.ids[name] for name in images], times=times)


def _strike(which: signal.Signals, call: str) -> Deed:
    return lambda at: setattr(at, "strike", (which, call))


STRUCK: dict[str, Deed] = {
    "-": lambda at: None,
    "one list lacks an image": _lie(TWO_OLD),
    "one list lacks the newest": _lie(TWO),
    "one list lacks all": _lie(ONE, TWO, ONE_OLD, TWO_OLD),
    "no list has an image": _lie(TWO_OLD, times=-1),
    "DeleteImage refused": lambda at: at.fault(action="DeleteImage", status=403, times=1),
    "DeleteSnapshot refused": lambda at: at.fault(action="DeleteSnapshot", status=403, times=1),
    "500 after DeleteImage": lambda at: at.fault(action="DeleteImage", status=500, after=True, times=1),
    "503 at reads": lambda at: at.fault(action="ReadImages", status=503, times=2),
    "CreateTags refused": lambda at: at.fault(action="CreateTags", status=403, times=1),
    "UpdateImage refused": lambda at: at.fault(action="UpdateImage", status=403, times=1),
    "SIGINT while it deletes": _strike(signal.SIGINT, "DeleteImage"),
    "SIGKILL while it deletes": _strike(signal.SIGKILL, "DeleteImage"),
    "SIGKILL between image and snapshot": _strike(signal.SIGKILL, "DeleteSnapshot"),
    "SIGINT while it claims": _strike(signal.SIGINT, "CreateTags"),
    "SIGKILL while it claims": _strike(signal.SIGKILL, "CreateTags"),
    "SIGINT while it builds": _strike(signal.SIGINT, "CreateSnapshot"),
    "SIGKILL while it builds": _strike(signal.SIGKILL, "CreateImage"),
}

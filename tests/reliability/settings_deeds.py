"""What a person does to settings, profile and files, and with a second stack of the same settings."""

from __future__ import annotations

import shutil

from tests.e2e.held import STACK
from tests.reliability.edits import ONE, TWO, Deed, configure, destroy, edit_builds, keep_one, then, use_key_of
from tests.reliability.ring import Round


def _second(at: Round) -> None:
    stacks = at.project.folder / "stacks"
    shutil.copy(stacks / f"Pulumi.{STACK}.yaml", stacks / "Pulumi.second.yaml")
    at.stack = "second"
    at.pulumi("stack", "init")


def _remove_second(at: Round) -> None:
    (at.project.folder / "stacks" / "Pulumi.second.yaml").unlink()
    at.stack = STACK


def _elsewhere(at: Round) -> None:
    _second(at)
    configure(at, "releases_dir", "releases/second")


def _first(at: Round) -> None:
    at.stack = STACK


def _sweep(at: Round) -> None:
    at.omi("sweep", "--yes")


def _rename_profile(at: Round) -> None:
    profiles = at.project.folder / "profiles"
    (profiles / "alpine.yaml").rename(profiles / "other.yaml")
    configure(at, "profile", "other")
    at.up()


def _delete_releases(at: Round) -> None:
    shutil.rmtree(at.project.folder / "releases")
    at.up()


def _change_region(at: Round) -> None:
    """Move the stack to another Region, and back."""
    configure(at, "region", "us-east-2")
    use_key_of(at, f"{at.profile}-us")
    at.up()
    configure(at, "region", "eu-west-2")
    use_key_of(at, at.profile)


def _remove_builds(at: Round) -> None:
    edit_builds(at, lambda builds: builds.clear())
    at.up()


def revoke(image: str) -> Deed:
    """Revoke an image and update."""
    return then(lambda at: configure(at, "revoked", {image: "its key is known"}), Round.up)


def _unrevoke(at: Round) -> None:
    configure(at, "revoked", {})
    at.up()


def _pin_and_change(at: Round) -> None:
    """Pin a build to the revision of its image, forget that image, and change the content."""
    edit_builds(at, lambda builds: builds["one"].update(revision="r0"))
    at.pulumi("state", "delete", at.urn_of(ONE), "--yes")
    edit_builds(at, lambda builds: builds["one"].update(packages={"musl": True}))
    at.up()


def _recover_pinned(at: Round) -> None:
    """Do as the refusal says."""
    _pin_and_change(at)
    at.omi("recover", ONE, "--yes")
    at.up()


def _state(command: str, image: str) -> Deed:
    return lambda at: at.pulumi("state", command, at.urn_of(image), "--yes")


SETTINGS_DEEDS: dict[str, Deed] = {
    "a second stack of one releases_dir, up": then(_second, Round.up, _remove_second),
    "a second stack, up, destroy": then(_elsewhere, Round.up, destroy, _first),
    "a second stack, up, sweep --yes in both": then(_elsewhere, Round.up, _sweep, _first, _sweep),
    "a second stack, up, keep: 1, up in both": then(_elsewhere, Round.up, keep_one, _first, keep_one),
    "change the Region, up": _change_region,
    "remove all builds, up": _remove_builds,
    "rename the profile's file, up": _rename_profile,
    "delete the releases, up": _delete_releases,
    "revoke, keep: 1, up": then(revoke(TWO), keep_one),
    "revoke, no longer revoke, keep: 1, up": then(revoke(TWO), _unrevoke, keep_one),
    "revoke, up --replace": then(revoke(ONE), lambda at: at.up("--replace", at.urn_of(ONE))),
    "revoke, up --replace '**'": then(revoke(ONE), lambda at: at.up("--replace", "**")),
    "revoke, state taint, up": then(revoke(ONE), _state("taint", ONE), Round.up),
    "pin a revision, state delete, change packages, up": _pin_and_change,
    "pin a revision, state delete, change packages, recover --yes, up": _recover_pinned,
    "revoke, state delete, up": then(revoke(ONE), _state("delete", ONE), Round.up),
}

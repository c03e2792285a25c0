"""What a person does to a stack's state by Pulumi's own commands, or with a target, a taint or another key."""

from __future__ import annotations

from tests.reliability.edits import (
    ONE,
    ONE_OLD,
    TWO,
    TWO_OLD,
    Deed,
    configure,
    destroy,
    keep_one,
    then,
    use_key_of,
)
from tests.reliability.ring import Round

_KEEP_ONE = {"release": {"keep": 1}}


def _do(*command: str) -> Deed:
    return lambda at: at.pulumi(*command)


def _of(image: str, *command: str) -> Deed:
    """A command of `pulumi state` on an image's or stash's resource."""
    return lambda at: at.pulumi("state", *command, at.urn_of(image), "--yes")


def _set(key: str, value: object) -> Deed:
    return lambda at: configure(at, key, value)


def _protect(*images: str) -> Deed:
    return then(_set("retention", {"protect": [*images]}), Round.up)


def _taint_all(at: Round) -> None:
    urns = [at.urn_of(each) for each in (ONE, TWO, ONE_OLD, TWO_OLD, "stack-id", "memory")]
    at.pulumi("state", "taint", *urns, "--yes")
    at.up()


def _rename_resource(at: Round) -> None:
    at.pulumi("state", "rename", at.urn_of(ONE), "renamed", "--yes")
    at.up()


def _export(at: Round) -> None:
    at.pulumi("stack", "export", "--file", str(at.project.folder / "older.json"))


def _import(at: Round) -> None:
    at.pulumi("stack", "import", "--file", str(at.project.folder / "older.json"))


def _replace(at: Round) -> None:
    at.up("--replace", at.urn_of(ONE))


def _remove_stack(at: Round) -> None:
    config = at.project.folder / "stacks" / f"Pulumi.{at.stack}.yaml"
    text = config.read_text(encoding="utf-8")
    at.pulumi("stack", "rm", "--force", "--yes")
    at.pulumi("stack", "init")
    config.write_text(text, encoding="utf-8")


def _recover(at: Round) -> None:
    at.omi("recover", "--stack-id", at.tags_of(at.ids[ONE])["stack-id"], "--yes")
    at.up()


def _in_environment(deed: Deed) -> Deed:
    def use(at: Round) -> None:
        key = at.ring.sandbox.profiles["second"]
        at.environment = {"OSC_ACCESS_KEY": key["access_key"], "OSC_SECRET_KEY": key["secret_key"]}
        deed(at)
        at.environment = {}

    return use


def _use_another_key_and_destroy(at: Round) -> None:
    use_key_of(at, "second")
    destroy(at)
    use_key_of(at, at.profile)


STATE_DEEDS: dict[str, Deed] = {
    "up --refresh": lambda at: at.up("--refresh"),
    "up --replace '**'": lambda at: at.up("--replace", "**"),
    "state taint, up": _taint_all,
    "state rename, up": _rename_resource,
    "protect, state unprotect, keep: 1, up": then(
        _protect(TWO_OLD), _of(TWO_OLD, "unprotect"), _set("retention", {**_KEEP_ONE, "protect": [TWO_OLD]}), Round.up
    ),
    "protect, state unprotect, destroy": then(_protect(TWO), _of(TWO, "unprotect"), destroy),
    "protect, destroy --exclude-protected": then(
        _protect(TWO), _do("destroy", "--exclude-protected", "--yes", "--skip-preview")
    ),
    "state delete stack-id, up": then(_of("stack-id", "delete"), Round.up),
    "protect, state delete memory, keep: 1, up": then(_protect(TWO_OLD), _of("memory", "delete"), keep_one),
    "export, keep: 1, up, import, up": then(_export, keep_one, _import, Round.up),
    "export, up --replace, import, destroy": then(_export, _replace, _import, destroy),
    "stack rm --force, init, up": then(_remove_stack, Round.up),
    "stack rm --force, init, recover --yes, up": then(_remove_stack, _recover),
    "destroy --target": lambda at: at.pulumi("destroy", "--target", at.urn_of(ONE_OLD), "--yes", "--skip-preview"),
    "keep: 1, up --target one": then(
        _set("retention", _KEEP_ONE), lambda at: at.up("--target", "**one**", "--target-dependents")
    ),
    "keep: 1, up --target the old image": then(
        _set("retention", _KEEP_ONE), lambda at: at.up("--target", at.urn_of(TWO_OLD))
    ),
    "another account's key, destroy": _use_another_key_and_destroy,
    "another key in OSC_*, destroy": _in_environment(destroy),
    "another key in OSC_*, keep: 1, up": _in_environment(keep_one),
}

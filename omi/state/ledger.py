"""The ledger: the images of a stack, read from the stack's own state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date
from functools import cached_property
from typing import Any, Literal

from omi.profile.model import Access
from omi.state.image import CloudAccess, ImageRecord, ImageSpec
from omi.state.withdrawal import Stage, Withdrawal
from omi.support.errors import StateError
from omi.support.safe_json import read_json
from omi.support.version import ReleaseKey, release_key

COMMAND_TYPE = "command:local:Command"
_MARKS = frozenset({"format", "stack_id", "name", "digest", "build"})
"""Keys by which the standard input of an image's command is recognised."""


@dataclass(frozen=True)
class StoredCommand:
    """A command resource's inputs exactly as state holds them."""

    create: str
    update: str
    delete: str
    stdin: str

    @classmethod
    def of(cls, create: Literal["build", "adopt"], spec: ImageSpec) -> StoredCommand:
        """The command of a new image. Its words are saved in state, so a delete must work with them for ever."""
        first, update, delete = (f"exec python3 -m omi.commands {verb}" for verb in (create, "update", "delete"))
        return cls(first, update, delete, spec.to_json())


@dataclass(frozen=True)
class LedgerImage:
    """One OMI of the stack: its spec, its record, and its command."""

    resource: str
    """Pulumi's logical name of the command: in the home Region the OMI's name (omi.config.regions)."""
    spec: ImageSpec
    record: ImageRecord
    command: StoredCommand

    @property
    def region(self) -> str:
        """The Region that it is in."""
        return self.spec.cloud.region

    # Cached, since a plan of thousands of images reads these many times.
    @cached_property
    def name(self) -> str:
        """The OMI's name."""
        return self.spec.name

    @cached_property
    def build(self) -> str:
        """The build's name in its profile."""
        return self.spec.build

    @cached_property
    def profile(self) -> str:
        """The profile's name."""
        return self.spec.profile

    @cached_property
    def version(self) -> str:
        """The branch the image was built from."""
        return self.spec.version

    @cached_property
    def release(self) -> str:
        """The Alpine release."""
        return self.spec.release

    @cached_property
    def revision(self) -> int:
        """The N of rN."""
        return self.spec.revision

    @property
    def names(self) -> frozenset[str]:
        """Its OMI's name and id; a setting may use either."""
        return frozenset((self.name, self.record.omi))

    @property
    def digest(self) -> str:
        """The digest of its content."""
        return self.spec.digest

    @property
    def made_here(self) -> bool:
        """Whether the stack built or copied it, instead of adopting it."""
        return not self.record.adopted and self.spec.take_over is None

    @property
    def is_revoked(self) -> bool:
        """Whether a person has revoked it."""
        return self.spec.withdrawal is not None and self.spec.withdrawal.why == "revoked"

    @cached_property
    def order(self) -> tuple[ReleaseKey, ReleaseKey, bool, int, str]:
        """Sort key, oldest first: version, release, those made elsewhere before the stack's, revision; then the name,
        so that the order is total.
        """
        return (release_key(self.version), release_key(self.release), self.made_here, self.revision, self.name)

    def age(self, today: date) -> int | None:
        """Days since the cloud made it; None if that is unknown."""
        made = self.record.created.astimezone(UTC)
        return (today - made.date()).days if made.timestamp() else None

    @property
    def next_name(self) -> str:
        """The next revision's OMI name; its own name if the recipe is unknown."""
        if self.spec.recipe is not None:
            return self.spec.recipe.build.image_name(self.release, self.revision + 1)
        own, following = (f"{self.release}-{self.spec.arch}-r{number}" for number in (self.revision, self.revision + 1))
        return self.name.replace(own, following)

    def reached_by(self, cloud: CloudAccess, releases_dir: str) -> LedgerImage:
        """The same image with another connection or releases folder."""
        return self._with(cloud=cloud, releases_dir=releases_dir)

    def published(self, access: Access, withdrawal: Withdrawal | None = None) -> LedgerImage:
        """The same image with other access or another stage; byte by byte the same if state holds these.

        Whether the owner's own account is among `access` makes no difference.
        """
        owner = self.record.account
        stays = withdrawal is not None and withdrawal.stage is Stage.PRIVATE  # the access to bring back
        same = stays or access.launchers(owner) == self.spec.access.launchers(owner)
        if same and withdrawal == self.spec.withdrawal:
            return self
        return self._with(access=self.spec.access if same else access, withdrawal=withdrawal)

    def _with(self, **changes: object) -> LedgerImage:
        """With another spec. A superseded image loses its recipe, which nobody needs: so state stays small."""
        spec = self.spec.model_copy(update=changes)
        if spec.withdrawal is not None and spec.withdrawal.why == "superseded":
            spec = spec.model_copy(update={"recipe": None})
        create = self.command.create if spec.recipe else StoredCommand.of("adopt", spec).create
        return replace(self, spec=spec, command=replace(self.command, create=create, stdin=spec.to_json()))

    def touched(self) -> LedgerImage:
        """The same image with other white space in its standard input, which makes Pulumi run `update`."""
        stdin = self.command.stdin
        other = stdin.rstrip("\n") if stdin.endswith("\n") else f"{stdin}\n"
        return replace(self, command=replace(self.command, stdin=other))


@dataclass(frozen=True)
class Ledger:
    """All images of a stack, sorted by build and then oldest first."""

    images: tuple[LedgerImage, ...] = ()

    @classmethod
    def of(cls, images: Iterable[LedgerImage]) -> Ledger:
        """Sort them; StateError if two resources stand for the same OMI name in one Region."""
        ordered = tuple(sorted(images, key=lambda image: (image.build, image.profile, image.order, image.region)))
        seen: set[tuple[str, str]] = set()
        for image in ordered:
            if (image.region, image.name) in seen:
                raise StateError(
                    f"stack state holds two resources for the image {image.name}; "
                    "take the one that is too many out with `pulumi state delete URN`"
                )
            seen.add((image.region, image.name))
        return cls(ordered)

    def by_region(self) -> dict[str, Ledger]:
        """The ledger of each Region that has images."""
        parts: dict[str, list[LedgerImage]] = {}
        for image in self.images:
            parts.setdefault(image.region, []).append(image)
        return {region: Ledger(tuple(part)) for region, part in parts.items()}


def read_ledger(resources: Mapping[str, Mapping[str, Any]]) -> Ledger:
    """Read the ledger from Pulumi's built-in invoke readStackResourceOutputs: URN to `type` and `outputs`.

    Commands that aren't an image's are ignored. StateError if an image's command can't be read.
    """
    found = (
        _image(urn, resource.get("outputs") or {})
        for urn, resource in resources.items()
        if resource.get("type") == COMMAND_TYPE
    )
    return Ledger.of(image for image in found if image is not None)


def resources_of_export(deployment: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The resources in `pulumi stack export`, in the form for read_ledger; StateError if they can't be read.

    A resource that only waits for its deletion (after an interrupted update) no longer counts.
    """
    resources = deployment.get("resources") or []
    if not isinstance(resources, list) or not all(
        isinstance(each, dict) and isinstance(each.get("urn"), str) for each in resources
    ):
        raise StateError("stack export: its resources can't be read; was it written by another Pulumi?")
    return {resource["urn"]: resource for resource in resources if not resource.get("delete")}


def _image(urn: str, outputs: object) -> LedgerImage | None:
    name = urn.rpartition("::")[2]
    where = f"stack state, resource {name}"
    if not isinstance(outputs, Mapping):
        raise StateError(f"{where}: its outputs are not a map; forget it with `pulumi state delete '{urn}'`")
    stdin = outputs.get("stdin")
    if isinstance(stdin, Mapping):
        raise StateError(
            f"{where}: its standard input is stored as a secret, which hides whether it is an image; "
            f"take it out with `pulumi state delete '{urn}'` if it isn't"
        )
    if not isinstance(stdin, str) or not _is_image(stdin):
        return None
    cure = f"use the version that wrote it, or forget it with `pulumi state delete '{urn}'`"
    try:
        spec = ImageSpec.from_json(stdin, f"{where}, standard input")
        record = ImageRecord.from_json(_text(outputs, "stdout", where), f"{where}, standard output")
        create, update, delete = (_text(outputs, key, where) for key in ("create", "update", "delete"))
    except StateError as error:
        raise StateError(f"{error}; {cure}") from error
    return LedgerImage(resource=name, spec=spec, record=record, command=StoredCommand(create, update, delete, stdin))


def _is_image(stdin: str) -> bool:
    try:
        value = read_json(stdin)
    except ValueError:
        return False
    return isinstance(value, dict) and value.keys() >= _MARKS


def _text(outputs: Mapping[str, Any], key: str, where: str) -> str:
    value = outputs.get(key)
    if not isinstance(value, str):
        raise StateError(f"{where}: its {key} is missing")
    return value

"""A plan as values: one step for each image, each with its action and its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from itertools import groupby

from omi.config.regions import KnownRegion
from omi.plan.memory import Memory
from omi.plan.reasons import Reason
from omi.profile.model import Target
from omi.state.account import AccountImage
from omi.state.image import BuildVm, CloudAccess, ImageSpec, Recipe
from omi.state.ledger import LedgerImage
from omi.state.owner import Owner
from omi.state.withdrawal import Stage


class Action(StrEnum):
    """The action on an image."""

    KEEP = "keep"
    BUILD = "build"
    ADOPT = "adopt"
    """Take in an OMI of the wanted name that is already in the account, instead of building one."""
    RECOVER = "recover"
    """Take in again an image of the stack's own that its state has lost, with a new claim."""
    PRUNE = "prune"
    """Declare it no longer: its delete command deregisters it, or only forgets it if someone else made it."""


class ChangeKind(StrEnum):
    """A change of an image as others see it; deregistering is the action prune."""

    TAKE_OVER = "take over"
    """An external image becomes the stack's own."""
    SHARE = "share"
    UNSHARE = "unshare"
    PUT_BACK = "put back"
    """Undo changes that others made in the account."""
    DEPRECATE = "deprecate"
    MAKE_PRIVATE = "make private"
    RESTORE = "restore"
    """Go back to an earlier stage, since the reason to withdraw it is gone."""
    ANNOUNCE = "announce"
    """Announce other days or another reason within its stage."""
    CONNECT = "connect"
    """Give it the connection and the releases folder that the stack's config has now."""
    MARK_MISSING = "mark missing"
    """Mark an image that the account lacks: a later update forgets it, unless it is there again."""
    FOUND = "found again"


@dataclass(frozen=True)
class Change:
    """One change with its reason."""

    kind: ChangeKind
    why: Reason

    @property
    def reason(self) -> str:
        """In words."""
        return str(self.why)


@dataclass(frozen=True)
class PlannedImage:
    """An image that the ledger doesn't hold yet."""

    target: Target
    release: str
    revision: int
    digest: str
    end_of_life: date | None = None
    existing: AccountImage | None = None
    """The OMI that is adopted."""
    offered: tuple[str, ...] = ()
    """The newer packages that its build should bring, `name=version`."""
    region: str | None = None
    """The Region that gets it; None is the home Region."""
    resource: str | None = None
    """The logical name of its command, if that isn't the OMI's name."""
    copy_from: CloudAccess | None = None
    """The connection to the home Region, if it is copied from there."""

    @property
    def name(self) -> str:
        """The OMI's name."""
        return self.target.image_name(self.release, self.revision)

    @property
    def profile(self) -> str:
        """The profile's name."""
        return self.target.profile

    @property
    def build(self) -> str:
        """The build's name."""
        return self.target.name

    @property
    def is_external(self) -> bool:
        """Whether it is an OMI that this stack didn't make."""
        return self.existing is not None and not self.existing.managed

    def to_spec(self, owner: Owner, cloud: CloudAccess, vm: BuildVm, releases_dir: str) -> ImageSpec:
        """The command's standard input."""
        return ImageSpec(
            project=owner.project,
            stack=owner.stack,
            stack_id=owner.stack_id,
            name=self.name,
            release=self.release,
            revision=self.revision,
            digest=self.digest,
            end_of_life=self.end_of_life,
            offered=self.offered,
            description=self.target.image_description(self.release, self.revision),
            profile=self.profile,
            build=self.build,
            arch=self.target.arch,
            bootstrap=self.target.bootstrap,
            user=self.target.user,
            access=self.target.access,
            withdrawal=None,
            cloud=cloud,
            releases_dir=releases_dir,
            resource=self.resource,
            recipe=Recipe(build=self.target, vm=vm, copy_from=self.copy_from),
            take_over=None,
        )


@dataclass(frozen=True)
class Step:
    """One image and its action. A kept LedgerImage is declared by the `command` that it has here."""

    image: PlannedImage | LedgerImage
    action: Action
    why: Reason
    level: str | None = None
    """The level of a prune: end-of-life, release, edge, revision; `profile` or `region` if removed from the profile or
    with its Region from the config; `gone` from the account."""
    changes: tuple[Change, ...] = ()
    """Changes of the image as others see it. For a kept image, its command's update makes them."""
    protected: bool = False
    """Whether the engine must refuse its deletion, too."""
    unprotects: bool = False
    """Whether this update removes that protection."""
    claimed_elsewhere: bool = False
    """Whether it is a prune whose OMI another record holds: the OMI and its releases entry stay."""

    @property
    def reason(self) -> str:
        """In words."""
        return str(self.why)

    @property
    def updates(self) -> bool:
        """Whether it is a keep whose command's update runs."""
        return self.action is Action.KEEP and bool(self.changes)

    @property
    def stage(self) -> Stage:
        """Its stage after the step."""
        return self.image.spec.stage if isinstance(self.image, LedgerImage) else Stage.CURRENT

    @property
    def region(self) -> str | None:
        """The image's Region; None is the home Region."""
        return self.image.region

    @property
    def build(self) -> str:
        """The build's name."""
        return self.image.build

    @property
    def name(self) -> str:
        """The OMI's name."""
        return self.image.name

    @property
    def forgets(self) -> bool:
        """Whether it is a prune that deletes nothing: the OMI was made elsewhere, is missing, or another record holds
        it.
        """
        if self.action is not Action.PRUNE or not isinstance(self.image, LedgerImage):
            return False
        return self.claimed_elsewhere or self.image.record.adopted or self.image.record.missing is not None


@dataclass(frozen=True)
class Plan:
    """All steps: builds of the profile in the order of their versions, then removed builds; within a build the home
    Region's, then those of the others; newest image first.
    """

    steps: tuple[Step, ...] = ()
    builds: tuple[str, ...] = ()
    """Every build of the profile or of any Region's ledger, in the order of the steps."""
    warnings: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    """The stack's Regions, the home one first."""
    refused: tuple[str, ...] = ()
    """The steps that wait for a person, with the cure. The run does all else, and then ends with an error."""
    memory: Memory = field(default_factory=Memory)
    """The memory for the next plan."""
    guarded: frozenset[str] = frozenset()
    """The names that `retention.allow_mass_prune` may have a use for."""
    known: Mapping[str, KnownRegion] = field(default_factory=dict)
    """The Regions to remember, by name: state must hold them before anything is made."""

    def by_build(self) -> Iterator[tuple[str, tuple[Step, ...]]]:
        """Each build's name and steps: every build of the profile, even without a step, and every removed one."""
        steps = {name: tuple(group) for name, group in groupby(self.steps, key=lambda step: step.build)}
        for name in self.builds:
            yield name, steps.get(name, ())

    def declared(self) -> Iterator[tuple[str, tuple[Step, ...]]]:
        """The images to declare: each build that has any, with its steps except prunes."""
        for name, steps in self.by_build():
            if rest := tuple(step for step in steps if step.action is not Action.PRUNE):
                yield name, rest

    def of(self, action: Action) -> tuple[Step, ...]:
        """The steps with this action."""
        return tuple(step for step in self.steps if step.action is action)

    @property
    def building(self) -> frozenset[str | None]:
        """The Regions in which something is built."""
        return frozenset(image.region for image in self._made if image.copy_from is None)

    @property
    def copied_from(self) -> frozenset[str]:
        """The Regions from which images are copied to others."""
        return frozenset(image.copy_from.region for image in self._made if image.copy_from is not None)

    @property
    def copying(self) -> bool:
        """Whether an image is copied to another Region."""
        return bool(self.copied_from)

    @property
    def _made(self) -> Iterator[PlannedImage]:
        made = (step.image for step in self.of(Action.BUILD))
        return (image for image in made if isinstance(image, PlannedImage))

    @property
    def changes(self) -> bool:
        """Whether anything but keeping is planned."""
        return any(step.action is not Action.KEEP or step.updates for step in self.steps)

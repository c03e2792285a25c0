"""Everything that decides a plan, as one value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property

from omi.config.settings import Retention
from omi.plan.memory import Memory
from omi.profile.model import Access, Target
from omi.state.account import AccountImage, AccountView
from omi.state.image import CloudAccess
from omi.state.ledger import Ledger, LedgerImage
from omi.state.owner import CLAIM
from omi.support.version import EDGE, release_key
from omi.upstream.model import Upstream
from omi.upstream.offer import Offer

Digest = Callable[[Target, str], str]
"""The digest of all that decides the content of a build's image of a release, except its packages' versions."""


@dataclass(frozen=True)
class PlanInput:
    """Everything that decides the plan of one Region. The order of items in a value doesn't matter."""

    builds: Sequence[Target]
    upstream: Upstream
    ledger: Ledger
    retention: Retention
    today: date
    """In UTC."""
    digests: Digest
    account: AccountView | None = None
    """The account's contents. None if nobody asked: then the plan ignores adoption, drift and VMs."""
    edge_keep: int | None = None
    """How many images of each edge build stay (the profile's `discover.edge`); None keeps all."""
    offers: Mapping[str, Offer] = field(default_factory=dict)
    """The repositories' offers by build. Without one, the content alone decides."""
    untrusted: Mapping[str, str] = field(default_factory=dict)
    """By build: why its packages can't be trusted. It isn't built."""
    keys_at: Mapping[str, str] = field(default_factory=dict)
    """By build: the file and line of its keys, to begin a refusal with."""
    lacking: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By build: a line for each of its packages that doesn't exist. It isn't built."""
    access: Access | None = None
    """The launch permissions of all builds; None leaves them to the profile."""
    left: str | None = None
    """The Region, if it left the config: then no image is wanted here any more."""
    joining: Collection[str] = ()
    """Names of the ledger's images that this very update takes in, which may fail."""
    revoked: Mapping[str, str] = field(default_factory=dict)
    """Images that must not be launched, by name or id, each with its reason."""
    revoked_content: Collection[str] = ()
    """Digests of revoked images that the stack made in any Region: this content isn't built."""
    copied: Collection[str] = ()
    """Builds whose image is a copy of one that is in the home Region and isn't revoked."""
    asked: Collection[str] | None = None
    """The builds that a person asked to build in this very run; none if the run prunes. None if it is an update."""
    elsewhere: Collection[str] = ()
    """Builds that the stack has images of in other Regions."""
    memory: Memory = field(default_factory=Memory)
    """The memory of earlier updates."""
    connection: CloudAccess | None = None
    """The connection in today's config; None leaves the images' connections as they are."""
    releases_dir: str | None = None
    """The folder of the releases files in today's config; None leaves the images' folders as they are."""

    @cached_property
    def names(self) -> frozenset[str]:
        """The OMI names in the ledger, of any build: no second resource may have them."""
        return frozenset(image.name for image in self.ledger.images)

    @property
    def known(self) -> set[str]:
        """Every build of the profile or of any Region's ledger."""
        return {build.name for build in self.builds} | {image.build for image in self.ledger.images} | {*self.elsewhere}

    @property
    def is_one_off(self) -> bool:
        """Whether a person asked for this very run: then any number of losses is allowed."""
        return self.asked is not None

    @property
    def set_by(self) -> str:
        """Where the images' access is set."""
        return "`access` in the profile" if self.access is None else "`access` in the stack's config"

    @property
    def owner(self) -> str:
        """The own account's id; empty if unknown."""
        asked = self.account.account if self.account else None
        return asked or next((image.record.account for image in self.ledger.images), "")

    def prepared(self) -> PlanInput:
        """The input with each build's effective access, and with upstream's answers of today in the memory."""
        versions = {build.version for build in self.builds} | {image.version for image in self.ledger.images}
        memory = self.memory.today(self.upstream, versions, self.today)
        if self.access is None:
            return replace(self, memory=memory)
        builds = [build.model_copy(update={"access": self.access}) for build in self.builds]
        return replace(self, builds=builds, memory=memory)

    def last_day(self, version: str, recorded: Sequence[date | None]) -> date | None:
        """The last day of support that counts for a version; `recorded` are the days of builds and images."""
        return self.memory.last_day(version, recorded, self.upstream, self.today)

    def last_day_of(self, image: LedgerImage) -> date | None:
        """The last day of support of an image's version."""
        return self.last_day(image.version, [image.spec.end_of_life])

    def has_ended(self, image: LedgerImage) -> bool:
        """Whether its version's end of life and the grace are over, and a later supported version has a proved image.

        Then the retention's end-of-life level lets it go, which everyone could know long before.
        """
        level = self.retention.end_of_life
        day = self.last_day_of(image)
        if level is None or day is None or self.left is not None or (level.builds and image.build not in level.builds):
            return False
        if self.today <= day + timedelta(days=level.grace_days):
            return False
        return any(self._succeeds(other, image) for other in self.ledger.images)

    def _succeeds(self, other: LedgerImage, image: LedgerImage) -> bool:
        is_later = other.version != EDGE and release_key(other.version) > release_key(image.version)
        alike = (other.profile, other.spec.arch) == (image.profile, image.spec.arch)
        day = self.last_day_of(other)
        return is_later and alike and self.is_proved(other) and (day is None or self.today <= day)

    def seen(self, image: LedgerImage) -> AccountImage | None:
        """The image as the account shows it."""
        return self.account.by_omi.get(image.record.omi) if self.account is not None else None

    def is_missing(self, image: LedgerImage) -> bool:
        """Whether no read of the account shows the image."""
        return self.account is not None and image.record.omi in self.account.missing

    def is_proved(self, image: LedgerImage) -> bool:
        """Whether the image may replace an older one.

        It was verified, isn't revoked, is in the account, and no other record holds it.
        """
        is_held = image.record.claim is None or self.foreign_claim(image) is None
        return image.record.verified and self._is_there(image) and is_held

    def is_reliable(self, image: LedgerImage) -> bool:
        """Whether its build can rely on it: it is proved or external, and was in state before this update."""
        is_good = self.is_proved(image) or (image.record.adopted and self._is_there(image))
        return image.name not in self.joining and is_good

    def _is_there(self, image: LedgerImage) -> bool:
        """Whether it may be launched: it isn't revoked, and is in the account, as far as that was read."""
        seen = self.seen(image)
        is_seen = self.account is None or (seen is not None and not seen.is_revoked_elsewhere)
        return is_seen and self.revocation(image) is None

    def foreign_claim(self, image: LedgerImage) -> str | None:
        """The claim in the OMI's tag, if it is another record's."""
        seen = self.seen(image)
        found = seen.tags.get(CLAIM) if seen is not None else None
        return None if image.record.adopted or found == image.record.claim else found

    def revocation(self, image: LedgerImage) -> str | None:
        """Why a person has revoked the image; None if nobody has."""
        return self.revoked.get(image.name) or self.revoked.get(image.record.omi)

    def is_protected(self, image: LedgerImage) -> bool:
        """Whether the retention protects it by name or id."""
        return not image.names.isdisjoint(self.retention.protect)

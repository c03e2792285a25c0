"""Derives the names and tags of one image's resources, so that a later run finds an earlier one's leftovers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from omi.state.image import ImageSpec
from omi.state.owner import BUILD_ID, STANDS_FOR, build_id_of, build_mark, entry_name
from omi.state.withdrawal import Stage

MAX_DESCRIPTION = 255
"""Characters of an OMI's description that EC2 allows; OUTSCALE's reference names no limit."""
MAX_TAG = 255
"""Characters of a tag's value that OUTSCALE allows."""
STAGE_TAGS = ("stage", "why", "shared", "deprecated", "due", "private", "reason", "removal", "access")
"""All keys of `stage_tags`."""
DISK = "disk"
"""The key of the tag with the digest of an OMI's disk, if that was read."""
COPIED_FROM = "copied-from"
"""The key of a copy's tag with Region and id of its source, `eu-west-2:ami-…`."""


@dataclass(frozen=True)
class Identity:
    """The names and tags of everything made to build, verify and keep one image."""

    spec: ImageSpec

    @cached_property
    def build_id(self) -> str:
        """The build's id. It follows from stack id and OMI name, on every machine."""
        return build_id_of(self.spec.owner, self.spec.name)

    @property
    def build_key(self) -> str:
        """Name of the keypair that Packer uses."""
        return f"{self.group}-build"

    @property
    def verify_key(self) -> str:
        """Name of the verify VM's keypair."""
        return f"{self.group}-verify"

    @property
    def group(self) -> str:
        """Name of the security group of both VMs. It has the stack's id, since groups and keypairs bear no tags."""
        return entry_name(self.spec.owner, self.build_id)

    @property
    def description(self) -> str:
        """The description of a new OMI. Its build id identifies the OMI while it has no tags yet."""
        return self.described(verified=False)

    def described(self, *, verified: bool) -> str:
        """The OMI's description. It shows that the OMI was verified, even if somebody removes the tags.

        A withdrawn OMI's description ends with its stage, since other accounts see nothing else of it. One that was
        taken over has no build id there, so that it never counts as a leftover if it loses its tags.
        """
        spec = self.spec
        end = "" if spec.take_over else build_mark(self.build_id, verified=verified)
        end += f"; {spec.withdrawal}" if spec.withdrawal else ""
        return spec.description[: MAX_DESCRIPTION - len(end)] + end

    @property
    def stage_tags(self) -> Mapping[str, str]:
        """Tags of the OMI alone, while it is being withdrawn."""
        if self.spec.withdrawal is None:
            return {}
        facts = self.spec.withdrawal.model_dump(mode="json", exclude_none=True)
        facts["shared"] = str(facts["shared"]).lower()
        access = {"access": str(self.spec.access)} if self.spec.stage is Stage.PRIVATE else {}
        return {"stage": self.spec.stage.value, **_fitting({**facts, **access})}

    @property
    def run_tags(self) -> Mapping[str, str]:
        """Tags of VMs and their volumes."""
        return {**self.spec.owner.tags, "Name": f"{self.spec.name} build", BUILD_ID: self.build_id}

    @property
    def tags(self) -> Mapping[str, str]:
        """Tags of the OMI and its snapshots."""
        spec = self.spec
        return {
            **spec.owner.tags,
            "Name": spec.name,
            BUILD_ID: self.build_id,
            "profile": spec.profile,
            "build": spec.build,
            "release": spec.release,
            "arch": spec.arch,
            "revision": str(spec.revision),
            STANDS_FOR if spec.take_over else "digest": spec.digest,
            **({"bootstrap": spec.bootstrap} if spec.bootstrap else {}),
            **({"user": spec.user} if spec.user else {}),
            **({"end-of-life": spec.end_of_life.isoformat()} if spec.end_of_life else {}),
            **_fitting({"offered": " ".join(spec.offered)} if spec.offered else {}),
        }


def _fitting(tags: Mapping[str, str]) -> Mapping[str, str]:
    """The tags whose value isn't too long for OUTSCALE; the others are in the stack's state alone."""
    return {key: value for key, value in tags.items() if len(value) <= MAX_TAG}

"""Turns target profiles of the old tool into ours, with a note for each setting without a counterpart."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from omi.profile.forms import DescriptionTemplate, NameTemplate
from omi.profile.hocon import OldBuild, OldProfile
from omi.profile.layers import removes
from omi.profile.model import Target
from omi.support.errors import InputError
from omi.support.reading import real_path
from omi.support.version import EDGE

_MIRROR = re.compile(r"https?://dl-cdn\.alpinelinux\.org/alpine/(?:v[0-9.]+|edge)(?=/)")
_FIELDS = {
    **{name: f"{{{name}}}" for name in ("release", "version", "arch", "revision", "profile")},
    "profile_build": "{build}",
    "name_prefix": "{prefix}",
    "name_suffix": "{suffix}",
    "desc_suffix": "{description_suffix}",
}
"""Our templates' variables by the old tool's names, without ami_ or omi_."""
_OLD_COPIES = "/tmp/setup-ami.d"  # noqa: S108 - where the old tool's scripts expect their files
_FOLLOWS = {
    "alpine-base": "is always there",
    "alpine-keys": "is always there",
    "sudo": "follows from privileges",
    "doas": "follows from privileges",
    "syslinux": "follows from firmware",
    "grub-efi": "follows from firmware",
    "linux-virt": "follows from kernel_flavor",
    "linux-lts": "follows from kernel_flavor",
    "linux-vanilla": "follows from kernel_flavor",
    "tiny-ec2-bootstrap": "is tiny-cloud now (bootstrap)",
}
"""Packages that other keys bring."""
_AWS_ONLY = {"ena", "nvme", "nvme_core.io_timeout=4294967295"}
"""Names of AWS's disks and network cards. OUTSCALE's are virtio."""
_OLD_SERVICES = {"eth-eni-setup", "tiny-ec2-bootstrap"}
"""Services whose work tiny-cloud does now."""
_WITHOUT: dict[str, str] = {
    "encrypt": "OUTSCALE doesn't encrypt OMIs",
    "regions": "name OUTSCALE's Regions in the stack's setting `regions`",
    "access": "set `access`, with OUTSCALE's account ids",
    "aws_accounts": "set `access.accounts`, with OUTSCALE's account ids",
    "aws_profile": "name it by AWS_PROFILE where you run `pulumi up`",
    "build_instance_type": "set the stack's `vm.vm_type`, an OUTSCALE type",
    "build_region": "set the stack's `region`",
    "build_subnet": "set the stack's `vm.subnet`, an OUTSCALE Subnet",
    "build_public_ip": "the build VM has one while it builds, unless the stack sets `vm.subnet`",
    "build_user": "the source OMI's user is the stack's `vm.user`",
    "apk_tools": "the build VM brings its own",
    "alpine_keys": "set `keys`",
}
"""Why an old key has no counterpart in a profile, by its end or beginning."""


@dataclass
class Migration:
    """One old profile as ours."""

    name: str
    target: dict[str, Any]
    """The content of `NAME.yaml`."""
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The content of `version/VERSION.yaml` for branches."""
    files: dict[str, Path] = field(default_factory=dict)
    """Files to copy: path below the folder of profiles to their source."""
    notes: dict[str, list[str]] = field(default_factory=dict)
    """Builds by note; a note names a setting without a counterpart, and the reason."""

    def note(self, text: str, build: str) -> None:
        """Add a note about one build; builds with the same note share it."""
        self.notes.setdefault(text, []).append(build)


def migrate(old: OldProfile, folder: Path, base: Mapping[str, Any]) -> Migration:
    """Convert an old profile to ours. `folder` is the old checkout, `base` the values of our base and arch files."""
    done = Migration(old.name, {})
    builds: dict[str, dict[str, Any]] = {}
    for build in old.builds:
        if build.values.get("arch") != "x86_64":
            arch = build.values.get("arch") or f"without one, since {', '.join(old.missing) or 'no file'} is missing"
            done.note(f"arch {arch}: left out; OUTSCALE has x86_64 alone", build.name)
            continue
        if not build.values.get("version"):
            raise InputError(f"{old.name}.conf: {build.name}: names no version; give it one, such as 3.23")
        builds[build.name] = _Build(done, build, folder, base).convert()
        version = str(build.values["version"])
        end = str(build.values.get("end_of_life") or "")[:10]
        known = {"release": str(build.version_values.get("release") or ""), "end_of_life": end}
        recorded = {key: value for key, value in known.items() if value and version != EDGE}
        done.versions[version] = {"base": "base/1", **recorded}
    shared = _lift(list(builds.values())) if len(builds) > 1 else {}
    done.target = {**shared, "builds": builds}
    return done


class _Build:
    """Converts one build from the old keys to ours."""

    def __init__(self, done: Migration, old: OldBuild, folder: Path, base: Mapping[str, Any]) -> None:
        self.done, self.old, self.folder, self.base = done, old, folder, base
        self.values = dict(old.values)

    def convert(self) -> dict[str, Any]:
        packages = self._switched_on("pkgs")
        made: dict[str, Any] = {"version": str(self.values["version"])}
        made |= self._pins() | self._scalars() | self._follows(packages)
        made["repos"] = self._new("repos", self._repos())
        made["packages"] = self._new("packages", {k: v for k, v in packages.items() if k not in _FOLLOWS})
        made["services"] = self._services()
        for key in ("kernel_modules", "kernel_options", "initfs_features"):
            made[key] = self._new(key, {name: True for name in self._switched_on(key) if name not in _AWS_ONLY})
        made |= self._setup()
        self._note_the_rest()
        return {key: value for key, value in made.items() if value not in (None, {})}

    def _note(self, text: str) -> None:
        self.done.note(text, self.old.name)

    def _take(self, key: str) -> Any:
        """Take an old key, once called ami_…, later omi_…. Keys that nobody takes are reported."""
        ami, omi = self.values.pop(f"ami_{key}", None), self.values.pop(f"omi_{key}", None)
        if omi is not None and ami not in (None, omi):
            self._note(f"ami_{key} {ami!r}: left out; omi_{key} {omi!r} was what counted beside it")
        return ami if omi is None else omi

    def _switched_on(self, key: str) -> dict[str, bool | str]:
        """The entries of an old map that aren't switched off."""
        entries = self.values.pop(key, None)
        pairs = sorted(entries.items()) if isinstance(entries, dict) else ()
        return {name: value if isinstance(value, str) else True for name, value in pairs if not removes(value)}

    def _new(self, key: str, entries: Mapping[str, Any]) -> dict[str, Any]:
        """The entries that our base lacks."""
        there = self.base.get(key) or {}
        return {name: value for name, value in entries.items() if there.get(name) != value}

    def _pins(self) -> dict[str, Any]:
        release, revision = self.values.pop("release", None), self.values.pop("revision", None)
        pins: dict[str, Any] = {}
        if release not in (None, EDGE, self.old.version_values.get("release")):
            pins["release"] = str(release)
        if revision not in (None, "r0"):
            pins["revision"] = str(revision)
            self._note(f"revision {revision}: stays as a pin; take it out, and the content decides")
        return pins

    def _scalars(self) -> dict[str, Any]:
        size, begin = self._take("volume_size"), str(self._take("desc_prefix") or "")
        description = begin.rstrip()
        fields = {**_FIELDS, "desc_prefix": "{description}" + begin[len(description) :] if description else begin}
        wanted = {
            "prefix": self._take("name_prefix"),
            "suffix": self._take("name_suffix"),
            "name_template": self._template("name", NameTemplate, fields),
            "description": description or None,
            "description_suffix": self._take("desc_suffix") or None,
            "description_template": self._template("desc", DescriptionTemplate, fields),
            "volume_size": int(size) if str(size).isdigit() else None,
            "user": self._take("user"),
        }
        usual = {key: self.base.get(key, Target.model_fields[key].default) for key in wanted}
        return {key: value for key, value in wanted.items() if value not in (None, usual[key])}

    def _template(self, key: str, rule: Any, fields: Mapping[str, str]) -> str | None:
        """An old template as ours, with other variables replaced by their values; None, with a note, if that fails.

        They were Python's format strings.
        """
        if not (old := self._take(key)):
            return None

        def field(found: re.Match[str]) -> str:
            return fields.get(found[2]) or str(self.old.values.get(found[1]) or found[0])

        made = re.sub(r"\{var\.((?:ami_|omi_)?(\w+))\}", field, str(old))
        try:
            return str(TypeAdapter(rule).validate_python(made))
        except ValidationError as error:
            self._note(f"template of {key} {old!r}: left out; allowed: {error.errors()[0]['msg']}")
            return None

    def _follows(self, packages: Mapping[str, Any]) -> dict[str, Any]:
        loader = self.values.pop("bootloader", None)
        wanted = {
            "privileges": next((name for name in ("doas", "sudo") if name in packages), "none"),
            "kernel_flavor": "lts" if {"linux-lts", "linux-vanilla"} & set(packages) else "virt",
            "firmware": "bios" if loader in (None, "syslinux") else "uefi",
        }
        return {key: value for key, value in wanted.items() if value != self.base.get(key)}

    def _repos(self) -> dict[str, Any]:
        branch = EDGE if self.values["version"] == EDGE else f"v{self.values['version']}"
        repos = {}
        for url, value in self._switched_on("repos").items():
            own = _MIRROR.sub("https://dl-cdn.alpinelinux.org/alpine/{branch}", url)
            url_here = own if f"/{branch}/" in url else url.replace("http://dl-cdn", "https://dl-cdn")
            if url_here.startswith("http://"):
                self._note(f"repository {url}: stays http, by which others see what is fetched; try https")
            repos[url_here] = value
        return repos

    def _services(self) -> dict[str, dict[str, bool]]:
        here = {name for level in (self.base.get("services") or {}).values() for name in level}
        levels = self._levels()
        made = {level: dict.fromkeys(sorted(names - here - _OLD_SERVICES), True) for level, names in levels.items()}
        if any("chronyd" in names for names in levels.values()):
            made.setdefault("default", {})["ntpd"] = False
        return {level: names for level, names in made.items() if names}

    def _levels(self) -> dict[str, set[str]]:
        """Services by runlevel; until 2019 the map was the other way round: service to runlevel."""
        levels: dict[str, set[str]] = {}
        services = self.values.pop("svcs", None)
        for key, value in services.items() if isinstance(services, dict) else ():
            if isinstance(value, dict):
                levels.setdefault(key, set()).update(name for name, on in value.items() if not removes(on))
            elif not removes(value):
                levels.setdefault("default" if value is True else str(value), set()).add(key)
        return levels

    def _setup(self) -> dict[str, Any]:
        script, copies = self.values.pop("setup_script", None), self._switched_on("setup_copy")
        path = self._taken("setup_script", str(script), is_script=True) if script else None
        if path is None:
            return {}
        text = (self.folder / str(script)).read_text(encoding="utf-8", errors="replace")
        if _OLD_COPIES in text:
            self._note(f"{script}: uses {_OLD_COPIES}; its files are in the folder that it runs in now: ./NAME")
        found = {target: self._taken(f"setup_copy.{target}", str(source)) for target, source in copies.items()}
        return {"setup_script": path, "setup_copy": {target: path for target, path in found.items() if path}}

    def _taken(self, key: str, source: str, *, is_script: bool = False) -> str | None:
        """The target path below the folder of profiles of a file, or of a folder with its files.

        None, with a note, if the old checkout has no such file.
        """
        place, top, name = self.folder / source, real_path(self.folder), f"setup/{self.done.name}"
        inside = real_path(place).is_relative_to(top) and not is_script
        files = sorted(file for file in place.rglob("*") if file.is_file()) if inside else []
        taken = False
        for file in files or [place]:
            path = posixpath.normpath(posixpath.join(source, file.relative_to(place).as_posix()))
            if file.is_file() and real_path(file).is_relative_to(top):
                self.done.files[f"{name}/{path}"] = file
                taken = True
            else:
                self._note(f"{key} {path}: is not a file of {self.folder}, so left out")
        return f"{name}/{posixpath.normpath(source)}" if taken else None

    def _note_the_rest(self) -> None:
        silent = {"profile", "profile_build", "version", "end_of_life", "arch", "build_arch"}
        usual = self.old.version_values
        for key, value in sorted(self.values.items()):
            if key in silent or value in (None, "", "false", False, {}) or usual.get(key) == value:
                continue
            bare = key.removeprefix("ami_").removeprefix("omi_")
            why = next((text for part, text in _WITHOUT.items() if bare.startswith(part)), "has no counterpart")
            self._note(f"{key} {value}: left out; {why}")


def _lift(maps: list[dict[str, Any]]) -> dict[str, Any]:
    """Remove the entries that all maps share, and return them."""
    shared: dict[str, Any] = {}
    for key, value in list(maps[0].items()):
        if key == "version" or not all(key in each for each in maps):
            continue
        if all(each[key] == value for each in maps):
            shared[key] = value
            for each in maps:
                del each[key]
        elif all(isinstance(each[key], dict) for each in maps) and (inner := _lift([each[key] for each in maps])):
            shared[key] = inner
    return shared

"""From layers to one build: merge, drop what was taken away, check what only the whole can show."""

from __future__ import annotations

import re
from typing import Any

from omi.profile.forms import COMMENTED, OMI_CHARACTERS
from omi.profile.layers import Layers
from omi.profile.merge import kept, merge_tables
from omi.profile.model import Firmware, Runlevel, SetupFile, Target, profile_keys
from omi.profile.tree import Leaf, Node, Source, Table
from omi.support.version import EDGE, version_key, version_of

OMI_NAME = re.compile(rf"[{OMI_CHARACTERS}]{{3,128}}")
_LONGEST_REVISION = 9999
_ROOT_GROWTH = ("partx", "sfdisk")
"""What makes the root's partition larger at first boot; a root on the raw disk needs neither."""
_LOADERS: dict[Firmware, tuple[str, ...]] = {
    "bios": ("syslinux",),
    "uefi": ("grub-efi", *_ROOT_GROWTH),
    "hybrid": ("grub-efi", "syslinux", *_ROOT_GROWTH),
}
TIME_SERVICES = ("ntpd", "chronyd")
"""Those that `ntp_servers` are written for: busybox's and chrony's."""


def resolve(layers: Layers, name: str, entry: Table, *, discovered: bool = False) -> Target:
    """The build `name`, whose own keys are `entry`; raises ProfileError naming the file that holds the wrong value.

    A discovered build may be of a version that has no core profile yet.
    """
    own = merge_tables([layers.target, entry])
    version = _version(layers, name, own, entry.source)
    if version not in layers.branches and not discovered:
        source = (own.get("version") or entry).source
        known = ", ".join(layers.branches)
        raise source.error(f"builds.{name}.version", f"{version} has no profile in version/; there are: {known}")
    arch = _text(own, "arch") or "x86_64"
    branch = layers.branch(version)
    merged = merge_tables([layers.bases[branch.base], branch.table, layers.archs[arch], own])
    values = {key: _held(merged.get(key)) for key, _, _ in profile_keys() if key in merged.entries} | {
        "release": _release(own, version),
        "revision": _revision(own),
        "repos": _repos(merged, version),
        "keys": {key: layers.keys[key] for key in _kept(merged, "keys")},
        "setup_files": _setup_files(merged, layers),
    }
    build = Target(
        profile=layers.profile,
        name=name,
        end_of_life=branch.end_of_life,
        recorded_release=branch.release,
        **{key: value for key, value in values.items() if value is not None},
    )
    _check_release(build, own)
    _check_name(build, merged, entry.source)
    _check_packages(build, merged, entry.source)
    _check_services(build, merged)
    return build


def _version(layers: Layers, name: str, own: Table, source: Source) -> str:
    node = own.get("version")
    if not isinstance(node, Leaf) or node.value is None:
        known = ", ".join(layers.branches)
        raise source.error(f"builds.{name}.version", f"is missing; name a branch: one of {known}")
    return str(node.value)


def _held(node: Node | None) -> Any:
    """A value in plain form, without what was taken away; a map in a map that is empty then goes as well."""
    if isinstance(node, Table):
        return {name: held for name, each in kept(node).items() if (held := _held(each)) != {}}
    return node.value if isinstance(node, Leaf) else None


def _text(table: Table, key: str) -> Any:
    node = table.get(key)
    return node.value if isinstance(node, Leaf) else None


def _kept(table: Table, *path: str) -> dict[str, Node]:
    node = table.get(*path)
    return kept(node) if isinstance(node, Table) else {}


def _value(node: Node) -> bool | str:
    return node.value if isinstance(node, Leaf) and isinstance(node.value, bool | str) else True


def _release(own: Table, version: str) -> str | None:
    """A day of edge becomes the name that an image built on that day has."""
    text = _text(own, "release")
    return f"{EDGE}-{text}" if version == EDGE and text is not None and text.isdigit() else text


def _revision(own: Table) -> int | None:
    text = _text(own, "revision")
    return int(text.removeprefix("r")) if text is not None else None


def _repos(merged: Table, version: str) -> dict[str, bool | str]:
    branch = version if version == "edge" else f"v{version}"
    repos: dict[str, bool | str] = {}
    for url, node in _kept(merged, "repos").items():
        value = _value(node)
        whole = url.replace("{branch}", branch).replace("{version}", version)
        if set("{}") & set(whole):
            raise node.source.error(f"repos.{url}", "only {branch} and {version} can be filled in")
        repos[whole] = False if value == COMMENTED else value
    return repos


def _setup_files(merged: Table, layers: Layers) -> dict[str, SetupFile]:
    copies, tests = _kept(merged, "setup_copy"), _kept(merged, "tests")
    for target in copies:
        for inner, node in copies.items():
            if inner.startswith(target + "/"):
                raise node.source.error(f"setup_copy.{inner}", f"lies below {target}, which is a file")
    script = _text(merged, "setup_script")
    named = {str(_value(node)) for node in (*copies.values(), *tests.values())} | ({script} if script else set())
    return {path: layers.setup_files[path] for path in sorted(named)}


def _check_release(build: Target, own: Table) -> None:
    node = own.get("release")
    if build.release is None or node is None:
        return
    if version_of(build.release) != build.version:
        wanted = "a date, YYYYMMDD" if build.version == EDGE else f"one of {build.version}.N"
        raise node.source.error("release", f"{build.release} is no release of {build.version} ({build.name}): {wanted}")


def _check_name(build: Target, merged: Table, source: Source) -> None:
    longest = build.release or (f"{EDGE}-20991231" if build.version == EDGE else f"{build.version}.99_rc9")
    name = build.image_name(longest, _LONGEST_REVISION if build.revision is None else build.revision)
    if OMI_NAME.fullmatch(name):
        return
    key = "suffix" if len(build.suffix) > len(build.prefix) else "prefix"
    node = merged.get(key)
    where = node.source if node else source
    problem = (
        f"makes OMI names like {name!r}, {len(name)} characters; OUTSCALE allows 3 to 128 of A-Z a-z 0-9 _ ( ) / . -"
    )
    raise where.error(key, problem + " and space")


def _check_packages(build: Target, merged: Table, source: Source) -> None:
    tags = sorted({value for value in build.repos.values() if isinstance(value, str)})
    for name, node in _kept(merged, "packages").items():
        tag = _value(node)
        if isinstance(tag, str) and tag not in tags:
            there = f"there are: {', '.join(tags)}" if tags else "no repo has a tag"
            raise node.source.error(f"packages.{name}", f"the tag {tag!r} belongs to no repo; {there}")
    for name in essential_packages(build):
        taken = merged.get("packages", name)
        if isinstance(taken, Leaf) and taken.removes:
            problem = (
                "can't be taken away: the image needs it "
                "(it follows from kernel_flavor, firmware, privileges or bootstrap)"
            )
            raise taken.source.error(f"packages.{name}", problem)
    for key, left in (("repos", any(value is True for value in build.repos.values())), ("keys", bool(build.keys))):
        if not left:
            raise source.error(
                f"builds.{build.name}", f"nothing is left in {key}; the build needs at least one untagged"
            )


def _check_services(build: Target, merged: Table) -> None:
    """Settings that a service puts into effect are of no use without it."""
    wanted = {
        "sysctl": (build.sysctl, ("sysctl",), "add it to services.boot"),
        "ntp_servers": (build.ntp_servers, TIME_SERVICES, "add ntpd, or the package chrony and chronyd"),
    }
    named = {service for level in build.services.values() for service in level}
    for key, (settings, services, cure) in wanted.items():
        if settings and not named.intersection(services):
            source = (merged.get(key) or merged).source
            raise source.error(key, f"is put into effect by the service {' or '.join(services)}, which is gone; {cure}")


def essential_packages(build: Target) -> tuple[str, ...]:
    """What every image of this kind must hold, whatever its profile lists."""
    becoming = () if build.privileges == "none" else (build.privileges,)
    system = ("alpine-base", f"linux-{build.kernel_flavor}", *_LOADERS[build.firmware])
    return (*system, *becoming, *bootstrap_packages(build))


def bootstrap_services(build: Target) -> tuple[tuple[Runlevel, str], ...]:
    """The services, with their runlevels, that follow from the bootstrap, whatever the profile lists."""
    services: dict[str, tuple[tuple[Runlevel, str], ...]] = {
        "tiny-cloud": (
            ("boot", "tiny-cloud-boot"),
            ("default", "tiny-cloud-early"),
            ("default", "tiny-cloud-main"),
            ("default", "tiny-cloud-final"),
        ),
        # setup-cloud-init says which of them, by the version of cloud-init
        "cloud-init": (
            ("boot", "cloud-init-ds-identify"),
            ("boot", "cloud-init-local"),
            ("default", "cloud-init"),
            ("default", "cloud-config"),
            ("default", "cloud-final"),
            ("default", "cloud-init-hotplugd"),
        ),
    }
    return services[build.bootstrap]


_SPLIT_DATASOURCES = version_key("3.23")
"""Since that branch each of cloud-init's datasources is a package of its own (pkgs.alpinelinux.org)."""


def bootstrap_packages(build: Target) -> tuple[str, ...]:
    """What sets up a new instance; e2fsprogs-extra grows its root filesystem."""
    if build.bootstrap == "tiny-cloud":
        return ("e2fsprogs-extra", "tiny-cloud", "tiny-cloud-openrc")
    split = version_key(build.version) >= _SPLIT_DATASOURCES
    return ("cloud-init", *(("cloud-init-datasource-ec2",) if split else ()), "e2fsprogs-extra")

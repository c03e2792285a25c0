"""Makes one build from its layers: merges them, drops removed entries, and checks the whole."""

from __future__ import annotations

import re
from collections.abc import Iterator

from omi.profile.forms import COMMENTED, OMI_CHARACTERS
from omi.profile.layers import Layers, kept, merge, removes
from omi.profile.model import Firmware, Runlevel, Target
from omi.profile.problems import Problems
from omi.profile.tree import Tree
from omi.support.errors import ProfileError
from omi.support.version import EDGE, release_key, version_of

OMI_NAME = re.compile(rf"[{OMI_CHARACTERS}]{{3,128}}")
_LONGEST_REVISION = 9999
_ROOT_GROWTH = ("partx", "sfdisk")
"""Packages that enlarge the root's partition at first boot; a root on the raw disk needs none."""
_LOADERS: dict[Firmware, tuple[str, ...]] = {
    "bios": ("syslinux",),
    "uefi": ("grub-efi", *_ROOT_GROWTH),
    "hybrid": ("grub-efi", "syslinux", *_ROOT_GROWTH),
}
FOLLOWS = "follows from kernel_flavor, firmware, privileges or bootstrap"
TIME_SERVICES = ("ntpd", "chronyd")
"""The services that use `ntp_servers`: busybox's and chrony's."""


def resolve(layers: Layers, name: str, entry: Tree, *, discovered: bool = False) -> Target:
    """Make the build `name` with the own keys `entry`; ProfileError names the files with wrong values.

    A discovered build may be of a version that has no core profile yet.
    """
    own, known = merge(layers.target, entry), ", ".join(layers.branches)
    if (version := own.values.get("version")) is None:
        raise entry.place().error(f"builds.{name}.version", f"is missing; name a branch: one of {known}")
    if version not in layers.branches and not discovered:
        problem = f"{version} has no profile in version/; there are: {known}"
        raise own.place("version").error(f"builds.{name}.version", problem)
    branch, merged = layers.branch(version), layers.merged(entry)
    values = kept(merged.values)
    copies = _copied(values.get("setup_copy", {}), layers)
    named = {*copies.values(), *values.get("tests", {}).values(), values.get("setup_script")} - {None}
    build = Target(
        **{
            **values,
            "profile": layers.profile,
            "name": name,
            "release": _release(version, values.get("release")),
            "end_of_life": branch.end_of_life,
            "recorded_release": branch.release,
            "repos": _repos(values.get("repos", {}), version),
            "keys": {key: layers.keys[key] for key in values.get("keys", {})},
            "setup_copy": copies,
            "setup_files": {path: layers.setup_files[path] for path in sorted(named)},
        }
    )
    problems = Problems()
    for check in _CHECKS:
        problems.add(check(build, merged))
    problems.refuse()
    return build


def _release(version: str, release: str | None) -> str | None:
    """A pinned day of edge becomes the release of that day."""
    return f"{EDGE}-{release}" if version == EDGE and release and release.isdigit() else release


def _repos(repos: dict[str, bool | str], version: str) -> dict[str, bool | str]:
    return {repo_url(url, version): False if value == COMMENTED else value for url, value in repos.items()}


def repo_url(written: str, version: str) -> str:
    """The URL of a repository, as a profile writes it, for one version of Alpine."""
    branch = version if version == EDGE else f"v{version}"
    return written.replace("{branch}", branch).replace("{version}", version)


def _copied(copies: dict[str, str], layers: Layers) -> dict[str, str]:
    """The path of each file for the setup script, with a folder's files one by one, and its source."""
    found = {
        target + path.removeprefix(source): path
        for target, source in copies.items()
        for path in layers.setup_files
        if path == source or path.startswith(source + "/")
    }
    return dict(sorted(found.items()))


def _check_repos(build: Target, merged: Tree) -> Iterator[ProfileError]:
    for url in kept(merged.entries("repos")):
        if set("{}") & set(url.replace("{branch}", "").replace("{version}", "")):
            yield merged.place("repos", url).error(f"repos.{url}", "only {branch} and {version} can be filled in")


def _check_copies(build: Target, merged: Tree) -> Iterator[ProfileError]:
    copies = kept(merged.entries("setup_copy"))
    for target, source in copies.items():
        for inner in copies:
            if inner.startswith(target + "/"):
                kind = "file" if source in build.setup_files else "folder"
                place = merged.place("setup_copy", inner)
                yield place.error(f"setup_copy.{inner}", f"lies below {target}, which is a {kind} of its own")


def _check_release(build: Target, merged: Tree) -> Iterator[ProfileError]:
    if build.release is not None and version_of(build.release) != build.version:
        wanted = "a date, YYYYMMDD" if build.version == EDGE else f"one of {build.version}.N"
        problem = f"{build.release} is not a release of {build.version} ({build.name}): write {wanted}"
        yield merged.place("release").error("release", problem)


def _check_name(build: Target, merged: Tree) -> Iterator[ProfileError]:
    longest = build.release or (f"{EDGE}-20991231" if build.version == EDGE else f"{build.version}.99_rc9")
    name = build.image_name(longest, _LONGEST_REVISION if build.revision is None else build.revision)
    set_here = [key for key in ("prefix", "suffix", "name_template") if merged.values.get(key)] or ["prefix"]
    if re.match("[0-9]", after := build.name_parts(longest)[1]):
        key = "suffix" if build.suffix and after.startswith(build.suffix) else set_here[-1]
        problem = f"makes OMI names like {name!r}, in which a digit follows the revision; put a sign between them"
        yield merged.place(key).error(key, problem)
    if not OMI_NAME.fullmatch(name):
        key = max(set_here, key=lambda key: len(getattr(build, key)))
        rule = "OUTSCALE allows 3 to 128 of A-Z a-z 0-9 _ ( ) / . - and space"
        yield merged.place(key).error(key, f"makes OMI names like {name!r}, {len(name)} characters; {rule}")


def _check_packages(build: Target, merged: Tree) -> Iterator[ProfileError]:
    tags = sorted({value for value in build.repos.values() if isinstance(value, str)})
    for name, tag in build.packages.items():
        if isinstance(tag, str) and tag not in tags:
            none = f"no repo has a tag; add `repos: {{URL: {tag}}}`, or write true instead"
            there = f"there are: {', '.join(tags)}" if tags else none
            there = f"write {tag} without quotes" if tag in ("true", "false") else there
            problem = f"the tag {tag!r} belongs to no repo; {there}"
            yield merged.place("packages", name).error(f"packages.{name}", problem)
    for name in essential_packages(build):
        if removes(merged.entries("packages").get(name, True)):
            problem = f"can't be taken away: the image needs it (it {FOLLOWS})"
            yield merged.place("packages", name).error(f"packages.{name}", problem)
    for key, left, tag in (
        ("repos", any(value is True for value in build.repos.values()), " without a tag"),
        ("keys", bool(build.keys), ""),
    ):
        if not left:
            problem = f"nothing is left in {key}; the build needs at least one{tag}"
            yield merged.place().error(f"builds.{build.name}", problem)


def _check_services(build: Target, merged: Tree) -> Iterator[ProfileError]:
    """Check that sshd is there, by which people enter, and the service that puts each setting into effect."""
    wanted = {
        "sysctl": (build.sysctl, ("sysctl",), "add it to services.boot"),
        "ntp_servers": (build.ntp_servers, TIME_SERVICES, "add ntpd, or the package chrony and chronyd"),
    }
    named = {service for level, names in build.services.items() if level != "shutdown" for service in names}
    if "sshd" not in named:
        problem = "lacks sshd, by which an image is checked and used; add it to services.default"
        yield merged.place("services").error("services", problem)
    for key, (settings, services, cure) in wanted.items():
        if settings and not named.intersection(services):
            problem = f"is put into effect by the service {' or '.join(services)}, which is gone; {cure}"
            yield merged.place(key).error(key, problem)


_CHECKS = (_check_release, _check_name, _check_repos, _check_copies, _check_packages, _check_services)
"""Checks of the whole build; each yields problems."""


def essential_packages(build: Target) -> tuple[str, ...]:
    """The packages that every image of this kind has, whatever its profile lists."""
    becoming = () if build.privileges == "none" else (build.privileges,)
    system = ("alpine-base", f"linux-{build.kernel_flavor}", *_LOADERS[build.firmware])
    return (*system, *becoming, *bootstrap_packages(build))


_SERVICES: dict[str, tuple[tuple[Runlevel, str], ...]] = {
    "tiny-cloud": (
        ("boot", "tiny-cloud-boot"),
        ("default", "outscale-instance"),
        ("default", "tiny-cloud-early"),
        ("default", "tiny-cloud-main"),
        ("default", "tiny-cloud-final"),
    ),
    # setup-cloud-init chooses among them by the version of cloud-init
    "cloud-init": (
        ("boot", "cloud-init-ds-identify"),
        ("boot", "cloud-init-local"),
        ("default", "cloud-init"),
        ("default", "cloud-config"),
        ("default", "cloud-final"),
        ("default", "cloud-init-hotplugd"),
    ),
}


def bootstrap_services(build: Target) -> tuple[tuple[Runlevel, str], ...]:
    """The services, with their runlevels, that follow from the bootstrap, whatever the profile lists."""
    return _SERVICES[build.bootstrap]


_SPLIT_DATASOURCES = release_key("3.23")
"""Since that branch each of cloud-init's datasources is a package of its own (pkgs.alpinelinux.org)."""


def bootstrap_packages(build: Target) -> tuple[str, ...]:
    """The packages that set up a new instance; e2fsprogs-extra grows its root filesystem."""
    if build.bootstrap == "tiny-cloud":
        return ("e2fsprogs-extra", "tiny-cloud", "tiny-cloud-openrc")
    split = release_key(build.version) >= _SPLIT_DATASOURCES
    return ("cloud-init", *(("cloud-init-datasource-ec2",) if split else ()), "e2fsprogs-extra")

"""What a person writes in a profile and what comes of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from textwrap import dedent

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from omi.profile.discover import expand_discovered
from omi.profile.load import Profile, load_profile, profile_names
from omi.profile.model import Target
from omi.support.errors import ProfileError
from tests.omi.conftest import TOP


def load(root: Path, text: str, name: str = "web") -> Profile:
    (root / f"{name}.yaml").write_text(dedent(text))
    return load_profile(name, root)


def only(profile: Profile) -> Target:
    (build,) = profile.builds
    return build


def test_the_projects_own_profile_builds_every_supported_branch_and_edge() -> None:
    profile = expand_discovered(load_profile("alpine", TOP / "profiles"), ["3.23", "3.22"])
    assert [build.name for build in profile.builds] == ["edge-x86_64", "v3_22-x86_64", "v3_23-x86_64"]
    named = [build.image_name(build.recorded_release or "", 0) for build in profile.builds[1:]]
    assert named == ["alpine-3.22.6-x86_64-r0", "alpine-3.23.6-x86_64-r0"]
    assert [build.end_of_life for build in profile.builds] == [None, date(2027, 5, 1), date(2027, 11, 1)]
    assert all(len(build.keys) == 3 for build in profile.builds)


def test_layers_are_merged_base_version_arch_profile_build(root: Path) -> None:
    (root / "version" / "3.23.yaml").write_text("base: base/1\nrelease: 3.23.6\nprefix: version-\nuser: version\n")
    (root / "arch" / "x86_64.yaml").write_text(
        (root / "arch" / "x86_64.yaml").read_text() + "user: arch\nsuffix: -arch\nvolume_size: 2\n"
    )
    build = only(
        load(
            root,
            """
            suffix: -profile
            volume_size: 3
            description: profile
            builds:
              a: {version: "3.23", volume_size: 4}
            """,
        )
    )
    assert (build.prefix, build.user, build.suffix, build.description) == ("version-", "arch", "-profile", "profile")
    assert build.volume_size == 4


def test_false_and_null_take_away_and_true_brings_back(root: Path) -> None:
    profile = load(
        root,
        """
        packages: {e2fsprogs: false, dhcpcd: null, nginx: true}
        services: {boot: {syslog: false}, default: {nginx: true}, shutdown: null}
        kernel_options: {console=tty0: false}
        ports: {80/tcp: true, 53/udp: false}
        builds:
          a: {version: "3.23"}
          b: {version: "3.23", suffix: -b, packages: {e2fsprogs: true, nginx: null}, services: {boot: {syslog: true}}}
          c: {version: "3.23", suffix: -c, packages: null}
          d: {version: "3.23", suffix: -d, prefix: null, volume_size: null}
        """,
    )
    a, b, c, d = profile.builds
    assert set(a.packages) == {"openrc", "openssh", "nginx"}
    assert set(b.packages) == {"e2fsprogs", "openrc", "openssh"}
    assert c.packages == {}
    assert "syslog" not in a.services["boot"]
    assert "syslog" in b.services["boot"]
    assert a.services["default"] == ("acpid", "dmesg", "nginx", "ntpd", "sshd")
    assert "shutdown" not in a.services
    assert a.kernel_options == ("console=ttyS0,115200n8", "rootfstype=ext4")
    assert a.ports == ("80/tcp",)
    assert (d.prefix, d.volume_size) == ("alpine-", 1)


def test_a_build_may_be_switched_off_and_pinned(root: Path) -> None:
    build = only(
        load(
            root,
            """
            version: "3.23"
            builds:
              gone: false
              pinned: {release: 3.23.5, revision: r2}
            """,
        )
    )
    assert (build.name, build.release, build.revision, build.recorded_release) == ("pinned", "3.23.5", 2, "3.23.6")


def test_any_layer_says_what_makes_a_new_revision(root: Path) -> None:
    (root / "web.yaml").write_text(
        "rebuild_on: packages\nbuilds:\n  a: {version: '3.23'}\n  b: {version: '3.22', rebuild_on: content}\n"
    )
    assert [build.rebuild_on for build in load_profile("web", root).builds] == ["packages", "content"]
    (root / "version" / "3.22.yaml").write_text("base: base/1\nrebuild_on: packages\n")
    (root / "web.yaml").write_text("builds:\n  a: {version: '3.23'}\n  b: {version: '3.22'}\n")
    assert [build.rebuild_on for build in load_profile("web", root).builds] == ["content", "packages"]


def test_repos_are_filled_in_tagged_and_kept_as_comments(root: Path) -> None:
    build = only(
        load(
            root,
            """
            repos:
              https://dl-cdn.alpinelinux.org/alpine/edge/testing: testing
              https://example.org/{version}/{branch}/own: true
              https://dl-cdn.alpinelinux.org/alpine/{branch}/community: commented
            packages: {foot: testing}
            access: {public: true, accounts: {"012345678901": true, "999999999999": false}}
            builds: {a: {version: "3.23"}}
            """,
        )
    )
    assert build.repos == {
        "https://dl-cdn.alpinelinux.org/alpine/v3.23/main": True,
        "https://dl-cdn.alpinelinux.org/alpine/v3.23/community": False,
        "https://dl-cdn.alpinelinux.org/alpine/edge/testing": "testing",
        "https://example.org/3.23/v3.23/own": True,
    }
    assert build.packages["foot"] == "testing"
    assert build.access.public
    assert build.access.accounts == ("012345678901",)


ERRORS = {
    "misspelt key": ("pakages: {nginx: true}", "web.yaml:1: pakages: unknown key (did you mean 'packages'?)"),
    "part of a key": ("size: 2", "size: unknown key (did you mean 'volume_size'?)"),
    "misspelt key far from all": (
        "profile_base: base/1",
        "web.yaml:1: profile_base: unknown key; known here: access, ",
    ),
    "part of two keys": ("setup: a.sh", "setup: unknown key (did you mean 'setup_copy' or 'setup_script'?)"),
    "misspelt key in a build": (
        'builds:\n  a: {version: "3.23", volumesize: 2}',
        "web.yaml:2: builds.a.volumesize: unknown key (did you mean 'volume_size'?)",
    ),
    "misspelt key in access": (
        "access:\n  publik: true",
        "web.yaml:2: access.publik: unknown key (did you mean 'public'?)",
    ),
    "key far from all": ("access: {zzz: 1}", "web.yaml:1: access.zzz: unknown key; known here: accounts, public"),
    "wrong type": (
        "volume_size: big",
        "web.yaml:1: volume_size: big is not allowed; allowed: a whole number of GiB from 1 to 14901",
    ),
    "out of range": ("volume_size: 0", "allowed: a whole number of GiB from 1 to 14901"),
    "a switch is not a number": ("volume_size: true", "web.yaml:1: volume_size: true is not allowed"),
    "list for a map": (
        "packages: [nginx, curl~8]",
        "[nginx, curl~8] is not allowed; allowed: a map of keys to values, such as {nginx: true, curl~8: true}",
    ),
    "word for a map": ("kernel_modules: loop", "allowed: a map of keys to values, such as {loop: true}"),
    "words for a map": ("kernel_options: quiet splash", "such as {quiet: true, splash: true}"),
    "no space after colons": ("packages:\n  nginx:true\n  curl:true", "such as {nginx: true, curl: true}"),
    "words that fit no map": ("tests: curl localhost", "such as {web: setup/web-test.sh}"),
    "switch in quotes": (
        "packages: {nginx: 'true'}\nbuilds: {a: {version: '3.23'}}",
        "belongs to no repo; write true without quotes",
    ),
    "version as a value": ("packages: {nginx: 1.26}", "a version is in the key, as {openssl~3.5: true}"),
    "list of lists": ("packages: [[nginx]]", "such as {nginx: true, foot: testing, curl: false}"),
    "list for an inner map": (
        "services: {default: [crond]}",
        "services.default: [crond] is not allowed; allowed: a map",
    ),
    "list for an inner map, mended": ("services: {default: [crond]}", "to values, such as {crond: true}"),
    "list of maps": (
        "packages: [{foot: testing}, {nginx: true}, curl]",
        "such as {foot: testing, nginx: true, curl: true}",
    ),
    "empty list in a list": ("tests: [{}]", "such as {web: setup/web-test.sh}"),
    "list for a build": (
        "builds: {a: [nginx]}",
        "builds.a: [nginx] is not allowed; allowed: a map of keys to values, such as",
    ),
    "list for a build, mended": ("builds: {a: [1]}", "such as {version: '3.23'}"),
    "list for a runlevel": ("builds: {a: {services: {boot: [[]]}}}", "builds.a.services.boot: [[]] is not allowed"),
    "switch for a map": ("builds: {a: {version: '3.23', access: true}}", "such as {public: false}"),
    "accounts as a list": ("access: {accounts: ['012345678901']}", "such as {012345678901: true}"),
    "word for another map": ("access: public", "such as {public: true}"),
    "list of builds": ("builds: [a]", "such as {v3_23-x86_64: {version: '3.23'}}"),
    "number for a name": ("packages: [7]", "such as {'7': true}"),
    "version as a number": (
        "builds:\n  a:\n    version: 3.20",
        'or edge; it was read as a number or date, quote it ("3.20")',
    ),
    "version as a number in a list": ("discover: {versions: [3.20]}", 'quote it ("3.20")'),
    "number as key": ("access: {accounts: {123456789012: true}}", "the key 123456789012 is not read as text; quote it"),
    "no as key": ("packages: {no: true}", 'the key no is not read as text; quote it ("no")'),
    "on as value": ("packages: {nginx: on}", "packages.nginx: on may be read as true or false"),
    "empty value": ("user: x\npackages:", "web.yaml:2: packages: has no value; write true to have it, null to"),
    "key twice": ("user: a\nprefix: b\nuser: c", "web.yaml:3: names the key 'user' twice; keep one"),
    "syntax": ("user: a\nprefix: 'b\n", "web.yaml:"),
    "tab": ("builds:\n\ta: 1", "web.yaml:2: is not YAML: indent by spaces, not tabs"),
    "colon in a text": ("description: Alpine: mine", 'web.yaml:1: is not YAML: quote text that holds ": "'),
    "keys indented by turns": (
        "packages:\n  a: true\n b: true",
        "web.yaml:3: is not YAML: indent the keys of a map alike",
    ),
    "brace without an end": ("packages: {nginx: true\nuser: a", "is not YAML: a { before this has no }"),
    "brace too many": ("user: a\npackages: {curl: true}}", "web.yaml:2: is not YAML: a } too many"),
    "bracket too many": ("packages: [curl]]", "web.yaml:1: is not YAML: a ] too many"),
    "alias": ("packages: &p {a: true}\nservices: *p", "web.yaml:2: has an alias (*name), which is not understood here"),
    "merge key": ("packages: {<<: {a: true}}", "<< merges nothing here; write out the keys that it stands for"),
    "key that is a list": ("? [a, b]\n: true", "a key must be plain text; write it as NAME: VALUE"),
    "tag": ("user: !!python/name:os.system x", "is not understood here; write the value without it, a text in quotes"),
    "tag of a map": ("packages: !mine {a: true}", "is not understood here; write the value without it"),
    "tag of a number": ("volume_size: !!str 2", "web.yaml:1: volume_size: "),
    "a list as file": ("- a", "web.yaml:1: must hold a map of keys to values, such as {packages: {curl: true}}"),
    "two documents": (
        "user: a\n---\nuser: b",
        "web.yaml:2: is not YAML: a file holds one document; remove this --- and join the two",
    ),
    "directive of a later YAML": ("%YAML 2.0\n---\nuser: a", "web.yaml:1: is not YAML: remove the line %YAML"),
    "directive without a document": (
        "%YAML 1.2\nuser: a",
        "web.yaml:2: is not YAML: remove the line that begins with %",
    ),
    "unknown directive": ("%OWN x\nuser: a", "is not YAML: remove the line that begins with %"),
    "too long": ("# " + "x" * 300_000, "web.yaml: is longer than 262144 characters; shorten it"),
    "description that turns the direction": (
        'description: "Alpine \\u202Exunil"',
        "allowed: one line of text, at most 200 characters, without control characters",
    ),
    "description template that turns the direction": (
        'description_template: "{release} \\u2067"',
        "description_template: ",
    ),
    "message that turns the direction": ('motd: "hi\\u202E"', "4000 characters, without control characters"),
    "message with a terminal's command": ('motd: "hi\\u009B2J"', "4000 characters, without control characters"),
    "number of 50 digits": (f"volume_size: {'1' * 50}", "allowed: a whole number of GiB from 1 to 14901"),
    "number of 50 digits for a text": (f"description: {'1' * 50}", "it was read as a number or date, quote it"),
    "number without end": ("description: .inf", 'it was read as a number or date, quote it (".inf")'),
    "no number": ("sysctl: {vm.swappiness: .NaN}", "sysctl.vm.swappiness: .NaN is not allowed; allowed: a number"),
    "deep": ("a: " + "[" * 5000, "nesting"),
    "user root": ("user: root", "web.yaml:1: user: root is not allowed; allowed: a user name"),
    "user with capitals": ("user: Alpine", "and not root"),
    "prefix": ("prefix: a:b", "web.yaml:1: prefix: a:b is not allowed; allowed: letters, digits"),
    "runlevel": (
        "services: {bot: {a: true}}",
        "web.yaml:1: services.bot: the key 'bot' is not allowed; allowed: one of the runlevels sysinit, boot, default",
    ),
    "service without a runlevel": ("services: {nginx: true}", "shutdown, as in {default: {nginx: true}}"),
    "port": (
        "ports: {'8080': true}",
        "a port from 1 to 65535 with its protocol, such as 80/tcp or 53/udp; did you mean 8080/tcp?",
    ),
    "port as a number": (
        "ports:\n  22/tcp: true\n  80: true",
        "web.yaml:3: ports.80: the key '80' is not allowed; allowed: a port",
    ),
    "port as a number, mended": ("ports: {80: true}", "such as 80/tcp or 53/udp; did you mean 80/tcp?"),
    "port in capitals": ("ports: {80/TCP: true}", "did you mean 80/tcp?"),
    "port the other way round": ("ports: {udp/53: true}", "did you mean 53/udp?"),
    "port too high": ("ports: {70000/tcp: true}", "'70000/tcp' is not allowed; allowed: a port from 1 to 65535"),
    "number at the top": ("80: true", "web.yaml:1: 80: unknown key"),
    "number as a name": (
        "user: a\nkernel_modules: {1: true}",
        'web.yaml:2: kernel_modules: the key 1 is not read as text; quote it ("1")',
    ),
    "the first of several": (
        "packages: {no: true}\nuser: root",
        "web.yaml:1: packages: the key no is not read as text",
    ),
    "account": ("access: {accounts: {'123': true}}", "allowed: an account id: 12 digits, quoted"),
    "ftp repo": ("repos: {'ftp://example.org/x': true}", "allowed: an https or http URL"),
    "repo with a login": (
        "repos: {'https://me:pw@example.org/x': true}",
        "allowed: an https or http URL without a log",
    ),
    "repo placeholder": (
        'repos: {"https://example.org/{arch}": true}\nbuilds: {a: {version: "3.23"}}',
        "only {branch} and {version} can be filled in",
    ),
    "no builds": ("user: a", "web.yaml:1: builds: is missing"),
    "no version": ("builds:\n\n  a: {}", "web.yaml:3: builds.a.version: is missing; name a branch: one of 3.22"),
    "unknown version": (
        'builds:\n  a: {version: "9.9"}',
        "web.yaml:2: builds.a.version: 9.9 has no profile in version/; there are: 3.22, 3.23, 3.24, edge",
    ),
    "arch": ('builds: {a: {version: "3.23", arch: aarch64}}', "builds.a.arch: aarch64 is not allowed; allowed: x86_64"),
    "release of another branch": (
        'release: 3.22.1\nbuilds: {a: {version: "3.23"}}',
        "web.yaml:1: release: 3.22.1 is not a release of 3.23 (a): write one of 3.23.N",
    ),
    "release of a branch for edge": (
        "builds: {a: {version: edge, release: 3.23.1}}",
        "3.23.1 is not a release of edge (a): write a date, YYYYMMDD",
    ),
    "release of a longer branch": (
        'builds: {a: {version: "3.22", release: 3.220.1}}',
        "3.220.1 is not a release of 3.22",
    ),
    "revision": ("revision: 2", "allowed: a revision: r0, r1, … r9999"),
    "tag of no repo": (
        'packages:\n  foot: testing\nbuilds: {a: {version: "3.23"}}',
        "packages.foot: the tag 'testing' belongs to no repo; no repo has a tag; add `repos: {URL: testing}`, or write",
    ),
    "bootstrap that is gone": (
        'bootstrap: minimal\nbuilds: {a: {version: "3.23"}}',
        "web.yaml:1: bootstrap: minimal is not allowed; allowed: tiny-cloud or cloud-init",
    ),
    "package of the bootstrap": (
        'packages: {tiny-cloud: false}\nbuilds: {a: {version: "3.23"}}',
        "web.yaml:1: packages.tiny-cloud: can't be taken away: the image needs it",
    ),
    "essential package": (
        'packages: {linux-virt: false}\nbuilds: {a: {version: "3.23"}}',
        "web.yaml:1: packages.linux-virt: can't be taken away",
    ),
    "nothing to install from": ('repos: null\nbuilds: {a: {version: "3.23"}}', "nothing is left in repos"),
    "no keys": ('keys: null\nbuilds: {a: {version: "3.23"}}', "nothing is left in keys; the build needs at least one"),
    "no services": ('services: null\nbuilds: {a: {version: "3.23"}}', "services: lacks sshd"),
    "no way in": (
        'services: {default: {sshd: false}, shutdown: {sshd: true}}\nbuilds: {a: {version: "3.23"}}',
        "services: lacks sshd, by which an image is checked and used; add it to services.default",
    ),
    "key file absent": (
        'keys: {gone.rsa.pub: true}\nbuilds: {a: {version: "3.23"}}',
        "web.yaml:1: keys.gone.rsa.pub: profiles/keys/gone.rsa.pub is not there; put it there, or correct the name",
    ),
    "setup script absent": (
        "setup_script: a.sh\nbuilds: {}",
        "web.yaml:1: setup_script: profiles/a.sh is not there; put it there, or correct the name",
    ),
    "setup script of a name that no file can have": (
        f"setup_script: {'a' * 256}\nbuilds: {{}}",
        "web.yaml:1: setup_script: aaaaaaaa",
    ),
    "merge key as a value": ("user: <<\nbuilds: {}", "web.yaml:1: user: << is not allowed; allowed: a user name"),
    "setup script is a folder": (
        "setup_script: base\nbuilds: {}",
        "profiles/base is a folder, not a file; move it away",
    ),
    "setup script outside": ("setup_script: ../a.sh\nbuilds: {}", "allowed: a path below this file's folder"),
    "setup script absolute": ("setup_script: /etc/passwd\nbuilds: {}", "allowed: a path below this file's folder"),
    "copy outside": ("setup_copy: {../x: web.yaml}\nbuilds: {}", "the key '../x' is not allowed"),
    "copies over each other": (
        'setup_copy: {x: web.yaml, x/y: web.yaml}\nbuilds: {a: {version: "3.23"}}',
        "setup_copy.x/y: lies below x, which is a file",
    ),
    "copy over a folder": (
        'setup_copy: {x: base, x/y: web.yaml}\nbuilds: {a: {version: "3.23"}}',
        "setup_copy.x/y: lies below x, which is a folder",
    ),
    "copy of nothing": ("setup_copy: {x: gone}\nbuilds: {}", "web.yaml:1: setup_copy.x: profiles/gone is not there"),
    "test is a folder": ("tests: {x: base}\nbuilds: {}", "web.yaml:1: tests.x: profiles/base is a folder, not a file"),
    "same OMI names": (
        'builds:\n  a: {version: "3.23"}\n  b: {version: "3.23"}',
        "web.yaml:3: builds.b: makes the same OMI names as builds.a",
    ),
    "name too long": (
        f'prefix: {"p" * 60}\nsuffix: {"s" * 61}\nbuilds: {{a: {{version: "3.23"}}}}',
        "web.yaml:2: suffix: makes OMI names like",
    ),
    "discover edge": ("discover: {edge: 0}", "discover.edge: 0 is not allowed; allowed: how many images of edge"),
}


@pytest.mark.parametrize(("text", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_what_is_wrong_is_said_in_one_line(root: Path, text: str, message: str) -> None:
    with pytest.raises(ProfileError) as caught:
        load(root, text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("profiles/")


def test_a_pinned_day_of_edge_is_called_as_the_image_of_that_day_is(root: Path) -> None:
    build = load(root, 'builds: {a: {version: edge, release: "20261109"}}').builds[0]
    assert build.release == "edge-20261109"


def test_an_error_names_the_core_file_that_holds_the_value(root: Path) -> None:
    (root / "version" / "3.24.yaml").write_text("base: base/1\nrelease: 3.23.1\n")
    with pytest.raises(
        ProfileError, match=r"^profiles/version/3\.24\.yaml:2: release: 3\.23\.1 is not a release of 3\.24"
    ):
        load(root, "builds: {}")
    (root / "version" / "3.24.yaml").write_text("end_of_life: soon\n")
    with pytest.raises(ProfileError, match=r"^profiles/version/3\.24\.yaml:1: (base: is missing|end_of_life: soon)"):
        load(root, "builds: {}")
    (root / "version" / "3.24.yaml").write_text("base: base/2\n")
    with pytest.raises(ProfileError, match=r"3\.24\.yaml:1: base: there is no base/2; there are: base/1"):
        load(root, "builds: {}")


def test_a_base_value_that_only_the_build_makes_wrong_is_blamed_on_its_file(root: Path) -> None:
    (root / "base" / "1.yaml").write_text((root / "base" / "1.yaml").read_text() + "suffix: " + "s" * 100 + "\n")
    with pytest.raises(ProfileError, match=r"^profiles/base/1\.yaml:\d+: suffix: makes OMI names like"):
        load(root, f'prefix: {"p" * 10}\nbuilds: {{a: {{version: "3.23"}}}}')


@pytest.mark.parametrize("name", ["alpin", "../alpine", "", "base/1", "a" * 256])
def test_an_unknown_profile_lists_those_that_exist(root: Path, name: str) -> None:
    load(root, "builds: {}", "alpine")
    load(root, "builds: {}", "web")
    with pytest.raises(ProfileError, match=r"there is no profile .*; there are: alpine, web$"):
        load_profile(name, root)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Path.mkdir, "is a folder, not a file; move it away"),
        (os.mkfifo, "is a pipe or device, not a file; move it away"),
        (lambda path: path.symlink_to("gone"), "is a link to gone, which is not there; correct the link, or put"),
        (lambda path: path.symlink_to(path.name), "is a link that leads back to itself; put the file itself there"),
    ],
)
@pytest.mark.parametrize("place", ["web.yaml", "version/3.23.yaml", "setup.sh"])
def test_what_is_no_file_is_named_as_what_it_is(
    place: str, make: Callable[[Path], None], said: str, root: Path
) -> None:
    (root / "web.yaml").write_text('setup_script: setup.sh\nbuilds: {a: {version: "3.23"}}')
    (root / "setup.sh").write_text("true\n")
    load_profile("web", root)
    (root / place).unlink()
    make(root / place)
    with pytest.raises(ProfileError) as caught:
        load_profile("web", root)
    assert f"{root / place}{' ' if place == 'setup.sh' else ': '}{said}" in str(caught.value)


def test_what_an_editor_keeps_beside_a_profile_is_none(root: Path) -> None:
    load(root, "builds: {}")
    for folder in (root, root / "version", root / "base"):
        (folder / ".#web.yaml").symlink_to("me@here.1")
    assert profile_names(root) == ["web"]
    load_profile("web", root)


def test_a_files_name_leads_to_the_profiles(root: Path) -> None:
    load(root, "builds: {}")
    with pytest.raises(ProfileError, match=r"there is no profile 'profiles/web\.yaml' \(did you mean 'web'\?\)"):
        load_profile("profiles/web.yaml", root)


def test_a_near_profile_name_is_suggested(root: Path) -> None:
    load(root, "builds: {}", "alpine")
    with pytest.raises(ProfileError, match=r"did you mean 'alpine'\?"):
        load_profile("alpin", root)


def test_a_missing_folder_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="no such folder; run this from the project's top"):
        load_profile("alpine", tmp_path / "profiles")


def test_a_key_that_is_none_is_refused(root: Path) -> None:
    (root / "keys" / "bad.rsa.pub").write_text("-----BEGIN PUBLIC KEY-----\nnope\n-----END PUBLIC KEY-----\n")
    with pytest.raises(ProfileError, match=r"keys\.bad\.rsa\.pub: .* holds no public key in PEM form"):
        load(root, 'keys: {bad.rsa.pub: true}\nbuilds: {a: {version: "3.23"}}')


def test_a_key_of_another_kind_is_refused(root: Path) -> None:
    kept = ed25519.Ed25519PrivateKey.generate().public_key()
    pem = kept.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (root / "keys" / "other.rsa.pub").write_bytes(pem)
    with pytest.raises(ProfileError, match=r"keys\.other\.rsa\.pub: .* is not an RSA key"):
        load(root, 'keys: {other.rsa.pub: true}\nbuilds: {a: {version: "3.23"}}')


def test_a_key_that_is_cut_short_is_refused(root: Path) -> None:
    whole = next((root / "keys").glob("alpine-*.rsa.pub"))
    lines = whole.read_text().splitlines()
    (root / "keys" / "cut.rsa.pub").write_text("\n".join((*lines[:-3], lines[-1], "")))
    with pytest.raises(ProfileError, match=r"keys\.cut\.rsa\.pub: .* holds no public key in PEM form"):
        load(root, 'keys: {cut.rsa.pub: true}\nbuilds: {a: {version: "3.23"}}')


def test_a_file_that_is_not_text_is_refused(root: Path) -> None:
    (root / "web.yaml").write_bytes(b"user: \xff\n")
    with pytest.raises(ProfileError, match=r"web\.yaml: is not UTF-8 text"):
        load_profile("web", root)


def test_errors_name_files_from_where_the_person_stands(root: Path) -> None:
    (root / "web.yaml").write_text("pakages: {}\n")
    with pytest.raises(ProfileError, match=r"^profiles/web\.yaml:1: pakages"):
        load_profile("web", root.absolute())


@pytest.mark.parametrize(
    ("folder", "wanted"), [("base", "at least one"), ("version", "at least one"), ("arch", "x86_64")]
)
def test_a_folder_of_core_profiles_without_any_is_named(folder: str, wanted: str, root: Path) -> None:
    for path in (root / folder).glob("*.yaml"):
        path.unlink()
    (root / "web.yaml").write_text('builds: {a: {version: "3.23"}}')
    with pytest.raises(ProfileError, match=rf"{folder}: {wanted}.* is missing; bring it back from git"):
        load_profile("web", root)

"""A profile's builds as validated values, made from the merged YAML (omi.profile.layers)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from omi.profile import forms

Privileges = Literal["doas", "sudo", "none"]
RebuildOn = Literal["content", "packages", "security"]
Runlevel = Literal["sysinit", "boot", "default", "shutdown"]
RUNLEVELS: tuple[Runlevel, ...] = get_args(Runlevel)
_RunlevelName = Annotated[
    Runlevel, forms.Allowed(f"one of the runlevels {', '.join(RUNLEVELS)}, as in {{default: {{nginx: true}}}}")
]
Firmware = Literal["bios", "uefi", "hybrid"]
BootMode = Literal["legacy", "uefi"]
"""OUTSCALE's words for what starts a VM's loader."""
_BOOT_MODES: dict[Firmware, tuple[BootMode, ...]] = {
    "bios": ("legacy",),
    "uefi": ("uefi",),
    "hybrid": ("legacy", "uefi"),
}

_NAMING = frozenset({"profile", "name", "version"})
"""Keys of a build that identify it."""


def firmware_of(boot_modes: Collection[str]) -> Firmware | None:
    """The firmware whose images have these boot modes; None if there is none."""
    return next((name for name, modes in _BOOT_MODES.items() if set(modes) == set(boot_modes)), None)


EVERYONE = "everyone"
"""The name among account ids that means every account."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _names(value: object) -> object:
    return tuple(value) if isinstance(value, dict) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
"""The names in a profile's map of switches, without those that are off."""


def _number(revision: object) -> object:
    return int(revision.removeprefix("r")) if isinstance(revision, str) and revision[1:].isdigit() else revision


class Access(_Model):
    """The accounts that may launch an image besides its owner."""

    public: bool = False
    accounts: Names = ()
    """Numeric account ids, sorted."""

    def __str__(self) -> str:
        """`public`, account ids, or `private`."""
        return "public" if self.public else ",".join(self.accounts) or "private"

    @classmethod
    def of(cls, text: str) -> Access:
        """The value of such a text."""
        accounts = () if text in ("public", "private") else tuple(text.split(","))
        return cls(public=text == "public", accounts=accounts)

    def launchers(self, owner: str) -> frozenset[str]:
        """The accounts besides the owner, who always may launch it; some clouds list the owner, others don't."""
        return frozenset(self.accounts) - {owner} | ({EVERYONE} if self.public else frozenset())


class Layer(BaseModel):
    """A map in a profile file; unknown keys are refused."""

    # a preview uses few of these classes; to build the others would cost it 0.1 s
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class AccessKeys(Layer):
    """The launch permissions as a profile writes them; changing them never builds anything."""

    public: forms.Switch = Field(None, description="Whether every account may launch the images.", examples=["true"])
    accounts: dict[forms.AccountId, forms.Switch] | None = Field(
        None, description="The accounts that may launch them.", examples=['{"012345678901": false}']
    )


class SetupFile(_Model):
    """A file that the profile brings into the build, as it was when the profile was read."""

    sha256: str
    executable: bool = False


@dataclass(frozen=True)
class Key:
    """Marks a field of Target as a profile's key, with its written form and its uses.

    The field's docstring is the key's documentation.
    """

    example: str
    form: Any = None
    """The type as written, if it differs from the field's own; for a field of Names, the type of each name."""
    decides: bool = True
    """Whether it is content: then a change of it makes a new revision."""
    guest: str | None = None
    """Its name in `image.env`, if not its own in capitals; empty if the guest gets it in another form."""
    files: tuple[str, ...] = ()
    """Files of the image, as apk names them, that it changes or adds."""
    seen: bool = False
    """Whether a probe prints it as `setting=KEY VALUE`; the verify then compares the value."""
    of_build: bool = False
    """Whether only target profiles and their builds may set it."""


class Target(_Model):
    """One build of a profile, fully resolved: everything that decides its images.

    A profile's keys are declared here and nowhere else: files are checked against them, and the names of `image.env`,
    the content, the tables of the READMEs and the editor's schema come from them.

    A new key is a field here, the guest's step that puts it into effect, a probe that sees it (omi/verify), and a line
    in profiles/test.yaml, which the tests build and check.
    """

    profile: str
    name: str
    version: Annotated[str, Key('"3.23"', forms.Version, guest="", of_build=True)]
    """The branch, quoted."""
    arch: Annotated[Literal["x86_64"], Key("x86_64", of_build=True)] = "x86_64"
    """The architecture."""
    release: Annotated[str | None, Key("3.23.5", forms.Release, decides=False, of_build=True)] = None
    """A point release to stay at."""
    revision: Annotated[
        int | None, BeforeValidator(_number), Key("r2", forms.Revision, decides=False, of_build=True)
    ] = None
    """A revision to stay at."""
    end_of_life: date | None = None
    """The branch's, as last detected."""
    recorded_release: str | None = None
    """The branch's release as last detected: what counts when upstream can't be reached."""
    prefix: Annotated[str, Key("alpine-", forms.OmiText, decides=False)] = "alpine-"
    """Begins the OMI's name."""
    suffix: Annotated[str, Key("-web", forms.OmiText, decides=False)] = ""
    """Ends the OMI's name."""
    name_template: Annotated[
        str, Key('"{prefix}{arch}-{release}-{revision}{suffix}"', forms.NameTemplate, decides=False)
    ] = "{prefix}{release}-{arch}-{revision}{suffix}"
    """Makes the OMI's name; `{release}` and `{revision}`, which is `r` and a number, keep the names of all images of a
    build apart."""
    description: Annotated[str, Key("Alpine Linux", forms.Line, decides=False)] = "Alpine Linux"
    """Begins the OMI's description."""
    description_suffix: Annotated[str, Key('" - https://example.org/"', forms.Line, decides=False)] = ""
    """Ends the OMI's description, but for the build id that follows it."""
    description_template: Annotated[
        str, Key('"{description} {version} ({release}-{revision})"', forms.DescriptionTemplate, decides=False)
    ] = "{description} {release} {arch} {revision}{description_suffix}"
    """Makes the OMI's description."""
    volume_size: Annotated[int, Key("2", forms.Gibibytes, guest=""), Field(ge=1, le=14901)] = 1
    """Size of the root volume, GiB."""
    user: Annotated[str, Key("alpine", forms.UserName, guest="USER_NAME")] = "alpine"
    """The user that logs in by SSH."""
    privileges: Annotated[Privileges, Key("sudo")] = "doas"
    """How the user becomes root, without a password; the package follows. With `none` nobody can."""
    access: Annotated[Access, Key("{public: false}", AccessKeys, decides=False)] = Access()
    """The accounts that may launch the images besides their owner; the stack's setting `access` goes before it."""
    # URLs are filled in; false is a repository that is kept as a comment
    repos: Annotated[
        dict[str, bool | str],
        Key(
            "{https://dl-cdn.alpinelinux.org/alpine/edge/testing: testing}",
            dict[forms.RepoUrl, forms.RepoValue],
            guest="",
            files=("etc/apk/repositories",),
        ),
    ] = {}
    """Package repositories of the image. What lies below `https://dl-cdn.alpinelinux.org/alpine` is fetched from the
    stack's own mirror while building. By `http` apk still checks every signature, but others on the way see what is
    fetched, and can give an older state of the repository."""
    packages: Annotated[
        dict[str, bool | str],
        Key("{nginx: true, foot: testing, curl: false}", dict[forms.PackageName, forms.PackageValue], guest=""),
    ] = {}
    """Packages to install: `true`, or the tag of the repo they come from. Kernel, boot loader, doas and sudo follow
    from `kernel_flavor`, `firmware` and `privileges`."""
    services: Annotated[
        dict[Runlevel, Names],
        Key(
            "{default: {nginx: true}, boot: {acpid: false}}",
            dict[_RunlevelName, dict[forms.ServiceName, forms.Switch] | None],
            guest="",
            files=("etc/runlevels/*/*",),
        ),
    ] = {}
    """OpenRC services by runlevel."""
    motd: Annotated[str | None, Key("Welcome.", forms.Motd, files=("etc/motd",))] = None
    """The message at login (`/etc/motd`), instead of Alpine's."""
    timezone: Annotated[
        str | None, Key("Europe/Paris", forms.TimeZone, files=("etc/localtime", "etc/zoneinfo/*"), seen=True)
    ] = None
    """The local time, instead of UTC; this zone's file alone is put into the image."""
    ntp_servers: Annotated[Names, Key("{ntp.example.org: true}", forms.NtpServer)] = ()
    """The time servers, instead of DHCP's and `pool.ntp.org`; for the service `ntpd` (busybox's) or
    `chronyd`, whichever `services` names."""
    sysctl: Annotated[
        dict[str, Annotated[str, Field(coerce_numbers_to_str=True)]],
        Key(
            "{net.ipv4.ip_forward: 1, net.ipv4.tcp_rmem: 4096 131072 6291456}",
            dict[forms.SysctlName, forms.SysctlValue],
            files=("etc/sysctl.d/90-omi.conf",),
        ),
    ] = {}
    """Kernel parameters, set by the service `sysctl` at boot."""
    ports: Annotated[Names, Key("{80/tcp: true, 443/tcp: true}", forms.Port, decides=False)] = ()
    """Ports that may listen besides sshd's; an image in which any other does fails its check. Changing them
    builds nothing."""
    kernel_flavor: Annotated[Literal["virt", "lts"], Key("lts")] = "virt"
    """The flavor of Alpine's kernel (`linux-virt`, `linux-lts`)."""
    kernel_modules: Annotated[Names, Key("{virtio_blk: true}", forms.ModuleName)] = ()
    """Modules loaded before the root filesystem is mounted."""
    kernel_options: Annotated[Names, Key("{'console=ttyS0,115200n8': true}", forms.KernelOption)] = ()
    """The kernel's command line, sorted by name."""
    initfs_features: Annotated[Names, Key("{nvme: true}", forms.FeatureName)] = ()
    """Features of the initramfs: names of `/etc/mkinitfs/features.d`."""
    # paths here and below are relative to the folder of profiles
    setup_script: Annotated[str | None, Key("setup/web.sh", forms.FilePath, guest="")] = None
    """POSIX sh script, run last (`sh -e`), with `TARGET` set to the image's root; may bring services. Beside this file
    or below."""
    setup_copy: Annotated[
        dict[str, str], Key("{nginx.conf: setup/nginx.conf}", dict[forms.CopyTarget, forms.CopySource], guest="")
    ] = {}
    """Files and folders for the setup script: where it finds them, and where they are, beside this file or below. What
    a folder holds is copied, executable files as such; links are refused."""
    tests: Annotated[
        dict[str, str], Key("{web: setup/web-test.sh}", dict[forms.TestName, forms.CopySource], decides=False)
    ] = {}
    """Checks of the profile's own: POSIX sh scripts that run as the image's user in the VM that the image is verified
    in. One that fails fails the build. Changing them builds nothing."""
    setup_files: dict[str, SetupFile] = {}
    """The files that the last three keys name, by path."""
    bootstrap: Annotated[Literal["tiny-cloud", "cloud-init"], Key("cloud-init")] = "tiny-cloud"
    """The program that sets up a new instance from the metadata service: SSH key, host name, user data, size of the
    root filesystem. Its packages follow from it."""
    firmware: Annotated[Firmware, Key("uefi")] = "bios"
    """The firmware that starts the boot loader: `bios` (ext4 on the raw disk, extlinux), `uefi` (GPT, GRUB) or
    `hybrid`, one disk that boots both ways. OMIs have the boot modes that belong to it."""
    rebuild_on: Annotated[RebuildOn, Key("packages", decides=False)] = "content"
    """When to make a new revision: for other `content`, as it is written here, or also for newer versions of the
    installed `packages`, or only for those that Alpine's `security` data names as fixes."""
    max_age: Annotated[int | None, Key("30", forms.Days, decides=False)] = None
    """Days after which an image is built anew, whatever `rebuild_on` says."""
    max_missing_fixes: Annotated[int | None, Key("0", forms.Count, decides=False)] = None
    """The most fixes of Alpine's security data that a new image may lack; more fail the
    build."""
    min_interval: Annotated[int | None, Key("7", forms.Days, decides=False)] = None
    """Days that an image stays before newer packages or fixes replace it."""
    security: str | None = None
    """URL of the security data for `max_missing_fixes`."""
    again: int = 0
    """How many more revisions of the same content a person has asked for (the stack's setting `again`)."""
    # the PEM text of each
    keys: Annotated[
        dict[str, str],
        Key("{alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub: true}", dict[forms.KeyFile, forms.Switch], guest=""),
    ] = {}
    """Public keys that may sign packages: names of files in `profiles/keys/`."""
    dropped_keys: dict[str, date] = {}
    """Keys of the profile that upstream had deprecated, by file name, with the first day of that; they are not in
    `keys`."""
    unread: tuple[str, ...] = ()
    """Keys of a build in state that no longer exist, or whose value can't be read; they are ignored."""

    @classmethod
    def of_state(cls, value: object) -> Self:
        """Read the build that an image in state was made from, whichever version wrote it.

        Even if some keys can't be read, the image can be planned, updated and deleted: such keys are only named in
        `unread`. Raises ValidationError if the keys that identify the build are missing.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            wrong = {str(each["loc"][0]) for each in error.errors() if each["loc"]}
            if not isinstance(value, dict) or not wrong or not wrong <= value.keys() or wrong & _NAMING:
                raise
            read = cls.model_validate({key: each for key, each in value.items() if key not in wrong})
            return read.model_copy(update={"unread": tuple(sorted({*read.unread, *wrong}))})

    @property
    def asks_for_fixes(self) -> bool:
        """Whether it needs Alpine's security data."""
        return self.rebuild_on == "security" or self.max_missing_fixes is not None

    @property
    def branch(self) -> str:
        """The branch as mirrors call it: `v3.23`, or `edge`."""
        return self.version if self.version == "edge" else f"v{self.version}"

    @property
    def boot_modes(self) -> tuple[BootMode, ...]:
        """The boot modes of this firmware's OMIs, sorted."""
        return _BOOT_MODES[self.firmware]

    def image_name(self, release: str, revision: int) -> str:
        """The OMI's name."""
        return str(revision).join(self.name_parts(release))

    def name_parts(self, release: str) -> tuple[str, str]:
        """The parts of a release's OMI names before and after the revision's number."""
        head, revision, tail = self._filled(self.name_template, release=release).partition("{revision}")
        return f"{head}{revision and 'r'}", tail

    def image_description(self, release: str, revision: int) -> str:
        """The OMI's description, without build id and stage."""
        return self._filled(self.description_template, release=release, revision=f"r{revision}")

    def _filled(self, template: str, **known: str) -> str:
        """A template with its known names replaced."""
        known = {"profile": self.profile, "build": self.name, **known}
        keys = ("version", "arch", "prefix", "suffix", "description", "description_suffix")
        known |= {key: getattr(self, key) for key in keys}
        return re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], found[0]), template)


def profile_keys() -> Iterator[tuple[str, Key, FieldInfo]]:
    """Every key of a profile, in the documented order."""
    for name, field in Target.model_fields.items():
        for item in field.metadata:
            if isinstance(item, Key):
                yield name, item, field


def guest_names() -> Iterator[tuple[str, str]]:
    """The names in `image.env` of keys that the guest gets unchanged, each with its key."""
    for name, key, _ in profile_keys():
        if key.decides and key.guest != "":
            yield key.guest or name.upper(), name

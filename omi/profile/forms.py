"""How values are written in a profile, with the words that errors and profiles/README.md use for what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationError,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

COMMENTED = "commented"
"""A repo with this value is written into the image as a comment."""
AWS_TIME = "169.254.169.123"
"""AWS's time service, which other images bring along; on OUTSCALE nothing answers there."""
OMI_CHARACTERS = "A-Za-z0-9_ ()/.-"
"""Characters of an OMI's name, between the brackets of a pattern: OUTSCALE's rule (CreateImage, ImageName)."""
_NAME_FIELDS = ("prefix", "suffix", "release", "version", "arch", "revision", "profile", "build")
_DESCRIPTION_FIELDS = (*_NAME_FIELDS, "description", "description_suffix")
_APK_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"
_TAG = r"[a-z0-9][a-z0-9_.-]*"
_LONGEST_MOTD = 4000  # characters: some fifty lines, more than anybody reads at a login


@dataclass(frozen=True)
class Allowed:
    """Says in words what is allowed, so that an error can; `text` means that the value is text (quoting may help)."""

    allowed: str
    text: bool = False
    near: Callable[[str], str] | None = None
    """Makes the value that was probably meant of a wrong one."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "description": self.allowed}

    def _check(self, value: Any, handler: core_schema.ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            context = {"allowed": self.allowed, "text": self.text, "near": self._near(value, handler)}
            raise PydanticCustomError("rule", "{allowed}", context) from error

    def _near(self, value: Any, handler: core_schema.ValidatorFunctionWrapHandler) -> str:
        """The allowed value that was probably meant; empty if there is none."""
        if self.near is None or not isinstance(value, str):
            return ""
        try:
            return str(handler(self.near(value)))
        except ValidationError:
            return ""


def _as_date(value: Any) -> Any:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _not_root(name: str) -> str:
    if name == "root":
        raise ValueError(name)
    return name


def _known_zone(name: str) -> str:
    known = available_timezones()  # none on a machine without time zones; the build is the first to find out then
    if known and name not in known:
        raise ValueError(name)
    return name


def _near_zone(name: str) -> str:
    return next(iter(difflib.get_close_matches(name, available_timezones(), n=1)), "")


def _no_aws_time(server: str) -> str:
    if server == AWS_TIME:
        raise ValueError(server)
    return server


def _inside(path: str) -> str:
    if {".", ".."} & set(path.split("/")):
        raise ValueError(path)
    return path


def _tells_apart(template: str) -> str:
    """A name that lacks either would stand for several images."""
    if "{release}" not in template or template.count("{revision}") != 1:
        raise ValueError(template)
    return template


def _template(characters: str, fields: Iterable[str]) -> StringConstraints:
    return _pattern(rf"([{characters}]|\{{({'|'.join(fields)})\}}){{1,200}}")


def _in_words(fields: Iterable[str]) -> str:
    return " ".join(f"{{{name}}}" for name in fields)


def _pattern(pattern: str) -> StringConstraints:
    return StringConstraints(strict=True, pattern=rf"\A(?:{pattern})\z")


Switch = Annotated[bool | None, Allowed("true, or false or null to take it away")]
OmiText = Annotated[
    str,
    _pattern(rf"[{OMI_CHARACTERS}]{{0,100}}"),
    Allowed("letters, digits, _ space ( ) / . - (OUTSCALE's rule for OMI names), at most 100", text=True),
]
Line = Annotated[
    str, _pattern(r"[^\x00-\x1f\x7f]{1,200}"), Allowed("one line of text, at most 200 characters", text=True)
]
NameTemplate = Annotated[
    str,
    _template(OMI_CHARACTERS, _NAME_FIELDS),
    AfterValidator(_tells_apart),
    Allowed(
        f"letters, digits, _ space ( ) / . - and {_in_words(_NAME_FIELDS)}, with {{release}}, and {{revision}} once",
        text=True,
    ),
]
DescriptionTemplate = Annotated[
    str,
    _template(r"^\x00-\x1f\x7f{}", _DESCRIPTION_FIELDS),
    Allowed(f"one line of text without braces but {_in_words(_DESCRIPTION_FIELDS)}", text=True),
]
Gibibytes = Annotated[int, Field(ge=1, le=14901), Allowed("a whole number of GiB from 1 to 14901")]
Count = Annotated[int, Field(ge=0, le=9999), Allowed("a whole number from 0 to 9999")]
Days = Annotated[int, Field(ge=1, le=3650), Allowed("a whole number of days from 1 to 3650")]
UserName = Annotated[
    str,
    _pattern(r"[a-z_][a-z0-9_-]{0,31}"),
    AfterValidator(_not_root),
    Allowed("a user name: a-z, 0-9, _ and -, not first a digit or -, at most 32, and not root", text=True),
]
Version = Annotated[
    str, _pattern(r"edge|[0-9]+\.[0-9]+"), Allowed('a branch as text, such as "3.23", or edge', text=True)
]
BranchName = Annotated[str, _pattern(r"[0-9]+\.[0-9]+")]
Release = Annotated[
    str,
    _pattern(r"[0-9]+\.[0-9]+\.[0-9]+(_(alpha|beta|rc)[0-9]+)?|[0-9]{8}"),
    Allowed("a point release as text, such as 3.23.6 (edge: its date, YYYYMMDD)", text=True),
]
BranchRelease = Annotated[Release, Allowed("a point release as text, such as 3.23.6", text=True)]
Revision = Annotated[str, _pattern(r"r(0|[1-9][0-9]{0,3})"), Allowed("a revision: r0, r1, … r9999", text=True)]
Day = Annotated[date, BeforeValidator(_as_date), Allowed("a date, such as 2027-11-01, or absent")]
BaseName = Annotated[
    str, _pattern(r"base/[A-Za-z0-9_.-]+"), Allowed("the base profile's name, such as base/1", text=True)
]
BuildName = Annotated[
    str,
    _pattern(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"),
    Allowed("a build's name: letters, digits, _ . -, at most 64", text=True),
]
PackageName = Annotated[
    str,
    _pattern(_APK_NAME + r"([<>=~]{1,2}[A-Za-z0-9_.+-]+)?"),
    Allowed("a package's name, with a version if need be, such as openssl or openssl~3.5", text=True),
]
PackageValue = Annotated[
    bool | Annotated[str, _pattern(_TAG)] | None,
    Allowed("true, a repo's tag, or false or null to take it away"),
]
RepoUrl = Annotated[
    str,
    _pattern(r"https?://[A-Za-z0-9_.~:@%+{}-]+(/[A-Za-z0-9_.~:@%+{}-]*)*"),
    Allowed("an https or http URL; {branch} stands for v3.23 or edge, {version} for 3.23 or edge", text=True),
]
RepoValue = Annotated[
    bool | Annotated[str, _pattern(_TAG)] | None,
    Allowed(f"true, a tag, {COMMENTED} to keep it as a comment, or false or null to take it away"),
]
KernelOption = Annotated[
    str,
    _pattern(r"[!#%&()*+,./:;<=>?@A-Z\[\]^_a-z{|}~0-9-]+"),
    Allowed("one kernel option without spaces or quotes", text=True),
]
ModuleName = Annotated[str, _pattern(r"[A-Za-z0-9_-]+"), Allowed("a kernel module's name", text=True)]
FeatureName = Annotated[str, _pattern(r"[A-Za-z0-9_-]+"), Allowed("a feature of mkinitfs", text=True)]
ServiceName = Annotated[str, _pattern(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*"), Allowed("an OpenRC service's name", text=True)]
Motd = Annotated[
    str,
    _pattern(r"[^\x00-\x08\x0b-\x1f\x7f]+"),
    Field(max_length=_LONGEST_MOTD),
    Allowed(f"text of one or more lines, at most {_LONGEST_MOTD} characters", text=True),
]
TimeZone = Annotated[
    str,
    _pattern(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}"),
    AfterValidator(_known_zone),
    Allowed("a time zone of the IANA database, such as Europe/Paris", text=True, near=_near_zone),
]
Port = Annotated[
    str,
    _pattern(r"[1-9][0-9]{0,4}/(tcp|udp)"),
    Allowed("a port with its protocol, such as 80/tcp or 53/udp", text=True, near="{}/tcp".format),
]
SysctlName = Annotated[
    str,
    _pattern(r"[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)+"),
    Allowed("a kernel parameter as sysctl names it, such as net.ipv4.ip_forward", text=True),
]
SysctlValue = Annotated[
    Annotated[int, Field(strict=True)] | Annotated[str, _pattern(r"[!-~]+([ \t][!-~]+)*")] | Literal[False] | None,
    Allowed("a number, text on one line, or false or null to take it away"),
]
NtpServer = Annotated[
    str,
    _pattern(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,252})"),
    AfterValidator(_no_aws_time),
    Allowed(f"a time server's name or address, and not {AWS_TIME}, which only AWS has", text=True),
]
KeyFile = Annotated[
    str,
    _pattern(r"[A-Za-z0-9@_.+-]+\.rsa\.pub"),
    Allowed("the name of a file NAME.rsa.pub in profiles/keys/", text=True),
]
AccountId = Annotated[str, _pattern(r"[0-9]{12}"), Allowed("an account id: 12 digits, quoted", text=True)]
_Path = Annotated[str, _pattern(r"[A-Za-z0-9_.+-]+(/[A-Za-z0-9_.+-]+)*"), AfterValidator(_inside)]
FilePath = Annotated[
    _Path, Allowed("a path below this file's folder (letters, digits, _ . + - and /, no ..)", text=True)
]
CopyTarget = Annotated[
    _Path,
    Allowed("a path below the folder the setup script runs in (letters, digits, _ . + - and /, no ..)", text=True),
]
CopySource = Annotated[
    _Path | Literal[False] | None,
    Allowed("a path below this file's folder (no ..), or false or null to take it away", text=True),
]
TestName = Annotated[
    str, _pattern(r"[A-Za-z0-9_.-]{1,64}"), Allowed("a name: letters, digits, _ . -, at most 64", text=True)
]

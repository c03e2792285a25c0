"""The forms of values in a profile, with the words for them in errors and in profiles/README.md."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

COMMENTED = "commented"
"""A repo with this value is written into the image as a comment."""
AWS_TIME = "169.254.169.123"
"""AWS's time service, which other images use; on OUTSCALE nothing answers there."""
OMI_CHARACTERS = "A-Za-z0-9_ ()/.-"
"""Characters of an OMI's name, between the brackets of a pattern: OUTSCALE's rule (CreateImage, ImageName)."""
_NAME_FIELDS = ("prefix", "suffix", "release", "version", "arch", "revision", "profile", "build")
_DESCRIPTION_FIELDS = (*_NAME_FIELDS, "description", "description_suffix")
_LONGEST_MOTD = 4000  # characters: some fifty lines, more than anybody reads at a login
_LAST_PORT = 65535
_UNSEEN = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""Characters, between the brackets of a pattern, that no text needs and that show it other than it is: control
characters, ends of lines, and those that turn the direction of writing."""


@dataclass(frozen=True)
class Allowed:
    """The allowed values in words, for errors, and the rule for text."""

    allowed: str
    pattern: str | None = None
    """The whole text must match it."""
    fits: Callable[[str], bool] | None = None
    """A further test for a text that matches."""
    near: Callable[[str], str] | None = None
    """Guesses the intended value from a wrong one."""
    text: bool = False
    """Whether a value without a pattern is text, so that quotes may help."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: Any = handler(source)
        if self.pattern is not None:
            schema = {**schema, "strict": True, "pattern": rf"\A(?:{self.pattern})\z"}
        return core_schema.no_info_wrap_validator_function(self._check, schema)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "description": self.allowed}

    def _check(self, value: Any, handler: core_schema.ValidatorFunctionWrapHandler) -> Any:
        try:
            valid = handler(value)
            if self.fits is None or self.fits(valid):
                return valid
        except ValidationError:
            pass
        is_text = self.text or self.pattern is not None
        context = {"allowed": self.allowed, "text": is_text, "near": self._near(value, handler)}
        raise PydanticCustomError("rule", "{allowed}", context)

    def _near(self, value: Any, handler: core_schema.ValidatorFunctionWrapHandler) -> str:
        """The allowed value that was probably meant; empty if none is near."""
        if self.near is None or not isinstance(value, str):
            return ""
        near = self.near(value)
        try:
            return near if handler(near) and (self.fits is None or self.fits(near)) else ""
        except ValidationError:
            return ""


def _as_date(value: Any) -> Any:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _is_zone(name: str) -> bool:
    known = available_timezones()  # this machine may have no time zones; then only the build finds a wrong one
    return not known or name in known


def _near_zone(name: str) -> str:
    return next(iter(difflib.get_close_matches(name, available_timezones(), n=1)), "")


def _is_port(port: str) -> bool:
    return int(port.partition("/")[0]) <= _LAST_PORT


def _near_port(text: str) -> str:
    """The port's number and protocol, in either order; a number alone means TCP."""
    protocol = "udp" if "udp" in text.lower() else "tcp"
    return f"{'-'.join(re.findall('[0-9]+', text))}/{protocol}"


def _stays_below(path: str) -> bool:
    return not {".", ".."} & set(path.split("/"))


def _keeps_apart(template: str) -> bool:
    """Whether names differ for all images of a build: release and revision must be in them."""
    return "{release}" in template and template.count("{revision}") == 1


def _template(characters: str, fields: Iterable[str]) -> str:
    return rf"([{characters}]|\{{({'|'.join(fields)})\}}){{1,200}}"


def _in_words(fields: Iterable[str]) -> str:
    return " ".join(f"{{{name}}}" for name in fields)


Switch = Annotated[bool | None, Allowed("true, or false or null to take it away")]
OmiText = Annotated[
    str,
    Allowed(
        "letters, digits, _ space ( ) / . - (OUTSCALE's rule for OMI names), at most 100",
        rf"[{OMI_CHARACTERS}]{{0,100}}",
    ),
]
Line = Annotated[
    str, Allowed("one line of text, at most 200 characters, without control characters", rf"[^{_UNSEEN}]{{1,200}}")
]
NameTemplate = Annotated[
    str,
    Allowed(
        f"letters, digits, _ space ( ) / . - and {_in_words(_NAME_FIELDS)}, with {{release}}, and {{revision}} once",
        _template(OMI_CHARACTERS, _NAME_FIELDS),
        _keeps_apart,
    ),
]
DescriptionTemplate = Annotated[
    str,
    Allowed(
        f"one line of text without control characters, and without braces but {_in_words(_DESCRIPTION_FIELDS)}",
        _template(rf"^{_UNSEEN}{{}}", _DESCRIPTION_FIELDS),
    ),
]
Gibibytes = Annotated[int, Field(ge=1, le=14901), Allowed("a whole number of GiB from 1 to 14901")]
Count = Annotated[int, Field(ge=0, le=9999), Allowed("a whole number from 0 to 9999")]
Days = Annotated[int, Field(ge=1, le=3650), Allowed("a whole number of days from 1 to 3650")]
UserName = Annotated[
    str,
    Allowed(
        "a user name: a-z, 0-9, _ and -, not first a digit or -, at most 32, and not root",
        "[a-z_][a-z0-9_-]{0,31}",
        lambda name: name != "root",
    ),
]
Version = Annotated[str, Allowed('a branch as text, such as "3.23", or edge', r"edge|[0-9]+\.[0-9]+")]
BranchName = Annotated[str, Allowed('a branch as text, such as "3.23"', r"[0-9]+\.[0-9]+")]
Release = Annotated[
    str,
    Allowed(
        "a point release as text, such as 3.23.6 (edge: its date, YYYYMMDD)",
        r"[0-9]+\.[0-9]+\.[0-9]+(_(alpha|beta|rc)[0-9]+)?|[0-9]{8}",
    ),
]
BranchRelease = Annotated[Release, Allowed("a point release as text, such as 3.23.6", text=True)]
Revision = Annotated[str, Allowed("a revision: r0, r1, … r9999", "r(0|[1-9][0-9]{0,3})")]
Day = Annotated[date, BeforeValidator(_as_date), Allowed("a date, such as 2027-11-01, or absent")]
BaseName = Annotated[str, Allowed("the base profile's name, such as base/1", "base/[A-Za-z0-9_.-]+")]
BuildName = Annotated[
    str, Allowed("a build's name: letters, digits, _ . -, at most 64", "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
]
PackageName = Annotated[
    str,
    Allowed(
        "a package's name, with a version if need be, such as openssl or openssl~3.5",
        "[A-Za-z0-9_][A-Za-z0-9_.+-]*([<>=~]{1,2}[A-Za-z0-9_.+-]+)?",
    ),
]
_Tag = Annotated[str, Allowed("a repo's tag", "[a-z0-9][a-z0-9_.-]*")]
PackageValue = Annotated[
    bool | _Tag | None,
    Allowed("true, a repo's tag, or false or null to take it away; a version is in the key, as {openssl~3.5: true}"),
]
RepoUrl = Annotated[
    str,
    Allowed(
        "an https or http URL without a login; {branch} stands for v3.23 or edge, {version} for 3.23 or edge",
        "https?://[A-Za-z0-9_.~:%+{}-]+(/[A-Za-z0-9_.~:@%+{}-]*)*",
    ),
]
RepoValue = Annotated[
    bool | _Tag | None,
    Allowed(f"true, a tag, {COMMENTED} to keep it as a comment, or false or null to take it away"),
]
KernelOption = Annotated[
    str, Allowed("one kernel option without spaces or quotes", r"[!#%&()*+,./:;<=>?@A-Z\[\]^_a-z{|}~0-9-]+")
]
ModuleName = Annotated[str, Allowed("a kernel module's name", "[A-Za-z0-9_-]+")]
FeatureName = Annotated[str, Allowed("a feature of mkinitfs", "[A-Za-z0-9_-]+")]
ServiceName = Annotated[str, Allowed("an OpenRC service's name", "[A-Za-z0-9_.][A-Za-z0-9_.-]*")]
Motd = Annotated[
    str,
    Field(max_length=_LONGEST_MOTD),
    Allowed(
        f"text of one or more lines, at most {_LONGEST_MOTD} characters, without control characters",
        rf"([\t\n]|[^{_UNSEEN}])+",
    ),
]
TimeZone = Annotated[
    str,
    Allowed(
        "a time zone of the IANA database, such as Europe/Paris",
        "[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}",
        _is_zone,
        _near_zone,
    ),
]
Port = Annotated[
    str,
    Allowed(
        f"a port from 1 to {_LAST_PORT} with its protocol, such as 80/tcp or 53/udp",
        "[1-9][0-9]{0,4}/(tcp|udp)",
        _is_port,
        _near_port,
    ),
]
SysctlName = Annotated[
    str,
    Allowed(
        "a kernel parameter as sysctl names it, such as net.ipv4.ip_forward", "[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)+"
    ),
]
SysctlValue = Annotated[
    Annotated[int, Field(strict=True)]
    | Annotated[str, Allowed("text on one line", r"[!-~]+([ \t][!-~]+)*")]
    | Literal[False]
    | None,
    Allowed("a number, text on one line, or false or null to take it away"),
]
NtpServer = Annotated[
    str,
    Allowed(
        f"a time server's name or address, and not {AWS_TIME}, which only AWS has",
        "[A-Za-z0-9]([A-Za-z0-9.:-]{0,252})",
        lambda server: server != AWS_TIME,
    ),
]
KeyFile = Annotated[str, Allowed("the name of a file NAME.rsa.pub in profiles/keys/", r"[A-Za-z0-9@_.+-]+\.rsa\.pub")]
AccountId = Annotated[str, Allowed("an account id: 12 digits, quoted", "[0-9]{12}")]
_PATH = "[A-Za-z0-9_.+-]{1,255}(/[A-Za-z0-9_.+-]{1,255}){0,9}"
FilePath = Annotated[
    str,
    Allowed(
        "a path below this file's folder, such as setup/web.sh (letters, digits, _ . + - and /, no .., 255 a name)",
        _PATH,
        _stays_below,
    ),
]
CopyTarget = Annotated[
    str,
    Allowed(
        "a path below the folder the setup script runs in (letters, digits, _ . + - and /, no .., 255 a name)",
        _PATH,
        _stays_below,
    ),
]
CopySource = Annotated[
    FilePath | Literal[False] | None,
    Allowed(
        "a path below this file's folder, such as setup/web-test.sh (no ..), or false or null to take it away",
        text=True,
    ),
]
TestName = Annotated[str, Allowed("a name: letters, digits, _ . -, at most 64", "[A-Za-z0-9_.-]{1,64}")]

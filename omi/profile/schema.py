"""The keys of each kind of profile file."""

from __future__ import annotations

import typing
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, GetJsonSchemaHandler, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from omi.profile.forms import Allowed, BaseName, BranchName, BranchRelease, BuildName, Day, Switch
from omi.profile.model import Key, Layer, profile_keys

L = TypeVar("L", bound=Layer)


class VersionKeys(Layer):
    """Further keys of `profiles/version/VERSION.yaml`."""

    base: BaseName = Field(description="The base profile below this version.", examples=["base/1"])
    release: BranchRelease | None = Field(
        None, description="The branch's point release as last detected.", examples=["3.23.6"]
    )
    end_of_life: Day | None = Field(
        None, description="When the branch's support ends, as last detected.", examples=["2027-11-01"]
    )


class Discover(Layer):
    """Which builds to add for the branches that Alpine supports."""

    versions: Annotated[
        Literal["supported"] | Annotated[list[BranchName], Field(min_length=1)],
        Allowed('supported, or a list of branches as text, such as ["3.23", "3.24"]', text=True),
    ] = Field(
        "supported", description="Which branches; those past their end of life are left out.", examples=["supported"]
    )
    arch: Annotated[
        Annotated[list[Literal["x86_64"]], Field(min_length=1)], Allowed("a list of architectures: [x86_64]")
    ] = Field(["x86_64"], description="For which architectures.", examples=["[x86_64]"])
    edge: Annotated[int | None, Field(ge=1, le=100), Allowed("how many images of edge to keep, from 1 to 100")] = Field(
        None, description="Build edge as well, and keep this many of its images.", examples=["2"]
    )


def _file(name: str, base: type[L], *, of_build: bool, **more: Any) -> type[L]:
    """The model `base` with the keys of Target that this kind of file may set, and with `more`."""
    written: dict[str, Any] = {}
    for key, declared, field in profile_keys():
        if of_build or not declared.of_build:
            said = Field(None, examples=[declared.example])
            written[key] = (_form(declared, field.annotation) | None, said)
    return create_model(name, __base__=base, **written, **more)


def _form(key: Key, annotation: Any) -> Any:
    """The written form of a key: names as a map of switches, a choice as one of its words."""
    if key.form is not None:
        return _map(key.form, Switch) if annotation == tuple[str, ...] else key.form
    *words, last = typing.get_args(annotation)
    return Annotated[annotation, Allowed(f"{', '.join(words)} or {last}" if words else last)]


def _map(key: Any, value: Any) -> Any:
    return dict.__class_getitem__((key, value))


CommonKeys = _file("CommonKeys", Layer, of_build=False)
"""Keys of every kind of profile file; `profiles/base/NAME.yaml` and `profiles/arch/ARCH.yaml` have no others."""
VersionFile = _file("VersionFile", VersionKeys, of_build=False)
"""`profiles/version/VERSION.yaml`."""
BuildKeys = _file("BuildKeys", Layer, of_build=True)
"""One build of a target profile."""


class TargetKeys(Layer):
    """Further keys of `profiles/NAME.yaml`."""

    discover: Discover | None = Field(
        None,
        description="Adds a build `v3_24-x86_64` for each branch, without an edit.",
        examples=["{versions: supported, edge: 2}"],
    )


class _OrTakenAway:
    """Lets the editor's schema allow null and false, which are removed from a profile before it is checked."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), {"enum": [False, None]}]}


_BUILDS = Field(
    None,
    description="The builds by name, each a map of what holds for it alone; `{}` for none.",
    examples=['{v3_23-x86_64: {version: "3.23"}}'],
)
TargetFile = _file(
    "TargetFile",
    TargetKeys,
    of_build=True,
    builds=(_map(BuildName, Annotated[BuildKeys, _OrTakenAway()]) | None, _BUILDS),
)
"""`profiles/NAME.yaml`."""

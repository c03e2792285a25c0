"""The calls that an EIM user's key may make: policies in OUTSCALE's form (its user guide, EIM Policy Elements).

A policy names only actions, never single resources (EIM Policy Generator, in the same guide).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from sandbox.cloud.errors import Fail, RefusedError

SERVICES = {"oapi": "api", "oos": "s3"}
"""A face's code in a policy; the one of OOS is an assumption, after S3's own policies."""


class Statement(BaseModel):
    """One statement: it allows or denies the actions that it names, or (`NotAction`) all others; `*` is a wildcard."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sid: str | None = Field(default=None, alias="Sid")
    effect: Literal["Allow", "Deny"] = Field(alias="Effect")
    action: tuple[str, ...] | None = Field(default=None, alias="Action")
    not_action: tuple[str, ...] | None = Field(default=None, alias="NotAction")
    resource: tuple[Literal["*"], ...] = Field(alias="Resource", min_length=1)

    @model_validator(mode="after")
    def _one_of_both(self) -> Statement:
        if (self.action is None) == (self.not_action is None):
            message = "a statement needs either Action or NotAction"
            raise ValueError(message)
        return self

    def concerns(self, action: str) -> bool:
        """Whether it is about this action (`api:CreateVms`); capitals count."""
        named = self.action if self.action is not None else self.not_action or ()
        found = any(_pattern(each).fullmatch(action) for each in named)
        return found == (self.action is not None)


def _pattern(action: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, action.split("*"))), re.DOTALL)


class Policy(BaseModel):
    """A policy document."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    statements: tuple[Statement, ...] = Field(alias="Statement", min_length=1)

    def allows(self, action: str) -> bool:
        """Whether a statement allows the action and none denies it."""
        effects = {statement.effect for statement in self.statements if statement.concerns(action)}
        return effects == {"Allow"}


_POLICIES = TypeAdapter(dict[str, Policy])


class Users:
    """The policies of accounts whose keys are EIM users', by profile; any other key may do all."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._policies: Mapping[str, Policy] = {}

    def replace(self, body: bytes) -> None:
        """Policy documents by profile, as JSON; raises ValidationError (a ValueError) for what is not a policy."""
        policies = _POLICIES.validate_json(body)
        with self._guard:
            self._policies = policies

    def current(self) -> Mapping[str, Policy]:
        with self._guard:
            return dict(self._policies)

    def require(self, profile: str, face: str, action: str) -> None:
        """RefusedError unless the profile's key may call the action.

        OUTSCALE's table of errors has AccessDenied 5 (ErrorNotAuthorized), HTTP 401. It is an assumption that a
        policy's refusal is this one and not 4 (ErrorUnauthorizedOperation, in earlier tables).
        """
        policy = self.current().get(profile)
        if policy is not None and not policy.allows(f"{SERVICES[face]}:{action}"):
            raise RefusedError(Fail.DENIED, "The user is not authorized to perform this action.")

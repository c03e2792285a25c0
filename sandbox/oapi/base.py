"""What every OAPI action shares: how requests are checked, filtered and paged, and how refusals look."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_pascal
from pydantic_core import ErrorDetails

from sandbox.cloud.context import Cloud
from sandbox.cloud.errors import CloudError, Fail
from sandbox.cloud.filters import Getter, select, text
from sandbox.cloud.model import Account, Resource

Json = dict[str, Any]
T = TypeVar("T")
R = TypeVar("R", bound=Resource)


class Request(BaseModel):
    """A request: names in OUTSCALE's spelling, types strict, unknown names refused, null counts as absent."""

    model_config = ConfigDict(alias_generator=to_pascal, extra="forbid", frozen=True, strict=True)

    dry_run: bool | None = None


class Part(BaseModel):
    """A nested object of a request."""

    model_config = ConfigDict(alias_generator=to_pascal, extra="forbid", frozen=True, strict=True)


class ReadRequest(Request):
    """A Read call: filters by name and paging."""

    filters: dict[str, Any] | None = None
    next_page_token: str | None = None
    results_per_page: int | None = Field(default=None, ge=1, le=1000)


Q = TypeVar("Q", bound=Request)
Handler = Callable[[Cloud, Account, Any], Json]


@dataclass(frozen=True)
class Action:
    """One registered action."""

    name: str
    request: type[Request]
    handler: Handler


ACTIONS: dict[str, Action] = {}


def action(name: str, request: type[Q]) -> Callable[[Callable[[Cloud, Account, Q], Json]], Handler]:
    """Register the handler of an action."""

    def register(handler: Callable[[Cloud, Account, Q], Json]) -> Handler:
        ACTIONS[name] = Action(name, request, handler)
        return handler

    return register


def handle(cloud: Cloud, caller: Account, name: str, body: bytes) -> Json:
    """Do one call; raises CloudError where it is refused."""
    called = ACTIONS.get(name)
    if called is None:
        raise CloudError(Fail.UNKNOWN_CALL, f"The call '{name}' is not served.")
    request = parse(called, body)
    if request.dry_run:
        return {}
    with cloud.transaction(), cloud.quotas.kept(caller):
        return called.handler(cloud, caller, request)


def parse(called: Action, body: bytes) -> Request:
    """The request of a body (an empty one is an empty request)."""
    try:
        return called.request.model_validate_json(body.strip() or b"{}")
    except ValidationError as error:
        raise _refusal(called.name, error.errors()[0]) from None


def _refusal(name: str, error: ErrorDetails) -> CloudError:
    where = ".".join(str(each) for each in error["loc"])
    kind = error["type"]
    if kind == "extra_forbidden":
        return CloudError(Fail.UNKNOWN_PARAMETER, f"'{where}' is not a parameter of {name}.")
    if kind == "missing":
        return CloudError(Fail.MISSING_PARAMETER, f"The parameter '{where}' is required.")
    if kind.startswith("json"):
        return CloudError(Fail.BAD_SYNTAX, "The body is not a JSON object.")
    if kind in ("greater_than_equal", "less_than_equal"):
        return CloudError(Fail.BAD_VALUE, f"The parameter '{where}': {error['msg']}.")
    return CloudError(Fail.BAD_TYPE, f"The parameter '{where}' has the wrong type: {error['msg']}.")


def answer(body: Json) -> bytes:
    """The bytes of a good answer."""
    return json.dumps({**body, "ResponseContext": _context()}).encode()


def refusal(error: CloudError, *, code: str | None = None, kind: str | None = None) -> bytes:
    """The bytes of a refusal, in OUTSCALE's form."""
    known = error.fail.value
    entry = {"Code": code or known.code, "Details": error.details, "Type": kind or known.type}
    return json.dumps({"Errors": [entry], "ResponseContext": _context()}).encode()


def _context() -> Json:
    return {"RequestId": str(uuid.uuid4())}


def filtered(request: ReadRequest, things: Iterable[T], getters: Mapping[str, Getter[T]]) -> list[T]:
    """The things that fit the request's filters; null and [] count as absent, an unknown name is refused."""
    wanted: dict[str, list[str]] = {}
    for name, value in (request.filters or {}).items():
        if name not in getters:
            raise CloudError(Fail.UNKNOWN_PARAMETER, f"'Filters.{name}' is not a parameter of this call.")
        if value is None or value == []:
            continue
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(each, (str, int, bool, float)) for each in values):
            raise CloudError(Fail.BAD_TYPE, f"The parameter 'Filters.{name}' has the wrong type.")
        wanted[name] = [text(each) for each in values]
    return select(things, getters, wanted)


def paged(request: ReadRequest, name: str, views: list[Json]) -> Json:
    """One page of a list, and the token of the next where there is one."""
    start = _offset(request.next_page_token)
    if request.results_per_page is None:
        return {name: views[start:]}
    end = start + request.results_per_page
    page: Json = {name: views[start:end]}
    if end < len(views):
        page["NextPageToken"] = base64.b64encode(f"offset:{end}".encode()).decode()
    return page


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        word, _, number = base64.b64decode(token, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        word, number = "", ""
    if word != "offset" or not number.isdecimal():
        raise CloudError(Fail.BAD_VALUE, "The NextPageToken is not valid.")
    return int(number)


def tag_getters() -> dict[str, Getter[Any]]:
    """The filters by tag that every taggable resource has."""
    return {
        "Tags": lambda one: [f"{key}={value}" for key, value in one.tags.items()],
        "TagKeys": lambda one: one.tags,
        "TagValues": lambda one: one.tags.values(),
    }


def tag_views(resource: Resource) -> list[Json]:
    return [{"Key": key, "Value": value} for key, value in resource.tags.items()]


def date(value: Any) -> str:
    """A time in OAPI's form, UTC with milliseconds."""
    return str(value.strftime("%Y-%m-%dT%H:%M:%S.")) + f"{value.microsecond // 1000:03d}Z"


def without_none(view: Json) -> Json:
    """A view without the members that have no value: OAPI leaves them out."""
    return {key: value for key, value in view.items() if value is not None}


_SECRET = {"UserData", "PublicKey", "FileLocation", "OsuExport"}


def shown(body: bytes) -> Json:
    """The parameters of a body as the call log keeps them, without what might be secret."""
    try:
        parsed = json.loads(body or b"{}")
    except ValueError:
        return {}
    if not isinstance(parsed, dict):
        return {}
    return {key: "..." if key in _SECRET and value else value for key, value in parsed.items()}

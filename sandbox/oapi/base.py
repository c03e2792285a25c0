"""The parts that all OAPI actions share: their register, checks of requests, pages, answers and refusals."""

from __future__ import annotations

import base64
import binascii
import inspect
import json
import uuid
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import ValidationError, create_model
from pydantic.alias_generators import to_pascal
from pydantic_core import ErrorDetails

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.model import Account, Resource
from sandbox.oapi.filters import BY_TAG, Paths, filtered, paths
from sandbox.oapi.filters import Json as Json
from sandbox.oapi.request import FilteredRequest, PagedRequest, ReadRequest, Request

Handler = Callable[..., Json | None]
Views = Callable[[LocalCloud, Account], list[Json]]


@dataclass(frozen=True)
class ApiAction:
    """One registered action."""

    name: str
    request: type[Request]
    handler: Handler
    signed: bool
    """Whether a call needs a signature."""
    apart: bool
    """Whether the handler takes the request's parameters one by one, not the request as a whole."""


ACTIONS: dict[str, ApiAction] = {}
FILTERS: dict[str, Paths] = {}
"""The filters of each Read call, by the member that holds its answer (`Images`)."""


def action(name: str, request: type[Request] | None = None, *, signed: bool = True) -> Callable[[Handler], Handler]:
    """Register the only handler of an action.

    A handler that is registered without a `request` gets the request's parameters as keywords.
    """

    def register(handler: Handler) -> Handler:
        if name in ACTIONS:
            raise RuntimeError(f"{name} has two handlers: {ACTIONS[name].handler} and {handler}")
        ACTIONS[name] = ApiAction(name, request or _request_of(name, handler), handler, signed, apart=request is None)
        return handler

    return register


def _request_of(name: str, handler: Handler) -> type[Request]:
    hints = get_type_hints(handler)
    keywords = [each for each in inspect.signature(handler).parameters.values() if each.kind is each.KEYWORD_ONLY]
    fields: dict[str, Any] = {
        each.name: (hints[each.name], ... if each.default is each.empty else each.default) for each in keywords
    }
    return create_model(f"{name}Request", __base__=Request, **fields)


def listing(
    name: str, filters: str = "", *, tagged: bool = True, pages: bool = True, signed: bool = True, **others: str
) -> Callable[[Views], Views]:
    """Register `Read<name>`, whose handler gives the view of each thing that the caller sees; see `paths`."""
    known = FILTERS[name] = paths(filters, **others) | (BY_TAG if tagged else {})
    kind = (ReadRequest if pages else FilteredRequest) if known else PagedRequest

    def register(views: Views) -> Views:
        @action(f"Read{name}", kind, signed=signed)
        def read(cloud: LocalCloud, caller: Account, request: Request) -> Json:
            found = views(cloud, caller)
            if isinstance(request, FilteredRequest):
                found = filtered(request, found, known)
            return paged(request, name, found) if isinstance(request, PagedRequest) else {name: found}

        return views

    return register


def needs_signature(name: str) -> bool:
    """Whether a call of this action must be signed; a call of an unknown action must."""
    known = ACTIONS.get(name)
    return known is None or known.signed


def handle(cloud: LocalCloud, caller: Account, name: str, body: bytes) -> Json:
    """Do one call; raises RefusedError where it is refused."""
    called = ACTIONS.get(name)
    if called is None:
        raise RefusedError(Fail.UNKNOWN_CALL, f"The call '{name}' is not served.")
    request = parse(called, body)
    if request.dry_run:
        return {}
    with cloud.transaction(), cloud.quotas.kept(caller):
        if not called.apart:
            return called.handler(cloud, caller, request) or {}
        names = called.request.model_fields.keys() - Request.model_fields.keys()
        return called.handler(cloud, caller, **{name: getattr(request, name) for name in names}) or {}


def parse(called: ApiAction, body: bytes) -> Request:
    """The request of a body (an empty one is an empty request)."""
    try:
        return called.request.model_validate_json(body.strip() or b"{}")
    except ValidationError as error:
        raise _refusal(called.name, min(error.errors(), key=_urgency)) from None


def _urgency(error: ErrorDetails) -> int:
    """The error for wrong parameters. OUTSCALE names an unknown one first, then a missing one, then a wrong type."""
    order = ("extra_forbidden", "missing")
    return order.index(error["type"]) if error["type"] in order else len(order)


def mode_of(request: Request, modes: Mapping[str, frozenset[str]]) -> str:
    """The mode by which a request makes a thing; `modes` has each mode's required parameter, and its others."""
    every = set(modes).union(*modes.values())
    given = {name for name in every if getattr(request, name) not in (None, "", [])}
    fitting = [mode for mode, others in modes.items() if given <= {mode, *others}]
    if not fitting:
        names = ", ".join(to_pascal(name) for name in sorted(given))
        raise RefusedError(Fail.BAD_COMBINATION, f"These parameters can't be given at once: {names}.")
    for mode in fitting:
        if mode in given:
            return mode
    names = ", ".join(map(to_pascal, modes))
    raise RefusedError(Fail.MISSING_PARAMETER, f"One of these parameters is required: {names}.")


def _refusal(name: str, error: ErrorDetails) -> RefusedError:
    where = ".".join(str(each) for each in error["loc"])
    kind = error["type"]
    if kind == "extra_forbidden":
        return RefusedError(Fail.UNKNOWN_PARAMETER, f"'{where}' is not a parameter of {name}.")
    if kind == "missing":
        return RefusedError(Fail.MISSING_PARAMETER, f"The parameter '{where}' is required.")
    if kind.startswith("json"):
        return RefusedError(Fail.BAD_SYNTAX, "The body is not a JSON object.")
    if kind in ("greater_than_equal", "less_than_equal", "literal_error"):
        return RefusedError(Fail.BAD_VALUE, f"The parameter '{where}': {error['msg']}.")
    return RefusedError(Fail.BAD_TYPE, f"The parameter '{where}' has the wrong type: {error['msg']}.")


def answer(body: Json) -> bytes:
    """The bytes of a good answer."""
    return json.dumps({**body, "ResponseContext": _context()}).encode()


def refusal(error: RefusedError, *, code: str | None = None, kind: str | None = None) -> bytes:
    """The bytes of a refusal, in OUTSCALE's form."""
    known = error.fail.value
    entry = {"Code": code or known.code, "Details": error.details, "Type": kind or known.type}
    return json.dumps({"Errors": [entry], "ResponseContext": _context()}).encode()


def _context() -> Json:
    return {"RequestId": str(uuid.uuid4())}


def paged(request: PagedRequest, name: str, views: list[Json]) -> Json:
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
        raise RefusedError(Fail.BAD_VALUE, "The NextPageToken is not valid.")
    return int(number)


def without(body: Json, ids: Set[str]) -> Json:
    """The answer without the entries of its lists that bear one of these ids."""
    return {
        key: [e for e in value if not _borne(e, ids)] if isinstance(value, list) else value
        for key, value in body.items()
    }


def held(body: Json, ids: Set[str]) -> set[str]:
    """The ids, out of these, that an entry in the answer's lists bears."""
    return set().union(*(_borne(e, ids) for value in body.values() if isinstance(value, list) for e in value))


def _borne(entry: object, ids: Set[str]) -> set[str]:
    return (
        {value for value in entry.values() if isinstance(value, str) and value in ids}
        if isinstance(entry, dict)
        else set()
    )


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

"""The EC2 query protocol by botocore's own model of EC2: parameters to values, values to XML."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import botocore.session
from botocore.model import ListShape, OperationModel, OperationNotFoundError, ServiceModel, Shape, StructureShape

from sandbox.cloud.errors import CloudError, Fail

Json = dict[str, Any]
NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
_ENVELOPE = {"Action", "Version"}


@cache
def service() -> ServiceModel:
    """botocore's EC2 model (read once: about 0.3 s)."""
    return botocore.session.get_session().get_service_model("ec2")


def operation(name: str) -> OperationModel:
    """The model of an operation; error where EC2 has none of that name."""
    try:
        return service().operation_model(name)
    except OperationNotFoundError:
        raise CloudError(Fail.UNKNOWN_CALL, f"The action {name} is not valid for this web service.") from None


def decode(query: str) -> dict[str, str]:
    """The flat parameters of a form body or a query string."""
    return dict(parse_qsl(query, keep_blank_values=True))


def parse(model: OperationModel, flat: Mapping[str, str]) -> Json:
    """The parameters as nested values, typed; one that the operation doesn't have is refused."""
    tree: Json = {}
    for path, value in flat.items():
        if path in _ENVELOPE:
            continue
        node = tree
        *parents, leaf = path.split(".")
        for part in parents:
            child = node.setdefault(part, {})
            if not isinstance(child, dict):
                raise CloudError(Fail.BAD_SYNTAX, f"The parameter {path} is malformed.")
            node = child
        node[leaf] = value
    shape = model.input_shape
    return _structure(shape, tree, "") if isinstance(shape, StructureShape) else {}


def _structure(shape: StructureShape, tree: Json, where: str) -> Json:
    names = {_query_name(name, member): name for name, member in shape.members.items()}
    parsed = {}
    for key, value in tree.items():
        if key not in names:
            raise CloudError(Fail.UNKNOWN_PARAMETER, f"The parameter {where}{key} is not recognized.")
        parsed[names[key]] = _value(shape.members[names[key]], value, f"{where}{key}.")
    return parsed


def _query_name(name: str, member: Shape) -> str:
    written = member.serialization.get("queryName")
    if written:
        return str(written)
    wire = str(member.serialization.get("name", name))
    return wire[:1].upper() + wire[1:]


def _value(shape: Shape, value: Any, where: str) -> Any:
    if isinstance(shape, (StructureShape, ListShape)):
        if not isinstance(value, dict):
            raise CloudError(Fail.BAD_SYNTAX, f"The parameter {where[:-1]} is malformed.")
        if isinstance(shape, StructureShape):
            return _structure(shape, value, where)
        numbered = sorted(value.items(), key=lambda item: int(item[0]) if item[0].isdecimal() else -1)
        return [_value(shape.member, each, f"{where}{number}.") for number, each in numbered]
    if isinstance(value, dict):
        raise CloudError(Fail.BAD_SYNTAX, f"The parameter {where[:-1]} is malformed.")
    return _scalar(shape.type_name, value, where[:-1])


def _scalar(kind: str, value: str, where: str) -> Any:
    if kind in ("integer", "long"):
        if not value.lstrip("-").isdecimal():
            raise CloudError(Fail.BAD_VALUE, f"The value '{value}' for {where} is not an integer.")
        return int(value)
    if kind == "boolean":
        if value not in ("true", "false"):
            raise CloudError(Fail.BAD_VALUE, f"The value '{value}' for {where} is not a boolean.")
        return value == "true"
    if kind == "blob":
        return base64.b64decode(value)
    return value


def serialise(model: OperationModel, answer: Json, request_id: str) -> bytes:
    """The XML of an answer whose members bear the names of the model's output shape."""
    root = ET.Element(f"{model.name}Response", xmlns=NAMESPACE)
    ET.SubElement(root, "requestId").text = request_id
    shape = model.output_shape
    if isinstance(shape, StructureShape):
        _write_members(root, shape, answer)
    else:
        ET.SubElement(root, "return").text = "true"
    return _document(root)


def _write_members(parent: ET.Element, shape: StructureShape, value: Json) -> None:
    unknown = set(value) - set(shape.members)
    if unknown:
        raise KeyError(f"{shape.name} has no members {sorted(unknown)}")
    for name, each in value.items():
        member = shape.members[name]
        if each is not None:
            _write(parent, str(member.serialization.get("name", name)), member, each)


def _write(parent: ET.Element, tag: str, shape: Shape, value: Any) -> None:
    node = ET.SubElement(parent, tag)
    if isinstance(shape, StructureShape):
        _write_members(node, shape, value)
    elif isinstance(shape, ListShape):
        for each in value:
            _write(node, str(shape.member.serialization.get("name", "item")), shape.member, each)
    else:
        node.text = _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def errors(entries: Iterable[tuple[str, str]], request_id: str) -> bytes:
    """The XML of a refusal: code and message of each error."""
    root = ET.Element("Response")
    listed = ET.SubElement(root, "Errors")
    for code, message in entries:
        node = ET.SubElement(listed, "Error")
        ET.SubElement(node, "Code").text = code
        ET.SubElement(node, "Message").text = message
    ET.SubElement(root, "RequestID").text = request_id
    return _document(root)


def _document(root: ET.Element) -> bytes:
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root)

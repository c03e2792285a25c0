"""Makes the JSON Schemas of files that others read."""

from __future__ import annotations

import json

from pydantic import BaseModel


def schema_text(model: type[BaseModel]) -> str:
    """The JSON Schema (draft 2020-12) of the model's output, indented; the same model gives the same bytes."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    schema |= model.model_json_schema(mode="serialization")
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"

"""The part of the genuine plugin's schema that the stand-in serves."""

import json

_STRING = {"type": "string"}
_INPUTS = {
    "create": _STRING,
    "update": _STRING,
    "delete": _STRING,
    "stdin": _STRING,
    "dir": _STRING,
    "logging": _STRING,
    "interpreter": {"type": "array", "items": _STRING},
    "environment": {"type": "object", "additionalProperties": _STRING},
    "addPreviousOutputInEnv": {"type": "boolean"},
    "triggers": {"type": "array", "items": {"$ref": "pulumi.json#/Any"}, "replaceOnChanges": True},
}
COMMAND = "command:local:Command"
RUN = "command:local:run"


def schema_text(version: str) -> str:
    """The schema as JSON."""
    command = {
        "inputProperties": _INPUTS,
        "properties": {**_INPUTS, "stdout": _STRING, "stderr": _STRING},
        "required": ["stdout", "stderr"],
    }
    return json.dumps(
        {
            "name": "command",
            "version": version,
            "description": "A stand-in for the command provider that serves local.Command and local.run alone.",
            "resources": {COMMAND: command},
        }
    )

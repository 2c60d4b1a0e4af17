"""The events as an AsyncAPI 3.0 document: one channel per event, by subject, with CloudEvents headers."""

from typing import Any, Final

from shared.events import record, schema
from shared.events.base import Event

_FORMAT: Final = "application/schema+json;version=draft-2020-12"
HEADERS: Final = {
    "ce-specversion": {"const": "1.0"},
    "ce-id": {"type": "string", "description": "The event's id: equal in every repeat of the same event."},
    "ce-type": {"type": "string"},
    "ce-source": {"type": "string", "description": "The service that said it: /sendlog/<service>."},
    "ce-time": {"type": "string", "format": "date-time", "description": "When it became true."},
    "ce-subject": {"type": "string", "format": "uuid", "description": "The email's id."},
    "sendlog-causation": {"type": "string", "description": "The id of the event that led to this one."},
    "traceparent": {"type": "string", "description": "W3C trace context."},
}
OPTIONAL_HEADERS: Final = ("sendlog-causation", "traceparent")


def document() -> dict[str, Any]:
    """Return the document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Sendlog events",
            "version": "1.0.0",
            "description": "Every fact about every email, in the JetStream stream EMAILS.",
        },
        "defaultContentType": "application/json",
        "channels": {cls.type_name(): _channel(cls) for cls in schema.events()},
        "operations": {f"publish {cls.type_name()}": _operation(cls) for cls in schema.events()},
        "components": {
            "schemas": {
                name: _versioned(how) for name, how in schema.components("#/components/schemas/").items()
            },
            "messages": {cls.type_name(): _message(cls) for cls in schema.events()},
        },
    }


def _channel(cls: type[Event]) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "workspace": {"description": "The tenant's name."},
        "emailId": {"description": "The email's id, a UUID."},
    }
    tails = cls.subject_tails()
    address = cls.name
    if tails != (cls.name,):
        address += ".{release}"
        choices = [tail.removeprefix(f"{cls.name}.") for tail in tails]
        parameters["release"] = {"enum": choices, "description": "How it comes to be sent."}
    return {
        "address": f"{record.PREFIX}.{{workspace}}.{{emailId}}.{address}",
        "description": schema.fact(cls),
        "parameters": parameters,
        "messages": {cls.name: {"$ref": f"#/components/messages/{cls.type_name()}"}},
    }


def _operation(cls: type[Event]) -> dict[str, Any]:
    channel = f"#/channels/{cls.type_name()}"
    return {
        "action": "send",
        "channel": {"$ref": channel},
        "summary": f"Said by the {cls.voice}.",
        "messages": [{"$ref": f"{channel}/messages/{cls.name}"}],
    }


def _message(cls: type[Event]) -> dict[str, Any]:
    types = {
        **HEADERS,
        "ce-type": {"const": cls.type_name()},
        "ce-source": {"const": f"/sendlog/{cls.voice}"},
    }
    required = [name for name in HEADERS if name not in OPTIONAL_HEADERS]
    return {
        "name": cls.type_name(),
        "title": cls.__name__,
        "summary": schema.fact(cls),
        "contentType": "application/json",
        "headers": {"type": "object", "properties": types, "required": required},
        "payload": {"$ref": f"#/components/schemas/{cls.__name__}"},
    }


def _versioned(how: dict[str, Any]) -> dict[str, Any]:
    return {"schemaFormat": _FORMAT, "schema": how}

"""Asking again in simpler words: for servers that know fewer properties than Exchange, or stumble over one item. Pure.

Invariant: only questions are asked again, never anything that changes the mailbox.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers import errors
from drivers.ews.faults import SOAP_FAULT, Refused
from drivers.ews.wire import Element, local_name

QUESTIONS = frozenset(
    {"GetFolder", "FindFolder", "FindItem", "GetItem", "SyncFolderItems", "SyncFolderHierarchy", "Subscribe"}
)
SHAPE_REFUSED = frozenset(
    {
        "ErrorInvalidPropertyRequest", "ErrorInvalidExtendedProperty", "ErrorInvalidExtendedPropertyValue",
        "ErrorSchemaValidation", "ErrorInvalidRequest", "ErrorUnsupportedPathForQuery",
        "ErrorInvalidSchemaVersionForMailboxVersion", SOAP_FAULT,
    }
)  # fmt: skip
_SHAPES = ("ItemShape", "FolderShape")


def is_stumble(error: errors.DriverError, operation: str) -> bool:
    """Whether the server broke down over this question, maybe: over the server as a whole a probe decides.

    A connection that breaks counts where one mail may be the cause.
    """
    if operation not in QUESTIONS:
        return False
    if isinstance(error, errors.ServerBusy):
        return error.server_said.startswith("HTTP 5") and error.server_said != "HTTP 503"
    return (
        operation == "GetItem" and isinstance(error, errors.ServerUnreachable) and error.kind in ("dropped", "timeout")
    )


def refuses_shape(error: errors.DriverError, operation: str) -> bool:
    """Whether the whole question was refused, maybe for a property in it."""
    code = error.server_said.partition(":")[0]
    return operation in QUESTIONS and isinstance(error, errors.ProtocolError) and code in SHAPE_REFUSED


def all_refuse_shape(answers: Sequence[Element | Refused], operation: str) -> bool:
    """Whether each message refuses the properties that were asked for."""
    return (
        operation in QUESTIONS
        and bool(answers)
        and all(isinstance(one, Refused) and one.code in SHAPE_REFUSED for one in answers)
    )


def plainer(payload: Element) -> Element | None:
    """The question for all that the server shows by itself, instead of for named properties; None where it is that plain."""
    made = payload.__deepcopy__({})
    found = False
    for shape in [one for one in made.iter("*") if local_name(one) in _SHAPES]:
        for child in list(shape):
            if local_name(child) == "AdditionalProperties":
                shape.remove(child)
                found = True
        base = shape.find("{*}BaseShape")
        if found and base is not None:
            base.text = "AllProperties"
    return made if found else None

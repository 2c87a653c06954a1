"""Stripe's error answers: one exception that carries the HTTP status and the `error` object of the body."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """An answer other than 200.

    `kept` says whether an idempotency key remembers it: Stripe keeps every answer given after the work began, and keeps
    nothing where the parameters were refused before.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        kept: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kept = kept
        self.error: Json = {"type": kind, "message": message}
        if code is not None:
            self.error["code"] = code
            self.error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        if param is not None:
            self.error["param"] = param
        self.error.update(more)


def missing(param: str) -> ApiError:
    """A required parameter was not sent."""
    return ApiError(400, f"Missing required param: {param}.", code="parameter_missing", param=param)


def unknown(param: str) -> ApiError:
    """A parameter that the call does not take."""
    return ApiError(400, f"Received unknown parameter: {param}", code="parameter_unknown", param=param)


def invalid(param: str, message: str, code: str | None = None) -> ApiError:
    """A parameter with a value that the call does not take."""
    return ApiError(400, message, code=code, param=param)


def no_such(kind: str, wanted: str, param: str, status: int = 404) -> ApiError:
    """The object that was asked for is not there: 404 in the path, 400 in a parameter."""
    return ApiError(status, f"No such {kind}: '{wanted}'", code="resource_missing", param=param)


def unexpected_state(message: str, intent: Json) -> ApiError:
    """The PaymentIntent is in a status that does not allow the call."""
    return ApiError(400, message, code="payment_intent_unexpected_state", kept=True, payment_intent=intent)

"""Every error as the API's ``Problem``: which status and code it gets, and what is logged of it."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from dagwire_shared.errors import BusUnavailableError, InvalidIdentifierError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dagwire_dagit.errors import ApiError, InvalidRequestError, UnavailableError
from dagwire_dagit.models import ErrorDetail, Problem

log = logging.getLogger(__name__)

_CODES: Final = {400: "invalid_request", 404: "page_unknown", 405: "method_not_allowed"}
_DETAILS_SHOWN: Final = 50


def install(app: FastAPI) -> None:
    """Answer every error with a ``Problem``."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(BusUnavailableError, _bus_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(InvalidIdentifierError, _identifier_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(Failures)


class Failures:
    """An ASGI application around another: what nobody foresaw is logged once, and answered without its inside."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request pass, and answer if it fails before the answer began."""
        begun = False

        async def answering(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, answering)
        except Exception:
            if begun or scope["type"] != "http":
                raise
            log.exception("request failed", extra={"method": scope["method"], "path": scope["path"]})
            await _failure()(scope, receive, send)


def answer(error: ApiError) -> JSONResponse:
    """Return the answer that an error makes."""
    return JSONResponse(error.problem.model_dump(), status_code=error.status, headers=dict(error.headers))


async def _api_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101 -- installed for it
    return answer(error)


async def _bus_error(_: Request, error: Exception) -> JSONResponse:
    log.warning("bus not reachable", extra={"cause": str(error)})
    return answer(
        UnavailableError(
            "the bus does not answer: whether the request was accepted is unknown; send it again under the same "
            "idempotency key",
            code="bus_unavailable",
        )
    )


async def _validation_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- installed for it
    details = [_detail(fault) for fault in error.errors()[:_DETAILS_SHOWN]]
    message = "; ".join(f"{'.'.join(detail.path)}: {detail.message}" for detail in details[:3])
    return answer(InvalidRequestError(message or "the request is not valid", details=details))


async def _identifier_error(_: Request, error: Exception) -> JSONResponse:
    return answer(InvalidRequestError(str(error)))


async def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 -- installed for it
    problem = Problem(code=_CODES.get(error.status_code, "http_error"), message=str(error.detail))
    return JSONResponse(problem.model_dump(), status_code=error.status_code, headers=error.headers)


def _failure() -> JSONResponse:
    problem = Problem(code="internal_error", message="Dagit failed over this request; its log says how")
    return JSONResponse(problem.model_dump(), status_code=500)


def _detail(fault: Mapping[str, Any]) -> ErrorDetail:
    """Return a fault with its place, without the refused value: it may be a secret."""
    message = str(fault["msg"]).removeprefix("Value error, ")
    return ErrorDetail(path=[str(part) for part in fault["loc"]], message=message)

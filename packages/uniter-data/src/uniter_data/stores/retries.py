"""Trying again where a remote store fails for a moment, and one clear error where it does not recover."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from uniter_data.stores.redaction import redact

__all__ = ["retrying"]

T = TypeVar("T")

TIMEOUT = 60.0  # seconds for one request, its body included
DELAYS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # seconds between tries; half a minute in all
BUSY = frozenset({408, 425, 429})  # HTTP: too slow, too early, too many
LASTING = (  # what no second try mends
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    NotImplementedError,
    ImportError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)

logger = logging.getLogger(__name__)


async def retrying(request: Callable[[], Awaitable[T]], url: str) -> T:
    """The answer to a request, repeated with growing pauses while what fails may pass.

    Args:
        request: makes the request; a lasting fault is recognised by its type or HTTP status.
        url: for messages.

    Raises:
        FileNotFoundError: there is no such object.
        PermissionError: access is denied, or there are no credentials.
        OSError: anything else, when the tries are used up. The message names the URL and the cause, without secrets.
    """
    tries = 0
    for delay in (*DELAYS, None):
        tries += 1
        try:
            return await asyncio.wait_for(request(), TIMEOUT)
        except Exception as error:
            cause = _root(error)
        if delay is None or not _passes(cause):
            break
        logger.info("%s: %s, trying again", url, _describe(cause))
        # spread, so that the workers that a server turned away together do not come back together
        await asyncio.sleep(delay * random.uniform(0.5, 1.5))
    # raised here and not above: a traceback must not show the library's own error, whose message may hold a signed URL
    raise _failure(cause, url, tries)


def _root(error: Exception) -> Exception:
    """The fault itself: fsspec's HTTP calls every failed look at a file FileNotFoundError."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and isinstance(cause, Exception):
        status = _status(cause)
        if status not in (None, 404) or (status is None and not isinstance(cause, LASTING)):
            return cause
    return error


def _passes(error: Exception) -> bool:
    """Whether a second try may go well: throttling, a server's own fault, a lost or silent connection."""
    if isinstance(error, (TimeoutError, ConnectionError)):
        return True
    status = _status(error)
    if status is not None:
        return status in BUSY or status >= 500
    return not isinstance(error, LASTING) and not _lacks_credentials(error)


def _status(error: BaseException) -> int | None:
    """The HTTP status that an error carries, as the libraries of HTTP, S3 and GCS name it."""
    # s3fs puts errors of its own before those of botocore, which know the status
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    if isinstance(response, Mapping):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(error, "status", None) or getattr(error, "code", None)
    return found if isinstance(found, int) else None


def _lacks_credentials(error: Exception) -> bool:
    return "Credentials" in type(error).__name__


def _failure(cause: Exception, url: str, tries: int) -> OSError:
    if isinstance(cause, FileNotFoundError) or _status(cause) == 404:
        return FileNotFoundError(f"{url} does not exist")
    if isinstance(cause, PermissionError) or _status(cause) in (401, 403) or _lacks_credentials(cause):
        return PermissionError(
            f"{url} may not be read ({_describe(cause)}): see that the credentials in the environment allow it"
        )
    tried = f", tried {tries} times" if tries > 1 else ""
    return OSError(f"{url} cannot be read ({_describe(cause)}{tried})")


def _describe(error: Exception) -> str:
    """The kind of an error and its message, in one line and without secrets."""
    message = redact(" ".join(str(error).split()))
    return f"{type(error).__name__}: {message}" if message else type(error).__name__

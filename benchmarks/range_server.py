"""A small HTTP server of a folder: ranges, entity tags, an answer's latency and bandwidth as one likes, and faults."""

import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

__all__ = ["Handler", "RangeServer"]


class RangeServer:
    """Serves a folder on a free port of this machine while the context lasts.

    Args:
        folder: to be served.
        latency: seconds before the first byte of an answer.
        bandwidth: bytes a second of one connection; 0 = no limit.
        fault: called before each answer; True = it has dealt with the request.
        stamps: whether answers have an ETag, of the file's size and time of change.

    Attributes:
        requests: (method, path, Range header or "") of every request.
        sent: bytes of all bodies.
    """

    def __init__(
        self,
        folder: Path,
        *,
        latency: float = 0.0,
        bandwidth: float = 0.0,
        fault: "Callable[[Handler], bool]" = lambda handler: False,
        stamps: bool = True,
    ) -> None:
        self.folder = folder
        self.latency = latency
        self.bandwidth = bandwidth
        self.fault = fault
        self.stamps = stamps
        self.requests: list[tuple[str, str, str]] = []
        self.sent = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.fault = Handler.drop  # of the connections that are open still


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, site: RangeServer, *arguments: object) -> None:
        self.site = site
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        """The headers alone."""
        self._answer(body=False)

    def do_GET(self) -> None:
        """A file or a range of it."""
        self._answer(body=True)

    def fail(self, status: int) -> bool:
        """Answer with an error; True, for the use of faults."""
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return True

    def cut(self) -> bool:
        """Let the answer break off in the middle of its body; False, for the use of faults."""
        self.close_connection = True
        return False

    def shorten(self) -> bool:
        """Let the answer be a whole one of half the bytes; False, for the use of faults."""
        self.share = 2
        return False

    def drop(self) -> bool:
        """Hang up without an answer; True, for the use of faults."""
        self.close_connection = True
        return True

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""

    def _answer(self, *, body: bool) -> None:
        wanted = self.headers.get("Range", "")
        self.site.requests.append((self.command, self.path, wanted))
        self.close_connection = False
        self.share = 1
        time.sleep(self.site.latency)
        if self.site.fault(self):
            return
        path = self.site.folder / self.path.lstrip("/")
        if not path.is_file():
            self.fail(404)
            return
        found = path.stat()
        start, stop = 0, found.st_size
        if wanted:
            first, last = wanted.removeprefix("bytes=").split("-")
            start, stop = int(first), min(int(last) + 1, stop) if last else stop
            stop = start + (stop - start) // self.share
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(stop - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{found.st_size}")
        if self.site.stamps:
            self.send_header("ETag", f'"{found.st_size}-{found.st_mtime_ns}"')
        self.end_headers()
        if body:
            with path.open("rb") as file:
                file.seek(start)
                self.wfile.write(file.read((stop - start) // 2 if self.close_connection else stop - start))
            self.site.sent += stop - start
            if self.site.bandwidth:
                time.sleep((stop - start) / self.site.bandwidth)

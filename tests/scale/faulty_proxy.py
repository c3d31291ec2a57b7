"""A proxy in front of an S3 server that answers with errors, late, or with half a body."""

import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FaultyProxy(ThreadingHTTPServer):
    """Passes requests on; spoils one in so many.

    Attributes:
        faults: how many of each kind there were.
    """

    daemon_threads = True

    def __init__(self, target_port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target_port = target_port
        self.every = 0  # so many requests, one is spoiled; 0 = none
        self.faults = {"error": 0, "delay": 0, "cut": 0}
        self._count, self._lock = 0, threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def fault(self, method: str) -> str:
        with self._lock:
            self._count += 1
            if not self.every or self._count % self.every:
                return ""
            kind = "error"
            if method == "GET":
                kind = min(self.faults, key=lambda one: self.faults[one])
            self.faults[kind] += 1
            return kind

    def handle_error(self, request, client_address):
        """Clients may go away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def log_message(self, *_):
        """Say nothing."""

    def _pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.server.fault(self.command)
        if kind == "error":
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if kind == "delay":
            time.sleep(0.1)
        there = http.client.HTTPConnection("127.0.0.1", self.server.target_port, timeout=30)
        there.request(self.command, self.path, body, dict(self.headers))
        answer = there.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                if name.lower() == "content-length" and self.command != "HEAD":
                    value = str(len(content))
                self.send_header(name, value)
        self.end_headers()
        if kind == "cut" and content:
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        else:
            self.wfile.write(content)
        there.close()

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _pass_on

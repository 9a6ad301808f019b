"""A web server on the loopback for tests: ranges, and every way to fail at them."""

import hashlib
import re
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class RangeServer(ThreadingHTTPServer):
    """Serves the files of a folder; `faults` are spent one per request, then all goes well.

    Faults: "error" (status 500), "stall" (half the answer, then nothing), "truncate"
    (half the answer, then the end). `gives_ranges=False` answers 200 with the whole file.
    """

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.faults = []
        self.gives_ranges = True
        self.gives_etag = True
        self.slow_s = 0.0
        self.n_requests = 0
        self.n_sent = 0
        self.spans = []
        self.open_now = 0
        self.most_open = 0
        self.lock = threading.Lock()
        self.released = threading.Event()

    def url(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def handle_error(self, request, client_address):
        """A reader that goes away is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server = self.server
        with server.lock:
            server.n_requests += 1
            server.open_now += 1
            server.most_open = max(server.most_open, server.open_now)
            fault = server.faults.pop(0) if server.faults else ""
        try:
            self._answer(server, fault)
        finally:
            with server.lock:
                server.open_now -= 1

    def _answer(self, server, fault):
        path = server.folder / self.path.lstrip("/")
        if fault == "error":
            self.send_error(500)
            return
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        etag = f'"{hashlib.sha1(content).hexdigest()}"'
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if self.headers.get("If-Range", etag) != etag:
            match = None
        if match and server.gives_ranges:
            start = int(match[1])
            stop = min(int(match[2]) + 1 if match[2] else len(content), len(content))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        else:
            start, stop = 0, len(content)
            self.send_response(200)
        self.send_header("Content-Length", str(stop - start))
        if server.gives_etag:
            self.send_header("ETag", etag)
        self.end_headers()
        part = content[start:stop]
        if fault:
            part = part[: len(part) // 2]
        self._send(server, start, part)
        if fault == "stall":
            server.released.wait(5)
        if fault:
            self.close_connection = True

    def _send(self, server, start, part):
        with server.lock:
            server.spans.append((start, start + len(part)))
        for first in range(0, len(part), 2**16):
            self.wfile.write(part[first : first + 2**16])
            with server.lock:
                server.n_sent += len(part[first : first + 2**16])
            if server.slow_s:
                time.sleep(server.slow_s)


@contextmanager
def serve(folder):
    """Serve a folder while the block runs."""
    server = RangeServer(folder)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()

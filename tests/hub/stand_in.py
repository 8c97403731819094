"""A stand-in for the Hugging Face hub on 127.0.0.1: model info with checksums, resolve with Range, faults on demand."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

COMMIT = "a" * 40


@dataclass
class Hub:
    """files by name. cut_after: bytes after which the next responses break, one entry a response."""

    repo: str
    files: dict[str, bytes]
    lfs_suffixes: tuple[str, ...] = (".gguf", ".safetensors", ".bin")
    wrong_checksums: set[str] = field(default_factory=set)
    cut_after: list[int] = field(default_factory=list)
    ignores_range: bool = False
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    endpoint: str = ""

    def about(self) -> dict[str, object]:
        return {
            "id": self.repo,
            "modelId": self.repo,
            "sha": COMMIT,
            "private": False,
            "downloads": 0,
            "tags": [],
            "siblings": [self._sibling(name) for name in self.files],
        }

    def _sibling(self, name: str) -> dict[str, object]:
        content = self.files[name]
        sha1 = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        sibling: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": sha1}
        if name.endswith(self.lfs_suffixes):
            sha256 = hashlib.sha256(content).hexdigest()
            if name in self.wrong_checksums:
                sha256 = "0" * 64
            sibling["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
        return sibling


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            wanted = self.headers.get("Range")
            hub.requests.append((path, wanted))
            if path == f"/api/models/{hub.repo}/revision/main":
                self._send(200, json.dumps(hub.about()).encode(), {"Content-Type": "application/json"})
                return
            prefix = f"/{hub.repo}/resolve/{COMMIT}/"
            if path.startswith(prefix) and path.removeprefix(prefix) in hub.files:
                self._send_file(hub.files[path.removeprefix(prefix)], wanted)
                return
            code = "RevisionNotFound" if f"/{hub.repo}/" in path else "RepoNotFound"
            self._send(404, b"{}", {"X-Error-Code": code, "Content-Type": "application/json"})

        def _send_file(self, content: bytes, wanted: str | None) -> None:
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and not hub.ignores_range else 0
            headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "Accept-Ranges": "bytes"}
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            cut = hub.cut_after.pop(0) if hub.cut_after else None
            self._send(206 if start else 200, content[start:], headers, cut)

        def _send(self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if cut is None else body[:cut])
            if cut is not None:
                self.wfile.flush()
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

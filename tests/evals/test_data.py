"""Where rows come from: a folder in any of the field's file forms, or the hub (a stand-in here)."""

import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mambino.errors import FetchError, FormatError, InputError
from mambino.evals.data import Source, SuiteOptions, read_rows

ROWS = [{"a": 1}, {"a": 2}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def tar(path: Path) -> None:
    with tarfile.open(path, "w:xz") as archive:
        for name, text in (("d/one.jsonl", LINES), ("d/readme.txt", "no rows")):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.jsonl.gz", "x.jsonl.xz", "x.tar.xz", "x.parquet"])
def test_rows_of_every_form(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    match name.partition(".")[2]:
        case "json":
            path.write_text(json.dumps(ROWS))
        case "jsonl.gz":
            path.write_bytes(gzip.compress(LINES.encode()))
        case "jsonl.xz":
            path.write_bytes(lzma.compress(LINES.encode()))
        case "tar.xz":
            tar(path)
        case "parquet":
            pyarrow = pytest.importorskip("pyarrow")
            pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(ROWS), path)
        case _:
            path.write_text("\ufeff" + LINES + "\n")
    assert list(read_rows(path)) == ROWS


def test_csv_rows_are_text(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('a,b\n1,"x, y"\n')
    assert list(read_rows(tmp_path / "x.csv")) == [{"a": "1", "b": "x, y"}]


@pytest.mark.parametrize(("text", "words"), [('{"a": 1}\n{oops\n', "line 2"), ("[1]", "expected an object")])
def test_a_bad_row_is_named(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(text)
    with pytest.raises(FormatError, match=words):
        list(read_rows(tmp_path / "x.jsonl"))


def test_a_folder_may_hold_files_flat_or_by_suite(tmp_path: Path) -> None:
    source, options = Source(names=("x.jsonl",)), SuiteOptions(folder=tmp_path)
    with pytest.raises(InputError, match=r"no x\.jsonl in"):
        options.find("s", source)
    (tmp_path / "x.jsonl").write_text(LINES)
    assert options.find("s", source) == tmp_path / "x.jsonl"
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "x.jsonl").write_text(LINES)
    assert options.find("s", source) == tmp_path / "s" / "x.jsonl"


def test_a_suite_that_the_hub_does_not_have_asks_for_a_folder() -> None:
    with pytest.raises(InputError, match="--data DIR"):
        SuiteOptions().find("s", Source(names=("x",)))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """A hub with one dataset file; the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Quiet."""

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path}")
            if self.path != "/datasets/org/set/resolve/main/x.jsonl":
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("ETag", '"abc"')
            self.send_header("X-Repo-Commit", "a" * 40)
            self.send_header("Content-Length", str(len(LINES)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(LINES.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setenv("MAMBINO_HOME", str(tmp_path / "home"))
    from mambino.hub import datasets

    endpoint = f"http://127.0.0.1:{server.server_port}"
    api = datasets.HfApi
    monkeypatch.setattr(datasets, "HfApi", lambda endpoint_=None, **kwargs: api(endpoint=endpoint))
    yield asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_dataset_file_is_fetched_once(hub: list[str]) -> None:
    source = Source(names=(), repo="org/set", file="x.jsonl")
    assert SuiteOptions().rows("s", source) == tuple(ROWS)
    count = len(hub)
    assert count
    assert SuiteOptions().rows("s", source) == tuple(ROWS)
    assert len(hub) == count


def test_a_file_that_the_hub_lacks_is_an_error_with_a_word(hub: list[str]) -> None:
    with pytest.raises(FetchError, match=r"\[pull\]"):
        SuiteOptions().find("s", Source(names=(), repo="org/set", file="y.jsonl"))

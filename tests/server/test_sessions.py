"""The page's conversations on disk, its files, and what it asks the server: confined, checked, whole."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mambino.chat.memory import Memory
from mambino.chat.persona import Persona
from mambino.chat.toolbox import ToolBox
from mambino.errors import FormatError, InputError
from mambino.server import sessions as sessions_module
from mambino.server.app import build_app
from mambino.server.guard import Access
from mambino.server.page_routes import Page
from mambino.server.sessions import SessionFolder
from serving import Served

Serve = Callable[..., Served]
NODES = [
    {"id": "a", "parent": None, "role": "user", "content": "hi", "attachments": [{"name": "n.txt", "text": "t"}]},
    {"id": "b", "parent": "a", "role": "assistant", "content": "yes", "reasoning": "hm", "stats": {"tokens_per_s": 3}},
]
SESSION = {"title": "A chat", "persona": None, "nodes": NODES, "head": "b"}


def double(number: int) -> int:
    """Twice as much."""
    return 2 * number


@pytest.fixture
def served(serve: Serve, tmp_path: Path) -> Served:
    """A server with its page; conversations are kept in tmp_path / sessions."""
    made = serve()
    memory = Memory(tmp_path / "memory.json", 3)
    page = Page(
        sessions=SessionFolder(tmp_path / "sessions"),
        personas=lambda: [Persona(id="cook", name="Cook", voice="You love food.", greeting="Hungry?")],
        tools=lambda persona: ToolBox([double] if persona == "cook" else []),
        memory=lambda persona: memory if persona == "cook" else None,
        resident=lambda: 5,
        planned_nbytes=10,
    )
    made.app = build_app(made.service, Access(hosts=frozenset({"test"})), page)
    return made


def test_a_conversation_is_kept_changed_listed_and_deleted(served: Served, tmp_path: Path) -> None:
    made = served.post("/api/sessions", SESSION)
    assert made.status_code == 201
    path = f"/api/sessions/{made.json()['id']}"
    assert served.ask("GET", path).json() == {name: value for name, value in SESSION.items() if value is not None}
    assert served.ask("PUT", path, json={**SESSION, "title": "Other"}).status_code == 204
    (listed,) = served.ask("GET", "/api/sessions").json()["sessions"]
    assert (listed["id"], listed["title"]) == (made.json()["id"], "Other")
    assert [file.suffix for file in (tmp_path / "sessions").iterdir()] == [".json"]
    assert served.ask("DELETE", path).status_code == 204
    assert served.ask("GET", path).status_code == 404
    assert served.ask("PUT", path, json=SESSION).status_code == 404


@pytest.mark.parametrize("name", ["..%2F..%2Fetc%2Fpasswd", "x", "0" * 31, "0" * 33, "A" * 32, "%00", "." * 32])
def test_no_name_leaves_the_folder(served: Served, tmp_path: Path, name: str) -> None:
    (tmp_path / "outside.json").write_text(json.dumps(SESSION))
    for method in ("GET", "DELETE"):
        assert served.ask(method, f"/api/sessions/{name}").status_code in (400, 404)
    assert served.ask("PUT", f"/api/sessions/{name}", json=SESSION).status_code in (400, 404)
    assert not (tmp_path / "sessions").exists()


@pytest.mark.parametrize(
    "change", [{"nodes": [{"id": "a"}]}, {"title": 3}, {"extra": 1}, {"nodes": [{**NODES[0], "role": "system"}]}]
)
def test_only_conversations_are_kept(served: Served, change: dict[str, object]) -> None:
    assert served.post("/api/sessions", {**SESSION, **change}).status_code == 400


def test_a_damaged_file_is_refused_listed_and_can_be_deleted(tmp_path: Path) -> None:
    folder = SessionFolder(tmp_path)
    kept = folder.create(dict(SESSION))
    path = tmp_path / f"{kept}.json"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(FormatError, match="damaged"):
        folder.read(kept)
    assert [one["title"] for one in folder.summaries()] == ["(damaged)"]
    assert folder.delete(kept)


def test_a_failed_write_keeps_the_old_conversation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = SessionFolder(tmp_path)
    kept = folder.create(dict(SESSION))
    monkeypatch.setattr(sessions_module, "json_bytes", lambda value: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(FormatError):
        folder.update(kept, {**SESSION, "title": "new"})
    monkeypatch.undo()
    assert (folder.read(kept) or {})["title"] == "A chat"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_number_of_conversations_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions_module, "MAX_SESSIONS", 2)
    folder = SessionFolder(tmp_path)
    for _ in range(2):
        folder.create(dict(SESSION))
    with pytest.raises(InputError, match="delete some"):
        folder.create(dict(SESSION))


def test_the_page_is_served_under_a_strict_policy(served: Served) -> None:
    index = served.ask("GET", "/")
    assert index.headers["content-type"].startswith("text/html")
    assert "default-src 'none'; script-src 'self'" in index.headers["content-security-policy"]
    assert "'unsafe" not in index.headers["content-security-policy"]
    assert "<script>" not in index.text
    assert served.ask("GET", "/page/app.js").headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("name", ["../app.py", "..%2Fapp.py", "__init__.py", "nothing.js", "%2e%2e%2fapp.py", ""])
def test_the_page_serves_its_own_files_only(served: Served, name: str) -> None:
    assert served.ask("GET", f"/page/{name}").status_code == 404


def test_personas_and_gauges_are_told(served: Served) -> None:
    (cook,) = served.ask("GET", "/api/personas").json()["personas"]
    assert cook["greeting"] == "Hungry?"
    assert "You love food." in cook["system"]
    status = served.ask("GET", "/api/status").json()
    assert (status["resident_bytes"], status["planned_bytes"], status["can_think"]) == (5, 10, True)
    assert status["context"] == 512


def test_a_personas_tools_are_run_here_and_no_others(served: Served) -> None:
    asked = {"persona": "cook", "name": "double", "arguments": {"number": 4}}
    assert served.post("/api/tools", asked).json() == {"text": "8", "is_error": False}
    assert served.post("/api/tools", {**asked, "persona": None}).json()["is_error"]
    assert served.post("/api/tools", {**asked, "arguments": {"number": "x"}}).json()["is_error"]
    assert served.post("/api/tools", {**asked, "arguments": []}).status_code == 400
    (cook,) = served.ask("GET", "/api/personas").json()["personas"]
    assert cook["tools"] == []  # this model's template knows none


def test_without_a_page_there_is_none(serve: Serve) -> None:
    made = serve()
    assert {made.ask("GET", path).status_code for path in ("/", "/page/app.js", "/api/sessions")} == {404}


def test_what_a_persona_remembers_is_shown_changed_and_forgotten(served: Served) -> None:
    path = "/api/personas/cook/memory"
    changed = served.ask("PUT", path, json={"facts": ["You like  soup.", ""]}).json()
    assert changed["facts"] == ["You like soup."]
    assert "- You like soup." in changed["text"]
    (cook,) = served.ask("GET", "/api/personas").json()["personas"]
    assert cook["memory"] == changed
    assert served.ask("PUT", path, json={"facts": []}).json() == {"facts": [], "most": 3, "text": ""}
    assert served.ask("PUT", "/api/personas/nobody/memory", json={"facts": []}).status_code == 404
    assert served.ask("PUT", path, json={"facts": [3]}).status_code == 400

"""The web page in a headless Chromium, over a scripted model: what a person does, with keys and clicks."""

import dataclasses
import importlib.util
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chromium import CHROMIUM, Browser
from mambino.chat.memory import Memory
from mambino.chat.persona import Persona
from mambino.chat.toolbox import ToolBox
from mambino.chat.tools import tool

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="THE PAGE IS NOT TESTED: install chromium"),
    pytest.mark.skipif(importlib.util.find_spec("uvicorn") is None, reason="install the [server] extra"),
]
SHOTS = os.environ.get("MAMBINO_SCREENSHOTS")  # a folder: keep pictures to look at
MARKDOWN = """# Title
Some **bold**, *slanted* and `code`, a [link](https://example.org/a?b=c) and [a trap](javascript:alert(1)).

- one
- two
  1. nested
  2. again

> quoted

| a | b |
|---|---|
| 1 | 2 |

```python
print("<b>hi</b>")
```
<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>"""
CALL = "<tool_call>\n<function=weather>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>"
TEMPLATE = """{%- if tools %}<|im_start|>system
{% for tool in tools %}<tool_call> <function={{ tool.name }}>{% endfor %}<|im_end|>
{% endif -%}
{%- for m in messages -%}
<|im_start|>{{ m.role }}
{{ m.content }}{% for call in m.tool_calls or [] %}<tool_call>{{ call.function.name }}</tool_call>{% endfor %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% if enable_thinking %}<think>
{% endif %}{% endif -%}"""
TOOLS = '[{"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]'
LAST = "[...document.querySelectorAll('.message.assistant')].at(-1)"
IDLE = "document.getElementById('log')?.dataset.ready && document.getElementById('stop').hidden"


@contextmanager
def page_of(folder: Path, *replies: str, step_s: float = 0.0, api_key: str | None = None) -> Iterator[str]:
    """The address of a server whose model gives replies, and takes step_s for each token."""
    import uvicorn

    from mambino.lm import Float32Array, Int32Array, SequenceState
    from mambino.server.app import build_app
    from mambino.server.guard import Access
    from mambino.server.page_routes import Page
    from mambino.server.sessions import SessionFolder
    from serving import reply_service
    from tiny_chat import ReplyLM, tiny_tokenizer

    class SlowLM(ReplyLM):
        def extend_many(self, states: list[SequenceState], tokens: list[Int32Array]) -> Float32Array:  # type: ignore[override]
            time.sleep(step_s)
            return super().extend_many(states, tokens)

    tokenizer = tiny_tokenizer(TEMPLATE)
    service = reply_service(model=SlowLM(tokenizer, replies), tokenizer=tokenizer, context=4096)
    persona = Persona(id="cook", name="Cook", voice="You love food.", greeting="Hungry?", memory=5)
    memory = Memory(folder / "memory.json", 5)
    box = ToolBox([weather, tool(memory.remember), dataclasses.replace(tool(order), asks_first=True)])
    page = Page(
        sessions=SessionFolder(folder),
        personas=lambda: [persona],
        tools=lambda chosen: box if chosen == "cook" else ToolBox(),
        memory=lambda chosen: memory if chosen == "cook" else None,
        resident=lambda: 10**8,
    )
    sock = socket.create_server(("127.0.0.1", 0))
    app = build_app(service, Access(hosts=frozenset({"127.0.0.1"}), api_key=api_key), page)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(20)
        sock.close()


@pytest.fixture(scope="module")
def plain_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with page_of(tmp_path_factory.mktemp("sessions"), "Hello.") as address, Browser(address) as browser:
        browser.wait(IDLE)
        yield browser


def weather(city: str) -> str:
    """What the sky does."""
    return f"fog in {city}"


def order(dish: str) -> str:
    """Order a dish."""
    return f"{dish} is on its way"


def choose_cook(browser: Browser) -> None:
    browser.wait(IDLE)
    browser.js(
        "const choice = document.getElementById('persona'); choice.value = 'cook';"
        "choice.dispatchEvent(new Event('change'))"
    )
    browser.wait("document.querySelector('.message')?.textContent.includes('Hungry?')")


def ask(browser: Browser, text: str) -> None:
    browser.wait(IDLE)
    before = browser.js("document.querySelectorAll('.message').length")
    browser.js("document.getElementById('question').focus()")
    browser.type(text)
    browser.press("Enter")
    browser.wait(f"document.querySelectorAll('.message').length > {before}")


def keep(browser: Browser, name: str) -> None:
    if SHOTS:
        browser.screenshot(Path(SHOTS) / f"{name}.png")


def click(browser: Browser, label: str, within: str = "document") -> None:
    browser.js(f"[...{within}.querySelectorAll('button')].find((one) => one.textContent === {label!r}).click()")


def test_markdown_is_shown_and_nothing_a_model_writes_runs(tmp_path: Path) -> None:
    with page_of(tmp_path, MARKDOWN) as address, Browser(address) as browser:
        ask(browser, "show me")
        browser.wait(IDLE)
        keep(browser, "markdown")
        found = browser.js(f"[...{LAST}.querySelectorAll('.body *')].map((one) => one.tagName).join(' ')")
        for tag in ("H3", "STRONG", "EM", "CODE", "A", "UL", "OL", "BLOCKQUOTE", "TABLE", "PRE"):
            assert tag in found.split(), f"no {tag} in {found}"
        assert not {"IMG", "SCRIPT", "B"} & set(found.split())
        assert (
            browser.js(f"[...{LAST}.querySelectorAll('a')].map((one) => one.href).join()")
            == "https://example.org/a?b=c"
        )
        assert "<img src=x" in browser.js(f"{LAST}.textContent")
        assert "owned" not in browser.js("document.title")
        assert browser.problems == []


@pytest.mark.parametrize(
    "unit",
    ["`", "[", "*", "**a", "_a ", "~~a", "[a](http://", "| ", "# ", "> ", "- ", "1. ", " ", "#" + 99 * " " + "x"],
)
def test_no_text_keeps_the_page_busy(plain_page: Browser, unit: str) -> None:
    """A second for what takes milliseconds: an expression that is not linear takes minutes."""
    text = (unit * 100_000)[:100_000] + "x"
    plain_page.js(f"window.text = {json.dumps(text)}")
    took_ms = plain_page.js(
        "import('/page/markdown.js').then(({ renderMarkdown }) => { const start = performance.now();"
        "renderMarkdown(window.text, document.createElement('div')); return performance.now() - start; })"
    )
    assert took_ms < 1000


def test_editing_regenerating_and_versions_lose_nothing(tmp_path: Path) -> None:
    with page_of(tmp_path, "First.", "Second.", "Third.") as address, Browser(address) as browser:
        ask(browser, "one")
        browser.wait(f"{IDLE} && {LAST}.textContent.includes('First.')")
        click(browser, "Regenerate", LAST)
        browser.wait(f"{IDLE} && {LAST}.textContent.includes('Second.')")
        assert "2 of 2" in browser.js(f"{LAST}.textContent")
        click(browser, "\u2039", LAST)
        browser.wait(f"{LAST}.textContent.includes('First.')")
        click(browser, "Edit", "document.querySelector('.message.user')")
        browser.js("document.querySelector('.edit textarea').value = 'another'")
        click(browser, "Ask this instead")
        browser.wait(f"{IDLE} && {LAST}.textContent.includes('Third.')")
        assert "2 of 2" in browser.js("document.querySelector('.message.user').textContent")
        keep(browser, "versions")
        browser.wait("document.querySelectorAll('#sessions li').length === 1")
        click(browser, "Branch", LAST)
        browser.wait("document.querySelectorAll('#sessions li').length === 2")
        browser.call("Page.reload")
        browser.wait("document.querySelectorAll('#sessions .open').length === 2")
        browser.js("document.querySelectorAll('#sessions .open')[1].click()")
        browser.wait(f"{LAST} && {LAST}.textContent.includes('Third.')")
        assert browser.problems == []


def test_thinking_folds_and_can_be_cut_short(tmp_path: Path) -> None:
    reply = "Let me think. " * 40 + "\n</think>\nDone."
    with page_of(tmp_path, reply, step_s=0.02) as address, Browser(address, dark=True) as browser:
        browser.wait(IDLE)
        browser.js("document.getElementById('thinking').value = 'on'")
        ask(browser, "hard question")
        browser.wait("!document.getElementById('answer-now').hidden")
        browser.wait(f"{LAST}.querySelector('.fold p').textContent.length > 20")
        keep(browser, "thinking")
        click(browser, "Answer now")
        browser.wait(f"{LAST}.querySelector('.body').textContent.length > 0")
        assert browser.js(f"{LAST}.querySelector('.fold p').textContent.length") < 400
        assert browser.js(f"{LAST}.querySelector('.fold').open") is False
        browser.press("Escape")
        browser.wait(IDLE)
        assert browser.js("document.documentElement.dataset.theme") == "dark"
        assert browser.js(f"{LAST}.querySelector('.note').textContent") in ("stopped", "")
        assert browser.problems == []


def test_a_tool_call_is_a_card_whose_result_goes_back(tmp_path: Path) -> None:
    with page_of(tmp_path, CALL, "It rains.") as address, Browser(address) as browser:
        browser.wait(IDLE)
        browser.js(f"document.getElementById('tools').value = {TOOLS!r}")
        ask(browser, "weather?")
        browser.wait(f"{IDLE} && document.querySelector('.call')")
        assert "Calls weather" in browser.js(f"{LAST}.textContent")
        assert "Oslo" in browser.js("document.querySelector('.call pre').textContent")
        browser.js("document.querySelector('.call textarea').value = 'rain'")
        keep(browser, "tool-call")
        click(browser, "Give this result")
        browser.wait(f"{IDLE} && {LAST}.textContent.includes('It rains.')")
        assert "rain" in browser.js("document.querySelector('.call').textContent")
        assert browser.problems == []


def test_a_personas_tools_are_run_by_the_server(tmp_path: Path) -> None:
    with page_of(tmp_path, CALL, "It is foggy.") as address, Browser(address) as browser:
        choose_cook(browser)
        ask(browser, "weather?")
        browser.wait(f"{IDLE} && {LAST}.textContent.includes('It is foggy.')")
        assert "fog in Oslo" in browser.js("document.querySelector('.call').textContent")
        assert browser.problems == []


def call(name: str, parameter: str, value: str) -> str:
    return f"<tool_call>\n<function={name}>\n<parameter={parameter}>\n{value}\n</parameter>\n</function>\n</tool_call>"


def test_a_call_that_needs_permission_waits_for_it(tmp_path: Path) -> None:
    replies = call("order", "dish", "Soup"), "It comes.", call("order", "dish", "Cake"), "As you wish."
    with page_of(tmp_path, *replies) as address, Browser(address) as browser:
        choose_cook(browser)
        ask(browser, "soup please")
        browser.wait(f"{IDLE} && document.querySelector('.asking')")
        keep(browser, "permission")
        assert "May order be run like this?" in browser.js(f"{LAST}.textContent")
        assert "on its way" not in browser.js("document.getElementById('log').textContent")
        click(browser, "Run it")
        browser.wait(f"{IDLE} && {LAST}.textContent.includes('It comes.')")
        assert "Soup is on its way" in browser.js("document.querySelector('.call').textContent")
        ask(browser, "and cake")
        browser.wait(f"{IDLE} && document.querySelector('.asking')")
        click(browser, "Refuse")
        browser.wait(f"{IDLE} && {LAST}.textContent.includes('As you wish.')")
        assert "Cake is on its way" not in browser.js("document.getElementById('log').textContent")
        assert "did not allow it" in browser.js("document.getElementById('log').textContent")
        assert browser.problems == []


def test_what_a_persona_remembers_can_be_read_corrected_and_forgotten(tmp_path: Path) -> None:
    with (
        page_of(tmp_path, call("remember", "fact", "You like soup."), "Noted.") as address,
        Browser(address) as browser,
    ):
        assert browser.js("document.getElementById('memories')?.hidden ?? true")
        choose_cook(browser)
        browser.wait("!document.getElementById('memories').hidden")
        ask(browser, "I like soup")
        browser.wait(f"{IDLE} && {LAST}.textContent.includes('Noted.')")
        browser.js("document.getElementById('memories').open = true")
        browser.wait("document.querySelector('#facts input')?.value === 'You like soup.'")
        browser.js(
            "const fact = document.querySelector('#facts input'); fact.value = 'You love soup.';"
            "fact.dispatchEvent(new Event('change'))"
        )
        browser.wait("document.querySelector('#facts input')?.value === 'You love soup.'")
        browser.js("document.getElementById('new-fact').focus()")
        browser.type("You are Ada.")
        click(browser, "Add")
        browser.wait("document.querySelectorAll('#facts li').length === 2")
        keep(browser, "memory")
        assert Memory(tmp_path / "memory.json", 5).facts == ("You love soup.", "You are Ada.")
        click(browser, "Forget", "document.getElementById('facts')")
        browser.wait("document.querySelectorAll('#facts li').length === 1")
        assert Memory(tmp_path / "memory.json", 5).facts == ("You are Ada.",)
        click(browser, "New chat")
        ask(browser, "who am I?")
        browser.wait(f"{IDLE} && {LAST}.textContent.includes('Noted.')")
        browser.wait("document.querySelectorAll('#sessions li').length === 2")
        saved = [json.loads(path.read_bytes()) for path in tmp_path.glob("*.json") if path.name != "memory.json"]
        (told,) = [one for one in saved if "You are Ada." in (one.get("remembered") or "")]
        browser.js(f"window.told = {json.dumps(told)}")
        messages = browser.js(
            "import('/page/conversation.js')"
            ".then(({ Conversation }) => new Conversation(window.told).messages('Cook.'))"
        )
        assert messages[0] == {"role": "system", "content": "Cook."}
        assert messages[2]["content"].endswith("- You are Ada.\n\nwho am I?")
        assert browser.problems == []


def test_a_key_is_asked_for_once(tmp_path: Path) -> None:
    with page_of(tmp_path, "Soup.", api_key="secret") as address, Browser(address) as browser:
        browser.wait("document.getElementById('key-dialog')?.open")
        browser.type("secret")
        click(browser, "Use it")
        ask(browser, "hello")
        browser.wait(f"{IDLE} && {LAST}.textContent.includes('Soup.')")
        assert not browser.js("document.getElementById('key-dialog').open")


def test_personas_files_keys_and_names_for_screen_readers(tmp_path: Path) -> None:
    with page_of(tmp_path, "Soup.") as address, Browser(address, width=600) as browser:
        choose_cook(browser)
        browser.js(
            "(() => { const files = new DataTransfer(); files.items.add(new File(['beans'], 'list.txt'));"
            "const input = document.getElementById('files'); input.files = files.files;"
            "input.dispatchEvent(new Event('change')) })()"
        )
        browser.wait("document.getElementById('attachments').textContent.includes('list.txt')")
        ask(browser, "what now?")
        browser.wait(f"{IDLE} && {LAST}.textContent.includes('Soup.')")
        keep(browser, "narrow")
        assert "File list.txt" in browser.js("document.querySelector('.message.user').textContent")
        tree = browser.call("Accessibility.getFullAXTree")["nodes"]
        nameless = [
            node["role"]["value"]
            for node in tree
            if node.get("role", {}).get("value") in ("button", "textbox", "combobox", "link", "meter")
            and not node.get("name", {}).get("value")
            and not node.get("ignored")
        ]
        assert nameless == []
        assert browser.js("document.getElementById('status').textContent").startswith("Answered: Soup.")
        browser.js("document.body.focus()")
        browser.press("Tab")
        assert browser.js("document.documentElement.scrollWidth <= innerWidth")
        assert browser.problems == []

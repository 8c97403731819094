"""An OpenAI-compatible endpoint as a responder. Start at EndpointResponder."""

import json
import time
from collections.abc import Mapping
from typing import Any

import httpx

from mambino.chat.messages import Message, message_from_json
from mambino.chat.request import AnswerRequest, OutputFormat
from mambino.errors import FetchError, InputError
from mambino.evals.task import Reply

_MESSAGE_KEYS = ("content", "reasoning_content", "tool_calls")
_ATTEMPTS = 3
_TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})


class EndpointResponder:
    """Asks URL/chat/completions, one request at a time. Close it, or use it as a context manager."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 600.0,
        retry_wait_s: float = 1.0,
        client: httpx.Client | None = None,
    ) -> None:
        """url ends in /v1, as a rule. timeout_s bounds one answer. client None makes one."""
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(timeout=timeout_s) if client is None else client
        self._headers = headers
        self._url = url.rstrip("/")
        self._model = model
        self._retry_wait_s = retry_wait_s

    @property
    def name(self) -> str:
        return f"{self._model} at {self._url}"

    @property
    def knows_tools(self) -> bool:
        return True

    def close(self) -> None:
        self._client.close()

    def respond(self, request: AnswerRequest) -> Reply:
        """Raises FetchError if nobody answers; InputError if the endpoint refuses the request or answers nonsense."""
        started = time.perf_counter()
        body = self._post(request_json(self._model, request))
        try:
            choice, usage = body["choices"][0], body.get("usage") or {}
            fields = {key: choice["message"][key] for key in _MESSAGE_KEYS if choice["message"].get(key)}
            _split_thinking(fields)
            return Reply(
                message=message_from_json({"role": "assistant", **fields}, where="the endpoint's answer"),
                finish_reason=str(choice.get("finish_reason") or "stop"),
                prompt_tokens=int(usage.get("prompt_tokens") or 0),
                completion_tokens=int(usage.get("completion_tokens") or 0),
                elapsed_s=time.perf_counter() - started,
            )
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            raise InputError(f"[endpoint] {self._url} gave no chat completion: {error!r}") from error

    def _post(self, body: Mapping[str, object]) -> dict[str, Any]:
        for attempt in range(_ATTEMPTS):
            is_last = attempt == _ATTEMPTS - 1
            try:
                response = self._client.post(f"{self._url}/chat/completions", json=body, headers=self._headers)
            except httpx.HTTPError as error:
                if is_last:
                    what = str(error) or type(error).__name__
                    raise FetchError(f"[endpoint] cannot reach {self._url}: {what}") from error
            else:
                if response.status_code < 400:
                    return _json_object(self._url, response)
                if response.status_code in (401, 403):
                    raise FetchError(f"[endpoint] {self._url} refuses the key ({response.status_code}); see --api-key")
                if response.status_code not in _TRY_AGAIN:
                    raise InputError(f"[endpoint] {self._url} refuses the request: {response.text[:300]}")
                if is_last:
                    raise FetchError(f"[endpoint] {self._url} answers {response.status_code}: {response.text[:200]}")
            time.sleep(self._retry_wait_s * 2**attempt)
        raise AssertionError("the last attempt returns or raises")


def _split_thinking(fields: dict[str, Any]) -> None:
    """Servers without a reasoning parser leave the thinking in the content. Mutates fields."""
    before, tag, after = str(fields.get("content", "")).partition("</think>")
    if tag:
        fields["reasoning_content"] = before.removeprefix("<think>").strip()
        fields["content"] = after.strip()


def _json_object(url: str, response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError as error:
        raise InputError(f"[endpoint] {url} gave no JSON: {response.text[:100]!r}") from error
    if not isinstance(body, dict):
        raise InputError(f"[endpoint] {url} gave no JSON object")
    return body


def request_json(model: str, request: AnswerRequest) -> dict[str, object]:
    """The request in OpenAI's form; sampling fields that change nothing are left out."""
    params = request.params
    body: dict[str, object] = {"model": model, "messages": [_message_json(message) for message in request.messages]}
    body |= {"temperature": params.temperature, "top_p": params.top_p}
    optional = {"max_tokens": params.max_tokens, "seed": params.seed, "stop": list(params.stop) or None}
    body |= {name: value for name, value in optional.items() if value is not None}
    if request.tools:
        body["tools"] = [{"type": "function", "function": dict(tool)} for tool in request.tools]
    if request.output is not None:
        body |= _output_json(request.output)
    if request.thinking is not None:
        body["chat_template_kwargs"] = {"enable_thinking": bool(request.thinking)}
        if not isinstance(request.thinking, bool):
            body["thinking_budget"] = request.thinking
    return body


def _message_json(message: Message) -> dict[str, object]:
    """OpenAI's calls carry their arguments as JSON text."""
    fields = message.to_json()
    if message.tool_calls:
        fields["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
            }
            for call in message.tool_calls
        ]
    return fields


def _output_json(output: OutputFormat) -> dict[str, object]:
    match output.kind:
        case "json_schema":
            schema = {"name": "answer", "schema": output.source, "strict": True}
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
        case "json_object":
            return {"response_format": {"type": "json_object"}}
        case "choice":
            return {"guided_choice": list(output.source or ())}
        case "regex":
            return {"guided_regex": output.source}
        case "lark":
            return {"guided_lark": output.source}

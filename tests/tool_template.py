"""A small ChatML template that knows tools in Nemotron's wire format, and calls as a model writes them."""

TOOL_TEMPLATE = """{%- if tools %}<|im_start|>system
{% for tool in tools %}<tool_call> <function={{ tool.name }}>{% endfor %}<|im_end|>
{% endif -%}
{%- for m in messages -%}
<|im_start|>{{ m.role }}
{{ m.content }}{% for call in m.tool_calls or [] %}<tool_call>
<function={{ call.function.name }}>
{% for name, value in call.function.arguments.items() %}<parameter={{ name }}>
{{ value }}
</parameter>
{% endfor %}</function>
</tool_call>{% endfor %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}"""


def written_call(function: str, /, **arguments: str) -> str:
    """A call with its arguments as text."""
    values = "".join(f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in arguments.items())
    return f"<tool_call>\n<function={function}>\n{values}</function>\n</tool_call>"

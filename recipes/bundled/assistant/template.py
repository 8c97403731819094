"""The assistant's chat template: ChatML turns, tools in one line each, Nemotron 3's calls and thinking switch.

Written for a context of a thousand tokens: no instructions, no schemas; what a call looks like is learnt from rows.
Thinking is off unless enable_thinking is true; reasoning of earlier turns is dropped. Start at TEMPLATE.
"""

TEMPLATE = """{%- macro signature(tool) -%}
{%- set wanted = tool.parameters.required or [] -%}
- {{ tool.name }}(
{%- for name, schema in (tool.parameters.properties or {}).items() -%}
{{ name }}{{ '' if name in wanted else '?' }}: {{ schema.enum | join('|') if schema.enum else schema.type or 'any' }}
{%- if not loop.last %}, {% endif -%}
{%- endfor -%}
){{ ' ' + tool.description if tool.description else '' }}
{%- endmacro -%}
{%- macro listing() -%}
Tools:
{%- for tool in tools %}{{ '\\n' }}{{ signature(tool.function or tool) }}{% endfor -%}
{%- endmacro -%}
{%- set state = namespace(last_question=-1) -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}{%- set state.last_question = loop.index0 -%}{%- endif -%}
{%- endfor -%}
{%- if tools and messages[0].role != 'system' -%}
<|im_start|>system{{ '\\n' + listing() }}<|im_end|>{{ '\\n' }}
{%- endif -%}
{%- for message in messages -%}
{%- if message.role == 'assistant' -%}
<|im_start|>assistant{{ '\\n' }}
{%- if message.reasoning_content and loop.index0 > state.last_question -%}
<think>{{ '\\n' + message.reasoning_content + '\\n' }}</think>{{ '\\n' }}
{%- else -%}<think></think>{%- endif -%}
{{ message.content }}
{%- for call in message.tool_calls or [] -%}
{{ '\\n' if message.content or not loop.first else '' }}<tool_call>{{ '\\n' }}<function={{ call.function.name }}>
{%- for name, value in call.function.arguments.items() -%}
{{ '\\n' }}<parameter={{ name }}>{{ '\\n' }}{{ value if value is string else value | tojson }}{{ '\\n' }}</parameter>
{%- endfor -%}
{{ '\\n' }}</function>{{ '\\n' }}</tool_call>
{%- endfor -%}
<|im_end|>{{ '\\n' }}
{%- elif message.role == 'tool' -%}
{%- if loop.previtem is undefined or loop.previtem.role != 'tool' -%}<|im_start|>user{{ '\\n' }}
{%- else -%}{{ '\\n' }}
{%- endif -%}
<tool_response>{{ '\\n' + message.content + '\\n' }}</tool_response>
{%- if loop.nextitem is undefined or loop.nextitem.role != 'tool' -%}<|im_end|>{{ '\\n' }}{%- endif -%}
{%- else -%}
<|im_start|>{{ message.role + '\\n' + message.content }}
{%- if tools and message.role == 'system' -%}{{ '\\n\\n' if message.content else '' }}{{ listing() }}{%- endif -%}
<|im_end|>{{ '\\n' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant{{ '\\n' }}{% if enable_thinking %}<think>{{ '\\n' }}{% else %}<think></think>{% endif %}
{%- endif -%}"""

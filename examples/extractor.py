"""Text to JSON that always fits a schema: the grammar is enforced while the model writes.

echo "Ada, 36, sent 3 letters" | python examples/extractor.py [MODEL]
"""

import json
import sys

from mambino import Chat, SamplingParams, open_model, open_tokenizer
from mambino.chat.request import OutputFormat

NAME = sys.argv[1] if len(sys.argv) > 1 else "bundled"
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "wants_reply": {"type": "boolean"},
    },
    "required": ["name", "age", "wants_reply"],
    "additionalProperties": False,
}
chat = Chat(
    open_model(NAME),
    open_tokenizer(NAME),
    max_tokens=1024,
    system="Extract the person from the text as JSON.",
    params=SamplingParams(temperature=0.0, max_tokens=200),
)
chat.output = OutputFormat(kind="json_schema", source=PERSON)
print(json.dumps(json.loads(chat.ask(sys.stdin.read())), indent=2))

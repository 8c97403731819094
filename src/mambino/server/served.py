"""What clients choose by: the model's name, alone or as NAME:ADAPTER, or a field of its own.

Start at ServedModel.chosen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException

from mambino.lm import Adapter
from mambino.server.schema import Body, Schema, optional, text

CHOICE: dict[str, Schema] = {"model": optional(text()), "adapter": optional(text(maxLength=200))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """id is what replies call the model; adapter None is the model as it was opened."""

    id: str
    adapter: Adapter | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """One model, and the adapters that requests may ask for by name; default is that of requests which name none."""

    name: str
    default: Adapter | None = None
    named: Mapping[str, Adapter] = field(default_factory=dict)

    @property
    def choices(self) -> Sequence[Choice]:
        """Everything that can be asked for, the default first."""
        others = (Choice(id=f"{self.name}:{name}", adapter=one) for name, one in self.named.items())
        return [Choice(id=self.name, adapter=self.default), *others]

    def chosen(self, body: Body) -> Choice:
        """By the field adapter, or a model NAME:ADAPTER; any other model name means the one that is here.

        Raises     HTTPException 404 for an adapter that is not
        """
        asked, model = body.get("adapter"), str(body.get("model", ""))
        if asked is None:
            prefix = f"{self.name}:"
            if not model.startswith(prefix):
                return self.choices[0]
            asked = model.removeprefix(prefix)
        if asked not in self.named:
            known = ", ".join(self.named) or "none; start the server with --adapter NAME=PATH"
            raise HTTPException(404, f"there is no adapter {str(asked)[:80]!r} here; there are: {known}")
        return Choice(id=f"{self.name}:{asked}", adapter=self.named[str(asked)])

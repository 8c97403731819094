"""The sub-models that a nested checkpoint offers by name ("75%", "50%"), kept beside or inside its weights.

A Hugging Face directory has a file mambino_nested.json, a GGUF file the same text under the key mambino.nested.
Knows no torch. Start at offered_subs and chosen_sub.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from math import gcd, prod

from mambino.compress.slicing import column_grains, parent_name
from mambino.compress.sub import SubConfig, read_sub
from mambino.config import HybridConfig
from mambino.errors import FormatError, InputError
from mambino.formats.checkpoint import Checkpoint
from mambino.formats.json_file import parse_json_object, read_json
from mambino.formats.names import rows
from mambino.quant.types import QuantType

FILE_NAME = "mambino_nested.json"
GGUF_KEY = "mambino.nested"

_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|KiB|MiB|GiB)", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def nested_text(subs: Mapping[str, SubConfig]) -> str:
    """The JSON text that both kinds of file carry."""
    return json.dumps({"version": 1, "subs": {name: sub.to_json() for name, sub in subs.items()}}, indent=1)


def offered_subs(checkpoint: Checkpoint) -> dict[str, SubConfig]:
    """Sub-models by name, empty for a plain checkpoint. Raises FormatError if the offer is damaged."""
    if checkpoint.kind == "hf":
        path = checkpoint.path / FILE_NAME
        return _read(checkpoint.config, read_json(path), str(path)) if path.exists() else {}
    text = checkpoint.metadata.get(GGUF_KEY)
    return {} if text is None else subs_in_text(checkpoint.config, str(text), f"{checkpoint.path}: {GGUF_KEY}")


def without_offer(checkpoint: Checkpoint) -> Checkpoint:
    """The same open GGUF, as if it offered no smaller sizes: any number format suits it then."""
    return replace(checkpoint, metadata={key: value for key, value in checkpoint.metadata.items() if key != GGUF_KEY})


def subs_in_text(parent: HybridConfig, text: str, where: str) -> dict[str, SubConfig]:
    """What nested_text wrote. Raises FormatError if it is damaged."""
    return _read(parent, parse_json_object(text.encode(), where), where)


def require_cuttable(parent: HybridConfig, subs: Mapping[str, SubConfig], types: Mapping[str, QuantType]) -> None:
    """Raise InputError if, with these types (own name -> format), a sub-model cannot be cut out of the parent."""
    for name, sub in subs.items():
        for own, grain in column_grains(parent, sub).items():
            if grain % types[own].block_size:
                raise InputError(
                    f"[compress] tensor {own}: the offered size {name} keeps whole blocks of {grain} columns, "
                    f"{types[own].name} has blocks of {types[own].block_size}; give the tensor F16 or a type of "
                    "smaller blocks in a plan (mambino quantize --save-plan, then --plan), or take another --mix"
                )


def narrowest_grains(parent: HybridConfig, subs: Mapping[str, SubConfig]) -> dict[str, int]:
    """Matrices whose columns some sub-model cuts: the largest block of columns that all of them keep whole."""
    grains: dict[str, int] = {}
    for sub in subs.values():
        for own, grain in column_grains(parent, sub).items():
            grains[own] = gcd(grain, grains.get(own, 0))
    return grains


def _read(parent: HybridConfig, document: Mapping[str, object], where: str) -> dict[str, SubConfig]:
    entries = document.get("subs")
    if document.get("version") != 1 or not isinstance(entries, dict):
        raise FormatError(f"{where}: expected version 1 and subs, got {sorted(document)}; export the model again")
    for name, entry in entries.items():
        if not isinstance(entry, dict):
            raise FormatError(f"{where}: {name}: expected an object, got {entry!r:.80}; export the model again")
    return {name: read_sub(parent, entry, f"{where}: {name}") for name, entry in entries.items()}


def chosen_sub(checkpoint: Checkpoint, budget: str, *, context: int) -> SubConfig:
    """The sub-model that budget asks for: an offered name ("50%"), or the largest that fits a memory ("1.5GiB").

    Memory is weights as stored, plus the state of one sequence of context tokens.
    Raises     InputError that lists what is offered
    """
    subs = {"100%": SubConfig.whole(checkpoint.config), **offered_subs(checkpoint)}
    if budget in subs:
        return subs[budget]
    sizes = {name: sub_nbytes(checkpoint, sub) + sub.config.state_nbytes(context) for name, sub in subs.items()}
    listed = ", ".join(f"{name} ({nbytes / 1e6:.1f} MB)" for name, nbytes in sizes.items())
    match = _BYTES.fullmatch(budget.strip())
    if match is None:
        raise InputError(f"[budget] {budget!r}: expected one of {listed}, or a memory such as 1.5GiB")
    limit = float(match[1]) * _UNITS[match[2].lower()]
    fitting = [name for name, nbytes in sizes.items() if nbytes <= limit]
    if not fitting:
        raise InputError(f"[budget] {budget}: nothing fits at {context} tokens of context; this model offers {listed}")
    return subs[max(fitting, key=lambda name: sizes[name])]


def sub_nbytes(checkpoint: Checkpoint, sub: SubConfig) -> int:
    """Exact bytes of the sub-model's weights in the types of the checkpoint; cuts that are impossible count as F16."""
    total = 0
    for row in rows(sub.config):
        stored = checkpoint.stored[parent_name(row.own, sub)]
        cols = row.shape[-1]
        fits = cols % stored.type.block_size == 0
        per_row = stored.type.row_nbytes(cols) if fits else 2 * cols
        total += prod(row.shape[:-1]) * per_row
    return total

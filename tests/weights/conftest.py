"""Real and true-size files, made by tools/fetch_test_files.py, and llama.cpp's logits on them."""

from pathlib import Path

import pytest

from llama_cpp_peer import LlamaCpp

FILES = Path.home() / ".cache/mambino/test-files"


def need(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path} is missing: run tools/fetch_test_files.py")
    return path


@pytest.fixture(scope="session")
def smollm2() -> Path:
    return need(FILES / "SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.fixture(scope="session")
def true_size() -> Path:
    return need(FILES / "random-nano-4b.Q4_K_M.gguf")


@pytest.fixture(scope="session")
def nemotron_tokenizer() -> Path:
    return need(FILES / "nemotron-tokenizer/tokenizer.json").parent


@pytest.fixture(scope="session")
def llama_cpp(tmp_path_factory: pytest.TempPathFactory) -> LlamaCpp:
    script = Path(__file__).resolve().parents[3] / "shared/tools/llama_logits.py"
    need(FILES / "llama-cpp/done")
    return LlamaCpp(FILES / "llama-cpp/bin/python", need(script), tmp_path_factory.mktemp("llama"))

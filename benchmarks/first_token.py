"""From the start of a process to the first token of a 16-token prompt, warm page cache: ours and llama.cpp in turns.

    python benchmarks/first_token.py MODEL --peer PYTHON [--rounds 5] [--threads 2]

Both sides are a Python program that opens the file, makes ids of a text, and chooses one token; PYTHON is an
interpreter that has llama-cpp-python.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

TEXT = "The quick brown fox jumps over the lazy dog and then it goes home to"
OURS = """
import sys
from mambino import SamplingParams, generate, open_model, open_tokenizer
model, tokenizer = open_model(sys.argv[1], threads=int(sys.argv[3])), open_tokenizer(sys.argv[1])
prompt = (tokenizer.encode(sys.argv[2]) * 16)[:16]
next(generate(model, model.new_state(64), prompt, SamplingParams(temperature=0, max_tokens=1)))
"""
THEIRS = """
import ctypes, sys
import llama_cpp as L
quiet = L.llama_log_callback(lambda *_: None)
L.llama_log_set(quiet, ctypes.c_void_p(0))
L.llama_backend_init()
model = L.llama_model_load_from_file(sys.argv[1].encode(), L.llama_model_default_params())
params = L.llama_context_default_params()
params.n_ctx, params.n_threads, params.n_threads_batch = 64, int(sys.argv[3]), int(sys.argv[3])
context = L.llama_init_from_model(model, params)
text = sys.argv[2].encode()
ids = (L.llama_token * 64)()
count = L.llama_tokenize(L.llama_model_get_vocab(model), text, len(text), ids, 64, False, True)
ids = (L.llama_token * 16)(*[ids[index % count] for index in range(16)])
assert L.llama_decode(context, L.llama_batch_get_one(ids, 16)) == 0
logits = L.llama_get_logits_ith(context, -1)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--peer", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    def seconds(python: str, program: str) -> float:
        begin = time.perf_counter()
        subprocess.run([python, "-c", program, options.model, TEXT, str(options.threads)], check=True)
        return time.perf_counter() - begin

    seconds(sys.executable, OURS), seconds(options.peer, THEIRS)  # warm: page cache, tokenizer cache
    pairs = [(seconds(sys.executable, OURS), seconds(options.peer, THEIRS)) for _ in range(options.rounds)]
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    print(f"start to first token: ours {ours:.2f} s, llama.cpp {theirs:.2f} s: {ratio:.2f} of it")
    print(json.dumps({"model": options.model, "ours_s": ours, "llama_cpp_s": theirs, "ratio": ratio}))


if __name__ == "__main__":
    main()

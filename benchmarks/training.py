"""Training speed: forward and backward of a small hybrid, ours and transformers', in turns; a table, then a JSON line.

python benchmarks/training.py [--threads 2] [--rounds 3]. Needs torch and transformers. The model is the parent that is
advised for two cores: 14 blocks of width 256, 8.8 million weights, batches of 8 x 256 tokens in float32.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.nn import functional
from transformers import NemotronHForCausalLM

from mambino.config import AttentionSpec, HybridConfig, MambaSpec, MlpSpec, layers_from_pattern
from mambino.formats.checkpoint import write_checkpoint_directory
from mambino.model.hybrid import HybridLM
from mambino.model.weights import weights_of
from mambino.train.cost import measured_flops_per_s

ROWS, TOKENS = 8, 256
CONFIG = HybridConfig(
    architecture="nemotron_h",
    layers=layers_from_pattern(
        "M-M-M*-M-M*-M-",
        mamba=MambaSpec(num_heads=16, head_dim=32, state_size=64, num_groups=4, conv_kernel=4),
        attention=AttentionSpec(num_heads=4, num_kv_heads=2, head_dim=64),
        mlp=MlpSpec(intermediate_size=1024, activation="relu2"),
    ),
    hidden_size=256,
    vocab_size=4096,
    norm_eps=1e-5,
    tie_embeddings=False,
    max_context=1024,
    bos_token_id=1,
    eos_token_ids=(2,),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    ours = HybridLM(CONFIG, generator=torch.Generator().manual_seed(0))
    with TemporaryDirectory() as scratch:
        write_checkpoint_directory(Path(scratch) / "model", CONFIG, weights_of(ours).values())
        theirs = NemotronHForCausalLM.from_pretrained(Path(scratch) / "model", dtype=torch.float32).train()
    tokens = torch.randint(CONFIG.vocab_size, (ROWS, TOKENS), generator=torch.Generator().manual_seed(0))
    sides: dict[str, Callable[[], torch.Tensor]] = {
        "mambino": lambda: _loss(ours(tokens), tokens),
        "transformers": lambda: _loss(theirs(input_ids=tokens, use_cache=False).logits, tokens),
    }
    apart = abs(float(sides["mambino"]()) - float(sides["transformers"]()))
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(arguments.rounds):
        for name, loss_of in sides.items():
            speeds[name].append(_tokens_per_s(loss_of))
    medians = {name: statistics.median(found) for name, found in speeds.items()}
    for name, found in speeds.items():
        print(f"{name:<14}{medians[name]:8.0f} tokens/s ({min(found):.0f}-{max(found):.0f})")
    peak, flops = measured_flops_per_s(), 6.0 * CONFIG.num_parameters * medians["mambino"]
    print(f"ratio {medians['mambino'] / medians['transformers']:.2f}, losses {apart:.1e} apart")
    print(f"{flops / 1e9:.0f} of {peak / 1e9:.0f} GFLOPS that this machine's products reach")
    print(json.dumps({"parameters": CONFIG.num_parameters, "threads": arguments.threads, "tokens_per_s": speeds,
                      "loss_difference": apart, "peak_flops": peak}))  # fmt: skip


def _loss(logits_BTV: torch.Tensor, tokens_BT: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits_BTV[:, :-1].flatten(0, 1), tokens_BT[:, 1:].flatten())


def _tokens_per_s(loss_of: Callable[[], torch.Tensor], passes: int = 2) -> float:
    """After one pass to warm up."""
    loss_of().backward()  # type: ignore[no-untyped-call]
    begin = time.perf_counter()
    for _ in range(passes):
        loss_of().backward()  # type: ignore[no-untyped-call]
    return passes * ROWS * TOKENS / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()

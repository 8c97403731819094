"""`mambino compress slice`: one size of a nested model as a model of its own. Start at command."""

from pathlib import Path

import click

from mambino.cli.compress_options import open_parent
from mambino.cli.options import debug_option
from mambino.cli.terminal import human_bytes, human_count, note
from mambino.compress.offered import chosen_sub, offered_subs
from mambino.compress.slicing import slice_checkpoint
from mambino.compress.sub import SubConfig
from mambino.export.folder import write_folder
from mambino.export.gguf import as_stored, export_gguf
from mambino.export.place import require_model_place
from mambino.export.quantize import shapes_of
from mambino.formats.checkpoint import Checkpoint
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.quant.mixes import MIXES, plan_for_mix
from mambino.quant.types import TYPES


@click.command()
@click.argument("model")
@click.option("--budget", metavar="SIZE", help="A size that the model offers (50%), or a memory (1.5GiB).")
@click.option("--out", type=click.Path(path_type=Path), metavar="PATH", help="A folder, or a file ending in .gguf.")
@click.option("--mix", type=click.Choice(list(MIXES)), metavar="NAME",
              help="Number formats of a .gguf; see mambino quantize.  [default: as stored]")  # fmt: skip
@click.option("--context", type=click.IntRange(1), default=4096, show_default=True, help="Tokens a memory includes.")
@debug_option
def command(model: str, budget: str | None, out: Path | None, mix: str | None, context: int) -> None:
    """Cut one size out of MODEL. Without --budget, list the sizes that it offers.

    \b
    mambino compress slice nested/
    mambino compress slice nested/ --budget 50% --out small/
    mambino compress slice nested/ --budget 50% --out small.gguf --mix q8_0
    mambino compress slice nested.gguf --budget 300MB --out small.gguf
    """
    is_file = out is not None and out.suffix == ".gguf"
    if mix is not None and not is_file:
        raise click.UsageError("--mix is for a .gguf file; a folder holds F32, F16 or BF16: take --out NAME.gguf")
    checkpoint = open_parent(model)
    if budget is None:
        _list_offers(checkpoint)
        return
    if out is None:
        raise click.UsageError("expected --out, a folder or a file ending in .gguf")
    require_model_place(out)
    cut = slice_checkpoint(checkpoint, chosen_sub(checkpoint, budget, context=context))
    if is_file:
        _write_gguf(cut, out, mix)
    else:
        for sentence in write_folder(out, cut.config, map(_as_float, cut.tensors("hf").values()), cut):
            note(f"warning: {sentence}")
    print(out)
    note(f"{human_count(cut.config.num_parameters)} parameters of {human_count(checkpoint.config.num_parameters)}")


def _list_offers(checkpoint: Checkpoint) -> None:
    subs = {"100%": SubConfig.whole(checkpoint.config), **offered_subs(checkpoint)}
    for name, sub in subs.items():
        config = sub.config
        print(
            f"{name:<8} {human_count(config.num_parameters):>7} parameters  hidden {config.hidden_size:<5} "
            f"layers {len(config.layers):<3} {config.pattern}"
        )


def _write_gguf(cut: Checkpoint, out: Path, mix: str | None) -> None:
    plan = None if mix is None else plan_for_mix(mix, shapes_of(cut))
    carried = {key: value for key, value in cut.metadata.items() if key.startswith("tokenizer.")}
    nbytes = export_gguf(
        cut,
        out,
        type_of=as_stored(cut) if plan is None else lambda row: plan.types[row.own],
        name=out.stem,
        tokenizer_directory=cut.path if cut.kind == "hf" and (cut.path / "tokenizer.json").exists() else None,
        more_metadata=carried,
    )
    note(human_bytes(nbytes))


def _as_float(tensor: Tensor) -> Tensor:
    """What a Hugging Face folder can hold."""
    is_plain = tensor.type.name in ("F32", "F16", "BF16") and tensor.scale is None
    return tensor if is_plain else tensor_from_float32(tensor.name, tensor.to_float32(), TYPES["BF16"])

"""`mambino quantize` on the bundled model: tables, plans, refusals, and what a calibration text is used for."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import mambino as package
from mambino.cli.calibration import KlMeasure, read_text
from mambino.cli.quantize import parse_size
from mambino.compress.offered import offered_subs
from mambino.compress.slicing import slice_checkpoint
from mambino.config import MlpSpec
from mambino.errors import InputError
from mambino.export.quantize import mix_plan, shapes_of
from mambino.export.retype import retyped
from mambino.formats.checkpoint import open_checkpoint
from mambino.quant.mixes import plan_for_mix
from mambino.quant.plan import QuantPlan
from mambino.quant.types import TYPES

Run = Callable[..., tuple[int, str, str]]

BUNDLED = str(Path(package.__file__).parent / "bundled/mambino-tiny-q8_0.gguf")
TEXT = "Once upon a time a little fox lived near the river. The fox was hungry, so it went to look for berries.\n" * 60


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_a_mix_is_written_compared_and_shown(mambino: Run, tmp_path: Path) -> None:
    code, out, err = mambino("quantize", BUNDLED, str(tmp_path / "x.gguf"), "--mix", "q4_k_m")
    assert code == 0
    assert "plan q4_k_m" in out
    assert "1 Q8_0" in out
    assert "compared" in err
    record = json.loads(mambino("info", str(tmp_path / "x.gguf"), "--json")[1])
    types = {share["type"] for share in record["types"]}
    assert types >= {"F32", "Q4_K", "Q8_0"}
    assert types & {"Q5_0", "Q5_1", "Q6_K"}  # some tensors get more bits, in blocks that the offered sizes allow


def test_the_sizes_that_a_file_offers_can_be_cut_out_of_what_a_mix_makes_of_it(mambino: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    code, _, err = mambino("quantize", BUNDLED, str(path), "--mix", "m4")
    assert code == 0, err
    assert "narrower blocks than m4 has, so that 75%, 50% can be cut out" in err
    written = open_checkpoint(path)
    subs = offered_subs(written).values()
    assert [slice_checkpoint(written, sub).config for sub in subs]
    uneven = {
        place
        for sub in subs
        for place, layer in zip(sub.kept, sub.config.layers, strict=True)
        if isinstance(layer, MlpSpec) and layer.intermediate_size % 256
    }
    mlps = [place for place, layer in enumerate(written.config.layers) if isinstance(layer, MlpSpec)]
    types = {place: written.stored[f"layers.{place}.mixer.down_proj.weight"].type.name for place in mlps}
    # A layer that no size cuts within a block, or that none keeps, has the blocks of the mix.
    assert uneven
    assert types == {place: "IQ4_NL" if place in uneven else "Q4_K" for place in mlps}


def test_what_cannot_be_is_refused_before_anything_is_measured(
    mambino: Run, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("read_text", "measured_importance", "KlMeasure", "quantize"):
        monkeypatch.setattr(f"mambino.cli.quantize.{name}", lambda *_, name=name: pytest.fail(f"{name} was called"))
    source = open_checkpoint(BUNDLED)
    blind = replace(plan_for_mix("q4_k_m", shapes_of(source)), name="blind")
    narrowed = offered_subs(source)["75%"].config.layers[1]
    assert isinstance(narrowed, MlpSpec)
    (tmp_path / "blind.json").write_text(blind.to_json())
    (tmp_path / "other.json").write_text(replace(blind, types={"other.weight": TYPES["F16"]}).to_json())
    (tmp_path / "old.json").write_text("{")
    x, missing = str(tmp_path / "x.gguf"), tmp_path / "missing"
    for arguments, message in (
        ([x, "--size", "1B"], "--size: expected at least"),
        ([str(missing / "x.gguf")], f"{missing}/x.gguf: cannot be written: {missing}: No such file"),
        ([x, "--save-plan", str(missing / "p")], f"{missing}/p: cannot be written"),
        ([x, "--save-importance", str(missing / "i")], f"{missing}/i: cannot be written"),
        ([x, "--plan", str(tmp_path / "other.json")], "make a plan for this model"),
        ([x, "--plan", str(tmp_path / "old.json")], "`mambino quantize --save-plan`"),
        ([x, "--plan", str(tmp_path / "blind.json")],
         "tensor layers.1.mixer.down_proj.weight: the offered size 75% keeps whole blocks of "
             f"{narrowed.intermediate_size} columns, Q4_K has"),
    ):  # fmt: skip
        code, _, err = mambino("quantize", BUNDLED, *arguments, "--calibrate", str(text))
        assert code == 1, arguments
        assert message in err


def test_a_dry_run_says_the_size_of_the_file_and_writes_nothing(mambino: Run, tmp_path: Path) -> None:
    planned = json.loads(mambino("quantize", BUNDLED, "--mix", "iq4_nl", "--dry-run", "--json")[1])
    path = tmp_path / "x.gguf"
    code, out, _ = mambino("quantize", BUNDLED, str(path), "--mix", "iq4_nl", "--json")
    written = json.loads(out)
    assert code == 0
    assert written["nbytes"] == planned["nbytes"]
    assert 0 <= planned["nbytes"] - path.stat().st_size < 8192
    assert planned["errors"] == {}
    assert 0 < max(written["errors"].values()) < 0.1


def test_a_saved_plan_gives_the_same_weights_and_quantising_twice_is_warned_about(mambino: Run, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    assert mambino("quantize", BUNDLED, str(tmp_path / "a.gguf"), "--mix", "q4_0", "--save-plan", str(plan))[0] == 0
    assert mambino("quantize", BUNDLED, str(tmp_path / "b.gguf"), "--plan", str(plan), "--threads", "1")[0] == 0
    twice = mambino("quantize", str(tmp_path / "a.gguf"), str(tmp_path / "c.gguf"), "--mix", "iq4_nl")
    assert "are Q4_0 already" in twice[2]
    ours, theirs = (open_checkpoint(tmp_path / name).stored for name in ("a.gguf", "b.gguf"))
    assert all((tensor.data == theirs[own].data).all() for own, tensor in ours.items())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--mix", "q4_0", "--size", "2MB", "--dry-run"], 2, "exclude each other"),
        (["--size", "2MB", "--dry-run"], 2, "needs a text"),
        ([], 2, "Missing argument 'DST'"),
        (["--mix", "q2_k", "--dry-run"], 2, "'q2_k' is not one of 'f16'"),
        (["{there}"], 1, "already exists"),
        (["--dry-run", "--save-plan", "{there}"], 1, "already exists"),
        (["--plan", "{there}", "--dry-run"], 1, "not JSON"),
        (["--importance", "{there}", "--dry-run"], 1, "there.txt"),
        (["--calibrate", "{there}", "--dry-run"], 1, "expected at least 128 tokens of text, got"),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], code: int, message: str, mambino: Run, tmp_path: Path) -> None:
    there = tmp_path / "there.txt"
    there.write_text("short text", encoding="utf-8")
    result, out, err = mambino("quantize", BUNDLED, *(part.format(there=there) for part in arguments))
    assert (result, out) == (code, "")
    assert message in err
    assert there.read_text(encoding="utf-8") == "short text"


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [("2.4GiB", int(2.4 * 2**30)), ("800MB", 800_000_000), ("12", 12), ("1.5 g", 1_500_000_000), ("3kib", 3072)],
)
def test_sizes_are_read(text: str, nbytes: int) -> None:
    assert parse_size(text) == nbytes


@pytest.mark.parametrize("text", ["", "GiB", "-1GB", "2.4TB", "1e9", "0"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected a size such as"):
        parse_size(text)


def test_measured_text_is_held_out_of_calibration(text: Path) -> None:
    checkpoint = open_checkpoint(BUNDLED)
    lines = [f"{index} foxes went to the river and {index * 7} came back." for index in range(900)]
    text.write_text("\n".join(lines), encoding="utf-8")
    read = read_text(checkpoint, text, 4096)
    assert 1 <= len(read.measuring) <= 2
    assert sum(piece.size for piece in read.calibrating) <= 4096
    calibrating = {piece.tobytes() for piece in read.calibrating}
    assert not calibrating & {piece.tobytes() for piece in read.measuring}


def test_a_text_that_is_none_is_refused(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = open_checkpoint(BUNDLED)
    text.write_bytes(b"caf\xe9 " * 500)
    with pytest.raises(InputError, match="not UTF-8"):
        read_text(checkpoint, text, 512)
    monkeypatch.setattr("mambino.cli.calibration._MAX_TEXT_NBYTES", 100)
    with pytest.raises(InputError, match="a text of more than 0 MiB"):
        read_text(checkpoint, text, 512)


@pytest.mark.native
def test_divergence_is_nothing_for_the_same_types_and_grows_as_bits_go(text: Path) -> None:
    checkpoint = open_checkpoint(BUNDLED)
    measure = KlMeasure(checkpoint, [piece[:60] for piece in read_text(checkpoint, text, 512).measuring], None, 1)
    kl = [measure(plan_for_mix(mix, shapes_of(checkpoint))) for mix in ("q8_0", "q6_k", "q4_0")]
    assert kl[0] == pytest.approx(0, abs=1e-12)
    assert 1e-6 < kl[1] < kl[2] / 5


@pytest.mark.torch
def test_calibration_weighs_columns_and_is_kept(mambino: Run, text: Path, tmp_path: Path) -> None:
    kept = tmp_path / "i.safetensors"
    measured = ["--calibrate", str(text), "--calibrate-tokens", "128", "--save-importance", str(kept)]
    for name, more in (("a", measured), ("b", ["--importance", str(kept)])):
        assert (
            mambino("quantize", BUNDLED, str(tmp_path / f"{name}.gguf"), "--mix", "q4_0", "--threads", "1", *more)[0]
            == 0
        )
    source, first, again = (open_checkpoint(path).stored["layers.0.mixer.in_proj.weight"]
                            for path in (BUNDLED, tmp_path / "a.gguf", tmp_path / "b.gguf"))  # fmt: skip
    assert (first.data == again.data).all()
    assert (first.data != retyped(source, TYPES["Q4_0"]).data).mean() > 0.05


def test_a_search_leaves_the_offered_sizes_possible(
    mambino: Run, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def coarseness(plan: QuantPlan) -> float:
        return 1 / plan.nbytes(shapes_of(open_checkpoint(BUNDLED)))

    monkeypatch.setattr("mambino.cli.quantize.measured_importance", lambda *_: None)
    monkeypatch.setattr("mambino.cli.quantize.KlMeasure", lambda *_: coarseness)
    path = tmp_path / "x.gguf"
    most = int(0.7 * Path(BUNDLED).stat().st_size)
    code, _, err = mambino("quantize", BUNDLED, str(path), "--size", f"{most}B", "--calibrate", str(text))
    assert code == 0, err
    assert 0.85 * most < path.stat().st_size <= most
    written = open_checkpoint(path)
    assert [slice_checkpoint(written, sub).config for sub in offered_subs(written).values()]


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.native
def test_a_search_fills_the_size_and_beats_one_type_for_all(mambino: Run, text: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    uniform = json.loads(mambino("quantize", BUNDLED, "--mix", "q5_k_m", "--dry-run", "--json")[1])
    size = str(uniform["nbytes"])
    code, out, _ = mambino("quantize", BUNDLED, str(path), "--size", size, "--calibrate", str(text), "--json")
    record = json.loads(out)
    assert code == 0
    assert path.stat().st_size <= uniform["nbytes"]
    checkpoint = open_checkpoint(BUNDLED)
    measure = KlMeasure(checkpoint, read_text(checkpoint, text, 16384).measuring, None, 1)
    assert record["kl"] < measure(mix_plan(checkpoint, "q5_k_m"))
    written = open_checkpoint(path)
    assert [slice_checkpoint(written, sub).config for sub in offered_subs(written).values()]
    assert (tmp_path / "x.gguf.search.json").exists()

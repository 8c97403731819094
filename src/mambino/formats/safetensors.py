"""Read and write safetensors: one file, or a directory of shards with an index.

Layout: u64 header length, JSON {name: {dtype, shape, data_offsets}}, then the bytes. Read by mapping, everything
checked first. Knows no model. Start at open_safetensors.

Source: the safetensors format description (github.com/huggingface/safetensors README)
"""

import json
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from struct import Struct

import numpy as np
from numpy.typing import NDArray

from mambino.errors import FormatError, InputError, Unsupported
from mambino.formats.json_file import parse_json_object
from mambino.formats.mapped import map_file, replacing
from mambino.formats.tensor import Tensor
from mambino.quant.types import TYPES, QuantType

MAX_HEADER_NBYTES = 100_000_000  # the format's own limit
_LENGTH = Struct("<Q")
_TYPE_NAMES = {"F32": "F32", "F16": "F16", "BF16": "BF16", "F8_E4M3": "F8_E4M3"}
_INDEX_NAME = "model.safetensors.index.json"


def open_safetensors(path: Path | str) -> dict[str, Tensor]:
    """Tensors of a file, of the sharded model in a directory, or of the directory's single model.safetensors.

    Raises     FormatError for a damaged file, or an index that does not match its shards; Unsupported for data types
               other than F32, F16, BF16 and F8_E4M3
    Pinned by  tests/formats/test_safetensors.py
    """
    path = Path(path)
    if not path.is_dir():
        return _open_file(path)
    index = path / _INDEX_NAME
    if index.exists():
        return _open_shards(path, index)
    single = path / "model.safetensors"
    if single.exists():
        return _open_file(single)
    raise FormatError(
        f"[safetensors] {path}: holds neither model.safetensors nor {_INDEX_NAME}; other weight files (such as "
        "pytorch_model.bin) are not read, convert them to safetensors"
    )


def _open_shards(directory: Path, index: Path) -> dict[str, Tensor]:
    weight_map = parse_json_object(map_file(index).tobytes(), f"[safetensors] {index}").get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise FormatError(f"[safetensors] {index}: expected weight_map to map tensor names to file names")
    tensors: dict[str, Tensor] = {}
    for shard in sorted(set(weight_map.values())):
        if Path(shard).name != shard or shard in ("", ".", ".."):
            raise FormatError(f"[safetensors] {index}: {shard!r} is not the name of a file beside the index")
        for name, tensor in _open_file(directory / shard).items():
            if weight_map.get(name) != shard:
                raise FormatError(f"[safetensors] {directory / shard}: tensor {name}: the index does not place it here")
            tensors[name] = tensor
    if missing := sorted(set(weight_map) - set(tensors)):
        raise FormatError(f"[safetensors] {index}: the shards lack {', '.join(missing[:8])}; fetch the model again")
    return tensors


def _open_file(path: Path) -> dict[str, Tensor]:
    where = f"[safetensors] {path}"
    data = map_file(path)
    if len(data) < 8:
        raise FormatError(f"{where}: expected at least 8 bytes, got {len(data)}; fetch it again")
    (header_nbytes,) = _LENGTH.unpack_from(data.data)
    if header_nbytes > min(MAX_HEADER_NBYTES, len(data) - 8):
        raise FormatError(
            f"{where}: header of {header_nbytes} bytes does not fit a file of {len(data)}; fetch it again"
        )
    header = parse_json_object(data[8 : 8 + header_nbytes].tobytes(), where)
    header.pop("__metadata__", None)
    body = data[8 + header_nbytes :]
    spans: list[tuple[int, int, str]] = []
    tensors: dict[str, Tensor] = {}
    for name, entry in header.items():
        tensors[name], begin, end = _read_entry(f"{where}: tensor {name}", name, entry, body)
        spans.append((begin, end, name))
    _require_disjoint(where, spans)
    return tensors


def _read_entry(where: str, name: str, entry: object, body: NDArray[np.uint8]) -> tuple[Tensor, int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise FormatError(f"{where}: expected dtype, shape and data_offsets, got {entry!r:.100}")
    quant_type = _type_of(where, entry["dtype"])
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _is_sizes(shape) or 0 in shape:
        raise FormatError(f"{where}: expected a shape of positive integers, got {shape!r:.100}")
    if not _is_sizes(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= len(body):
        raise FormatError(f"{where}: offsets {offsets!r:.100} lie outside the {len(body)} bytes of data")
    begin, end = offsets
    if end - begin != prod(shape) * quant_type.block_nbytes:
        raise FormatError(f"{where}: {quant_type.name} {shape} does not take {end - begin} bytes")
    return Tensor(name=name, type=quant_type, shape=tuple(shape), data=body[begin:end]), begin, end


def _type_of(where: str, dtype: object) -> QuantType:
    if not isinstance(dtype, str) or dtype not in _TYPE_NAMES:
        raise Unsupported(f"{where}: data type {dtype!r:.40}; supported types are {', '.join(_TYPE_NAMES)}")
    return TYPES[_TYPE_NAMES[dtype]]


def _is_sizes(sizes: object) -> bool:
    return isinstance(sizes, list) and all(type(size) is int and size >= 0 for size in sizes)


def _require_disjoint(where: str, spans: list[tuple[int, int, str]]) -> None:
    end, previous = 0, ""
    for begin, span_end, name in sorted(spans):
        if begin < end:
            raise FormatError(f"{where}: tensor {name} overlaps tensor {previous}; fetch the file again")
        end, previous = span_end, name


def write_safetensors(path: Path | str, tensors: Iterable[Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors to one file, atomically; metadata is the format's free string map.

    Raises     InputError for a name that occurs twice or a scaled tensor; Unsupported for quantised types; FormatError
               if the file cannot be written
    """
    path, tensors = Path(path), list(tensors)
    header: dict[str, object] = {"__metadata__": {"format": "pt", **(metadata or {})}}
    offset = 0
    for tensor in tensors:
        if tensor.type.name not in _TYPE_NAMES:
            raise Unsupported(f"[safetensors] tensor {tensor.name}: cannot hold {tensor.type.name}; decode it first")
        if tensor.name in header or tensor.scale is not None:
            raise InputError(f"[safetensors] tensor {tensor.name}: occurs twice, or carries a scale; decode it first")
        end = offset + tensor.nbytes
        header[tensor.name] = {"dtype": tensor.type.name, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 64)  # so that mapped tensors start aligned
    with replacing(path) as file:
        file.write(_LENGTH.pack(len(encoded)) + encoded)
        for tensor in tensors:
            file.write(tensor.data.data)

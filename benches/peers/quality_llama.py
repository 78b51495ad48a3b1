"""llama.cpp's loss on token ids: a checkpoint to GGUF in its formats, logits of every position, bytes of the tensors.

Two kinds of files. `made` is what llama.cpp's quantizer makes of the checkpoint, with its fall-backs for rows that a
block does not divide. `ideal` is what a format would cost if rows were no obstacle: each matrix is rounded by ggml's own
`ggml_quantize_chunk` and stored as the f32 numbers that come out, so that activations are not rounded; bytes are counted
as the format would take them, without padding. K-quants' blocks of 256 run over the ends of rows.
"""

import ctypes
import os
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
from llama_cpp_bench import context, keep_log, load
from make_gguf import NAMES, add_shape
from quality_text import CHECKPOINT, Score
from shapes import SHAPES

FILE_TYPES = {
    "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "Q6_K": llama_cpp.LLAMA_FTYPE_MOSTLY_Q6_K,
    "Q5_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q5_K_M,
    "Q5_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q5_0,
    "Q4_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
    "Q4_1": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_1,
    "Q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
}
IDEAL = ["Q8_0", "Q6_K", "Q5_0", "Q5_K", "Q4_1", "Q4_0", "Q4_K"]


def write(arrays: dict, path: Path, form: str) -> None:
    """A GGUF file of `arrays`: matrices in f32 or f16, norms in f32."""
    writer = gguf.GGUFWriter(str(path), "llama")
    add_shape(writer, SHAPES[CHECKPOINT])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if form == "F16" else gguf.LlamaFileType.ALL_F32)
    for (layer, name), array in arrays.items():
        prefix = "" if layer is None else f"blk.{layer}."
        half = form == "F16" and array.ndim == 2
        writer.add_tensor(f"{prefix}{NAMES[name]}.weight", array.astype("float16" if half else "float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def made(arrays: dict, folder: Path, form: str) -> Path:
    """The file in `form`, by llama.cpp's own quantizer from f32."""
    path, source = folder / f"{form}.gguf", folder / "F32.gguf"
    if form in ("F32", "F16"):
        write(arrays, path, form)
        return path
    params = llama_cpp.llama_model_quantize_default_params()
    params.nthread, params.ftype = 1, FILE_TYPES[form]
    if llama_cpp.llama_model_quantize(str(source).encode(), str(path).encode(), params) != 0:
        raise SystemExit(f"cannot quantize to {form}")
    return path


def ideal(arrays: dict, folder: Path, form: str) -> tuple[Path, int]:
    """The file, and the bytes that its tensors would have in `form`; below 8 bits the embedding is in Q8_0."""
    rounded, size = {}, 0.0
    for (layer, name), array in arrays.items():
        if array.ndim == 2:
            kind = gguf.GGMLQuantizationType["Q8_0" if name == "embedding" and form < "Q8" else form]
            array, bits = quantized(array, kind)
            size += array.size * bits / 8
        else:
            size += array.size * 4
        rounded[layer, name] = array
    path = folder / f"{form}-ideal.gguf"
    write(rounded, path, "F32")
    return path, round(size)


def quantized(array: np.ndarray, kind: gguf.GGMLQuantizationType) -> tuple[np.ndarray, float]:
    """`array` as `kind` rounds it, and the bits per weight."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    rows, cols = array.shape
    padded = np.pad(array, ((0, 0), (0, -cols % block))) if block == 32 else array.reshape(-1, block)
    padded = np.ascontiguousarray(padded, np.float32)
    out = np.zeros((padded.shape[0], padded.shape[1] // block * size), np.uint8)
    ggml = ctypes.CDLL(str(Path(os.environ["LLAMA_CPP_LIB_PATH"]) / "libggml-base.so"))
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    written = ggml.ggml_quantize_chunk(
        int(kind), padded.ctypes.data_as(pointer), out.ctypes.data_as(pointer),
        count(0), count(padded.shape[0]), count(padded.shape[1]), None,
    )  # fmt: skip
    assert written == out.nbytes, f"{kind}: {written} bytes"
    back = gguf.quants.dequantize(out, kind)
    return back[:, :cols] if block == 32 else back.reshape(rows, cols), 8 * size / block


def logits(ctx, fed: list[int], vocabulary: int) -> np.ndarray:
    """Logits of every position of one window, [tokens, vocabulary]."""
    batch = llama_cpp.llama_batch_init(len(fed), 0, 1)
    batch.n_tokens = len(fed)
    for at, token in enumerate(fed):
        batch.token[at], batch.pos[at], batch.logits[at] = token, at, True
        batch.n_seq_id[at], batch.seq_id[at][0] = 1, 0
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(ctx), True)
    if llama_cpp.llama_decode(ctx, batch) != 0:
        raise SystemExit("llama_decode failed")
    flat = np.ctypeslib.as_array(llama_cpp.llama_get_logits(ctx), shape=(len(fed) * vocabulary,))
    found = flat.reshape(len(fed), vocabulary).copy()
    llama_cpp.llama_batch_free(batch)
    return found


def evaluate(path: Path, windows: list, reference: list | None) -> tuple[Score, int, list]:
    """The score of a file, the bytes of its tensors, and its logits of each window."""
    model = load(str(path))
    shape = SHAPES[CHECKPOINT]
    ctx = context(model, shape.context, 1)
    score, every = Score(), []
    for at, (fed, targets) in enumerate(windows):
        found = logits(ctx, fed, shape.vocabulary)
        score.add(found, targets, reference[at] if reference else None)
        every.append(found)
    size = llama_cpp.llama_model_size(model)
    llama_cpp.llama_free(ctx)
    llama_cpp.llama_model_free(model)
    return score, size, every


llama_cpp.llama_log_set(keep_log, None)

"""Writes a random-weight GGUF of a named shape, in one of llama.cpp's formats.

    python make_gguf.py SHAPE FORMAT FILE      FORMAT: f16, q8_0, q4_0, q4_0-pure, q4_k_m

The f16 file (SHAPE-f16.gguf, kept for the next format) is written with the `gguf` package and then handed to
llama.cpp's own quantizer, so the bytes are what `llama-quantize` makes: `q4_0` keeps the (tied) embedding in Q6_K or Q8_0, as its users get it;
`q4_0-pure` has it in Q4_0 too. A matrix whose row is no multiple of 32 (stories260K's `down`) falls back
to f16, and what `q4_k_m` cannot cut into 256 to Q5_0 or Q8_0. The tokenizer is a stub: as many tokens as the shape says, never used to read text.
"""

import os
import sys

import gguf
from shapes import SHAPES, Shape, weights

NAMES = {
    "embedding": "token_embd",
    "head": "output",
    "final_norm": "output_norm",
    "attention_norm": "attn_norm",
    "query": "attn_q",
    "key": "attn_k",
    "value": "attn_v",
    "attention_output": "attn_output",
    "feed_forward_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}


def add_stub_tokenizer(writer: gguf.GGUFWriter, vocabulary: int) -> None:
    """The least vocabulary that llama.cpp accepts: three control tokens, the 256 bytes, then fillers."""
    control = ["<unk>", "<s>", "</s>"]
    fixed = control + [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = (fixed + [f"token{id}" for id in range(len(fixed), vocabulary)])[:vocabulary]
    kinds = [gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.BYTE] * 256
    kinds += [gguf.TokenType.NORMAL] * (vocabulary - len(kinds))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(id) for id in range(vocabulary)])
    writer.add_token_types(kinds[:vocabulary])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def add_shape(writer: gguf.GGUFWriter, shape: Shape) -> None:
    """What a file says of its model, tokenizer included."""
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(shape.vocabulary)
    add_stub_tokenizer(writer, shape.vocabulary)


def write_f16(shape: Shape, path: str) -> None:
    """Matrices in f16, norms in f32."""
    writer = gguf.GGUFWriter(path, "llama")
    add_shape(writer, shape)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    for layer, name, array in weights(shape):
        prefix = "" if layer is None else f"blk.{layer}."
        half = array.astype("float16") if array.ndim == 2 else array
        writer.add_tensor(f"{prefix}{NAMES[name]}.weight", half)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantize(source: str, target: str, kind: str) -> None:
    """llama.cpp's own quantizer on one thread."""
    import llama_cpp

    params = llama_cpp.llama_model_quantize_default_params()
    params.nthread = 1
    params.pure = kind.endswith("-pure")
    params.ftype = {
        "q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
        "q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
        "q4_k_m": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
    }[kind.removesuffix("-pure")]
    if llama_cpp.llama_model_quantize(source.encode(), target.encode(), params) != 0:
        raise SystemExit(f"cannot quantize {source} to {kind}")


def main() -> None:
    if len(sys.argv) != 4 or sys.argv[1] not in SHAPES:
        raise SystemExit(f"usage: make_gguf.py {{{','.join(SHAPES)}}} FORMAT FILE")
    name, kind, path = sys.argv[1:]
    source = os.path.join(os.path.dirname(path), f"{name}-f16.gguf")
    if not os.path.exists(source):
        write_f16(SHAPES[name], source + ".part")
        os.replace(source + ".part", source)
    if kind != "f16":
        quantize(source, path, kind)


if __name__ == "__main__":
    main()

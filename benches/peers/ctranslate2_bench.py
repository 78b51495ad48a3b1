"""Times CTranslate2 int8 on one of the shapes and prints one JSON line.

    python ctranslate2_bench.py SHAPE DIRECTORY [THREADS] [REPEATS]

The random model is built with CTranslate2's own specification classes and quantizer (int8, one scale per
row, embedding too), saved to DIRECTORY if it is not there yet and loaded from it. Prefill is a 512-token prompt
and one generated token, logits of the last position only; decode is 128 greedy tokens after one, with the
argmax over the vocabulary that the engine cannot leave out. Its GEMM library is chosen by the wheel
(oneMKL on Intel); MKL_ENABLE_INSTRUCTIONS=AVX512_E3 keeps oneMKL from using AMX.
"""

import json
import os
import statistics
import sys
import time

import ctranslate2
import numpy as np
from ctranslate2.specs import common_spec, transformer_spec
from measure import medians, peak_rss, phase
from shapes import SHAPES, Shape, weights

DECODED = 128


def tensors(shape: Shape) -> tuple[dict, list[dict]]:
    """The weights by name: those of the model, and those of each layer."""
    model, layers = {}, [{} for _ in range(shape.layers)]
    for layer, name, array in weights(shape):
        (model if layer is None else layers[layer])[name] = array
    return model, layers


def specification(shape: Shape) -> transformer_spec.TransformerDecoderModelSpec:
    """A Llama decoder in CTranslate2's terms; query, key and value are one fused matrix."""
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        shape.layers,
        shape.heads,
        activation=common_spec.Activation.SWISH,
        ffn_glu=True,
        rms_norm=True,
        rotary_dim=0,
        rotary_interleave=False,
        rotary_base=shape.rope_theta,
        num_heads_kv=None if shape.kv_heads == shape.heads else shape.kv_heads,
    )
    model, layers = tensors(shape)
    decoder = spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = model["embedding"]
    decoder.projection.weight = model.get("head", model["embedding"])
    decoder.layer_norm.gamma = model["final_norm"]
    for target, source in zip(decoder.layer, layers):
        attention, ffn = target.self_attention, target.ffn
        attention.layer_norm.gamma = source["attention_norm"]
        attention.linear[0].weight = np.concatenate(
            [source["query"], source["key"], source["value"]]
        )
        attention.linear[1].weight = source["attention_output"]
        ffn.layer_norm.gamma = source["feed_forward_norm"]
        ffn.linear_0.weight = source["gate"]
        ffn.linear_0_noact.weight = source["up"]
        ffn.linear_1.weight = source["down"]
    return spec


def write(shape: Shape, directory: str) -> None:
    """The model directory, int8."""
    spec = specification(shape)
    spec.register_vocabulary(vocabulary(shape))
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = "<s>", "</s>", "<unk>"
    spec.config.layer_norm_epsilon = 1e-5
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(directory)


def vocabulary(shape: Shape) -> list[str]:
    return ["<unk>", "<s>", "</s>"] + [f"token{id}" for id in range(3, shape.vocabulary)]


def timed_load(directory: str, threads: int, repeats: int):
    """The generator, and the median milliseconds (wall, CPU) of loading it, page cache warm."""
    generator, walls, cpus = None, [], []
    for _ in range(repeats):
        generator = None
        wall, cpu = time.perf_counter(), time.process_time()
        generator = ctranslate2.Generator(
            directory, compute_type="int8", inter_threads=1, intra_threads=threads
        )
        cpus.append(time.process_time() - cpu)
        walls.append(time.perf_counter() - wall)
    return generator, *(round(statistics.median(seconds) * 1e3, 2) for seconds in (walls, cpus))


def measure(name: str, directory: str, threads: int, repeats: int) -> dict:
    shape = SHAPES[name]
    before = peak_rss()
    generator, load_ms, load_cpu_ms = timed_load(directory, threads, repeats)
    tokens = vocabulary(shape)
    prompt = [tokens[(7 * i + 3) % shape.vocabulary] for i in range(shape.prompt)]

    def generate(start, new):
        generator.generate_batch(
            [start], max_length=new, min_length=new, include_prompt_in_result=False
        )

    prefill = medians(lambda: generate(prompt, 1), shape.prompt, repeats)
    decode = medians(lambda: generate(prompt[:1], DECODED), DECODED, repeats)
    return {
        "engine": "CTranslate2",
        "version": ctranslate2.__version__,
        "build": "no-amx" if os.environ.get("MKL_ENABLE_INSTRUCTIONS") else "default",
        "shape": name,
        "format": "int8",
        "threads": threads,
        **phase("prefill", prefill),
        **phase("decode", decode),
        "model_bytes": os.path.getsize(os.path.join(directory, "model.bin")),
        "load_ms": load_ms,
        "load_cpu_ms": load_cpu_ms,
        "peak_rss_bytes": peak_rss(),
        "rss_before_load_bytes": before,
        "prefill_tokens": shape.prompt,
        "decode_tokens": DECODED,
        "repeats": repeats,
    }


def main() -> None:
    if len(sys.argv) not in (3, 4, 5) or sys.argv[1] not in SHAPES:
        raise SystemExit("usage: ctranslate2_bench.py SHAPE DIRECTORY [THREADS] [REPEATS]")
    name, directory = sys.argv[1:3]
    threads, repeats = (int(text) for text in (sys.argv[3:] + ["1", "5"][len(sys.argv) - 3 :]))
    if not os.path.exists(directory):
        # Written by a child, so that the peak memory of this process is the engine's alone.
        child = os.fork()
        if child == 0:
            os.makedirs(directory + ".part", exist_ok=True)
            write(SHAPES[name], directory + ".part")
            os.replace(directory + ".part", directory)
            os._exit(0)
        if os.waitpid(child, 0)[1] != 0:
            raise SystemExit("cannot write the model")
    print(json.dumps(measure(name, directory, threads, repeats)))


if __name__ == "__main__":
    main()

"""Times llama.cpp on one GGUF file and prints one JSON line.

    LLAMA_CPP_LIB_PATH=DIR python llama_cpp_bench.py SHAPE FORMAT FILE [THREADS] [REPEATS]

Token ids go straight into `llama_decode` through the C API, as `llama-bench` does: no text, no sampling,
logits of the last token only. The context is as long as the prompt in both tests. All other options are
llama.cpp's defaults: memory-mapped file, weights repacked at load, flash attention `auto`. `buffers` says
where the weights went (`AMX` and `CPU_REPACK` are repacked copies). One file per process, so that the peak
memory is that file's.
"""

import ctypes
import json
import os
import re
import statistics
import sys
import time

import llama_cpp
from measure import medians, peak_rss, phase
from shapes import SHAPES

DECODED = 128

log: list[str] = []


@llama_cpp.llama_log_callback
def keep_log(_level, text, _data):
    log.append(text.decode(errors="replace"))


def load(path: str):
    """The model with default parameters."""
    log.clear()
    model = llama_cpp.llama_model_load_from_file(
        path.encode(), llama_cpp.llama_model_default_params()
    )
    if not model:
        raise SystemExit("".join(log) + f"cannot load {path}")
    return model


def timed_load(path: str, repeats: int):
    """The model, and the median milliseconds (wall, CPU) of loading it, page cache warm."""
    model, walls, cpus = None, [], []
    for _ in range(repeats):
        if model:
            llama_cpp.llama_model_free(model)
        wall, cpu = time.perf_counter(), time.process_time()
        model = load(path)
        cpus.append(time.process_time() - cpu)
        walls.append(time.perf_counter() - wall)
    return model, *(round(statistics.median(seconds) * 1e3, 2) for seconds in (walls, cpus))


def context(model, tokens: int, threads: int):
    """A context that holds `tokens`, everything else default."""
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = tokens
    params.n_threads = params.n_threads_batch = threads
    created = llama_cpp.llama_init_from_model(model, params)
    if not created:
        raise SystemExit("".join(log) + "cannot create a context")
    return created


def evaluator(ctx, tokens: int, vocabulary: int, step: int):
    """A function that evaluates `tokens` fixed ids from an empty context, `step` per call."""
    ids = (llama_cpp.llama_token * tokens)(*((7 * i + 3) % vocabulary for i in range(tokens)))
    pointer = ctypes.POINTER(llama_cpp.llama_token)
    batches = [
        llama_cpp.llama_batch_get_one(
            ctypes.cast(ctypes.byref(ids, at * ctypes.sizeof(llama_cpp.llama_token)), pointer),
            step,
        )
        for at in range(0, tokens, step)
    ]
    memory = llama_cpp.llama_get_memory(ctx)

    def evaluate(_keep=ids):
        llama_cpp.llama_memory_clear(memory, False)
        for batch in batches:
            if llama_cpp.llama_decode(ctx, batch) != 0:
                raise SystemExit("llama_decode failed")
        llama_cpp.llama_synchronize(ctx)

    return evaluate


def main() -> None:
    if len(sys.argv) not in (4, 5, 6) or sys.argv[1] not in SHAPES:
        raise SystemExit("usage: llama_cpp_bench.py SHAPE FORMAT FILE [THREADS] [REPEATS]")
    name, kind, path = sys.argv[1:4]
    threads, repeats = (int(text) for text in (sys.argv[4:] + ["1", "5"][len(sys.argv) - 4 :]))
    shape = SHAPES[name]
    llama_cpp.llama_log_set(keep_log, None)
    llama_cpp.llama_backend_init()
    before = peak_rss()
    model, load_ms, load_cpu_ms = timed_load(path, repeats)
    prefill_context = context(model, shape.prompt, threads)
    prefill = evaluator(prefill_context, shape.prompt, shape.vocabulary, shape.prompt)
    prefill_figures = medians(prefill, shape.prompt, repeats)
    llama_cpp.llama_free(prefill_context)
    decode = evaluator(context(model, shape.prompt, threads), DECODED, shape.vocabulary, 1)
    decode_figures = medians(decode, DECODED, repeats)
    text = "".join(log)
    line = {
        "engine": "llama.cpp",
        "version": f"llama-cpp-python {llama_cpp.__version__}",
        "build": os.path.basename(os.environ.get("LLAMA_CPP_LIB_PATH", "default")),
        "shape": name,
        "format": kind,
        "threads": threads,
        **phase("prefill", prefill_figures),
        **phase("decode", decode_figures),
        "model_bytes": llama_cpp.llama_model_size(model),
        "load_ms": load_ms,
        "load_cpu_ms": load_cpu_ms,
        "peak_rss_bytes": peak_rss(),
        "rss_before_load_bytes": before,
        "prefill_tokens": shape.prompt,
        "decode_tokens": DECODED,
        "repeats": repeats,
        "buffers": re.findall(r"(\S+) model buffer size = +([\d.]+ \w+)", text),
        "flash_attention": re.findall(r"Flash Attention (\w+)", text)[:1],
        "system": llama_cpp.llama_print_system_info().decode(),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()

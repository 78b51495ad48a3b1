"""Times one step of a character LSTM of two layers in ONNX Runtime, f32 and int8, and prints a line for each.

    python lstm_onnxruntime.py [WIDTH ...]

Needs the packages onnx and onnxruntime. The graph is Gather, two LSTM nodes whose states are inputs and outputs, and a
linear head over 65 tokens, with random weights; int8 is quantize_dynamic's. Inputs and outputs are bound once, so that
what is left of Python is one call a step. One thread, its CPU time, the least of seven rounds of 300 steps.
"""

import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

VOCABULARY = 65
STATES = [f"{kind}{layer}" for layer in range(2) for kind in "hc"]


def model(width: int) -> onnx.ModelProto:
    """From one token and the states to logits and the states."""
    random = np.random.default_rng(1)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array((random.uniform(-1, 1, shape) / width**0.5).astype(np.float32), name)

    constants = [weights("table", VOCABULARY, width), numpy_helper.from_array(np.array([1]), "axis")]
    nodes = [helper.make_node("Gather", ["table", "token"], ["x0"])]
    for layer in range(2):
        constants += [
            weights(f"w{layer}", 1, 4 * width, width),
            weights(f"r{layer}", 1, 4 * width, width),
            weights(f"b{layer}", 1, 8 * width),
        ]
        given = [f"x{layer}", f"w{layer}", f"r{layer}", f"b{layer}", "", f"h{layer}", f"c{layer}"]
        made = [f"y{layer}", f"h{layer}_out", f"c{layer}_out"]
        nodes.append(helper.make_node("LSTM", given, made, hidden_size=width))
        nodes.append(helper.make_node("Squeeze", [f"y{layer}", "axis"], [f"x{layer + 1}"]))
    constants += [weights("head", width, VOCABULARY), weights("bias", VOCABULARY)]
    nodes.append(helper.make_node("MatMul", ["x2", "head"], ["product"]))
    nodes.append(helper.make_node("Add", ["product", "bias"], ["logits"]))

    def real(name: str, size: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, size])

    token = helper.make_tensor_value_info("token", TensorProto.INT64, [1, 1])
    inputs = [token] + [real(state, width) for state in STATES]
    outputs = [real("logits", VOCABULARY)] + [real(f"{state}_out", width) for state in STATES]
    graph = helper.make_graph(nodes, "lstm", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def seconds(path: str, width: int) -> float:
    """CPU seconds of one step."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input("token", np.array([[3]], np.int64))
    for state in STATES:
        binding.bind_cpu_input(state, np.zeros((1, 1, width), np.float32))
    for output in session.get_outputs():
        binding.bind_output(output.name, "cpu")
    rounds = []
    for _ in range(8):
        start = time.thread_time()
        for _ in range(300):
            session.run_with_iobinding(binding)
        rounds.append((time.thread_time() - start) / 300)
    return min(rounds[1:])


def main() -> None:
    print(f"ONNX Runtime {onnxruntime.__version__}")
    for width in [int(word) for word in sys.argv[1:]] or [128, 256, 512]:
        with tempfile.TemporaryDirectory() as folder:
            f32, int8 = f"{folder}/f32.onnx", f"{folder}/int8.onnx"
            onnx.save(model(width), f32)
            quantize_dynamic(f32, int8, weight_type=QuantType.QInt8)
            for name, path in [("f32", f32), ("int8", int8)]:
                print(f"2 x {width}, {name}: {1e6 * seconds(path, width):.1f} us a step")


if __name__ == "__main__":
    main()

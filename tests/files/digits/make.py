"""Makes the files of this folder: a small LSTM that reads digits of seven segments, row by row, as TensorFlow Lite.

The same graph as TensorFlow Lite Micro's MNIST example, with ten units instead of twenty and digits drawn here. Needs
tensorflow-cpu 2.21, tf_keras 2.21 (the converter fuses only the LSTM of Keras 2); run in this folder. Training is not
reproducible to the bit between machines: the files that are committed are the ones that the tests know.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf

SEGMENTS = ["abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"]


def draw(digit, random):
    """28 × 28 bytes: a digit somewhere near the middle, lines of 2 or 3, noise."""
    image = np.zeros((28, 28), np.float32)
    x, y, thick = random.integers(6, 11), random.integers(3, 7), int(random.integers(2, 4))
    boxes = {"a": (0, 0, 9, thick), "g": (0, 9, 9, thick), "d": (0, 18, 9, thick), "f": (0, 0, thick, 9)}
    boxes |= {"b": (9 - thick, 0, thick, 9), "e": (0, 9, thick, 9 + thick), "c": (9 - thick, 9, thick, 9 + thick)}
    for segment in SEGMENTS[digit]:
        left, top, width, height = boxes[segment]
        image[y + top : y + top + height, x + left : x + left + width] = random.uniform(0.6, 1)
    return (np.clip(image + random.uniform(0, 0.15, (28, 28)), 0, 1) * 255).astype(np.uint8)


def drawn(count, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, count)
    return np.stack([draw(label, random) for label in labels]) / np.float32(255), labels


def train(images, labels):
    tf.random.set_seed(1)
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Input(shape=(28, 28)),
            layers.LSTM(10, return_sequences=True),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images, labels, epochs=6, batch_size=32, verbose=2)
    one = layers.Input(shape=[28, 28], batch_size=1)
    return tf.keras.Model(one, model(one))


def convert(model, name, images=None, per_channel=False):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if images is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in images[:300])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter._experimental_disable_per_channel_quantization_for_dense_layers = not per_channel
        if not per_channel:  # The other keeps real numbers at its ends.
            converter.inference_input_type = converter.inference_output_type = tf.int8
    with open(f"{name}.tflite", "wb") as file:
        file.write(converter.convert())


def outputs(name, images):
    interpreter = tf.lite.Interpreter(f"{name}.tflite")
    interpreter.allocate_tensors()
    into, out = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    results = []
    for image in images:
        interpreter.reset_all_variables()
        if into["dtype"] == np.int8:
            scale, zero_point = into["quantization"]
            image = np.clip(np.round(image / scale) + zero_point, -128, 127).astype(np.int8)
        interpreter.set_tensor(into["index"], image[None])
        interpreter.invoke()
        results.append(interpreter.get_tensor(out["index"])[0].copy())
    return np.stack(results)


images, labels = drawn(6000, 1)
model = train(images, labels)
convert(model, "float")
convert(model, "int8", images)
convert(model, "per_channel", images, per_channel=True)
samples = np.stack([draw(digit, np.random.default_rng(100 + digit)) for digit in range(10)])
samples.tofile("images.bin")
outputs("float", samples / np.float32(255)).tofile("float.bin")
outputs("int8", samples / np.float32(255)).tofile("int8.bin")

// Tokens a second of the page's program, with vectors and without, in turn: `node speed.mjs [ROUNDS]`, after build.mjs.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const rounds = Number(process.argv[2] ?? 31);
const here = fileURLToPath(new URL(".", import.meta.url));
const texts = { "shakespeare-lstm": ["ROMEO:", 2000], tinystories: ["Once upon a time", 200] };
const programs = ["simd128", "scalar"].map(
  (name) => new WebAssembly.Module(readFileSync(join(here, `../target/page-${name}/page.wasm`))),
);

// An instance that has the model and a prompt in memory; `write` gives tokens a second, the prompt not counted.
function writer(module, model, [prompt, tokens]) {
  let fallen, start;
  const host = {
    write: () => {},
    pin: (high) => {
      if (!high && (fallen += 1) === 1) start = process.hrtime.bigint();
    },
    nanoseconds: process.hrtime.bigint,
    sampling: () => {},
    exit: () => {},
  };
  const { exports } = new WebAssembly.Instance(module, { host });
  const put = (bytes) => {
    const at = exports.reserve(bytes.length);
    new Uint8Array(exports.memory.buffer, at, bytes.length).set(bytes);
    return [at, bytes.length];
  };
  const given = [...put(readFileSync(join(here, `../../models/${model}/model.whit`))), ...put(Buffer.from(prompt))];
  return function write() {
    fallen = 0;
    if (exports.generate(...given, 0, 1, 0n, tokens)) throw new Error("the model cannot be run");
    return ((fallen - 1) * 1e9) / Number(process.hrtime.bigint() - start);
  };
}

function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

for (const [model, text] of Object.entries(texts)) {
  const [simd128, scalar] = programs.map((program) => writer(program, model, text));
  const measured = [];
  // The first rounds wait for the compiler.
  for (let round = -5; round < rounds; round += 1) {
    const pair = [simd128(), scalar()];
    if (round >= 0) measured.push(pair);
  }
  const speeds = [0, 1].map((i) => Math.round(median(measured.map((pair) => pair[i]))).toLocaleString("en"));
  const times = median(measured.map(([fast, slow]) => fast / slow)).toFixed(2);
  console.log(`${model}: simd128 ${speeds[0]} tokens/s, scalar ${speeds[1]}: ${times} times as fast (median of ${rounds} pairs)`);
}

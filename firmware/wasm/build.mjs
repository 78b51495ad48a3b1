// Makes the page, one file with everything in it: `node build.mjs` writes ../target/whit.html, with the model that is
// built into `whit`, or another: `node build.mjs FILE.whit`. Needs cargo, Rust's wasm32-unknown-unknown, and wasm-opt of
// binaryen (108 or later).
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const target = join(here, "../target");
const model = process.argv[2] ?? join(here, "../../models/shakespeare-lstm/model.whit");
const read = (name) => readFileSync(join(here, "page", name), "utf8");

// Most bytes of a program.
const most = 120_000;

// Besides what a release always is: no place is inlined for speed, and panics name files by their place in the project.
const flags = [
  "-Cllvm-args=-inline-threshold=0",
  `--remap-path-prefix=${join(here, "../..")}/=`,
  `--remap-path-prefix=${process.env.CARGO_HOME ?? join(homedir(), ".cargo")}=cargo`,
];

// What every browser with WebAssembly vectors has, and what Rust's target asks of those without.
const features = ["bulk-memory", "multivalue", "mutable-globals", "nontrapping-float-to-int", "reference-types", "sign-ext"];

// The program built with a feature of the target, or without.
function program(name, feature) {
  const folder = join(target, `page-${name}`);
  const optimized = join(folder, "page.wasm");
  const cargo = ["build", "--quiet", "--release", "-p", "whit-wasm", "--bin", "page", "--target-dir", folder];
  execFileSync("cargo", [...cargo, "--target", "wasm32-unknown-unknown"], {
    cwd: here,
    env: { ...process.env, RUSTFLAGS: [...flags, ...feature.map((name) => `-Ctarget-feature=+${name}`)].join(" ") },
    stdio: "inherit",
  });
  const enabled = [...features, ...feature.map((name) => name.replace("simd128", "simd"))];
  const stripped = ["--strip-debug", "--strip-producers", "--strip-target-features"];
  execFileSync("wasm-opt", [
    join(folder, "wasm32-unknown-unknown/release/page.wasm"),
    ...enabled.map((name) => `--enable-${name}`),
    ...["-Oz", "--converge", "--low-memory-unused", ...stripped, "-o", optimized],
  ]);
  const bytes = readFileSync(optimized);
  console.log(`${name}: ${bytes.length} bytes of WebAssembly, of at most ${most}`);
  if (bytes.length > most) process.exit(1);
  return bytes.toString("base64");
}

const data = {
  name: model.endsWith("/model.whit") ? `${basename(join(model, ".."))}.whit` : basename(model),
  model: readFileSync(model).toString("base64"),
  simd128: program("simd128", ["simd128"]),
  scalar: program("scalar", []),
};
const parts = {
  "/* style.css */": read("style.css"),
  "/* data.js */": `const data = ${JSON.stringify(data)};`,
  "/* worker.js */": read("worker.js"),
  "/* page.js */": read("page.js"),
};
let page = read("index.html");
for (const [place, part] of Object.entries(parts)) page = page.replace(place, () => part.trimEnd());
writeFileSync(join(target, "whit.html"), page);
console.log(`firmware/target/whit.html: ${page.length} bytes, everything in it`);

// Makes the page, one file with everything in it: `node build.mjs` writes ../target/whit.html, with the model that is
// built into `whit`, or another: `node build.mjs FILE.whit`. Needs cargo and Rust's wasm32-unknown-unknown.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const here = import.meta.dirname;
const target = join(here, "../target");
const model = process.argv[2] ?? join(here, "../../models/shakespeare-lstm/model.whit");
const read = (name) => readFileSync(join(here, "page", name), "utf8");

// The bytes of the program, built with the features given.
function program(name, features) {
  const folder = join(target, `page-${name}`);
  const arguments_ = ["build", "--quiet", "--release", "-p", "whit-wasm", "--bin", "page"];
  execFileSync("cargo", [...arguments_, "--target", "wasm32-unknown-unknown", "--target-dir", folder], {
    cwd: here,
    env: { ...process.env, RUSTFLAGS: `-Cstrip=symbols ${features}` },
    stdio: "inherit",
  });
  const bytes = readFileSync(join(folder, "wasm32-unknown-unknown/release/page.wasm"));
  console.log(`${name}: ${bytes.length} bytes of WebAssembly`);
  return bytes;
}

const data = {
  name: model.endsWith("/model.whit") ? `${basename(join(model, ".."))}.whit` : basename(model),
  model: readFileSync(model).toString("base64"),
  simd128: program("simd128", "-Ctarget-feature=+simd128").toString("base64"),
  scalar: program("scalar", "").toString("base64"),
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

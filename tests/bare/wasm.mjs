// The host of whit-bare for WebAssembly: `node wasm.mjs FILE.wasm` ends with the program's exit code.
import { readFileSync, writeSync } from "node:fs";

const standardError = 2;
const host = {
  write: (text, length) => writeSync(standardError, new Uint8Array(exports.memory.buffer, text, length)),
  exit: (code) => process.exit(code),
};
const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const { exports } = new WebAssembly.Instance(module, { host });
exports._start();
// The program ends itself: to come back is to have failed.
process.exit(101);

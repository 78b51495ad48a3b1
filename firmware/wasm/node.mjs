// The host of the programs for WebAssembly under node: `node node.mjs FILE.wasm` ends with the program's exit code.
import { readFileSync, writeSync } from "node:fs";

const standardOutput = 1;
const host = {
  write: (text, length) => writeSync(standardOutput, new Uint8Array(exports.memory.buffer, text, length)),
  pin: () => {},
  nanoseconds: () => process.hrtime.bigint(),
  exit: (code) => process.exit(code),
};
const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const { exports } = new WebAssembly.Instance(module, { host });
exports._start();
// The program ends itself: to come back is to have failed.
process.exit(101);

// Runs the Pico's image under rp2040js, types a text on its serial line, and counts cycles of the core between the edges of
// the measuring pin:
//
//     node emulate.mjs ../../target/thumbv6m-none-eabi/release/whit-pico 'ROMEO:'
//
// With DISPLAY_TOO=1 there is a display, whose picture comes last.
//
// The image starts as the boot ROM starts it: its second stage, if the checksum is right, runs from RAM, sets up the flash
// and jumps to the program. Flash answers at once here; a real one makes the core wait where its cache of 16 kB misses.
import { readFileSync } from 'node:fs';
import { ConsoleLogger, LogLevel, RP2040 } from 'rp2040js';
import { Ssd1306 } from './ssd1306.mjs';

const FLASH = 0x10000000;
const FLASH_LEN = 2 << 20;
const RAM = 0x20000000;
const STAGE2 = RAM + 0x41f00; // where the ROM puts it (RP2040 datasheet, 2.8.2.3)
const STAGE2_LEN = 256;
const PIN = 2;
const NS = 1e9;
const MOST_CYCLES = 20e9;

const [, , file, ...lines] = process.argv;
const chip = new RP2040();
// It warns of registers that it leaves out: the ring oscillator's and the voltage regulator's.
chip.logger = new ConsoleLogger(LogLevel.Error);
const flash = load(readFileSync(file));
start(flash);
const display = process.env.DISPLAY_TOO && new Ssd1306(chip.i2c[0]);
const pulses = countPulses();
talk(lines);
if (display) console.log(`\n${display.picture()}`);

/** What a tool that writes the flash takes from an ELF file: the segments with bytes, by their physical address. */
function load(elf) {
  const flash = new Uint8Array(FLASH_LEN).fill(0xff);
  const [table, size, count] = [elf.readUInt32LE(28), elf.readUInt16LE(42), elf.readUInt16LE(44)];
  for (let i = 0; i < count; i++) {
    const at = table + i * size;
    const [type, offset, , address, len] = [0, 1, 2, 3, 4].map((word) => elf.readUInt32LE(at + 4 * word));
    if (type === 1 && len > 0) flash.set(elf.subarray(offset, offset + len), address - FLASH);
  }
  return flash;
}

/** What the boot ROM does. */
function start(flash) {
  const stage2 = flash.subarray(0, STAGE2_LEN);
  const stored = new DataView(stage2.buffer).getUint32(STAGE2_LEN - 4, true);
  if (crc(stage2.subarray(0, -4)) !== stored) fail('the checksum of the second stage is wrong');
  chip.flash.set(flash);
  chip.sram.set(stage2, STAGE2 - RAM);
  chip.core.SP = chip.core.PC = STAGE2;
  chip.core.LR = 0;
}

/** CRC-32 as the boot ROM computes it: highest bit first, from all ones. */
function crc(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  }
  return crc >>> 0;
}

/** The lengths of the measuring pin's pulses, in cycles. */
function countPulses() {
  const pulses = [];
  let rise;
  chip.gpio[PIN].addListener((state) => {
    if (state === 1) rise = chip.core.cycles;
    else if (rise !== undefined) {
      pulses.push(chip.core.cycles - rise);
      rise = undefined;
    }
  });
  return pulses;
}

/** Types a line at each prompt and shows what comes back, until the prompt after the last. */
function talk(lines) {
  let [shown, done] = ['', false];
  chip.uart[0].onByte = (byte) => {
    process.stdout.write(Uint8Array.of(byte));
    shown = (shown + String.fromCharCode(byte)).slice(-3);
    if (shown !== '\n> ') return;
    report();
    const line = lines.shift();
    if (line === undefined) done = true;
    else for (const byte of Buffer.from(`${line}\r`)) chip.uart[0].feedByte(byte);
  };
  while (!done) {
    const cycles = chip.core.executeInstruction();
    chip.clock.tick((cycles * NS) / chip.clkSys);
    if (chip.core.cycles > MOST_CYCLES) fail('no prompt');
  }
}

/** One line on the pulses since the last. */
function report() {
  const [prompt, ...tokens] = pulses.splice(0);
  if (prompt === undefined) return;
  // Nothing is fed for the first token.
  const each = tokens.slice(1).reduce((sum, pulse) => sum + pulse, 0) / (tokens.length - 1);
  console.error(`pin: ${tokens.length} tokens, ${Math.round(each)} cycles each, the prompt ${prompt}`);
}

function fail(why) {
  console.error(why);
  process.exit(1);
}

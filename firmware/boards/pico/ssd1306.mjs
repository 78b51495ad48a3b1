// A display of 128 by 64 pixels with an SSD1306 on an I²C bus of rp2040js: keeps its picture, in horizontal addressing mode.

const [WIDTH, PAGES] = [128, 8]; // a page is eight lines of pixels, a byte of it eight pixels of a column, lowest bit on top
const ADDRESS = 0x3c;
const DATA = 0x40; // a transfer begins with what follows: this, or commands
const [COLUMNS, ROWS] = [0x21, 0x22]; // the window that data fills: first and last
const ONE_ARGUMENT = [0x20, 0x81, 0x8d, 0xa8, 0xd3, 0xd5, 0xd6, 0xd9, 0xda, 0xdb];

export class Ssd1306 {
  #memory = new Uint8Array(WIDTH * PAGES);
  #kind;
  #command = [];
  #columns = [0, WIDTH - 1];
  #pages = [0, PAGES - 1];
  #column = 0;
  #page = 0;

  constructor(bus) {
    bus.onStart = () => {
      this.#kind = undefined;
      bus.completeStart();
    };
    bus.onConnect = (address) => bus.completeConnect(address === ADDRESS);
    bus.onWriteByte = (byte) => {
      if (this.#kind === undefined) this.#kind = byte;
      else if (this.#kind === DATA) this.#fill(byte);
      else this.#take(byte);
      bus.completeWrite(true);
    };
  }

  #fill(byte) {
    this.#memory[this.#page * WIDTH + this.#column] = byte;
    if (this.#column++ < this.#columns[1]) return;
    this.#column = this.#columns[0];
    this.#page = this.#page < this.#pages[1] ? this.#page + 1 : this.#pages[0];
  }

  /** A byte of a command. Those that set the window are obeyed, of the others only their length is known. */
  #take(byte) {
    this.#command.push(byte);
    const [command, first, last] = this.#command;
    const window = command === COLUMNS || command === ROWS;
    if (this.#command.length <= (window ? 2 : ONE_ARGUMENT.includes(command) ? 1 : 0)) return;
    if (command === COLUMNS) [this.#columns, this.#column] = [[first, last], first];
    if (command === ROWS) [this.#pages, this.#page] = [[first, last], first];
    this.#command = [];
  }

  /** The picture as text, two pixels in a character. */
  picture() {
    const lit = (x, y) => (this.#memory[(y >> 3) * WIDTH + x] >> (y & 7)) & 1;
    const line = (y) => Array.from({ length: WIDTH }, (_, x) => ' ▀▄█'[lit(x, y) + 2 * lit(x, y + 1)]);
    return Array.from({ length: PAGES * 4 }, (_, half) => line(2 * half).join('').trimEnd()).join('\n');
  }
}

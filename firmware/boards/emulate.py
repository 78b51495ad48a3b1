"""Runs the image of a board with a Cortex-M4, M7 or M33 on a core that Unicorn (pip install unicorn) emulates, types lines on its
serial line, and shows what comes back:

    python3 emulate.py nucleo-f446re ../target/thumbv7em-none-eabihf/release/whit-nucleo-f446re 'ROMEO:'

Of the chips there are memory, a UART, the measuring pin, and registers that keep what is written and say at once that what was
switched on is ready, as the reference manuals have them: what start-up code, HAL and model need to run. Nothing takes time, and
the cycle counter stands still.
"""

import struct
import sys
from dataclasses import dataclass, field

from unicorn import UC_ARCH_ARM, UC_MODE_MCLASS, UC_MODE_THUMB, Uc
from unicorn.arm_const import (
    UC_ARM_REG_SP,
    UC_CPU_ARM_CORTEX_M4,
    UC_CPU_ARM_CORTEX_M7,
    UC_CPU_ARM_CORTEX_M33,
)

RAM = (0x20000000, 1 << 20)
FLASH_LEN = 4 << 20
# Some hundred times what a text takes.
MOST_MICROSECONDS = 300_000_000
# Peripherals, and the core's own.
REGISTERS = [(0x40000000, 0x20000000), (0xD0000000, 0x1000), (0xE0000000, 0x100000)]
# Of the nRF52840, what chip it is, and its configuration.
INFORMATION = (0x10000000, 0x2000)


def ready(*pairs):
    """A register in which bit b follows bit a, for each pair (a, b)."""
    return lambda chip, value: value | sum((value >> on & 1) << is_on for on, is_on in pairs)


def always(bits):
    """A register in which bits are set."""
    return lambda _, value: value | bits


def one_hot(control, mask):
    """A register that says which choice of another one is in force."""
    return lambda chip, _: 1 << (chip.kept.get(control, 0) & mask)


def received(chip, _):
    """The register from which the UART's bytes are read."""
    return chip.typed.pop(0) if chip.typed else 0


def uart_state(idle, waiting, empty):
    """The state of a UART that can always send: bits that are set, those while a byte waits, those while none does."""
    return lambda chip, _: idle | (waiting if chip.typed else empty)


def sent(chip, value):
    """The register to which the UART's bytes are written."""
    chip.show(value & 0xFF)


def pin(mask, level):
    """A register that sets or clears the pins of a mask."""
    return lambda chip, value: chip.set_pin(level) if value & mask else None


def set_or_clear(bit):
    """A register that sets pins with its lower half and clears them with its upper one."""
    return lambda chip, value: [pin(1 << bit, 1)(chip, value), pin(1 << bit + 16, 0)(chip, value)]


# nRF52840: its UART reads and writes memory. Product specification 1.7, 6.34.
UARTE = 0x40002000
ENDRX, ENDTX, RXSTARTED, TXSTARTED, TXSTOPPED = (UARTE + offset for offset in (0x110, 0x120, 0x14C, 0x150, 0x158))
RXD, TXD = UARTE + 0x534, UARTE + 0x544


def receive_into_memory(chip, value):
    if not value and chip.typed and chip.kept.get(RXSTARTED):
        chip.core.mem_write(chip.kept[RXD], bytes([chip.typed.pop(0)]))
        chip.kept[RXD + 8] = value = chip.kept[ENDRX] = 1
    return value


def send_from_memory(chip, _):
    for byte in chip.core.mem_read(chip.kept[TXD], chip.kept[TXD + 4]):
        chip.show(byte)
    chip.kept[ENDTX] = chip.kept[TXSTARTED] = 1


def event(register):
    """A task that ends in an event."""
    return lambda chip, _: chip.kept.update({register: 1})


@dataclass
class Board:
    """What differs: the core, where flash is, and registers that are more than memory, when read and when written."""

    cpu: int
    flash: int
    reads: dict
    writes: dict
    atomic: bool = False  # registers have aliases that flip, set and clear bits (RP2350 datasheet, 2.1.3)


BOARDS = {
    "nrf52840-dk": Board(
        UC_CPU_ARM_CORTEX_M4,
        0x00000000,
        {
            0x10000104: always(int.from_bytes(b"0FAA", "little")),
            0x10001208: always(0x5A),
            0x40000100: always(1),
            ENDRX: receive_into_memory,
        },
        {
            UARTE: event(RXSTARTED),
            UARTE + 0x8: send_from_memory,
            UARTE + 0xC: event(TXSTOPPED),
            0x50000508: pin(1 << 3, 1),
            0x5000050C: pin(1 << 3, 0),
        },
    ),
    # Reference manual RM0390: RCC, PWR, USART2, GPIOA.
    "nucleo-f446re": Board(
        UC_CPU_ARM_CORTEX_M4,
        0x08000000,
        {
            0x40023800: ready((0, 1), (16, 17), (24, 25)),
            0x40023808: ready((0, 2), (1, 3)),
            0x40023874: ready((0, 1)),
            0x40007004: always(1 << 14 | 3 << 16),
            0x40004400: uart_state(3 << 6, 1 << 5, 0),
            0x40004404: received,
        },
        {0x40004404: sent, 0x40020018: set_or_clear(0)},
    ),
    # RM0433: RCC, PWR, USART3, GPIOA.
    "nucleo-h743zi": Board(
        UC_CPU_ARM_CORTEX_M7,
        0x08000000,
        {
            0x58024400: ready((0, 2), (7, 8), (12, 13), (16, 17), (24, 25), (26, 27), (28, 29)),
            0x58024410: ready((0, 3), (1, 4), (2, 5)),
            0x58024474: ready((0, 1)),
            0x58024804: always(1 << 13),
            0x58024818: always(1 << 13),
            0x4000481C: uart_state(3 << 6 | 3 << 21, 1 << 5, 0),
            0x40004824: received,
        },
        {0x40004828: sent, 0x58020018: set_or_clear(3)},
    ),
    # RP2350 datasheet: clocks, resets, crystal, two PLLs, UART0, SIO.
    "pico2": Board(
        UC_CPU_ARM_CORTEX_M33,
        0x10000000,
        {
            0x40010038: one_hot(0x40010030, 3),
            0x40010044: one_hot(0x4001003C, 1),
            0x40020008: always(0xFFFFFFFF),
            0x40048004: always(1 << 31),
            0x40050000: always(1 << 31),
            0x40058000: always(1 << 31),
            0x40070018: uart_state(1 << 7, 0, 1 << 4),
            0x40070000: received,
        },
        {0x40070000: sent, 0xD0000018: pin(1 << 2, 1), 0xD0000020: pin(1 << 2, 0)},
        atomic=True,
    ),
}


@dataclass
class Chip:
    """A board with an image in its flash."""

    board: Board
    image: bytes
    lines: list
    typed: list = field(default_factory=list)
    kept: dict = field(default_factory=dict)
    shown: bytes = b""
    level: int = 0
    pulses: int = 0
    done: bool = False

    def run(self):
        """Until the prompt after the last line."""
        self.core = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        self.core.ctl_set_cpu_model(self.board.cpu)
        self.core.mem_map(*RAM)
        self.core.mem_map(self.board.flash, FLASH_LEN)
        for start, size in REGISTERS if self.board.flash else [INFORMATION, *REGISTERS]:
            self.core.mmio_map(start, size, self.read, start, self.write, start)
        self.load()
        stack, start = struct.unpack("<II", self.core.mem_read(self.board.flash, 8))
        self.core.reg_write(UC_ARM_REG_SP, stack)
        self.core.emu_start(start, 0xFFFFFFFF, timeout=MOST_MICROSECONDS)
        if not self.done:
            sys.exit("no prompt")

    def load(self):
        """What a tool that writes the flash takes from an ELF file: the segments with bytes, by their physical address."""
        (table,) = struct.unpack_from("<I", self.image, 28)
        size, count = struct.unpack_from("<HH", self.image, 42)
        for at in range(table, table + size * count, size):
            kind, offset, _, address, length = struct.unpack_from("<5I", self.image, at)
            if kind == 1 and length:
                self.core.mem_write(address, self.image[offset : offset + length])

    def read(self, _, offset, size, start):
        address = start + offset
        word = address & ~3
        value = self.kept.get(word, 0)
        if word in self.board.reads:
            value = self.board.reads[word](self, value)
        return value >> 8 * (address & 3) & (1 << 8 * size) - 1

    def write(self, _, offset, size, value, start):
        address = start + offset
        if self.board.atomic and start == REGISTERS[0][0]:
            alias, address = address >> 12 & 3, address & ~0x3000
            old = self.kept.get(address, 0)
            value = [value, old ^ value, old | value, old & ~value][alias]
        self.kept[address] = value
        if address in self.board.writes:
            self.board.writes[address](self, value)

    def show(self, byte):
        """A byte that came over the serial line; at a prompt, the next line is typed."""
        if self.level:
            sys.exit("text goes out while the measuring pin is high")
        sys.stdout.buffer.write(bytes([byte]))
        self.shown = (self.shown + bytes([byte]))[-3:]
        if self.shown != b"\n> ":
            return
        if self.pulses:
            print(f"pin: {self.pulses - 1} tokens", file=sys.stderr)
        self.pulses = 0
        if self.lines:
            self.typed += (self.lines.pop(0) + "\r").encode()
        else:
            self.done = True
            self.core.emu_stop()

    def set_pin(self, level):
        self.pulses += level > self.level
        self.level = level


if __name__ == "__main__":
    name, file, *lines = sys.argv[1:]
    with open(file, "rb") as elf:
        Chip(BOARDS[name], elf.read(), lines).run()
    sys.stdout.flush()

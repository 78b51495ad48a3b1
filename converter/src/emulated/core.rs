//! The cores that can be emulated, and what stands for each.

/// A core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// No FPU, no DSP extension, the slowest of Arm's.
    CortexM0,
    /// FPU and DSP extension.
    CortexM4,
    /// The same, two instructions at a time.
    CortexM7,
    /// The same extensions, of a later architecture.
    CortexM33,
    /// RV32IMC, no FPU.
    Rv32,
    /// Raspberry Pi 3 and Zero 2 W.
    CortexA53,
    /// Raspberry Pi 4.
    CortexA72,
    /// Raspberry Pi 5.
    CortexA76,
}

/// What stands for a core.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// A whole board without a system, and the program is all that is on it.
    Board(Board),
    /// A processor that runs one program of Linux.
    Linux {
        /// Its name in QEMU.
        cpu: &'static str,
    },
}

/// A board of `firmware/boards/emulated`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Board {
    /// Its name in QEMU.
    pub(super) machine: &'static str,
    /// Rust's name for its core, which also chooses the board's code.
    pub(super) target: &'static str,
    /// The file in `memory` that says what it has.
    pub(super) memory: &'static str,
    /// Tokens that its programs take at a time, as its code has it.
    pub(super) batch: usize,
}

impl Core {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::CortexM0,
        Self::CortexM4,
        Self::CortexM7,
        Self::CortexM33,
        Self::Rv32,
        Self::CortexA53,
        Self::CortexA72,
        Self::CortexA76,
    ];

    /// As it is asked for.
    pub fn name(self) -> &'static str {
        match self {
            Self::CortexM0 => "cortex-m0",
            Self::CortexM4 => "cortex-m4",
            Self::CortexM7 => "cortex-m7",
            Self::CortexM33 => "cortex-m33",
            Self::Rv32 => "rv32",
            Self::CortexA53 => "cortex-a53",
            Self::CortexA72 => "cortex-a72",
            Self::CortexA76 => "cortex-a76",
        }
    }

    /// What has it, and what of that is emulated.
    pub fn describes(self) -> &'static str {
        match self {
            Self::CortexM0 => "BBC micro:bit, with its 256 kB of flash and 16 kB of RAM",
            Self::CortexM4 => "with FPU; Arm MPS2 AN386",
            Self::CortexM7 => "with FPU; Arm MPS2 AN500",
            Self::CortexM33 => "with FPU and DSP extension; Arm MPS2 AN505",
            Self::Rv32 => "RV32IMC, as in an ESP32-C3; QEMU's virt",
            Self::CortexA53 => "Raspberry Pi 3, Zero 2 W; user-mode emulation",
            Self::CortexA72 => "Raspberry Pi 4; user-mode emulation",
            Self::CortexA76 => "Raspberry Pi 5; user-mode emulation",
        }
    }

    pub(super) fn place(self) -> Place {
        let board = |machine, target, memory, batch| Place::Board(Board { machine, target, memory, batch });
        match self {
            Self::CortexM0 => board("microbit", "thumbv6m-none-eabi", "microbit.x", 1),
            Self::CortexM4 => board("mps2-an386", "thumbv7em-none-eabihf", "mps2.x", 8),
            Self::CortexM7 => board("mps2-an500", "thumbv7em-none-eabihf", "mps2.x", 8),
            Self::CortexM33 => board("mps2-an505", "thumbv8m.main-none-eabihf", "mps2-an505.x", 8),
            Self::Rv32 => board("virt", "riscv32imc-unknown-none-elf", "virt.x", 8),
            Self::CortexA53 | Self::CortexA72 | Self::CortexA76 => Place::Linux { cpu: self.name() },
        }
    }
}

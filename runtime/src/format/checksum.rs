//! CRC-32 as in IEEE 802.3 (reflected polynomial 0xEDB88320, initial value and final xor all ones).
//!
//! It finds every burst of up to 32 damaged bits and every odd number of them. Eight bytes a step on hosts (8 kB
//! of tables), half a byte on 32-bit cores (64 bytes), where a model is opened but not every byte of it read.

const SLICES: usize = 8;

/// What four bits of the running value become.
static NIBBLES: [u32; 16] = {
    let mut nibbles = [0; 16];
    let mut nibble = 0;
    while nibble < 16 {
        nibbles[nibble] = shifted(nibble as u32, 4);
        nibble += 1;
    }
    nibbles
};

/// What the lowest `bits` bits of the running value become.
const fn shifted(mut crc: u32, bits: u32) -> u32 {
    let mut bit = 0;
    while bit < bits {
        crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        bit += 1;
    }
    crc
}

static TABLES: [[u32; 256]; SLICES] = tables();

const fn tables() -> [[u32; 256]; SLICES] {
    let mut tables = [[0; 256]; SLICES];
    let mut byte = 0;
    while byte < 256 {
        tables[0][byte] = shifted(byte as u32, 8);
        byte += 1;
    }
    let mut slice = 1;
    while slice < SLICES {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[slice - 1][byte];
            tables[slice][byte] = before >> 8 ^ tables[0][(before & 255) as usize];
            byte += 1;
        }
        slice += 1;
    }
    tables
}

/// A running CRC-32.
#[derive(Clone, Copy, Debug)]
pub struct Crc32 {
    state: u32,
}

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}

impl Crc32 {
    /// That of nothing.
    pub const fn new() -> Self {
        Self { state: !0 }
    }

    /// The checksum of `bytes`.
    pub fn of(bytes: &[u8]) -> u32 {
        let mut crc = Self::default();
        crc.update(bytes);
        crc.value()
    }

    /// Takes in more bytes.
    pub const fn update(&mut self, bytes: &[u8]) {
        self.state = if cfg!(target_pointer_width = "64") {
            by_slices(self.state, bytes)
        } else {
            by_nibbles(self.state, bytes)
        };
    }

    /// The checksum of what was taken in.
    pub const fn value(self) -> u32 {
        !self.state
    }
}

const fn by_slices(mut crc: u32, mut bytes: &[u8]) -> u32 {
    while let Some((chunk, rest)) = bytes.split_first_chunk::<SLICES>() {
        let (mut next, mut i) = (0, 0);
        while i < SLICES {
            // The first four bytes meet the four bytes of the running value.
            let running = if i < 4 { crc >> (8 * i) } else { 0 };
            next ^= TABLES[SLICES - 1 - i][(running as u8 ^ chunk[i]) as usize];
            i += 1;
        }
        (crc, bytes) = (next, rest);
    }
    while let Some((&byte, rest)) = bytes.split_first() {
        (crc, bytes) = (crc >> 8 ^ TABLES[0][(crc as u8 ^ byte) as usize], rest);
    }
    crc
}

const fn by_nibbles(mut crc: u32, mut bytes: &[u8]) -> u32 {
    while let Some((&byte, rest)) = bytes.split_first() {
        (crc, bytes) = (half(half(crc ^ byte as u32)), rest);
    }
    crc
}

const fn half(crc: u32) -> u32 {
    crc >> 4 ^ NIBBLES[(crc & 15) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_standard_comes_out() {
        assert_eq!(Crc32::of(b"123456789"), 0xCBF4_3926);
        assert_eq!(Crc32::of(b""), 0);
    }

    #[test]
    fn cores_of_every_width_take_the_same_checksum() {
        let bytes: [u8; 100] = core::array::from_fn(|i| (i * 37) as u8);
        for len in 0..100 {
            assert_eq!(by_slices(!0, &bytes[..len]), by_nibbles(!0, &bytes[..len]));
        }
    }

    #[test]
    fn splitting_the_input_changes_nothing() {
        let bytes: [u8; 100] = core::array::from_fn(|i| (i * 37) as u8);
        for split in 0..100 {
            let mut crc = Crc32::default();
            crc.update(&bytes[..split]);
            crc.update(&bytes[split..]);
            assert_eq!(crc.value(), Crc32::of(&bytes));
        }
    }
}

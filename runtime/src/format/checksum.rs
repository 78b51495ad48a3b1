//! CRC-32 as in IEEE 802.3 (reflected polynomial 0xEDB88320, initial value and final xor all ones).
//!
//! It finds every burst of up to 32 damaged bits and every odd number of them. Eight bytes a step on hosts (8 kB
//! of tables), one byte a step on 32-bit cores (1 kB).

#[cfg(target_pointer_width = "64")]
const SLICES: usize = 8;
#[cfg(not(target_pointer_width = "64"))]
const SLICES: usize = 1;

static TABLES: [[u32; 256]; SLICES] = tables();

const fn tables() -> [[u32; 256]; SLICES] {
    let mut tables = [[0; 256]; SLICES];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
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
        Self { state: !0 }
    }
}

impl Crc32 {
    /// The checksum of `bytes`.
    pub fn of(bytes: &[u8]) -> u32 {
        let mut crc = Self::default();
        crc.update(bytes);
        crc.value()
    }

    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let mut crc = self.state;
        let (chunks, rest) = bytes.as_chunks::<SLICES>();
        for chunk in chunks {
            let mut next = 0;
            for (i, &byte) in chunk.iter().enumerate() {
                // The first four bytes meet the four bytes of the running value; with one slice, only its lowest.
                let running = if i < 4 { crc >> (8 * i) } else { 0 };
                next ^= TABLES[SLICES - 1 - i][usize::from(running as u8 ^ byte)];
            }
            crc = if SLICES < 4 { next ^ crc >> 8 } else { next };
        }
        for &byte in rest {
            crc = crc >> 8 ^ TABLES[0][usize::from(crc as u8 ^ byte)];
        }
        self.state = crc;
    }

    /// The checksum of what was taken in.
    pub fn value(self) -> u32 {
        !self.state
    }
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

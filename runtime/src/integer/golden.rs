//! The record that proves a core's arithmetic: stated frames in, a checksum out.

use super::IntegerSession;
use crate::format::{Crc32, IntegerGolden};
use crate::sampler::Random;

impl IntegerSession<'_, '_> {
    /// Forgets everything, reads `frames` frames of the sampler's generator (seed 0, the top byte of each number), and
    /// says what came out. Every core must give what the file says.
    pub fn transcript(&mut self, frames: u32) -> IntegerGolden {
        self.reset();
        let (mut random, mut crc, mut outputs) = (Random::new(0), Crc32::default(), 0);
        for _ in 0..frames {
            self.frame().fill_with(|| (random.next_u32() >> 24) as i8);
            if let Some(vector) = self.step() {
                crc.update(bytemuck::cast_slice(vector));
                outputs += 1;
            }
        }
        IntegerGolden { frames, outputs, crc: crc.value() }
    }
}

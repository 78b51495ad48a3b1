//! Random text for tokenizer tests.

/// A stated generator (an LCG's high bits), so that failures repeat.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    /// Text of what tokenizers treat specially, between characters from all over Unicode.
    pub(crate) fn text(&mut self, pieces: usize) -> String {
        const SPECIAL: [&str; 24] = [
            " ",
            "  ",
            "\n",
            "\r\n",
            "\t",
            "\u{a0}",
            "\u{2003}",
            "\u{3000}",
            "'s",
            "'LL",
            "'ſ",
            "'Re",
            "1",
            "2345",
            "²³½",
            "Ⅷ",
            "４２",
            "e\u{301}",
            "🦙",
            "\u{200d}",
            "नमस्ते",
            "\u{2581}",
            "...",
            "hello",
        ];
        let mut text = String::new();
        for _ in 0..pieces {
            match self.below(4) {
                0 => text.push(char::from(32 + self.below(95) as u8)),
                1 => text.extend(char::from_u32(self.below(0x3_2000) as u32)),
                _ => text.push_str(SPECIAL[self.below(SPECIAL.len())]),
            }
        }
        text
    }
}

//! Random numbers that are a function of names: which seed, which step, which row.
//!
//! Nothing has to be carried along, so a run that is resumed draws what it would have drawn, whatever the threads did.

/// SplitMix64's output function (G. Steele, D. Lea and C. Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number below `bound` that goes by these names, all equally likely but for 2⁻⁶⁴ · `bound`.
pub(super) fn below(names: &[u64], bound: usize) -> usize {
    let number = names.iter().fold(0, |state, &name| mix(state ^ mix(name)));
    ((u128::from(number) * bound as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_function_is_the_published_one() {
        // The first outputs of SplitMix64 seeded with 0.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn numbers_are_spread_evenly_and_names_matter() {
        let mut counts = [0u32; 10];
        for step in 0..10_000 {
            counts[below(&[7, step], 10)] += 1;
        }
        // Five standard deviations of a binomial are 150.
        assert!(counts.iter().all(|count| count.abs_diff(1000) < 150), "{counts:?}");
        let draw = |seed| (0..20).map(|row| below(&[seed, 3, row], 1000)).collect::<Vec<_>>();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(below(&[1, 2], 1 << 40), below(&[2, 1], 1 << 40));
    }
}

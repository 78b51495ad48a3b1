//! The front of Pareto: what nothing else beats.

/// Indices of the points (cost, worth) that no other dominates, in their order: no other costs at most as much and is
/// worth at least as much, with one of the two better. Of points that are equal in both, all stay.
pub fn front(points: &[(f64, f64)]) -> Vec<usize> {
    let dominates = |a: (f64, f64), b: (f64, f64)| a.0 <= b.0 && a.1 >= b.1 && a != b;
    let on_front = |&at: &usize| !points.iter().any(|&other| dominates(other, points[at]));
    (0..points.len()).filter(on_front).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_points_stay_and_dominated_ones_go() {
        assert_eq!(front(&[(1.0, 5.0), (1.0, 5.0), (2.0, 5.0), (2.0, 6.0), (1.0, 4.0)]), [0, 1, 3]);
        assert!(front(&[]).is_empty());
    }
}

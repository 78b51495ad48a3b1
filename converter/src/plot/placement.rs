//! Where labels go: beside their point, clear of other labels and points where that can be.

use super::svg::{Anchor, width};

/// Pixels between a point and its label.
const GAP: f64 = 9.0;

/// A rectangle: left, top, right, bottom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Area {
    /// The square of `radius` around a place.
    pub(super) fn around(x: f64, y: f64, radius: f64) -> Self {
        Self { left: x - radius, top: y - radius, right: x + radius, bottom: y + radius }
    }

    fn overlap(&self, other: &Self) -> f64 {
        let across = (self.right.min(other.right) - self.left.max(other.left)).max(0.0);
        let down = (self.bottom.min(other.bottom) - self.top.max(other.top)).max(0.0);
        across * down
    }

    /// How much of it lies outside of `frame`.
    fn outside(&self, frame: &Self) -> f64 {
        (self.right - self.left) * (self.bottom - self.top) - self.overlap(frame)
    }
}

/// Where a text stands: the place of its baseline, and which part of it is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) anchor: Anchor,
    /// So far from its point that a line should lead there.
    pub(super) far: bool,
}

/// The area that labels share, and what of it is taken.
#[derive(Debug)]
pub(super) struct Labels {
    frame: Area,
    taken: Vec<Area>,
}

impl Labels {
    pub(super) fn new(frame: Area) -> Self {
        Self { frame, taken: vec![] }
    }

    /// No label should stand here.
    pub(super) fn avoid(&mut self, taken: Area) {
        self.taken.push(taken);
    }

    /// The place near (x, y) where a label covers least.
    pub(super) fn place(&mut self, x: f64, y: f64, text: &str, size: f64) -> Placed {
        let candidates = candidates(x, y, size).map(|placed| (placed, extent(&placed, text, size)));
        let cost = |extent: &Area| {
            let covered: f64 = self.taken.iter().map(|taken| taken.overlap(extent)).sum();
            covered + 3.0 * extent.outside(&self.frame)
        };
        // The first of the best: candidates stand in the order of preference.
        let mut best = candidates[0];
        for candidate in candidates {
            if cost(&candidate.1) < cost(&best.1) - 0.5 {
                best = candidate;
            }
        }
        self.taken.push(best.1);
        best.0
    }
}

fn extent(placed: &Placed, text: &str, size: f64) -> Area {
    let width = width(text, size);
    let left = match placed.anchor {
        Anchor::Start => placed.x,
        Anchor::Middle => placed.x - width / 2.0,
        Anchor::End => placed.x - width,
    };
    Area { left, top: placed.y - 0.8 * size, right: left + width, bottom: placed.y + 0.25 * size }
}

/// Beside, above and below; then the same farther off.
fn candidates(x: f64, y: f64, size: f64) -> [Placed; 20] {
    let ring = |gap: f64, far| {
        let (middle, up, down) = (y + 0.3 * size, y - gap, y + gap + 0.7 * size);
        [
            Placed { x: x + gap, y: middle, anchor: Anchor::Start, far },
            Placed { x: x - gap, y: middle, anchor: Anchor::End, far },
            Placed { x, y: up, anchor: Anchor::Middle, far },
            Placed { x, y: down, anchor: Anchor::Middle, far },
            Placed { x: x + 0.7 * gap, y: up, anchor: Anchor::Start, far },
            Placed { x: x + 0.7 * gap, y: down, anchor: Anchor::Start, far },
            Placed { x: x - 0.7 * gap, y: up, anchor: Anchor::End, far },
            Placed { x: x - 0.7 * gap, y: down, anchor: Anchor::End, far },
        ]
    };
    let (near, far) = (ring(GAP, false), ring(3.0 * GAP, true));
    core::array::from_fn(|index| match index {
        0..8 => near[index],
        // Farther off, straight to the side says nothing that a slant does not say better.
        8..14 => far[index - 8 + 2],
        _ => Placed { far: true, ..ring(5.0 * GAP, true)[index - 14 + 2] },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Area = Area { left: 0.0, top: 0.0, right: 400.0, bottom: 300.0 };

    #[test]
    fn a_label_alone_stands_to_the_right() {
        let placed = Labels::new(FRAME).place(100.0, 100.0, "label", 10.0);
        assert_eq!((placed.x, placed.anchor, placed.far), (109.0, Anchor::Start, false));
    }

    #[test]
    fn at_the_right_edge_it_stands_to_the_left() {
        let placed = Labels::new(FRAME).place(395.0, 100.0, "label", 10.0);
        assert_eq!(placed.anchor, Anchor::End);
    }

    #[test]
    fn labels_of_points_at_one_place_do_not_cover_each_other() {
        let mut labels = Labels::new(FRAME);
        for _ in 0..6 {
            labels.place(200.0, 150.0, "a label", 10.0);
        }
        let taken = &labels.taken;
        let pairs = (0..taken.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
        assert!(pairs.into_iter().all(|(a, b)| taken[a].overlap(&taken[b]) < 1.0), "{taken:?}");
    }

    #[test]
    fn taken_places_are_avoided() {
        let mut labels = Labels::new(FRAME);
        labels.avoid(Area { left: 105.0, top: 0.0, right: 400.0, bottom: 300.0 });
        assert_eq!(labels.place(100.0, 100.0, "label", 10.0).anchor, Anchor::End);
    }
}

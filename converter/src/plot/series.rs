//! What a chart shows: series of points, joined or not.

/// Colours that stay apart for colour-blind readers, each dark enough for a light ground: M. Okabe and K. Ito, "Color
/// Universal Design" (2008), the yellow left out.
const COLORS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#a3478a", "#b07d00", "#3a9bd9", "#333333"];

/// A place in the units of the axes, with a label or without.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Along the horizontal axis.
    pub x: f64,
    /// Along the vertical axis.
    pub y: f64,
    /// What stands beside it.
    pub label: Option<String>,
}

impl Point {
    /// A point without a label.
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y, label: None }
    }

    /// The same with `label` beside it.
    pub fn labelled(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }
}

/// How the points of a series are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Each for itself.
    Points,
    /// Joined.
    Line,
    /// Joined by level stretches; each value holds until the next.
    Steps,
}

/// Points that belong together.
#[derive(Clone, Debug)]
pub struct Series {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
    pub(super) mark: Mark,
    pub(super) dots: bool,
    pub(super) dashed: bool,
    pub(super) color: Option<usize>,
    pub(super) shape: usize,
}

impl Series {
    /// Single points. `name` stands in the legend; an empty one does not.
    pub fn points(name: impl Into<String>, points: impl IntoIterator<Item = Point>) -> Self {
        Self { dots: true, ..Self::of(Mark::Points, name.into(), points) }
    }

    /// A line through the points.
    pub fn line(name: impl Into<String>, points: impl IntoIterator<Item = Point>) -> Self {
        Self::of(Mark::Line, name.into(), points)
    }

    /// A staircase: each value holds until the next point.
    pub fn steps(name: impl Into<String>, points: impl IntoIterator<Item = Point>) -> Self {
        Self::of(Mark::Steps, name.into(), points)
    }

    fn of(mark: Mark, name: String, points: impl IntoIterator<Item = Point>) -> Self {
        let points = points.into_iter().filter(|point| point.x.is_finite() && point.y.is_finite());
        Self { name, points: points.collect(), mark, dots: false, dashed: false, color: None, shape: 0 }
    }

    /// Also shows each point of a line.
    pub fn with_dots(self) -> Self {
        Self { dots: true, ..self }
    }

    /// Dashes: for limits and references.
    pub fn dashed(self) -> Self {
        Self { dashed: true, ..self }
    }

    /// The colour of number `color` instead of that which its place in the chart gives it.
    pub fn color(self, color: usize) -> Self {
        Self { color: Some(color), ..self }
    }

    /// Draws points as circles (0), squares (1), diamonds (2) or triangles (3).
    pub fn shape(self, shape: usize) -> Self {
        Self { shape, ..self }
    }

    /// As it stands in the legend: a staircase is a line there.
    pub(super) fn plain(self) -> Self {
        Self { mark: if self.mark == Mark::Points { Mark::Points } else { Mark::Line }, ..self }
    }

    /// The colour as SVG names it, for the series that stands at `place`.
    pub(super) fn color_name(&self, place: usize) -> &'static str {
        COLORS[self.color.unwrap_or(place) % COLORS.len()]
    }
}

//! Pictures of measurements as SVG: points, lines and steps over linear or logarithmic axes.
//!
//! Made here instead of taken from a crate because the pictures need little (two axes, three marks, a legend) and that
//! well: sensible ticks on logarithmic axes, labels that keep out of each other's way, text that stays text.
//!
//! ```
//! use whit_converter::plot::{Axis, Chart, Point, Series};
//!
//! let points = [Point::new(1.0, 100.0).labelled("int8"), Point::new(0.5, 97.0).labelled("int4")];
//! let chart = Chart::new("Quality by size", Axis::log("size, MB"), Axis::linear("quality kept, %"))
//!     .with(Series::points("variants", points));
//! assert!(chart.svg().starts_with("<svg"));
//! ```

mod axis;
mod chart;
mod placement;
mod series;
mod svg;

pub use axis::Axis;
pub use chart::Chart;
pub use series::{Point, Series};

//! A chart: title, two axes, series, legend.

use super::axis::{Axis, Span};
use super::placement::{Area, Labels};
use super::series::{Mark, Point, Series};
use super::svg::{Anchor, Font, Svg, width};

const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 28.0;
const BOTTOM: f64 = 58.0;
/// Between two lines of the legend.
const LEGEND_LINE: f64 = 20.0;

const TITLE: Font = Font { size: 19.0, bold: true, color: "#1a1a1a" };
const SUBTITLE: Font = Font { size: 12.5, bold: false, color: "#555555" };
const AXIS: Font = Font { size: 13.5, bold: false, color: "#1a1a1a" };
const TICK: Font = Font { size: 12.0, bold: false, color: "#444444" };
const LABEL: f64 = 12.0;

/// Series over two axes.
#[derive(Clone, Debug)]
pub struct Chart {
    title: String,
    subtitle: Vec<String>,
    x: Axis,
    y: Axis,
    series: Vec<Series>,
}

impl Chart {
    /// A chart without series.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self { title: title.into(), subtitle: vec![], x, y, series: vec![] }
    }

    /// A smaller line under the title, after those that are there.
    pub fn subtitle(mut self, line: impl Into<String>) -> Self {
        self.subtitle.push(line.into());
        self
    }

    /// One series more, drawn over those that are there.
    pub fn with(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// The picture: a whole SVG document.
    pub fn svg(&self) -> String {
        let mut svg = Svg::new(WIDTH, HEIGHT);
        let top = self.head(&mut svg);
        let frame = Area { left: LEFT, top, right: WIDTH - RIGHT, bottom: HEIGHT - BOTTOM };
        let points = || self.shown().flat_map(|(_, points)| points);
        let x = self.x.span(points().map(|point| point.x), frame.left, frame.right);
        let y = self.y.span(points().map(|point| point.y), frame.bottom, frame.top);
        self.axes(&mut svg, &frame, &x, &y);
        svg.clip(
            frame.left,
            frame.top - 6.0,
            frame.right - frame.left + 6.0,
            frame.bottom - frame.top + 12.0,
        );
        for (place, (series, points)) in self.shown().enumerate() {
            lines(&mut svg, series, series.color_name(place), &pixels(&points, &x, &y));
        }
        svg.unclip();
        self.dots_and_labels(&mut svg, frame, &x, &y);
        svg.finish(&self.title)
    }

    /// Each series with those of its points that have a place on both axes.
    fn shown(&self) -> impl Iterator<Item = (&Series, Vec<&Point>)> {
        let has_place = |point: &&Point| self.x.takes(point.x) && self.y.takes(point.y);
        self.series.iter().map(move |series| (series, series.points.iter().filter(has_place).collect()))
    }

    /// Title, subtitle and legend; where the plot begins.
    fn head(&self, svg: &mut Svg) -> f64 {
        svg.text(LEFT, 32.0, Anchor::Start, TITLE, &self.title);
        let mut y = 36.0;
        for line in &self.subtitle {
            y += 17.0;
            svg.text(LEFT, y, Anchor::Start, SUBTITLE, line);
        }
        y + self.legend(svg, y + 24.0) + 16.0
    }

    /// The names of the series from the line at `top` on; how high they are together.
    fn legend(&self, svg: &mut Svg, top: f64) -> f64 {
        let (mut x, mut y, mut any) = (LEFT, top, false);
        for (place, series) in self.series.iter().enumerate().filter(|(_, series)| !series.name.is_empty()) {
            let wide = 28.0 + width(&series.name, TICK.size) + 22.0;
            if any && x + wide > WIDTH - RIGHT {
                (x, y) = (LEFT, y + LEGEND_LINE);
            }
            any = true;
            let color = series.color_name(place);
            lines(svg, &series.clone().plain(), color, &[(x, y - 4.0), (x + 22.0, y - 4.0)]);
            if series.dots {
                svg.dot(x + 11.0, y - 4.0, series.shape, color);
            }
            svg.text(x + 28.0, y, Anchor::Start, TICK, &series.name);
            x += wide;
        }
        if any { y - top + LEGEND_LINE } else { 0.0 }
    }

    fn axes(&self, svg: &mut Svg, frame: &Area, x: &Span, y: &Span) {
        let grid = |major| {
            if major {
                r##"stroke="#d9d9d9" stroke-width="1""##
            } else {
                r##"stroke="#f0f0f0" stroke-width="1""##
            }
        };
        for tick in x.ticks() {
            svg.path(&[(tick.at, frame.top), (tick.at, frame.bottom)], grid(tick.label.is_some()));
            if let Some(label) = &tick.label {
                svg.text(tick.at, frame.bottom + 19.0, Anchor::Middle, TICK, label);
            }
        }
        for tick in y.ticks() {
            svg.path(&[(frame.left, tick.at), (frame.right, tick.at)], grid(tick.label.is_some()));
            if let Some(label) = &tick.label {
                svg.text(frame.left - 9.0, tick.at + 4.2, Anchor::End, TICK, label);
            }
        }
        let corner = [(frame.left, frame.top), (frame.left, frame.bottom), (frame.right, frame.bottom)];
        svg.path(&corner, r##"stroke="#444444" stroke-width="1.3""##);
        svg.text((frame.left + frame.right) / 2.0, HEIGHT - 14.0, Anchor::Middle, AXIS, &self.x.label);
        svg.upright_text(22.0, (frame.top + frame.bottom) / 2.0, AXIS, &self.y.label);
    }

    /// Points above all lines, and their labels above everything.
    fn dots_and_labels(&self, svg: &mut Svg, frame: Area, x: &Span, y: &Span) {
        let mut labels = Labels::new(frame);
        for (place, (series, points)) in self.shown().enumerate() {
            corners(series, &pixels(&points, x, y))
                .windows(2)
                .for_each(|ends| along(ends, |place| labels.avoid(place)));
            for point in points.iter().filter(|_| series.dots) {
                let (x, y) = (x.pixel(point.x), y.pixel(point.y));
                svg.dot(x, y, series.shape, series.color_name(place));
                labels.avoid(Area::around(x, y, 5.5));
            }
        }
        for (place, (series, points)) in self.shown().enumerate() {
            let font = Font { size: LABEL, bold: false, color: series.color_name(place) };
            for (point, label) in points.iter().filter_map(|point| Some((point, point.label.as_ref()?))) {
                let (x, y) = (x.pixel(point.x), y.pixel(point.y));
                let at = labels.place(x, y, label, LABEL);
                if at.far {
                    svg.path(
                        &[(x, y), (at.x, at.y - 0.3 * LABEL)],
                        r##"stroke="#999999" stroke-width="0.8""##,
                    );
                }
                svg.label(at.x, at.y, at.anchor, font, label);
            }
        }
    }
}

/// Where points stand.
fn pixels(points: &[&Point], x: &Span, y: &Span) -> Vec<(f64, f64)> {
    points.iter().map(|point| (x.pixel(point.x), y.pixel(point.y))).collect()
}

/// The corners of what joins the points of a series.
fn corners(series: &Series, pixels: &[(f64, f64)]) -> Vec<(f64, f64)> {
    match series.mark {
        Mark::Points => vec![],
        Mark::Line => pixels.to_vec(),
        Mark::Steps => {
            let corners = pixels.windows(2).flat_map(|pair| [pair[0], (pair[1].0, pair[0].1)]);
            corners.chain(pixels.last().copied()).collect()
        }
    }
}

/// Draws what joins the points of a series.
fn lines(svg: &mut Svg, series: &Series, color: &str, pixels: &[(f64, f64)]) {
    let dash = if series.dashed { r#" stroke-dasharray="7 5""# } else { "" };
    let corners = corners(series, pixels);
    if corners.len() > 1 {
        svg.path(&corners, &format!(r#"stroke="{color}" stroke-width="2" stroke-linejoin="round"{dash}"#));
    }
}

/// The ground that the line between two ends covers, in small pieces.
fn along(ends: &[(f64, f64)], mut each: impl FnMut(Area)) {
    const PIECE: f64 = 6.0;
    let [from, to] = [ends[0], ends[1]];
    let pieces = ((to.0 - from.0).hypot(to.1 - from.1) / PIECE).ceil().min(WIDTH);
    for piece in 0..=pieces as usize {
        let part = piece as f64 / pieces.max(1.0);
        each(Area::around(from.0 + part * (to.0 - from.0), from.1 + part * (to.1 - from.1), PIECE / 2.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        Chart::new("A & B <title>", Axis::log("intensity, MAC/B"), Axis::linear("speed, tokens/s").from(0.0))
            .subtitle("one line")
            .with(
                Series::line("limit", [Point::new(1.0, 5.0), Point::new(100.0, 5.0).labelled("limit \"5\"")])
                    .dashed(),
            )
            .with(Series::steps(
                "steps",
                [Point::new(1.0, 1.0), Point::new(10.0, 2.0), Point::new(50.0, 3.0)],
            ))
            .with(
                Series::points("dots", [Point::new(10.0, 2.0).labelled("here"), Point::new(-1.0, 2.0)])
                    .shape(2),
            )
    }

    #[test]
    fn a_chart_shows_its_parts_as_text() {
        let svg = chart().svg();
        for text in [
            "A &amp; B &lt;title&gt;",
            "one line",
            "intensity, MAC/B",
            "speed, tokens/s",
            "limit &quot;5&quot;",
            "here",
        ] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    /// No reader of XML is among the dependencies: every opened element must be closed in order.
    #[test]
    fn the_document_is_well_formed() {
        let svg = chart().svg();
        let mut open = vec![];
        for tag in svg.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').expect("a tag ends");
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            let name = tag.split([' ', '/']).next().expect("a name");
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None if tag.ends_with('/') => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn a_point_without_a_place_on_a_logarithmic_axis_is_left_out() {
        // The legend's mark, the legend names, and one of two points.
        assert_eq!(chart().svg().matches("l6 6l-6 6l-6 -6Z").count(), 2);
    }

    #[test]
    fn an_empty_chart_is_still_a_picture() {
        let svg = Chart::new("", Axis::log("x"), Axis::log("y")).svg();
        assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
    }
}

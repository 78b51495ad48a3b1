//! The few elements of SVG that charts are made of, and how wide text is.

use std::fmt::Write;

/// A picture in the making.
#[derive(Debug)]
pub(super) struct Svg {
    body: String,
    width: f64,
    height: f64,
}

/// Which part of a text stands at the place given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// Size, weight and colour of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Font {
    pub(super) size: f64,
    pub(super) bold: bool,
    pub(super) color: &'static str,
}

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { body: String::new(), width, height }
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{element}");
    }

    /// `content` with its baseline at `y`.
    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, font: Font, content: &str) {
        self.styled_text(x, y, anchor, font, "", content);
    }

    /// The same with a white rim, to stay readable on lines.
    pub(super) fn label(&mut self, x: f64, y: f64, anchor: Anchor, font: Font, content: &str) {
        let rim = r#" paint-order="stroke" stroke="white" stroke-width="3" stroke-linejoin="round""#;
        self.styled_text(x, y, anchor, font, rim, content);
    }

    /// `content` from below to above, its middle at the place.
    pub(super) fn upright_text(&mut self, x: f64, y: f64, font: Font, content: &str) {
        let turn = format!(r#" transform="rotate(-90 {x:.1} {y:.1})""#);
        self.styled_text(x, y, Anchor::Middle, font, &turn, content);
    }

    fn styled_text(&mut self, x: f64, y: f64, anchor: Anchor, font: Font, style: &str, content: &str) {
        let (size, color, anchor) = (font.size, font.color, anchor.name());
        let weight = if font.bold { r#" font-weight="bold""# } else { "" };
        let content = escaped(content);
        self.push(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-size="{size}" fill="{color}"{weight}{style}>{content}</text>"#
        ));
    }

    /// A line through the pixels, which `style` strokes.
    pub(super) fn path(&mut self, pixels: &[(f64, f64)], style: &str) {
        let mut data = String::new();
        for (index, (x, y)) in pixels.iter().enumerate() {
            let _ = write!(data, "{}{x:.1} {y:.1}", if index == 0 { "M" } else { "L" });
        }
        self.push(format_args!(r#"<path d="{data}" fill="none" {style}/>"#));
    }

    /// A mark of one of four shapes around (x, y).
    pub(super) fn dot(&mut self, x: f64, y: f64, shape: usize, color: &str) {
        let style = format!(r#"fill="{color}" stroke="white" stroke-width="1.2""#);
        match shape % 4 {
            0 => self.push(format_args!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="5" {style}/>"#)),
            1 => self.push(format_args!(
                r#"<rect x="{:.1}" y="{:.1}" width="9" height="9" {style}/>"#,
                x - 4.5,
                y - 4.5
            )),
            2 => self.push(format_args!(r#"<path d="M{x:.1} {:.1}l6 6l-6 6l-6 -6Z" {style}/>"#, y - 6.0)),
            _ => self.push(format_args!(r#"<path d="M{x:.1} {:.1}l6 10.5h-12Z" {style}/>"#, y - 6.5)),
        }
    }

    /// What follows is drawn only within the rectangle, until [`Svg::unclip`].
    pub(super) fn clip(&mut self, x: f64, y: f64, width: f64, height: f64) {
        self.push(format_args!(
            r#"<clipPath id="plot"><rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/></clipPath>"#
        ));
        self.push(format_args!(r#"<g clip-path="url(#plot)">"#));
    }

    pub(super) fn unclip(&mut self) {
        self.push(format_args!("</g>"));
    }

    /// The whole picture on a white ground; `title` is for readers that do not see it.
    pub(super) fn finish(self, title: &str) -> String {
        let Self { body, width, height } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" \
             font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\">\n<title>{}</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n",
            escaped(title)
        )
    }
}

/// About how wide `text` is: SVG does not tell. Taken from DejaVu Sans, the widest of the fonts asked for.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let em = |character: char| match character {
        'i' | 'l' | 'j' | '.' | ',' | ' ' | '|' | ':' | '\'' => 0.33,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.9,
        'A'..='Z' => 0.7,
        _ => 0.61,
    };
    text.chars().map(em).sum::<f64>() * size
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // No XML document may hold these.
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                out.push('\u{fffd}')
            }
            character => out.push(character),
        }
    }
    out
}

//! Drawing, as SVG: bars that share one scale, and curves of latencies.

use std::fmt::Write as _;

/// A row of a bar chart. Where its parts add up to 1 they reach the mark.
pub(super) struct Bar {
    pub(super) title: String,
    pub(super) parts: Vec<Part>,
    pub(super) label: String,
}

/// A piece of a bar.
pub(super) struct Part {
    /// Says its colour, by the style sheet.
    class: &'static str,
    what: &'static str,
    value: f64,
}

impl Part {
    pub(super) fn new(class: &'static str, what: &'static str, value: f64) -> Self {
        Self { class, what, value }
    }
}

/// Width of a bar chart, and of what stands before and behind the bars.
const WIDTH: f64 = 900.0;
const TITLE: f64 = 320.0;
const LABEL: f64 = 190.0;

/// Height of a row, and of the bar in it.
const ROW: f64 = 26.0;
const THICKNESS: f64 = 14.0;

/// The longest bar that is drawn to scale, in marks: one outlier is not to make all others dots.
const LONGEST: f64 = 4.0;

/// Horizontal bars on one scale, with a mark at 1.
pub(super) fn bars(bars: &[Bar]) -> String {
    let sum = |bar: &Bar| bar.parts.iter().map(|part| part.value).sum::<f64>();
    let longest = bars.iter().map(sum).fold(1.0, f64::max).min(LONGEST);
    let scale = (WIDTH - TITLE - LABEL) / longest;
    let height = ROW * bars.len() as f64 + 4.0;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n");
    for (row, bar) in bars.iter().enumerate() {
        let top = ROW * row as f64 + 4.0;
        let base = top + 11.5;
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{}</text>",
            TITLE - 10.0,
            bar.title
        );
        let mut at = 0.0;
        for part in &bar.parts {
            let end = (at + part.value).min(longest);
            let _ = writeln!(
                svg,
                "<rect class=\"{}\" x=\"{:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{THICKNESS}\">\
                 <title>{}</title></rect>",
                part.class,
                TITLE + at * scale,
                (end - at) * scale,
                part.what
            );
            at = end;
        }
        let broken = if sum(bar) > longest { "… " } else { "" };
        let _ = writeln!(
            svg,
            "<text class=\"faint\" x=\"{:.1}\" y=\"{base}\">{broken}{}</text>",
            TITLE + at.max(1.0) * scale + 8.0,
            bar.label
        );
    }
    let mark = TITLE + scale;
    let _ = writeln!(
        svg,
        "<line class=\"mark\" x1=\"{mark:.1}\" x2=\"{mark:.1}\" y1=\"0\" y2=\"{height}\"/>\n</svg>"
    );
    svg
}

/// Size of a chart of curves, and of the margins with its numbers.
const CURVE_WIDTH: f64 = 300.0;
const CURVE_HEIGHT: f64 = 190.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 38.0;
const BOTTOM: f64 = 22.0;

/// The percentages that are named below a chart.
const NAMED: [f64; 5] = [0.0, 50.0, 90.0, 99.0, 99.9];

/// Curves of pairs: a percentage, and the microseconds that so many requests had at most.
pub(super) fn curves(title: &str, note: &str, curves: &[(&str, &Vec<(f64, f64)>)]) -> String {
    let values = || {
        curves
            .iter()
            .flat_map(|(_, curve)| curve.iter().map(|(_, us)| us.max(1.0)))
    };
    let lowest = values().fold(f64::MAX, f64::min).log10().floor();
    let highest = values()
        .fold(1.0, f64::max)
        .log10()
        .ceil()
        .max(lowest + 1.0);
    let x = |percent: f64| {
        let nines = -(1.0 - percent.min(99.99) / 100.0).log10();
        LEFT + nines / 4.0 * (CURVE_WIDTH - LEFT - 8.0)
    };
    let y = |us: f64| {
        let part = (us.max(1.0).log10() - lowest) / (highest - lowest);
        CURVE_HEIGHT - BOTTOM - part * (CURVE_HEIGHT - BOTTOM - TOP)
    };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {CURVE_WIDTH} {CURVE_HEIGHT}\" role=\"img\">\n\
         <text x=\"0\" y=\"12\">{title}</text><text class=\"faint\" x=\"0\" y=\"28\">{note}</text>\n"
    );
    for power in lowest as i32..=highest as i32 {
        let us = 10_f64.powi(power);
        let at = y(us);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{CURVE_WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"faint\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            duration(us)
        );
    }
    for percent in NAMED {
        let _ = writeln!(
            svg,
            "<text class=\"faint\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{percent}</text>",
            x(percent),
            CURVE_HEIGHT - 6.0
        );
    }
    for (class, curve) in curves {
        let points = curve
            .iter()
            .map(|&(percent, us)| format!("{:.1},{:.1}", x(percent), y(us)));
        let points: Vec<_> = points.collect();
        let _ = writeln!(svg, "<path class=\"{class}\" d=\"M{}\"/>", points.join("L"));
    }
    svg + "</svg>\n"
}

/// A round number of microseconds in the unit that suits it.
fn duration(us: f64) -> String {
    match us {
        ..1e3 => format!("{us} µs"),
        1e3..1e6 => format!("{} ms", us / 1e3),
        _ => format!("{} s", us / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_beyond_the_scale_is_broken_off_and_says_so() {
        let bar = |value| Bar {
            title: "t".to_owned(),
            parts: vec![Part::new("claviger", "Claviger", value)],
            label: "label".to_owned(),
        };
        let drawn = bars(&[bar(2.0), bar(14.0)]);
        let widest = WIDTH - TITLE - LABEL;
        assert!(
            drawn.contains(&format!("width=\"{:.1}\"", widest / 2.0)),
            "{drawn}"
        );
        assert!(drawn.contains(&format!("width=\"{widest:.1}\"")), "{drawn}");
        assert_eq!(drawn.matches("… label").count(), 1);
    }

    #[test]
    fn a_curve_stays_in_its_frame() {
        let curve = vec![
            (1.0, 0.5),
            (50.0, 120.0),
            (99.99, 80_000.0),
            (100.0, 90_000.0),
        ];
        let drawn = curves("title", "note", &[("claviger", &curve)]);
        let path = drawn
            .split("d=\"M")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        for point in path.unwrap().split('L') {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((LEFT..=CURVE_WIDTH).contains(&x), "{point}");
            assert!((TOP..=CURVE_HEIGHT - BOTTOM).contains(&y), "{point}");
        }
        for scale in ["1 µs", "1 ms", "100 ms"] {
            assert!(drawn.contains(&format!(">{scale}<")), "{scale}");
        }
    }
}

//! Bars in SVG: what each of our jobs costs of what its peer's does.

use std::fmt::Write as _;

/// One job.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) peer: String,
    /// Ours by the peer's.
    pub(crate) cpu: f64,
    pub(crate) target: Option<f64>,
}

const LEFT: f64 = 330.0;
const SCALE: f64 = 440.0;
const STEP: f64 = 34.0;
const TOP: f64 = 56.0;

/// The picture.
pub(crate) fn draw(bars: &[Bar]) -> String {
    let (width, height) = (LEFT + SCALE + 70.0, TOP + STEP * bars.len() as f64 + 40.0);
    let bottom = height - 34.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>CPU time of ova, as a share of each peer's</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\" font-weight=\"bold\">CPU time of ova, as a share of each peer's</text>\n"
    );
    for tenths in [0u8, 2, 4, 6, 8, 10] {
        let x = LEFT + SCALE * f64::from(tenths) / 10.0;
        let colour = if tenths == 10 { "#555555" } else { "#dddddd" };
        line(
            &mut svg,
            format_args!(
                "<line x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{bottom}\" stroke=\"{colour}\"/>\n\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555555\">{}</text>\n",
                TOP - 8.0,
                bottom + 18.0,
                f64::from(tenths) / 10.0
            ),
        );
    }
    for (number, bar) in bars.iter().enumerate() {
        let y = TOP + STEP * number as f64;
        let length = SCALE * bar.cpu.min(1.1);
        let met = bar.target.is_none_or(|target| bar.cpu <= target);
        let colour = if met { "#2f6f9f" } else { "#c8742b" };
        line(
            &mut svg,
            format_args!(
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-size=\"11\" fill=\"#666666\">{}</text>\n\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"20\" fill=\"{colour}\"/>\n\
             <text x=\"{:.1}\" y=\"{}\">{:.2}</text>\n",
                LEFT - 10.0,
                y + 9.0,
                bar.name,
                LEFT - 10.0,
                y + 23.0,
                bar.peer,
                LEFT + length + 6.0,
                y + 15.0,
                bar.cpu
            ),
        );
        if let Some(target) = bar.target {
            let x = LEFT + SCALE * target;
            line(
                &mut svg,
                format_args!(
                    "<line x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{}\" stroke=\"#000000\" stroke-width=\"2\"/>\n",
                    y - 3.0,
                    y + 23.0
                ),
            );
        }
    }
    line(
        &mut svg,
        format_args!(
            "<text x=\"{LEFT}\" y=\"{}\" font-size=\"11\" fill=\"#666666\">0 to 1, the peer's own cost; a black mark is the target</text>\n</svg>\n",
            TOP - 16.0
        ),
    );
    svg
}

/// Writing to a string cannot fail.
fn line(svg: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = svg.write_fmt(text);
}

//! Bars in SVG: what each of our jobs costs of what its peer's does.

use std::fmt::Write as _;

/// One job.
pub(crate) struct Job {
    pub(crate) name: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) cpu: Share,
    pub(crate) wall: Share,
}

/// Ours by the peer's.
pub(crate) struct Share {
    pub(crate) ratio: f64,
    pub(crate) target: Option<f64>,
}

const LEFT: f64 = 330.0;
const SCALE: f64 = 460.0;
const STEP: f64 = 44.0;
const TOP: f64 = 72.0;
const BAR: f64 = 15.0;

const CPU: &str = "#2f6f9f";
const WALL: &str = "#9dbfd8";
const MISSED: &str = "#c8742b";

/// The picture.
pub(crate) fn draw(jobs: &[Job]) -> String {
    let (width, height) = (LEFT + SCALE + 60.0, TOP + STEP * jobs.len() as f64 + 34.0);
    let bottom = height - 30.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>What ova takes, as a share of what others take</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\" font-weight=\"bold\">What ova takes, as a share of what others take</text>\n\
         <rect x=\"16\" y=\"38\" width=\"12\" height=\"12\" fill=\"{CPU}\"/><text x=\"34\" y=\"49\">CPU time</text>\n\
         <rect x=\"110\" y=\"38\" width=\"12\" height=\"12\" fill=\"{WALL}\"/><text x=\"128\" y=\"49\">wall time</text>\n\
         <text x=\"{LEFT}\" y=\"49\" fill=\"#555555\">a black mark is the target, 1 is the other program itself</text>\n"
    );
    for tenths in [0u8, 2, 4, 6, 8, 10] {
        let (value, x) = (f64::from(tenths) / 10.0, LEFT + SCALE * f64::from(tenths) / 10.0);
        let colour = if tenths == 10 { "#555555" } else { "#dddddd" };
        add(
            &mut svg,
            format_args!(
                "<line x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{bottom}\" stroke=\"{colour}\"/>\n\
                 <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555555\">{value}</text>\n",
                TOP - 10.0,
                bottom + 18.0
            ),
        );
    }
    for (number, job) in jobs.iter().enumerate() {
        let y = TOP + STEP * number as f64;
        add(
            &mut svg,
            format_args!(
                "<text x=\"{x}\" y=\"{}\" text-anchor=\"end\">{}</text>\n\
                 <text x=\"{x}\" y=\"{}\" text-anchor=\"end\" font-size=\"11\" fill=\"#666666\">{}</text>\n",
                y + 12.0,
                job.name,
                y + 27.0,
                job.peer,
                x = LEFT - 12.0,
            ),
        );
        bar(&mut svg, y, &job.cpu, CPU);
        bar(&mut svg, y + BAR, &job.wall, WALL);
    }
    svg.push_str("</svg>\n");
    svg
}

fn bar(svg: &mut String, y: f64, share: &Share, colour: &str) {
    let length = SCALE * share.ratio.min(1.1);
    let missed = share.target.is_some_and(|target| share.ratio > target);
    let mark = share.target.map(|target| LEFT + SCALE * target);
    let end = LEFT + length;
    // A mark that is near would go through the number.
    let text = mark
        .filter(|mark| (end - 2.0..end + 40.0).contains(mark))
        .unwrap_or(end)
        + 6.0;
    add(
        svg,
        format_args!(
            "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{}\"/>\n\
             <text x=\"{text:.1}\" y=\"{}\" font-size=\"11\">{:.2}</text>\n",
            if missed { MISSED } else { colour },
            y + BAR - 3.0,
            share.ratio
        ),
    );
    if let Some(x) = mark {
        add(
            svg,
            format_args!(
                "<line x1=\"{x:.1}\" y1=\"{y}\" x2=\"{x:.1}\" y2=\"{}\" stroke=\"#000000\" stroke-width=\"2\"/>\n",
                y + BAR
            ),
        );
    }
}

/// Writing to a string cannot fail.
fn add(svg: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = svg.write_fmt(text);
}

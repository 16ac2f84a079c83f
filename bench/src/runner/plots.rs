//! Bars: what a table says, for those who would rather look.

use plotters::coord::ranged1d::SegmentValue;
use plotters::prelude::*;

use super::plan::{MAX, Rate};
use super::results::{Outcome, Results};
use crate::Failure;
use crate::work::{Placement, Transport, name_of};

const WIDTH: u32 = 900;
const BAR_HEIGHT: u32 = 22;
/// For title, axis and margins.
const OTHER_HEIGHT: u32 = 110;
const LABEL_WIDTH: u32 = 290;
const TITLE_SIZE: u32 = 18;
const MARGIN: u32 = 12;
const BAR_GAP: u32 = 3;

/// A plot: its file's name, its title, its picture.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) svg: String,
}

/// All plots of a run, in the order of the report.
pub(super) fn plots(results: &Results) -> Result<Vec<Plot>, Failure> {
    let mut plots = Vec::new();
    for placement in Placement::ALL {
        let bars: Vec<_> = results
            .rows
            .iter()
            .filter(|row| row.placement == placement && row.rate == MAX && sends_messages(row))
            .map(|row| Bar::new(row, label(row), row.throughput))
            .collect();
        let title = format!("Calls a second, {}, logarithmic", in_words(placement));
        let name = format!("throughput-{}", name_of(placement));
        plots.push(plot(name, title, Scale::Logarithmic, &bars)?);
    }
    for rate in super::plan::PACED {
        let Rate::PerSecond(per_second) = rate else { continue };
        let of_interest = |row: &&Outcome| {
            row.rate == rate && (row.transport == Transport::Raw || row.scenario == "ping-level2")
        };
        let bars: Vec<_> = results
            .rows
            .iter()
            .filter(of_interest)
            .map(|row| {
                let label = format!("{}, {}", label(row), in_words(row.placement));
                Bar::new(row, label, row.cpu() * 100.0)
            })
            .collect();
        let title = format!("CPU of both processes at {per_second} calls a second, percent");
        plots.push(plot(format!("cpu-{per_second}"), title, Scale::Linear, &bars)?);
    }
    Ok(plots)
}

/// A placement as prose has it.
pub(super) const fn in_words(placement: Placement) -> &'static str {
    match placement {
        Placement::OneCpu => "both on one CPU",
        Placement::TwoCpus => "on two CPUs",
        Placement::Unpinned => "unpinned",
    }
}

fn sends_messages(row: &Outcome) -> bool {
    row.transport != Transport::Process && !row.scenario.starts_with("idle")
}

fn label(row: &Outcome) -> String {
    let mut label = row.scenario.clone();
    if row.transport != Transport::Raw {
        label = format!("{label}, {}", name_of(row.transport));
    }
    if row.client != row.server {
        label = format!("{label}, {} to {}", row.client, row.server);
    }
    label
}

#[derive(Clone, Copy, PartialEq)]
enum Scale {
    Linear,
    Logarithmic,
}

struct Bar {
    label: String,
    value: f64,
    color: RGBColor,
}

impl Bar {
    const fn new(row: &Outcome, label: String, value: f64) -> Self {
        let color = match row.transport {
            Transport::Raw => RGBColor(150, 150, 150),
            Transport::Socket => RGBColor(66, 133, 190),
            Transport::Shm | Transport::Busywait | Transport::Process => RGBColor(220, 120, 50),
        };
        Self { label, value, color }
    }
}

fn plot(name: String, title: String, scale: Scale, bars: &[Bar]) -> Result<Plot, Failure> {
    let mut svg = String::new();
    let height = OTHER_HEIGHT + BAR_HEIGHT * bars.len() as u32;
    let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    draw(&area, &title, scale, bars).map_err(|error| format!("cannot plot {name}: {error}"))?;
    area.present().map_err(|error| format!("cannot plot {name}: {error}"))?;
    drop(area);
    svg.push('\n');
    Ok(Plot { name, title, svg })
}

type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(
    area: &DrawingArea<SVGBackend<'a>, plotters::coord::Shift>,
    title: &str,
    scale: Scale,
    bars: &[Bar],
) -> Drawn<'a> {
    area.fill(&WHITE)?;
    let most = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max) * 1.1;
    let positive = bars.iter().map(|bar| bar.value).filter(|value| *value > 0.0);
    let least = positive.fold(most, f64::min) / 2.0;
    let mut builder = ChartBuilder::on(area);
    builder
        .caption(title, ("sans-serif", TITLE_SIZE))
        .margin(MARGIN)
        .x_label_area_size(BAR_HEIGHT * 2)
        .y_label_area_size(LABEL_WIDTH);
    let places = (0..bars.len().max(1) - 1).into_segmented();
    // The first bar of the table comes first: the axis runs upwards.
    let bar_at = |at: usize| bars.get(bars.len().wrapping_sub(at + 1));
    let label = |place: &SegmentValue<usize>| match place {
        SegmentValue::CenterOf(at) | SegmentValue::Exact(at) => {
            bar_at(*at).map(|bar| bar.label.clone()).unwrap_or_default()
        }
        SegmentValue::Last => String::new(),
    };
    // The two kinds of axis are types of their own.
    macro_rules! draw_on {
        ($axis:expr, $from:expr) => {{
            let mut chart = builder.build_cartesian_2d($axis, places)?;
            chart
                .configure_mesh()
                .disable_y_mesh()
                .y_labels(bars.len())
                .y_label_formatter(&label)
                .x_label_formatter(&|value| shown(*value))
                .draw()?;
            chart.draw_series((0..bars.len()).filter_map(|at| {
                let bar = bar_at(at)?;
                let end = SegmentValue::Exact(at + 1);
                let corners = [($from, SegmentValue::Exact(at)), (bar.value.max($from), end)];
                let mut rectangle = Rectangle::new(corners, bar.color.filled());
                rectangle.set_margin(BAR_GAP, BAR_GAP, 0, 0);
                Some(rectangle)
            }))?;
        }};
    }
    match scale {
        Scale::Linear => draw_on!(0.0..most, 0.0),
        Scale::Logarithmic => draw_on!((least..most).log_scale(), least),
    }
    Ok(())
}

fn shown(value: f64) -> String {
    const THOUSAND: f64 = 1e3;
    const MILLION: f64 = 1e6;
    if value >= MILLION {
        format!("{} M", value / MILLION)
    } else if value >= THOUSAND {
        format!("{} k", value / THOUSAND)
    } else {
        format!("{value}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::canned;
    use super::*;

    #[test]
    fn each_row_at_its_most_has_a_bar_with_its_name() {
        let results = canned();
        let plots = plots(&results).unwrap();
        assert_eq!(plots.len(), 5);
        for plot in &plots {
            assert!(plot.svg.starts_with("<svg") && plot.svg.trim_end().ends_with("</svg>"));
            assert!(plot.svg.contains(&plot.title), "{}", plot.name);
        }
        for name in ["ping-level2, shm", "ping-level2, socket", "batch-1000, shm", "raw-line"] {
            assert!(plots[1].svg.contains(name), "{name}");
        }
        assert!(plots[3].svg.contains("raw-futex, unpinned"));
    }
}

//! The charts of the report: a line for each row, and on it who needs how much.

use std::path::Path;

use peers::operations::{FLOOR, OURS};
use plotters::prelude::*;

use crate::{
    measure::Result,
    report::{Found, best_peer},
    rows::ROWS,
};

const LINE: i32 = 34;
const LEFT: i32 = 330;
const RIGHT: i32 = 60;
const TOP: i32 = 78;
const WIDTH: i32 = 1000;

const OURS_COLOUR: RGBColor = RGBColor(0, 114, 178);
const PEER_COLOUR: RGBColor = RGBColor(213, 94, 0);
const FLOOR_COLOUR: RGBColor = RGBColor(120, 120, 120);
const AIM_COLOUR: RGBColor = RGBColor(0, 158, 115);
const GRID: RGBColor = RGBColor(225, 225, 225);

/// What one row of a chart shows.
struct Bar {
    title: &'static str,
    ours: f64,
    peer: Option<f64>,
    floor: Option<f64>,
    aim: f64,
}

pub fn draw(found: &Found, folder: &Path) -> Result<()> {
    let instructions: Vec<_> = ROWS
        .iter()
        .filter_map(|row| {
            Some(Bar {
                title: row.title,
                ours: *found.instructions.figures.get(&(row.id, OURS))?,
                peer: best_peer(&found.instructions.figures, row.id).map(|peer| peer.1),
                floor: found.instructions.figures.get(&(row.id, FLOOR)).copied(),
                aim: row.aim?.0,
            })
        })
        .collect();
    let title = "Instructions (logarithmic)";
    chart(&folder.join("instructions.svg"), title, &instructions, true)?;

    let sum = |(allocations, reallocations): &(f64, f64)| allocations + reallocations;
    let allocations: Vec<_> = ROWS
        .iter()
        .filter_map(|row| {
            let of = |by| found.allocations.figures.get(&(row.id, by)).map(sum);
            let peer = best_peer(&found.instructions.figures, row.id);
            Some(Bar {
                title: row.title,
                ours: of(OURS)?,
                peer: peer.and_then(|peer| of(peer.0)),
                floor: of(FLOOR),
                aim: row.aim.map(|aim| aim.1).filter(|aim| aim.is_finite())?,
            })
        })
        .collect();
    let title = "Allocations and reallocations";
    chart(&folder.join("allocations.svg"), title, &allocations, false)
}

fn chart(file: &Path, title: &str, bars: &[Bar], logarithmic: bool) -> Result<()> {
    let lines = i32::try_from(bars.len())?;
    let height = TOP + lines * LINE + 40;
    let size = (u32::try_from(WIDTH)?, u32::try_from(height)?);
    let area = SVGBackend::new(file, size).into_drawing_area();
    area.fill(&WHITE)?;
    let text = |size: i32| ("sans-serif", size).into_font();
    let small = text(13).color(&BLACK);
    area.draw(&Text::new(
        title.to_owned(),
        (16, 12),
        text(20).color(&BLACK),
    ))?;

    let most = bars
        .iter()
        .flat_map(|bar| [bar.ours, bar.peer.unwrap_or(0.0), bar.aim]);
    let most = most.fold(1.0, f64::max);
    let scale = |figure: f64| {
        let share = match logarithmic {
            true => figure.max(10.0).log10() - 1.0,
            false => figure,
        };
        let whole = match logarithmic {
            true => most.log10().ceil() - 1.0,
            false => most,
        };
        LEFT + (share / whole * f64::from(WIDTH - LEFT - RIGHT)).round() as i32
    };
    let bottom = TOP + lines * LINE;
    let ticks: Vec<f64> = match logarithmic {
        true => (1..=most.log10().ceil() as i32)
            .map(|n| 10_f64.powi(n))
            .collect(),
        false => (0..=20)
            .map(|n| 20.0 * f64::from(n))
            .filter(|tick| *tick <= most)
            .collect(),
    };
    for tick in ticks {
        let x = scale(tick);
        area.draw(&PathElement::new([(x, TOP - 8), (x, bottom)], GRID))?;
        area.draw(&Text::new(
            format!("{tick}"),
            (x - 8, bottom + 8),
            small.clone(),
        ))?;
    }
    for (n, bar) in bars.iter().enumerate() {
        let y = TOP + i32::try_from(n)? * LINE;
        area.draw(&Text::new(bar.title, (16, y + 6), small.clone()))?;
        let thick = |from: i32, to: i32, figure: f64, colour: RGBColor| {
            let corners = [(LEFT, y + from), (scale(figure).max(LEFT + 1), y + to)];
            area.draw(&Rectangle::new(corners, colour.filled()))
        };
        if let Some(peer) = bar.peer {
            thick(2, 8, peer, PEER_COLOUR)?;
        }
        thick(9, 18, bar.ours, OURS_COLOUR)?;
        if let Some(floor) = bar.floor {
            thick(19, 24, floor, FLOOR_COLOUR)?;
        }
        let x = scale(bar.aim);
        let mark = [(x, y), (x, y + 26)];
        area.draw(&PathElement::new(mark, AIM_COLOUR.stroke_width(3)))?;
    }
    let legend = [
        ("best peer", PEER_COLOUR),
        ("this crate", OURS_COLOUR),
        ("floor", FLOOR_COLOUR),
        ("aim", AIM_COLOUR),
    ];
    for (n, (name, colour)) in legend.into_iter().enumerate() {
        let x = LEFT + i32::try_from(n)? * 130;
        area.draw(&Rectangle::new([(x, 44), (x + 14, 56)], colour.filled()))?;
        area.draw(&Text::new(name, (x + 20, 44), small.clone()))?;
    }
    area.present()?;
    Ok(())
}

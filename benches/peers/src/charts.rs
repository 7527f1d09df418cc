//! The charts of the report: a line for each row, and on it who needs how much.

use std::path::Path;

use peers::operations::{FLOOR, OURS};
use plotters::prelude::*;

use crate::{
    measure::Result,
    report::{Found, best_peer},
    rows::ROWS,
    sheet::{self, GRID, PEER, RIGHT, Sheet, WIDTH},
};

const LINE: i32 = 34;
const LEFT: i32 = 330;
const TOP: i32 = 78;

const FLOOR_COLOUR: RGBColor = RGBColor(120, 120, 120);
const AIM_COLOUR: RGBColor = RGBColor(0, 158, 115);

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
    let bottom = TOP + lines * LINE;
    let sheet = Sheet::new(file, bottom + 40, title)?;
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
        sheet.tick(tick, scale(tick), [TOP, bottom], GRID)?;
    }
    for (n, bar) in bars.iter().enumerate() {
        let y = TOP + i32::try_from(n)? * LINE;
        sheet.write(bar.title, (16, y + 6))?;
        let thick = |from: i32, to: i32, figure: f64, colour: RGBColor| {
            let corners = [(LEFT, y + from), (scale(figure).max(LEFT + 1), y + to)];
            sheet.bar(corners, colour)
        };
        if let Some(peer) = bar.peer {
            thick(2, 8, peer, PEER)?;
        }
        thick(9, 18, bar.ours, sheet::OURS)?;
        if let Some(floor) = bar.floor {
            thick(19, 24, floor, FLOOR_COLOUR)?;
        }
        let x = scale(bar.aim);
        sheet.line([(x, y), (x, y + 26)], AIM_COLOUR.stroke_width(3))?;
    }
    let legend = [
        ("best peer", PEER),
        ("this crate", sheet::OURS),
        ("floor", FLOOR_COLOUR),
        ("aim", AIM_COLOUR),
    ];
    sheet.legend((LEFT, 44), 130, legend)?;
    sheet.done()
}

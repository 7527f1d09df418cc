//! CPU over loopback: for each work a bar for each stack, by that of raw QUIC.

use std::path::Path;

use plotters::prelude::*;

use crate::{
    loopback::{RAW, STACKS, Stack, TABLES, find, ratio},
    measure::Result,
    sheet::{self, GRID, PEER, RIGHT, Sheet, WIDTH},
};

const BAR: i32 = 13;
const GAP: i32 = 26;
const LEFT: i32 = 400;
const TOP: i32 = 90;

/// As `STACKS` without raw QUIC, which is the line at 1.
const COLOURS: [RGBColor; 5] = [
    sheet::OURS,
    PEER,
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(204, 121, 167),
];

pub fn draw(found: &[Stack], file: &Path) -> Result<()> {
    let stacks = || STACKS.iter().filter(|stack| stack.0 != RAW);
    let mut groups = Vec::new();
    for table in TABLES {
        let Some(raw) = find(found, table.id, RAW) else {
            continue;
        };
        let bars = stacks().zip(COLOURS).filter_map(|(&(by, _), colour)| {
            let stack = find(found, table.id, by)?;
            Some((ratio(stack, raw).median, colour))
        });
        groups.push((table.title, bars.collect::<Vec<_>>()));
    }
    let bars = groups.iter().flat_map(|(_, bars)| bars);
    let most = bars.fold(1.0, |most: f64, bar| most.max(bar.0));
    let scale = |figure: f64| LEFT + (figure / most * f64::from(WIDTH - LEFT - RIGHT)) as i32;

    let lines = groups.iter().map(|group| group.1.len()).sum::<usize>();
    let bottom = TOP + i32::try_from(lines)? * BAR + i32::try_from(groups.len())? * GAP;
    let sheet = Sheet::new(file, bottom + 30, "CPU by that of raw QUIC")?;
    for tick in (0..=40).map(|n| 0.5 * f64::from(n)) {
        if tick > most {
            break;
        }
        let colour = if tick == 1.0 { BLACK } else { GRID };
        sheet.tick(tick, scale(tick), [TOP, bottom], colour)?;
    }
    let mut y = TOP;
    for (title, bars) in groups {
        sheet.write(title, (16, y))?;
        for (figure, colour) in bars {
            sheet.bar([(LEFT, y), (scale(figure), y + BAR - 2)], colour)?;
            y += BAR;
        }
        y += GAP;
    }
    let names = stacks().map(|&(_, name)| name).zip(COLOURS);
    sheet.legend((16, 48), 190, names)?;
    sheet.done()
}

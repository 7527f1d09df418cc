//! CPU over loopback: for each work a bar for each stack, by that of raw QUIC.

use std::path::Path;

use plotters::prelude::*;

use crate::{
    loopback::{RAW, STACKS, Stack, TABLES, find, ratio},
    measure::Result,
};

const BAR: i32 = 13;
const GAP: i32 = 26;
const LEFT: i32 = 400;
const RIGHT: i32 = 60;
const TOP: i32 = 90;
const WIDTH: i32 = 1000;
const GRID: RGBColor = RGBColor(225, 225, 225);

/// As `STACKS` without raw QUIC, which is the line at 1.
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
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
    let size = (u32::try_from(WIDTH)?, u32::try_from(bottom + 30)?);
    let area = SVGBackend::new(file, size).into_drawing_area();
    area.fill(&WHITE)?;
    let text = |size: i32| ("sans-serif", size).into_font().color(&BLACK);
    let write =
        |words: String, at: (i32, i32), size: i32| area.draw(&Text::new(words, at, text(size)));
    write("CPU by that of raw QUIC".into(), (16, 12), 20)?;
    for tick in (0..=40).map(|n| 0.5 * f64::from(n)) {
        if tick > most {
            break;
        }
        let colour = if tick == 1.0 { BLACK } else { GRID };
        let x = scale(tick);
        area.draw(&PathElement::new([(x, TOP - 8), (x, bottom)], colour))?;
        write(format!("{tick}"), (x - 8, bottom + 8), 13)?;
    }
    let mut y = TOP;
    for (title, bars) in groups {
        write(title.into(), (16, y), 13)?;
        for (figure, colour) in bars {
            let corners = [(LEFT, y), (scale(figure), y + BAR - 2)];
            area.draw(&Rectangle::new(corners, colour.filled()))?;
            y += BAR;
        }
        y += GAP;
    }
    for (n, (&(_, name), colour)) in (0..).zip(stacks().zip(COLOURS)) {
        let x = 16 + n * 190;
        area.draw(&Rectangle::new([(x, 48), (x + 14, 60)], colour.filled()))?;
        write(name.into(), (x + 20, 48), 13)?;
    }
    area.present()?;
    Ok(())
}

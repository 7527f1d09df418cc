//! What the charts are drawn on, so that they look alike.

use std::path::Path;

use plotters::{coord::Shift, prelude::*};

use crate::measure::Result;

pub const WIDTH: i32 = 1000;
/// Free at the right.
pub const RIGHT: i32 = 60;

pub const OURS: RGBColor = RGBColor(0, 114, 178);
pub const PEER: RGBColor = RGBColor(213, 94, 0);
pub const GRID: RGBColor = RGBColor(225, 225, 225);

/// From the left, and from the top.
type Point = (i32, i32);

pub struct Sheet<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

impl<'a> Sheet<'a> {
    pub fn new(file: &'a Path, height: i32, title: &str) -> Result<Self> {
        let size = (u32::try_from(WIDTH)?, u32::try_from(height)?);
        let area = SVGBackend::new(file, size).into_drawing_area();
        area.fill(&WHITE)?;
        let sheet = Self { area };
        sheet.write_large(title, (16, 12), 20)?;
        Ok(sheet)
    }

    pub fn write(&self, words: &str, at: Point) -> Result<()> {
        self.write_large(words, at, 13)
    }

    fn write_large(&self, words: &str, at: Point, size: i32) -> Result<()> {
        let style = ("sans-serif", size).into_font().color(&BLACK);
        Ok(self.area.draw(&Text::new(words, at, style))?)
    }

    pub fn bar(&self, corners: [Point; 2], colour: RGBColor) -> Result<()> {
        Ok(self.area.draw(&Rectangle::new(corners, colour.filled()))?)
    }

    pub fn line(&self, ends: [Point; 2], style: impl Into<ShapeStyle>) -> Result<()> {
        Ok(self.area.draw(&PathElement::new(ends, style))?)
    }

    /// A line from above the bars to their end, and its figure below.
    pub fn tick(&self, figure: f64, x: i32, [top, end]: [i32; 2], colour: RGBColor) -> Result<()> {
        self.line([(x, top - 8), (x, end)], colour)?;
        self.write(&format!("{figure}"), (x - 8, end + 8))
    }

    /// What each colour says, in steps of so much to the right.
    pub fn legend<'n>(
        &self,
        (x, y): Point,
        step: i32,
        names: impl IntoIterator<Item = (&'n str, RGBColor)>,
    ) -> Result<()> {
        for (n, (name, colour)) in (0..).zip(names) {
            let x = x + n * step;
            self.bar([(x, y), (x + 14, y + 12)], colour)?;
            self.write(name, (x + 20, y))?;
        }
        Ok(())
    }

    pub fn done(self) -> Result<()> {
        Ok(self.area.present()?)
    }
}

//! Packs places: one MaxMind database of cities into one packed table of one address family.
//!
//! In: the database's bytes. Out: a packed table with every address within [`RUN_KM_MAX`] of its
//! source's point, but for the /48 of IPv6 that several places share: they get one point a country,
//! with a radius to match.
//! Does not know: networks.
//!
//! The world has 15 million leaves, and neighbours mostly say the same. So points fall into a grid,
//! one cell a country and square, and a run of leaves keeps its cell as long as they are of its
//! country and near its mean.

use super::Origin;
use super::leaves::{Leaf, Leaves};
use crate::context::tables::file::{Contents, Header, TableFault, Writer};
use crate::context::tables::mmdb::Reader;
use crate::context::tables::places::{CELLS_MAX, Cells, FRAME_CELLS, STEPS_PER_DEGREE};
use crate::context::tables::ranges::{KEY_BITS, RangesBuilder, v4_shift};
use crate::domain::context::{Country, Place};
use std::collections::BTreeMap;

/// No address is further than this from where its source has it: a tenth of what a rule calls
/// travel.
pub(super) const RUN_KM_MAX: f64 = 50.0;

/// Squares of a quarter degree, 28 km at most from side to side: finer doubles the table, coarser
/// breaks the promise of [`RUN_KM_MAX`] in the square's corners.
const SQUARES_PER_DEGREE: f32 = 4.0;

/// The share of a cell's addresses that its radius holds, as [`Place::radius_km`] promises.
const RADIUS_SHARE: f64 = 0.95;

/// Which addresses a table of places is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4, to single addresses: cut at /24, 6 % of the ranges would be off by more than
    /// [`RUN_KM_MAX`].
    V4,
    /// IPv6, to /48: cut at /44, it would be 27 %.
    V6,
}

/// Packs the places of one family out of a MaxMind database with cities.
///
/// `None` when the database has none of that family.
///
/// # Errors
/// A database that does not read, or one with more distinct cells than the packing can number.
pub fn places(
    family: Family,
    mmdb: Vec<u8>,
    origin: Origin<'_>,
) -> Result<Option<Vec<u8>>, TableFault> {
    let reader = Reader::new(mmdb)?;
    if family == Family::V6 && !reader.has_v6() {
        return Ok(None);
    }
    let leaves = Leaves::read(&reader, family == Family::V6)?;
    if leaves.records.is_empty() {
        return Ok(None);
    }
    let mut atlas = Atlas::draw(&leaves);
    let runs = atlas.runs(&leaves);
    let (ranges, cells) = atlas.number(&runs, family)?;
    let mut writer = Writer::default();
    ranges.write(&mut writer)?;
    writer.begin_section();
    for (first, cells) in (1..).step_by(FRAME_CELLS).zip(&cells) {
        writer.frame(first, &cells.stored())?;
    }
    let contents = match family {
        Family::V4 => Contents::PlacesV4,
        Family::V6 => Contents::PlacesV6,
    };
    let built = origin.built.unwrap_or_else(|| reader.built());
    let header = Header::new(contents, built, origin, ranges.count());
    writer.finish(&header).map(Some)
}

/// Which square of which country; the squares of a country's mixed cell are beyond the grid.
type Square = (Country, i16, i16);

fn square(point: &Place) -> Square {
    let square = |degrees: f32| (degrees * SQUARES_PER_DEGREE).floor() as i16;
    (
        point.country,
        square(point.latitude),
        square(point.longitude),
    )
}

fn mixed_square(country: Country) -> Square {
    (country, i16::MAX, i16::MAX)
}

/// What falls into one square.
#[derive(Default)]
struct Cell {
    weight: f64,
    latitude_sum: f64,
    longitude_sum: f64,
    /// Weight by town.
    towns: BTreeMap<usize, f64>,
    /// Weight by whole kilometres from the mean, of the runs that point here.
    spread: BTreeMap<u16, f64>,
    /// The mean, once all weights are in.
    mean: Option<Place>,
}

/// All cells, and which of them a record falls into.
struct Atlas {
    cells: Vec<Cell>,
    /// By the index of the record.
    cell_of_record: Vec<usize>,
    mixed: BTreeMap<Country, usize>,
}

/// A stretch of keys and its cell; `None` where nothing is known.
type Run = (u64, Option<usize>);

impl Atlas {
    /// Weighs all leaves into their cells.
    fn draw(leaves: &Leaves) -> Self {
        let mut squares: BTreeMap<Square, usize> = BTreeMap::new();
        for record in &leaves.records {
            squares.insert(square(&record.point), 0);
            squares.insert(mixed_square(record.point.country), 0);
        }
        for (index, cell) in squares.values_mut().enumerate() {
            *cell = index;
        }
        let mut atlas = Self {
            cells: squares.values().map(|_| Cell::default()).collect(),
            cell_of_record: (leaves.records.iter())
                .map(|record| squares[&square(&record.point)])
                .collect(),
            mixed: (squares.iter())
                .filter(|(square, _)| **square == mixed_square(square.0))
                .map(|(square, &cell)| (square.0, cell))
                .collect(),
        };
        atlas.weigh(leaves);
        for (square, &cell) in &squares {
            atlas.cells[cell].settle(square.0, &leaves.towns);
        }
        atlas
    }

    fn weigh(&mut self, leaves: &Leaves) {
        for leaf in &leaves.leaves {
            let Some(index) = leaf.record else { continue };
            let record = &leaves.records[index as usize];
            let cell = self.own_cell(leaf, index, &record.point);
            self.cells[cell].add(&record.point, record.town, leaf.weight());
        }
    }

    fn own_cell(&self, leaf: &Leaf, record: u32, point: &Place) -> usize {
        if leaf.mixed {
            self.mixed[&point.country]
        } else {
            self.cell_of_record[record as usize]
        }
    }

    /// Walks the leaves in order and keeps each in the run before it where it may.
    fn runs(&mut self, leaves: &Leaves) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let (mut current, mut end) = (None, 0);
        for leaf in &leaves.leaves {
            if leaf.start > end && current.is_some() {
                runs.push((end, None));
                current = None;
            }
            end = leaf.end;
            let cell = leaf.record.map(|index| {
                let point = &leaves.records[index as usize].point;
                let kept = current.filter(|&cell| !leaf.mixed && self.holds(cell, point));
                let cell = kept.unwrap_or_else(|| self.own_cell(leaf, index, point));
                self.cells[cell].widen(point, leaf.weight());
                cell
            });
            if cell != current {
                runs.push((leaf.start, cell));
                current = cell;
            }
        }
        if current.is_some() && end >> KEY_BITS == 0 {
            runs.push((end, None));
        }
        runs
    }

    fn holds(&self, cell: usize, point: &Place) -> bool {
        let mean = self.cells[cell].mean.as_ref();
        mean.is_some_and(|mean| {
            mean.country == point.country && mean.distance_km(point) <= RUN_KM_MAX
        })
    }

    /// Numbers the cells that runs point to, in the order of countries and squares.
    fn number(
        &self,
        runs: &[Run],
        family: Family,
    ) -> Result<(RangesBuilder, Vec<CellColumns>), TableFault> {
        let mut numbers: BTreeMap<usize, u32> = runs
            .iter()
            .filter_map(|(_, cell)| Some(((*cell)?, 0)))
            .collect();
        if numbers.len() > CELLS_MAX {
            let (what, limit) = ("distinct cells of places", CELLS_MAX);
            return Err(TableFault::TooMany { what, limit });
        }
        let mut cells = Vec::new();
        for (number, (&cell, own)) in (1..).zip(&mut numbers) {
            *own = number;
            if (number as usize - 1).is_multiple_of(FRAME_CELLS) {
                cells.push(CellColumns::default());
            }
            if let Some(last) = cells.last_mut() {
                last.push(&self.cells[cell]);
            }
        }
        let mut ranges = RangesBuilder::new(match family {
            Family::V4 => v4_shift(),
            Family::V6 => 0,
        });
        for (start, cell) in runs {
            ranges.push(*start, cell.map_or(0, |cell| numbers[&cell]));
        }
        Ok((ranges, cells))
    }
}

/// Degrees as they will be read again, so that distances are measured to what is stored.
fn stored_degrees(degrees: f64) -> f32 {
    (degrees as f32 * STEPS_PER_DEGREE).round() / STEPS_PER_DEGREE
}

impl Leaf {
    fn weight(&self) -> f64 {
        (self.end - self.start) as f64
    }
}

impl Cell {
    fn add(&mut self, point: &Place, town: usize, weight: f64) {
        self.weight += weight;
        self.latitude_sum += f64::from(point.latitude) * weight;
        self.longitude_sum += f64::from(point.longitude) * weight;
        *self.towns.entry(town).or_default() += weight;
    }

    /// Computes the mean and chooses the town with the most addresses.
    fn settle(&mut self, country: Country, towns: &[String]) {
        if self.weight == 0.0 {
            return;
        }
        let heaviest = self.towns.iter().max_by(|a, b| a.1.total_cmp(b.1));
        self.mean = Some(Place {
            latitude: stored_degrees(self.latitude_sum / self.weight),
            longitude: stored_degrees(self.longitude_sum / self.weight),
            radius_km: 0.0,
            country,
            name: heaviest.map(|(&town, _)| towns[town].as_str().into()),
        });
    }

    fn widen(&mut self, point: &Place, weight: f64) {
        let off_km = self
            .mean
            .as_ref()
            .map_or(0.0, |mean| mean.distance_km(point));
        *self.spread.entry(off_km.ceil() as u16).or_default() += weight;
    }

    /// The radius that holds [`RADIUS_SHARE`] of the addresses.
    fn radius_km(&self) -> u16 {
        let wanted = RADIUS_SHARE * self.spread.values().sum::<f64>();
        let mut held = 0.0;
        let radius = self.spread.iter().find(|(_, weight)| {
            held += **weight;
            held >= wanted
        });
        radius.map_or(0, |(&radius_km, _)| radius_km)
    }
}

/// The columns of one frame, which [`Cells`] borrows.
#[derive(Default)]
struct CellColumns {
    latitudes: Vec<i16>,
    longitudes: Vec<i16>,
    countries: String,
    radii_km: Vec<u16>,
    names: String,
}

impl CellColumns {
    fn push(&mut self, cell: &Cell) {
        let Some(mean) = &cell.mean else { return };
        self.latitudes
            .push((mean.latitude * STEPS_PER_DEGREE).round() as i16);
        self.longitudes
            .push((mean.longitude * STEPS_PER_DEGREE).round() as i16);
        self.countries.push_str(mean.country.as_str());
        self.radii_km.push(cell.radius_km());
        self.names
            .push_str(mean.name.as_deref().unwrap_or_default());
        self.names.push('\n');
    }

    fn stored(&self) -> Cells<'_> {
        Cells {
            latitudes: self.latitudes.clone(),
            longitudes: self.longitudes.clone(),
            countries: &self.countries,
            radii_km: self.radii_km.clone(),
            names: &self.names,
        }
    }
}

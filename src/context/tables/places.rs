//! The packed table of places of one address family.
//!
//! In: a body of [`super::file`]. Out: [`Places::at`], a [`Point`] for an address.
//! Does not know: networks, so its radius is only the table's own share.
//!
//! A range points at a cell. A cell is what one country has in one square of the grid that the
//! builder used: the mean of its points weighted by addresses, and the radius that holds 95 in 100
//! of them.

use super::file::{self, Block, Contents, Frames, Header, TableFault};
use super::ranges::{Ranges, key};
use crate::domain::context::Country;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// Steps of a stored coordinate in a degree: 0.005° is half a kilometre, far below the grid's
/// error.
pub(in crate::context) const STEPS_PER_DEGREE: f32 = 180.0;

/// Cells a table can have: half as many again as the world's, whose grid is as fine as it needs to be.
pub(in crate::context) const CELLS_MAX: usize = u16::MAX as usize;

/// Cells in one frame. Fewer, and their names pack worse.
pub(in crate::context) const FRAME_CELLS: usize = 1024;

/// The cells of one frame as they are stored, one column each.
#[derive(Serialize, Deserialize)]
pub(in crate::context) struct Cells<'a> {
    /// Degrees north times [`STEPS_PER_DEGREE`].
    pub(in crate::context) latitudes: Vec<i16>,
    /// Degrees east times [`STEPS_PER_DEGREE`].
    pub(in crate::context) longitudes: Vec<i16>,
    /// Two letters each.
    #[serde(borrow)]
    pub(in crate::context) countries: &'a str,
    /// 95 of 100 addresses are within this of the point, by the source.
    pub(in crate::context) radii_km: Vec<u16>,
    /// A town each, one a line; an empty line where the source names none.
    #[serde(borrow)]
    pub(in crate::context) names: &'a str,
}

/// A place without the share of error that its network adds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) latitude: f32,
    pub(super) longitude: f32,
    pub(super) radius_km: f32,
    pub(super) country: Country,
    pub(super) name: Option<Arc<str>>,
}

/// An opened table.
pub(super) struct Places {
    pub(super) header: Header,
    ranges: Ranges,
    /// The cell numbered 1 first; 0 is "no place".
    cells: Frames<CellsBlock>,
}

/// The cells of one frame.
struct CellsBlock(Vec<Point>);

impl Places {
    /// Opens a packed table of places of either family; one that is not the binary's own is read to its end.
    pub(super) fn open(bytes: Cow<'static, [u8]>, wanted: Contents) -> Result<Self, TableFault> {
        let is_ours = matches!(bytes, Cow::Borrowed(_));
        let mut table = file::open(bytes, wanted)?;
        let ranges = Ranges::open(&mut table)?;
        let cells = table.section()?;
        let header = table.header;
        let places = Self {
            header,
            ranges,
            cells,
        };
        if !is_ours {
            places.check()?;
        }
        Ok(places)
    }

    /// Reads everything once.
    pub(super) fn check(&self) -> Result<(), TableFault> {
        let mut count = 0;
        for block in self.cells.read_all() {
            count = file::filled(count, FRAME_CELLS, block?.0.len())?;
        }
        if count > CELLS_MAX {
            return Err(TableFault::Malformed("more cells than any table has"));
        }
        self.ranges.check(count + 1)
    }

    /// What the table knows of a canonical address of its family.
    pub(super) fn at(&self, address: IpAddr) -> Option<&Point> {
        self.cell(self.ranges.at(key(address))?)
    }

    fn cell(&self, number: u32) -> Option<&Point> {
        let index = (number as usize).checked_sub(1)?;
        let block = self.cells.block(index / FRAME_CELLS)?;
        block.0.get(index % FRAME_CELLS)
    }

    /// Every range: where it starts, and what is there.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, Option<&Point>)> {
        self.ranges
            .all()
            .map(|(start, number)| (start, self.cell(number)))
    }
}

impl Block for CellsBlock {
    fn read(body: &[u8], _: u64, _: u64) -> Result<Self, TableFault> {
        let cells: Cells<'_> = postcard::from_bytes(body)
            .map_err(|_| TableFault::Malformed("the cells do not read"))?;
        points(&cells).map(Self)
    }
}

fn points(cells: &Cells<'_>) -> Result<Vec<Point>, TableFault> {
    let count = cells.latitudes.len();
    if cells.longitudes.len() != count
        || cells.radii_km.len() != count
        || cells.countries.len() != 2 * count
    {
        return Err(TableFault::Malformed("columns of different lengths"));
    }
    let mut names = cells.names.lines();
    (0..count)
        .map(|index| {
            let country = cells
                .countries
                .get(2 * index..2 * index + 2)
                .and_then(Country::new)
                .ok_or(TableFault::Malformed("a country that is not two letters"))?;
            let name = names.next().ok_or(TableFault::Malformed("too few names"))?;
            let latitude = f32::from(cells.latitudes[index]) / STEPS_PER_DEGREE;
            let longitude = f32::from(cells.longitudes[index]) / STEPS_PER_DEGREE;
            if latitude.abs() > 90.0 || longitude.abs() > 180.0 {
                return Err(TableFault::Malformed("a point that is not on Earth"));
            }
            Ok(Point {
                latitude,
                longitude,
                radius_km: f32::from(cells.radii_km[index]),
                country,
                name: (!name.is_empty()).then(|| name.into()),
            })
        })
        .collect()
}

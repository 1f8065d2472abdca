//! The packed table of places of one address family.
//!
//! In: a body of [`super::file`]. Out: [`Places::at`], a [`Point`] for an address.
//! Does not know: networks, so its radius is only the table's own share.
//!
//! A range points at a cell. A cell is what one country has in one square of the grid that the
//! builder used: the mean of its points weighted by addresses, and the radius that holds 95 in 100
//! of them.

use super::file::{self, Contents, Header, TableFault};
use super::ranges::{Columns, Ranges, key};
use crate::domain::context::Country;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// Steps of a stored coordinate in a degree: 0.005° is half a kilometre, far below the grid's
/// error.
pub(in crate::context) const STEPS_PER_DEGREE: f32 = 180.0;

/// Cells a table can have: their numbers are packed as 16 bits at most, and 0 is "no place".
pub(in crate::context) const CELLS_MAX: usize = u16::MAX as usize;

/// Cells as they are stored, one column each.
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

/// A decoded table.
pub(super) struct Places {
    pub(super) header: Header,
    ranges: Ranges,
    /// The cell numbered 1 first; 0 is "no place".
    cells: Vec<Point>,
}

impl Places {
    /// Decodes a packed table of places of either family.
    pub(super) fn decode(bytes: &[u8], wanted: Contents) -> Result<Self, TableFault> {
        let (header, body) = file::unpack(bytes, wanted)?;
        let (columns, cells): (Columns<'_>, Cells<'_>) = postcard::from_bytes(&body)
            .map_err(|_| TableFault::Malformed("the columns do not read"))?;
        let cells = points(&cells)?;
        Ok(Self {
            header,
            ranges: Ranges::decode(&columns, cells.len() + 1)?,
            cells,
        })
    }

    /// What the table knows of a canonical address of its family.
    pub(super) fn at(&self, address: IpAddr) -> Option<&Point> {
        let cell = self.ranges.at(key(address))? as usize;
        self.cells.get(cell.checked_sub(1)?)
    }
}

fn points(cells: &Cells<'_>) -> Result<Vec<Point>, TableFault> {
    let count = cells.latitudes.len();
    if count > CELLS_MAX
        || cells.longitudes.len() != count
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

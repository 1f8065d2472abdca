//! `tokentrip geo`: which place and network tables are in use, and making one's own.
//!
//! In: paths and [`Tables`]. Out: text for people, packed tables as files.
//! Does not know: how the tables are packed ([`crate::context::build`]), nor the command line's
//! syntax.

use crate::cli::GeoBuild;
use crate::context::build::{self, Family, Origin};
use crate::context::tables::{TableFault, Tables};
use crate::domain::time::Time;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Why a `geo` command failed: what was tried, on which file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GeoError {
    /// A file could not be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file was read, but is not what it should be.
    #[error("{}: {source}", path.display())]
    Table {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: TableFault,
    },
    /// A list of networks that is no text.
    #[error("{}: not UTF-8 text", .0.display())]
    Text(PathBuf),
    /// `--built` is no date.
    #[error("`{0}` is not a date; write it as 2026-05-04")]
    Date(String),
    /// The output could not be written.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
}

/// What `geo build` is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Build {
    /// MaxMind databases of cities; the first one with IPv4 and the first one with IPv6 are packed.
    pub city: Vec<PathBuf>,
    /// Who made them, and their licence with its attribution.
    pub city_origin: (String, String),
    /// Range lists of IPv4 and of IPv6, rows `first,last,number,organisation`.
    pub asn: Option<(PathBuf, PathBuf)>,
    /// Who made them, and their licence with its attribution.
    pub asn_origin: (String, String),
    /// Kinds of networks, rows `asn,kind,name` under a heading.
    pub kinds: Option<PathBuf>,
    /// The sources' date, `2026-05-04`; a database's own date without it.
    pub built: Option<String>,
    /// Folder for `places_v4.table`, `places_v6.table` and `networks.table`.
    pub out: PathBuf,
}

impl Build {
    /// What the command line asks for: the sources of the embedded tables, with the attribution they ask for.
    pub(crate) fn asked(ask: &GeoBuild) -> Self {
        Self {
            city: [&ask.city_v4, &ask.city_v6].into_iter().flatten().cloned().collect(),
            city_origin: (
                "DB-IP City Lite".to_owned(),
                "CC BY 4.0, IP Geolocation by DB-IP (https://db-ip.com), quantised and merged by Tokentrip".to_owned(),
            ),
            asn: ask.asn_v4.clone().zip(ask.asn_v6.clone()),
            asn_origin: (
                "RouteViews, DB-IP and NRO".to_owned(),
                "CC BY 4.0, RouteViews (routeviews.org), DB-IP (https://db-ip.com), NRO (nro.net), merged by Tokentrip".to_owned(),
            ),
            kinds: None,
            built: Some(ask.date.clone()),
            out: ask.out.clone(),
        }
    }
}

/// Says what the tables know of addresses.
///
/// # Errors
/// When `out` cannot be written to.
pub(crate) fn look_up(
    tables: &Tables,
    addresses: &[IpAddr],
    out: &mut impl Write,
) -> Result<(), GeoError> {
    for &address in addresses {
        let (place, network) = tables.at(address);
        let place = place.map_or("no place".to_owned(), |place| {
            let name = place.name.as_deref().unwrap_or("?");
            format!(
                "{name}, {} (within {:.0} km)",
                place.country, place.radius_km
            )
        });
        let network = network.map_or("no network".to_owned(), |network| {
            format!(
                "AS{} {} ({})",
                network.asn,
                network.organisation,
                network.kind.name()
            )
        });
        writeln!(out, "{address}: {place}; {network}")?;
    }
    Ok(())
}

/// Packs tables from published sources and says what was written.
///
/// # Errors
/// The first file that does not read, is not what it should be, or cannot be written.
pub(crate) fn build(ask: &Build, out: &mut impl Write) -> Result<(), GeoError> {
    let built = ask.built.as_deref().map(date).transpose()?;
    for (family, name) in [
        (Family::V4, "places_v4.table"),
        (Family::V6, "places_v6.table"),
    ] {
        let packed = pack_places(ask, family, built)?;
        save(&ask.out.join(name), packed, out)?;
    }
    let networks = pack_networks(ask, built)?;
    save(&ask.out.join("networks.table"), networks, out)
}

/// Says which tables are in use, how old they are and under which licences.
///
/// # Errors
/// When the output does not take it.
pub(crate) fn info(tables: &Tables, now: Time, out: &mut impl Write) -> Result<(), GeoError> {
    for table in tables.info() {
        let age_days = (now.since_s(table.built) / 86_400.0).max(0.0) as u32;
        let day = table.built.to_string();
        let day = day.split('T').next().unwrap_or_default();
        writeln!(out, "{}", table.name)?;
        writeln!(
            out,
            "    {} entries, built {day}, {age_days} days ago",
            table.entries
        )?;
        if !table.licence.is_empty() {
            writeln!(out, "    {}", table.licence)?;
        }
    }
    writeln!(
        out,
        "\nTables are asked in this order, each for what those before it do not know."
    )?;
    Ok(())
}

/// Checks that files load as tables, and prints the lines of `tokentrip.toml` that put them to use.
///
/// # Errors
/// The first file that does not read or is no table.
pub(crate) fn use_files(files: &[PathBuf], out: &mut impl Write) -> Result<(), GeoError> {
    let (mut city, mut asn) = (Vec::new(), Vec::new());
    for path in files {
        let bytes = read(path)?;
        let list = if Tables::is_about_networks(&bytes).map_err(|source| fault(path, source))? {
            &mut asn
        } else {
            &mut city
        };
        list.push(format!("{:?}", path.display().to_string()));
    }
    writeln!(out, "[places]")?;
    for (key, list) in [("city", city), ("asn", asn)] {
        if !list.is_empty() {
            writeln!(out, "{key} = [{}]", list.join(", "))?;
        }
    }
    Ok(())
}

/// The tables that a configuration names, before the embedded ones.
///
/// # Errors
/// The first file that does not read or is no table.
pub(crate) fn tables(
    city: &[PathBuf],
    asn: &[PathBuf],
    home: Vec<ipnet::IpNet>,
) -> Result<Tables, GeoError> {
    let read_all = |paths: &[PathBuf]| -> Result<Vec<Vec<u8>>, GeoError> {
        paths.iter().map(|path| read(path)).collect()
    };
    Tables::embedded()
        .with_home(home)
        .with_city(read_all(city)?)
        .map_err(|(index, source)| fault(&city[index], source))?
        .with_asn(read_all(asn)?)
        .map_err(|(index, source)| fault(&asn[index], source))
}

fn pack_places(
    ask: &Build,
    family: Family,
    built: Option<Time>,
) -> Result<Option<Vec<u8>>, GeoError> {
    let (source, licence) = (&ask.city_origin.0, &ask.city_origin.1);
    let origin = Origin {
        source,
        licence,
        built,
    };
    for path in &ask.city {
        let packed = build::places(family, read(path)?, origin);
        if let Some(packed) = packed.map_err(|source| fault(path, source))? {
            return Ok(Some(packed));
        }
    }
    Ok(None)
}

fn pack_networks(ask: &Build, built: Option<Time>) -> Result<Option<Vec<u8>>, GeoError> {
    let Some((v4, v6)) = &ask.asn else {
        return Ok(None);
    };
    let kinds = ask.kinds.as_deref().map(read_text).transpose()?;
    let (source, licence) = (&ask.asn_origin.0, &ask.asn_origin.1);
    let origin = Origin {
        source,
        licence,
        built,
    };
    let lists = build::Lists {
        v4: &read_text(v4)?,
        v6: &read_text(v6)?,
        kinds: kinds.as_deref().unwrap_or_default(),
    };
    let packed = build::networks(&lists, origin).map_err(|(list, source)| {
        let paths = [Some(v4), Some(v6), ask.kinds.as_ref()];
        fault(paths[list as usize].unwrap_or(v4), source)
    })?;
    Ok(Some(packed))
}

fn save(path: &Path, packed: Option<Vec<u8>>, out: &mut impl Write) -> Result<(), GeoError> {
    let Some(packed) = packed else { return Ok(()) };
    std::fs::write(path, &packed).map_err(|source| file("write", path, source))?;
    writeln!(out, "{}: {} bytes", path.display(), packed.len())?;
    Ok(())
}

fn date(text: &str) -> Result<Time, GeoError> {
    let midnight: Option<jiff::Timestamp> = format!("{text}T00:00:00Z").parse().ok();
    midnight
        .and_then(|midnight| Time::from_ms(midnight.as_millisecond()))
        .ok_or_else(|| GeoError::Date(text.to_owned()))
}

fn read(path: &Path) -> Result<Vec<u8>, GeoError> {
    std::fs::read(path).map_err(|source| file("read", path, source))
}

fn read_text(path: &Path) -> Result<String, GeoError> {
    let bytes = read(path)?;
    String::from_utf8(bytes).map_err(|_| GeoError::Text(path.to_owned()))
}

fn file(doing: &'static str, path: &Path, source: io::Error) -> GeoError {
    let path = path.to_owned();
    GeoError::File {
        doing,
        path,
        source,
    }
}

fn fault(path: &Path, source: TableFault) -> GeoError {
    let path = path.to_owned();
    GeoError::Table { path, source }
}

//! nginx: a file for a `map`, which nginx reads when it is reloaded.
//!
//! In: entries. Out: a file of `key second;` lines, whole at every moment: written beside, then renamed.
//! Does not know: when nginx reads it. `deploy/gateways/nginx/tokentrip-map.path` has systemd reload it on a change, so
//! that this program needs no right to.
//! Source: nginx, `ngx_http_map_module`; rename(2).

use super::{Doing, Kind, Mirror, MirrorFault, row, rows};
use crate::outbound::options::{Key, Options, OptionsError, Takes};
use crate::response::changes::Change;
use crate::response::denylist::Denylist;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::spawn_blocking;

/// nginx reads it as root and its workers not at all; nobody is named in it, so others may read it, too.
const MODE: u32 = 0o644;

/// `kind = "nginx_map"`.
pub const KIND: Kind = Kind {
    name: "nginx_map",
    keys: &[Key::needed(
        "path",
        Takes::Path,
        "\"/var/lib/tokentrip/denied.map\"",
    )],
    make: |name, options| Ok(Arc::new(NginxMap::new(name, options)?)),
};

#[derive(Debug)]
struct NginxMap {
    name: Arc<str>,
    file: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    path: PathBuf,
    rows: Mutex<BTreeMap<String, u32>>,
}

impl NginxMap {
    fn new(name: Arc<str>, options: &Options) -> Result<Self, OptionsError> {
        let place = Place {
            path: options.path("path")?.to_owned(),
            rows: Mutex::default(),
        };
        Ok(Self {
            name,
            file: Arc::new(place),
        })
    }

    async fn write(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, u32>),
    ) -> Result<(), MirrorFault> {
        let text = {
            let mut rows = self
                .file
                .rows
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            change(&mut rows);
            text_of(&rows)
        };
        let place = Arc::clone(&self.file);
        let written = spawn_blocking(move || place.replace(&text)).await;
        let written = written.map_err(MirrorFault::of)?;
        written.map_err(|error| MirrorFault(format!("{}: {error}", self.file.path.display())))
    }
}

impl Place {
    /// An unchanged file is left alone: each change has nginx reloaded.
    fn replace(&self, text: &str) -> io::Result<()> {
        if fs::read(&self.path).is_ok_and(|there| there == text.as_bytes()) {
            return Ok(());
        }
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(&beside)?;
        file.set_permissions(Permissions::from_mode(MODE))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        match self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Mirror for NginxMap {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn copy<'a>(&'a self, denylist: &'a Denylist) -> Doing<'a, Result<(), MirrorFault>> {
        let all = rows(denylist).collect();
        Box::pin(self.write(|rows| *rows = all))
    }

    fn follow<'a>(&'a self, changes: &'a [Change]) -> Doing<'a, Result<(), MirrorFault>> {
        Box::pin(self.write(|rows| {
            for (key, second) in changes.iter().filter_map(row) {
                match second {
                    Some(second) => rows.insert(key, second),
                    None => rows.remove(&key),
                };
            }
        }))
    }
}

fn text_of(rows: &BTreeMap<String, u32>) -> String {
    let mut text =
        "# Written by tokentrip: what is denied, and before which second issued.\n".to_owned();
    for (key, second) in rows {
        // Writing into memory cannot fail.
        let _ = writeln!(text, "{key} {second};");
    }
    text
}

//! Where a scrubbed log goes, so that a file is there whole or not at all.
//!
//! In: what was asked for. Out: a [`Place`] for every input; a [`Target`] that is written beside it and then takes its
//! name.
//! Does not know: what is written.
//! Source: rename(2); fsync(2), notes on folders.

use crate::app::Error;
use crate::cli;
use crate::ingest::discover::{Found, Input};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

/// Where one result goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Stdout,
    /// A new file with the rights and the time of the one it was made from, if it was made from one.
    New {
        path: PathBuf,
        like: Option<PathBuf>,
    },
    /// The file itself.
    Same(PathBuf),
}

/// A place for every input, checked as far as it can be before anything is written.
///
/// # Errors
/// When results would get in each other's way, or write over a file that is there.
pub(super) fn places(options: &cli::Scrub, found: &[Found]) -> Result<Vec<Place>, Error> {
    let places: Result<Vec<Place>, Error> = match &options.to {
        _ if options.in_place => found.iter().map(in_place).collect(),
        None if found.len() == 1 => Ok(vec![Place::Stdout]),
        None => Err(Error::new(format!(
            "{} inputs cannot go to one standard output",
            found.len()
        ))
        .help("`--to FOLDER` writes them into a folder, `--in-place` replaces them")),
        Some(to) if found.len() == 1 && !to.is_dir() => {
            let path = to.clone();
            let like = source(&found[0]);
            Ok(vec![Place::New { path, like }])
        }
        Some(to) => found.iter().map(|found| in_folder(found, to)).collect(),
    };
    let places = places?;
    let mut names = HashSet::new();
    for place in &places {
        let Place::New { path, .. } = place else {
            continue;
        };
        let shown = path.display();
        if !names.insert(path) {
            return Err(Error::new(format!("two inputs would become {shown}"))
                .help("scrub them one after the other, into folders of their own"));
        }
        if path.exists() && !options.force {
            return Err(Error::new(format!("{shown} is there already"))
                .help("name another with --to, or --force writes over it"));
        }
    }
    Ok(places)
}

fn source(found: &Found) -> Option<PathBuf> {
    match &found.input {
        Input::File(path) => Some(path.clone()),
        Input::Stdin => None,
    }
}

fn in_place(found: &Found) -> Result<Place, Error> {
    let path = source(found).ok_or_else(|| {
        Error::new("standard input has no file to replace").help("leave --in-place out")
    })?;
    // A link stays a link: what it names is replaced.
    fs::canonicalize(path)
        .map(Place::Same)
        .map_err(Error::shown)
}

fn in_folder(found: &Found, folder: &Path) -> Result<Place, Error> {
    let like = source(found);
    let name = like.as_deref().and_then(Path::file_name);
    let name = name.ok_or_else(|| {
        Error::new("standard input has no name in a folder").help("name a file with --to")
    })?;
    fs::create_dir_all(folder)
        .map_err(|error| Error::new(format!("cannot make {}: {error}", folder.display())))?;
    Ok(Place::New {
        path: folder.join(name),
        like,
    })
}

/// A result while it is written.
pub(super) struct Target<'a> {
    place: &'a Place,
    /// The file beside, and its name.
    beside: Option<(File, PathBuf)>,
    /// What the input was before it was read.
    before: Option<Metadata>,
}

impl<'a> Target<'a> {
    /// Makes the file beside the place.
    pub(super) fn open(place: &'a Place) -> io::Result<Self> {
        let (path, like) = match place {
            Place::Stdout => {
                return Ok(Self {
                    place,
                    beside: None,
                    before: None,
                });
            }
            Place::New { path, like } => (path, like.as_ref()),
            Place::Same(path) => (path, Some(path)),
        };
        let before = like.map(fs::metadata).transpose()?;
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".scrub-{}", std::process::id()));
        let beside = path.with_file_name(name);
        // Nobody reads it before it has the rights of its model.
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        Ok(Self {
            place,
            beside: Some((file, beside)),
            before,
        })
    }

    /// Where to write.
    pub(super) fn writer(&self) -> io::Result<Box<dyn Write>> {
        Ok(match &self.beside {
            Some((file, _)) => Box::new(file.try_clone()?),
            None => Box::new(io::stdout().lock()),
        })
    }

    /// Gives the whole file its name.
    pub(super) fn keep(mut self) -> io::Result<()> {
        let path = match self.place {
            Place::Stdout => return Ok(()),
            Place::New { path, .. } | Place::Same(path) => path,
        };
        let Some((file, beside)) = self.beside.take() else {
            return Ok(());
        };
        let kept = self.rename(&file, &beside, path);
        if kept.is_err() {
            remove(&beside);
        }
        kept
    }

    fn rename(&self, file: &File, beside: &Path, path: &Path) -> io::Result<()> {
        if let Some(before) = &self.before {
            file.set_permissions(before.permissions())?;
            file.set_modified(before.modified()?)?;
        }
        if let (Place::Same(_), Some(before)) = (self.place, &self.before) {
            same_owner(file, beside, before)?;
            unchanged(path, before)?;
        }
        file.sync_all()?;
        fs::rename(beside, path)?;
        let folder = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// What rotates and reads the file goes on to when its owner stays.
fn same_owner(file: &File, path: &Path, before: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) == (before.uid(), before.gid()) {
        return Ok(());
    }
    chown(path, Some(before.uid()), Some(before.gid()))
}

/// A log that is still written to would lose what came meanwhile.
fn unchanged(path: &Path, before: &Metadata) -> io::Result<()> {
    let now = fs::metadata(path)?;
    let same = |metadata: &Metadata| {
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        (metadata.dev(), metadata.ino(), metadata.len(), modified)
    };
    if same(&now) == same(before) {
        return Ok(());
    }
    Err(io::Error::other(
        "it was written to meanwhile, and is left as it is: scrub it after it was rotated, or to another file",
    ))
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        if let Some((_, beside)) = self.beside.take() {
            remove(&beside);
        }
    }
}

/// What could not be finished is of no use; that it cannot be removed either changes nothing.
fn remove(beside: &Path) {
    let _ = fs::remove_file(beside);
}

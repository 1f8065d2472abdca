//! Discovery: from what somebody named to the files that are read.
//!
//! In: paths, folders, globs and `-`. Out: [`Found`] inputs, sorted, each file once.
//! Does not know: what the files hold (a binary file is found out when it is read).
//!
//! A file named, or matched by a glob, is always taken. In a folder (searched to the bottom; hidden names and links to
//! folders are left out) everything is taken but names that end like documents, settings or keys
//! ([`NOT_LOGS`]), unless a word of the name is `log` or begins with `access`: `access.json` is a log, `jwks.json` is
//! not.

use super::open;
use crate::domain::line::Source;
use crate::domain::mask::mask;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Endings of names that a folder of logs also holds and that are no logs.
const NOT_LOGS: &[&str] = &[
    "cfg", "conf", "crt", "css", "db", "html", "ini", "js", "json", "jwk", "jwks", "key", "lock",
    "md", "ndjson", "pem", "pid", "png", "pub", "py", "rs", "sh", "sqlite", "svg", "swp", "toml",
    "yaml", "yml",
];

/// How many files one command reads: more is a mistyped path such as `/`.
const FILES_MAX: usize = 100_000;

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A regular file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// One input that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where its bytes are.
    pub input: Input,
    /// Its name in evidence.
    pub source: Source,
    /// Its size on disk, before unpacking; 0 for stdin.
    pub size_bytes: u64,
}

/// Why nothing can be read. Every message says what to do.
#[derive(Debug, Error)]
pub enum DiscoverFault {
    /// A path cannot be opened.
    #[error("cannot read {}: {error}\n  = {}", path.display(), hint(error))]
    Unreadable {
        /// The path as named, or as found.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A pipe, socket or device was named.
    #[error("{} is no regular file\n  = pipe it in instead: tokentrip scan - < {}", path.display(), path.display())]
    NotRegular {
        /// The path as named.
        path: PathBuf,
    },
    /// A glob that is none.
    #[error(
        "bad pattern {pattern}: {reason}\n  = to read a file of that name, put its characters *?[ in brackets"
    )]
    Pattern {
        /// The pattern as named.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nothing there.
    #[error(
        "no log files in {named}\n  = name a file, a folder, a quoted glob such as 'logs/*.log', or - for stdin"
    )]
    Nothing {
        /// What was named.
        named: String,
    },
    /// More files than anybody means.
    #[error("more than {FILES_MAX} files in {named}\n  = name a folder of logs, or a glob")]
    TooMany {
        /// What was named.
        named: String,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "run as a user that may read it (on Debian, one in group adm)"
        }
        io::ErrorKind::NotFound => "check the path; - reads standard input",
        _ => "check the disk and the path",
    }
}

/// Finds the inputs that `args` name, in the order of the arguments and, within one, by name.
pub fn discover(args: &[OsString]) -> Result<Vec<Found>, DiscoverFault> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    for arg in args {
        if arg == "-" {
            if !found.iter().any(|f: &Found| f.input == Input::Stdin) {
                found.push(Found {
                    input: Input::Stdin,
                    source: Source("stdin".into()),
                    size_bytes: 0,
                });
            }
            continue;
        }
        for path in expand(arg)? {
            let metadata = readable(&path)?;
            if seen.insert((metadata.dev(), metadata.ino())) {
                found.push(Found {
                    source: source_of(&path),
                    size_bytes: metadata.len(),
                    input: Input::File(path),
                });
            }
        }
    }
    if found.is_empty() {
        return Err(DiscoverFault::Nothing { named: shown(args) });
    }
    Ok(found)
}

/// The name of a file in evidence, labels and warnings. Bytes that are no UTF-8 become U+FFFD, and a token in it is
/// masked.
pub fn source_of(path: &Path) -> Source {
    Source(mask(&path.to_string_lossy()).into())
}

fn shown(args: &[OsString]) -> String {
    let names: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    names.join(" ")
}

fn readable(path: &Path) -> Result<Metadata, DiscoverFault> {
    open::regular(path)
        .map(|(_, metadata)| metadata)
        .map_err(|error| {
            let path = path.to_owned();
            match error.kind() {
                io::ErrorKind::InvalidInput => DiscoverFault::NotRegular { path },
                _ => DiscoverFault::Unreadable { path, error },
            }
        })
}

/// The files that one argument names now: itself, a folder's, or a glob's. What a folder or glob holds beside
/// regular files is left out; a path that was named outright is given back whatever it is.
pub(crate) fn expand(arg: &OsStr) -> Result<Vec<PathBuf>, DiscoverFault> {
    let path = Path::new(arg);
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => folder(path),
        Ok(_) => Ok(vec![path.to_owned()]),
        // The name of a file wins over its reading as a pattern; a pattern is for what does not exist.
        Err(_) if is_glob(arg) => matches(arg),
        Err(error) => Err(DiscoverFault::Unreadable {
            path: path.to_owned(),
            error,
        }),
    }
}

/// True when a path, pattern or folder that somebody named stands for this file, be it there or not.
pub(crate) fn covers(named: &Path, path: &Path) -> bool {
    let matches = |pattern: glob::Pattern| pattern.matches_path(path);
    path.starts_with(named)
        || named
            .to_str()
            .and_then(|text| glob::Pattern::new(text).ok())
            .is_some_and(matches)
}

pub(crate) fn is_glob(arg: &OsStr) -> bool {
    arg.as_bytes().iter().any(|b| b"*?[".contains(b))
}

fn matches(arg: &OsStr) -> Result<Vec<PathBuf>, DiscoverFault> {
    let named = || arg.to_string_lossy().into_owned();
    let bad = |reason| DiscoverFault::Pattern {
        pattern: named(),
        reason,
    };
    let pattern = arg.to_str().ok_or_else(|| bad("it is no UTF-8"))?;
    let mut paths = Vec::new();
    // An entry that vanishes or may not be listed while globbing is none of the files that match.
    for path in glob::glob(pattern)
        .map_err(|error| bad(error.msg))?
        .flatten()
    {
        if paths.len() == FILES_MAX {
            return Err(DiscoverFault::TooMany { named: named() });
        }
        if fs::metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn folder(top: &Path) -> Result<Vec<PathBuf>, DiscoverFault> {
    let mut paths = Vec::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        let unreadable = |error| DiscoverFault::Unreadable {
            path: folder.clone(),
            error,
        };
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            // Links to folders are not followed, so no loop can hold us; links to files are.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            } else if could_be_log(&name)
                && fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file())
            {
                paths.push(entry.path());
            }
        }
        if paths.len() + folders.len() > FILES_MAX {
            return Err(DiscoverFault::TooMany {
                named: top.display().to_string(),
            });
        }
    }
    paths.sort();
    Ok(paths)
}

fn could_be_log(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let says_log = || {
        name.split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word == "log" || word == "logs" || word.starts_with("access"))
    };
    !NOT_LOGS.contains(&ending) || says_log()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    /// What is found, as names under `folder`.
    fn names(folder: &Path, args: &[&OsStr]) -> Vec<String> {
        let args: Vec<_> = args
            .iter()
            .map(|arg| folder.join(arg).into_os_string())
            .collect();
        let under = |path: PathBuf| path.strip_prefix(folder).unwrap().display().to_string();
        let found = discover(&args).unwrap().into_iter();
        found
            .map(|found| match found.input {
                Input::File(path) => under(path),
                Input::Stdin => "stdin".to_owned(),
            })
            .collect()
    }

    fn with_files(paths: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "line\n").unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_gives_its_logs_and_leaves_what_stands_beside_them() {
        let folder = with_files(&[
            "a/access.log",
            "a/access.log.2.gz",
            "a/story.md",
            "a/expected.ndjson",
            "a/jwks.json",
            "b/access.json",
            "b/requests.txt",
            "b/catalog.json",
            "b/.hidden.log",
            ".git/log",
        ]);
        let expected = [
            "a/access.log",
            "a/access.log.2.gz",
            "b/access.json",
            "b/requests.txt",
        ];
        assert_eq!(names(folder.path(), &["".as_ref()]), expected);
        assert_eq!(
            names(folder.path(), &["a/jwks.json".as_ref()]),
            ["a/jwks.json"]
        );
    }

    #[test]
    fn t54_a_file_named_in_three_ways_is_read_once() {
        let folder = with_files(&["access.log", "[odd].log"]);
        fs::hard_link(
            folder.path().join("access.log"),
            folder.path().join("zz.log"),
        )
        .unwrap();
        let args: [&OsStr; 4] = [
            "*.log".as_ref(),
            "access.log".as_ref(),
            "".as_ref(),
            "[odd].log".as_ref(),
        ];
        assert_eq!(names(folder.path(), &args), ["[odd].log", "access.log"]);
    }

    #[test]
    fn t50_odd_names_are_names() {
        let folder = with_files(&["a b\n*.log"]);
        let odd = OsStr::from_bytes(b"caf\xe9.log");
        fs::write(folder.path().join(odd), "line\n").unwrap();
        assert_eq!(names(folder.path(), &["".as_ref()]).len(), 2);
        assert_eq!(names(folder.path(), &[odd, "a b\n*.log".as_ref()]).len(), 2);
    }

    #[test]
    fn t51_what_is_no_file_is_left_out_of_a_glob_and_refused_by_name() {
        let folder = with_files(&["access.log", "folder.log/inner.log"]);
        let fifo = folder.path().join("fifo.log");
        assert!(
            Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        let _socket = UnixListener::bind(folder.path().join("socket.log")).unwrap();
        assert_eq!(names(folder.path(), &["*.log".as_ref()]), ["access.log"]);
        let error = discover(&[fifo.into_os_string()]).unwrap_err().to_string();
        assert!(error.contains("tokentrip scan - <"), "{error}");
    }

    #[test]
    fn nothing_found_says_what_can_be_named() {
        let folder = with_files(&["README.md"]);
        for arg in [
            folder.path().as_os_str(),
            folder.path().join("*.gz").as_os_str(),
        ] {
            let error = discover(&[arg.to_owned()]).unwrap_err().to_string();
            assert!(
                error.contains("no log files in") && error.contains("quoted glob"),
                "{error}"
            );
        }
        let gone = folder.path().join("gone.log").into_os_string();
        let error = discover(&[gone]).unwrap_err().to_string();
        assert!(
            error.contains("gone.log") && error.contains("check the path"),
            "{error}"
        );
    }
}

//! Opening without being blocked or fooled: regular files only.
//!
//! In: a path. Out: an open file and what it is.
//! Does not know: what the file holds.
//! Source: open(2) and fifo(7): a FIFO opened without `O_NONBLOCK` waits for a writer; getrlimit(2).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

// `O_NONBLOCK` as the kernel's headers define it; the libc crate is not worth one constant.
#[cfg(target_os = "linux")]
const O_NONBLOCK: i32 = 0o4000;
#[cfg(not(target_os = "linux"))]
const O_NONBLOCK: i32 = 0x0004;

/// Raises what this process may have open to what it may raise it to: every followed log is an open file, and 1024 is
/// what a login shell gives. Gives how many that is.
pub(crate) fn allow_many_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // A system that refuses leaves what was there.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Opens `path` for reading. Never waits, and gives an error of kind [`io::ErrorKind::InvalidInput`] for anything
/// that is no regular file; that is judged after opening, so a file that is swapped meanwhile cannot deceive.
pub(crate) fn regular(path: &Path) -> io::Result<(File, Metadata)> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok((file, metadata))
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ))
    }
}

//! SHELL: from files to chunks of lines, losing nothing that is not counted.
//!
//! In: paths, folders, globs, stdin. Out: [`crate::domain::line::Chunk`]s with the place every line came from.
//! `scan` reads [`discover`] → [`archive`] → [`records`] → [`lines`]; `watch` polls [`follow`]: [`tail`], woken by
//! [`wake`], with a [`state`]: the [`journal`] of what the engine was fed and the [`snapshot`] of what it knew. Both
//! remember in [`stretch`]es what stands where (`watch` on the disk: [`index`]), to read some of it [`again`].
//! Does not know: formats, tokens, the engine; threads (the app starts them: everything here is polled or called).

pub mod again;
pub mod archive;
pub mod discover;
pub mod fault;
pub mod follow;
mod framed;
pub mod generation;
pub mod index;
pub mod journal;
pub mod lines;
mod members;
pub(crate) mod open;
pub mod records;
pub mod snapshot;
pub mod state;
pub mod stretch;
pub mod tail;
mod tracked;
pub mod wake;

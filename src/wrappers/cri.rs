//! The Kubernetes container runtime's log: `2026-05-04T10:11:12.345678901Z stdout F line`.
//!
//! In: a line of the file. Out: the container's line, or a piece of it (tag `P`; the last one has `F`).
//! Does not know: the pod (its name is in the path). Podman's `k8s-file` is the same.
//! Source: Kubernetes, "Design proposal: CRI: container log format" (kubelet-cri-logging).

use super::{Around, Entry, Part, Wrapper, stamp};

pub(super) static WRAPPER: Wrapper = Wrapper {
    name: "cri",
    about: "containerd, CRI-O and Podman: time, stream, P or F; pieces are joined",
    peel,
};

fn peel<'a>(line: &'a str, _: &mut Around<'_>, entries: &mut Vec<Entry<'a>>) -> bool {
    let parsed = || {
        let (time, rest) = line.split_once(' ')?;
        let (stream, rest) = rest.split_once(' ')?;
        // An empty line may have lost the space behind its tag.
        let (tags, text) = rest.split_once(' ').unwrap_or((rest, ""));
        // Tags are separated by colons, and the first says whether there is more.
        let part = match tags.split(':').next()? {
            "P" => Part::More(stream.into()),
            "F" => Part::Last(stream.into()),
            _ => return None,
        };
        let written = stamp::rfc3339(time)?;
        matches!(stream, "stdout" | "stderr").then_some(Entry {
            text: text.into(),
            written: Some(written),
            part,
            place: None,
        })
    };
    let entry = parsed();
    let known = entry.is_some();
    entries.extend(entry);
    known
}

//! Volume: how much more somebody new to a session is answered than its subject ever was.
//!
//! In: the first uses of the context, and those of the subject's sessions. Out: `volume.bytes_z`.
//! Does not know: what is too much; exports are large, too.

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};

pub(super) static DETECTOR: Detector = Detector {
    name: "volume",
    facts: &[Fact::VolumeBytesZ],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let opening = look.watch.and_then(|watch| watch.opening());
    let more = opening
        .zip(look.subject)
        .and_then(|(opening, subject)| subject.habits.rhythm.more(opening));
    if let Some(more) = more {
        facts.set(Fact::VolumeBytesZ, more);
    }
}

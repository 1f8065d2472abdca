//! Retinue: whether the use comes from a companion that several people's sessions have.
//!
//! In: what the engine looked up for a context that is new to its session. Out: `session.usual_companion`.
//! Does not know: which companion; see [`crate::sessions::retinue`].

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};

pub(super) static DETECTOR: Detector = Detector {
    name: "retinue",
    facts: &[Fact::SessionUsualCompanion],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    facts.flag(Fact::SessionUsualCompanion, look.usual);
}

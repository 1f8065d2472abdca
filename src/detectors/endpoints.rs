//! Endpoints: how unusual it is for the users of a client to ask for what somebody new to a session asks for.
//!
//! In: the first uses of the context, each with how rare its path is. Out: `endpoint.novelty`.
//! Does not know: which paths matter. What a release brings is rare only until some have asked for it.

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};

pub(super) static DETECTOR: Detector = Detector {
    name: "endpoints",
    facts: &[Fact::EndpointNovelty],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let strange = look.watch.and_then(|watch| watch.strangeness());
    if let Some(strange) = strange {
        facts.set(Fact::EndpointNovelty, strange);
    }
}

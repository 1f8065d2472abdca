//! The words that a document chooses among.
//!
//! In: a value. Out: its name in a rule, and all that there are.
//! Does not know: what follows from a choice.
//! Source: Sigma specification v2 (status); our own keys under `tokentrip:`.

use super::rule::{Status, TestKeys};
use crate::domain::finding::Confidence;
use crate::domain::incident::Cause;

pub(super) const STATUSES: [Status; 5] = [
    Status::Stable,
    Status::Test,
    Status::Experimental,
    Status::Deprecated,
    Status::Unsupported,
];

pub(super) fn status_name(status: Status) -> &'static str {
    match status {
        Status::Stable => "stable",
        Status::Test => "test",
        Status::Experimental => "experimental",
        Status::Deprecated => "deprecated",
        Status::Unsupported => "unsupported",
    }
}

pub(super) const CONFIDENCES: [Confidence; 3] =
    [Confidence::Low, Confidence::Medium, Confidence::High];

pub(super) fn confidence_name(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "low",
        Confidence::Medium => "medium",
        Confidence::High => "high",
    }
}

pub(super) const CAUSES: [Cause; 3] = [
    Cause::InadequateMeasures,
    Cause::PoorDeviceSecurity,
    Cause::HumanError,
];

pub(super) fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::InadequateMeasures => "inadequate_measures",
        Cause::PoorDeviceSecurity => "poor_device_security",
        Cause::HumanError => "human_error",
    }
}

pub(super) const TEST_KEYS: [TestKeys; 3] =
    [TestKeys::None, TestKeys::Symmetric, TestKeys::Asymmetric];

pub(super) fn test_keys_name(keys: TestKeys) -> &'static str {
    match keys {
        TestKeys::None => "none",
        TestKeys::Symmetric => "symmetric",
        TestKeys::Asymmetric => "asymmetric",
    }
}

pub(super) fn expectation(expects_finding: bool) -> &'static str {
    if expects_finding { "finding" } else { "quiet" }
}

//! Stamps from the future: one wrong stamp must not decide where a whole file stands in time.
//!
//! In: the lines of a chunk and the time its file has come to. Out: the same lines, stray stamps replaced by the time
//! of the line before; how many there were.
//! Does not know: the wall clock by itself: an archive may be read by a machine whose own clock is wrong. A stamp is
//! from the future when the lines around it say so, and in a log that is being written also when this machine's clock
//! does.

use crate::domain::line::SkipReason;
use crate::domain::time::Time;
use crate::engine::prepare::Prepared;

/// How far a stamp must be ahead of the lines before and behind it: no queue, no retry and no time zone reaches that
/// far.
const AHEAD_S_MIN: f64 = 86_400.0;

/// How many lines behind it are asked. More than half of them must be behind in time, too, so that a log that goes on
/// after a silent weekend is believed.
const WITNESSES: usize = 9;

/// Holds back the stray stamps of a chunk whose file has come to `before`, and which is written `now`, if it is.
pub(super) fn hold_back(
    lines: &mut [Result<Prepared<'_>, SkipReason>],
    before: Time,
    now: Option<Time>,
) -> u64 {
    let time =
        |line: &Result<Prepared<'_>, SkipReason>| line.as_ref().ok().map(|one| one.event.time);
    let times: Vec<Time> = lines.iter().filter_map(time).collect();
    let mut newest = before;
    let mut held = 0;
    let events = lines.iter_mut().filter_map(|line| line.as_mut().ok());
    for (at, line) in events.enumerate() {
        let witnesses = times.iter().skip(at + 1).take(WITNESSES);
        if is_stray(line.event.time, newest, witnesses.clone(), now) {
            let next = witnesses.min().copied().or(now).unwrap_or_default();
            // The first line of a file has none before it.
            line.event.time = if newest == Time::default() {
                next
            } else {
                newest
            };
            held += 1;
        }
        newest = newest.max(line.event.time);
    }
    held
}

fn is_stray<'t>(
    time: Time,
    newest: Time,
    witnesses: impl Iterator<Item = &'t Time>,
    now: Option<Time>,
) -> bool {
    if time.since_s(newest) < AHEAD_S_MIN {
        return false;
    }
    if now.is_some_and(|now| time.since_s(now) >= AHEAD_S_MIN) {
        return true;
    }
    let (mut all, mut behind) = (0, 0);
    for witness in witnesses {
        all += 1;
        behind += usize::from(time.since_s(*witness) >= AHEAD_S_MIN);
    }
    behind * 2 > all
}

//! Which of two contexts is the one that does not belong.
//!
//! In: a [`Look`] and its facts. Out: [`Blame`]: suspect and victim, with what the stores counted for the suspect.
//! Does not know: rules, scores.

use crate::detectors::Look;
use crate::domain::context::{ClientKind, Context, NetworkKind};
use crate::domain::time::Time;
use crate::incidents::SuspectStats;
use crate::sessions::device::{apart, is_phone, may_share, one_country_by_carrier, one_device};
use crate::sessions::session::{ContextKey, Session, Visit};
use std::sync::Arc;

/// The two sides of a finding.
#[derive(Clone, Debug)]
pub(super) struct Blame {
    /// The side that does not belong.
    pub(super) suspect: Arc<Context>,
    /// Its context as logged.
    pub(super) suspect_key: ContextKey,
    /// Event time of its first use.
    pub(super) suspect_since: Time,
    /// The session's binding; `None` when it is uncertain who held the token first.
    pub(super) victim: Option<Arc<Context>>,
    /// The other of the two sides than the use's own.
    pub(super) other: Option<Arc<Context>>,
    /// What was counted for the suspect.
    pub(super) stats: SuspectStats,
    /// The rightful holder's last use.
    pub(super) last_legitimate_use: Option<Time>,
    /// Sessions of the subject.
    pub(super) sessions_of_subject: u64,
    /// True when findings may name the subject: the use is believed, or the account was entered with a forgery.
    pub(super) names_subject: bool,
    /// True when a forgery was let in.
    pub(super) accepted_forgery: bool,
    /// True when both sides may be one person's, or the suspect a server that acts for people.
    pub(super) doubtful: bool,
}

impl Blame {
    /// A sender of whom nothing else is known, with a subject to name.
    pub(super) fn of_sender(suspect: Arc<Context>, key: ContextKey, since: Time) -> Self {
        Self {
            suspect,
            suspect_key: key,
            suspect_since: since,
            victim: None,
            other: None,
            stats: SuspectStats::default(),
            last_legitimate_use: None,
            sessions_of_subject: 0,
            names_subject: true,
            accepted_forgery: false,
            doubtful: false,
        }
    }
}

/// Tells the two sides of a use apart.
pub(super) fn blame(look: &Look<'_>, believed: bool, forgery: bool) -> Blame {
    let usage = look.usage;
    let here = Arc::clone(usage.context);
    let accepted_forgery = forgery && look.standing.accepted;
    let mentioned = !usage.place.presents() && look.entry.accepted;
    let mut blame = Blame {
        sessions_of_subject: look
            .subject
            .map_or(0, |subject| u64::from(subject.sessions)),
        names_subject: believed || accepted_forgery || mentioned,
        accepted_forgery,
        ..Blame::of_sender(here, look.key, usage.event.time)
    };
    if let Some(session) = look.session {
        sides(session, look, &mut blame);
    }
    let presented = look.origin.subjects.max(look.origin.named) as u64;
    blame.stats.other_subjects = presented.saturating_sub(1);
    blame
}

fn sides(session: &Session, look: &Look<'_>, blame: &mut Blame) {
    let Some(bound) = session.bound_for(blame.suspect.address.ip()) else {
        return;
    };
    let (holder_key, holder) = holder(session, look, bound);
    let own = |context: &Context| {
        let near = apart(&holder, context) != Some(true) || hands_over(&holder, context);
        one_device(&holder, context) && near
    };
    let stranger = session
        .visits
        .iter()
        .filter(|v| !own(&v.context) && !session.accompanies(v))
        .max_by_key(|v| (v.suspect, v.last));
    // The holder who comes back to a session that somebody else is in is not the suspect; nor is who was in it, and
    // nothing was said against, before one came who is.
    let returns = |stranger: &Visit| {
        let here = session.visit(look.key).map(|(_, visit)| visit);
        own(&blame.suspect)
            || stranger.suspect
                && here.is_some_and(|here| !here.suspect && here.first < stranger.first)
    };
    let visit = match stranger {
        Some(stranger) if returns(stranger) => {
            blame.suspect = Arc::new(stranger.context.clone());
            blame.suspect_key = stranger.key;
            Some(stranger)
        }
        _ => session.visit(look.key).map(|(_, visit)| visit),
    };
    if let Some(visit) = visit {
        blame.suspect_since = visit.first;
        blame.stats = stats(visit);
    }
    blame.other = Some(match blame.suspect_key == look.key {
        true => Arc::clone(&holder),
        false => Arc::clone(&blame.suspect),
    });
    if blame.suspect_key != holder_key && !uncertain(&holder) {
        blame.victim = Some(Arc::clone(&holder));
    }
    let may_be_holders =
        may_share(&holder, &blame.suspect) || takes_tools_along(session, &holder, &blame.suspect);
    blame.doubtful = blame.suspect_key != holder_key && may_be_holders;
    let legitimate = session
        .visits
        .iter()
        .filter(|visit| visit.key != blame.suspect_key);
    blame.last_legitimate_use = legitimate.map(|visit| visit.last).max();
}

/// Whose session it is: of the context that it is bound to, unless the subject was never seen there before, neither in
/// that network nor with that program in that place, and is at home where somebody else uses it. Who takes a token on
/// its way can use it first.
fn holder(session: &Session, look: &Look<'_>, bound: &Visit) -> (ContextKey, Arc<Context>) {
    let time = look.usage.event.time;
    let home = |context: &Context| {
        look.subject
            .is_some_and(|subject| subject.is_at_home(context, time))
    };
    let bound_to = (bound.key, Arc::new(bound.context.clone()));
    // Where a session begins as with a phishing proxy, who was known elsewhere before it began is the holder.
    let since = session.first_seen();
    let hides = uncertain(&bound.context);
    let known = |context: &Context| {
        look.subject
            .is_some_and(|subject| subject.was_with(context, since))
    };
    let home = |context: &Context| home(context) || hides && known(context);
    let stranger = look.subject.is_some_and(|subject| {
        subject.is_stranger(&bound.context, time) || hides && !known(&bound.context)
    });
    if !stranger {
        return bound_to;
    }
    let visits = session.visits.iter().filter(|visit| visit.accepted > 0);
    let mut at_home = visits.filter(|visit| !visit.suspect && home(&visit.context));
    match at_home.next() {
        Some(visit) => (visit.key, Arc::new(visit.context.clone())),
        None if home(look.usage.context) => (look.key, Arc::clone(look.usage.context)),
        None => bound_to,
    }
}

/// True for a tool on a line of people, in a session with which tools were used on its holder's own line: a developer
/// on a journey has more with him than a browser, and may use that first.
fn takes_tools_along(session: &Session, holder: &Context, suspect: &Context) -> bool {
    let is_tool = |context: &Context| context.client_kind() == ClientKind::Tool;
    let visits = session.visits.iter().filter(|visit| visit.accepted > 0);
    let mut own = visits.filter(|visit| visit.context.line() == holder.line());
    is_tool(suspect) && !among_servers(suspect) && own.any(|visit| is_tool(&visit.context))
}

/// True for the holder's phone behind a carrier of its country, whose gateway is anywhere in it.
fn hands_over(holder: &Context, context: &Context) -> bool {
    let phones = is_phone(holder) && is_phone(context);
    phones && one_country_by_carrier(holder, context)
}

fn stats(visit: &Visit) -> SuspectStats {
    SuspectStats {
        // What is awaited is counted with its line.
        requests: u64::from(visit.accepted) + u64::from(visit.refused)
            - u64::from(visit.awaited && visit.accepted > 0),
        writes: u64::from(visit.writes),
        bytes: visit.bytes,
        denied: u64::from(visit.refused),
        other_subjects: 0,
        missing: None,
    }
}

/// True when a session that begins here may already be a thief's: a browser in a server network is how a phishing
/// proxy logs in.
fn uncertain(bound: &Context) -> bool {
    among_servers(bound) && bound.client_kind() == ClientKind::Browser
}

/// True in a network of servers, also one that exits of VPN services share.
fn among_servers(context: &Context) -> bool {
    matches!(
        context.network_kind(),
        NetworkKind::Hosting | NetworkKind::Vpn
    )
}

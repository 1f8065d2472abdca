//! Issuance: how the session came to be, as the identity provider told it.
//!
//! In: what was told of the session, and where its tokens are used. Out: `issuance.hosting`, `issuance.without_login`.
//! Does not know: providers that tell nothing. A backend that asks for tokens is no login, and a server network where
//! the subject is known, or that the session itself stays in, is a desktop in a cloud.
//! Source: MITRE ATT&CK T1557 (adversary in the middle), T1606.002 (forged tokens have no login).

use super::{Detector, Look};
use crate::domain::context::{ClientKind, Context, NetworkKind};
use crate::domain::facts::{Fact, Facts};
use crate::sessions::device::same_network;

pub(super) static DETECTOR: Detector = Detector {
    name: "issuance",
    facts: &[Fact::IssuanceHosting, Fact::IssuanceWithoutLogin],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    if look.repeats || !look.standing.accepted {
        return;
    }
    facts.flag(Fact::IssuanceWithoutLogin, look.without_login);
    let login = look.login.and_then(|login| login.context.as_deref());
    facts.flag(
        Fact::IssuanceHosting,
        login.is_some_and(|login| is_relayed(look, login)),
    );
}

/// True when somebody logged in from a network of servers and uses the token elsewhere.
fn is_relayed(look: &Look<'_>, login: &Context) -> bool {
    let here = look.usage.context;
    let by_hand = matches!(
        login.client_kind(),
        ClientKind::Browser | ClientKind::App | ClientKind::Unknown
    );
    let known = login.network.as_ref().is_some_and(|network| {
        look.subject
            .is_some_and(|subject| subject.networks.iter().any(|own| own.what == network.asn))
    });
    // A VPN that is switched off after the login was seen at the gateway, too.
    let stayed = look.session.is_some_and(|session| {
        let mut visits = session.visits.iter();
        visits.any(|visit| same_network(login, &visit.context) == Some(true))
    });
    login.network_kind() == NetworkKind::Hosting
        && !stayed
        && by_hand
        && !known
        && here.network_kind() != NetworkKind::Hosting
        && !here.network_kind().moves_by_nature()
        && !here.is_internal()
        && same_network(login, here) == Some(false)
}

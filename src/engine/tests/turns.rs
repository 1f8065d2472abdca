//! Two holders who take turns, where the gateway does not let every request in.

use super::*;

/// At home, and the exit of a VPN, both of the documentation.
const HOME: &str = "192.0.2.130";
const EXIT: &str = "198.51.100.70";

/// A session at home that goes on behind a VPN, too; all but the first and the last of its turns are answered `status`.
fn turns(issuers: Issuers, status: u16) -> Kit {
    let mut kit = kit_with(issuers, false);
    let token = token_of("alice", "now", 0);
    for (turn, from) in [HOME, EXIT].into_iter().cycle().take(8).enumerate() {
        let status = match turn {
            0 | 1 | 7 => 200,
            _ => status,
        };
        kit.line(turn as i64 * 40, from, BROWSER, &token, status);
    }
    kit
}

#[test]
fn a_request_for_what_is_not_there_or_forbidden_is_a_turn_of_who_holds_a_good_token() {
    rests_on!(SessionVpnSwitches10m);
    let known = || {
        let mut issuers = configured();
        issuers.learn(ISSUER, public_keys(), Time::LATEST);
        issuers
    };
    for (status, is_turn) in [(200, true), (404, true), (403, true), (401, false)] {
        let kit = turns(known(), status);
        assert_eq!(kit.found("vpn_beside_home"), is_turn, "{status}");
    }
    // Where nobody can check the token, only an answer tells that it is one.
    let kit = turns(Issuers::default(), 404);
    assert!(!kit.found("vpn_beside_home"));
}

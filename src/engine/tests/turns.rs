//! Two holders who take turns, where the gateway does not let every request in.

use super::*;

/// At home, and the exit of a VPN, both of the documentation.
const HOME: &str = "192.0.2.130";
const EXIT: &str = "198.51.100.70";

/// A session at home that goes on behind a VPN, too; of its turns all but the first and the last are `others`.
fn turns(issuers: Issuers, others: impl Fn(&mut Kit, i64, &str, &str)) -> Kit {
    let mut kit = kit_with(issuers, false);
    let token = token_of("alice", "now", 0);
    for (turn, from) in [HOME, EXIT].into_iter().cycle().take(8).enumerate() {
        let at_s = turn as i64 * 40;
        match turn {
            0 | 1 | 7 => kit.line(at_s, from, BROWSER, &token, 200),
            _ => others(&mut kit, at_s, from, &token),
        }
    }
    kit
}

fn known() -> Issuers {
    let mut issuers = configured();
    issuers.learn(ISSUER, public_keys(), Time::LATEST);
    issuers
}

#[test]
fn a_request_for_what_is_not_there_or_forbidden_is_a_turn_of_who_holds_a_good_token() {
    rests_on!(SessionVpnSwitches10m, "vpn_beside_home");
    let of = |issuers, status| {
        turns(issuers, move |kit, at_s, from, token| {
            kit.line(at_s, from, BROWSER, token, status);
        })
    };
    for (status, is_turn) in [(200, true), (404, true), (403, true), (401, false)] {
        let kit = of(known(), status);
        assert_eq!(kit.found("vpn_beside_home"), is_turn, "{status}");
    }
    // Where nobody can check the token, only an answer tells that it is one.
    let kit = of(Issuers::default(), 404);
    assert!(!kit.found("vpn_beside_home"));
}

#[test]
fn a_token_that_a_referer_mentions_is_no_turn() {
    let kit = turns(known(), |kit, at_s, from, token| {
        let line = json!({
            "time": (T0 + at_s), "remote_addr": from, "request_method": "GET", "request_uri": "/logo.png",
            "status": 200, "http_user_agent": BROWSER, "http_referer": format!("https://shop.example/?t={token}"),
        });
        kit.raw_line("json", &line.to_string());
    });
    assert!(!kit.found("vpn_beside_home"));
}

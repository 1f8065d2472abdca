//! Who is new to a session is watched: how fast, how regularly and what for he asks; and whose data it is.

use super::*;
use crate::domain::finding::FactValue;
use crate::sessions::rhythm::Rhythm;

/// New York, at home.
const ELSEWHERE: &str = "203.0.113.10";

impl Kit {
    fn request(&mut self, at_s: i64, from: &str, token: &str, path: &str, bytes: u64) {
        let line = json!({
            "time": (T0 + at_s), "remote_addr": from, "request_method": "GET", "request_uri": path, "status": 200,
            "body_bytes_sent": bytes, "http_user_agent": BROWSER, "http_authorization": format!("Bearer {token}"),
        });
        self.raw_line("json", &line.to_string());
    }

    /// What was measured for the rule's only finding.
    fn measured(&self, rule: &str, fact: &str) -> Option<f64> {
        let findings = &self.seen.findings;
        let finding = findings.iter().find(|finding| &*finding.rule == rule)?;
        match finding.facts.get(fact)? {
            FactValue::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// Sessions of one person, an hour apart, each of ten unhurried requests and some kilobytes.
    fn past(&mut self, sessions: i64) {
        for session in 0..sessions {
            let at_s = session * 3600 - DAY_S;
            let token = token_of("alice", &format!("past{session}"), at_s);
            for turn in 0..10 {
                let at_s = at_s + turn * 40 + turn * turn % 7;
                self.request(at_s, LISBON, &token, "/api/items", 900);
            }
        }
    }

    /// A session at home, and then somebody elsewhere who asks every so many seconds.
    fn guest(&mut self, every_s: i64, bytes: u64, path: fn(i64) -> String) {
        let token = token_of("alice", "now", 0);
        for at_s in [0, 60] {
            self.request(at_s, LISBON, &token, "/api/items", 900);
        }
        for turn in 0..12 {
            let at_s = 1000 + turn * every_s;
            self.request(at_s, ELSEWHERE, &token, &path(turn), bytes);
        }
    }
}

fn items(_: i64) -> String {
    "/api/items".into()
}

/// The same with and without the fast path, which must find the same.
fn kits() -> [Kit; 2] {
    [true, false].map(|fast_path| {
        let settings = Settings {
            fast_path,
            ..settings()
        };
        kit_of(settings, Issuers::default())
    })
}

#[test]
fn who_asks_like_a_clock_elsewhere_is_told_and_the_holder_may() {
    rests_on!(DriftDimensions, PaceRegular, "regular_pace");
    for mut kit in kits() {
        kit.guest(7, 900, items);
        assert!(kit.measured("regular_pace", "pace.regular").unwrap() < 0.01);
    }
    for mut kit in kits() {
        let token = token_of("alice", "now", 0);
        for turn in 0..40 {
            kit.request(turn * 7, LISBON, &token, "/api/items", 900);
        }
        assert!(kit.seen.findings.iter().all(|f| &*f.rule != "regular_pace"));
    }
}

#[test]
fn who_is_in_more_of_a_hurry_than_five_sessions_is_told() {
    rests_on!(
        TravelSpeedKmh,
        DriftDimensions,
        PaceRegular,
        "impossible_travel",
        "out_of_habit"
    );
    for mut kit in kits() {
        kit.past(5);
        kit.guest(1, 900, items);
        assert!(kit.measured("out_of_habit", "pace.rate_z").unwrap() >= 3.0);
    }
    // Little is known of who has four, and the subject's own pace is no hurry.
    for (sessions, every_s) in [(4, 1), (5, 40)] {
        let mut kit = kit();
        kit.past(sessions);
        kit.guest(every_s, 900, items);
        assert!(!kit.found("out_of_habit"), "{sessions} {every_s}");
    }
}

/// How alice's sessions begin, as far as that was learned.
fn rhythm(kit: &Kit) -> Rhythm {
    let alice = SubjectId::of(&key(), &[ISSUER.as_bytes(), b"alice"]);
    let subject = kit.engine.state.stores.subjects.get(alice);
    subject.unwrap().habits.rhythm.clone()
}

#[test]
fn a_session_that_began_teaches_once_and_forged_tokens_that_name_it_teach_nothing() {
    let token = token_of("alice", "now", 0);
    let forged = format!("{}.AAAA", token.rsplit_once('.').unwrap().0);
    let began = |uses: i64, forgeries: i64, fast_path: bool| {
        let mut issuers = configured();
        issuers.learn(ISSUER, public_keys(), Time::LATEST);
        let settings = Settings {
            fast_path,
            ..settings()
        };
        let mut kit = kit_of(settings, issuers);
        for turn in 0..uses {
            kit.request(turn * 7, LISBON, &token, "/api/items", 900);
        }
        for turn in 0..forgeries {
            kit.line(100 + turn, ELSEWHERE, BROWSER, &forged, 401);
        }
        rhythm(&kit)
    };
    assert_eq!(began(9, 0, true), Rhythm::default());
    let learned = began(10, 0, true);
    assert_ne!(learned, Rhythm::default());
    for (uses, forgeries, fast_path) in
        [(10, 5, true), (30, 0, true), (10, 5, false), (30, 0, false)]
    {
        assert_eq!(
            began(uses, forgeries, fast_path),
            learned,
            "{uses} {forgeries}"
        );
    }
}

#[test]
fn who_takes_much_more_than_the_subject_ever_did_is_told() {
    rests_on!(
        TravelSpeedKmh,
        DriftDimensions,
        PaceRegular,
        VolumeBytesZ,
        "impossible_travel",
        "out_of_habit"
    );
    for mut kit in kits() {
        kit.past(5);
        kit.guest(40, 9_000_000, items);
        assert!(kit.measured("out_of_habit", "volume.bytes_z").unwrap() >= 3.0);
        assert_eq!(
            kit.measured("out_of_habit", "pace.rate_z").map(|z| z < 3.0),
            Some(true)
        );
    }
}

/// Many people who ask for the same handful of things.
fn crowd(kit: &mut Kit) {
    for person in 0..60 {
        let sub = format!("other{person}");
        for path in ["/api/items", "/api/me", "/api/cart", "/api/news"] {
            let sid = format!("{sub}{path}");
            let token = token_of(&sub, &sid, -DAY_S);
            kit.request(person - DAY_S, LISBON, &token, path, 900);
        }
    }
}

#[test]
fn who_asks_for_what_nobody_does_is_told_and_new_paths_of_everybody_are_not() {
    rests_on!(DriftDimensions, EndpointNovelty, "out_of_habit");
    let rare = |turn| {
        format!(
            "/admin/{}",
            ["users", "keys", "roles", "logs"][turn as usize % 4]
        )
    };
    let mut kits = [kit(), kit()];
    for kit in &mut kits {
        crowd(kit);
    }
    let [mut strange, mut usual] = kits;
    strange.guest(33, 900, rare);
    assert!(
        strange
            .measured("out_of_habit", "endpoint.novelty")
            .unwrap()
            >= 2.0
    );
    usual.guest(33, 900, items);
    assert!(!usual.found("out_of_habit"));
    // Of a service that is hardly known, nothing is rare.
    let mut young = kit();
    young.guest(33, 900, rare);
    assert!(!young.found("out_of_habit"));
}

#[test]
fn another_tenants_data_are_told_where_requests_name_their_own() {
    rests_on!(MisuseTenant, "foreign_tenant");
    let of = |tenant: &str, number: i64| {
        let sid = format!("{tenant}{number}");
        let mut claims = claims(&sid, &sid, &sid);
        claims["org_id"] = tenant.into();
        mint(&claims, "rsa-2048")
    };
    let mut kit = kit();
    for number in 0..10 {
        for tenant in ["acme", "globex", "initech"] {
            let path = format!("/v1/{tenant}/orders");
            kit.request(number, LISBON, &of(tenant, number), &path, 900);
        }
    }
    kit.request(20, LISBON, &of("acme", 90), "/v1/ACME/orders", 900);
    kit.request(21, LISBON, &of("acme", 91), "/v1/health/orders", 900);
    assert!(!kit.found("foreign_tenant"));
    kit.request(22, LISBON, &of("acme", 92), "/v1/initech/orders", 900);
    assert!(kit.found("foreign_tenant"));
}

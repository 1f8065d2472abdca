//! What gateways ask about, beside the lines of the same requests.

use super::*;
use crate::domain::event::{AccessEvent, Carrier, CarrierKind};
use crate::domain::presentation::Presentation;
use crate::domain::token::Verdict;
use crate::tokens::decode::decode;
use crate::tokens::locate::locate;
use crate::tokens::verify::verify;

/// As issuers make them: two payloads under one would be a forgery.
const JTI: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

fn keyed() -> Kit {
    let mut issuers = configured();
    issuers.learn(ISSUER, public_keys(), Time::LATEST);
    kit_with(issuers, false)
}

fn at(at_s: i64) -> Time {
    Time::from_ms((T0 + at_s) * 1000).unwrap()
}

/// What speaks of a theft; a log with whole tokens has faults of its own.
const THEFT: [&str; 6] = [
    "impossible_travel",
    "tool_on_browser_session",
    "country_change",
    "fast_travel",
    "after_logout",
    "after_revocation",
];

impl Kit {
    fn accused(&self) -> Vec<String> {
        let mut rules = self.rules();
        rules.retain(|rule| THEFT.contains(&rule.as_str()));
        rules
    }

    /// What `/v1/check` passes on of a request.
    fn presentation(&self, at_s: i64, from: &str, agent: &str, token: &str) -> Presentation {
        let mut event = AccessEvent {
            time: at(at_s),
            client: from.parse().ok(),
            user_agent: Some(agent.into()),
            ..AccessEvent::default()
        };
        event.carriers.push(Carrier {
            kind: CarrierKind::Header,
            name: "authorization".into(),
            text: format!("Bearer {token}").into(),
        });
        let credential = locate(&mut event, &key())[0].clone();
        let token = decode(&credential, &key()).unwrap();
        let crate::domain::token::Shape::Raw(raw) = &credential.shape else {
            panic!("no token")
        };
        Presentation {
            time: event.time,
            digest: credential.digest,
            place: credential.place,
            verdict: verify(raw, &token, &self.engine.issuers),
            client: event.client.unwrap(),
            context_key: self.front.context_key(&event, &mut Vec::new()).0,
            user_agent: Some(agent.into()),
            language: None,
            host: None,
            method: Some("GET".into()),
            path: Some("/api/items".into()),
            request_id: Some(format!("r-{at_s}").into()),
            token,
        }
    }

    fn ask(&mut self, at_s: i64, from: &str, agent: &str, token: &str) {
        let asked = self.presentation(at_s, from, agent, token);
        self.engine.observe(Input::Asked(&asked), &mut self.seen);
    }

    /// A line that holds the claims and no token.
    fn told(&mut self, at_s: i64, from: &str, agent: &str, sub: &str, status: u16) {
        let line = json!({
            "time": (T0 + at_s), "remote_addr": from, "request_method": "GET", "request_uri": "/api/items",
            "status": status, "http_user_agent": agent, "jwt_iss": ISSUER, "jwt_sub": sub, "jwt_jti": JTI,
            "jwt_sid": "s1", "jwt_exp": (T0 + 3600).to_string(), "jwt_iat": T0.to_string(),
        });
        self.raw_line("json", &line.to_string());
    }

    fn requests(&self, token: &str) -> u64 {
        let session = self.presentation(0, LISBON, BROWSER, token).token.session;
        let session = self.engine.state.stores.sessions.get(session);
        session.map_or(0, |session| session.requests.into())
    }
}

#[test]
fn a_theft_is_found_at_the_start_of_a_request_and_its_line_adds_nothing_but_its_count() {
    rests_on!(
        TravelSpeedKmh,
        DriftDimensions,
        "impossible_travel",
        "tool_on_browser_session"
    );
    for claims_alone in [false, true] {
        let mut kit = keyed();
        let token = mint(&claims("alice", "s1", JTI), "rsa-2048");
        let log = |kit: &mut Kit, at_s, from, agent| match claims_alone {
            true => kit.told(at_s, from, agent, "alice", 200),
            false => kit.line(at_s, from, agent, &token, 200),
        };
        for at_s in [0, 20, 40] {
            kit.ask(at_s, LISBON, BROWSER, &token);
            log(&mut kit, at_s, LISBON, BROWSER);
        }
        assert_eq!(kit.requests(&token), 3);
        assert_eq!(kit.accused(), [""; 0]);
        kit.ask(240, TOKYO, TOOL, &token);
        assert!(kit.found("impossible_travel") && kit.found("tool_on_browser_session"));
        let found = kit.accused();
        let incident = kit.engine.incidents().remove(0);
        assert_eq!(incident.provenance, Provenance::Verified);
        assert!(incident.actionable && incident.suspect.ips == [TOKYO.parse::<IpAddr>().unwrap()]);

        log(&mut kit, 240, TOKYO, TOOL);
        log(&mut kit, 241, TOKYO, TOOL);
        assert_eq!(kit.accused(), found, "claims alone: {claims_alone}");
        let incidents = kit.engine.incidents();
        assert_eq!(incidents.len(), 1);
        assert_eq!(
            (incidents[0].id, incidents[0].suspect.requests),
            (incident.id, 2)
        );
        assert_eq!(kit.requests(&token), 5);
    }
}

#[test]
fn what_the_answer_turns_out_to_be_takes_the_place_of_what_was_presumed() {
    let mut kit = keyed();
    let token = mint(&claims("alice", "s1", JTI), "rsa-2048");
    kit.ask(0, LISBON, BROWSER, &token);
    assert_eq!(kit.requests(&token), 0, "nobody was let in with it yet");
    kit.line(1, LISBON, BROWSER, &token, 200);
    kit.ask(20, LISBON, BROWSER, &token);
    kit.ask(81, LISBON, BROWSER, &token);
    assert_eq!(kit.requests(&token), 2, "asked again, and still no line");
    kit.line(82, LISBON, BROWSER, &token, 401);
    assert_eq!(kit.requests(&token), 1);
    kit.line(83, LISBON, BROWSER, &token, 200);
    assert_eq!(kit.requests(&token), 2);
}

#[test]
fn nothing_is_made_of_a_question_about_a_token_that_may_be_nobodys_or_dead() {
    let mut kit = keyed();
    let token = mint(&claims("alice", "s1", JTI), "rsa-2048");
    for at_s in [0, 20, 40] {
        kit.line(at_s, LISBON, BROWSER, &token, 200);
    }
    let mut forged = token.clone();
    forged.replace_range(forged.len() - 20.., "AAAAAAAAAAAAAAAAAAAA");
    kit.ask(100, TOKYO, TOOL, &forged);
    kit.ask(
        101,
        TOKYO,
        TOOL,
        &unsigned(&json!({"alg": "none"}), &claims("alice", "s1", JTI)),
    );
    kit.ask(4000, TOKYO, TOOL, &token); // it died at 3600
    assert_eq!(kit.accused(), [""; 0]);
    assert_eq!(kit.requests(&token), 3);

    // A token of the same session that the service no longer knows.
    let old = mint(
        &claims("alice", "s1", "0b8f6d0e-0000-4d1c-9a55-2f1d6c7d8e9f"),
        "rsa-2048",
    );
    kit.ask(102, TOKYO, TOOL, &old);
    assert_eq!(kit.accused(), [""; 0]);

    // Whether an ended session, or a denied token, is let in again, only the answer tells.
    let logout = json!({
        "time": T0 + 60, "remote_addr": LISBON, "request_method": "POST", "request_uri": "/logout", "status": 200,
        "http_user_agent": BROWSER, "http_authorization": format!("Bearer {token}"),
    });
    kit.raw_line("json", &logout.to_string());
    kit.ask(240, TOKYO, TOOL, &token);
    assert_eq!(kit.accused(), [""; 0]);
    let other = mint(&claims("bob", "s2", "j2"), "rsa-2048");
    kit.line(300, LISBON, BROWSER, &other, 200);
    let target = Target::Jti {
        iss: ISSUER.into(),
        jti: "j2".into(),
        expires_s: None,
    };
    let time = at(310);
    kit.engine
        .observe(Input::Revoked { target, time }, &mut kit.seen);
    kit.ask(400, TOKYO, TOOL, &other);
    assert_eq!(kit.accused(), [""; 0]);
}

#[test]
fn a_question_survives_the_journal_and_gives_the_same_ids_again() {
    let token = mint(&claims("alice", "s1", JTI), "rsa-2048");
    let ids = |round: &dyn Fn(Presentation) -> Presentation| {
        let mut kit = keyed();
        kit.told(0, LISBON, BROWSER, "alice", 200);
        for (at_s, from, agent) in [(1, LISBON, BROWSER), (240, TOKYO, TOOL)] {
            let asked = round(kit.presentation(at_s, from, agent, &token));
            assert_eq!(asked.verdict, Verdict::Verified);
            kit.engine.observe(Input::Asked(&asked), &mut kit.seen);
        }
        let findings = kit.seen.findings.iter().map(|f| f.id).collect::<Vec<_>>();
        assert!(!findings.is_empty());
        (findings, kit.engine.incidents())
    };
    let written = |asked: Presentation| {
        let bytes = postcard::to_stdvec(&asked).unwrap();
        assert!(
            !bytes.windows(3).any(|three| three == b"eyJ"),
            "a token in the journal"
        );
        postcard::from_bytes(&bytes).unwrap()
    };
    assert_eq!(ids(&|asked| asked), ids(&written));
}

#[test]
fn what_was_taken_back_is_no_drift_when_its_holder_goes_on() {
    rests_on!(ProofAfterLogout, "after_revocation");
    for taken_back in [false, true] {
        let mut kit = keyed();
        let token = mint(&claims("alice", "s1", JTI), "rsa-2048");
        kit.line(0, LISBON, BROWSER, &token, 200);
        let target = Target::Sid {
            iss: ISSUER.into(),
            sid: "s1".into(),
        };
        let time = at(10);
        let revoked = Input::Revoked {
            target: target.clone(),
            time,
        };
        kit.engine.observe(revoked, &mut kit.seen);
        if taken_back {
            kit.engine.observe(Input::Restored(&target), &mut kit.seen);
        }
        kit.line(100, LISBON, BROWSER, &token, 200);
        assert_eq!(
            kit.found("after_revocation"),
            !taken_back,
            "{:?}",
            kit.rules()
        );
    }
}

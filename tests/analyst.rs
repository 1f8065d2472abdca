//! What an analyst asks of an archive: what is excepted, what a changed rule would find, why, what else, what if.
//!
//! In: logs and configurations. Out: what the commands show and say.

use crate::support::daemon::tokentrip;
use crate::support::logs::{
    BROWSER, LISBON, MORNING_S, OTHER_BROWSER, TOKYO, TOOL, claims, line, theft, token,
};
use crate::support::mint::mint;
use crate::support::shipped;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// What a command said.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn records(&self, kind: &str) -> Vec<Value> {
        let records = self
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let records = records.filter(|record: &Value| record["type"] == kind);
        records.collect()
    }

    fn summary(&self) -> Value {
        self.records("summary").remove(0)
    }
}

fn run(folder: &Path, arguments: &[&str]) -> Said {
    let output = tokentrip()
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said {
        code: output.status.code().expect("no signal ends it"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

fn archive(log: &str, config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("access.log"), log).unwrap();
    let state = format!("[state]\nfolder = \"state\"\n{config}");
    fs::write(folder.path().join("tokentrip.toml"), state).unwrap();
    folder
}

fn scanned(log: &str, config: &str) -> Said {
    let folder = archive(log, config);
    run(
        folder.path(),
        &["scan", "--config", "tokentrip.toml", "access.log"],
    )
}

/// A person in Lisbon whose session goes on in Tokyo, an invented home there, with the same browser.
fn journey() -> String {
    const TOKYO_HOME: &str = "203.0.113.100";
    let token = token("alice");
    let of = |at_s, ip| line(MORNING_S + at_s, ip, BROWSER, "/api/orders", &token);
    let home = (0..5).map(|step| of(step * 30, LISBON));
    let away = (0..5).map(|step| of(3600 + step * 30, TOKYO_HOME));
    home.chain(away).collect()
}

#[test]
fn a_journey_that_was_announced_explains_where_and_not_with_what() {
    if !shipped(&["impossible_travel", "tool_on_browser_session"]) {
        return;
    }
    let travel = "[[travel]]\nsubject = \"alice\"\nto = [\"JP\"]\nuntil = \"2026-05-08\"\n";
    let silent = scanned(&journey(), "");
    assert_eq!(
        (silent.code, silent.records("incident").len()),
        (1, 1),
        "{silent:?}"
    );
    let told = scanned(&journey(), travel);
    // That the log holds whole tokens is no theft, and nobody's journey.
    let found: Vec<Value> = (told.records("finding").iter())
        .map(|finding| finding["rule"].clone())
        .filter(|rule| rule != "raw_token_in_log")
        .collect();
    assert!(told.code == 0 && found.is_empty(), "{found:?}: {told:?}");
    let summary = told.summary();
    assert!(
        summary["excepted"]["travel to JP"].as_u64() >= Some(1),
        "{summary}"
    );
    assert!(summary["rules"]["impossible_travel"]["excepted"].as_u64() >= Some(1));
    // Over, of somebody else, or elsewhere: no excuse.
    for other in [
        travel.replace("2026-05-08", "2026-05-03"),
        travel.replace("alice", "bob"),
        travel.replace("JP", "BR"),
    ] {
        assert_eq!(scanned(&journey(), &other).code, 1, "{other}");
    }
    // Nor for a thief in the same country, who has another program.
    let tool = theft("alice", MORNING_S);
    let rules = |said: Said| said.summary()["findings"].as_object().cloned().unwrap();
    let found = rules(scanned(&tool, travel));
    assert!(found.contains_key("tool_on_browser_session") || found.contains_key("client_changed"));
}

#[test]
fn an_allow_list_is_by_rule_subject_client_network_place_and_time_and_proofs_need_their_name() {
    let log = theft("alice", MORNING_S);
    let all = scanned(&log, "").records("finding").len();
    let allow = |keys: &str| {
        let said = scanned(&log, &format!("[[allow]]\nname = \"a test\"\n{keys}\n"));
        let excepted: u64 = (said.summary()["excepted"]["a test"].as_u64()).unwrap_or_default();
        (said.records("finding").len(), excepted > 0)
    };
    for fits in [
        "subjects = [\"ali*\"]",
        "clients = [\"python-*\"]",
        "networks = [\"198.51.100.0/24\"]",
        "places = [\"jp\"]",
        "rules = [\"*\"]",
        "subjects = [\"alice\"]\ndays = [\"mon\"]\nhours = \"09:00-11:00\"",
        "subjects = [\"alice\"]\nhours = \"11:00-12:00\"\ntimezone = \"Europe/Lisbon\"",
    ] {
        let (findings, excepted) = allow(fits);
        assert!(excepted && findings < all, "{fits}: {findings} of {all}");
    }
    for misses in [
        "subjects = [\"bob\"]",
        "clients = [\"curl\"]",
        "networks = [\"203.0.113.0/24\", \"AS1\"]",
        "places = [\"BR\"]",
        "subjects = [\"alice\"]\nfrom = \"2026-05-05\"",
        "subjects = [\"alice\"]\ndays = [\"tue\"]",
        "subjects = [\"alice\"]\nhours = \"22:00-06:00\"",
    ] {
        assert_eq!(allow(misses), (all, false), "{misses}");
    }
}

#[test]
fn a_proof_of_theft_is_excepted_only_by_its_name() {
    if !shipped(&["honeytoken"]) {
        return;
    }
    let issuer = "[[issuer]]\nissuer = \"https://idp.example.com/\"\nhoneytokens = [\"planted\"]\n";
    let planted = mint(&claims("planted", MORNING_S), "rsa-2048");
    let log = line(MORNING_S + 60, TOKYO, TOOL, "/api/orders", &planted);
    let with = |rules: &str| {
        let allow =
            format!("[[allow]]\nname = \"ours\"\nnetworks = [\"198.51.100.0/24\"]\n{rules}");
        let said = scanned(&log, &format!("{issuer}{allow}\n"));
        said.summary()["findings"]["honeytoken"].as_u64()
    };
    assert_eq!(with(""), Some(1));
    assert_eq!(with("rules = [\"honeytoken\"]"), None);
}

#[test]
fn a_threshold_is_changed_without_the_rule_and_a_rule_on_trial_opens_nothing() {
    if !shipped(&["impossible_travel"]) {
        return;
    }
    let rule = "[rules.override.impossible_travel]\n";
    let findings = |said: &Said| said.summary()["findings"]["impossible_travel"].as_u64();
    let changed = scanned(
        &journey(),
        &format!("{rule}thresholds = {{ \"travel.speed_kmh\" = 50000 }}\n"),
    );
    assert_eq!(findings(&changed), None, "{changed:?}");
    assert_eq!(findings(&scanned(&journey(), "")), Some(1));

    let trial = scanned(&journey(), &format!("{rule}shadow = true\n"));
    let found = trial.records("finding");
    let shadow = found
        .iter()
        .find(|one| one["rule"] == "impossible_travel")
        .unwrap();
    assert_eq!(shadow["shadow"], true);
    assert!(
        found
            .iter()
            .all(|one| one["rule"] == "impossible_travel" || one["shadow"].is_null())
    );
    let row = &trial.summary()["rules"]["impossible_travel"];
    assert_eq!(
        (&row["findings"], &row["incidents"], &row["shadow"]),
        (&1.into(), &0.into(), &true.into())
    );
    assert!(
        trial
            .records("incident")
            .iter()
            .all(|one| one["rules"]["impossible_travel"].is_null())
    );

    for (thresholds, words) in [
        (
            "\"travel.speed_kph\" = 1",
            "did you mean `travel.speed_kmh`?",
        ),
        (
            "\"session.requests\" = 1",
            "it compares travel.distance_km, travel.speed_kmh",
        ),
        (
            "\"travel.speed_kmh\" = \"fast\"",
            "`travel.speed_kmh` must be a number",
        ),
    ] {
        let said = scanned(
            &journey(),
            &format!("{rule}thresholds = {{ {thresholds} }}\n"),
        );
        assert!(
            said.code == 2 && said.err.contains(words),
            "{thresholds}: {said:?}"
        );
    }
}

#[test]
fn the_summary_tells_of_each_rule_its_findings_subjects_and_incidents() {
    if !shipped(&["tool_on_browser_session"]) {
        return;
    }
    let log = theft("alice", MORNING_S) + &theft("bob", MORNING_S + 1000);
    let folder = archive(&log, "");
    let said = run(folder.path(), &["scan", "--summary", "access.log"]);
    assert_eq!(said.out.lines().count(), 1);
    let row = &said.summary()["rules"]["tool_on_browser_session"];
    assert_eq!(
        (&row["findings"], &row["subjects"]),
        (&2.into(), &2.into()),
        "{}",
        said.out
    );
    assert!(row["incidents"].as_u64() >= Some(2) && row["level"].is_string());
    let pretty = run(
        folder.path(),
        &["scan", "--summary", "--output", "pretty", "access.log"],
    );
    let table = pretty
        .out
        .lines()
        .find(|line| line.contains("tool_on_browser_session"));
    let cells: Vec<&str> = table.unwrap().split_whitespace().collect();
    assert_eq!(cells[2..4], ["2", "2"], "{}", pretty.out);
    assert!(pretty.out.contains("rule ") && pretty.out.contains("people"));
}

#[test]
fn an_incident_is_explained_use_by_use() {
    let log =
        theft("alice", MORNING_S) + &line(MORNING_S + 500, LISBON, BROWSER, "/x", &token("bob"));
    let folder = archive(&log, "");
    let scan = run(folder.path(), &["scan", "access.log"]);
    let incident = scan.records("incident").remove(0);
    let id = incident["id"].as_str().unwrap();
    let said = run(folder.path(), &["scan", "--explain", id, "access.log"]);
    assert_eq!(said.code, 0, "{said:?}");
    let uses = said.records("use");
    let sides: Vec<&str> = uses
        .iter()
        .map(|one| one["side"].as_str().unwrap())
        .collect();
    assert_eq!(
        sides,
        [&["holder"; 6][..], &["suspect"; 3]].concat(),
        "{}",
        said.out
    );
    assert!(
        uses.iter()
            .all(|one| one["subject"] == "alice" && one["incident"] == id)
    );
    assert_eq!(uses[6]["gap_s"], 250.0);
    assert_eq!(uses[6]["request"]["path"], "/api/export");
    assert_eq!(uses[6]["evidence"]["line"], 7);
    let on_use: Vec<&Value> = uses[6]["findings"].as_array().unwrap().iter().collect();
    let told: Vec<Value> = said
        .records("finding")
        .iter()
        .map(|one| one["id"].clone())
        .collect();
    assert!(
        on_use.len() >= 2 && on_use.iter().all(|id| told.contains(id)),
        "{}",
        said.out
    );
    let scanned: Vec<Value> = scan
        .records("finding")
        .iter()
        .map(|one| one["id"].clone())
        .collect();
    assert!(
        told.iter().all(|id| scanned.contains(id)),
        "the same as a scan finds"
    );
}

#[test]
fn an_explanation_can_be_read_holds_no_name_that_it_must_not_and_says_what_is_wrong() {
    let folder = archive(&theft("alice", MORNING_S), "");
    let scan = run(folder.path(), &["scan", "access.log"]);
    let incident = scan.records("incident").remove(0);
    let id = incident["id"].as_str().unwrap();
    let pretty = ["scan", "--explain", id, "--output", "pretty", "access.log"];
    let pretty = run(folder.path(), &pretty);
    for words in [
        "holder",
        "suspect",
        "6 times, until 10:02:30",
        "4 minutes of silence",
        "GET /api/export",
    ] {
        assert!(pretty.out.contains(words), "no {words:?} in {}", pretty.out);
    }
    let hidden = run(
        folder.path(),
        &[
            "scan",
            "--explain",
            id,
            "--output",
            "pretty",
            "--pseudonymise",
            "access.log",
        ],
    );
    assert!(
        !hidden.out.contains(LISBON) && !hidden.out.contains("alice"),
        "{}",
        hidden.out
    );
    let wrong = run(
        folder.path(),
        &["scan", "--explain", "i-00000000000000000001", "access.log"],
    );
    assert!(
        wrong.code == 2 && wrong.err.contains("no incident i-0000"),
        "{wrong:?}"
    );
    let piped = run(folder.path(), &["scan", "--explain", id, "-"]);
    assert!(
        piped.code == 2 && piped.err.contains("read only once"),
        "{piped:?}"
    );
}

#[test]
fn tokens_of_a_used_leak_are_listed_until_they_are_dead() {
    let leak = |sub: &str, at_s: i64, issued_s: i64| {
        let token = mint(&claims(sub, issued_s), "rsa-2048");
        let line = json!({
            "msec": format!("{}.000", MORNING_S + at_s), "remote_addr": LISBON, "request_method": "GET",
            "request_uri": format!("/download/{at_s}?access_token={token}"), "status": "200",
            "body_bytes_sent": "512", "http_user_agent": BROWSER,
        });
        format!("{line}\n")
    };
    let mut log = leak("alice", 0, MORNING_S - 600);
    log += &leak("bob", 10, MORNING_S - 600);
    log += &leak("carol", 20, MORNING_S - 9 * 3600);
    let stolen = mint(&claims("alice", MORNING_S - 600), "rsa-2048");
    for step in 0..4 {
        log += &line(
            MORNING_S + 900 + step,
            TOKYO,
            OTHER_BROWSER,
            "/api/orders",
            &stolen,
        );
    }
    let folder = archive(&log, "");
    let said = run(folder.path(), &["scan", "--at-risk", "access.log"]);
    let incident = said.records("incident").remove(0);
    let at_risk = said.records("at_risk");
    let subjects: Vec<&Value> = at_risk.iter().map(|one| &one["subject"]).collect();
    assert_eq!(
        subjects,
        ["bob"],
        "alice's is abused, carol's is dead: {}",
        said.out
    );
    assert_eq!(at_risk[0]["incident"], incident["id"]);
    assert_eq!(
        (&at_risk[0]["where"], &at_risk[0]["path"]),
        (&"query".into(), &"/download/{id}".into())
    );
    let pretty = run(
        folder.path(),
        &["scan", "--at-risk", "--output", "pretty", "access.log"],
    );
    assert!(
        pretty
            .out
            .contains("of bob, until 2026-05-04T17:50:00.000Z"),
        "{}",
        pretty.out
    );
    assert!(
        run(folder.path(), &["scan", "access.log"])
            .records("at_risk")
            .is_empty()
    );
}

/// Tokens of eight hours: a thief comes within minutes, bob goes on with a phone, carol's client renews.
fn town() -> String {
    let mut log = theft("alice", MORNING_S);
    let token_of = |sub: &str, issued_s: i64| {
        let mut claims = claims(sub, issued_s);
        claims["sid"] = json!(format!("sid-{sub}"));
        mint(&claims, "rsa-2048")
    };
    let bob = token_of("bob", MORNING_S);
    log += &line(MORNING_S + 10, LISBON, BROWSER, "/api/orders", &bob);
    log += &line(MORNING_S + 7200, "192.0.2.40", BROWSER, "/api/orders", &bob);
    for hour in 0..3 {
        let carol = token_of("carol", MORNING_S + hour * 3600);
        log += &line(
            MORNING_S + hour * 3600 + 60,
            LISBON,
            BROWSER,
            "/api/orders",
            &carol,
        );
    }
    log
}

#[test]
fn measures_are_held_against_the_thefts_and_the_people_of_an_archive() {
    let folder = archive(&town(), "");
    let measures = [
        "--lifetime",
        "15m",
        "--bind",
        "client",
        "--rotate",
        "access.log",
    ];
    let said = run(folder.path(), &[&["whatif"], &measures[..]].concat());
    assert_eq!(said.code, 0, "{said:?}");
    let rows = said.records("whatif");
    let row = |measure: &str| {
        rows.iter()
            .find(|row| row["measure"] == measure)
            .unwrap()
            .clone()
    };
    let names: Vec<&Value> = rows.iter().map(|row| &row["measure"]).collect();
    assert_eq!(
        names,
        ["lifetime 15m", "bind client", "rotate", "all of these"]
    );
    for row in &rows {
        assert_eq!(
            (&row["requests"], &row["thefts"], &row["users"]),
            (&3.into(), &1.into(), &3.into())
        );
    }
    // Issued ten minutes before the morning: dead after five, and the thief came after six and a half.
    let lifetime = row("lifetime 15m");
    assert_eq!(
        (&lifetime["prevented"], &lifetime["thefts_prevented"]),
        (&3.into(), &1.into())
    );
    assert_eq!(
        lifetime["users_hurt"], 1,
        "bob never renewed; carol did: {}",
        said.out
    );
    assert!(lifetime["refreshes"].as_u64() >= Some(1));
    let bind = row("bind client");
    assert_eq!(
        (&bind["prevented"], &bind["users_hurt"]),
        (&3.into(), &0.into()),
        "{}",
        said.out
    );
    assert_eq!(
        (&row("rotate")["prevented"], &row("rotate")["users_hurt"]),
        (&0.into(), &0.into())
    );
    assert_eq!(row("all of these")["prevented"], 3);
}

#[test]
fn without_a_wish_the_usual_measures_are_compared() {
    let folder = archive(&town(), "");
    let usual = run(folder.path(), &["whatif", "access.log"]);
    assert_eq!(usual.records("whatif").len(), 6, "{}", usual.out);
    let pretty = run(
        folder.path(),
        &["whatif", "--output", "pretty", "access.log"],
    );
    for words in [
        "1 theft, 3 requests",
        "lifetime 15m",
        "3 (100.0 %)",
        "people hurt",
    ] {
        assert!(pretty.out.contains(words), "no {words:?} in {}", pretty.out);
    }
    let wrong = run(folder.path(), &["whatif", "--lifetime", "15", "access.log"]);
    assert!(
        wrong.code == 2 && wrong.err.contains("write it as 90s, 15m"),
        "{wrong:?}"
    );
}

#[test]
fn each_gateway_tells_how_long_it_let_sessions_in_after_their_logout() {
    let token = token("alice");
    let of = |at_s, path| line(MORNING_S + at_s, LISBON, BROWSER, path, &token);
    let log = of(0, "/api/orders")
        + &of(60, "/logout")
        + &of(100, "/api/orders")
        + &of(1260, "/api/orders");
    let said = scanned(&log, "");
    let after = &said.summary()["sources"][0]["after_logout"];
    assert_eq!(
        (&after["logouts"], &after["sessions"], &after["longest_s"]),
        (&1.into(), &1.into(), &1200.0.into())
    );
    assert_eq!(
        (
            &after["later_than_s"]["900"],
            &after["later_than_s"]["3600"]
        ),
        (&1.into(), &0.into())
    );
    let quiet = scanned(&of(0, "/api/orders"), "").summary();
    assert!(quiet["sources"][0]["after_logout"].is_null());
}

#[test]
fn the_doctor_names_exceptions_that_are_over_and_rules_on_trial() {
    if !shipped(&["impossible_travel"]) {
        return;
    }
    let config = "[[travel]]\nsubject = \"alice\"\nto = [\"JP\"]\nuntil = \"2026-01-02\"\n\
        [rules.override.impossible_travel]\nshadow = true\n";
    let folder = archive(&journey(), config);
    let said = run(folder.path(), &["doctor", "--config", "tokentrip.toml"]);
    assert!(said.out.contains("[[travel]] of alice is over"), "{said:?}");
    assert!(said.out.contains("1 of them on trial"), "{said:?}");
    let unknown = archive(
        "",
        "[[allow]]\nname = \"x\"\nrules = [\"imposible_travel\"]\n",
    );
    let said = run(unknown.path(), &["doctor", "--config", "tokentrip.toml"]);
    assert!(
        said.out.contains("no rule is called `imposible_travel`"),
        "{said:?}"
    );
}

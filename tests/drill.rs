//! The fire drill, through a whole daemon: it finds what is broken, and hurts nobody. The guide to it, followed with a real
//! nginx.

use crate::support::daemon::{Daemon, tokentrip, until};
use crate::support::gateways::upstream;
use crate::support::hook::Hook;
use crate::support::house::{furnished, house};
use crate::support::logs::{BROWSER, ISSUER, LISBON, MORNING_S, line, token};
use crate::support::nginx::Nginx;
use regex::Regex;
use std::fs;
use std::path::Path;

fn drill(folder: &Path) -> (Option<i32>, String) {
    let mut drill = tokentrip();
    drill
        .args(["drill", "--by", "ann", "--config"])
        .arg(folder.join("tokentrip.toml"));
    let output = drill.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said.into_owned())
}

#[test]
fn a_drill_goes_through_every_link_and_says_which_one_is_broken() {
    let (folder, config) = house();
    let at = |name: &str| folder.path().join(name);
    fs::write(
        at("access.log"),
        line(MORNING_S, LISBON, BROWSER, "/api", &token("alice")),
    )
    .unwrap();
    let told = Hook::start(|_, _| Some(204));
    let deaf = Hook::start(|_, _| Some(404));
    let acts = Hook::start(|_, _| Some(204));
    // Whatever the mode: a drill denies only what is nobody's, and calls nobody.
    let receivers = |sink: &Hook| {
        format!(
            "{config}[[sink]]\nkind = \"webhook\"\nname = \"chat\"\nurl = \"{}\"\nsecret_file = \"hook.secret\"\n\
             [[provider]]\nkind = \"webhook\"\nissuer = \"{ISSUER}\"\nurl = \"{}\"\nsecret_file = \"hook.secret\"\n",
            sink.url, acts.url
        )
    };
    let daemon = Daemon::start(folder.path(), &receivers(&told));
    let (code, said) = drill(folder.path());
    assert_eq!(code, Some(0), "{said}");
    for link in [
        "incident    i-",
        "denied      /v1/check",
        "told        chat: took",
        "would call  webhook",
        "taken back  /v1/check",
    ] {
        assert!(said.contains(link), "no `{link}` in\n{said}");
    }
    assert!(
        told.calls()[0]
            .body
            .to_string()
            .contains("tokentrip-drill-")
    );
    assert_eq!(acts.calls().len(), 0, "nobody was logged out");
    let incidents = daemon.incidents();
    assert_eq!(incidents[0]["state"], "false_positive");
    assert_eq!(daemon.metric("tokentrip_denylist_size", &[]), 0.0);
    until("the end is told, too", || {
        let calls = told.calls();
        let last = calls.last()?;
        (last.body["type"] == "incident.resolved").then_some(())
    });
    assert!(daemon.terminate().success());

    let daemon = Daemon::start(folder.path(), &receivers(&deaf));
    let (code, said) = drill(folder.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("chat: NOT TOLD: dead") && said.contains("broken: 1"),
        "{said}"
    );
    assert!(daemon.terminate().success());
}

/// The guide, with the places of this test for those that it names.
fn guide(folder: &Path, port: u16) -> String {
    let here = |name: &str| folder.join(name).display().to_string();
    let guide = include_str!("../deploy/guides/drill.md");
    let places = [
        ("/var/log/nginx/tokentrip.log", here("access.log")),
        ("https://idp.example.com/jwks.json", "keys.json".to_owned()),
        (
            "/var/log/tokentrip/incidents.ndjson",
            here("incidents.ndjson"),
        ),
        ("/var/lib/tokentrip", here("state")),
        ("127.0.0.1:9797", format!("127.0.0.1:{port}")),
    ];
    places.iter().fold(guide.to_owned(), |text, (there, here)| {
        assert!(text.contains(there), "the guide has no {there}");
        text.replace(there, here)
    })
}

/// The blocks of a language.
fn blocks<'a>(guide: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let parts = guide.split(&*fence).skip(1);
    parts
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

/// What a block shows below its command, where `…` stands for anything.
fn shows(block: &str, said: &str) {
    let (command, shown) = block.split_once('\n').unwrap();
    assert!(
        command.starts_with("$ tokentrip drill --config "),
        "{command}"
    );
    let pattern = regex::escape(shown).replace('…', ".*");
    let pattern = Regex::new(&format!("^{pattern}$")).unwrap();
    assert!(
        pattern.is_match(said),
        "the guide shows\n{shown}\nand it says\n{said}"
    );
}

#[test]
fn the_guide_is_followed_with_a_real_nginx_and_says_what_the_program_says() {
    let folder = furnished();
    let config = guide(folder.path(), 0);
    let daemon = Daemon::start(folder.path(), blocks(&config, "toml")[0]);
    let nginx = Nginx::start(folder.path(), daemon.port, upstream());
    assert_eq!(
        nginx.ask("/api/orders", LISBON, BROWSER, &token("alice")),
        200
    );
    let guide = guide(folder.path(), daemon.port);
    let shown = blocks(&guide, "console");
    let (code, said) = drill(folder.path());
    assert_eq!(code, Some(0), "{said}");
    shows(shown[0], &said);
    let told = fs::read_to_string(folder.path().join("incidents.ndjson")).unwrap();
    assert!(told.contains("tokentrip-drill-"));
    assert!(daemon.terminate().success());
    let (code, said) = drill(folder.path());
    assert_eq!(code, Some(1), "{said}");
    shows(shown[1], &said);
}

//! The fire drill, through a whole daemon: it finds what is broken, and hurts nobody.

use crate::support::daemon::{Daemon, tokentrip};
use crate::support::hook::Hook;
use crate::support::house::house;
use crate::support::logs::{BROWSER, ISSUER, LISBON, MORNING_S, line, token};
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
    fs::write(at("hook.secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
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

//! What the tests share.

pub(crate) mod browser;
pub(crate) mod daemon;
pub(crate) mod deniers;
pub(crate) mod gateways;
pub(crate) mod hook;
pub(crate) mod house;
pub(crate) mod keycloak;
pub(crate) mod logs;
pub(crate) mod lures;
#[allow(dead_code, reason = "no test needs all of it")]
pub(crate) mod mint;
pub(crate) mod nginx;
#[allow(dead_code, reason = "a person is more than each scene asks for")]
pub(crate) mod population;
#[allow(dead_code, reason = "no test needs all of it")]
pub(crate) mod stories;
#[allow(dead_code, reason = "the benchmark of latency shares it")]
pub(crate) mod traffic;
pub(crate) mod vendor;

/// True when the table of rules has the name.
pub(crate) fn is_listed(rule: &str) -> bool {
    include_str!("../../rules/README.md").contains(&format!("\n| {rule} "))
}

/// True when all of these rules are shipped: who takes one away takes the tests that rest on it, too. A name that the
/// table of rules does not have is a slip.
pub(crate) fn shipped(rules: &[&str]) -> bool {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    rules.iter().all(|rule| {
        assert!(is_listed(rule), "no rule is called {rule}");
        folder.join(format!("{rule}.yml")).exists()
    })
}

/// The rules that speak in what a scan wrote.
pub(crate) fn speakers(ndjson: &str) -> Vec<&str> {
    let named = ndjson.split("\"rule\":\"").skip(1);
    let names = named.map(|rest| rest.split('"').next().unwrap_or_default());
    names.collect()
}

/// Compares with a file below `fixtures/`. With `TOKENTRIP_BLESS` set, writes it instead.
#[track_caller]
pub(crate) fn expect(file: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(file);
    if std::env::var_os("TOKENTRIP_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, expected, "{file}; TOKENTRIP_BLESS=1 writes it anew");
}

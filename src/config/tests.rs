//! The example loads whole; every bad fixture gives the text beside it; variables win.

use super::*;
use std::collections::BTreeSet;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/config");

fn environment(variables: &[(&str, &str)]) -> Environment {
    let owned = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    owned.collect()
}

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let file = Path::new("tokentrip.toml");
    Config::of_text(text, Some(file), &environment(variables)).map_err(|error| error.to_string())
}

fn example() -> (PathBuf, Environment) {
    let file = Path::new(FIXTURES).join("example.toml");
    (
        file,
        environment(&[("EXAMPLE_HOOK_SECRET", "example-only")]),
    )
}

#[test]
fn the_example_with_every_key_loads() {
    let (file, environment) = example();
    let config = Config::load(Some(&file), &environment).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.sources.len(), 3);
    assert!(
        config.sources[2]
            .path
            .ends_with("spool/udp-127.0.0.1-5514.log")
    );
    assert_eq!(config.sources[0].fields["token"], "http_authorization");
    assert_eq!(
        config.sources[0].trusted_proxies[1].to_string(),
        "192.0.2.7/32"
    );
    assert_eq!(
        config.issuers[0].algorithms,
        [Algorithm::RS256, Algorithm::ES256]
    );
    let jwks = Path::new(FIXTURES).join("files/jwks.json");
    assert_eq!(config.issuers[1].jwks, Some(Jwks::File(jwks)));
    assert_eq!(config.rules.overrides["impossible_travel"].score, Some(80));
    assert_eq!(config.response.deny, Mode::Enforce);
    assert_eq!(config.response.revoke, Mode::Approve);
    assert!(config.response.protected_subjects[1].matches("svc-backup"));
    assert_eq!(config.providers[0].kind, "keycloak");
    let client_secret = config.providers[0].options.secret("client_secret");
    assert_eq!(client_secret.unwrap().read().unwrap(), "example-only");
    let kinds = config.providers.iter().map(|provider| provider.kind);
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(
        kinds,
        [
            "keycloak", "okta", "http", "crowdsec", "mail", "caep", "webhook"
        ]
    );
    assert_eq!(
        config.providers[2].vendor.as_ref().unwrap().title,
        "Acme sessions"
    );
    assert_eq!(config.response.block, Mode::Approve);
    let enforced = read("[response]\nmode = \"enforce\"\n", &[])
        .unwrap()
        .response;
    assert_eq!(
        (enforced.block, enforced.risk, enforced.mfa),
        (Mode::Enforce, Mode::Approve, Mode::Approve)
    );
    assert_eq!(
        config.server.check_listen.map(|address| address.port()),
        Some(9798)
    );
}

#[test]
fn what_the_example_calls_a_default_is_one() {
    let defaults = read("", &[]).unwrap();
    let (file, environment) = example();
    let text = std::fs::read_to_string(&file).unwrap();
    let example = Config::of_text(&text, Some(&file), &environment).unwrap();
    let (a, b) = (&defaults.response, &example.response);
    assert_eq!(a.mode, b.mode);
    assert_eq!(a.subjects_per_minute_max, b.subjects_per_minute_max);
    assert_eq!(a.subjects_per_day_max, b.subjects_per_day_max);
    assert!(
        (a.active_subjects_share_per_hour_max - b.active_subjects_share_per_hour_max).abs() < 1e-9
    );
    assert_eq!(a.act_on_accepted, b.act_on_accepted);
    assert_eq!(defaults.server.listen, example.server.listen);
    assert_eq!(
        (defaults.state, defaults.privacy),
        (example.state, example.privacy)
    );
    assert_eq!(example.sources[0].format, "auto");
    assert_eq!(example.sources[1].read_from, ReadFrom::Beginning);
}

#[test]
fn every_bad_fixture_gives_the_text_beside_it() {
    let mut walked = BTreeSet::new();
    let folder = Path::new(FIXTURES).join("bad");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let error = Config::load(Some(&path), &environment(&[]))
            .unwrap_err()
            .to_string();
        let shown = error.replace(FIXTURES, "…");
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&expected, &shown).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(shown, expected, "{}", path.display());
        assert!(
            !shown.contains("hunter2"),
            "{} shows a secret",
            path.display()
        );
        walked.insert(path);
    }
    assert!(walked.len() >= 7, "the fixtures are gone");
}

#[test]
fn a_variable_wins_over_the_file_and_needs_none() {
    let variables = [
        ("TOKENTRIP_SERVER_LISTEN", "127.0.0.1:1"),
        ("TOKENTRIP_SOURCE_0_PATH", "/logs/a.log"),
        ("TOKENTRIP_SOURCE_0_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("TOKENTRIP_SOURCE_1_PATH", "/logs/b.log"),
        ("TOKENTRIP_SOURCE_1_FIELDS_SUB", "user"),
        ("TOKENTRIP_ISSUER_0_ISSUER", "https://idp.example.com/"),
        ("TOKENTRIP_ISSUER_0_ALGORITHMS", r#"["ES256"]"#),
        ("TOKENTRIP_RULES_OVERRIDE_NEW_NETWORK_DISABLE", "true"),
        ("TOKENTRIP_RESPONSE_STEPS_DENY", "enforce"),
        (
            "TOKENTRIP_RESPONSE_ACTIVE_SUBJECTS_SHARE_PER_HOUR_MAX",
            "0.5",
        ),
    ];
    let text = "[server]\nlisten = '127.0.0.1:2'\n[[source]]\npath = 'c.log'\n";
    let config = read(text, &variables).unwrap();
    assert_eq!(config.server.listen.port(), 1);
    assert_eq!(config.sources[0].path, Path::new("/logs/a.log"));
    assert_eq!(config.sources[0].trusted_proxies.len(), 2);
    assert_eq!(config.sources[1].fields["sub"], "user");
    assert_eq!(config.issuers[0].algorithms, [Algorithm::ES256]);
    assert!(config.rules.overrides["new_network"].disable);
    assert_eq!(config.response.deny, Mode::Enforce);
    assert!(config.response.active_subjects_share_per_hour_max > 0.4);
    assert_eq!(read("", &variables).unwrap().sources.len(), 2);
}

#[test]
fn a_wrong_variable_is_a_mistake_and_a_strangers_is_not() {
    let error = read("", &[("TOKENTRIP_SERVER_LISTEN", "here")]).unwrap_err();
    assert!(
        error.contains("variable `TOKENTRIP_SERVER_LISTEN`: `here` is no address"),
        "{error}"
    );
    let error = read("", &[("TOKENTRIP_SERVER_LISTN", "127.0.0.1:1")]).unwrap_err();
    assert!(
        error.contains("did you mean `TOKENTRIP_SERVER_LISTEN`?"),
        "{error}"
    );
    let service = [
        ("TOKENTRIP_PORT_9797_TCP", "tcp://10.0.0.1:9797"),
        ("TOKENTRIP_SERVICE_HOST", "10.0.0.1"),
    ];
    assert!(read("", &service).is_ok());
}

#[test]
fn a_secret_in_a_variable_is_found_there_and_never_copied() {
    let text = "[[sink]]\nkind='webhook'\nurl='https://hooks.example.com/'\nsecret_env='HOOK'\n";
    let config = read(text, &[("HOOK", "hunter2")]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn text_after_a_secrets_key_is_hidden_without_moving_anything() {
    let text = "a = 1\nclient_secret= \"ä hunter2\"\nx = {password = 'hunter2'}\nsecret_file = 'f'";
    let hidden = without_secrets(text);
    assert_eq!(hidden.len(), text.len());
    assert!(!hidden.contains("hunter2"), "{hidden}");
    assert!(hidden.contains("secret_file = 'f'"));
}

#[test]
fn a_file_that_is_not_there_says_what_to_do() {
    let error = Config::load(
        Some(Path::new("/nowhere/tokentrip.toml")),
        &environment(&[]),
    );
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("/nowhere/tokentrip.toml") && error.contains("--config"),
        "{error}"
    );
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\[\\]a-z_=\"'#\n{}, .0-9é]{0,200}") {
        let _ = read(&text, &[]);
    }
}

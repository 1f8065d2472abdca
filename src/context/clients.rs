//! User agent → client: family, version, system, and what kind of program.
//!
//! In: the User-Agent header. Out: [`Client`]. Does not know: what a client may do.
//! Source: uap-core's expressions (Apache-2.0, <https://github.com/ua-parser/uap-core>); the kinds
//! are ours.
//!
//! Families stay as uap-core names them. "Chrome" and "Chrome Mobile", "Safari" and "Mobile
//! Safari", "Chrome Mobile" and "Chrome Mobile WebView" are programs apart: one session rarely
//! moves between them, and a thief who copied a token into another of them should show. The system
//! loses its version: systems update themselves.

use super::client_kinds;
use super::expressions::Expressions;
use crate::domain::bytes::has_any;
use crate::domain::context::Client;
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use ua_parser::{os, user_agent};

/// Longer headers are cut here: no browser sends more than 300 bytes, and a match costs time by
/// length.
const BYTES_MAX: usize = 512;

/// Names and versions are cut here: the longest family of uap-core has 50 bytes, and a token that was
/// spelt some other way is no use after so few.
const SHOWN_BYTES_MAX: usize = 64;

/// uap-core's two lists that are used, programs and systems with a line between them, compressed; a test holds
/// them equal to its `regexes.yaml`.
const EXPRESSIONS: &[u8] = include_bytes!("data/user_agents.list.zst");

/// The unpacked lists are 150 kB; three times that leaves room for uap-core to grow.
const EXPRESSIONS_BYTES_MAX: usize = 512 << 10;

/// Why what was compiled in may assert: a test unpacks it.
const WHOLE: &str = "the embedded expressions are whole";

static LISTS: LazyLock<String> = LazyLock::new(|| {
    let bytes = zstd::bulk::decompress(EXPRESSIONS, EXPRESSIONS_BYTES_MAX).expect(WHOLE);
    String::from_utf8(bytes).expect(WHOLE)
});

static LISTED: LazyLock<Listed> = LazyLock::new(|| {
    let (programs, systems) = LISTS.split_once(BETWEEN_LISTS).expect(WHOLE);
    Listed {
        programs: Expressions::new(programs),
        systems: Expressions::new(systems),
    }
});

/// What stands between the two lists.
const BETWEEN_LISTS: &str = "\n=\n";

struct Listed {
    programs: Expressions<user_agent::Parser<'static>>,
    systems: Expressions<os::Parser<'static>>,
}

/// Recognises user agents. The lists are unpacked when the first one is asked, once a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clients;

impl Clients {
    /// Unpacks the lists now, so that the first use does not wait for them.
    pub fn warm_up() {
        LazyLock::force(&LISTED);
    }

    /// The client that a user agent names; `None` for a header that is empty or `-`.
    ///
    /// One that nobody knows is a client named by the header's first product (RFC 9110, section
    /// 10.1.5), so that two unknown programs still differ.
    pub fn identify(&self, user_agent: &str) -> Option<Client> {
        let text = cut(user_agent).trim();
        if text.is_empty() || text == "-" {
            return None;
        }
        let found = LISTED.programs.first(text, |program| program.extract(text));
        let system = LISTED.systems.first(text, |system| system.extract(text));
        let system = system.map(|system| system.os);
        let system = system.filter(|name| name != "Other").unwrap_or_default();
        let (name, version) = match found {
            Some(found) => named(found),
            None => first_product(text),
        };
        Some(Client {
            kind: client_kinds::kind(&name, &system, text),
            name: shown(&name),
            version: shown(&version),
            model: shown(model(text).unwrap_or_default()),
            os: Arc::from(system.as_ref()),
        })
    }
}

/// The header as far as it is read: to [`BYTES_MAX`], and never into a token that somebody put there,
/// for parts of it are shown. Every token begins with `{"` in base64url (RFC 7519, section 3).
pub(super) fn cut(text: &str) -> &str {
    let text = &text[..text.floor_char_boundary(BYTES_MAX)];
    if !has_any(text.as_bytes(), [b'J']) {
        return text; // nearly every header
    }
    text.split("eyJ").next().unwrap_or_default()
}

/// A name or a version as it may be shown.
fn shown(text: &str) -> Arc<str> {
    text[..text.floor_char_boundary(SHOWN_BYTES_MAX)].into()
}

/// The model that an Android program names behind the system: `Android 14; SM-S911B Build/UP1A) AppleWebKit`.
///
/// Chrome tells `K` of every phone since version 110 (Chromium, "User-Agent reduction"), Firefox none; old headers
/// tell a language first, and web views `wv` last.
fn model(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("Android ")?;
    // Some models have brackets in their names.
    let end = rest.find(") AppleWebKit").or_else(|| rest.find(')'));
    let mut parts = rest[..end?].split(';').skip(1).map(|part| {
        let bare = part.split(" Build/").next().unwrap_or_default();
        bare.trim()
    });
    parts.find(|part| is_model(part))
}

/// True for what may be a model's name, and is none of the words that stand beside it.
fn is_model(part: &str) -> bool {
    const WORDS: [&str; 5] = ["Mobile", "Tablet", "Linux", "arm", "arm_64"];
    let language = matches!(part.as_bytes(), [_, _] | [_, _, b'-' | b'_', _, _]);
    part.len() > 1 && !language && !WORDS.contains(&part) && !part.contains([':', '/', '='])
}

fn named(found: user_agent::ValueRef<'_>) -> (Cow<'_, str>, String) {
    let parts = [found.major, found.minor, found.patch, found.patch_minor];
    let parts: Vec<&str> = parts.into_iter().map_while(|part| part).collect();
    (found.family, parts.join("."))
}

fn first_product(text: &str) -> (Cow<'_, str>, String) {
    let product = text.split_whitespace().next().unwrap_or_default();
    let (name, version) = product.split_once('/').unwrap_or((product, ""));
    (Cow::Borrowed(name), version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::expressions::tests::list;
    use crate::domain::context::ClientKind;
    use serde::Deserialize;
    use std::path::Path;

    /// uap-core's own files, Apache-2.0.
    fn fixture<T: serde::de::DeserializeOwned>(name: &str) -> T {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/context/uap-core");
        serde_saphyr::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
    }

    #[test]
    fn a_phones_model_is_read_where_the_header_tells_one() {
        let phone = |system: &str| {
            let text = format!(
                "Mozilla/5.0 (Linux; {system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Mobile Safari/537.36"
            );
            Clients.identify(&text).unwrap()
        };
        for (system, model) in [
            ("Android 13; SM-S911B", "SM-S911B"),
            ("Android 14; SM-S911B Build/UP1A.231005.007; wv", "SM-S911B"),
            ("Android 12; moto g(60)", "moto g(60)"),
            ("U; Android 4.1.2; en-us; GT-I9300 Build/JZO54K", "GT-I9300"),
            ("Android 10; K", ""),
            ("Android 14", ""),
        ] {
            assert_eq!(&*phone(system).model, model, "{system}");
        }
        let firefox = "Mozilla/5.0 (Android 14; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0";
        assert_eq!(&*Clients.identify(firefox).unwrap().model, "");
        let (a, b) = (phone("Android 13; SM-S911B"), phone("Android 14; Pixel 7"));
        assert!(!a.same_program(&b) && a.same_program(&phone("Android 10; K")));
    }

    /// With `TOKENTRIP_BLESS` set, writes the embedded file anew from uap-core's.
    #[test]
    fn the_embedded_expressions_are_those_of_uap_core() {
        let lists: serde_json::Value = fixture("regexes.yaml");
        let list = |name: &str| list(lists[name].as_array().unwrap());
        let lists = [list("user_agent_parsers"), list("os_parsers")].join(&BETWEEN_LISTS[1..]);
        if std::env::var_os("TOKENTRIP_BLESS").is_some() {
            let path =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("src/context/data/user_agents.list.zst");
            let packed = zstd::bulk::compress(lists.as_bytes(), 19).unwrap();
            return std::fs::write(path, packed).unwrap();
        }
        assert!(*LISTS == lists, "run this test with TOKENTRIP_BLESS=1");
    }

    #[test]
    fn needs_leave_no_expression_out_that_fits() {
        let lists: serde_json::Value = fixture("regexes.yaml");
        let parsers: Vec<user_agent::Parser<'_>> =
            Deserialize::deserialize(&lists["user_agent_parsers"]).unwrap();
        let all = user_agent::Builder::new()
            .push_all(parsers)
            .unwrap()
            .build()
            .unwrap();
        for name in ["test_ua.yaml", "test_os.yaml"] {
            for case in fixture::<Cases>(name).test_cases {
                let text = case.user_agent_string.as_str();
                let found = LISTED.programs.first(text, |program| program.extract(text));
                assert_eq!(found, all.extract(text), "{text}");
            }
        }
    }

    #[derive(Deserialize)]
    struct Cases {
        test_cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        user_agent_string: String,
        family: String,
        major: Option<String>,
    }

    /// Cases of a file that we see otherwise, and how many there are.
    fn disagreements(name: &str, agrees: impl Fn(&Client, &Case) -> bool) -> (Vec<String>, usize) {
        let cases: Cases = fixture(name);
        let wrong = |case: &Case| {
            let found = Clients.identify(&case.user_agent_string);
            let agrees = match &found {
                Some(found) => agrees(found, case),
                None => case.family == "Other",
            };
            (!agrees).then(|| format!("{} in {}", case.family, case.user_agent_string))
        };
        (
            cases.test_cases.iter().filter_map(wrong).collect(),
            cases.test_cases.len(),
        )
    }

    #[test]
    fn families_and_versions_are_the_ones_uap_core_expects() {
        let (wrong, count) = disagreements("test_ua.yaml", |found, case| {
            // A major version may have a dot of its own ("2018.7").
            let major = case.major.as_deref().unwrap_or("");
            let version = found.version.strip_prefix(major);
            let same_major = version.is_some_and(|rest| match major {
                "" => rest.is_empty(),
                _ => rest.is_empty() || rest.starts_with('.'),
            });
            case.family == "Other" || (*found.name == *case.family && same_major)
        });
        assert!(wrong.is_empty(), "{} of {count}: {wrong:#?}", wrong.len());
    }

    #[test]
    fn systems_are_the_ones_uap_core_expects() {
        let (wrong, count) = disagreements("test_os.yaml", |found, case| {
            *found.os == *case.family || (case.family == "Other" && found.os.is_empty())
        });
        assert!(wrong.is_empty(), "{} of {count}: {wrong:#?}", wrong.len());
    }

    #[test]
    fn browsers_apps_tools_and_bots_are_told_apart() {
        let cases = include_str!("../../tests/fixtures/context/client_kinds.tsv");
        for case in cases.lines().filter(|line| !line.starts_with('#')) {
            let (kind, user_agent) = case.split_once('\t').unwrap();
            let found = Clients.identify(user_agent).unwrap();
            assert_eq!(found.kind.name(), kind, "{found:?} of {user_agent}");
        }
    }

    #[test]
    fn a_header_that_says_nothing_is_no_client_and_one_that_nobody_knows_is_itself() {
        for nothing in ["", " ", "-"] {
            assert_eq!(Clients.identify(nothing), None);
        }
        let own = Clients.identify("acme-sync/3.1 (build 7)").unwrap();
        assert_eq!(
            (&*own.name, &*own.version, own.kind),
            ("acme-sync", "3.1", ClientKind::Unknown)
        );
    }

    #[test]
    fn a_token_in_a_user_agent_is_never_shown() {
        let header = format!("acme/eyJhbGciOiJub25lIn0.{}", "x".repeat(80));
        let found = Clients.identify(&header).unwrap();
        assert_eq!((&*found.name, &*found.version), ("acme", ""));
        assert_eq!(Clients.identify("eyJhbGciOiJub25lIn0.e30."), None);
        let long = Clients.identify(&"q".repeat(300)).unwrap();
        assert!(long.name.len() <= SHOWN_BYTES_MAX);
    }

    #[test]
    #[ignore = "a measurement: run with --nocapture"]
    fn how_long_the_first_and_the_next_user_agents_take() {
        let first = std::time::Instant::now();
        Clients.identify("curl/8.5.0");
        println!("compiled in {:.0?}", first.elapsed());
        let cases: Cases = fixture("test_ua.yaml");
        let all = std::time::Instant::now();
        for case in &cases.test_cases {
            Clients.identify(&case.user_agent_string);
        }
        let each = all.elapsed() / cases.test_cases.len() as u32;
        println!("{each:.1?} each");
        if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
            println!(
                "{:?}",
                status.lines().find(|line| line.starts_with("VmHWM"))
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_client_or_nothing(text in ".{0,2000}") {
            let _ = Clients.identify(&text);
        }
    }
}

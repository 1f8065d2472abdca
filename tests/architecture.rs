//! What src/README.md says about the structure of the code, held.
//!
//! In: the sources as text, the tables of the READMEs. Out: every offence as `file:line: what`.
//! Does not know: types. It reads `crate::module` and a few words, which is enough for code that imports by path.

use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use tokentrip::response::{mirrors, providers};
use tokentrip::{detectors, formats, rules, sinks};

/// Of production code; tests at a file's end do not count.
const FILE_LINES_MAX: usize = 400;
const CODE_COLUMNS_MAX: usize = 100;
const COMMENT_COLUMNS_MAX: usize = 120;

/// What the core has not: disk, network, threads, clocks, async, logging. An `IpAddr` is a number, no socket.
const NOT_IN_THE_CORE: &str = r"\bstd::(fs|thread|process|env|time::(SystemTime|Instant))\b|\b(SystemTime|Instant)::now\b|\b(Tcp|Udp)(Stream|Listener|Socket)\b|\b(tokio|tracing|reqwest|axum|rusqlite|hyper)::";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below a folder, sorted, as paths from the root.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    folders.retain(|folder| folder.is_dir());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// One source file, without its tests.
struct Source {
    path: PathBuf,
    /// The module below the crate's root that it belongs to.
    module: String,
    lines: Vec<String>,
}

impl Source {
    fn read(path: PathBuf) -> Self {
        let text = read(&path);
        let tests =
            Regex::new(r"(?m)^#\[cfg\(test\)\]\n(#\[.*\]\n)*(pub\(.*\) )?mod \w+ \{").unwrap();
        let end = tests.find(&text).map_or(text.len(), |found| found.start());
        let inside = path.strip_prefix("src").unwrap();
        let first = inside.components().next().unwrap().as_os_str();
        Self {
            module: first.to_str().unwrap().trim_end_matches(".rs").to_owned(),
            lines: text[..end].lines().map(str::to_owned).collect(),
            path,
        }
    }

    /// Lines that are no comments, numbered from 1.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.lines.iter().enumerate();
        numbered
            .map(|(index, line)| (index + 1, line.as_str()))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    fn offence(&self, line: usize, what: impl AsRef<str>) -> String {
        format!("{}:{line}: {}", self.path.display(), what.as_ref())
    }
}

/// Files that only exist for tests, as their parents declare them.
fn test_files(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let declared =
        Regex::new(r"(?m)^#\[cfg\(test\)\]\n(?:#\[.*\]\n)*(?:pub(?:\(.*\))? )?mod (\w+);").unwrap();
    let mut found = BTreeSet::new();
    for path in paths {
        let folder = match path.file_name().unwrap().to_str().unwrap() {
            "mod.rs" | "lib.rs" => path.parent().unwrap().to_owned(),
            _ => path.with_extension(""),
        };
        for name in declared.captures_iter(&read(path)) {
            found.insert(folder.join(format!("{}.rs", &name[1])));
        }
    }
    found
}

/// Production code.
fn sources() -> Vec<Source> {
    let mut paths = files("src");
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let tests = test_files(&paths);
    let of_production = paths.into_iter().filter(|path| !tests.contains(path));
    of_production.map(Source::read).collect()
}

struct Row {
    layer: String,
    may_import: BTreeSet<String>,
}

/// The table "Who may import whom".
fn layers() -> BTreeMap<String, Row> {
    let readme = read("src/README.md");
    let (_, section) = readme.split_once("## Who may import whom").unwrap();
    let table = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = table.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [layer, module, imports] = cells[..] else {
            panic!("{row}")
        };
        let may_import = imports.split(", ").map(str::to_owned).collect();
        let layer = layer.to_owned();
        (module.to_owned(), Row { layer, may_import })
    })
    .collect()
}

#[track_caller]
fn none(offences: Vec<String>) {
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

#[test]
fn the_table_of_layers_has_every_module() {
    let declared = Regex::new(r"(?m)^pub mod (\w+);").unwrap();
    let lib = read("src/lib.rs");
    let modules: BTreeSet<_> = declared
        .captures_iter(&lib)
        .map(|name| name[1].to_owned())
        .collect();
    assert_eq!(modules, layers().into_keys().collect());
}

#[test]
fn modules_import_only_what_the_table_of_layers_allows() {
    let layers = layers();
    let import = Regex::new(r"\bcrate::(\w+)").unwrap();
    let mut offences = Vec::new();
    for source in sources() {
        let Some(row) = layers.get(&source.module) else {
            continue; // lib.rs and main.rs
        };
        for (number, line) in source.code() {
            for name in import.captures_iter(line) {
                let imported = &name[1];
                let allowed = imported == source.module
                    || row.may_import.contains("everything")
                    || row.may_import.contains(imported);
                if !allowed {
                    let what = format!("{} may not import {imported}", source.module);
                    offences.push(source.offence(number, what));
                }
            }
        }
    }
    none(offences);
}

#[test]
fn the_core_has_no_disk_network_thread_clock_or_log() {
    let layers = layers();
    let foreign = Regex::new(NOT_IN_THE_CORE).unwrap();
    let mut offences = Vec::new();
    for source in sources() {
        if layers
            .get(&source.module)
            .is_none_or(|row| row.layer != "core")
        {
            continue;
        }
        for (number, line) in source.code() {
            if let Some(word) = foreign.find(line) {
                offences.push(source.offence(number, word.as_str()));
            }
        }
    }
    none(offences);
}

#[test]
fn a_raw_token_is_read_in_tokens_and_sent_by_one_provider() {
    let sender = Path::new("src/response/providers/http.rs");
    let mut offences = Vec::new();
    let others = |source: &&Source| source.module != "tokens" && source.path != sender;
    for source in sources().iter().filter(others) {
        for (number, line) in source.code() {
            if line.contains(".expose()") {
                offences.push(source.offence(number, "reads a raw token"));
            }
        }
    }
    none(offences);
}

#[test]
fn threads_and_runtimes_start_in_app_alone() {
    let start =
        Regex::new(r"\bthread::(spawn|scope|Builder)\b|\bRuntime::new|runtime::Builder").unwrap();
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| source.module != "app") {
        for (number, line) in source.code() {
            if let Some(found) = start.find(line) {
                offences.push(source.offence(number, found.as_str()));
            }
        }
    }
    none(offences);
}

#[test]
fn files_open_with_what_they_are_and_are_short() {
    // A string is data, which nothing breaks; what stands around it is code.
    let string = Regex::new(r#"r?#*"([^"\\]|\\.)*"#).unwrap();
    let mut offences = Vec::new();
    for source in sources() {
        if !source
            .lines
            .first()
            .is_some_and(|line| line.starts_with("//!") || line.starts_with("#![doc"))
        {
            offences.push(source.offence(1, "does not open with what it is"));
        }
        if source.lines.len() > FILE_LINES_MAX {
            let what = format!("{} lines of production code", source.lines.len());
            offences.push(source.offence(FILE_LINES_MAX, what));
        }
        for (index, line) in source.lines.iter().enumerate() {
            let comment = line.trim_start().starts_with("//");
            let (columns, most) = if comment {
                (line.chars().count(), COMMENT_COLUMNS_MAX)
            } else {
                (
                    string.replace_all(line, "").chars().count(),
                    CODE_COLUMNS_MAX,
                )
            };
            if columns > most {
                offences.push(source.offence(index + 1, format!("{columns} columns")));
            }
        }
    }
    none(offences);
}

/// The names of the files in a folder that have this extension.
fn stems(folder: &str, extension: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "mod")
        .collect()
}

/// That each name has a source file and a fixture folder of that name.
#[track_caller]
fn each_has_file_and_fixtures(kind: &str, folder: &str, names: &[&str]) {
    let mut offences = Vec::new();
    for name in names {
        // Code, or data that code makes something of.
        let sources = ["rs", "toml"].map(|ending| format!("src/{folder}/{name}.{ending}"));
        let fixtures = format!("tests/fixtures/{kind}/{name}");
        let [code, data] = &sources;
        if !sources.iter().any(|path| root().join(path).exists()) {
            offences.push(format!(
                "{name} is registered, but there is no {code} and no {data}"
            ));
        }
        if !root().join(&fixtures).exists() {
            offences.push(format!("{name} is registered, but there is no {fixtures}"));
        }
    }
    none(offences);
}

#[test]
fn every_detector_is_registered_under_its_files_name() {
    let registered: BTreeSet<_> = detectors::ALL
        .iter()
        .map(|detector| detector.name.to_owned())
        .collect();
    assert_eq!(registered, stems("src/detectors", "rs"));
}

#[test]
fn every_rule_is_registered_under_its_files_name() {
    let registered: BTreeSet<_> = rules::ALL
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(registered, stems("rules", "yml"));
}

#[test]
fn every_format_provider_and_sink_has_its_file_and_its_fixtures() {
    let formats: Vec<_> = formats::ALL.iter().map(|format| format.name).collect();
    each_has_file_and_fixtures("formats", "formats", &formats);
    let providers: Vec<_> = providers::ALL.iter().map(|kind| kind.name).collect();
    each_has_file_and_fixtures("providers", "response/providers", &providers);
    let sinks: Vec<_> = sinks::ALL.iter().map(|kind| kind.name).collect();
    each_has_file_and_fixtures("sinks", "sinks", &sinks);
}

#[test]
fn every_mirror_is_registered_under_its_files_name() {
    let registered: BTreeSet<_> = mirrors::ALL
        .iter()
        .map(|kind| kind.name.to_owned())
        .collect();
    assert_eq!(registered, stems("src/response/mirrors", "rs"));
}

#[test]
fn every_folder_of_fixtures_stands_in_the_readme_of_the_tests() {
    let readme = read("tests/README.md");
    let folders = fs::read_dir(root().join("tests/fixtures")).unwrap();
    let names = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let missing = names.filter(|name| !readme.contains(&format!("`fixtures/{name}/`")));
    none(
        missing
            .map(|name| format!("tests/README.md: no `fixtures/{name}/`"))
            .collect(),
    );
}

/// RFC 5737 and RFC 3849, private and loopback ranges (RFC 1918, RFC 4193). What ends in three zeros is the version of
/// a browser, and no host.
fn is_nobodys(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_documentation()
                || v4.is_private()
                || v4.is_loopback()
                || v4.octets()[1..] == [0; 3]
        }
        IpAddr::V6(v6) => {
            v6.segments()[..2] == [0x2001, 0xdb8]
                || v6.is_unique_local()
                || v6.is_loopback()
                || v6 == Ipv6Addr::UNSPECIFIED
        }
    }
}

/// Domains that belong to nobody (RFC 2606, RFC 6761), and the documents that rules refer to.
fn is_example_host(host: &str) -> bool {
    let names = ["example.com", "example.net", "example.org", "localhost"];
    let endings = [".example", ".test", ".invalid", ".localhost"];
    names
        .iter()
        .any(|name| host == *name || host.ends_with(&format!(".{name}")))
        || endings.iter().any(|ending| host.ends_with(ending))
}

#[test]
fn rules_and_samples_name_nobodys_addresses_and_hosts() {
    // Not after a slash, nor as the version of a client: `Chrome/126.0.0.0` is no address.
    let version = Regex::new(r#""version":"[^"]*""#).unwrap();
    let v4 = Regex::new(r"(?:^|[^/.\w])((?:\d{1,3}\.){3}\d{1,3})(?:[^.\w]|$)").unwrap();
    let v6 = Regex::new(r"(?:^|[^:.\w])([0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{0,4}){2,7})(?:[^:\w]|$)")
        .unwrap();
    // Not after a plus: a robot names its vendor so.
    let host = Regex::new(r"(?:^|[^+])https?://([\w.-]+)").unwrap();
    let is_text = |path: &PathBuf| path.extension().is_none_or(|extension| extension != "gz");
    let mut offences = Vec::new();
    for path in files("rules")
        .into_iter()
        .chain(files("sample-logs"))
        .filter(is_text)
    {
        let is_log =
            path.starts_with("sample-logs") && path.extension().is_some_and(|e| e == "log");
        for (index, line) in read(&path).lines().enumerate() {
            let line = &*version.replace_all(line, "");
            let is_line = is_log || line.trim_start().starts_with(['{', '1', '2']);
            let addresses = v4.captures_iter(line).chain(v6.captures_iter(line));
            let addresses = addresses.filter_map(|found| found[1].parse::<IpAddr>().ok());
            let foreign = addresses.filter(|address| !is_nobodys(*address));
            let mut names: Vec<_> = foreign.map(|address| address.to_string()).collect();
            if is_line {
                let hosts = host.captures_iter(line).map(|found| found[1].to_owned());
                names.extend(hosts.filter(|host| !is_example_host(host)));
            }
            offences.extend(
                names
                    .iter()
                    .map(|name| format!("{}:{}: {name}", path.display(), index + 1)),
            );
        }
    }
    none(offences);
}

//! Lines a second that each format reads, on one core, beside `serde_json::Value` on the same lines.
//!
//! `cargo bench --bench formats`; divide the number of lines by the time shown, or read the `items` column. `fixture` reads a
//! line of each format's fixtures again and again; `split_alone` is what the machine can do at most: cutting at line feeds.
//! `detection` is the time for one whole file.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use std::fs;
use std::path::Path;
use tokentrip::domain::event::AccessEvent;
use tokentrip::formats::{ALL, FieldMap, Parser, detect};

/// Enough to leave the caches, few enough for many rounds.
const LINES: usize = 4_096;

fn main() {
    divan::main();
}

/// A token as long as an identity provider's RS256 access token with few claims.
fn token(n: usize) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let noise = (0..420)
        .map(|i| char::from(letters[(i * 7 + n * 13) % 64]))
        .collect::<String>();
    format!("eyJhbGciOiJSUzI1NiJ9.{}.{}", &noise[..200], &noise[200..])
}

fn json_line(n: usize) -> String {
    format!(
        concat!(
            r#"{{"time_iso8601":"2026-05-04T10:{:02}:{:02}+00:00","msec":"1777889472.345","#,
            r#""remote_addr":"198.51.100.{}","http_x_forwarded_for":"-","remote_user":"-","#,
            r#""request_method":"GET","request_uri":"/api/v1/orders/{}?page=2","#,
            r#""server_protocol":"HTTP/2.0","host":"api.example.com","status":"200","#,
            r#""body_bytes_sent":"5120","request_time":"0.057","upstream_addr":"10.0.0.9:8080","#,
            r#""http_referer":"https://app.example.com/orders","request_id":"{:032x}","#,
            r#""http_user_agent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64)","#,
            r#""http_accept_language":"pt-PT","ssl_protocol":"TLSv1.3","#,
            r#""http_authorization":"Bearer {}"}}"#
        ),
        n / 60 % 60,
        n % 60,
        n % 250,
        n,
        n,
        token(n)
    )
}

fn combined_line(n: usize) -> String {
    format!(
        concat!(
            r#"198.51.100.{} - - [04/May/2026:10:{:02}:{:02} +0000] "#,
            r#""GET /api/v1/orders/{}?page=2&access_token={} HTTP/1.1" 200 5120 "#,
            r#""https://app.example.com/orders" "Mozilla/5.0 (Windows NT 10.0; Win64; x64) "#,
            r#"AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36""#
        ),
        n % 250,
        n / 60 % 60,
        n % 60,
        n,
        token(n)
    )
}

fn lines(line: fn(usize) -> String) -> Vec<String> {
    (0..LINES).map(line).collect()
}

fn read(bencher: Bencher<'_, '_>, parser: &Parser, lines: &[String]) {
    for line in lines {
        parser
            .parse(line)
            .expect("the bench's own lines can be read");
    }
    bencher.counter(ItemsCount::new(lines.len())).bench(|| {
        for line in lines {
            // As the program does: an event is too large to be moved for every line.
            let mut event = AccessEvent::default();
            let _ = black_box(parser.parse_into(black_box(line), None, &mut event));
            black_box(&event);
        }
    });
}

#[divan::bench]
fn json(bencher: Bencher<'_, '_>) {
    read(
        bencher,
        &Parser::json(FieldMap::default()),
        &lines(json_line),
    );
}

/// The template never fits: every second line has one member more than the first.
#[divan::bench]
fn json_without_template(bencher: Bencher<'_, '_>) {
    let parser = Parser::json(FieldMap::default());
    let first = json_line(0).replace("{\"time", "{\"first\":1,\"time");
    parser
        .parse(&first)
        .expect("the bench's own lines can be read");
    read(bencher, &parser, &lines(json_line));
}

#[divan::bench]
fn json_by_serde_value(bencher: Bencher<'_, '_>) {
    let lines = lines(json_line);
    bencher.counter(ItemsCount::new(lines.len())).bench(|| {
        for line in &lines {
            let _ = black_box(serde_json::from_str::<serde_json::Value>(black_box(line)));
        }
    });
}

#[divan::bench]
fn combined(bencher: Bencher<'_, '_>) {
    let parser = Parser::named("combined").expect("a registered name");
    read(bencher, &parser, &lines(combined_line));
}

#[divan::bench]
fn log_format(bencher: Bencher<'_, '_>) {
    let format = concat!(
        r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "#,
        r#""$http_referer" "$http_user_agent""#
    );
    let parser = Parser::from_log_format(format).expect("nginx's own format");
    read(bencher, &parser, &lines(combined_line));
}

/// The names of all formats.
fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|format| format.name)
}

/// The logs among a format's fixtures, in order of their names.
fn logs(format: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats");
    let files = fs::read_dir(folder.join(format)).expect("a fixture folder");
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    let text = |path: &_| fs::read_to_string(path).expect("text");
    files.iter().map(text).collect()
}

#[divan::bench(args = names())]
fn fixture(bencher: Bencher<'_, '_>, name: &str) {
    let parser = Parser::named(name).expect("a registered name");
    let logs = logs(name);
    let mut lines = logs.iter().flat_map(|log| log.lines());
    let line = lines.find(|line| parser.parse(line).is_ok());
    let lines = vec![line.expect("a line of the format").to_owned(); LINES];
    read(bencher, &parser, &lines);
}

#[divan::bench]
fn split_alone(bencher: Bencher<'_, '_>) {
    let text = lines(combined_line).join("\n");
    bencher
        .counter(ItemsCount::new(LINES))
        .bench(|| memchr::memchr_iter(b'\n', black_box(text.as_bytes())).count());
}

#[divan::bench(args = names())]
fn detection(bencher: Bencher<'_, '_>, name: &str) {
    let log = logs(name).swap_remove(0).repeat(200);
    let lines: Vec<&str> = log.lines().collect();
    bencher
        .counter(BytesCount::of_str(&log))
        .bench(|| detect(black_box(&lines), &FieldMap::default()));
}

//! Rules and requests that nobody wrote: every modifier, and values that meet it or just miss it.

use super::*;

/// One line of a selection.
#[derive(Clone, Debug)]
pub(super) struct Item {
    line: String,
    /// The other one takes letters of base64 that hold bits of what follows for the value's own, so it misses some.
    /// Then it must find nothing that we do not.
    misses: bool,
}

pub(super) fn item(line: String) -> Item {
    Item {
        line,
        misses: false,
    }
}

pub(super) fn list(values: &[String]) -> String {
    let quoted: Vec<String> = (values.iter())
        .map(|value| format!("'{}'", value.replace('\'', "''")))
        .collect();
    format!("[{}]", quoted.join(", "))
}

pub(super) fn text_field() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "cs-uri-stem",
        "cs-uri-query",
        "cs-user-agent",
        "cs-host",
        "c-uri",
    ])
}

/// Never empty and never `-`, which for a web log mean that nothing is there.
pub(super) fn texts(pattern: &'static str) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(pattern, 1..4)
}

/// Plain text, at each place, in each case.
pub(super) fn plain() -> impl Strategy<Value = Item> {
    let places = ["", "|contains", "|startswith", "|endswith"];
    let (place, all) = (prop::sample::select(places.to_vec()), any::<bool>());
    (
        text_field(),
        place,
        any::<bool>(),
        all,
        texts("[aAbB1/\u{e9}]{1,4}"),
    )
        .prop_map(|(field, place, cased, all, values)| {
            let cased = if cased { "|cased" } else { "" };
            let all = if all { "|all" } else { "" };
            item(format!("'{field}{place}{cased}{all}': {}", list(&values)))
        })
}

/// Wildcards; not beside `startswith` and `endswith`, where the other one forgets at which end the text stands.
pub(super) fn wild() -> impl Strategy<Value = Item> {
    let place = prop::sample::select(vec!["", "|contains"]);
    (
        text_field(),
        place,
        texts(r"[aAb/]{0,2}([*?]|\\\*|\\\?)[aAb/]{0,2}[*?]?"),
    )
        .prop_map(|(field, place, values)| item(format!("'{field}{place}': {}", list(&values))))
}

pub(super) fn expression() -> impl Strategy<Value = Item> {
    let flags = prop::sample::select(vec!["", "|i", "|m", "|s", "|i|s"]);
    let expressions = [
        "^/a",
        "b+$",
        "[aA]b",
        "a.b",
        "(?:ab|ba)",
        "^.{2,4}$",
        r"\d",
        "b/?a",
    ];
    (
        text_field(),
        flags,
        prop::sample::select(expressions.to_vec()),
    )
        .prop_map(|(field, flags, text)| item(format!("'{field}|re{flags}': '{text}'")))
}

pub(super) fn number() -> impl Strategy<Value = Item> {
    let field = prop::sample::select(vec!["sc-status", "sc-bytes"]);
    let compare = prop::sample::select(vec!["", "|lt", "|lte", "|gt", "|gte", "|neq", "|contains"]);
    let numbers = prop::sample::select(vec![0, 2, 20, 200, 201, 404, 500]);
    (field, compare, numbers).prop_map(|(f, compare, n)| item(format!("'{f}{compare}': {n}")))
}

pub(super) fn network() -> impl Strategy<Value = Item> {
    let nets = [
        "192.0.2.0/24",
        "192.0.2.0/28",
        "0.0.0.0/0",
        "2001:db8::/32",
        "::/0",
        "203.0.113.7/32",
    ];
    prop::collection::vec(prop::sample::select(nets.to_vec()), 1..3).prop_map(|nets| {
        item(format!(
            "'c-ip|cidr': {}",
            list(&nets.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
        ))
    })
}

/// What is there and what is not. `neq` stands beside what is always there: of what is not, the other one says neither
/// that it equals nor that it differs.
pub(super) fn presence() -> impl Strategy<Value = Item> {
    let tests = [
        "'cs-uri-query|exists': true",
        "'cs-user-agent|exists': false",
        "'nobody.knows|exists': false",
        "'cs-host': null",
        "'nobody.knows': null",
        "'cs-method|neq': 'get'",
        "'cs-method|neq|cased': 'get'",
        "'cs-method|neq': ['PUT', 'POST']",
        "'cs-uri-stem|neq|contains': 'ab'",
    ];
    prop::sample::select(tests.to_vec()).prop_map(|test| item(test.to_owned()))
}

pub(super) fn reference() -> impl Strategy<Value = Item> {
    let place = prop::sample::select(vec!["", "|contains", "|startswith", "|endswith"]);
    (text_field(), place, any::<bool>(), text_field()).prop_map(|(field, place, cased, other)| {
        let cased = if cased { "|cased" } else { "" };
        item(format!("'{field}|fieldref{place}{cased}': '{other}'"))
    })
}

/// Dashes at the beginning of words, where both see one.
pub(super) fn dashes() -> impl Strategy<Value = Item> {
    (text_field(), texts("(b )?-[ab]{1,2}"))
        .prop_map(|(field, values)| item(format!("'{field}|windash|contains': {}", list(&values))))
}

pub(super) fn encoded() -> impl Strategy<Value = Item> {
    let ways = [
        "base64",
        "wide|base64",
        "utf16le|base64",
        "utf16be|base64",
        "utf16|base64",
        "base64offset",
    ];
    let way = prop::sample::select(ways.to_vec());
    (text_field(), way, texts("[ab]{2,4}")).prop_map(|(field, way, values)| Item {
        line: format!("'{field}|{way}|contains': {}", list(&values)),
        misses: way == "base64offset",
    })
}

pub(super) fn moment() -> impl Strategy<Value = Item> {
    let parts = [
        ("minute", 11),
        ("hour", 10),
        ("day", 4),
        ("week", 19),
        ("month", 5),
        ("year", 2026),
    ];
    (prop::sample::select(parts.to_vec()), -1..2)
        .prop_map(|((part, n), off)| item(format!("'@timestamp|{part}': {}", n + off)))
}

/// With a letter that stands in no address, for the other one looks there, too. A plain list: under `'|all'` it looks
/// for a field without a name.
pub(super) fn keywords() -> impl Strategy<Value = Item> {
    texts("a[ab]{0,2}").prop_map(|values| item(list(&values)))
}

pub(super) fn items() -> impl Strategy<Value = Item> {
    prop_oneof![
        4 => plain(), 3 => wild(), 2 => expression(), 2 => number(), 1 => network(),
        2 => presence(), 1 => reference(), 1 => dashes(), 2 => encoded(), 1 => moment(),
    ]
}

/// Three selections (maps, a list of maps, keywords) and a condition over them. Wherever the other one may miss
/// something, no `not` stands in the condition.
pub(super) fn detection() -> impl Strategy<Value = (String, bool)> {
    let conditions = [
        "s0",
        "s0 and s1",
        "s0 or s1",
        "1 of s*",
        "all of them",
        "1 of them",
        "any of s*",
        "not s0",
        "s0 and not s1",
        "(s0 or s1) and not s2",
        "not (s0 and s1)",
        "not 1 of s*",
        "not all of s*",
        "s0 or s1 and not s2",
        "s2 and s0",
    ];
    let third = prop_oneof![keywords(), items()];
    let pairs = prop::collection::vec(prop::collection::vec(items(), 1..3), 2);
    (
        pairs,
        third,
        prop::sample::select(conditions.to_vec()),
        any::<bool>(),
    )
        .prop_map(|(pairs, third, condition, listed)| {
            let misses = pairs
                .iter()
                .flatten()
                .chain([&third])
                .any(|item| item.misses);
            let mut text = String::new();
            for (index, pair) in pairs.iter().enumerate() {
                text += &format!("    s{index}:\n");
                // A key stands once in a map.
                let dash = if listed || is_twice(pair) { "- " } else { "" };
                for item in pair {
                    text += &format!("      {dash}{}\n", item.line);
                }
            }
            text += &format!("    s2:\n      {}\n", third.line);
            (
                format!("{text}    condition: {condition}\n"),
                misses && condition.contains("not"),
            )
        })
}

pub(super) fn is_twice(pair: &[Item]) -> bool {
    let key = |item: &Item| item.line.split("': ").next().map(str::to_owned);
    pair.len() == 2 && key(&pair[0]) == key(&pair[1])
}

pub(super) fn request() -> impl Strategy<Value = Asked> {
    let optional = |pattern: &'static str| prop::option::of(pattern);
    let hidden = ["ab", "abb", "ba", "aaab"].map(|text| BASE64.encode(text.as_bytes()));
    let wide = ["ab", "ba"].map(|text| {
        let units = text
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>();
        BASE64.encode(&units)
    });
    let paths: Vec<String> = hidden
        .into_iter()
        .chain(wide)
        .map(|text| format!("/{text}/b"))
        .collect();
    let path = prop_oneof![3 => "/[aAbB1/?*]{0,5}".prop_map(|p| p.replace(['?'], "")), 1 => prop::sample::select(paths)];
    (
        prop::sample::select(vec!["GET", "PUT"]),
        path,
        optional("[aAbB1=\u{e9}]{1,5}"),
        optional("(b )?[-/\u{2013}x][ab]{1,3}"),
        optional("[aAbB1]{1,3}"),
        prop::option::of(prop::sample::select(vec![
            "192.0.2.1",
            "192.0.2.200",
            "203.0.113.7",
            "2001:db8::1",
        ])),
        prop::sample::select(vec![200u16, 201, 404, 500]),
        prop::sample::select(vec![0u64, 2, 200, 2000]),
        prop::sample::select(vec![1_777_889_472_345i64, 1_777_889_412_000, 0]),
    )
        .prop_map(
            |(method, path, query, agent, host, client, status, bytes, time_ms)| Asked {
                method,
                path,
                query,
                agent,
                host,
                client,
                status,
                bytes,
                time_ms,
            },
        )
}

//! `[[allow]]` and `[[travel]]`: what an installation knows about its own people and machines.
//!
//! In: the sections. Out: [`Allow`]s and [`Travel`]s. Does not know: rules, or what is found.

use super::reader::{Given, Section};
use super::sources::network;
use super::values::word_of;
use crate::domain::mistake::Mistake;
use crate::domain::time::Time;
use ipnet::IpNet;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

/// Findings that nobody is to be told of. Everything that is given has to fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Allow {
    /// Why, in a few words.
    pub name: String,
    /// Rules, with `*` and `?`. None: all but proofs of theft.
    pub rules: Vec<glob::Pattern>,
    /// `sub` claims, with `*` and `?`.
    pub subjects: Vec<glob::Pattern>,
    /// Names of programs or whole user agents, with `*` and `?`.
    pub clients: Vec<glob::Pattern>,
    /// Networks.
    pub networks: Vec<Network>,
    /// Codes of countries, and names of places with `*` and `?`.
    pub places: Vec<glob::Pattern>,
    /// When.
    pub times: Times,
}

/// A network, by prefix or by the number of its autonomous system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "plain words")]
pub enum Network {
    Prefix(IpNet),
    Asn(u32),
}

/// A journey that was announced.
#[derive(Clone, Debug, PartialEq)]
pub struct Travel {
    /// Who, by `sub`.
    pub subject: glob::Pattern,
    /// Where to: codes of countries, and names of places.
    pub to: Vec<glob::Pattern>,
    /// From when until when.
    pub times: Times,
}

/// Event times.
#[derive(Clone, Debug, PartialEq)]
pub struct Times {
    /// From this moment on.
    pub from: Option<Time>,
    /// Before this moment.
    pub until: Option<Time>,
    /// Days of the week. None: all.
    pub days: Vec<Weekday>,
    /// Minutes of the day: from, to.
    pub minutes: Option<(u16, u16)>,
    /// The zone of days, hours and dates.
    pub zone: TimeZone,
}

pub(super) fn read_allows(root: &Section<'_>) -> Vec<Allow> {
    let sections = root.sections("allow");
    sections.iter().filter_map(read_allow).collect()
}

fn read_allow(section: &Section<'_>) -> Option<Allow> {
    let name = section.required("name", "\"penetration test in May\"");
    let asks = ["rules", "subjects", "clients", "networks", "places"];
    let allow = Allow {
        name: name.as_ref().map(|given| given.value.clone())?,
        rules: section.parsed_list("rules", pattern),
        subjects: section.parsed_list("subjects", pattern),
        clients: section.parsed_list("clients", pattern),
        networks: section.parsed_list("networks", network_or_asn),
        places: section.parsed_list("places", pattern),
        times: read_times(section),
    };
    section.end();
    if let Some(given) = name.filter(|_| !section.has_any(&asks)) {
        let message = "it would silence every rule for everybody".to_owned();
        let help =
            "say for which `rules`, `subjects`, `clients`, `networks` or `places` it is meant";
        section.mistake(&given.origin, message, "", help);
    }
    Some(allow)
}

pub(super) fn read_travels(root: &Section<'_>) -> Vec<Travel> {
    let sections = root.sections("travel");
    sections.iter().filter_map(read_travel).collect()
}

fn read_travel(section: &Section<'_>) -> Option<Travel> {
    let subject = section.required("subject", "\"alice@example.com\"");
    let subject = subject.and_then(|given| section.parse(&given, pattern));
    if !section.has_any(&["to"]) {
        section.missing("to", "[\"JP\"]");
    }
    if !section.has_any(&["until"]) {
        section.missing("until", "\"2026-05-08\"");
    }
    let travel = Travel {
        to: section.parsed_list("to", pattern),
        times: read_times(section),
        subject: subject?,
    };
    section.end();
    Some(travel)
}

fn read_times(section: &Section<'_>) -> Times {
    let zone = section.parsed("timezone", super::sources::zone_named);
    let zone = zone.unwrap_or(TimeZone::UTC);
    let from = section.parsed("from", |text| moment(text, &zone, false));
    let until = section.text("until");
    let times = Times {
        from,
        until: (until.as_ref())
            .and_then(|given| section.parse(given, |text| moment(text, &zone, true))),
        days: section.parsed_list("days", |text| word_of(text, "day", &DAYS)),
        minutes: section.parsed("hours", hours),
        zone,
    };
    if let (Some(from), Some(end), Some(Given { origin, .. })) = (times.from, times.until, until)
        && end <= from
    {
        section.mistake(&origin, "`until` is not after `from`".to_owned(), "", "");
    }
    times
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// A moment as RFC 3339 writes it, or a day, which is meant whole: from its first moment, until the first after it.
fn moment(text: &str, zone: &TimeZone, ends: bool) -> Result<Time, Mistake> {
    let wrong = || {
        Mistake::outside(format!("`{text}` is no time"))
            .help("write a day as 2026-05-08, or a moment as 2026-05-08T18:00:00Z")
    };
    let of_day = |day: Date| {
        let day = if ends { day.tomorrow().ok()? } else { day };
        zone.to_timestamp(day.into()).ok()
    };
    let timestamp = match text.parse::<jiff::Timestamp>() {
        Ok(timestamp) => Some(timestamp),
        Err(_) => text.parse().ok().and_then(of_day),
    };
    let ms = timestamp.ok_or_else(wrong)?.as_millisecond();
    Time::from_ms(ms).ok_or_else(wrong)
}

/// `22:00-06:00`, in minutes of the day.
fn hours(text: &str) -> Result<(u16, u16), Mistake> {
    let minute = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
        (hour < 24 && minute < 60 || (hour, minute) == (24, 0)).then_some(hour * 60 + minute)
    };
    let span = text.split_once('-');
    let span = span.and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
    span.ok_or_else(|| {
        Mistake::outside(format!("`{text}` are no hours")).help("write them as `22:00-06:00`")
    })
}

fn pattern(text: &str) -> Result<glob::Pattern, Mistake> {
    glob::Pattern::new(text).map_err(|error| {
        Mistake::outside(format!("`{text}` is no pattern: {}", error.msg))
            .help("`*` stands for any letters, as in `svc-*`")
    })
}

fn network_or_asn(text: &str) -> Result<Network, Mistake> {
    if let Some(number) = text.strip_prefix("AS") {
        let wrong = |_| {
            Mistake::outside(format!("`{text}` is no autonomous system"))
                .help("write its number, as `AS64500`")
        };
        return number.parse().map(Network::Asn).map_err(wrong);
    }
    network(text).map(Network::Prefix)
}

use super::*;

fn at(s: i64) -> Time {
    Time::from_ms(1_777_889_520_000 + s * 1000).unwrap()
}

/// Each about another account, from a network of its own.
fn incident(number: u32) -> Incident {
    let text = include_str!("../../../tests/fixtures/sinks/webhook/incident.json");
    let mut incident: Incident = serde_json::from_str(text).unwrap();
    incident.id = IncidentId::new(number.into());
    incident.level = Level::High;
    let ip = format!("2001:db8:{:x}:{:x}::5", number >> 16, number & 0xffff);
    incident.suspect.ips = vec![ip.parse().unwrap()];
    incident
}

/// How many of so many incidents at that moment are told alone.
fn alone(storms: &mut Storms, numbers: std::ops::Range<u32>, whose: Whose, now: Time) -> usize {
    let told = numbers.map(|number| storms.alone(&incident(number), whose, false, now));
    told.filter(|alone| *alone).count()
}

fn titles(storms: &mut Storms, now: Time) -> Option<(Event, String)> {
    let news = storms.news(now)?;
    Some((news.event, news.incident.title))
}

#[test]
fn ten_thousand_at_once_are_twenty_messages_and_one_of_the_storm_that_grows_and_ends() {
    let mut storms = Storms::default();
    assert_eq!(alone(&mut storms, 0..1000, Whose::Known, at(0)), 20);
    let opened = storms.news(at(0)).unwrap();
    assert_eq!(opened.event, Event::Opened);
    assert_eq!(
        opened.incident.title,
        "980 more incidents at once: too many to tell of each"
    );
    assert_eq!(opened.incident.children.len(), 980);
    assert_eq!(storms.news(at(1)), None);
    assert_eq!(alone(&mut storms, 1000..10_000, Whose::Known, at(20)), 0);
    assert_eq!(storms.news(at(59)), None, "it rests a minute");
    let grown = storms.news(at(60)).unwrap();
    assert_eq!(
        (grown.event, grown.incident.id),
        (Event::Updated, opened.incident.id)
    );
    assert_ne!(grown.what, opened.what);
    assert!(grown.incident.title.starts_with("9,980 more"));
    assert_eq!(grown.incident.children.len(), 1000);
    assert_eq!(storms.news(at(600)), None, "nothing new");
    let over = titles(&mut storms, at(620)).unwrap();
    let said = "9,980 more incidents at once; no more come".to_owned();
    assert_eq!(over, (Event::Updated, said));
    assert_eq!(storms.news(at(2000)), None);
    // The next one has its turn again.
    assert_eq!(
        alone(&mut storms, 20_000..20_001, Whose::Known, at(2000)),
        1
    );
}

#[test]
fn everyday_numbers_are_told_one_by_one() {
    let mut storms = Storms::default();
    for hour in 0..24_u32 {
        let numbers = hour * 20..hour * 20 + 20;
        let now = at(i64::from(hour) * 3600);
        assert_eq!(alone(&mut storms, numbers, Whose::Known, now), 20);
        assert_eq!(storms.news(now), None);
    }
}

#[test]
fn a_storm_is_no_place_to_hide_in() {
    let mut storms = Storms::default();
    // Accounts that were made for it, from as many networks as there are.
    assert_eq!(alone(&mut storms, 0..500, Whose::Young, at(0)), 10);
    // One network with old accounts.
    let mut same = incident(501);
    let old = (501_u32..600).filter(|number| {
        same.id = IncidentId::new((*number).into());
        storms.alone(&same, Whose::Known, false, at(1))
    });
    assert_eq!(old.count(), 10);
    // What is worse, and what is protected, has room of its own.
    assert_eq!(alone(&mut storms, 700..701, Whose::Known, at(2)), 0);
    let mut worse = incident(701);
    worse.level = Level::Critical;
    assert!(storms.alone(&worse, Whose::Young, false, at(2)));
    assert_eq!(alone(&mut storms, 702..703, Whose::Protected, at(2)), 1);
}

#[test]
fn what_gets_worse_in_a_storm_is_told_at_once_and_counted_once() {
    let mut storms = Storms::default();
    alone(&mut storms, 0..30, Whose::Known, at(0));
    let first = storms.news(at(0)).unwrap();
    assert_eq!(first.incident.level, Level::High);
    for number in 100..121_u32 {
        let mut worse = incident(number);
        worse.level = Level::Critical;
        storms.alone(&worse, Whose::Known, true, at(1));
    }
    let mut again = incident(120);
    again.level = Level::Critical;
    assert!(!storms.alone(&again, Whose::Known, true, at(1)));
    let worse = storms.news(at(1)).unwrap();
    assert_eq!(worse.incident.level, Level::Critical);
    assert!(worse.incident.title.starts_with("11 more"));
    let advice = &worse.incident.steps.revoke.advice;
    assert!(advice.ends_with("waiting for a person: 1"), "{advice}");
}

#[test]
fn a_storm_goes_on_after_a_restart_and_its_size_is_bounded() {
    let mut storms = Storms::default();
    alone(&mut storms, 0..50_000, Whose::Known, at(0));
    let first = storms.news(at(0)).unwrap();
    let bytes = postcard::to_stdvec(&storms).unwrap();
    assert!(bytes.len() < 500_000, "{} bytes", bytes.len());
    let mut storms: Storms = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(alone(&mut storms, 0..100, Whose::Known, at(5)), 0);
    let over = storms.news(at(605)).unwrap();
    assert_eq!(over.incident.id, first.incident.id);
    let shown = &over.incident.suspect;
    assert!(shown.ips.len() <= 20 && shown.networks.len() <= 20 && shown.clients.len() <= 20);
}

//! A whole population over a week: who lives where, what each day brings, who has an odd day and who is robbed.
//!
//! In: a seed and a size. Out: [`Town`]: every request in order, and the truth.
//! Does not know: how any of it is judged. Each seed draws its own habits, so that nothing can be tuned to one world.

use super::benign::{self, Benign};
use super::scene::Scene;
use super::thefts::{self, Theft};
use super::{crimes, further, oddities, outside};
use crate::support::population::{
    DAY_MS, HOUR_MS, Log, MINUTE_MS, MONDAY_MS, Person, Request, Rng, Session, Shown, Style, World,
};
use std::net::IpAddr;

/// One theft of a population.
pub(super) struct Crime {
    pub(super) class: &'static str,
    pub(super) sub: String,
    pub(super) thief: Vec<IpAddr>,
}

/// A population's week.
pub(super) struct Town {
    pub(super) requests: Vec<Request>,
    pub(super) crimes: Vec<Crime>,
    /// Who has only everyday life.
    pub(super) user_days: usize,
}

/// What a seed decides for everybody.
struct Habits {
    /// Of a hundred people, those who keep one session all week.
    keep_percent: i64,
    /// Of a hundred, those with an office.
    office_percent: i64,
    /// Of a hundred days, those with an odd story.
    odd_percent: i64,
    /// Requests of one visit.
    visit: (i64, i64),
    /// Lifetimes of access tokens.
    lives_s: &'static [i64],
}

impl Habits {
    fn draw(rng: &mut Rng) -> Self {
        let lives: [&[i64]; 4] = [&[300], &[900, 3600], &[1800], &[300, 3600, 28_800]];
        Self {
            keep_percent: rng.between(20, 80),
            office_percent: rng.between(30, 80),
            odd_percent: rng.between(4, 12),
            visit: (rng.between(2, 4), rng.between(6, 12)),
            lives_s: *rng.pick(&lives),
        }
    }
}

/// Of a hundred people, those who are robbed, unless `TOKENTRIP_ROBBED` says otherwise: with more each class has more cases.
const ROBBED_PERCENT: usize = 8;

/// The classes of theft that a log with whole tokens in its header can show.
pub(super) fn classes() -> Vec<&'static Theft> {
    thefts::ALL
        .iter()
        .chain(crimes::ALL)
        .chain(outside::THEFTS)
        .chain(further::THEFTS)
        .filter(|theft| theft.shown == Shown::Header)
        .collect()
}

/// Every odd story.
pub(super) fn odd() -> Vec<&'static Benign> {
    benign::ALL
        .iter()
        .chain(oddities::ALL)
        .chain(outside::QUIET)
        .chain(further::QUIET)
        .collect()
}

impl Town {
    pub(super) fn tell(world: &World, seed: u64, people: usize, days: i64) -> Self {
        let mut rng = Rng(seed);
        let habits = Habits::draw(&mut rng);
        let (classes, odd) = (classes(), odd());
        let mut log = Log::default();
        let mut crimes = Vec::new();
        let asked = std::env::var("TOKENTRIP_ROBBED").ok();
        let percent = asked.and_then(|percent| percent.parse().ok());
        let percent = percent.unwrap_or(ROBBED_PERCENT);
        let mut robbed = 0;
        for index in 0..people {
            let mut me = Person::new(world, &mut rng);
            me.sub = format!("{}-{index}", me.sub);
            let rng = Rng(rng.next());
            let is_robbed = (index * percent) % 100 < percent;
            let theft = is_robbed.then(|| classes[robbed % classes.len()]);
            robbed += usize::from(is_robbed);
            let mut life = Life {
                habits: &habits,
                odd: &odd,
                days,
                theft,
            };
            life.tell(Scene::of(world, rng, &mut log, me, MONDAY_MS), &mut crimes);
        }
        log.sort();
        Self {
            requests: log.requests,
            crimes,
            user_days: people * days as usize,
        }
    }
}

/// One person's week.
struct Life<'a> {
    habits: &'a Habits,
    odd: &'a [&'static Benign],
    days: i64,
    theft: Option<&'static Theft>,
}

impl Life<'_> {
    fn tell(&mut self, mut scene: Scene<'_>, crimes: &mut Vec<Crime>) {
        let me = scene.me.clone();
        let works = scene.rng.chance(self.habits.office_percent);
        let keeps = scene.rng.chance(self.habits.keep_percent);
        // People live by the sun: fifteen degrees are an hour.
        let zone_ms = (me.city.at.1 / 15.0 * HOUR_MS as f64) as i64;
        let robbed_on = self.theft.map(|_| scene.rng.between(0, self.days));
        let mut kept: Option<[Session; 2]> = None;
        for day in 0..self.days {
            scene.me = me.clone();
            let midnight_ms = MONDAY_MS + day * DAY_MS - zone_ms;
            let noon_ms = midnight_ms + scene.rng.between(8 * 60, 17 * 60) * MINUTE_MS;
            let from = scene.log.requests.len();
            if robbed_on == Some(day) {
                self.rob(&mut scene, noon_ms, crimes);
                continue;
            }
            if scene.rng.chance(self.habits.odd_percent) {
                let story = *scene.rng.pick(self.odd);
                scene.start_ms = noon_ms;
                (story.tell)(&mut scene);
                for request in &mut scene.log.requests[from..] {
                    request.doing = story.name;
                }
                continue;
            }
            let sessions = match kept.take().filter(|_| keeps) {
                Some(sessions) => sessions,
                None => [0, 1].map(|device| {
                    let start_ms = midnight_ms + (6 + device) * HOUR_MS;
                    let mut session = scene.session(start_ms);
                    if session.style == Style::Sid {
                        session.life_s = *scene.rng.pick(self.habits.lives_s);
                    } else {
                        session.life_s = 24 * 3600;
                    }
                    session
                }),
            };
            self.day(&mut scene, &sessions, midnight_ms, works && day % 7 < 5);
            kept = Some(sessions);
        }
    }

    /// Mornings and evenings at home, the way on the phone, the office in between.
    fn day(
        &self,
        scene: &mut Scene<'_>,
        [laptop, phone]: &[Session; 2],
        midnight_ms: i64,
        works: bool,
    ) {
        let me = scene.me.clone();
        let hour = |scene: &mut Scene<'_>, from: i64, to: i64| {
            midnight_ms + scene.rng.between(from * 60, to * 60) * MINUTE_MS
        };
        if scene.rng.chance(70) {
            let at_ms = hour(scene, 7, 8);
            self.visit(scene, laptop, me.home, &me.desktop, at_ms);
        }
        if scene.rng.chance(80) {
            let cell = me.phone_net.address(&mut scene.rng);
            let at_ms = hour(scene, 8, 9);
            self.visit(scene, phone, cell, &me.phone, at_ms);
        }
        if works {
            for (from, to) in [(9, 11), (13, 16)] {
                let at_ms = hour(scene, from, to);
                self.visit(scene, laptop, me.office, &me.desktop, at_ms);
            }
        }
        if scene.rng.chance(60) {
            let at_ms = hour(scene, 18, 20);
            self.visit(scene, phone, me.home, &me.phone, at_ms);
        }
        if scene.rng.chance(50) {
            let at_ms = hour(scene, 19, 22);
            self.visit(scene, laptop, me.home, &me.desktop, at_ms);
        }
    }

    fn visit(&self, scene: &mut Scene<'_>, session: &Session, ip: IpAddr, agent: &str, at_ms: i64) {
        let (low, high) = self.habits.visit;
        let count = scene.rng.between(low, high) as usize;
        let minutes = scene.rng.between(5, 50);
        scene.browse(session, ip, agent, at_ms, minutes, count);
    }

    fn rob(&self, scene: &mut Scene<'_>, at_ms: i64, crimes: &mut Vec<Crime>) {
        let Some(theft) = self.theft else { return };
        let from = scene.log.requests.len();
        (scene.start_ms, scene.from) = (at_ms, from);
        (theft.tell)(scene);
        let base = crimes.len();
        let class = scene.class.take().unwrap_or(theft.name);
        for request in &mut scene.log.requests[from..] {
            request.doing = theft.name;
            request.theft = request.theft.map(|number| base + number);
        }
        crimes.extend(scene.truths.drain(..).map(|truth| Crime {
            class,
            sub: truth.sub,
            thief: truth.thief,
        }));
    }
}

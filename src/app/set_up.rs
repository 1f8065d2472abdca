//! What every command that judges lines needs: configuration, rules, keys, tables, and how each source is read.
//!
//! In: arguments and configuration. Out: [`SetUp`], or an [`Error`] with everything that is wrong.
//! Does not know: which command asks.

use super::scan::streams::Wanted;
use super::{Error, exceptions, geo, rules};
use crate::config::{Config, Issuer, Jwks, Source, environment_of_process};
use crate::context::tables::Tables;
use crate::domain::ids::IdKey;
use crate::domain::time::Time;
use crate::engine::paths::Paths;
use crate::engine::prepare::Front;
use crate::engine::{Engine, Settings};
use crate::formats::client_address::TrustedProxies;
use crate::formats::{FieldMap, Parser};
use crate::ingest::discover::covers;
use crate::rules::{RuleSet, Tuning};
use crate::sessions::Limits;
use crate::tokens::keys::KeySet;
use crate::tokens::verify::Issuers;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything that is decided before the first line is read.
#[derive(Clone)]
pub(crate) struct SetUp {
    /// The configuration.
    pub(crate) config: Config,
    /// The rules, ready to judge.
    pub(crate) rules: Arc<RuleSet>,
    /// Where the rules came from; the embedded ones have no folder.
    pub(crate) rules_folder: Option<PathBuf>,
    /// The tables of places and networks.
    pub(crate) tables: Tables,
    /// The issuers, with the keys that stood in files.
    pub(crate) issuers: Issuers,
    /// What the parsers share.
    pub(crate) front: Front,
    format: Option<String>,
    asked: Asked,
}

/// What the command line said.
#[derive(Clone)]
struct Asked {
    config_file: Option<PathBuf>,
    rules_folder: Option<PathBuf>,
    format: Option<String>,
}

impl SetUp {
    /// Reads everything that the configuration names.
    ///
    /// # Errors
    /// With what is wrong, where, and what to do.
    pub(crate) fn load(
        config_file: Option<&Path>,
        rules_folder: Option<&Path>,
        format: Option<&str>,
        key: impl FnOnce(&Config) -> Result<IdKey, Error>,
    ) -> Result<Self, Error> {
        let asked = Asked {
            config_file: config_file.map(Path::to_owned),
            rules_folder: rules_folder.map(Path::to_owned),
            format: format.map(str::to_owned),
        };
        let config = Config::load(config_file, &environment_of_process()).map_err(Error::shown)?;
        let rules_folder = rules_folder
            .or(config.rules.folder.as_deref())
            .map(Path::to_owned);
        let rules = Arc::new(load_rules(rules_folder.as_deref(), &config)?);
        let places = &config.places;
        let tables =
            geo::tables(&places.city, &places.asn, places.home.clone()).map_err(Error::shown)?;
        let issuers = load_issuers(&config)?;
        let lists = |list: fn(&Issuer) -> &Vec<String>| {
            config
                .issuers
                .iter()
                .flat_map(|issuer| list(issuer).iter().cloned())
                .collect()
        };
        let front = Front {
            key: key(&config)?,
            paths: Paths::new(
                lists(|issuer| &issuer.protected_paths),
                lists(|issuer| &issuer.logout_paths),
            ),
        };
        let format = format.filter(|format| *format != "auto").map(str::to_owned);
        Ok(Self {
            config,
            rules,
            rules_folder,
            tables,
            issuers,
            front,
            format,
            asked,
        })
    }

    /// Reads everything again, with the same arguments and the same key.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn reload(&self) -> Result<Self, Error> {
        let asked = self.asked.clone();
        Self::load(
            asked.config_file.as_deref(),
            asked.rules_folder.as_deref(),
            asked.format.as_deref(),
            |_| Ok(self.front.key.clone()),
        )
    }

    /// The tables alone.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn tables(config_file: Option<&Path>) -> Result<Tables, Error> {
        let config = Config::load(config_file, &environment_of_process()).map_err(Error::shown)?;
        let places = config.places;
        geo::tables(&places.city, &places.asn, places.home).map_err(Error::shown)
    }

    /// The configuration's entry for the source at `path`.
    pub(crate) fn entry(&self, path: &Path) -> Option<&Source> {
        let mut entries = self.config.sources.iter();
        entries.find(|entry| covers(&entry.path, path))
    }

    /// How the source at `path` is to be read: as its entry in the configuration says, or as the command line does.
    ///
    /// # Errors
    /// When a format or a field is unknown.
    pub(crate) fn wanted(&self, path: &Path) -> Result<Wanted, Error> {
        let entry = self.entry(path);
        let fields = match entry {
            Some(entry) => FieldMap::new(&entry.fields).map_err(Error::shown)?,
            None => FieldMap::default(),
        };
        let named = entry
            .map(|entry| entry.format.as_str())
            .filter(|format| *format != "auto");
        let parser = self
            .format
            .as_deref()
            .or(named)
            .map(|format| Parser::from_spec(format, &fields).map_err(Error::shown))
            .transpose()?;
        let trusted = entry.map(|entry| TrustedProxies::new(entry.trusted_proxies.iter().copied()));
        Ok(Wanted {
            parser,
            fields,
            trusted: trusted.unwrap_or_default(),
            wrapper: entry.map(|entry| entry.wrapper).unwrap_or_default(),
            unvouched: entry
                .and_then(|entry| entry.listen.as_ref())
                .is_some_and(|listen| !listen.listen.vouches()),
            zone: entry.map_or(TimeZone::UTC, |entry| entry.timezone.clone()),
        })
    }

    /// An engine with these rules, keys and tables.
    pub(crate) fn engine(&self, fast_path: bool, sightings: bool) -> Engine {
        let settings = Settings {
            key: self.front.key.clone(),
            limits: Limits::default(),
            protects: self.front.paths.protects(),
            sightings,
            fast_path,
        };
        let issuers = Arc::new(self.issuers.clone());
        Engine::new(
            settings,
            Arc::clone(&self.rules),
            issuers,
            self.tables.clone(),
        )
    }
}

/// The rules of a folder, or the embedded ones, tuned as the configuration says.
///
/// # Errors
/// With every mistake in every file.
pub(crate) fn load_rules(folder: Option<&Path>, config: &Config) -> Result<RuleSet, Error> {
    let rules = match folder {
        Some(_) => rules::read(folder),
        None => RuleSet::embedded_without_tests().map_err(rules::RulesError::Wrong),
    };
    let mut rules = rules.map_err(Error::shown)?;
    for (name, change) in &config.rules.overrides {
        let tuning = Tuning {
            disable: change.disable,
            shadow: change.shadow,
            level: change.level,
            score: change.score,
            thresholds: change.thresholds.clone(),
        };
        rules.tune(name, &tuning).map_err(|why| match why {
            Some(why) => Error::new(format!("[rules.override.{name}]: the rule {why}")).help(
                format!("`tokentrip rules explain {name}` shows what it looks at"),
            ),
            None => Error::new(format!(
                "[rules.override.{name}] tunes a rule that does not exist"
            ))
            .help("`tokentrip rules list` shows the names of all rules"),
        })?;
    }
    rules.except(exceptions::of(config, &rules)?);
    Ok(rules)
}

fn load_issuers(config: &Config) -> Result<Issuers, Error> {
    let mut issuers = Issuers::default();
    for issuer in &config.issuers {
        let algorithms: Vec<&str> = issuer.algorithms.iter().map(|a| a.name()).collect();
        issuers
            .configure(&issuer.issuer, &algorithms)
            .map_err(Error::shown)?;
        issuers.expect_audiences(&issuer.issuer, &issuer.audiences);
        issuers.plant_honeytokens(&issuer.issuer, &issuer.honeytokens);
        let Some(Jwks::File(path)) = &issuer.jwks else {
            continue;
        };
        let bad = |fault: &dyn std::fmt::Display| {
            Error::new(format!(
                "cannot use the key set {}: {fault}",
                path.display()
            ))
            .help("it must be a JWK Set (RFC 7517, section 5): {\"keys\": [{\"kty\": …}]}")
        };
        let bytes = std::fs::read(path).map_err(|error| bad(&error))?;
        let set = KeySet::parse(&bytes).map_err(|fault| bad(&fault))?;
        // A file has no history: its keys may have signed every token of the log, and no other key did.
        issuers.learn(&issuer.issuer, set, Time::LATEST);
    }
    Ok(issuers)
}

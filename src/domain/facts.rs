//! The measurements of one use, and the closed list of their names.
//!
//! In: what detectors set. Out: [`Facts`], [`Fact`] with name, unit and help.
//! Does not know: how a fact is measured, or what value is suspicious.

use serde::{Deserialize, Serialize};

macro_rules! facts {
    ($($variant:ident $name:literal $kind:ident $help:literal;)*) => {
        /// One fact of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each is explained by `Fact::help`")]
        pub enum Fact { $($variant,)* }

        impl Fact {
            /// Every fact, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in rules and in output.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What kind of value it holds.
            pub fn kind(self) -> FactKind {
                match self { $(Self::$variant => FactKind::$kind,)* }
            }

            /// One sentence: what it measures.
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }
        }
    };
}

/// What kind of value a fact holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactKind {
    /// True, or absent.
    Flag,
    /// A number that is measured anew at each use.
    Number,
    /// A number that only grows inside its window: rules wake when it reaches a threshold one of them names.
    Counter,
}

facts! {
    TravelDistanceKm "travel.distance_km" Number "distance to the session's nearest use at another reference place, error radii subtracted";
    TravelElapsedS "travel.elapsed_s" Number "seconds between those two uses, at least 60";
    TravelSpeedKmh "travel.speed_kmh" Number "the speed that moving between them would take";
    DriftPlace "drift.place" Flag "the place differs from the session's binding by more than the error radii and 100 km";
    DriftCountry "drift.country" Flag "the country differs from the binding's";
    DriftNetwork "drift.network" Flag "the autonomous system differs from the binding's";
    DriftPrefix "drift.prefix" Flag "the /24 or /64 differs from the binding's, or the network where one is IPv4 and the other IPv6";
    DriftHosting "drift.hosting" Flag "the network is a hosting network and the binding's is not";
    DriftOutside "drift.outside" Flag "the session belongs to addresses that are not routed, and this use comes from the Internet";
    DriftClient "drift.client" Flag "browser family or operating system differs from the binding's";
    DriftDevice "drift.device" Flag "a browser or an app on a system that the binding's device cannot show, from another address of the same family";
    DriftClientDowngrade "drift.client_downgrade" Flag "same family and system, lower major version than the binding's";
    DriftTool "drift.tool" Flag "the binding is a browser or an app and this is a command line tool or a library";
    DriftJa4 "drift.ja4" Flag "the TLS fingerprint differs from the binding's at the same browser version";
    DriftLanguage "drift.language" Flag "the first language differs from the binding's";
    DriftDimensions "drift.dimensions" Number "how many independent dimensions differ: place or network, client, TLS, language";
    SessionSwitches10m "session.switches_10m" Number "times in 10 minutes that the session left a network and client and came back";
    SessionVpnSwitches10m "session.vpn_switches_10m" Number "times in 10 minutes that the session left or entered a VPN and came back";
    SessionOverlapS "session.overlap_s" Number "seconds during which requests of two networks ran at once, both having come back";
    SessionNetworks1h "session.networks_1h" Number "distinct autonomous systems in an hour";
    SessionClients1h "session.clients_1h" Number "distinct client families and systems in an hour";
    SessionCountries1h "session.countries_1h" Number "distinct countries in an hour";
    SessionIdleS "session.idle_s" Number "seconds since the session's last use";
    SessionAgeS "session.age_s" Number "seconds since the session's first use";
    SessionBoundLost "session.bound_lost" Flag "the session showed the key that its token is bound to, and this use does not";
    SessionWeakerAuth "session.weaker_auth" Flag "a new token of the session was issued for a password alone, an earlier one for more (amr, RFC 8176)";
    SessionUsualCompanion "session.usual_companion" Flag "new to the session, and a backend or a second line that several people's sessions have, or the next step of a build";
    SessionAnswers "session.answers" Flag "a server with another program and network that came late, and whose every use follows within two seconds on one of the person's, as that of a backend does";
    SessionRequests "session.requests" Counter "uses of the session so far";
    NovelPlace "novel.place" Flag "no session of this subject was ever within 100 km of here";
    NovelNetwork "novel.network" Flag "no session of this subject ever used this autonomous system";
    NovelClient "novel.client" Flag "no session of this subject ever used this client family and system";
    NovelAddress "novel.address" Flag "the subject is known elsewhere for a day, and not at this address (IPv6: /64)";
    RiskScore "risk.score" Number "how much likelier it is that somebody else is seen in this context than the subject is (Freeman et al., NDSS 2016)";
    PaceRegular "pace.regular" Number "how much the time between the first uses from a context new to its session varies, in means: none of a metronome's, one or more of a person's";
    PaceRateZ "pace.rate_z" Number "how many deviations faster the first ten uses came than at the start of the subject's sessions";
    VolumeBytesZ "volume.bytes_z" Number "how many deviations more they were answered with, in bytes";
    EndpointNovelty "endpoint.novelty" Number "how much rarer what the first uses ask for is than what the client's users do, per use, as a natural logarithm";
    SubjectKnownDays "subject.known_days" Number "days since the subject was first seen";
    SubjectKnownSessions "subject.known_sessions" Number "sessions of the subject so far";
    SourceNewSubjects10m "source.new_subjects_10m" Counter "subjects first seen from this /24 or /64 in 10 minutes, while known from elsewhere";
    SourceArrivals10m "source.arrivals_10m" Number "subjects whose sessions came to this /24 or /64 from another network in 10 minutes";
    SourceArrivalsOverUsual "source.arrivals_over_usual" Number "the same, in times the most who came so on the network's earlier days; absent on a log's first day";
    SourceResidents "source.residents" Number "about how many well-known subjects of the issuer have been at home in this /24 or /64 for a day or longer";
    SourceSubjects10m "source.subjects_10m" Counter "subjects seen from this /24 or /64 in 10 minutes";
    SourceRejected10m "source.rejected_10m" Counter "refused uses from this /24 or /64 in 10 minutes";
    SourceBadSignatures10m "source.bad_signatures_10m" Counter "forged tokens from this /24 or /64 in 10 minutes";
    SourceBadTokenSubjects10m "source.bad_token_subjects_10m" Counter "subjects named by forged or refused tokens from this /24 or /64 in 10 minutes";
    UseAccepted "use.accepted" Flag "the gateway answered as it does to a valid token, on a path that is not open to everybody";
    UseRefused "use.refused" Flag "the gateway answered 401 or 403";
    ProofForged "proof.forged" Flag "the signature fails, the algorithm is not allowed, or the key is not the issuer's";
    ProofAlgNone "proof.alg_none" Flag "the header says alg none, in any case (RFC 8725, section 2.1)";
    ProofKeyConfusion "proof.key_confusion" Flag "HS* where the issuer publishes only asymmetric keys (RFC 8725, section 2.1)";
    ProofHeaderInjection "proof.header_injection" Flag "a kid that is a path or a query, foreign key material, unknown crit (RFC 8725, section 3.10)";
    ProofClaimsAltered "proof.claims_altered" Flag "one (iss, jti) with two payloads, both accepted";
    ProofJtiTwoSubjects "proof.jti_two_subjects" Flag "one (iss, jti) with two subjects, both accepted";
    ProofAfterLogout "proof.after_logout" Flag "accepted more than 30 s after the session's logout, from another network or client";
    ProofUnknownIssuer "proof.unknown_issuer" Flag "issuers are configured and this one is not among them";
    ProofHoneytoken "proof.honeytoken" Flag "the token bears an id that was planted for thieves and that nobody else has a reason to present";
    ProofRefreshReuse "proof.refresh_reuse" Flag "the identity provider told that a spent refresh token came again (RFC 9700, section 4.14.2), more than 30 s later or from another network or client";
    RefreshElapsedS "refresh.elapsed_s" Number "seconds between the two times that a refresh token came";
    RefreshOtherDevice "refresh.other_device" Flag "the two times that a refresh token came were surely not one device's";
    ProofDpopMismatch "proof.dpop_mismatch" Flag "the DPoP proof is of another key, request or token than the one that the token is bound to, or came before (RFC 9449)";
    ProofDpopDowngrade "proof.dpop_downgrade" Flag "a token that is bound to a key (cnf.jkt) was accepted as Bearer, without a proof, where others come with one";
    ProofMtlsMismatch "proof.mtls_mismatch" Flag "the client's certificate is not the one that the token is bound to (RFC 8705)";
    ProofFingerprintMismatch "proof.fingerprint_mismatch" Flag "the cookie that the token is bound to (userFingerprint) is another";
    ProofFamilyFork "proof.family_fork" Flag "two tokens of one sid that live at the same time, issued more than 30 s apart, used from different networks and clients";
    MisuseType "misuse.type" Flag "the header's typ names a kind of token that is no access token (RFC 8725, section 3.11)";
    MisuseAudience "misuse.audience" Flag "none of the token's audiences is among those configured for its issuer (RFC 8725, section 3.9)";
    MisuseTenant "misuse.tenant" Flag "the host or path names another tenant than the token does, where requests name their own";
    MisuseScope10m "misuse.scope_10m" Number "distinct paths that were answered 403 to the session in 10 minutes";
    MisuseMachineInBrowser "misuse.machine_in_browser" Flag "a program's token (client credentials) in a browser";
    MisuseUserInTool "misuse.user_in_tool" Flag "a person's token in a command line tool or a library, where the client's tokens are used in browsers and apps";
    MisuseMachineOffNetwork "misuse.machine_off_network" Flag "a program's token from an autonomous system that the client's tokens were never used from";
    IssuanceWithoutLogin "issuance.without_login" Flag "the identity provider tells of nearly every login, and told of none for this session";
    IssuanceHosting "issuance.hosting" Flag "the login came from a hosting network where the subject is not known, and the token is used elsewhere";
    FaultKeySet "fault.key_set" Flag "accepted though its signature does not fit, as are tokens of three people who are where they always are: the keys at hand are not those the issuer signs with";
    FaultBindingIgnored "fault.binding_ignored" Flag "a bound token was accepted without its key where none is ever seen, or from the holder's own network and client";
    FaultExpiredAccepted "fault.expired_accepted" Flag "accepted more than 60 s after exp";
    FaultNotYetValidAccepted "fault.not_yet_valid" Flag "accepted more than 60 s before nbf";
    FaultIssuedInFuture "fault.issued_in_future" Flag "accepted more than 60 s before iat";
    FaultAfterLogout "fault.after_logout" Flag "accepted more than 30 s after logout, from the session's own network and client";
    FaultAfterRevocation "fault.after_revocation" Flag "accepted more than 30 s after we or the provider revoked it";
    TokenExpiredRetryElsewhere "token.expired_retry_elsewhere" Flag "expired, refused, and from a network or client new to the session";
    TokenRevokedRetry "token.revoked_retry" Flag "revoked, refused, and from a network or client that is not the victim's";
    TokenLifetimeS "token.lifetime_s" Number "exp minus iat";
    TokenLifetimeAnomaly "token.lifetime_anomaly" Number "how many times the longest usual lifetime of its client's tokens this new one has";
    TokenNoExp "token.no_exp" Flag "the token never expires";
    LeakUrl "leak.url" Flag "a token in the query or path of a request";
    LeakReferer "leak.referer" Flag "a token in a Referer, so that another page has it";
    LeakUsedAfter "leak.used_after" Flag "a token that stood in a URL, later from a network or client not seen before that";
    LeakUsedNearby "leak.used_nearby" Flag "a token that stood in a URL, within 15 minutes from another line of the holder's own provider, with the holder's program";
    LeakRawInLog "leak.raw_in_log" Flag "the log holds a whole token: who can read it can use it";
    SensitiveAfterDrift "sensitive.after_drift" Flag "password, mail, key or payment path within 30 minutes of a drift, from the drifted context";
}

/// How many facts there are.
const COUNT: usize = Fact::ALL.len();

/// The measurements of one use. Absent is unknown, and unknown is not different.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    values: [f64; COUNT],
    present: FactSet,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            values: [0.0; COUNT],
            present: FactSet::default(),
        }
    }
}

impl Facts {
    /// Records a number. What is not finite is not recorded: it would compare as nothing.
    pub fn set(&mut self, fact: Fact, value: f64) {
        if value.is_finite() {
            self.values[fact as usize] = value;
            self.present.insert(fact);
        }
    }

    /// Records a flag; false leaves it absent.
    pub fn flag(&mut self, fact: Fact, is: bool) {
        if is {
            self.set(fact, 1.0);
        }
    }

    /// The value, if it was measured.
    pub fn get(&self, fact: Fact) -> Option<f64> {
        self.present
            .contains(fact)
            .then(|| self.values[fact as usize])
    }

    /// True when the flag was set.
    pub fn is(&self, fact: Fact) -> bool {
        self.present.contains(fact)
    }

    /// Which facts are there.
    pub fn present(&self) -> FactSet {
        self.present
    }

    /// What is there, in the order of the catalogue.
    pub fn iter(&self) -> impl Iterator<Item = (Fact, f64)> + '_ {
        Fact::ALL
            .iter()
            .filter_map(|&fact| self.get(fact).map(|value| (fact, value)))
    }

    /// Forgets everything, to measure the next use.
    pub fn clear(&mut self) {
        self.present = FactSet::default();
    }
}

/// A set of facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactSet(u128);

const _: () = assert!(COUNT <= 128, "FactSet holds 128 facts");

impl FactSet {
    /// Adds a fact.
    pub fn insert(&mut self, fact: Fact) {
        self.0 |= 1 << fact as u8;
    }

    /// True when the fact is in the set.
    pub fn contains(self, fact: Fact) -> bool {
        self.0 & (1 << fact as u8) != 0
    }

    /// True when the sets share a fact.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// All that is in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True when nothing is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many facts are in the set.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_absent_until_measured_and_never_not_a_number() {
        let mut facts = Facts::default();
        facts.set(Fact::TravelSpeedKmh, f64::NAN);
        facts.flag(Fact::DriftTool, false);
        assert!(facts.present().is_empty());
        facts.set(Fact::TravelSpeedKmh, 4200.0);
        assert_eq!(
            facts.iter().collect::<Vec<_>>(),
            [(Fact::TravelSpeedKmh, 4200.0)]
        );
        facts.clear();
        assert_eq!(facts.get(Fact::TravelSpeedKmh), None);
    }

    #[test]
    fn every_name_stands_once_and_has_help() {
        let mut names: Vec<_> = Fact::ALL.iter().map(|fact| fact.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Fact::ALL.len());
        assert!(Fact::ALL.iter().all(|fact| fact.help().len() > 10));
    }
}

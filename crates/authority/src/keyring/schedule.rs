//! When keys come and go. Nothing here does anything: it says what is due.

use std::time::{Duration, SystemTime};

use portpass_jose::{Algorithm, KeyId};
pub use portpass_state::KeyPhase as Phase;

/// How long keys are announced, used and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What new keys sign by.
    pub algorithm: Algorithm,
    /// How long a key signs.
    pub sign_for: Duration,
    /// How long a key is published before it signs: at least as long as any verifier keeps a JWK set.
    pub announce_for: Duration,
    /// How long a token lives.
    pub token_lifetime: Duration,
    /// By how much verifiers forgive a token's end.
    pub leeway: Duration,
}

/// A signing key, as far as the schedule cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub id: KeyId,
    /// What it signs by.
    pub algorithm: Algorithm,
    /// Where in its life it is.
    pub phase: Phase,
    /// When its certificate ends, and with it every token that carries that certificate.
    pub certified_until: SystemTime,
}

/// A change of the ring whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Make a key and publish it.
    Announce {
        /// When it is to sign.
        signs_from: SystemTime,
    },
    /// Sign with this key from now on, and retire the one that did.
    Promote {
        /// Which one.
        id: KeyId,
    },
    /// Take this key out of the ring: every token that it signed has ended.
    Forget {
        /// Which one.
        id: KeyId,
    },
}

impl Schedule {
    /// Keys sign for ninety days and are announced a week ahead, so that who keeps a bundle of leaves
    /// has time to distribute it.
    pub fn new(algorithm: Algorithm, token_lifetime: Duration) -> Self {
        Self {
            algorithm,
            sign_for: 90 * DAY,
            announce_for: 7 * DAY,
            token_lifetime,
            leeway: portpass_token::verifier::LEEWAY,
        }
    }

    /// What is due, in the order in which it is to be done. Doing it makes nothing else due, except
    /// that a key announced for `now` is to be promoted.
    pub fn due(&self, keys: &[Key], now: SystemTime) -> Vec<Due> {
        let mut due = Vec::new();
        match (signing(keys), announced(keys)) {
            (None, None) => due.push(Due::Announce { signs_from: now }),
            (Some(signing), None) => {
                due.extend(
                    self.successor(signing, now).map(|signs_from| Due::Announce { signs_from }),
                );
            }
            (signing, Some(announced)) => {
                if self.takes_over(signing, announced, now) {
                    due.push(Due::Promote { id: announced.id.clone() });
                }
            }
        }
        let forgotten =
            keys.iter().filter(|key| matches!(key.phase, Phase::Retired { until } if until < now));
        due.extend(forgotten.map(|key| Due::Forget { id: key.id.clone() }));
        due
    }

    /// Until when a key that is retired now may still be needed. The leeway counts twice: another
    /// process may sign with the key for a moment before it sees the change.
    pub fn needed_until(&self, now: SystemTime) -> SystemTime {
        now + self.token_lifetime + 2 * self.leeway
    }

    /// Until when the certificate of a key must hold that signs from `signs_from` on: X.509 knows no
    /// leeway, and nobody may look at the ring for a while.
    pub fn certify_until(&self, signs_from: SystemTime) -> SystemTime {
        self.needed_until(signs_from + self.sign_for + self.announce_for) + SLACK
    }

    /// When the successor of the signing key is to sign, if it is time to announce one.
    fn successor(&self, signing: &Key, now: SystemTime) -> Option<SystemTime> {
        let Phase::Signing { since } = signing.phase else { return None };
        let end = since + self.sign_for;
        if self.runs_out(signing, now) {
            Some(now)
        } else if now + self.announce_for >= end || signing.algorithm != self.algorithm {
            Some(now + self.announce_for)
        } else {
            None
        }
    }

    fn takes_over(&self, signing: Option<&Key>, announced: &Key, now: SystemTime) -> bool {
        let Phase::Announced { signs_from } = announced.phase else { return false };
        signs_from <= now || signing.is_none_or(|signing| self.runs_out(signing, now))
    }

    /// Whether a token signed now would outlive the certificate.
    fn runs_out(&self, signing: &Key, now: SystemTime) -> bool {
        signing.certified_until < now + self.token_lifetime + self.leeway
    }
}

fn signing(keys: &[Key]) -> Option<&Key> {
    keys.iter().find(|key| matches!(key.phase, Phase::Signing { .. }))
}

pub(super) fn announced(keys: &[Key]) -> Option<&Key> {
    keys.iter().find(|key| matches!(key.phase, Phase::Announced { .. }))
}

const DAY: Duration = Duration::from_hours(24);
/// How long nobody may look at the ring without a token being refused.
const SLACK: Duration = Duration::from_hours(30 * 24);

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_800_000_000;

    /// Days since the start.
    fn day(days: f64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(START) + DAY.mul_f64(days)
    }

    fn schedule() -> Schedule {
        Schedule {
            algorithm: Algorithm::Es256,
            sign_for: 90 * DAY,
            announce_for: 7 * DAY,
            token_lifetime: Duration::from_mins(5),
            leeway: Duration::from_mins(1),
        }
    }

    fn key(id: &str, phase: Phase) -> Key {
        Key { id: id.into(), algorithm: Algorithm::Es256, phase, certified_until: day(200.0) }
    }

    fn signing(days: f64) -> Key {
        key("signing", Phase::Signing { since: day(days) })
    }

    fn announced(days: f64) -> Key {
        key("announced", Phase::Announced { signs_from: day(days) })
    }

    fn retired(days: f64) -> Key {
        key("retired", Phase::Retired { until: day(days) })
    }

    fn announce(days: f64) -> Due {
        Due::Announce { signs_from: day(days) }
    }

    fn promote() -> Due {
        Due::Promote { id: "announced".into() }
    }

    fn forget() -> Due {
        Due::Forget { id: "retired".into() }
    }

    #[test]
    fn what_is_due_when() {
        let other = |mut key: Key| {
            key.algorithm = Algorithm::EdDsa;
            key
        };
        let certified = |days: f64, mut key: Key| {
            key.certified_until = day(days);
            key
        };
        let table: Vec<(&str, Vec<Key>, f64, Vec<Due>)> = vec![
            ("a new ring", vec![], 0.0, vec![announce(0.0)]),
            ("an ordinary day", vec![signing(0.0)], 50.0, vec![]),
            ("a moment too early", vec![signing(0.0)], 82.999, vec![]),
            ("time to announce", vec![signing(0.0)], 83.0, vec![announce(90.0)]),
            ("too late to announce in time", vec![signing(0.0)], 100.0, vec![announce(107.0)]),
            ("announced", vec![signing(0.0), announced(90.0)], 85.0, vec![]),
            ("time to promote", vec![signing(0.0), announced(90.0)], 90.0, vec![promote()]),
            ("late to promote", vec![signing(0.0), announced(90.0)], 120.0, vec![promote()]),
            ("nobody signs", vec![announced(90.0)], 85.0, vec![promote()]),
            ("retired", vec![signing(0.0), retired(1.0)], 1.0, vec![]),
            ("time to forget", vec![signing(0.0), retired(1.0)], 1.001, vec![forget()]),
            (
                "all at once",
                vec![retired(1.0), signing(0.0), announced(90.0)],
                90.0,
                vec![promote(), forget()],
            ),
            ("another algorithm", vec![other(signing(0.0))], 10.0, vec![announce(17.0)]),
            ("on its way", vec![other(signing(0.0)), announced(17.0)], 12.0, vec![]),
            ("a clock that went back", vec![signing(10.0)], 0.0, vec![]),
            ("the certificate holds", vec![certified(10.01, signing(0.0))], 10.0, vec![]),
            ("it does not", vec![certified(10.001, signing(0.0))], 10.0, vec![announce(10.0)]),
            (
                "nor until the successor is due",
                vec![certified(10.001, signing(0.0)), announced(17.0)],
                10.0,
                vec![promote()],
            ),
        ];
        for (what, keys, now, due) in table {
            assert_eq!(schedule().due(&keys, day(now)), due, "{what}");
        }
    }

    /// Every token ends, leeway included, before its key is forgotten and its certificate ends,
    /// however the ring was looked at.
    #[test]
    fn over_years_no_token_outlives_its_key() {
        let schedule = schedule();
        for step in [0.01, 0.5, 3.0, 25.0] {
            let mut keys: Vec<Key> = Vec::new();
            let mut made = 0;
            let mut time = 0.0;
            while time < 1000.0 {
                let now = day(time);
                loop {
                    let due = schedule.due(&keys, now);
                    if due.is_empty() {
                        break;
                    }
                    for due in due {
                        carry_out(&schedule, &mut keys, due, now, &mut made);
                    }
                }
                let signing: Vec<_> =
                    keys.iter().filter(|key| matches!(key.phase, Phase::Signing { .. })).collect();
                assert_eq!(signing.len(), 1, "day {time}, step {step}");
                let ends = now + schedule.token_lifetime + schedule.leeway;
                assert!(signing[0].certified_until >= ends, "day {time}, step {step}");
                time += step;
            }
            assert!((9..=14).contains(&made), "{made} keys at step {step}");
        }
    }

    fn carry_out(
        schedule: &Schedule,
        keys: &mut Vec<Key>,
        due: Due,
        now: SystemTime,
        made: &mut i32,
    ) {
        match due {
            Due::Announce { signs_from } => {
                *made += 1;
                keys.push(Key {
                    id: format!("key {made}").into(),
                    algorithm: schedule.algorithm,
                    phase: Phase::Announced { signs_from },
                    certified_until: schedule.certify_until(signs_from),
                });
            }
            Due::Promote { id } => {
                for key in keys.iter_mut() {
                    if matches!(key.phase, Phase::Signing { .. }) {
                        key.phase = Phase::Retired { until: schedule.needed_until(now) };
                    } else if key.id == id {
                        key.phase = Phase::Signing { since: now };
                    }
                }
            }
            Due::Forget { id } => keys.retain(|key| key.id != id),
        }
    }
}

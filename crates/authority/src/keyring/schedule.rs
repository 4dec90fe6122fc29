//! When keys come and go. Nothing here does anything: it says what is due.

use std::time::{Duration, SystemTime};

use portpass_jose::{Algorithm, KeyId};
pub use portpass_state::KeyPhase as Phase;

/// How long the keys of one algorithm are announced, used and kept.
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
    /// When its certificate begins: no registry takes a token that carries it before.
    pub certified_from: SystemTime,
    /// When its certificate ends, and with it every token that carries that certificate.
    pub certified_until: SystemTime,
}

/// A change of the ring whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotationStep {
    /// Make a key and publish it.
    Announce {
        /// What it is to sign by.
        algorithm: Algorithm,
        /// When it is to sign.
        signs_from: SystemTime,
    },
    /// Sign with this key from now on, and retire the one that it [replaces](super::Schedules::replaces).
    Promote {
        /// Which one.
        id: KeyId,
    },
    /// Take this key out of the ring: every token that it signed has ended, or it never signed.
    Forget {
        /// Which one.
        id: KeyId,
    },
    /// Sign no more with this key: no service uses its algorithm.
    Retire {
        /// Which one.
        id: KeyId,
    },
    /// Keep this retired key no longer than one that is retired now: the clock was ahead when it was.
    Shorten {
        /// Which one.
        id: KeyId,
    },
}

impl Key {
    pub(super) fn signs(&self) -> bool {
        matches!(self.phase, Phase::Signing { .. })
    }
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
    ///
    /// Clocks are set, forwards and back, and the ring outlives that: whatever it went through, the key
    /// that signs is one whose certificate holds.
    pub fn due(&self, keys: &[Key], now: SystemTime) -> Vec<RotationStep> {
        let mut due = match (signing(keys), announced(keys)) {
            (signing, Some(announced)) if self.takes_over(signing, announced, now) => {
                self.replacement(keys, now)
            }
            (None, None) => vec![self.announce(now)],
            (Some(signing), None) => {
                let signs_from = self.successor(signing, now);
                signs_from.map(|signs_from| self.announce(signs_from)).into_iter().collect()
            }
            (_, Some(_)) => Vec::new(),
        };
        due.extend(keys.iter().filter_map(|key| self.after_retirement(key, now)));
        due
    }

    /// What brings another key at once: the one that is announced, or, where there is none whose
    /// certificate holds, a new one.
    pub fn replacement(&self, keys: &[Key], now: SystemTime) -> Vec<RotationStep> {
        let anew = self.announce(now);
        match announced(keys) {
            Some(announced) if self.can_sign(announced, now) => {
                vec![RotationStep::Promote { id: announced.id.clone() }]
            }
            Some(announced) => vec![RotationStep::Forget { id: announced.id.clone() }, anew],
            None => vec![anew],
        }
    }

    fn announce(&self, signs_from: SystemTime) -> RotationStep {
        RotationStep::Announce { algorithm: self.algorithm, signs_from }
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
        if !self.can_sign(signing, now) {
            Some(now)
        } else if now + self.announce_for >= end || signing.algorithm != self.algorithm {
            Some(now + self.announce_for)
        } else {
            None
        }
    }

    fn takes_over(&self, signing: Option<&Key>, announced: &Key, now: SystemTime) -> bool {
        let Phase::Announced { signs_from } = announced.phase else { return false };
        signs_from <= now || signing.is_none_or(|signing| !self.can_sign(signing, now))
    }

    /// Whether the certificate holds now, and for as long as a token that is signed now.
    fn can_sign(&self, key: &Key, now: SystemTime) -> bool {
        let last = now + self.token_lifetime + self.leeway;
        key.certified_from <= now && last <= key.certified_until
    }

    /// What becomes of a key whose algorithm nobody uses.
    pub(super) fn unused(&self, key: &Key, now: SystemTime) -> Option<RotationStep> {
        let id = || key.id.clone();
        match key.phase {
            Phase::Announced { signs_from } => {
                (signs_from <= now).then(|| RotationStep::Forget { id: id() })
            }
            Phase::Signing { since } => {
                (since + self.sign_for <= now).then(|| RotationStep::Retire { id: id() })
            }
            Phase::Retired { .. } => self.after_retirement(key, now),
        }
    }

    fn after_retirement(&self, key: &Key, now: SystemTime) -> Option<RotationStep> {
        let Phase::Retired { until } = key.phase else { return None };
        let id = || key.id.clone();
        if until < now {
            Some(RotationStep::Forget { id: id() })
        } else if until > self.needed_until(now) + CLOCKS_APART {
            Some(RotationStep::Shorten { id: id() })
        } else {
            None
        }
    }
}

pub(super) fn signing(keys: &[Key]) -> Option<&Key> {
    keys.iter().find(|key| key.signs())
}

fn announced(keys: &[Key]) -> Option<&Key> {
    keys.iter().find(|key| matches!(key.phase, Phase::Announced { .. }))
}

const DAY: Duration = Duration::from_hours(24);
/// By how much the clocks of two processes on one database may differ before they correct each other.
const CLOCKS_APART: Duration = DAY;
/// How long nobody may look at the ring without a token being refused.
const SLACK: Duration = Duration::from_hours(30 * 24);

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const START: u64 = 1_800_000_000;

    /// Days since the start.
    fn day(days: f64) -> SystemTime {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(START);
        let away = DAY.mul_f64(days.abs());
        if days < 0.0 { start - away } else { start + away }
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
        Key {
            id: id.into(),
            algorithm: Algorithm::Es256,
            phase,
            certified_from: day(-1.0),
            certified_until: day(200.0),
        }
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

    fn announce(days: f64) -> RotationStep {
        RotationStep::Announce { algorithm: Algorithm::Es256, signs_from: day(days) }
    }

    fn promote() -> RotationStep {
        RotationStep::Promote { id: "announced".into() }
    }

    fn forget() -> RotationStep {
        RotationStep::Forget { id: "retired".into() }
    }

    fn forget_announced() -> RotationStep {
        RotationStep::Forget { id: "announced".into() }
    }

    fn shorten() -> RotationStep {
        RotationStep::Shorten { id: "retired".into() }
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
        let from = |days: f64, mut key: Key| {
            key.certified_from = day(days);
            key
        };
        let table: Vec<(&str, Vec<Key>, f64, Vec<RotationStep>)> = vec![
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
            ("a clock that was ahead", vec![from(9.0, signing(10.0))], 8.9, vec![announce(8.9)]),
            (
                "and announced what holds",
                vec![from(9.0, signing(10.0)), announced(15.0)],
                8.9,
                vec![promote()],
            ),
            (
                "and announced what does not",
                vec![from(9.0, signing(10.0)), from(9.0, announced(15.0))],
                8.9,
                vec![forget_announced(), announce(8.9)],
            ),
            ("not used yet", vec![signing(0.0), from(9.0, announced(15.0))], 8.9, vec![]),
            ("a day behind", vec![signing(0.0), retired(1.0)], 0.0, vec![]),
            ("years behind", vec![signing(0.0), retired(3000.0)], 0.0, vec![shorten()]),
        ];
        for (what, keys, now, due) in table {
            assert_eq!(schedule().due(&keys, day(now)), due, "{what}");
        }
    }

    /// Every token ends, leeway included, before its key is forgotten and its certificate ends,
    /// however the ring was looked at.
    #[test]
    fn over_years_no_token_outlives_its_key() {
        for step in [0.01, 0.5, 3.0, 25.0] {
            let mut ring = Simulated::default();
            let mut time = 0.0;
            while time < 1000.0 {
                ring.look(day(time), &format!("day {time}, step {step}"));
                time += step;
            }
            let made = ring.made;
            assert!((9..=14).contains(&made), "{made} keys at step {step}");
        }
    }

    proptest! {
        /// A virtual machine that wakes up, a first start before the time was fetched, a slip: the clock
        /// is set forwards and back, by minutes and by years, and the key that signs always holds.
        #[test]
        fn whatever_the_clock_was_set_to_the_key_that_signs_holds(steps in vec(step(), 1..40)) {
            let mut ring = Simulated::default();
            let mut clock = 0.0;
            for (number, step) in steps.into_iter().enumerate() {
                clock = match step {
                    Step::By(days) => clock + days,
                    Step::To(days) => days,
                };
                ring.look(day(clock), &format!("step {number}, day {clock}"));
            }
            // The time is right again, and stays so: nothing of what was is left for years.
            ring.look(day(0.0), "right");
            ring.look(day(1.1), "and a day later");
            prop_assert!(ring.keys.len() <= 2, "{:?}", ring.keys);
        }
    }

    /// What a clock does, in days.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        By(f64),
        To(f64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0.001..2.0).prop_map(Step::By),
            (-100.0..100.0).prop_map(Step::By),
            (-5000.0..5000.0).prop_map(Step::To),
        ]
    }

    #[derive(Default)]
    struct Simulated {
        keys: Vec<Key>,
        made: i32,
    }

    impl Simulated {
        /// Does what is due; then one key signs, and its certificate holds as long as its tokens.
        fn look(&mut self, now: SystemTime, when: &str) {
            let schedule = schedule();
            for round in 0.. {
                assert!(round < 4, "{when}: always something else is due");
                let due = schedule.due(&self.keys, now);
                if due.is_empty() {
                    break;
                }
                for due in due {
                    carry_out(&schedule, &mut self.keys, due, now, &mut self.made);
                }
            }
            let signing: Vec<_> =
                self.keys.iter().filter(|key| matches!(key.phase, Phase::Signing { .. })).collect();
            assert_eq!(signing.len(), 1, "{when}");
            let ends = now + schedule.token_lifetime + schedule.leeway;
            assert!(signing[0].certified_until >= ends, "{when}");
            assert!(signing[0].certified_from <= now, "{when}");
        }
    }

    fn carry_out(
        schedule: &Schedule,
        keys: &mut Vec<Key>,
        due: RotationStep,
        now: SystemTime,
        made: &mut i32,
    ) {
        match due {
            RotationStep::Announce { algorithm, signs_from } => {
                *made += 1;
                keys.push(Key {
                    id: format!("key {made}").into(),
                    algorithm,
                    phase: Phase::Announced { signs_from },
                    certified_from: now - DAY,
                    certified_until: schedule.certify_until(signs_from),
                });
            }
            RotationStep::Promote { id } => {
                for key in keys.iter_mut() {
                    if matches!(key.phase, Phase::Signing { .. }) {
                        key.phase = Phase::Retired { until: schedule.needed_until(now) };
                    } else if key.id == id {
                        key.phase = Phase::Signing { since: now };
                    }
                }
            }
            RotationStep::Retire { .. } => unreachable!("each algorithm is in use"),
            RotationStep::Forget { id } => keys.retain(|key| key.id != id),
            RotationStep::Shorten { id } => {
                let key = keys.iter_mut().find(|key| key.id == id).unwrap();
                key.phase = Phase::Retired { until: schedule.needed_until(now) };
            }
        }
    }
}

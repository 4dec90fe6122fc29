//! The schedules of all algorithms together.

use std::time::{Duration, SystemTime};

use portpass_jose::Algorithm;

use super::schedule::{Key, RotationStep, Schedule, signing};
use crate::signer::Signer;

/// A schedule for each algorithm that signs. The keys of each come and go on their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedules {
    default: Schedule,
    others: Vec<Schedule>,
}

impl Schedules {
    /// Of the default algorithm, and of the others that services name, in the order of their [`Signer`]s.
    pub fn new(
        default: Algorithm,
        others: impl IntoIterator<Item = Algorithm>,
        token_lifetime: Duration,
    ) -> Self {
        let schedule = |algorithm| Schedule::new(algorithm, token_lifetime);
        let others = others.into_iter().map(schedule).collect();
        Self { default: schedule(default), others }
    }

    /// What services sign by, the default first.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.all().map(|schedule| schedule.algorithm)
    }

    /// The key that signs for a signer.
    pub fn signing<'a>(&self, signer: Signer, keys: &'a [Key]) -> Option<&'a Key> {
        let algorithm = self.algorithms().nth(signer.number())?;
        let own = keys.iter().find(|key| key.signs() && key.algorithm == algorithm);
        let is_default = signer == Signer::default();
        own.or_else(|| self.predecessor(keys).filter(|_| is_default))
    }

    /// What is due, as [`Schedule::due`] says for the keys of each algorithm.
    ///
    /// Keys that no service uses any more go when their time is over, and not before: another process on the
    /// same database may have another configuration for a while, and would make them again at once.
    pub fn due(&self, keys: &[Key], now: SystemTime) -> Vec<RotationStep> {
        let mut due: Vec<_> =
            self.all().flat_map(|schedule| schedule.due(&self.own(schedule, keys), now)).collect();
        let predecessor = self.predecessor(keys);
        let is_unused = |key: &&Key| !self.uses(key.algorithm) && Some(*key) != predecessor;
        let unused = keys.iter().filter(is_unused);
        due.extend(unused.filter_map(|key| self.default.unused(key, now)));
        due
    }

    /// What brings another key at once, of one algorithm or of each.
    pub fn replacement(
        &self,
        only: Option<Algorithm>,
        keys: &[Key],
        now: SystemTime,
    ) -> Vec<RotationStep> {
        let wanted = |schedule: &&Schedule| only.is_none_or(|only| only == schedule.algorithm);
        let steps = |schedule: &Schedule| schedule.replacement(&self.own(schedule, keys), now);
        self.all().filter(wanted).flat_map(steps).collect()
    }

    /// Whether a service signs by it.
    pub fn uses(&self, algorithm: Algorithm) -> bool {
        self.algorithms().any(|used| used == algorithm)
    }

    /// Whether a key of the one algorithm signs no more when one of the other begins to. The default takes over
    /// from what was the default before.
    pub fn replaces(&self, old: Algorithm, new: Algorithm) -> bool {
        old == new || (new == self.default.algorithm && !self.uses(old))
    }

    /// See [`Schedule::needed_until`].
    pub fn needed_until(&self, now: SystemTime) -> SystemTime {
        self.default.needed_until(now)
    }

    /// See [`Schedule::certify_until`].
    pub fn certify_until(&self, signs_from: SystemTime) -> SystemTime {
        self.default.certify_until(signs_from)
    }

    /// The keys that a schedule sees.
    fn own(&self, schedule: &Schedule, keys: &[Key]) -> Vec<Key> {
        let own = keys.iter().filter(|key| key.algorithm == schedule.algorithm);
        let predecessor = self.predecessor(keys).filter(|_| *schedule == self.default);
        own.chain(predecessor).cloned().collect()
    }

    /// The key that signs in place of the default algorithm's, until one of those was announced for long enough.
    fn predecessor<'a>(&self, keys: &'a [Key]) -> Option<&'a Key> {
        let is_default = |key: &Key| key.signs() && key.algorithm == self.default.algorithm;
        if keys.iter().any(is_default) { None } else { signing(keys) }
    }

    fn all(&self) -> impl Iterator<Item = &Schedule> {
        std::iter::once(&self.default).chain(&self.others)
    }
}

#[cfg(test)]
mod tests {
    use portpass_state::KeyPhase as Phase;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn day(days: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000 + 24 * days)
    }

    fn key(id: &str, algorithm: Algorithm, phase: Phase) -> Key {
        Key {
            id: id.into(),
            algorithm,
            phase,
            certified_from: day(0) - DAY,
            certified_until: day(200),
        }
    }

    fn signing(algorithm: Algorithm, since: u64) -> Key {
        key("signing", algorithm, Phase::Signing { since: day(since) })
    }

    fn announced(algorithm: Algorithm, from: u64) -> Key {
        key("announced", algorithm, Phase::Announced { signs_from: day(from) })
    }

    fn announce(algorithm: Algorithm, from: u64) -> RotationStep {
        RotationStep::Announce { algorithm, signs_from: day(from) }
    }

    /// ES256 by default, and RS256 for a service.
    #[test]
    fn what_is_due_when() {
        use Algorithm::{EdDsa, Es256, Rs256};
        let schedules = Schedules::new(Es256, [Rs256], Duration::from_mins(5));
        let id = |id: &str| -> portpass_jose::KeyId { id.into() };
        let table: Vec<(&str, Vec<Key>, u64, Vec<RotationStep>)> = vec![
            ("a new ring", vec![], 0, vec![announce(Es256, 0), announce(Rs256, 0)]),
            ("an ordinary day", vec![signing(Es256, 0), signing(Rs256, 0)], 50, vec![]),
            ("a service names another", vec![signing(Es256, 0)], 5, vec![announce(Rs256, 5)]),
            (
                "each has its own time",
                vec![signing(Es256, 0), signing(Rs256, 20)],
                83,
                vec![announce(Es256, 90)],
            ),
            (
                "and its own successor",
                vec![signing(Es256, 0), announced(Es256, 90), signing(Rs256, 0)],
                84,
                vec![announce(Rs256, 91)],
            ),
            (
                "the default changes, and the old one signs until the new one is known",
                vec![signing(EdDsa, 0), signing(Rs256, 0)],
                5,
                vec![announce(Es256, 12)],
            ),
            (
                "it is known",
                vec![signing(EdDsa, 0), signing(Rs256, 0), announced(Es256, 12)],
                12,
                vec![RotationStep::Promote { id: id("announced") }],
            ),
            (
                "the default becomes what only a service used, whose keys stay",
                vec![signing(Rs256, 0)],
                5,
                vec![announce(Es256, 12)],
            ),
            (
                "nobody uses it any more",
                vec![signing(Es256, 50), signing(Rs256, 50), signing(EdDsa, 0)],
                89,
                vec![],
            ),
            (
                "nobody uses it any more, and its time is over",
                vec![signing(Es256, 50), signing(Rs256, 50), signing(EdDsa, 0)],
                90,
                vec![RotationStep::Retire { id: id("signing") }],
            ),
            (
                "nobody will ever use it",
                vec![signing(Es256, 0), signing(Rs256, 0), announced(EdDsa, 12)],
                12,
                vec![RotationStep::Forget { id: id("announced") }],
            ),
        ];
        for (what, keys, now, due) in table {
            assert_eq!(schedules.due(&keys, day(now)), due, "{what}");
        }
        assert!(schedules.replaces(EdDsa, Es256) && !schedules.replaces(EdDsa, Rs256));
        assert!(!schedules.replaces(Rs256, Es256) && schedules.replaces(Rs256, Rs256));
    }

    #[test]
    fn a_rotation_that_is_asked_for_is_of_one_algorithm_or_of_all() {
        use Algorithm::{Es256, Rs256};
        let schedules = Schedules::new(Es256, [Rs256], Duration::from_mins(5));
        let keys = [signing(Es256, 0), signing(Rs256, 0)];
        let of = |only| schedules.replacement(only, &keys, day(1));
        assert_eq!(of(None), [announce(Es256, 1), announce(Rs256, 1)]);
        assert_eq!(of(Some(Rs256)), [announce(Rs256, 1)]);
    }
}

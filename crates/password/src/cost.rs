//! What a check costs, and what brings a refusal to the highest cost there is.
//!
//! Costs of different algorithms cannot be compared without a clock, and a clock's answer depends
//! on the machine and its load. So nothing is compared: a refusal does, of every algorithm that any
//! source uses, exactly as much as that algorithm's costliest entry. With entries of bcrypt 5 and
//! bcrypt 10, whoever was compared with the first also pays for the 2¹⁰ − 2⁵ rounds that are missing: rounds
//! alone, for another hash would be begun and ended once more, which a clock sees.

use std::ops::AddAssign;

use sha_crypt::Params;

/// The most memory that one check may take, in KiB.
pub const MAX_ARGON2_MEMORY: u32 = 128 * 1024;

/// The most memory times passes of one check, in KiB: some 0.4 s on one core.
pub const MAX_ARGON2_WORK: u32 = 1024 * 1024;

/// The cost of one hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// A thousand rounds of MD5.
    Apr1,
    /// argon2id with these parameters.
    Argon2id(Argon2Params),
    /// bcrypt with 2ⁿ rounds.
    Bcrypt(u8),
    /// So many rounds of bcrypt, without what begins and ends a hash: no hash costs that, it is what is missing
    /// after a cheaper one.
    BcryptRounds(u32),
    /// Too little to be seen.
    Nothing,
    /// So many rounds of SHA-256.
    Sha256Crypt(u32),
    /// So many rounds of SHA-512.
    Sha512Crypt(u32),
}

/// The parameters of argon2id, checked: hashing with them cannot fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Params {
    memory: u32,
    passes: u32,
    lanes: u32,
}

impl Argon2Params {
    /// What new passwords are hashed with: 19 MiB, two passes, one lane (OWASP's and RFC 9106's
    /// second choice scaled down; some 15 ms).
    pub const DEFAULT: Self = Self { memory: 19_456, passes: 2, lanes: 1 };

    /// `memory` in KiB.
    pub(crate) fn new(memory: u32, passes: u32, lanes: u32) -> Result<Self, &'static str> {
        if !(1..=MAX_LANES).contains(&lanes) {
            return Err("p is not between 1 and 64");
        }
        if passes == 0 {
            return Err("t is zero");
        }
        if memory < 8 * lanes {
            return Err("m is less than eight times p");
        }
        Ok(Self { memory, passes, lanes })
    }

    /// In KiB.
    pub fn memory(self) -> u32 {
        self.memory
    }

    /// How often the memory is filled.
    pub fn passes(self) -> u32 {
        self.passes
    }

    /// In how many parts, one after the other.
    pub fn lanes(self) -> u32 {
        self.lanes
    }

    /// Memory times passes, in KiB: what the time grows with.
    pub fn total(self) -> u64 {
        u64::from(self.memory) * u64::from(self.passes)
    }

    /// Whether it takes less memory or less time than new passwords do.
    pub(crate) fn is_below_default(self) -> bool {
        self.memory < Self::DEFAULT.memory || self.total() < Self::DEFAULT.total()
    }

    /// What `spent` falls short of this, filled in the same memory as far as it goes.
    fn minus(self, spent: u64) -> Option<Self> {
        let missing = self.total().saturating_sub(spent);
        let passes = missing.div_ceil(u64::from(self.memory)).max(1);
        let memory = u32::try_from(missing / passes).unwrap_or(MAX_ARGON2_MEMORY);
        Self::new(memory, u32::try_from(passes).unwrap_or(1), 1).ok()
    }
}

/// The costliest hash of each algorithm among some entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HighestCost {
    apr1: bool,
    argon2id: Option<Argon2Params>,
    bcrypt: Option<u8>,
    sha256_crypt: Option<u32>,
    sha512_crypt: Option<u32>,
}

impl HighestCost {
    /// Of both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let argon2id = match (self.argon2id, other.argon2id) {
            (Some(a), Some(b)) => Some(if a.total() >= b.total() { a } else { b }),
            (a, b) => a.or(b),
        };
        Self {
            apr1: self.apr1 | other.apr1,
            argon2id,
            bcrypt: self.bcrypt.max(other.bcrypt),
            sha256_crypt: self.sha256_crypt.max(other.sha256_crypt),
            sha512_crypt: self.sha512_crypt.max(other.sha512_crypt),
        }
    }

    /// What is still to be done after `spent` for the whole to be this.
    pub fn missing(&self, spent: Cost) -> Vec<Cost> {
        let mut missing = Vec::new();
        if self.apr1 && spent != Cost::Apr1 {
            missing.push(Cost::Apr1);
        }
        if let Some(highest) = self.argon2id {
            let rest = match spent {
                Cost::Argon2id(spent) => highest.minus(spent.total()),
                _ => Some(highest),
            };
            missing.extend(rest.map(Cost::Argon2id));
        }
        if let Some(highest) = self.bcrypt {
            match spent {
                Cost::Bcrypt(spent) => {
                    let rounds = (1_u32 << highest).saturating_sub(1 << spent);
                    missing.extend((rounds > 0).then_some(Cost::BcryptRounds(rounds)));
                }
                _ => missing.push(Cost::Bcrypt(highest)),
            }
        }
        if let Some(highest) = self.sha256_crypt {
            let spent = if let Cost::Sha256Crypt(rounds) = spent { rounds } else { 0 };
            missing.extend(rounds_missing(highest, spent).map(Cost::Sha256Crypt));
        }
        if let Some(highest) = self.sha512_crypt {
            let spent = if let Cost::Sha512Crypt(rounds) = spent { rounds } else { 0 };
            missing.extend(rounds_missing(highest, spent).map(Cost::Sha512Crypt));
        }
        missing
    }
}

impl From<Cost> for HighestCost {
    fn from(cost: Cost) -> Self {
        let mut highest = Self::default();
        match cost {
            Cost::Apr1 => highest.apr1 = true,
            Cost::Argon2id(work) => highest.argon2id = Some(work),
            Cost::Bcrypt(cost) => highest.bcrypt = Some(cost),
            Cost::BcryptRounds(_) | Cost::Nothing => {}
            Cost::Sha256Crypt(rounds) => highest.sha256_crypt = Some(rounds),
            Cost::Sha512Crypt(rounds) => highest.sha512_crypt = Some(rounds),
        }
        highest
    }
}

impl FromIterator<Cost> for HighestCost {
    fn from_iter<I: IntoIterator<Item = Cost>>(costs: I) -> Self {
        costs.into_iter().map(Self::from).fold(Self::default(), Self::or)
    }
}

/// What has been worked, of each algorithm in its own unit: costs of different algorithms are never
/// added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Hashes.
    pub apr1: u64,
    /// KiB that were filled.
    pub argon2id: u64,
    /// Rounds: 2ⁿ for a cost of n.
    pub bcrypt: u64,
    /// Rounds.
    pub sha256_crypt: u64,
    /// Rounds.
    pub sha512_crypt: u64,
}

impl Work {
    /// What was worked since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            apr1: self.apr1 - before.apr1,
            argon2id: self.argon2id - before.argon2id,
            bcrypt: self.bcrypt - before.bcrypt,
            sha256_crypt: self.sha256_crypt - before.sha256_crypt,
            sha512_crypt: self.sha512_crypt - before.sha512_crypt,
        }
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, more: Self) {
        self.apr1 += more.apr1;
        self.argon2id += more.argon2id;
        self.bcrypt += more.bcrypt;
        self.sha256_crypt += more.sha256_crypt;
        self.sha512_crypt += more.sha512_crypt;
    }
}

impl From<Cost> for Work {
    fn from(cost: Cost) -> Self {
        let mut work = Self::default();
        match cost {
            Cost::Apr1 => work.apr1 = 1,
            Cost::Argon2id(parameters) => work.argon2id = parameters.total(),
            Cost::Bcrypt(cost) => work.bcrypt = 1 << cost,
            Cost::BcryptRounds(rounds) => work.bcrypt = rounds.into(),
            Cost::Nothing => {}
            Cost::Sha256Crypt(rounds) => work.sha256_crypt = rounds.into(),
            Cost::Sha512Crypt(rounds) => work.sha512_crypt = rounds.into(),
        }
        work
    }
}

impl FromIterator<Cost> for Work {
    fn from_iter<I: IntoIterator<Item = Cost>>(costs: I) -> Self {
        let mut sum = Self::default();
        costs.into_iter().for_each(|cost| sum += cost.into());
        sum
    }
}

/// sha-crypt knows no fewer than a thousand rounds: a fifth of a millisecond.
fn rounds_missing(highest: u32, spent: u32) -> Option<u32> {
    let missing = highest.saturating_sub(spent);
    (missing > 0).then(|| missing.max(Params::ROUNDS_MIN))
}

const MAX_LANES: u32 = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cost() -> impl Strategy<Value = Cost> {
        prop_oneof![
            Just(Cost::Apr1),
            Just(Cost::Nothing),
            (4_u8..=14).prop_map(Cost::Bcrypt),
            (8_u32..=131_072, 1_u32..=8).prop_map(|(memory, passes)| Cost::Argon2id(
                Argon2Params::new(memory, passes, 1).unwrap()
            )),
            (1_u32..=500).prop_map(|thousands| Cost::Sha256Crypt(thousands * 1_000)),
            (1_u32..=500).prop_map(|thousands| Cost::Sha512Crypt(thousands * 1_000)),
        ]
    }

    proptest! {
        /// HT7; Harbor's CVE-2023-20902: whichever entry a refused password was compared with, and if
        /// there was none, the work done is the same.
        #[test]
        fn every_refusal_does_the_same_work(entries in prop::collection::vec(cost(), 1..8)) {
            let highest: HighestCost = entries.iter().copied().collect();
            let unknown: Work = highest.missing(Cost::Nothing).into_iter().collect();
            for entry in entries {
                let known: Work = highest.missing(entry).into_iter().chain([entry]).collect();
                // Argon2id counts in whole KiB per pass, and does nothing below eight of them.
                prop_assert!(known.argon2id.abs_diff(unknown.argon2id) < 16, "{:?}", entry);
                prop_assert_eq!(Work { argon2id: 0, ..known }, Work { argon2id: 0, ..unknown }, "{:?}", entry);
            }
        }
    }

    #[test]
    fn the_missing_part_of_bcrypt_is_rounds_and_not_another_hash() {
        let highest = HighestCost::from_iter([Cost::Bcrypt(5), Cost::Bcrypt(10)]);
        assert_eq!(highest.missing(Cost::Bcrypt(10)), []);
        assert_eq!(highest.missing(Cost::Bcrypt(5)), [Cost::BcryptRounds(1024 - 32)]);
        assert_eq!(highest.missing(Cost::Nothing), [Cost::Bcrypt(10)]);
    }

    #[test]
    fn where_there_are_no_entries_nothing_is_missing() {
        assert_eq!(HighestCost::default().missing(Cost::Nothing), []);
    }

    #[test]
    fn argon2_parameters_that_it_would_refuse_cannot_be_made() {
        for (memory, passes, lanes) in [(7, 1, 1), (8, 0, 1), (8, 1, 0), (15, 1, 2), (8_192, 1, 65)]
        {
            assert!(Argon2Params::new(memory, passes, lanes).is_err(), "{memory} {passes} {lanes}");
        }
    }
}

//! All that is random in a test, from one seed, so that what failed can be had again.

use std::hash::{BuildHasher as _, RandomState};

/// Numbers that follow from a seed (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct SeededRng(u64);

impl SeededRng {
    /// A generator that gives what it gave with this seed before.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed that a variable of the environment holds, or a new one.
    ///
    /// # Panics
    /// If the variable holds no number.
    pub fn seed_from_env(variable: &str) -> u64 {
        match std::env::var_os(variable) {
            None => RandomState::new().hash_one(variable) >> 16,
            Some(value) => {
                let text = value.to_str().and_then(|text| text.parse().ok());
                text.unwrap_or_else(|| panic!("{variable} holds no number"))
            }
        }
    }

    /// 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of the numbers below `bound`.
    ///
    /// # Panics
    /// If there are none.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("64 bits");
        usize::try_from(self.next_u64() % bound).expect("below a number of this type")
    }

    /// One of the numbers from `low` up to, but without, `high`.
    ///
    /// # Panics
    /// If there are none.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low)
    }

    /// One of these.
    ///
    /// # Panics
    /// If there are none.
    pub fn choose<T: Clone>(&mut self, things: &[T]) -> T {
        things[self.below(things.len())].clone()
    }

    /// So many bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    /// A generator of its own, seeded from this one.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.next_u64())
    }
}

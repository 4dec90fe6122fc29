//! Work that is done for its cost alone.

use std::hint::black_box;

use sha_crypt::Params;

use super::{argon2id, bcrypt, legacy};
use crate::cost::{Cost, HighestCost, Work};

/// Does what [`HighestCost::missing`] says after `spent`, and says what that was.
pub(crate) fn top_up(highest: HighestCost, spent: Cost, password: &[u8]) -> Work {
    let missing = highest.missing(spent);
    for cost in &missing {
        spend(*cost, password);
    }
    missing.into_iter().collect()
}

/// Does what a comparison of this cost does, and forgets the result.
fn spend(cost: Cost, password: &[u8]) {
    match cost {
        Cost::Apr1 => drop(black_box(legacy::apr1(legacy::clip(password), b"saltsalt"))),
        Cost::Argon2id(work) => {
            let mut output = [0; 32];
            argon2id::hash_into(work, password, &[0; 16], &mut output);
            black_box(output);
        }
        Cost::Bcrypt(cost) => drop(black_box(bcrypt::hash(password, cost, [0; 16]))),
        Cost::BcryptRounds(rounds) => bcrypt::work(rounds),
        Cost::Nothing => {}
        Cost::Sha256Crypt(rounds) => drop(black_box(sha_crypt::sha256_crypt(
            legacy::clip(password),
            &[b'.'; 16],
            sha_crypt_rounds(rounds),
        ))),
        Cost::Sha512Crypt(rounds) => drop(black_box(sha_crypt::sha512_crypt(
            legacy::clip(password),
            &[b'.'; 16],
            sha_crypt_rounds(rounds),
        ))),
    }
}

fn sha_crypt_rounds(rounds: u32) -> Params {
    Params::new(rounds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Argon2Params;

    #[test]
    fn every_cost_can_be_spent() {
        let work = Argon2Params::new(64, 1, 1).unwrap();
        let costs = [
            Cost::Apr1,
            Cost::Argon2id(work),
            Cost::Bcrypt(4),
            Cost::BcryptRounds(3),
            Cost::Nothing,
            Cost::Sha256Crypt(1_000),
            Cost::Sha512Crypt(1_000),
        ];
        let highest = HighestCost::from_iter(costs);
        for password in [&b""[..], b"opensesame", &vec![0; 100_000]] {
            top_up(highest, Cost::Nothing, password);
        }
    }
}

//! The fewest words for some of the ways in which features come together.

use std::collections::{BTreeMap, BTreeSet};

/// Features that one of the ways has, by their places, in order.
pub(super) type Row = Vec<usize>;

/// All ways that have the features `with`, and none of those `without`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Term {
    pub(super) with: Vec<usize>,
    pub(super) without: Vec<usize>,
}

/// Terms that together have all `chosen` rows and no other; `anchors` are features of which each term needs one,
/// if there are any.
///
/// Each term begins as all that is said of one row. Then it loses what no other row needs: what is not there first,
/// what few rows have before what many have. So what is left are the broad features, and the exceptions.
pub(super) fn terms(
    rows: &[Row],
    chosen: &BTreeSet<usize>,
    anchors: &BTreeSet<usize>,
) -> Vec<Term> {
    let mut frequency: BTreeMap<usize, usize> = BTreeMap::new();
    for feature in rows.iter().flatten() {
        *frequency.entry(*feature).or_default() += 1;
    }
    let mut left: Vec<usize> = chosen.iter().copied().collect();
    // The broadest first.
    left.sort_by_key(|row| rows[*row].len());
    let mut terms = Vec::new();
    while let Some(first) = left.first() {
        let seed = &rows[*first];
        let kept = kept(seed, rows, chosen, anchors, &frequency);
        left.retain(|row| difference(&rows[*row], seed).any(|feature| kept.contains(&feature)));
        let (with, without) = kept.iter().partition(|feature| seed.contains(feature));
        terms.push(Term { with, without });
    }
    terms
}

/// The features that tell the seed from all rows that are not chosen.
fn kept(
    seed: &Row,
    rows: &[Row],
    chosen: &BTreeSet<usize>,
    anchors: &BTreeSet<usize>,
    frequency: &BTreeMap<usize, usize>,
) -> BTreeSet<usize> {
    let others = rows.iter().enumerate().filter(|(row, _)| !chosen.contains(row));
    let mut others: Vec<Vec<usize>> =
        others.map(|(_, row)| difference(row, seed).collect()).collect();
    if !anchors.is_empty() {
        others.push(seed.iter().filter(|feature| anchors.contains(feature)).copied().collect());
    }
    let mut telling: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (row, features) in others.iter().enumerate() {
        for feature in features {
            telling.entry(*feature).or_default().push(row);
        }
    }
    // How many features still tell each row from the seed.
    let mut counts: Vec<usize> = others.iter().map(Vec::len).collect();
    let mut order: Vec<usize> = telling.keys().copied().collect();
    order.sort_by_key(|feature| {
        (seed.contains(feature), frequency.get(feature).copied(), std::cmp::Reverse(*feature))
    });
    let mut kept = BTreeSet::new();
    for feature in order {
        let rows = &telling[&feature];
        if rows.iter().any(|row| counts[*row] == 1) {
            kept.insert(feature);
        } else {
            for row in rows {
                counts[*row] -= 1;
            }
        }
    }
    kept
}

/// What one has and the other has not.
fn difference<'a>(one: &'a Row, other: &'a Row) -> impl Iterator<Item = usize> + use<'a> {
    let only = |one: &'a Row, other: &'a Row| {
        one.iter().filter(|feature| other.binary_search(feature).is_err()).copied()
    };
    only(one, other).chain(only(other, one))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(rows: &[&[usize]], chosen: &[usize], anchors: &[usize]) -> Vec<String> {
        let rows: Vec<Row> = rows.iter().map(|row| row.to_vec()).collect();
        let (chosen, anchors) =
            (chosen.iter().copied().collect(), anchors.iter().copied().collect());
        let text = |Term { with, without }| format!("{with:?} without {without:?}");
        terms(&rows, &chosen, &anchors).into_iter().map(text).collect()
    }

    #[test]
    fn broad_features_are_named_and_what_must_be_excepted() {
        let rows: &[&[usize]] = &[&[0], &[0, 1], &[0, 2]];
        assert_eq!(texts(rows, &[0, 1, 2], &[0]), ["[0] without []"]);
        assert_eq!(texts(rows, &[0, 2], &[0]), ["[0] without [1]"]);
        assert_eq!(texts(rows, &[1], &[0]), ["[0, 1] without []"]);
        assert_eq!(texts(rows, &[1, 2], &[]), ["[1] without []", "[2] without []"]);
        assert_eq!(texts(rows, &[0, 1, 2], &[]), ["[] without []"]);
    }

    proptest! {
        #[test]
        fn terms_have_the_chosen_rows_and_no_other(
            rows in prop::collection::btree_set(prop::collection::btree_set(0_usize..6, 0..6), 1..12),
            chosen in prop::collection::btree_set(0_usize..12, 1..12),
            anchors in prop::collection::btree_set(0_usize..6, 0..3),
        ) {
            let mut rows: Vec<Row> = rows.into_iter().map(|row| row.into_iter().collect()).collect();
            if !anchors.is_empty() {
                rows.retain(|row| row.iter().any(|feature| anchors.contains(feature)));
            }
            let chosen: BTreeSet<usize> = chosen.into_iter().filter(|row| *row < rows.len()).collect();
            let terms = terms(&rows, &chosen, &anchors);
            for (place, row) in rows.iter().enumerate() {
                let has = |Term { with, without }: &Term| {
                    with.iter().all(|f| row.contains(f)) && !without.iter().any(|f| row.contains(f))
                };
                prop_assert_eq!(terms.iter().any(has), chosen.contains(&place), "{:?} {:?}", row, terms);
            }
            for Term { with, .. } in &terms {
                prop_assert!(anchors.is_empty() || with.iter().any(|f| anchors.contains(f)), "{terms:?}");
            }
        }
    }
}

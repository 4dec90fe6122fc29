//! Moments at which times come together in every way that they ever will.

use std::{
    collections::{BTreeSet, HashSet},
    time::{Duration, SystemTime},
};

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

use super::{MINUTES, Times};

/// From `now` on, one moment for each way in which these times apply or not, with the places of those that apply.
///
/// Days, hours and clock changes come again every year. So it is enough to look at the year that begins now, and
/// at the years before and after each `after` and `before`.
pub(crate) fn moments(times: &[&Times], now: SystemTime) -> Vec<(Vec<usize>, SystemTime)> {
    let apply = |moment: SystemTime| {
        let apply = times.iter().enumerate().filter(|(_, times)| times.include(moment));
        apply.map(|(place, _)| place).collect::<Vec<_>>()
    };
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    let mut look = |moment: SystemTime| {
        let apply = apply(moment);
        if seen.insert(apply.clone()) {
            found.push((apply, moment));
        }
    };
    look(now);
    if let Ok(now) = Timestamp::try_from(now)
        && !times.is_empty()
    {
        for moment in changes(times, now) {
            look(moment.into());
        }
    }
    found
}

/// All moments of these years at which one of the times may begin or end.
fn changes(times: &[&Times], now: Timestamp) -> BTreeSet<Timestamp> {
    let ends = times.iter().flat_map(|times| [&times.after, &times.before]);
    let ends: BTreeSet<Timestamp> =
        ends.flatten().map(|moment| moment.at).filter(|at| *at > now).collect();
    let mut changes = ends.clone();
    for (from, until) in periods(&ends, now) {
        for (zone, minutes) in clocks(times) {
            let within = |at: &Timestamp| (from..=until).contains(at);
            let transitions = zone.following(from).map(|transition| transition.timestamp());
            changes.extend(transitions.take_while(within));
            let mut day = from.to_zoned(zone.clone()).date();
            let last = until.to_zoned(zone.clone()).date();
            loop {
                let midnight = day.to_datetime(jiff::civil::Time::midnight());
                for minute in &minutes {
                    changes.extend(moments_at(&zone, midnight, *minute).filter(within));
                }
                match day.tomorrow() {
                    Ok(next) if day < last => day = next,
                    _ => break,
                }
            }
        }
    }
    changes
}

/// The years to look at, apart from each other.
fn periods(ends: &BTreeSet<Timestamp>, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let earlier = |at: Timestamp| at.checked_sub(YEAR).unwrap_or(Timestamp::MIN).max(now);
    let later = |at: Timestamp| at.checked_add(YEAR).unwrap_or(Timestamp::MAX);
    let mut periods = vec![(now, later(now))];
    for end in ends {
        let next = (earlier(*end), later(*end));
        match periods.last_mut() {
            Some((_, until)) if next.0 <= *until => *until = next.1,
            _ => periods.push(next),
        }
    }
    periods
}

/// Each time zone, with the minutes of the day at which something may change there.
fn clocks(times: &[&Times]) -> Vec<(TimeZone, BTreeSet<u16>)> {
    let mut clocks: Vec<(TimeZone, BTreeSet<u16>)> = Vec::new();
    for times in times {
        let hours = times.hours.iter().flat_map(|hours| [hours.from, hours.until % MINUTES]);
        let minutes = hours.chain([0]);
        match clocks.iter_mut().find(|(zone, _)| *zone == times.zone) {
            Some((_, known)) => known.extend(minutes),
            None => clocks.push((times.zone.clone(), minutes.collect())),
        }
    }
    clocks
}

/// When the clock shows that; twice where it is set back.
fn moments_at(
    zone: &TimeZone,
    midnight: DateTime,
    minute: u16,
) -> impl Iterator<Item = Timestamp> + use<> {
    let local = midnight.checked_add(SignedDuration::from_mins(minute.into()));
    let moments = local.into_iter().flat_map(|local| {
        let ambiguous = zone.to_ambiguous_timestamp(local);
        [ambiguous.earlier(), ambiguous.later()]
    });
    moments.flatten().collect::<BTreeSet<_>>().into_iter()
}

/// A year and a week: clock changes are on the same days of the week, not of the month.
const YEAR: Duration = Duration::from_hours(24 * (366 + 7));

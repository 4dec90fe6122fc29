use super::*;

fn times(days: &[&str], hours: &[&str], zone: &str) -> Times {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let zone = (!zone.is_empty()).then(|| zone.to_owned());
    let (days, hours) = (words(days), words(hours));
    let text = TimesText { days, hours, zone, ..TimesText::default() };
    Times::parse(&text).unwrap()
}

fn within(after: Option<&str>, before: Option<&str>, zone: &str) -> Result<Times, TimesError> {
    let (after, before) = (after.map(str::to_owned), before.map(str::to_owned));
    let zone = Some(zone.to_owned());
    Times::parse(&TimesText { zone, after, before, ..TimesText::default() })
}

fn at(text: &str) -> SystemTime {
    text.parse::<Timestamp>().unwrap().into()
}

/// 2026-12-04 is a Friday. Berlin is an hour before UTC then, and two in summer.
#[test]
fn days_and_hours_are_those_of_the_zone() {
    let office = times(&["mon-fri"], &["08:00-18:00"], "Europe/Berlin");
    let table = [
        ("2026-12-04T06:59:59Z", false),
        ("2026-12-04T07:00:00Z", true),
        ("2026-12-04T16:59:59Z", true),
        ("2026-12-04T17:00:00Z", false), // the end does not belong to it
        ("2026-12-05T12:00:00Z", false), // Saturday
        ("2026-07-03T06:00:00Z", true),  // summer
        ("2026-07-03T16:00:00Z", false),
    ];
    for (moment, expected) in table {
        assert_eq!(office.include(at(moment)), expected, "{moment}");
    }
    let utc = times(&[], &["08:00-18:00"], "");
    assert!(utc.include(at("2026-12-05T17:59:59Z")) && !utc.include(at("2026-12-05T07:59:59Z")));
}

#[test]
fn a_night_belongs_to_the_day_on_which_it_begins() {
    let nights = times(&["fri"], &["22:00-06:00"], "UTC");
    let table = [
        ("2026-12-04T05:59:00Z", false), // Thursday's night
        ("2026-12-04T22:00:00Z", true),
        ("2026-12-05T05:59:00Z", true),
        ("2026-12-05T06:00:00Z", false),
        ("2026-12-05T22:00:00Z", false),
    ];
    for (moment, expected) in table {
        assert_eq!(nights.include(at(moment)), expected, "{moment}");
    }
}

#[test]
fn several_hours_and_ranges_over_the_weekend_are_possible() {
    let times = times(&["sat-mon"], &["00:00-06:00", "18:00-24:00"], "UTC");
    let table = [
        ("2026-12-04T20:00:00Z", false), // Friday
        ("2026-12-05T05:00:00Z", true),
        ("2026-12-06T23:59:59Z", true),
        ("2026-12-07T18:00:00Z", true),
        ("2026-12-07T12:00:00Z", false),
        ("2026-12-08T05:00:00Z", false), // Tuesday
    ];
    for (moment, expected) in table {
        assert_eq!(times.include(at(moment)), expected, "{moment}");
    }
}

/// The hour from two to three is not there in Berlin on 2026-03-29, and twice on 2026-10-25.
#[test]
fn hours_follow_the_clock_on_the_wall_when_it_is_set() {
    let early = times(&[], &["02:00-03:00"], "Europe/Berlin");
    assert!(
        !early.include(at("2026-03-29T00:59:59Z")) && !early.include(at("2026-03-29T01:00:00Z"))
    );
    for moment in ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"] {
        assert!(early.include(at(moment)), "{moment}");
    }
    assert!(!early.include(at("2026-10-25T02:00:00Z")));
}

#[test]
fn moments_are_dates_local_times_or_times_with_an_offset() {
    let december = within(Some("2026-12-01"), Some("2027-01-01T12:00"), "Europe/Berlin").unwrap();
    let table = [
        ("2026-11-30T22:59:59Z", false),
        ("2026-11-30T23:00:00Z", true), // midnight in Berlin
        ("2027-01-01T10:59:59Z", true),
        ("2027-01-01T11:00:00Z", false),
    ];
    for (moment, expected) in table {
        assert_eq!(december.include(at(moment)), expected, "{moment}");
    }
    let exact = within(Some("2026-12-01T00:00:00+09:00"), None, "Europe/Berlin").unwrap();
    assert!(
        exact.include(at("2026-11-30T15:00:00Z")) && !exact.include(at("2026-11-30T14:59:59Z"))
    );
    assert!(
        december.are_over(at("2027-01-01T11:00:00Z"))
            && !exact.are_over(at("2030-01-01T00:00:00Z"))
    );
}

#[test]
fn times_are_written_as_they_were_typed() {
    assert_eq!(
        times(&["mon-fri", "sun"], &["08:00-18:00"], "Europe/Berlin").to_string(),
        "mon-fri, sun 08:00-18:00 Europe/Berlin"
    );
    let until = within(None, Some("2027-01-01"), "UTC").unwrap();
    assert_eq!(until.to_string(), "before 2027-01-01 UTC");
    assert_eq!(until.local(at("2027-01-02T03:04:05Z")), "sat 2027-01-02T03:04");
}

/// A container has no time zones of its own.
#[test]
fn the_program_brings_the_time_zones_with_it() {
    let own = jiff::tz::TimeZoneDatabase::bundled();
    assert!(!own.is_definitively_empty());
    assert!(own.get("Europe/Berlin").is_ok() && own.get("America/Sao_Paulo").is_ok());
}

#[test]
fn what_is_no_time_says_what_to_write() {
    let one = |word: &str| vec![word.to_owned()];
    let days = |word: &str| TimesText { days: one(word), ..TimesText::default() };
    let hours = |word: &str| TimesText { hours: one(word), ..TimesText::default() };
    let mut errors: Vec<String> = ["monday", "mon-", "Mon"]
        .map(days)
        .into_iter()
        .chain(
            ["8-18", "08:00", "08:00-25:00", "08:60-09:00", "24:00-06:00", "08:00-08:00"]
                .map(hours),
        )
        .chain([TimesText::default()])
        .map(|text| Times::parse(&text).unwrap_err().to_string())
        .collect();
    for (after, before, zone) in [
        (Some("tomorrow"), None, "UTC"),
        (Some("2026-12-01"), Some("2026-12-01"), "UTC"),
        (Some("2026-12-01"), None, "Europe/Berln"),
    ] {
        errors.push(within(after, before, zone).unwrap_err().to_string());
    }
    insta::assert_snapshot!(errors.join("\n"));
}

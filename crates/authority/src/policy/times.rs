//! When a rule counts: days and hours of a time zone, and moments before and after which it does not.

use std::{fmt, str::FromStr, time::SystemTime};

use jiff::{
    Timestamp, Zoned,
    civil::{Date, DateTime, Time, Weekday},
    tz::TimeZone,
};

mod moments;

pub(crate) use self::moments::moments;

/// `between:` as the configuration has it, not understood yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimesText {
    /// `days:`, as `mon-fri` or `sat`; none is every day.
    pub days: Vec<String>,
    /// `hours:`, as `08:00-18:00`; none is all day.
    pub hours: Vec<String>,
    /// `zone:`, a name of the IANA database; absent: UTC.
    pub zone: Option<String>,
    /// `after:`, a date, a local time or an RFC 3339 time.
    pub after: Option<String>,
    /// `before:`, the same.
    pub before: Option<String>,
}

/// Days and hours of a time zone, within two moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    days: Days,
    hours: Vec<Hours>,
    zone: TimeZone,
    after: Option<Moment>,
    before: Option<Moment>,
}

impl Times {
    /// Understands the text, or says what of it is wrong.
    pub fn parse(text: &TimesText) -> Result<Self, TimesError> {
        let zone = match &text.zone {
            Some(name) => zone(name)?,
            None => TimeZone::UTC,
        };
        let moment = |text: &Option<String>| {
            text.as_ref().map(|text| Moment::parse(text, &zone)).transpose()
        };
        let times = Self {
            days: Days::parse(&text.days)?,
            hours: text.hours.iter().map(|hours| hours.parse()).collect::<Result<_, _>>()?,
            after: moment(&text.after)?,
            before: moment(&text.before)?,
            zone,
        };
        if text.days.is_empty()
            && text.hours.is_empty()
            && text.after.is_none()
            && text.before.is_none()
        {
            return Err(TimesError::Nothing);
        }
        match (&times.after, &times.before) {
            (Some(after), Some(before)) if after.at >= before.at => {
                Err(TimesError::Never { after: after.text.clone(), before: before.text.clone() })
            }
            _ => Ok(times),
        }
    }

    /// Whether it is one of these times.
    pub fn include(&self, now: SystemTime) -> bool {
        // No calendar reaches it: no rule means it.
        let Ok(now) = Timestamp::try_from(now) else { return false };
        self.after.as_ref().is_none_or(|after| after.at <= now)
            && self.before.as_ref().is_none_or(|before| now < before.at)
            && self.include_local(&now.to_zoned(self.zone.clone()))
    }

    fn include_local(&self, now: &Zoned) -> bool {
        let today = now.weekday();
        let minute =
            u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs());
        if self.hours.is_empty() {
            return self.days.contain(today);
        }
        // A night belongs to the day on which it begins.
        self.hours.iter().any(|hours| match hours.reach(minute) {
            Reach::Today => self.days.contain(today),
            Reach::SinceYesterday => self.days.contain(today.previous()),
            Reach::No => false,
        })
    }

    /// Whether the last of these times has passed.
    pub fn are_over(&self, now: SystemTime) -> bool {
        let Ok(now) = Timestamp::try_from(now) else { return false };
        self.before.as_ref().is_some_and(|before| before.at <= now)
    }

    /// What the clock shows there: `sat 13:05`.
    pub fn local(&self, now: SystemTime) -> String {
        let Ok(now) = Timestamp::try_from(now) else { return "no time of a calendar".to_owned() };
        let now = now.to_zoned(self.zone.clone());
        let day = day_name(now.weekday());
        if self.after.is_some() || self.before.is_some() {
            format!("{day} {}", now.strftime("%Y-%m-%dT%H:%M"))
        } else {
            format!("{day} {}", now.strftime("%H:%M"))
        }
    }
}

impl fmt::Display for Times {
    /// `mon-fri 08:00-18:00 after 2026-12-01 Europe/Berlin`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.days.text.is_empty() {
            write!(f, "{} ", self.days.text)?;
        }
        for (place, hours) in self.hours.iter().enumerate() {
            write!(f, "{}{hours}", if place == 0 { "" } else { ", " })?;
        }
        if !self.hours.is_empty() {
            f.write_str(" ")?;
        }
        if let Some(after) = &self.after {
            write!(f, "after {} ", after.text)?;
        }
        if let Some(before) = &self.before {
            write!(f, "before {} ", before.text)?;
        }
        f.write_str(self.zone.iana_name().unwrap_or("UTC"))
    }
}

/// Some of the seven.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Days {
    /// A bit for each, Monday first.
    bits: u8,
    text: Box<str>,
}

impl Days {
    /// None named is every day.
    fn parse(words: &[String]) -> Result<Self, TimesError> {
        let mut bits = if words.is_empty() { ALL_DAYS } else { 0 };
        for word in words {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let unknown = || TimesError::Day { text: word.clone() };
            let (first, last) = day(first).zip(day(last)).ok_or_else(unknown)?;
            // `sat-mon` goes over the end of the week.
            let mut next = first;
            bits |= bit(next);
            while next != last {
                next = next.next();
                bits |= bit(next);
            }
        }
        Ok(Self { bits, text: words.join(", ").into() })
    }

    fn contain(&self, day: Weekday) -> bool {
        self.bits & bit(day) != 0
    }
}

fn day(name: &str) -> Option<Weekday> {
    DAYS.iter().find(|(known, _)| *known == name).map(|(_, day)| *day)
}

fn day_name(day: Weekday) -> &'static str {
    DAYS.iter().find(|(_, known)| *known == day).map_or("", |(name, _)| name)
}

fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

/// From one minute of the day to another, which does not belong to it; over midnight where that is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hours {
    from: u16,
    until: u16,
}

/// Whether a minute of the day is within some hours.
enum Reach {
    Today,
    /// Within those that began the day before.
    SinceYesterday,
    No,
}

impl Hours {
    fn reach(self, minute: u16) -> Reach {
        let Self { from, until } = self;
        match (minute >= from, minute < until) {
            (true, true) => Reach::Today,
            (true, false) if until < from => Reach::Today,
            (false, true) if until < from => Reach::SinceYesterday,
            (true, false) | (false, _) => Reach::No,
        }
    }
}

impl FromStr for Hours {
    type Err = TimesError;

    fn from_str(text: &str) -> Result<Self, TimesError> {
        let wrong = || TimesError::Hours { text: text.to_owned() };
        let (from, until) = text.split_once('-').ok_or_else(wrong)?;
        let (from, until) = minute(from).zip(minute(until)).ok_or_else(wrong)?;
        let until = if until == 0 { MINUTES } else { until };
        if from == until || from == MINUTES { Err(wrong()) } else { Ok(Self { from, until }) }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

/// `08:00`, in minutes; `24:00` is the end of the day.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str, most: u16| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| digits && *number <= most)
    };
    let minutes = number(hour, 24)? * 60 + number(minute, 59)?;
    (minutes <= MINUTES).then_some(minutes)
}

/// A moment, as it was typed and as it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Moment {
    text: Box<str>,
    at: Timestamp,
}

impl Moment {
    /// A time with its own offset (RFC 3339), or a date or a time of the zone. A date is its beginning.
    fn parse(text: &str, zone: &TimeZone) -> Result<Self, TimesError> {
        let wrong = || TimesError::Moment { text: text.to_owned() };
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self { text: text.into(), at });
        }
        let local = match text.parse::<Date>() {
            // A longer text may begin with a date.
            Ok(date) if text.len() == DATE => date.to_datetime(Time::midnight()),
            Ok(_) | Err(_) => text.parse::<DateTime>().map_err(|_| wrong())?,
        };
        let at = zone.to_timestamp(local).map_err(|_| wrong())?;
        Ok(Self { text: text.into(), at })
    }
}

/// Of the system, where it has them, else of this program: containers often have none.
fn zone(name: &str) -> Result<TimeZone, TimesError> {
    TimeZone::get(name).map_err(|_| TimesError::Zone { text: name.to_owned() })
}

/// Times that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimesError {
    /// No day is called so.
    #[error("there is no day `{text}`; write `mon`, `tue`, … `sun`, or a range as `mon-fri`")]
    Day {
        /// As typed.
        text: String,
    },
    /// Not from one time of the day to another.
    #[error("`{text}` are no hours; write them as `08:00-18:00`, or `22:00-06:00` over midnight")]
    Hours {
        /// As typed.
        text: String,
    },
    /// Neither a date nor a time.
    #[error(
        "`{text}` is no time; write `2026-12-31`, `2026-12-31T18:00` or `2026-12-31T18:00:00Z`"
    )]
    Moment {
        /// As typed.
        text: String,
    },
    /// It ends before it begins.
    #[error("it is never after {after} and before {before}")]
    Never {
        /// The beginning, as typed.
        after: Box<str>,
        /// The end, as typed.
        before: Box<str>,
    },
    /// No limit at all.
    #[error("`between` names no time; give `days`, `hours`, `after` or `before`")]
    Nothing,
    /// No time zone is called so.
    #[error("there is no time zone `{text}`; write a name as `Europe/Berlin`, or `UTC`")]
    Zone {
        /// As typed.
        text: String,
    },
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
const ALL_DAYS: u8 = 0b111_1111;
const MINUTES: u16 = 24 * 60;
/// `2026-12-31`
const DATE: usize = 10;

#[cfg(test)]
mod tests;

//! The model: what was begun, what was acknowledged, and therefore what may be seen.
//!
//! ```text
//! begin ──> open ──> acknowledged        a change has a beginning and, if we heard of it, an end
//!             └────> withdrawn           it was refused, or never left
//! ```
//! Several clients change the same thing at once. What is seen must be what some change left that no
//! acknowledged change came after: one that began when that one had ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
};

use portpass_protocol::Digest;

/// Something that can be there or not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    Blob { repository: &'static str, digest: Digest },
    Manifest { repository: &'static str, digest: Digest },
    Tag { repository: &'static str, tag: &'static str },
    RefreshToken { secret: String },
}

/// How it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Absent,
    Present,
    Names(Digest),
}

/// What a change does to one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Set(Value),
    /// Takes a tag away if it names this manifest.
    Untag(Digest),
}

impl Effect {
    fn leaves(self) -> Value {
        match self {
            Self::Set(value) => value,
            Self::Untag(_) => Value::Absent,
        }
    }

    /// Whether nothing is left of `value` after it.
    fn ends(self, value: Value) -> bool {
        match self {
            Self::Set(new) => new != value,
            Self::Untag(digest) => value == Value::Names(digest),
        }
    }
}

/// A change that was begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket(usize);

#[derive(Debug, Clone, Copy)]
enum State {
    Open,
    Acknowledged { at: usize },
    Withdrawn,
}

#[derive(Debug)]
struct Change {
    begun: usize,
    state: State,
}

#[derive(Debug, Default)]
struct Book {
    /// How many beginnings and ends there have been: the time.
    now: usize,
    changes: Vec<Change>,
    things: BTreeMap<Thing, Vec<(usize, Effect)>>,
}

/// Kept by everybody who changes something.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Book>);

impl Journal {
    /// Has a thing looked at that perhaps nobody changes.
    pub(crate) fn watch(&self, thing: Thing) {
        self.book().things.entry(thing).or_default();
    }

    /// Notes a change before it is asked for.
    pub(crate) fn begin(&self, effects: Vec<(Thing, Effect)>) -> Ticket {
        let mut book = self.book();
        book.now += 1;
        let (begun, number) = (book.now, book.changes.len());
        book.changes.push(Change { begun, state: State::Open });
        for (thing, effect) in effects {
            book.things.entry(thing).or_default().push((number, effect));
        }
        Ticket(number)
    }

    /// It was answered that the change was made.
    pub(crate) fn acknowledge(&self, ticket: Ticket) {
        let mut book = self.book();
        book.now += 1;
        let at = book.now;
        book.changes[ticket.0].state = State::Acknowledged { at };
    }

    /// It was not made, for certain.
    pub(crate) fn withdraw(&self, ticket: Ticket) {
        self.book().changes[ticket.0].state = State::Withdrawn;
    }

    /// Changes that were acknowledged, and those that nobody knows of.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let book = self.book();
        let count = |wanted: fn(&State) -> bool| {
            book.changes.iter().filter(|change| wanted(&change.state)).count()
        };
        (
            count(|state| matches!(state, State::Acknowledged { .. })),
            count(|state| matches!(state, State::Open)),
        )
    }

    /// Every thing that somebody wanted to change.
    pub(crate) fn things(&self) -> Vec<Thing> {
        self.book().things.keys().cloned().collect()
    }

    /// How a thing may be seen.
    pub(crate) fn allowed(&self, thing: &Thing) -> BTreeSet<Value> {
        let book = self.book();
        let effects = book.things.get(thing).map_or(&[][..], Vec::as_slice);
        let mut allowed = BTreeSet::new();
        let mut consider = |ended: Option<usize>, value: Value| {
            if !effects
                .iter()
                .any(|(number, effect)| effect.ends(value) && book.changes[*number].is_after(ended))
            {
                allowed.insert(value);
            }
        };
        consider(Some(0), Value::Absent);
        for (number, effect) in effects {
            match book.changes[*number].state {
                State::Open => consider(None, effect.leaves()),
                State::Acknowledged { at } => consider(Some(at), effect.leaves()),
                State::Withdrawn => {}
            }
        }
        allowed
    }

    /// From now on, a thing is as it was seen.
    pub(crate) fn settle(&self, thing: &Thing, seen: Value) {
        let mut book = self.book();
        book.now += 1;
        let (begun, number) = (book.now, book.changes.len());
        book.changes.push(Change { begun, state: State::Acknowledged { at: begun } });
        book.things.insert(thing.clone(), vec![(number, Effect::Set(seen))]);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }
}

impl Change {
    /// Whether it was made, and after all that had ended by then; what never ended is before nothing.
    fn is_after(&self, ended: Option<usize>) -> bool {
        let made = matches!(self.state, State::Acknowledged { .. });
        made && ended.is_some_and(|ended| ended < self.begun)
    }
}

#[test]
fn what_may_be_seen_is_what_no_acknowledged_change_came_after() {
    let journal = Journal::default();
    let (one, two) = (Digest::sha256(b"1"), Digest::sha256(b"2"));
    let tag = Thing::Tag { repository: "x", tag: "v1" };
    let names = |digest| Effect::Set(Value::Names(digest));
    assert_eq!(journal.allowed(&tag), [Value::Absent].into());
    let first = journal.begin(vec![(tag.clone(), names(one))]);
    assert_eq!(journal.allowed(&tag), [Value::Absent, Value::Names(one)].into());
    journal.acknowledge(first);
    assert_eq!(journal.allowed(&tag), [Value::Names(one)].into());
    let second = journal.begin(vec![(tag.clone(), names(two))]);
    let third = journal.begin(vec![(tag.clone(), Effect::Untag(one))]);
    journal.acknowledge(second);
    journal.acknowledge(third);
    // They ran side by side: either came last, but the first is over.
    assert_eq!(journal.allowed(&tag), [Value::Absent, Value::Names(two)].into());
    let fourth = journal.begin(vec![(tag.clone(), Effect::Set(Value::Absent))]);
    journal.withdraw(fourth);
    journal.settle(&tag, Value::Names(two));
    assert_eq!(journal.allowed(&tag), [Value::Names(two)].into());
}

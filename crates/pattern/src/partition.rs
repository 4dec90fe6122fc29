//! All names that a repository can have, by which of some patterns mean them: exactly, not by samples.
//!
//! Each pattern is an automaton over the characters of a name, and so is the grammar of names. All of them take
//! the same characters at once. A set of places in them that was met before leads to nothing new, so the walk ends.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    sync::Arc,
};

use super::{PathPattern, Segment};

mod grammar;
#[cfg(test)]
mod tests;

use self::grammar::Name;

/// The names that the same patterns mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The places of the families that mean them, in order.
    pub meant_by: Vec<usize>,
    /// One of the shortest.
    pub example: String,
}

/// Parts all names that at least one `wanted` family means by the families that mean them. A family means what
/// any of its patterns means; a placeholder that is left stands for any text.
pub fn partition(
    families: &[&[PathPattern]],
    wanted: &BTreeSet<usize>,
) -> Result<Vec<Part>, Tangled> {
    let automaton = Automaton::new(families);
    let mut walk = Walk::new(&automaton, wanted);
    let mut parts = Vec::new();
    while let Some(step) = walk.queue.pop_front() {
        parts.extend(walk.part(step));
        for character in walk.characters(step) {
            walk.take(step, character)?;
        }
    }
    Ok(parts)
}

/// Too many patterns that have parts in common in too many ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the patterns of the rules overlap in too many ways to be compared; compare a part of the rules at a time"
)]
pub struct Tangled;

/// What an automaton can take in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Character(char),
    /// `?`
    Any,
    /// `*`
    Run,
    Slash,
    /// `**` before a segment: none or more segments, each with its slash.
    Segments,
    WithinSegments,
    /// `**` at the end: none or more segments, each after a slash.
    Below,
    WithinBelow,
    End,
}

/// The elements of all patterns, one after another.
struct Automaton {
    elements: Vec<Element>,
    /// The family that each element is of.
    families: Vec<usize>,
    /// Where each pattern begins.
    starts: Vec<usize>,
}

impl Automaton {
    fn new(families: &[&[PathPattern]]) -> Self {
        let mut all = Self { elements: Vec::new(), families: Vec::new(), starts: Vec::new() };
        for (family, patterns) in families.iter().enumerate() {
            for pattern in *patterns {
                all.starts.push(all.elements.len());
                all.add(pattern);
                all.families.resize(all.elements.len(), family);
            }
        }
        all
    }

    fn add(&mut self, pattern: &PathPattern) {
        let segments = &pattern.segments;
        for (place, segment) in segments.iter().enumerate() {
            let is_last = place + 1 == segments.len();
            let has_slash = place == 0 || segments[place - 1] == Segment::Deep;
            match segment {
                Segment::Deep if is_last => {
                    self.elements.extend([Element::Below, Element::WithinBelow]);
                    continue;
                }
                _ if has_slash => {}
                _ => self.elements.push(Element::Slash),
            }
            match segment {
                Segment::Deep => {
                    self.elements.extend([Element::Segments, Element::WithinSegments]);
                }
                Segment::Word(word) => self.elements.extend(word.text.chars().map(|c| match c {
                    '*' => Element::Run,
                    '?' => Element::Any,
                    c => Element::Character(c),
                })),
                Segment::Named { before, after, .. } => {
                    self.elements.extend(before.chars().map(Element::Character));
                    self.elements.extend([Element::Any, Element::Run]);
                    self.elements.extend(after.chars().map(Element::Character));
                }
            }
        }
        self.elements.push(Element::End);
    }

    /// Adds the place, and those that are reached from there without a character.
    fn enter(&self, mut place: usize, places: &mut Vec<usize>) {
        loop {
            places.push(place);
            place += match self.elements[place] {
                Element::Run | Element::WithinBelow => 1,
                Element::Segments | Element::Below => 2,
                _ => return,
            };
        }
    }

    /// Where the character leads from there.
    fn follow(&self, place: usize, c: char) -> Option<usize> {
        let in_segment = c != '/';
        match self.elements[place] {
            Element::Character(wanted) => (c == wanted).then_some(place + 1),
            Element::Any | Element::Segments => in_segment.then_some(place + 1),
            Element::Run => in_segment.then_some(place),
            Element::Slash | Element::Below => (!in_segment).then_some(place + 1),
            Element::WithinSegments if in_segment => Some(place),
            Element::WithinSegments => Some(place - 1),
            Element::WithinBelow => Some(place),
            Element::End => None,
        }
    }
}

/// What the beginning of a name has led to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    name: Name,
    places: Vec<usize>,
}

impl State {
    fn new(name: Name, mut places: Vec<usize>) -> Self {
        places.sort_unstable();
        places.dedup();
        Self { name, places }
    }
}

/// A walk over all names, shorter ones first.
struct Walk<'a> {
    automaton: &'a Automaton,
    wanted: &'a BTreeSet<usize>,
    states: Vec<Arc<State>>,
    /// How each state was met first.
    from: Vec<Option<(usize, char)>>,
    known: HashSet<Arc<State>>,
    queue: VecDeque<usize>,
    parts: HashSet<Vec<usize>>,
    /// How many places all states have.
    size: usize,
}

impl<'a> Walk<'a> {
    fn new(automaton: &'a Automaton, wanted: &'a BTreeSet<usize>) -> Self {
        let mut places = Vec::new();
        for start in &automaton.starts {
            automaton.enter(*start, &mut places);
        }
        let first = Arc::new(State::new(Name::start(), places));
        Self {
            automaton,
            wanted,
            states: vec![Arc::clone(&first)],
            from: vec![None],
            known: HashSet::from([first]),
            queue: VecDeque::from([0]),
            parts: HashSet::new(),
            size: 0,
        }
    }

    /// The part that the name belongs to which led here, where it is a whole name and the first of its part.
    fn part(&mut self, state: usize) -> Option<Part> {
        let State { name, places } = &*self.states[state];
        if !name.is_whole() {
            return None;
        }
        let ends = places.iter().filter(|place| self.automaton.elements[**place] == Element::End);
        let meant_by: BTreeSet<usize> = ends.map(|place| self.automaton.families[*place]).collect();
        let is_new = !meant_by.is_disjoint(self.wanted)
            && self.parts.insert(meant_by.iter().copied().collect());
        is_new.then(|| Part {
            meant_by: meant_by.into_iter().collect(),
            example: self.name_of(state),
        })
    }

    fn name_of(&self, mut state: usize) -> String {
        let mut characters = Vec::new();
        while let Some((before, character)) = self.from[state] {
            characters.push(character);
            state = before;
        }
        characters.iter().rev().collect()
    }

    /// One of each kind of characters that lead to different places.
    fn characters(&self, state: usize) -> Vec<char> {
        let places = self.states[state].places.iter();
        let written: BTreeSet<char> = places
            .filter_map(|place| match self.automaton.elements[*place] {
                Element::Character(c) => Some(c),
                _ => None,
            })
            .collect();
        let kinds = [UNWRITTEN_LETTERS, UNWRITTEN_DIGITS, UNWRITTEN_CAPITALS];
        let unwritten = |kind: &&str| kind.chars().find(|c| !written.contains(c));
        let [letter, digit, capital] = kinds.each_ref().map(unwritten);
        // Names that look like names come first.
        let others = SEPARATORS.chars().filter(|c| !written.contains(c));
        let rest = others.chain(digit).chain(capital).collect::<Vec<_>>();
        letter.into_iter().chain(written.iter().copied()).chain(rest).collect()
    }

    fn take(&mut self, from: usize, character: char) -> Result<(), Tangled> {
        let state = &self.states[from];
        let Some(name) = state.name.followed_by(character) else { return Ok(()) };
        let mut places = Vec::new();
        for place in &state.places {
            if let Some(next) = self.automaton.follow(*place, character) {
                self.automaton.enter(next, &mut places);
            }
        }
        let leads_on = |place: &usize| self.wanted.contains(&self.automaton.families[*place]);
        if !places.iter().any(leads_on) {
            return Ok(());
        }
        let state = Arc::new(State::new(name, places));
        if !self.known.insert(Arc::clone(&state)) {
            return Ok(());
        }
        self.size += state.places.len();
        if self.size > MOST_PLACES {
            return Err(Tangled);
        }
        self.queue.push_back(self.states.len());
        self.states.push(state);
        self.from.push(Some((from, character)));
        Ok(())
    }
}

const UNWRITTEN_LETTERS: &str = "xyzwvutsrqponmlkjihgfedcba";
const UNWRITTEN_DIGITS: &str = "0123456789";
const UNWRITTEN_CAPITALS: &str = "XYZWVUTSRQPONMLKJIHGFEDCBA";
const SEPARATORS: &str = "/-._:";
/// Some 100 MB.
const MOST_PLACES: usize = 4_000_000;

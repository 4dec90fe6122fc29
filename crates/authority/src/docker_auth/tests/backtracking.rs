//! A small matcher of regular expressions that tries one way after the other, for the reference alone: letters,
//! `.`, `^`, `$`, classes, groups, `|`, `*`, `+`, `?`, their lazy forms, and a back-slash before a sign.

/// An expression, read.
pub(super) struct Expression {
    node: Node,
    groups: usize,
}

enum Node {
    /// One of several ways.
    Either(Vec<Node>),
    /// One after the other.
    All(Vec<Node>),
    Group(usize, Box<Node>),
    Repeat {
        least: usize,
        most: usize,
        lazy: bool,
        of: Box<Node>,
    },
    Any,
    Start,
    End,
    Of {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    Exactly(char),
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    groups: usize,
}

impl Expression {
    /// `None` for what is no expression.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text.chars().peekable(), groups: 0 };
        let node = reader.either()?;
        reader.rest.next().is_none().then_some(Self { node, groups: reader.groups })
    }

    /// What each group took in the first match from the left; `None` without a match.
    pub(super) fn groups(&self, text: &str) -> Option<Vec<String>> {
        let text: Vec<char> = text.chars().collect();
        (0..=text.len()).find_map(|start| {
            let mut took = vec![None; self.groups];
            let found = go(&self.node, &text, start, &mut took, &mut |_, _| true);
            found.then(|| {
                let text = |range: &Option<(usize, usize)>| {
                    range.map_or(String::new(), |(from, to)| text[from..to].iter().collect())
                };
                took.iter().map(text).collect()
            })
        })
    }
}

impl Reader<'_> {
    fn either(&mut self) -> Option<Node> {
        let mut ways = vec![self.all()?];
        while self.rest.next_if_eq(&'|').is_some() {
            ways.push(self.all()?);
        }
        Some(Node::Either(ways))
    }

    fn all(&mut self) -> Option<Node> {
        let mut nodes = Vec::new();
        while let Some(next) = self.rest.next_if(|c| !"|)".contains(*c)) {
            let node = match next {
                '(' => {
                    let number = self.groups;
                    self.groups += 1;
                    let inner = self.either()?;
                    self.rest.next_if_eq(&')')?;
                    Node::Group(number, Box::new(inner))
                }
                '[' => self.class()?,
                '.' => Node::Any,
                '^' => Node::Start,
                '$' => Node::End,
                '*' | '+' | '?' => return None,
                '\\' => Node::Exactly(self.rest.next_if(char::is_ascii_punctuation)?),
                other => Node::Exactly(other),
            };
            nodes.push(match self.rest.next_if(|c| "*+?".contains(*c)) {
                None => node,
                Some(sign) => {
                    let lazy = self.rest.next_if_eq(&'?').is_some();
                    // Two repetitions in a row are none of Go's.
                    if self.rest.peek().is_some_and(|c| "*+?".contains(*c)) {
                        return None;
                    }
                    let least = usize::from(sign == '+');
                    let most = if sign == '?' { 1 } else { usize::MAX };
                    Node::Repeat { least, most, lazy, of: Box::new(node) }
                }
            });
        }
        Some(Node::All(nodes))
    }

    fn class(&mut self) -> Option<Node> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut ranges = Vec::new();
        loop {
            let low = self.rest.next()?;
            if low == ']' && !ranges.is_empty() {
                return Some(Node::Of { negated, ranges });
            }
            let mut high = low;
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
                self.rest.next();
                high = self.rest.next()?;
            }
            ranges.push((low, high));
        }
    }
}

type Took = Vec<Option<(usize, usize)>>;

/// Tries the node at a place, and what comes behind it; the first way that works is kept.
fn go(
    node: &Node,
    text: &[char],
    at: usize,
    took: &mut Took,
    behind: &mut dyn FnMut(usize, &mut Took) -> bool,
) -> bool {
    let is_in = |character: char| match node {
        Node::Any => character != '\n',
        Node::Exactly(wanted) => character == *wanted,
        Node::Of { negated, ranges } => {
            ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated
        }
        _ => false,
    };
    match node {
        Node::Start => at == 0 && behind(at, took),
        Node::End => at == text.len() && behind(at, took),
        Node::Any | Node::Of { .. } | Node::Exactly(_) => {
            text.get(at).is_some_and(|c| is_in(*c)) && behind(at + 1, took)
        }
        Node::Either(ways) => ways.iter().any(|way| {
            let before = took.clone();
            let found = go(way, text, at, took, behind);
            if !found {
                *took = before;
            }
            found
        }),
        Node::All(nodes) => match nodes.split_first() {
            None => behind(at, took),
            Some((first, rest)) => {
                go(first, text, at, took, &mut |at, took| all(rest, text, at, took, behind))
            }
        },
        Node::Group(number, inner) => go(inner, text, at, took, &mut |end, took| {
            let before = took[*number].replace((at, end));
            let found = behind(end, took);
            if !found {
                took[*number] = before;
            }
            found
        }),
        Node::Repeat { least, most, lazy, of } => repeat(
            Repetition { least: *least, most: *most, lazy: *lazy, of },
            text,
            at,
            took,
            behind,
        ),
    }
}

fn all(
    nodes: &[Node],
    text: &[char],
    at: usize,
    took: &mut Took,
    behind: &mut dyn FnMut(usize, &mut Took) -> bool,
) -> bool {
    match nodes.split_first() {
        None => behind(at, took),
        Some((first, rest)) => {
            go(first, text, at, took, &mut |at, took| all(rest, text, at, took, behind))
        }
    }
}

#[derive(Clone, Copy)]
struct Repetition<'a> {
    least: usize,
    most: usize,
    lazy: bool,
    of: &'a Node,
}

/// As often as possible first; a lazy one as seldom as possible.
fn repeat(
    repetition: Repetition<'_>,
    text: &[char],
    at: usize,
    took: &mut Took,
    behind: &mut dyn FnMut(usize, &mut Took) -> bool,
) -> bool {
    let Repetition { least, most, lazy, of } = repetition;
    if lazy && least == 0 && behind(at, took) {
        return true;
    }
    let once_more = most > 0
        && go(of, text, at, took, &mut |end, took| {
            let least = least.saturating_sub(1);
            let left = Repetition { least, most: most.saturating_sub(1), lazy, of };
            // What takes nothing takes nothing for ever.
            let goes_on = end > at || repetition.least > 0;
            goes_on && repeat(left, text, end, took, behind)
        });
    once_more || (!lazy && least == 0 && behind(at, took))
}

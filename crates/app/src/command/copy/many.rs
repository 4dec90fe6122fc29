//! Many images, one after the other: the tags of a repository, or those of all repositories of a registry.
//!
//! What is asked for ahead is what both sides have under a tag, some tags at a time. Images are moved one by
//! one, so that none of two moves what the other has just moved; their blobs go in parallel. A failure of
//! one image ends neither the others nor the other repositories.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use portpass_client::{
    Descriptor, MediaType,
    transfer::{Companions, Error, KnownBlobs, NameChange, Selection},
};

use super::{
    filter::{Filter, is_list_of_referrers},
    gathering::Gathering,
    report::{Problem, Report},
};
use crate::{
    command::{
        Context,
        transfer::{Side, TransferArguments, TransferFailure, explained},
    },
    failure::Failure,
};

/// How many images are moved.
#[derive(Debug)]
pub(super) struct ManyImages<'a> {
    pub(super) how: &'a TransferArguments,
    pub(super) filter: &'a Filter,
    pub(super) selection: Selection,
    pub(super) dry_run: bool,
    pub(super) known: Arc<KnownBlobs>,
    pub(super) context: &'a Context,
}

/// A tag at both ends.
struct Pair {
    name: String,
    state: Result<State, (Side, Error)>,
}

/// What is to be done about a tag.
enum State {
    /// Both sides have the same image there.
    Same(Descriptor),
    /// The target has nothing there, or something else, or what it has is to be looked into.
    Other,
}

impl ManyImages<'_> {
    /// All tags that one end has and that are meant.
    pub(super) async fn copy(&self, from: &Gathering, to: &Gathering, report: &mut Report) {
        let names = match from.names().await {
            Ok(names) => names,
            Err(error) => {
                report.fails(self.problem((from, None), (to, None), Side::Source, error));
                return;
            }
        };
        report.repositories += 1;
        // With what is about an image, such a list comes by itself, and may have more at the target.
        let with_lists = self.how.companions() == Companions::LeftOut;
        let meant = names.into_iter().filter(|name| {
            self.filter.means_tag(name) && (with_lists || !is_list_of_referrers(name))
        });
        let names: Vec<String> = meant.collect();
        for some in names.chunks(AHEAD) {
            let looked = stream::iter(some).map(|name| self.look(from, to, name));
            let pairs: Vec<Pair> = looked.buffered(AT_ONCE).collect().await;
            for pair in pairs {
                report.tags += 1;
                self.settle(from, to, pair, report).await;
            }
        }
    }

    async fn look(&self, from: &Gathering, to: &Gathering, name: &str) -> Pair {
        let state = async {
            let there = from.head(name).await.map_err(|error| (Side::Source, error))?;
            if there.as_ref().is_some_and(|there| !self.dry_run && self.wants_a_look(there)) {
                return Ok(State::Other);
            }
            let here = to.head(name).await.map_err(|error| (Side::Target, error))?;
            Ok(match there {
                Some(there) if Some(&there) == here.as_ref() => State::Same(there),
                _ => State::Other,
            })
        };
        Pair { name: name.to_owned(), state: state.await }
    }

    /// Whether it does not suffice that both sides have the same under a tag: images of an index may be
    /// missing, and signatures may be new.
    fn wants_a_look(&self, there: &Descriptor) -> bool {
        let index = MediaType::from_content_type(&there.media_type).is_ok_and(MediaType::is_index);
        index
            || self.selection != Selection::Everything
            || self.how.companions() == Companions::Copied
    }

    async fn settle(&self, from: &Gathering, to: &Gathering, pair: Pair, report: &mut Report) {
        let Pair { name, state } = pair;
        let ends = ((from, Some(name.as_str())), (to, Some(name.as_str())));
        match state {
            Err((side, error)) => report.fails(self.problem(ends.0, ends.1, side, error)),
            Ok(State::Same(image)) => {
                if let Some(repository) = to.repository() {
                    self.known.note_image(&image, repository).await;
                }
                report.unchanged += 1;
            }
            Ok(State::Other) if self.dry_run => {
                report.copied += 1;
                self.say(report, to, &name, "would be copied");
            }
            Ok(State::Other) => match self.move_one(from, to, &name, report).await {
                Ok(NameChange::Updated) => {
                    report.copied += 1;
                    self.say(report, to, &name, "is now");
                }
                Ok(NameChange::Unchanged) => report.unchanged += 1,
                Err(problem) => report.fails(problem),
            },
        }
    }

    async fn move_one(
        &self,
        from: &Gathering,
        to: &Gathering,
        name: &str,
        report: &mut Report,
    ) -> Result<NameChange, Problem> {
        let failed = |side, error| self.problem((from, Some(name)), (to, Some(name)), side, error);
        if to.place(name).is_none() {
            let said = Failure::new(format!("{name:?} cannot be a tag"));
            return Err(Problem::new(from.shown(Some(name)), to.shown(None), Side::Target, &said));
        }
        let source = from.source(name).map_err(|error| failed(Side::Source, error))?;
        let target =
            to.target(name, from, &self.known).map_err(|error| failed(Side::Target, error))?;
        let selection = self.selection.clone();
        let moved =
            self.how.transfer(source.as_ref(), target.as_ref(), selection, self.context).await;
        match moved {
            Ok(done) => {
                report.add(&done);
                Ok(done.named)
            }
            Err(TransferFailure { error, origin }) => {
                let side = origin.as_ref().map_or(Side::Source, |origin| origin.side);
                let platform = origin.and_then(|origin| origin.platform);
                Err(failed(side, error).of_platform(platform))
            }
        }
    }

    fn problem(
        &self,
        from: (&Gathering, Option<&str>),
        to: (&Gathering, Option<&str>),
        side: Side,
        error: Error,
    ) -> Problem {
        let problem = Problem::new(from.0.shown(from.1), to.0.shown(to.1), side, &explained(error));
        if !self.how.json {
            self.context.printer.warning(&problem);
        }
        problem
    }

    fn say(&self, report: &mut Report, to: &Gathering, name: &str, what: &str) {
        let shown = to.shown(Some(name));
        if !self.how.quiet && !self.how.json {
            self.context.printer.note(format_args!("{shown} {what}"));
        }
        report.changed.push(shown);
    }
}

/// Tags that are asked for before any of them is moved.
const AHEAD: usize = 256;
/// Tags that are asked for at the same time.
const AT_ONCE: usize = 8;

//! Events for others, in the envelope of distribution (events v2): pushes, mounts and deletes are put into the queue by
//! the unit of work that does them, pulls a moment later.
//!
//! ```text
//! push, mount, delete ── announcer ─────────────> queue in the database ─> endpoints
//! pull ── buffer in memory ─ once a second ─────┘
//! ```

mod interest;
mod pull_events;
mod record;

use std::{fmt, sync::Arc};

use http::{header, request::Parts};
use portpass_protocol::{
    ClientAddress, Digest, Origin, RepositoryName, RequestId, Tag,
    manifest::{Links, MediaType},
};
use portpass_state::{Announced, Announcer, EventId, NewEvent};
use portpass_token::{Clock, Random};

use self::record::{Actor, Event, Reference, Request, Target};
pub use self::{
    interest::{EventAction, Interest, UnknownAction},
    pull_events::PullEvents,
    record::Source,
};
use crate::location;

/// What the media type of an envelope is.
pub const EVENTS_MEDIA_TYPE: &str = "application/vnd.docker.distribution.events.v2+json";

/// Makes events of what happens.
pub struct Notifications {
    settings: NotificationSettings,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    pulls: Arc<PullEvents>,
}

/// Which events are made, and what they say.
#[derive(Debug)]
pub struct NotificationSettings {
    /// What the endpoints want to be told. An event that none of them wants is not made.
    pub interests: Vec<Interest>,
    /// Whether events of manifests name what the manifest refers to.
    pub references: bool,
    /// Who this registry is.
    pub source: Source,
}

/// Who did something, and by which request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cause {
    actor: Actor,
    request: Request,
    origin: Option<Origin>,
    references: Vec<Reference>,
}

/// What was pulled.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pulled<'a> {
    Manifest { bytes: &'a [u8], media_type: &'a str, digest: &'a Digest, tag: Option<&'a Tag> },
    Blob { digest: &'a Digest, size: u64 },
}

impl Notifications {
    /// Of these settings. Pull events wait in `pulls` for being written.
    pub fn new(
        settings: NotificationSettings,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        pulls: Arc<PullEvents>,
    ) -> Self {
        Self { settings, clock, random, pulls }
    }

    /// What makes events of the units of work that this cause has.
    pub(crate) fn announcer(self: &Arc<Self>, cause: Cause) -> Announcer {
        let this = Arc::clone(self);
        Announcer::new(move |repository, what| this.announce(repository, what, &cause))
    }

    /// Whoever reads the queue may find something new in it.
    pub(crate) fn ring(&self) {
        self.pulls.ring();
    }

    /// Something was pulled.
    pub(crate) fn pulled(&self, repository: &RepositoryName, pulled: Pulled<'_>, cause: &Cause) {
        let (media_type, target) = match pulled {
            Pulled::Manifest { bytes, media_type, digest, tag } => {
                if !self.is_wanted(EventAction::Pull, media_type) {
                    return;
                }
                let kind = MediaType::from_content_type(media_type).ok();
                let kind = kind.filter(|_| self.settings.references);
                let links = kind.and_then(|kind| Links::parse(bytes, kind).ok());
                let mut target =
                    manifest(repository, digest, media_type, bytes.len() as u64, cause);
                target.tag = tag.map(Tag::to_string);
                target.references = links.as_ref().map(references).unwrap_or_default();
                (media_type, target)
            }
            Pulled::Blob { digest, size } => {
                (BLOB_MEDIA_TYPE, blob(repository, digest, size, cause))
            }
        };
        let action = EventAction::Pull;
        if let Some(event) = self.event(action, repository, media_type, target, cause) {
            self.pulls.add(event);
        }
    }

    fn announce(
        &self,
        repository: &RepositoryName,
        what: Announced<'_>,
        cause: &Cause,
    ) -> Vec<NewEvent> {
        let event = |action, media_type: &str, target| {
            self.event(action, repository, media_type, target, cause).into_iter().collect()
        };
        match what {
            Announced::ManifestPut { digest, media_type, size, tags } => {
                let target = manifest(repository, digest, media_type, size, cause);
                self.manifest_put(repository, media_type, target, tags, cause)
            }
            Announced::ManifestDeleted { digest, tags } => {
                // distribution tells of the tags that go with a manifest one by one, without the digest.
                let mut events: Vec<_> =
                    event(EventAction::Delete, "", deleted(repository, Some(digest), None));
                for tag in tags {
                    let target = deleted(repository, None, Some(tag));
                    events.extend(self.event(EventAction::Delete, repository, "", target, cause));
                }
                events
            }
            Announced::TagDeleted(tag) => {
                event(EventAction::Delete, "", deleted(repository, None, Some(tag)))
            }
            Announced::BlobCommitted { digest, size } => {
                event(EventAction::Push, BLOB_MEDIA_TYPE, blob(repository, digest, size, cause))
            }
            Announced::BlobMounted { digest, size, from } => {
                let mut target = blob(repository, digest, size, cause);
                target.from_repository = Some(from.to_string());
                event(EventAction::Mount, BLOB_MEDIA_TYPE, target)
            }
            Announced::BlobDeleted(digest) => {
                event(EventAction::Delete, "", deleted(repository, Some(digest), None))
            }
        }
    }

    /// One event for each tag, or one without.
    fn manifest_put(
        &self,
        repository: &RepositoryName,
        media_type: &str,
        target: Target,
        tags: &[Tag],
        cause: &Cause,
    ) -> Vec<NewEvent> {
        if !self.is_wanted(EventAction::Push, media_type) {
            return Vec::new();
        }
        let target = Target { references: cause.references.clone(), ..target };
        let tags = tags.iter().map(Some).chain(tags.is_empty().then_some(None));
        let event = |tag: Option<&Tag>| {
            let target = Target { tag: tag.map(Tag::to_string), ..target.clone() };
            self.event(EventAction::Push, repository, media_type, target, cause)
        };
        tags.filter_map(event).collect()
    }

    /// None where nobody wants it.
    fn event(
        &self,
        action: EventAction,
        repository: &RepositoryName,
        media_type: &str,
        target: Target,
        cause: &Cause,
    ) -> Option<NewEvent> {
        if !self.is_wanted(action, media_type) {
            return None;
        }
        let mut bits = [0; 16];
        self.random.fill(&mut bits);
        let (id, at) = (EventId::from_random(bits), self.clock.now());
        let event = Event {
            id: id.to_string(),
            timestamp: record::timestamp(at),
            action: action.as_str(),
            target,
            request: &cause.request,
            actor: &cause.actor,
            source: &self.settings.source,
        };
        Some(NewEvent {
            id,
            at,
            action: action.as_str(),
            repository: repository.clone(),
            media_type: media_type.to_owned(),
            document: event.to_json(),
        })
    }

    fn is_wanted(&self, action: EventAction, media_type: &str) -> bool {
        self.settings.interests.iter().any(|it| it.wants(action.as_str(), media_type))
    }
}

impl fmt::Debug for Notifications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifications").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Cause {
    /// What the registry does by itself; it has names for that.
    pub(crate) fn by_itself(name: &str) -> Self {
        Self { actor: Actor { name: name.to_owned() }, ..Self::default() }
    }

    /// A request, and who made it.
    pub(crate) fn of(subject: &str, head: &Parts) -> Self {
        let origin: Option<&Origin> = head.extensions.get();
        let address: Option<&ClientAddress> = head.extensions.get();
        let id: Option<&RequestId> = head.extensions.get();
        let agent = head.headers.get(header::USER_AGENT);
        Self {
            actor: Actor { name: subject.to_owned() },
            request: Request {
                id: id.map(|RequestId(id)| id.clone()).unwrap_or_default(),
                addr: address.map(|ClientAddress(address)| address.to_string()).unwrap_or_default(),
                host: origin.map(|origin| origin.authority.to_string()).unwrap_or_default(),
                method: head.method.to_string(),
                useragent: agent
                    .map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned())
                    .unwrap_or_default(),
            },
            origin: origin.cloned(),
            references: Vec::new(),
        }
    }

    /// The same, where a manifest with these links is pushed.
    pub(crate) fn referring(self, links: &Links) -> Self {
        Self { references: references(links), ..self }
    }

    fn url(&self, path: &str) -> Option<String> {
        self.origin.as_ref().map(|origin| origin.join(path))
    }
}

fn references(links: &Links) -> Vec<Reference> {
    let all = links.config.iter().chain(&links.layers).chain(&links.manifests);
    all.map(Reference::from).collect()
}

fn manifest(
    repository: &RepositoryName,
    digest: &Digest,
    media_type: &str,
    size: u64,
    cause: &Cause,
) -> Target {
    let url = cause.url(&location::manifest(repository, digest));
    Target::of(repository, media_type, digest, size, url)
}

fn blob(repository: &RepositoryName, digest: &Digest, size: u64, cause: &Cause) -> Target {
    let url = cause.url(&location::blob(repository, digest));
    Target::of(repository, BLOB_MEDIA_TYPE, digest, size, url)
}

fn deleted(repository: &RepositoryName, digest: Option<&Digest>, tag: Option<&Tag>) -> Target {
    Target {
        digest: digest.map(Digest::to_string),
        repository: repository.to_string(),
        tag: tag.map(Tag::to_string),
        ..Target::default()
    }
}

/// What blobs are called in events, whatever manifests say of them.
const BLOB_MEDIA_TYPE: &str = "application/octet-stream";

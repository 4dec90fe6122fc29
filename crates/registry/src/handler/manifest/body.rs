//! The body of a manifest, of which never more is held than there is room for.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use futures_util::TryStreamExt as _;
use http::header;
use portpass_protocol::{RepositoryName, manifest::MAX_LENGTH};
use tokio::time::{Instant, timeout_at};

use super::Call;
use crate::{
    access,
    error::Error,
    intake::{Intake, Room, SMALL, Sender},
};

/// A body that has come. Its room is taken for as long as this is held.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Bytes,
    _room: Room,
}

/// Reads the body: no more than a manifest may have (OC16, CVE-2017-11468), no longer than
/// [`WHOLE`], and not beyond the end of the token that it was begun with.
pub(super) async fn receive(call: &mut Call, name: &RepositoryName) -> Result<Received, Error> {
    let announced = call.head.headers.get(header::CONTENT_LENGTH);
    let announced: Option<usize> = announced.and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length| length > MAX_LENGTH) {
        return Err(Error::ManifestTooLong);
    }
    let body = std::mem::take(&mut call.body);
    let sender =
        Sender { account: call.grant.subject(), address: call.head.extensions.get().copied() };
    let intake = call.registry.intake();
    let room = intake.room(sender, announced.unwrap_or(SMALL)).await?;
    let mut coming = Coming::new(body, room, call);
    coming.read(intake, sender).await.map_err(|stopped| match stopped {
        Stopped::Refused(error) => error,
        Stopped::Ended => access::outlived(call.registry.guard(), &call.head, name, &call.grant)
            .map_or(Error::Origin, Error::Outlived),
    })?;
    let Coming { held, room, .. } = coming;
    Ok(Received { bytes: held.into(), _room: room })
}

/// A body on its way.
struct Coming {
    pieces: BodyDataStream,
    /// Copied together: a piece as it came may hold a whole buffer of the connection.
    held: Vec<u8>,
    room: Room,
    end: End,
}

/// When it must have come.
#[derive(Clone, Copy)]
enum End {
    Body(Instant),
    Token(Instant),
}

/// Why it is not read to its end.
enum Stopped {
    /// The token has ended.
    Ended,
    Refused(Error),
}

impl Coming {
    fn new(body: Body, room: Room, call: &Call) -> Self {
        let now = Instant::now();
        // A token that ends at once is good for a moment still: it was when the request came.
        let left = call.grant.left(call.registry.now()).map(|left| left.max(MOMENT));
        let end = match left.filter(|left| *left < WHOLE) {
            Some(left) => End::Token(now + left),
            None => End::Body(now + WHOLE),
        };
        let held = Vec::with_capacity(room.length());
        Self { pieces: body.into_data_stream(), held, room, end }
    }

    async fn read(&mut self, intake: &Intake, sender: Sender<'_>) -> Result<(), Stopped> {
        while let Some(piece) = self.next().await? {
            if self.held.len() + piece.len() > self.room.length() {
                self.grow(intake, sender).await.map_err(Stopped::Refused)?;
            }
            if self.held.len() + piece.len() > MAX_LENGTH {
                return Err(Stopped::Refused(Error::ManifestTooLong));
            }
            self.held.extend_from_slice(&piece);
        }
        Ok(())
    }

    /// What did not say how long it is may be as long as any.
    async fn grow(&mut self, intake: &Intake, sender: Sender<'_>) -> Result<(), Error> {
        if self.room.length() < MAX_LENGTH {
            self.room = intake.room(sender, MAX_LENGTH).await?;
            self.held.reserve_exact(MAX_LENGTH - self.held.len());
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Stopped> {
        let end = match self.end {
            End::Body(end) | End::Token(end) => end,
        };
        let still = Instant::now() + STILL;
        let broken = |reason| Stopped::Refused(Error::BodyBroken { reason });
        match timeout_at(end.min(still), self.pieces.try_next()).await {
            Ok(next) => next.map_err(|error| broken(error.into_inner().to_string())),
            Err(_) if still < end => Err(broken(format!("nothing came for {} s", STILL.as_secs()))),
            Err(_) => Err(match self.end {
                End::Token(_) => Stopped::Ended,
                End::Body(_) => broken(format!(
                    "the whole of a manifest has to come within {} s",
                    WHOLE.as_secs()
                )),
            }),
        }
    }
}

/// For the whole of a manifest: 4 MiB over a line of 300 kbit/s.
const WHOLE: Duration = Duration::from_mins(2);

/// For the next piece of it. Shorter than for a blob: it takes room from others.
const STILL: Duration = Duration::from_secs(30);

/// For a body whose token ends as it begins.
const MOMENT: Duration = Duration::from_secs(10);

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
    manifest_budget::{ManifestBudget, Reservation, SMALL, Sender},
};

/// A body that has come. Its room is taken for as long as this is held.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Bytes,
    _reservation: Reservation,
}

/// Reads the body: no more than a manifest may have (OC16, CVE-2017-11468), no longer than
/// [`BODY_TIMEOUT`], and not beyond the end of the token that it was begun with.
pub(super) async fn receive(call: &mut Call, name: &RepositoryName) -> Result<Received, Error> {
    let announced = call.head.headers.get(header::CONTENT_LENGTH);
    let announced: Option<usize> = announced.and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length| length > MAX_LENGTH) {
        return Err(Error::ManifestTooLong);
    }
    let body = std::mem::take(&mut call.body);
    let sender =
        Sender { account: call.grant.subject(), address: call.head.extensions.get().copied() };
    let budget = call.registry.manifest_budget();
    let reservation = budget.reserve(sender, announced.unwrap_or(SMALL)).await?;
    let mut incoming = IncomingBody::new(body, reservation, call);
    incoming.read(budget, sender).await.map_err(|stopped| match stopped {
        Stopped::Refused(error) => error,
        Stopped::TokenExpired => {
            access::token_expired(call.registry.guard(), &call.head, name, &call.grant)
                .map_or(Error::Origin, Error::TokenExpired)
        }
    })?;
    let IncomingBody { held, reservation, .. } = incoming;
    Ok(Received { bytes: held.into(), _reservation: reservation })
}

/// A body on its way.
struct IncomingBody {
    pieces: BodyDataStream,
    /// Copied together: a piece as it came may hold a whole buffer of the connection.
    held: Vec<u8>,
    reservation: Reservation,
    end: Deadline,
}

/// When it must have come.
#[derive(Clone, Copy)]
enum Deadline {
    Body(Instant),
    Token(Instant),
}

/// Why it is not read to its end.
enum Stopped {
    /// The token has ended.
    TokenExpired,
    Refused(Error),
}

impl IncomingBody {
    fn new(body: Body, reservation: Reservation, call: &Call) -> Self {
        let now = Instant::now();
        // A token that ends at once is good for a moment still: it was when the request came.
        let left = call.grant.left(call.registry.now()).map(|left| left.max(MIN_TOKEN_TIME));
        let end = match left.filter(|left| *left < BODY_TIMEOUT) {
            Some(left) => Deadline::Token(now + left),
            None => Deadline::Body(now + BODY_TIMEOUT),
        };
        let held = Vec::with_capacity(reservation.length());
        Self { pieces: body.into_data_stream(), held, reservation, end }
    }

    async fn read(&mut self, budget: &ManifestBudget, sender: Sender<'_>) -> Result<(), Stopped> {
        while let Some(piece) = self.next().await? {
            if self.held.len() + piece.len() > self.reservation.length() {
                self.grow(budget, sender).await.map_err(Stopped::Refused)?;
            }
            if self.held.len() + piece.len() > MAX_LENGTH {
                return Err(Stopped::Refused(Error::ManifestTooLong));
            }
            self.held.extend_from_slice(&piece);
        }
        Ok(())
    }

    /// What did not say how long it is may be as long as any.
    async fn grow(&mut self, budget: &ManifestBudget, sender: Sender<'_>) -> Result<(), Error> {
        if self.reservation.length() < MAX_LENGTH {
            self.reservation = budget.reserve(sender, MAX_LENGTH).await?;
            self.held.reserve_exact(MAX_LENGTH - self.held.len());
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Stopped> {
        let end = match self.end {
            Deadline::Body(end) | Deadline::Token(end) => end,
        };
        let still = Instant::now() + STALL_TIMEOUT;
        let broken = |reason| Stopped::Refused(Error::BodyBroken { reason });
        match timeout_at(end.min(still), self.pieces.try_next()).await {
            Ok(next) => next.map_err(|error| broken(error.into_inner().to_string())),
            Err(_) if still < end => {
                Err(broken(format!("nothing came for {} s", STALL_TIMEOUT.as_secs())))
            }
            Err(_) => Err(match self.end {
                Deadline::Token(_) => Stopped::TokenExpired,
                Deadline::Body(_) => broken(format!(
                    "the whole of a manifest has to come within {} s",
                    BODY_TIMEOUT.as_secs()
                )),
            }),
        }
    }
}

/// For the whole of a manifest: 4 MiB over a line of 300 kbit/s.
const BODY_TIMEOUT: Duration = Duration::from_mins(2);

/// For the next piece of it. Shorter than for a blob: it takes room from others.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// For a body whose token ends as it begins.
const MIN_TOKEN_TIME: Duration = Duration::from_secs(10);

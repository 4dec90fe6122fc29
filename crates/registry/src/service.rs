//! The registry as a service: one way in for every request.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{body::Body, response::Response};
use http::{Request, request::Parts};
use portpass_protocol::{Origin, RequestOutcome};

use crate::{
    access::{self, Authorized},
    credentials::Caller,
    error::Error,
    handler,
    notification::Cause,
    registry::Registry,
    respond,
    route::Route,
};

impl Registry {
    /// The whole way of a request. There is no other door to a handler.
    ///
    /// The listener has put the address that the client used into the request's extensions
    /// ([`Origin`]). The answer's extensions say who asked and why they were refused ([`RequestOutcome`]):
    /// whoever writes the access log writes it there, beside the request's id.
    pub async fn handle(&self, request: Request<Body>) -> Response {
        let (head, body) = request.into_parts();
        let method = head.method.clone();
        let response = self.answer(head, body).await;
        respond::finish(&method, response)
    }

    async fn answer(&self, head: Parts, body: Body) -> Response {
        if head.uri.path() == "/" {
            // Load balancers ask here whether anybody is alive (AR15).
            return Response::new(Body::empty());
        }
        let route = match Route::parse(&head.method, &head.uri) {
            Ok(route) => route,
            Err(error) => return respond::route_error(&error),
        };
        let Some(origin) = head.extensions.get::<Origin>() else {
            return respond::error(&Error::Origin, "");
        };
        match access::authorize(self.guard(), Caller::of(&head), route, origin).await {
            Ok(authorized) => self.serve(authorized, head, body).await,
            Err(denied) => respond::denied(&denied),
        }
    }

    async fn serve(&self, authorized: Authorized, head: Parts, body: Body) -> Response {
        let subject = authorized.grant().subject().to_owned();
        if let (true, Some(allow)) = (self.is_read_only(), authorized.route().reads_beside_write())
        {
            return respond::error(&Error::ReadOnly { allow }, &subject);
        }
        let registry = if head.method.is_safe() {
            self.clone()
        } else {
            self.on_behalf_of(&subject, head.extensions.get().copied())
                .announcing(Cause::of(&subject, &head))
        };
        let writes = !head.method.is_safe();
        let served = handler::serve(authorized, registry, head, body).await;
        if let (true, Some(notifications)) = (writes, self.notifications()) {
            notifications.ring();
        }
        match served {
            Ok(mut response) => {
                response.extensions_mut().insert(RequestOutcome::served(subject));
                response
            }
            Err(error) => respond::error(&error, &subject),
        }
    }
}

impl tower::Service<Request<Body>> for Registry {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let registry = self.clone();
        Box::pin(async move { Ok(registry.handle(request).await) })
    }
}

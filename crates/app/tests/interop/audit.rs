//! Looks into a registry without any of the clients that are tried on it.

use portpass_protocol::Digest;
use portpass_testkit::{Image, RegistryAddress};
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, header};
use serde_json::Value;

use crate::stage::{ACCOUNT, PASSWORD};

/// Reads what a registry has, as one account.
pub(crate) struct Auditor {
    http: Client,
    account: &'static str,
}

/// What a tag points at.
pub(crate) struct Manifest {
    pub(crate) digest: Digest,
    pub(crate) content: Value,
}

impl Auditor {
    /// As the account that everything is done with.
    pub(crate) fn of(place: &RegistryAddress) -> Self {
        Self::named(ACCOUNT, place)
    }

    pub(crate) fn named(account: &'static str, place: &RegistryAddress) -> Self {
        // The server's drain waits for an answer on HTTP/2, which a test that waits for the server's end
        // does not give.
        let mut http = Client::builder().no_proxy().http1_only();
        if let Some(authority) = place.authority() {
            let authority = Certificate::from_pem(&std::fs::read(authority).unwrap()).unwrap();
            http = http.tls_certs_only([authority]);
        }
        Self { http: http.build().unwrap(), account }
    }

    /// The manifest of a tag, if it is there; its digest is computed here.
    pub(crate) async fn manifest(&self, image: &Image) -> Option<Manifest> {
        let path = format!("/v2/{}/manifests/{}", image.repository(), image.tag());
        let accepted = [
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.docker.distribution.manifest.list.v2+json",
            "application/vnd.docker.distribution.manifest.v2+json",
        ];
        let url = format!("{}{path}", image.place.url());
        let ask = || self.http.get(&url).header(header::ACCEPT, accepted.join(", "));
        let answer = self.send(ask).await;
        if answer.status() == StatusCode::NOT_FOUND {
            return None;
        }
        assert_eq!(answer.status(), StatusCode::OK, "{url}");
        let body = answer.bytes().await.unwrap();
        let content = serde_json::from_slice(&body).unwrap();
        Some(Manifest { digest: Digest::sha256(&body), content })
    }

    /// Asks for a path, and again with what the challenge says.
    pub(crate) async fn get(&self, place: &RegistryAddress, path: &str) -> Response {
        let url = format!("{}{path}", place.url());
        self.send(|| self.http.get(&url)).await
    }

    /// Sends a request, and again with what its challenge asks for.
    pub(crate) async fn send(&self, request: impl Fn() -> RequestBuilder) -> Response {
        let answer = request().send().await.unwrap();
        if answer.status() != StatusCode::UNAUTHORIZED {
            return answer;
        }
        let header = answer.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
        if header.starts_with("Basic") {
            return request().basic_auth(self.account, Some(PASSWORD)).send().await.unwrap();
        }
        let token = self.token(header).await;
        request().bearer_auth(token).send().await.unwrap()
    }

    async fn token(&self, header: &str) -> String {
        let challenges = portpass_protocol::challenge::parse([header]);
        let bearer = challenges.bearer().unwrap();
        let asked = ["service", "scope"].map(|name| (name, bearer.parameter(name).unwrap_or("")));
        let request = self.http.get(bearer.parameter("realm").unwrap()).query(&asked);
        let answer = request.basic_auth(self.account, Some(PASSWORD)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        body["token"].as_str().unwrap().to_owned()
    }
}

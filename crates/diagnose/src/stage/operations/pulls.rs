//! Manifests, blobs, and what anonymous clients get.

use portpass_client::credentials::Credential;
use portpass_protocol::{
    Digest, Reference, RepositoryName, challenge::KnownClient, token_response,
};
use reqwest::{Method, StatusCode, header::ACCEPT};
use secrecy::SecretString;
use serde_json::Value;

use super::{
    answer::{broken_answer, describe, is_denied, out_of_requests},
    caller::{self, LOGIN, REPOSITORY},
    redirect,
};
use crate::{
    Check, Finding, Needs,
    exchange::{Authorization, Request, Response},
    observations::RequiredAuth,
    probe::RequestError,
    run::Run,
};

/// OPS-01 and OPS-02.
pub(super) async fn check(run: &mut Run) {
    let both = [Check::Ops01, Check::Ops02];
    let Some(name) = run.target.repository.clone() else { return run.skip(&both, &REPOSITORY) };
    let authorization = match caller::authorization(run) {
        Ok(authorization) => authorization,
        Err(needs) => return run.skip(&both, &needs),
    };
    let image = Image { name, authorization };
    let reference = match run.target.reference.clone() {
        Some(reference) => reference,
        None => match image.first_tag(run).await {
            Ok(reference) => reference,
            Err(needs) => return run.skip(&both, &needs),
        },
    };
    let Some(manifest) = image.compare(run, &reference).await else {
        let why = if run.has_passed(Check::Ops01) {
            Needs::Nothing("another registry has the image")
        } else {
            Needs::Check(Check::Ops01)
        };
        return run.skip(&[Check::Ops02], &why);
    };
    match image.blob(run, &manifest).await {
        Some(blob) => image.fetch(run, &blob).await,
        None => run.skip(&[Check::Ops02], &Needs::Nothing("the manifest names no blob")),
    }
}

/// OPS-08: F109, F142.
pub(super) async fn compare_with_anonymous(run: &mut Run) {
    let Some(name) = run.target.repository.clone() else {
        return run.skip(&[Check::Ops08], &REPOSITORY);
    };
    let Some(credential) = run.observed.credential.clone() else {
        return run.skip(&[Check::Ops08], &LOGIN);
    };
    let Some(nobody) = as_anonymous(run, &name).await else {
        return run.skip(&[Check::Ops08], &Needs::Check(Check::Tok01));
    };
    let refused = [Check::Tok02, Check::Tok03, Check::Acc01, Check::Use03];
    let refused = refused.into_iter().find(|check| run.failed(*check));
    let caller = credential.credential.username().unwrap_or("a logged-in user").to_owned();
    let finding = match (nobody, refused) {
        (true, Some(check)) => {
            let logout = match &credential.credential {
                Credential::Password { .. } | Credential::IdentityToken { .. } => format!(
                    "`docker logout {host}`, if {} is stale; otherwise give {caller} the right to pull what everybody may pull",
                    credential.place,
                    host = run.target.host
                ),
                Credential::RegistryToken(_) => "remove `registrytoken` from the file".to_owned(),
            };
            Finding::fail(
                Check::Ops08,
                format!("everybody may pull {name}, but not with the credential of {caller}"),
            )
            .evidence(format!("it works without credentials; with them, {check} fails"))
            .breaks(&KnownClient::ALL)
            .fix(logout)
            .rows(&["F142", "F109"])
        }
        (false, Some(check)) => return run.skip(&[Check::Ops08], &Needs::Check(check)),
        (true, None) => {
            Finding::pass(Check::Ops08, format!("everybody may pull {name}, and so may {caller}"))
        }
        (false, None) => Finding::pass(
            Check::Ops08,
            format!("{caller} may pull {name}; anonymous users may not"),
        ),
    };
    run.record(finding);
}

/// Whether the repository is served without a login; `None` if that was not seen.
async fn as_anonymous(run: &Run, name: &RepositoryName) -> Option<bool> {
    let plain = run.observed.repository.as_ref();
    if plain.is_some_and(|response| response.status.is_success()) {
        return Some(true);
    }
    match &run.observed.required_auth {
        Some(RequiredAuth::Bearer { .. }) => {}
        Some(RequiredAuth::Basic | RequiredAuth::Nothing) => {
            return plain.map(|response| !is_denied(response));
        }
        None => return None,
    }
    let answer = run.observed.answers.anonymous.as_ref()?;
    let read = (answer.status == StatusCode::OK).then(|| token_response::read(&answer.body));
    let Some(Ok(read)) = read else { return Some(false) };
    let token = Authorization::Bearer(SecretString::from(read.token));
    let url = run.url(&format!("/v2/{name}/tags/list"))?;
    let response = run.probe.send(&Request::get(url).with(token)).await.ok()?;
    Some(!is_denied(&response))
}

/// Images of one repository, as one caller sees them.
struct Image {
    name: RepositoryName,
    authorization: Authorization,
}

impl Image {
    async fn first_tag(&self, run: &Run) -> Result<Reference, Needs> {
        let none = Needs::Nothing("the repository has no tag");
        let request = self.ask(run, Method::GET, "tags/list").ok_or(none.clone())?;
        match run.probe.send(&request).await {
            Ok(response) if is_denied(&response) => Err(Needs::Check(Check::Use03)),
            Ok(response) => {
                let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
                let tag = body["tags"][0].as_str();
                tag.and_then(|tag| tag.parse().ok()).ok_or(none)
            }
            Err(error) => Err(out_of_requests(&error).unwrap_or(none)),
        }
    }

    /// OPS-01; the manifest, if it is there.
    async fn compare(&self, run: &mut Run, reference: &Reference) -> Option<Value> {
        let path = format!("manifests/{reference}");
        let get = self.ask(run, Method::GET, &path)?;
        let head = self.ask(run, Method::HEAD, &path)?;
        let got = run.probe.send(&get).await;
        let response = match self.judged(&get, &got, reference) {
            Ok(response) => response,
            Err(finding) => {
                run.record(*finding);
                return None;
            }
        };
        let headed = run.probe.send(&head).await;
        run.record(
            agree(&response, &headed)
                .evidence(describe(&get, &got))
                .evidence(describe(&head, &headed)),
        );
        serde_json::from_slice(&response.body).ok()
    }

    /// The answer to a GET of a manifest, or what is wrong with it.
    fn judged(
        &self,
        request: &Request,
        answer: &Result<Response, RequestError>,
        reference: &Reference,
    ) -> Result<Response, Box<Finding>> {
        let named = format!("{}:{reference}", self.name);
        let finding = match answer {
            Ok(response) if response.status == StatusCode::OK && !response.is_html() => {
                return Ok(response.clone());
            }
            Ok(response) if response.status == StatusCode::NOT_FOUND && !response.is_html() => {
                Finding::warn(Check::Ops01, format!("there is no {named}"))
                    .fix("check the spelling of the tag, or push it")
            }
            Ok(response) if response.status.is_redirection() => {
                let to = response.header("location").and_then(|to| request.url.join(to).ok());
                let to = to.map(|to| to.origin().ascii_serialization()).unwrap_or_default();
                Finding::pass(Check::Ops01, format!("the registry redirects to {to} for manifests"))
                    .evidence("`diagnose` sent nothing there: run it for that registry by its own name")
            }
            Ok(response) => broken_answer(Check::Ops01, &format!("the manifest of {named}"), response),
            Err(error) => match out_of_requests(error) {
                Some(needs) => Finding::skip(Check::Ops01, needs),
                None => Finding::fail(Check::Ops01, format!("{named} gets no response: {error}"))
                    .fix("look for the request in the log of the registry, and in that of the proxy in front of it"),
            },
        };
        Err(Box::new(finding.evidence(describe(request, answer))))
    }

    /// A small blob of an image: its configuration. Of an index, that of its first image.
    async fn blob(&self, run: &Run, manifest: &Value) -> Option<Digest> {
        let inner = manifest["manifests"][0]["digest"].as_str();
        let manifest = match inner.and_then(|digest| digest.parse::<Digest>().ok()) {
            None => manifest.clone(),
            Some(digest) => {
                let request = self.ask(run, Method::GET, &format!("manifests/{digest}"))?;
                let response = run.probe.send(&request).await.ok()?;
                serde_json::from_slice(&response.body).ok()?
            }
        };
        let layer = &manifest["layers"][0]["digest"];
        manifest["config"]["digest"].as_str().or(layer.as_str())?.parse().ok()
    }

    /// OPS-02.
    async fn fetch(&self, run: &mut Run, blob: &Digest) {
        let Some(request) = self.ask(run, Method::GET, &format!("blobs/{blob}")) else { return };
        let answer = run.probe.send(&request).await;
        let finding = match &answer {
            Ok(response) if response.status.is_redirection() => redirect::judge(run, &request.url, response).await,
            Ok(response) if response.status.is_success() => {
                Finding::pass(Check::Ops02, "the registry serves blobs itself")
            }
            Ok(response) => broken_answer(Check::Ops02, "a blob of the image", response),
            Err(error) => match out_of_requests(error) {
                Some(needs) => Finding::skip(Check::Ops02, needs),
                None => Finding::fail(Check::Ops02, format!("a blob gets no response: {error}"))
                    .fix("look for the request in the log of the registry, and in that of the proxy in front of it"),
            },
        };
        run.record(finding.evidence(describe(&request, &answer)));
    }

    fn ask(&self, run: &Run, method: Method, path: &str) -> Option<Request> {
        let url = run.url(&format!("/v2/{}/{path}", self.name))?;
        let mut request = Request::new(method, url).with(self.authorization.clone());
        request.headers.push((ACCEPT, MANIFESTS.join(", ")));
        Some(request)
    }
}

fn agree(get: &Response, head: &Result<Response, RequestError>) -> Finding {
    let head = match head {
        Ok(head) => head,
        Err(error) => {
            return match out_of_requests(error) {
                Some(needs) => Finding::skip(Check::Ops01, needs),
                None => Finding::fail(
                    Check::Ops01,
                    format!("GET of the manifest gets a response, but HEAD does not: {error}"),
                )
                .breaks(&[KnownClient::Containerd])
                .fix(PASS_HEAD),
            };
        }
    };
    if head.status != get.status {
        let summary =
            format!("HEAD of the manifest returns {}, but GET returns {}", head.status, get.status);
        return Finding::fail(Check::Ops01, summary)
            .evidence("containerd, and so Kubernetes, sends HEAD first")
            .breaks(&[KnownClient::Containerd])
            .fix(PASS_HEAD);
    }
    let (got, headed) = (get.header(DIGEST), head.header(DIGEST));
    match (got, headed) {
        (Some(got), Some(headed)) if got != headed => Finding::fail(
            Check::Ops01,
            "HEAD and GET of one tag have different digests",
        )
        .breaks(&KnownClient::ALL)
        .fix("there are several registries behind one name: they need one storage, and no cache in front"),
        (_, None) => Finding::warn(Check::Ops01, format!("HEAD of the manifest has no {DIGEST}"))
            .fix(format!("the proxy must pass {DIGEST}; without it, clients fetch the manifest to compute it")),
        _ => Finding::pass(Check::Ops01, "HEAD and GET of the manifest agree"),
    }
}

const DIGEST: &str = "docker-content-digest";
const PASS_HEAD: &str =
    "let HEAD through to the registry: usually a proxy or firewall rule allows only GET";
const MANIFESTS: &[&str] = &[
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "*/*",
];

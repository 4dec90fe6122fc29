//! Manifests, blobs, and what those get who do not log in.

use portpass_client::credentials::Credential;
use portpass_protocol::{Digest, Reference, RepositoryName, challenge::Peer, token_response};
use reqwest::{Method, StatusCode, header::ACCEPT};
use secrecy::SecretString;
use serde_json::Value;

use super::{
    caller::{self, LOGIN, REPOSITORY, is_denied, spent, told},
    redirect,
};
use crate::{
    Check, Finding, Needs,
    case::Case,
    facts::Demand,
    probe::{Ask, Authorization, Seen, Silence},
};

/// OPS-01 and OPS-02.
pub(super) async fn run(case: &mut Case) {
    let both = [Check::Ops01, Check::Ops02];
    let Some(name) = case.target.repository.clone() else { return case.skip(&both, &REPOSITORY) };
    let authorization = match caller::authorization(case) {
        Ok(authorization) => authorization,
        Err(needs) => return case.skip(&both, &needs),
    };
    let image = Image { name, authorization };
    let reference = match case.target.reference.clone() {
        Some(reference) => reference,
        None => match image.first_tag(case).await {
            Ok(reference) => reference,
            Err(needs) => return case.skip(&both, &needs),
        },
    };
    let Some(manifest) = image.compare(case, &reference).await else {
        let why = if case.has_passed(Check::Ops01) {
            Needs::Nothing("another registry has the image")
        } else {
            Needs::Check(Check::Ops01)
        };
        return case.skip(&[Check::Ops02], &why);
    };
    match image.blob(case, &manifest).await {
        Some(blob) => image.fetch(case, &blob).await,
        None => case.skip(&[Check::Ops02], &Needs::Nothing("the manifest names no blob")),
    }
}

/// OPS-08: F109, F142.
pub(super) async fn compare_with_nobody(case: &mut Case) {
    let Some(name) = case.target.repository.clone() else {
        return case.skip(&[Check::Ops08], &REPOSITORY);
    };
    let Some(credential) = case.facts.credential.clone() else {
        return case.skip(&[Check::Ops08], &LOGIN);
    };
    let Some(nobody) = as_nobody(case, &name).await else {
        return case.skip(&[Check::Ops08], &Needs::Check(Check::Tok01));
    };
    let refused = [Check::Tok02, Check::Tok03, Check::Acc01, Check::Use03];
    let refused = refused.into_iter().find(|check| case.failed(*check));
    let who = credential.credential.username().unwrap_or("whoever is logged in").to_owned();
    let finding = match (nobody, refused) {
        (true, Some(check)) => {
            let logout = match &credential.credential {
                Credential::Password { .. } | Credential::IdentityToken { .. } => format!(
                    "`docker logout {host}`, if {} is stale; else let {who} pull what everybody may",
                    credential.place,
                    host = case.target.host
                ),
                Credential::RegistryToken(_) => "take `registrytoken` out of the file".to_owned(),
            };
            Finding::fail(
                Check::Ops08,
                format!("anybody may pull {name}, but not with the credential of {who}"),
            )
            .seen(format!("without credentials it is served; with them, {check} fails"))
            .breaks(&Peer::ALL)
            .fix(logout)
            .rows(&["F142", "F109"])
        }
        (false, Some(check)) => return case.skip(&[Check::Ops08], &Needs::Check(check)),
        (true, None) => {
            Finding::pass(Check::Ops08, format!("anybody may pull {name}, and so may {who}"))
        }
        (false, None) => Finding::pass(
            Check::Ops08,
            format!("{who} may pull {name}; those who do not log in may not"),
        ),
    };
    case.found(finding);
}

/// Whether the repository is served without a login; `None` if that was not seen.
async fn as_nobody(case: &Case, name: &RepositoryName) -> Option<bool> {
    let plain = case.facts.repository.as_ref();
    if plain.is_some_and(|seen| seen.status.is_success()) {
        return Some(true);
    }
    match &case.facts.demand {
        Some(Demand::Bearer { .. }) => {}
        Some(Demand::Basic | Demand::Nothing) => return plain.map(|seen| !is_denied(seen)),
        None => return None,
    }
    let answer = case.facts.answers.anonymous.as_ref()?;
    let read = (answer.status == StatusCode::OK).then(|| token_response::read(&answer.body));
    let Some(Ok(read)) = read else { return Some(false) };
    let token = Authorization::Bearer(SecretString::from(read.token));
    let url = case.url(&format!("/v2/{name}/tags/list"))?;
    let seen = case.probe.ask(&Ask::get(url).with(token)).await.ok()?;
    Some(!is_denied(&seen))
}

/// Images of one repository, as one caller sees them.
struct Image {
    name: RepositoryName,
    authorization: Authorization,
}

impl Image {
    async fn first_tag(&self, case: &Case) -> Result<Reference, Needs> {
        let none = Needs::Nothing("the repository has no tag to look at");
        let ask = self.ask(case, Method::GET, "tags/list").ok_or(none.clone())?;
        match case.probe.ask(&ask).await {
            Ok(seen) if is_denied(&seen) => Err(Needs::Check(Check::Use03)),
            Ok(seen) => {
                let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
                let tag = body["tags"][0].as_str();
                tag.and_then(|tag| tag.parse().ok()).ok_or(none)
            }
            Err(silence) => Err(spent(&silence).unwrap_or(none)),
        }
    }

    /// OPS-01; the manifest, if it is there.
    async fn compare(&self, case: &mut Case, reference: &Reference) -> Option<Value> {
        let path = format!("manifests/{reference}");
        let get = self.ask(case, Method::GET, &path)?;
        let head = self.ask(case, Method::HEAD, &path)?;
        let got = case.probe.ask(&get).await;
        let seen = match self.judged(&get, &got, reference) {
            Ok(seen) => seen,
            Err(finding) => {
                case.found(*finding);
                return None;
            }
        };
        let headed = case.probe.ask(&head).await;
        case.found(agree(&seen, &headed).seen(told(&get, &got)).seen(told(&head, &headed)));
        serde_json::from_slice(&seen.body).ok()
    }

    /// The answer to a GET of a manifest, or what is wrong with it.
    fn judged(
        &self,
        ask: &Ask,
        answer: &Result<Seen, Silence>,
        reference: &Reference,
    ) -> Result<Seen, Box<Finding>> {
        let named = format!("{}:{reference}", self.name);
        let finding = match answer {
            Ok(seen) if seen.status == StatusCode::OK && !seen.is_html() => {
                return Ok(seen.clone());
            }
            Ok(seen) if seen.status == StatusCode::NOT_FOUND && !seen.is_html() => {
                Finding::warn(Check::Ops01, format!("there is no {named}"))
                    .fix("look at the tag's spelling, or push it")
            }
            Ok(seen) if seen.status.is_redirection() => {
                let to = seen.header("location").and_then(|to| ask.url.join(to).ok());
                let to = to.map(|to| to.origin().ascii_serialization()).unwrap_or_default();
                Finding::pass(Check::Ops01, format!("manifests are at {to}, where clients go on to"))
                    .seen("nothing was asked there: diagnose that registry by its own name")
            }
            Ok(seen) => broken_answer(Check::Ops01, &format!("the manifest of {named}"), seen),
            Err(silence) => match spent(silence) {
                Some(needs) => Finding::skip(Check::Ops01, needs),
                None => Finding::fail(Check::Ops01, format!("{named} is not answered: {silence}"))
                    .fix("look for the request in the registry's log, and in that of the proxy in front of it"),
            },
        };
        Err(Box::new(finding.seen(told(ask, answer))))
    }

    /// A small blob of an image: its configuration. Of an index, that of its first image.
    async fn blob(&self, case: &Case, manifest: &Value) -> Option<Digest> {
        let inner = manifest["manifests"][0]["digest"].as_str();
        let manifest = match inner.and_then(|digest| digest.parse::<Digest>().ok()) {
            None => manifest.clone(),
            Some(digest) => {
                let ask = self.ask(case, Method::GET, &format!("manifests/{digest}"))?;
                let seen = case.probe.ask(&ask).await.ok()?;
                serde_json::from_slice(&seen.body).ok()?
            }
        };
        let layer = &manifest["layers"][0]["digest"];
        manifest["config"]["digest"].as_str().or(layer.as_str())?.parse().ok()
    }

    /// OPS-02.
    async fn fetch(&self, case: &mut Case, blob: &Digest) {
        let Some(ask) = self.ask(case, Method::GET, &format!("blobs/{blob}")) else { return };
        let answer = case.probe.ask(&ask).await;
        let finding = match &answer {
            Ok(seen) if seen.status.is_redirection() => redirect::judge(case, &ask.url, seen).await,
            Ok(seen) if seen.status.is_success() => {
                Finding::pass(Check::Ops02, "the registry serves blobs itself")
            }
            Ok(seen) => broken_answer(Check::Ops02, "a blob of the image", seen),
            Err(silence) => match spent(silence) {
                Some(needs) => Finding::skip(Check::Ops02, needs),
                None => Finding::fail(Check::Ops02, format!("a blob is not answered: {silence}"))
                    .fix("look for the request in the registry's log, and in that of the proxy in front of it"),
            },
        };
        case.found(finding.seen(told(&ask, &answer)));
    }

    fn ask(&self, case: &Case, method: Method, path: &str) -> Option<Ask> {
        let url = case.url(&format!("/v2/{}/{path}", self.name))?;
        let mut ask = Ask::new(method, url).with(self.authorization.clone());
        ask.headers.push((ACCEPT, MANIFESTS.join(", ")));
        Some(ask)
    }
}

/// An answer that is none of a registry that has what it is asked for.
pub(super) fn broken_answer(check: Check, what: &str, seen: &Seen) -> Finding {
    if seen.is_html() {
        return Finding::fail(check, format!("{what} is answered with a page: {}", seen.status))
            .seen("docker says: error parsing HTTP response: invalid character '<' looking for beginning of value")
            .breaks(&Peer::ALL)
            .fix("the page is of a proxy in front of the registry: look for the request in its log. Let it pass errors of /v2/ on as they are")
            .rows(&["F126"]);
    }
    if seen.status == StatusCode::TOO_MANY_REQUESTS {
        return Finding::fail(check, format!("{what} is answered with 429: too many pulls"))
            .seen("the limit counts an account, or all who come from one address, as behind one NAT")
            .breaks(&Peer::ALL)
            .fix("wait, log in to have the limit of an account, or pull through a cache of one's own");
    }
    let fix = if is_denied(seen) {
        "the registry takes the token elsewhere in the same repository: look for the request in its log"
    } else {
        "look for the request in the registry's log"
    };
    let summary = format!("{what} is answered with {}", seen.status);
    Finding::fail(check, summary).breaks(&Peer::ALL).fix(fix)
}

fn agree(get: &Seen, head: &Result<Seen, Silence>) -> Finding {
    let head = match head {
        Ok(head) => head,
        Err(silence) => {
            return match spent(silence) {
                Some(needs) => Finding::skip(Check::Ops01, needs),
                None => Finding::fail(
                    Check::Ops01,
                    format!("GET of the manifest is answered, HEAD is not: {silence}"),
                )
                .breaks(&[Peer::Containerd])
                .fix(PASS_HEAD),
            };
        }
    };
    if head.status != get.status {
        let summary = format!("HEAD of the manifest is {}, GET is {}", head.status, get.status);
        return Finding::fail(Check::Ops01, summary)
            .seen("containerd, and with it Kubernetes, asks with HEAD first")
            .breaks(&[Peer::Containerd])
            .fix(PASS_HEAD);
    }
    let (got, headed) = (get.header(DIGEST), head.header(DIGEST));
    match (got, headed) {
        (Some(got), Some(headed)) if got != headed => Finding::fail(
            Check::Ops01,
            "HEAD and GET of one tag have different digests",
        )
        .breaks(&Peer::ALL)
        .fix("several registries answer behind one name: they need one storage, and no cache in front"),
        (_, None) => Finding::warn(Check::Ops01, format!("HEAD of the manifest has no {DIGEST}"))
            .fix(format!("let the proxy pass {DIGEST}; clients fetch the manifest to know it")),
        _ => Finding::pass(Check::Ops01, "HEAD and GET of the manifest agree"),
    }
}

const DIGEST: &str = "docker-content-digest";
const PASS_HEAD: &str = "let HEAD through to the registry: a proxy or a firewall rule that knows GET alone is the usual reason";
const MANIFESTS: &[&str] = &[
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "*/*",
];

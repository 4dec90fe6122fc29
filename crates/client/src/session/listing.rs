//! Lists that come in pages: tags and the catalog.

use std::{collections::HashSet, fmt::Display, str::FromStr};

use reqwest::{
    Method, StatusCode, Url,
    header::{CONTENT_ENCODING, HeaderMap, HeaderValue, LINK},
};
use serde::{Deserialize, Deserializer};

use super::{Error, Request, Session, Target};
use crate::{
    session::unexpected,
    transport::{BufferedResponse, StreamingResponse, resolve_location},
};

/// The longest page that is read, in bytes.
pub(crate) const MAX_PAGE: usize = 4 * 1024 * 1024;
/// How many bytes all pages of a list may have.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// How many entries are kept.
const MAX_ENTRIES: usize = 500_000;
/// How many pages are asked for (CVE-2023-46737).
const MAX_PAGES: usize = 1000;

/// Which list it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    Repositories,
    Tags,
}

/// A page; what other lists have is not there.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default, deserialize_with = "there")]
    repositories: Option<Vec<String>>,
    #[serde(default, deserialize_with = "there")]
    tags: Option<Vec<String>>,
}

/// `null` is there too; some registries say so of what is empty.
fn there<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Vec<String>>, D::Error> {
    Option::deserialize(value).map(|names: Option<_>| Some(names.unwrap_or_default()))
}

impl Session {
    /// All names of a list, page by page.
    pub(crate) async fn list<T>(&self, first: Request<'_>, list: List) -> Result<Vec<T>, Error>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.pages(first, |answer| entries(answer, list)).await
    }

    /// All of a list, page by page; `entries` reads a page.
    pub(crate) async fn pages<T>(
        &self,
        first: Request<'_>,
        entries: impl Fn(&BufferedResponse) -> Result<Vec<T>, Error>,
    ) -> Result<Vec<T>, Error> {
        let (scopes, repository) = (first.scopes.clone(), first.repository);
        let headers = first.headers.clone();
        let mut found = Vec::new();
        let (mut seen, mut bytes) = (HashSet::new(), 0);
        let mut next = Some(first);
        let mut start = String::new();
        while let Some(request) = next.take() {
            let incoming = self.expect(request, &[StatusCode::OK]).await?;
            if start.is_empty() {
                start = incoming.shown_url();
            }
            let endless = |why| Error::Listing { url: start.clone(), why };
            let url = incoming.url().clone();
            if !seen.insert(url.clone()) {
                return Err(endless("a page leads back to an earlier one"));
            }
            let link = self.next_page(&url, incoming.headers()).await?;
            let answer = read_unencoded(incoming, MAX_PAGE).await?;
            bytes += answer.body.len();
            found.extend(entries(&answer)?);
            if link.is_some() && seen.len() >= MAX_PAGES {
                return Err(endless("it has too many pages"));
            }
            if bytes > MAX_BYTES || found.len() > MAX_ENTRIES {
                return Err(endless("it is too long"));
            }
            next = link.map(|link| Request {
                target: Target::Url(link),
                repository,
                headers: headers.clone(),
                ..Request::read(Method::GET, String::new(), scopes.clone())
            });
        }
        Ok(found)
    }

    async fn next_page(&self, from: &Url, headers: &HeaderMap) -> Result<Option<Url>, Error> {
        match headers.get_all(LINK).iter().find_map(next_of) {
            None => Ok(None),
            Some(link) => match resolve_location(from, &link) {
                Some(url) => self.check_origin(from, url, "Link").await.map(Some),
                None => Err(Error::Header {
                    url: crate::transport::shown(from),
                    name: "Link",
                    value: Some(excerpt(&link)),
                }),
            },
        }
    }
}

/// The whole body of an answer, which must be no longer than this and as it is: what a coding unpacks to
/// has no bound.
pub(crate) async fn read_unencoded(
    incoming: StreamingResponse,
    limit: usize,
) -> Result<BufferedResponse, Error> {
    let coding = incoming.headers().get(CONTENT_ENCODING);
    if let Some(coding) =
        coding.filter(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Error::Encoded { url: incoming.shown_url(), encoding: excerpt(coding) });
    }
    if incoming.status() != StatusCode::OK {
        return Err(unexpected(incoming).await);
    }
    let answer = incoming.buffered(limit).await?;
    if answer.truncated {
        return Err(Error::TooLong { url: answer.shown_url(), limit });
    }
    Ok(answer)
}

fn entries<T>(answer: &BufferedResponse, list: List) -> Result<Vec<T>, Error>
where
    T: FromStr,
    T::Err: Display,
{
    let unreadable = |reason: String| Error::ListingUnreadable { url: answer.shown_url(), reason };
    if !answer.body.trim_ascii_start().starts_with(b"{") {
        return Err(unreadable("it is not a JSON object".to_owned()));
    }
    let page: Page =
        serde_json::from_slice(&answer.body).map_err(|error| unreadable(error.to_string()))?;
    let (member, names) = match list {
        List::Repositories => ("repositories", page.repositories),
        List::Tags => ("tags", page.tags),
    };
    let names = names.ok_or_else(|| unreadable(format!("it has no {member:?}")))?;
    let read = |name: String| name.parse().map_err(|error: T::Err| unreadable(error.to_string()));
    names.into_iter().map(read).collect()
}

/// The target with `rel="next"` of a `Link` header (RFC 8288).
fn next_of(header: &HeaderValue) -> Option<HeaderValue> {
    let text = header.to_str().ok()?;
    // What stands before the first `<` belongs to no target.
    let links = text.split('<').skip(1).filter_map(|link| link.split_once('>'));
    let next = links.filter(|(_, parameters)| {
        let mut parameters = parameters.split([';', ',']).filter_map(|one| one.split_once('='));
        parameters.any(|(name, value)| {
            name.trim().eq_ignore_ascii_case("rel")
                && value
                    .trim()
                    .trim_matches('"')
                    .split(' ')
                    .any(|rel| rel.eq_ignore_ascii_case("next"))
        })
    });
    next.map(|(target, _)| target).find_map(|target| HeaderValue::from_str(target).ok())
}

/// A header's value for a person, shortened.
pub(crate) fn excerpt(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8288 §3
    #[test]
    fn the_next_page_is_found_among_links() {
        for (link, next) in [
            (r#"</v2/a/tags/list?last=x&n=2>; rel="next""#, Some("/v2/a/tags/list?last=x&n=2")),
            ("</v2/a/tags/list?last=x>;rel=next", Some("/v2/a/tags/list?last=x")),
            (
                r#"<https://h/a>; rel="prev", <https://h/b>; title="x"; REL="next""#,
                Some("https://h/b"),
            ),
            (r#"<a>; rel="last next""#, Some("a")),
            (r#"<a>; rel="prev""#, None),
            ("<a", None),
            ("", None),
            ("next", None),
        ] {
            let found = next_of(&link.parse().unwrap());
            assert_eq!(found.as_ref().and_then(|url| url.to_str().ok()), next, "{link}");
        }
    }
}

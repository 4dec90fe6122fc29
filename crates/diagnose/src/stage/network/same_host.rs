//! A realm that leads nowhere: whether its path is served where the registry is.

use reqwest::{StatusCode, Url};

use crate::{
    exchange::{Request, Response},
    observations::{AnonymousEndpoint, RequiredAuth},
    redact,
    run::Run,
    token_endpoint::{is_json, token_in},
};

/// Asks the registry's own host for the realm's path, without credentials, and says what answers as a token service
/// does. The walk goes on there, without credentials.
pub(crate) async fn find_on_same_host(run: &mut Run, realm: &Url) -> Option<String> {
    for mut url in places(run.observed.origin.as_ref()?, realm) {
        let apart = AnonymousEndpoint::SameHost(url.clone());
        if let Some(RequiredAuth::Bearer { service: Some(service), .. }) =
            &run.observed.required_auth
        {
            url.query_pairs_mut().append_pair("service", service);
        }
        let Ok(response) = run.probe.send(&Request::get(url.clone())).await else { continue };
        if is_token_service(&response) {
            run.observed.anonymous_endpoint = Some(apart);
            let shown = redact::url(&url);
            return Some(format!(
                "without credentials, {shown} responds with {} like a token service: that may be the correct realm",
                response.status
            ));
        }
    }
    None
}

/// The registry's own port, and the realm's on the registry's host.
fn places(origin: &Url, realm: &Url) -> Vec<Url> {
    let own = {
        let mut url = origin.clone();
        url.set_path(realm.path());
        url.set_query(realm.query());
        url
    };
    let mut same_port = realm.clone();
    let moved = same_port.set_host(origin.host_str()).is_ok();
    [Some(own), moved.then_some(same_port)]
        .into_iter()
        .flatten()
        .filter(|url| url != realm && url.path() != "/")
        .collect()
}

fn is_token_service(response: &Response) -> bool {
    token_in(response).is_some()
        || (response.status == StatusCode::UNAUTHORIZED && is_json(response))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_looked_for_on_both_ports() {
        let found = |origin: &str, realm: &str| {
            let found = places(&origin.parse().unwrap(), &realm.parse().unwrap());
            found.iter().map(Url::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            found("https://r.example:5000/", "http://docker-auth:5001/auth?a=b"),
            ["https://r.example:5000/auth?a=b", "http://r.example:5001/auth?a=b"]
        );
        assert_eq!(
            found("https://r.example:5000/", "https://r.example/token"),
            ["https://r.example:5000/token"]
        );
        assert_eq!(found("https://r.example/", "https://other.example/"), [""; 0]);
    }
}

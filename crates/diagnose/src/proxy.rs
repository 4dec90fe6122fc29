//! Which proxy of the environment a request goes through.

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;

/// The proxies that were set, by what they are for.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    all: Option<Proxy>,
    /// `NO_PROXY`
    except: String,
}

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    /// The variable that names it.
    pub(super) variable: String,
    /// Where it is; a password may be in it.
    pub(super) url: Url,
}

impl Proxy {
    /// `http://proxy.example.com:3128`
    pub(super) fn shown(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        format!("{}://{host}:{port}", self.url.scheme())
    }

    /// The name and the password that stand in its URL, either of which may be empty.
    pub(super) fn login(&self) -> (String, String) {
        let decode = |text: &str| {
            let pairs = format!("a={}", text.replace('+', "%2B"));
            let mut decoded = url::form_urlencoded::parse(pairs.as_bytes()).into_owned();
            decoded.next().map(|(_, value)| value).unwrap_or_default()
        };
        (decode(self.url.username()), decode(self.url.password().unwrap_or_default()))
    }
}

impl Proxies {
    /// Reads the variables; capitals come first, as for Go.
    pub(super) fn of(variables: &[(String, String)]) -> Self {
        let value = |name: &str| {
            let set = |wanted: &str| {
                let found = variables
                    .iter()
                    .find(|(known, value)| known == wanted && !value.trim().is_empty());
                found.map(|(variable, value)| (variable.clone(), value.trim().to_owned()))
            };
            set(name).or_else(|| set(&name.to_ascii_lowercase()))
        };
        let proxy = |name: &str| {
            let (variable, text) = value(name)?;
            let text = if text.contains("://") { text } else { format!("http://{text}") };
            let url = Url::parse(&text).ok().filter(Url::has_host)?;
            Some(Proxy { variable, url })
        };
        Self {
            http: proxy("HTTP_PROXY"),
            https: proxy("HTTPS_PROXY"),
            all: proxy("ALL_PROXY"),
            except: value("NO_PROXY").map(|(_, text)| text).unwrap_or_default(),
        }
    }

    /// Each that is set.
    pub(super) fn all(&self) -> impl Iterator<Item = &Proxy> {
        self.http.iter().chain(&self.https).chain(&self.all)
    }

    /// Whether none is set.
    pub(super) fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none() && self.all.is_none()
    }

    /// What `NO_PROXY` says.
    pub(super) fn except(&self) -> &str {
        &self.except
    }

    /// The one for a URL. Loopback is gone to directly, as every client does.
    pub(super) fn of_url(&self, url: &Url) -> Option<&Proxy> {
        if portpass_client::host::is_loopback(url.host_str()?.trim_matches(['[', ']'])) {
            return None;
        }
        let own = if url.scheme() == "https" { &self.https } else { &self.http };
        let proxy = own.as_ref().or(self.all.as_ref())?;
        let matcher = Matcher::builder().all("http://any").no(self.except.as_str()).build();
        let target: http::Uri = url.as_str().parse().ok()?;
        matcher.intercept(&target).map(|_| proxy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_has_its_proxy_and_some_hosts_have_none() {
        let set = [
            ("https_proxy", "proxy.example.com:3128"),
            ("HTTP_PROXY", "http://user:secret@plain.example.com/"),
            ("NO_PROXY", "localhost,.internal.example.com,10.0.0.0/8"),
        ];
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let proxies = Proxies::of(&set);
        let table = [
            ("https://registry.example.com/", Some("http://proxy.example.com:3128")),
            ("http://registry.example.com/", Some("http://plain.example.com:80")),
            ("https://a.internal.example.com/", None),
            ("https://10.1.2.3/", None),
            ("https://localhost:5000/", None),
            ("https://127.0.0.1:5000/", None),
            ("https://[::1]:5000/", None),
        ];
        for (url, expected) in table {
            let found = proxies.of_url(&Url::parse(url).unwrap()).map(Proxy::shown);
            assert_eq!(found.as_deref(), expected, "{url}");
        }
        assert!(Proxies::of(&[]).is_empty());
    }
}

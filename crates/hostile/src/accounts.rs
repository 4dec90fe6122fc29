//! What others say of accounts: directories, and issuers of workload tokens. And secrets that callers show.

use std::time::{Duration, SystemTime};

use ldap3::{
    LdapResult,
    controls::{Control, RawControl},
};
use portpass_authority::secret::MachineSecret;
use portpass_federation::{
    discovery,
    issuer_url::IssuerUrl,
    ldap::{Dn, FilterTemplate, NameTemplate, Refusal},
    workload::{
        ClaimPath, ClaimedToken, Condition, Glob, LabelTemplate, Mapping, Rules, Uses, Workload,
    },
};
use portpass_jose::json;
use portpass_protocol::secret::SecretForm;

use crate::assert_one_line;

/// What a directory answers to a bind, and the names that it tells: the reason is one readable line, and a name
/// reads back. What a caller types becomes no filter and no name of its own.
pub fn directory(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let policy = RawControl {
        ctype: "1.3.6.1.4.1.42.2.27.8.5.1".to_owned(),
        crit: false,
        val: Some(bytes.to_vec()),
    };
    for code in [0, 19, 32, 49, 53, 4_000_000] {
        let result = LdapResult {
            rc: code,
            matched: String::new(),
            text: text.clone().into_owned(),
            refs: vec![],
            ctrls: vec![Control(None, policy.clone())],
        };
        let refusals = [Some(Refusal::of_bind(&result)), Refusal::beside_success(&result)];
        for refusal in refusals.into_iter().flatten() {
            short_line(&refusal.to_string());
        }
    }
    if let Some(dn) = Dn::parse(&text) {
        assert_eq!(Dn::parse(dn.as_str()).as_ref().map(Dn::as_str), Some(dn.as_str()));
        assert!(dn.depth() > 0);
    }
    let filter = FilterTemplate::of_accounts("(&(objectClass=person)(uid=${account}))");
    if let Ok(filter) = filter {
        let shape = |text: &str| text.matches(['(', ')']).count();
        assert_eq!(shape(&filter.for_account(&text)), shape(&filter.for_account("a")), "{text:?}");
    }
    let name = NameTemplate::parse("uid=${account},ou=people,dc=x");
    if let (Ok(name), false) = (name, text.is_empty()) {
        let dn = Dn::parse(&name.fill(&text)).map(|dn| dn.depth());
        assert!(dn.is_none_or(|depth| depth == 3), "{text:?} is {dn:?}");
    }
}

/// An issuer's discovery document and key set: keys are fetched from nowhere but a secure URL.
pub fn discovery(bytes: &[u8]) {
    let Ok(issuer) = ISSUER.parse::<IssuerUrl>() else { panic!("{ISSUER} is an issuer") };
    match discovery::jwks_uri(bytes, &issuer) {
        Ok(url) => assert!(url.scheme() == "https" || is_loopback(&url), "{url}"),
        Err(error) => short_line(&error.to_string()),
    }
    match discovery::key_set(bytes) {
        Ok(keys) => {
            assert!(!keys.is_empty() && keys.len() + keys.skipped().len() <= bytes.len());
        }
        Err(error) => assert_one_line(&error.to_string()),
    }
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The claims of a workload token that an issuer has signed: an account comes only of claims that hold, and what is
/// said of others is readable.
pub fn workload_claims(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(token) = ClaimedToken::parse(&text) {
        assert_eq!(token.expose(), text);
    }
    let Ok(claims) = json::parse_object(bytes) else { return };
    let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
    let rules = workload_rules();
    for examined in rules.examine(&claims) {
        assert_eq!(examined.conditions.len(), 2);
        for condition in &examined.conditions {
            short_line(&condition.found.to_string());
        }
    }
    match rules.judge(&claims, now) {
        Ok(Workload { name, until, use_once, .. }) => {
            let is = |claim: &str, wanted: &str| {
                claims.get(claim).and_then(|value| value.as_str()) == Some(wanted)
            };
            assert!(is("iss", ISSUER), "{claims:?}");
            assert!(name.starts_with("ci.") && name.len() <= 128 * 4, "{name:?}");
            assert!(until > now && use_once.is_some());
            let examined = rules.examine(&claims);
            assert!(examined.iter().flat_map(|one| &one.conditions).all(|one| one.holds));
        }
        Err(refusal) => assert_one_line(&refusal.to_string()),
    }
}

fn workload_rules() -> Rules {
    let condition = |claim: &str, glob: &str| {
        let claim = ClaimPath::new(claim)?;
        Some(Condition { claim, globs: vec![Glob::new(glob)] })
    };
    let when = [condition("repository", "acme/*"), condition("job/ref", "refs/heads/main")];
    let (Ok(issuer), Ok(name), Ok(value)) =
        (ISSUER.parse(), "ci/${claim:repository}".parse(), "${claim:sub}".parse())
    else {
        panic!("these rules make sense")
    };
    let labels = vec![LabelTemplate { name: "from".into(), values: vec![value] }];
    Rules {
        issuer,
        audiences: vec!["registry".to_owned()],
        mappings: vec![Mapping {
            when: when.into_iter().flatten().collect(),
            name,
            groups: vec![],
            labels,
        }],
        uses: Uses::Once,
    }
}

/// A password that may be the secret of a robot or an API key: taken as a whole or refused, and never shown.
pub fn machine_secret(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match MachineSecret::parse(text) {
        Some(Ok(secret)) => {
            assert_eq!(secret.expose(), text);
            assert_eq!(Some(secret.form()), SecretForm::of(text));
            assert!(!format!("{secret:?}").contains(text));
        }
        Some(Err(damaged)) => {
            let said = damaged.to_string();
            assert_one_line(&said);
            assert!(text.len() < 16 || !said.contains(text), "{text:?}");
        }
        None => {
            assert!(!matches!(SecretForm::of(text), Some(SecretForm::ApiKey | SecretForm::Robot)));
        }
    }
}

/// However long the text was that it is about.
fn short_line(message: &str) {
    assert_one_line(message);
    assert!(message.len() < 4096, "{message}");
}

const ISSUER: &str = "https://ci.example/acme";

//! What docker_auth does with a list, sentence by sentence; and 500 lists at random.

use std::{net::IpAddr, time::SystemTime};

use portpass_token::ServiceName;

mod backtracking;
mod differential;
mod generate;
mod recorded;
mod reference;
mod sentences;

use self::generate::Asked;
use crate::{
    policy::Request,
    subject::{Account, AccountId, AccountKind, CredentialVersion, Labels, SourceName, Subject},
};

/// Asks as the account that the request names; an empty name is a caller without credentials.
fn request<T>(asked: &Asked, ask: impl FnOnce(&Request<'_>) -> T) -> T {
    let mut labels = Labels::default();
    for (name, values) in &asked.labels {
        for value in values {
            labels.insert(name, value).unwrap();
        }
    }
    let subject = if asked.account.is_empty() {
        Subject::Anonymous
    } else {
        Subject::from(Account {
            source: SourceName::htpasswd(),
            id: AccountId::new(asked.account.as_str()),
            version: CredentialVersion::new("1"),
            name: asked.account.parse().unwrap(),
            groups: [].into(),
            labels,
            kind: AccountKind::Person,
            ceiling: None,
            valid_until: None,
        })
    };
    let service = ServiceName::new(asked.service.as_str());
    let address = asked.ip.as_ref().map(|ip| ip.parse::<IpAddr>().unwrap());
    ask(&Request { subject: &subject, service: &service, address, now: SystemTime::UNIX_EPOCH })
}

//! The variables of the token service.

use super::{Variable, place_paths, variable};
use crate::{
    accounts::Source,
    groups::{self, GroupsSection},
    introspection::IntrospectionSection,
    one_or_many::OneOrMany,
    policy::{PolicySection, RuleSection},
    token_service::ServiceSection,
};

/// In the order of the file.
pub(super) const VARIABLES: &[Variable] = &[
    variable!("PORTPASS_TOKEN_SERVICE_ADDR", "token_service.addr", |file, given| {
        file.token_service(given).addr = Some(given.address()?);
        Ok(())
    }),
    variable!("PORTPASS_TOKEN_SERVICE_URL", "token_service.url", |file, given| {
        file.token_service(given).url = Some(given.text());
        Ok(())
    }),
    variable!(
        "PORTPASS_TOKEN_SERVICE_TLS_CERTIFICATE",
        "token_service.tls.certificate",
        |file, given| {
            file.token_service_tls(given).certificate = Some(given.path());
            Ok(())
        }
    ),
    variable!("PORTPASS_TOKEN_SERVICE_TLS_KEY", "token_service.tls.key", |file, given| {
        file.token_service_tls(given).key = Some(given.path());
        Ok(())
    }),
    variable!("PORTPASS_TOKEN_SERVICE_PATH", "token_service.path", |file, given| {
        file.token_service(given).path = Some(given.text());
        Ok(())
    }),
    variable!("PORTPASS_TOKEN_SERVICE_ISSUER", "token_service.issuer", |file, given| {
        file.token_service(given).issuer = Some(given.text());
        Ok(())
    }),
    variable!("PORTPASS_TOKEN_SERVICE_EXPIRATION", "token_service.expiration", |file, given| {
        file.token_service(given).expiration = Some(given.placed(given.yaml()?));
        Ok(())
    }),
    variable!(
        "PORTPASS_TOKEN_SERVICE_SIGNING_ALGORITHM",
        "token_service.signing.algorithm",
        |file, given| {
            file.signing(given).algorithm = Some(given.text());
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_TOKEN_SERVICE_SIGNING_CERTIFICATE",
        "token_service.signing.certificate",
        |file, given| {
            file.signing(given).certificate = Some(given.path());
            Ok(())
        }
    ),
    variable!("PORTPASS_TOKEN_SERVICE_SIGNING_KEY", "token_service.signing.key", |file, given| {
        file.signing(given).key = Some(given.path());
        Ok(())
    }),
    variable!("PORTPASS_TOKEN_SERVICE_SERVICES", "token_service.services", |file, given| {
        file.token_service(given).services = Some(given.placed(given.list::<ServiceSection>()?));
        Ok(())
    }),
    variable!("PORTPASS_TOKEN_SERVICE_ACCOUNTS", "token_service.accounts", |file, given| {
        let mut sources = given.list::<Source>()?;
        place_paths(&mut sources, given);
        file.token_service(given).accounts = Some(given.placed(sources));
        Ok(())
    }),
    variable!("PORTPASS_TOKEN_SERVICE_GROUPS", "token_service.groups", |file, given| {
        let typed: GroupsSection = given.yaml()?;
        file.token_service(given).groups = Some(groups::placed(typed, &given.placed(()).place));
        Ok(())
    }),
    variable!(
        "PORTPASS_TOKEN_SERVICE_PASSWORDS_MIN_LENGTH",
        "token_service.passwords.min_length",
        |file, given| {
            let passwords = file.token_service(given).passwords.get_or_insert_default();
            passwords.min_length = Some(given.placed(given.yaml()?));
            Ok(())
        }
    ),
    variable!("PORTPASS_TOKEN_SERVICE_ANONYMOUS", "token_service.anonymous", |file, given| {
        file.token_service(given).anonymous = Some(given.yaml()?);
        Ok(())
    }),
    variable!(
        "PORTPASS_TOKEN_SERVICE_REFRESH_TOKENS",
        "token_service.refresh_tokens",
        |file, given| {
            file.token_service(given).refresh_tokens = Some(given.yaml()?);
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_TOKEN_SERVICE_LIMITS_ENABLED",
        "token_service.limits.enabled",
        |file, given| {
            file.token_service(given).limits.get_or_insert_default().enabled = Some(given.yaml()?);
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_TOKEN_SERVICE_LIMITS_REQUESTS_ACCOUNT",
        "token_service.limits.requests.account",
        |file, given| {
            let limits = file.token_service(given).limits.get_or_insert_default();
            limits.requests.get_or_insert_default().account = Some(given.placed(given.yaml()?));
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_TOKEN_SERVICE_LIMITS_REQUESTS_ADDRESS",
        "token_service.limits.requests.address",
        |file, given| {
            let limits = file.token_service(given).limits.get_or_insert_default();
            limits.requests.get_or_insert_default().address = Some(given.placed(given.yaml()?));
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_TOKEN_SERVICE_INTROSPECTION_TO",
        "token_service.introspection.to",
        |file, given| {
            let to = given.list()?.into_iter().map(|word| word.value).collect();
            let introspection = IntrospectionSection { to: Some(OneOrMany(to)) };
            file.token_service(given).introspection = Some(given.placed(introspection));
            Ok(())
        }
    ),
    variable!("PORTPASS_TOKEN_SERVICE_POLICY", "token_service.policy", |file, given| {
        let rules = PolicySection::Rules(given.list::<RuleSection>()?);
        file.token_service(given).policy = Some(given.placed(rules));
        Ok(())
    }),
    variable!(
        "PORTPASS_TOKEN_SERVICE_POLICY_DOCKER_AUTH",
        "token_service.policy.docker-auth",
        |file, given| {
            let acl = PolicySection::DockerAuth(given.path());
            file.token_service(given).policy = Some(given.placed(acl));
            Ok(())
        }
    ),
    variable!("PORTPASS_TOKEN_SERVICE_POLICY_FILE", "token_service.policy_file", |file, given| {
        file.token_service(given).policy_file = Some(given.path());
        Ok(())
    }),
];
